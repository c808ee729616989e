//! Who is in an MVPN, for people: now by the monitor, then by a database.

use jiff::Timestamp;
use vmscope_core::time::Instant;
use vmscope_core::view::{Cause, Change, Heard, Key, Record, State};
use vmscope_store::mvpn::{Changes, Differences, Held, Listening, States, Utc};

use super::table::Column::{Number, Words};
use super::table::table;
use super::units;

/// What holds now.
pub fn state(at: Instant, records: &[Record], heard: &Heard) -> String {
    let columns = [
        Words("what"),
        Words("PE"),
        Words("about"),
        Words("state"),
        Number("for"),
        Number("repeated"),
        Number("ends in"),
    ];
    let rows = records.iter().map(|record| {
        vec![
            record.key.kind().to_owned(),
            record.key.pe().to_string(),
            subject(&record.key),
            words(&record.state),
            units::duration(at.since(record.since).as_ns()),
            record.refreshes.to_string(),
            record.expires.map_or_else(
                || "never".to_owned(),
                |end| units::duration(end.since(at).as_ns()),
            ),
        ]
    });
    format!("{}{}\n", table(&columns, rows), of_heard(heard))
}

fn of_heard(heard: &Heard) -> String {
    let pim = heard
        .pim
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"));
    let mut parts: Vec<String> = pim.collect();
    let others = [
        (heard.mdt_joins, "MDT Join"),
        (heard.from_strangers, "from PEs that said no Hello"),
        (heard.malformed, "malformed"),
        (heard.other, "of other protocols"),
        (heard.unlisted, "statements without room"),
    ];
    let some = others.iter().filter(|(count, _)| *count > 0);
    parts.extend(some.map(|(count, what)| format!("{count} {what}")));
    match parts.is_empty() {
        true => "nothing heard yet".to_owned(),
        false => format!("heard: {}", parts.join(", ")),
    }
}

/// A change, in a line.
pub fn change(change: &Change) -> String {
    let line = match (&change.before, &change.after) {
        (None, Some(now)) => format!("+ {}", statement(&now.key, &now.state)),
        (Some(was), Some(now)) => format!(
            "~ {}, before: {}",
            statement(&now.key, &now.state),
            words(&was.state)
        ),
        (Some(was), None) => format!("- {}", statement(&was.key, &was.state)),
        (None, None) => "nothing".to_owned(),
    };
    format!("{} {line}{}\n", change.mvpn, because(change.cause))
}

fn because(cause: Cause) -> String {
    match cause {
        Cause::Said => String::new(),
        Cause::TakenBack | Cause::Expired | Cause::Restarted | Cause::Unwatched => {
            format!(" ({})", cause.as_str())
        }
    }
}

/// What held once.
pub fn past_state(states: &States) -> String {
    let columns = [
        Words("what"),
        Words("PE"),
        Words("about"),
        Words("state"),
        Words("since"),
        Words("until"),
        Number("repeated"),
    ];
    let rows = states.states.iter().map(|held| {
        vec![
            held.key.kind().to_owned(),
            held.key.pe().to_string(),
            subject(&held.key),
            words(&held.state),
            moment(held.since),
            held.until.map_or_else(|| "now".to_owned(), moment),
            held.refreshes.to_string(),
        ]
    });
    match &states.listening {
        Listening::Yes(_) => table(&columns, rows) + more(states.next.is_some()),
        Listening::No { .. } => nobody(&states.listening),
    }
}

/// What changed once, a line each.
pub fn past_changes(changes: &Changes) -> String {
    let mut text: String = changes
        .changes
        .iter()
        .map(|past| {
            let line = sides(past.before.as_ref(), past.after.as_ref());
            format!("{} {line}{}\n", moment(past.at), because(past.cause))
        })
        .collect();
    text += more(changes.next.is_some());
    match (changes.watches.is_empty(), text.is_empty()) {
        (true, _) => text += "nobody listened then\n",
        (false, true) => text += "nothing changed\n",
        (false, false) => {}
    }
    text
}

/// What two moments differ in, a line each.
pub fn past_differences(found: &Differences) -> String {
    for listening in [&found.before, &found.after] {
        if listening.watched().is_none() {
            return nobody(listening);
        }
    }
    let lines = found
        .differences
        .iter()
        .map(|difference| sides(difference.before.as_ref(), difference.after.as_ref()) + "\n");
    let text: String = lines.collect();
    match text.is_empty() {
        true => "no difference\n".to_owned(),
        false => text,
    }
}

fn sides(before: Option<&Held>, after: Option<&Held>) -> String {
    match (before, after) {
        (None, Some(now)) => format!("+ {}", statement(&now.key, &now.state)),
        (Some(was), Some(now)) => format!(
            "~ {}, before: {}",
            statement(&now.key, &now.state),
            words(&was.state)
        ),
        (Some(was), None) => format!("- {}", statement(&was.key, &was.state)),
        (None, None) => "nothing".to_owned(),
    }
}

fn nobody(listening: &Listening) -> String {
    let said = |moment: &Option<Utc>, before: &str| {
        let text = moment.map(|at| format!("; {before} {}", self::moment(at)));
        text.unwrap_or_default()
    };
    match listening {
        Listening::Yes(_) => String::new(),
        Listening::No { last, next } => format!(
            "nobody listened then{}{}\n",
            said(last, "the last to listen before did until"),
            said(next, "the next to listen did from")
        ),
    }
}

fn statement(key: &Key, state: &State) -> String {
    let parts = [
        key.kind().to_owned(),
        key.pe().to_string(),
        subject(key),
        words(state),
    ];
    let some: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    some.join(" ")
}

/// What a record is about, besides its PE.
fn subject(key: &Key) -> String {
    match key {
        Key::Neighbor { .. } => String::new(),
        Key::Join { route, .. } | Key::Assert { route, .. } => route.to_string(),
        Key::Mapping { source, group, .. } => format!("({source},{group})"),
        Key::Rp {
            rp, group, prefix, ..
        } => format!("{rp} for {group}/{prefix}"),
        Key::Forwarder { rp, .. } => format!("for RP {rp}"),
    }
}

fn words(state: &State) -> String {
    match state {
        State::Neighbor(neighbor) => {
            let dr = if neighbor.designated_router {
                ", DR"
            } else {
                ""
            };
            format!("at {}{dr}", neighbor.address)
        }
        State::Join { upstream, .. } => format!("from {upstream}"),
        State::Assert { preference, metric } | State::Forwarder { preference, metric } => {
            format!("preference {preference}, metric {metric}")
        }
        State::Mapping { data_mdt } => format!("on data MDT {data_mdt}"),
        State::Rp { priority, bsr } => format!("priority {priority}, by BSR {bsr}"),
    }
}

/// Said where a limit has cut something off.
pub fn more(there_is: bool) -> &'static str {
    match there_is {
        true => "there is more: raise --limit, or ask for less\n",
        false => "",
    }
}

/// A moment in UTC, to the millisecond.
pub fn moment(at: Utc) -> String {
    Timestamp::from_nanosecond(i128::from(at.as_ns()))
        .map_or_else(|_| at.as_ns().to_string(), |time| format!("{time:.3}"))
}
