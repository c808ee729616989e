//! Namespaces, wires, devices, addresses, static routes.

use std::collections::BTreeMap;

use super::{
    Attachment, Cidr, End, GreDevice, GrePurpose, MonitorPlan, MvpnPlan, Namespace, Plan, Route,
    Site, TunnelPlan, Wire, WireKind, address,
};
use crate::scenario::{Mvpn, Role, Scenario};

/// TTL of what the routers' GRE devices send: far more than any backbone here has hops.
const TUNNEL_TTL: u8 = 64;

/// Everything but the routers' daemons and the facts.
pub(super) fn network(scenario: &Scenario) -> Plan {
    let wires = wires(scenario);
    let host = |name| monitor(name, &wires);
    let monitor = scenario.monitor_node().and_then(host);
    let peers: Vec<MonitorPlan> = scenario.peers().filter_map(host).collect();
    let tunnels = tunnels(scenario, monitor.as_ref(), &peers);
    let attachments = attachments(scenario);
    let mvpns = mvpns(scenario, &attachments);
    let mut plan = Plan {
        namespaces: namespaces(scenario, &tunnels),
        gre: gre_devices(&attachments, &mvpns, &tunnels),
        wires,
        attachments,
        routes: Vec::new(),
        routers: Vec::new(),
        mvpns,
        tunnels,
        monitor,
        peers,
        converged: Vec::new(),
    };
    plan.routes = routes(scenario, &plan);
    plan
}

/// `PE1.red`
pub(super) fn vrf_name(pe: &str, mvpn: &str) -> String {
    format!("{pe}.{mvpn}")
}

/// Index of a PE among an MVPN's, from 1: its place on the MDT, and the number of its site. Rogues come last.
pub(super) fn site_number(mvpn: &Mvpn, pe: &str) -> usize {
    mvpn.pes_and_rogues()
        .position(|other| other == pe)
        .map_or(0, |index| index + 1)
}

fn namespaces(scenario: &Scenario, tunnels: &[TunnelPlan]) -> Vec<Namespace> {
    let mut namespaces = Vec::new();
    let mut routers = 0;
    for (name, node) in &scenario.nodes {
        let mut loopback = Vec::new();
        if scenario.is_router(name) {
            routers += 1;
            loopback.push(address::loopback(routers));
            let here = tunnels.iter().filter(|tunnel| tunnel.at == *name);
            loopback.extend(here.map(|tunnel| address::tunnel_outer(tunnel.id as usize)));
        }
        namespaces.push(Namespace {
            name: name.clone(),
            node: name.clone(),
            role: node.role,
            vrf: None,
            loopback,
            forwards: scenario.is_router(name) || scenario.is_ce_router(name),
        });
        let mvpns = (1..).zip(&scenario.mvpns);
        for (number, (mvpn, customer)) in
            mvpns.filter(|(_, (_, mvpn))| mvpn.pes_and_rogues().any(|pe| pe == name))
        {
            let is_rp = customer.rp_pe() == Some(name.as_str());
            namespaces.push(Namespace {
                name: vrf_name(name, mvpn),
                node: name.clone(),
                role: node.role,
                vrf: Some(mvpn.clone()),
                loopback: is_rp
                    .then(|| address::customer_rp(number))
                    .into_iter()
                    .collect(),
                forwards: true,
            });
        }
    }
    namespaces
}

fn wires(scenario: &Scenario) -> Vec<Wire> {
    let mut hosts_behind = BTreeMap::new();
    let links = scenario.links.iter().enumerate();
    links
        .filter_map(|(number, link)| {
            let (a, b) = link.nodes()?;
            let customer = customer_of(scenario, a, b);
            let (address_a, address_b) = match &customer {
                Some(customer) => customer.addresses(a, &mut hosts_behind),
                None => (address::wire(number).a, address::wire(number).b),
            };
            let end = |node: &str, peer: &str, address| End {
                namespace: match &customer {
                    // A customer's wire ends in the PE's VRF, not in the PE.
                    Some(customer) if customer.pe == node => vrf_name(node, customer.mvpn),
                    Some(_) | None => node.to_owned(),
                },
                interface: format!("to-{peer}"),
                address,
            };
            Some(Wire {
                name: link.ends.clone(),
                a: end(a, b, address_a),
                b: end(b, a, address_b),
                kind: match customer {
                    Some(customer) => WireKind::Customer {
                        mvpn: customer.mvpn.to_owned(),
                    },
                    None if [a, b]
                        .iter()
                        .any(|node| scenario.role(node) == Some(Role::Monitor)) =>
                    {
                        WireKind::Monitor
                    }
                    None => WireKind::Backbone,
                },
            })
        })
        .collect()
}

