//! One-way loss in the monitor: what `inference` needs is probed for, collected, counted, and its estimates kept.
//!
//! ```text
//!              up            ┌──────── down ────────▶ us
//!   us ═══════════════▶ router
//!                            └──────── leaf ────────▶ a peer, which counts (A) or sends again (C)
//! ```
//!
//! | file | noun |
//! |---|---|
//! | `spec`, `report` | the public contract |
//! | `run` | one measurement: its life, its blocks of probes, its rows |
//! | `window`, `blocks`, `why` | probes that are open; those that count; those that do not |
//! | `link`, `peer` | a leaf that a peer serves; requests to peers |
//! | `estimates`, `delay`, `known` | what follows, and what is kept of it for the correction of pairs |
//! | `collector`, `reflector`, `ranges` | what this monitor does for others |
//!
//! **Never silently wrong.** A block of probes counts when for each leaf it is certain which of them arrived: nobody's
//! capture dropped anything meanwhile, and the peer was there from before the first to after the last, with all it saw.
//! Everything else is discarded, counted by reason, and said.

mod blocks;
mod collector;
mod delay;
mod estimates;
mod known;
mod link;
mod peer;
mod ranges;
mod reflector;
pub mod report;
mod run;
pub mod spec;
mod why;
mod window;

use std::collections::BTreeMap;

pub(crate) use collector::{Collector, Host};
pub(crate) use known::{Inferred, Known};
pub(crate) use peer::{Heard, Peers};
pub use peer::{PEER_TIMEOUT, PeerFailure, PeerRequest};
pub(crate) use reflector::{REFLECTED_RATE_MAX, Reflector};
pub(crate) use run::{Output, Run, Setting, Sight, copies_back};
pub(crate) use window::LEAVES_MAX;

use crate::name::Name;

/// Everything of a monitor that is about one-way loss.
#[derive(Debug, Default)]
pub(crate) struct Oneway {
    pub(crate) runs: BTreeMap<u32, Run>,
    /// The latest run of each name.
    pub(crate) names: BTreeMap<Name, u32>,
    pub(crate) peers: Peers,
    pub(crate) collector: Collector,
    pub(crate) reflector: Reflector,
    pub(crate) known: Known,
    /// The wall clock less the monotonic clock, if the driver said.
    pub(crate) realtime_minus_monotonic_ns: Option<i64>,
}
