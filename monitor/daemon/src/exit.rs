//! How the program ends: the codes that scripts rely on.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Exit {
    /// Done.
    Done,
    /// The daemon refused.
    Refused,
    /// The command line or the configuration makes no sense.
    Usage,
    /// No daemon can be reached, or it cannot start.
    Unable,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::Unable => 3,
        })
    }
}
