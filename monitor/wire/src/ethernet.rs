//! Ethernet II, with IEEE 802.1Q tags read over: what a capture on an Ethernet interface hands out.

use core::fmt;

use crate::bytes::{array_at, put, put_u16, u16_at};
use crate::error::{Field, Protocol, Result};
use crate::open_enum::open_enum;

open_enum! {
    /// What a frame, or a GRE packet, carries.
    pub enum EtherType(u16) {
        /// RFC 894; in GRE, a customer's IPv4 (RFC 6037 §4.7).
        Ipv4 = 0x0800 => "IPv4",
        /// RFC 826.
        Arp = 0x0806 => "ARP",
        /// IEEE 802.1Q.
        Vlan = 0x8100 => "802.1Q",
        /// RFC 2464.
        Ipv6 = 0x86dd => "IPv6",
        /// IEEE 802.1ad.
        ServiceVlan = 0x88a8 => "802.1ad",
    }
}

/// Length of the header without tags, in bytes.
pub const HEADER_LEN: usize = 14;

const TAG_LEN: usize = 4;
const TAGS_MAX: usize = 2;
const TYPE: usize = 12;
/// Below this, the type field is an IEEE 802.3 length.
const TYPE_MIN: u16 = 0x0600;

const fn field(name: &'static str, offset: usize) -> Field {
    Field {
        protocol: Protocol::Ethernet,
        name,
        offset,
    }
}

/// A hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A view of an Ethernet II frame, without preamble and frame check sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    /// Where the type behind the tags, if any, lies.
    type_at: usize,
}

impl<'a> Packet<'a> {
    /// A view of a frame with at most two tags; IEEE 802.3 frames are refused.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self> {
        let mut type_at = TYPE;
        field("header", 0).needs(HEADER_LEN, bytes)?;
        for _ in 0..TAGS_MAX {
            match EtherType::from(u16_at(bytes, type_at)) {
                EtherType::Vlan | EtherType::ServiceVlan => type_at += TAG_LEN,
                EtherType::Ipv4 | EtherType::Arp | EtherType::Ipv6 | EtherType::Unknown(_) => break,
            }
            field("802.1Q tag", type_at - TAG_LEN).needs(TAG_LEN + 2, bytes)?;
        }
        let found = u16_at(bytes, type_at);
        field("type", type_at).at_least(TYPE_MIN.into(), found.into())?;
        Ok(Self { bytes, type_at })
    }

    /// Destination address.
    #[must_use]
    pub fn dst(&self) -> MacAddress {
        MacAddress(array_at(self.bytes, 0))
    }

    /// Source address.
    #[must_use]
    pub fn src(&self) -> MacAddress {
        MacAddress(array_at(self.bytes, 6))
    }

    /// What the payload is, tags read over.
    #[must_use]
    pub fn ethertype(&self) -> EtherType {
        EtherType::from(u16_at(self.bytes, self.type_at))
    }

    /// Length of addresses, tags and type, in bytes.
    #[must_use]
    pub fn header_len(&self) -> usize {
        self.type_at + 2
    }

    /// The bytes behind the header, a short frame's padding included.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[self.header_len()..]
    }
}

/// An Ethernet II header without tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repr {
    /// Destination address.
    pub dst: MacAddress,
    /// Source address.
    pub src: MacAddress,
    /// What the payload is.
    pub ethertype: EtherType,
}

impl Repr {
    /// Reads the header; tags are forgotten.
    #[must_use]
    pub fn parse(packet: &Packet<'_>) -> Self {
        Self {
            dst: packet.dst(),
            src: packet.src(),
            ethertype: packet.ethertype(),
        }
    }

    /// Length of the header, in bytes.
    #[must_use]
    pub fn buffer_len(&self) -> usize {
        HEADER_LEN
    }

    /// Writes the header to the front of `buffer`.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<()> {
        field("header", 0).fits(HEADER_LEN, buffer)?;
        put(buffer, 0, &self.dst.0);
        put(buffer, 6, &self.src.0);
        put_u16(buffer, TYPE, self.ethertype.into());
        Ok(())
    }
}

impl fmt::Display for Repr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Ethernet {} -> {} {}",
            self.src, self.dst, self.ethertype
        )
    }
}
