//! A monitor that is killed loses at most its last second of results (issue: "survives kill -9").
//!
//! The test runs itself as a second process that writes a probe each millisecond, kills it
//! without warning, and compares what the process said it had put with what the file holds.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant as WallInstant};

use common::{probe, start};
use vmscope_store::{Entry, Limits, Page, Put, Reader, Writer};

const DATABASE: &str = "VMSCOPE_STORE_TEST_DATABASE";
const PUTS_BEFORE_KILL: usize = 2_500;

/// Not a test by itself: the process that is killed.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn writes_until_killed() {
    let Some(path) = std::env::var_os(DATABASE) else {
        return;
    };
    let writer = Writer::open(path.as_ref(), &start(7), Limits::default()).unwrap();
    let began = WallInstant::now();
    let mut out = std::io::stdout().lock();
    for seq in 0.. {
        assert_eq!(writer.put(Entry::Record(probe(seq))), Put::Queued);
        writeln!(out, "\nput {seq} {}", began.elapsed().as_millis()).unwrap();
        out.flush().unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_killed_writer_loses_at_most_its_last_second() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("results.sqlite");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writes_until_killed", "--ignored", "--nocapture"])
        .env(DATABASE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut puts: Vec<(u32, u64)> = Vec::new();
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
        }
        if puts.len() == PUTS_BEFORE_KILL {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();

    let reader = Reader::open(&path).unwrap();
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
    assert!(
        held.len() >= promised,
        "{} of the {promised} promised rows are there",
        held.len()
    );
    // No holes: a prefix of what was put, in order.
    assert!(held.iter().map(|p| p.seq).eq(0..held.len() as u32));
    assert_eq!(reader.sessions().unwrap()[0].ended_ns, None);
}