/// The customer to whom a link with a CE belongs.
struct Customer<'s> {
    mvpn: &'s str,
    pe: &'s str,
    ce: &'s str,
    site: usize,
    /// Towards the PE, or else towards a host.
    to_pe: bool,
}

fn customer_of<'s>(scenario: &'s Scenario, a: &'s str, b: &'s str) -> Option<Customer<'s>> {
    let (ce, peer) = if scenario.role(a)? == Role::Ce {
        (a, b)
    } else {
        (b, a)
    };
    let (mvpn, pe) = scenario.site_of_ce(ce)?;
    let site = site_number(scenario.mvpns.get(mvpn)?, pe);
    Some(Customer {
        mvpn,
        pe,
        ce,
        site,
        to_pe: peer == pe,
    })
}

impl<'s> Customer<'s> {
    /// Addresses of the link's ends, `a` being the first: the end nearer to the PE has the lower one.
    fn addresses(&self, a: &str, hosts_behind: &mut BTreeMap<&'s str, usize>) -> (Cidr, Cidr) {
        let (link, inner) = if self.to_pe {
            (0, self.pe)
        } else {
            let hosts = hosts_behind.entry(self.ce).or_default();
            *hosts += 1;
            (*hosts, self.ce)
        };
        let pair = address::site_link(self.site, link);
        if a == inner {
            (pair.a, pair.b)
        } else {
            (pair.b, pair.a)
        }
    }
}

fn attachments(scenario: &Scenario) -> Vec<Attachment> {
    let mvpns = || scenario.mvpns.iter();
    let vrfs = mvpns().flat_map(|(name, mvpn)| mvpn.pes().into_iter().map(move |pe| (name, pe)));
    let rogues =
        mvpns().flat_map(|(name, mvpn)| mvpn.rogues.iter().map(move |pe| (name, pe.as_str())));
    vrfs.chain(rogues)
        .enumerate()
        .map(|(number, (mvpn, pe))| {
            let pair = address::attachment(number);
            Attachment {
                pe: End {
                    namespace: pe.to_owned(),
                    interface: format!("vrf-{mvpn}"),
                    address: pair.a,
                },
                vrf: End {
                    namespace: vrf_name(pe, mvpn),
                    interface: "core".to_owned(),
                    address: pair.b,
                },
            }
        })
        .collect()
}

fn mvpns(scenario: &Scenario, attachments: &[Attachment]) -> BTreeMap<String, MvpnPlan> {
    let mut plans = BTreeMap::new();
    for (index, (name, mvpn)) in scenario.mvpns.iter().enumerate() {
        let overlay = |pe: &str| address::overlay(index + 1, site_number(mvpn, pe)).address;
        let site = |pe: &str| {
            let vrf = vrf_name(pe, name);
            let core = &attachments
                .iter()
                .find(|attachment| attachment.vrf.namespace == vrf)?
                .vrf;
            Some(Site {
                pe: pe.to_owned(),
                ce: mvpn.sites.get(pe).cloned(),
                overlay: overlay(pe),
                mdt_source: core.address.address,
                vrf,
            })
        };
        let plan = MvpnPlan {
            default_mdt: mvpn.default_mdt,
            ssm: mvpn.ssm(),
            customer_rp: address::customer_rp(index + 1).address,
            sites: mvpn.pes().into_iter().filter_map(site).collect(),
            rogues: mvpn.rogues.iter().filter_map(|pe| site(pe)).collect(),
        };
        plans.insert(name.clone(), plan);
    }
    plans
}

fn monitor(node: &str, wires: &[Wire]) -> Option<MonitorPlan> {
    let (wire, end) = wires.iter().enumerate().find_map(|(number, wire)| {
        let side = wire.side_of(node)?;
        Some((number, wire.end(side)))
    })?;
    Some(MonitorPlan {
        namespace: node.to_owned(),
        interface: end.interface.clone(),
        address: end.address.address,
        wire,
    })
}

/// Ids count through all hosts: an address belongs to one tunnel wherever that ends.
fn tunnels(
    scenario: &Scenario,
    monitor: Option<&MonitorPlan>,
    peers: &[MonitorPlan],
) -> Vec<TunnelPlan> {
    let expanded = scenario.tunnels.iter().flat_map(|tunnel| {
        tunnel
            .expanded()
            .into_iter()
            .map(move |name| (tunnel, name))
    });
    (1u32..)
        .zip(expanded)
        .filter_map(|(id, (tunnel, name))| {
            let inner = address::tunnel_inner(id as usize);
            let host = scenario.host_of(tunnel)?;
            let peer = peers.iter().find(|peer| peer.namespace == host);
            Some(TunnelPlan {
                id,
                name,
                at: tunnel.at.clone(),
                router_outer: address::tunnel_outer(id as usize).address,
                monitor_outer: peer.or(monitor)?.address,
                router_inner: inner.a.address,
                monitor_inner: inner.b.address,
                key: tunnel.key,
                igmp: tunnel.igmp,
                present: tunnel.present,
                peer: peer.map(|peer| peer.namespace.clone()),
            })
        })
        .collect()
}

