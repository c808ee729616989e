//! What the routers must report before a lab counts as converged: asked for, never slept for.

use std::net::Ipv4Addr;

use super::{
    Cidr, Fact, MvpnPlan, Plan, WireKind,
    routers::{backbone_rp, is_core},
};
use crate::scenario::{Scenario, Suite};

/// All facts, the cheap and early ones first: a lab that does not converge then names the layer that failed.
pub(super) fn facts(scenario: &Scenario, plan: &Plan) -> Vec<Fact> {
    let mut facts = adjacencies(scenario, plan);
    facts.extend(unicast(scenario, plan));
    facts.extend(rps(scenario, plan));
    facts.extend(shared_trees(scenario, plan));
    facts.extend(static_joins(scenario, plan));
    facts.extend(mdt_trees(plan));
    facts.extend(customers(scenario, plan));
    facts
}

fn backbone_routers<'p>(scenario: &'p Scenario, plan: &'p Plan) -> impl Iterator<Item = &'p str> {
    let plain = plan
        .namespaces
        .iter()
        .filter(|namespace| namespace.vrf.is_none());
    plain
        .map(|namespace| namespace.name.as_str())
        .filter(|name| scenario.is_router(name))
}

/// OSPF, then PIM, at both ends of every wire between routers.
fn adjacencies(scenario: &Scenario, plan: &Plan) -> Vec<Fact> {
    let ends = |wire: usize| {
        let wire = &plan.wires[wire];
        [(&wire.a, &wire.b), (&wire.b, &wire.a)]
    };
    let core = (0..plan.wires.len())
        .filter(|&wire| is_core(scenario, plan, wire, plan.wires[wire].a.node()));
    let core: Vec<usize> = core.collect();
    let ospf = core
        .iter()
        .flat_map(|&wire| ends(wire))
        .map(|(here, _)| Fact::OspfFull {
            namespace: here.namespace.clone(),
            interface: here.interface.clone(),
        });
    let pim = core
        .iter()
        .flat_map(|&wire| ends(wire))
        .map(|(here, there)| Fact::PimNeighbor {
            namespace: here.namespace.clone(),
            interface: here.interface.clone(),
            neighbor: there.address.address,
        });
    ospf.chain(pim).collect()
}

/// Every router knows the way to everything that another router announces besides the wires between them.
fn unicast(scenario: &Scenario, plan: &Plan) -> Vec<Fact> {
    let announced = announced(scenario, plan);
    backbone_routers(scenario, plan)
        .flat_map(|router| {
            let foreign = announced.iter().filter(move |(by, _)| by != router);
            foreign.map(move |(_, to)| Fact::Route {
                namespace: router.to_owned(),
                to: *to,
            })
        })
        .collect()
}

/// (router, prefix): loopbacks, VRF attachments, tunnels that are there, and the links of hosts and the monitor.
fn announced(scenario: &Scenario, plan: &Plan) -> Vec<(String, Cidr)> {
    let mut announced = Vec::new();
    for router in backbone_routers(scenario, plan) {
        let mut add = |prefix| announced.push((router.to_owned(), prefix));
        plan.namespace(router)
            .into_iter()
            .flat_map(|n| &n.loopback)
            .for_each(|loopback| add(*loopback));
        let leaves = plan
            .ends_in(router)
            .filter(|(wire, _)| !is_core(scenario, plan, *wire, router));
        leaves.for_each(|(_, end)| add(end.address.network()));
        let attached = plan
            .attachments
            .iter()
            .filter(|attachment| attachment.pe.namespace == router);
        attached.for_each(|attachment| add(attachment.pe.address.network()));
        let tunnels = plan
            .gre
            .iter()
            .filter(|gre| gre.end.namespace == router && gre.present);
        tunnels.for_each(|gre| add(gre.end.address.network()));
    }
    announced
}

