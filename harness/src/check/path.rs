//! The path between the routers, tunnels removed: point estimate, identified interval, bias.

use std::collections::BTreeSet;

use mvpnlab_emulator::scenario::{Probability, Span};

use super::Finding;
use super::delay::mean;
use super::facts::{Both, Facts, Pair, Path};
use super::judge::Judge;
use super::statistics::binomial_p_value;
use crate::claims::IntervalClaim;
use crate::report::format::{duration, percent};

/// The monitor's loss intervals are of this confidence.
const LOSS_CONFIDENCE: f64 = 0.95;
/// False-alarm probability of judging their coverage.
pub(super) const COVERAGE_ALPHA: f64 = 1e-6;

/// The interval rows of a pair, over all runs of its task.
pub fn rows<'a>(facts: &'a Facts, task: &str, pair: &Pair) -> Vec<&'a IntervalClaim> {
    let runs: Vec<(u32, u32)> = facts
        .claims
        .runs(task)
        .map(|run| (run.session, run.task))
        .collect();
    let wanted = |row: &&IntervalClaim| {
        (row.sender, row.receiver) == (pair.sender.1, pair.receiver.1)
            && runs.contains(&(row.session, row.task))
    };
    facts.claims.intervals.iter().filter(wanted).collect()
}

/// A column's mean over the rows, weighted.
pub fn weighted(
    rows: &[&IntervalClaim],
    value: impl Fn(&IntervalClaim) -> Option<f64>,
    weight: impl Fn(&IntervalClaim) -> u64,
) -> Option<f64> {
    let (sum, weights) = rows
        .iter()
        .filter_map(|row| Some((value(row)?, weight(row) as f64)))
        .fold((0.0, 0.0), |(s, w), (v, x)| (s + v * x, w + x));
    (weights > 0.0).then(|| sum / weights)
}

/// The monitor's point estimate of a pair's mean path delay.
pub fn point_delay(facts: &Facts, task: &str, pair: &Pair) -> Option<i64> {
    let mean = weighted(
        &rows(facts, task, pair),
        |row| row.path_delay_half_ns.map(|ns| ns as f64),
        |row| row.received,
    )?;
    Some(mean.round() as i64)
}

/// The monitor's point estimate of a pair's path loss.
pub fn point_loss(facts: &Facts, task: &str, pair: &Pair) -> Option<f64> {
    weighted(
        &rows(facts, task, pair),
        |row| row.path_loss_half,
        |row| row.sent,
    )
}

/// Mean path delay of the received among these copies, as the taps saw it.
pub fn true_delay(copies: &[Both]) -> Option<i64> {
    let delays: Vec<i64> = copies
        .iter()
        .filter_map(|both| both.truth)
        .filter(|copy| !copy.lost())
        .filter_map(|copy| match copy.path {
            Path::Crossed { delay_ns } => Some(delay_ns),
            Path::NotTried | Path::Lost => None,
        })
        .collect();
    mean(&delays)
}

/// Share lost between the routers of those that came to the first.
pub fn true_loss(copies: &[Both]) -> Option<f64> {
    let tried = copies
        .iter()
        .filter_map(|both| both.truth)
        .filter(|copy| copy.path != Path::NotTried);
    let (tried, lost) = tried.fold((0u64, 0u64), |(tried, lost), copy| {
        (tried + 1, lost + u64::from(copy.path == Path::Lost))
    });
    (tried > 0).then(|| lost as f64 / tried as f64)
}

/// The half round trip rule's estimate of each pair's path delay, against the taps.
pub fn path_delay(facts: &Facts, task: &str, within: Span) -> Finding {
    let limit = within.ns.cast_signed();
    let mut judge = Judge::new(
        "path-delay",
        task,
        format!("point estimate within {} of the taps", duration(limit)),
    );
    let mut worst = 0;
    for pair in facts.pairs(task, None, None) {
        let (Some(point), Some(seen)) = (
            point_delay(facts, task, &pair),
            true_delay(&facts.counted(task, &pair)),
        ) else {
            continue;
        };
        let error = point - seen;
        judge.judged(1);
        worst = worst.max(error.abs());
        judge.demand(error.abs() <= limit, || {
            format!(
                "{pair}: estimated {}, true {}",
                duration(point),
                duration(seen)
            )
        });
    }
    judge.figure("error_max_ns", worst);
    judge.finish()
}

/// The point estimate is off by at least this: what asymmetric tunnels do to the half round trip rule.
pub fn path_bias(
    facts: &Facts,
    task: &str,
    sender: &str,
    receiver: &str,
    at_least: Span,
) -> Finding {
    let limit = at_least.ns.cast_signed();
    let about = format!("{task}, {sender} → {receiver}");
    let mut judge = Judge::new(
        "path-bias",
        about,
        format!("point estimate off by at least {}", duration(limit)),
    );
    for pair in facts.pairs(task, Some(sender), Some(receiver)) {
        let (Some(point), Some(seen)) = (
            point_delay(facts, task, &pair),
            true_delay(&facts.counted(task, &pair)),
        ) else {
            continue;
        };
        judge.judged(1);
        judge.figure("bias_ns", point - seen);
        judge.demand((point - seen).abs() >= limit, || {
            format!("estimated {}, true {}", duration(point), duration(seen))
        });
    }
    judge.finish()
}

