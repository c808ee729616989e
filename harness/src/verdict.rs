//! What a run was worth: verdicts, their order, and the exit codes of the command line.

use serde::{Deserialize, Serialize};

/// The outcome of one scenario with one seed. Never a retry to green: one run, one verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Verdict {
    /// Every expectation held.
    Pass,
    /// The lab and its truth were sound, and the monitor (or the network) did not do what was expected.
    Fail {
        /// One sentence for each expectation that did not hold.
        reasons: Vec<String>,
    },
    /// The lab itself went wrong, or the views of the truth disagreed: nothing can be said of the monitor.
    Infrastructure {
        /// What went wrong, with the guest's last words where there are any.
        what: String,
    },
    /// Not run here, and why.
    Skipped {
        /// What is missing.
        reason: String,
    },
}

impl Verdict {
    /// The word that stands in reports.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail { .. } => "fail",
            Self::Infrastructure { .. } => "infrastructure",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// Why, line by line; nothing to say about a pass.
    pub fn reasons(&self) -> Vec<&str> {
        match self {
            Self::Pass => Vec::new(),
            Self::Fail { reasons } => reasons.iter().map(String::as_str).collect(),
            Self::Infrastructure { what } => vec![what],
            Self::Skipped { reason } => vec![reason],
        }
    }
}

/// Exit codes of `mvpnlab`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything that ran passed.
    Pass = 0,
    /// At least one expectation did not hold.
    Fail = 1,
    /// The command line or a scenario is wrong; nothing was run.
    Usage = 2,
    /// A lab went wrong, results could not be written, or nothing at all was judged.
    Infrastructure = 3,
}

impl Exit {
    /// The exit code of a whole suite.
    ///
    /// Infrastructure outranks a failure: as long as one lab was unsound the suite has not
    /// been judged, and a CI job that only looks at the code must not read it as the
    /// monitor's fault. A suite of nothing but skips has judged nothing, which is no pass.
    pub fn of<'a>(verdicts: impl IntoIterator<Item = &'a Verdict>) -> Self {
        let (mut judged, mut failed, mut unsound) = (false, false, false);
        for verdict in verdicts {
            match verdict {
                Verdict::Pass => judged = true,
                Verdict::Fail { .. } => (judged, failed) = (true, true),
                Verdict::Infrastructure { .. } => unsound = true,
                Verdict::Skipped { .. } => {}
            }
        }
        match (unsound || !judged, failed) {
            (true, _) => Self::Infrastructure,
            (false, true) => Self::Fail,
            (false, false) => Self::Pass,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail() -> Verdict {
        Verdict::Fail {
            reasons: vec!["x".into()],
        }
    }

    fn unsound() -> Verdict {
        Verdict::Infrastructure { what: "x".into() }
    }

    fn skipped() -> Verdict {
        Verdict::Skipped { reason: "x".into() }
    }

    #[test]
    fn the_worst_verdict_decides() {
        let cases = [
            (vec![Verdict::Pass], Exit::Pass),
            (vec![Verdict::Pass, skipped()], Exit::Pass),
            (vec![Verdict::Pass, fail()], Exit::Fail),
            (vec![fail(), unsound()], Exit::Infrastructure),
            (vec![Verdict::Pass, unsound()], Exit::Infrastructure),
            (vec![skipped()], Exit::Infrastructure),
            (vec![], Exit::Infrastructure),
        ];
        for (verdicts, expected) in cases {
            assert_eq!(Exit::of(&verdicts), expected, "{verdicts:?}");
        }
    }
}
