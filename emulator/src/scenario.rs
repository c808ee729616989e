//! The scenario file: topology, MVPNs, impairments, timeline, monitor sessions, expectations (TB-04).
//!
//! One TOML file is one scenario. Every table refuses unknown fields, every quantity carries its
//! unit in the text (`"30ms"`, `"2%"`, `"10/s"`), and every reference is checked by [`Scenario::parse`]
//! before anything is built. `scenarios/README.md` explains the vocabulary by example.

pub mod units;
// `parse.rs` (reading, file:line errors with a remedy) and `validate.rs` (references, ranges) live beside it.

use std::{collections::BTreeMap, net::Ipv4Addr};

use serde::{Deserialize, Serialize};

pub use units::{Bitrate, Probability, Rate, Span};

/// One scenario, as written by its author.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One line for reports.
    pub title: String,
    /// Requirement ids of `scenarios/requirements.toml` that this scenario proves.
    #[serde(default)]
    pub proves: Vec<String>,
    /// How long the run lasts, from the start of the timeline (not counting convergence).
    pub duration: Span,
    /// Memory of the sealed lab, in MiB.
    #[serde(default = "default_memory_mib")]
    pub memory_mib: u32,
    /// The routers of the backbone and their timers.
    #[serde(default)]
    pub backbone: Backbone,
    /// Nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// Links between nodes.
    #[serde(default, rename = "link")]
    pub links: Vec<Link>,
    /// MVPNs by name.
    #[serde(default, rename = "mvpn")]
    pub mvpns: BTreeMap<String, Mvpn>,
    /// The monitor's tunnels, the routers' ends of which the lab builds.
    #[serde(default, rename = "tunnel")]
    pub tunnels: Vec<Tunnel>,
    /// Multicast sources at CEs and hosts.
    #[serde(default, rename = "source")]
    pub sources: Vec<Source>,
    /// Multicast receivers at CEs and hosts.
    #[serde(default, rename = "receiver")]
    pub receivers: Vec<Receiver>,
    /// Impairment of tunnels, router to monitor (links carry their own).
    #[serde(default, rename = "impair_tunnel")]
    pub tunnel_impairments: Vec<TunnelImpairment>,
    /// What the monitor is told to do.
    #[serde(default)]
    pub monitor: Monitor,
    /// What happens during the run.
    #[serde(default, rename = "at")]
    pub timeline: Vec<Event>,
    /// What must hold afterwards.
    #[serde(default, rename = "expect")]
    pub expectations: Vec<Expectation>,
}

fn default_memory_mib() -> u32 {
    1024
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Provider router, no VRFs.
    P,
    /// Provider edge router: backbone routing, VRFs, the monitor's tunnels.
    Pe,
    /// Customer edge: a host on the VRF's interface, or a PIM router when hosts are linked to it.
    Ce,
    /// A host behind a CE, or on a backbone router for plain multicast.
    Host,
    /// The monitor's host: `vmscope` runs here; no kernel tunnel device.
    Monitor,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// What it is.
    pub role: Role,
}

/// Which daemons route the backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Suite {
    /// FRR: zebra, ospfd, pimd.
    #[default]
    Frr,
    /// troglobit's pimd for PIM; FRR's zebra and ospfd for unicast.
    Pimd,
}

/// The backbone's routing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backbone {
    /// PIM implementation of all P and PE routers.
    pub routers: Suite,
    /// The node that is RP for 239.0.0.0/8 and 224.1.0.0/16 (static). None: SSM only.
    pub rp: Option<String>,
    /// OSPF hello interval (dead is four times it).
    pub ospf_hello: Span,
    /// PIM hello interval (hold time 3.5 times it, RFC 7761 section 4.11).
    pub pim_hello: Span,
    /// PIM join/prune interval.
    pub pim_join_prune: Span,
    /// IGMP query interval on tunnels and host links.
    pub igmp_query: Span,
}

impl Default for Backbone {
    fn default() -> Self {
        Self {
            routers: Suite::Frr,
            rp: None,
            ospf_hello: Span::seconds(1),
            pim_hello: Span::seconds(5),
            pim_join_prune: Span::seconds(10),
            igmp_query: Span::seconds(10),
        }
    }
}

