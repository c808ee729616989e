//! Aggregates of probes: what arrived of each at the monitor, beside what a router counted of it.

use std::collections::VecDeque;

use super::why::{Discards, Why};
use super::window::Probe;
use crate::counters;
use crate::inference::AggregateCounts;
use crate::name::Name;
use crate::time::Instant;

/// Aggregates kept: as many as counters keep. Beyond, the oldest no longer count.
const KEPT_MAX: usize = 1 << 16;
/// Blocks of time that estimates are made of at most; of more, neighbours are joined.
const BLOCKS_MAX: u64 = 4_096;

/// One aggregate, as it was sent.
#[derive(Debug)]
struct Sent {
    first: u64,
    last: u64,
    probes: u32,
    /// Of these, the time is over,
    closed: u32,
    /// and so many arrived.
    arrived: u32,
    /// Block of its first probe.
    block: u64,
    /// When its last probe was sent.
    at: Instant,
    /// Why it does not count, whatever the router says.
    lost: Option<Why>,
}

/// One that counts.
#[derive(Debug)]
struct Counted {
    block: u64,
    at: Instant,
    counts: AggregateCounts,
}

/// All of a run.
#[derive(Debug)]
pub(super) struct Aggregates {
    agent: Name,
    /// Probes in one.
    size: u32,
    /// The latest so many blocks count; all if none.
    window: Option<u64>,
    sent: VecDeque<Sent>,
    counted: Vec<Counted>,
    discards: Discards,
}

impl Aggregates {
    pub(super) fn new(agent: Name, size: u32, window: Option<u64>) -> Aggregates {
        Aggregates {
            agent,
            size,
            window,
            sent: VecDeque::new(),
            counted: Vec::new(),
            discards: Discards::default(),
        }
    }

    /// A probe is sent: aggregates fill up one after another, as the counter's do.
    pub(super) fn handle_sent(&mut self, number: u64) {
        match self.sent.back_mut() {
            Some(open) if open.probes < self.size => {
                open.last = number;
                open.probes += 1;
            }
            Some(_) | None => self.sent.push_back(Sent {
                first: number,
                last: number,
                probes: 1,
                closed: 0,
                arrived: 0,
                block: 0,
                at: Instant::ZERO,
                lost: None,
            }),
        }
        if self.sent.len() > KEPT_MAX {
            self.sent.pop_front();
        }
    }

    /// The time of a block's probes is over.
    pub(super) fn close(
        &mut self,
        block: u64,
        probes: impl Iterator<Item = (u64, Probe)>,
        lost: Option<&Why>,
    ) {
        for (number, probe) in probes {
            let index = self.sent.partition_point(|sent| sent.last < number);
            let Some(sent) = self.sent.get_mut(index).filter(|sent| sent.first <= number) else {
                continue;
            };
            if sent.closed == 0 {
                sent.block = block;
            }
            sent.closed += 1;
            // The only way down.
            sent.arrived += u32::from(probe.arrived_at(0));
            sent.at = sent.at.max(probe.sent);
            sent.lost = sent.lost.take().or_else(|| lost.cloned());
        }
        if let Some(window) = self.window {
            let first = (block + 1).saturating_sub(window);
            let is_over = |sent: &Sent| sent.closed == sent.probes && sent.block < first;
            while self.sent.front().is_some_and(is_over) {
                self.sent.pop_front();
            }
        }
    }

    /// What the router has counted, oldest first, and what does not count, so far.
    pub(super) fn handle_counted(
        &mut self,
        counted: &[counters::Aggregate],
        discards: &counters::Discards,
    ) {
        self.counted.clear();
        self.discards = Discards::default();
        for (why, probes) in discards.by_reason() {
            let why = Why::Counter(self.agent.clone(), why);
            self.discards.count(why, probes);
        }
        let mut of_counter = counted.iter().peekable();
        for sent in &self.sent {
            while of_counter.next_if(|c| c.first < sent.first).is_some() {}
            let Some(counter) =
                of_counter.next_if(|c| (c.first, c.last) == (sent.first, sent.last))
            else {
                continue;
            };
            match &sent.lost {
                Some(why) => self.discards.count(why.clone(), sent.probes.into()),
                None if sent.closed == sent.probes => self.counted.push(Counted {
                    block: sent.block,
                    at: sent.at,
                    counts: AggregateCounts {
                        sent: sent.probes.into(),
                        first: sent.arrived.into(),
                        second: counter.counted,
                    },
                }),
                // Its time is not over.
                None => {}
            }
        }
    }

