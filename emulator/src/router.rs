//! Routing daemons: their configuration (pure), and the running side of them.
//!
//! [`render`] turns what a namespace's router must know into complete configuration files; the running side
//! starts those files, asks the daemons for their state over their own sockets and compares it with a plan's facts.

pub mod converge;
pub mod daemon;
pub mod frr;
mod join;
pub mod pimd;
pub mod state;
pub mod vty;

pub use state::OnInterface;

use std::net::Ipv4Addr;

use crate::{
    plan::{Cidr, Daemon},
    scenario::{Span, Suite},
};

/// Everything a namespace's router must be told.
#[derive(Debug, Clone, PartialEq)]
pub struct RouterInput {
    /// Host name in the configuration (`PE1`, `PE1.red`).
    pub hostname: String,
    /// OSPF router id. None: no OSPF in this namespace (VRFs and CEs, which are routed statically).
    pub router_id: Option<Ipv4Addr>,
    /// Whose PIM speaks here. VRFs and CEs: always [`Suite::Frr`].
    pub suite: Suite,
    /// Interfaces, in the order in which they are to be configured.
    pub interfaces: Vec<InterfaceInput>,
    /// Static RPs and the groups that they serve. Empty: SSM only.
    pub rps: Vec<RpInput>,
    /// Memberships the router itself holds as a host: how an SSM default MDT is joined, and static joins.
    pub joins: Vec<JoinInput>,
    /// Protocol timers.
    pub timers: Timers,
}

/// An interface of a router.
#[derive(Debug, Clone, PartialEq)]
pub struct InterfaceInput {
    /// Device name.
    pub name: String,
    /// What it is for; decides which protocols run on it, and how.
    pub kind: InterfaceKind,
    /// Its addresses with prefix length (a loopback has several).
    pub addresses: Vec<Cidr>,
    /// OSPF cost; None: the default.
    pub cost: Option<u16>,
}

/// What an interface is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterfaceKind {
    /// `lo`: OSPF passive; PIM, since the RP's address may be here.
    Loopback,
    /// To another backbone router: OSPF point to point, PIM.
    Core,
    /// From the PE to a VRF of it: OSPF passive, PIM without neighbours, IGMP.
    VrfAttachment,
    /// The router's end of a monitor tunnel: OSPF passive, PIM without neighbours, IGMP of this version.
    MonitorTunnel {
        /// IGMP version, 2 or 3.
        igmp: u8,
    },
    /// To a host: OSPF passive, PIM without neighbours, IGMP.
    HostLink,
    /// To the monitor: OSPF passive, no multicast but inside of tunnels.
    MonitorLink,
    /// A VRF's end of a default MDT: PIM with the other VRFs of the MVPN.
    Mdt,
    /// In a customer's domain, VRF to CE or CE to VRF: PIM (the other end may be a router) and IGMP.
    Customer,
    /// Known to the kernel, but no routing protocol speaks on it (a VRF's `core`).
    Silent,
}

/// A static RP.
#[derive(Debug, Clone, PartialEq)]
pub struct RpInput {
    /// Its address; an address of the RP's own loopback.
    pub address: Ipv4Addr,
    /// Groups that it serves.
    pub groups: Vec<Cidr>,
}

/// A membership held by the router itself.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinInput {
    /// On this interface.
    pub interface: String,
    /// Group.
    pub group: Ipv4Addr,
    /// Source; None: any.
    pub source: Option<Ipv4Addr>,
}

/// The line of FRR's configuration that joins a group.
pub(crate) fn join_line(group: Ipv4Addr, source: Option<Ipv4Addr>) -> String {
    match source {
        Some(source) => format!("ip igmp join {group} {source}"),
        None => format!("ip igmp join {group}"),
    }
}

/// Protocol timers. All but OSPF's are rounded up to whole seconds, which is what the daemons take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// OSPF hello interval; dead is four times it. Whole seconds, at least 1.
    pub ospf_hello: Span,
    /// PIM hello interval; hold time 3.5 times it (RFC 7761 section 4.11).
    pub pim_hello: Span,
    /// PIM join/prune interval.
    pub pim_join_prune: Span,
    /// IGMP query interval.
    pub igmp_query: Span,
}

/// The daemons of a namespace, in start order, with complete configurations.
pub fn render(input: &RouterInput) -> Vec<Daemon> {
    match input.suite {
        Suite::Frr => frr::render(input),
        Suite::Pimd => pimd::render(input),
    }
}

/// Whole seconds, rounded up, at least one: what configuration files take.
fn whole_seconds(span: Span) -> u64 {
    span.ns.div_ceil(1_000_000_000).max(1)
}
