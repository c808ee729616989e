//! ICMP (RFC 792): echo, and the errors that tell a probe's fate, with the bytes they quote.

use core::fmt;

use crate::bytes::{array_at, put, put_u16, put_u32, u16_at, u32_at};
use crate::checksum::{Sum, checksum_without};
use crate::error::{Field, Protocol, Result};
use crate::ipv4;
use crate::open_enum::open_enum;

open_enum! {
    /// The type field.
    pub enum IcmpType(u8) {
        /// RFC 792.
        EchoReply = 0 => "echo reply",
        /// RFC 792.
        DestinationUnreachable = 3 => "destination unreachable",
        /// RFC 792.
        EchoRequest = 8 => "echo request",
        /// RFC 792.
        TimeExceeded = 11 => "time exceeded",
        /// RFC 792.
        TimestampRequest = 13 => "timestamp request",
        /// RFC 792.
        TimestampReply = 14 => "timestamp reply",
    }
}

open_enum! {
    /// The code of destination unreachable (RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1).
    pub enum UnreachableCode(u8) {
        /// No route.
        Network = 0 => "network",
        /// The last hop does not answer.
        Host = 1 => "host",
        /// The host does not speak the protocol.
        Protocol = 2 => "protocol",
        /// Nobody listens at the port.
        Port = 3 => "port",
        /// Too long, and DF is set (RFC 1191).
        FragmentationNeeded = 4 => "fragmentation needed",
        /// Source route failed.
        SourceRoute = 5 => "source route",
        /// Filtered.
        AdministrativelyProhibited = 13 => "administratively prohibited",
    }
}

open_enum! {
    /// The code of time exceeded.
    pub enum TimeExceededCode(u8) {
        /// TTL ran out on the way.
        Transit = 0 => "in transit",
        /// Fragments were missing for too long.
        Reassembly = 1 => "in reassembly",
    }
}

/// Length of the header, in bytes.
pub const HEADER_LEN: usize = 8;

const fn field(name: &'static str, offset: usize) -> Field {
    Field {
        protocol: Protocol::Icmp,
        name,
        offset,
    }
}

const HEADER: Field = field("header", 0);
const CODE: Field = field("code", 1);
const CHECKSUM: Field = field("checksum", 2);
const REST: usize = 4;
/// Length of a timestamp message, in bytes.
const TIMESTAMP_LEN: usize = HEADER_LEN + 12;
const QUOTED_WORDS: usize = 5;
const MTU: usize = 6;

/// A view of an ICMP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// A view of a message: the header must be there, the checksum is not verified.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self> {
        HEADER.needs(HEADER_LEN, bytes)?;
        Ok(Self { bytes })
    }

    /// The type.
    #[must_use]
    pub fn kind(&self) -> IcmpType {
        IcmpType::from(self.bytes[0])
    }

    /// The code, whose meaning depends on the type.
    #[must_use]
    pub fn code(&self) -> u8 {
        self.bytes[CODE.offset]
    }

    /// The checksum as it stands in the message.
    #[must_use]
    pub fn checksum(&self) -> u16 {
        u16_at(self.bytes, CHECKSUM.offset)
    }

    /// The four bytes behind the checksum, whose meaning depends on the type.
    #[must_use]
    pub fn rest_of_header(&self) -> [u8; 4] {
        array_at(self.bytes, REST)
    }

    /// The bytes behind the header.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[HEADER_LEN..]
    }

    /// The checksum must agree with the message.
    pub fn verify_checksum(&self) -> Result<()> {
        CHECKSUM.checksum(
            checksum_without(self.bytes, CHECKSUM.offset),
            self.checksum(),
        )
    }

    /// The beginning of the packet that an error is about, without extensions (RFC 4884 §4).
    fn quoted(&self) -> &'a [u8] {
        let length = usize::from(self.bytes[QUOTED_WORDS]) * 4;
        let payload = self.payload();
        if length == 0 {
            payload
        } else {
            &payload[..length.min(payload.len())]
        }
    }
}

/// The times of a timestamp message (RFC 792, page 16): milliseconds since midnight UT, or anything with the high order
/// bit set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timestamps {
    /// When the request was sent.
    pub originate: u32,
    /// When it arrived.
    pub receive: u32,
    /// When the reply was sent.
    pub transmit: u32,
}

impl Timestamps {
    fn parse(payload: &[u8]) -> Self {
        Self {
            originate: u32_at(payload, 0),
            receive: u32_at(payload, 4),
            transmit: u32_at(payload, 8),
        }
    }

    fn emit(self, payload: &mut [u8]) {
        put_u32(payload, 0, self.originate);
        put_u32(payload, 4, self.receive);
        put_u32(payload, 8, self.transmit);
    }
}

