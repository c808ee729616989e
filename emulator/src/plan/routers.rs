//! What each router must know, and its daemons' configurations.

use std::net::Ipv4Addr;

use super::{Cidr, GrePurpose, Namespace, Plan, Router, WireKind};
use crate::{
    router::{InterfaceInput, InterfaceKind, JoinInput, RouterInput, RpInput, Timers, render},
    scenario::{Role, Scenario, Suite},
};

/// Groups that the backbone's static RP serves.
const RP_GROUPS: [Cidr; 2] = [
    Cidr {
        address: Ipv4Addr::new(239, 0, 0, 0),
        prefix: 8,
    },
    Cidr {
        address: Ipv4Addr::new(224, 1, 0, 0),
        prefix: 16,
    },
];

/// A customer's RP serves whatever is not SSM.
const CUSTOMER_GROUPS: [Cidr; 1] = [Cidr {
    address: Ipv4Addr::new(224, 0, 0, 0),
    prefix: 4,
}];

/// The daemons of every namespace that has some, in the namespaces' order.
pub(super) fn routers(scenario: &Scenario, plan: &Plan) -> Vec<Router> {
    let inputs = plan
        .namespaces
        .iter()
        .filter_map(|namespace| input(scenario, plan, namespace));
    inputs
        .map(|input| Router {
            namespace: input.hostname.clone(),
            suite: input.suite,
            daemons: render(&input),
        })
        .collect()
}

/// The backbone RP's address. FRR takes its loopback, which survives any one link. troglobit's pimd knows only
/// addresses of interfaces that PIM runs on, so there it is that of the RP's first wire.
pub(super) fn backbone_rp(scenario: &Scenario, plan: &Plan) -> Option<Ipv4Addr> {
    let rp = plan.namespace(scenario.backbone.rp.as_deref()?)?;
    let first_core = || {
        plan.ends_in(&rp.name)
            .find(|(wire, end)| is_core(scenario, plan, *wire, end.node()))
    };
    match scenario.backbone.routers {
        Suite::Frr => rp.loopback.first().map(|loopback| loopback.address),
        Suite::Pimd => first_core().map(|(_, end)| end.address.address),
    }
}

/// A wire between two routers of the backbone.
pub(super) fn is_core(scenario: &Scenario, plan: &Plan, wire: usize, node: &str) -> bool {
    let wire = &plan.wires[wire];
    let ends_here = wire.side_of(node).is_some();
    let between_routers = [&wire.a, &wire.b].map(|end| scenario.is_router(end.node())) == [true; 2];
    wire.kind == WireKind::Backbone && ends_here && between_routers
}

fn input(scenario: &Scenario, plan: &Plan, namespace: &Namespace) -> Option<RouterInput> {
    let backbone = &scenario.backbone;
    let timers = Timers {
        ospf_hello: backbone.ospf_hello,
        pim_hello: backbone.pim_hello,
        pim_join_prune: backbone.pim_join_prune,
        igmp_query: backbone.igmp_query,
    };
    let router = |suite, router_id, interfaces, rps, joins| RouterInput {
        hostname: namespace.name.clone(),
        router_id,
        suite,
        interfaces,
        rps,
        joins,
        timers,
    };
    match (namespace.role, &namespace.vrf) {
        (Role::P | Role::Pe, None) => {
            let rps = backbone_rp(scenario, plan).map(|address| RpInput {
                address,
                groups: RP_GROUPS.to_vec(),
            });
            let router_id = namespace.loopback.first().map(|loopback| loopback.address);
            let interfaces = backbone_interfaces(scenario, plan, namespace);
            Some(router(
                backbone.routers,
                router_id,
                interfaces,
                rps.into_iter().collect(),
                joins(scenario, plan, namespace),
            ))
        }
        (Role::P | Role::Pe, Some(mvpn)) => Some(router(
            Suite::Frr,
            None,
            vrf_interfaces(plan, namespace),
            customer_rp(plan, mvpn),
            Vec::new(),
        )),
        (Role::Ce, _) if namespace.forwards => {
            let (mvpn, _) = scenario.site_of_ce(&namespace.name)?;
            let interfaces = wire_interfaces(plan, namespace, |_| InterfaceKind::Customer);
            Some(router(
                Suite::Frr,
                None,
                interfaces,
                customer_rp(plan, mvpn),
                Vec::new(),
            ))
        }
        (Role::Ce | Role::Host | Role::Monitor, _) => None,
    }
}

fn customer_rp(plan: &Plan, mvpn: &str) -> Vec<RpInput> {
    let address = plan.mvpns.get(mvpn).map(|mvpn| mvpn.customer_rp);
    address
        .map(|address| RpInput {
            address,
            groups: CUSTOMER_GROUPS.to_vec(),
        })
        .into_iter()
        .collect()
}

