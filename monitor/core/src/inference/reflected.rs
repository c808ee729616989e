//! Per-packet inference where the second host reflects what it gets (configuration C).
//!
//! A probe passes the shared path (α) to the router, which sends one copy straight back to the first host (β₁) and
//! one to the second host. That one multicasts it again: it passes the path to the second host and back to the router
//! (β₃), and the path to the first host once more (β₁). The first host sees D, the direct copy, and E, the reflected
//! one. Source: the extended abstract on one-way loss from a measurement host to routers, configuration C, which
//! names this estimator without giving it; it is derived here.
//!
//! **Estimate.** D arrives with probability αβ₁, E with αβ₃β₁, both with αβ₁·β₃β₁: two leaves with pass rates β₁ and
//! β₃β₁, so that per-packet inference holds ([`super::tree`]): α = γ_Dγ_E/γ_DE, β₁ = γ_DE/γ_E, and β₃ = γ_E/γ_D. It
//! rests on the two passages of the path back being independent, though they are of one probe: they are a round trip
//! apart.
//!
//! **Variance.** That of α and β₁ is the two leaves'. β₃ is a quotient of two counts of the same probes, and
//! N Var(β̂₃) = (β₃²/α)(1/(β₃β₁) + 1/β₁ − 2): it cannot be better known than the difference of two loss rates.
//!
//! **Intervals.** α and β₁ as for two leaves. Of the probes seen at all, E is binomial with θ, and of those of E, D
//! is binomial with β₁, independently. With t = 1−θ and b = 1−β₁, β₃β₁ = θβ₁/(1−θb), so 1−β₃ = (t − b(1−t))/(1 −
//! b(1−t)). That grows with t, so P(1−β₃ ≤ x) = E P(t ≤ (b + x(1−b))/(1 + b(1−x))), a sum over the distribution of b.

use super::dependence::Dependence;
use super::doubt::InferenceError;
use super::estimate::{Confidence, Estimate, Moments, conclude};
use super::packet::{PacketCounts, Tally};
use super::share::Share;
use super::tree::{Fit, checked, contributions, distribution};

/// Loss of the three paths that reflection shows.
#[derive(Debug, Clone, PartialEq)]
pub struct ReflectedEstimate {
    /// From the first host to the router.
    pub outward: Estimate,
    /// From the router to the first host.
    pub back: Estimate,
    /// From the router to the second host and back.
    pub reflection: Estimate,
}

/// Estimates them from blocks of equal lengths of time. A block's first leaf is the direct copy, its second the
/// reflected one.
pub fn reflected(
    blocks: &[PacketCounts],
    confidence: Confidence,
) -> Result<ReflectedEstimate, InferenceError> {
    let tally = checked(blocks)?;
    if tally.leaves.len() != 2 {
        let found = format!("{} leaves", tally.leaves.len());
        return Err(InferenceError::inconsistent(
            "direct and reflected copies",
            found,
        ));
    }
    let fit = Fit::of(&tally)?;
    let errors = contributions(blocks, &tally, |rest| {
        let root = Fit::of(rest)?.root;
        Ok(vec![root[0], root[1], reflection(rest)])
    })?;
    let moments = [
        fit.moments(&tally, 0),
        fit.moments(&tally, 1),
        reflection_moments(&tally, &fit),
    ];
    let estimate = |path: usize| {
        let dependence = Dependence::of(&errors[path], moments[path].variance, confidence.z());
        let distribution = match path {
            2 => reflection_distribution(&tally, dependence.discount),
            direct => distribution(&tally, direct, dependence.discount),
        };
        conclude(moments[path], dependence, confidence, distribution)
    };
    Ok(ReflectedEstimate {
        outward: estimate(0),
        back: estimate(1),
        reflection: estimate(2),
    })
}

/// 1 − β₃. There are direct copies: some came together with reflected ones.
fn reflection(tally: &Tally) -> f64 {
    1.0 - tally.leaves[1][0] / tally.leaves[0][0]
}

fn reflection_moments(tally: &Tally, fit: &Fit) -> Moments {
    let root = reflection(tally);
    let loss = root.clamp(0.0, 1.0);
    let variance = reflection_bound(tally.sent, fit.loss[0], fit.loss[1], loss);
    let sent = tally.sent;
    Moments {
        root,
        loss,
        variance,
        sent,
    }
}

/// The Cramér-Rao bound on the variance of the reflection's loss, by the losses of the three paths.
pub fn reflection_bound(sent: f64, outward: f64, back: f64, reflection: f64) -> f64 {
    let (beta1, beta3) = (1.0 - back, 1.0 - reflection);
    beta3 * beta3 / (1.0 - outward) * (1.0 / (beta3 * beta1) + 1.0 / beta1 - 2.0) / sent
}

fn reflection_distribution(tally: &Tally, discount: f64) -> Box<dyn Fn(f64) -> f64> {
    let share = |lost: f64, kept: f64| Share::of(lost / discount, kept / discount);
    let [_, reflected, both] = tally.leaves[0];
    let not_reflected = share(tally.any - reflected, reflected);
    let back = share(reflected - both, both).grid();
    Box::new(move |loss| {
        back.mean(|b| not_reflected.cdf((b + loss * (1.0 - b)) / (1.0 + b * (1.0 - loss))))
    })
}
