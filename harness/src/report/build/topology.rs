//! The lab as it is drawn.

use mvpnlab_emulator::scenario::Role;
use mvpnlab_emulator::truth::Truth;

use crate::report::{Direction, Link, Node, Topology, Tunnel};
use crate::run::suite::Case;

/// Nodes, links and tunnels, with what the scenario does to them at the start.
pub fn of(case: &Case) -> Topology {
    let scenario = &case.scenario;
    let mvpns = |node: &str| {
        case.plan
            .mvpns
            .iter()
            .filter(|(_, mvpn)| mvpn.sites.iter().any(|site| site.pe == node))
            .map(|(name, _)| name.clone())
            .collect()
    };
    let nodes = scenario.nodes.iter().map(|(name, node)| Node {
        name: name.clone(),
        role: role(node.role).into(),
        mvpns: mvpns(name),
    });
    let links = scenario.links.iter().filter_map(|link| {
        let (a, b) = link.nodes()?;
        let towards = |node: &str| Direction {
            impairment: link
                .impair_to
                .get(node)
                .or(link.impair.as_ref())
                .map(ToString::to_string)
                .unwrap_or_default(),
            ..Direction::default()
        };
        Some(Link {
            a: a.into(),
            b: b.into(),
            to_b: towards(b),
            to_a: towards(a),
        })
    });
    let tunnels = case.plan.tunnels.iter().map(|tunnel| Tunnel {
        name: tunnel.name.clone(),
        at: tunnel.at.clone(),
        peer: tunnel.peer.clone(),
        impairment: scenario
            .tunnel_impairments
            .iter()
            .find(|impaired| impaired.tunnel == tunnel.name)
            .map(|impaired| impaired.impair.to_string())
            .unwrap_or_default(),
    });
    Topology {
        nodes: nodes.collect(),
        links: links.collect(),
        tunnels: tunnels.collect(),
    }
}

/// Adds how many packets each direction of each link carried.
pub(super) fn count(topology: &mut Topology, truth: &Truth) {
    for lane in truth.lanes.iter() {
        let (from, to) = (truth.lanes.from(lane), truth.lanes.to(lane));
        for link in &mut topology.links {
            let direction = match (link.a.as_str(), link.b.as_str()) {
                ends if ends == (from, to) => &mut link.to_b,
                ends if ends == (to, from) => &mut link.to_a,
                _ => continue,
            };
            for crossing in truth.on(lane) {
                direction.entered += 1;
                direction.left += crossing.exits.len() as u64;
                direction.lost += u64::from(crossing.is_lost());
            }
        }
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::P => "p",
        Role::Pe => "pe",
        Role::Ce => "ce",
        Role::Host => "host",
        Role::Monitor => "monitor",
    }
}
