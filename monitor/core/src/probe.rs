//! The probes of one sender that are not decided yet, and what arrived of each.
//!
//! A probe is decided once its loss timeout has passed, and a little more, for what the
//! capture still holds: only then is every timely duplicate in. Until then its send time is
//! the moment it was handed out, replaced by the capture's stamp as soon as that is seen.
//!
//! A probe to N receivers is kept in 8 bytes a receiver: the stamp of its first copy and two
//! bits. What is rare, duplicates and late copies, is kept aside.
//!
//! Receivers are known here by their place among the task's receivers, which never changes.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::fault::{Fault, Planted};
use crate::ping::CAPTURE_GRACE;
use crate::time::{Instant, Span};

/// Undecided probes per sender at most; validation keeps tasks well below.
pub const WINDOW_MAX: usize = 1 << 20;

/// What arrived of one probe at one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrival {
    /// When the first timely copy did.
    pub received: Option<Instant>,
    /// Timely copies after the first.
    pub duplicates: u32,
    /// Copies after the loss timeout.
    pub late: u32,
    /// A later probe had arrived before (RFC 4737 §3.3).
    pub reordered: bool,
}

/// Some of a task's receivers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receivers {
    bits: Box<[u64]>,
}

impl Receivers {
    /// Those of `of` receivers at whose place `is_one` says so.
    pub fn new(of: usize, is_one: impl Fn(usize) -> bool) -> Receivers {
        let mut bits = vec![0; of.div_ceil(64)];
        for place in (0..of).filter(|place| is_one(*place)) {
            bits[place / 64] |= 1 << (place % 64);
        }
        Receivers {
            bits: bits.into_boxed_slice(),
        }
    }

    fn contains(&self, place: usize) -> bool {
        let word = self.bits.get(place / 64).copied().unwrap_or(0);
        word >> (place % 64) & 1 == 1
    }

    /// Their places, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        (0..64 * self.bits.len()).filter(|place| self.contains(*place))
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.bits
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// One more than the last place.
    fn end(&self) -> usize {
        let last = self.bits.iter().rposition(|word| *word != 0);
        last.map_or(0, |word| {
            64 * (word + 1) - self.bits[word].leading_zeros() as usize
        })
    }
}

/// When a probe's first timely copy arrived, if one did, and whether it had been overtaken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Stamp(u64);

impl Stamp {
    const RECEIVED: u64 = 1;
    const REORDERED: u64 = 2;
    /// Bits of the flags; 62 bits of nanoseconds are left, 146 years.
    const FLAGS: u32 = 2;

    fn new(at: Instant, reordered: bool) -> Stamp {
        let reordered = if reordered { Stamp::REORDERED } else { 0 };
        Stamp(at.as_ns() << Stamp::FLAGS | Stamp::RECEIVED | reordered)
    }

    fn received(self) -> Option<Instant> {
        let is = self.0 & Stamp::RECEIVED != 0;
        is.then(|| Instant::from_ns(self.0 >> Stamp::FLAGS))
    }

    fn is_reordered(self) -> bool {
        self.0 & Stamp::REORDERED != 0
    }
}

/// Copies of a probe at one receiver that were not its first timely one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Surplus {
    place: u32,
    duplicates: u32,
    late: u32,
}

/// A probe and all that arrived of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Place among the sender's probes; its low 32 bits are on the wire.
    pub seq: u64,
    /// When it left.
    pub sent: Instant,
    /// Not to be counted: warm-up.
    pub warmup: bool,
    /// It never left: not to be mentioned at all.
    pub unsent: bool,
    /// Where it is expected.
    receivers: Arc<Receivers>,
    /// By receiver, expected or not, up to the last that is.
    stamps: Box<[Stamp]>,
    surplus: Vec<Surplus>,
}

impl Sent {
    /// A probe of which nothing has arrived.
    pub fn new(seq: u64, sent: Instant, warmup: bool, receivers: &Arc<Receivers>) -> Sent {
        Sent {
            seq,
            sent,
            warmup,
            unsent: false,
            stamps: vec![Stamp::default(); receivers.end()].into_boxed_slice(),
            receivers: Arc::clone(receivers),
            surplus: Vec::new(),
        }
    }

    /// What arrived, receiver by receiver.
    pub fn arrivals(&self) -> impl Iterator<Item = (usize, Arrival)> {
        self.receivers
            .iter()
            .map(|place| (place, self.arrival(place)))
    }

    fn arrival(&self, place: usize) -> Arrival {
        let surplus = self.find_surplus(place).ok().map(|at| self.surplus[at]);
        Arrival {
            received: self.stamps[place].received(),
            duplicates: surplus.map_or(0, |s| s.duplicates),
            late: surplus.map_or(0, |s| s.late),
            reordered: self.stamps[place].is_reordered(),
        }
    }

    fn find_surplus(&self, place: usize) -> Result<usize, usize> {
        let place = place as u32;
        self.surplus.binary_search_by_key(&place, |s| s.place)
    }

