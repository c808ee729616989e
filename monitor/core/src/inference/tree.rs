//! Per-packet inference on a shared path with two or more leaves (configuration A).
//!
//! A probe passes the shared path with probability α, and then the path to leaf i with probability β_i, all
//! independently. Seen are the leaves at which copies arrive. Source: Cáceres, Duffield, Horowitz and Towsley,
//! "Multicast-based inference of network-internal loss characteristics", IEEE Transactions on Information Theory 45(7),
//! 1999, sections III and IV, for the tree of one branching point.
//!
//! **Estimate.** With c = Π(1−β_i), a probe is seen at all with probability γ = α(1−c), and at leaf i with γ_i = αβ_i.
//! The likelihood of N probes of which m are seen, n_i at leaf i, is
//!
//! ```text
//! γ-part:  q^m (1−q)^(N−m),  q = α(1−c)        times        Π β_i^n_i (1−β_i)^(m−n_i) / (1−c)^m
//! ```
//!
//! so (N, m, n_i) are all that matters. Its maximum has γ = m/N, γ_i = n_i/N, β_i = γ_i/α, and α the root of 1 − γ/α
//! = Π(1 − γ_i/α). In x = 1/α the difference of both sides is convex on [0, 1/γ], zero at 0 and falling there when
//! Σγ_i > γ: there is one other root, and Newton's method from 1/γ comes down to it without overshooting. For two
//! leaves it is α = γ₁γ₂/γ₁₂. A root above 1 says that the leaves' losses avoided each other by chance: the maximum
//! is then at the boundary α = 1, β_i = γ_i.
//!
//! **Variance.** The model is an exponential family; its information matrix is diagonal plus rank one, which inverts to
//!
//! ```text
//! N Var(α̂)   = q(1−q)/(1−c)² + α c² S / ((1−c) T)          S = Σ β_i/(1−β_i)
//! N Var(β̂_i) = β_i ((1−β_i) + c β_i/T) / α          T = 1−c−cS, the chance of two leaves or more
//! ```
//!
//! These are the Cramér-Rao bounds. With two leaves they are α(1−α) + αc/(β₁β₂) and β₁(1−β₁)/(αβ₂).
//!
//! **Intervals.** The two factors of the likelihood share no parameter, so m is binomial in q whatever the leaves
//! are. For two leaves the second factor parts again: n₂ is binomial of m in θ = β₂/(1−c), and n₁₂ is binomial of n₂
//! in β₁. Three independent binomials: each gets its own distribution ([`super::share`]), and that of α = q/(1−c)
//! follows by a sum over c, P(α ≤ a) = E P(q ≤ a(1−c)). Nothing is assumed normal, so near zero loss the interval is
//! still one. For more leaves c, the chance that all of them fail at once, is made of the leaves' distributions as if
//! those were independent; they correlate by about the square root of c, which changes an α's variance by less than c
//! times the leaves' losses. β_i is exactly binomial among the probes that another leaf received.

use super::dependence::Dependence;
use super::doubt::InferenceError;
use super::estimate::{Confidence, Estimate, Moments, conclude};
use super::packet::{PacketCounts, Tally};
use super::share::{Points, Share};

/// Newton's steps; far fewer are ever taken.
const STEPS_MAX: usize = 100;

/// Loss of the shared path and of the path to each leaf.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeEstimate {
    /// From the sender to where the copies part.
    pub shared: Estimate,
    /// From there to each leaf.
    pub leaves: Vec<Estimate>,
}

/// Estimates the loss of a shared path and of the paths to two or more leaves, from blocks of equal lengths of time.
///
/// The blocks are for finding dependence: one block is enough for an estimate, which then says that nobody looked.
pub fn per_packet(
    blocks: &[PacketCounts],
    confidence: Confidence,
) -> Result<TreeEstimate, InferenceError> {
    let tally = checked(blocks)?;
    let fit = Fit::of(&tally)?;
    let errors = contributions(blocks, &tally, |rest| Ok(Fit::of(rest)?.root))?;
    let estimate = |path: usize| {
        let moments = fit.moments(&tally, path);
        let dependence = Dependence::of(&errors[path], moments.variance, confidence.z());
        let distribution = distribution(&tally, path, dependence.discount);
        conclude(moments, dependence, confidence, distribution)
    };
    Ok(TreeEstimate {
        shared: estimate(0),
        leaves: (1..=tally.leaves.len()).map(estimate).collect(),
    })
}

/// The sum of blocks, if they are what they claim to be and identify the paths.
pub(super) fn checked(blocks: &[PacketCounts]) -> Result<Tally, InferenceError> {
    let leaves = blocks.first().map_or(0, |block| block.leaves.len());
    blocks.iter().try_for_each(|block| block.check(leaves))?;
    let tally = Tally::of(blocks);
    if leaves < 2 {
        return Err(InferenceError::NotIdentified(format!(
            "there are {leaves} leaves and not two"
        )));
    }
    if let Some(index) = tally
        .leaves
        .iter()
        .position(|&[_, others, _]| others == 0.0)
    {
        return Err(InferenceError::NotIdentified(format!(
            "no probe arrived at any leaf but leaf {}",
            index + 1
        )));
    }
    if tally.leaves.iter().all(|&[.., both]| both == 0.0) {
        return Err(InferenceError::inconsistent(
            format!("{} probes seen at {leaves} leaves", tally.any),
            "none of them at two leaves",
        ));
    }
    Ok(tally)
}

/// The maximum of the likelihood. Paths are numbered: 0 is the shared one, i is that to leaf i.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fit {
    /// Losses where the likelihood's equations have their root: that of the shared path may be below zero.
    pub(super) root: Vec<f64>,
    /// Losses at the maximum within 0 to 1.
    pub(super) loss: Vec<f64>,
}

