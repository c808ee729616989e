//! The probes of one sender that are not decided yet, and what arrived of each.
//!
//! A probe is decided once its loss timeout has passed, and a little more, for what the
//! capture still holds: only then is every timely duplicate in. Until then its send time is
//! the moment it was handed out, replaced by the capture's stamp as soon as that is seen.
//!
//! A probe to N receivers is kept in N + 1 words of 8 bytes, one behind the other: when it was sent, and the stamp of its
//! first copy at each receiver, each with two bits. All undecided probes of a sender lie in one ring, so that a copy
//! touches few lines of the processor's cache, and nothing is allocated for a probe. What is rare, duplicates and late
//! copies, is kept aside.
//!
//! Receivers are known here by their place among the task's receivers, which never changes.

use std::collections::{BTreeMap, VecDeque};

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
    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = usize> {
        (0..64 * self.bits.len()).filter(|place| self.contains(*place))
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.bits
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }
}

/// What is known of a probe at one receiver: whether it is expected there, when its first timely copy arrived, if one did,
/// and whether it had been overtaken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(u64);

impl Stamp {
    const NOT_EXPECTED: Stamp = Stamp(0);
    const AWAITED: Stamp = Stamp(1);
    const IN_ORDER: u64 = 2;
    const OVERTAKEN: u64 = 3;
    /// Bits of what it is; 62 bits of nanoseconds are left, 146 years.
    const BITS: u32 = 2;

    fn received_at(at: Instant, overtaken: bool) -> Stamp {
        let what = match overtaken {
            true => Stamp::OVERTAKEN,
            false => Stamp::IN_ORDER,
        };
        Stamp(at.as_ns() << Stamp::BITS | what)
    }

    fn received(self) -> Option<Instant> {
        let is = self.0 & Stamp::IN_ORDER != 0;
        is.then(|| Instant::from_ns(self.0 >> Stamp::BITS))
    }

    fn is_reordered(self) -> bool {
        self.0 & Stamp::OVERTAKEN == Stamp::OVERTAKEN
    }
}

/// When a probe was sent, and what sets it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Departure(u64);

impl Departure {
    const WARMUP: u64 = 1;
    const UNSENT: u64 = 2;
    const FLAGS: u64 = Departure::WARMUP | Departure::UNSENT;

    fn new(at: Instant, warmup: bool) -> Departure {
        Departure(at.as_ns() << Stamp::BITS | u64::from(warmup))
    }

    fn at(self) -> Instant {
        Instant::from_ns(self.0 >> Stamp::BITS)
    }

    fn seen_at(self, at: Instant) -> Departure {
        Departure(at.as_ns() << Stamp::BITS | self.0 & Departure::FLAGS)
    }
}

/// Copies of a probe at one receiver that were not its first timely one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Surplus {
    duplicates: u32,
    late: u32,
}

/// A probe whose time is over, and all that arrived of it.
#[derive(Debug)]
pub struct Decided<'a> {
    /// Place among the sender's probes; its low 32 bits are on the wire.
    pub seq: u64,
    /// When it left.
    pub sent: Instant,
    /// Not to be counted: warm-up.
    pub warmup: bool,
    /// It never left: not to be mentioned at all.
    pub unsent: bool,
    flow: &'a Flow,
}

impl Decided<'_> {
    /// What arrived, receiver by receiver, where it is expected.
    pub fn arrivals(&self) -> impl Iterator<Item = (usize, Arrival)> {
        let has_surplus = !self.flow.surplus.is_empty();
        let stamps = self.flow.words.range(1..self.flow.words_each);
        let stamps = stamps.map(|word| Stamp(*word)).enumerate();
        let expected = stamps.filter(|(_, stamp)| *stamp != Stamp::NOT_EXPECTED);
        expected.map(move |(place, stamp)| {
            let found = has_surplus.then(|| self.flow.surplus.get(&(self.seq, place as u32)));
            let Surplus { duplicates, late } = found.flatten().copied().unwrap_or_default();
            let arrival = Arrival {
                received: stamp.received(),
                duplicates,
                late,
                reordered: stamp.is_reordered(),
            };
            (place, arrival)
        })
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
    undecided: usize,
    /// One more than there are receivers.
    words_each: usize,
    /// Of each undecided probe a [`Departure`] and, by receiver, a [`Stamp`].
    words: VecDeque<u64>,
    /// By receiver, one more than the highest sequence number received: RFC 4737's NextExp.
    next_expected: Vec<u64>,
    /// By number and receiver.
    surplus: BTreeMap<(u64, u32), Surplus>,
}

impl Flow {
    /// Nothing sent yet; the first probe will bear this number. Some of so many receivers expect it.
    pub fn new(first_seq: u32, receivers: usize) -> Flow {
        Flow {
            next_seq: u64::from(first_seq),
            undecided: 0,
            words_each: receivers + 1,
            words: VecDeque::new(),
            next_expected: Vec::new(),
            surplus: BTreeMap::new(),
        }
    }

    /// A probe is about to be sent; `None` if too many are undecided.
    pub fn send(&mut self, now: Instant, warmup: bool, receivers: &Receivers) -> Option<u64> {
        if self.undecided >= WINDOW_MAX {
            return None;
        }
        let seq = self.next_seq;
        self.next_seq += 1;
        self.undecided += 1;
        let stamps = (1..self.words_each).map(|word| match receivers.contains(word - 1) {
            true => Stamp::AWAITED.0,
            false => Stamp::NOT_EXPECTED.0,
        });
        self.words.push_back(Departure::new(now, warmup).0);
        self.words.extend(stamps);
        Some(seq)
    }

