//! The maximum of the aggregates' likelihood, and what it is worth.

use std::collections::BTreeMap;

use super::super::doubt::InferenceError;
use super::super::estimate::Moments;
use super::super::packet::Tally;
use super::super::root::increasing_root;
use super::super::tree::bound;
use super::AggregateCounts;
use super::latent::both_missing;

/// The search keeps so far from the ends of what is possible, as a share of it.
const MARGIN: f64 = 1e-9;

/// The fates of a probe: missing at both leaves, at the first only, at the second only, at none.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Fates([f64; 4]);

impl Fates {
    fn of(u: f64, v: f64, both: f64) -> Fates {
        Fates([both, u - both, v - both, 1.0 - u - v + both])
    }

    fn odds(&self) -> f64 {
        let [both, first, second, none] = self.0;
        both * none / (first * second)
    }

    /// Σ 1/p: the information of one probe on `both`, with the margins given.
    fn reciprocals(&self) -> f64 {
        self.0.iter().map(|p| 1.0 / p).sum()
    }
}

/// How often each aggregate was seen.
type Alike = BTreeMap<AggregateCounts, f64>;

/// What the aggregates say of the fates.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fit {
    sent: f64,
    u: f64,
    v: f64,
    /// Root of the score: the rate of probes missing at both, possibly below what chance makes.
    both: f64,
    /// The fates where the model is evaluated: with `both` at least what chance makes.
    fates: Fates,
    /// Information on `both` with the margins given; infinite where no probe can have been missing at both.
    information: f64,
}

impl Fit {
    pub(super) fn of(blocks: &[Vec<AggregateCounts>]) -> Result<Fit, InferenceError> {
        let mut alike = Alike::new();
        blocks
            .iter()
            .flatten()
            .for_each(|&a| *alike.entry(a).or_default() += 1.0);
        let sum = |of: fn(&AggregateCounts) -> u64| -> f64 {
            alike.iter().map(|(a, times)| times * of(a) as f64).sum()
        };
        let (sent, first, second) = (sum(|a| a.sent), sum(|a| a.first), sum(|a| a.second));
        if first == 0.0 || second == 0.0 {
            let found =
                format!("of {sent} probes {first} arrived at one leaf and {second} at the other");
            return Err(InferenceError::NotIdentified(found));
        }
        let (u, v) = ((sent - first) / sent, (sent - second) / sent);
        let both = missing_at_both(&alike, sent, u, v);
        if 1.0 - u - v + both <= MARGIN {
            let what = format!("aggregates of {sent} probes");
            return Err(InferenceError::inconsistent(
                what,
                "hardly any can have arrived at both leaves",
            ));
        }
        let most = u.min(v) * (1.0 - MARGIN);
        let fates = Fates::of(u, v, both.max(u * v).min(most));
        let information = f64::INFINITY;
        let mut fit = Fit {
            sent,
            u,
            v,
            both,
            fates,
            information,
        };
        if most > 0.0 {
            fit.information = fit.information_of(&alike);
        }
        Ok(fit)
    }

    /// What was sent.
    pub(super) fn sent(&self) -> f64 {
        self.sent
    }

    /// Rates of probes missing at the first leaf, and at the second.
    pub(super) fn missing_rates(&self) -> (f64, f64) {
        (self.u, self.v)
    }

    /// The counts of single probes that would have given the same estimate.
    pub(super) fn tally(&self) -> Tally {
        let (n, none) = (self.sent, 1.0 - self.u - self.v + self.both);
        let (first, second, both) = (n * (1.0 - self.u), n * (1.0 - self.v), n * none);
        Tally {
            sent: n,
            any: n * (1.0 - self.both),
            leaves: vec![[first, second, both], [second, first, both]],
        }
    }

    /// The loss of a path: 0 is the shared one, i is that to leaf i.
    pub(super) fn moments(&self, path: usize) -> Moments {
        Moments {
            root: losses(self.u, self.v, self.both)[path],
            loss: losses(self.u, self.v, self.both.max(self.u * self.v))[path],
            variance: self.single(path) * self.price(path),
            sent: self.sent / self.price(path),
        }
    }

    /// How many times the variance is that of probes seen one by one.
    pub(super) fn price(&self, path: usize) -> f64 {
        let single = self.single(path);
        let excess = 1.0 / self.information - 1.0 / (self.sent * self.fates.reciprocals());
        if single > 0.0 && excess > 0.0 {
            1.0 + self.slopes(path)[2].powi(2) * excess / single
        } else {
            1.0
        }
    }

    fn single(&self, path: usize) -> f64 {
        bound(self.sent, &losses(self.u, self.v, self.fates.0[0]), path)
    }

