//! The probe: the monitor's own header at the front of a UDP payload.
//!
//! ```text
//!  0 magic "VMSP"            16 sender tunnel id
//!  4 version = 1             20 sequence
//!  5 flags (see below)      24 send time, 64 bits, monotonic ns
//!  6 header length = 32      32 zeros up to the payload's size
//!  8 session
//! 12 task                    all big endian, 32 bits where nothing is said
//! ```
//!
//! Flags: bit 0 warm-up, bit 1 reflected (sent again by another monitor that received it).

use core::fmt;

use crate::bytes::{put_u16, put_u32, put_u64, u16_at, u32_at, u64_at};
use crate::error::{Field, Protocol, Result};

/// "VMSP".
pub const MAGIC: u32 = 0x564d_5350;
/// Where probes go, and come from, unless told otherwise.
pub const DEFAULT_PORT: u16 = 33_900;
/// Length of the header, in bytes.
pub const HEADER_LEN: usize = 32;

const VERSION: u8 = 1;
const WARM_UP: u8 = 0x01;
const REFLECTED: u8 = 0x02;
pub(crate) const FLAGS_AT: usize = 5;
pub(crate) const SEQUENCE_AT: usize = 20;
pub(crate) const SENT_AT: usize = 24;

pub(crate) const fn flags(warm_up: bool, reflected: bool) -> u8 {
    (if warm_up { WARM_UP } else { 0 }) | (if reflected { REFLECTED } else { 0 })
}

const fn field(name: &'static str, offset: usize) -> Field {
    Field {
        protocol: Protocol::Probe,
        name,
        offset,
    }
}

const HEADER: Field = field("header", 0);

/// A view of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// A view of a UDP payload that must be a probe: magic, version and lengths are checked.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self> {
        HEADER.needs(HEADER_LEN, bytes)?;
        field("magic", 0).equals(MAGIC, u32_at(bytes, 0))?;
        field("version", 4).equals(VERSION, bytes[4])?;
        field("header length", 6).equals(HEADER_LEN as u64, u16_at(bytes, 6))?;
        Ok(Self { bytes })
    }

    /// Does a UDP payload claim to be a probe? Looks at the magic number only.
    #[must_use]
    pub fn is_claimed_by(payload: &[u8]) -> bool {
        payload.starts_with(&MAGIC.to_be_bytes())
    }

    /// Flags; bit 0 is warm-up, bit 1 reflected, the others are reserved and ignored.
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.bytes[FLAGS_AT]
    }

    /// Sequence number.
    #[must_use]
    pub fn sequence(&self) -> u32 {
        u32_at(self.bytes, SEQUENCE_AT)
    }

    /// The whole payload, header and padding.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// A probe's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Repr {
    /// Sent before measurement begins, to build the multicast tree; not to be counted.
    pub warm_up: bool,
    /// Sent again by whoever received it: not to be sent again once more.
    pub reflected: bool,
    /// Random per start of the daemon: probes of another life are not ours.
    pub session: u32,
    /// The task it belongs to.
    pub task: u32,
    /// The tunnel it was sent into.
    pub tunnel: u32,
    /// Its place among the probes of this task and tunnel.
    pub sequence: u32,
    /// When it was handed to the kernel: monotonic clock, in nanoseconds. Informational.
    pub sent_ns: u64,
}

impl Repr {
    /// Reads the header.
    #[must_use]
    pub fn parse(packet: &Packet<'_>) -> Self {
        Self {
            warm_up: packet.flags() & WARM_UP != 0,
            reflected: packet.flags() & REFLECTED != 0,
            session: u32_at(packet.bytes, 8),
            task: u32_at(packet.bytes, 12),
            tunnel: u32_at(packet.bytes, 16),
            sequence: packet.sequence(),
            sent_ns: u64_at(packet.bytes, SENT_AT),
        }
    }

    /// Length of the header, in bytes: the smallest payload a probe fits in.
    #[must_use]
    pub fn buffer_len(&self) -> usize {
        HEADER_LEN
    }

    /// Writes header and padding: all of `payload` becomes the probe.
    pub fn emit(&self, payload: &mut [u8]) -> Result<()> {
        HEADER.fits(HEADER_LEN, payload)?;
        let (header, padding) = payload.split_at_mut(HEADER_LEN);
        put_u32(header, 0, MAGIC);
        header[4] = VERSION;
        header[FLAGS_AT] = flags(self.warm_up, self.reflected);
        put_u16(header, 6, HEADER_LEN as u16);
        put_u32(header, 8, self.session);
        put_u32(header, 12, self.task);
        put_u32(header, 16, self.tunnel);
        put_u32(header, SEQUENCE_AT, self.sequence);
        put_u64(header, SENT_AT, self.sent_ns);
        padding.fill(0);
        Ok(())
    }
}

impl fmt::Display for Repr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "probe {} of task {} from tunnel {}",
            self.sequence, self.task, self.tunnel
        )?;
        let warm_up = if self.warm_up { ", warm-up" } else { "" };
        let reflected = if self.reflected { ", reflected" } else { "" };
        write!(
            f,
            ", session {:08x}, sent at {} ns{warm_up}{reflected}",
            self.session, self.sent_ns
        )
    }
}
