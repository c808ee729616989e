//! IGMP versions 1, 2 and 3 (RFC 1112, 2236, 3376): queries, reports and leaves.

mod code;
mod query;
mod records;
mod sources;

use core::fmt;
use core::net::Ipv4Addr;
use core::num::NonZeroU8;

pub use code::FloatCode;
pub use query::{QueryV3, ROBUSTNESS_MAX};
pub use records::{GroupRecord, RecordType, Records, RecordsIter};
pub use sources::{Sources, SourcesIter};

use crate::bytes::{address_at, put, put_address, put_u16, u16_at};
use crate::checksum::{Sum, checksum_without};
use crate::error::{Expected, Field, Protocol, Result};
use crate::open_enum::open_enum;

open_enum! {
    /// The type field.
    pub enum IgmpType(u8) {
        /// All versions; they differ in length and Max Resp Code (RFC 3376 §7.1).
        Query = 0x11 => "query",
        /// RFC 1112.
        ReportV1 = 0x12 => "v1 report",
        /// RFC 2236.
        ReportV2 = 0x16 => "v2 report",
        /// RFC 2236.
        LeaveV2 = 0x17 => "v2 leave",
        /// RFC 3376.
        ReportV3 = 0x22 => "v3 report",
    }
}

/// 224.0.0.1, where general queries go.
pub const ALL_SYSTEMS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
/// 224.0.0.2, where leaves go (RFC 2236 §3.8).
pub const ALL_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);
/// 224.0.0.22, where version 3 reports go (RFC 3376 §4.2.14).
pub const ALL_V3_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);

/// Length of the shortest message, in bytes.
pub const HEADER_LEN: usize = 8;

pub(crate) const fn field(name: &'static str, offset: usize) -> Field {
    Field {
        protocol: Protocol::Igmp,
        name,
        offset,
    }
}

const HEADER: Field = field("header", 0);
const CODE: usize = 1;
const CHECKSUM: Field = field("checksum", 2);
const BODY: usize = 4;
const GROUP: usize = 4;
const RECORD_COUNT: Field = field("number of group records", 6);

/// A view of an IGMP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// A view of a message: length, number of sources and records are checked, the checksum is not.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self> {
        HEADER.needs(HEADER_LEN, bytes)?;
        let packet = Self { bytes };
        match packet.kind() {
            IgmpType::Query => packet.check_query()?,
            IgmpType::ReportV3 => {
                packet.records_checked()?;
            }
            IgmpType::ReportV1 | IgmpType::ReportV2 | IgmpType::LeaveV2 | IgmpType::Unknown(_) => {}
        }
        Ok(packet)
    }

    /// The type.
    #[must_use]
    pub fn kind(&self) -> IgmpType {
        IgmpType::from(self.bytes[0])
    }

    /// The byte behind the type: Max Resp Code in queries.
    #[must_use]
    pub fn code(&self) -> u8 {
        self.bytes[CODE]
    }

    /// The checksum as it stands in the message.
    #[must_use]
    pub fn checksum(&self) -> u16 {
        u16_at(self.bytes, CHECKSUM.offset)
    }

    /// The bytes behind the checksum.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[BODY..]
    }

    /// The checksum must agree with the whole message, whatever follows its known part (RFC 3376 §4.1.2).
    pub fn verify_checksum(&self) -> Result<()> {
        CHECKSUM.checksum(
            checksum_without(self.bytes, CHECKSUM.offset),
            self.checksum(),
        )
    }

    /// 8 bytes are version 1 or 2, 12 and more are version 3, others are to be ignored (RFC 3376 §7.1).
    fn check_query(&self) -> Result<()> {
        let length = self.bytes.len();
        let lawful = length == HEADER_LEN || length >= query::LEN;
        let expected = Expected::Words("a query of 8 bytes, or of 12 or more");
        field("length", 0).holds(lawful, expected, length as u64)?;
        if length == HEADER_LEN {
            Ok(())
        } else {
            QueryV3::check(self.bytes)
        }
    }

    fn records_checked(&self) -> Result<Records<'a>> {
        let count = u16_at(self.bytes, RECORD_COUNT.offset);
        Records::new_checked(&self.bytes[HEADER_LEN..], count).map_err(|e| e.within(HEADER_LEN))
    }
}

/// An IGMP message that makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repr<'a> {
    /// A version 1 query, always general.
    QueryV1,
    /// A version 2 query.
    QueryV2 {
        /// Max Resp Time, in tenths of a second. Zero would be version 1.
        max_response_tenths: NonZeroU8,
        /// The group asked about; 0.0.0.0 asks about all.
        group: Ipv4Addr,
    },
    /// A version 3 query.
    QueryV3(QueryV3<'a>),
    /// A version 1 report.
    ReportV1 {
        /// The group joined.
        group: Ipv4Addr,
    },
    /// A version 2 report.
    ReportV2 {
        /// The group joined.
        group: Ipv4Addr,
    },
    /// A version 2 leave.
    LeaveV2 {
        /// The group left.
        group: Ipv4Addr,
    },
    /// A version 3 report.
    ReportV3 {
        /// What is, or has become, of groups.
        records: Records<'a>,
    },
    /// Any other message (DVMRP, mtrace, …), as it was.
    Unknown {
        /// The type.
        kind: u8,
        /// The byte behind the type.
        code: u8,
        /// The bytes behind the checksum, at least four.
        body: &'a [u8],
    },
}

