//! IPv4 (RFC 791): the header, its checksum, its options; fragments are recognised, not reassembled.

use core::fmt;
use core::net::Ipv4Addr;

use crate::bytes::{address_at, put, put_address, put_u16, u16_at};
use crate::checksum::{Sum, checksum_without};
use crate::error::{Expected, Field, Protocol, Result};
use crate::ipv4_options::{Options, OptionsIter};
use crate::open_enum::open_enum;

open_enum! {
    /// The protocol field, as far as a multicast VPN monitor meets it.
    pub enum IpProtocol(u8) {
        /// RFC 792.
        Icmp = 1 => "ICMP",
        /// RFC 3376.
        Igmp = 2 => "IGMP",
        /// RFC 793.
        Tcp = 6 => "TCP",
        /// RFC 768.
        Udp = 17 => "UDP",
        /// RFC 2784.
        Gre = 47 => "GRE",
        /// RFC 7761.
        Pim = 103 => "PIM",
    }
}

/// Length of the header without options, in bytes.
pub const HEADER_LEN: usize = 20;

const fn field(name: &'static str, offset: usize) -> Field {
    Field {
        protocol: Protocol::Ipv4,
        name,
        offset,
    }
}

const HEADER: Field = field("header", 0);
const VERSION: Field = field("version", 0);
const IHL: Field = field("header length", 0);
const TOTAL_LENGTH: Field = field("total length", 2);
const FRAGMENT_OFFSET: Field = field("fragment offset", 6);
const CHECKSUM: Field = field("header checksum", 10);
const IDENTIFICATION: usize = 4;
const OPTIONS: usize = 20;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;

/// A view of an IPv4 packet. Bytes behind its total length (a link's padding) are not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// A view of a whole packet: version, lengths and their agreement with `bytes` are checked,
    /// the checksum is not (see [`Packet::verify_checksum`]).
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self> {
        let total = check_lengths(bytes)?;
        TOTAL_LENGTH.at_most(bytes.len(), total)?;
        Ok(Self {
            bytes: &bytes[..total],
        })
    }

    /// A view of a packet whose payload may have been cut short: by a capture's snapshot length,
    /// or because an ICMP error quotes only its beginning. The header must be whole.
    pub fn new_cut_short(bytes: &'a [u8]) -> Result<Self> {
        let total = check_lengths(bytes)?;
        Ok(Self {
            bytes: &bytes[..total.min(bytes.len())],
        })
    }

    /// Length of header and options, in bytes.
    #[must_use]
    pub fn header_len(&self) -> usize {
        header_len(self.bytes)
    }

    /// Length of the whole packet on the wire, in bytes, whether or not all of it is here.
    #[must_use]
    pub fn total_len(&self) -> usize {
        usize::from(u16_at(self.bytes, TOTAL_LENGTH.offset))
    }

    /// Is some of the payload not here?
    #[must_use]
    pub fn is_cut_short(&self) -> bool {
        self.bytes.len() < self.total_len()
    }

    /// Type of service: DSCP and ECN.
    #[must_use]
    pub fn tos(&self) -> u8 {
        self.bytes[1]
    }

    /// Identification, which fragments of one packet share.
    #[must_use]
    pub fn identification(&self) -> u16 {
        u16_at(self.bytes, IDENTIFICATION)
    }

    /// The DF bit.
    #[must_use]
    pub fn dont_fragment(&self) -> bool {
        self.flags() & DONT_FRAGMENT != 0
    }

    /// The MF bit.
    #[must_use]
    pub fn more_fragments(&self) -> bool {
        self.flags() & MORE_FRAGMENTS != 0
    }

    /// Where this fragment's payload lies in the whole packet's, in bytes.
    #[must_use]
    pub fn fragment_offset(&self) -> u16 {
        (self.flags() & OFFSET_MASK) * 8
    }

    /// Is this only a part of a packet? Then its payload has a header of the next protocol only if
    /// the offset is zero, and no checksum of that protocol can be verified.
    #[must_use]
    pub fn is_fragment(&self) -> bool {
        self.more_fragments() || self.fragment_offset() != 0
    }

    /// Time to live, in hops.
    #[must_use]
    pub fn ttl(&self) -> u8 {
        self.bytes[8]
    }

    /// What the payload is.
    #[must_use]
    pub fn protocol(&self) -> IpProtocol {
        IpProtocol::from(self.bytes[9])
    }

    /// The header checksum as it stands in the packet.
    #[must_use]
    pub fn checksum(&self) -> u16 {
        u16_at(self.bytes, CHECKSUM.offset)
    }

    /// Source address.
    #[must_use]
    pub fn src(&self) -> Ipv4Addr {
        address_at(self.bytes, 12)
    }

    /// Destination address.
    #[must_use]
    pub fn dst(&self) -> Ipv4Addr {
        address_at(self.bytes, 16)
    }

    /// The options, one by one.
    #[must_use]
    pub fn options(&self) -> OptionsIter<'a> {
        OptionsIter::new(self.option_bytes())
    }

    /// Has it the Router Alert option (RFC 2113)?
    #[must_use]
    pub fn has_router_alert(&self) -> bool {
        self.options()
            .flatten()
            .any(|option| option.is_router_alert())
    }

    /// The bytes behind header and options, as many as are here.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[self.header_len()..]
    }

    /// The whole packet, as many bytes as are here.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The header checksum must agree with the header.
    pub fn verify_checksum(&self) -> Result<()> {
        let expected = checksum_without(&self.bytes[..self.header_len()], CHECKSUM.offset);
        CHECKSUM.checksum(expected, self.checksum())
    }

    fn option_bytes(&self) -> &'a [u8] {
        &self.bytes[OPTIONS..self.header_len()]
    }

    fn flags(&self) -> u16 {
        u16_at(self.bytes, FRAGMENT_OFFSET.offset)
    }
}

