//! Register and Register-Stop (RFC 7761 §4.9.3 and §4.9.4): a source's first hop to the RP and back.

use core::fmt;
use core::net::IpAddr;

use super::address::{GroupRange, read_unicast};
use super::cursor::{Reader, Writer, flags};
use super::list::Element;
use crate::error::Result;
use crate::ipv4;

/// Length of a Register without the packet in it, in bytes: all that its checksum covers.
pub const HEADER_LEN: usize = 8;

const BORDER: u32 = 0x8000_0000;
const NULL: u32 = 0x4000_0000;

/// A source's packet on its way to the RP, or word that the source is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register<'a> {
    /// B: the sender is a multicast border router (obsolete since RFC 7761).
    pub is_border: bool,
    /// N: a Null-Register, with the header of a packet rather than a packet.
    pub is_null: bool,
    /// The packet, or a dummy header that tells source and group.
    pub packet: &'a [u8],
}

impl<'a> Register<'a> {
    /// The packet in it, if it is IPv4; of a Null-Register, a header and nothing behind it. Its checksum is
    /// not verified. Offsets in errors count from the packet's first byte.
    pub fn ipv4(&self) -> Result<ipv4::Packet<'a>> {
        ipv4::Packet::new_checked(self.packet)
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let found = reader.u32("register flags")?;
        Ok(Self {
            is_border: found & BORDER != 0,
            is_null: found & NULL != 0,
            packet: reader.rest(),
        })
    }

    pub(super) fn buffer_len(&self) -> usize {
        4 + self.packet.len()
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        writer.u32(flags([(self.is_border, BORDER), (self.is_null, NULL)]));
        writer.bytes(self.packet);
    }
}

/// The RP wants no more packets of a source in Registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RegisterStop {
    /// The group.
    pub group: GroupRange,
    /// The source; the unspecified address stands for all of them.
    pub source: IpAddr,
}

impl RegisterStop {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            group: GroupRange::read(reader)?,
            source: read_unicast(reader, "source address")?,
        })
    }

    pub(super) fn buffer_len(&self) -> usize {
        self.group.buffer_len() + self.source.buffer_len()
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        self.group.emit(writer)?;
        self.source.emit(writer)
    }
}

impl fmt::Display for Register<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_null {
            "Null-Register"
        } else {
            "Register"
        })?;
        f.write_str(if self.is_border { " B" } else { "" })?;
        match self.ipv4() {
            Ok(packet) => write!(f, " ({},{})", packet.src(), packet.dst()),
            Err(_) => write!(f, ", {} bytes", self.packet.len()),
        }
    }
}

impl fmt::Display for RegisterStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source.is_unspecified() {
            write!(f, "Register-Stop (*,{})", self.group)
        } else {
            write!(f, "Register-Stop ({},{})", self.source, self.group)
        }
    }
}