impl<'a> Repr<'a> {
    /// Reads the message; the checksum must be right. Bytes behind the known part are ignored.
    pub fn parse(packet: &Packet<'a>) -> Result<Self> {
        packet.verify_checksum()?;
        let group = address_at(packet.bytes, GROUP);
        Ok(match packet.kind() {
            IgmpType::Query if packet.bytes.len() == HEADER_LEN => {
                match NonZeroU8::new(packet.code()) {
                    None => Self::QueryV1,
                    Some(max_response_tenths) => Self::QueryV2 {
                        max_response_tenths,
                        group,
                    },
                }
            }
            IgmpType::Query => Self::QueryV3(QueryV3::parse(packet.bytes)),
            IgmpType::ReportV1 => Self::ReportV1 { group },
            IgmpType::ReportV2 => Self::ReportV2 { group },
            IgmpType::LeaveV2 => Self::LeaveV2 { group },
            IgmpType::ReportV3 => Self::ReportV3 {
                records: packet.records_checked()?,
            },
            IgmpType::Unknown(kind) => Self::Unknown {
                kind,
                code: packet.code(),
                body: packet.body(),
            },
        })
    }

    /// Where the message is sent: with TTL 1 and Router Alert (RFC 2236 §2, RFC 3376 §4).
    #[must_use]
    pub fn destination(&self) -> Ipv4Addr {
        match *self {
            Self::QueryV2 { group, .. } | Self::QueryV3(QueryV3 { group, .. })
                if !group.is_unspecified() =>
            {
                group
            }
            Self::QueryV1 | Self::QueryV2 { .. } | Self::QueryV3(_) => ALL_SYSTEMS,
            Self::ReportV1 { group } | Self::ReportV2 { group } => group,
            Self::LeaveV2 { .. } => ALL_ROUTERS,
            Self::ReportV3 { .. } => ALL_V3_ROUTERS,
            Self::Unknown { .. } => ALL_ROUTERS,
        }
    }

    /// Length of the message, in bytes.
    #[must_use]
    pub fn buffer_len(&self) -> usize {
        match self {
            Self::QueryV3(query) => query.buffer_len(),
            Self::ReportV3 { records } => HEADER_LEN + records.buffer_len(),
            Self::Unknown { body, .. } => BODY + body.len(),
            Self::QueryV1
            | Self::QueryV2 { .. }
            | Self::ReportV1 { .. }
            | Self::ReportV2 { .. }
            | Self::LeaveV2 { .. } => HEADER_LEN,
        }
    }

    /// Writes the message to the front of `buffer`.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<()> {
        HEADER.fits(self.buffer_len(), buffer)?;
        HEADER.at_least(HEADER_LEN, self.buffer_len())?;
        let message = &mut buffer[..self.buffer_len()];
        message[..HEADER_LEN].fill(0);
        message[0] = self.kind();
        match *self {
            Self::QueryV1 => {}
            Self::QueryV2 {
                max_response_tenths,
                group,
            } => {
                message[CODE] = max_response_tenths.get();
                put_address(message, GROUP, group);
            }
            Self::QueryV3(query) => query.emit(message)?,
            Self::ReportV1 { group } | Self::ReportV2 { group } | Self::LeaveV2 { group } => {
                put_address(message, GROUP, group);
            }
            Self::ReportV3 { records } => {
                RECORD_COUNT.at_most(usize::from(u16::MAX), records.len())?;
                put_u16(message, RECORD_COUNT.offset, records.len() as u16);
                records
                    .emit(&mut message[HEADER_LEN..])
                    .map_err(|e| e.within(HEADER_LEN))?;
            }
            Self::Unknown { code, body, .. } => {
                message[CODE] = code;
                put(message, BODY, body);
            }
        }
        let checksum = Sum::of(message).checksum();
        put_u16(message, CHECKSUM.offset, checksum);
        Ok(())
    }

    fn kind(&self) -> u8 {
        match *self {
            Self::QueryV1 | Self::QueryV2 { .. } | Self::QueryV3(_) => IgmpType::Query.into(),
            Self::ReportV1 { .. } => IgmpType::ReportV1.into(),
            Self::ReportV2 { .. } => IgmpType::ReportV2.into(),
            Self::LeaveV2 { .. } => IgmpType::LeaveV2.into(),
            Self::ReportV3 { .. } => IgmpType::ReportV3.into(),
            Self::Unknown { kind, .. } => kind,
        }
    }
}

impl fmt::Display for Repr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueryV1 => f.write_str("IGMPv1 query"),
            Self::QueryV2 {
                max_response_tenths,
                group,
            } => {
                write!(f, "IGMPv2 query {group} within {} ds", max_response_tenths)
            }
            Self::QueryV3(query) => query.fmt(f),
            Self::ReportV1 { group } => write!(f, "IGMPv1 report {group}"),
            Self::ReportV2 { group } => write!(f, "IGMPv2 report {group}"),
            Self::LeaveV2 { group } => write!(f, "IGMPv2 leave {group}"),
            Self::ReportV3 { records } => write!(f, "IGMPv3 report {records}"),
            Self::Unknown { kind, code, body } => {
                write!(f, "IGMP type {kind:#04x} code {code}, {} bytes", body.len())
            }
        }
    }
}
