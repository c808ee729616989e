//! Why there is no truth to judge by. All of it is *infrastructure*: the lab went wrong, not the monitor.

use thiserror::Error;

use super::{agreement::Disagreement, clock::ClockError, record::RecordError};

/// No truth.
#[derive(Debug, Error)]
pub enum TruthError {
    /// A file of the observation is not there.
    #[error("reading the observation: {name} is missing; the lab ended before it was written")]
    Missing {
        /// Which file.
        name: &'static str,
    },
    /// A file of the observation is not what it should be.
    #[error(
        "reading the observation: {name}: {source}; was it written by another version of mvpnlab?"
    )]
    Malformed {
        /// Which file.
        name: &'static str,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The capture cannot be read.
    #[error(transparent)]
    Capture(#[from] RecordError),
    /// A stamp cannot be placed.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The capture names a wire that the plan does not have.
    #[error(
        "reading the tap capture: wire {wire} is not in the plan, which has {wires}; the capture belongs to another topology"
    )]
    NoSuchWire {
        /// Number in the capture.
        wire: u16,
        /// Wires of the plan.
        wires: usize,
    },
    /// The views of the run contradict each other.
    #[error("the lab's views of the run disagree, so no verdict can be given:\n{}", listed(.0))]
    Disagreement(Vec<Disagreement>),
}

fn listed(disagreements: &[Disagreement]) -> String {
    disagreements
        .iter()
        .map(|disagreement| format!("  - {disagreement}\n"))
        .collect()
}