    /// Probes that count.
    pub(super) fn sent(&self) -> u64 {
        self.counted.iter().map(|counted| counted.counts.sent).sum()
    }

    /// When the last of them was sent.
    pub(super) fn last(&self) -> Option<Instant> {
        self.counted.iter().map(|counted| counted.at).max()
    }

    pub(super) fn discards(&self) -> &Discards {
        &self.discards
    }

    /// Those that count, by blocks of equal lengths of time.
    pub(super) fn by_block(&self) -> Vec<Vec<AggregateCounts>> {
        let ends = [self.counted.first(), self.counted.last()];
        let [first, last] = ends.map(|end| end.map_or(0, |counted| counted.block));
        let joined = (last.saturating_sub(first) + 1).div_ceil(BLOCKS_MAX);
        let of_one = |a: &Counted, b: &Counted| a.block / joined == b.block / joined;
        let blocks = self.counted.chunk_by(of_one);
        let counts = |block: &[Counted]| block.iter().map(|c| c.counts).collect();
        blocks.map(counts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Instant = Instant::ZERO;

    fn probe(arrived: bool) -> Probe {
        let mut probe = Probe::new(AT, false);
        if arrived {
            probe.arrive_at(0);
        }
        probe
    }

    fn counter(first: u64, counted: u64) -> counters::Aggregate {
        counters::Aggregate {
            first,
            last: first + 3,
            counted,
        }
    }

    /// Blocks of so many probes, of which every third is lost; aggregates of four.
    fn aggregates(blocks: &[u64], window: Option<u64>, lost: Option<u64>) -> Aggregates {
        let mut aggregates = Aggregates::new(Name::new("pe").unwrap(), 4, window);
        let mut number = 0;
        for (block, probes) in (0..).zip(blocks) {
            let numbers = number..number + probes;
            numbers.clone().for_each(|n| aggregates.handle_sent(n));
            let why = (lost == Some(block)).then_some(Why::OwnDrops);
            let came = numbers.map(|n| (n, probe(n % 3 != 0)));
            aggregates.close(block, came, why.as_ref());
            number += probes;
        }
        aggregates
    }

    fn counts(first: u64, second: u64) -> AggregateCounts {
        AggregateCounts {
            sent: 4,
            first,
            second,
        }
    }

    #[test]
    fn an_aggregate_is_of_the_block_it_began_in_and_counts_when_both_sides_are_known() {
        let mut found = aggregates(&[6, 6, 2], None, None);
        let told = [counter(0, 3), counter(4, 4), counter(8, 1), counter(12, 2)];
        found.handle_counted(&told, &counters::Discards::default());
        let expected = [vec![counts(2, 3), counts(3, 4)], vec![counts(3, 1)]];
        assert_eq!(found.by_block(), expected, "the fourth is not complete");
        assert_eq!((found.sent(), found.discards().probes()), (12, 0));
        found.handle_counted(&told[1..2], &counters::Discards::default());
        assert_eq!(found.by_block(), [vec![counts(3, 4)]]);
    }

    #[test]
    fn what_our_own_capture_dropped_takes_whole_aggregates_with_it() {
        let mut found = aggregates(&[6, 6], None, Some(0));
        let told = [counter(0, 3), counter(4, 4), counter(8, 1)];
        found.handle_counted(&told, &counters::Discards::default());
        assert_eq!(found.by_block(), [vec![counts(3, 1)]]);
        let said: Vec<String> = found.discards().sentences().collect();
        assert_eq!(
            said,
            ["8 probes do not count: this monitor's capture dropped packets"]
        );
    }

    #[test]
    fn a_window_keeps_the_latest_and_many_blocks_are_joined() {
        let told: Vec<_> = (0..5_000).map(|n| counter(4 * n, 4)).collect();
        for (window, kept, blocks) in [(Some(10), 10, 10), (None, 5_000, 2_500)] {
            let mut found = aggregates(&[4; 5_000], window, None);
            found.handle_counted(&told, &counters::Discards::default());
            let found = found.by_block();
            assert_eq!(
                (found.iter().flatten().count(), found.len()),
                (kept, blocks)
            );
        }
    }
}
