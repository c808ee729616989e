//! What another monitor's probes may take of a budget when they are sent again: only what this monitor's own leave.

use rustc_hash::FxHashMap;

use super::{Budget, BudgetSpec, Turn, per_second};
use crate::time::{Instant, NS_PER_S, Rate, Span};

/// The own tasks' rates are looked at again after so long: they are many, and packets more.
const LOOK_EVERY: Span = Span::from_ns(NS_PER_S);

/// What was sent again in the last second, beside what this monitor itself wants to send.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    sent: Budget,
    own: Option<Own>,
}

/// What this monitor's tasks and one-way measurements want to send, in thousandths of a packet a second.
#[derive(Debug)]
pub(crate) struct Own {
    /// When that was looked at.
    pub(crate) at: Instant,
    /// All together.
    pub(crate) all: u64,
    /// Into tunnels where something may be sent again.
    pub(crate) into: FxHashMap<u32, u64>,
}

impl Spare {
    /// Whether [`Spare::handle_own`] is to be told anew what this monitor itself wants.
    pub(crate) fn is_stale(&self, now: Instant) -> bool {
        self.own
            .as_ref()
            .is_none_or(|own| own.at + LOOK_EVERY <= now)
    }

    /// What this monitor itself wants.
    pub(crate) fn handle_own(&mut self, own: Own) {
        self.own = Some(own);
    }

    /// It wants something else.
    pub(crate) fn forget_own(&mut self) {
        self.own = None;
    }

    /// Whether one more may be sent again into a tunnel, as far as this monitor's own probes are concerned.
    pub(crate) fn has_room(&mut self, now: Instant, budget: &BudgetSpec, tunnel: u32) -> bool {
        let own = self.own.as_ref();
        let all = own.map_or(0, |own| own.all);
        let into = own
            .and_then(|own| own.into.get(&tunnel).copied())
            .unwrap_or(0);
        let Some(left) = budget.beside(all, into) else {
            return false;
        };
        self.sent.spec = left;
        self.sent.turn(now, tunnel, 0) == Turn::Now
    }

    /// One was sent again.
    pub(crate) fn handle_sent(&mut self, now: Instant, tunnel: u32) {
        self.sent.handle_sent(now, tunnel, 0);
    }
}

impl BudgetSpec {
    /// What is left where so much, in thousandths of a packet a second, is wanted in all and into a tunnel; nothing if
    /// that is less than a packet a second.
    pub(crate) fn beside(&self, all: u64, into_tunnel: u64) -> Option<BudgetSpec> {
        let left = |most: Option<Rate>, wanted: u64| {
            most.map(|most| Rate::from_millipps(most.as_millipps().saturating_sub(wanted)))
        };
        let spec = BudgetSpec {
            probes: left(self.probes, all),
            probes_per_pe: left(self.probes_per_pe, into_tunnel),
            copies: None,
        };
        let is_some_left = |rate: Option<Rate>| rate.is_none_or(|rate| per_second(rate) > 0);
        (is_some_left(spec.probes) && is_some_left(spec.probes_per_pe)).then_some(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: BudgetSpec = BudgetSpec {
        probes: Some(Rate::from_pps(10)),
        probes_per_pe: Some(Rate::from_pps(6)),
        copies: None,
    };

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    fn own(all: u64, into: &[(u32, u64)]) -> Own {
        Own {
            at: at(0),
            all,
            into: into.iter().copied().collect(),
        }
    }

    /// How many of a hundred have room within half a second, by turns into two tunnels.
    fn admitted(spare: &mut Spare, from_ms: u64) -> [u32; 2] {
        let mut admitted = [0; 2];
        for n in 0..100 {
            let (now, tunnel) = (at(from_ms + 5 * n), n as u32 % 2);
            if spare.has_room(now, &BUDGET, tunnel) {
                spare.handle_sent(now, tunnel);
                admitted[tunnel as usize] += 1;
            }
        }
        admitted
    }

    #[test]
    fn where_nothing_else_is_wanted_there_is_all_of_it() {
        let mut spare = Spare::default();
        assert_eq!(admitted(&mut spare, 0), [5, 5]);
        assert_eq!(admitted(&mut spare, 500), [0, 0], "not yet");
        assert_eq!(admitted(&mut spare, 1_500), [5, 5]);
    }

    #[test]
    fn what_is_wanted_here_is_left_alone() {
        let mut spare = Spare::default();
        spare.handle_own(own(4_000, &[(0, 4_000)]));
        assert_eq!(admitted(&mut spare, 0), [2, 4]);
        spare.handle_own(own(3_500, &[(0, 5_500)]));
        assert_eq!(
            admitted(&mut spare, 2_000),
            [0, 6],
            "less than one is none, of six and a half only six"
        );
        spare.handle_own(own(10_000, &[]));
        assert_eq!(admitted(&mut spare, 4_000), [0, 0]);
    }

    #[test]
    fn what_is_wanted_is_looked_at_every_second() {
        let mut spare = Spare::default();
        assert!(spare.is_stale(at(0)));
        spare.handle_own(own(0, &[]));
        assert!(!spare.is_stale(at(999)) && spare.is_stale(at(1_000)));
        spare.forget_own();
        assert!(spare.is_stale(at(1)));
    }
}
