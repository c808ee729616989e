//! What a timeline does to a lab: impairments, links down and up, tunnels, crashes.

use super::{Lab, LabError, build, unknown, wire_device};
use crate::{
    kernel::{link, netem::NetemOptions, netns::Forwarding, qdisc, route},
    plan::{GreDevice, GrePurpose, Namespace},
    scenario::Impairment,
};

impl Lab {
    /// Replaces a link's impairment in the direction towards a node. Packets on their way stay on their way.
    pub async fn impair_link(
        &mut self,
        link: &str,
        toward: &str,
        impairment: &Impairment,
    ) -> Result<(), LabError> {
        let (number, wire) = self.wire(link)?;
        let side = match toward {
            node if node == node_of(&wire.a.namespace) => 'a',
            node if node == node_of(&wire.b.namespace) => 'b',
            other => {
                let ends = [&wire.a, &wire.b].map(|end| node_of(&end.namespace).to_owned());
                return Err(unknown("end", other, &ends));
            }
        };
        Ok(qdisc::impair(
            &self.wire_room,
            &wire_device(number, side),
            &NetemOptions::of(impairment),
        )
        .await?)
    }

    /// Replaces a tunnel's impairment in the direction from the router to the monitor.
    pub async fn impair_tunnel(
        &mut self,
        tunnel: &str,
        impairment: &Impairment,
    ) -> Result<(), LabError> {
        let end = &self.tunnel_device(tunnel)?.end;
        Ok(qdisc::impair(
            self.namespace(&end.namespace)?,
            &end.interface,
            &NetemOptions::of(impairment),
        )
        .await?)
    }

    /// Takes the carrier from both ends. What is inside the link is lost.
    pub async fn link_down(&mut self, link: &str) -> Result<(), LabError> {
        let (number, _) = self.wire(link)?;
        for side in ['a', 'b'] {
            link::down(&self.wire_room, &wire_device(number, side)).await?;
        }
        Ok(())
    }

    /// Gives it back; impairments are as before.
    pub async fn link_up(&mut self, link: &str) -> Result<(), LabError> {
        let (number, _) = self.wire(link)?;
        for side in ['a', 'b'] {
            link::up(&self.wire_room, &wire_device(number, side)).await?;
        }
        Ok(())
    }

    /// Builds the router's end of a tunnel that is not there.
    pub async fn tunnel_add(&mut self, tunnel: &str) -> Result<(), LabError> {
        let device = self.tunnel_device(tunnel)?.clone();
        build::tunnel(&mut self.namespaces, &device).await?;
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
        Ok(())
    }

    /// The same daemons with the same configuration again. Returns when they have started, not when they have converged.
    pub async fn node_restart(&mut self, node: &str) -> Result<(), LabError> {
        let namespaces = self.namespaces_of(node)?;
        for namespace in namespaces.iter().filter(|n| n.forwards) {
            self.namespace(&namespace.name)?
                .set_forwarding(Forwarding::On)?;
        }
        let names: Vec<String> = namespaces.into_iter().map(|n| n.name).collect();
        self.start_daemons(&names).await
    }

    fn namespaces_of(&self, node: &str) -> Result<Vec<Namespace>, LabError> {
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
fn node_of(namespace: &str) -> &str {
    namespace.split('.').next().unwrap_or(namespace)
}
