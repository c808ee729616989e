//! The latest one-way losses of each tunnel, for the correction of pairs (OL-10).

use std::collections::BTreeMap;

use super::run::Run;
use crate::inference::Estimate;
use crate::name::Name;
use crate::time::{Instant, Span};

/// A way, by the number of its tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Up(u32),
    Down(u32),
}

#[derive(Debug, Clone)]
struct Entry {
    estimate: Estimate,
    /// When the last probe it rests on was sent.
    at: Instant,
    valid_for: Span,
}

impl Entry {
    fn is_fresh(&self, when: Instant) -> bool {
        when.since(self.at) <= self.valid_for && self.at.since(when) <= self.valid_for
    }
}

/// What is known of every way, by measurement.
#[derive(Debug, Default)]
pub(crate) struct Known {
    by_way: BTreeMap<Way, BTreeMap<Name, Entry>>,
}

/// The one-way losses of a pair's two tunnels, and the measurements they are from.
#[derive(Debug, Clone)]
pub(crate) struct Inferred<'a> {
    pub(crate) up: &'a Estimate,
    pub(crate) down: &'a Estimate,
    pub(crate) from: Vec<Name>,
}

impl Known {
    /// Takes a measurement's latest estimates over.
    pub(crate) fn note(&mut self, run: &Run) {
        let (Some(estimates), Some(row)) = (run.estimates(), run.row()) else {
            return;
        };
        let entry = |estimate: &Estimate| Entry {
            estimate: estimate.clone(),
            at: row.at_ns,
            valid_for: run.spec.valid_for,
        };
        let up = std::iter::once((Way::Up(run.up), &estimates.up));
        let down = run.downs.iter().map(|id| Way::Down(*id));
        for (way, estimate) in up.chain(down.zip(&estimates.down)) {
            let of_way = self.by_way.entry(way).or_default();
            of_way.insert(run.spec.name.clone(), entry(estimate));
        }
    }

    /// Forgets what a measurement found.
    pub(crate) fn forget_measurement(&mut self, name: &Name) {
        for of_way in self.by_way.values_mut() {
            of_way.remove(name);
        }
    }

    /// Forgets what is known of a tunnel.
    pub(crate) fn forget_tunnel(&mut self, id: u32) {
        self.by_way.remove(&Way::Up(id));
        self.by_way.remove(&Way::Down(id));
    }

    /// The narrowest of the fresh ones.
    fn best(&self, way: Way, when: Instant) -> Option<(&Name, &Estimate)> {
        let fresh = self.by_way.get(&way)?.iter();
        fresh
            .filter(|(_, entry)| entry.is_fresh(when))
            .min_by(|(_, a), (_, b)| a.estimate.half_width().total_cmp(&b.estimate.half_width()))
            .map(|(name, entry)| (name, &entry.estimate))
    }

    /// Both ways of a pair, if both are known of late.
    pub(crate) fn of_pair(
        &self,
        sender: u32,
        receiver: u32,
        when: Instant,
    ) -> Option<Inferred<'_>> {
        let (up_from, up) = self.best(Way::Up(sender), when)?;
        let (down_from, down) = self.best(Way::Down(receiver), when)?;
        let mut from = vec![up_from.clone(), down_from.clone()];
        from.dedup();
        Some(Inferred { up, down, from })
    }
}
