//! The probes of one sender that are not decided yet, and what arrived of each.
//!
//! A probe is decided once its loss timeout has passed, and a little more, for what the
//! capture still holds: only then is every timely duplicate in. Until then its send time is
//! the moment it was handed out, replaced by the capture's stamp as soon as that is seen.

use std::collections::{BTreeMap, VecDeque};
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
    /// Tunnels over which it is expected, ascending.
    pub receivers: Arc<[u32]>,
    /// What arrived, receiver by receiver.
    pub arrivals: Vec<Arrival>,
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
    /// Per receiver, one more than the highest sequence number received: RFC 4737's NextExp.
    next_expected: BTreeMap<u32, u64>,
}

impl Flow {
    /// Nothing sent yet; the first probe will bear this number.
    pub fn new(first_seq: u32) -> Flow {
        Flow {
            next_seq: u64::from(first_seq),
            window: VecDeque::new(),
            next_expected: BTreeMap::new(),
        }
    }

    /// A probe is about to be sent; `None` if too many are undecided.
    pub fn send(&mut self, now: Instant, warmup: bool, receivers: &Arc<[u32]>) -> Option<u64> {
        if self.window.len() >= WINDOW_MAX {
            return None;
        }
        let seq = self.next_seq;
        self.next_seq += 1;
        let arrivals = vec![Arrival::default(); receivers.len()];
        let receivers = Arc::clone(receivers);
        self.window.push_back(Sent {
            seq,
            sent: now,
            warmup,
            unsent: false,
            receivers,
            arrivals,
        });
        Some(seq)
    }

    /// The capture saw it leave. Its first stamp counts.
    pub fn handle_sent(&mut self, seq: u32, stamp: Instant) {
        if let Some(probe) = self.undecided(seq) {
            probe.sent = stamp;
        }
    }

    /// It could not be sent.
    pub fn handle_unsent(&mut self, seq: u32) {
        if let Some(probe) = self.undecided(seq) {
            probe.unsent = true;
        }
    }

    /// A copy came over a tunnel.
    pub fn handle_copy(
        &mut self,
        receiver: u32,
        seq: u32,
        stamp: Instant,
        patience: Patience,
    ) -> Copy {
        let extended = self.extend(seq);
        let next_seq = self.next_seq;
        let next_expected = self.next_expected.get(&receiver).copied().unwrap_or(0);
        let Some(probe) = self.undecided(seq) else {
            let decided = extended.is_some_and(|seq| seq < next_seq);
            return if decided {
                Copy::Decided
            } else {
                Copy::Unexpected
            };
        };
        let Ok(index) = probe.receivers.binary_search(&receiver) else {
            return Copy::Unexpected;
        };
        let in_time = patience.is_in_time(probe.sent, stamp);
        let number = probe.seq;
        let arrival = &mut probe.arrivals[index];
        match (in_time, arrival.received) {
            (true, None) => {
                arrival.received = Some(stamp);
                arrival.reordered = number < next_expected;
                self.next_expected
                    .insert(receiver, next_expected.max(number + 1));
                Copy::First
            }
            (true, Some(_)) => {
                arrival.duplicates += 1;
                Copy::Duplicate
            }
            (false, _) => {
                arrival.late += 1;
                Copy::Late
            }
        }
    }

    /// The number on the wire of the newest probe.
    pub fn newest(&self) -> Option<u32> {
        self.window.back().map(|probe| probe.seq as u32)
    }

    /// Nothing is undecided.
    pub fn is_decided(&self) -> bool {
        self.window.is_empty()
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

    /// Five probes, one each 10 ms, expected over tunnels 8 and 9.
    fn flow(first_seq: u32) -> Flow {
        let mut flow = Flow::new(first_seq);
        let receivers: Arc<[u32]> = Arc::from([8, 9]);
        for i in 0..5 {
            flow.send(at(10 * i), false, &receivers).unwrap();
        }
        flow
    }

    fn decide(flow: &mut Flow) -> Vec<Arrival> {
        std::iter::from_fn(|| flow.poll_decided(at(60_000), patience()))
            .map(|sent| sent.arrivals[1])
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
        flow.send(at(0), false, &Arc::from([9])).unwrap();
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