/// A point-to-point link. Its impairments can differ by direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The two nodes, `"PE1-P"`.
    pub ends: String,
    /// Impairment of both directions.
    #[serde(default)]
    pub impair: Option<Impairment>,
    /// Impairment towards one node, by its name; wins over `impair`.
    #[serde(default)]
    pub impair_to: BTreeMap<String, Impairment>,
    /// OSPF cost of both ends (default 10).
    #[serde(default)]
    pub cost: Option<u16>,
}

/// What netem does to one direction of a link, or to a tunnel. Absent fields do nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Impairment {
    /// Constant delay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// Spread around the delay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    /// Shape of the spread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// Independent loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Probability>,
    /// Bursty loss (instead of `loss`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<GilbertElliott>,
    /// Share of packets sent twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<Probability>,
    /// Share of packets sent at once, past the delayed ones (needs `delay`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reorder: Option<Probability>,
    /// Share of packets with one bit flipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<Probability>,
    /// Serialisation rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Bitrate>,
    /// Queue limit in packets. Without it nothing may be dropped for want of room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_packets: Option<u32>,
}

/// Shape of the delay's spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Uniform in delay ± jitter (netem without a table).
    Uniform,
    /// Normal with standard deviation = jitter.
    Normal,
    /// Pareto, netem's table.
    Pareto,
}

/// Gilbert-Elliott loss: two states, netem's `loss gemodel`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GilbertElliott {
    /// Probability of leaving the good state, per packet.
    pub p: Probability,
    /// Probability of leaving the bad state, per packet.
    pub r: Probability,
    /// Loss in the bad state.
    #[serde(default = "Probability::one")]
    pub bad_loss: Probability,
    /// Loss in the good state.
    #[serde(default)]
    pub good_loss: Probability,
}

/// A multicast VPN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mvpn {
    /// Backbone group of the default MDT; in 232.0.0.0/8 the MDT is SSM.
    pub default_mdt: Ipv4Addr,
    /// Sites: PE name -> the CE there.
    pub sites: BTreeMap<String, String>,
    /// The PE whose VRF is the customer's RP; None: the first site's PE.
    #[serde(default)]
    pub customer_rp: Option<String>,
}

/// The router's end of one or more parallel monitor tunnels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tunnel {
    /// Name; with `parallel = n` the names are `name1` … `namen`.
    pub name: String,
    /// The router, P or PE.
    pub at: String,
    /// How many parallel tunnels.
    #[serde(default)]
    pub parallel: Option<u32>,
    /// IGMP version of the router's tunnel interface and of the monitor on it.
    #[serde(default = "default_igmp")]
    pub igmp: u8,
    /// GRE key (RFC 2890), both ends.
    #[serde(default)]
    pub key: Option<u32>,
    /// Built at the start; false: a timeline event adds it.
    #[serde(default = "yes")]
    pub present: bool,
}

fn default_igmp() -> u8 {
    3
}

fn yes() -> bool {
    true
}

/// Impairment of one tunnel in the direction router -> monitor, at the router's GRE device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TunnelImpairment {
    /// Expanded tunnel name.
    pub tunnel: String,
    /// What is done to it.
    pub impair: Impairment,
}

/// A multicast source: RTP over UDP, as `emulator::traffic` emits it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name, unique among sources.
    pub name: String,
    /// CE or host.
    pub at: String,
    /// Group sent to.
    pub group: Ipv4Addr,
    /// Packets per second.
    pub rate: Rate,
    /// UDP payload, bytes (at least 32).
    #[serde(default = "default_size")]
    pub size_bytes: u16,
    /// From, after the start of the run.
    #[serde(default)]
    pub start: Span,
    /// Until; None: the end of the run.
    #[serde(default)]
    pub stop: Option<Span>,
}

fn default_size() -> u16 {
    100
}

/// A multicast receiver: a real socket that joined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// Name, unique among receivers.
    pub name: String,
    /// CE or host.
    pub at: String,
    /// Group joined.
    pub group: Ipv4Addr,
    /// Source node's address is looked up for (S,G); None: (*,G).
    #[serde(default)]
    pub source: Option<String>,
    /// From, after the start of the run.
    #[serde(default)]
    pub start: Span,
    /// Until; None: the end of the run.
    #[serde(default)]
    pub stop: Option<Span>,
}

