//! A task's accounts: decided probes, summed by pair, by interval and over the whole task.
//!
//! A probe's fates are written down side by side, 8 bytes each, and looked at by pair only when their interval is closed:
//! with many pairs, memory that is not in the processor's cache is what a packet costs. Then the account of the whole
//! task takes over the interval's sums.

use std::collections::BTreeMap;

use crate::distribution::{Running, exact};
use crate::fault::{Fault, Planted};
use crate::probe::{Arrival, Decided};
use crate::report::{Distribution, PairCounts};
use crate::time::Instant;

/// Sender and receiver, by their places among the task's senders and receivers.
pub type Pair = (usize, usize);

/// A probe that was received: its number and delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    seq: u64,
    delay_ns: i64,
}

/// One sender's probes that were counted in one interval.
#[derive(Debug, Default)]
struct Account {
    /// Their numbers, ascending.
    seqs: Vec<u64>,
    /// Their delays: at all receivers of the first, then at all of the next, and so on.
    delays_ns: Vec<i64>,
    /// What is rare.
    surplus: Vec<Surplus>,
}

/// In place of a delay: no copy in time.
const LOST: i64 = i64::MAX;
/// In place of a delay: the probe was not to arrive there.
const NOT_EXPECTED: i64 = i64::MIN;

/// What a probe did at a receiver besides arriving.
#[derive(Debug, Clone, Copy)]
struct Surplus {
    place: usize,
    duplicates: u32,
    late: u32,
    reordered: bool,
}

/// A pair's account of the whole task, as far as its intervals are closed.
#[derive(Debug, Clone)]
pub struct TaskAccount {
    counts: PairCounts,
    delay: Running,
    variation: Running,
    /// The newest received probe.
    last: Option<Sample>,
}

/// A closed account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub counts: PairCounts,
    pub delay: Option<Distribution>,
    pub ipdv: Option<Distribution>,
    pub pdv: Option<Distribution>,
}

/// An interval that is being closed.
#[derive(Debug)]
struct Closing {
    accounts: Vec<Account>,
    /// The next pair to be summed up.
    next: usize,
}

