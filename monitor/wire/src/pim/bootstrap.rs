//! Bootstrap and Candidate-RP-Advertisement (RFC 5059 §4): which RPs serve which groups.

use core::fmt;
use core::net::IpAddr;

use super::address::{GroupRange, read_unicast};
use super::cursor::{Reader, Writer};
use super::list::{Element, List};
use crate::error::Result;

/// In the header's flags: neighbors are not to pass it on.
pub(super) const NO_FORWARD: u8 = 0x80;

/// A Bootstrap message, or one fragment of it (RFC 5059 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap<'a> {
    /// N: sent to one new neighbor, which is not to pass it on.
    pub no_forward: bool,
    /// The same in all fragments of one message.
    pub fragment_tag: u16,
    /// How many bits of a group go into the hash that spreads groups over RPs.
    pub hash_mask_len: u8,
    /// The higher, the rather the bootstrap router.
    pub priority: u8,
    /// The bootstrap router.
    pub bsr: IpAddr,
    /// Ranges of groups with their RPs.
    pub ranges: RpRanges<'a>,
}

/// The ranges of a Bootstrap message.
pub type RpRanges<'a> = List<'a, RpRange<'a>>;
/// The RPs of a range.
pub type Rps<'a> = List<'a, Rp>;
/// The ranges of groups of a candidate.
pub type GroupRanges<'a> = List<'a, GroupRange>;

/// The RPs of a range of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RpRange<'a> {
    /// The groups.
    pub group: GroupRange,
    /// How many RPs the range has in the whole message. None: the range is withdrawn.
    pub rp_count: u8,
    /// Those in this fragment.
    pub rps: Rps<'a>,
}

/// One RP of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rp {
    /// Its address.
    pub address: IpAddr,
    /// How long it is to be believed in, in seconds; zero withdraws it.
    pub holdtime_seconds: u16,
    /// The lower, the rather.
    pub priority: u8,
}

impl<'a> Bootstrap<'a> {
    pub(super) fn read(flags: u8, reader: &mut Reader<'a>) -> Result<Self> {
        Ok(Self {
            no_forward: flags & NO_FORWARD != 0,
            fragment_tag: reader.u16("fragment tag")?,
            hash_mask_len: reader.u8("hash mask length")?,
            priority: reader.u8("BSR priority")?,
            bsr: read_unicast(reader, "BSR address")?,
            ranges: List::filling(*reader)?,
        })
    }

    pub(super) fn buffer_len(&self) -> usize {
        4 + self.bsr.buffer_len() + self.ranges.buffer_len()
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.u16(self.fragment_tag);
        writer.bytes(&[self.hash_mask_len, self.priority]);
        self.bsr.emit(writer)?;
        self.ranges.emit(writer)
    }
}

impl<'a> Element<'a> for RpRange<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let group = GroupRange::read(reader)?;
        let rp_count = reader.u8("RP count")?;
        let here = reader.u8("fragment RP count")?;
        reader.u16("reserved")?;
        Ok(Self {
            group,
            rp_count,
            rps: List::counted(reader, here.into())?,
        })
    }

    fn buffer_len(&self) -> usize {
        self.group.buffer_len() + 4 + self.rps.buffer_len()
    }

    fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        self.group.emit(writer)?;
        writer.u8(self.rp_count);
        writer.count_u8("fragment RP count", self.rps.len())?;
        writer.u16(0);
        self.rps.emit(writer)
    }
}

impl<'a> Element<'a> for Rp {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let rp = Self {
            address: read_unicast(reader, "RP address")?,
            holdtime_seconds: reader.u16("RP holdtime")?,
            priority: reader.u8("RP priority")?,
        };
        reader.u8("reserved")?;
        Ok(rp)
    }

    fn buffer_len(&self) -> usize {
        self.address.buffer_len() + 4
    }

    fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        self.address.emit(writer)?;
        writer.u16(self.holdtime_seconds);
        writer.bytes(&[self.priority, 0]);
        Ok(())
    }
}

/// A router offers itself to the bootstrap router as RP (RFC 5059 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CandidateRp<'a> {
    /// The lower, the rather.
    pub priority: u8,
    /// How long the offer holds, in seconds; zero withdraws it.
    pub holdtime_seconds: u16,
    /// The candidate.
    pub rp: IpAddr,
    /// For these groups; none stands for all.
    pub groups: GroupRanges<'a>,
}

impl<'a> CandidateRp<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let count = reader.u8("prefix count")?;
        Ok(Self {
            priority: reader.u8("priority")?,
            holdtime_seconds: reader.u16("holdtime")?,
            rp: read_unicast(reader, "RP address")?,
            groups: List::counted(reader, count.into())?,
        })
    }

    pub(super) fn buffer_len(&self) -> usize {
        4 + self.rp.buffer_len() + self.groups.buffer_len()
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.count_u8("prefix count", self.groups.len())?;
        writer.u8(self.priority);
        writer.u16(self.holdtime_seconds);
        self.rp.emit(writer)?;
        self.groups.emit(writer)
    }
}

impl fmt::Display for Bootstrap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let no_forward = if self.no_forward { " N" } else { "" };
        let (bsr, priority, tag) = (self.bsr, self.priority, self.fragment_tag);
        write!(
            f,
            "Bootstrap{no_forward} of {bsr} priority {priority} tag {tag:#06x}"
        )?;
        write!(f, " hash /{}: {}", self.hash_mask_len, self.ranges)
    }
}

impl fmt::Display for RpRange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (group, count) = (self.group, self.rp_count);
        write!(
            f,
            "{group} by {} of {count} RPs {{{}}}",
            self.rps.len(),
            self.rps
        )
    }
}

impl fmt::Display for Rp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, seconds) = (self.address, self.holdtime_seconds);
        write!(f, "{address} priority {} for {seconds} s", self.priority)
    }
}

impl fmt::Display for CandidateRp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rp, priority, seconds) = (self.rp, self.priority, self.holdtime_seconds);
        write!(f, "Candidate RP {rp} priority {priority} for {seconds} s")?;
        if self.groups.is_empty() {
            f.write_str(": all groups")
        } else {
            write!(f, ": {}", self.groups)
        }
    }
}