    /// The capture saw it leave. Whether it is the oldest, so that [`Flow::next_deadline`] is another.
    pub fn handle_sent(&mut self, seq: u32, stamp: Instant) -> bool {
        let Some(at) = self.find(seq) else {
            return false;
        };
        self.words[at] = Departure(self.words[at]).seen_at(stamp).0;
        at == 0
    }

    /// Whether exactly one probe is undecided.
    pub fn has_one(&self) -> bool {
        self.undecided == 1
    }

    /// It could not be sent.
    pub fn handle_unsent(&mut self, seq: u32) {
        if let Some(at) = self.find(seq) {
            self.words[at] |= Departure::UNSENT;
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
        let Some(at) = self.find(seq) else {
            let decided = self.extend(seq).is_some_and(|seq| seq < self.next_seq);
            return if decided {
                Copy::Decided
            } else {
                Copy::Unexpected
            };
        };
        let sent = Departure(self.words[at]).at();
        let before = match 1 + place < self.words_each {
            true => Stamp(self.words[at + 1 + place]),
            false => Stamp::NOT_EXPECTED,
        };
        if before == Stamp::NOT_EXPECTED {
            return Copy::Unexpected;
        }
        let number = self.extend(seq).unwrap_or_default();
        match (patience.is_in_time(sent, stamp), before.received()) {
            (true, None) => {
                let overtaken = self.expect_after(place, number);
                self.words[at + 1 + place] = Stamp::received_at(stamp, overtaken).0;
                Copy::First
            }
            (true, Some(_)) => {
                self.surplus_of(number, place).duplicates += 1;
                Copy::Duplicate
            }
            (false, _) => {
                self.surplus_of(number, place).late += 1;
                Copy::Late
            }
        }
    }

    /// The probe of this number arrived: whether a later one had before.
    fn expect_after(&mut self, place: usize, number: u64) -> bool {
        if self.next_expected.len() <= place {
            self.next_expected.resize(place + 1, 0);
        }
        let next = &mut self.next_expected[place];
        let overtaken = number < *next;
        *next = (*next).max(number + 1);
        overtaken
    }

    fn surplus_of(&mut self, number: u64, place: usize) -> &mut Surplus {
        self.surplus.entry((number, place as u32)).or_default()
    }

    /// The number on the wire of the newest probe.
    pub fn newest(&self) -> Option<u32> {
        (self.undecided > 0).then(|| (self.next_seq - 1) as u32)
    }

    /// When the next probe is decided.
    pub fn next_deadline(&self, patience: Patience) -> Option<Instant> {
        let oldest = self.words.front();
        oldest.map(|word| Departure(*word).at() + patience.until_decision())
    }

    /// The oldest probe, if its time is over. It stays so until it is forgotten.
    pub fn decided(&self, now: Instant, patience: Patience) -> Option<Decided<'_>> {
        let oldest = Departure(*self.words.front()?);
        let is_over = oldest.at() + patience.until_decision() <= now;
        is_over.then(|| Decided {
            seq: self.first(),
            sent: oldest.at(),
            warmup: oldest.0 & Departure::WARMUP != 0,
            unsent: oldest.0 & Departure::UNSENT != 0,
            flow: self,
        })
    }

    /// Forgets the oldest probe.
    pub fn forget_oldest(&mut self) {
        if self.undecided == 0 {
            return;
        }
        self.words.drain(..self.words_each);
        self.undecided -= 1;
        let first = self.first();
        while self
            .surplus
            .first_key_value()
            .is_some_and(|((seq, _), _)| *seq < first)
        {
            self.surplus.pop_first();
        }
    }

    /// The number of the oldest probe.
    fn first(&self) -> u64 {
        self.next_seq - self.undecided as u64
    }

    /// Where the words of an undecided probe begin.
    fn find(&self, seq: u32) -> Option<usize> {
        let before = self.extend(seq)?.checked_sub(self.first())?;
        let before = usize::try_from(before).ok()?;
        (before < self.undecided).then(|| before * self.words_each)
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
    fn at_places(places: &[usize]) -> Receivers {
        Receivers::new(10, |place| places.contains(&place))
    }

    /// Five probes, one each 10 ms, expected at places 8 and 9.
    fn flow(first_seq: u32) -> Flow {
        let mut flow = Flow::new(first_seq, 10);
        let receivers = at_places(&[8, 9]);
        for i in 0..5 {
            flow.send(at(10 * i), false, &receivers).unwrap();
        }
        flow
    }

    fn decide(flow: &mut Flow) -> Vec<Arrival> {
        let mut last_arrivals = Vec::new();
        while let Some(probe) = flow.decided(at(60_000), patience()) {
            last_arrivals.extend(probe.arrivals().last().map(|(_, arrival)| arrival));
            flow.forget_oldest();
        }
        last_arrivals
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
        let mut flow = Flow::new(0, 10);
        flow.send(at(0), false, &at_places(&[9])).unwrap();
        flow.handle_sent(0, at(7));
        assert_eq!(flow.next_deadline(patience()), Some(at(2_207)));
        assert_eq!(flow.handle_copy(9, 0, at(2_007), patience()), Copy::First);
        assert!(flow.decided(at(2_206), patience()).is_none());
        assert_eq!(flow.decided(at(2_207), patience()).unwrap().sent, at(7));
    }
}