    /// Derivatives of a path's loss by u, v and ζ.
    fn slopes(&self, path: usize) -> [f64; 3] {
        let none = self.fates.0[3];
        let (first, second) = (1.0 - self.u, 1.0 - self.v);
        let alpha = first * second / none;
        match path {
            0 => [
                alpha * (1.0 / first - 1.0 / none),
                alpha * (1.0 / second - 1.0 / none),
                alpha / none,
            ],
            1 => [
                1.0 / second,
                1.0 / second - none / (second * second),
                -1.0 / second,
            ],
            _ => [
                1.0 / first - none / (first * first),
                1.0 / first,
                -1.0 / first,
            ],
        }
    }

    /// Each block's contribution to the error of a path's loss: the sum of the influence function over its aggregates.
    pub(super) fn contributions(&self, blocks: &[Vec<AggregateCounts>], path: usize) -> Vec<f64> {
        let [by_u, by_v, by_both] = self.slopes(path);
        let influence = |a: &AggregateCounts| {
            let (first, second) = a.missing();
            let du = (first as f64 - a.sent as f64 * self.u) / self.sent;
            let dv = (second as f64 - a.sent as f64 * self.v) / self.sent;
            by_u * du + by_v * dv + by_both * (self.explained(du, dv) + self.unexplained(a))
        };
        blocks
            .iter()
            .map(|block| block.iter().map(influence).sum())
            .collect()
    }

    /// The part of the error of ζ that goes with the errors of the margins: its regression on them.
    fn explained(&self, du: f64, dv: f64) -> f64 {
        let both = self.fates.0[0];
        let (uu, vv, uv) = (
            self.u * (1.0 - self.u),
            self.v * (1.0 - self.v),
            both - self.u * self.v,
        );
        // The margin keeps it from zero where all losses are shared.
        let (uu, vv) = (uu * (1.0 + MARGIN), vv * (1.0 + MARGIN));
        let determinant = uu * vv - uv * uv;
        if determinant <= 0.0 {
            return 0.0;
        }
        let (with_u, with_v) = (both * (1.0 - self.u), both * (1.0 - self.v));
        (du * (with_u * vv - with_v * uv) + dv * (with_v * uu - with_u * uv)) / determinant
    }

    /// The rest: the score by the information.
    fn unexplained(&self, a: &AggregateCounts) -> f64 {
        if self.information.is_infinite() {
            return 0.0;
        }
        let (first, second) = a.missing();
        let (both, _) = both_missing(a.sent, first, second, self.fates.odds());
        self.score(a, both) / self.information
    }

    /// Derivative of an aggregate's log-likelihood by ζ with the margins given, if `both` are expected to be missing
    /// at both leaves.
    fn score(&self, a: &AggregateCounts, both: f64) -> f64 {
        let (first, second) = a.missing();
        let (sent, first, second) = (a.sent as f64, first as f64, second as f64);
        let [p_both, p_first, p_second, p_none] = self.fates.0;
        both / p_both - (first - both) / p_first - (second - both) / p_second
            + (sent - first - second + both) / p_none
    }

    fn information_of(&self, alike: &Alike) -> f64 {
        let (reciprocals, odds) = (self.fates.reciprocals(), self.fates.odds());
        let (mut hidden, mut squares) = (0.0, 0.0);
        for (a, times) in alike {
            let (first, second) = a.missing();
            let (both, variance) = both_missing(a.sent, first, second, odds);
            hidden += times * variance;
            squares += times * self.score(a, both).powi(2);
        }
        let complete = self.sent * reciprocals;
        let louis = complete - reciprocals * reciprocals * hidden;
        if louis > 0.5 * complete {
            louis
        } else {
            squares.min(complete)
        }
    }
}

/// Losses of the shared path and of the paths to both leaves: 1 − (1−u)(1−v)/γ₁₂, 1 − γ₁₂/(1−v), 1 − γ₁₂/(1−u).
fn losses(u: f64, v: f64, both: f64) -> [f64; 3] {
    let none = 1.0 - u - v + both;
    [
        (both - u * v) / none,
        (u - both) / (1.0 - v),
        (v - both) / (1.0 - u),
    ]
}

/// The root of the score by the rate of probes missing at both, zero aside.
fn missing_at_both(alike: &Alike, sent: f64, u: f64, v: f64) -> f64 {
    let most = u.min(v) * (1.0 - MARGIN);
    let surplus = |both: f64| {
        let odds = Fates::of(u, v, both).odds();
        let expected = alike.iter().map(|(a, times)| {
            let (first, second) = a.missing();
            times * both_missing(a.sent, first, second, odds).0
        });
        1.0 - expected.sum::<f64>() / (sent * both)
    };
    if most <= 0.0 {
        return 0.0;
    }
    let root = increasing_root(surplus, most * MARGIN, 1.5 * u * v + 0.01 * most, most);
    if root < most { root } else { u.min(v) }
}
