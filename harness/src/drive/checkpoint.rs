//! A moment at which the monitor and the routers were asked about the same thing.

use mvpnlab_emulator::lab::VrfWords;
use serde::{Deserialize, Serialize};
use vmscope_core::control::Answer;

/// Where checkpoints lie in an observation.
pub const FILE: &str = "monitor/checkpoints.json";

/// One MVPN at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// When, nanoseconds after the start of the run.
    pub at_ns: u64,
    /// The MVPN.
    pub mvpn: String,
    /// What the monitor says of it.
    pub said: Answer,
    /// What its VRFs say themselves.
    pub vrfs: Vec<VrfWords>,
}

impl Checkpoint {
    /// When the monitor answered, by its own clock, which is the lab's: monotonic nanoseconds.
    pub fn said_at_ns(&self) -> Option<u64> {
        match &self.said {
            Answer::MvpnState { at_ns, .. } => Some(at_ns.as_ns()),
            _ => None,
        }
    }
}