/// What the monitor is told: everything here goes to `vmscope` by its public interfaces only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Monitor {
    /// Round-trip measurement of each tunnel, this often.
    pub ping: Option<Span>,
    /// Probing tasks.
    #[serde(rename = "task")]
    pub tasks: Vec<Task>,
    /// Passive measurement of customer traffic arriving by these tunnels.
    #[serde(rename = "passive")]
    pub passives: Vec<Passive>,
}

/// A probing task: N senders, M receivers, one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Name.
    pub name: String,
    /// The MVPN whose default MDT is probed (exclusive with `group`).
    #[serde(default)]
    pub mvpn: Option<String>,
    /// A plain group (exclusive with `mvpn`).
    #[serde(default)]
    pub group: Option<Ipv4Addr>,
    /// Tunnel names; `a*` means all that begin with `a`; empty: all tunnels.
    #[serde(default)]
    pub senders: Vec<String>,
    /// Tunnel names, likewise.
    #[serde(default)]
    pub receivers: Vec<String>,
    /// Probes per second of each sender.
    pub rate: Rate,
    /// UDP payload of a probe, bytes.
    #[serde(default = "default_size")]
    pub size_bytes: u16,
    /// Length of a result interval.
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// Probes of this first stretch build trees and are not counted.
    #[serde(default)]
    pub warmup: Span,
    /// A probe missing for this long is lost.
    #[serde(default = "default_loss_timeout")]
    pub loss_timeout: Span,
    /// Poisson instead of periodic.
    #[serde(default)]
    pub poisson: bool,
    /// TTL of the inner packet.
    #[serde(default = "default_ttl")]
    pub ttl: u8,
    /// Started this long after the start of the run; None: only by a timeline event.
    #[serde(default = "at_once")]
    pub start: Option<Span>,
    /// Stopped then; None: `loss_timeout` plus one second before the end of the run.
    #[serde(default)]
    pub stop: Option<Span>,
}

fn default_interval() -> Span {
    Span::seconds(10)
}

fn default_loss_timeout() -> Span {
    Span::seconds(2)
}

fn default_ttl() -> u8 {
    64
}

fn at_once() -> Option<Span> {
    Some(Span::seconds(0))
}

/// Passive measurement of a customer's traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passive {
    /// The MVPN whose default MDT is joined.
    pub mvpn: String,
    /// Tunnel names.
    pub tunnels: Vec<String>,
}

/// Something that happens during the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When, after the start of the run.
    pub time: Span,
    /// What.
    #[serde(flatten)]
    pub action: Action,
}

/// What can happen. In the file: `[[at]]` with `time = …` and `do = "link-down"` and the action's own fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Replaces a link's impairment (`to`: one direction, else both).
    ImpairLink { link: String, to: Option<String>, impair: Impairment },
    /// Replaces a tunnel's impairment (router -> monitor).
    ImpairTunnel { tunnel: String, impair: Impairment },
    /// Carrier off at both ends.
    LinkDown { link: String },
    /// Carrier on again.
    LinkUp { link: String },
    /// All daemons of a router killed (SIGKILL) and its forwarding state gone, as in a crash.
    NodeKill { node: String },
    /// The same daemons with the same configuration again.
    NodeRestart { node: String },
    /// `vmscope` killed with SIGKILL.
    MonitorKill {},
    /// `vmscope` started again with its configuration file.
    MonitorRestart {},
    /// CLOCK_REALTIME of the lab stepped.
    ClockStep { by: Span, #[serde(default)] back: bool },
    /// Router's end built, tunnel added to the monitor.
    TunnelAdd { tunnel: String },
    /// Tunnel dropped from the monitor, router's end removed.
    TunnelDrop { tunnel: String },
    /// A monitor task started.
    TaskStart { task: String },
    /// A monitor task stopped.
    TaskStop { task: String },
    /// The monitor joins the MVPN's task on one PE's tunnels.
    PeStart { task: String, tunnel: String },
    /// The monitor leaves on one PE's tunnels; the others go on.
    PeStop { task: String, tunnel: String },
}

