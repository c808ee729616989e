//! The tunnels' one-way losses taken out of what was measured over both (OL-10).
//!
//! A probe travels monitor -> PE i -> PE j -> monitor and arrives with probability T = A·P·B: up the one tunnel,
//! through the backbone, down the other. With A and B inferred one way each, P = T/(A·B), and no half of a round trip
//! need be assumed.
//!
//! **Error.** ln P = ln T − ln A − ln B. The three were measured by different probes, so variances of the logarithms
//! add up. The interval's ends do as in Zou and Donner ("Construction of confidence limits about effect measures: a
//! general approach", Statistics in Medicine 27, 2008): each end is away from the estimate by the root of the summed
//! squares of what the three are away from their own ends, each on the side that matters. So intervals that are
//! lopsided near zero loss make one that is lopsided as well.

use super::doubt::{Doubt, InferenceError};
use super::estimate::{Confidence, Estimate, high_at_no_loss};
use super::share::Share;

/// Deviations below zero that are no chance.
const BELOW_LEAST: f64 = 3.0;

/// A pass rate's logarithm, with how far it may be below and above.
#[derive(Debug, Clone, Copy, PartialEq)]
struct LogPass {
    value: f64,
    below: f64,
    above: f64,
    /// Variance of the logarithm.
    variance: f64,
}

impl LogPass {
    fn of(loss: f64, low: f64, high: f64, variance: f64) -> LogPass {
        let value = (-loss).ln_1p();
        LogPass {
            value,
            below: value - (-high).ln_1p(),
            above: (-low).ln_1p() - value,
            variance: variance / ((1.0 - loss) * (1.0 - loss)),
        }
    }

    fn of_estimate(estimate: &Estimate) -> LogPass {
        LogPass::of(
            estimate.loss,
            estimate.low,
            estimate.high,
            estimate.variance,
        )
    }
}

/// Loss between two routers, from probes sent through both tunnels and received, and from the one-way losses `up` the
/// sender's tunnel and `down` the receiver's. The interval has the lesser confidence of the two.
pub fn path_loss(
    sent: u64,
    received: u64,
    up: &Estimate,
    down: &Estimate,
) -> Result<Estimate, InferenceError> {
    if received > sent {
        let what = format!("{sent} probes sent through two tunnels");
        return Err(InferenceError::inconsistent(
            what,
            format!("{received} received"),
        ));
    }
    if received == 0 || up.loss >= 1.0 || down.loss >= 1.0 {
        let found = format!(
            "{received} of {sent} probes passed two tunnels that lose {} and {}",
            up.loss, down.loss
        );
        return Err(InferenceError::NotIdentified(found));
    }
    let confidence = if up.confidence < down.confidence {
        up.confidence
    } else {
        down.confidence
    };
    let total = total(sent, received, confidence);
    let tunnels = [LogPass::of_estimate(up), LogPass::of_estimate(down)];
    let mut path = quotient(total, &tunnels, confidence);
    path.high = path.high.max(high_at_no_loss(sent as f64, confidence));
    for doubt in up.doubts.iter().chain(&down.doubts) {
        if !path.doubts.contains(doubt) {
            path.doubts.push(*doubt);
        }
    }
    Ok(path)
}

fn total(sent: u64, received: u64, confidence: Confidence) -> LogPass {
    let (lost, kept) = ((sent - received) as f64, received as f64);
    let loss = lost / sent as f64;
    let share = Share::of(lost, kept);
    let low = share.quantile(confidence.tail()).min(loss);
    let high = share.quantile(1.0 - confidence.tail()).max(loss);
    LogPass::of(loss, low, high, loss * (1.0 - loss) / sent as f64)
}

