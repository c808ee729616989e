//! What a timeline does to a lab: impairments, links down and up, tunnels, crashes.

use super::{Lab, LabError, build, unknown, wire_device};
use crate::{
    kernel::{Batch, link, netem::NetemOptions, netns::Forwarding, qdisc, route},
    plan::{GreDevice, GrePurpose, Namespace},
    scenario::Impairment,
};

impl Lab {
    /// What a link's direction towards a node (or a tunnel, towards `""`) is impaired with.
    pub fn impairment(&self, link: &str, toward: &str) -> Impairment {
        let key = (link.to_owned(), toward.to_owned());
        self.impairments.get(&key).cloned().unwrap_or_default()
    }

    fn note_impairment(&mut self, link: &str, toward: &str, impairment: &Impairment) {
        let key = (link.to_owned(), toward.to_owned());
        self.impairments.insert(key, impairment.clone());
    }

    /// Replaces a link's impairment in the direction towards a node. Packets on their way stay on their way.
    pub async fn impair_link(
        &mut self,
        link: &str,
        toward: &str,
        impairment: &Impairment,
    ) -> Result<(), LabError> {
        self.impair_links(&[(link, toward, impairment)]).await
    }

    /// The same for many directions at once: the kernel is asked for the result only once.
    pub async fn impair_links(
        &mut self,
        wanted: &[(&str, &str, &Impairment)],
    ) -> Result<(), LabError> {
        let mut devices = Vec::new();
        for (link, toward, impairment) in wanted {
            let (number, wire) = self.wire(link)?;
            let ends = [&wire.a, &wire.b].map(|end| node_of(&end.namespace).to_owned());
            let side = match ends.iter().position(|node| node == toward) {
                Some(0) => 'a',
                Some(_) => 'b',
                None => return Err(unknown("end", toward, &ends)),
            };
            devices.push((wire_device(number, side), NetemOptions::of(impairment)));
        }
        let devices = devices
            .iter()
            .map(|(device, o)| (device.as_str(), o.clone()));
        qdisc::impair(&self.wire_room, devices).await?;
        for (link, toward, impairment) in wanted {
            self.note_impairment(link, toward, impairment);
        }
        Ok(())
    }

    /// Replaces a tunnel's impairment in the direction from the router to the monitor.
    pub async fn impair_tunnel(
        &mut self,
        tunnel: &str,
        impairment: &Impairment,
    ) -> Result<(), LabError> {
        let end = &self.tunnel_device(tunnel)?.end;
        let wanted = [(end.interface.as_str(), NetemOptions::of(impairment))];
        qdisc::impair(self.namespace(&end.namespace)?, wanted).await?;
        self.note_impairment(tunnel, "", impairment);
        Ok(())
    }

    /// Takes the carrier from both ends. What is inside the link is lost.
    pub async fn link_down(&mut self, link: &str) -> Result<(), LabError> {
        let (number, _) = self.wire(link)?;
        let mut batch = Batch::new();
        for side in ['a', 'b'] {
            link::down(&mut batch, &self.wire_room, &wire_device(number, side))?;
        }
        Ok(batch.send().await?)
    }

    /// Gives it back; impairments are as before.
    pub async fn link_up(&mut self, link: &str) -> Result<(), LabError> {
        let (number, _) = self.wire(link)?;
        let mut batch = Batch::new();
        for side in ['a', 'b'] {
            link::up(&mut batch, &self.wire_room, &wire_device(number, side))?;
        }
        Ok(batch.send().await?)
    }

    /// Builds the router's end of a tunnel that is not there.
    pub async fn tunnel_add(&mut self, tunnel: &str) -> Result<(), LabError> {
        let device = self.tunnel_device(tunnel)?.clone();
        build::tunnels(&mut self.namespaces, &[&device]).await?;
        self.interfaces_changed(&device.end.namespace)
    }

    /// Removes the router's end of a tunnel.
    pub async fn tunnel_drop(&mut self, tunnel: &str) -> Result<(), LabError> {
        let end = self.tunnel_device(tunnel)?.end.clone();
        let namespaces = &mut self.namespaces;
        if let Some(namespace) = namespaces.get_mut(&end.namespace) {
            link::delete(namespace, &end.interface).await?;
        }
        self.interfaces_changed(&end.namespace)
    }

    /// A crash: all daemons of the node and of its VRFs killed, what they had learned gone, nothing forwarded.
    pub async fn node_kill(&mut self, node: &str) -> Result<(), LabError> {
        for namespace in self.namespaces_of(node)? {
            if let Some(daemons) = self.routers.get_mut(&namespace.name) {
                daemons.kill();
            }
            let inside = self.namespace(&namespace.name)?;
            inside.set_forwarding(Forwarding::Off)?;
            route::flush_learned(inside).await?;
        }
        self.forget_data_mdts(node).await
    }

    /// The same daemons with the same configuration again. Returns when they have started, not when they have converged.
    pub async fn node_restart(&mut self, node: &str) -> Result<(), LabError> {
        let namespaces = self.namespaces_of(node)?;
        for namespace in namespaces.iter().filter(|n| n.forwards) {
            self.namespace(&namespace.name)?
                .set_forwarding(Forwarding::On)?;
        }
        let names: Vec<String> = namespaces
            .into_iter()
            .map(|n| n.name)
            .filter(|name| !self.plan.is_rogue(name) || self.rogues.contains(name))
            .collect();
        self.start_daemons(&names).await?;
        self.begin_data_mdts_of(node).await
    }

    pub(super) fn namespaces_of(&self, node: &str) -> Result<Vec<Namespace>, LabError> {
        let all = &self.plan.namespaces;
        let found: Vec<Namespace> = all.iter().filter(|n| n.node == node).cloned().collect();
        if found.is_empty() {
            Err(unknown("node", node, all.iter().map(|n| &n.node)))
        } else {
            Ok(found)
        }
    }

    fn tunnel_device(&self, name: &str) -> Result<&GreDevice, LabError> {
        let known = || self.plan.tunnels.iter().map(|t| &t.name);
        let mut devices = self.plan.gre.iter();
        devices
            .find(|d| is_tunnel(d, name))
            .ok_or_else(|| unknown("tunnel", name, known()))
    }

    fn interfaces_changed(&self, namespace: &str) -> Result<(), LabError> {
        let told = self
            .routers
            .get(namespace)
            .map_or(Ok(()), |daemons| daemons.interfaces_changed());
        told.map_err(|e| LabError::Refused {
            attempted: format!("tell the routers of {namespace} of a changed interface"),
            found: e.to_string(),
        })
    }
}

fn is_tunnel(device: &GreDevice, name: &str) -> bool {
    matches!(&device.purpose, GrePurpose::MonitorTunnel { tunnel } if tunnel == name)
}

/// A VRF is an end of its PE's link.
pub(super) fn node_of(namespace: &str) -> &str {
    namespace.split('.').next().unwrap_or(namespace)
}
