//! An estimated loss rate, with how far it is to be trusted.

use serde::{Deserialize, Serialize};
use statrs::function::erf::erfc_inv;

use super::dependence::Dependence;
use super::doubt::Doubt;
use super::root::increasing_root;

/// With fewer independent losses than this an estimate is doubted: its relative deviation is above a third.
pub const EVENTS_LEAST: f64 = 10.0;

/// Losses that avoid each other by more standard deviations than this are no chance.
const REPELLING_LEAST: f64 = 3.0;

/// How often an interval is to hold the truth.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Confidence(f64);

impl Confidence {
    /// In 19 cases of 20.
    pub const P95: Confidence = Confidence(0.95);

    /// A share of cases; `None` unless it is at least 0.5 and below 1.
    pub fn new(share: f64) -> Option<Confidence> {
        (0.5..1.0).contains(&share).then_some(Confidence(share))
    }

    /// The share of cases.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Probability left on each side.
    pub(super) fn tail(self) -> f64 {
        0.5 * (1.0 - self.0)
    }

    /// The normal quantile of a two-sided interval at this level.
    pub(super) fn z(self) -> f64 {
        std::f64::consts::SQRT_2 * erfc_inv(1.0 - self.0)
    }
}

impl TryFrom<f64> for Confidence {
    type Error = String;

    fn try_from(share: f64) -> Result<Confidence, String> {
        Confidence::new(share).ok_or_else(|| {
            format!("a confidence of {share}: it must be at least 0.5 and below 1, such as 0.95")
        })
    }
}

impl From<Confidence> for f64 {
    fn from(confidence: Confidence) -> f64 {
        confidence.0
    }
}

/// A loss of fewer probes than this in all is none: it is what rounding leaves of the equations.
const ROUNDING_PROBES: f64 = 1e-6;

/// A one-way loss rate. Always 0 ≤ `low` ≤ `loss` ≤ `high` ≤ 1 and `low` < `high`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The loss rate: the share of packets lost, from 0 to 1.
    pub loss: f64,
    /// Variance of `loss`, dependence of losses included.
    pub variance: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// How often such intervals hold the truth.
    pub confidence: Confidence,
    /// What the estimate suffers from, if anything.
    pub doubts: Vec<Doubt>,
}

impl Estimate {
    /// Half the width of the interval.
    pub fn half_width(&self) -> f64 {
        0.5 * (self.high - self.low)
    }
}

/// What is known of a loss rate before its interval is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moments {
    /// Where the estimator's equations have their root, possibly below 0.
    pub(super) root: f64,
    /// The estimate at the boundary where the root is beyond it.
    pub(super) loss: f64,
    /// Its variance, if losses are independent.
    pub(super) variance: f64,
    /// Probes that it rests on.
    pub(super) sent: f64,
}

impl Moments {
    /// The number of independent losses that would leave the same relative deviation.
    fn events(&self) -> f64 {
        if self.variance > 0.0 {
            self.loss * self.loss * (1.0 - self.loss) / self.variance
        } else {
            0.0
        }
    }
}

/// The highest loss rate that is compatible with none lost of so many probes: no interval ends below that, whatever
/// the leaves say.
pub(super) fn high_at_no_loss(sent: f64, confidence: Confidence) -> f64 {
    -(confidence.tail().ln() / sent.max(1.0)).exp_m1()
}

/// Puts an estimate together. `cdf` is the loss rate's distribution, from counts that dependence has been taken out of.
pub(super) fn conclude(
    moments: Moments,
    dependence: Dependence,
    confidence: Confidence,
    cdf: impl Fn(f64) -> f64,
) -> Estimate {
    let loss = match moments.loss.clamp(0.0, 1.0) {
        loss if loss * moments.sent < ROUNDING_PROBES => 0.0,
        loss => loss,
    };
    let first = loss + 4.0 * (moments.variance * dependence.discount).sqrt() + 1e-6;
    let end = |p: f64| increasing_root(|x| cdf(x) - p, 0.0, first, 1.0);
    let low = if loss > 0.0 {
        end(confidence.tail())
    } else {
        0.0
    };
    let least = high_at_no_loss(moments.sent / dependence.discount, confidence);
    let variance = moments.variance * dependence.factor;
    let mut doubts = dependence.doubts;
    let effective = moments.events() / dependence.factor;
    if effective < EVENTS_LEAST {
        doubts.push(Doubt::FewEvents { effective });
    }
    let deviations = if moments.root < 0.0 {
        -moments.root / variance.sqrt()
    } else {
        0.0
    };
    if deviations > REPELLING_LEAST {
        doubts.push(Doubt::Repelling { deviations });
    }
    Estimate {
        loss,
        variance,
        low: low.min(loss),
        high: end(1.0 - confidence.tail()).max(loss).max(least),
        confidence,
        doubts,
    }
}
