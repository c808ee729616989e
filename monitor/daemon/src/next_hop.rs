//! Where a packet goes next on the link: the next hop's Ethernet address, as the kernel knows it.
//!
//! The kernel's tables are asked once a destination; after that the kernel tells of changes. It verifies only such neighbours
//! as it sends to itself (RFC 4861 section 7.3, and so for ARP): when it calls one stale, the next packet is left to it,
//! which makes it ask the neighbour; and so is every packet whose next hop it does not know.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use netlink_packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily as SocketFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind,
    recv, send, socket,
};

use crate::interface::{Interface, MacAddress};

/// What is told of: links, neighbours, addresses, routes and rules.
const CHANGES: libc::c_int = libc::RTMGRP_LINK
    | libc::RTMGRP_NEIGH
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV4_RULE;
/// Longest message of the kernel.
const MESSAGE_BYTES: usize = 32 << 10;

/// How a packet gets to its next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// In a frame to this address.
    Frame(MacAddress),
    /// As the kernel sees fit: it must find out who the next hop is, or whether it still is.
    Kernel,
}

/// What the kernel knows of a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Neighbour {
    Unknown,
    /// Nobody has heard from it for long.
    Stale(MacAddress),
    Known(MacAddress),
}

/// The next hops of destinations on one interface.
pub struct NextHops {
    requests: OwnedFd,
    changes: OwnedFd,
    interface: u32,
    /// Next hop of each destination; none where there is no route that we could follow.
    routes: HashMap<Ipv4Addr, Option<Ipv4Addr>>,
    neighbours: BTreeMap<Ipv4Addr, Neighbour>,
}

impl NextHops {
    /// Asks, and listens to, the kernel of the calling thread's network namespace.
    pub fn open(interface: &Interface) -> io::Result<NextHops> {
        Ok(NextHops {
            // The order matters: what changes from here on is told of.
            changes: netlink(CHANGES.cast_unsigned())?,
            requests: netlink(0)?,
            interface: interface.index,
            routes: HashMap::new(),
            neighbours: BTreeMap::new(),
        })
    }

    /// How the next packet to `destination` gets there.
    pub fn find(&mut self, destination: Ipv4Addr) -> Hop {
        if destination.is_multicast() {
            return Hop::Frame(group_address(destination));
        }
        let Some(next) = self.route(destination) else {
            return Hop::Kernel;
        };
        match self.neighbour(next) {
            Neighbour::Known(mac) => Hop::Frame(mac),
            Neighbour::Stale(mac) => {
                self.neighbours.insert(next, Neighbour::Known(mac));
                Hop::Kernel
            }
            Neighbour::Unknown => Hop::Kernel,
        }
    }

    /// How many next hops can be sent to directly.
    pub fn known(&self) -> usize {
        let known = |n: &&Neighbour| !matches!(n, Neighbour::Unknown);
        self.neighbours.values().filter(known).count()
    }

    /// The kernel has told of changes: takes note of them. To be called when [`AsFd::as_fd`] is readable.
    pub fn follow(&mut self) {
        let mut message = vec![0; MESSAGE_BYTES];
        loop {
            match recv(
                self.changes.as_raw_fd(),
                &mut message,
                MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(length) => self.handle_change(parse(&message[..length])),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                // ENOBUFS: more has changed than it could tell.
                Err(_) => {
                    self.forget_all();
                    return;
                }
            }
        }
    }

    fn handle_change(&mut self, change: Option<RouteNetlinkMessage>) {
        match change {
            Some(RouteNetlinkMessage::NewNeighbour(m)) => self.handle_neighbour(&m, true),
            Some(RouteNetlinkMessage::DelNeighbour(m)) => self.handle_neighbour(&m, false),
            Some(RouteNetlinkMessage::NewLink(m)) if m.header.index != self.interface => {}
            // Whatever else may lead packets elsewhere.
            Some(_) | None => self.forget_all(),
        }
    }

    fn handle_neighbour(&mut self, message: &NeighbourMessage, is_there: bool) {
        if message.header.ifindex != self.interface {
            return;
        }
        let Some((address, neighbour)) = read_neighbour(message) else {
            return;
        };
        // Those that nobody asked about are asked about when they are needed.
        if let Some(known) = self.neighbours.get_mut(&address) {
            *known = if is_there {
                neighbour
            } else {
                Neighbour::Unknown
            };
        }
    }

    fn forget_all(&mut self) {
        self.routes.clear();
        self.neighbours.clear();
    }

