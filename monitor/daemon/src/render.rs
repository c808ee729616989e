//! Answers and events for people: tables, units, few words.

pub mod alarms;
pub mod mvpn;
mod oneway;
mod table;
mod tables;
pub mod units;

use vmscope_core::control::{Answer, Event, Refusal, Status};
use vmscope_core::report::{IntervalRow, ProbeRecord};

use table::details;

/// An answer, ending in a newline; nothing for [`Answer::Done`].
pub fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Done => String::new(),
        Answer::Hello {
            protocol,
            version,
            session,
        } => {
            format!("vmscope {version}, protocol {protocol}, session {session}\n")
        }
        Answer::Status(s) => status(s),
        Answer::Tunnel(t) => tables::tunnel(t),
        Answer::Tunnels { tunnels, next: _ } => tables::tunnels(tunnels),
        Answer::Groups { groups } => tables::groups(groups),
        Answer::Task(t) => tables::tasks(std::slice::from_ref(t)),
        Answer::Tasks { tasks } => tables::tasks(tasks),
        Answer::Pairs {
            task: _,
            pairs,
            next: _,
        } => tables::pairs(pairs),
        Answer::Results {
            first_row: _,
            next_row,
            finished,
            rows,
        } => results(*next_row, *finished, rows),
        Answer::Mvpn(m) => tables::mvpns(std::slice::from_ref(m)),
        Answer::Mvpns { mvpns } => tables::mvpns(mvpns),
        Answer::MvpnState {
            mvpn: _,
            at_ns,
            records,
            heard,
        } => mvpn::state(*at_ns, records, heard),
        Answer::Alarms { alarms, counts } => tables::alarms(alarms, counts),
        Answer::Oneway(status) => oneway::one(status),
        Answer::Oneways { oneways } => oneway::all(oneways),
        Answer::Collected(collected) => oneway::collected(collected),
        Answer::Reflecting(reflecting) => oneway::reflecting(reflecting),
        Answer::Peers { peers } => oneway::peers(peers),
        Answer::Agents { agents } => oneway::agents(agents),
        Answer::Passives { passives } => tables::passives(passives),
        Answer::Streams {
            streams,
            unlisted_packets,
        } => tables::streams(streams, *unlisted_packets),
        Answer::Overhead(o) => tables::overhead(o),
        Answer::Filter { filter } => format!("{filter}\n"),
    }
}

/// An event, in a line or a table.
pub fn event(event: &Event) -> String {
    match event {
        Event::Interval {
            task,
            interval,
            rows,
        } => {
            format!("{task}, interval {interval}:\n{}", tables::intervals(rows))
        }
        Event::Task(task) => format!(
            "task {} is {}\n",
            task.spec.name,
            units::task_state(task.state)
        ),
        Event::Ping(row) => format!("tunnel {}: {}\n", row.tunnel_name, tables::ping(row)),
        Event::Filter { filter } => format!("capture filter: {filter}\n"),
        Event::Change(change) => mvpn::change(change),
        Event::Alarm(transition) => format!(
            "alarm {} {}: {}\n",
            transition.alarm.id,
            transition.turn.as_str(),
            transition.alarm.message
        ),
        Event::Oneway(row) => oneway::row(row),
        Event::Shutdown => "the monitor ends\n".to_owned(),
    }
}

/// Why something was refused.
pub fn refusal(refusal: &Refusal) -> String {
    format!("{}; {}", refusal.message, refusal.remedy)
}

/// Interval rows.
pub fn intervals(rows: &[IntervalRow]) -> String {
    tables::intervals(rows)
}

/// Probes of the log.
pub fn probes(probes: &[ProbeRecord]) -> String {
    tables::probes(probes)
}

fn results(next_row: u64, finished: bool, rows: &[IntervalRow]) -> String {
    let more = if finished {
        "the task is over"
    } else {
        "more to come"
    };
    format!("{}next row {next_row}, {more}\n", tables::intervals(rows))
}

fn status(s: &Status) -> String {
    let mut lines = vec![
        ("version", s.version.clone()),
        ("session", s.session.to_string()),
        ("up", units::duration(s.uptime_ns)),
        ("capture", s.capture.clone()),
        (
            "captured",
            format!(
                "{} packets, {} dropped",
                s.capture_received, s.capture_drops
            ),
        ),
        ("filter", s.filter.clone()),
        ("sending", s.transmit.clone()),
        ("not sent", format!("{} packets", s.transmit_errors)),
        ("not logged", format!("{} records", s.record_drops)),
        ("probe port", s.probe_port.to_string()),
        ("tunnels", s.tunnels.to_string()),
        ("tasks running", s.tasks_running.to_string()),
    ];
    lines.retain(|(_, what)| !what.is_empty());
    if let Some(files) = &s.probe_files {
        lines.push(("probe files", units::probe_files(files)));
    }
    if s.event_drops > 0 {
        lines.push(("not told", format!("{} events", s.event_drops)));
    }
    if let Some(used) = &s.budget {
        lines.push(("budget", units::budget(used)));
    }
    if let Some(shard) = &s.shard {
        lines.push(("monitor", units::shard(shard)));
    }
    if let Some(fault) = &s.planted_fault {
        lines.push(("planted fault", fault.clone()));
    }
    details(lines)
}

#[cfg(test)]
#[path = "../tests/support/scripted.rs"]
mod scripted;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use vmscope_core::control::Outcome;

    /// Everything that can be shown, as it is shown.
    #[test]
    fn answers_and_events() {
        let (exchanges, events) = scripted::conversation();
        let mut out = String::new();
        for exchange in exchanges {
            let asked = serde_json::to_value(&exchange.request).unwrap();
            let shown = match &exchange.reply.outcome {
                Outcome::Ok(ok) => answer(ok),
                Outcome::Error(no) => refusal(no) + "\n",
            };
            out.push_str(&format!(
                "===== {}\n{shown}",
                asked["request"]["op"].as_str().unwrap()
            ));
        }
        let mut kinds = BTreeSet::new();
        for happened in events {
            if kinds.insert(happened.kind()) {
                out.push_str(&format!("===== event\n{}", event(&happened)));
            }
        }
        insta::assert_snapshot!(out);
    }
}
