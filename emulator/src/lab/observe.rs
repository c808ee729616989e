//! What a lab says of itself: the kernel's counters, the routers' papers.

use super::{Lab, LabError, WIRE_ROOM, wire_device};
use crate::{
    kernel::{Netns, counters, mroute, qdisc},
    place::Files,
    plan::GrePurpose,
    truth::{MrouteCounters, QdiscCounters, Snapshot, clock::monotonic_ns},
};

impl Lab {
    /// All of the kernel's counters, as of about now.
    pub async fn counters(&self, label: &str) -> Result<Snapshot, LabError> {
        let mut snapshot = Snapshot {
            monotonic_ns: monotonic_ns(),
            label: label.to_owned(),
            ..Snapshot::default()
        };
        self.read_wires(&mut snapshot).await?;
        self.read_tunnels(&mut snapshot).await?;
        read_interfaces(WIRE_ROOM, &self.wire_room, &mut snapshot).await?;
        for (name, namespace) in &self.namespaces {
            read_interfaces(name, namespace, &mut snapshot).await?;
            snapshot
                .mroutes
                .extend(
                    mroute::read(namespace)?
                        .into_iter()
                        .map(|entry| MrouteCounters {
                            namespace: name.clone(),
                            source: entry.source,
                            group: entry.group,
                            incoming: entry.incoming,
                            outgoing: entry.outgoing,
                            packets: entry.packets,
                            wrong_if: entry.wrong_if,
                        }),
                );
        }
        snapshot.until_ns = monotonic_ns();
        Ok(snapshot)
    }

    /// `routers/<namespace>/<daemon>.conf`, `.log` and `state.txt` of all routers.
    pub async fn router_states(&self) -> Result<Files, LabError> {
        let mut files = Files::new();
        for (name, daemons) in &self.routers {
            for (file, content) in daemons.papers(self.namespace(name)?).await? {
                files.insert(format!("routers/{name}/{file}"), content);
            }
        }
        Ok(files)
    }

    async fn read_wires(&self, snapshot: &mut Snapshot) -> Result<(), LabError> {
        let found = Roots::of(&self.wire_room).await?;
        for (number, wire) in self.plan.wires.iter().enumerate() {
            for (side, end) in [('a', &wire.a), ('b', &wire.b)] {
                if let Some(counters) = found.at(&wire_device(number, side)) {
                    let toward = end.namespace.split('.').next().unwrap_or_default();
                    snapshot
                        .qdiscs
                        .insert(format!("{}/{toward}", wire.name), counters);
                }
            }
        }
        Ok(())
    }

    async fn read_tunnels(&self, snapshot: &mut Snapshot) -> Result<(), LabError> {
        for (name, namespace) in &self.namespaces {
            let devices = self.plan.gre.iter().filter(|d| d.end.namespace == *name);
            let tunnels: Vec<(&str, &str)> = devices
                .filter_map(|d| match &d.purpose {
                    GrePurpose::MonitorTunnel { tunnel } => {
                        Some((tunnel.as_str(), d.end.interface.as_str()))
                    }
                    GrePurpose::DefaultMdt { .. } => None,
                })
                .collect();
            if tunnels.is_empty() {
                continue;
            }
            let found = Roots::of(namespace).await?;
            for (tunnel, device) in tunnels {
                if let Some(counters) = found.at(device) {
                    snapshot.qdiscs.insert(format!("tunnel/{tunnel}"), counters);
                }
            }
        }
        Ok(())
    }
}

/// The netem roots of a namespace.
struct Roots<'a> {
    namespace: &'a Netns,
    found: Vec<qdisc::NetemQdisc>,
}

impl<'a> Roots<'a> {
    async fn of(namespace: &'a Netns) -> Result<Self, LabError> {
        Ok(Self {
            namespace,
            found: qdisc::all(namespace).await?,
        })
    }

    fn at(&self, device: &str) -> Option<QdiscCounters> {
        let index = self.namespace.devices().get(device)?;
        self.found
            .iter()
            .find(|q| q.index == *index)
            .map(|q| q.counters)
    }
}

async fn read_interfaces(
    name: &str,
    namespace: &Netns,
    snapshot: &mut Snapshot,
) -> Result<(), LabError> {
    for (device, counters) in counters::interfaces(namespace).await? {
        snapshot
            .interfaces
            .insert(format!("{name}/{device}"), counters);
    }
    Ok(())
}
