//! Why probes do not count.

use std::collections::BTreeMap;
use std::fmt;

/// Why an aggregate was discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Discard {
    /// No reading before it, in silence, that its own could be compared with.
    NoBaseline,
    /// The agent did not answer.
    Silent,
    /// The agent answered, but nothing showed that it had looked since the train passed.
    Stale,
    /// The agent, or the exporter, has begun anew.
    Restarted,
    /// The counter has been set back, or another one is read.
    Reset,
    /// More was counted than was sent.
    AboveSent,
    /// Packets of another length were counted too.
    ForeignPackets,
    /// The counter counts whatever passes, and there are no octets to tell what that was.
    NoOctets,
    /// Some of its probes never left.
    NotSent,
    /// Exported records have been lost on the way.
    ExportLost,
    /// The exporter said nothing any more.
    MissingExport,
    /// A record came after the aggregate had been concluded.
    LateExport,
    /// The exporter counts only some packets.
    Sampled,
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Discard::NoBaseline => "no earlier reading to compare with",
            Discard::Silent => "the agent did not answer",
            Discard::Stale => "the agent answered from a cache that was not renewed in time",
            Discard::Restarted => "the agent has begun anew",
            Discard::Reset => "the counter has been set back",
            Discard::AboveSent => "more was counted than was sent",
            Discard::ForeignPackets => "packets that are no probes were counted too",
            Discard::NoOctets => {
                "an interface's packets cannot be told from probes without its octets"
            }
            Discard::NotSent => "probes could not be sent",
            Discard::ExportLost => "exported records were lost on the way",
            Discard::MissingExport => "the exporter fell silent",
            Discard::LateExport => "a record came too late",
            Discard::Sampled => "the exporter samples: switch that off for probes",
        })
    }
}

/// Probes discarded, by reason.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Discards(BTreeMap<Discard, u64>);

impl Discards {
    /// So many probes do not count.
    pub fn add(&mut self, reason: Discard, probes: u64) {
        let sum = self.0.entry(reason).or_default();
        *sum = sum.saturating_add(probes);
    }

    /// Probes, whatever the reason.
    pub fn probes(&self) -> u64 {
        self.0.values().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// By reason.
    pub fn by_reason(&self) -> impl Iterator<Item = (Discard, u64)> {
        self.0.iter().map(|(reason, probes)| (*reason, *probes))
    }
}
