//! Devices: veth pairs made directly in their namespaces, addresses, up and down.
//!
//! Every link of the lab has two ends that know each other: neighbours are permanent, so no ARP packet is
//! ever lost, or causes a loss that nobody could explain.

use std::{io, net::Ipv4Addr, os::fd::AsRawFd};

use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    link::{InfoData, InfoVeth, LinkAttribute, LinkFlags, LinkMessage},
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
};
use rtnetlink::{AddressMessageBuilder, LinkUnspec, LinkVeth};

use super::{
    KernelError, Netns,
    netlink::{CHANGE, CREATE},
};
use crate::plan::Cidr;

/// Room for GRE and Register headers around a customer's full-size frame: the core is a jumbo core.
pub const CORE_MTU: u32 = 1600;
/// A customer's links.
pub const CUSTOMER_MTU: u32 = 1500;

/// Legacy on/off commands of linux/ethtool.h: transmit and receive checksums, scatter-gather, segmentation.
const OFFLOADS_OFF: [u32; 6] = [0x15, 0x17, 0x19, 0x1f, 0x24, 0x2c];

/// One end of a veth pair to be made.
pub struct VethEnd<'a> {
    /// Where.
    pub namespace: &'a mut Netns,
    /// Device name, at most 15 bytes.
    pub device: &'a str,
    /// Link-layer address; ours are locally administered and say where they are.
    pub mac: [u8; 6],
}

/// Makes a veth pair, both ends in place, offloads off, down. Returns their indices.
pub async fn create_veth(
    a: VethEnd<'_>,
    b: VethEnd<'_>,
    mtu: u32,
) -> Result<(u32, u32), KernelError> {
    let (a_index, b_index) = (
        a.namespace.register(a.device),
        b.namespace.register(b.device),
    );
    let attempted = || {
        format!(
            "create the pair {} - {} ({})",
            a.device,
            b.device,
            b.namespace.name()
        )
    };
    let target = b
        .namespace
        .open()
        .map_err(|e| a.namespace.error(attempted(), e))?;
    let peer = LinkUnspec::new_with_index(b_index)
        .name(b.device.to_owned())
        .mtu(mtu)
        .address(b.mac.to_vec())
        .setns_by_fd(target.as_raw_fd())
        .build();
    let pair = LinkVeth::new(a.device, b.device)
        .index(a_index)
        .mtu(mtu)
        .address(a.mac.to_vec())
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .build();
    let made = a
        .namespace
        .netlink()
        .act(RouteNetlinkMessage::NewLink(pair), CREATE)
        .await;
    made.map_err(|e| a.namespace.error(attempted(), e))?;
    offloads_off(a.namespace, a.device)?;
    offloads_off(b.namespace, b.device)?;
    Ok((a_index, b_index))
}

/// Captured frames must be what was on the wire: checksums are computed before the tap, nothing is segmented late.
pub fn offloads_off(namespace: &Netns, device: &str) -> Result<(), KernelError> {
    let result = namespace.inside(|| -> io::Result<()> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
        for command in OFFLOADS_OFF {
            ethtool_off(&socket, device, command)?;
        }
        Ok(())
    })?;
    result.map_err(|e| namespace.error(format!("switch off the offloads of {device}"), e))
}

fn ethtool_off(socket: &socket2::Socket, device: &str, command: u32) -> io::Result<()> {
    // struct ethtool_value: the command and its argument, here 0.
    let mut value = [command, 0u32];
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request
        .ifr_name
        .iter_mut()
        .take(libc::IFNAMSIZ - 1)
        .zip(device.bytes())
    {
        *slot = byte as libc::c_char;
    }
    request.ifr_ifru.ifru_data = value.as_mut_ptr().cast();
    // SAFETY: request and value live through the call and are as large as the command needs.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &mut request) };
    match done {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            // A device without the feature has nothing to switch off.
            error if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
            error => Err(error),
        },
    }
}

/// Gives a device an address.
pub async fn add_address(
    namespace: &Netns,
    device: &str,
    address: Cidr,
) -> Result<(), KernelError> {
    let message = AddressMessageBuilder::<Ipv4Addr>::new()
        .index(namespace.index(device)?)
        .address(address.address, address.prefix)
        .build();
    let done = namespace
        .netlink()
        .act(RouteNetlinkMessage::NewAddress(message), CREATE)
        .await;
    done.map_err(|e| {
        namespace.error(
            format!(
                "give {device} the address {}/{}",
                address.address, address.prefix
            ),
            e,
        )
    })
}

/// Makes the other end of a link known for good.
pub async fn add_neighbor(
    namespace: &Netns,
    device: &str,
    neighbor: Ipv4Addr,
    mac: [u8; 6],
) -> Result<(), KernelError> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.ifindex = namespace.index(device)?;
    message.header.state = NeighbourState::Permanent;
    message.attributes = vec![
        NeighbourAttribute::Destination(NeighbourAddress::Inet(neighbor)),
        NeighbourAttribute::LinkLayerAddress(mac.to_vec()),
    ];
    let done = namespace
        .netlink()
        .act(RouteNetlinkMessage::NewNeighbour(message), CREATE)
        .await;
    done.map_err(|e| namespace.error(format!("tell {device} of its neighbour {neighbor}"), e))
}

/// Switches a device on, multicast included.
pub async fn up(namespace: &Netns, device: &str) -> Result<(), KernelError> {
    let on = LinkFlags::Up | LinkFlags::Multicast;
    set_flags(namespace, device, on, on, "switch on").await
}

/// Switches a device off: its peer loses the carrier.
pub async fn down(namespace: &Netns, device: &str) -> Result<(), KernelError> {
    set_flags(
        namespace,
        device,
        LinkFlags::empty(),
        LinkFlags::Up,
        "switch off",
    )
    .await
}

async fn set_flags(
    namespace: &Netns,
    device: &str,
    flags: LinkFlags,
    mask: LinkFlags,
    attempted: &str,
) -> Result<(), KernelError> {
    let mut message = LinkMessage::default();
    message.header.index = namespace.index(device)?;
    message.header.flags = flags;
    message.header.change_mask = mask;
    let done = namespace
        .netlink()
        .act(RouteNetlinkMessage::SetLink(message), CHANGE)
        .await;
    done.map_err(|e| namespace.error(format!("{attempted} {device}"), e))
}

/// Deletes a device.
pub async fn delete(namespace: &mut Netns, device: &str) -> Result<(), KernelError> {
    let mut message = LinkMessage::default();
    message.header.index = namespace.index(device)?;
    message.attributes = vec![LinkAttribute::IfName(device.to_owned())];
    let done = namespace
        .netlink()
        .act(RouteNetlinkMessage::DelLink(message), CHANGE)
        .await;
    done.map_err(|e| namespace.error(format!("delete {device}"), e))?;
    namespace.forget(device);
    Ok(())
}
