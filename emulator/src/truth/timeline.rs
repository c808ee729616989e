//! `timeline.json`: what was really done, and when.

use serde::{Deserialize, Serialize};

use crate::scenario::Action;

/// The run as it went. All times CLOCK_MONOTONIC of the lab, nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// The run's zero. The scenario's initial impairments are all in force by now.
    pub start_ns: u64,
    /// The run's end.
    pub end_ns: u64,
    /// Actions in the order in which they were done.
    pub done: Vec<Done>,
}

/// An action that was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Planned, after the start.
    pub planned_ns: u64,
    /// Begun then.
    pub began_ns: u64,
    /// Finished then.
    pub monotonic_ns: u64,
    /// What.
    pub action: Action,
}
