//! Answers as people read them.

mod columns;
mod tree;

use std::fmt::Write as _;

use columns::{Align, Columns};

use super::ask::Answer;
use super::lists::{Contents, LostPackets, Row};
use super::packet::Trace;
use super::scene::Scene;
use crate::report::format::{NONE, count};

pub use crate::report::format::duration;

const MICROSECOND_NS: u64 = 1_000;
const SECOND_NS: u64 = 1_000_000_000;

/// A moment of the run: `12.345 678 s`.
pub fn moment(ns: i64) -> String {
    format!("{} s", seconds(ns))
}

/// The same without its unit, for columns.
fn seconds(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let (whole, rest) = (ns.unsigned_abs() / SECOND_NS, ns.unsigned_abs() % SECOND_NS);
    let us = rest / MICROSECOND_NS;
    format!("{sign}{whole}.{:03}\u{202f}{:03}", us / 1_000, us % 1_000)
}

/// An answer; `run` is how the user names the run.
pub fn render(scene: &Scene<'_>, answer: &Answer, place: &str) -> String {
    let mut out = disagreement(scene);
    out.push_str(&match answer {
        Answer::Contents(contents) => self::contents(contents, place),
        Answer::Lost(lost) => self::lost(lost, place),
        Answer::Packet(trace) => packet(trace),
    });
    out
}

/// One line: whoever looks at a packet wants to know how far to trust it, and no more.
fn disagreement(scene: &Scene<'_>) -> String {
    let Some(first) = scene.disagreements.first() else {
        return String::new();
    };
    let more = match scene.disagreements.len() {
        1 => String::new(),
        all => format!(" (and {} more)", all - 1),
    };
    format!("Note: the lab's views disagree, what follows is what the taps saw. {first}{more}\n\n")
}

fn contents(contents: &Contents, place: &str) -> String {
    let mut out = format!(
        "{}\n{}, {} frames on links\n",
        contents.title,
        duration(contents.duration_ns.cast_signed()),
        count(contents.frames as u64)
    );
    for (title, rows) in [
        ("Probes", &contents.probes),
        ("Customers", &contents.customers),
    ] {
        if !rows.is_empty() {
            let _ = write!(out, "\n{}", table(title, rows));
        }
    }
    if contents.probes.is_empty() && contents.customers.is_empty() {
        out.push_str("\nNeither probes nor customers' packets were seen.\n");
        return out;
    }
    if contents.probes.iter().any(|row| row.warmup > 0) {
        out.push_str(
            "\nProbes that only warm trees up can be traced, but are not counted above.\n",
        );
    }
    let _ = write!(out, "\n{}", further(contents, place));
    out
}

fn table(title: &str, rows: &[Row]) -> String {
    use Align::{Left, Right};
    let head = [
        title, "", "numbers", "sent", "to", "received", "lost", "twice",
    ];
    let mut columns = Columns::new(&head, &[Left, Left, Left, Right, Left, Right, Right, Right]);
    for row in rows {
        let (first, last) = row.sequences;
        let mut own = [
            row.name.clone(),
            row.from.clone(),
            match row.sent + row.warmup {
                0 => NONE.into(),
                _ => format!("#{first} to #{last}"),
            },
            count(row.sent as u64),
        ];
        for to in &row.receivers {
            let counts = [to.received, to.lost, to.duplicates].map(|n| count(n as u64));
            let own = std::mem::take(&mut own);
            columns.row(
                own.into_iter().chain([to.receiver.clone()]).chain(counts),
                "",
            );
        }
        if row.receivers.is_empty() {
            columns.row(own, "nobody listens");
        }
    }
    columns.render()
}

/// Commands with names of this very run.
fn further(contents: &Contents, place: &str) -> String {
    let lost = |row: &Row| row.receivers.iter().map(|to| to.lost).sum::<usize>();
    let rows = || contents.probes.iter().chain(&contents.customers);
    let worst = rows().rev().max_by_key(|row| lost(row));
    let mut out = String::from("Ask further:\n");
    if let Some(row) = worst {
        let (first, last) = row.sequences;
        let middle = first + (last - first) / 2;
        let lines = [
            (
                format!("--lost {}", row.name),
                "what was lost, where and why",
            ),
            (
                format!("{}#{middle}", row.name),
                "one packet, every copy, over every link",
            ),
        ];
        let widest = lines.iter().map(|(what, _)| what.chars().count()).max();
        for (what, says) in &lines {
            let width = widest.unwrap_or(0);
            let _ = writeln!(out, "  mvpnlab trace {place}{what:<width$}   {says}");
        }
    }
    out
}

fn lost(lost: &LostPackets, place: &str) -> String {
    if lost.packets.is_empty() {
        return "Nothing was lost.\n".into();
    }
    use Align::{Left, Right};
    let head = ["Lost", "sent at [s]", "where", "after", "why"];
    let mut columns = Columns::new(&head, &[Left, Right, Left, Right, Left]);
    for packet in &lost.packets {
        let after = packet
            .seen_after_sending_ns
            .map(|ns| format!("+{}", duration(ns)));
        let cells = [
            packet.packet.clone(),
            seconds(packet.sent_ns),
            packet.place.clone(),
            after.unwrap_or_default(),
            packet.why.clone(),
        ];
        columns.row(cells, "");
    }
    let mut out = columns.render();
    let more = lost.total - lost.packets.len();
    if more > 0 {
        let _ = writeln!(out, "… and {} more; --all lists them", count(more as u64));
    }
    let example = &lost.packets[0].packet;
    let _ = writeln!(out, "\nFollow one: mvpnlab trace {place}{example}");
    out
}

fn packet(trace: &Trace) -> String {
    let mut out = format!(
        "{}: {}, sent at {}\n\n{}\n",
        trace.packet,
        trace.about,
        moment(trace.sent_ns),
        tree::render(&trace.hops)
    );
    let widest = trace
        .outcomes
        .iter()
        .map(|outcome| outcome.receiver.chars().count())
        .max();
    for outcome in &trace.outcomes {
        let mark = match outcome.fate {
            "received" => '✓',
            "lost" | "late" => '✗',
            _ => '?',
        };
        let _ = writeln!(
            out,
            "{mark} {:<1$}  {2}",
            outcome.receiver,
            widest.unwrap_or(0),
            outcome.words
        );
    }
    for note in &trace.notes {
        let _ = writeln!(out, "Note: {note}");
    }
    out
}
