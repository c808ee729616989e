//! Devices: veth pairs made directly in their namespaces, addresses, up and down.
//!
//! Every link of the lab has two ends that know each other: neighbours are permanent, so no ARP packet is
//! ever lost, or causes a loss that nobody could explain.

use std::{
    io,
    net::Ipv4Addr,
    os::fd::{AsFd, AsRawFd},
};

use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    link::{InfoData, InfoVeth, LinkAttribute, LinkFlags, LinkMessage},
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
};
use rtnetlink::{AddressMessageBuilder, LinkUnspec, LinkVeth};

use super::{
    Batch, KernelError, Netns,
    netlink::{CHANGE, CREATE},
};
use crate::plan::Cidr;

/// Room for GRE and Register headers around a customer's full-size frame: the core is a jumbo core.
pub const CORE_MTU: u32 = 1600;
/// A customer's links.
pub const CUSTOMER_MTU: u32 = 1500;

/// Legacy on/off commands of linux/ethtool.h: transmit and receive checksums, scatter-gather, segmentation.
const OFFLOADS_OFF: [u32; 6] = [0x15, 0x17, 0x19, 0x1f, 0x24, 0x2c];

/// ETHTOOL_GLINK.
const GET_LINK: u32 = 0xa;

/// One end of a veth pair to be made.
pub struct VethEnd<'a> {
    /// Where.
    pub namespace: &'a Netns,
    /// Device name, at most 15 bytes, registered there.
    pub device: &'a str,
    /// Link-layer address; ours are locally administered and say where they are.
    pub mac: [u8; 6],
}

/// Makes a veth pair, both ends in place, down. Their offloads are still on.
pub fn create_veth<'a>(
    batch: &mut Batch<'a>,
    a: VethEnd<'a>,
    b: VethEnd<'a>,
    mtu: u32,
) -> Result<(), KernelError> {
    let peer = LinkUnspec::new_with_index(b.namespace.index(b.device)?)
        .name(b.device.to_owned())
        .mtu(mtu)
        .address(b.mac.to_vec())
        .setns_by_fd(b.namespace.as_fd().as_raw_fd())
        .build();
    let pair = LinkVeth::new(a.device, b.device)
        .index(a.namespace.index(a.device)?)
        .mtu(mtu)
        .address(a.mac.to_vec())
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .build();
    let attempted = format!(
        "create the pair {} - {} ({})",
        a.device,
        b.device,
        b.namespace.name()
    );
    batch.add(
        a.namespace,
        RouteNetlinkMessage::NewLink(pair),
        CREATE,
        attempted,
    );
    Ok(())
}

/// Captured frames must be what was on the wire: checksums are computed before the tap, nothing is segmented late.
pub fn offloads_off<'d>(
    namespace: &Netns,
    devices: impl IntoIterator<Item = &'d str>,
) -> Result<(), KernelError> {
    let attempted = "switch off the offloads of";
    ethtool(namespace, devices, &OFFLOADS_OFF, attempted)
}

/// Has the kernel notice now which devices have a carrier. By itself it does so a moment later, or, of many at once, of a
/// hundred a second; until then they drop what they are to send. A kernel before 6.9 goes on taking its time.
pub fn notice_carriers<'d>(
    namespace: &Netns,
    devices: impl IntoIterator<Item = &'d str>,
) -> Result<(), KernelError> {
    ethtool(namespace, devices, &[GET_LINK], "ask for the carrier of")
}

fn ethtool<'d>(
    namespace: &Netns,
    devices: impl IntoIterator<Item = &'d str>,
    commands: &[u32],
    attempted: &str,
) -> Result<(), KernelError> {
    let act = || -> Result<(), (&str, io::Error)> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)
            .map_err(|e| ("devices", e))?;
        for device in devices {
            for command in commands {
                ethtool_command(&socket, device, *command).map_err(|e| (device, e))?;
            }
        }
        Ok(())
    };
    namespace
        .inside(act)?
        .map_err(|(device, error)| namespace.error(format!("{attempted} {device}"), error))
}

fn ethtool_command(socket: &socket2::Socket, device: &str, command: u32) -> io::Result<()> {
    // struct ethtool_value: the command, and its argument or answer.
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
            // A device without the feature has nothing to switch off, or to tell.
            error if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
            error => Err(error),
        },
    }
}

/// Gives a device an address.
pub fn add_address<'a>(
    batch: &mut Batch<'a>,
    namespace: &'a Netns,
    device: &str,
    address: Cidr,
) -> Result<(), KernelError> {
    let Cidr { address, prefix } = address;
    let message = AddressMessageBuilder::<Ipv4Addr>::new()
        .index(namespace.index(device)?)
        .address(address, prefix)
        .build();
    batch.add(
        namespace,
        RouteNetlinkMessage::NewAddress(message),
        CREATE,
        format!("give {device} the address {address}/{prefix}"),
    );
    Ok(())
}

/// Makes the other end of a link known for good.
pub fn add_neighbor<'a>(
    batch: &mut Batch<'a>,
    namespace: &'a Netns,
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
    batch.add(
        namespace,
        RouteNetlinkMessage::NewNeighbour(message),
        CREATE,
        format!("tell {device} of its neighbour {neighbor}"),
    );
    Ok(())
}

/// Switches a device on, multicast included.
pub fn up<'a>(
    batch: &mut Batch<'a>,
    namespace: &'a Netns,
    device: &str,
) -> Result<(), KernelError> {
    let on = LinkFlags::Up | LinkFlags::Multicast;
    set_flags(batch, namespace, device, (on, on), "switch on")
}

/// Switches a device off: its peer loses the carrier.
pub fn down<'a>(
    batch: &mut Batch<'a>,
    namespace: &'a Netns,
    device: &str,
) -> Result<(), KernelError> {
    let off = (LinkFlags::empty(), LinkFlags::Up);
    set_flags(batch, namespace, device, off, "switch off")
}

fn set_flags<'a>(
    batch: &mut Batch<'a>,
    namespace: &'a Netns,
    device: &str,
    (flags, mask): (LinkFlags, LinkFlags),
    attempted: &str,
) -> Result<(), KernelError> {
    let mut message = LinkMessage::default();
    message.header.index = namespace.index(device)?;
    message.header.flags = flags;
    message.header.change_mask = mask;
    batch.add(
        namespace,
        RouteNetlinkMessage::SetLink(message),
        CHANGE,
        format!("{attempted} {device}"),
    );
    Ok(())
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

/// Indices of the devices that are on and have a carrier.
pub async fn indices_up(namespace: &Netns) -> Result<Vec<u32>, KernelError> {
    let found = namespace
        .netlink()
        .dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))
        .await;
    let found = found.map_err(|e| namespace.error("read the devices", e))?;
    let is_up = |message: RouteNetlinkMessage| match message {
        RouteNetlinkMessage::NewLink(link) => link
            .header
            .flags
            .contains(LinkFlags::Up | LinkFlags::LowerUp)
            .then_some(link.header.index),
        _ => None,
    };
    Ok(found.into_iter().filter_map(is_up).collect())
}