fn quotient(total: LogPass, tunnels: &[LogPass], confidence: Confidence) -> Estimate {
    let root_sum = |own: f64, others: fn(&LogPass) -> f64| {
        let squares: f64 = tunnels.iter().map(|tunnel| others(tunnel).powi(2)).sum();
        (own * own + squares).sqrt()
    };
    let value = total.value - tunnels.iter().map(|tunnel| tunnel.value).sum::<f64>();
    let below = root_sum(total.below, |tunnel| tunnel.above);
    let above = root_sum(total.above, |tunnel| tunnel.below);
    let variance = total.variance + tunnels.iter().map(|tunnel| tunnel.variance).sum::<f64>();
    let loss = |log_pass: f64| (-log_pass.exp_m1()).clamp(0.0, 1.0);
    let deviations = value / variance.sqrt();
    let doubtful = value > 0.0 && deviations > BELOW_LEAST;
    Estimate {
        loss: loss(value),
        variance: variance * (2.0 * value.min(0.0)).exp(),
        low: loss(value + above),
        high: loss(value - below),
        confidence,
        doubts: if doubtful {
            vec![Doubt::TunnelsLoseMore { deviations }]
        } else {
            Vec::new()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel(loss: f64, deviation: f64) -> Estimate {
        Estimate {
            loss,
            variance: deviation * deviation,
            low: (loss - 2.0 * deviation).max(0.0),
            high: loss + 2.0 * deviation,
            confidence: Confidence::P95,
            doubts: Vec::new(),
        }
    }

    /// All of a tunnel's loss on the way up, none on the way down: half of the round trip would be wrong by 4 %.
    #[test]
    fn asymmetric_tunnels_are_taken_out() {
        let received = (0.92 * 0.95 * 1e6) as u64;
        let path = path_loss(
            1_000_000,
            received,
            &tunnel(0.08, 0.001),
            &tunnel(0.0, 0.0001),
        )
        .unwrap();
        assert!((path.loss - 0.05).abs() < 1e-5, "{path:?}");
        assert!(
            path.low < 0.05 && 0.05 < path.high && path.half_width() < 0.0025,
            "{path:?}"
        );
        let variance = 0.95f64.powi(2)
            * (0.001f64.powi(2) / 0.92f64.powi(2) + 0.0001f64.powi(2) + (1.0 / 0.874 - 1.0) / 1e6);
        assert!(
            (path.variance / variance - 1.0).abs() < 1e-4,
            "{path:?} {variance}"
        );
    }

    #[test]
    fn a_worse_known_tunnel_is_a_worse_known_path() {
        let path = |deviation| {
            path_loss(
                100_000,
                95_000,
                &tunnel(0.01, deviation),
                &tunnel(0.01, 0.001),
            )
            .unwrap()
        };
        assert!(path(0.004).half_width() > 1.5 * path(0.001).half_width());
    }

    #[test]
    fn a_lossless_path_has_an_interval_and_contradictions_are_said() {
        let clean = path_loss(1000, 1000, &tunnel(0.0, 1e-5), &tunnel(0.0, 1e-5)).unwrap();
        assert_eq!((clean.loss, clean.low), (0.0, 0.0));
        assert!(clean.high > 0.003, "{clean:?}");
        let absurd = path_loss(100_000, 100_000, &tunnel(0.2, 0.001), &tunnel(0.0, 1e-5)).unwrap();
        assert!(
            matches!(absurd.doubts[..], [Doubt::TunnelsLoseMore { .. }]),
            "{absurd:?}"
        );
        assert!(absurd.high > absurd.low, "{absurd:?}");
    }

    #[test]
    fn impossible_counts_are_refused() {
        let fine = tunnel(0.01, 0.001);
        assert!(matches!(
            path_loss(10, 11, &fine, &fine),
            Err(InferenceError::Inconsistent { .. })
        ));
        assert!(matches!(
            path_loss(0, 0, &fine, &fine),
            Err(InferenceError::NotIdentified(_))
        ));
        assert!(matches!(
            path_loss(10, 5, &tunnel(1.0, 0.0), &fine),
            Err(InferenceError::NotIdentified(_))
        ));
    }
}
