//! What a pcap capture hands out: a frame of some link type, and in it a network packet.

use crate::bytes::{u16_at, u32_at};
use crate::error::{Expected, Field, Protocol, Result};
use crate::ethernet::{self, EtherType};
use crate::ipv4;
use crate::open_enum::open_enum;

/// How a capture's frames begin: libpcap's data link types, as far as they are read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// `DLT_EN10MB`, 1.
    Ethernet,
    /// `DLT_LINUX_SLL`, 113: the "any" device of older libpcap.
    LinuxSll,
    /// `DLT_LINUX_SLL2`, 276: the "any" device, with the interface's index.
    LinuxSll2,
    /// `DLT_RAW`, 12 (101 in files, 228 for IPv4 only): the packet and nothing before it.
    Raw,
}

impl LinkType {
    /// The link type of libpcap's number; `None` if its frames cannot be read here.
    #[must_use]
    pub fn from_dlt(number: i32) -> Option<Self> {
        match number {
            1 => Some(Self::Ethernet),
            12 | 101 | 228 => Some(Self::Raw),
            113 => Some(Self::LinuxSll),
            276 => Some(Self::LinuxSll2),
            _ => None,
        }
    }

    /// Reads the link's header of one captured frame.
    pub fn open(self, frame: &[u8]) -> Result<Captured<'_>> {
        match self {
            Self::Ethernet => open_ethernet(frame),
            Self::LinuxSll => open_sll(frame),
            Self::LinuxSll2 => open_sll2(frame),
            Self::Raw => open_raw(frame),
        }
    }
}

open_enum! {
    /// How a captured packet relates to this host (the packet type of `sockaddr_ll`).
    pub enum Direction(u16) {
        /// Addressed to this host.
        ToUs = 0 => "to us",
        /// Broadcast by someone else.
        Broadcast = 1 => "broadcast",
        /// Multicast by someone else.
        Multicast = 2 => "multicast",
        /// Between others, seen in promiscuous mode.
        BetweenOthers = 3 => "between others",
        /// Sent by this host.
        Outgoing = 4 => "outgoing",
    }
}

/// A captured frame without its link's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Captured<'a> {
    /// What the payload is.
    pub ethertype: EtherType,
    /// Where it came from or went to, if the link type tells.
    pub direction: Option<Direction>,
    /// Index of the interface, if the link type tells.
    pub interface: Option<u32>,
    /// The network packet; a short Ethernet frame's padding may follow it.
    pub payload: &'a [u8],
}

fn open_ethernet(frame: &[u8]) -> Result<Captured<'_>> {
    let packet = ethernet::Packet::new_checked(frame)?;
    Ok(Captured {
        ethertype: packet.ethertype(),
        direction: None,
        interface: None,
        payload: packet.payload(),
    })
}

const SLL_HEADER_LEN: usize = 16;
const SLL2_HEADER_LEN: usize = 20;

/// Layout: packet type, hardware type, address length (16 bits each), address (8 bytes), protocol (16 bits).
fn open_sll(frame: &[u8]) -> Result<Captured<'_>> {
    let header = Field {
        protocol: Protocol::LinuxSll,
        name: "header",
        offset: 0,
    };
    header.needs(SLL_HEADER_LEN, frame)?;
    Ok(Captured {
        ethertype: EtherType::from(u16_at(frame, 14)),
        direction: Some(Direction::from(u16_at(frame, 0))),
        interface: None,
        payload: &frame[SLL_HEADER_LEN..],
    })
}

/// Layout: protocol, reserved (16 bits each), interface (32), hardware type (16), packet type, address
/// length (8 each), address (8 bytes).
fn open_sll2(frame: &[u8]) -> Result<Captured<'_>> {
    let header = Field {
        protocol: Protocol::LinuxSll2,
        name: "header",
        offset: 0,
    };
    header.needs(SLL2_HEADER_LEN, frame)?;
    Ok(Captured {
        ethertype: EtherType::from(u16_at(frame, 0)),
        direction: Some(Direction::from(u16::from(frame[10]))),
        interface: Some(u32_at(frame, 4)),
        payload: &frame[SLL2_HEADER_LEN..],
    })
}

/// Without a link header the packet's own version is all that tells what it is.
fn open_raw(frame: &[u8]) -> Result<Captured<'_>> {
    let version = Field {
        protocol: Protocol::Ipv4,
        name: "version",
        offset: 0,
    };
    version.needs(1, frame)?;
    let found = frame[0] >> 4;
    version.holds(found == 4 || found == 6, Expected::Words("4 or 6"), found)?;
    let ethertype = if found == 4 {
        EtherType::Ipv4
    } else {
        EtherType::Ipv6
    };
    Ok(Captured {
        ethertype,
        direction: None,
        interface: None,
        payload: frame,
    })
}

impl<'a> Captured<'a> {
    /// A view of the IPv4 packet, which a snapshot length may have cut short; `None` if it is something else.
    pub fn ipv4(&self) -> Result<Option<ipv4::Packet<'a>>> {
        match self.ethertype {
            EtherType::Ipv4 => ipv4::Packet::new_cut_short(self.payload).map(Some),
            EtherType::Arp
            | EtherType::Vlan
            | EtherType::Ipv6
            | EtherType::ServiceVlan
            | EtherType::Unknown(_) => Ok(None),
        }
    }
}
