//! What the VRFs of an MVPN say of each other: the truth about its control plane.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::{Lab, LabError};
use crate::plan::GrePurpose;
use crate::router::OnInterface;

/// One VRF's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VrfWords {
    /// The PE.
    pub pe: String,
    /// The PE's address in the backbone as this MVPN sees it: the source of what the VRF sends into the MDT.
    pub source: Ipv4Addr,
    /// The VRF's address on the MDT.
    pub address: Ipv4Addr,
    /// What it knows of the others there.
    #[serde(flatten)]
    pub on_mdt: OnInterface,
}

impl Lab {
    /// What each VRF of an MVPN whose routers run says, rogues included.
    pub async fn control_plane(&self, mvpn: &str) -> Result<Vec<VrfWords>, LabError> {
        let mut words = Vec::new();
        for device in &self.plan.gre {
            let of_mvpn =
                matches!(&device.purpose, GrePurpose::DefaultMdt { mvpn: of } if of == mvpn);
            let Some(router) = self.routers.get(&device.end.namespace).filter(|_| of_mvpn) else {
                continue;
            };
            if let Some(on_mdt) = router.on_interface(&device.end.interface).await {
                words.push(VrfWords {
                    pe: device.end.node().to_owned(),
                    source: device.local,
                    address: device.end.address.address,
                    on_mdt,
                });
            }
        }
        Ok(words)
    }
}