/// All accounts of a task. Pairs are numbered: all receivers of the first sender, then of the second, and so on.
#[derive(Debug)]
pub struct Ledger {
    /// Intervals that are open, by sender; one that nothing was counted in is not here.
    intervals: BTreeMap<u64, Vec<Account>>,
    closing: Option<Closing>,
    /// Those of the interval that was closed last, emptied: the next one's are as large.
    spare: Vec<Account>,
    totals: Vec<Option<Box<TaskAccount>>>,
    /// Every interval before this one is closed.
    open_from: u64,
    senders: usize,
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
            closing: None,
            spare: Vec::new(),
            totals,
            open_from: 0,
            senders,
            receivers,
            fault,
        }
    }

    /// All pairs, whether anything was counted or not.
    pub fn pairs(&self) -> usize {
        self.totals.len()
    }

    /// Counts a decided probe at all its receivers. A sender's probes come in the order of their numbers. Returns the
    /// interval that it was counted in: `interval`, unless that is closed already.
    pub fn count(&mut self, sender: usize, interval: u64, probe: &Decided<'_>) -> u64 {
        let interval = interval.max(self.open_from);
        let (senders, spare) = (self.senders, &mut self.spare);
        let accounts = self.intervals.entry(interval).or_insert_with(|| {
            let mut accounts = std::mem::take(spare);
            accounts.resize_with(senders, Account::default);
            accounts
        });
        accounts[sender].add(probe, self.receivers, self.fault);
        interval
    }

    /// A copy of a decided probe: late, and too late for its interval's row.
    pub fn count_late(&mut self, (sender, receiver): Pair) {
        let index = sender * self.receivers + receiver;
        let pairs = self.totals.len();
        let is_counted =
            self.totals[index].is_some() || self.open(index).any(|(counts, _)| counts.sent > 0);
        if is_counted {
            let total = self.totals[index].get_or_insert_with(|| TaskAccount::boxed(pairs));
            total.counts.late += 1;
        }
    }

    /// Closes an interval and everything before it, once all of the one before is summed up: see [`Ledger::sum_up`].
    pub fn close(&mut self, interval: u64) {
        self.open_from = interval + 1;
        let accounts = self.intervals.remove(&interval);
        self.closing = accounts.map(|accounts| Closing { accounts, next: 0 });
    }

    /// The next pair of the closed interval that anything was counted of.
    pub fn sum_up(&mut self) -> Option<(Pair, Summary)> {
        let pairs = self.totals.len();
        let closing = self.closing.as_mut()?;
        while closing.next < pairs {
            let pair = (closing.next / self.receivers, closing.next % self.receivers);
            let index = closing.next;
            closing.next += 1;
            let (counts, samples) = closing.accounts[pair.0].at(pair.1, self.receivers, self.fault);
            if counts.sent > 0 {
                let total = self.totals[index].get_or_insert_with(|| TaskAccount::boxed(pairs));
                return Some((pair, total.take(counts, &samples)));
            }
        }
        if let Some(Closing { mut accounts, .. }) = self.closing.take() {
            accounts.iter_mut().for_each(Account::clear);
            self.spare = accounts;
        }
        None
    }

    /// The sums over all decided probes so far. From a number on, with each its number.
    pub fn totals_from(&self, first: usize) -> impl Iterator<Item = (usize, Pair, Summary)> {
        let pairs = self.totals.len();
        let account = move |index: usize| {
            let closed = self.totals[index].as_deref().cloned();
            let mut total = closed.unwrap_or_else(|| TaskAccount::new(pairs));
            for (counts, samples) in self.open(index) {
                total.take(counts, &samples);
            }
            total
        };
        (first..pairs)
            .map(move |index| (index, account(index)))
            .filter(|(_, total)| total.counts.sent > 0)
            .map(move |(index, total)| (index, self.pair(index), total.summary()))
    }

    /// What was counted of a pair that is not in its total yet, in the order of intervals.
    fn open(&self, index: usize) -> impl Iterator<Item = (PairCounts, Vec<Sample>)> {
        let (sender, receiver) = self.pair(index);
        let closing = self
            .closing
            .iter()
            .filter(move |closing| index >= closing.next);
        let accounts = closing.map(|closing| &closing.accounts);
        accounts
            .chain(self.intervals.values())
            .map(move |accounts| accounts[sender].at(receiver, self.receivers, self.fault))
    }

    fn pair(&self, index: usize) -> Pair {
        (index / self.receivers, index % self.receivers)
    }
}

impl Account {
    fn clear(&mut self) {
        self.seqs.clear();
        self.delays_ns.clear();
        self.surplus.clear();
    }

    /// Adds a probe. Duplicates and reordering never make a loss (VS-05).
    fn add(&mut self, probe: &Decided<'_>, receivers: usize, fault: Planted) {
        let first = self.delays_ns.len();
        self.seqs.push(probe.seq);
        self.delays_ns.resize(first + receivers, NOT_EXPECTED);
        for (place, arrival) in probe.arrivals() {
            let received = received(&arrival, fault);
            let delay = received.map(|stamp| stamp.signed_since(probe.sent));
            self.delays_ns[first + place] = delay.unwrap_or(LOST);
            if arrival.reordered || arrival.duplicates > 0 || arrival.late > 0 {
                self.surplus.push(Surplus {
                    place,
                    duplicates: arrival.duplicates,
                    late: arrival.late,
                    reordered: arrival.reordered,
                });
            }
        }
    }

