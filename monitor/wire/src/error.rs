//! What went wrong in which bytes: protocol, field, offset, what was expected and what was found.

use core::fmt;

/// The result of reading or writing wire bytes.
pub type Result<T> = core::result::Result<T, WireError>;

/// The format that was being read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Ethernet II, with IEEE 802.1Q tags.
    Ethernet,
    /// Linux cooked capture, version 1 (`LINKTYPE_LINUX_SLL`).
    LinuxSll,
    /// Linux cooked capture, version 2 (`LINKTYPE_LINUX_SLL2`).
    LinuxSll2,
    /// RFC 791.
    Ipv4,
    /// RFC 768.
    Udp,
    /// RFC 792.
    Icmp,
    /// RFC 1112, 2236 and 3376.
    Igmp,
    /// RFC 2784 and 2890.
    Gre,
    /// PIM version 2: RFC 7761, 3973, 5015, 5059, 5384.
    Pim,
    /// RFC 6037 §7.
    MdtJoin,
    /// The monitor's own probe header, a UDP payload.
    Probe,
    /// The monitor's own echo header, the data of an ICMP echo.
    Echo,
    /// RFC 3550.
    Rtp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ethernet => "Ethernet",
            Self::LinuxSll => "Linux cooked capture v1",
            Self::LinuxSll2 => "Linux cooked capture v2",
            Self::Ipv4 => "IPv4",
            Self::Udp => "UDP",
            Self::Icmp => "ICMP",
            Self::Igmp => "IGMP",
            Self::Gre => "GRE",
            Self::Pim => "PIM",
            Self::MdtJoin => "MDT Join",
            Self::Probe => "probe",
            Self::Echo => "echo",
            Self::Rtp => "RTP",
        })
    }
}

/// Bytes that cannot be read as, or values that cannot be written in, the named protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{protocol}: {field} at byte {offset} {fault}")]
pub struct WireError {
    /// Whose bytes they are.
    pub protocol: Protocol,
    /// The field, in the words of its standard.
    pub field: &'static str,
    /// Where the field starts, in bytes from the start of the slice that was handed in.
    pub offset: usize,
    /// What was expected, and what was found.
    pub fault: Fault,
}

/// The ways in which a field can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end before the field does.
    Truncated {
        /// Bytes the field takes.
        needed: usize,
        /// Bytes there are, from its offset on.
        left: usize,
    },
    /// The field holds something that must not be there.
    Unexpected {
        /// What may be there.
        expected: Expected,
        /// What is there.
        found: u64,
    },
    /// The checksum does not agree with the bytes it covers.
    Checksum {
        /// What the bytes call for.
        expected: u16,
        /// What the field holds.
        found: u16,
    },
    /// The buffer to write into is too small.
    NoRoom {
        /// Bytes to write.
        needed: usize,
        /// Bytes in the buffer.
        room: usize,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, left } => write!(f, "needs {needed} bytes, {left} are left"),
            Self::Unexpected { expected, found } => write!(f, "is {found}, expected {expected}"),
            Self::Checksum { expected, found } => {
                write!(f, "is {found:#06x}, the bytes call for {expected:#06x}")
            }
            Self::NoRoom { needed, room } => {
                write!(f, "needs {needed} bytes, the buffer has {room}")
            }
        }
    }
}

/// What a field may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// This value only.
    Exactly(u64),
    /// This value or more.
    AtLeast(u64),
    /// This value or less.
    AtMost(u64),
    /// A multiple of this value.
    MultipleOf(u64),
    /// Something that takes words to say.
    Words(&'static str),
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(value) => write!(f, "{value}"),
            Self::AtLeast(value) => write!(f, "at least {value}"),
            Self::AtMost(value) => write!(f, "at most {value}"),
            Self::MultipleOf(value) => write!(f, "a multiple of {value}"),
            Self::Words(words) => f.write_str(words),
        }
    }
}

impl WireError {
    /// The same error, told from the start of an enclosing packet whose payload begins at `base`.
    #[must_use]
    pub fn within(mut self, base: usize) -> Self {
        self.offset += base;
        self
    }
}

/// A field of a protocol: what every error names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub protocol: Protocol,
    pub name: &'static str,
    pub offset: usize,
}

impl Field {
    /// The bytes must reach to `needed` bytes behind the field's offset.
    pub fn needs(self, needed: usize, bytes: &[u8]) -> Result<()> {
        let left = bytes.len().saturating_sub(self.offset);
        self.ensure(needed <= left, Fault::Truncated { needed, left })
    }

    /// The buffer must hold `needed` bytes from its start.
    pub fn fits(self, needed: usize, buffer: &[u8]) -> Result<()> {
        let room = buffer.len();
        self.ensure(needed <= room, Fault::NoRoom { needed, room })
    }

    /// The condition must hold; `found` is what breaks it.
    pub fn holds(self, condition: bool, expected: Expected, found: impl Into<u64>) -> Result<()> {
        let found = found.into();
        self.ensure(condition, Fault::Unexpected { expected, found })
    }

    /// The field must be this very value.
    pub fn equals(self, expected: impl Into<u64>, found: impl Into<u64>) -> Result<()> {
        let (expected, found) = (expected.into(), found.into());
        self.holds(expected == found, Expected::Exactly(expected), found)
    }

    /// The field must be this value or less.
    pub fn at_most(self, limit: usize, found: usize) -> Result<()> {
        self.holds(found <= limit, Expected::AtMost(limit as u64), found as u64)
    }

    /// The field must be this value or more.
    pub fn at_least(self, limit: usize, found: usize) -> Result<()> {
        self.holds(
            found >= limit,
            Expected::AtLeast(limit as u64),
            found as u64,
        )
    }

    /// A checksum field must hold what the bytes call for.
    pub fn checksum(self, expected: u16, found: u16) -> Result<()> {
        self.ensure(expected == found, Fault::Checksum { expected, found })
    }

    fn ensure(self, condition: bool, fault: Fault) -> Result<()> {
        if condition {
            return Ok(());
        }
        Err(WireError {
            protocol: self.protocol,
            field: self.name,
            offset: self.offset,
            fault,
        })
    }
}
