//! `counters.json`: what the kernel itself counted, as snapshots during the run.

use std::{collections::BTreeMap, net::Ipv4Addr};

use serde::{Deserialize, Serialize};

/// All snapshots of a run in order: start, before and after each timeline action, end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counters {
    /// In time order.
    pub snapshots: Vec<Snapshot>,
}

/// One reading of all counters. Reading takes time: it holds for some moment of the stretch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Before the first counter was read, CLOCK_MONOTONIC.
    pub monotonic_ns: u64,
    /// After the last was read.
    pub until_ns: u64,
    /// `"start"`, `"before link-down"`, … , `"end"`.
    pub label: String,
    /// By `"<wire>/<toward node>"` or `"tunnel/<name>"`; without an entry there is no queueing discipline.
    pub qdiscs: BTreeMap<String, QdiscCounters>,
    /// By `"<namespace>/<interface>"`; the wire room's namespace is `wires`.
    pub interfaces: BTreeMap<String, InterfaceCounters>,
    /// Kernel multicast forwarding entries.
    pub mroutes: Vec<MrouteCounters>,
}

/// Of a root queueing discipline (TCA_STATS2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QdiscCounters {
    /// Frames dequeued.
    pub sent_packets: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Frames dropped, for whatever reason.
    pub dropped: u64,
    /// Times over the limit.
    pub overlimits: u64,
    /// Frames inside now.
    pub backlog_packets: u64,
    /// Frames put back.
    pub requeues: u64,
}

/// Of an interface (IFLA_STATS64).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceCounters {
    /// Received frames.
    pub rx_packets: u64,
    /// Received bytes.
    pub rx_bytes: u64,
    /// Sent frames.
    pub tx_packets: u64,
    /// Sent bytes.
    pub tx_bytes: u64,
    /// Dropped on receipt.
    pub rx_dropped: u64,
    /// Dropped on sending.
    pub tx_dropped: u64,
    /// Receive errors.
    pub rx_errors: u64,
    /// Send errors.
    pub tx_errors: u64,
}

/// A kernel multicast forwarding entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MrouteCounters {
    /// Where.
    pub namespace: String,
    /// Source; 0.0.0.0 for (*,G).
    pub source: Ipv4Addr,
    /// Group.
    pub group: Ipv4Addr,
    /// Incoming interface; None: unresolved.
    pub incoming: Option<String>,
    /// Outgoing interfaces.
    pub outgoing: Vec<String>,
    /// Packets forwarded.
    pub packets: u64,
    /// Packets that came by a wrong interface.
    pub wrong_if: u64,
}
