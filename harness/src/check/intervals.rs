//! Exact: the interval rows against the log, and against the number of probes that the taps counted.

use std::collections::BTreeMap;

use super::Finding;
use super::facts::Facts;
use super::judge::Judge;
use crate::claims::{IntervalClaim, ProbeClaim, TaskRun};

/// Session, task, interval, sender, receiver.
type Cell = (u32, u32, u64, u32, u32);

/// Sums of one pair in one interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    sent: u64,
    received: u64,
    lost: u64,
    duplicates: u64,
    reordered: u64,
}

impl Sums {
    fn handle(&mut self, claim: &ProbeClaim) {
        self.sent += 1;
        self.received += u64::from(!claim.lost);
        self.lost += u64::from(claim.lost);
        self.duplicates += claim.duplicates;
        self.reordered += u64::from(claim.reordered);
    }

    fn of(row: &IntervalClaim) -> Self {
        Self {
            sent: row.sent,
            received: row.received,
            lost: row.lost,
            duplicates: row.duplicates,
            reordered: row.reordered,
        }
    }
}

/// Every probe in the interval of its send time, every row the sum of its probes, no row missing.
pub fn intervals(facts: &Facts, task: &str) -> Finding {
    let mut judge = Judge::new(
        "intervals",
        task,
        "every row adds up to its probes, and no row or probe is missing",
    );
    let length = facts.scenario.task(task).map_or(0, |task| task.interval.ns);
    for run in facts.claims.runs(task) {
        let sums = probes(facts, run, length, &mut judge);
        rows(facts, run, length, &sums, &mut judge);
        truth(facts, run, task, &mut judge);
    }
    judge.finish()
}

/// Adds the log up by the interval that each probe's own send time puts it in.
fn probes(facts: &Facts, run: &TaskRun, length: u64, judge: &mut Judge) -> BTreeMap<Cell, Sums> {
    let mut sums: BTreeMap<Cell, Sums> = BTreeMap::new();
    let log = facts
        .claims
        .probes
        .iter()
        .filter(|(key, _)| (key.session, key.task) == (run.session, run.task));
    for (key, claim) in log.filter(|(_, claim)| !claim.warmup) {
        let due = claim
            .sent_ns
            .checked_sub(run.epoch_ns)
            .and_then(|since| since.checked_div(length));
        judge.judged(1);
        judge.demand(due == claim.interval, || {
            format!(
                "{} → {} probe {}: sent {} after the first interval began, counted in interval {:?} rather than {due:?}",
                facts.tunnel_name(key.sender),
                facts.tunnel_name(key.receiver),
                key.seq,
                crate::report::format::duration(claim.sent_ns.cast_signed() - run.epoch_ns.cast_signed()),
                claim.interval,
            )
        });
        let Some(interval) = due else { continue };
        sums.entry((run.session, run.task, interval, key.sender, key.receiver))
            .or_default()
            .handle(claim);
    }
    sums
}

/// Each row against the sums; then the sums that no row speaks of.
fn rows(facts: &Facts, run: &TaskRun, length: u64, sums: &BTreeMap<Cell, Sums>, judge: &mut Judge) {
    let mut spoken = BTreeMap::new();
    for row in facts
        .claims
        .intervals
        .iter()
        .filter(|row| (row.session, row.task) == (run.session, run.task))
    {
        let cell = (
            row.session,
            row.task,
            row.interval,
            row.sender,
            row.receiver,
        );
        let name = || {
            format!(
                "interval {} of {} → {}",
                row.interval,
                facts.tunnel_name(row.sender),
                facts.tunnel_name(row.receiver)
            )
        };
        judge.judged(1);
        judge.demand(spoken.insert(cell, ()).is_none(), || {
            format!("{}: there are two rows", name())
        });
        let start = run.epoch_ns + row.interval * length;
        judge.demand(
            row.start_ns == start && row.end_ns <= start + length,
            || {
                format!(
                    "{}: it should begin at {} and does at {}",
                    name(),
                    facts.clock(start),
                    facts.clock(row.start_ns)
                )
            },
        );
        let due = sums.get(&cell).copied().unwrap_or_default();
        judge.demand(Sums::of(row) == due, || {
            format!(
                "{}: the row says {:?}, the log adds up to {due:?}",
                name(),
                Sums::of(row)
            )
        });
    }
    let cut_off = |interval: u64| {
        !run.finished
            && run.epoch_ns + (interval + 1) * length + facts_slack(facts, run) > last(facts, run)
    };
    for ((_, _, interval, sender, receiver), due) in
        sums.iter().filter(|(cell, _)| !spoken.contains_key(cell))
    {
        if cut_off(*interval) {
            continue;
        }
        judge.judged(1);
        judge.offence(|| {
            format!(
                "interval {interval} of {} → {}: there is no row for its {} probes",
                facts.tunnel_name(*sender),
                facts.tunnel_name(*receiver),
                due.sent
            )
        });
    }
}

/// A run that was killed owes no row for intervals that were not over and decided yet.
fn facts_slack(facts: &Facts, run: &TaskRun) -> u64 {
    facts
        .scenario
        .task(&run.name)
        .map_or(0, |task| task.loss_timeout.ns)
        + 1_000_000_000
}

/// The last send time in the run's log.
fn last(facts: &Facts, run: &TaskRun) -> u64 {
    let log = facts
        .claims
        .probes
        .iter()
        .filter(|(key, _)| (key.session, key.task) == (run.session, run.task));
    log.map(|(_, claim)| claim.sent_ns).max().unwrap_or(0)
}

/// Where the run came to its end, rows must count as many probes as the taps did.
fn truth(facts: &Facts, run: &TaskRun, task: &str, judge: &mut Judge) {
    if !run.finished {
        return;
    }
    for pair in facts.pairs(task, None, None) {
        let of_run = |both: &&super::facts::Both<'_>| {
            (both.key.session, both.key.task) == (run.session, run.task)
        };
        let copies = facts.counted(task, &pair);
        let due = copies
            .iter()
            .filter(of_run)
            .filter(|both| both.truth.is_some() && !facts.is_optional(both, task))
            .count() as u64;
        let possible = copies
            .iter()
            .filter(of_run)
            .filter(|both| both.truth.is_some())
            .count() as u64;
        let rows = facts.claims.intervals.iter().filter(|row| {
            (row.session, row.task, row.sender, row.receiver)
                == (run.session, run.task, pair.sender.1, pair.receiver.1)
        });
        let counted: u64 = rows.map(|row| row.sent).sum();
        judge.judged(1);
        judge.demand((due..=possible).contains(&counted), || {
            format!("{pair}: the rows count {counted} probes in all, the taps {possible}")
        });
    }
}
