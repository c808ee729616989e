//! One packet, captured at several interfaces, is one packet.
//!
//! A capture of both ends of a link, of a router's every interface, or of a link that a monitor's tunnel runs through as
//! well, holds each packet twice. Told twice, a Join, a Prune
//! and a Join become Join, Join, Prune, Prune, Join: or, with both copies on their way at once, Join, Prune, Join, Prune,
//! Join, of which three never happened.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};

use vmscope_core::time::Instant;

use super::order::{Heard, Place, WINDOW};

/// Where an IPv4 header holds what a router changes: time to live and checksum (RFC 1812 section 5.3.1).
const TTL: usize = 8;
const CHECKSUM: std::ops::Range<usize> = 10..12;

/// Packets of late, and where they were captured.
#[derive(Debug, Default)]
pub struct Twins {
    of_late: HashMap<u64, (Instant, Place)>,
    by_time: VecDeque<(Instant, u64)>,
}

impl Twins {
    /// Whether the same packet was captured elsewhere within the last [`WINDOW`]. From the same place, equal bytes are
    /// another packet that says the same. Packets must come in the order of their stamps.
    pub fn is_twin(&mut self, heard: &Heard) -> bool {
        self.forget_before(heard.stamp);
        let print = print(&heard.datagram);
        if let Some((_, place)) = self.of_late.get(&print)
            && *place != heard.place
        {
            return true;
        }
        self.of_late.insert(print, (heard.stamp, heard.place));
        self.by_time.push_back((heard.stamp, print));
        false
    }

    fn forget_before(&mut self, now: Instant) {
        while let Some((stamp, print)) = self.by_time.front().copied()
            && now.since(stamp) > WINDOW
        {
            self.by_time.pop_front();
            if self.of_late.get(&print).is_some_and(|(at, _)| *at == stamp) {
                self.of_late.remove(&print);
            }
        }
    }
}

/// All bytes but those that a router changes.
fn print(datagram: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (at, byte) in datagram.iter().enumerate() {
        if at != TTL && !CHECKSUM.contains(&at) {
            byte.hash(&mut hasher);
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::super::order::Order;
    use super::*;
    use vmscope_core::time::Span;

    /// Which of these are twins: milliseconds, interface, bytes.
    fn twins(captured: &[(u64, u32, &[u8])]) -> Vec<bool> {
        let mut twins = Twins::default();
        let mut told = Vec::new();
        for (ms, interface, bytes) in captured {
            let mut order = Order::default();
            let stamp = Instant::ZERO + Span::from_ms(*ms);
            order.handle_stamp(stamp);
            let place = Place {
                interface: *interface,
                ..Place::default()
            };
            order.put(stamp, place, bytes.to_vec());
            told.extend(order.poll_at_end().map(|heard| twins.is_twin(&heard)));
        }
        assert!(twins.of_late.len() <= twins.by_time.len());
        told
    }

    const HOP: [u8; 14] = [1, 2, 3, 4, 5, 6, 7, 8, 64, 10, 0xab, 0xcd, 13, 14];
    const NEXT_HOP: [u8; 14] = [1, 2, 3, 4, 5, 6, 7, 8, 63, 10, 0xac, 0xcd, 13, 14];
    const OTHER: [u8; 14] = [1, 2, 3, 4, 5, 6, 7, 8, 64, 10, 0xab, 0xcd, 13, 15];

    #[test]
    fn a_packet_counts_once_however_many_interfaces_saw_it() {
        let seen = [
            (0, 0, &HOP[..]),
            (1, 1, &HOP),
            (2, 2, &NEXT_HOP),
            (3, 1, &OTHER),
        ];
        assert_eq!(twins(&seen), [false, true, true, false]);
    }

    #[test]
    fn what_is_said_again_at_one_interface_counts_again() {
        let seen = [(0, 0, &HOP[..]), (1, 0, &HOP), (2, 1, &HOP), (3, 1, &HOP)];
        assert_eq!(twins(&seen), [false, false, true, true]);
    }

    #[test]
    fn what_is_said_later_counts_again_wherever_it_was_captured() {
        let seen = [(0, 0, &HOP[..]), (2_000, 1, &HOP), (2_500, 0, &HOP)];
        assert_eq!(twins(&seen), [false, false, true]);
    }
}
