//! From a scenario to everything that must be built: namespaces, wires, devices, addresses, router
//! configurations, and how it looks when it has converged. Pure, and snapshot-tested.
//!
//! `Plan::of(&Scenario)` depends only on what shapes the *topology* (nodes, links, MVPNs, tunnels, backbone),
//! never on impairments, timeline or monitor: a converged lab can be kept warm and shared by all scenarios and
//! seeds with the same plan. The plan is carried into the lab as JSON.

mod address;
mod build;
mod describe;
mod facts;
mod lookup;
mod routers;

use std::{collections::BTreeMap, net::Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::scenario::{Role, Scenario, Suite};

impl Plan {
    /// Plans a scenario that [`Scenario::parse`] has accepted. Total: what an unchecked scenario refers to in vain is left out.
    pub fn of(scenario: &Scenario) -> Self {
        let mut plan = build::network(scenario);
        plan.routers = routers::routers(scenario, &plan);
        plan.converged = facts::facts(scenario, &plan);
        plan
    }
}

/// An IPv4 address with its prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cidr {
    /// The interface's own address.
    pub address: Ipv4Addr,
    /// Prefix length.
    pub prefix: u8,
}

impl Cidr {
    /// The network that the address lies in.
    pub fn network(self) -> Cidr {
        Cidr {
            address: Ipv4Addr::from_bits(self.address.to_bits() & self.mask()),
            prefix: self.prefix,
        }
    }

    /// Whether another address lies in the same network.
    pub fn contains(self, other: Ipv4Addr) -> bool {
        (self.address.to_bits() ^ other.to_bits()) & self.mask() == 0
    }

    fn mask(self) -> u32 {
        u32::MAX
            .checked_shl(32 - u32::from(self.prefix.min(32)))
            .unwrap_or(0)
    }
}

/// Everything that is built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Network namespaces of nodes and VRFs (the wire room is not listed).
    pub namespaces: Vec<Namespace>,
    /// Links, in the order of the scenario; the index is the wire's number.
    pub wires: Vec<Wire>,
    /// PE to VRF attachments: plain veth pairs, not impaired, not tapped.
    pub attachments: Vec<Attachment>,
    /// Kernel GRE devices.
    pub gre: Vec<GreDevice>,
    /// Static routes.
    pub routes: Vec<Route>,
    /// Routing daemons.
    pub routers: Vec<Router>,
    /// MVPNs by name.
    pub mvpns: BTreeMap<String, MvpnPlan>,
    /// Tunnels of the monitor, by expanded name, in id order (ids count from 1).
    pub tunnels: Vec<TunnelPlan>,
    /// The attachment of the monitor under test; None when no node has that role.
    pub monitor: Option<MonitorPlan>,
    /// Those of its peers, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<MonitorPlan>,
    /// Facts that the routers must report before the lab counts as converged.
    pub converged: Vec<Fact>,
}

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Namespace {
    /// Node name, or `PE1.red` for a VRF.
    pub name: String,
    /// The node that it belongs to.
    pub node: String,
    /// Role of that node.
    pub role: Role,
    /// VRF's MVPN.
    pub vrf: Option<String>,
    /// Addresses on `lo` besides 127.0.0.1 (router id first).
    pub loopback: Vec<Cidr>,
    /// IP forwarding on, rp_filter off.
    pub forwards: bool,
}

/// One end of a wire or attachment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Namespace.
    pub namespace: String,
    /// Interface name there.
    pub interface: String,
    /// Its address.
    pub address: Cidr,
}

/// A link through the wire room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wire {
    /// `"PE1-P"`, as the scenario wrote it.
    pub name: String,
    /// First end; its wire-room device is `w<number>a`.
    pub a: End,
    /// Second end; `w<number>b`.
    pub b: End,
    /// What kind of traffic it carries.
    pub kind: WireKind,
}

/// Which domain a wire belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WireKind {
    /// Between backbone routers, or to a host on the backbone.
    Backbone,
    /// To the monitor.
    Monitor,
    /// In a customer's domain (VRF to CE, CE to host).
    Customer {
        /// Which MVPN's customer.
        mvpn: String,
    },
}

/// A VRF's attachment to its PE.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// In the PE: `vrf-red`.
    pub pe: End,
    /// In the VRF: `core`.
    pub vrf: End,
}

/// What a GRE device is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GrePurpose {
    /// A VRF's end of a default MDT.
    DefaultMdt {
        /// Which MVPN.
        mvpn: String,
    },
    /// The router's end of a monitor tunnel.
    MonitorTunnel {
        /// Expanded tunnel name.
        tunnel: String,
    },
}

