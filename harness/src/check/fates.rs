//! Exact: the monitor's log, probe by probe, against the taps.

use mvpnlab_emulator::scenario::{Action, Span};

use super::Finding;
use super::facts::{Both, CLOCK_SLACK_NS, Copy, Facts};
use super::judge::Judge;
use crate::claims::ProbeClaim;
use crate::report::format::duration;

/// Every counted probe of the task that was sent in the window: received, lost, duplicates, reordered.
pub fn fates(facts: &Facts, task: &str, at_least: u64, from: Span, until: Option<Span>) -> Finding {
    let mut judge = Judge::new(
        "fates",
        task,
        format!("every fate as the taps saw it, at least {at_least} of them"),
    );
    let window = facts.at(from)..until.map_or(u64::MAX, |until| facts.at(until));
    let timeout = facts
        .scenario
        .task(task)
        .map_or(0, |task| task.loss_timeout.ns);
    let (mut lost, mut duplicates, mut reordered) = (0, 0, 0);
    for both in facts.task(task) {
        if both.is_warmup() || !window.contains(&both.sent_ns()) {
            continue;
        }
        let name = || name(facts, &both);
        match (both.truth, both.claim) {
            (Some(copy), Some(_)) if copy.unfinished => {}
            (Some(copy), Some(claim)) => {
                judge.judged(1);
                lost += u64::from(copy.lost());
                duplicates += copy.duplicates;
                reordered += u64::from(copy.reordered);
                if let Some(words) = differs(copy, claim, timeout) {
                    judge.offence(|| format!("{}: {words}", name()));
                }
            }
            (Some(_), None) if facts.is_optional(&both, task) => {}
            (Some(copy), None) => {
                judge.judged(1);
                let fate = if copy.lost() { "lost" } else { "received" };
                judge.offence(|| {
                    format!(
                        "{}: the taps saw it {fate}, the monitor's log does not have it",
                        name()
                    )
                });
            }
            (None, _) => {
                judge.judged(1);
                judge.offence(|| {
                    format!(
                        "{}: the monitor logged it, the taps never saw it expected",
                        name()
                    )
                });
            }
        }
    }
    let judged = judge.count();
    judge.demand(judged >= at_least, || {
        format!("only {judged} were there to be judged, at least {at_least} were expected")
    });
    judge.figure("lost", lost);
    judge.figure("duplicates", duplicates);
    judge.figure("reordered", reordered);
    if facts.claims.own_drops > 0 {
        judge.figure("dropped_by_monitor_itself", facts.claims.own_drops);
    }
    judge.finish()
}

fn name(facts: &Facts, both: &Both) -> String {
    let (sender, receiver) = (
        facts.tunnel_name(both.key.sender),
        facts.tunnel_name(both.key.receiver),
    );
    format!(
        "{sender} → {receiver} probe {} at {}",
        both.key.seq,
        facts.clock(both.sent_ns())
    )
}

/// How the claim differs from the truth, if it does.
fn differs(copy: &Copy, claim: &ProbeClaim, timeout_ns: u64) -> Option<String> {
    if claim.warmup {
        return Some("the monitor calls it warm-up, its own header does not".into());
    }
    if copy.lost() != claim.lost && !is_on_the_edge(copy, timeout_ns) {
        let fate = |lost: bool| if lost { "lost" } else { "received" };
        let seen = match copy.delay_ns().or(copy
            .first_arrival_ns
            .map(|at| at.cast_signed() - copy.sent_ns.cast_signed()))
        {
            Some(delay) => format!("arrive after {}", duration(delay)),
            None => match &copy.cause {
                Some((cause, place)) => format!("lost at {place} ({cause:?})"),
                None => "lost".into(),
            },
        };
        return Some(format!(
            "the monitor says {}, the taps saw it {seen}",
            fate(claim.lost)
        ));
    }
    if copy.lost() {
        return None;
    }
    if copy.duplicates != claim.duplicates {
        return Some(format!(
            "the monitor says {} duplicates, the taps saw {}",
            claim.duplicates, copy.duplicates
        ));
    }
    if copy.reordered != claim.reordered {
        let order = |reordered: bool| if reordered { "reordered" } else { "in order" };
        return Some(format!(
            "the monitor says {}, the taps saw it {}",
            order(claim.reordered),
            order(copy.reordered)
        ));
    }
    None
}

/// Arrived so close to the loss timeout that capture and taps may rightly differ.
fn is_on_the_edge(copy: &Copy, timeout_ns: u64) -> bool {
    copy.first_arrival_ns
        .is_some_and(|at| (at - copy.sent_ns).abs_diff(timeout_ns) < CLOCK_SLACK_NS)
}

/// At least so many duplicates were logged.
pub fn duplicates(facts: &Facts, task: &str, at_least: u64) -> Finding {
    tally(
        facts,
        "duplicates",
        task,
        at_least,
        |claim| claim.duplicates,
        |copy| copy.duplicates,
    )
}

/// At least so many probes were logged as reordered.
pub fn reordered(facts: &Facts, task: &str, at_least: u64) -> Finding {
    tally(
        facts,
        "reordered",
        task,
        at_least,
        |claim| claim.reordered.into(),
        |copy| copy.reordered.into(),
    )
}

fn tally(
    facts: &Facts,
    check: &str,
    task: &str,
    at_least: u64,
    claimed: fn(&ProbeClaim) -> u64,
    seen: fn(&Copy) -> u64,
) -> Finding {
    let mut judge = Judge::new(check, task, format!("at least {at_least} logged"));
    let (mut logged, mut truth) = (0, 0);
    for both in facts
        .task(task)
        .into_iter()
        .filter(|both| !both.is_warmup())
    {
        judge.judged(1);
        logged += both.claim.map_or(0, claimed);
        truth += both.truth.map_or(0, seen);
    }
    judge.demand(logged >= at_least, || {
        format!("{logged} logged, {truth} seen by the taps")
    });
    judge.figure("logged", logged);
    judge.figure("true", truth);
    judge.finish()
}

/// Results lost with the monitor's kill. A probe's fate is a result once it is decided, which is its loss timeout
/// after its sending: until then further copies may come.
pub fn log_lost_before_kill(facts: &Facts, at_most: Span) -> Finding {
    let expected = format!(
        "at most {} of results missing before the kill",
        duration(at_most.ns.cast_signed())
    );
    let mut judge = Judge::new("log-lost-before-kill", "", expected);
    for kill in facts
        .timeline
        .done
        .iter()
        .filter(|done| matches!(done.action, Action::MonitorKill {}))
    {
        let decided = facts
            .copies
            .iter()
            .map(|(key, copy)| (key, copy.sent_ns + facts.loss_timeout_ns(*key)));
        let before: Vec<_> = decided
            .filter(|(_, decided)| *decided < kill.began_ns)
            .collect();
        judge.judged(before.len() as u64);
        let missing = before
            .iter()
            .filter(|(key, _)| !facts.claims.probes.contains_key(key));
        let gap = missing
            .map(|(_, decided)| kill.began_ns - decided)
            .max()
            .unwrap_or(0);
        judge.figure("lost_ns", gap);
        judge.demand(gap <= at_most.ns, || {
            let gap = duration(gap.cast_signed());
            format!(
                "killed at {}, but the log misses a probe that was decided {gap} before",
                facts.clock(kill.began_ns)
            )
        });
    }
    judge.finish()
}
