//! When the capture dropped packets.

use std::collections::VecDeque;

use crate::time::Instant;

/// Times of capture drops that are remembered.
const DROPS_REMEMBERED: usize = 1_024;

/// When the capture was seen to have dropped packets.
#[derive(Debug, Default)]
pub(super) struct DropLog {
    /// All so far.
    pub(super) total: u64,
    /// Time and number of drops first seen then, oldest first.
    seen: VecDeque<(Instant, u64)>,
}

impl DropLog {
    pub(super) fn note(&mut self, now: Instant, total: u64) {
        let new = total.saturating_sub(self.total);
        self.total = total;
        if new > 0 {
            if self.seen.len() >= DROPS_REMEMBERED {
                self.seen.pop_front();
            }
            self.seen.push_back((now, new));
        }
    }

    pub(super) fn since(&self, start: Instant) -> u64 {
        self.seen
            .iter()
            .rev()
            .take_while(|(at, _)| *at >= start)
            .map(|(_, new)| new)
            .sum()
    }

    /// Those first seen from `start` until `end`, both included.
    pub(super) fn between(&self, start: Instant, end: Instant) -> u64 {
        let within = |(at, _): &&(Instant, u64)| start <= *at && *at <= end;
        let from_the_latest = self.seen.iter().rev();
        from_the_latest
            .take_while(|(at, _)| *at >= start)
            .filter(within)
            .map(|(_, new)| new)
            .sum()
    }
}
