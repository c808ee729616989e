//! The path between the routers with the tunnels' one-way losses inferred, beside the half round trip rule.

use std::collections::BTreeSet;

use mvpnlab_emulator::scenario::Probability;

use super::Finding;
use super::facts::{Both, Facts, Pair};
use super::judge::Judge;
use super::path::{COVERAGE_ALPHA, Coverage, is_in, rows, true_loss, weighted};
use crate::claims::{IntervalClaim, OnewayRun, WayClaim};
use crate::report::format::percent;

/// A pair's three losses over the rows that have an inferred one.
struct Losses {
    pair: Pair,
    seen: f64,
    half: f64,
    inferred: f64,
}

/// Every pair's inferred path loss is near the truth, its rows' intervals hold it, and where the half round trip rule is
/// farthest off it is nearer.
pub fn path_loss_inferred(
    facts: &Facts,
    task: &str,
    within: Probability,
    half_off_at_least: Probability,
) -> Finding {
    let expected = format!(
        "inferred within {} of the taps where half the round trip is off by {} or more",
        percent(within.0),
        percent(half_off_at_least.0)
    );
    let mut judge = Judge::new("path-loss-inferred", task, expected);
    let mut coverage = Coverage::default();
    let pairs = facts.pairs(task, None, None);
    let found: Vec<Losses> = pairs
        .iter()
        .filter_map(|pair| losses(facts, task, pair, &mut coverage))
        .collect();
    for pair in &pairs {
        let is_there = found.iter().any(|losses| losses.pair == *pair);
        judge.demand(is_there, || format!("{pair}: nothing was inferred"));
    }
    for losses in &found {
        judge.judged(1);
        let off = (losses.inferred - losses.seen).abs();
        judge.demand(off <= within.0, || losses.words());
    }
    judge_coverage(&coverage, &mut judge);
    for pair in &pairs {
        judge_propagation(facts, task, pair, &mut judge);
    }
    let worst = found
        .iter()
        .max_by(|a, b| a.half_off().total_cmp(&b.half_off()));
    let Some(worst) = worst else {
        return judge.finish();
    };
    let off = |of: fn(&Losses) -> f64| found.iter().map(of).fold(0.0, f64::max);
    judge.ratio("half_error_max_share", off(Losses::half_off));
    judge.ratio("inferred_error_max_share", off(Losses::inferred_off));
    judge.demand(worst.half_off() >= half_off_at_least.0, || {
        format!("half the round trip is not so far off: {}", worst.words())
    });
    judge.demand(worst.inferred_off() < worst.half_off(), || {
        format!("half the round trip is nearer: {}", worst.words())
    });
    judge.finish()
}

impl Losses {
    fn half_off(&self) -> f64 {
        (self.half - self.seen).abs()
    }

    fn inferred_off(&self) -> f64 {
        (self.inferred - self.seen).abs()
    }

    fn words(&self) -> String {
        format!(
            "{}: true {}, inferred {}, half the round trip {}",
            self.pair,
            percent(self.seen),
            percent(self.inferred),
            percent(self.half)
        )
    }
}

fn losses(facts: &Facts, task: &str, pair: &Pair, coverage: &mut Coverage) -> Option<Losses> {
    let copies = facts.counted(task, pair);
    let mut rows = rows(facts, task, pair);
    rows.retain(|row| row.path_loss_inferred.is_some());
    let intervals: BTreeSet<(u32, u32, u64)> = rows
        .iter()
        .map(|row| (row.session, row.task, row.interval))
        .collect();
    let in_rows = |both: &&Both| {
        let interval = both.claim.and_then(|claim| claim.interval);
        interval.is_some_and(|i| intervals.contains(&(both.key.session, both.key.task, i)))
    };
    let of_rows: Vec<Both> = copies.iter().filter(in_rows).copied().collect();
    for row in &rows {
        let of_row: Vec<Both> = copies
            .iter()
            .copied()
            .filter(|both| is_in(both, row))
            .collect();
        let ends = row.path_loss_inferred_low.zip(row.path_loss_inferred_high);
        if let (Some((low, high)), Some(seen)) = (ends, true_loss(&of_row)) {
            coverage.handle(row, (low..=high).contains(&seen));
        }
    }
    let mean = |column: fn(&IntervalClaim) -> Option<f64>| weighted(&rows, column, |row| row.sent);
    Some(Losses {
        pair: pair.clone(),
        seen: true_loss(&of_rows)?,
        half: mean(|row| row.path_loss_half)?,
        inferred: mean(|row| row.path_loss_inferred)?,
    })
}

/// How far a tunnel's loss may be below its estimate is how far the path's may be above its own: as shares of what passes
/// the path's interval is no narrower there. Theirs are of the run's end; a window slides, hence some slack.
fn judge_propagation(facts: &Facts, task: &str, pair: &Pair, judge: &mut Judge) {
    const SLACK: f64 = 0.8;
    let open = |way: &WayClaim| (way.loss - way.low) / (1.0 - way.loss);
    let is_up = |run: &&OnewayRun| {
        let oneway = facts.scenario.oneway(&run.name);
        oneway.is_some_and(|oneway| oneway.up == pair.sender.0)
    };
    let runs = || facts.claims.oneways.iter();
    let ups = runs().filter(is_up).flat_map(|run| &run.ways);
    let ups = ups.filter(|way| way.direction == "up");
    let downs = runs().flat_map(|run| &run.ways);
    let downs = downs.filter(|way| way.direction == "down" && way.path == pair.receiver.0);
    let (up, down) = (
        ups.map(open).reduce(f64::min),
        downs.map(open).reduce(f64::min),
    );
    let widest = up.into_iter().chain(down).fold(0.0, f64::max);
    for row in rows(facts, task, pair) {
        let Some((loss, high)) = row.path_loss_inferred.zip(row.path_loss_inferred_high) else {
            continue;
        };
        judge.judged(1);
        let above = (high - loss) / (1.0 - loss);
        judge.demand(above >= SLACK * widest, || {
            format!(
                "{pair}, interval {}: +{} is less than what is open of a tunnel, {}",
                row.interval,
                percent(above),
                percent(widest)
            )
        });
    }
}

fn judge_coverage(coverage: &Coverage, judge: &mut Judge) {
    judge.judged(coverage.rows);
    if let Some(p_value) = coverage.p_value() {
        judge.figure("rows", coverage.rows);
        judge.figure("rows_outside", coverage.outside);
        judge.false_alarm(COVERAGE_ALPHA);
        judge.demand(p_value > COVERAGE_ALPHA, || {
            format!(
                "the interval misses the truth in {} of {} rows, far more than 5 in 100",
                coverage.outside, coverage.rows
            )
        });
    }
}
