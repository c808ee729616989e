//! Kernel GRE devices: a VRF's end of a default MDT, and a router's end of a monitor tunnel.

use netlink_packet_route::{RouteNetlinkMessage, link::GreIOFlags};
use rtnetlink::LinkGre;

use super::{KernelError, Netns, link, netlink::CREATE};
use crate::plan::GreDevice;

/// Makes the device, gives it its inner address and switches it on. Towards a group, the kernel joins the group
/// on the underlay, which must be up: that membership is what makes the backbone bring the MDT's packets here.
pub async fn create(namespace: &mut Netns, device: &GreDevice) -> Result<(), KernelError> {
    let name = device.end.interface.as_str();
    let mut builder = LinkGre::new(name)
        .local(device.local)
        .remote(device.remote)
        .ttl(device.ttl);
    if let Some(underlay) = &device.underlay {
        builder = builder.dev(namespace.index(underlay)?);
    }
    if let Some(key) = device.key {
        builder = builder
            .ikey(key)
            .okey(key)
            .iflags(GreIOFlags::Key)
            .oflags(GreIOFlags::Key);
    }
    let message = builder.index(namespace.register(name)).build();
    let made = namespace
        .netlink()
        .act(RouteNetlinkMessage::NewLink(message), CREATE)
        .await;
    made.map_err(|e| {
        namespace.error(
            format!("create the GRE device {name} towards {}", device.remote),
            e,
        )
    })?;
    link::offloads_off(namespace, name)?;
    link::add_address(namespace, name, device.end.address).await?;
    link::up(namespace, name).await
}
