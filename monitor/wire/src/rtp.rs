//! RTP's header (RFC 3550 §5.1): how customer traffic that is RTP tells its own loss.

use core::fmt;

use crate::bytes::{put_u16, put_u32, u16_at, u32_at};
use crate::error::{Expected, Field, Protocol, Result};

/// Length of the header without contributing sources, in bytes.
pub const HEADER_LEN: usize = 12;
/// The largest payload type that the field holds.
pub const PAYLOAD_TYPE_MAX: u8 = 127;

const VERSION: u8 = 2;
const PADDING: u8 = 0x20;
const EXTENSION: u8 = 0x10;
const CSRC_COUNT: u8 = 0x0f;
const MARKER: u8 = 0x80;
const EXTENSION_HEADER_LEN: usize = 4;

const fn field(name: &'static str, offset: usize) -> Field {
    Field {
        protocol: Protocol::Rtp,
        name,
        offset,
    }
}

const HEADER: Field = field("header", 0);
const PAYLOAD_TYPE: Field = field("payload type", 1);

/// A view of an RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// A view of a packet: version, payload type and the presence of all contributing sources are
    /// checked. Extension and padding are not (see [`Packet::payload`]): a capture may have cut them off.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self> {
        HEADER.needs(HEADER_LEN, bytes)?;
        field("version", 0).equals(VERSION, bytes[0] >> 6)?;
        HEADER.needs(csrc_end(bytes), bytes)?;
        // RTCP on the same port: its packet types would read as these (RFC 5761 §4).
        let kind = bytes[1] & !MARKER;
        let expected = Expected::Words("none of 64 to 95, which is RTCP");
        PAYLOAD_TYPE.holds(!(64..=95).contains(&kind), expected, kind)?;
        Ok(Self { bytes })
    }

    /// Version, always 2.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.bytes[0] >> 6
    }

    /// P: padding ends the packet.
    #[must_use]
    pub fn has_padding(&self) -> bool {
        self.bytes[0] & PADDING != 0
    }

    /// X: an extension follows the header.
    #[must_use]
    pub fn has_extension(&self) -> bool {
        self.bytes[0] & EXTENSION != 0
    }

    /// CC: the number of contributing sources.
    #[must_use]
    pub fn csrc_count(&self) -> u8 {
        self.bytes[0] & CSRC_COUNT
    }

    /// M: the profile's mark, the end of a video frame for instance.
    #[must_use]
    pub fn marker(&self) -> bool {
        self.bytes[1] & MARKER != 0
    }

    /// PT: what the payload is.
    #[must_use]
    pub fn payload_type(&self) -> u8 {
        self.bytes[1] & !MARKER
    }

    /// Sequence number, which rises by one with every packet and wraps.
    #[must_use]
    pub fn sequence(&self) -> u16 {
        u16_at(self.bytes, 2)
    }

    /// Sampling time of the payload's first byte, in the payload type's units.
    #[must_use]
    pub fn timestamp(&self) -> u32 {
        u32_at(self.bytes, 4)
    }

    /// SSRC: the stream.
    #[must_use]
    pub fn ssrc(&self) -> u32 {
        u32_at(self.bytes, 8)
    }

    /// The contributing sources, one by one.
    pub fn csrcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        let bytes = self.bytes;
        (HEADER_LEN..csrc_end(bytes))
            .step_by(4)
            .map(move |at| u32_at(bytes, at))
    }

    /// The bytes between extension and padding; the packet must be whole.
    pub fn payload(&self) -> Result<&'a [u8]> {
        let start = self.payload_start()?;
        let mut end = self.bytes.len();
        if self.has_padding() {
            let count = field("padding", end.saturating_sub(1));
            let padding = usize::from(self.bytes[end - 1]);
            count.at_least(1, padding)?;
            count.at_most(end - start, padding)?;
            end -= padding;
        }
        Ok(&self.bytes[start..end])
    }

    fn payload_start(&self) -> Result<usize> {
        let start = csrc_end(self.bytes);
        if !self.has_extension() {
            return Ok(start);
        }
        let extension = field("extension", start);
        extension.needs(EXTENSION_HEADER_LEN, self.bytes)?;
        let length = EXTENSION_HEADER_LEN + usize::from(u16_at(self.bytes, start + 2)) * 4;
        extension.needs(length, self.bytes)?;
        Ok(start + length)
    }
}

fn csrc_end(bytes: &[u8]) -> usize {
    HEADER_LEN + usize::from(bytes[0] & CSRC_COUNT) * 4
}

/// What RTP's fixed header says about a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Repr {
    /// M: the profile's mark.
    pub marker: bool,
    /// PT: what the payload is, at most 127; 64 to 95 would be RTCP.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Sampling time, in the payload type's units.
    pub timestamp: u32,
    /// SSRC: the stream.
    pub ssrc: u32,
}

impl Repr {
    /// Reads the fixed header; contributing sources, extension and padding are forgotten.
    #[must_use]
    pub fn parse(packet: &Packet<'_>) -> Self {
        Self {
            marker: packet.marker(),
            payload_type: packet.payload_type(),
            sequence: packet.sequence(),
            timestamp: packet.timestamp(),
            ssrc: packet.ssrc(),
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
        PAYLOAD_TYPE.at_most(PAYLOAD_TYPE_MAX.into(), self.payload_type.into())?;
        buffer[0] = VERSION << 6;
        buffer[1] = self.payload_type | if self.marker { MARKER } else { 0 };
        put_u16(buffer, 2, self.sequence);
        put_u32(buffer, 4, self.timestamp);
        put_u32(buffer, 8, self.ssrc);
        Ok(())
    }
}

impl fmt::Display for Repr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marker = if self.marker { " marker" } else { "" };
        write!(
            f,
            "RTP {:08x} payload type {}{marker} sequence {} timestamp {}",
            self.ssrc, self.payload_type, self.sequence, self.timestamp
        )
    }
}
