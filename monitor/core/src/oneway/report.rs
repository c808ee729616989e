//! What is said of one-way loss.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::spec::{AgentSpec, OnewaySpec, PeerSpec};
use crate::name::Name;
use crate::time::Instant;

/// Where a one-way measurement is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnewayState {
    /// It probes, or waits for its leaves, or for its last probes.
    Probing,
    /// Over: every interval is as narrow as was asked for.
    Narrow,
    /// Over: the budget is spent.
    Spent,
    /// Over: it was stopped.
    Stopped,
    /// Over, without an estimate.
    Failed,
}

/// A one-way measurement, as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OnewayStatus {
    /// What was asked for.
    pub spec: OnewaySpec,
    /// Number of this run, carried in its probes as their task.
    pub run: u32,
    /// State.
    pub state: OnewayState,
    /// When it was started.
    pub started_ns: Instant,
    /// Probes sent, warm-up included.
    pub probes_sent: u64,
    /// The latest estimates.
    pub row: Option<OnewayRow>,
    /// Why there are none.
    pub refused: Option<String>,
    /// What went wrong on the way, and what does not count because of it.
    pub unsure: Vec<String>,
}

/// Which estimator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Configuration {
    /// Single probes at every leaf.
    PerPacket,
    /// Counters of aggregates.
    Aggregate,
    /// Direct and reflected copies.
    Reflected,
}

/// One-way losses, at one look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OnewayRow {
    /// Number of the run.
    pub run: u32,
    /// Its name.
    pub name: Name,
    /// When the last probe that counts was sent.
    pub at_ns: Instant,
    /// Probes that count.
    pub probes: u64,
    /// Blocks of time they were sent in.
    pub blocks: u32,
    /// How it was inferred.
    pub configuration: Configuration,
    /// The tunnel up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_tunnel: Option<Name>,
    /// From the monitor to the router, by that tunnel.
    pub up: PathLoss,
    /// From the router to the monitor, by each tunnel `down`.
    pub down: Vec<(Name, PathLoss)>,
    /// From the router to each leaf; to a reflector, there and back.
    pub leaf: Vec<PathLoss>,
    /// Probes that do not count: see `unsure` of the status for why.
    pub discarded: u64,
    /// What the estimates suffer from.
    pub doubts: Vec<String>,
    /// Delay of the way up at least and at most, of the fastest probe (see the module `oneway::delay`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_delay: Option<DelayRange>,
    /// The same of each way down.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub down_delay: Vec<(Name, DelayRange)>,
}

/// A one-way loss rate, as shares of packets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PathLoss {
    /// The estimate.
    pub loss: f64,
    /// Its standard deviation.
    pub deviation: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What is known of a one-way delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelayRange {
    /// At least.
    pub low_ns: i64,
    /// At most.
    pub high_ns: i64,
}

/// What a collection has counted since what was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// The collection.
    pub name: Name,
    /// The collector's own run: another one has forgotten everything.
    pub session: u32,
    /// UDP port of the probes it sees.
    pub probe_port: u16,
    /// Its monotonic clock. What its capture saw a fifth of a second before is in.
    pub at_ns: Instant,
    /// To be said as `after` the next time: this has been got.
    pub cursor: u64,
    /// What arrived in time, by task, tunnel and number.
    pub ranges: Vec<CollectedRange>,
    /// Packets that the collector's capture dropped since what was acknowledged.
    pub capture_drops: u64,
    /// Copies that arrived but found no room to be remembered since what was acknowledged.
    pub forgotten: u64,
    /// Copies that came too late since what was acknowledged.
    pub late: u64,
    /// The least of arrival by the collector's wall clock less sending by the sender's monotonic clock, nanoseconds; absent
    /// while nobody told the collector its wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_delay_ns: Option<i64>,
}

/// Probes that arrived, all in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectedRange {
    /// The run that sent them.
    pub task: u32,
    /// The tunnel they were sent into.
    pub tunnel: u32,
    /// First number.
    pub first: u32,
    /// Last number.
    pub last: u32,
}

/// A reflection, as it is now; counts are of all of its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reflecting {
    /// The reflection.
    pub name: Name,
    /// The reflector's own run: another one has forgotten everything.
    pub session: u32,
    /// UDP port of the probes it sees.
    pub probe_port: u16,
    /// Source address of what it sends.
    pub source: Ipv4Addr,
    /// Packets sent again.
    pub reflected: u64,
    /// Packets that were not, because there were too many: for `rate_max`, or for the reflector's budget.
    pub limited: u64,
    /// Packets that were not, because they could not be sent.
    pub unsent: u64,
    /// Packets that the reflector's capture dropped.
    pub capture_drops: u64,
}

/// A peer, as far as it has been heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Who it is.
    pub spec: PeerSpec,
    /// When it answered last.
    pub heard_ns: Option<Instant>,
    /// What went wrong since.
    pub failure: Option<String>,
    /// Requests it has not answered yet.
    pub waiting: u32,
}

/// A reader of a router's counters, as far as it has been heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// Who it is.
    pub spec: AgentSpec,
    /// When it told something last.
    pub heard_ns: Option<Instant>,
    /// What went wrong since.
    pub failure: Option<String>,
}
