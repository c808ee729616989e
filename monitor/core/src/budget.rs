//! How much may be probed: bounds that are never exceeded, whatever is asked for (VS-16, PM-12).
//!
//! ```toml
//! [budget]
//! probes = "25kpps"          # sent by this monitor, all tasks and one-way measurements together
//! probes_per_pe = "500pps"   # sent into any one tunnel
//! copies = "250kpps"         # expected back
//! ```
//!
//! Twice: a task whose rates do not fit into what others leave is not started; and while tasks run, no second, wherever
//! it begins, sees more probes sent, or copies asked for, than the budget has. Only Poisson gaps or a driver that is late
//! can want more for a moment. A probe that must wait no longer than [`WAIT_MAX`] waits; any other is shed: it has no
//! number, is not sent, and is counted as neither sent nor lost.
//!
//! What is sent again for another monitor counts, too, as a probe that brings nothing back here. It takes what the tasks here
//! leave of the budget, is shed beyond that without having waited, and the other monitor is told that it was too many.

mod spare;

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::time::{Instant, NS_PER_S, Rate, Span};

pub(crate) use spare::{Own, Spare};

/// A budget counts over so long.
const WINDOW: Span = Span::from_ns(NS_PER_S);
/// A probe waits so long for its turn at most.
pub(crate) const WAIT_MAX: Span = Span::from_ms(10);

/// What may be sent. What is absent is not bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetSpec {
    /// Probes of all tasks and one-way measurements together, packets that are only sent and other monitors' probes that are
    /// sent again included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probes: Option<Rate>,
    /// Probes into any one tunnel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probes_per_pe: Option<Rate>,
    /// Copies that are expected back of all probes together: each probe brings one from every receiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies: Option<Rate>,
}

impl BudgetSpec {
    /// What is wrong with it, if anything is: rates must be whole probes a second, as these are counted.
    pub(crate) fn problem(&self) -> Option<String> {
        let all = [
            ("probes", self.probes),
            ("probes_per_pe", self.probes_per_pe),
            ("copies", self.copies),
        ];
        let is_bad =
            |rate: &Rate| rate.as_millipps() == 0 || !rate.as_millipps().is_multiple_of(1_000);
        let bad = all
            .into_iter()
            .find_map(|(name, rate)| Some((name, rate.filter(is_bad)?)));
        bad.map(|(name, rate)| {
            format!("{name} = \"{rate}\" is not a whole number of packets a second")
        })
    }
}

/// A budget and its use, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetStatus {
    /// What may be sent.
    pub spec: BudgetSpec,
    /// Rates of all tasks that send, together.
    pub planned: Planned,
    /// Probes sent in the last second, other monitors' that were sent again included.
    pub sent: u64,
    /// Copies of them that are expected.
    pub copies: u64,
    /// Probes shed so far, other monitors' that were not sent again included: never sent, and not lost.
    pub shed: u64,
}

/// Rates, in thousandths of a packet a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Planned {
    /// Probes.
    pub probes_millipps: u64,
    /// Probes into the tunnel that most are sent into.
    pub probes_per_pe_millipps: u64,
    /// Copies expected back.
    pub copies_millipps: u64,
}

/// What becomes of a probe that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It may be sent.
    Now,
    /// Not before then.
    At(Instant),
}

/// The probes of the last second.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    pub(crate) spec: BudgetSpec,
    /// When each was sent, and how many copies of it are expected.
    sent: VecDeque<(Instant, u32)>,
    copies: u64,
    /// When those of each tunnel were: never more than `sent` holds.
    by_tunnel: FxHashMap<u32, VecDeque<Instant>>,
    pub(crate) shed: u64,
}

impl Budget {
    /// Whether anything is bounded.
    pub(crate) fn is_set(&self) -> bool {
        self.spec != BudgetSpec::default()
    }

    /// Whether a probe into a tunnel, of which so many copies are expected, may be sent.
    pub(crate) fn turn(&mut self, now: Instant, tunnel: u32, copies: usize) -> Turn {
        if !self.is_set() {
            return Turn::Now;
        }
        self.forget(now, tunnel);
        let waits = [
            self.all_full(),
            self.tunnel_full(tunnel),
            self.copies_full(copies),
        ];
        match waits.into_iter().flatten().max() {
            None => Turn::Now,
            Some(first) => Turn::At(first + WINDOW),
        }
    }

    /// A probe is sent.
    pub(crate) fn handle_sent(&mut self, now: Instant, tunnel: u32, copies: usize) {
        if !self.is_set() {
            return;
        }
        self.sent.push_back((now, copies as u32));
        self.copies += copies as u64;
        if self.spec.probes_per_pe.is_some() {
            self.by_tunnel.entry(tunnel).or_default().push_back(now);
        }
        self.forget(now, tunnel);
    }

    /// Probes sent in the last second, and copies of them that are expected.
    pub(crate) fn in_use(&self, now: Instant) -> (u64, u64) {
        let recent = self.sent.iter().filter(|(at, _)| *at + WINDOW > now);
        recent.fold((0, 0), |(sent, copies), (_, more)| {
            (sent + 1, copies + u64::from(*more))
        })
    }

