//! What a run leaves for people and programs: one [`Report`], rendered four ways.
//!
//! A report holds nothing of the machine it was made on: no wall time, no path, no host name.
//! The same scenario, seed, image and executables give the same bytes of `report.json`.

pub mod build;
pub mod format;
pub mod html;
pub mod json;
pub mod junit;
#[cfg(test)]
pub mod sample;
pub mod seeds;
#[cfg(test)]
mod tests;
pub mod text;

use serde::{Deserialize, Serialize};

use crate::check::Finding;
use crate::verdict::Verdict;

/// Version of the report's shape; raised when a field changes its meaning.
pub const FORMAT: u32 = 1;

/// Everything there is to say about one scenario run with one seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// Name of the scenario: its file's name without `.toml`.
    pub scenario: String,
    /// Its title.
    pub title: String,
    /// Requirements it proves.
    pub proves: Vec<String>,
    /// The seed of everything random in the run.
    pub seed: u64,
    /// The planted fault that was asked of the monitor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What ran.
    pub built: Built,
    /// The verdict.
    pub verdict: Verdict,
    /// One finding for each expectation, in the scenario's order.
    pub findings: Vec<Finding>,
    /// Probability that a perfect monitor in a perfect lab would fail at least one expectation (union bound).
    pub false_alarm_total: f64,
    /// Pairs of every task.
    pub pairs: Vec<Pair>,
    /// Packets lost, by cause and place.
    pub losses: Vec<LossAt>,
    /// Customer streams, source to receiver.
    pub streams: Vec<Stream>,
    /// Loss over time, one series a task.
    pub series: Vec<Series>,
    /// Distribution of delay, one a task.
    pub delays: Vec<DelayHistogram>,
    /// What was done during the run.
    pub events: Vec<EventDone>,
    /// Nodes and links.
    pub topology: Topology,
    /// The scenario's text: a report can be replayed from itself.
    pub scenario_text: String,
}

/// The things whose change may change the bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// Id of the sealed lab's image, or `native`.
    pub image: String,
    /// SHA-256 of the `mvpnlab` executable (it is the lab's init).
    pub mvpnlab: String,
    /// SHA-256 of the monitor under test.
    pub monitor: String,
}

/// Injected, true and measured, of one ordered pair of tunnels in one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The task.
    pub task: String,
    /// Tunnel into which probes are sent.
    pub sender: String,
    /// Tunnel over which they come back.
    pub receiver: String,
    /// What the scenario asked netem for along the way that the probes took.
    pub induced: Induced,
    /// What the taps saw.
    pub truth: Figures,
    /// What the monitor logged; absent if it never spoke of the pair.
    pub measured: Option<Figures>,
    /// The path between the two routers.
    pub path: PathFigures,
}

/// Impairment composed along a way; absent where it changed during the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Induced {
    /// Loss, fraction.
    pub loss: Option<f64>,
    /// Sum of the configured delays.
    pub delay_ns: Option<i64>,
}

/// Counts and delays of a pair.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Probes counted.
    pub sent: u64,
    /// Of these, arrived in time.
    pub received: u64,
    /// Of these, not.
    pub lost: u64,
    /// Further copies.
    pub duplicates: u64,
    /// Arrived after a later one (RFC 4737).
    pub reordered: u64,
    /// Mean one-way delay, tunnels included.
    pub delay_mean_ns: Option<i64>,
    /// 99th percentile of it.
    pub delay_p99_ns: Option<i64>,
}

impl Figures {
    /// Lost of sent, none without a probe.
    pub fn loss(&self) -> Option<f64> {
        (self.sent > 0).then(|| self.lost as f64 / self.sent as f64)
    }
}

/// The path from router to router, tunnels removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PathFigures {
    /// Mean delay that the taps saw.
    pub true_delay_ns: Option<i64>,
    /// Loss that the taps saw.
    pub true_loss: Option<f64>,
    /// The monitor's point estimate (half of the round trips removed).
    pub point_delay_ns: Option<i64>,
    /// The monitor's identified interval of the mean delay.
    pub delay_interval_ns: Option<(i64, i64)>,
    /// The monitor's point estimate of loss.
    pub point_loss: Option<f64>,
    /// The monitor's identified interval of loss.
    pub loss_interval: Option<(f64, f64)>,
}

/// Losses of one cause at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LossAt {
    /// `netem`, `link-down`, …
    pub cause: String,
    /// Wire and direction, tunnel, or node.
    pub place: String,
    /// Probe copies lost there.
    pub probes: u64,
}

/// A customer's stream as the application saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Source name.
    pub source: String,
    /// Receiver name.
    pub receiver: String,
    /// Packets the source sent.
    pub sent: u64,
    /// Packets the receiver's socket was given.
    pub received: u64,
}

/// True and measured loss over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The task.
    pub task: String,
    /// Width of a bucket.
    pub bucket_ns: u64,
    /// Buckets in order, from the start of the run.
    pub buckets: Vec<Bucket>,
}

/// Probes sent in one stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Copies expected, over all pairs of the task.
    pub expected: u64,
    /// Of these lost, says the truth.
    pub lost_true: u64,
    /// Of these lost, says the monitor.
    pub lost_measured: u64,
    /// Expected copies that the monitor logged at all.
    pub logged: u64,
}

/// Numbers of probes by delay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DelayHistogram {
    /// The task.
    pub task: String,
    /// Lower edge of the first bin.
    pub from_ns: i64,
    /// Width of a bin.
    pub bin_ns: i64,
    /// Probes per bin, by the taps.
    pub truth: Vec<u64>,
    /// Probes per bin, by the monitor.
    pub measured: Vec<u64>,
}

/// One action of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventDone {
    /// When it was to be done, after the start of the run.
    pub at_ns: u64,
    /// What, in words.
    pub what: String,
}

/// The lab, as it is drawn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Topology {
    /// Nodes by name.
    pub nodes: Vec<Node>,
    /// Links in the scenario's order.
    pub links: Vec<Link>,
    /// Monitor tunnels in id order.
    pub tunnels: Vec<Tunnel>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// `p`, `pe`, `ce`, `host`, `monitor`.
    pub role: String,
    /// The MVPNs that have a site here.
    pub mvpns: Vec<String>,
}

/// A link; its two directions differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// One end.
    pub a: String,
    /// The other.
    pub b: String,
    /// From a to b.
    pub to_b: Direction,
    /// From b to a.
    pub to_a: Direction,
}

/// One direction of a link.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Direction {
    /// Impairment at the start of the run, in words; empty when there is none.
    pub impairment: String,
    /// Packets that entered.
    pub entered: u64,
    /// Packets that left at the far end, duplicates included.
    pub left: u64,
    /// Packets that never left.
    pub lost: u64,
}

/// A monitor tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    /// Its name.
    pub name: String,
    /// Its router.
    pub at: String,
    /// The monitor's peer where it ends; none: the monitor under test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Impairment router to monitor at the start, in words; empty when there is none.
    pub impairment: String,
}

impl Topology {
    /// The node where a tunnel ends, other than its router.
    pub fn host_of(&self, tunnel: &Tunnel) -> Option<usize> {
        let is_host = |node: &Node| match &tunnel.peer {
            Some(peer) => node.name == *peer,
            // The nodes stand in the order of their names.
            None => node.role == "monitor",
        };
        self.nodes.iter().position(is_host)
    }
}

impl Report {
    /// Name and seed, as they stand in progress lines and test cases.
    pub fn label(&self) -> String {
        format!("{} seed {}", self.scenario, self.seed)
    }
}
