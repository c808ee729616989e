//! What the monitor says: rows of results, statistics, and the log of every probe.
//!
//! Times named `_ns` are integers: instants in nanoseconds of the monotonic clock, or
//! differences of such. Ratios are fractions between 0 and 1. A metric without a single
//! sample is absent (`null`), never zero.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::alarm::Transition;
use crate::name::Name;
use crate::oneway::report::{DelayRange, OnewayRow, OnewayStatus};
use crate::spec::{MvpnSpec, PassiveSpec, TaskSpec, TunnelSpec};
use crate::time::Instant;
use crate::view::{Change, Expected, Heard, Refreshes};

/// What became of a probe on its way to one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// A copy arrived within the loss timeout of its sending.
    Received,
    /// None did (RFC 7680).
    Lost,
}

/// One line of the per-probe log: one probe, one receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRecord {
    /// Number of the task's run.
    pub task: u32,
    /// Tunnel into which it was sent.
    pub sender: u32,
    /// Tunnel over which it was expected.
    pub receiver: u32,
    /// Sequence number within (task, sender), from 0.
    pub seq: u32,
    /// When the capture saw it leave.
    pub sent_ns: Instant,
    /// When the capture saw the first copy arrive; absent if lost.
    pub received_ns: Option<Instant>,
    /// Received or lost.
    pub fate: Fate,
    /// Further copies that arrived within the loss timeout.
    pub duplicates: u32,
    /// A higher sequence number had arrived before it (RFC 4737 §3.3).
    pub reordered: bool,
    /// Copies that came after the loss timeout.
    pub late: u32,
    /// Sent to warm the path up; not counted anywhere.
    pub warmup: bool,
    /// The results interval it was counted in: `(sent - epoch) / interval`, but never one after
    /// the last, should it have left just after sending ended. Absent for warm-up.
    pub interval: Option<u64>,
}

/// Counts of one pair over one interval or one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PairCounts {
    /// Probes sent and decided. Always `received + lost`.
    pub sent: u64,
    /// Probes of which a copy arrived in time.
    pub received: u64,
    /// Probes of which none did.
    pub lost: u64,
    /// Further copies of received probes.
    pub duplicates: u64,
    /// Received probes that arrived after one with a higher sequence number.
    pub reordered: u64,
    /// Copies that arrived after the loss timeout.
    pub late: u64,
}

/// A distribution of times in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// Number of samples.
    pub samples: u64,
    /// Smallest.
    pub min_ns: i64,
    /// Arithmetic mean, rounded towards zero.
    pub mean_ns: i64,
    /// Median.
    pub p50_ns: i64,
    /// 90 %.
    pub p90_ns: i64,
    /// 99 %.
    pub p99_ns: i64,
    /// 99.9 %.
    pub p999_ns: i64,
    /// Largest.
    pub max_ns: i64,
}

/// The path between the two routers, with the tunnels' part removed: see the module `correction`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Corrected {
    /// Mean round trip of the sender's tunnel over the same time.
    pub sender_rtt_ns: Option<i64>,
    /// Mean round trip of the receiver's tunnel.
    pub receiver_rtt_ns: Option<i64>,
    /// Loss rate of the round trips of the sender's tunnel.
    pub sender_ping_loss: Option<f64>,
    /// Loss rate of the round trips of the receiver's tunnel.
    pub receiver_ping_loss: Option<f64>,
    /// Mean delay less half of each round trip: exact only where both tunnels are symmetric.
    pub delay_half_ns: Option<i64>,
    /// The least mean delay that agrees with everything measured.
    pub delay_low_ns: Option<i64>,
    /// The greatest mean delay that agrees with everything measured.
    pub delay_high_ns: Option<i64>,
    /// Loss rate with half of each tunnel's round trip loss removed.
    pub loss_half: Option<f64>,
    /// The least loss rate that agrees with everything measured, at 95 % confidence.
    pub loss_low: Option<f64>,
    /// The greatest loss rate that agrees with everything measured, at 95 % confidence.
    pub loss_high: Option<f64>,
    /// Loss rate with the tunnels' one-way losses removed, where both have been inferred of late.
    #[serde(default)]
    pub loss_inferred: Option<f64>,
    /// Lower end of its interval, the tunnels' own errors included.
    #[serde(default)]
    pub loss_inferred_low: Option<f64>,
    /// Upper end.
    #[serde(default)]
    pub loss_inferred_high: Option<f64>,
    /// The one-way measurements it rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inferred_from: Vec<Name>,
}

