//! What must hold after the run.
//!
//! Checks come in three strengths: *exact* (every probe), *bounded* (an error in time), *statistical* (a stated
//! false-alarm probability). Where `sender` and `receiver` are optional, leaving them out means every pair of the task,
//! each on its own.

use std::{collections::BTreeMap, net::Ipv4Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bitrate, ExpectedAlarm, Probability, Span};

/// What must hold after the run.
///
/// In the file: `[[expect]]` with `check = "fates"` and the check's own fields beside it.
/// In JSON the fields stand below the check's name: `{"fates": {"task": "t", "at_least": 1}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Expectation {
    /// Exact: the monitor's log of every counted probe of the task agrees with the taps, probe by probe:
    /// received, lost, number of duplicates, reordered.
    Fates {
        /// Task name.
        task: String,
        /// At least so many (probe, receiver) pairs must have been judged.
        at_least: u64,
        /// Only probes sent from then on, after the start of the run.
        #[serde(default)]
        from: Span,
        /// Only probes sent before; left out: all. Probes around a kill of the monitor are `log-lost-before-kill`'s.
        #[serde(default)]
        until: Option<Span>,
    },
    /// Exact: the interval rows add up to the log's fates, each probe in the interval of its send time, none missing.
    Intervals {
        /// Task name.
        task: String,
    },
    /// Bounded: per probe, monitor's delay (tunnels included) against taps at the monitor's link.
    DelayError {
        /// Task name.
        task: String,
        /// 99th percentile of the absolute error.
        p99_at_most: Span,
    },
    /// Bounded: the point estimate of path delay (half round trip rule) against the taps' path delay, per pair.
    PathDelay {
        /// Task name.
        task: String,
        /// Absolute error.
        within: Span,
    },
    /// The identified interval of path delay and loss holds the true value, for every pair and interval.
    PathInterval {
        /// Task name.
        task: String,
        /// How far outside the true delay may lie, for what timestamps cost; left out: not at all.
        #[serde(default)]
        tolerance: Option<Span>,
        /// No interval of delay may be wider; left out: however wide.
        #[serde(default)]
        narrower_than: Option<Span>,
    },
    /// Bias: the point estimate is off by at least this for the named pair (asymmetry shown).
    PathBias {
        /// Task name.
        task: String,
        /// Sender tunnel.
        sender: String,
        /// Receiver tunnel.
        receiver: String,
        /// Absolute error, at least.
        at_least: Span,
    },
    /// Statistical: measured loss of the pair (tunnels included) against the loss injected along its way.
    LossRate {
        /// Task name.
        task: String,
        /// Sender tunnel; left out: every one.
        #[serde(default)]
        sender: Option<String>,
        /// Receiver tunnel; left out: every one.
        #[serde(default)]
        receiver: Option<String>,
        /// Composed along the way, tunnels included.
        injected: Probability,
        /// False-alarm probability of each pair's test, at most.
        #[serde(default = "default_alpha")]
        alpha: f64,
    },
    /// Path loss after removal of the tunnels' contribution, point estimate against truth.
    PathLoss {
        /// Task name.
        task: String,
        /// Absolute error of the loss rate.
        within: Probability,
    },
    /// Measured mean delay (tunnels included) of a pair lies in the range.
    Delay {
        /// Task name.
        task: String,
        /// Sender tunnel; left out: every one.
        #[serde(default)]
        sender: Option<String>,
        /// Receiver tunnel; left out: every one.
        #[serde(default)]
        receiver: Option<String>,
        /// Lower bound.
        at_least: Span,
        /// Upper bound.
        at_most: Span,
    },
    /// True loss of (task, receiver) within [from, until) is in the range: used for faults.
    LossBetween {
        /// Task name.
        task: String,
        /// Sender tunnel; left out: every one.
        #[serde(default)]
        sender: Option<String>,
        /// Receiver tunnel; left out: every one.
        #[serde(default)]
        receiver: Option<String>,
        /// Send time, after the start of the run.
        from: Span,
        /// Send time, before.
        until: Span,
        /// Lower bound.
        at_least: Probability,
        /// Upper bound.
        at_most: Probability,
    },
    /// Longest outage of a pair, as truth and monitor both see it, lies in the range.
    Outage {
        /// Task name.
        task: String,
        /// Sender tunnel.
        sender: String,
        /// Receiver tunnel.
        receiver: String,
        /// Lower bound.
        at_least: Span,
        /// Upper bound.
        at_most: Span,
    },
    /// So many duplicates were logged (and, by `fates`, rightly).
    Duplicates {
        /// Task name.
        task: String,
        /// Over all pairs.
        at_least: u64,
    },
    /// So many reordered probes were logged (and, by `fates`, rightly).
    Reordered {
        /// Task name.
        task: String,
        /// Over all pairs.
        at_least: u64,
    },
    /// Losses attributed by the truth to this cause number at least so many.
    Cause {
        /// Why packets were lost.
        cause: LossCause,
        /// Probe copies of all tasks.
        at_least: u64,
    },
    /// Packets of a customer source that reached a receiver (application level), as a share of those sent.
    Delivered {
        /// Source name.
        source: String,
        /// Receiver name.
        receiver: String,
        /// Lower bound.
        at_least: Probability,
        /// Upper bound.
        at_most: Probability,
    },
    /// No probe frame on any link between a VRF and its CE, nor behind it.
    NoProbeAtCustomer {
        /// At least so many frames must have been looked at there.
        frames: u64,
    },
    /// Probes were seen on the link to the monitor from this tunnel: none, or at least so many.
    ProbeCopies {
        /// Expanded tunnel name.
        tunnel: String,
        /// Only those of this task; left out: of all tasks.
        #[serde(default)]
        task: Option<String>,
        /// Arrival time, after the start of the run.
        #[serde(default)]
        from: Span,
        /// Arrival time, before; left out: the end of the run.
        #[serde(default)]
        until: Option<Span>,
        /// Lower bound.
        at_least: u64,
        /// Upper bound; 0 says silence.
        #[serde(default)]
        at_most: Option<u64>,
    },
    /// Customer packets that reached the monitor's link (truth), and how many of them the monitor processed.
    CustomerPackets {
        /// On the monitor's link, by the taps.
        arrived_at_least: u64,
        /// By the monitor's own account of what passed its filter.
        processed_at_most: u64,
    },
    /// Passive: monitor's count and loss of a customer source's stream by a tunnel against the taps.
    PassiveStream {
        /// Source name.
        source: String,
        /// Expanded tunnel name.
        tunnel: String,
        /// At least so many packets counted.
        at_least: u64,
    },
    /// Every stream that the passive measurement reports was sent by a source of the scenario: no probes among them.
    OnlyCustomerStreams {
        /// MVPN listened to.
        mvpn: String,
    },
    /// The monitor sent nothing to this group, by the taps on its link.
    NothingSentTo {
        /// Backbone group.
        group: Ipv4Addr,
    },
    /// The overhead the monitor reports against the taps' count, exact.
    Overhead {},
    /// At most this much of the log is missing before the monitor's kill.
    LogLostBeforeKill {
        /// Send times missing before the kill.
        at_most: Span,
    },
    /// A group is forwarded / not forwarded at a router at the end of the run.
    Forwarded {
        /// P or PE router.
        node: String,
        /// Backbone group.
        group: Ipv4Addr,
        /// It is, or it is not.
        yes: bool,
        /// Outgoing interface that is meant (`tun-b`); left out: any.
        #[serde(default)]
        to: Option<String>,
    },
    /// Customer PIM neighbours over the MDT are all up at the end.
    CustomerAdjacencies {
        /// MVPN.
        mvpn: String,
    },
    /// At every checkpoint the monitor knows of a watched MVPN what its routers say themselves: neighbours over the MDT,
    /// and the routes that each was asked for over it.
    ControlPlane {
        /// MVPN.
        mvpn: String,
    },
    /// The monitor's database, asked as an operator asks it, says of every checkpoint, and of just before and after every
    /// change, what the monitor said then; and its changes lead to the same.
    History {
        /// MVPN.
        mvpn: String,
    },
    /// Bounded: what a PE says on the default MDT, as the taps saw it leave the PE, shows in the monitor in time, and
    /// nothing else does; what is no longer said ends with its hold time.
    Appearance {
        /// MVPN.
        mvpn: String,
        /// From the message's leaving the PE, or the end of its hold time, to the monitor's telling a client of it.
        #[serde(default = "one_second")]
        within: Span,
        /// At least so many changes must have been judged.
        at_least: u64,
    },
    /// Exact: of an MVPN with an expected configuration exactly these alarms were raised and cleared, each in its time.
    Alarms {
        /// MVPN.
        mvpn: String,
        /// The alarms.
        alarms: Vec<ExpectedAlarm>,
    },
    /// Statistical: every interval of a one-way measurement's last estimate holds the loss that the taps saw of exactly
    /// the probes that it counted.
    Oneway {
        /// The measurement.
        oneway: String,
        /// At least so many probes were counted.
        at_least: u64,
        /// Only these ways; left out: all.
        #[serde(default)]
        ways: Vec<String>,
        /// Bounded: no estimate is off the taps' loss by a greater share of it.
        #[serde(default)]
        relative_error_at_most: Option<Probability>,
        /// Injected loss by way; the interval holds it too.
        #[serde(default)]
        injected: BTreeMap<String, Probability>,
    },
    /// A one-way measurement has no estimate, and says why.
    OnewayAbsent {
        /// The measurement.
        oneway: String,
        /// Words that the reason must contain.
        because: String,
    },
    /// A one-way measurement has an estimate, and says what it suffers from, or what was left out of it.
    OnewayDoubt {
        /// The measurement.
        oneway: String,
        /// Words that one of its doubts or reasons must contain.
        because: String,
    },
    /// Bias: an estimate of a way lies above the taps' loss by a share in this range.
    OnewayBias {
        /// The measurement.
        oneway: String,
        /// The way.
        way: String,
        /// Estimate less truth, at least.
        at_least: Probability,
        /// Estimate less truth, at most.
        at_most: Probability,
    },
    /// Bounded and statistical: with the tunnels' one-way losses known, the estimate of each pair's path loss; its
    /// interval holds the truth, and it is nearer to it than the half round trip rule's.
    PathLossInferred {
        /// Task name.
        task: String,
        /// Absolute error of the inferred loss rate.
        within: Probability,
        /// So far off, at least, the half round trip rule is for the worst pair.
        half_off_at_least: Probability,
    },
    /// A bulk transfer's bytes came at such a rate while it went on.
    Transferred {
        /// The transfer.
        transfer: String,
        /// Lower bound.
        at_least: Bitrate,
        /// Upper bound.
        at_most: Bitrate,
    },
    /// One PE's VRF has another PE as a PIM neighbour over the MDT at the end, or has not: rogues and silent PEs.
    MdtNeighbor {
        /// MVPN.
        mvpn: String,
        /// The PE that is asked.
        at: String,
        /// The PE that it has as a neighbour, or not; a rogue too.
        neighbor: String,
        /// It has, or it has not.
        yes: bool,
    },
    /// Packets of a customer's source that came to a PE in the backbone, by the default MDT or by a data MDT, as the
    /// taps saw them.
    MdtPackets {
        /// Source name.
        source: String,
        /// PE that they came to.
        pe: String,
        /// By which.
        mdt: MdtKind,
        /// Arrival time, after the start of the run.
        #[serde(default)]
        from: Span,
        /// Arrival time, before; left out: the end of the run.
        #[serde(default)]
        until: Option<Span>,
        /// Lower bound.
        at_least: u64,
        /// Upper bound; 0 says silence.
        #[serde(default)]
        at_most: Option<u64>,
    },
    /// What the PEs did with a customer's stream, by their own log.
    DataMdt {
        /// Source name.
        source: String,
        /// How often its PE moved it to a data MDT.
        moves: u64,
        /// How often it came back to the default MDT.
        returns: u64,
        /// Exactly these PEs joined its data MDTs.
        joined: Vec<String>,
    },
}

