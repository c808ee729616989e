//! What the monitor's database says of the past, against what the monitor said when that was the present.

use std::collections::BTreeMap;

use vmscope_core::control::Answer;
use vmscope_core::view::{Cause, Key, Record, State};

use super::Finding;
use super::facts::Facts;
use super::judge::Judge;
use crate::claims::history::{Changes, History, Listening, SLACK_NS, States, is_in_doubt};

/// What holds, by key, and since when (monotonic nanoseconds, or UTC: see where it comes from).
type Known = BTreeMap<Key, (State, i64)>;

/// For every checkpoint, and for just before and after every change, the database knows what the monitor said then; and
/// its changes, from the first on, lead to the same.
pub fn history(facts: &Facts, mvpn: &str) -> Finding {
    let expected = "the past is what the monitor said when it was the present";
    let mut judge = Judge::new("history", mvpn, expected);
    let Some(history) = &facts.history else {
        judge.offence(|| "the monitor's database could not be asked".into());
        return judge.finish();
    };
    let answers = history.moments.get(mvpn);
    for (at_ns, answer) in answers.into_iter().flatten() {
        let told = told_until(facts, history, mvpn, *at_ns);
        judge_moment(&mut judge, facts, (*at_ns, answer), &told);
    }
    judge.figure("moments", answers.map_or(0, BTreeMap::len));
    judge_checkpoints(&mut judge, facts, history, mvpn);
    judge.finish()
}

fn judge_moment(
    judge: &mut Judge,
    facts: &Facts,
    (at_ns, answer): (u64, &Result<States, String>),
    told: &Known,
) {
    let when = format!("at {}", facts.clock(at_ns));
    let states = match answer {
        Ok(states) => states,
        Err(problem) => return judge.offence(|| format!("{when}: {problem}")),
    };
    judge.demand(states.listening == Listening::Yes {}, || {
        format!("{when}: the database says that nobody listened")
    });
    let held: Known = states
        .states
        .iter()
        .map(|held| (held.key, (held.state.clone(), held.since_ns)))
        .collect();
    judge.demand(held.len() == states.states.len(), || {
        format!("{when}: the database gives a key two states")
    });
    same(judge, &format!("{when}: the database"), &held, told);
}

/// At every checkpoint: what the monitor said when it was asked is what its changes have led to, those that it told and
/// those that it wrote down.
fn judge_checkpoints(judge: &mut Judge, facts: &Facts, history: &History, mvpn: &str) {
    let written = match history.changes.get(mvpn) {
        Some(Ok(written)) => written,
        Some(Err(problem)) => return judge.offence(|| format!("changes: {problem}")),
        None => return judge.offence(|| "nobody asked for the changes".into()),
    };
    judge.figure("changes", written.changes.len());
    let checkpoints = facts.claims.checkpoints.iter();
    for checkpoint in checkpoints.filter(|checkpoint| checkpoint.mvpn == mvpn) {
        let Answer::MvpnState { at_ns, records, .. } = &checkpoint.said else {
            judge.offence(|| "the monitor said no state".into());
            continue;
        };
        let at_ns = at_ns.as_ns();
        let when = format!("at {}", facts.clock(at_ns));
        let said = records.iter().map(|record| known(history, record));
        let said: Known = said.collect();
        let told = told_until(facts, history, mvpn, at_ns);
        same(judge, &format!("{when}: the changes told"), &told, &said);
        if is_in_doubt(facts.claims, mvpn, at_ns) {
            continue;
        }
        let replayed = replay(judge, written, history.utc_ns(at_ns));
        let what = format!("{when}: the changes written down");
        same(judge, &what, &replayed, &said);
    }
}

fn known(history: &History, record: &Record) -> (Key, (State, i64)) {
    let since_ns = history.utc_ns(record.since.as_ns());
    (record.key, (record.state.clone(), since_ns))
}

/// What the changes that the monitor told of lead to.
fn told_until(facts: &Facts, history: &History, mvpn: &str, until_ns: u64) -> Known {
    let mut state = Known::new();
    let changes = facts.claims.changes.iter().map(|told| &told.what);
    let until = changes.filter(|c| c.mvpn.as_str() == mvpn && c.at.as_ns() <= until_ns);
    for change in until.filter(|change| change.cause != Cause::Unwatched) {
        if let Some(before) = &change.before {
            state.remove(&before.key);
        }
        state.extend(change.after.as_ref().map(|record| known(history, record)));
    }
    state
}

/// What the changes in the database lead to. Each must begin where the last one of its key has ended.
fn replay(judge: &mut Judge, written: &Changes, until_ns: i64) -> Known {
    let mut state = Known::new();
    for turn in written.changes.iter().filter(|turn| turn.at_ns <= until_ns) {
        let Some(key) = turn.after.as_ref().or(turn.before.as_ref()).map(|h| h.key) else {
            judge.offence(|| format!("a change of nothing at {} ns", turn.at_ns));
            continue;
        };
        let before = state.remove(&key).map(|(state, _)| state);
        let continues = before.as_ref() == turn.before.as_ref().map(|held| &held.state);
        judge.demand(continues, || {
            format!(
                "the change of {key:?} at {} ns begins with {:?}, the one before it ended with {before:?}",
                turn.at_ns, turn.before
            )
        });
        let after = turn.after.as_ref();
        state.extend(after.map(|held| (held.key, (held.state.clone(), held.since_ns))));
    }
    state
}

fn same(judge: &mut Judge, what: &str, found: &Known, wanted: &Known) {
    judge.judged(1 + wanted.len() as u64);
    for (key, (state, since_ns)) in wanted {
        match found.get(key) {
            None => judge.offence(|| format!("{what} does not know {key:?}: {state:?}")),
            Some((other, _)) if other != state => {
                judge.offence(|| format!("{what} says of {key:?} {other:?} instead of {state:?}"))
            }
            Some((_, since)) if since.abs_diff(*since_ns) > SLACK_NS => judge.offence(|| {
                format!("{what} knows {key:?} since {since} ns UTC instead of {since_ns}")
            }),
            Some(_) => {}
        }
    }
    for (key, (state, _)) in found.iter().filter(|(key, _)| !wanted.contains_key(key)) {
        judge.offence(|| format!("{what} invents {key:?}: {state:?}"));
    }
}
