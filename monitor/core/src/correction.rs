//! Taking the tunnels' part out of what was measured (VS-06).
//!
//! A probe travels monitor -> PE i -> PE j -> monitor. Wanted is the middle. A ping over a
//! tunnel travels monitor -> PE -> monitor.
//!
//! **What one host can identify.** Of a tunnel's two directions a round trip shows the sum of
//! the delays and the product of the pass rates, never each alone. All splits of a round trip
//! explain every measurement equally well, so no estimator that uses only these measurements
//! can tell them apart, however many probes it sends. Therefore two answers:
//!
//! - *half*: the paper's rule (§3.1). Half of each round trip's delay and loss belongs to each
//!   direction. Exact where tunnels are symmetric, wrong by half the asymmetry where not.
//! - *low, high*: what is identified. The way up to PE i takes between nothing and its round
//!   trip; so does the way down from PE j. Hence the path takes at least
//!   `total - RTT_i - RTT_j` (and not less than nothing), at most `total`. Pass rates
//!   likewise: the path's is at least the total's, at most `total / (R_i R_j)`.
//!   Both ends are attained by some network, so the interval cannot be made narrower.
//!
//! A router whose own clock is known to be near ours and which says what it shows ([`crate::router_clock`]) takes the
//! place of its round trip: the path takes at least `total - up_high - down_high`, at most `total - up_low - down_low`.
//!
//! Assumed in both: pings and probes meet the same conditions, that is, the tunnel treats
//! them alike and the router answers an echo without delay of its own. A router that answers
//! slowly makes the low end too low, which keeps the truth inside.
//!
//! Delay bounds are about means over the same time and carry no sampling error. Loss bounds
//! do: each of the three rates is replaced by the end of its Wilson interval, at a level that
//! leaves 95 % for the three together (Bonferroni). Wilson assumes independent losses; under
//! bursts the true level is lower.

use crate::fault::{Fault, Planted};
use crate::inference::{Doubt, Estimate, path_loss};
use crate::oneway::Inferred;
use crate::oneway::report::DelayRange;
use crate::report::{Corrected, PairCounts, PairResult};
use crate::router_clock::WaySums;

/// Normal quantile for three two-sided intervals that hold together with 95 %: 1 - 0.05/6.
const Z_THREE_AT_95: f64 = 2.393_98;

/// The pings of one tunnel over the time in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoundTrips {
    /// Echo requests sent and decided.
    pub sent: u64,
    /// Of these, without a timely answer.
    pub lost: u64,
    /// Sum of the round trip times of the others, in nanoseconds.
    pub rtt_sum_ns: i128,
    /// What the router's own clock says, where it is asked.
    pub ways: WaySums,
}

impl RoundTrips {
    /// Adds those of another time.
    pub fn add(&mut self, other: RoundTrips) {
        self.sent += other.sent;
        self.lost += other.lost;
        self.rtt_sum_ns += other.rtt_sum_ns;
        self.ways.add(other.ways);
    }

    /// Mean round trip time in nanoseconds; `None` without an answer.
    pub fn mean_ns(&self) -> Option<i64> {
        let answered = self.sent.saturating_sub(self.lost);
        (answered > 0).then(|| (self.rtt_sum_ns / i128::from(answered)) as i64)
    }

    /// The mean delay of the way up: all that is known where the router's clock is not asked is that it takes no longer
    /// than a round trip. `None` without an answer.
    fn up(&self) -> Option<DelayRange> {
        self.ways.up().or_else(|| self.within_round_trip())
    }

    /// The same of the way down.
    fn down(&self) -> Option<DelayRange> {
        self.ways.down().or_else(|| self.within_round_trip())
    }

    fn within_round_trip(&self) -> Option<DelayRange> {
        self.mean_ns()
            .map(|high_ns| DelayRange { low_ns: 0, high_ns })
    }

    /// Loss rate; `None` without a ping.
    pub fn loss(&self) -> Option<f64> {
        ratio(self.lost, self.sent)
    }
}