impl fmt::Display for Timestamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            originate,
            receive,
            transmit,
        } = self;
        write!(f, "{originate:#x}, {receive} ms, {transmit} ms")
    }
}

/// An ICMP message that makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repr<'a> {
    /// "Send this back."
    EchoRequest {
        /// Tells pings apart.
        identifier: u16,
        /// Tells the requests of a ping apart.
        sequence: u16,
        /// Anything.
        data: &'a [u8],
    },
    /// A request sent back.
    EchoReply {
        /// The request's.
        identifier: u16,
        /// The request's.
        sequence: u16,
        /// The request's.
        data: &'a [u8],
    },
    /// A packet could not be delivered.
    DestinationUnreachable {
        /// Why.
        code: UnreachableCode,
        /// The next hop's MTU in bytes, if fragmentation is needed (RFC 1191 §4); else zero.
        next_hop_mtu: u16,
        /// The beginning of that packet.
        quoted: &'a [u8],
    },
    /// A packet was discarded because of its age.
    TimeExceeded {
        /// Where.
        code: TimeExceededCode,
        /// The beginning of that packet.
        quoted: &'a [u8],
    },
    /// "What time is it?"
    TimestampRequest {
        /// Tells who asks.
        identifier: u16,
        /// Tells the requests apart.
        sequence: u16,
        /// What the asker wrote.
        times: Timestamps,
    },
    /// The answer.
    TimestampReply {
        /// The request's.
        identifier: u16,
        /// The request's.
        sequence: u16,
        /// The request's first, and two by the clock of whoever answers.
        times: Timestamps,
    },
    /// Any other message, as it was; a timestamp message of another length than RFC 792's among them.
    Unknown {
        /// The type.
        kind: u8,
        /// The code.
        code: u8,
        /// The four bytes behind the checksum.
        rest_of_header: [u8; 4],
        /// The bytes behind the header.
        data: &'a [u8],
    },
}

impl<'a> Repr<'a> {
    /// Reads the message; the checksum must be right.
    pub fn parse(packet: &Packet<'a>) -> Result<Self> {
        packet.verify_checksum()?;
        let (identifier, sequence) = (u16_at(packet.bytes, REST), u16_at(packet.bytes, REST + 2));
        let (code, data) = (packet.code(), packet.payload());
        Ok(match packet.kind() {
            IcmpType::EchoRequest => {
                CODE.equals(0u8, code)?;
                Self::EchoRequest {
                    identifier,
                    sequence,
                    data,
                }
            }
            IcmpType::EchoReply => {
                CODE.equals(0u8, code)?;
                Self::EchoReply {
                    identifier,
                    sequence,
                    data,
                }
            }
            IcmpType::DestinationUnreachable => Self::DestinationUnreachable {
                code: UnreachableCode::from(code),
                next_hop_mtu: u16_at(packet.bytes, MTU),
                quoted: packet.quoted(),
            },
            IcmpType::TimeExceeded => Self::TimeExceeded {
                code: TimeExceededCode::from(code),
                quoted: packet.quoted(),
            },
            IcmpType::TimestampRequest if is_timestamp(packet) => Self::TimestampRequest {
                identifier,
                sequence,
                times: Timestamps::parse(data),
            },
            IcmpType::TimestampReply if is_timestamp(packet) => Self::TimestampReply {
                identifier,
                sequence,
                times: Timestamps::parse(data),
            },
            kind @ (IcmpType::TimestampRequest
            | IcmpType::TimestampReply
            | IcmpType::Unknown(_)) => Self::Unknown {
                kind: kind.into(),
                code,
                rest_of_header: packet.rest_of_header(),
                data,
            },
        })
    }

    /// Length of the message, in bytes.
    #[must_use]
    pub fn buffer_len(&self) -> usize {
        match self {
            Self::TimestampRequest { .. } | Self::TimestampReply { .. } => TIMESTAMP_LEN,
            Self::EchoRequest { .. }
            | Self::EchoReply { .. }
            | Self::DestinationUnreachable { .. }
            | Self::TimeExceeded { .. }
            | Self::Unknown { .. } => HEADER_LEN + self.data().len(),
        }
    }

