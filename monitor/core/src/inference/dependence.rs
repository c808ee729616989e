//! Whether losses come one by one, and by how much less they say when they do not.
//!
//! Time is cut into B blocks of equal length. What block j contributed to the error of an estimate is `d_j`: (B−1)/B of
//! the difference between the estimate and the one without that block (the jackknife: Künsch, "The jackknife and the
//! bootstrap for general stationary observations", Annals of Statistics 17(3), 1989), or the block's sum of the
//! estimate's influence function, which is the same to first order. Blocks longer than the dependence are all but
//! independent, so B/(B−1)·Σ(d_j − d̄)² estimates the variance, whatever goes on within a block. Its quotient by the
//! variance of independent losses is the *factor*: losses count for 1/factor each.
//!
//! - A factor below what chance alone exceeds in one case of ten is taken for 1, so that independent losses keep
//!   their intervals; a floor of 1 is kept in any case. It is told as a doubt when chance exceeds it in one case of a
//!   hundred.
//! - Where it is above, the factor is itself an estimate from few bursts: Student's quantile takes the normal one's
//!   place, with 3(Σd²)²/Σd⁴ − 1 degrees of freedom (Satterthwaite's approximation with the fourth moment as observed:
//!   about B for normal contributions, hardly more than the number of bursts for rare ones; one less, as the few seen
//!   are seldom the longest). In terms of counts this is another factor (t/z)², as Korn and Graubard have it.
//!   With fewer than about ten bursts even that holds a little less often than it says (`tests/one_way` has figures);
//!   such an estimate is doubted for its few events.
//! - Neighbouring blocks that go together (their correlation is above what chance exceeds in one case of a hundred) are
//!   joined to blocks twice as long, as long as enough blocks remain; then it is said.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::doubt::Doubt;

/// Fewer blocks of time than this say nothing of dependence.
pub const BLOCKS_LEAST: usize = 20;
/// Normal quantile that chance exceeds in one case of ten.
const Z_ONE_IN_TEN: f64 = 1.281_55;
/// Normal quantile that chance exceeds in one case of a hundred.
const Z_ONE_IN_HUNDRED: f64 = 2.326_35;
/// Fewer degrees of freedom would be an interval of everything.
const FREEDOM_LEAST: f64 = 1.0;

/// How much less than independent losses the observed ones say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dependence {
    /// Variance over that of independent losses; at least 1.
    pub(super) factor: f64,
    /// `factor`, and what its own uncertainty adds to it: by this, counts are divided for an interval.
    pub(super) discount: f64,
    /// What was found.
    pub(super) doubts: Vec<Doubt>,
}

impl Dependence {
    /// From the blocks' contributions to an estimate's error, and the variance it has if losses are independent.
    /// `z` is the normal quantile of the intervals to come.
    pub(super) fn of(contributions: &[f64], independent_variance: f64, z: f64) -> Dependence {
        let mut dependence = Dependence {
            factor: 1.0,
            discount: 1.0,
            doubts: Vec::new(),
        };
        if contributions.len() < BLOCKS_LEAST {
            let (blocks, least) = (contributions.len(), BLOCKS_LEAST);
            dependence.doubts.push(Doubt::FewBlocks { blocks, least });
        } else if independent_variance > 0.0 {
            dependence.look(contributions, independent_variance, z);
        }
        dependence
    }

    fn look(&mut self, contributions: &[f64], independent_variance: f64, z: f64) {
        let (blocks, correlation) = independent_blocks(contributions);
        let count = blocks.len() as f64;
        let factor = count / (count - 1.0) * power_sum(&blocks, 2) / independent_variance;
        if factor > exceeded_by_chance(count - 1.0, Z_ONE_IN_TEN) {
            let t = student(freedom(&blocks), z);
            self.factor = factor.max(1.0);
            self.discount = (self.factor * (t / z).powi(2)).max(1.0);
        }
        if factor > exceeded_by_chance(count - 1.0, Z_ONE_IN_HUNDRED) {
            self.doubts.push(Doubt::Dependent { factor });
        }
        if significant(correlation, blocks.len()) {
            self.doubts
                .push(Doubt::DependenceBeyondBlocks { correlation });
        }
    }
}

/// Blocks joined until neighbours do not go together, about their mean, with what correlation is left.
fn independent_blocks(contributions: &[f64]) -> (Vec<f64>, f64) {
    let mut blocks = centred(contributions.to_vec());
    let mut correlation = neighbours_correlate(&blocks);
    while significant(correlation, blocks.len()) && blocks.len() >= 2 * BLOCKS_LEAST {
        blocks = centred(
            blocks
                .chunks_exact(2)
                .map(|pair| pair[0] + pair[1])
                .collect(),
        );
        correlation = neighbours_correlate(&blocks);
    }
    (blocks, correlation)
}

