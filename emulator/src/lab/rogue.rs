//! PEs that do what they should not: join an MVPN that is not theirs, or fall silent in one that is.

use super::{Lab, LabError, build};
use crate::{
    kernel::{Batch, link, netem::NetemOptions, qdisc, route},
    plan::GreDevice,
    router::daemon::Daemons,
    scenario::{Impairment, Probability},
};

impl Lab {
    /// A rogue's VRF comes up: its device on the MDT, its routes, its routers. Returns when they have started.
    pub async fn rogue_join(&mut self, mvpn: &str, pe: &str) -> Result<(), LabError> {
        let device = self.mdt_device(mvpn, pe)?.clone();
        let vrf = device.end.namespace.clone();
        if !self.plan.is_rogue(&vrf) {
            return Err(refused("have join", mvpn, pe, "it belongs to the MVPN"));
        }
        if !self.rogues.insert(vrf.clone()) {
            return Err(refused("have join", mvpn, pe, "it has joined already"));
        }
        build::tunnels(&mut self.namespaces, &[&device]).await?;
        self.route_rogue(&vrf).await?;
        let namespace = self.namespace(&vrf)?;
        let mut routers = self.plan.routers.iter();
        if let Some(router) = routers.find(|router| router.namespace == vrf) {
            let daemons = Daemons::prepare(namespace, router, &self.folder)?;
            self.routers.insert(vrf.clone(), daemons);
        }
        self.start_daemons(&[vrf]).await
    }

    /// It is gone, its routers killed and its device with its routes deleted: nobody says goodbye.
    pub async fn rogue_leave(&mut self, mvpn: &str, pe: &str) -> Result<(), LabError> {
        let end = self.mdt_device(mvpn, pe)?.end.clone();
        if !self.rogues.remove(&end.namespace) {
            return Err(refused("have leave", mvpn, pe, "it has not joined"));
        }
        if let Some(daemons) = self.routers.get_mut(&end.namespace) {
            daemons.kill();
        }
        let namespace = build::get(&mut self.namespaces, &end.namespace)?;
        link::delete(namespace, &end.interface).await?;
        Ok(())
    }

    /// A PE's VRF sends nothing more into its MDTs, default and data alike: all leave by one device.
    pub async fn pe_silent(&mut self, mvpn: &str, pe: &str) -> Result<(), LabError> {
        let everything = Impairment {
            loss: Some(Probability::one()),
            ..Impairment::default()
        };
        self.impair_mdt(mvpn, pe, &everything).await
    }

    /// It sends again.
    pub async fn pe_speaks(&mut self, mvpn: &str, pe: &str) -> Result<(), LabError> {
        self.impair_mdt(mvpn, pe, &Impairment::default()).await
    }

    async fn impair_mdt(
        &mut self,
        mvpn: &str,
        pe: &str,
        impairment: &Impairment,
    ) -> Result<(), LabError> {
        let end = &self.mdt_device(mvpn, pe)?.end;
        let wanted = [(end.interface.as_str(), NetemOptions::of(impairment))];
        Ok(qdisc::impair(self.namespace(&end.namespace)?, wanted).await?)
    }

    async fn route_rogue(&self, vrf: &str) -> Result<(), LabError> {
        let namespace = self.namespace(vrf)?;
        let mut batch = Batch::new();
        for planned in self.plan.routes.iter().filter(|r| r.namespace == vrf) {
            route::add(&mut batch, namespace, planned.to, planned.via);
        }
        Ok(batch.send().await?)
    }

    fn mdt_device(&self, mvpn: &str, pe: &str) -> Result<&GreDevice, LabError> {
        let vrf = self.plan.vrf(mvpn, pe);
        let device = vrf.and_then(|vrf| self.plan.mdt_device(vrf));
        device.ok_or_else(|| refused("find", mvpn, pe, "the PE has no VRF of that MVPN"))
    }
}

fn refused(attempted: &str, mvpn: &str, pe: &str, found: &str) -> LabError {
    LabError::Refused {
        attempted: format!("{attempted} {pe} in {mvpn}"),
        found: found.to_owned(),
    }
}