fn backbone_interfaces(
    scenario: &Scenario,
    plan: &Plan,
    namespace: &Namespace,
) -> Vec<InterfaceInput> {
    let name = namespace.name.as_str();
    let mut interfaces = vec![interface(
        "lo",
        InterfaceKind::Loopback,
        namespace.loopback.clone(),
    )];
    interfaces.extend(wire_interfaces(plan, namespace, |wire| {
        match plan.wires[wire].kind {
            WireKind::Monitor => InterfaceKind::MonitorLink,
            WireKind::Backbone | WireKind::Customer { .. }
                if is_core(scenario, plan, wire, name) =>
            {
                InterfaceKind::Core
            }
            WireKind::Backbone | WireKind::Customer { .. } => InterfaceKind::HostLink,
        }
    }));
    for interface in &mut interfaces {
        let link = scenario.links.iter().find(|link| {
            link.peer_of(name)
                .is_some_and(|peer| interface.name == format!("to-{peer}"))
        });
        interface.cost = link.and_then(|link| link.cost);
    }
    let attachments = plan
        .attachments
        .iter()
        .filter(|attachment| attachment.pe.namespace == name);
    interfaces.extend(attachments.map(|attachment| {
        interface(
            &attachment.pe.interface,
            InterfaceKind::VrfAttachment,
            vec![attachment.pe.address],
        )
    }));
    // Also those that the timeline adds later: the configuration waits for them.
    interfaces.extend(
        plan.tunnels
            .iter()
            .filter(|tunnel| tunnel.at == name)
            .filter_map(|tunnel| {
                let device = plan.tunnel_device(&tunnel.name)?;
                let kind = InterfaceKind::MonitorTunnel { igmp: tunnel.igmp };
                Some(interface(
                    &device.end.interface,
                    kind,
                    vec![device.end.address],
                ))
            }),
    );
    interfaces
}

fn vrf_interfaces(plan: &Plan, namespace: &Namespace) -> Vec<InterfaceInput> {
    let mut interfaces = Vec::new();
    if !namespace.loopback.is_empty() {
        interfaces.push(interface(
            "lo",
            InterfaceKind::Loopback,
            namespace.loopback.clone(),
        ));
    }
    if let Some(attachment) = plan.attachment(&namespace.name) {
        interfaces.push(interface(
            "core",
            InterfaceKind::Silent,
            vec![attachment.vrf.address],
        ));
    }
    let mdt = plan
        .gre
        .iter()
        .filter(|gre| gre.end.namespace == namespace.name);
    interfaces.extend(
        mdt.filter(|gre| matches!(gre.purpose, GrePurpose::DefaultMdt { .. }))
            .map(|gre| {
                interface(
                    &gre.end.interface,
                    InterfaceKind::Mdt,
                    vec![gre.end.address],
                )
            }),
    );
    interfaces.extend(wire_interfaces(plan, namespace, |_| {
        InterfaceKind::Customer
    }));
    interfaces
}

fn wire_interfaces(
    plan: &Plan,
    namespace: &Namespace,
    kind: impl Fn(usize) -> InterfaceKind,
) -> Vec<InterfaceInput> {
    plan.ends_in(&namespace.name)
        .map(|(wire, end)| interface(&end.interface, kind(wire), vec![end.address]))
        .collect()
}

fn interface(name: &str, kind: InterfaceKind, addresses: Vec<Cidr>) -> InterfaceInput {
    InterfaceInput {
        name: name.to_owned(),
        kind,
        addresses,
        cost: None,
    }
}

/// What the scenario has a router join. An SSM default MDT, too, is joined by the PE itself, for each other VRF (the VRF's
/// GRE device can only join without source).
fn joins(scenario: &Scenario, plan: &Plan, namespace: &Namespace) -> Vec<JoinInput> {
    let own = scenario
        .joins
        .iter()
        .filter(|join| join.at == namespace.name);
    let mut joins: Vec<JoinInput> = own
        .map(|join| JoinInput {
            interface: format!("to-{}", join.toward),
            group: join.group,
            source: None,
        })
        .collect();
    for (name, mvpn) in plan.mvpns.iter().filter(|(_, mvpn)| mvpn.ssm) {
        if !mvpn.sites.iter().any(|site| site.pe == namespace.name) {
            continue;
        }
        joins.extend(
            mvpn.sites
                .iter()
                .filter(|site| site.pe != namespace.name)
                .map(|site| JoinInput {
                    interface: format!("vrf-{name}"),
                    group: mvpn.default_mdt,
                    source: Some(site.mdt_source),
                }),
        );
    }
    joins
}
