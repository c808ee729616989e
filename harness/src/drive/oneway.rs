//! What the monitor is told of one-way measurements, its peers, and routers' agents. Pure.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use mvpnlab_emulator::lab::agents::{SNMP_PORT, flow_port};
use mvpnlab_emulator::plan::{MonitorPlan, Plan};
use mvpnlab_emulator::scenario::{self, Agent, Direction, Leaf, Oneway, Scenario};
use vmscope_core::config::Config;
use vmscope_core::control::{
    AgentSpec, CounterSpec, LeafSpec, Named, OnewaySpec, Operation, PeerSpec, ProbeSpec,
    RemoteSpec, Schedule, Until,
};
use vmscope_core::name::Name;
use vmscope_core::percent::Percent;
use vmscope_core::time::Span;

use super::orders::{MonitorPaths, OrderError, is_ssm, named, names, rate, span, tunnel};

/// Where a peer's keeper of secrets listens.
const PORT: u16 = 8471;
/// An exporter looks at its table every second, and its datagrams take their way.
const EXPORT_MARGIN: Span = Span::from_s(2);

/// A peer's own things inside the lab.
pub struct PeerPaths {
    /// All of them.
    pub folder: PathBuf,
    /// Its certificate.
    pub certificate: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
    /// The tokens that it accepts.
    pub tokens: PathBuf,
    /// The one of the monitor under test.
    pub token: PathBuf,
}

impl PeerPaths {
    /// Of the peer at this host.
    pub fn of(host: &str) -> Self {
        let folder = PathBuf::from("/run/peers").join(host);
        let name = peer_name(host);
        Self {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}-key.pem")),
            tokens: folder.join("tokens.toml"),
            token: folder.join("token"),
            folder,
        }
    }
}

/// What a peer is called: its host, in small letters.
pub fn peer_name(host: &str) -> String {
    host.to_lowercase()
}

/// The configuration of a peer: its tunnels, and where it is asked.
pub fn peer_configuration(
    scenario: &Scenario,
    plan: &Plan,
    host: &MonitorPlan,
    paths: &MonitorPaths,
) -> Result<Config, OrderError> {
    let secrets = PeerPaths::of(&host.namespace);
    let tunnels = plan.tunnels_of_peer(&host.namespace);
    Ok(Config {
        interface: Some(host.interface.clone()),
        socket: Some(paths.socket.clone()),
        database: Some(paths.database.clone()),
        tunnels: tunnels
            .map(|plan| tunnel(scenario, plan))
            .collect::<Result<_, _>>()?,
        remote: Some(RemoteSpec {
            listen: SocketAddr::from((host.address, PORT)),
            certificate: secrets.certificate,
            key: secrets.key,
            tokens: secrets.tokens,
        }),
        ..Config::default()
    })
}

/// The peers that the monitor under test may ask.
pub fn peers(plan: &Plan) -> Result<Vec<PeerSpec>, OrderError> {
    let peer = |host: &MonitorPlan| {
        let secrets = PeerPaths::of(&host.namespace);
        Ok(PeerSpec {
            name: named("peer", &peer_name(&host.namespace))?,
            address: SocketAddr::from((host.address, PORT)),
            certificate: secrets.certificate,
            token_file: secrets.token,
            clock_error: None,
        })
    };
    plan.peers.iter().map(peer).collect()
}

/// The agents that the monitor under test may ask.
pub fn agents(scenario: &Scenario, plan: &Plan) -> Result<Vec<AgentSpec>, OrderError> {
    let agent = |agent: &Agent| {
        let name = named("agent", &agent.name)?;
        let router = plan.address_of_router(&agent.at);
        let router = router.ok_or_else(|| OrderError {
            what: format!("the agent {}", agent.name),
            found: format!("{} has no address", agent.at),
        })?;
        Ok(match &agent.flow {
            None => AgentSpec::Snmp {
                address: SocketAddr::from((router, SNMP_PORT)),
                community_file: community_file(&agent.name),
                cache: None,
                name,
            },
            Some(flow) => AgentSpec::Flows {
                listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, flow_port(scenario, &agent.name))),
                exporter: router.into(),
                exported_within: span(flow.active) + span(flow.inactive) + EXPORT_MARGIN,
                name,
            },
        })
    };
    scenario.agents.iter().map(agent).collect()
}

/// Where the monitor under test reads an agent's community.
pub fn community_file(agent: &str) -> PathBuf {
    PathBuf::from("/run/monitor").join(format!("{agent}.community"))
}

