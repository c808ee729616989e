//! Data MDTs (RFC 6037 sections 6 and 7): what a PE does for each of its MVPNs besides routing.
//!
//! FRR knows no data MDTs, so every VRF has an [`Agent`]. As a sender's PE it moves a stream above the threshold to a
//! group of the pool and back again, and announces it; as a receivers' PE it joins and leaves such groups. The agent is
//! sans-IO: `handle_*` tells it what the forwarding table and the MDT say, `poll` what is to be done; time is an
//! argument. [`crate::lab`] does it, once a second, in the kernel.
//!
//! The codec of announcements ([`join`]) is the lab's own: it shares nothing with the monitor's.

pub mod agent;
pub mod join;
pub mod log;
mod receiving;
mod sending;

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

pub use agent::{Agent, Order, Settings};
pub use log::{Deed, MdtEvent, MdtLog};

/// A customer's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stream {
    /// Its source, in the customer's addresses.
    pub c_source: Ipv4Addr,
    /// Its group, the customer's.
    pub c_group: Ipv4Addr,
}
