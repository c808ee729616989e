//! Assert (RFC 7761 §4.9.6) and State Refresh (RFC 3973 §4.7.10): who forwards on a LAN, and by what metric.

use core::fmt;
use core::net::IpAddr;

use super::address::{GroupRange, read_unicast};
use super::cursor::{Reader, Writer, flags};
use super::list::Element;
use crate::error::Result;

/// The worst preference there is; with R and the worst metric it cancels an Assert (RFC 7761 §4.6.5).
pub const PREFERENCE_MAX: u32 = 0x7fff_ffff;
const RPT: u32 = 0x8000_0000;

/// How good a router's way is to a source, or to the RP. Lower wins, preference first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Assert {
    /// The group.
    pub group: GroupRange,
    /// The source; the unspecified address in an Assert about (*,G).
    pub source: IpAddr,
    /// R: it is the way to the RP. The way to a source beats it.
    pub is_rpt: bool,
    /// Preference of the unicast protocol that knows the way, at most [`PREFERENCE_MAX`].
    pub preference: u32,
    /// Its metric.
    pub metric: u32,
}

impl Assert {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let group = GroupRange::read(reader)?;
        let source = read_unicast(reader, "source address")?;
        let first = reader.u32("metric preference")?;
        Ok(Self {
            group,
            source,
            is_rpt: first & RPT != 0,
            preference: first & PREFERENCE_MAX,
            metric: reader.u32("metric")?,
        })
    }

    pub(super) fn buffer_len(&self) -> usize {
        self.group.buffer_len() + self.source.buffer_len() + 8
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        self.group.emit(writer)?;
        self.source.emit(writer)?;
        emit_preference(writer, self.preference, self.is_rpt)?;
        writer.u32(self.metric);
        Ok(())
    }
}

fn emit_preference(writer: &mut Writer<'_>, preference: u32, is_rpt: bool) -> Result<()> {
    let field = writer.field("metric preference");
    field.at_most(PREFERENCE_MAX as usize, preference as usize)?;
    writer.u32(preference | flags([(is_rpt, RPT)]));
    Ok(())
}

const PRUNE_INDICATOR: u8 = 0x80;
const PRUNE_NOW: u8 = 0x40;
const ASSERT_OVERRIDE: u8 = 0x20;

/// Dense mode: keeps the pruned branches of a source's tree pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateRefresh {
    /// The group.
    pub group: GroupRange,
    /// The source.
    pub source: IpAddr,
    /// The router next to the source, which began it.
    pub originator: IpAddr,
    /// Preference of the sender's way to the source, at most [`PREFERENCE_MAX`].
    pub preference: u32,
    /// Its metric.
    pub metric: u32,
    /// Length of the prefix of the sender's route to the source, in bits.
    pub prefix_len: u8,
    /// How many routers it may still pass.
    pub ttl: u8,
    /// P: it came by an interface that is pruned.
    pub is_pruned: bool,
    /// N: whoever is downstream is to prune or join now.
    pub prune_now: bool,
    /// O: the winner of an Assert has lost its way, the others are to speak up.
    pub assert_override: bool,
    /// How often the originator sends them, in seconds.
    pub interval_seconds: u8,
}

impl StateRefresh {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let group = GroupRange::read(reader)?;
        let source = read_unicast(reader, "source address")?;
        let originator = read_unicast(reader, "originator address")?;
        // RFC 3973 §4.7.10: the R bit is ignored upon receipt.
        let preference = reader.u32("metric preference")? & PREFERENCE_MAX;
        let metric = reader.u32("metric")?;
        let [prefix_len, ttl, set, interval_seconds] = reader.array("mask length, TTL, flags")?;
        Ok(Self {
            group,
            source,
            originator,
            preference,
            metric,
            prefix_len,
            ttl,
            is_pruned: set & PRUNE_INDICATOR != 0,
            prune_now: set & PRUNE_NOW != 0,
            assert_override: set & ASSERT_OVERRIDE != 0,
            interval_seconds,
        })
    }

    pub(super) fn buffer_len(&self) -> usize {
        self.group.buffer_len() + self.source.buffer_len() + self.originator.buffer_len() + 12
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        self.group.emit(writer)?;
        self.source.emit(writer)?;
        self.originator.emit(writer)?;
        emit_preference(writer, self.preference, false)?;
        writer.u32(self.metric);
        let set = flags([
            (self.is_pruned, PRUNE_INDICATOR),
            (self.prune_now, PRUNE_NOW),
            (self.assert_override, ASSERT_OVERRIDE),
        ]);
        writer.bytes(&[self.prefix_len, self.ttl, set, self.interval_seconds]);
        Ok(())
    }
}

impl fmt::Display for Assert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source.is_unspecified() {
            write!(f, "Assert (*,{})", self.group)?;
        } else {
            write!(f, "Assert ({},{})", self.source, self.group)?;
        }
        let rpt = if self.is_rpt { " rpt" } else { "" };
        write!(
            f,
            "{rpt} preference {} metric {}",
            self.preference, self.metric
        )
    }
}

impl fmt::Display for StateRefresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, group, originator) = (self.source, self.group, self.originator);
        write!(f, "State Refresh ({source},{group}) by {originator}")?;
        write!(f, " preference {} metric {}", self.preference, self.metric)?;
        write!(f, " prefix /{} TTL {}", self.prefix_len, self.ttl)?;
        let flags = [
            (self.is_pruned, " P"),
            (self.prune_now, " N"),
            (self.assert_override, " O"),
        ];
        for (_, flag) in flags.iter().filter(|(set, _)| *set) {
            f.write_str(flag)?;
        }
        write!(f, " every {} s", self.interval_seconds)
    }
}
