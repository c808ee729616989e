//! What a count says of a share: a Beta distribution, its tails, and grids of points for sums over it.
//!
//! Of `lost + kept` independent trials, `lost` were lost. With Jeffreys' prior the share of losses is Beta(lost + ½,
//! kept + ½), whose equal-tailed intervals cover on average what they claim for every share (Brown, Cai and DasGupta,
//! "Interval estimation for a binomial proportion", Statistical Science 16(2), 2001, section 4.1). A count of zero
//! gets the shape 1 instead of ½: then the upper end is that of Clopper and Pearson, the "rule of three" of zero
//! observed events, where Jeffreys' own would be too bold (the same paper, section 4.1.2).
//!
//! Counts are real numbers here: trials that depend on each other, or are seen only in sums, count for less than one
//! each ([`super::dependence`], [`super::aggregate`]). That is the effective sample size of Korn and Graubard
//! ("Confidence intervals for proportions with small expected number of positive counts estimated from survey data",
//! Survey Methodology 24(2), 1998).

use statrs::function::beta::beta_reg;
use statrs::function::erf::erfc;

use super::root::increasing_root;

/// Below this shape the tails are computed, above they are approximated: there the approximation is good to 5e-5.
const EXACT_BELOW: f64 = 8.0;
/// Grids reach so many standard deviations to each side; beyond is 1e-4 of the weight.
const GRID_REACH: f64 = 4.0;
/// Distance of a grid's points in standard deviations. The sum over such a grid is a trapezoid rule, which is exact to
/// many digits for what is smooth and falls off like a normal density.
const GRID_STEP: f64 = 0.5;

/// The normal distribution function.
pub(super) fn normal_cdf(z: f64) -> f64 {
    0.5 * erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// The distribution of a share of losses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share {
    lost_shape: f64,
    kept_shape: f64,
}

impl Share {
    /// After so many trials, possibly not whole. Negative counts are taken for none.
    pub(super) fn of(lost: f64, kept: f64) -> Share {
        let shape = |count: f64| (count.max(0.0) + 0.5).max(1.0);
        Share {
            lost_shape: shape(lost),
            kept_shape: shape(kept),
        }
    }

    /// Probability that the share is at most `x`.
    pub(super) fn cdf(&self, x: f64) -> f64 {
        if x >= 1.0 {
            1.0
        } else if x.is_nan() || x <= 0.0 {
            0.0
        } else if self.lost_shape.min(self.kept_shape) < EXACT_BELOW {
            beta_reg(self.lost_shape, self.kept_shape, x)
        } else {
            normal_cdf(self.normal_score(x))
        }
    }

    /// Normal score of `x` by Peizer and Pratt ("A normal approximation for binomial, F, beta, and other common,
    /// related tail probabilities", JASA 63, 1968).
    fn normal_score(&self, x: f64) -> f64 {
        let (lost, kept) = (self.lost_shape - 0.5, self.kept_shape - 0.5);
        let n = lost + kept;
        let y = 1.0 - x;
        let d = kept + 1.0 / 6.0 - (n + 1.0 / 3.0) * y
            + 0.02 * (x / (kept + 0.5) - y / (lost + 0.5) + (x - 0.5) / (n + 1.0));
        let spread = (1.0 + x * skew(kept / (n * y)) + y * skew(lost / (n * x))).max(0.0);
        d * (spread / ((n + 1.0 / 6.0) * x * y)).sqrt()
    }

    /// The share that is not exceeded with probability `p`.
    pub(super) fn quantile(&self, p: f64) -> f64 {
        increasing_root(|x| self.cdf(x) - p, 0.0, self.beyond(), 1.0)
    }

    /// A share that is very unlikely to be exceeded, from which the search for quantiles starts.
    fn beyond(&self) -> f64 {
        let n = self.lost_shape + self.kept_shape;
        let mean = self.lost_shape / n;
        let deviation = (mean * (self.kept_shape / n) / (n + 1.0)).sqrt();
        (mean + 6.0 * deviation).min(1.0)
    }

    /// Points with weights that stand for the distribution in sums.
    pub(super) fn grid(&self) -> Points {
        let reach = (GRID_REACH / GRID_STEP) as i32;
        let point = |step: i32| {
            let z = f64::from(step) * GRID_STEP;
            (self.quantile(normal_cdf(z)), (-0.5 * z * z).exp())
        };
        Points::new((-reach..=reach).map(point).collect())
    }
}

/// From here on g(t) is its limit.
const SKEW_END: f64 = 1e100;