/// What one pair of a task measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairResult {
    /// Tunnel into which was sent.
    pub sender: u32,
    /// Its name.
    pub sender_name: Name,
    /// Tunnel over which was received.
    pub receiver: u32,
    /// Its name.
    pub receiver_name: Name,
    /// The counts.
    pub counts: PairCounts,
    /// `lost / sent`, tunnels included.
    pub loss: Option<f64>,
    /// One-way delay, tunnels included (RFC 7679).
    pub delay: Option<Distribution>,
    /// Absolute difference of consecutive received probes' delays (RFC 3393).
    pub ipdv: Option<Distribution>,
    /// Delay above the smallest (RFC 5481 §4.2). Absent over a whole task: see the intervals.
    pub pdv: Option<Distribution>,
    /// With the tunnels' own part removed.
    pub corrected: Corrected,
}

/// One pair, one interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntervalRow {
    /// Position among all rows of the task's run, from 0: what `results` is paged by.
    pub row: u64,
    /// Name of the task.
    pub task_name: Name,
    /// Number of the task's run.
    pub task: u32,
    /// The interval, from 0, counted from the end of the warm-up.
    pub interval: u64,
    /// Its first instant.
    pub start_ns: Instant,
    /// The first instant after it.
    pub end_ns: Instant,
    /// Packets that the capture dropped while the interval's probes were out: if not zero, losses may be the monitor's own.
    pub capture_drops: u64,
    /// The measurements.
    #[serde(flatten)]
    pub pair: PairResult,
}

/// Pings over one tunnel in one span of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingRow {
    /// The tunnel.
    pub tunnel: u32,
    /// Its name.
    pub tunnel_name: Name,
    /// First instant.
    pub start_ns: Instant,
    /// First instant after.
    pub end_ns: Instant,
    /// Echo requests sent and decided.
    pub sent: u64,
    /// Echo requests without an answer in time.
    pub lost: u64,
    /// Round trip times.
    pub rtt: Option<Distribution>,
}

/// Packets and bytes; bytes from the outermost IPv4 header on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Everything the monitor put on the wire or took from it, by kind (VS-16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Overhead {
    /// Probes sent.
    pub probes_sent: Traffic,
    /// Copies of probes that came back, duplicates included.
    pub probes_received: Traffic,
    /// Echo requests sent.
    pub pings_sent: Traffic,
    /// Echo replies received.
    pub pings_received: Traffic,
    /// Membership reports and leaves sent.
    pub igmp_sent: Traffic,
    /// Queries received.
    pub igmp_received: Traffic,
    /// Customer packets that reached the monitor and were discarded unread. The capture filter
    /// drops most of them in the kernel already, uncounted.
    pub customer_discarded: Traffic,
    /// Customer packets looked at, because passive observation was asked for.
    pub customer_observed: Traffic,
    /// PEs' control messages on default MDTs that are watched.
    #[serde(default)]
    pub control_received: Traffic,
    /// Packets that were none of the above, or damaged.
    pub other_received: Traffic,
    /// Probes that the budget did not allow: never sent, and not lost.
    #[serde(default, skip_serializing_if = "is_none_at_all")]
    pub probes_shed: u64,
}

fn is_none_at_all(number: &u64) -> bool {
    *number == 0
}

/// A tunnel, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelStatus {
    /// What was asked for, with its number filled in.
    pub spec: TunnelSpec,
    /// Packets by kind.
    pub overhead: Overhead,
    /// Packets from this tunnel that could not be read: a bad checksum, a truncated header.
    pub damaged: u64,
    /// The most recent pings.
    pub ping: PingRow,
    /// What its router's clock says, where it is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router_clock: Option<RouterClockStatus>,
    /// Version that the router's queries ask for, where lower than ours (RFC 3376 §7.2.1).
    pub igmp_querier: Option<u8>,
    /// Queries heard.
    pub igmp_queries: u64,
    /// Groups joined, and by whom.
    pub groups: Vec<GroupStatus>,
}

/// What a router's own clock says of a tunnel's two ways (ICMP timestamps, RFC 792).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterClockStatus {
    /// Requests sent.
    pub asked: u64,
    /// Answers in time; none says that the router does not answer, as many are set not to.
    pub answered: u64,
    /// Of these, that said no time of the day.
    pub nonstandard: u64,
    /// Of these, that cannot be if the clocks are as near to each other as promised.
    pub contradictory: u64,
    /// The mean delay of the way to the router, of late.
    pub up: Option<DelayRange>,
    /// Of the way back.
    pub down: Option<DelayRange>,
}

/// A group joined over a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// The tunnel.
    pub tunnel: Name,
    /// The group.
    pub group: Ipv4Addr,
    /// Sources; none means any.
    pub sources: Vec<Ipv4Addr>,
    /// Who wants it: `operator`, `task NAME`, `passive NAME`.
    pub wanted_by: Vec<String>,
    /// Packets of the group that arrived over the tunnel.
    pub received: Traffic,
    /// Packets sent to the group into the tunnel.
    pub sent: Traffic,
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// Sending, not yet counting.
    WarmingUp,
    /// Sending and counting.
    Running,
    /// No longer sending; waiting for the last probes to be decided.
    Draining,
    /// Over: groups left, results kept.
    Finished,
}

