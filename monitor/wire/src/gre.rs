//! GRE (RFC 2784) with key and sequence number (RFC 2890). Source routing (RFC 1701) is refused.

use core::fmt;

use crate::bytes::{put_u16, put_u32, u16_at, u32_at};
use crate::checksum::{Sum, checksum_without};
use crate::error::{Expected, Field, Protocol, Result};
use crate::ethernet::EtherType;

/// Length of the header without optional fields, in bytes.
pub const HEADER_LEN: usize = 4;

const fn field(name: &'static str, offset: usize) -> Field {
    Field {
        protocol: Protocol::Gre,
        name,
        offset,
    }
}

const HEADER: Field = field("header", 0);
const FLAGS: Field = field("flags", 0);
const VERSION: Field = field("version", 0);
const PROTOCOL_TYPE: usize = 2;
const CHECKSUM: Field = field("checksum", 4);

const HAS_CHECKSUM: u16 = 0x8000;
const HAS_KEY: u16 = 0x2000;
const HAS_SEQUENCE: u16 = 0x1000;
/// RFC 1701's routing, strict source route and recursion bits that RFC 2784 §2.3 tells a receiver
/// to discard for, less the two that RFC 2890 gave back.
const REFUSED: u16 = 0x4c00;
const VERSION_MASK: u16 = 0x0007;

/// A view of a GRE packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// A view of a packet: flags, version and the presence of the fields are checked, the checksum is not.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self> {
        HEADER.needs(HEADER_LEN, bytes)?;
        let flags = u16_at(bytes, 0);
        let refused = flags & REFUSED;
        let expected = Expected::Words("no source routing (RFC 1701 is not supported)");
        FLAGS.holds(refused == 0, expected, refused)?;
        VERSION.equals(0u8, flags & VERSION_MASK)?;
        HEADER.needs(header_len(flags), bytes)?;
        Ok(Self { bytes })
    }

    /// Length of the header with its optional fields, in bytes.
    #[must_use]
    pub fn header_len(&self) -> usize {
        header_len(self.flags())
    }

    /// What the payload is.
    #[must_use]
    pub fn protocol(&self) -> EtherType {
        EtherType::from(u16_at(self.bytes, PROTOCOL_TYPE))
    }

    /// The checksum as it stands in the packet, if there is one.
    #[must_use]
    pub fn checksum(&self) -> Option<u16> {
        self.has(HAS_CHECKSUM)
            .then(|| u16_at(self.bytes, CHECKSUM.offset))
    }

    /// The key, if there is one.
    #[must_use]
    pub fn key(&self) -> Option<u32> {
        self.has(HAS_KEY)
            .then(|| u32_at(self.bytes, key_at(self.flags())))
    }

    /// The sequence number, if there is one.
    #[must_use]
    pub fn sequence(&self) -> Option<u32> {
        self.has(HAS_SEQUENCE)
            .then(|| u32_at(self.bytes, sequence_at(self.flags())))
    }

    /// The bytes behind the header.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[self.header_len()..]
    }

    /// The checksum, if there is one, must agree with header and payload.
    pub fn verify_checksum(&self) -> Result<()> {
        let Some(found) = self.checksum() else {
            return Ok(());
        };
        CHECKSUM.checksum(checksum_without(self.bytes, CHECKSUM.offset), found)
    }

    fn flags(&self) -> u16 {
        u16_at(self.bytes, 0)
    }

    fn has(&self, flag: u16) -> bool {
        self.flags() & flag != 0
    }
}

/// Fields come in the order checksum and reserved, key, sequence (RFC 2890 §2).
fn key_at(flags: u16) -> usize {
    HEADER_LEN + if flags & HAS_CHECKSUM != 0 { 4 } else { 0 }
}

fn sequence_at(flags: u16) -> usize {
    key_at(flags) + if flags & HAS_KEY != 0 { 4 } else { 0 }
}

fn header_len(flags: u16) -> usize {
    sequence_at(flags) + if flags & HAS_SEQUENCE != 0 { 4 } else { 0 }
}

/// A GRE header that makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repr {
    /// What the payload is.
    pub protocol: EtherType,
    /// Is there a checksum?
    pub has_checksum: bool,
    /// The key, which tells tunnels between the same ends apart.
    pub key: Option<u32>,
    /// The sequence number.
    pub sequence: Option<u32>,
    /// Length of the payload, in bytes.
    pub payload_len: usize,
}

impl Repr {
    /// The header of IPv4 in GRE: no checksum, no sequence number.
    #[must_use]
    pub fn ipv4(key: Option<u32>, payload_len: usize) -> Self {
        Self {
            protocol: EtherType::Ipv4,
            has_checksum: false,
            key,
            sequence: None,
            payload_len,
        }
    }

    /// Reads the header; the checksum, if there is one, must be right.
    pub fn parse(packet: &Packet<'_>) -> Result<Self> {
        packet.verify_checksum()?;
        Ok(Self {
            protocol: packet.protocol(),
            has_checksum: packet.checksum().is_some(),
            key: packet.key(),
            sequence: packet.sequence(),
            payload_len: packet.payload().len(),
        })
    }

    /// Length of the header with its optional fields, in bytes.
    #[must_use]
    pub fn header_len(&self) -> usize {
        header_len(self.flags())
    }

    /// Length of header and payload, in bytes.
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
        let packet = &mut buffer[..self.buffer_len()];
        let flags = self.flags();
        put_u16(packet, 0, flags);
        put_u16(packet, PROTOCOL_TYPE, self.protocol.into());
        if self.has_checksum {
            put_u32(packet, CHECKSUM.offset, 0);
        }
        if let Some(key) = self.key {
            put_u32(packet, key_at(flags), key);
        }
        if let Some(sequence) = self.sequence {
            put_u32(packet, sequence_at(flags), sequence);
        }
        fill(&mut packet[self.header_len()..]).map_err(|e| e.within(self.header_len()))?;
        if self.has_checksum {
            let checksum = Sum::of(packet).checksum();
            put_u16(packet, CHECKSUM.offset, checksum);
        }
        Ok(())
    }

    fn flags(&self) -> u16 {
        let mut flags = 0;
        flags |= if self.has_checksum { HAS_CHECKSUM } else { 0 };
        flags |= if self.key.is_some() { HAS_KEY } else { 0 };
        flags |= if self.sequence.is_some() {
            HAS_SEQUENCE
        } else {
            0
        };
        flags
    }
}

impl fmt::Display for Repr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GRE {}", self.protocol)?;
        if let Some(key) = self.key {
            write!(f, " key {key}")?;
        }
        if let Some(sequence) = self.sequence {
            write!(f, " sequence {sequence}")?;
        }
        if self.has_checksum {
            f.write_str(" checksum")?;
        }
        write!(f, ", {} bytes", self.payload_len)
    }
}
