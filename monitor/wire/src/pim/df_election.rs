//! DF election (RFC 5015 §3.7): who forwards bidirectional groups on a link.

use core::fmt;
use core::net::IpAddr;

use super::address::read_unicast;
use super::cursor::{Reader, Writer};
use super::list::Element;
use crate::error::Result;
use crate::open_enum::open_enum;

open_enum! {
    /// The subtype, in the header's upper four flag bits.
    pub enum DfSubtype(u8) {
        /// A router offers its way to the RP.
        Offer = 1 => "Offer",
        /// It takes the role.
        Winner = 2 => "Winner",
        /// A better offer has come: wait.
        Backoff = 3 => "Backoff",
        /// The role goes to another.
        Pass = 4 => "Pass",
    }
}

/// How good a router's way to the RP is. Lower wins, preference first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DfMetric {
    /// Preference of the unicast protocol that knows the way.
    pub preference: u32,
    /// Its metric.
    pub metric: u32,
}

/// A message of the election for one RP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DfElection {
    /// The RP.
    pub rp: IpAddr,
    /// The sender's way.
    pub sender: DfMetric,
    /// What it says.
    pub step: DfStep,
}

/// What a message of the election says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DfStep {
    /// I could be it.
    Offer,
    /// I am it.
    Winner,
    /// I am it, your offer is better: wait.
    Backoff {
        /// Whose offer.
        offering: IpAddr,
        /// The offer.
        offer: DfMetric,
        /// How long to wait, in milliseconds.
        interval_ms: u16,
    },
    /// It is now another.
    Pass {
        /// Who.
        winner: IpAddr,
        /// By what way.
        offer: DfMetric,
    },
}

impl DfMetric {
    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            preference: reader.u32("metric preference")?,
            metric: reader.u32("metric")?,
        })
    }

    fn emit(self, writer: &mut Writer<'_>) {
        writer.u32(self.preference);
        writer.u32(self.metric);
    }
}

impl DfElection {
    pub(super) fn subtype(&self) -> DfSubtype {
        match self.step {
            DfStep::Offer => DfSubtype::Offer,
            DfStep::Winner => DfSubtype::Winner,
            DfStep::Backoff { .. } => DfSubtype::Backoff,
            DfStep::Pass { .. } => DfSubtype::Pass,
        }
    }

    /// `None` if the subtype is not known: who knows what lies there?
    pub(super) fn read(subtype: DfSubtype, reader: &mut Reader<'_>) -> Result<Option<Self>> {
        if let DfSubtype::Unknown(_) = subtype {
            return Ok(None);
        }
        let rp = read_unicast(reader, "RP address")?;
        let sender = DfMetric::read(reader)?;
        let step = match subtype {
            DfSubtype::Offer => DfStep::Offer,
            DfSubtype::Winner => DfStep::Winner,
            DfSubtype::Backoff => DfStep::Backoff {
                offering: read_unicast(reader, "offering address")?,
                offer: DfMetric::read(reader)?,
                interval_ms: reader.u16("interval")?,
            },
            DfSubtype::Pass => DfStep::Pass {
                winner: read_unicast(reader, "new winner address")?,
                offer: DfMetric::read(reader)?,
            },
            DfSubtype::Unknown(_) => return Ok(None),
        };
        Ok(Some(Self { rp, sender, step }))
    }

    pub(super) fn buffer_len(&self) -> usize {
        let step = match self.step {
            DfStep::Offer | DfStep::Winner => 0,
            DfStep::Backoff { offering, .. } => offering.buffer_len() + 10,
            DfStep::Pass { winner, .. } => winner.buffer_len() + 8,
        };
        self.rp.buffer_len() + 8 + step
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        self.rp.emit(writer)?;
        self.sender.emit(writer);
        match self.step {
            DfStep::Offer | DfStep::Winner => {}
            DfStep::Backoff {
                offering,
                offer,
                interval_ms,
            } => {
                offering.emit(writer)?;
                offer.emit(writer);
                writer.u16(interval_ms);
            }
            DfStep::Pass { winner, offer } => {
                winner.emit(writer)?;
                offer.emit(writer);
            }
        }
        Ok(())
    }
}

impl fmt::Display for DfMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "preference {} metric {}", self.preference, self.metric)
    }
}

impl fmt::Display for DfElection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "DF {} for RP {} {}",
            self.subtype(),
            self.rp,
            self.sender
        )?;
        match self.step {
            DfStep::Offer | DfStep::Winner => Ok(()),
            DfStep::Backoff {
                offering,
                offer,
                interval_ms,
            } => write!(f, "; {offering} {offer}, wait {interval_ms} ms"),
            DfStep::Pass { winner, offer } => write!(f, "; {winner} {offer}"),
        }
    }
}
