//! The group records of IGMPv3 reports (RFC 3376 §4.2.4): received, or about to be sent, never copied.

use core::fmt;
use core::net::Ipv4Addr;

use super::field;
use super::sources::Sources;
use crate::bytes::{address_at, put, put_address, put_u16, u16_at};
use crate::error::{Expected, Result};
use crate::open_enum::open_enum;

open_enum! {
    /// What a group record says (RFC 3376 §4.2.12), in the RFC's short names.
    pub enum RecordType(u8) {
        /// `MODE_IS_INCLUDE`: current state, these sources only.
        IsInclude = 1 => "IS_IN",
        /// `MODE_IS_EXCLUDE`: current state, all but these sources.
        IsExclude = 2 => "IS_EX",
        /// `CHANGE_TO_INCLUDE_MODE`; without sources it is the leave of an any-source join.
        ToInclude = 3 => "TO_IN",
        /// `CHANGE_TO_EXCLUDE_MODE`; without sources it is an any-source join.
        ToExclude = 4 => "TO_EX",
        /// `ALLOW_NEW_SOURCES`: the join of a source-specific channel.
        Allow = 5 => "ALLOW",
        /// `BLOCK_OLD_SOURCES`: its leave.
        Block = 6 => "BLOCK",
    }
}

const HEADER_LEN: usize = 8;
const AUX_WORDS: usize = 1;
const SOURCE_COUNT: usize = 2;
const GROUP: usize = 4;
const AUX_LEN_MAX: usize = 255 * 4;

/// One group record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupRecord<'a> {
    /// What it says.
    pub kind: RecordType,
    /// About which group.
    pub group: Ipv4Addr,
    /// With which sources.
    pub sources: Sources<'a>,
    /// Auxiliary data, whole 32-bit words; IGMPv3 defines none and ignores it.
    pub aux_data: &'a [u8],
}

impl<'a> GroupRecord<'a> {
    /// A record without auxiliary data.
    #[must_use]
    pub fn new(kind: RecordType, group: Ipv4Addr, sources: &'a [Ipv4Addr]) -> Self {
        Self {
            kind,
            group,
            sources: sources.into(),
            aux_data: &[],
        }
    }

    /// The record at the front of `bytes`, which starts `at` bytes behind the first; and the rest.
    fn split(bytes: &'a [u8], at: usize) -> Result<(Self, usize)> {
        field("group record", at).needs(HEADER_LEN, bytes)?;
        let record = &bytes[at..];
        let sources_end = HEADER_LEN + usize::from(u16_at(record, SOURCE_COUNT)) * 4;
        let end = sources_end + usize::from(record[AUX_WORDS]) * 4;
        field("group record", at).needs(end, bytes)?;
        let parsed = Self {
            kind: RecordType::from(record[0]),
            group: address_at(record, GROUP),
            sources: Sources::wire(&record[HEADER_LEN..sources_end]),
            aux_data: &record[sources_end..end],
        };
        Ok((parsed, at + end))
    }

    fn buffer_len(&self) -> usize {
        HEADER_LEN + self.sources.buffer_len() + self.aux_data.len()
    }

    /// Writes the record at `at`; returns where the next one starts.
    fn emit(&self, buffer: &mut [u8], at: usize) -> Result<usize> {
        let aux = field("auxiliary data", at + AUX_WORDS);
        aux.at_most(AUX_LEN_MAX, self.aux_data.len())?;
        let whole_words = self.aux_data.len().is_multiple_of(4);
        aux.holds(
            whole_words,
            Expected::MultipleOf(4),
            self.aux_data.len() as u64,
        )?;
        let count = field("number of sources", at + SOURCE_COUNT);
        count.at_most(usize::from(u16::MAX), self.sources.len())?;

        let record = &mut buffer[at..at + self.buffer_len()];
        record[0] = self.kind.into();
        record[AUX_WORDS] = (self.aux_data.len() / 4) as u8;
        put_u16(record, SOURCE_COUNT, self.sources.len() as u16);
        put_address(record, GROUP, self.group);
        self.sources.emit(&mut record[HEADER_LEN..]);
        put(
            record,
            HEADER_LEN + self.sources.buffer_len(),
            self.aux_data,
        );
        Ok(at + self.buffer_len())
    }
}

impl fmt::Display for GroupRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.kind, self.group, self.sources)
    }
}

/// Group records, wherever they lie. Equal if they are the same records in the same order.
#[derive(Clone, Copy)]
pub struct Records<'a>(Place<'a>);

#[derive(Clone, Copy)]
enum Place<'a> {
    Wire { bytes: &'a [u8], count: u16 },
    List(&'a [GroupRecord<'a>]),
}

impl<'a> Records<'a> {
    /// `count` records at the front of `bytes`; all of them are checked.
    pub(crate) fn new_checked(bytes: &'a [u8], count: u16) -> Result<Self> {
        let mut at = 0;
        for _ in 0..count {
            (_, at) = GroupRecord::split(bytes, at)?;
        }
        Ok(Self(Place::Wire { bytes, count }))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0 {
            Place::Wire { count, .. } => usize::from(count),
            Place::List(list) => list.len(),
        }
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One by one, in order.
    #[must_use]
    pub fn iter(&self) -> RecordsIter<'a> {
        RecordsIter {
            records: *self,
            next: 0,
            at: 0,
        }
    }

    pub(crate) fn buffer_len(&self) -> usize {
        self.iter().map(|record| record.buffer_len()).sum()
    }

    pub(crate) fn emit(&self, buffer: &mut [u8]) -> Result<()> {
        self.iter()
            .try_fold(0, |at, record| record.emit(buffer, at))
            .map(|_| ())
    }
}

impl<'a> From<&'a [GroupRecord<'a>]> for Records<'a> {
    fn from(list: &'a [GroupRecord<'a>]) -> Self {
        Self(Place::List(list))
    }
}

impl<'a> IntoIterator for Records<'a> {
    type Item = GroupRecord<'a>;
    type IntoIter = RecordsIter<'a>;

    fn into_iter(self) -> RecordsIter<'a> {
        self.iter()
    }
}

impl PartialEq for Records<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Records<'_> {}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Display for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, record) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{record}")?;
        }
        Ok(())
    }
}

/// Group records one by one.
#[derive(Debug, Clone)]
pub struct RecordsIter<'a> {
    records: Records<'a>,
    next: usize,
    /// Where the next record starts, if they are on the wire.
    at: usize,
}

impl<'a> Iterator for RecordsIter<'a> {
    type Item = GroupRecord<'a>;

    fn next(&mut self) -> Option<GroupRecord<'a>> {
        if self.next >= self.records.len() {
            return None;
        }
        let record = match self.records.0 {
            Place::List(list) => list[self.next],
            Place::Wire { bytes, .. } => {
                let (record, at) = GroupRecord::split(bytes, self.at).ok()?;
                self.at = at;
                record
            }
        };
        self.next += 1;
        Some(record)
    }
}
