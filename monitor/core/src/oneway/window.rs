//! Probes of a one-way measurement whose fate is open, and at which leaves copies have arrived.

use std::collections::VecDeque;

use crate::probe::WINDOW_MAX;
use crate::time::{Instant, Span};

/// Leaves that a measurement may have: one bit each.
pub(crate) const LEAVES_MAX: usize = 16;

/// One probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Probe {
    /// When it left.
    pub(super) sent: Instant,
    /// Not to be counted: warm-up, or it never left.
    pub(super) ignored: bool,
    /// A bit for each leaf.
    arrived: u16,
}

impl Probe {
    pub(super) fn new(sent: Instant, ignored: bool) -> Probe {
        Probe {
            sent,
            ignored,
            arrived: 0,
        }
    }

    pub(super) fn arrive_at(&mut self, leaf: usize) {
        self.arrived |= 1 << leaf;
    }

    pub(super) fn arrived_at(&self, leaf: usize) -> bool {
        self.arrived & (1 << leaf) != 0
    }
}

/// All that are open.
#[derive(Debug)]
pub(super) struct Window {
    next_seq: u64,
    probes: VecDeque<Probe>,
}

impl Window {
    /// The first probe will bear this number.
    pub(super) fn new(first_seq: u32) -> Window {
        Window {
            next_seq: u64::from(first_seq),
            probes: VecDeque::new(),
        }
    }

    /// A probe is about to be sent: its number; `None` if too many are open.
    pub(super) fn send(&mut self, now: Instant, warmup: bool) -> Option<u32> {
        if self.probes.len() >= WINDOW_MAX {
            return None;
        }
        let seq = self.next_seq as u32;
        self.next_seq += 1;
        self.probes.push_back(Probe::new(now, warmup));
        Some(seq)
    }

    /// The capture saw it leave.
    pub(super) fn handle_sent(&mut self, seq: u32, stamp: Instant) {
        if let Some(probe) = self.get_mut(seq) {
            probe.sent = stamp;
        }
    }

    /// It could not be sent.
    pub(super) fn handle_unsent(&mut self, seq: u32) {
        if let Some(probe) = self.get_mut(seq) {
            probe.ignored = true;
        }
    }

    /// A copy arrived at a leaf of ours. Returns its delay if it is the first, and in time.
    pub(super) fn handle_copy(
        &mut self,
        leaf: usize,
        seq: u32,
        stamp: Instant,
        loss_timeout: Span,
    ) -> Option<i64> {
        let probe = self.get_mut(seq)?;
        if probe.arrived_at(leaf) || stamp.since(probe.sent) > loss_timeout {
            return None;
        }
        probe.arrive_at(leaf);
        Some(stamp.signed_since(probe.sent))
    }

    /// A peer says that these arrived at its leaf. Numbers that are not open mean nothing.
    pub(super) fn handle_range(&mut self, leaf: usize, first: u32, last: u32) {
        let open = self.next_seq - self.probes.len() as u64..self.next_seq;
        let Some(to) = self.extend(last) else {
            return;
        };
        // What would be before the very first number is before all that are open.
        let from = self.extend(first).unwrap_or(0).max(open.start);
        for seq in from..open.end.min(to.saturating_add(1)) {
            if let Some(probe) = self.probes.get_mut((seq - open.start) as usize) {
                probe.arrive_at(leaf);
            }
        }
    }

    /// The oldest with its full number, if it was sent before `end`, or is not to be counted.
    pub(super) fn poll_before(&mut self, end: Instant) -> Option<(u64, Probe)> {
        let number = self.next_seq - self.probes.len() as u64;
        self.probes
            .front()
            .filter(|probe| probe.sent < end || probe.ignored)?;
        self.probes.pop_front().map(|probe| (number, probe))
    }

    fn get_mut(&mut self, seq: u32) -> Option<&mut Probe> {
        let first = self.next_seq - self.probes.len() as u64;
        let index = self.extend(seq)?.checked_sub(first)?;
        self.probes.get_mut(usize::try_from(index).ok()?)
    }

    /// The full number of 32 bits from the wire: the one nearest to the next to be sent.
    pub(super) fn extend(&self, seq: u32) -> Option<u64> {
        let distance = seq.wrapping_sub(self.next_seq as u32) as i32;
        self.next_seq.checked_add_signed(i64::from(distance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    /// Six probes from 10 ms on, one each 10 ms.
    fn window(first_seq: u32) -> Window {
        let mut window = Window::new(first_seq);
        for i in 1..=6 {
            window.send(at(10 * i), false).unwrap();
        }
        window
    }

    fn arrived(window: &mut Window, leaf: usize) -> Vec<bool> {
        std::iter::from_fn(|| window.poll_before(at(1_000)))
            .map(|(_, probe)| probe.arrived_at(leaf))
            .collect()
    }

    #[test]
    fn the_first_timely_copy_counts() {
        let timeout = Span::from_ms(100);
        let mut window = window(0);
        assert_eq!(window.handle_copy(1, 0, at(15), timeout), Some(5_000_000));
        assert_eq!(window.handle_copy(1, 0, at(16), timeout), None, "again");
        assert_eq!(window.handle_copy(1, 1, at(121), timeout), None, "late");
        assert_eq!(
            window.handle_copy(1, 9, at(60), timeout),
            None,
            "never sent"
        );
        assert_eq!(
            arrived(&mut window, 1),
            [true, false, false, false, false, false]
        );
    }

    #[test]
    fn ranges_of_open_numbers_count_also_where_numbers_wrap() {
        for first in [0, u32::MAX - 2] {
            let mut window = window(first);
            window.poll_before(at(15));
            window.handle_range(0, first.wrapping_sub(4), first.wrapping_add(2));
            window.handle_range(0, first.wrapping_add(5), first.wrapping_add(50));
            assert_eq!(
                arrived(&mut window, 0),
                [true, true, false, false, true],
                "{first}"
            );
        }
    }

    #[test]
    fn an_absurd_range_costs_nothing_and_counts_as_far_as_it_goes() {
        let mut window = window(0);
        window.handle_range(0, 0, u32::MAX / 2);
        assert_eq!(arrived(&mut window, 0), [true; 6]);
        let mut window = self::window(0);
        window.handle_range(0, 4, 2);
        assert_eq!(arrived(&mut window, 0), [false; 6]);
    }
}
