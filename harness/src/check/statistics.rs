//! The few tests that the statistical checks need, each with a false-alarm probability it keeps.

use statrs::distribution::{Binomial, DiscreteCDF};

use mvpnlab_emulator::scenario::{GilbertElliott, Probability};

/// Two-sided exact binomial test: the probability, were `p` right, of a count at least as
/// extreme on its side as `lost` of `sent`, doubled (Clopper and Pearson's construction).
pub fn binomial_p_value(lost: u64, sent: u64, p: f64) -> f64 {
    if lost > sent || !(0.0..=1.0).contains(&p) {
        return 0.0;
    }
    if p == 0.0 || p == 1.0 {
        return if lost as f64 == p * sent as f64 {
            1.0
        } else {
            0.0
        };
    }
    let Ok(binomial) = Binomial::new(p, sent) else {
        return 0.0;
    };
    let at_most = binomial.cdf(lost);
    let at_least = if lost == 0 {
        1.0
    } else {
        binomial.sf(lost - 1)
    };
    (2.0 * at_most.min(at_least)).min(1.0)
}

/// The counts that a two-sided exact test at `alpha` accepts, both ends included.
pub fn binomial_acceptance(sent: u64, p: f64, alpha: f64) -> (u64, u64) {
    let accepted = |k: u64| binomial_p_value(k, sent, p) > alpha;
    let centre = ((sent as f64 * p).round() as u64).min(sent);
    let low = first(0, centre, accepted);
    // Above the centre acceptance turns off; look for the first that is refused.
    let high = match centre {
        c if c == sent => sent,
        c => first(c + 1, sent + 1, |k| k > sent || !accepted(k)) - 1,
    };
    (low, high)
}

/// The least `k` in `[from, to]` for which the monotone `yes` holds; `to` is taken to hold.
fn first(mut from: u64, mut to: u64, yes: impl Fn(u64) -> bool) -> u64 {
    while from < to {
        let middle = from + (to - from) / 2;
        if yes(middle) {
            to = middle
        } else {
            from = middle + 1
        }
    }
    from
}

/// Independent losses in a row, as one: `1 - prod(1 - p)`.
pub fn compose(losses: impl IntoIterator<Item = f64>) -> f64 {
    1.0 - losses.into_iter().map(|p| 1.0 - p).product::<f64>()
}

/// Stationary loss rate and variance inflation of Gilbert-Elliott loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burst {
    /// Long-run share of packets lost.
    pub rate: f64,
    /// Variance of a loss count, relative to independent loss of the same rate (at least 1 here).
    pub inflation: f64,
}

impl From<&GilbertElliott> for Burst {
    /// The state is a Markov chain with second eigenvalue `1 - p - r`; loss indicators k packets
    /// apart have covariance `pi_good pi_bad (bad_loss - good_loss)^2 (1 - p - r)^k`, whose sum over
    /// k is geometric.
    fn from(model: &GilbertElliott) -> Self {
        let (p, r) = (model.p.0, model.r.0);
        let bad = if p + r > 0.0 { p / (p + r) } else { 0.0 };
        let rate = bad * model.bad_loss.0 + (1.0 - bad) * model.good_loss.0;
        let variance = rate * (1.0 - rate);
        if variance <= 0.0 || p + r <= 0.0 {
            return Self {
                rate,
                inflation: 1.0,
            };
        }
        let spread = (model.bad_loss.0 - model.good_loss.0).powi(2) * bad * (1.0 - bad);
        let eigen = 1.0 - p - r;
        let inflation = 1.0 + 2.0 * spread / variance * eigen / (1.0 - eigen);
        Self {
            rate,
            inflation: inflation.max(1.0),
        }
    }
}

