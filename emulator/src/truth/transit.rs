//! Transits: do times on the way look like the delay, jitter and reordering that netem was asked for?

use super::binomial;
use crate::scenario::{Distribution, Impairment, Span};

/// Rounding of netem's delays, and of the clock's readings.
pub(super) const EARLY_NS: u64 = 2_000;
/// The machine may hold half of all frames up by this …
const TYPICAL_LATE_NS: u64 = 500_000;
/// … and all but one of a hundred, and one more, by this.
pub(super) const RARE_LATE_NS: u64 = 5_000_000;
/// netem's tables reach so many deviations.
const TABLE_REACH: u64 = 4;
/// netem's tables are not centred better than this share of the jitter.
const TABLE_BIAS: f64 = 0.1;
/// Standard errors that a mean may be off: a normal tail of 1e-15.
const MEAN_ERRORS: f64 = 8.0;

/// Times on the way, and what was asked for.
pub(super) struct Transits<'a> {
    pub(super) asked: &'a Impairment,
    pub(super) ns: &'a [u64],
    /// Probability that an honest netem is blamed.
    pub(super) alpha: f64,
}

impl Transits<'_> {
    /// None: they are what was asked for. What a rate adds is not judged here.
    pub(super) fn complaint(&self) -> Option<String> {
        let late = || match (self.asked.rate, self.jitter_ns()) {
            (Some(_), _) => None,
            (None, 0) => self.constant(),
            (None, _) => self.jittered(),
        };
        self.early().or_else(late)
    }

    fn delay_ns(&self) -> u64 {
        nanoseconds(self.asked.delay)
    }

    fn jitter_ns(&self) -> u64 {
        nanoseconds(self.asked.jitter)
    }

    /// A frame that takes less than this was sent at once.
    fn at_once_ns(&self) -> u64 {
        self.delay_ns()
            .saturating_sub(self.jitter_ns().saturating_mul(TABLE_REACH))
            .saturating_sub(EARLY_NS)
    }

    fn early(&self) -> Option<String> {
        let at_once_ns = self.at_once_ns();
        let early = self.ns.iter().filter(|ns| **ns < at_once_ns).count();
        let reorder = self.asked.reorder.map_or(0.0, |share| share.0);
        let probability = if at_once_ns > 0 { reorder } else { 0.0 };
        let surprising =
            binomial::p_value(early as u64, self.ns.len() as u64, probability) < self.alpha;
        surprising.then(|| {
            format!(
                "{early} of {} frames took less than the {} that was asked for at least, though {:.4} % was asked to be sent at once",
                self.ns.len(),
                millis(at_once_ns),
                reorder * 100.0
            )
        })
    }

    fn constant(&self) -> Option<String> {
        let delayed = self.ns.iter().filter(|ns| **ns >= self.at_once_ns());
        lateness(
            delayed
                .map(|ns| ns.saturating_sub(self.delay_ns()))
                .collect(),
            self.delay_ns(),
        )
    }

    fn jittered(&self) -> Option<String> {
        let reach = match self.asked.distribution {
            Some(Distribution::Normal | Distribution::Pareto) => TABLE_REACH,
            Some(Distribution::Uniform) | None => 1,
        };
        let (delay_ns, spread_ns) = (self.delay_ns(), reach * self.jitter_ns());
        let late = self
            .ns
            .iter()
            .filter(|ns| **ns > delay_ns + spread_ns + TYPICAL_LATE_NS)
            .count();
        if late > self.ns.len() / 100 + 1 {
            let allowed = millis(delay_ns + spread_ns);
            return Some(format!(
                "{late} of {} frames took more than the {allowed} that delay and jitter allow",
                self.ns.len()
            ));
        }
        // Where the spread reaches below zero, netem sends at once and the mean is not the delay; likewise when reordering.
        let has_mean = spread_ns <= delay_ns && self.asked.reorder.is_none() && !self.ns.is_empty();
        if has_mean { self.mean() } else { None }
    }

    fn mean(&self) -> Option<String> {
        let (delay_ns, jitter_ns, count) =
            (self.delay_ns(), self.jitter_ns(), self.ns.len() as f64);
        let mean = self.ns.iter().map(|ns| *ns as f64).sum::<f64>() / count;
        let allowed =
            jitter_ns as f64 * (MEAN_ERRORS / count.sqrt() + TABLE_BIAS) + TYPICAL_LATE_NS as f64;
        let off = (mean - delay_ns as f64).abs() > allowed;
        let (mean, delay, jitter) = (millis(mean as u64), millis(delay_ns), millis(jitter_ns));
        off.then(|| format!("frames took {mean} on average, though {delay} with a jitter of {jitter} was asked for"))
    }
}

/// How late frames were beyond what was asked; None: no later than a busy machine makes them.
pub(super) fn lateness(mut late_ns: Vec<u64>, delay_ns: u64) -> Option<String> {
    late_ns.sort_unstable();
    let typical = *late_ns.get(late_ns.len() / 2)?;
    let rare = *late_ns.get(late_ns.len().checked_sub(late_ns.len() / 100 + 2)?)?;
    (typical > TYPICAL_LATE_NS || rare > RARE_LATE_NS).then(|| {
        format!(
            "a delay of {} was asked for, and half of the frames took at least {}, one of a hundred {}",
            millis(delay_ns),
            millis(delay_ns + typical),
            millis(delay_ns + rare)
        )
    })
}

fn nanoseconds(span: Option<Span>) -> u64 {
    span.map_or(0, |span| span.ns)
}

fn millis(ns: u64) -> String {
    format!("{}.{:03} ms", ns / 1_000_000, ns / 1_000 % 1_000)
}