    fn route(&mut self, destination: Ipv4Addr) -> Option<Ipv4Addr> {
        if let Some(next) = self.routes.get(&destination) {
            return *next;
        }
        let next = self.ask_route(destination);
        self.routes.insert(destination, next);
        next
    }

    fn ask_route(&self, destination: Ipv4Addr) -> Option<Ipv4Addr> {
        let mut question = RouteMessage::default();
        question.header.address_family = AddressFamily::Inet;
        question.header.destination_prefix_length = 32;
        question.attributes = vec![
            RouteAttribute::Destination(RouteAddress::Inet(destination)),
            RouteAttribute::Oif(self.interface),
        ];
        match self.ask(RouteNetlinkMessage::GetRoute(question))? {
            RouteNetlinkMessage::NewRoute(answer) => self.read_route(&answer, destination),
            _ => None,
        }
    }

    /// The next hop of a route that leads out of our interface to somebody else.
    fn read_route(&self, route: &RouteMessage, destination: Ipv4Addr) -> Option<Ipv4Addr> {
        let ours = RouteAttribute::Oif(self.interface);
        if route.header.kind != RouteType::Unicast || !route.attributes.contains(&ours) {
            return None;
        }
        let mut next = Some(destination);
        for attribute in &route.attributes {
            match attribute {
                RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => next = Some(*gateway),
                // A gateway that speaks IPv6, labels, tunnels, several ways: not for us to follow.
                RouteAttribute::Gateway(_)
                | RouteAttribute::Via(_)
                | RouteAttribute::Encap(_)
                | RouteAttribute::MultiPath(_) => next = None,
                _ => {}
            }
        }
        next
    }

    fn neighbour(&mut self, address: Ipv4Addr) -> Neighbour {
        if let Some(known) = self.neighbours.get(&address) {
            return *known;
        }
        let neighbour = self.ask_neighbour(address).unwrap_or(Neighbour::Unknown);
        self.neighbours.insert(address, neighbour);
        neighbour
    }

    fn ask_neighbour(&self, address: Ipv4Addr) -> Option<Neighbour> {
        let mut question = NeighbourMessage::default();
        question.header.family = AddressFamily::Inet;
        question.header.ifindex = self.interface;
        question.attributes = vec![NeighbourAttribute::Destination(NeighbourAddress::Inet(
            address,
        ))];
        match self.ask(RouteNetlinkMessage::GetNeighbour(question))? {
            RouteNetlinkMessage::NewNeighbour(answer) => read_neighbour(&answer).map(|(_, n)| n),
            _ => None,
        }
    }

    /// Asks the kernel, which answers before the question's system call is over. None is an error of its, or a kernel
    /// that does not know such questions.
    fn ask(&self, question: RouteNetlinkMessage) -> Option<RouteNetlinkMessage> {
        let mut message = NetlinkMessage::from(question);
        message.header.flags = NLM_F_REQUEST;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len().max(MESSAGE_BYTES)];
        message.serialize(&mut bytes);
        let length = message.buffer_len();
        let socket = self.requests.as_raw_fd();
        send(socket, &bytes[..length], MsgFlags::MSG_DONTWAIT).ok()?;
        let length = recv(socket, &mut bytes, MsgFlags::MSG_DONTWAIT).ok()?;
        parse(&bytes[..length])
    }
}

impl AsFd for NextHops {
    /// Readable when something has changed.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.changes.as_fd()
    }
}

fn netlink(groups: u32) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(
        SocketFamily::Netlink,
        SockType::Raw,
        flags,
        SockProtocol::NetlinkRoute,
    )?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(socket)
}

fn parse(bytes: &[u8]) -> Option<RouteNetlinkMessage> {
    match NetlinkMessage::deserialize(bytes).ok()?.payload {
        NetlinkPayload::InnerMessage(message) => Some(message),
        _ => None,
    }
}

/// Whose entry it is and what it says.
fn read_neighbour(message: &NeighbourMessage) -> Option<(Ipv4Addr, Neighbour)> {
    let mut address = None;
    let mut mac = None;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(a)) => address = Some(*a),
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                mac = MacAddress::try_from(bytes.as_slice()).ok();
            }
            _ => {}
        }
    }
    let neighbour = match (message.header.state, mac) {
        (
            NeighbourState::Reachable
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent,
            Some(mac),
        ) => Neighbour::Known(mac),
        (NeighbourState::Stale, Some(mac)) => Neighbour::Stale(mac),
        // NOARP: the link needs no address, and we would not know which to write.
        (_, _) => Neighbour::Unknown,
    };
    Some((address?, neighbour))
}