/// How a measurement is started.
pub fn start(scenario: &Scenario, plan: &Plan, oneway: &Oneway) -> Result<Operation, OrderError> {
    let spec = OnewaySpec::new(
        named("one-way measurement", &oneway.name)?,
        named("tunnel", &oneway.up)?,
        names("tunnel", &oneway.down)?,
        oneway.group,
    );
    let leaf = |leaf: &Leaf| leaf_spec(scenario, plan, leaf);
    let spec = OnewaySpec {
        source_specific: is_ssm(oneway.group),
        leaf: oneway.leaves.iter().map(leaf).collect::<Result<_, _>>()?,
        probes: probes(oneway),
        block: oneway.block.map_or(spec.block, span),
        window: oneway.window.map(span),
        until: oneway.until.map(until).transpose()?.flatten(),
        confidence: oneway.confidence.map_or(Ok(spec.confidence), percent)?,
        valid_for: oneway.valid_for.map_or(spec.valid_for, span),
        ..spec
    };
    Ok(Operation::OnewayStart(Box::new(spec)))
}

/// The measurement by its name.
pub fn by_name(oneway: &Oneway) -> Result<Named, OrderError> {
    Ok(Named {
        name: named("one-way measurement", &oneway.name)?,
    })
}

fn probes(oneway: &Oneway) -> ProbeSpec {
    ProbeSpec {
        rate: rate(oneway.rate),
        payload_bytes: oneway.size_bytes,
        warmup: span(oneway.warmup),
        loss_timeout: span(oneway.loss_timeout),
        schedule: match oneway.poisson {
            true => Schedule::Poisson,
            false => Schedule::Periodic,
        },
        ..ProbeSpec::default()
    }
}

fn leaf_spec(scenario: &Scenario, plan: &Plan, leaf: &Leaf) -> Result<LeafSpec, OrderError> {
    let peers_tunnel = |tunnel: &str| -> Result<(Name, Name), OrderError> {
        let host = plan.tunnel(tunnel).and_then(|plan| plan.peer.clone());
        let host = host.ok_or_else(|| OrderError {
            what: format!("the leaf {tunnel}"),
            found: "no peer has a tunnel of that name".into(),
        })?;
        Ok((named("peer", &peer_name(&host))?, named("tunnel", tunnel)?))
    };
    if let Some(tunnel) = &leaf.collector {
        let (peer, tunnel) = peers_tunnel(tunnel)?;
        return Ok(LeafSpec::Collector { peer, tunnel });
    }
    if let Some(tunnel) = &leaf.reflector {
        let (peer, tunnel) = peers_tunnel(tunnel)?;
        return Ok(LeafSpec::Reflector { peer, tunnel });
    }
    let name = leaf.agent.as_deref().unwrap_or_default();
    Ok(LeafSpec::Counters {
        agent: named("agent", name)?,
        counter: counter(scenario, leaf)?,
        aggregate: leaf.aggregate.unwrap_or_default(),
    })
}

/// A flow exporter has one; of an SNMP agent it is the route's unless an interface's is said.
fn counter(scenario: &Scenario, leaf: &Leaf) -> Result<CounterSpec, OrderError> {
    let mut agents = scenario.agents.iter();
    let agent = agents.find(|agent| leaf.agent.as_ref() == Some(&agent.name));
    Ok(match (&leaf.counter, agent.and_then(|a| a.flow.as_ref())) {
        (_, Some(_)) => CounterSpec::Flow,
        (Some(counter), None) if counter.direction == Direction::In => CounterSpec::Interface {
            interface: format!("to-{}", counter.toward),
        },
        (Some(counter), None) => {
            return Err(OrderError {
                what: format!("the counter towards {}", counter.toward),
                found: "it reads what comes in by an interface only".into(),
            });
        }
        (None, None) => CounterSpec::Route,
    })
}

fn until(until: scenario::Until) -> Result<Option<Until>, OrderError> {
    let absolute = until
        .absolute
        .map(|share| percent(share).map(Until::Absolute));
    let relative = until
        .relative
        .map(|share| percent(share).map(Until::Relative));
    absolute.or(relative).transpose()
}

fn percent(share: scenario::Probability) -> Result<Percent, OrderError> {
    let text = share.to_string();
    text.parse()
        .map_err(|e: vmscope_core::percent::PercentError| OrderError {
            what: format!("the share {text}"),
            found: e.to_string(),
        })
}