fn rps(scenario: &Scenario, plan: &Plan) -> Vec<Fact> {
    let Some(rp) = backbone_rp(scenario, plan) else {
        return Vec::new();
    };
    backbone_routers(scenario, plan)
        .map(|router| Fact::RpKnown {
            namespace: router.to_owned(),
            rp,
        })
        .collect()
}

/// At every PE, the RP's tree of the default MDT reaches the VRF: whoever sends into it from now on is heard. troglobit's
/// pimd gives the kernel an entry only where there is a source.
fn shared_trees(scenario: &Scenario, plan: &Plan) -> Vec<Fact> {
    if scenario.backbone.routers == Suite::Pimd {
        return Vec::new();
    }
    let shared = plan.mvpns.iter().filter(|(_, mvpn)| !mvpn.ssm);
    let branch = |name: &str, mvpn: &MvpnPlan, pe: &str| Fact::Forwards {
        namespace: pe.to_owned(),
        source: None,
        group: mvpn.default_mdt,
        outgoing: vec![format!("vrf-{name}")],
    };
    shared
        .flat_map(|(name, mvpn)| {
            mvpn.sites
                .iter()
                .map(move |site| branch(name, mvpn, &site.pe))
        })
        .collect()
}

/// A group that a router joins itself is forwarded where it joins it.
fn static_joins(scenario: &Scenario, plan: &Plan) -> Vec<Fact> {
    let known = |router: &str| plan.namespace(router).is_some();
    let joins = scenario.joins.iter().filter(|join| known(&join.at));
    joins
        .map(|join| Fact::Forwards {
            namespace: join.at.clone(),
            source: None,
            group: join.group,
            outgoing: vec![format!("to-{}", join.toward)],
        })
        .collect()
}

/// At every PE, every other VRF's branch of the default MDT reaches the VRF.
fn mdt_trees(plan: &Plan) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (name, mvpn) in &plan.mvpns {
        for here in &mvpn.sites {
            facts.extend(
                mvpn.sites
                    .iter()
                    .filter(|there| there.pe != here.pe)
                    .map(|there| Fact::Forwards {
                        namespace: here.pe.clone(),
                        source: Some(there.mdt_source),
                        group: mvpn.default_mdt,
                        outgoing: vec![format!("vrf-{name}")],
                    }),
            );
        }
    }
    facts
}

/// The customers' PIM: over the MDT (which proves the MDT), towards CE routers, and the customer's RP.
fn customers(scenario: &Scenario, plan: &Plan) -> Vec<Fact> {
    let mut facts = Vec::new();
    let neighbor = |namespace: &str, interface: &str, neighbor: Ipv4Addr| Fact::PimNeighbor {
        namespace: namespace.to_owned(),
        interface: interface.to_owned(),
        neighbor,
    };
    for (name, mvpn) in &plan.mvpns {
        for here in &mvpn.sites {
            let others = mvpn.sites.iter().filter(|there| there.pe != here.pe);
            facts.extend(others.map(|there| neighbor(&here.vrf, "mdt", there.overlay)));
            facts.push(Fact::RpKnown {
                namespace: here.vrf.clone(),
                rp: mvpn.customer_rp,
            });
        }
        for wire in plan
            .wires
            .iter()
            .filter(|wire| wire.kind == WireKind::Customer { mvpn: name.clone() })
        {
            for (here, there) in [(&wire.a, &wire.b), (&wire.b, &wire.a)] {
                let (ce, vrf) = (here.node(), &there.namespace);
                if scenario.is_ce_router(ce) && plan.namespace(vrf).is_some_and(|n| n.vrf.is_some())
                {
                    facts.push(neighbor(ce, &here.interface, there.address.address));
                    facts.push(neighbor(vrf, &there.interface, here.address.address));
                    facts.push(Fact::RpKnown {
                        namespace: ce.to_owned(),
                        rp: mvpn.customer_rp,
                    });
                }
            }
        }
    }
    facts
}
