//! Addresses as PIM encodes them (RFC 7761 §4.9.1): a family, an encoding, and the address itself.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::cursor::{Reader, Writer, flags};
use super::list::Element;
use crate::error::{Expected, Result};

/// IANA's address family numbers.
const IPV4: u8 = 1;
const IPV6: u8 = 2;
const NATIVE: u8 = 0;

const BIDIRECTIONAL: u8 = 0x80;
const ADMIN_SCOPE: u8 = 0x01;

/// Family and encoding, before any kind of encoded address.
pub(super) const PREAMBLE_LEN: usize = 2;

/// The family of the address that begins here; without it nobody knows how long the address is.
pub(super) fn read_family(reader: &mut Reader<'_>) -> Result<Family> {
    let field = reader.field("address family");
    match reader.u8("address family")? {
        IPV4 => Ok(Family::Ipv4),
        IPV6 => Ok(Family::Ipv6),
        other => {
            let expected = Expected::Words("1 (IPv4) or 2 (IPv6)");
            field.holds(false, expected, other).map(|()| Family::Ipv4)
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    pub(super) fn of(address: IpAddr) -> u8 {
        match address {
            IpAddr::V4(_) => IPV4,
            IpAddr::V6(_) => IPV6,
        }
    }

    pub(super) fn address(self, reader: &mut Reader<'_>, name: &'static str) -> Result<IpAddr> {
        match self {
            Self::Ipv4 => reader.array::<4>(name).map(IpAddr::from),
            Self::Ipv6 => reader.array::<16>(name).map(IpAddr::from),
        }
    }
}

pub(super) fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

pub(super) fn address_len(address: IpAddr) -> usize {
    usize::from(bits(address)) / 8
}

pub(super) fn emit_address(address: IpAddr, writer: &mut Writer<'_>) {
    match address {
        IpAddr::V4(address) => writer.bytes(&address.octets()),
        IpAddr::V6(address) => writer.bytes(&address.octets()),
    }
}

fn read_native(reader: &mut Reader<'_>) -> Result<()> {
    let encoding = reader.field("encoding type");
    encoding.equals(NATIVE, reader.u8("encoding type")?)
}

/// An Encoded-Unicast address.
pub(super) fn read_unicast(reader: &mut Reader<'_>, name: &'static str) -> Result<IpAddr> {
    let family = read_family(reader)?;
    read_native(reader)?;
    family.address(reader, name)
}

impl<'a> Element<'a> for IpAddr {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        read_unicast(reader, "address")
    }

    fn buffer_len(&self) -> usize {
        PREAMBLE_LEN + address_len(*self)
    }

    fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.bytes(&[Family::of(*self), NATIVE]);
        emit_address(*self, writer);
        Ok(())
    }
}

/// An Encoded-Group address: one group, or a range of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupRange {
    /// The group, or the first of the range.
    pub address: IpAddr,
    /// How many leading bits a group of the range shares with it: 32 is one IPv4 group, 128 one IPv6 group.
    pub prefix_len: u8,
    /// B: the range is bidirectional PIM's.
    pub is_bidirectional: bool,
    /// Z: the range is an administrative scope zone (RFC 5059 §3.2).
    pub is_scope_zone: bool,
}

impl GroupRange {
    /// One group.
    #[must_use]
    pub fn one(group: IpAddr) -> Self {
        Self::new(group, bits(group))
    }

    /// The groups that share their first `prefix_len` bits.
    #[must_use]
    pub fn new(address: IpAddr, prefix_len: u8) -> Self {
        Self {
            address,
            prefix_len,
            is_bidirectional: false,
            is_scope_zone: false,
        }
    }

    /// Is it one group rather than several?
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.prefix_len == bits(self.address)
    }

    /// Is it every multicast group: 224.0.0.0/4 or ff00::/8?
    #[must_use]
    pub fn is_all(&self) -> bool {
        match self.address {
            IpAddr::V4(first) => first == Ipv4Addr::new(224, 0, 0, 0) && self.prefix_len == 4,
            IpAddr::V6(first) => {
                first == Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0) && self.prefix_len == 8
            }
        }
    }
}

impl<'a> Element<'a> for GroupRange {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let family = read_family(reader)?;
        read_native(reader)?;
        let bits_set = reader.u8("group flags")?;
        let mask = reader.field("group mask length");
        let prefix_len = reader.u8("group mask length")?;
        let address = family.address(reader, "group address")?;
        mask.at_most(bits(address).into(), prefix_len.into())?;
        Ok(Self {
            address,
            prefix_len,
            is_bidirectional: bits_set & BIDIRECTIONAL != 0,
            is_scope_zone: bits_set & ADMIN_SCOPE != 0,
        })
    }

    fn buffer_len(&self) -> usize {
        PREAMBLE_LEN + 2 + address_len(self.address)
    }

    fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.bytes(&[Family::of(self.address), NATIVE]);
        writer.u8(flags([
            (self.is_bidirectional, BIDIRECTIONAL),
            (self.is_scope_zone, ADMIN_SCOPE),
        ]));
        let mask = writer.field("group mask length");
        mask.at_most(bits(self.address).into(), self.prefix_len.into())?;
        writer.u8(self.prefix_len);
        emit_address(self.address, writer);
        Ok(())
    }
}

impl fmt::Display for GroupRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        if !self.is_one() {
            write!(f, "/{}", self.prefix_len)?;
        }
        f.write_str(if self.is_bidirectional { " B" } else { "" })?;
        f.write_str(if self.is_scope_zone { " Z" } else { "" })
    }
}