    /// What came of it at one of so many receivers.
    fn at(&self, place: usize, receivers: usize, fault: Planted) -> (PairCounts, Vec<Sample>) {
        let delays = self.delays_ns.iter().skip(place).step_by(receivers);
        let mut samples = Vec::with_capacity(self.seqs.len());
        let mut counts = PairCounts::default();
        for (seq, delay_ns) in self.seqs.iter().zip(delays) {
            counts.sent += u64::from(*delay_ns != NOT_EXPECTED);
            if *delay_ns != NOT_EXPECTED && *delay_ns != LOST {
                let (seq, delay_ns) = (*seq, *delay_ns);
                samples.push(Sample { seq, delay_ns });
            }
        }
        counts.received = samples.len() as u64;
        counts.lost = counts.sent - counts.received;
        for surplus in self.surplus.iter().filter(|s| s.place == place) {
            counts.duplicates += u64::from(surplus.duplicates);
            counts.late += u64::from(surplus.late);
            counts.reordered += u64::from(surplus.reordered);
        }
        if fault.is(Fault::DuplicatesAsReceived) {
            counts.received += counts.duplicates;
        }
        (counts, samples)
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

    fn boxed(pairs: usize) -> Box<TaskAccount> {
        Box::new(TaskAccount::new(pairs))
    }

    /// Takes over an interval's sums, and says what they are.
    fn take(&mut self, counts: PairCounts, samples: &[Sample]) -> Summary {
        let mut delays: Vec<i64> = samples.iter().map(|s| s.delay_ns).collect();
        let mut variations = Vec::with_capacity(delays.len());
        for sample in samples {
            // Of consecutive probes only: none across a lost one.
            let before = self.last.filter(|before| before.seq + 1 == sample.seq);
            variations.extend(before.map(|before| (sample.delay_ns - before.delay_ns).abs()));
            self.last = Some(*sample);
        }
        self.counts += counts;
        // `exact` sorts.
        let (delay, ipdv) = (exact(&mut delays), exact(&mut variations));
        self.delay.add_sorted(&delays);
        self.variation.add_sorted(&variations);
        // RFC 5481 §4.2: delay above the interval's smallest.
        let smallest = delays.first().copied().unwrap_or_default();
        delays.iter_mut().for_each(|delay| *delay -= smallest);
        Summary {
            counts,
            delay,
            ipdv,
            pdv: exact(&mut delays),
        }
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
    use crate::probe::{Flow, Patience, Receivers};
    use crate::time::Span;

    fn count(ledger: &mut Ledger, seq: u64, interval: u64, delay_ms: Option<u64>) {
        let sent = Instant::ZERO + Span::from_ms(100 * seq);
        let receivers = Receivers::new(1, |_| true);
        let mut flow = Flow::new(seq as u32, 1);
        let patience = Patience::new(Span::from_s(2), Planted::NONE);
        flow.send(sent, false, &receivers).unwrap();
        if let Some(ms) = delay_ms {
            flow.handle_copy(0, seq as u32, sent + Span::from_ms(ms), patience);
        }
        let decided = sent + Span::from_s(10);
        let probe = flow.decided(decided, patience).unwrap();
        ledger.count(0, interval, &probe);
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
        ledger.close(0);
        let first = ledger.sum_up().unwrap().1;
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
        let so_far = ledger.totals_from(0).next().unwrap().2;
        ledger.close(1);
        assert_eq!(ledger.totals_from(0).next().unwrap().2, so_far);
        let second = ledger.sum_up().unwrap().1;
        assert_eq!(
            second.ipdv.unwrap().samples,
            1,
            "no variation across the lost probe"
        );
        let whole = ledger.totals_from(0).next().unwrap().2;
        assert_eq!(whole, so_far, "closed or open");
        assert_eq!(
            (
                whole.counts.sent,
                whole.counts.lost,
                whole.ipdv.unwrap().samples
            ),
            (5, 1, 2)
        );
        ledger.close(2);
        assert_eq!(ledger.sum_up(), None);
    }

    #[test]
    fn a_closed_interval_stays_closed() {
        let mut ledger = Ledger::new(1, 1, Planted::NONE);
        count(&mut ledger, 0, 0, Some(1));
        ledger.close(0);
        assert!(ledger.sum_up().is_some());
        count(&mut ledger, 1, 0, Some(1));
        ledger.close(1);
        assert!(ledger.sum_up().is_some() && ledger.sum_up().is_none());
    }
}
