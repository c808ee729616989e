//! What a running lab says of itself, in rows of one shape for every router suite.

use std::net::Ipv4Addr;

use serde::Serialize;

use super::{Lab, LabError, change::node_of, wire_device};
use crate::{
    kernel::{Netns, link, mroute, qdisc, route},
    plan::{GrePurpose, Namespace},
    router::state::{Membership, Neighbor},
    truth::QdiscCounters,
};

/// A unicast route in a namespace's kernel.
#[derive(Debug, Clone, Serialize)]
pub struct RouteRow {
    /// Namespace.
    pub node: String,
    /// Destination prefix.
    pub to: String,
    /// Next hop; empty: directly connected.
    pub via: String,
    /// Outgoing interface.
    pub interface: String,
    /// Who put it there.
    pub protocol: String,
    /// Metric.
    pub metric: u32,
}

/// A multicast forwarding entry in a namespace's kernel.
#[derive(Debug, Clone, Serialize)]
pub struct MrouteRow {
    /// Namespace.
    pub node: String,
    /// Source; `*` for (*,G).
    pub source: String,
    /// Group.
    pub group: Ipv4Addr,
    /// Incoming interface.
    pub incoming: String,
    /// Outgoing interfaces.
    pub outgoing: Vec<String>,
    /// Packets that matched.
    pub packets: u64,
    /// Packets that came by a wrong interface.
    pub wrong_interface: u64,
}

/// A neighbour of a routing protocol.
#[derive(Debug, Clone, Serialize)]
pub struct NeighborRow {
    /// Namespace.
    pub node: String,
    /// What the router says.
    #[serde(flatten)]
    pub neighbor: Neighbor,
}

/// A group that somebody on an interface has joined by IGMP.
#[derive(Debug, Clone, Serialize)]
pub struct IgmpRow {
    /// Namespace.
    pub node: String,
    /// What the router says.
    #[serde(flatten)]
    pub membership: Membership,
}

/// A router's end of a monitor tunnel.
#[derive(Debug, Clone, Serialize)]
pub struct TunnelRow {
    /// Name.
    pub tunnel: String,
    /// Router.
    pub node: String,
    /// `up`, `down` or `absent`.
    pub state: String,
    /// Outer address at the router.
    pub router: Ipv4Addr,
    /// Outer address at the monitor.
    pub monitor: Ipv4Addr,
    /// Inner address of the monitor: the source of its probes.
    pub probes_from: Ipv4Addr,
    /// GRE key.
    pub key: Option<u32>,
    /// What netem does to it, towards the monitor.
    pub impairment: String,
    /// Packets sent to the monitor.
    pub sent: u64,
    /// Packets that netem dropped.
    pub dropped: u64,
}

/// One direction of a link.
#[derive(Debug, Clone, Serialize)]
pub struct LinkRow {
    /// The link, as its `ends` say.
    pub link: String,
    /// Towards this namespace.
    pub toward: String,
    /// `up` or `down`.
    pub state: String,
    /// The address at that end.
    pub address: String,
    /// What netem does to it.
    pub impairment: String,
    /// Packets that left it.
    pub sent: u64,
    /// Packets that netem dropped.
    pub dropped: u64,
    /// Packets that wait in it.
    pub waiting: u64,
}

impl Lab {
    /// Routes of a node and its VRFs, or of all.
    pub async fn routes(&self, node: Option<&str>) -> Result<Vec<RouteRow>, LabError> {
        let mut rows = Vec::new();
        for namespace in self.asked(node)? {
            let inside = self.namespace(&namespace.name)?;
            for found in route::hops(inside).await? {
                rows.push(RouteRow {
                    node: namespace.name.clone(),
                    to: found.to.to_string(),
                    via: found.via.map_or_else(String::new, |via| via.to_string()),
                    interface: device(inside, found.index),
                    protocol: found.protocol,
                    metric: found.metric,
                });
            }
        }
        Ok(rows)
    }

    /// Multicast forwarding entries of a node and its VRFs, or of all.
    pub fn mroutes(&self, node: Option<&str>) -> Result<Vec<MrouteRow>, LabError> {
        let mut rows = Vec::new();
        for namespace in self.asked(node)?.into_iter().filter(|n| n.forwards) {
            for entry in mroute::read(self.namespace(&namespace.name)?)? {
                rows.push(MrouteRow {
                    node: namespace.name.clone(),
                    source: match entry.source.is_unspecified() {
                        true => "*".to_owned(),
                        false => entry.source.to_string(),
                    },
                    group: entry.group,
                    incoming: entry.incoming.unwrap_or_else(|| "unresolved".to_owned()),
                    outgoing: entry.outgoing,
                    packets: entry.packets,
                    wrong_interface: entry.wrong_if,
                });
            }
        }
        Ok(rows)
    }

    /// OSPF and PIM neighbours of a node and its VRFs, or of all.
    pub async fn neighbors(&self, node: Option<&str>) -> Result<Vec<NeighborRow>, LabError> {
        let mut rows = Vec::new();
        for namespace in self.asked(node)? {
            let Some(daemons) = self.routers.get(&namespace.name) else {
                continue;
            };
            let found = daemons.neighbors(self.namespace(&namespace.name)?).await?;
            rows.extend(found.into_iter().map(|neighbor| NeighborRow {
                node: namespace.name.clone(),
                neighbor,
            }));
        }
        Ok(rows)
    }

