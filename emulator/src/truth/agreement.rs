//! The lab's three views of a run must agree before any verdict is given.

use std::fmt;

/// Two views contradict each other, in plain English.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// Where: a lane (`PE1-P/P`), a tunnel, or the tap.
    pub at: String,
    /// What each side says.
    pub what: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}