    /// When the first of the probes that fill the budget was sent.
    fn all_full(&self) -> Option<Instant> {
        let most = per_second(self.spec.probes?);
        let full = self.sent.len() as u64 >= most;
        full.then(|| self.sent.front().map(|(at, _)| *at)).flatten()
    }

    fn tunnel_full(&self, tunnel: u32) -> Option<Instant> {
        let most = per_second(self.spec.probes_per_pe?);
        let sent = self.by_tunnel.get(&tunnel)?;
        let full = sent.len() as u64 >= most;
        full.then(|| sent.front().copied()).flatten()
    }

    fn copies_full(&self, copies: usize) -> Option<Instant> {
        let most = per_second(self.spec.copies?);
        let mut excess = (self.copies + copies as u64).saturating_sub(most);
        let mut last = None;
        for (at, copies) in &self.sent {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(u64::from(*copies));
            last = Some(*at);
        }
        last
    }

    fn forget(&mut self, now: Instant, tunnel: u32) {
        let is_old = |at: Instant| at + WINDOW <= now;
        while let Some((_, copies)) = self.sent.pop_front_if(|(at, _)| is_old(*at)) {
            self.copies -= u64::from(copies);
        }
        if let Some(sent) = self.by_tunnel.get_mut(&tunnel) {
            while sent.pop_front_if(|at| is_old(*at)).is_some() {}
            if sent.is_empty() {
                self.by_tunnel.remove(&tunnel);
            }
        }
    }
}

fn per_second(rate: Rate) -> u64 {
    rate.as_millipps() / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    fn budget(probes: u64, per_pe: u64, copies: u64) -> Budget {
        let spec = BudgetSpec {
            probes: Some(Rate::from_pps(probes)),
            probes_per_pe: Some(Rate::from_pps(per_pe)),
            copies: Some(Rate::from_pps(copies)),
        };
        Budget {
            spec,
            ..Budget::default()
        }
    }

    #[test]
    fn what_is_steady_and_fits_always_has_its_turn() {
        let mut budget = budget(10, 5, 30);
        for n in 0..1_000 {
            let (now, tunnel) = (at(100 * n), n as u32 % 2);
            assert_eq!(budget.turn(now, tunnel, 3), Turn::Now, "{n}");
            budget.handle_sent(now, tunnel, 3);
        }
        assert_eq!(budget.in_use(at(99_900)), (10, 30));
        assert_eq!(budget.in_use(at(101_000)), (0, 0));
    }

    #[test]
    fn each_bound_holds_by_itself_and_says_when() {
        for (probes, per_pe, copies, then) in [(2, 9, 9, 1_000), (9, 2, 9, 1_000), (9, 9, 5, 1_010)]
        {
            let mut budget = budget(probes, per_pe, copies);
            for (ms, copies) in [(0, 1), (10, 3)] {
                assert_eq!(budget.turn(at(ms), 1, copies), Turn::Now);
                budget.handle_sent(at(ms), 1, copies);
            }
            assert_eq!(
                budget.turn(at(20), 1, 3),
                Turn::At(at(then)),
                "{probes} {per_pe} {copies}"
            );
            assert_eq!(budget.turn(at(then), 1, 3), Turn::Now);
        }
    }

    #[test]
    fn nothing_is_kept_where_nothing_is_bounded() {
        let mut budget = Budget::default();
        for n in 0..100 {
            assert_eq!(budget.turn(at(0), n, 1_000_000), Turn::Now);
            budget.handle_sent(at(0), n, 1_000_000);
        }
        assert!(budget.sent.is_empty() && budget.by_tunnel.is_empty());
    }

    #[test]
    fn parts_of_a_packet_and_nothing_are_no_budget() {
        let read = |text: &str| toml::from_str::<BudgetSpec>(text).unwrap().problem();
        assert_eq!(read("probes = \"100pps\""), None);
        assert!(read("copies = \"0.5pps\"").unwrap().contains("copies"));
        assert!(
            read("probes_per_pe = \"0pps\"")
                .unwrap()
                .contains("whole number")
        );
    }

    proptest! {
        /// Whenever probes want to be sent: no second has more than the budget, wherever it begins.
        #[test]
        fn no_second_has_more(
            wanted in prop::collection::vec((0..40u64, 0..3u32, 0..6usize), 1..300),
            probes in 1..20u64, per_pe in 1..10u64, copies in 6..40u64,
        ) {
            let mut budget = budget(probes, per_pe, copies);
            let (mut now, mut sent) = (0, Vec::new());
            for (gap, tunnel, copies) in wanted {
                now += gap;
                if budget.turn(at(now), tunnel, copies) == Turn::Now {
                    budget.handle_sent(at(now), tunnel, copies);
                    sent.push((now, tunnel, copies as u64));
                }
            }
            for (begin, first, _) in &sent {
                let second = sent.iter().filter(|(ms, ..)| (*begin..begin + 1_000).contains(ms));
                prop_assert!(second.clone().count() as u64 <= probes);
                prop_assert!(second.clone().map(|(.., copies)| copies).sum::<u64>() <= copies);
                prop_assert!(second.filter(|(_, tunnel, _)| tunnel == first).count() as u64 <= per_pe);
            }
        }
    }
}
