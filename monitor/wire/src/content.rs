//! What a received IPv4 packet turns out to be, as far as the monitor cares.

use crate::error::{Expected, Field, Protocol, Result, WireError};
use crate::ethernet::EtherType;
use crate::ipv4::IpProtocol;
use crate::{gre, icmp, igmp, ipv4, probe, udp};

/// The content of an IPv4 packet. Of a customer's packet nothing but the header is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// A probe of this or another monitor; its UDP checksum was there and right.
    Probe {
        /// The UDP header.
        udp: udp::Repr,
        /// The probe's.
        probe: probe::Repr,
    },
    /// Any other UDP datagram; its checksum has not been looked at.
    Udp(udp::Packet<'a>),
    /// An ICMP message with a right checksum.
    Icmp(icmp::Repr<'a>),
    /// An IGMP message with a right checksum.
    Igmp(igmp::Repr<'a>),
    /// GRE again: a packet on an MDT.
    Mdt(Customer<'a>),
    /// A part of a packet; nothing can be said of its content.
    Fragment,
    /// Something else.
    Other(IpProtocol),
}

/// A customer's packet, as it was carried on an MDT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Customer<'a> {
    /// IPv4, with a right header checksum; a capture may have cut its payload short.
    Ipv4(ipv4::Packet<'a>),
    /// Another protocol.
    Other {
        /// Which one.
        protocol: EtherType,
        /// Its bytes.
        payload: &'a [u8],
    },
}

impl<'a> Content<'a> {
    /// The content of a packet whose own header has been verified. Offsets in errors count from the
    /// packet's first byte.
    pub fn of(packet: &ipv4::Packet<'a>) -> Result<Self> {
        if packet.is_fragment() {
            return Ok(Self::Fragment);
        }
        match packet.protocol() {
            IpProtocol::Udp => Self::of_udp(packet),
            IpProtocol::Icmp => icmp::Packet::new_checked(packet.payload())
                .and_then(|message| icmp::Repr::parse(&message))
                .map(Self::Icmp),
            IpProtocol::Igmp => igmp::Packet::new_checked(packet.payload())
                .and_then(|message| igmp::Repr::parse(&message))
                .map(Self::Igmp),
            IpProtocol::Gre => Customer::on_mdt(packet).map(Self::Mdt),
            other @ (IpProtocol::Tcp | IpProtocol::Pim | IpProtocol::Unknown(_)) => {
                Ok(Self::Other(other))
            }
        }
        .map_err(|e: WireError| e.within(packet.header_len()))
    }

    fn of_udp(packet: &ipv4::Packet<'a>) -> Result<Self> {
        let datagram = udp::Packet::new_cut_short(packet.payload())?;
        if !probe::Packet::is_claimed_by(datagram.payload()) {
            return Ok(Self::Udp(datagram));
        }
        // A probe that was damaged on the way is a lost probe: without its checksum nobody could tell,
        // and a length that fits the packet's leaves no bytes uncovered.
        let checksum = udp_field("checksum", 6);
        let expected = Expected::Words("a checksum: probes always carry one");
        checksum.holds(datagram.checksum().is_some(), expected, 0u8)?;
        let datagram = udp::Packet::new_checked(packet.payload())?;
        udp_field("length", 4).equals(packet.payload().len() as u64, datagram.length())?;
        let udp = udp::Repr::parse(&datagram, packet.src(), packet.dst())?;
        let probe = probe::Packet::new_checked(datagram.payload())
            .map_err(|e| e.within(udp::HEADER_LEN))?;
        Ok(Self::Probe {
            udp,
            probe: probe::Repr::parse(&probe),
        })
    }
}

const fn udp_field(name: &'static str, offset: usize) -> Field {
    Field {
        protocol: Protocol::Udp,
        name,
        offset,
    }
}

impl<'a> Customer<'a> {
    /// The customer's packet in a packet on an MDT.
    fn on_mdt(packet: &ipv4::Packet<'a>) -> Result<Self> {
        let cut_short = packet.is_cut_short();
        let gre = gre::Packet::new_checked(packet.payload())?;
        if !cut_short {
            gre.verify_checksum()?;
        }
        match gre.protocol() {
            EtherType::Ipv4 => {
                let customer = if cut_short {
                    ipv4::Packet::new_cut_short(gre.payload())
                } else {
                    ipv4::Packet::new_checked(gre.payload())
                };
                customer
                    .and_then(|customer| customer.verify_checksum().map(|()| Self::Ipv4(customer)))
                    .map_err(|e| e.within(gre.header_len()))
            }
            protocol => Ok(Self::Other {
                protocol,
                payload: gre.payload(),
            }),
        }
    }
}