fn centred(mut blocks: Vec<f64>) -> Vec<f64> {
    let mean = blocks.iter().sum::<f64>() / blocks.len().max(1) as f64;
    blocks.iter_mut().for_each(|d| *d -= mean);
    blocks
}

fn neighbours_correlate(centred: &[f64]) -> f64 {
    let squares = power_sum(centred, 2);
    let products: f64 = centred.windows(2).map(|pair| pair[0] * pair[1]).sum();
    if squares > 0.0 {
        products / squares
    } else {
        0.0
    }
}

fn significant(correlation: f64, blocks: usize) -> bool {
    correlation * (blocks as f64).sqrt() > Z_ONE_IN_HUNDRED
}

fn power_sum(values: &[f64], power: i32) -> f64 {
    values.iter().map(|v| v.powi(power)).sum()
}

/// What a chi-square variable over its degrees of freedom exceeds by the chance that goes with the normal quantile
/// `z` (Wilson and Hilferty, 1931).
pub(super) fn exceeded_by_chance(freedom: f64, z: f64) -> f64 {
    let ninth = 2.0 / (9.0 * freedom);
    (1.0 - ninth + z * ninth.sqrt()).powi(3)
}

fn freedom(blocks: &[f64]) -> f64 {
    let freedom = 3.0 * power_sum(blocks, 2).powi(2) / power_sum(blocks, 4) - 1.0;
    freedom.clamp(FREEDOM_LEAST, blocks.len() as f64)
}

/// Student's quantile at the level of the normal quantile `z`; `z` itself where the distribution cannot be made.
fn student(freedom: f64, z: f64) -> f64 {
    let p = super::share::normal_cdf(z);
    StudentsT::new(0.0, 1.0, freedom).map_or(z, |t| t.inverse_cdf(p).max(z))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const Z: f64 = 1.959_964;

    /// Sums of so many uniform draws from −1 to 1 a block: variance 1/3 each.
    fn blocks(count: usize, draws: usize, seed: u64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..count)
            .map(|_| (0..draws).map(|_| rng.random_range(-1.0..1.0)).sum())
            .collect()
    }

    #[test]
    fn independent_blocks_are_believed_and_doubled_variance_is_seen() {
        let d = blocks(200, 30, 1);
        let variance = 200.0 * 30.0 / 3.0;
        let calm = Dependence::of(&d, variance, Z);
        assert_eq!(
            (calm.factor, calm.discount, calm.doubts.len()),
            (1.0, 1.0, 0)
        );
        let bursty = Dependence::of(&d, variance / 4.0, Z);
        assert!((bursty.factor / 4.0 - 1.0).abs() < 0.3, "{bursty:?}");
        assert!(
            bursty.discount > bursty.factor && bursty.discount < 1.1 * bursty.factor,
            "{bursty:?}"
        );
        assert!(
            matches!(bursty.doubts[..], [Doubt::Dependent { .. }]),
            "{bursty:?}"
        );
    }

    /// A wave of 25 blocks, seen in 200 of them: doubling them to 25 does not end it.
    #[test]
    fn dependence_beyond_the_longest_blocks_is_said() {
        let d: Vec<f64> = (0..200).map(|j| (f64::from(j) / 30.0).sin()).collect();
        let found = Dependence::of(&d, 1.0, Z);
        assert!(
            found
                .doubts
                .iter()
                .any(|d| matches!(d, Doubt::DependenceBeyondBlocks { .. })),
            "{found:?}"
        );
    }

    #[test]
    fn one_burst_leaves_the_least_freedom() {
        let mut d = vec![0.0; 100];
        d[40] = 1.0;
        let found = Dependence::of(&d, 0.1, Z);
        assert!(found.discount > 2.5 * found.factor, "{found:?}");
    }

    #[test]
    fn few_blocks_and_no_variance_are_no_cause() {
        let few = Dependence::of(&[1.0; 3], 1.0, Z);
        assert_eq!(
            few.doubts,
            [Doubt::FewBlocks {
                blocks: 3,
                least: BLOCKS_LEAST
            }]
        );
        assert_eq!(Dependence::of(&[0.0; 100], 0.0, Z).discount, 1.0);
    }

    /// Published quantiles of Student's t at 97.5 %: 4.303, 2.571, 2.042.
    #[test]
    fn student_agrees_with_the_tables() {
        for (freedom, t) in [(2.0, 4.303), (5.0, 2.571), (30.0, 2.042)] {
            assert!(
                (student(freedom, Z) - t).abs() < 2e-3,
                "{}",
                student(freedom, Z)
            );
        }
    }
}
