//! Questions that readers of a plan ask.

use std::{fmt, net::Ipv4Addr};

use super::{
    Attachment, Cidr, End, Fact, GreDevice, GrePurpose, Namespace, Plan, TunnelPlan, Wire,
};
use crate::scenario::Role;

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl End {
    /// The scenario's node: `PE1` for the namespace `PE1.red`.
    pub fn node(&self) -> &str {
        self.namespace.split('.').next().unwrap_or(&self.namespace)
    }
}

impl Wire {
    /// This node's end, when it has one: 0 for `a`, 1 for `b`.
    pub fn side_of(&self, node: &str) -> Option<usize> {
        [&self.a, &self.b]
            .into_iter()
            .position(|end| end.node() == node)
    }

    /// The end on this side: 0 for `a`, else `b`.
    pub fn end(&self, side: usize) -> &End {
        if side == 0 { &self.a } else { &self.b }
    }
}

impl Fact {
    /// The namespace that it is about.
    pub fn namespace(&self) -> &str {
        match self {
            Fact::OspfFull { namespace, .. }
            | Fact::Route { namespace, .. }
            | Fact::PimNeighbor { namespace, .. }
            | Fact::RpKnown { namespace, .. }
            | Fact::Forwards { namespace, .. } => namespace,
        }
    }

    /// Whether it can only hold once somebody sends.
    pub fn needs_a_source(&self) -> bool {
        matches!(
            self,
            Fact::Forwards {
                source: Some(_),
                ..
            }
        )
    }
}

impl Plan {
    /// Whether a namespace is a router of the backbone: no VRF, no customer.
    pub fn is_backbone(&self, namespace: &str) -> bool {
        self.namespace(namespace)
            .is_some_and(|n| n.vrf.is_none() && matches!(n.role, Role::P | Role::Pe))
    }

    /// A wire and its number, by the link's `ends`.
    pub fn wire(&self, name: &str) -> Option<(usize, &Wire)> {
        self.wires
            .iter()
            .enumerate()
            .find(|(_, wire)| wire.name == name)
    }

    /// Tunnels of the monitor under test.
    pub fn own_tunnels(&self) -> impl Iterator<Item = &TunnelPlan> {
        self.tunnels.iter().filter(|tunnel| tunnel.peer.is_none())
    }

    /// Tunnels of one of its peers.
    pub fn tunnels_of_peer<'a>(&'a self, peer: &'a str) -> impl Iterator<Item = &'a TunnelPlan> {
        let own = move |tunnel: &&TunnelPlan| tunnel.peer.as_deref() == Some(peer);
        self.tunnels.iter().filter(own)
    }

    /// A tunnel by its expanded name.
    pub fn tunnel(&self, name: &str) -> Option<&TunnelPlan> {
        self.tunnels.iter().find(|tunnel| tunnel.name == name)
    }

    /// A namespace by its name.
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces
            .iter()
            .find(|namespace| namespace.name == name)
    }

    /// The router's end of a monitor tunnel.
    pub fn tunnel_device(&self, name: &str) -> Option<&GreDevice> {
        self.gre.iter().find(
            |gre| matches!(&gre.purpose, GrePurpose::MonitorTunnel { tunnel } if tunnel == name),
        )
    }

    /// A PE's attachment of an MVPN's VRF.
    pub fn attachment(&self, vrf: &str) -> Option<&Attachment> {
        self.attachments
            .iter()
            .find(|attachment| attachment.vrf.namespace == vrf)
    }

    /// A VRF's end of its default MDT.
    pub fn mdt_device(&self, vrf: &str) -> Option<&GreDevice> {
        self.gre.iter().find(|gre| {
            gre.end.namespace == vrf && matches!(gre.purpose, GrePurpose::DefaultMdt { .. })
        })
    }

    /// The VRF of a PE that does not belong to its MVPN.
    pub fn is_rogue(&self, vrf: &str) -> bool {
        let mut rogues = self.mvpns.values().flat_map(|mvpn| &mvpn.rogues);
        rogues.any(|rogue| rogue.vrf == vrf)
    }

    /// A PE's VRF of an MVPN, rightly or not.
    pub fn vrf(&self, mvpn: &str, pe: &str) -> Option<&str> {
        let mvpn = self.mvpns.get(mvpn)?;
        let mut sites = mvpn.sites.iter().chain(&mvpn.rogues);
        sites
            .find(|site| site.pe == pe)
            .map(|site| site.vrf.as_str())
    }

    /// Ends of wires in a namespace, with the wires' numbers, in order.
    pub fn ends_in<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = (usize, &'a End)> {
        self.wires
            .iter()
            .enumerate()
            .flat_map(|(number, wire)| [(number, &wire.a), (number, &wire.b)])
            .filter(move |(_, end)| end.namespace == namespace)
    }

    /// The address by which a router of the backbone is known: its first loopback address.
    pub fn address_of_router(&self, node: &str) -> Option<Ipv4Addr> {
        let loopback = self.namespace(node)?.loopback.first();
        loopback.map(|loopback| loopback.address)
    }

    /// The address by which an end station (CE, host, monitor) is known: that of its first wire.
    pub fn address_of(&self, node: &str) -> Option<Ipv4Addr> {
        self.ends_in(node)
            .next()
            .map(|(_, end)| end.address.address)
    }
}
