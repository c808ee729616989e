//! Kernel GRE devices: a VRF's end of a default MDT, and a router's end of a monitor tunnel.

use std::net::Ipv4Addr;

use netlink_packet_route::{RouteNetlinkMessage, link::GreIOFlags};
use rtnetlink::LinkGre;

use super::{
    Batch, KernelError, Netns, link,
    netlink::CREATE,
    qdisc::{self, CatchAll},
};
use crate::plan::GreDevice;

/// A second device of a VRF, for a group besides that of its MDT: a leg of a data MDT.
#[derive(Debug, Clone)]
pub struct Leg<'a> {
    /// Device name.
    pub name: &'a str,
    /// Outer source, were anything sent by it.
    pub local: Ipv4Addr,
    /// Outer destination: the group that is joined as long as the device is there.
    pub group: Ipv4Addr,
    /// Underlay device.
    pub underlay: &'a str,
}

/// Joins a group: what comes by it is received as if it came by `into`. It has no address, and nothing is sent by it.
pub async fn join(namespace: &mut Netns, leg: &Leg<'_>, into: &str) -> Result<(), KernelError> {
    namespace.register(leg.name);
    let namespace = &*namespace;
    let mut batch = Batch::new();
    let builder = LinkGre::new(leg.name)
        .local(leg.local)
        .remote(leg.group)
        .dev(namespace.index(leg.underlay)?)
        .index(namespace.index(leg.name)?);
    let attempted = format!("create the GRE device {} towards {}", leg.name, leg.group);
    batch.add(
        namespace,
        RouteNetlinkMessage::NewLink(builder.build()),
        CREATE,
        attempted,
    );
    qdisc::adopt(&mut batch, namespace, leg.name, into, CatchAll::U32)?;
    // Last: from now on it is a member.
    link::up(&mut batch, namespace, leg.name)?;
    batch.send().await
}

/// Makes devices in a namespace, gives them their inner addresses and switches them on. Towards a group, the kernel joins
/// the group on the underlay, which must be up: that membership is what makes the backbone bring the MDT's packets here.
pub async fn create(namespace: &mut Netns, devices: &[&GreDevice]) -> Result<(), KernelError> {
    for device in devices {
        namespace.register(&device.end.interface);
    }
    let namespace = &*namespace;
    let mut made = Batch::new();
    for device in devices {
        add(&mut made, namespace, device)?;
    }
    made.send().await?;
    link::offloads_off(
        namespace,
        devices.iter().map(|device| device.end.interface.as_str()),
    )?;
    let mut on = Batch::new();
    for device in devices {
        let end = &device.end;
        link::add_address(&mut on, namespace, &end.interface, end.address)?;
        link::up(&mut on, namespace, &end.interface)?;
    }
    on.send().await
}

fn add<'a>(
    batch: &mut Batch<'a>,
    namespace: &'a Netns,
    device: &GreDevice,
) -> Result<(), KernelError> {
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
    batch.add(
        namespace,
        RouteNetlinkMessage::NewLink(builder.index(namespace.index(name)?).build()),
        CREATE,
        format!("create the GRE device {name} towards {}", device.remote),
    );
    Ok(())
}