/// Gives the packet in `bytes` another identification; its checksum is brought up to date (RFC 1624 section 3).
pub fn identify(bytes: &mut [u8], identification: u16) -> Result<()> {
    HEADER.needs(HEADER_LEN, bytes)?;
    let (old, checksum) = (
        u16_at(bytes, IDENTIFICATION),
        u16_at(bytes, CHECKSUM.offset),
    );
    let sum = u32::from(!checksum) + u32::from(!old) + u32::from(identification);
    let sum = (sum & 0xffff) + (sum >> 16);
    put_u16(bytes, IDENTIFICATION, identification);
    put_u16(
        bytes,
        CHECKSUM.offset,
        !((sum & 0xffff) + (sum >> 16)) as u16,
    );
    Ok(())
}

/// Checks everything but the payload's presence; returns the total length.
fn check_lengths(bytes: &[u8]) -> Result<usize> {
    HEADER.needs(HEADER_LEN, bytes)?;
    VERSION.equals(4u8, bytes[0] >> 4)?;
    IHL.at_least(HEADER_LEN, header_len(bytes))?;
    HEADER.needs(header_len(bytes), bytes)?;
    let total = usize::from(u16_at(bytes, TOTAL_LENGTH.offset));
    TOTAL_LENGTH.at_least(header_len(bytes), total)?;
    Ok(total)
}

fn header_len(bytes: &[u8]) -> usize {
    usize::from(bytes[0] & 0xf) * 4
}

/// An IPv4 header that makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repr {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// What the payload is.
    pub protocol: IpProtocol,
    /// Time to live, in hops.
    pub ttl: u8,
    /// Type of service: DSCP and ECN.
    pub tos: u8,
    /// Identification, which fragments of one packet share.
    pub identification: u16,
    /// The DF bit.
    pub dont_fragment: bool,
    /// The MF bit.
    pub more_fragments: bool,
    /// Where the payload lies in an unfragmented packet's, in bytes; a multiple of 8.
    pub fragment_offset: u16,
    /// Options, padded to whole 32-bit words.
    pub options: Options,
    /// Length of the payload, in bytes.
    pub payload_len: usize,
}

