//! How many probes an aggregate lost at both leaves, given how many at each.

/// A weight below this share of the sum is left out.
const WEIGHT_LEAST: f64 = 1e-18;

/// Mean and variance of how many of `sent` probes are missing at both leaves, when `first` and `second` are missing
/// at each (neither more than `sent`) and the fates have the odds ratio `odds`: Fisher's noncentral hypergeometric
/// distribution.
///
/// Weights follow from their neighbours, outwards from about the most likely number, until they matter no more.
pub(super) fn both_missing(sent: u64, first: u64, second: u64, odds: f64) -> (f64, f64) {
    let least = first.saturating_sub(sent - second);
    let most = first.min(second);
    let (a, b, rest) = (
        first as f64,
        second as f64,
        sent as f64 - first as f64 - second as f64,
    );
    // Weight of z + 1 over that of z.
    let growth = |z: f64| odds * (a - z) * (b - z) / ((z + 1.0) * (rest + z + 1.0));
    let start = (likeliest(a, b, rest, odds) as u64).clamp(least, most);
    let (mut sum, mut mean, mut square) = (1.0, 0.0, 0.0);
    let mut add = |z: u64, weight: f64| {
        let from_start = z as f64 - start as f64;
        sum += weight;
        mean += weight * from_start;
        square += weight * from_start * from_start;
        weight > WEIGHT_LEAST * sum
    };
    let mut weight = 1.0;
    for z in start..most {
        weight *= growth(z as f64);
        if !add(z + 1, weight) {
            break;
        }
    }
    weight = 1.0;
    for z in (least..start).rev() {
        weight /= growth(z as f64);
        if !add(z, weight) {
            break;
        }
    }
    let mean = mean / sum;
    (start as f64 + mean, (square / sum - mean * mean).max(0.0))
}

/// Where the weights stop growing: a root of a quadratic.
fn likeliest(a: f64, b: f64, rest: f64, odds: f64) -> f64 {
    let (square, linear, constant) = (
        odds - 1.0,
        odds * (a + b) + rest + 2.0,
        odds * a * b - rest - 1.0,
    );
    let root = (linear * linear - 4.0 * square * constant).max(0.0).sqrt();
    2.0 * constant / (linear + root)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without odds it is hypergeometric: mean ab/n, variance ab(n−a)(n−b)/(n²(n−1)).
    #[test]
    fn independent_losses_meet_by_chance() {
        for (n, a, b) in [
            (50, 3, 4),
            (1000, 400, 700),
            (10, 9, 8),
            (4_000_000_000, 30_000_000, 20_000_000),
        ] {
            let (mean, variance) = both_missing(n, a, b, 1.0);
            let (n, a, b) = (n as f64, a as f64, b as f64);
            assert!(
                (mean / (a * b / n) - 1.0).abs() < 1e-9,
                "{n} {a} {b}: {mean}"
            );
            let expected = a * b / n * ((n - a) / n) * ((n - b) / (n - 1.0));
            assert!(
                (variance / expected - 1.0).abs() < 1e-6,
                "{n} {a} {b}: {variance} {expected}"
            );
        }
    }

    #[test]
    fn strong_odds_put_all_they_can_together_and_none_none() {
        assert!((both_missing(50, 3, 4, 1e12).0 - 3.0).abs() < 1e-9);
        assert_eq!(both_missing(50, 3, 4, 0.0).0, 0.0);
        assert_eq!(both_missing(5, 4, 3, 0.0).0, 2.0);
        assert_eq!(both_missing(50, 0, 4, 5.0), (0.0, 0.0));
    }
}
