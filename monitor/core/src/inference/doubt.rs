//! What is wrong with an estimate, or with what it was to be made of.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why an estimate deserves less trust than its interval says, or why the interval is wider than the counts alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// So few independent losses that the estimate is little more than an order of magnitude.
    FewEvents {
        /// Losses, as if they were independent.
        effective: f64,
    },
    /// Losses come together; the interval has been widened accordingly.
    Dependent {
        /// Variance between blocks over the variance of independent losses.
        factor: f64,
    },
    /// Dependence could not be looked for: the interval takes losses for independent.
    FewBlocks {
        /// Blocks of time there were.
        blocks: usize,
        /// Blocks of time there should be.
        least: usize,
    },
    /// Neighbouring blocks of the longest kind still go together, so that even the widened interval may be too narrow.
    DependenceBeyondBlocks {
        /// Correlation of neighbouring blocks.
        correlation: f64,
    },
    /// Losses come in bursts within aggregates: the split between the shared path and the leaves is biased, by a third at
    /// worst in the cases tried. Deal consecutive probes out over aggregates instead.
    BurstsWithinAggregates {
        /// Variance of an aggregate's losses over that of independent losses.
        dispersion: f64,
    },
    /// The leaves lost less together than chance has it, by more than chance; the shared loss has been taken for none.
    /// Perhaps the leaves do not count the same probes.
    Repelling {
        /// How far below chance, in standard deviations.
        deviations: f64,
    },
    /// The tunnels alone lose more than what was sent through both of them; the loss between has been taken for none.
    TunnelsLoseMore {
        /// By how much, in standard deviations.
        deviations: f64,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::FewEvents { effective } => write!(
                f,
                "too few events: worth {effective:.1} independent losses; probe longer or faster"
            ),
            Doubt::Dependent { factor } => write!(
                f,
                "losses come together: variance {factor:.1} times that of independent ones, interval widened"
            ),
            Doubt::FewBlocks { blocks, least } => write!(
                f,
                "dependence not examined: {blocks} blocks of time, {least} needed"
            ),
            Doubt::DependenceBeyondBlocks { correlation } => {
                write!(
                    f,
                    "dependence reaches beyond blocks (neighbours correlate by {correlation:.2}): the interval \
                     may be too narrow; use longer blocks"
                )
            }
            Doubt::BurstsWithinAggregates { dispersion } => write!(
                f,
                "losses come in bursts within aggregates (dispersion {dispersion:.1}), which biases the split \
                 between shared path and leaves; deal probes out over aggregates"
            ),
            Doubt::Repelling { deviations } => write!(
                f,
                "losses of the leaves exclude each other ({deviations:.1} standard deviations below chance): \
                 check that both count the same probes"
            ),
            Doubt::TunnelsLoseMore { deviations } => write!(
                f,
                "the tunnels lose more than the way through both ({deviations:.1} standard deviations): check \
                 that they were measured at the same time"
            ),
        }
    }
}

/// Why there is no estimate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InferenceError {
    /// Counts that no probing can give.
    #[error(
        "inferring one-way loss from {what}: {found}; the counts are not of the same probes (a wrap, a reset or \
         a stale reading?), discard them"
    )]
    Inconsistent {
        /// Which counts.
        what: String,
        /// What is impossible about them.
        found: String,
    },
    /// Counts that every split of the loss between the shared path and the leaves explains.
    #[error(
        "inferring one-way loss: {0}, so the shared path and the leaves cannot be told apart; check that both \
         leaves receive at all, then probe longer"
    )]
    NotIdentified(String),
}

impl InferenceError {
    pub(super) fn inconsistent(
        what: impl Into<String>,
        found: impl Into<String>,
    ) -> InferenceError {
        InferenceError::Inconsistent {
            what: what.into(),
            found: found.into(),
        }
    }
}
