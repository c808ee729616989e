//! Counts of probes by blocks of time, as inference wants them.

use std::collections::BTreeMap;

use crate::inference::PacketCounts;
use crate::time::Instant;

/// Blocks kept; beyond, neighbours are joined, so that a measurement without end needs no more room.
const BLOCKS_MAX: usize = 4_096;

/// One block.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) counts: PacketCounts,
    /// When its last probe was sent.
    pub(super) last: Instant,
}

/// All blocks that count, by their place in time.
#[derive(Debug)]
pub(super) struct Blocks {
    by_place: BTreeMap<u64, Block>,
    /// Blocks of the specification in one of these.
    joined: u64,
    /// The latest so many blocks of the specification count; all if none.
    window: Option<u64>,
    /// Probes of all of them: asked for at every probe.
    sent: u64,
}

impl Blocks {
    pub(super) fn new(window: Option<u64>) -> Blocks {
        Blocks {
            by_place: BTreeMap::new(),
            joined: 1,
            window,
            sent: 0,
        }
    }

    /// Adds the block of this number; blocks come in order.
    pub(super) fn add(&mut self, number: u64, block: Block) {
        self.sent += block.counts.sent;
        self.add_at(number / self.joined, block);
        if self.by_place.len() > BLOCKS_MAX {
            self.joined *= 2;
            for (place, block) in std::mem::take(&mut self.by_place) {
                self.add_at(place / 2, block);
            }
        }
    }

    fn add_at(&mut self, place: u64, block: Block) {
        match self.by_place.get_mut(&place) {
            Some(there) => {
                there.counts.absorb(&block.counts);
                there.last = there.last.max(block.last);
            }
            None => {
                self.by_place.insert(place, block);
            }
        }
    }

    /// Forgets what is older than the window, seen from the end of the block of this number.
    pub(super) fn forget_before(&mut self, number: u64) {
        if let Some(window) = self.window {
            let first = (number + 1).saturating_sub(window) / self.joined;
            let kept = self.by_place.split_off(&first);
            let gone = std::mem::replace(&mut self.by_place, kept);
            self.sent -= gone.values().map(|b| b.counts.sent).sum::<u64>();
        }
    }

    pub(super) fn counts(&self) -> Vec<PacketCounts> {
        self.by_place.values().map(|b| b.counts.clone()).collect()
    }

    /// Probes that count.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// When the last of them was sent.
    pub(super) fn last(&self) -> Option<Instant> {
        self.by_place.values().map(|b| b.last).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(sent: u64) -> Block {
        Block {
            counts: PacketCounts::of_two(sent, sent, sent, sent),
            last: Instant::from_ns(sent),
        }
    }

    #[test]
    fn many_blocks_are_joined_and_none_of_their_probes_is_lost() {
        let mut blocks = Blocks::new(None);
        let all = 3 * BLOCKS_MAX as u64;
        (0..all).for_each(|number| blocks.add(number, block(7)));
        assert_eq!(blocks.sent(), 7 * all);
        let counts = blocks.counts();
        assert!(counts.len() <= BLOCKS_MAX);
        assert!(
            counts[..counts.len() - 1].iter().all(|c| c.sent == 28),
            "of equal lengths"
        );
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let mut blocks = Blocks::new(Some(10));
        for number in (0..30).filter(|number| *number != 25) {
            blocks.add(number, block(1));
            blocks.forget_before(number);
        }
        assert_eq!(blocks.sent(), 9, "ten, of which one was discarded");
        blocks.forget_before(45);
        assert_eq!(blocks.counts(), []);
    }
}