    fn surplus_at(&mut self, place: usize) -> &mut Surplus {
        let at = self.find_surplus(place).unwrap_or_else(|at| {
            let none = Surplus {
                place: place as u32,
                duplicates: 0,
                late: 0,
            };
            self.surplus.insert(at, none);
            at
        });
        &mut self.surplus[at]
    }
}

/// What a copy turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    /// The first, in time.
    First,
    /// A further one, in time.
    Duplicate,
    /// After the loss timeout of an undecided probe.
    Late,
    /// Of a probe that was decided already: late, too.
    Decided,
    /// Of a probe that was never sent, or not to be expected there.
    Unexpected,
}

/// How long a probe may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    loss_timeout: Span,
}

impl Patience {
    /// For a task with this loss timeout.
    pub fn new(loss_timeout: Span, fault: Planted) -> Patience {
        let times = if fault.is(Fault::LateAsReceived) {
            4
        } else {
            1
        };
        Patience {
            loss_timeout: loss_timeout.times(times),
        }
    }

    fn is_in_time(self, sent: Instant, received: Instant) -> bool {
        received.since(sent) <= self.loss_timeout
    }

    /// From sending until the decision.
    pub fn until_decision(self) -> Span {
        self.loss_timeout + CAPTURE_GRACE
    }
}

/// The probes of one sender.
#[derive(Debug)]
pub struct Flow {
    next_seq: u64,
    window: VecDeque<Sent>,
    /// By receiver, one more than the highest sequence number received: RFC 4737's NextExp.
    next_expected: Vec<u64>,
}

impl Flow {
    /// Nothing sent yet; the first probe will bear this number.
    pub fn new(first_seq: u32) -> Flow {
        Flow {
            next_seq: u64::from(first_seq),
            window: VecDeque::new(),
            next_expected: Vec::new(),
        }
    }

    /// A probe is about to be sent; `None` if too many are undecided.
    pub fn send(&mut self, now: Instant, warmup: bool, receivers: &Arc<Receivers>) -> Option<u64> {
        if self.window.len() >= WINDOW_MAX {
            return None;
        }
        let seq = self.next_seq;
        self.next_seq += 1;
        self.window
            .push_back(Sent::new(seq, now, warmup, receivers));
        Some(seq)
    }

    /// The capture saw it leave. Whether it is the oldest, so that [`Flow::next_deadline`] is another.
    pub fn handle_sent(&mut self, seq: u32, stamp: Instant) -> bool {
        let first = self.window.front().map(|probe| probe.seq);
        self.undecided(seq).is_some_and(|probe| {
            probe.sent = stamp;
            first == Some(probe.seq)
        })
    }

    /// Whether exactly one probe is undecided.
    pub fn has_one(&self) -> bool {
        self.window.len() == 1
    }

    /// It could not be sent.
    pub fn handle_unsent(&mut self, seq: u32) {
        if let Some(probe) = self.undecided(seq) {
            probe.unsent = true;
        }
    }

    /// A copy came over the tunnel of the receiver at this place.
    pub fn handle_copy(
        &mut self,
        place: usize,
        seq: u32,
        stamp: Instant,
        patience: Patience,
    ) -> Copy {
        let extended = self.extend(seq);
        let next_seq = self.next_seq;
        let next_expected = self.next_expected.get(place).copied().unwrap_or(0);
        let Some(probe) = self.undecided(seq) else {
            let decided = extended.is_some_and(|seq| seq < next_seq);
            return if decided {
                Copy::Decided
            } else {
                Copy::Unexpected
            };
        };
        if !probe.receivers.contains(place) {
            return Copy::Unexpected;
        }
        let in_time = patience.is_in_time(probe.sent, stamp);
        let number = probe.seq;
        match (in_time, probe.stamps[place].received()) {
            (true, None) => {
                probe.stamps[place] = Stamp::new(stamp, number < next_expected);
                self.expect_after(place, number);
                Copy::First
            }
            (true, Some(_)) => {
                probe.surplus_at(place).duplicates += 1;
                Copy::Duplicate
            }
            (false, _) => {
                probe.surplus_at(place).late += 1;
                Copy::Late
            }
        }
    }

    fn expect_after(&mut self, place: usize, number: u64) {
        if self.next_expected.len() <= place {
            self.next_expected.resize(place + 1, 0);
        }
        let next = &mut self.next_expected[place];
        *next = (*next).max(number + 1);
    }

    /// The number on the wire of the newest probe.
    pub fn newest(&self) -> Option<u32> {
        self.window.back().map(|probe| probe.seq as u32)
    }

    /// When the next probe is decided.
    pub fn next_deadline(&self, patience: Patience) -> Option<Instant> {
        self.window
            .front()
            .map(|probe| probe.sent + patience.until_decision())
    }

    /// The next probe whose time is over.
    pub fn poll_decided(&mut self, now: Instant, patience: Patience) -> Option<Sent> {
        self.next_deadline(patience)
            .filter(|deadline| *deadline <= now)?;
        self.window.pop_front()
    }

