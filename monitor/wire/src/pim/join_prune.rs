//! Join/Prune (RFC 7761 §4.9.5), and Graft and Graft-Ack, which look the same (RFC 3973 §4.7.2).

use core::fmt;
use core::net::IpAddr;

use super::address::{GroupRange, read_unicast};
use super::cursor::{Reader, Writer};
use super::list::{Element, List};
use super::source::Source;
use crate::error::Result;

/// A holdtime of all ones never runs out (RFC 7761 §4.9.2 and §4.9.5).
pub const HOLDTIME_FOREVER: u16 = 0xffff;

/// What a router wants, or no longer wants, from one neighbor upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinPrune<'a> {
    /// The neighbor that is to act on it; the others on the LAN overhear it.
    pub upstream: IpAddr,
    /// How long it holds, in seconds; [`HOLDTIME_FOREVER`] for ever.
    pub holdtime_seconds: u16,
    /// Group by group.
    pub groups: Groups<'a>,
}

/// The groups of a Join/Prune.
pub type Groups<'a> = List<'a, Group<'a>>;
/// Sources of one group.
pub type Sources<'a> = List<'a, Source<'a>>;

/// One group with what is joined and pruned in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group<'a> {
    /// The group; all of them for (*,*,RP).
    pub group: GroupRange,
    /// The joined sources.
    pub joins: Sources<'a>,
    /// The pruned sources.
    pub prunes: Sources<'a>,
}

/// Joined or pruned?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Wanted.
    Join,
    /// No longer wanted.
    Prune,
}

/// The four kinds of state that a source's W and R bits tell apart (RFC 7761 §4.9.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// (*,*,RP): all groups of an RP. Obsolete since RFC 7761, still in RFC 4601.
    StarStarRp,
    /// (*,G): any source of a group, by way of the RP.
    StarG,
    /// (S,G): a source and a group, on the source's tree.
    Sg,
    /// (S,G,rpt): a source and a group, on the RP's tree.
    SgRpt,
}

/// One join or one prune of one source in one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Joined or pruned.
    pub action: Action,
    /// What state it is about; `None` for W without R, which is nothing.
    pub route: Option<Route>,
    /// The group.
    pub group: GroupRange,
    /// The source, or the RP.
    pub source: Source<'a>,
}

impl<'a> JoinPrune<'a> {
    /// Every join and prune in it, in order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        self.groups.iter().flat_map(|group| group.entries())
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let upstream = read_unicast(reader, "upstream neighbor")?;
        reader.u8("reserved")?;
        let len = reader.u8("number of groups")?;
        Ok(Self {
            upstream,
            holdtime_seconds: reader.u16("holdtime")?,
            groups: List::counted(reader, len.into())?,
        })
    }

    pub(super) fn buffer_len(&self) -> usize {
        self.upstream.buffer_len() + 4 + self.groups.buffer_len()
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        self.upstream.emit(writer)?;
        writer.u8(0);
        writer.count_u8("number of groups", self.groups.len())?;
        writer.u16(self.holdtime_seconds);
        self.groups.emit(writer)
    }
}

impl<'a> Group<'a> {
    /// Its joins, then its prunes.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        let group = self.group;
        let entry = move |action| {
            move |source: Source<'a>| Entry {
                action,
                route: source.route(&group),
                group,
                source,
            }
        };
        let joins = self.joins.iter().map(entry(Action::Join));
        joins.chain(self.prunes.iter().map(entry(Action::Prune)))
    }
}

impl<'a> Element<'a> for Group<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let group = GroupRange::read(reader)?;
        let joins = reader.u16("number of joined sources")?;
        let prunes = reader.u16("number of pruned sources")?;
        Ok(Self {
            group,
            joins: List::counted(reader, joins.into())?,
            prunes: List::counted(reader, prunes.into())?,
        })
    }

    fn buffer_len(&self) -> usize {
        self.group.buffer_len() + 4 + self.joins.buffer_len() + self.prunes.buffer_len()
    }

    fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        self.group.emit(writer)?;
        writer.count_u16("number of joined sources", self.joins.len())?;
        writer.count_u16("number of pruned sources", self.prunes.len())?;
        self.joins.emit(writer)?;
        self.prunes.emit(writer)
    }
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, group) = (self.source.address, self.group);
        write!(f, "{} ", self.action)?;
        match self.route {
            Some(Route::StarStarRp) => write!(f, "(*,*) RP {source}"),
            Some(Route::StarG) => write!(f, "(*,{group}) RP {source}"),
            Some(Route::Sg) => write!(f, "({source},{group})"),
            Some(Route::SgRpt) => write!(f, "({source},{group},rpt)"),
            None => write!(f, "({},{group}) of no meaning", self.source),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Join => "join",
            Self::Prune => "prune",
        })
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StarStarRp => "(*,*,RP)",
            Self::StarG => "(*,G)",
            Self::Sg => "(S,G)",
            Self::SgRpt => "(S,G,rpt)",
        })
    }
}

impl fmt::Display for JoinPrune<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "to {} for {} s:", self.upstream, self.holdtime_seconds)?;
        for (index, entry) in self.entries().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma} {entry}")?;
        }
        Ok(())
    }
}