/// Removes the tunnels' part from a pair's mean delay and loss.
pub fn correct(
    counts: &PairCounts,
    mean_delay_ns: Option<i64>,
    sender: &RoundTrips,
    receiver: &RoundTrips,
    fault: Planted,
) -> Corrected {
    let delay = mean_delay_ns.and_then(|total| correct_delay(total, sender, receiver, fault));
    let loss = correct_loss(counts, sender, receiver, fault);
    Corrected {
        sender_rtt_ns: sender.mean_ns(),
        receiver_rtt_ns: receiver.mean_ns(),
        sender_ping_loss: sender.loss(),
        receiver_ping_loss: receiver.loss(),
        delay_half_ns: delay.map(|d| d.half_ns),
        delay_low_ns: delay.map(|d| d.low_ns),
        delay_high_ns: delay.map(|d| d.high_ns),
        loss_half: loss.map(|l| l.half),
        loss_low: loss.map(|l| l.low),
        loss_high: loss.map(|l| l.high),
        loss_inferred: None,
        loss_inferred_low: None,
        loss_inferred_high: None,
        inferred_from: Vec::new(),
    }
}

/// Removes the tunnels' one-way losses from a pair's, where they have been inferred (OL-10). What contradicts them
/// beyond chance is left uncorrected: then they were not measured under the same conditions.
pub(crate) fn correct_by_inference(
    pair: &mut PairResult,
    inferred: Option<&Inferred<'_>>,
    fault: Planted,
) {
    let Some(inferred) = inferred else {
        return;
    };
    let certain = |estimate: &Estimate| Estimate {
        variance: 0.0,
        low: estimate.loss,
        high: estimate.loss,
        ..estimate.clone()
    };
    let (up, down) = match fault.is(Fault::InferenceErrorForgotten) {
        true => (certain(inferred.up), certain(inferred.down)),
        false => (inferred.up.clone(), inferred.down.clone()),
    };
    let Ok(path) = path_loss(pair.counts.sent, pair.counts.received, &up, &down) else {
        return;
    };
    let contradicts = |doubt: &Doubt| matches!(doubt, Doubt::TunnelsLoseMore { .. });
    if path.doubts.iter().any(contradicts) {
        return;
    }
    let corrected = &mut pair.corrected;
    corrected.loss_inferred = Some(path.loss);
    corrected.loss_inferred_low = Some(path.low);
    corrected.loss_inferred_high = Some(path.high);
    corrected.inferred_from.clone_from(&inferred.from);
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Delay {
    half_ns: i64,
    low_ns: i64,
    high_ns: i64,
}

fn correct_delay(
    total_ns: i64,
    sender: &RoundTrips,
    receiver: &RoundTrips,
    fault: Planted,
) -> Option<Delay> {
    let round_trips = sender.mean_ns()? + receiver.mean_ns()?;
    let (up, down) = (sender.up()?, receiver.down()?);
    let removed = if fault.is(Fault::WholeRoundTrip) {
        round_trips
    } else {
        round_trips / 2
    };
    let low_ns = (total_ns - up.high_ns - down.high_ns).max(0);
    Some(Delay {
        half_ns: total_ns - removed,
        low_ns,
        high_ns: (total_ns - up.low_ns - down.low_ns).max(low_ns),
    })
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Loss {
    half: f64,
    low: f64,
    high: f64,
}

fn correct_loss(
    counts: &PairCounts,
    sender: &RoundTrips,
    receiver: &RoundTrips,
    fault: Planted,
) -> Option<Loss> {
    let total = ratio(counts.received, counts.sent)?;
    let (up, down) = (sender.loss()?, receiver.loss()?);
    let removed = if fault.is(Fault::TunnelLossNotRemoved) {
        1.0
    } else {
        (1.0 - up / 2.0) * (1.0 - down / 2.0)
    };
    let (total_low, total_high) = wilson(counts.received, counts.sent, Z_THREE_AT_95);
    let pass_low =
        |trips: &RoundTrips| wilson(trips.sent - trips.lost, trips.sent, Z_THREE_AT_95).0;
    let tunnels_low = pass_low(sender) * pass_low(receiver);
    let path_high = if tunnels_low > 0.0 {
        (total_high / tunnels_low).min(1.0)
    } else {
        1.0
    };
    Some(Loss {
        half: (1.0 - total / removed).clamp(0.0, 1.0),
        low: 1.0 - path_high,
        high: 1.0 - total_low,
    })
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Wilson's score interval for a proportion, at normal quantile `z`: `(0, 1)` without trials.
pub fn wilson(successes: u64, trials: u64, z: f64) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let n = trials as f64;
    let p = successes as f64 / n;
    let z2 = z * z;
    let centre = p + z2 / (2.0 * n);
    let spread = z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    (
        ((centre - spread) / scale).max(0.0),
        ((centre + spread) / scale).min(1.0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn trips(sent: u64, lost: u64, rtt_ms: i64) -> RoundTrips {
        RoundTrips {
            sent,
            lost,
            rtt_sum_ns: i128::from(rtt_ms * MS) * i128::from(sent - lost),
            ..RoundTrips::default()
        }
    }

    fn counts(sent: u64, received: u64) -> PairCounts {
        PairCounts {
            sent,
            received,
            lost: sent - received,
            ..PairCounts::default()
        }
    }

    #[test]
    fn symmetric_tunnels_are_removed_exactly() {
        let c = correct(
            &counts(100, 100),
            Some(60 * MS),
            &trips(10, 0, 20),
            &trips(10, 0, 40),
            Planted::NONE,
        );
        assert_eq!(c.delay_half_ns, Some(30 * MS));
        assert_eq!((c.delay_low_ns, c.delay_high_ns), (Some(0), Some(60 * MS)));
    }

    /// All of a 30 ms round trip on the way up, none on the way down: the half rule errs by
    /// 15 ms, and the interval still holds the true 25 ms.
    #[test]
    fn asymmetric_tunnels_bias_the_half_and_stay_in_the_interval() {
        let total = 30 + 25;
        let c = correct(
            &counts(100, 100),
            Some(total * MS),
            &trips(10, 0, 30),
            &trips(10, 0, 0),
            Planted::NONE,
        );
        assert_eq!(c.delay_half_ns, Some(40 * MS));
        assert!(c.delay_low_ns <= Some(25 * MS) && Some(25 * MS) <= c.delay_high_ns);
    }

    #[test]
    fn loss_of_symmetric_tunnels_is_removed() {
        // Each tunnel loses 2 % of round trips, the path itself 5 %.
        let total = (0.95f64 * 0.99 * 0.99 * 1e6) as u64;
        let tunnel = trips(1_000_000, 20_000, 10);
        let c = correct(
            &counts(1_000_000, total),
            None,
            &tunnel,
            &tunnel,
            Planted::NONE,
        );
        assert!((c.loss_half.unwrap() - 0.05).abs() < 1e-5, "{c:?}");
        assert!(c.loss_low.unwrap() < 0.05 && 0.05 < c.loss_high.unwrap());
    }

    #[test]
    fn nothing_measured_is_nothing_claimed() {
        let c = correct(
            &counts(0, 0),
            None,
            &RoundTrips::default(),
            &RoundTrips::default(),
            Planted::NONE,
        );
        assert_eq!(
            (c.delay_half_ns, c.loss_half, c.loss_low),
            (None, None, None)
        );
        let c = correct(
            &counts(10, 10),
            Some(MS),
            &trips(5, 5, 0),
            &trips(5, 0, 1),
            Planted::NONE,
        );
        assert_eq!(c.delay_half_ns, None, "no answer over the sender's tunnel");
        assert_eq!(c.loss_low, Some(0.0));
    }

    /// Newcombe (1998), table I: 81 of 263 at 95 % is 0.2553 to 0.3662; 0 of 20 up to 0.1611.
    #[test]
    fn wilson_agrees_with_published_values() {
        let z = 1.959_964;
        let (low, high) = wilson(81, 263, z);
        assert!(
            (low - 0.2553).abs() < 5e-5 && (high - 0.3662).abs() < 5e-5,
            "{low} {high}"
        );
        let (low, high) = wilson(0, 20, z);
        assert!(low == 0.0 && (high - 0.1611).abs() < 5e-5, "{high}");
        assert_eq!(wilson(0, 0, z), (0.0, 1.0));
    }
}
