//! UDP (RFC 768) over IPv4. A checksum of zero means that the sender made none.

use core::fmt;
use core::net::Ipv4Addr;

use crate::bytes::{put_u16, u16_at};
use crate::checksum::Sum;
use crate::error::{Field, Protocol, Result};
use crate::ipv4::IpProtocol;

/// Length of the header, in bytes.
pub const HEADER_LEN: usize = 8;

const fn field(name: &'static str, offset: usize) -> Field {
    Field {
        protocol: Protocol::Udp,
        name,
        offset,
    }
}

const HEADER: Field = field("header", 0);
const LENGTH: Field = field("length", 4);
pub(crate) const CHECKSUM_AT: usize = 6;
const CHECKSUM: Field = field("checksum", CHECKSUM_AT);

/// A view of a UDP datagram. Bytes behind its length are not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// A view of a whole datagram: lengths are checked, the checksum is not.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self> {
        let length = check_length(bytes)?;
        LENGTH.at_most(bytes.len(), length)?;
        Ok(Self {
            bytes: &bytes[..length],
        })
    }

    /// A view of a datagram whose payload may have been cut short. The header must be whole.
    pub fn new_cut_short(bytes: &'a [u8]) -> Result<Self> {
        let length = check_length(bytes)?;
        Ok(Self {
            bytes: &bytes[..length.min(bytes.len())],
        })
    }

    /// Source port; zero when unused.
    #[must_use]
    pub fn src_port(&self) -> u16 {
        u16_at(self.bytes, 0)
    }

    /// Destination port.
    #[must_use]
    pub fn dst_port(&self) -> u16 {
        u16_at(self.bytes, 2)
    }

    /// Length of header and payload on the wire, in bytes, whether or not all of it is here.
    #[must_use]
    pub fn length(&self) -> u16 {
        u16_at(self.bytes, LENGTH.offset)
    }

    /// The checksum as it stands in the packet; `None` if the sender made none.
    #[must_use]
    pub fn checksum(&self) -> Option<u16> {
        Some(u16_at(self.bytes, CHECKSUM.offset)).filter(|&checksum| checksum != 0)
    }

    /// The bytes behind the header, as many as are here.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[HEADER_LEN..]
    }

    /// The checksum, if there is one, must agree with datagram and addresses.
    pub fn verify_checksum(&self, src: Ipv4Addr, dst: Ipv4Addr) -> Result<()> {
        let Some(found) = self.checksum() else {
            return Ok(());
        };
        let (before, after) = (&self.bytes[..CHECKSUM.offset], self.payload());
        let sum = pseudo_header(src, dst, self.length())
            .and(before)
            .and(after);
        CHECKSUM.checksum(on_the_wire(sum.checksum()), found)
    }
}

fn check_length(bytes: &[u8]) -> Result<usize> {
    HEADER.needs(HEADER_LEN, bytes)?;
    let length = usize::from(u16_at(bytes, LENGTH.offset));
    LENGTH.at_least(HEADER_LEN, length)?;
    Ok(length)
}

fn pseudo_header(src: Ipv4Addr, dst: Ipv4Addr, length: u16) -> Sum {
    Sum::of_pseudo_header(src, dst, IpProtocol::Udp, length)
}

/// Zero stands for "no checksum", so a computed zero is sent as its equal, all ones.
pub(crate) fn on_the_wire(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

/// A UDP header that makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repr {
    /// Source port; zero when unused.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Is there a checksum?
    pub has_checksum: bool,
    /// Length of the payload, in bytes.
    pub payload_len: usize,
}

impl Repr {
    /// Reads the header; the checksum, if there is one, must be right.
    pub fn parse(packet: &Packet<'_>, src: Ipv4Addr, dst: Ipv4Addr) -> Result<Self> {
        packet.verify_checksum(src, dst)?;
        Ok(Self {
            src_port: packet.src_port(),
            dst_port: packet.dst_port(),
            has_checksum: packet.checksum().is_some(),
            payload_len: usize::from(packet.length()) - HEADER_LEN,
        })
    }

    /// Length of header and payload, in bytes.
    #[must_use]
    pub fn buffer_len(&self) -> usize {
        HEADER_LEN + self.payload_len
    }

    /// Writes the datagram to the front of `buffer`; `fill` writes its payload.
    pub fn emit(
        &self,
        buffer: &mut [u8],
        src: Ipv4Addr,
        dst: Ipv4Addr,
        fill: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<()> {
        HEADER.fits(self.buffer_len(), buffer)?;
        LENGTH.at_most(usize::from(u16::MAX), self.buffer_len())?;
        let length = self.buffer_len() as u16;
        let datagram = &mut buffer[..self.buffer_len()];
        put_u16(datagram, 0, self.src_port);
        put_u16(datagram, 2, self.dst_port);
        put_u16(datagram, LENGTH.offset, length);
        put_u16(datagram, CHECKSUM.offset, 0);
        fill(&mut datagram[HEADER_LEN..]).map_err(|e| e.within(HEADER_LEN))?;
        if self.has_checksum {
            let sum = pseudo_header(src, dst, length).and(datagram);
            put_u16(datagram, CHECKSUM.offset, on_the_wire(sum.checksum()));
        }
        Ok(())
    }
}

impl fmt::Display for Repr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let without = if self.has_checksum {
            ""
        } else {
            " without checksum"
        };
        write!(
            f,
            "UDP {} -> {}, {} bytes{without}",
            self.src_port, self.dst_port, self.payload_len
        )
    }
}
