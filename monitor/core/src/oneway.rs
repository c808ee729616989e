//! One-way loss in the monitor: what `inference` needs is probed for, collected, counted, and its estimates kept.
//!
//! ```text
//!              up            ┌──────── down ────────▶ us
//!   us ═══════════════▶ router
//!                            └──────── leaf ────────▶ a peer, which counts (A) or sends again (C); a router that counts (B)
//! ```
//!
//! | file | noun |
//! |---|---|
//! | `spec`, `report` | the public contract |
//! | `run` | one measurement: its life, its blocks of probes, its rows |
//! | `window`, `tally`, `why` | probes that are open; those that count; those that do not |
//! | `blocks`, `aggregates` | what counts: single probes (A, C), sums (B) |
//! | `leaf`, `link`, `counter` | a leaf; one that a peer serves (A, C), one that a router's counter serves (B) |
//! | `contacts`, `peer`, `agents` | others who are asked: peers, readers of counters |
//! | `estimates`, `delay`, `known` | what follows, and what is kept of it for the correction of pairs |
//! | `collector`, `reflector`, `ranges` | what this monitor does for others |
//!
//! **Never silently wrong.** A block of probes counts when for each leaf it is certain which of them arrived: nobody's
//! capture dropped anything meanwhile, and the peer was there from before the first to after the last, with all it saw.
//! An aggregate counts when it is certain of which probes a router's count is (see [`crate::counters`]).
//! Everything else is discarded, counted by reason, and said.

mod agents;
mod aggregates;
mod blocks;
mod collector;
mod contacts;
mod counter;
mod delay;
mod estimates;
mod known;
mod leaf;
mod link;
mod peer;
mod ranges;
mod reflector;
pub mod report;
mod run;
pub mod spec;
mod tally;
mod why;
mod window;

use std::collections::BTreeMap;

pub use agents::{AGENT_TIMEOUT, AgentFailure, AgentRequest};
pub(crate) use agents::{AgentOutcome, Agents};
pub(crate) use collector::{Collector, Host};
pub(crate) use contacts::Heard;
pub(crate) use known::{Inferred, Known};
pub(crate) use leaf::Asking;
pub use peer::{PEER_TIMEOUT, PeerFailure, PeerRequest};
pub(crate) use peer::{PeerOutcome, Peers};
pub(crate) use reflector::{REFLECTED_RATE_MAX, Reflector};
pub(crate) use run::{Due, Output, Run, Setting, Sight, copies_back};
pub(crate) use window::LEAVES_MAX;

use crate::name::Name;

/// Everything of a monitor that is about one-way loss.
#[derive(Debug, Default)]
pub(crate) struct Oneway {
    pub(crate) runs: BTreeMap<u32, Run>,
    /// The latest run of each name.
    pub(crate) names: BTreeMap<Name, u32>,
    pub(crate) peers: Peers,
    pub(crate) agents: Agents,
    pub(crate) collector: Collector,
    pub(crate) reflector: Reflector,
    pub(crate) known: Known,
    /// The wall clock less the monotonic clock, if the driver said.
    pub(crate) realtime_minus_monotonic_ns: Option<i64>,
}
