//! MDT Join (RFC 6037 §7): a PE tells the others which data MDT a customer's stream moves to. UDP, on the
//! default MDT only: arriving anywhere else it is to be dropped.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use crate::bytes::{array_at, put, put_address, put_u16, u16_at};
use crate::error::{Field, Protocol, Result};
use crate::open_enum::open_enum;

/// UDP destination port; the destination address is [`ALL_PIM_ROUTERS`](crate::pim::ALL_PIM_ROUTERS).
pub const PORT: u16 = 3232;

open_enum! {
    /// The type of a TLV.
    pub enum TlvType(u8) {
        /// RFC 6037 §7.2.
        Ipv4 = 1 => "IPv4",
        /// RFC 6037 §7.3.
        Ipv6 = 4 => "IPv6",
    }
}

/// Type and length.
const HEADER_LEN: usize = 3;
const LENGTH: usize = 1;
/// Behind one reserved byte: customer's source, customer's group, provider's group.
const VALUE: usize = 4;
const IPV4_LEN: usize = 16;
const IPV6_LEN: usize = 40;

const fn field(name: &'static str, offset: usize) -> Field {
    Field {
        protocol: Protocol::MdtJoin,
        name,
        offset,
    }
}

/// A view of an MDT Join: a UDP payload that TLVs fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// A view of a UDP payload: it must hold at least one TLV and nothing but whole ones.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self> {
        let (_, mut at) = Tlv::split(bytes, 0)?;
        while at < bytes.len() {
            (_, at) = Tlv::split(bytes, at)?;
        }
        Ok(Self { bytes })
    }

    /// Its TLVs, in order.
    #[must_use]
    pub fn tlvs(&self) -> Tlvs<'a> {
        Tlvs {
            bytes: self.bytes,
            at: 0,
        }
    }
}

/// The TLVs of an MDT Join one by one.
#[derive(Debug, Clone)]
pub struct Tlvs<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Tlv<'a>;

    fn next(&mut self) -> Option<Tlv<'a>> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let (tlv, at) = Tlv::split(self.bytes, self.at).ok()?;
        self.at = at;
        Some(tlv)
    }
}

/// One TLV. For a source-specific data MDT the PE is the source of the datagram that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tlv<'a> {
    /// A customer's IPv4 stream.
    Ipv4 {
        /// The customer's source.
        source: Ipv4Addr,
        /// The customer's group.
        group: Ipv4Addr,
        /// The data MDT: a group of the provider.
        mdt_group: Ipv4Addr,
    },
    /// A customer's IPv6 stream.
    Ipv6 {
        /// The customer's source.
        source: Ipv6Addr,
        /// The customer's group.
        group: Ipv6Addr,
        /// The data MDT: an IPv4 group of the provider.
        mdt_group: Ipv4Addr,
    },
    /// Any other TLV, to be skipped.
    Unknown {
        /// Its type.
        kind: u8,
        /// All that lies behind type and length.
        value: &'a [u8],
    },
}

impl<'a> Tlv<'a> {
    /// The TLV that starts at `at`, and where the next one starts.
    fn split(bytes: &'a [u8], at: usize) -> Result<(Self, usize)> {
        field("TLV", at).needs(HEADER_LEN, bytes)?;
        let length_field = field("TLV length", at + LENGTH);
        let length = usize::from(u16_at(bytes, at + LENGTH));
        let kind = TlvType::from(bytes[at]);
        match kind {
            TlvType::Ipv4 => length_field.equals(IPV4_LEN as u64, length as u64)?,
            TlvType::Ipv6 => length_field.equals(IPV6_LEN as u64, length as u64)?,
            TlvType::Unknown(_) => length_field.at_least(HEADER_LEN, length)?,
        }
        field("TLV", at).needs(length, bytes)?;
        let tlv = Self::of(kind, &bytes[at..at + length]);
        Ok((tlv, at + length))
    }

    /// Reads a TLV of the right length.
    fn of(kind: TlvType, tlv: &'a [u8]) -> Self {
        match kind {
            TlvType::Ipv4 => Self::Ipv4 {
                source: array_at::<4>(tlv, VALUE).into(),
                group: array_at::<4>(tlv, VALUE + 4).into(),
                mdt_group: array_at::<4>(tlv, VALUE + 8).into(),
            },
            TlvType::Ipv6 => Self::Ipv6 {
                source: array_at::<16>(tlv, VALUE).into(),
                group: array_at::<16>(tlv, VALUE + 16).into(),
                mdt_group: array_at::<4>(tlv, VALUE + 32).into(),
            },
            TlvType::Unknown(kind) => Self::Unknown {
                kind,
                value: &tlv[HEADER_LEN..],
            },
        }
    }

    /// Its length, in bytes.
    #[must_use]
    pub fn buffer_len(&self) -> usize {
        match self {
            Self::Ipv4 { .. } => IPV4_LEN,
            Self::Ipv6 { .. } => IPV6_LEN,
            Self::Unknown { value, .. } => HEADER_LEN + value.len(),
        }
    }

    /// Writes it at `at`; returns where the next one starts.
    fn emit(&self, buffer: &mut [u8], at: usize) -> Result<usize> {
        let length = self.buffer_len();
        field("TLV length", at + LENGTH).at_most(usize::from(u16::MAX), length)?;
        let tlv = &mut buffer[at..at + length];
        put_u16(tlv, LENGTH, length as u16);
        match *self {
            Self::Ipv4 {
                source,
                group,
                mdt_group,
            } => {
                tlv[0] = TlvType::Ipv4.into();
                tlv[HEADER_LEN] = 0;
                put_address(tlv, VALUE, source);
                put_address(tlv, VALUE + 4, group);
                put_address(tlv, VALUE + 8, mdt_group);
            }
            Self::Ipv6 {
                source,
                group,
                mdt_group,
            } => {
                tlv[0] = TlvType::Ipv6.into();
                tlv[HEADER_LEN] = 0;
                put(tlv, VALUE, &source.octets());
                put(tlv, VALUE + 16, &group.octets());
                put_address(tlv, VALUE + 32, mdt_group);
            }
            Self::Unknown { kind, value } => {
                tlv[0] = kind;
                put(tlv, HEADER_LEN, value);
            }
        }
        Ok(at + length)
    }
}

/// Length of an MDT Join with these TLVs, in bytes.
#[must_use]
pub fn buffer_len<'a>(tlvs: impl IntoIterator<Item = Tlv<'a>>) -> usize {
    tlvs.into_iter().map(|tlv| tlv.buffer_len()).sum()
}

/// Writes TLVs one behind the other to the front of `buffer`; returns their length in bytes.
pub fn emit<'a>(tlvs: impl IntoIterator<Item = Tlv<'a>>, buffer: &mut [u8]) -> Result<usize> {
    tlvs.into_iter().try_fold(0, |at, tlv| {
        field("TLV", at).fits(at + tlv.buffer_len(), buffer)?;
        tlv.emit(buffer, at)
    })
}

impl fmt::Display for Tlv<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4 {
                source,
                group,
                mdt_group,
            } => {
                write!(f, "MDT Join ({source},{group}) on {mdt_group}")
            }
            Self::Ipv6 {
                source,
                group,
                mdt_group,
            } => {
                write!(f, "MDT Join ({source},{group}) on {mdt_group}")
            }
            Self::Unknown { kind, value } => {
                write!(f, "MDT Join TLV type {kind}, {} bytes", value.len())
            }
        }
    }
}
