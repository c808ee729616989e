//! `traffic.json`: what was sent and received, and how receivers keep count.

use std::{collections::BTreeMap, net::Ipv4Addr};

use serde::{Deserialize, Serialize};

/// All sources and receivers after the run, in the scenario's order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficLog {
    /// Sources.
    pub sources: Vec<SourceLog>,
    /// Receivers.
    pub receivers: Vec<ReceiverLog>,
    /// Bulk transfers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transfers: Vec<TransferLog>,
}

/// A bulk transfer after the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferLog {
    /// Its name.
    pub name: String,
    /// Bytes that came.
    pub bytes: u64,
    /// The first of them, CLOCK_MONOTONIC; 0 when none came.
    pub first_ns: u64,
    /// The last of them.
    pub last_ns: u64,
    /// Segments that were sent more than once.
    pub retransmitted: u32,
}

/// A source after the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLog {
    /// Its name.
    pub name: String,
    /// Flow id: index of the source plus one.
    pub flow: u32,
    /// Node.
    pub at: String,
    /// Group sent to.
    pub group: Ipv4Addr,
    /// Packets that the kernel took.
    pub sent: u64,
    /// Packets that the kernel refused (no route while the link was down, say); they have no sequence number.
    pub refused: u64,
}

/// A receiver after the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverLog {
    /// Its name.
    pub name: String,
    /// Node.
    pub at: String,
    /// What came, in flow order.
    pub received: Vec<FlowLog>,
    /// Datagrams to its group that are none of ours.
    pub foreign: u64,
}

/// One flow at one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowLog {
    /// Flow id.
    pub flow: u32,
    /// Distinct packets.
    pub packets: u64,
    /// Lowest sequence number.
    pub first_seq: u32,
    /// Highest sequence number.
    pub last_seq: u32,
    /// Sequence numbers between them that never came.
    pub missing: u64,
    /// Packets that came again.
    pub duplicates: u64,
}

/// Counts one receiver's packets.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    flows: BTreeMap<u32, Seen>,
}

/// Sequence numbers as a bit map: sources count from 0, so it stays small.
#[derive(Debug, Clone, Default)]
struct Seen {
    bits: Vec<u64>,
    distinct: u64,
    duplicates: u64,
    first: u32,
    last: u32,
}

impl Tally {
    /// Sequence numbers from here on are no source's of ours.
    pub const SEQUENCE_END: u32 = 1 << 26;

    /// A packet came. False: its sequence number is not believable, and it was not counted.
    pub fn handle(&mut self, flow: u32, sequence: u32) -> bool {
        if sequence >= Self::SEQUENCE_END {
            return false;
        }
        let seen = self.flows.entry(flow).or_default();
        let (word, bit) = ((sequence / 64) as usize, 1u64 << (sequence % 64));
        if seen.bits.len() <= word {
            seen.bits.resize(word + 1, 0);
        }
        if seen.bits[word] & bit != 0 {
            seen.duplicates += 1;
            return true;
        }
        seen.bits[word] |= bit;
        seen.first = if seen.distinct == 0 {
            sequence
        } else {
            seen.first.min(sequence)
        };
        seen.last = seen.last.max(sequence);
        seen.distinct += 1;
        true
    }

    /// The finished counts.
    pub fn log(&self) -> Vec<FlowLog> {
        let log = |(flow, seen): (&u32, &Seen)| FlowLog {
            flow: *flow,
            packets: seen.distinct,
            first_seq: seen.first,
            last_seq: seen.last,
            missing: u64::from(seen.last - seen.first) + 1 - seen.distinct,
            duplicates: seen.duplicates,
        };
        self.flows.iter().map(log).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_missing_and_duplicates_are_counted_per_flow() {
        let mut tally = Tally::default();
        for (flow, sequence) in [(2, 10), (2, 8), (2, 10), (1, 0), (2, 13), (2, 10)] {
            assert!(tally.handle(flow, sequence));
        }
        assert!(!tally.handle(2, u32::MAX));
        let one = FlowLog {
            flow: 1,
            packets: 1,
            first_seq: 0,
            last_seq: 0,
            missing: 0,
            duplicates: 0,
        };
        let two = FlowLog {
            flow: 2,
            packets: 3,
            first_seq: 8,
            last_seq: 13,
            missing: 3,
            duplicates: 2,
        };
        assert_eq!(tally.log(), [one, two]);
    }

    #[test]
    fn nothing_received_is_an_empty_log() {
        assert_eq!(Tally::default().log(), []);
    }
}