/// The estimate of each pair's path loss, against the taps.
pub fn path_loss(facts: &Facts, task: &str, within: Probability) -> Finding {
    let mut judge = Judge::new(
        "path-loss",
        task,
        format!("point estimate within {} of the taps", percent(within.0)),
    );
    let mut worst: f64 = 0.0;
    for pair in facts.pairs(task, None, None) {
        let (Some(point), Some(seen)) = (
            point_loss(facts, task, &pair),
            true_loss(&facts.counted(task, &pair)),
        ) else {
            continue;
        };
        judge.judged(1);
        worst = worst.max((point - seen).abs());
        judge.demand((point - seen).abs() <= within.0, || {
            format!(
                "{pair}: estimated {}, true {}",
                percent(point),
                percent(seen)
            )
        });
    }
    judge.ratio("error_max_share", worst);
    judge.finish()
}

/// The identified interval of each row holds the truth: of delay always, of loss as often as its confidence says.
pub fn path_interval(
    facts: &Facts,
    task: &str,
    tolerance: Option<Span>,
    narrower_than: Option<Span>,
) -> Finding {
    let slack = tolerance.map_or(0, |span| span.ns.cast_signed());
    let widest = narrower_than.map(|span| span.ns.cast_signed());
    let mut judge = Judge::new(
        "path-interval",
        task,
        "the interval of delay holds the truth in every row, that of loss in 95 of 100",
    );
    let mut loss = Coverage::default();
    let mut widths = Vec::new();
    for pair in facts.pairs(task, None, None) {
        let copies = facts.counted(task, &pair);
        for row in rows(facts, task, &pair) {
            let of_row: Vec<Both> = copies
                .iter()
                .copied()
                .filter(|both| is_in(both, row))
                .collect();
            if let (Some(low), Some(high), Some(seen)) = (
                row.path_delay_low_ns,
                row.path_delay_high_ns,
                true_delay(&of_row),
            ) {
                judge.judged(1);
                widths.push(high - low);
                judge.demand(widest.is_none_or(|widest| high - low < widest), || {
                    format!(
                        "{pair}, interval {}: {} … {} is {} wide",
                        row.interval,
                        duration(low),
                        duration(high),
                        duration(high - low)
                    )
                });
                judge.demand((low - slack..=high + slack).contains(&seen), || {
                    format!(
                        "{pair}, interval {}: {} … {} does not hold {}",
                        row.interval,
                        duration(low),
                        duration(high),
                        duration(seen)
                    )
                });
            }
            if let (Some(low), Some(high), Some(seen)) =
                (row.path_loss_low, row.path_loss_high, true_loss(&of_row))
            {
                loss.handle(row, (low..=high).contains(&seen));
            }
        }
    }
    judge.judged(loss.rows);
    if let Some(p_value) = loss.p_value() {
        judge.figure("loss_rows_outside", loss.outside);
        judge.false_alarm(COVERAGE_ALPHA);
        judge.demand(p_value > COVERAGE_ALPHA, || {
            format!(
                "the interval of loss misses the truth in {} of {} rows, far more than 5 in 100",
                loss.outside, loss.rows
            )
        });
    }
    judge.figure("delay_interval_width_mean_ns", mean(&widths).unwrap_or(0));
    judge.finish()
}

pub(super) fn is_in(both: &Both, row: &IntervalClaim) -> bool {
    both.claim
        .is_some_and(|claim| claim.interval == Some(row.interval))
        && (both.key.session, both.key.task) == (row.session, row.task)
}

/// How often intervals of loss hold the truth.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    pub(super) rows: u64,
    pub(super) outside: u64,
    /// Rows that share a tunnel and an interval share its ping losses: only so many are independent.
    groups: BTreeSet<(u32, u32, u64, u32)>,
}

impl Coverage {
    pub(super) fn handle(&mut self, row: &IntervalClaim, holds: bool) {
        self.rows += 1;
        self.outside += u64::from(!holds);
        self.groups
            .insert((row.session, row.task, row.interval, row.sender));
    }

    /// One-sided: too few misses are no fault.
    pub(super) fn p_value(&self) -> Option<f64> {
        let independent = self.groups.len() as u64;
        if self.rows == 0 {
            return None;
        }
        let outside = (self.outside as f64 / self.rows as f64 * independent as f64).floor() as u64;
        let expected = (1.0 - LOSS_CONFIDENCE) * independent as f64;
        Some(if outside as f64 <= expected {
            1.0
        } else {
            binomial_p_value(outside, independent, 1.0 - LOSS_CONFIDENCE)
        })
    }
}
