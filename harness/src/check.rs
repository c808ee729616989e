//! Claim against truth: one finding for each expectation of the scenario.

pub mod statistics;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What became of one expectation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's name in the scenario: `fates`, `delay-error`, …
    pub check: String,
    /// What it was about: a task, a pair, a stream; empty when the whole lab.
    pub about: String,
    /// The expectation in words.
    pub expected: String,
    /// Whether it held.
    pub outcome: Outcome,
    /// How many things were compared; a check that compared nothing has failed.
    pub judged: u64,
    /// Figures measured on the way, units in their names.
    pub figures: BTreeMap<String, Figure>,
    /// Statistical checks: probability that this one fails although nothing is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_alarm: Option<f64>,
}

/// Held, or not and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Outcome {
    /// As expected.
    Held,
    /// Not as expected.
    Failed {
        /// In plain words, with the first few offenders.
        reason: String,
    },
}

impl Outcome {
    /// Why it failed.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Held => None,
            Self::Failed { reason } => Some(reason),
        }
    }
}

/// A figure: a count, a time in nanoseconds, or a ratio; the name says which.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Figure {
    /// An integer.
    Count(i64),
    /// Anything else.
    Ratio(f64),
}

impl Finding {
    /// Check and subject: `fates of table1`.
    pub fn title(&self) -> String {
        match self.about.as_str() {
            "" => self.check.clone(),
            about => format!("{} of {about}", self.check),
        }
    }

    /// Whether the expectation held.
    pub fn held(&self) -> bool {
        self.outcome == Outcome::Held
    }
}