/// The Ethernet address of a multicast group (RFC 1112 section 6.4).
fn group_address(group: Ipv4Addr) -> MacAddress {
    let [_, a, b, c] = group.octets();
    [0x01, 0x00, 0x5e, a & 0x7f, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
    const FAR: Ipv4Addr = Ipv4Addr::new(10, 254, 1, 1);
    const MAC: MacAddress = [2, 0, 0, 0, 0, 9];

    fn hops() -> NextHops {
        let mut hops = NextHops::open(&Interface {
            name: "none".to_owned(),
            index: 7,
            mtu_bytes: 1_500,
            mac: [0; 6],
        })
        .unwrap();
        hops.routes.insert(FAR, Some(NEXT));
        hops.neighbours.insert(NEXT, Neighbour::Unknown);
        hops
    }

    fn told(interface: u32, state: NeighbourState, mac: &[u8]) -> RouteNetlinkMessage {
        let mut message = NeighbourMessage::default();
        message.header.ifindex = interface;
        message.header.state = state;
        message.attributes = vec![
            NeighbourAttribute::Destination(NeighbourAddress::Inet(NEXT)),
            NeighbourAttribute::LinkLayerAddress(mac.to_vec()),
        ];
        RouteNetlinkMessage::NewNeighbour(message)
    }

    #[test]
    fn a_neighbour_is_followed_through_all_its_states() {
        let mut hops = hops();
        assert_eq!(hops.find(FAR), Hop::Kernel, "nobody knows it");
        for state in [
            NeighbourState::Reachable,
            NeighbourState::Delay,
            NeighbourState::Probe,
            NeighbourState::Permanent,
        ] {
            hops.handle_change(Some(told(7, state, &MAC)));
            assert_eq!(hops.find(FAR), Hop::Frame(MAC), "{state:?}");
        }
        hops.handle_change(Some(told(7, NeighbourState::Stale, &MAC)));
        assert_eq!(
            hops.find(FAR),
            Hop::Kernel,
            "one packet makes the kernel look"
        );
        assert_eq!(
            hops.find(FAR),
            Hop::Frame(MAC),
            "and the others do not wait for it"
        );
        for state in [
            NeighbourState::Failed,
            NeighbourState::Incomplete,
            NeighbourState::None,
        ] {
            hops.handle_change(Some(told(7, state, &MAC)));
            assert_eq!(hops.find(FAR), Hop::Kernel, "{state:?}");
        }
    }

    #[test]
    fn another_address_counts_from_then_on_and_other_links_are_not_ours() {
        let mut hops = hops();
        hops.handle_change(Some(told(7, NeighbourState::Reachable, &MAC)));
        hops.handle_change(Some(told(8, NeighbourState::Failed, &MAC)));
        assert_eq!(hops.find(FAR), Hop::Frame(MAC));
        let other = [2, 0, 0, 0, 0, 10];
        hops.handle_change(Some(told(7, NeighbourState::Reachable, &other)));
        assert_eq!(hops.find(FAR), Hop::Frame(other));
        hops.handle_change(Some(told(7, NeighbourState::Reachable, &[1; 20])));
        assert_eq!(hops.find(FAR), Hop::Kernel, "no Ethernet address");
    }

    #[test]
    fn a_change_of_routes_forgets_where_packets_went() {
        let mut hops = hops();
        hops.handle_change(Some(told(7, NeighbourState::Reachable, &MAC)));
        let change = RouteNetlinkMessage::NewRoute(RouteMessage::default());
        hops.handle_change(Some(change));
        assert_eq!((hops.routes.len(), hops.known()), (0, 0));
    }

    #[test]
    fn groups_need_nobody_to_be_asked() {
        let group = Ipv4Addr::new(239, 129, 2, 3);
        assert_eq!(
            hops().find(group),
            Hop::Frame([0x01, 0x00, 0x5e, 0x01, 2, 3])
        );
    }

    #[test]
    fn a_route_by_way_of_another_link_is_not_followed() {
        let hops = hops();
        let route = |index, more: Vec<RouteAttribute>| {
            let mut route = RouteMessage::default();
            route.header.kind = RouteType::Unicast;
            route.attributes = more;
            route.attributes.push(RouteAttribute::Oif(index));
            hops.read_route(&route, FAR)
        };
        let gateway = || vec![RouteAttribute::Gateway(RouteAddress::Inet(NEXT))];
        assert_eq!(route(7, Vec::new()), Some(FAR), "on the link itself");
        assert_eq!(route(7, gateway()), Some(NEXT));
        assert_eq!(route(8, gateway()), None);
    }
}