/// A task, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// What was asked for.
    pub spec: TaskSpec,
    /// Number of this run, carried in its probes.
    pub task: u32,
    /// State.
    pub state: TaskState,
    /// When it was started.
    pub started_ns: Instant,
    /// When counting begins: the start of interval 0.
    pub epoch_ns: Instant,
    /// Probes sent, warm-up included.
    pub probes_sent: u64,
    /// Intervals whose results are out.
    pub intervals: u64,
    /// Rows kept for `results`: the first of them.
    pub first_row: u64,
    /// The first row that does not exist yet.
    pub next_row: u64,
    /// Tunnels that take part at the moment, as sender or receiver.
    pub active: Vec<Name>,
}

/// An MVPN, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MvpnStatus {
    /// What was asked for.
    pub spec: MvpnSpec,
    /// Whether it is monitored.
    pub running: bool,
    /// The PEs' tunnels that take part.
    pub active: Vec<Name>,
    /// What its control plane has said, if it is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Heard>,
}

/// What passive observation knows of one stream at one tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRow {
    /// Name of the observation.
    pub passive: Name,
    /// Tunnel over which the packets arrived.
    pub tunnel: u32,
    /// Its name.
    pub tunnel_name: Name,
    /// Source PE: the source address on the MDT. Absent in plain multicast.
    pub pe: Option<Ipv4Addr>,
    /// Customer's source.
    pub source: Ipv4Addr,
    /// Customer's group.
    pub group: Ipv4Addr,
    /// IP protocol number.
    pub protocol: u8,
    /// UDP source port; 0 where not UDP.
    pub source_port: u16,
    /// UDP destination port; 0 where not UDP.
    pub destination_port: u16,
    /// Packets and bytes, from the customer's IPv4 header on.
    pub received: Traffic,
    /// When the first packet arrived.
    pub first_ns: Instant,
    /// When the last one did.
    pub last_ns: Instant,
    /// Mean rate between first and last packet, bits per second.
    pub bits_per_second: Option<u64>,
    /// What its RTP headers say, where it is RTP.
    pub rtp: Option<RtpRow>,
}

/// RTP accounting of one stream (RFC 3550 appendix A).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtpRow {
    /// Synchronisation source.
    pub ssrc: u32,
    /// Packets expected, from the sequence numbers.
    pub expected: u64,
    /// Packets received, duplicates included.
    pub received: u64,
    /// `expected - received`; negative with duplicates (A.3).
    pub lost: i64,
    /// Interarrival jitter in units of the RTP clock (A.8).
    pub jitter_units: u32,
    /// Rate of that clock: RFC 3551's for static payload types, taken to be 90 kHz for dynamic ones,
    /// whose rate only the customer's signalling knows.
    pub clock_hz: u32,
    /// How often the source started anew.
    pub restarts: u32,
}

/// What is written down for good, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    /// A tunnel was added.
    TunnelAdded {
        /// Its specification, with its number.
        spec: TunnelSpec,
        /// When.
        at_ns: Instant,
    },
    /// A tunnel was dropped.
    TunnelDropped {
        /// Its number.
        tunnel: u32,
        /// When.
        at_ns: Instant,
    },
    /// A task started.
    TaskStarted(Box<TaskStatus>),
    /// A task is over.
    TaskFinished(Box<TaskStatus>),
    /// A probe's fate at one receiver is decided.
    Probe(ProbeRecord),
    /// A pair's results of an interval.
    Interval(Box<IntervalRow>),
    /// A tunnel's pings of the last ten seconds.
    Ping(PingRow),
    /// A customer stream's counters, every ten seconds while observed and when observation ends.
    Stream {
        /// When.
        at_ns: Instant,
        /// The stream.
        stream: StreamRow,
    },
    /// Passive observation began.
    PassiveStarted(PassiveSpec),
    /// An MVPN's control plane is listened to from now on.
    WatchStarted {
        /// The MVPN.
        mvpn: Name,
        /// When.
        at_ns: Instant,
    },
    /// It no longer is.
    WatchStopped {
        /// The MVPN.
        mvpn: Name,
        /// When.
        at_ns: Instant,
    },
    /// Something in an MVPN's control plane has changed.
    Change(Box<Change>),
    /// How often records of a watched MVPN were repeated of late, every five minutes.
    Repeated(Box<Refreshes>),
    /// What has become of an alarm.
    Alarm(Box<Transition>),
    /// A one-way measurement started.
    OnewayStarted(Box<OnewayStatus>),
    /// One-way losses, at a look.
    Oneway(Box<OnewayRow>),
    /// A one-way measurement is over.
    OnewayFinished(Box<OnewayStatus>),
    /// What an MVPN ought to be from now on.
    Expected {
        /// What.
        expected: Box<Expected>,
        /// When.
        at_ns: Instant,
    },
}
