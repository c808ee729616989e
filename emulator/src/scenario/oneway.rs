//! Measurements of one-way loss between the monitor and a router: what the monitor is told of them (OL-01 to OL-07).

use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Probability, Rate, Span};

/// One measurement: probes go up one tunnel, copies come back by others and go to leaves elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Oneway {
    /// Name.
    pub name: String,
    /// The tunnel of the monitor under test into which probes go.
    pub up: String,
    /// Its tunnels, to the same router, over which copies come back.
    pub down: Vec<String>,
    /// The group that carries them.
    pub group: Ipv4Addr,
    /// Where else copies go; with two or more `down` there need be none.
    #[serde(default, rename = "leaf")]
    pub leaves: Vec<Leaf>,
    /// Probes per second.
    pub rate: Rate,
    /// UDP payload of a probe, bytes.
    #[serde(default = "default_size")]
    pub size_bytes: u16,
    /// Probes of this first stretch build trees and are not counted.
    #[serde(default)]
    pub warmup: Span,
    /// A copy missing for this long is lost.
    #[serde(default = "default_loss_timeout")]
    pub loss_timeout: Span,
    /// Poisson instead of periodic.
    #[serde(default)]
    pub poisson: bool,
    /// Losses are looked at in blocks of this length, to find those that come together; the monitor's own unless said.
    #[serde(default)]
    pub block: Option<Span>,
    /// Only the latest so much counts; left out: all of the run.
    #[serde(default)]
    pub window: Option<Span>,
    /// Stops by itself when every interval is so narrow.
    #[serde(default)]
    pub until: Option<Until>,
    /// How often its intervals are to hold the truth; the monitor's own 95% unless said.
    #[serde(default)]
    pub confidence: Option<Probability>,
    /// For how long its estimates correct the pair matrix; the monitor's own unless said.
    #[serde(default)]
    pub valid_for: Option<Span>,
    /// Started this long after the start of the run.
    #[serde(default)]
    pub start: Span,
    /// Stopped then; left out: `loss_timeout` plus five seconds before the end of the run.
    #[serde(default)]
    pub stop: Option<Span>,
}

fn default_size() -> u16 {
    100
}

fn default_loss_timeout() -> Span {
    Span::seconds(2)
}

/// Where the other copy goes: exactly one of `collector`, `reflector` and `agent`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Leaf {
    /// Configuration A: a peer's tunnel, over which that collects.
    pub collector: Option<String>,
    /// Configuration C: a peer's tunnel, over which that sends back what comes.
    pub reflector: Option<String>,
    /// Configuration B: an agent whose router counts.
    pub agent: Option<String>,
    /// Which of an SNMP agent's counters: an interface's; left out: that of the group's multicast route.
    pub counter: Option<Counter>,
    /// How many probes are counted at a time.
    pub aggregate: Option<u32>,
}

/// A counter of an SNMP agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counter {
    /// The interface at the agent's router, by the link's other end: `P` is `to-P`.
    pub toward: String,
    /// What came in there, or went out.
    pub direction: Direction,
}

/// Which way through an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Received.
    In,
    /// Sent.
    Out,
}

/// When a measurement has seen enough: one of the two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Until {
    /// Every interval reaches no farther than this to either side.
    pub absolute: Option<Probability>,
    /// The same as a share of the estimate.
    pub relative: Option<Probability>,
}

impl Leaf {
    /// The name under which its way is reported: the tunnel's, or the agent's.
    pub fn way(&self) -> &str {
        let named = [&self.collector, &self.reflector, &self.agent];
        named
            .into_iter()
            .flatten()
            .next()
            .map_or("", String::as_str)
    }
}

impl Oneway {
    /// The ways whose loss it infers: up, down, then the leaves'.
    pub fn ways(&self) -> impl Iterator<Item = &str> {
        let tunnels = std::iter::once(&self.up).chain(&self.down);
        let leaves = self.leaves.iter().map(Leaf::way);
        tunnels.map(String::as_str).chain(leaves)
    }
}
