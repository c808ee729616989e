//! A ring of plain routers, by hand: what a kernel without netem and GRE can build too.

use std::{collections::BTreeMap, net::Ipv4Addr};

use mvpnlab_emulator::{
    plan::{Attachment, Cidr, End, Namespace, Plan, Wire, WireKind},
    scenario::Role,
};

/// How neighbours are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// As every link of a lab: two veth pairs that meet in the wire room.
    Wires,
    /// As a VRF is attached to its PE: one veth pair.
    Pairs,
}

/// `R0 - R1 - ... - R0`: as many links as routers.
///
/// Link n is 10.n/24's (two bytes of n) first /30; `R<n>` is .1 there and its neighbour .2.
pub fn ring(routers: u16, links: Links) -> Plan {
    let ends = (0..routers).map(|number| {
        let next = (number + 1) % routers;
        (end(number, "next", number, 1), end(next, "last", number, 2))
    });
    let mut plan = Plan {
        namespaces: (0..routers).map(router).collect(),
        wires: Vec::new(),
        attachments: Vec::new(),
        gre: Vec::new(),
        routes: Vec::new(),
        routers: Vec::new(),
        mvpns: BTreeMap::new(),
        tunnels: Vec::new(),
        monitor: None,
        peers: Vec::new(),
        converged: Vec::new(),
    };
    match links {
        Links::Wires => plan.wires = ends.map(|(a, b)| wire(a, b)).collect(),
        Links::Pairs => plan.attachments = ends.map(|(pe, vrf)| Attachment { pe, vrf }).collect(),
    }
    plan
}

fn router(number: u16) -> Namespace {
    Namespace {
        name: format!("R{number}"),
        node: format!("R{number}"),
        role: Role::P,
        vrf: None,
        loopback: Vec::new(),
        forwards: true,
    }
}

fn wire(a: End, b: End) -> Wire {
    Wire {
        name: format!("{}-{}", a.namespace, b.namespace),
        a,
        b,
        kind: WireKind::Backbone,
    }
}

fn end(router: u16, interface: &str, link: u16, host: u8) -> End {
    let [high, low] = link.to_be_bytes();
    End {
        namespace: format!("R{router}"),
        interface: interface.to_owned(),
        address: Cidr {
            address: Ipv4Addr::new(10, high, low, host),
            prefix: 30,
        },
    }
}
