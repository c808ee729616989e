//! What can go wrong with a place, always with what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::image::ImageError;
use super::qmp::QmpError;
use super::shared_memory::{State, TooLarge, Window};

/// Why a lab could not be run. None of these is a verdict on what ran in it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum PlaceError {
    #[error("no image for the sealed lab: {0}")]
    Image(#[from] ImageError),
    #[error(
        "`{program}` was not found or does not run ({reason}); install it (Debian or Ubuntu: `apt-get install qemu-system-x86`) or name it in MVPNLAB_QEMU"
    )]
    NoQemu { program: String, reason: String },
    #[error(
        "`{program}` did not load the library without which its virtual time does not repeat; is it statically linked, or a wrapper that clears its environment? Use Debian's own qemu-system-x86"
    )]
    NoGate { program: String },
    #[error("the sealed lab was not done after {} s and was stopped; allow it more time, or see what it waited for\n{words}", .deadline.as_secs())]
    Deadline {
        deadline: Duration,
        words: LastWords,
    },
    #[error(
        "the sealed lab's kernel panicked; give it more memory if it ran out, else please report this\n{words}"
    )]
    GuestPanic { words: LastWords },
    #[error("the sealed lab ended before its work was done\n{words}")]
    EarlyExit { words: LastWords },
    #[error("QEMU died ({status}); was it killed, or is the machine out of memory?\n{words}")]
    QemuDied {
        status: ExitStatus,
        words: LastWords,
    },
    #[error("the sealed lab could not be {phase}: {message}\n{words}")]
    Program {
        phase: Phase,
        message: String,
        words: LastWords,
    },
    #[error("the sealed lab's init failed: {message}\n{words}")]
    Guest { message: String, words: LastWords },
    #[error("{0}")]
    TooLarge(#[from] TooLarge),
    #[error("an archive for or from the sealed lab is broken: {0}")]
    Archive(String),
    #[error(
        "no space left while writing {path}; free some, run `mvpnlab image --gc`, or point MVPNLAB_CACHE at a larger disk"
    )]
    NoSpace { path: PathBuf },
    #[error("could not {what} {path}: {source}")]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{0}; is this QEMU 7.2 or newer?\n{1}")]
    Qmp(QmpError, LastWords),
    #[error("the guest's executable {path} cannot be used: {reason}")]
    Executable { path: PathBuf, reason: String },
    #[error(
        "this host cannot run labs in its own kernel:\n{0}\nUse the sealed place instead: it needs only QEMU"
    )]
    NativeMissing(String),
}

impl PlaceError {
    /// Wraps an I/O error with what was attempted, and tells a full disk from the rest.
    pub fn io(what: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { path: path.into() }
            }
            _ => Self::Io {
                what,
                path: path.into(),
                source,
            },
        }
    }
}

/// What a program was at when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// [`super::Program::build`].
    Build,
    /// [`super::Program::run`].
    Run,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Build => "built",
            Self::Run => "run",
        })
    }
}

/// What a guest said last, for whoever must find out why it failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastWords {
    /// The end of its log.
    pub log: Vec<String>,
    /// The end of its console: the kernel's messages and panics.
    pub console: Vec<String>,
    /// What QEMU itself wrote.
    pub qemu: Vec<String>,
}

/// How many lines of each are kept.
pub const LAST_LINES: usize = 20;

impl LastWords {
    /// The last lines of a text.
    pub fn tail(text: &str) -> Vec<String> {
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
            .collect();
        lines[lines.len().saturating_sub(LAST_LINES)..]
            .iter()
            .map(|line| (*line).to_owned())
            .collect()
    }
}

impl fmt::Display for LastWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("log", &self.log),
            ("console", &self.console),
            ("QEMU", &self.qemu),
        ];
        if parts.iter().all(|(_, lines)| lines.is_empty()) {
            return f.write_str("  (it said nothing)");
        }
        let mut separator = "";
        for (name, lines) in parts.into_iter().filter(|(_, lines)| !lines.is_empty()) {
            write!(f, "{separator}  its last words ({name}):")?;
            for line in lines {
                write!(f, "\n    {line}")?;
            }
            separator = "\n";
        }
        Ok(())
    }
}

impl Window {
    /// What was handed over, or why nothing was.
    ///
    /// # Errors
    /// The program's failure, or that it stopped in the middle.
    pub fn result(&self, words: LastWords) -> Result<Vec<u8>, PlaceError> {
        let output = self.output();
        let message = String::from_utf8_lossy(&output).into_owned();
        match self.state() {
            Some(State::Done) => Ok(output),
            Some(State::BuildFailed) => Err(PlaceError::Program {
                phase: Phase::Build,
                message,
                words,
            }),
            Some(State::RunFailed) => Err(PlaceError::Program {
                phase: Phase::Run,
                message,
                words,
            }),
            Some(State::GuestFailed) => Err(PlaceError::Guest { message, words }),
            state @ (Some(State::Booting | State::Booted | State::Built) | None) => {
                let message = format!("it stopped in the middle of its work (state {state:?})");
                Err(PlaceError::Guest { message, words })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_the_last_lines_only() {
        let text: String = (0..50).map(|n| format!("line {n}\r\n\n")).collect();
        let tail = LastWords::tail(&text);
        assert_eq!(
            (tail.len(), tail[0].as_str(), tail[19].as_str()),
            (20, "line 30", "line 49")
        );
        assert!(LastWords::tail("").is_empty());
    }

    #[test]
    fn an_error_reads_well() {
        let words = LastWords {
            log: vec!["converged".into()],
            console: vec!["oops".into()],
            qemu: Vec::new(),
        };
        let error = PlaceError::Deadline {
            deadline: Duration::from_secs(5),
            words,
        };
        insta::assert_snapshot!(error.to_string(), @r"
        the sealed lab was not done after 5 s and was stopped; allow it more time, or see what it waited for
          its last words (log):
            converged
          its last words (console):
            oops
        ");
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let full = PlaceError::io("write", "/x", io::ErrorKind::StorageFull.into());
        assert!(matches!(full, PlaceError::NoSpace { .. }));
        let other = PlaceError::io("write", "/x", io::ErrorKind::PermissionDenied.into());
        assert!(matches!(other, PlaceError::Io { .. }));
    }
}
