//! Inference from counters alone: how many of an aggregate of probes arrived at each of two leaves (configurations
//! B1, B2).
//!
//! Of n probes sent as one aggregate, X arrived at the first leaf and Y at the second; which ones, nobody knows. The
//! probes pass as in [`super::tree`], independently of each other. Source of the moment conditions: the aggregate
//! MINC estimator that the extended abstract on one-way loss names for its configuration B.
//!
//! **Moments.** E X = nαβ₁, E Y = nαβ₂, Cov(X, Y) = nα(1−α)β₁β₂, hence α = 1/(1 + n Cov(X,Y)/(E X · E Y)). This needs
//! nothing but means and a covariance, and pays for it: chance losses at the leaves are in the covariance's variance,
//! all n of each aggregate against all n. Its variance is some n times too large once losses are several an
//! aggregate. So it is not used.
//!
//! **Likelihood.** With a = n−X and b = n−Y missing, the only thing hidden is Z, how many were missing at both. A
//! probe is missing at both with probability ζ, at the first with u, at the second with v; given the margins a and b,
//! Z has Fisher's noncentral hypergeometric distribution with the odds ratio of the four fates. At the maximum of the
//! likelihood u and v are the observed rates (one step of EM shows it: the expected fates add up to the margins), and
//! of ζ the score is K(Σ E[Z|a,b] − Nζ), K = Σ 1/p over the four fates. ζ = 0 is a root of that whatever was seen; it
//! is divided out, and the other root is looked for. Then γ₁₂ = 1−u−v+ζ, and all else is as for single probes.
//!
//! **Variance.** The margins say the same of u and v as single probes would, so the whole price of not seeing single
//! probes is in ζ: Var(ζ̂) is larger by Δ = 1/I − 1/(NK), where I is the information on ζ with the margins given. By
//! Louis ("Finding the observed information matrix when using the EM algorithm", JRSS B 44(2), 1982) I = NK − K² Σ
//! Var(Z|a,b); where that is a small difference of large numbers, the sum of the squared scores is taken, which has
//! the same mean. A path's variance is the bound for single probes and (∂/∂ζ)²Δ.
//!
//! **Intervals.** N probes in aggregates are worth as many single ones as leave the same variance: the counts are
//! divided by the quotient of the variances, and the intervals for single probes hold. With few losses hardly an
//! aggregate is ambiguous, the quotient is 1 and the interval as exact as there; with many, all is nearly normal.
//!
//! **Bursts** bias: losses that come together at one leaf meet those of the other in the same aggregate too often.
//! Where an aggregate's losses vary more than independent ones would, that is doubted. Dealing consecutive probes out
//! over many aggregates mends it.

mod fit;
mod latent;

use super::dependence::{BLOCKS_LEAST, Dependence, exceeded_by_chance};
use super::doubt::{Doubt, InferenceError};
use super::estimate::{Confidence, conclude};
use super::tree::{TreeEstimate, distribution};
use fit::Fit;

/// Normal quantile that chance exceeds in one case of a thousand.
const Z_ONE_IN_THOUSAND: f64 = 3.090_23;

/// Dispersion of a number of losses, times that number, that is no cause: some pairs of them in one aggregate.
const PAIRS_BY_CHANCE: f64 = 8.0;
/// Larger aggregates are taken for a counter gone wrong.
const SENT_MAX: u64 = 1 << 32;

/// One aggregate of probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AggregateCounts {
    /// Probes sent.
    pub sent: u64,
    /// Of these, counted at the first leaf.
    pub first: u64,
    /// Of these, counted at the second leaf.
    pub second: u64,
}

/// Estimates the loss of the shared path and of the paths to two leaves from blocks of equal lengths of time, each
/// with its aggregates. All aggregates should be of about one size, and small: the larger, the less they say.
pub fn aggregate(
    blocks: &[Vec<AggregateCounts>],
    confidence: Confidence,
) -> Result<TreeEstimate, InferenceError> {
    blocks
        .iter()
        .flatten()
        .try_for_each(AggregateCounts::check)?;
    let fit = Fit::of(blocks)?;
    let tally = fit.tally();
    let bursts = bursts(blocks, &fit);
    let estimate = |path: usize| {
        let moments = fit.moments(path);
        let errors = fit.contributions(blocks, path);
        let mut dependence = Dependence::of(&errors, moments.variance, confidence.z());
        dependence.doubts.extend(bursts);
        let distribution = distribution(&tally, path, dependence.discount * fit.price(path));
        conclude(moments, dependence, confidence, distribution)
    };
    Ok(TreeEstimate {
        shared: estimate(0),
        leaves: vec![estimate(1), estimate(2)],
    })
}

impl AggregateCounts {
    fn check(&self) -> Result<(), InferenceError> {
        let &AggregateCounts {
            sent,
            first,
            second,
        } = self;
        if sent > SENT_MAX {
            let found = "no router counts so many in an interval";
            return Err(InferenceError::inconsistent(
                format!("an aggregate of {sent} probes"),
                found,
            ));
        }
        if first > sent || second > sent {
            let what = format!("an aggregate of {sent} probes");
            return Err(InferenceError::inconsistent(
                what,
                format!("{first} arrived at one leaf, {second} at the other"),
            ));
        }
        Ok(())
    }

    /// Missing at the first leaf and at the second.
    fn missing(&self) -> (u64, u64) {
        (self.sent - self.first, self.sent - self.second)
    }
}

/// Whether losses come in bursts within aggregates, at the leaf where it shows most.
fn bursts(blocks: &[Vec<AggregateCounts>], fit: &Fit) -> Option<Doubt> {
    let aggregates = blocks.iter().flatten();
    let count = aggregates.clone().count();
    let (u, v) = fit.missing_rates();
    let dispersion = |rate: f64, missing: fn(&AggregateCounts) -> u64| {
        let square = |a: &AggregateCounts| {
            let sent = a.sent as f64;
            (missing(a) as f64 - sent * rate).powi(2) / (sent * rate * (1.0 - rate))
        };
        let squares = aggregates
            .clone()
            .map(square)
            .filter(|square| square.is_finite());
        squares.sum::<f64>() / (count as f64 - 1.0)
    };
    let dispersion = dispersion(u, |a| a.missing().0).max(dispersion(v, |a| a.missing().1));
    // With few losses a single pair in an aggregate exceeds what a chi-square does by chance: then several are asked
    // for.
    let pairs = 1.0 + PAIRS_BY_CHANCE / (fit.sent() * u.min(v)).max(1.0);
    let chance = exceeded_by_chance(count as f64 - 1.0, Z_ONE_IN_THOUSAND).max(pairs);
    (count >= BLOCKS_LEAST && dispersion > chance)
        .then_some(Doubt::BurstsWithinAggregates { dispersion })
}
