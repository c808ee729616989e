//! Summaries of times: exact over an interval, by histogram over a whole task.

use crate::histogram::Histogram;
use crate::report::Distribution;

/// The exact distribution of some samples; `None` without any. Sorts them.
pub fn exact(samples: &mut [i64]) -> Option<Distribution> {
    samples.sort_unstable();
    let (min, max) = (*samples.first()?, *samples.last()?);
    let sum: i128 = samples.iter().map(|&s| i128::from(s)).sum();
    Some(Distribution {
        samples: samples.len() as u64,
        min_ns: min,
        mean_ns: (sum / samples.len() as i128) as i64,
        p50_ns: nearest_rank(samples, 500),
        p90_ns: nearest_rank(samples, 900),
        p99_ns: nearest_rank(samples, 990),
        p999_ns: nearest_rank(samples, 999),
        max_ns: max,
    })
}

/// The smallest sample that at least `per_mille` of all do not exceed. `sorted` is not empty.
fn nearest_rank(sorted: &[i64], per_mille: usize) -> i64 {
    let rank = (sorted.len() * per_mille).div_ceil(1000).max(1);
    sorted[rank - 1]
}

/// Samples of any number in bounded room: minimum, mean and maximum exact, quantiles as fine as fits, to 1 part in 1000 at best.
#[derive(Debug, Clone)]
pub struct Running {
    histogram: Histogram,
    sum_ns: i128,
    min_ns: i64,
    max_ns: i64,
}

/// Room for a task's histograms, two a pair, bytes; each has room for some buckets in any case, and for no more than are of
/// use. For 100 PEs, 9,900 pairs, that are 128 buckets: enough for 1 part in 100 where times are within a factor of two,
/// for 1 in 8 where they are within one of 300; for 200 PEs 64, half as fine.
const TASK_BYTES: usize = 32 << 20;

impl Running {
    /// Nothing yet, for a task of so many pairs.
    pub fn new(pairs: usize) -> Running {
        let room = TASK_BYTES / (2 * Histogram::BUCKET_BYTES * pairs.max(1));
        let room = room.clamp(Histogram::ROOM_MIN, Histogram::ROOM_MAX);
        Running {
            histogram: Histogram::new(1 << room.ilog2()),
            sum_ns: 0,
            min_ns: i64::MAX,
            max_ns: i64::MIN,
        }
    }

    /// Adds samples, which come in ascending order. A time below zero counts as zero in the quantiles.
    pub fn add_sorted(&mut self, ascending_ns: &[i64]) {
        let (Some(first), Some(last)) = (ascending_ns.first(), ascending_ns.last()) else {
            return;
        };
        let at_least_zero = ascending_ns.iter().map(|ns| (*ns).max(0) as u64);
        self.histogram.add_sorted(at_least_zero);
        self.sum_ns += ascending_ns.iter().map(|ns| i128::from(*ns)).sum::<i128>();
        self.min_ns = self.min_ns.min(*first);
        self.max_ns = self.max_ns.max(*last);
    }

    #[cfg(test)]
    fn add(&mut self, sample_ns: i64) {
        self.add_sorted(&[sample_ns]);
    }

    /// The distribution so far; `None` without a sample.
    pub fn summary(&self) -> Option<Distribution> {
        let samples = self.histogram.samples();
        if samples == 0 {
            return None;
        }
        let quantile = |q: f64| (self.histogram.quantile(q) as i64).clamp(self.min_ns, self.max_ns);
        Some(Distribution {
            samples,
            min_ns: self.min_ns,
            mean_ns: (self.sum_ns / i128::from(samples)) as i64,
            p50_ns: quantile(0.5),
            p90_ns: quantile(0.9),
            p99_ns: quantile(0.99),
            p999_ns: quantile(0.999),
            max_ns: self.max_ns,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let mut samples: Vec<i64> = (1..=1000).rev().collect();
        let d = exact(&mut samples).unwrap();
        assert_eq!(
            (d.min_ns, d.p50_ns, d.p90_ns, d.p99_ns, d.p999_ns, d.max_ns),
            (1, 500, 900, 990, 999, 1000)
        );
        assert_eq!(exact(&mut [7]).unwrap().p50_ns, 7);
        assert_eq!(exact(&mut []), None);
    }

    #[test]
    fn a_running_summary_agrees_with_the_exact_one() {
        // Within a twentieth of each other, and within a factor of 3.5.
        agrees((0..5000).map(|i| 10_000_000 + i * 100).collect(), 1_000);
        agrees((0..5000).map(|i| 10_000_000 + i * i).collect(), 100);
    }

    /// But for one part in so many.
    fn agrees(mut samples: Vec<i64>, part: i64) {
        let mut running = Running::new(1);
        assert_eq!(running.summary(), None);
        samples.iter().for_each(|&s| running.add(s));
        let (r, e) = (running.summary().unwrap(), exact(&mut samples).unwrap());
        assert_eq!(
            (r.samples, r.min_ns, r.mean_ns, r.max_ns),
            (e.samples, e.min_ns, e.mean_ns, e.max_ns)
        );
        for (r, e) in [
            (r.p50_ns, e.p50_ns),
            (r.p99_ns, e.p99_ns),
            (r.p999_ns, e.p999_ns),
        ] {
            assert!((r - e).abs() * part <= e, "{r} {e}");
        }
    }

    #[test]
    fn extremes_do_not_break_the_histogram() {
        let (mut running, mut sorted) = (Running::new(5000), Running::new(5000));
        for sample in [-5, 0, i64::MAX / 2, 1] {
            running.add(sample);
        }
        sorted.add_sorted(&[]);
        sorted.add_sorted(&[-5, 0, 1, i64::MAX / 2]);
        assert_eq!(running.summary().unwrap().min_ns, -5);
        assert_eq!(running.summary(), sorted.summary());
    }
}
