//! Verbs of one-way loss.

use std::net::Ipv4Addr;

use clap::{ArgGroup, Args, Subcommand};
use vmscope_core::control::{CounterSpec, LeafSpec, Named, OnewaySpec, Operation, Until};
use vmscope_core::name::Name;
use vmscope_core::percent::Percent;
use vmscope_core::time::Span;

use super::probe_options::ProbeOptions;

/// Verbs of one-way loss.
#[derive(Debug, Subcommand)]
pub enum OnewayVerb {
    /// Measure the loss of a way up and a way down, each by itself
    Start(Box<OnewayStart>),
    /// Stop; the last row follows as the last probes are decided
    Stop {
        /// The measurement
        name: Name,
    },
    /// Forget one that is over
    Drop {
        /// The measurement
        name: Name,
    },
    /// All of them
    List,
    /// One of them
    Show {
        /// The measurement
        name: Name,
    },
}

/// What to measure, and who helps.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("leaf").args(["collectors", "reflector", "agent"]).multiple(true))]
pub struct OnewayStart {
    /// Name of the measurement
    pub name: Name,
    /// Tunnel to send probes into
    #[arg(long, value_name = "TUNNEL")]
    pub up: Name,
    /// Other tunnels of the same router, for copies to come back over
    #[arg(long, required = true, value_delimiter = ',', value_name = "TUNNELS")]
    pub down: Vec<Name>,
    /// The group probed
    #[arg(long)]
    pub group: Ipv4Addr,
    /// Join (S,G) rather than (*,G)
    #[arg(long)]
    pub source_specific: bool,
    /// A peer's tunnel, over which it counts what arrives; may be said several times
    #[arg(long = "collector", value_name = "PEER:TUNNEL", value_parser = peer_and_tunnel)]
    pub collectors: Vec<(Name, Name)>,
    /// A peer's tunnel, into which it sends again what arrives
    #[arg(
        long,
        value_name = "PEER:TUNNEL",
        value_parser = peer_and_tunnel,
        conflicts_with_all = ["collectors", "agent"]
    )]
    pub reflector: Option<(Name, Name)>,
    /// Who reads a router's counter: an [[agent]] of the configuration
    #[arg(long, value_name = "AGENT", conflicts_with = "collectors")]
    pub agent: Option<Name>,
    /// The agent's counter: `route`, `flow`, or an interface's name
    #[arg(
        long,
        value_name = "COUNTER",
        default_value = "route",
        requires = "agent"
    )]
    pub counter: String,
    /// Probes in one aggregate that is counted
    #[arg(long, value_name = "N", default_value = "50", requires = "agent")]
    pub aggregate: u32,
    /// Losses are counted by blocks of this length [default: 1s]
    #[arg(long, value_name = "TIME")]
    pub block: Option<Span>,
    /// Only the latest so much counts
    #[arg(long, value_name = "TIME", conflicts_with_all = ["until", "until_absolute"])]
    pub window: Option<Span>,
    /// Stop when every interval is this share of its estimate to either side, such as 10%
    #[arg(long, value_name = "SHARE")]
    pub until: Option<Percent>,
    /// Stop when every interval is this share of packets to either side, such as 0.01%
    #[arg(long, value_name = "SHARE", conflicts_with = "until")]
    pub until_absolute: Option<Percent>,
    /// How often the intervals are to hold the truth [default: 95%]
    #[arg(long, value_name = "SHARE")]
    pub confidence: Option<Percent>,
    /// How long the estimates correct pairs after the last probe [default: 10m]
    #[arg(long, value_name = "TIME")]
    pub valid_for: Option<Span>,
    #[command(flatten)]
    pub probes: ProbeOptions,
}

fn peer_and_tunnel(text: &str) -> Result<(Name, Name), String> {
    let (peer, tunnel) = text
        .split_once(':')
        .ok_or("write it as PEER:TUNNEL, as in m2:pe1")?;
    let name = |text: &str| Name::new(text).map_err(|error| error.to_string());
    Ok((name(peer)?, name(tunnel)?))
}

/// What a verb asks.
pub fn operation(verb: OnewayVerb) -> Operation {
    match verb {
        OnewayVerb::Start(start) => Operation::OnewayStart(Box::new(spec(*start))),
        OnewayVerb::Stop { name } => Operation::OnewayStop(Named { name }),
        OnewayVerb::Drop { name } => Operation::OnewayDrop(Named { name }),
        OnewayVerb::List => Operation::OnewayList,
        OnewayVerb::Show { name } => Operation::OnewayShow(Named { name }),
    }
}

fn spec(start: OnewayStart) -> OnewaySpec {
    let default = OnewaySpec::new(start.name, start.up, start.down, start.group);
    let collectors = start
        .collectors
        .into_iter()
        .map(|(peer, tunnel)| LeafSpec::Collector { peer, tunnel });
    let reflector = start
        .reflector
        .into_iter()
        .map(|(peer, tunnel)| LeafSpec::Reflector { peer, tunnel });
    let counter = match start.counter.as_str() {
        "route" => CounterSpec::Route,
        "flow" => CounterSpec::Flow,
        interface => CounterSpec::Interface {
            interface: interface.to_owned(),
        },
    };
    let agent = start.agent.map(|agent| LeafSpec::Counters {
        agent,
        counter,
        aggregate: start.aggregate,
    });
    OnewaySpec {
        source_specific: start.source_specific,
        leaf: collectors.chain(reflector).chain(agent).collect(),
        probes: start.probes.into(),
        block: start.block.unwrap_or(default.block),
        window: start.window,
        until: match (start.until, start.until_absolute) {
            (Some(share), _) => Some(Until::Relative(share)),
            (None, share) => share.map(Until::Absolute),
        },
        confidence: start.confidence.unwrap_or(default.confidence),
        valid_for: start.valid_for.unwrap_or(default.valid_for),
        ..default
    }
}
