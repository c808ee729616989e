//! The monitor's GRE tunnels: a packet of ours in, a packet for the wire out, and back.

use core::net::Ipv4Addr;

use crate::content::Content;
use crate::error::{Expected, Field, Protocol, Result};
use crate::ethernet::EtherType;
use crate::inner::{Addressing, Inner};
use crate::ipv4::IpProtocol;
use crate::{gre, ipv4};

/// What the tunnel puts around a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outer {
    /// From the monitor's address to the router's. TTL and TOS are the tunnel's own.
    pub ip: Addressing,
    /// The GRE key that tells tunnels between the same two addresses apart.
    pub key: Option<u32>,
    /// The GRE sequence number, if the router wants one.
    pub sequence: Option<u32>,
    /// Is there to be a GRE checksum? Only if the router is configured for it.
    pub has_checksum: bool,
}

impl Outer {
    /// A plain tunnel: optional key, no sequence numbers, no checksum.
    #[must_use]
    pub fn new(src: Ipv4Addr, dst: Ipv4Addr, key: Option<u32>) -> Self {
        Self {
            ip: Addressing::new(src, dst),
            key,
            sequence: None,
            has_checksum: false,
        }
    }

    fn gre(&self, payload_len: usize) -> gre::Repr {
        gre::Repr {
            sequence: self.sequence,
            has_checksum: self.has_checksum,
            ..gre::Repr::ipv4(self.key, payload_len)
        }
    }

    fn ipv4(&self, payload_len: usize) -> ipv4::Repr {
        ipv4::Repr {
            ttl: self.ip.ttl,
            tos: self.ip.tos,
            identification: self.ip.identification,
            ..ipv4::Repr::new(self.ip.src, self.ip.dst, IpProtocol::Gre, payload_len)
        }
    }
}

/// Length of `inner` with the tunnel around it, in bytes.
#[must_use]
pub fn encapsulated_len(outer: &Outer, inner: &Inner<'_>) -> usize {
    outer
        .ipv4(outer.gre(inner.buffer_len()).buffer_len())
        .buffer_len()
}

/// Writes outer IPv4, GRE and the whole inner packet to the front of `buffer`; returns its length in
/// bytes. DF stays clear, so that a path with a small MTU fragments rather than drops.
pub fn encapsulate(outer: &Outer, inner: &Inner<'_>, buffer: &mut [u8]) -> Result<usize> {
    let gre = outer.gre(inner.buffer_len());
    let ipv4 = outer.ipv4(gre.buffer_len());
    ipv4.emit(buffer, |packet| {
        gre.emit(packet, |payload| inner.emit(payload))
    })?;
    Ok(ipv4.buffer_len())
}

/// A packet that arrived through a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decapsulated<'a> {
    /// The outer packet: from the router to the monitor.
    pub outer: ipv4::Packet<'a>,
    /// The GRE packet in it.
    pub gre: gre::Packet<'a>,
    /// The IPv4 packet in that.
    pub inner: ipv4::Packet<'a>,
}

/// Reads a packet that arrived through a tunnel: a whole IPv4 packet, from its version on. Checksums
/// of the outer header, of GRE if it has one, and of the inner header must be right. Offsets in
/// errors count from the first byte handed in.
pub fn decapsulate(packet: &[u8]) -> Result<Decapsulated<'_>> {
    decapsulate_as(packet, Extent::Whole)
}

/// The same for a packet that a capture's snapshot length may have cut short behind its headers. A GRE
/// checksum, which covers the payload, is then not verified.
pub fn decapsulate_cut_short(packet: &[u8]) -> Result<Decapsulated<'_>> {
    decapsulate_as(packet, Extent::CutShort)
}

/// The same for a packet of our own on its way out: nothing can have damaged it yet, so checksums are not verified.
pub fn decapsulate_own(packet: &[u8]) -> Result<Decapsulated<'_>> {
    decapsulate_as(packet, Extent::Own)
}

#[derive(Clone, Copy)]
enum Extent {
    Whole,
    CutShort,
    Own,
}

impl Extent {
    fn ipv4(self, bytes: &[u8]) -> Result<ipv4::Packet<'_>> {
        let packet = match self {
            Self::Whole | Self::Own => ipv4::Packet::new_checked(bytes),
            Self::CutShort => ipv4::Packet::new_cut_short(bytes),
        }?;
        match self {
            Self::Whole | Self::CutShort => packet.verify_checksum()?,
            Self::Own => {}
        }
        Ok(packet)
    }

    fn gre<'a>(self, outer: &ipv4::Packet<'a>) -> Result<gre::Packet<'a>> {
        let gre = gre::Packet::new_checked(outer.payload())?;
        match self {
            Self::Whole | Self::CutShort if !outer.is_cut_short() => gre.verify_checksum()?,
            Self::Whole | Self::CutShort | Self::Own => {}
        }
        let protocol = Field {
            protocol: Protocol::Gre,
            name: "protocol type",
            offset: 2,
        };
        protocol.equals(u16::from(EtherType::Ipv4), u16::from(gre.protocol()))?;
        Ok(gre)
    }
}

fn decapsulate_as(packet: &[u8], extent: Extent) -> Result<Decapsulated<'_>> {
    let outer = extent.ipv4(packet)?;
    check_outer(&outer)?;
    let gre_at = outer.header_len();
    let gre = extent.gre(&outer).map_err(|e| e.within(gre_at))?;
    let inner_at = gre_at + gre.header_len();
    let inner = extent.ipv4(gre.payload()).map_err(|e| e.within(inner_at))?;
    Ok(Decapsulated { outer, gre, inner })
}

fn check_outer(outer: &ipv4::Packet<'_>) -> Result<()> {
    let field = |name, offset| Field {
        protocol: Protocol::Ipv4,
        name,
        offset,
    };
    let whole = Expected::Words("0: a tunnel's packets are not reassembled here");
    let offset = outer.fragment_offset();
    field("fragment offset", 6).holds(offset == 0, whole, offset)?;
    let more = Expected::Words("clear: a tunnel's packets are not reassembled here");
    field("more fragments", 6).holds(!outer.more_fragments(), more, 1u8)?;
    field("protocol", 9).equals(u8::from(IpProtocol::Gre), u8::from(outer.protocol()))
}

impl<'a> Decapsulated<'a> {
    /// The router's end of the tunnel.
    #[must_use]
    pub fn src(&self) -> Ipv4Addr {
        self.outer.src()
    }

    /// The monitor's end of the tunnel.
    #[must_use]
    pub fn dst(&self) -> Ipv4Addr {
        self.outer.dst()
    }

    /// The GRE key, if there is one.
    #[must_use]
    pub fn key(&self) -> Option<u32> {
        self.gre.key()
    }

    /// What the inner packet is. Offsets in errors count from the outer packet's first byte.
    pub fn content(&self) -> Result<Content<'a>> {
        let inner_at = self.outer.header_len() + self.gre.header_len();
        Content::of(&self.inner).map_err(|e| e.within(inner_at))
    }
}
