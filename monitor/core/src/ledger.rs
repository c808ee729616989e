//! A task's accounts: decided probes, summed by pair, by interval and over the whole task.

use std::collections::BTreeMap;

use crate::distribution::{Running, exact};
use crate::fault::{Fault, Planted};
use crate::probe::{Arrival, Sent};
use crate::report::{Distribution, PairCounts};
use crate::time::Instant;

/// Sender and receiver, by their places among the task's senders and receivers.
pub type Pair = (usize, usize);

/// What one probe adds to its pair's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outcome {
    counts: PairCounts,
    delay_ns: Option<i64>,
    /// Difference to the delay of the probe before it.
    variation_ns: Option<i64>,
}

/// A pair's account of one interval.
#[derive(Debug, Default)]
struct IntervalAccount {
    counts: PairCounts,
    delays: Vec<i64>,
    variations: Vec<i64>,
}

/// A pair's account of the whole task.
#[derive(Debug)]
struct TaskAccount {
    counts: PairCounts,
    delay: Running,
    variation: Running,
    /// Number and delay of the newest received probe.
    last: Option<(u64, i64)>,
}

/// A closed account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub counts: PairCounts,
    pub delay: Option<Distribution>,
    pub ipdv: Option<Distribution>,
    pub pdv: Option<Distribution>,
}

/// All accounts of a task, pair by pair: all receivers of the first sender, then of the second, and so on.
#[derive(Debug)]
pub struct Ledger {
    /// Intervals that are open; one that nothing was counted in is not here.
    intervals: BTreeMap<u64, Vec<IntervalAccount>>,
    totals: Vec<Option<Box<TaskAccount>>>,
    /// Every interval before this one is closed.
    open_from: u64,
    receivers: usize,
    fault: Planted,
}

impl Ledger {
    /// Empty accounts of a task of so many senders and receivers.
    pub fn new(senders: usize, receivers: usize, fault: Planted) -> Ledger {
        let mut totals = Vec::new();
        totals.resize_with(senders * receivers, || None);
        Ledger {
            intervals: BTreeMap::new(),
            totals,
            open_from: 0,
            receivers,
            fault,
        }
    }

    /// Counts a decided probe at one receiver. Returns the interval that it was counted in:
    /// `interval`, unless that is closed already.
    pub fn count(
        &mut self,
        (sender, receiver): Pair,
        interval: u64,
        probe: &Sent,
        arrival: &Arrival,
    ) -> u64 {
        let interval = interval.max(self.open_from);
        let pairs = self.totals.len();
        let index = sender * self.receivers + receiver;
        let total = self.totals[index].get_or_insert_with(|| Box::new(TaskAccount::new(pairs)));
        let outcome = total.outcome(probe, arrival, self.fault);
        total.add(&outcome);
        let accounts = self.intervals.entry(interval).or_insert_with(|| {
            let mut accounts = Vec::new();
            accounts.resize_with(pairs, IntervalAccount::default);
            accounts
        });
        accounts[index].add(&outcome);
        interval
    }

    /// A copy of a decided probe: late, and too late for its interval's row.
    pub fn count_late(&mut self, (sender, receiver): Pair) {
        let index = sender * self.receivers + receiver;
        if let Some(total) = self.totals.get_mut(index).and_then(Option::as_mut) {
            total.counts.late += 1;
        }
    }

    /// Closes an interval and everything before it.
    pub fn close(&mut self, interval: u64) -> Vec<(Pair, Summary)> {
        self.open_from = interval + 1;
        let accounts = self.intervals.remove(&interval).unwrap_or_default();
        let counted = accounts.into_iter().enumerate();
        counted
            .filter(|(_, account)| account.counts.sent > 0)
            .map(|(index, account)| (self.pair(index), account.summary()))
            .collect()
    }

    /// The sums over all decided probes so far.
    pub fn totals(&self) -> impl Iterator<Item = (Pair, Summary)> {
        let totals = self.totals.iter().enumerate();
        totals.filter_map(|(index, account)| Some((self.pair(index), account.as_ref()?.summary())))
    }

    fn pair(&self, index: usize) -> Pair {
        (index / self.receivers, index % self.receivers)
    }
}

impl TaskAccount {
    fn new(pairs: usize) -> TaskAccount {
        TaskAccount {
            counts: PairCounts::default(),
            delay: Running::new(pairs),
            variation: Running::new(pairs),
            last: None,
        }
    }

