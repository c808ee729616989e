//! What came by a multicast tunnel does not go back into it.
//!
//! Every VRF of an MVPN receives every packet on the MDT, a customer's unicast too (a Register-Stop, say). The kernel
//! takes what it receives by a GRE device for sent to itself, and forwards it: into the MDT again, where all others
//! receive it, until its TTL ends. Three sites merely multiply it; eleven melt. So a VRF forwards from its MDT only to
//! its own site.

use super::{Lab, LabError};
use crate::{
    kernel::{Batch, rule},
    plan::{Cidr, GreDevice, Plan},
};

/// Fences a VRF's end of an MDT; other devices need none.
pub fn keep<'a>(batch: &mut Batch<'a>, lab: &'a Lab, device: &GreDevice) -> Result<(), LabError> {
    if !device.remote.is_multicast() {
        return Ok(());
    }
    let namespace = lab.namespace(&device.end.namespace)?;
    let site = behind(&lab.plan, device);
    rule::forward_only(batch, namespace, &device.end.interface, &site);
    Ok(())
}

/// The networks of a VRF's own site: on its links to customers, and routed over them.
fn behind(plan: &Plan, device: &GreDevice) -> Vec<Cidr> {
    let vrf = &device.end.namespace;
    let links: Vec<Cidr> = plan
        .ends_in(vrf)
        .map(|(_, end)| end.address.network())
        .collect();
    let routed = plan.routes.iter().filter(|route| {
        route.namespace == *vrf && links.iter().any(|link| link.contains(route.via))
    });
    let routed: Vec<Cidr> = routed.map(|route| route.to).collect();
    [links, routed].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn only_the_own_sites_networks_lie_behind_a_vrf() {
        let text = include_str!("../../../scenarios/vmscope/ssm.toml");
        let scenario = Scenario::parse("ssm.toml", text).unwrap();
        let plan = Plan::of(&scenario);
        for device in plan.gre.iter().filter(|gre| gre.remote.is_multicast()) {
            let site = behind(&plan, device);
            assert!(!site.is_empty(), "{}", device.end.namespace);
            let mvpn = plan.mvpns.values().next().unwrap();
            for other in &mvpn.sites {
                assert!(!site.iter().any(|network| network.contains(other.overlay)));
            }
            assert!(site.iter().all(|network| network.prefix > 0));
        }
    }
}