impl Repr {
    /// A plain header: no options, not a fragment, DF clear, TOS and identification zero.
    #[must_use]
    pub fn new(src: Ipv4Addr, dst: Ipv4Addr, protocol: IpProtocol, payload_len: usize) -> Self {
        Self {
            src,
            dst,
            protocol,
            ttl: 64,
            tos: 0,
            identification: 0,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            options: Options::NONE,
            payload_len,
        }
    }

    /// Reads the header; its checksum and options must be right.
    pub fn parse(packet: &Packet<'_>) -> Result<Self> {
        packet.verify_checksum()?;
        Ok(Self {
            src: packet.src(),
            dst: packet.dst(),
            protocol: packet.protocol(),
            ttl: packet.ttl(),
            tos: packet.tos(),
            identification: packet.identification(),
            dont_fragment: packet.dont_fragment(),
            more_fragments: packet.more_fragments(),
            fragment_offset: packet.fragment_offset(),
            options: Options::parse(packet.option_bytes()).map_err(|e| e.within(OPTIONS))?,
            payload_len: packet.total_len() - packet.header_len(),
        })
    }

    /// Length of header and options, in bytes.
    #[must_use]
    pub fn header_len(&self) -> usize {
        HEADER_LEN + self.options.as_bytes().len()
    }

    /// Length of the whole packet, in bytes.
    #[must_use]
    pub fn buffer_len(&self) -> usize {
        self.header_len() + self.payload_len
    }

    /// Writes the packet to the front of `buffer`; `fill` writes its payload.
    pub fn emit(
        &self,
        buffer: &mut [u8],
        fill: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<()> {
        HEADER.fits(self.buffer_len(), buffer)?;
        TOTAL_LENGTH.at_most(usize::from(u16::MAX), self.buffer_len())?;
        FRAGMENT_OFFSET.holds(
            self.fragment_offset.is_multiple_of(8),
            Expected::MultipleOf(8),
            self.fragment_offset,
        )?;
        let (header, payload) = buffer[..self.buffer_len()].split_at_mut(self.header_len());
        self.emit_header(header);
        fill(payload).map_err(|e| e.within(self.header_len()))
    }

    fn emit_header(&self, header: &mut [u8]) {
        header[0] = 0x40 | (header.len() / 4) as u8;
        header[1] = self.tos;
        put_u16(header, TOTAL_LENGTH.offset, self.buffer_len() as u16);
        put_u16(header, 4, self.identification);
        let mut flags = self.fragment_offset / 8;
        flags |= if self.dont_fragment { DONT_FRAGMENT } else { 0 };
        flags |= if self.more_fragments {
            MORE_FRAGMENTS
        } else {
            0
        };
        put_u16(header, FRAGMENT_OFFSET.offset, flags);
        header[8] = self.ttl;
        header[9] = self.protocol.into();
        put_u16(header, CHECKSUM.offset, 0);
        put_address(header, 12, self.src);
        put_address(header, 16, self.dst);
        put(header, OPTIONS, self.options.as_bytes());
        let checksum = Sum::of(header).checksum();
        put_u16(header, CHECKSUM.offset, checksum);
    }
}

impl fmt::Display for Repr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "IPv4 {} -> {} {} ttl {}",
            self.src, self.dst, self.protocol, self.ttl
        )?;
        if self.tos != 0 {
            write!(f, " tos {:#04x}", self.tos)?;
        }
        if self.dont_fragment {
            f.write_str(" DF")?;
        }
        if self.more_fragments || self.fragment_offset != 0 {
            let more = if self.more_fragments { "+" } else { "" };
            write!(f, " fragment at {}{more}", self.fragment_offset)?;
        }
        write!(f, "{}, {} bytes", self.options, self.payload_len)
    }
}
