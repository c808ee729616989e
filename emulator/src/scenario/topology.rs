//! What is built: nodes, links, the backbone's routing, MVPNs, and the routers' ends of the monitor's tunnels.
//! The plan depends on these tables alone.

use std::{collections::BTreeMap, net::Ipv4Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bitrate, Groups, Impairment, Span};

/// What a node is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Provider router, no VRFs.
    P,
    /// Provider edge router: backbone routing, VRFs, the monitor's tunnels.
    Pe,
    /// Customer edge: a host on the VRF's interface, or a PIM router when hosts are linked to it.
    Ce,
    /// A host behind a CE, or on a backbone router for plain multicast.
    Host,
    /// A monitor's host: `vmscope` runs here; no kernel tunnel device. The first by name is the monitor under test, the
    /// others are its peers.
    Monitor,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// What it is.
    pub role: Role,
}

/// Which daemons route the backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Suite {
    /// FRR: zebra, ospfd, pimd.
    #[default]
    Frr,
    /// troglobit's pimd for PIM; FRR's zebra and ospfd for unicast.
    Pimd,
}

/// The backbone's routing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backbone {
    /// PIM implementation of all P and PE routers.
    pub routers: Suite,
    /// The node that is RP for 239.0.0.0/8 and 224.1.0.0/16 (static). Left out: SSM only.
    pub rp: Option<String>,
    /// OSPF hello interval (dead is four times it).
    pub ospf_hello: Span,
    /// PIM hello interval (hold time 3.5 times it, RFC 7761 section 4.11).
    pub pim_hello: Span,
    /// PIM join/prune interval.
    pub pim_join_prune: Span,
    /// IGMP query interval on tunnels and host links.
    pub igmp_query: Span,
}

impl Default for Backbone {
    fn default() -> Self {
        Self {
            routers: Suite::Frr,
            rp: None,
            ospf_hello: Span::seconds(1),
            pim_hello: Span::seconds(5),
            pim_join_prune: Span::seconds(10),
            igmp_query: Span::seconds(10),
        }
    }
}

/// A point-to-point link. Its impairments can differ by direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The two nodes, `"PE1-P"`.
    #[schemars(regex(pattern = "^[A-Za-z][A-Za-z0-9]{0,9}-[A-Za-z][A-Za-z0-9]{0,9}$"))]
    pub ends: String,
    /// Impairment of both directions.
    #[serde(default)]
    pub impair: Option<Impairment>,
    /// Impairment towards one node, by its name; wins over `impair`.
    #[serde(default)]
    pub impair_to: BTreeMap<String, Impairment>,
    /// OSPF cost of both ends (default 10).
    #[serde(default)]
    pub cost: Option<u16>,
}

/// A multicast VPN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mvpn {
    /// Backbone group of the default MDT; in 232.0.0.0/8 the MDT is SSM.
    pub default_mdt: Ipv4Addr,
    /// Sites: PE name -> the CE there.
    #[serde(default)]
    pub sites: BTreeMap<String, String>,
    /// PEs that have the VRF, and so a leg of the MDT, but no CE: sites of a large MVPN that no check looks into.
    #[serde(default)]
    pub sites_without_ce: Vec<String>,
    /// The PE whose VRF is the customer's RP; left out: the first PE by name.
    #[serde(default)]
    pub customer_rp: Option<String>,
    /// Streams above a threshold go over trees of their own; left out: everything goes over the default MDT.
    #[serde(default)]
    pub data_mdt: Option<DataMdt>,
    /// PEs that do not belong to it, and join its default MDT when a `rogue-join` event says so.
    #[serde(default)]
    pub rogues: Vec<String>,
}

/// Data MDTs (RFC 6037 sections 6 and 7). They shape no topology: the plan does not depend on them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataMdt {
    /// Backbone groups for all PEs of the MVPN: single ones and prefixes.
    pub pool: Vec<Groups>,
    /// A customer's stream (S,G) above this goes over a data MDT; of its IP packets, measured once a second.
    pub threshold: Bitrate,
    /// From the first announcement to sending over the data MDT (MDT_DATA_DELAY).
    #[serde(default = "data_delay")]
    pub delay: Span,
    /// After the last announcement a receiving PE leaves the data MDT (MDT_DATA_TIMEOUT).
    #[serde(default = "data_timeout")]
    pub timeout: Span,
    /// So long below the threshold, and the stream goes back to the default MDT (MDT_DATA_HOLDDOWN).
    #[serde(default = "data_holddown")]
    pub holddown: Span,
    /// From one announcement to the next (MDT_INTERVAL).
    #[serde(default = "announcement_interval")]
    pub interval: Span,
}

fn data_delay() -> Span {
    Span::seconds(3)
}

fn data_timeout() -> Span {
    Span::seconds(180)
}

fn data_holddown() -> Span {
    Span::seconds(60)
}

fn announcement_interval() -> Span {
    Span::seconds(60)
}

/// The router's end of one or more parallel monitor tunnels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tunnel {
    /// Name; with `parallel = n` the names are `name1` … `namen`.
    pub name: String,
    /// The router, P or PE.
    pub at: String,
    /// The monitor's host where it ends; left out: the first by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// How many parallel tunnels.
    #[serde(default)]
    pub parallel: Option<u32>,
    /// IGMP version of the router's tunnel interface and of the monitor on it.
    #[serde(default = "default_igmp")]
    #[schemars(range(min = 2, max = 3))]
    pub igmp: u8,
    /// GRE key (RFC 2890), both ends.
    #[serde(default)]
    pub key: Option<u32>,
    /// Built at the start; false: a timeline event adds it.
    #[serde(default = "yes")]
    pub present: bool,
    /// How far the router's clock may be from the monitor's, as the monitor is told: it asks for the router's time with
    /// every ping (ICMP timestamps). In the lab all share one clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router_clock_error: Option<Span>,
}

fn default_igmp() -> u8 {
    3
}

fn yes() -> bool {
    true
}

/// A group that a router joins itself on one of its interfaces, as a host would (`ip igmp join`): it forwards the group
/// there, whoever listens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The router, P or PE.
    pub at: String,
    /// The host at the other end of the link on whose interface it joins.
    pub toward: String,
    /// Backbone group.
    pub group: Ipv4Addr,
}
