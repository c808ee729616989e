//! The monitor's own header in the data of its ICMP echo requests, by which it knows their replies.
//!
//! ```text
//! 0 magic "VMSE"   4 session   8 tunnel   12 sequence      32 bits each, big endian
//! ```

use core::fmt;

use crate::bytes::{put_u32, u32_at};
use crate::error::{Field, Protocol, Result};

/// "VMSE".
pub const MAGIC: u32 = 0x564d_5345;
/// Length of the header, in bytes.
pub const HEADER_LEN: usize = 16;

const fn field(name: &'static str, offset: usize) -> Field {
    Field {
        protocol: Protocol::Echo,
        name,
        offset,
    }
}

const HEADER: Field = field("header", 0);

/// A view of the data of an echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// A view of the data of an echo that must be the monitor's.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self> {
        HEADER.needs(HEADER_LEN, bytes)?;
        field("magic", 0).equals(MAGIC, u32_at(bytes, 0))?;
        Ok(Self { bytes })
    }

    /// Does the data of an echo claim to be the monitor's? Looks at the magic number only.
    #[must_use]
    pub fn is_claimed_by(data: &[u8]) -> bool {
        data.starts_with(&MAGIC.to_be_bytes())
    }
}

/// An echo's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Repr {
    /// Random per start of the daemon.
    pub session: u32,
    /// The tunnel whose round trip is measured.
    pub tunnel: u32,
    /// Its place among the echoes of this tunnel.
    pub sequence: u32,
}

impl Repr {
    /// Reads the header.
    #[must_use]
    pub fn parse(packet: &Packet<'_>) -> Self {
        Self {
            session: u32_at(packet.bytes, 4),
            tunnel: u32_at(packet.bytes, 8),
            sequence: u32_at(packet.bytes, 12),
        }
    }

    /// Length of the header, in bytes.
    #[must_use]
    pub fn buffer_len(&self) -> usize {
        HEADER_LEN
    }

    /// Writes the header to the front of `buffer`.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<()> {
        HEADER.fits(HEADER_LEN, buffer)?;
        put_u32(buffer, 0, MAGIC);
        put_u32(buffer, 4, self.session);
        put_u32(buffer, 8, self.tunnel);
        put_u32(buffer, 12, self.sequence);
        Ok(())
    }

    /// The header as the data of an echo.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        put_u32(&mut bytes, 0, MAGIC);
        put_u32(&mut bytes, 4, self.session);
        put_u32(&mut bytes, 8, self.tunnel);
        put_u32(&mut bytes, 12, self.sequence);
        bytes
    }
}

impl fmt::Display for Repr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "echo {} of tunnel {}, session {:08x}",
            self.sequence, self.tunnel, self.session
        )
    }
}