impl Fit {
    pub(super) fn of(tally: &Tally) -> Result<Fit, InferenceError> {
        let shares: Vec<f64> = tally
            .leaves
            .iter()
            .map(|leaf| leaf[0] / tally.sent)
            .collect();
        let alpha = 1.0 / inverse_of_shared(tally.any / tally.sent, &shares);
        if !alpha.is_finite() {
            return Err(InferenceError::inconsistent(
                format!("{} probes seen at {} leaves", tally.any, shares.len()),
                "hardly any at two leaves",
            ));
        }
        let losses = |alpha: f64| -> Vec<f64> {
            let leaves = shares.iter().map(move |share| 1.0 - share / alpha);
            std::iter::once(1.0 - alpha).chain(leaves).collect()
        };
        let within = losses(alpha.min(1.0))
            .iter()
            .map(|loss| loss.clamp(0.0, 1.0))
            .collect();
        Ok(Fit {
            root: losses(alpha),
            loss: within,
        })
    }

    pub(super) fn moments(&self, tally: &Tally, path: usize) -> Moments {
        Moments {
            root: self.root[path],
            loss: self.loss[path],
            variance: bound(tally.sent, &self.loss, path),
            sent: tally.sent,
        }
    }
}

/// 1/α: the positive root of Π(1 − γ_i x) − (1 − γx), by Newton's method from the right.
fn inverse_of_shared(any: f64, shares: &[f64]) -> f64 {
    let mut x = 1.0 / any;
    for _ in 0..STEPS_MAX {
        let product: f64 = shares.iter().map(|share| 1.0 - share * x).product();
        let slope: f64 = (0..shares.len())
            .map(|i| -shares[i] * without(i, shares, |share| 1.0 - share * x))
            .sum();
        let step = (product - (1.0 - any * x)) / (slope + any);
        if !(step > 0.0 && step.is_finite()) {
            break;
        }
        x -= step;
        if step < 1e-15 * x {
            break;
        }
    }
    x
}

/// The product over all but one.
fn without(index: usize, values: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    let others = values
        .iter()
        .enumerate()
        .filter(|&(other, _)| other != index);
    others.map(|(_, &value)| of(value)).product()
}

/// The Cramér-Rao bound on the variance of a path's loss after `sent` probes. `loss` is that of the shared path, then
/// of each leaf.
pub fn bound(sent: f64, loss: &[f64], path: usize) -> f64 {
    let Some((&shared, leaves)) = loss.split_first() else {
        return f64::NAN;
    };
    let alpha = 1.0 - shared;
    let all_fail: f64 = leaves.iter().product();
    let one_passes: f64 = (0..leaves.len())
        .map(|i| (1.0 - leaves[i]) * without(i, leaves, |b| b))
        .sum();
    let some_pass = 1.0 - all_fail;
    let two_pass = some_pass - one_passes;
    let variance = match path {
        0 => {
            let q = alpha * some_pass;
            q * (1.0 - q) / (some_pass * some_pass)
                + alpha * all_fail * one_passes / (some_pass * two_pass)
        }
        leaf => leaves.get(leaf - 1).map_or(f64::NAN, |&b| {
            let beta = 1.0 - b;
            beta * (b + all_fail * beta / two_pass) / alpha
        }),
    };
    variance / sent
}

/// Each block's contribution to the error of each path's loss, which `losses` gives for a sum of blocks. Where
/// nothing is left to tell the paths apart by without a block, that block contributed everything.
pub(super) fn contributions(
    blocks: &[PacketCounts],
    tally: &Tally,
    losses: impl Fn(&Tally) -> Result<Vec<f64>, InferenceError>,
) -> Result<Vec<Vec<f64>>, InferenceError> {
    let count = blocks.len() as f64;
    let all = losses(tally)?;
    let mut errors = vec![Vec::with_capacity(blocks.len()); all.len()];
    for block in blocks {
        let rest = losses(&tally.without(block)).unwrap_or_else(|_| vec![0.0; all.len()]);
        for (path, errors) in errors.iter_mut().enumerate() {
            errors.push((all[path] - rest[path]) * (count - 1.0) / count);
        }
    }
    Ok(errors)
}

/// The distribution function of a path's loss, the counts divided by `discount`.
pub(super) fn distribution(tally: &Tally, path: usize, discount: f64) -> Box<dyn Fn(f64) -> f64> {
    let share = |lost: f64, kept: f64| Share::of(lost / discount, kept / discount);
    match path {
        0 => {
            let seen = share(tally.sent - tally.any, tally.any);
            let all_fail = all_fail(tally, discount);
            Box::new(move |loss| all_fail.mean(|c| seen.cdf(loss + c - loss * c)))
        }
        leaf => {
            let [_, others, both] = tally.leaves[leaf - 1];
            let leaf = share(others - both, both);
            Box::new(move |loss| leaf.cdf(loss))
        }
    }
}

/// The distribution of c, the chance that all leaves fail.
fn all_fail(tally: &Tally, discount: f64) -> Points {
    let share = |lost: f64, kept: f64| Share::of(lost / discount, kept / discount).grid();
    let own = |&[_, others, both]: &[f64; 3]| share(others - both, both);
    match &tally.leaves[..] {
        [first, [second, ..]] => {
            let not_second = share(tally.any - second, *second);
            own(first).combine(&not_second, |b, t| b * t / (1.0 - b + b * t))
        }
        leaves => {
            let start = Points::certain(1.0);
            leaves
                .iter()
                .fold(start, |all, leaf| all.combine(&own(leaf), |c, b| c * b))
        }
    }
}
