//! What an operator asks for: one-way loss of tunnels, and who helps with it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::percent::Percent;
use crate::spec::ProbeSpec;
use crate::time::{Rate, Span};

/// One-way loss from the monitor to a router and back, told apart by what arrives at a leaf (OL-08).
///
/// Probes go into the tunnel `up`; the router hands copies down the tunnels `down`, which are others of the same router
/// (no router sends out of the interface a packet came in by), and to the leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnewaySpec {
    /// Name, unique among those of one-way measurements.
    pub name: Name,
    /// The tunnel into which probes go.
    pub up: Name,
    /// The tunnels over which copies come back; at least one.
    pub down: Vec<Name>,
    /// The multicast group probed.
    pub group: Ipv4Addr,
    /// Join (S,G) rather than (*,G); needs IGMPv3 on every tunnel that receives.
    #[serde(default)]
    pub source_specific: bool,
    /// Where the other copies go; may be missing where there are two or more tunnels `down`.
    #[serde(default)]
    pub leaf: Vec<LeafSpec>,
    /// The probes; `count` or `duration` is the budget, `interval` the time between two rows.
    #[serde(default)]
    pub probes: ProbeSpec,
    /// Losses are counted by blocks of this length, to find out whether they come together.
    #[serde(default = "default_block")]
    pub block: Span,
    /// Only the latest so much counts, for measurement without end; all of the run if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Span>,
    /// Stop when every interval is so narrow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// How often the intervals are to hold the truth; at least 50%, below 100%.
    #[serde(default = "default_confidence")]
    pub confidence: Percent,
    /// How long after its last probe an estimate corrects pairs (OL-10).
    #[serde(default = "default_valid_for")]
    pub valid_for: Span,
}

impl OnewaySpec {
    /// Without a leaf yet, and everything else as it is unless told.
    pub fn new(name: Name, up: Name, down: Vec<Name>, group: Ipv4Addr) -> OnewaySpec {
        OnewaySpec {
            name,
            up,
            down,
            group,
            source_specific: false,
            leaf: Vec::new(),
            probes: ProbeSpec::default(),
            block: default_block(),
            window: None,
            until: None,
            confidence: default_confidence(),
            valid_for: default_valid_for(),
        }
    }
}

fn default_block() -> Span {
    Span::from_s(1)
}

fn default_confidence() -> Percent {
    Percent::whole(95)
}

fn default_valid_for() -> Span {
    Span::from_s(600)
}

/// How narrow: half the width of every interval is at most this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// A share of packets.
    Absolute(Percent),
    /// A share of the estimate.
    Relative(Percent),
}

/// Where the other copy of a probe goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LeafSpec {
    /// Down a peer's tunnel, where it is counted (configuration A).
    Collector {
        /// The peer.
        peer: Name,
        /// The tunnel, by its name at the peer.
        tunnel: Name,
    },
    /// Down a peer's tunnel, where it is sent again (configuration C): the only leaf, of one tunnel `down`.
    Reflector {
        /// The peer.
        peer: Name,
        /// The tunnel, by its name at the peer.
        tunnel: Name,
    },
    /// To a router that counts (configurations B1, B2).
    Counters {
        /// Who reads the router's counters.
        agent: Name,
        /// Which of them.
        counter: CounterSpec,
        /// Probes in one aggregate.
        aggregate: u32,
    },
}

impl LeafSpec {
    /// The peer, if it is a peer's.
    pub fn peer(&self) -> Option<&Name> {
        match self {
            LeafSpec::Collector { peer, .. } | LeafSpec::Reflector { peer, .. } => Some(peer),
            LeafSpec::Counters { .. } => None,
        }
    }
}

/// A counter of a router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case", deny_unknown_fields)]
pub enum CounterSpec {
    /// Packets forwarded by the multicast route of the measurement's group.
    Route,
    /// Packets of an interface.
    Interface {
        /// Its name at the router.
        interface: String,
    },
    /// Packets of the measurement's flow, as exported.
    Flow,
}

/// A reader of a router's counters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum AgentSpec {
    /// Running counters, asked for by SNMPv2c.
    Snmp {
        /// What it is called here.
        name: Name,
        /// Where the router's agent answers, such as `10.254.1.2:161`.
        address: SocketAddr,
        /// The file that holds the community; version 2c sends it unencrypted.
        community_file: PathBuf,
        /// Vouched for: no answer tells of a time earlier than this before its question. Unless it is said, an answer is believed
        /// once it is shown not to be from a cache, which costs another question.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache: Option<Span>,
    },
    /// Flows that a router exports: NetFlow 5 or 9, or IPFIX.
    Flows {
        /// What it is called here.
        name: Name,
        /// Where to listen for them.
        listen: SocketAddr,
        /// Where they come from: what others send there is not read.
        exporter: IpAddr,
        /// A flow's last record has come so long after its last packet: all timeouts of the exporter together, and the way.
        #[serde(default = "default_exported_within")]
        exported_within: Span,
    },
}

impl AgentSpec {
    /// What it is called here.
    pub fn name(&self) -> &Name {
        match self {
            AgentSpec::Snmp { name, .. } | AgentSpec::Flows { name, .. } => name,
        }
    }
}

fn default_exported_within() -> Span {
    Span::from_s(30)
}

/// Another monitor, to be asked over its control channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSpec {
    /// What it is called here.
    pub name: Name,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its very certificate (PEM): no authority is asked, no name or date in it counts.
    pub certificate: PathBuf,
    /// The file that holds the token it knows us by.
    pub token_file: PathBuf,
    /// How far its wall clock may be from ours, if anybody knows: then its stamps narrow delays down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_error: Option<Span>,
}

/// The control channel that peers ask us over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteSpec {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Our certificate (PEM).
    pub certificate: PathBuf,
    /// Its key (PEM).
    pub key: PathBuf,
    /// The file of tokens that are accepted.
    pub tokens: PathBuf,
}

/// A request to count what arrives of another monitor's probes; said again, it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectSpec {
    /// Name of the collection, unique at the collector.
    pub name: Name,
    /// The run of the monitor whose probes are counted.
    pub session: u32,
    /// The collector's tunnel.
    pub tunnel: Name,
    /// The group, which is joined.
    pub group: Ipv4Addr,
    /// Join it for this source only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Ipv4Addr>,
    /// A copy that takes so much longer than the fastest has not arrived.
    #[serde(default = "default_loss_timeout")]
    pub loss_timeout: Span,
    /// The collection ends by itself when it is not asked about for so long.
    pub lease: Span,
}

fn default_loss_timeout() -> Span {
    ProbeSpec::default().loss_timeout
}

/// A request to send another monitor's probes again; said again, it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReflectSpec {
    /// Name of the reflection, unique at the reflector.
    pub name: Name,
    /// The run of the monitor whose probes are sent again.
    pub session: u32,
    /// The reflector's tunnel: over it they come, into it they go.
    pub tunnel: Name,
    /// The group, which is joined.
    pub group: Ipv4Addr,
    /// Join it for this source only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Ipv4Addr>,
    /// No more than so many a second are sent again.
    pub rate_max: Rate,
    /// The reflection ends by itself when it is not asked for again for so long.
    pub lease: Span,
}
