//! Deciding blocks of probes: what counts, what is discarded, what is waited for.
//!
//! Block k holds what was sent from `epoch + k * block` until just before the next. Its time is over when its last probe
//! can no longer arrive and everybody has said what they dropped; then each leaf says whether it covers the block.

use super::super::leaf::Leaf;
use super::super::link::{Coverage, SETTLING};
use super::super::why::Why;
use super::{Phase, Run, Sight};
use crate::time::Instant;

impl Run {
    /// First instant of a block, and the first after it; `None` where there is no such block.
    pub(super) fn bounds(&self, block: u64) -> Option<(Instant, Instant)> {
        let (epoch, stopped) = match self.phase {
            Phase::Probing { epoch, .. } => (epoch, None),
            Phase::Draining { epoch, stopped } => (epoch, Some(stopped)),
            Phase::Waiting | Phase::Over => return None,
        };
        let start = epoch + self.spec.block.times(block);
        let end = start + self.spec.block;
        match stopped {
            Some(stopped) if start >= stopped => None,
            Some(stopped) => Some((start, end.min(stopped))),
            None => Some((start, end)),
        }
    }

    /// When the time of all probes of a block is over.
    pub(super) fn settles_at(&self, block: u64) -> Option<Instant> {
        let (_, end) = self.bounds(block)?;
        Some(end + self.spec.probes.loss_timeout + SETTLING)
    }

    /// When there may be something to do for the oldest open block.
    pub(super) fn settles_next(&self) -> Option<Instant> {
        let settled = self.settles_at(self.next_block)?;
        Some(self.waits_until.map_or(settled, |until| until.max(settled)))
    }

    /// Counts or discards the oldest open block, if it can be told which.
    pub(super) fn close_next(
        &mut self,
        now: Instant,
        settled: Instant,
        sight: &impl Sight,
    ) -> bool {
        let Some((start, end)) = self.bounds(self.next_block) else {
            return false;
        };
        let drops = sight.capture_drops(start, settled);
        let own = (drops > 0).then_some(Why::OwnDrops);
        let mut lost = own;
        let mut open = false;
        for leaf in &mut self.leaves {
            match leaf.coverage((start, end), settled, now, self.patience) {
                Coverage::Covered => {}
                Coverage::NotYet => {
                    open = true;
                    leaf.hurry(now);
                }
                Coverage::Lost(why) => lost = lost.or(Some(why)),
            }
        }
        if open && lost.is_none() {
            self.waits_until = Some(settled + self.patience);
            return false;
        }
        self.waits_until = None;
        // What left after the end of sending belongs to the last block.
        let last = self.bounds(self.next_block + 1).is_none();
        let before = match (last, self.phase) {
            (true, Phase::Draining { .. }) => Instant::from_ns(u64::MAX),
            _ => end,
        };
        let window = &mut self.window;
        let probes = std::iter::from_fn(|| window.poll_before(before));
        self.tally.close(self.next_block, probes, lost);
        self.next_block += 1;
        true
    }

    /// Takes over what counters have told.
    pub(super) fn look_at_counters(&mut self) {
        for counter in self.leaves.iter().filter_map(Leaf::counter) {
            let (counted, discards) = counter.judge();
            self.tally.handle_counted(&counted, &discards);
        }
    }
}