fn one_second() -> Span {
    Span::seconds(1)
}

fn default_alpha() -> f64 {
    1e-6
}

impl Expectation {
    /// The check's name in the file, `"fates"`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Fates { .. } => "fates",
            Self::Intervals { .. } => "intervals",
            Self::DelayError { .. } => "delay-error",
            Self::PathDelay { .. } => "path-delay",
            Self::PathInterval { .. } => "path-interval",
            Self::PathBias { .. } => "path-bias",
            Self::LossRate { .. } => "loss-rate",
            Self::PathLoss { .. } => "path-loss",
            Self::Delay { .. } => "delay",
            Self::LossBetween { .. } => "loss-between",
            Self::Outage { .. } => "outage",
            Self::Duplicates { .. } => "duplicates",
            Self::Reordered { .. } => "reordered",
            Self::Cause { .. } => "cause",
            Self::Delivered { .. } => "delivered",
            Self::NoProbeAtCustomer { .. } => "no-probe-at-customer",
            Self::ProbeCopies { .. } => "probe-copies",
            Self::CustomerPackets { .. } => "customer-packets",
            Self::PassiveStream { .. } => "passive-stream",
            Self::OnlyCustomerStreams { .. } => "only-customer-streams",
            Self::NothingSentTo { .. } => "nothing-sent-to",
            Self::Overhead {} => "overhead",
            Self::LogLostBeforeKill { .. } => "log-lost-before-kill",
            Self::Forwarded { .. } => "forwarded",
            Self::CustomerAdjacencies { .. } => "customer-adjacencies",
            Self::ControlPlane { .. } => "control-plane",
            Self::History { .. } => "history",
            Self::Appearance { .. } => "appearance",
            Self::Alarms { .. } => "alarms",
            Self::Oneway { .. } => "oneway",
            Self::OnewayAbsent { .. } => "oneway-absent",
            Self::OnewayDoubt { .. } => "oneway-doubt",
            Self::OnewayBias { .. } => "oneway-bias",
            Self::PathLossInferred { .. } => "path-loss-inferred",
            Self::Transferred { .. } => "transferred",
            Self::MdtNeighbor { .. } => "mdt-neighbor",
            Self::MdtPackets { .. } => "mdt-packets",
            Self::DataMdt { .. } => "data-mdt",
        }
    }

    /// The one-way measurement it speaks of, if any.
    pub fn oneway(&self) -> Option<&str> {
        match self {
            Self::Oneway { oneway, .. }
            | Self::OnewayAbsent { oneway, .. }
            | Self::OnewayDoubt { oneway, .. }
            | Self::OnewayBias { oneway, .. } => Some(oneway),
            _ => None,
        }
    }

    /// The task it speaks of, if any.
    pub fn task(&self) -> Option<&str> {
        match self {
            Self::Fates { task, .. }
            | Self::Intervals { task }
            | Self::DelayError { task, .. }
            | Self::PathDelay { task, .. }
            | Self::PathInterval { task, .. }
            | Self::PathBias { task, .. }
            | Self::LossRate { task, .. }
            | Self::PathLoss { task, .. }
            | Self::PathLossInferred { task, .. }
            | Self::Delay { task, .. }
            | Self::LossBetween { task, .. }
            | Self::Outage { task, .. }
            | Self::Duplicates { task, .. }
            | Self::Reordered { task, .. } => Some(task),
            Self::ProbeCopies { task, .. } => task.as_deref(),
            Self::Cause { .. }
            | Self::Delivered { .. }
            | Self::NoProbeAtCustomer { .. }
            | Self::CustomerPackets { .. }
            | Self::PassiveStream { .. }
            | Self::OnlyCustomerStreams { .. }
            | Self::NothingSentTo { .. }
            | Self::Overhead {}
            | Self::LogLostBeforeKill { .. }
            | Self::Forwarded { .. }
            | Self::CustomerAdjacencies { .. }
            | Self::ControlPlane { .. }
            | Self::History { .. }
            | Self::Appearance { .. }
            | Self::Alarms { .. }
            | Self::Oneway { .. }
            | Self::OnewayAbsent { .. }
            | Self::OnewayDoubt { .. }
            | Self::OnewayBias { .. }
            | Self::Transferred { .. }
            | Self::MdtNeighbor { .. }
            | Self::MdtPackets { .. }
            | Self::DataMdt { .. } => None,
        }
    }
}

/// Which of an MVPN's trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MdtKind {
    /// The default MDT.
    Default,
    /// Any group of its pool.
    Data,
}

/// Why the truth says a packet was lost.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum LossCause {
    /// Netem's configured loss on a link or tunnel.
    Netem,
    /// A queue limit.
    QueueOverflow,
    /// Netem's corruption, dropped where a checksum failed.
    Corruption,
    /// Arrived at a router that had no route, no forwarding entry for it, or failed the RPF check.
    NoRoute,
    /// The link was down.
    LinkDown,
    /// TTL ran out.
    Ttl,
    /// The node was down.
    NodeDown,
}
