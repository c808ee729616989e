//! Exact binomial tails: how surprising is it that `hits` of `trials` came out of a coin with this probability?

use statrs::distribution::{Binomial, DiscreteCDF};

/// The two-sided p-value of a count: twice the smaller tail, at most 1. A probability outside [0, 1] explains nothing: 0.
pub fn p_value(hits: u64, trials: u64, probability: f64) -> f64 {
    if trials == 0 {
        return 1.0;
    }
    let Ok(binomial) = Binomial::new(probability, trials) else {
        return 0.0;
    };
    let at_most = binomial.cdf(hits);
    let at_least = if hits == 0 {
        1.0
    } else {
        binomial.sf(hits - 1)
    };
    (2.0 * at_most.min(at_least)).min(1.0)
}

/// The upper tail: so many hits or more.
pub fn at_least(hits: u64, trials: u64, probability: f64) -> f64 {
    match (hits, Binomial::new(probability, trials)) {
        (0, _) => 1.0,
        (_, Ok(binomial)) if trials > 0 => binomial.sf(hits - 1),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_cases_by_hand() {
        // Four coins: all heads is 1/16, both sides 1/8.
        assert!((p_value(4, 4, 0.5) - 0.125).abs() < 1e-12);
        assert!((at_least(3, 4, 0.5) - 5.0 / 16.0).abs() < 1e-12);
        assert_eq!(p_value(0, 0, 0.3), 1.0);
        assert_eq!(at_least(0, 10, 0.0), 1.0);
    }

    #[test]
    fn the_impossible_and_the_certain() {
        assert_eq!(p_value(1, 1000, 0.0), 0.0);
        assert_eq!(p_value(0, 1000, 0.0), 1.0);
        assert_eq!(p_value(1000, 1000, 1.0), 1.0);
        assert_eq!(p_value(999, 1000, 1.0), 0.0);
        assert_eq!(p_value(3, 10, 1.5), 0.0);
    }

    #[test]
    fn far_tails_are_not_rounded_away() {
        // 0.97^1000 = e^-30.459: no loss of 1000 at 3 %.
        let none = p_value(0, 1000, 0.03);
        assert!(
            (none.ln() - (2f64.ln() + 1000.0 * 0.97f64.ln())).abs() < 1e-6,
            "{none}"
        );
        assert!(p_value(300, 1000, 0.03) < 1e-100);
        assert!(p_value(30, 1000, 0.03) > 0.9);
    }
}
