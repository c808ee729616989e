//! A monitor that is killed loses at most its last second of results (issue: "survives kill -9"), and nothing that it
//! said was written.
//!
//! The test runs itself as a second process that writes a probe each millisecond, kills it
//! without warning, and compares what the process said it had put with what the file holds.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant as WallInstant};

use common::mvpn::{changed, join, record};
use common::place::on_both;
use common::{probe, start};
use vmscope_core::time::Instant;
use vmscope_core::view::record::Cause;
use vmscope_store::mvpn::{Filter, Slice, Utc};
use vmscope_store::{Entry, Limits, Location, Page, Put, Reader, SessionStart, Writer};

/// Set in the second process: where it is to write.
const DATABASE: &str = "VMSCOPE_STORE_TEST_DATABASE";
const PUTS_BEFORE_KILL: usize = 2_500;

/// Changes between so many upstream neighbours.
fn change(seq: u32) -> Entry {
    let at = |seq: u32| Instant::from_ns(1_000_000 * u64::from(seq) + 2_000);
    let said = |seq: u32| {
        let (key, state) = join(1, 1, 1, (seq % 100) as u8);
        record(key, state, at(seq))
    };
    changed(
        at(seq),
        seq.checked_sub(1).map(said),
        Some(said(seq)),
        Cause::Said,
    )
}

/// What the second process does: puts a probe and a change each millisecond, and says so.
fn write_until_killed(location: &Location) {
    let writer = Writer::open(location, &start(7), Limits::default()).unwrap();
    let began = WallInstant::now();
    let mut out = std::io::stdout().lock();
    for seq in 0.. {
        assert_eq!(writer.put(Entry::Record(probe(seq))), Put::Queued);
        assert_eq!(writer.put(change(seq)), Put::Queued);
        let (ms, written) = (began.elapsed().as_millis(), writer.health().written);
        writeln!(out, "\nput {seq} {ms} {written}").unwrap();
        out.flush().unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_killed_writer_loses_at_most_its_last_second() {
    match std::env::var(DATABASE) {
        Ok(location) => write_until_killed(&Location::new(location)),
        Err(_) => on_both(loses_at_most_its_last_second),
    }
}

fn loses_at_most_its_last_second(location: &Location) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_killed_writer_loses_at_most_its_last_second",
            "--nocapture",
        ])
        .env(DATABASE, location.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut puts: Vec<(u32, u64)> = Vec::new();
    let mut said_written = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let mut words = line.split(' ');
        if words.next() != Some("put") {
            continue;
        }
        if let (Some(Ok(seq)), Some(Ok(ms))) =
            (words.next().map(str::parse), words.next().map(str::parse))
        {
            puts.push((seq, ms));
            said_written = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        }
        if puts.len() == PUTS_BEFORE_KILL {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();

    let reader = Reader::open(location).unwrap();
    let page = Page {
        session: 7,
        task: 1,
        since: 0,
        limit: u32::MAX,
    };
    let held = reader.probes(page).unwrap();
    let (_, killed_ms) = *puts.last().unwrap();
    let promised = puts
        .iter()
        .filter(|(_, ms)| ms + 1_000 <= killed_ms)
        .count();
    assert!(
        promised > 500,
        "the run was too short to say anything: {killed_ms} ms"
    );
    match location {
        Location::Sqlite(_) => assert!(
            held.len() >= promised,
            "{} of the {promised} promised rows are there",
            held.len()
        ),
        // How long a commit takes is the server's to say.
        Location::Postgres(_) => {}
    }
    // No holes: a prefix of what was put, in order.
    assert!(held.iter().map(|p| p.seq).eq(0..held.len() as u32));
    assert_eq!(reader.sessions().unwrap()[0].ended_ns, None);

    // What was changed goes as far, and is whole: each state in the past or the present, one after the other.
    let all = reader
        .mvpn_changes("red", Utc::from_ns(0)..Utc::NOW, &Filter::ALL, Slice::ALL)
        .unwrap();
    let changes = all.changes.len();
    assert!(
        changes == held.len() || changes + 1 == held.len(),
        "{changes} of {}",
        held.len()
    );
    let kept = (held.len() + changes) as u64;
    assert!(
        said_written > 0 && kept >= said_written,
        "{kept} of {said_written} are there"
    );
    for (before, after) in all.changes.iter().zip(&all.changes[1..]) {
        let (before, after) = (
            before.after.as_ref().unwrap(),
            after.before.as_ref().unwrap(),
        );
        assert_eq!((&before.state, before.since), (&after.state, after.since));
    }
    does_not_look_current(location, all.changes.last().unwrap().at);
}

/// Once another session begins, what the killed one left is of the past.
fn does_not_look_current(location: &Location, last: Utc) {
    let later = SessionStart {
        at_ns: Instant::from_ns(1_000_000_000_000),
        ..start(8)
    };
    Writer::open(location, &later, Limits::default())
        .unwrap()
        .finish()
        .unwrap();
    let reader = Reader::open(location).unwrap();
    let now = reader
        .mvpn_state("red", Utc::NOW, &Filter::ALL, Slice::ALL)
        .unwrap();
    assert_eq!((now.listening.watched(), now.states.len()), (None, 0));
    let then = Utc::from_ns(last.as_ns() - 1);
    let then = reader
        .mvpn_state("red", then, &Filter::ALL, Slice::ALL)
        .unwrap();
    assert_eq!(then.states.len(), 1);
}