    /// What the probe adds. Duplicates and reordering never make a loss (VS-05).
    fn outcome(&mut self, probe: &Sent, arrival: &Arrival, fault: Planted) -> Outcome {
        let received = received(arrival, fault);
        let mut counts = PairCounts {
            sent: 1,
            received: u64::from(received.is_some()),
            lost: u64::from(received.is_none()),
            duplicates: u64::from(arrival.duplicates),
            reordered: u64::from(arrival.reordered),
            late: u64::from(arrival.late),
        };
        if fault.is(Fault::DuplicatesAsReceived) {
            counts.received += counts.duplicates;
        }
        let delay_ns = received.map(|stamp| stamp.signed_since(probe.sent));
        let before = self.last.filter(|(seq, _)| seq + 1 == probe.seq);
        let variation_ns = delay_ns
            .zip(before)
            .map(|(delay, (_, previous))| (delay - previous).abs());
        if let Some(delay) = delay_ns {
            self.last = Some((probe.seq, delay));
        }
        Outcome {
            counts,
            delay_ns,
            variation_ns,
        }
    }

    fn add(&mut self, outcome: &Outcome) {
        self.counts += outcome.counts;
        outcome
            .delay_ns
            .into_iter()
            .for_each(|delay| self.delay.add(delay));
        outcome
            .variation_ns
            .into_iter()
            .for_each(|variation| self.variation.add(variation));
    }

    fn summary(&self) -> Summary {
        Summary {
            counts: self.counts,
            delay: self.delay.summary(),
            ipdv: self.variation.summary(),
            pdv: None,
        }
    }
}

/// When a probe was received, if it was.
pub fn received(arrival: &Arrival, fault: Planted) -> Option<Instant> {
    let overtaken = fault.is(Fault::ReorderingAsLoss) && arrival.reordered;
    arrival.received.filter(|_| !overtaken)
}

impl IntervalAccount {
    fn add(&mut self, outcome: &Outcome) {
        self.counts += outcome.counts;
        self.delays.extend(outcome.delay_ns);
        self.variations.extend(outcome.variation_ns);
    }

    fn summary(mut self) -> Summary {
        let delay = exact(&mut self.delays);
        // RFC 5481 §4.2: delay above the interval's smallest. `exact` has sorted the delays.
        let smallest = self.delays.first().copied().unwrap_or_default();
        let mut above: Vec<i64> = self.delays.iter().map(|d| d - smallest).collect();
        Summary {
            counts: self.counts,
            delay,
            ipdv: exact(&mut self.variations),
            pdv: exact(&mut above),
        }
    }
}

impl std::ops::AddAssign for PairCounts {
    fn add_assign(&mut self, other: PairCounts) {
        self.sent += other.sent;
        self.received += other.received;
        self.lost += other.lost;
        self.duplicates += other.duplicates;
        self.reordered += other.reordered;
        self.late += other.late;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Receivers;
    use crate::time::Span;
    use std::sync::Arc;

    fn count(ledger: &mut Ledger, seq: u64, interval: u64, delay_ms: Option<u64>) {
        let sent = Instant::ZERO + Span::from_ms(100 * seq);
        let receivers = Arc::new(Receivers::new(1, |_| true));
        let probe = Sent::new(seq, sent, false, &receivers);
        let received = delay_ms.map(|ms| sent + Span::from_ms(ms));
        ledger.count(
            (0, 0),
            interval,
            &probe,
            &Arrival {
                received,
                ..Arrival::default()
            },
        );
    }

    #[test]
    fn intervals_and_the_whole_add_up() {
        let mut ledger = Ledger::new(1, 1, Planted::NONE);
        for (seq, interval, delay) in [
            (0, 0, Some(10)),
            (1, 0, Some(13)),
            (2, 0, None),
            (3, 1, Some(20)),
            (4, 1, Some(19)),
        ] {
            count(&mut ledger, seq, interval, delay);
        }
        let first = ledger.close(0)[0].1;
        assert_eq!(
            (first.counts.sent, first.counts.received, first.counts.lost),
            (3, 2, 1)
        );
        assert_eq!(first.delay.unwrap().mean_ns, 11_500_000);
        assert_eq!(
            (first.ipdv.unwrap().samples, first.ipdv.unwrap().mean_ns),
            (1, 3_000_000)
        );
        assert_eq!(first.pdv.unwrap().max_ns, 3_000_000);
        let second = ledger.close(1)[0].1;
        assert_eq!(
            second.ipdv.unwrap().samples,
            1,
            "no variation across the lost probe"
        );
        let whole = ledger.totals().next().unwrap().1;
        assert_eq!(
            (
                whole.counts.sent,
                whole.counts.lost,
                whole.ipdv.unwrap().samples
            ),
            (5, 1, 2)
        );
        assert!(ledger.close(2).is_empty());
    }

    #[test]
    fn a_closed_interval_stays_closed() {
        let mut ledger = Ledger::new(1, 1, Planted::NONE);
        count(&mut ledger, 0, 0, Some(1));
        ledger.close(0);
        count(&mut ledger, 1, 0, Some(1));
        assert_eq!(ledger.close(1).len(), 1);
    }
}