fn gre_devices(
    attachments: &[Attachment],
    mvpns: &BTreeMap<String, MvpnPlan>,
    tunnels: &[TunnelPlan],
) -> Vec<GreDevice> {
    let mut devices = Vec::new();
    for (name, mvpn) in mvpns {
        let own = mvpn.sites.iter().map(|site| (site, true));
        let rogues = mvpn.rogues.iter().map(|site| (site, false));
        for (site, present) in own.chain(rogues) {
            let address = Cidr {
                address: site.overlay,
                prefix: 24,
            };
            let core = attachments
                .iter()
                .find(|attachment| attachment.vrf.namespace == site.vrf);
            devices.push(GreDevice {
                end: End {
                    namespace: site.vrf.clone(),
                    interface: "mdt".to_owned(),
                    address,
                },
                local: site.mdt_source,
                remote: mvpn.default_mdt,
                underlay: core.map(|attachment| attachment.vrf.interface.clone()),
                key: None, // RFC 6037 section 4.7: the group alone identifies the MVPN
                ttl: TUNNEL_TTL,
                purpose: GrePurpose::DefaultMdt { mvpn: name.clone() },
                present,
            });
        }
    }
    devices.extend(tunnels.iter().map(|tunnel| GreDevice {
        end: End {
            namespace: tunnel.at.clone(),
            interface: format!("tun-{}", tunnel.name),
            address: Cidr {
                address: tunnel.router_inner,
                prefix: 30,
            },
        },
        local: tunnel.router_outer,
        remote: tunnel.monitor_outer,
        underlay: None,
        key: tunnel.key,
        ttl: TUNNEL_TTL,
        purpose: GrePurpose::MonitorTunnel {
            tunnel: tunnel.name.clone(),
        },
        present: tunnel.present,
    }));
    devices
}

/// Default routes of what runs no OSPF; in the VRFs, the other sites over the MDT, and what lies behind a CE router.
fn routes(scenario: &Scenario, plan: &Plan) -> Vec<Route> {
    let mut routes = Vec::new();
    for namespace in &plan.namespaces {
        match (namespace.role, &namespace.vrf) {
            (Role::Ce | Role::Host | Role::Monitor, _) => {
                let first = plan
                    .wires
                    .iter()
                    .find_map(|wire| Some((wire, wire.side_of(&namespace.name)?)));
                if let Some((wire, side)) = upstream(scenario, plan, &namespace.name).or(first) {
                    let via = wire.end(1 - side).address.address;
                    routes.push(Route {
                        namespace: namespace.name.clone(),
                        to: address::DEFAULT,
                        via,
                    });
                }
            }
            (Role::P | Role::Pe, Some(mvpn)) => {
                routes.extend(vrf_routes(scenario, plan, &namespace.name, mvpn))
            }
            (Role::P | Role::Pe, None) => {}
        }
    }
    routes
}

/// A CE's wire to its PE, and which side of it the CE is.
fn upstream<'p>(scenario: &Scenario, plan: &'p Plan, ce: &str) -> Option<(&'p Wire, usize)> {
    let (_, pe) = scenario.site_of_ce(ce)?;
    plan.wires.iter().find_map(|wire| {
        wire.side_of(pe)?;
        Some((wire, wire.side_of(ce)?))
    })
}

fn vrf_routes(scenario: &Scenario, plan: &Plan, vrf: &str, name: &str) -> Vec<Route> {
    let Some(mvpn) = plan.mvpns.get(name) else {
        return Vec::new();
    };
    let route = |to, via| Route {
        namespace: vrf.to_owned(),
        to,
        via,
    };
    let mut routes = Vec::new();
    let rp_pe = scenario.mvpns.get(name).and_then(Mvpn::rp_pe);
    let rp_site = mvpn
        .sites
        .iter()
        .find(|site| Some(site.pe.as_str()) == rp_pe);
    if let Some(site) = rp_site.filter(|site| site.vrf != vrf) {
        let rp = Cidr {
            address: mvpn.customer_rp,
            prefix: 32,
        };
        routes.push(route(rp, site.overlay));
    }
    for (number, site) in (1..).zip(&mvpn.sites) {
        let Some(ce) = &site.ce else { continue };
        if site.vrf != vrf {
            routes.push(route(address::site(number), site.overlay));
        } else if scenario.is_ce_router(ce)
            && let Some((wire, side)) = upstream(scenario, plan, ce)
        {
            routes.push(route(address::site(number), wire.end(side).address.address));
        }
    }
    routes
}