    fn undecided(&mut self, seq: u32) -> Option<&mut Sent> {
        let first = self.window.front()?.seq;
        let index = self.extend(seq)?.checked_sub(first)?;
        self.window.get_mut(usize::try_from(index).ok()?)
    }

    /// The full number of 32 bits from the wire: the one nearest to the next to be sent.
    fn extend(&self, seq: u32) -> Option<u64> {
        let distance = seq.wrapping_sub(self.next_seq as u32) as i32;
        self.next_seq.checked_add_signed(i64::from(distance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Span = Span::from_s(2);

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    fn patience() -> Patience {
        Patience::new(TIMEOUT, Planted::NONE)
    }

    /// Those at these places, of ten.
    fn at_places(places: &[usize]) -> Arc<Receivers> {
        Arc::new(Receivers::new(10, |place| places.contains(&place)))
    }

    /// Five probes, one each 10 ms, expected at places 8 and 9.
    fn flow(first_seq: u32) -> Flow {
        let mut flow = Flow::new(first_seq);
        let receivers = at_places(&[8, 9]);
        for i in 0..5 {
            flow.send(at(10 * i), false, &receivers).unwrap();
        }
        flow
    }

    fn decide(flow: &mut Flow) -> Vec<Arrival> {
        std::iter::from_fn(|| flow.poll_decided(at(60_000), patience()))
            .map(|sent| sent.arrivals().last().unwrap().1)
            .collect()
    }

    #[test]
    fn copies_are_first_duplicate_or_late() {
        let mut flow = flow(0);
        assert_eq!(flow.handle_copy(9, 0, at(30), patience()), Copy::First);
        assert_eq!(flow.handle_copy(9, 0, at(31), patience()), Copy::Duplicate);
        assert_eq!(flow.handle_copy(9, 1, at(2_011), patience()), Copy::Late);
        assert_eq!(
            flow.handle_copy(9, 2, at(2_020), patience()),
            Copy::First,
            "exactly in time"
        );
        assert_eq!(
            flow.handle_copy(7, 0, at(30), patience()),
            Copy::Unexpected,
            "not a receiver"
        );
        assert_eq!(
            flow.handle_copy(9, 5, at(30), patience()),
            Copy::Unexpected,
            "not sent yet"
        );
        let arrivals = decide(&mut flow);
        assert_eq!(
            (
                arrivals[0].duplicates,
                arrivals[1].late,
                arrivals[1].received
            ),
            (1, 1, None)
        );
        assert_eq!(
            flow.handle_copy(9, 3, at(60_001), patience()),
            Copy::Decided
        );
    }

    /// RFC 4737 §4.1.2's example: 1 2 3 5 4: only 4 is reordered; 3 lost is no reordering.
    #[test]
    fn only_what_was_overtaken_is_reordered() {
        let mut flow = flow(0);
        for (seq, ms) in [(0, 50), (1, 51), (4, 52), (2, 53), (2, 54)] {
            flow.handle_copy(9, seq, at(ms), patience());
        }
        let reordered: Vec<_> = decide(&mut flow).iter().map(|a| a.reordered).collect();
        assert_eq!(reordered, [false, false, true, false, false]);
    }

    #[test]
    fn one_receivers_order_is_no_others() {
        let mut flow = flow(0);
        flow.handle_copy(8, 3, at(50), patience());
        flow.handle_copy(9, 1, at(51), patience());
        assert!(decide(&mut flow).iter().all(|a| !a.reordered));
    }

    #[test]
    fn some_receivers_are_those_and_no_others() {
        for places in [
            vec![],
            vec![0],
            vec![63, 64],
            vec![1, 130],
            (0..131).collect(),
        ] {
            let some = Receivers::new(131, |place| places.contains(&place));
            assert_eq!(some.iter().collect::<Vec<_>>(), places);
            assert_eq!(some.end(), places.last().map_or(0, |last| last + 1));
            assert!(!some.contains(200));
        }
    }

    #[test]
    fn numbers_wrap_without_harm() {
        let mut flow = flow(u32::MAX - 1);
        for (i, seq) in [u32::MAX - 1, u32::MAX, 0, 1, 2].into_iter().enumerate() {
            assert_eq!(
                flow.handle_copy(9, seq, at(100 + i as u64), patience()),
                Copy::First
            );
        }
        assert!(
            decide(&mut flow)
                .iter()
                .all(|a| a.received.is_some() && !a.reordered)
        );
    }

    #[test]
    fn the_capture_stamp_moves_the_deadline() {
        let mut flow = Flow::new(0);
        flow.send(at(0), false, &at_places(&[9])).unwrap();
        flow.handle_sent(0, at(7));
        assert_eq!(flow.next_deadline(patience()), Some(at(2_207)));
        assert_eq!(flow.handle_copy(9, 0, at(2_007), patience()), Copy::First);
        assert!(flow.poll_decided(at(2_206), patience()).is_none());
        assert_eq!(
            flow.poll_decided(at(2_207), patience()).unwrap().sent,
            at(7)
        );
    }
}