/// A kernel GRE device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GreDevice {
    /// Namespace, device name, inner address.
    pub end: End,
    /// Outer source.
    pub local: Ipv4Addr,
    /// Outer destination: the monitor, or a default MDT's group.
    pub remote: Ipv4Addr,
    /// Underlay device (needed for a group).
    pub underlay: Option<String>,
    /// GRE key, both directions.
    pub key: Option<u32>,
    /// Outer TTL.
    pub ttl: u8,
    /// What for.
    pub purpose: GrePurpose,
    /// Built at the start (false: added by the timeline).
    pub present: bool,
}

/// A static route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Namespace.
    pub namespace: String,
    /// Destination; 0.0.0.0/0 is the default route.
    pub to: Cidr,
    /// Next hop.
    pub via: Ipv4Addr,
}

/// The daemons of one namespace. Configuration texts are complete: what is here is what runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Router {
    /// Namespace.
    pub namespace: String,
    /// Whose PIM.
    pub suite: Suite,
    /// Daemons in start order.
    pub daemons: Vec<Daemon>,
}

/// One routing daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Daemon {
    /// Which program.
    pub program: DaemonProgram,
    /// Its configuration file.
    pub config: String,
}

/// The programs that the lab knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DaemonProgram {
    /// FRR zebra.
    Zebra,
    /// FRR ospfd.
    Ospfd,
    /// FRR pimd.
    FrrPimd,
    /// troglobit pimd.
    Pimd,
}

/// An MVPN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MvpnPlan {
    /// Its backbone group.
    pub default_mdt: Ipv4Addr,
    /// In 232.0.0.0/8.
    pub ssm: bool,
    /// The customer's RP: a loopback address of one of its VRFs.
    pub customer_rp: Ipv4Addr,
    /// Sites, in PE name order.
    pub sites: Vec<Site>,
    /// PEs that do not belong to it: their VRFs have everything but routers that run and a device on the MDT.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rogues: Vec<Site>,
}

/// A site of an MVPN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// PE.
    pub pe: String,
    /// VRF namespace.
    pub vrf: String,
    /// CE node; None: the PE takes part in the MDT, and no customer is there.
    pub ce: Option<String>,
    /// The VRF's address on the MDT, by which the other VRFs know it.
    pub overlay: Ipv4Addr,
    /// Outer source of what this site sends on the MDT.
    pub mdt_source: Ipv4Addr,
}

/// A tunnel of the monitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TunnelPlan {
    /// Id given to the monitor, from 1.
    pub id: u32,
    /// Expanded name.
    pub name: String,
    /// Router.
    pub at: String,
    /// Outer address at the router.
    pub router_outer: Ipv4Addr,
    /// Outer address at the monitor.
    pub monitor_outer: Ipv4Addr,
    /// Inner address at the router.
    pub router_inner: Ipv4Addr,
    /// Inner address at the monitor; the source of its probes.
    pub monitor_inner: Ipv4Addr,
    /// GRE key.
    pub key: Option<u32>,
    /// IGMP version on it.
    pub igmp: u8,
    /// There from the start.
    pub present: bool,
    /// The peer where it ends; None: the monitor under test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

/// Where a monitor sits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MonitorPlan {
    /// Namespace.
    pub namespace: String,
    /// Its one interface.
    pub interface: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Number of its wire.
    pub wire: usize,
}

/// Something a router must say of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    /// OSPF neighbour full.
    OspfFull {
        /// Asked namespace.
        namespace: String,
        /// Over this interface.
        interface: String,
    },
    /// Unicast route present in the kernel.
    Route {
        /// Asked namespace.
        namespace: String,
        /// To this prefix.
        to: Cidr,
    },
    /// PIM neighbour up.
    PimNeighbor {
        /// Asked namespace.
        namespace: String,
        /// On this interface.
        interface: String,
        /// Its address.
        neighbor: Ipv4Addr,
    },
    /// RP known and reachable.
    RpKnown {
        /// Asked namespace.
        namespace: String,
        /// RP address.
        rp: Ipv4Addr,
    },
    /// A kernel forwarding entry (source, group) that sends out of all these interfaces.
    Forwards {
        /// Asked namespace.
        namespace: String,
        /// None: (*,G) or any source.
        source: Option<Ipv4Addr>,
        /// Group.
        group: Ipv4Addr,
        /// Outgoing interfaces that must be listed.
        outgoing: Vec<String>,
    },
}