    /// Writes the message to the front of `buffer`.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<()> {
        HEADER.fits(self.buffer_len(), buffer)?;
        let message = &mut buffer[..self.buffer_len()];
        let (kind, code) = self.kind_and_code();
        message[0] = kind;
        message[CODE.offset] = code;
        put_u16(message, CHECKSUM.offset, 0);
        put(message, REST, &self.rest_of_header());
        match *self {
            Self::TimestampRequest { times, .. } | Self::TimestampReply { times, .. } => {
                times.emit(&mut message[HEADER_LEN..]);
            }
            Self::EchoRequest { .. }
            | Self::EchoReply { .. }
            | Self::DestinationUnreachable { .. }
            | Self::TimeExceeded { .. }
            | Self::Unknown { .. } => put(message, HEADER_LEN, self.data()),
        }
        let checksum = Sum::of(message).checksum();
        put_u16(message, CHECKSUM.offset, checksum);
        Ok(())
    }

    /// The IPv4 header of the packet that an error is about, with as much of its payload as was quoted.
    /// `None` if this is not an error.
    #[must_use]
    pub fn quoted_packet(&self) -> Option<Result<ipv4::Packet<'a>>> {
        match *self {
            Self::DestinationUnreachable { quoted, .. } | Self::TimeExceeded { quoted, .. } => {
                let packet = ipv4::Packet::new_cut_short(quoted);
                Some(packet.map_err(|e| e.within(HEADER_LEN)))
            }
            Self::EchoRequest { .. }
            | Self::EchoReply { .. }
            | Self::TimestampRequest { .. }
            | Self::TimestampReply { .. }
            | Self::Unknown { .. } => None,
        }
    }

    fn kind_and_code(&self) -> (u8, u8) {
        match *self {
            Self::EchoRequest { .. } => (IcmpType::EchoRequest.into(), 0),
            Self::EchoReply { .. } => (IcmpType::EchoReply.into(), 0),
            Self::DestinationUnreachable { code, .. } => {
                (IcmpType::DestinationUnreachable.into(), code.into())
            }
            Self::TimeExceeded { code, .. } => (IcmpType::TimeExceeded.into(), code.into()),
            Self::TimestampRequest { .. } => (IcmpType::TimestampRequest.into(), 0),
            Self::TimestampReply { .. } => (IcmpType::TimestampReply.into(), 0),
            Self::Unknown { kind, code, .. } => (kind, code),
        }
    }

    fn rest_of_header(&self) -> [u8; 4] {
        let two = |first: u16, second: u16| {
            let ([a, b], [c, d]) = (first.to_be_bytes(), second.to_be_bytes());
            [a, b, c, d]
        };
        match *self {
            Self::EchoRequest {
                identifier,
                sequence,
                ..
            }
            | Self::EchoReply {
                identifier,
                sequence,
                ..
            }
            | Self::TimestampRequest {
                identifier,
                sequence,
                ..
            }
            | Self::TimestampReply {
                identifier,
                sequence,
                ..
            } => two(identifier, sequence),
            Self::DestinationUnreachable { next_hop_mtu, .. } => two(0, next_hop_mtu),
            Self::TimeExceeded { .. } => [0; 4],
            Self::Unknown { rest_of_header, .. } => rest_of_header,
        }
    }

    fn data(&self) -> &'a [u8] {
        match *self {
            Self::EchoRequest { data, .. }
            | Self::EchoReply { data, .. }
            | Self::DestinationUnreachable { quoted: data, .. }
            | Self::TimeExceeded { quoted: data, .. }
            | Self::Unknown { data, .. } => data,
            Self::TimestampRequest { .. } | Self::TimestampReply { .. } => &[],
        }
    }
}

/// A timestamp message as RFC 792 has it: nothing behind its three times.
fn is_timestamp(packet: &Packet<'_>) -> bool {
    packet.code() == 0 && packet.bytes.len() == TIMESTAMP_LEN
}

impl fmt::Display for Repr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EchoRequest {
                identifier,
                sequence,
                data,
            } => {
                write!(
                    f,
                    "ICMP echo request {identifier}/{sequence}, {} bytes",
                    data.len()
                )
            }
            Self::EchoReply {
                identifier,
                sequence,
                data,
            } => {
                write!(
                    f,
                    "ICMP echo reply {identifier}/{sequence}, {} bytes",
                    data.len()
                )
            }
            Self::DestinationUnreachable {
                code,
                next_hop_mtu,
                quoted,
            } => {
                write!(f, "ICMP destination unreachable: {code}")?;
                if *next_hop_mtu != 0 {
                    write!(f, ", next hop MTU {next_hop_mtu}")?;
                }
                write!(f, ", quotes {} bytes", quoted.len())
            }
            Self::TimeExceeded { code, quoted } => {
                write!(
                    f,
                    "ICMP time exceeded {code}, quotes {} bytes",
                    quoted.len()
                )
            }
            Self::TimestampRequest {
                identifier,
                sequence,
                times,
            } => write!(f, "ICMP timestamp request {identifier}/{sequence}, {times}"),
            Self::TimestampReply {
                identifier,
                sequence,
                times,
            } => write!(f, "ICMP timestamp reply {identifier}/{sequence}, {times}"),
            Self::Unknown {
                kind, code, data, ..
            } => {
                write!(f, "ICMP type {kind} code {code}, {} bytes", data.len())
            }
        }
    }
}
