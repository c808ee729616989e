//! One-way delay, honestly: what one clock can and cannot identify.
//!
//! Let u_r be the delay of the way up tunnel r to the router, d_s that of the way down tunnel s. One clock at one host
//! stamps what leaves and what comes back: it sees sums u_r + d_s, one for each pair of tunnels, and pings give u_r + d_r.
//! Adding a constant to every u of a router and taking it from every d changes no sum. So **one degree of freedom is
//! left whatever is sent**, however many tunnels there are: all differences u_r − u_r' and d_s − d_s' are identified,
//! and no single delay is.
//!
//! A second host with a synchronised clock adds u_r + d_t (its stamps of copies down its tunnel t) and, if it reflects,
//! u_t + d_s. The unknowns grow by u_t and d_t: the constant may still be moved, so **the degree of freedom remains**.
//! Only a clock at the router itself fixes it: ICMP timestamps, where a router answers them (many are set not to) and its
//! clock's error is known, are such a clock, of milliseconds ([`crate::router_clock`]).
//!
//! What is certain is an interval. No delay is negative, so of the fastest probe on the way up
//!
//! ```text
//! 0 ≤ u_r ≤ min over s of min(u_r + d_s),  and  ≤ min(u_r + d_t) + e
//! ```
//!
//! where the second is the peer's least delay and e how far its wall clock may be from ours (and a router's clock, where it
//! is asked, gives a third bound in the same way); likewise 0 ≤ d_s ≤ min over
//! r of min(u_r + d_s). The minima are over all packets of the measurement or its window (minimum-delay filtering:
//! queueing only ever adds). They are of the *least* delay of each way; a mean is larger by the mean queueing, which one
//! host cannot split either. A lower end above zero would follow if the packet with the least sum met both least delays;
//! that is likely, never certain, and so it is not claimed. A near second host makes the upper end tight.

use std::collections::BTreeMap;

use super::report::DelayRange;
use crate::time::{Instant, Span};

/// A least sum of a way up and a way down.
#[derive(Debug, Clone, Copy, Default)]
struct LeastSum {
    current: Option<i64>,
    before: Option<i64>,
}

/// The loops of a measurement: all begin with its way up, each comes back by one way down.
#[derive(Debug)]
pub(super) struct Loops {
    by_down: BTreeMap<usize, LeastSum>,
    /// Older than one to two windows does not count.
    window: Option<Span>,
    since: Option<Instant>,
}

impl Loops {
    pub(super) fn new(window: Option<Span>) -> Loops {
        Loops {
            by_down: BTreeMap::new(),
            window,
            since: None,
        }
    }

    /// A probe came back by a way down, in its place.
    pub(super) fn note(&mut self, now: Instant, down: usize, delay_ns: i64) {
        let since = *self.since.get_or_insert(now);
        if self.window.is_some_and(|window| now.since(since) > window) {
            self.since = Some(now);
            for sum in self.by_down.values_mut() {
                sum.before = sum.current.take();
            }
        }
        let sum = self.by_down.entry(down).or_default();
        sum.current = Some(sum.current.map_or(delay_ns, |least| least.min(delay_ns)));
    }

    /// The least delay over the way up and this way down.
    pub(super) fn least(&self, down: usize) -> Option<i64> {
        let sum = self.by_down.get(&down)?;
        [sum.current, sum.before].into_iter().flatten().min()
    }

    /// All of them.
    fn all(&self) -> impl Iterator<Item = i64> {
        let downs = self.by_down.keys();
        downs.filter_map(|down| self.least(*down))
    }

    /// The way up: below every sum that it is part of. `others` are such sums that were seen elsewhere.
    pub(super) fn up(&self, others: impl IntoIterator<Item = i64>) -> Option<DelayRange> {
        range(self.all().chain(others))
    }

    /// A way down.
    pub(super) fn down(
        &self,
        down: usize,
        others: impl IntoIterator<Item = i64>,
    ) -> Option<DelayRange> {
        range(self.least(down).into_iter().chain(others))
    }
}

fn range(sums: impl Iterator<Item = i64>) -> Option<DelayRange> {
    let high_ns = sums.min()?.max(0);
    Some(DelayRange { low_ns: 0, high_ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_below_every_sum_it_is_part_of() {
        let mut loops = Loops::new(None);
        assert_eq!(loops.up([]), None, "nothing seen is nothing claimed");
        for (down, delay) in [(0, 30), (1, 25), (0, 28), (1, 40)] {
            loops.note(Instant::ZERO, down, delay);
        }
        let high = |range: Option<DelayRange>| range.map(|range| range.high_ns);
        assert_eq!(high(loops.up([])), Some(25));
        assert_eq!(high(loops.up([12])), Some(12), "a near second host");
        assert_eq!(
            (high(loops.down(0, [])), high(loops.down(0, [27]))),
            (Some(28), Some(27))
        );
    }

    #[test]
    fn what_is_older_than_two_windows_does_not_count() {
        let at = |s| Instant::ZERO + Span::from_s(s);
        let mut loops = Loops::new(Some(Span::from_s(10)));
        loops.note(at(0), 0, 5);
        loops.note(at(11), 0, 9);
        assert_eq!(loops.least(0), Some(5));
        loops.note(at(22), 0, 8);
        assert_eq!(loops.least(0), Some(8));
    }
}
