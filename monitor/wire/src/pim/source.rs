//! Joined and pruned sources (RFC 7761 §4.9.1), with join attributes if there are any (RFC 5384).

use core::fmt;
use core::net::IpAddr;

use super::address::{Family, PREAMBLE_LEN, address_len, bits, emit_address, read_family};
use super::cursor::{Reader, Writer, flags};
use super::list::{Element, List};
use super::{GroupRange, Route};
use crate::error::{Expected, Result};
use crate::open_enum::open_enum;

const NATIVE: u8 = 0;
/// RFC 5384 §3.1.
const WITH_ATTRIBUTES: u8 = 1;

const SPARSE: u8 = 0x04;
const WILDCARD: u8 = 0x02;
const RPT: u8 = 0x01;

/// An Encoded-Source address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// The source, or the RP if it is a wildcard.
    pub address: IpAddr,
    /// S: sent by a router that speaks sparse mode.
    pub is_sparse: bool,
    /// W: it stands for any source.
    pub is_wildcard: bool,
    /// R: it is about the tree rooted at the RP.
    pub is_rpt: bool,
    /// Join attributes.
    pub attributes: Attributes<'a>,
}

/// Join attributes of one source.
pub type Attributes<'a> = List<'a, Attribute<'a>>;

impl<'a> Source<'a> {
    /// A source of a source tree, as in (S,G).
    #[must_use]
    pub fn new(source: IpAddr) -> Self {
        Self {
            address: source,
            is_sparse: true,
            is_wildcard: false,
            is_rpt: false,
            attributes: List::NONE,
        }
    }

    /// Any source by way of this RP, as in (*,G).
    #[must_use]
    pub fn any(rp: IpAddr) -> Self {
        Self {
            is_wildcard: true,
            is_rpt: true,
            ..Self::new(rp)
        }
    }

    /// A source on the RP's tree, as in (S,G,rpt).
    #[must_use]
    pub fn on_rpt(source: IpAddr) -> Self {
        Self {
            is_rpt: true,
            ..Self::new(source)
        }
    }

    /// What it means together with a group; `None` for W without R, which means nothing
    /// (RFC 7761 §4.9.5.1).
    #[must_use]
    pub fn route(&self, group: &GroupRange) -> Option<Route> {
        match (self.is_wildcard, self.is_rpt) {
            (true, true) if group.is_all() => Some(Route::StarStarRp),
            (true, true) => Some(Route::StarG),
            (false, true) => Some(Route::SgRpt),
            (false, false) => Some(Route::Sg),
            (true, false) => None,
        }
    }
}

impl<'a> Element<'a> for Source<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let family = read_family(reader)?;
        let encoding = reader.field("encoding type");
        let encoded = reader.u8("encoding type")?;
        let expected = Expected::Words("0 (native) or 1 (with join attributes)");
        encoding.holds(encoded <= WITH_ATTRIBUTES, expected, encoded)?;
        let found = reader.u8("source flags")?;
        let mask = reader.field("source mask length");
        let mask_len = reader.u8("source mask length")?;
        let address = family.address(reader, "source address")?;
        // RFC 7761 §4.9.1: ignore messages with any other mask length than the whole address.
        mask.equals(bits(address), mask_len)?;
        let attributes = if encoded == WITH_ATTRIBUTES {
            read_attributes(reader)?
        } else {
            List::NONE
        };
        Ok(Self {
            address,
            is_sparse: found & SPARSE != 0,
            is_wildcard: found & WILDCARD != 0,
            is_rpt: found & RPT != 0,
            attributes,
        })
    }

    fn buffer_len(&self) -> usize {
        PREAMBLE_LEN + 2 + address_len(self.address) + self.attributes.buffer_len()
    }

    fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        let encoding = if self.attributes.is_empty() {
            NATIVE
        } else {
            WITH_ATTRIBUTES
        };
        writer.bytes(&[Family::of(self.address), encoding]);
        writer.u8(flags([
            (self.is_sparse, SPARSE),
            (self.is_wildcard, WILDCARD),
            (self.is_rpt, RPT),
        ]));
        writer.u8(bits(self.address));
        emit_address(self.address, writer);
        let last = self.attributes.len().saturating_sub(1);
        for (index, attribute) in self.attributes.iter().enumerate() {
            attribute.emit_as(index == last, writer)?;
        }
        Ok(())
    }
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        let letters = [
            (self.is_sparse, "S"),
            (self.is_wildcard, "W"),
            (self.is_rpt, "R"),
        ];
        if letters.iter().any(|(set, _)| *set) {
            f.write_str(" ")?;
        }
        for (_, letter) in letters.iter().filter(|(set, _)| *set) {
            f.write_str(letter)?;
        }
        self.attributes
            .iter()
            .try_for_each(|attribute| write!(f, " [{attribute}]"))
    }
}

open_enum! {
    /// The type of a join attribute, six bits.
    pub enum AttributeType(u8) {
        /// RFC 5496.
        RpfVector = 0 => "RPF vector",
        /// RFC 6513.
        Mvpn = 1 => "MVPN join",
        /// RFC 6420.
        MtId = 2 => "MT-ID",
        /// RFC 6807.
        PopCount = 3 => "pop-count",
        /// RFC 7891.
        ExplicitRpfVector = 4 => "explicit RPF vector",
        /// RFC 8059.
        Transport = 5 => "transport",
        /// RFC 8059.
        ReceiverRloc = 6 => "receiver RLOC",
    }
}

const FORWARD: u8 = 0x80;
const END: u8 = 0x40;
const KIND_MAX: u8 = 0x3f;

/// A join attribute (RFC 5384 §3.2); its value is kept as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// F: routers that do not know it pass it on.
    pub is_forwarded: bool,
    /// What it is.
    pub kind: AttributeType,
    /// Its value, at most 255 bytes.
    pub value: &'a [u8],
}

/// Up to the one with the E bit. A source has at least one, for else its encoding were native.
fn read_attributes<'a>(reader: &mut Reader<'a>) -> Result<Attributes<'a>> {
    let mut len = 1;
    let mut end = *reader;
    while Attribute::read_with_end(&mut end)?.1 {
        len += 1;
    }
    List::counted(reader, len)
}

impl<'a> Attribute<'a> {
    /// The attribute, and whether another one follows.
    fn read_with_end(reader: &mut Reader<'a>) -> Result<(Self, bool)> {
        let first = reader.u8("join attribute")?;
        let length = reader.u8("join attribute length")?;
        let attribute = Self {
            is_forwarded: first & FORWARD != 0,
            kind: AttributeType::from(first & KIND_MAX),
            value: reader.bytes("join attribute value", length.into())?,
        };
        Ok((attribute, first & END == 0))
    }

    fn emit_as(&self, last: bool, writer: &mut Writer<'_>) -> Result<()> {
        let kind = u8::from(self.kind);
        let field = writer.field("join attribute type");
        field.at_most(KIND_MAX.into(), kind.into())?;
        writer.u8(kind | flags([(self.is_forwarded, FORWARD), (last, END)]));
        writer.count_u8("join attribute length", self.value.len())?;
        writer.bytes(self.value);
        Ok(())
    }
}

impl<'a> Element<'a> for Attribute<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        Self::read_with_end(reader).map(|(attribute, _)| attribute)
    }

    fn buffer_len(&self) -> usize {
        2 + self.value.len()
    }

    fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        self.emit_as(true, writer)
    }
}

impl fmt::Display for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} bytes", self.kind, self.value.len())
    }
}