/// What must hold after the run. `[[expect]]` with `check = "fates"` and the check's own fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "check", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Expectation {
    /// Exact: the monitor's log of every counted probe of the task agrees with the taps, probe by probe:
    /// received, lost, number of duplicates, reordered.
    Fates {
        task: String,
        /// At least so many (probe, receiver) pairs must have been judged.
        at_least: u64,
    },
    /// Exact: the interval rows add up to the log's fates, each probe in the interval of its send time, none missing.
    Intervals { task: String },
    /// Bounded: per probe, monitor's delay (tunnels included) against taps at the monitor's link.
    DelayError { task: String, p99_at_most: Span },
    /// Bounded: the point estimate of path delay (half round trip rule) against the taps' path delay, per pair.
    PathDelay { task: String, within: Span },
    /// The identified interval of path delay and loss holds the true value, for every pair and interval.
    PathInterval { task: String, #[serde(default)] tolerance: Option<Span> },
    /// Bias: the point estimate is off by at least this for the named pair (asymmetry shown).
    PathBias { task: String, sender: String, receiver: String, at_least: Span },
    /// Statistical: measured loss of the pair (tunnels included) against the loss injected along its way; false-alarm probability at most `alpha`.
    LossRate { task: String, #[serde(default)] sender: Option<String>, #[serde(default)] receiver: Option<String>, injected: Probability, #[serde(default = "default_alpha")] alpha: f64 },
    /// Path loss after removal of the tunnels' contribution, point estimate against truth.
    PathLoss { task: String, within: Probability },
    /// Measured mean delay (tunnels included) of a pair lies in the range.
    Delay { task: String, #[serde(default)] sender: Option<String>, #[serde(default)] receiver: Option<String>, at_least: Span, at_most: Span },
    /// True loss of (task, receiver) within [from, until) is in the range: used for faults.
    LossBetween { task: String, #[serde(default)] sender: Option<String>, #[serde(default)] receiver: Option<String>, from: Span, until: Span, at_least: Probability, at_most: Probability },
    /// Longest outage of a pair, as truth and monitor both see it, lies in the range.
    Outage { task: String, sender: String, receiver: String, at_least: Span, at_most: Span },
    /// So many duplicates / reordered probes were logged (and, by `fates`, rightly).
    Duplicates { task: String, at_least: u64 },
    /// As above.
    Reordered { task: String, at_least: u64 },
    /// Losses attributed by the truth to this cause number at least so many.
    Cause { cause: LossCause, at_least: u64 },
    /// Packets of a customer source that reached a receiver (application level), as a share of those sent.
    Delivered { source: String, receiver: String, at_least: Probability, at_most: Probability },
    /// No probe frame on any link between a VRF and its CE, nor behind it (and at least `frames` frames were looked at there).
    NoProbeAtCustomer { frames: u64 },
    /// Probes were seen on the links to the monitor from these tunnels: none, or at least so many.
    ProbeCopies { tunnel: String, #[serde(default)] from: Span, #[serde(default)] until: Option<Span>, at_least: u64, #[serde(default)] at_most: Option<u64> },
    /// Customer packets that reached the monitor's link (truth), and how many the monitor processed.
    CustomerPackets { arrived_at_least: u64, processed_at_most: u64 },
    /// Passive: monitor's count and loss of a customer source's stream by a tunnel against the taps.
    PassiveStream { source: String, tunnel: String, at_least: u64 },
    /// The monitor sent nothing towards the MVPN's group but what the task sends; used with passive: sent nothing.
    NothingSentTo { group: Ipv4Addr },
    /// The overhead the monitor reports against the taps' count, exact.
    Overhead {},
    /// At most this much of the log is missing before the monitor's kill.
    LogLostBeforeKill { at_most: Span },
    /// A group is forwarded / not forwarded at a router at the end of the run.
    Forwarded { node: String, group: Ipv4Addr, yes: bool },
    /// Customer PIM neighbours over the MDT are all up at the end.
    CustomerAdjacencies { mvpn: String },
}

fn default_alpha() -> f64 {
    1e-6
}

/// Why the truth says a packet was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