    /// IGMP memberships on the interfaces of a node and its VRFs, or of all.
    pub async fn memberships(&self, node: Option<&str>) -> Result<Vec<IgmpRow>, LabError> {
        let mut rows = Vec::new();
        for namespace in self.asked(node)? {
            let Some(daemons) = self.routers.get(&namespace.name) else {
                continue;
            };
            let found = daemons
                .memberships(self.namespace(&namespace.name)?)
                .await?;
            rows.extend(found.into_iter().map(|membership| IgmpRow {
                node: namespace.name.clone(),
                membership,
            }));
        }
        Ok(rows)
    }

    /// The routers' ends of the monitor's tunnels.
    pub async fn tunnels(&self, node: Option<&str>) -> Result<Vec<TunnelRow>, LabError> {
        if let Some(node) = node {
            self.namespaces_of(node)?;
        }
        let mut rows = Vec::new();
        let asked = |at: &String| node.is_none_or(|node| node == at);
        for tunnel in self.plan.tunnels.iter().filter(|tunnel| asked(&tunnel.at)) {
            let is_it = |purpose: &GrePurpose| matches!(purpose, GrePurpose::MonitorTunnel { tunnel: name } if *name == tunnel.name);
            let Some(planned) = self.plan.gre.iter().find(|device| is_it(&device.purpose)) else {
                continue;
            };
            let state = self
                .device_state(&planned.end.namespace, &planned.end.interface)
                .await?;
            rows.push(TunnelRow {
                tunnel: tunnel.name.clone(),
                node: tunnel.at.clone(),
                state: state.word.to_owned(),
                router: tunnel.router_outer,
                monitor: tunnel.monitor_outer,
                probes_from: tunnel.monitor_inner,
                key: tunnel.key,
                impairment: self.impairment(&tunnel.name, "").to_string(),
                sent: state.counters.sent_packets,
                dropped: state.counters.dropped,
            });
        }
        Ok(rows)
    }

    /// Both directions of every link, or of those of a node and its VRFs.
    pub async fn links(&self, node: Option<&str>) -> Result<Vec<LinkRow>, LabError> {
        let own: Vec<String> = self
            .asked(node)?
            .into_iter()
            .map(|n| n.name.clone())
            .collect();
        let room = Devices::of(&self.wire_room).await?;
        let mut rows = Vec::new();
        for (number, wire) in self.plan.wires.iter().enumerate() {
            let ends = [('a', &wire.a), ('b', &wire.b)];
            if !ends.iter().any(|(_, end)| own.contains(&end.namespace)) {
                continue;
            }
            for (side, end) in ends {
                let state = room.state(&self.wire_room, &wire_device(number, side));
                rows.push(LinkRow {
                    link: wire.name.clone(),
                    toward: end.namespace.clone(),
                    state: state.word.to_owned(),
                    address: end.address.to_string(),
                    impairment: self
                        .impairment(&wire.name, node_of(&end.namespace))
                        .to_string(),
                    sent: state.counters.sent_packets,
                    dropped: state.counters.dropped,
                    waiting: state.counters.backlog_packets,
                });
            }
        }
        Ok(rows)
    }

    /// What the routers of a node answer to a command of theirs, daemon by daemon.
    pub async fn tell(&self, namespace: &str, command: &str) -> Result<String, LabError> {
        self.namespace(namespace)?;
        let daemons = self
            .routers
            .get(namespace)
            .ok_or_else(|| LabError::Refused {
                attempted: format!("ask the routers of {namespace}"),
                found: "none run there".to_owned(),
            })?;
        daemons
            .tell(command)
            .await
            .map_err(|found| LabError::Refused {
                attempted: format!("tell the routers of {namespace} {command:?}"),
                found,
            })
    }

    pub(super) fn asked(&self, node: Option<&str>) -> Result<Vec<Namespace>, LabError> {
        match node {
            None => Ok(self.plan.namespaces.clone()),
            Some(name) => {
                let mut all = self.plan.namespaces.iter();
                match all.find(|namespace| namespace.name == name && namespace.vrf.is_some()) {
                    Some(vrf) => Ok(vec![vrf.clone()]),
                    None => self.namespaces_of(name),
                }
            }
        }
    }

    async fn device_state(&self, namespace: &str, device: &str) -> Result<State, LabError> {
        let namespace = self.namespace(namespace)?;
        Ok(Devices::of(namespace).await?.state(namespace, device))
    }
}

/// The devices of a namespace, as the kernel has them.
struct Devices {
    up: Vec<u32>,
    qdiscs: Vec<qdisc::NetemQdisc>,
}

struct State {
    word: &'static str,
    counters: QdiscCounters,
}

impl Devices {
    async fn of(namespace: &Netns) -> Result<Self, LabError> {
        Ok(Self {
            up: link::indices_up(namespace).await?,
            qdiscs: qdisc::all(namespace).await?,
        })
    }

    fn state(&self, namespace: &Netns, device: &str) -> State {
        let index = namespace.devices().get(device);
        let qdisc = self.qdiscs.iter().find(|q| Some(&q.index) == index);
        State {
            word: match index {
                None => "absent",
                Some(index) if self.up.contains(index) => "up",
                Some(_) => "down",
            },
            counters: qdisc.map_or_else(QdiscCounters::default, |q| q.counters),
        }
    }
}

fn device(namespace: &Netns, index: u32) -> String {
    let mut devices = namespace.devices().iter();
    let found = devices.find(|(_, of)| **of == index);
    found.map_or_else(|| format!("#{index}"), |(name, _)| name.clone())
}
