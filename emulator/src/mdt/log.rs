//! `mdts.json`: what the PEs did with their data MDTs, and when.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::Stream;

/// Everything, in the order in which it was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MdtLog {
    /// The deeds.
    pub events: Vec<MdtEvent>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MdtEvent {
    /// When, CLOCK_MONOTONIC, nanoseconds.
    pub at_ns: u64,
    /// MVPN.
    pub mvpn: String,
    /// The PE that did it.
    pub pe: String,
    /// What.
    pub did: Deed,
}

/// What a PE does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// Sent an MDT Join.
    Announced {
        /// Of this stream.
        stream: Stream,
        /// With this group.
        p_group: Ipv4Addr,
    },
    /// Sends a stream by a data MDT from now on.
    Moved {
        /// Which stream.
        stream: Stream,
        /// To this group.
        p_group: Ipv4Addr,
    },
    /// Announces a stream no more, and sends it by the default MDT.
    Returned {
        /// Which stream.
        stream: Stream,
        /// From this group.
        p_group: Ipv4Addr,
    },
    /// Joined a data MDT, for receivers of this stream among others.
    Joined {
        /// The group.
        p_group: Ipv4Addr,
    },
    /// Left one.
    Left {
        /// The group.
        p_group: Ipv4Addr,
    },
    /// Has no group left for a stream, which stays on the default MDT.
    Exhausted {
        /// Which stream.
        stream: Stream,
    },
}