/// Peizer and Pratt's g(t) = (1 − t² + 2t ln t)/(1 − t)², by its series where that is 0/0.
fn skew(t: f64) -> f64 {
    let e = 1.0 - t;
    if e.abs() < 0.02 {
        e * (1.0 / 3.0 + e * (1.0 / 6.0 + e * (1.0 / 10.0 + e * (1.0 / 15.0 + e / 21.0))))
    } else if t <= 0.0 {
        1.0
    } else if t > SKEW_END {
        -1.0
    } else {
        (1.0 - t * t + 2.0 * t * t.ln()) / (e * e)
    }
}

/// A distribution as points with weights that add up to 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Points(Vec<(f64, f64)>);

impl Points {
    fn new(mut points: Vec<(f64, f64)>) -> Points {
        let sum: f64 = points.iter().map(|&(_, weight)| weight).sum();
        points.iter_mut().for_each(|(_, weight)| *weight /= sum);
        Points(points)
    }

    /// The distribution that is certain of one value.
    pub(super) fn certain(value: f64) -> Points {
        Points(vec![(value, 1.0)])
    }

    /// The distribution of a function of two independent shares, in as many points as a grid has.
    pub(super) fn combine(&self, other: &Points, of: impl Fn(f64, f64) -> f64) -> Points {
        let pairs = self.0.iter().flat_map(|&(x, u)| {
            let of = &of;
            other.0.iter().map(move |&(y, v)| (of(x, y), u * v))
        });
        let mut all: Vec<(f64, f64)> = pairs.collect();
        all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        Points::new(merge(&all, 1.0 / 32.0))
    }

    /// Mean of a function.
    pub(super) fn mean(&self, of: impl Fn(f64) -> f64) -> f64 {
        self.0
            .iter()
            .map(|&(value, weight)| weight * of(value))
            .sum()
    }
}

/// Neighbours in one, at their mean, as long as they weigh less than `weight_max` together.
fn merge(sorted: &[(f64, f64)], weight_max: f64) -> Vec<(f64, f64)> {
    let mut merged: Vec<(f64, f64)> = Vec::with_capacity(64);
    for &(value, weight) in sorted {
        match merged.last_mut() {
            Some(last) if last.1 + weight < weight_max => {
                let sum = last.1 + weight;
                *last = ((last.0 * last.1 + value * weight) / sum, sum);
            }
            _ => merged.push((value, weight)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Brown, Cai and DasGupta (2001), table of the Jeffreys interval: 1 of 10 is 0.011 to 0.381, 5 of 10 is 0.224 to
    /// 0.776.
    #[test]
    fn quantiles_agree_with_published_values() {
        for (lost, kept, low, high) in [(1.0, 9.0, 0.011, 0.381), (5.0, 5.0, 0.224, 0.776)] {
            let share = Share::of(lost, kept);
            assert!(
                (share.quantile(0.025) - low).abs() < 6e-4,
                "{}",
                share.quantile(0.025)
            );
            assert!(
                (share.quantile(0.975) - high).abs() < 6e-4,
                "{}",
                share.quantile(0.975)
            );
        }
    }

    #[test]
    fn no_loss_has_the_upper_end_of_clopper_and_pearson() {
        let high = Share::of(0.0, 1000.0).quantile(0.975);
        let rule = 1.0 - 0.025f64.powf(1.0 / 1000.5);
        assert!((high / rule - 1.0).abs() < 1e-6, "{high} {rule}");
    }

    #[test]
    fn the_approximation_takes_over_without_a_step() {
        for kept in [8.0, 300.0, 120_000.0, 1e9] {
            let share = Share {
                lost_shape: EXACT_BELOW,
                kept_shape: kept,
            };
            for p in [1e-3, 0.025, 0.3, 0.5, 0.8, 0.975, 0.999] {
                let exact = beta_reg(EXACT_BELOW, kept, share.quantile(p));
                assert!((exact - p).abs() < 5e-5, "{kept} {p}: {exact}");
            }
        }
    }

    #[test]
    fn a_grid_keeps_mean_and_variance() {
        for (lost, kept) in [
            (0.0, 1e5),
            (3.0, 1e5),
            (24.0, 120_000.0),
            (6_000.0, 114_000.0),
            (40.0, 7.0),
        ] {
            let share = Share::of(lost, kept);
            let n = share.lost_shape + share.kept_shape;
            let mean = share.lost_shape / n;
            let variance = mean * (1.0 - mean) / (n + 1.0);
            let grid = share.grid();
            let grid_mean = grid.mean(|x| x);
            let grid_variance = grid.mean(|x| (x - grid_mean).powi(2));
            assert!((grid_mean / mean - 1.0).abs() < 2e-3, "{grid_mean} {mean}");
            assert!(
                (grid_variance / variance - 1.0).abs() < 2e-2,
                "{lost}: {grid_variance} {variance}"
            );
        }
    }
}