/// Two-sided exact test for loss with memory: the distribution of the number of losses among `sent`
/// packets of a Gilbert-Elliott channel in its stationary state, by recursion over packets.
///
/// Other packets that pass between two probes only shorten the memory, so that this is conservative.
pub fn chain_p_value(lost: u64, sent: u64, model: &GilbertElliott) -> f64 {
    let (Ok(lost), true) = (usize::try_from(lost), lost <= sent) else {
        return 0.0;
    };
    let (p, r) = (model.p.0, model.r.0);
    if p + r <= 0.0 {
        return binomial_p_value(lost as u64, sent, model.good_loss.0);
    }
    // count[k] = probability of k losses so far, by the state before the next packet.
    let (mut good, mut bad) = (vec![0.0; lost + 1], vec![0.0; lost + 1]);
    (good[0], bad[0]) = (r / (p + r), p / (p + r));
    for _ in 0..sent {
        for k in (0..=lost).rev() {
            let fewer = |counts: &[f64]| if k > 0 { counts[k - 1] } else { 0.0 };
            let g = good[k] * (1.0 - model.good_loss.0) + fewer(&good) * model.good_loss.0;
            let b = bad[k] * (1.0 - model.bad_loss.0) + fewer(&bad) * model.bad_loss.0;
            (good[k], bad[k]) = (g * (1.0 - p) + b * r, g * p + b * (1.0 - r));
        }
    }
    let at_most: f64 = good.iter().chain(&bad).sum();
    let at_least = 1.0 - (at_most - good[lost] - bad[lost]);
    (2.0 * at_most.min(at_least)).clamp(0.0, 1.0)
}

/// The model with further independent loss added so that its stationary rate is `rate`; as it is where
/// its own rate is higher already.
pub fn with_rate(model: &GilbertElliott, rate: f64) -> GilbertElliott {
    let own = Burst::from(model).rate;
    let further = if own < 1.0 {
        (1.0 - (1.0 - rate) / (1.0 - own)).max(0.0)
    } else {
        0.0
    };
    let add = |loss: Probability| Probability(compose([loss.0, further]));
    GilbertElliott {
        bad_loss: add(model.bad_loss),
        good_loss: add(model.good_loss),
        ..*model
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_test_matches_known_values() {
        // Two-sided doubling of P(X >= 8), X ~ Bin(10, 1/2) = 56/1024.
        assert!((binomial_p_value(8, 10, 0.5) - 2.0 * 56.0 / 1024.0).abs() < 1e-12);
        assert_eq!(binomial_p_value(0, 100, 0.0), 1.0);
        assert_eq!(binomial_p_value(1, 100, 0.0), 0.0);
    }

    #[test]
    fn acceptance_and_p_value_agree_at_the_edges() {
        for (sent, p, alpha) in [(1000, 0.03, 1e-6), (50, 0.5, 1e-3), (20, 0.01, 1e-6)] {
            let (low, high) = binomial_acceptance(sent, p, alpha);
            for k in 0..=sent {
                assert_eq!(
                    (low..=high).contains(&k),
                    binomial_p_value(k, sent, p) > alpha,
                    "{k} of {sent} at {p}"
                );
            }
        }
    }

    #[test]
    fn a_chain_without_memory_is_independent_loss() {
        let probability = Probability;
        let memoryless = GilbertElliott {
            p: probability(0.1),
            r: probability(0.9),
            bad_loss: probability(1.0),
            good_loss: probability(0.0),
        };
        let burst = Burst::from(&memoryless);
        assert!((burst.rate - 0.1).abs() < 1e-12 && (burst.inflation - 1.0).abs() < 1e-12);
        let bursty = GilbertElliott {
            r: probability(0.1),
            p: probability(0.01),
            ..memoryless
        };
        let burst = Burst::from(&bursty);
        assert!((burst.rate - 1.0 / 11.0).abs() < 1e-12);
        assert!((burst.inflation - (1.0 + 2.0 * 0.89 / 0.11)).abs() < 1e-9);
    }

    #[test]
    fn the_chain_without_memory_is_the_binomial() {
        let model = GilbertElliott {
            p: Probability(0.1),
            r: Probability(0.9),
            bad_loss: Probability(1.0),
            good_loss: Probability(0.0),
        };
        for lost in [0, 5, 20, 40] {
            let difference = chain_p_value(lost, 200, &model) - binomial_p_value(lost, 200, 0.1);
            assert!(difference.abs() < 1e-9, "{lost}: {difference}");
        }
    }

    #[test]
    fn memory_widens_what_is_accepted() {
        let model = GilbertElliott {
            p: Probability(0.01),
            r: Probability(0.1),
            bad_loss: Probability(1.0),
            good_loss: Probability(0.0),
        };
        let rate = Burst::from(&model).rate;
        assert!(chain_p_value(180, 1000, &model) > 100.0 * binomial_p_value(180, 1000, rate));
        let lossier = with_rate(&model, 0.2);
        assert!((Burst::from(&lossier).rate - 0.2).abs() < 1e-12);
    }

    #[test]
    fn losses_in_a_row_compose() {
        assert!((compose([0.1, 0.1]) - 0.19).abs() < 1e-12);
        assert_eq!(compose([]), 0.0);
    }
}
