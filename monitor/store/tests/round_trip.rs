//! What is written is read back, and what cannot be written is counted.

mod common;

use common::place::on_both;
use common::*;
use rusqlite::Connection;
use vmscope_core::control::OnewayState;
use vmscope_core::report::{Record, TaskState};
use vmscope_core::time::Instant;
use vmscope_store::*;

const PAGE: Page = Page {
    session: 7,
    task: 1,
    since: 0,
    limit: 100,
};

fn open(location: &Location, session: u32) -> Writer {
    Writer::open(location, &start(session), Limits::default()).unwrap()
}

#[test]
fn a_session_reads_back_as_written() {
    on_both(reads_back);
}

fn reads_back(location: &Location) {
    let writer = open(location, 7);
    let mut records = vec![
        tunnel(1),
        tunnel(2),
        Record::TaskStarted(Box::new(task(TaskState::WarmingUp))),
    ];
    records.extend((0..12).map(probe));
    records.push(Record::Interval(Box::new(interval(0))));
    records.push(Record::TaskFinished(Box::new(task(TaskState::Finished))));
    for record in &records {
        assert_eq!(writer.put(Entry::Record(record.clone())), Put::Queued);
    }
    let end = Entry::End {
        at_ns: Instant::from_ns(9_000),
        realtime_minus_monotonic_ns: 5,
    };
    assert_eq!(writer.put(end), Put::Queued);
    let health = writer.finish().unwrap();
    assert_eq!(
        health,
        Health {
            written: records.len() as u64 + 1,
            ..Health::default()
        }
    );

    let reader = Reader::open(location).unwrap();
    let sessions = reader.sessions().unwrap();
    assert_eq!((sessions.len(), sessions[0].ended_ns), (1, Some(9_000)));
    let tasks = reader.tasks(7).unwrap();
    assert_eq!(
        (
            tasks[0].name.as_str(),
            tasks[0].finished,
            tasks[0].probes_logged
        ),
        ("red", true, 12)
    );
    assert_eq!(reader.intervals(PAGE).unwrap(), [interval(0)]);
    let probes: Vec<Record> = reader
        .probes(PAGE)
        .unwrap()
        .into_iter()
        .map(Record::Probe)
        .collect();
    assert_eq!(probes, (0..12).map(probe).collect::<Vec<_>>());
    assert!(
        reader
            .probes(Page { session: 8, ..PAGE })
            .unwrap()
            .is_empty()
    );
}

#[test]
fn one_way_losses_read_back_path_by_path() {
    on_both(|location| {
        let writer = open(location, 7);
        for record in [
            Record::OnewayStarted(Box::new(oneway(OnewayState::Probing))),
            Record::Oneway(Box::new(oneway_row(5_000))),
            Record::Oneway(Box::new(oneway_row(6_000))),
            Record::OnewayFinished(Box::new(oneway(OnewayState::Spent))),
        ] {
            assert_eq!(writer.put(Entry::Record(record)), Put::Queued);
        }
        let health = writer.finish().unwrap();
        assert_eq!((health.written, health.rejected), (4, 0), "{health:?}");
        let paths = Reader::open(location).unwrap().oneway(7).unwrap();
        let shown: Vec<_> = paths
            .iter()
            .map(|p| (p.at_ns, p.direction.as_str(), p.path.as_str(), p.loss))
            .collect();
        let look = |at| {
            [
                (at, "down", "t2", 0.02),
                (at, "leaf", "0", 0.01),
                (at, "up", "t1", 0.03),
            ]
        };
        assert_eq!(shown, [look(5_000), look(6_000)].concat());
        let first = &paths[0];
        assert_eq!(
            (
                first.name.as_str(),
                first.state.as_str(),
                first.probes,
                first.discarded
            ),
            ("x", "spent", 93, 7)
        );
        let latest = Reader::open(location).unwrap().oneway_latest().unwrap();
        assert_eq!(latest.len(), 1);
        let ways = latest[0].ways.iter();
        let ways: Vec<_> = ways
            .map(|way| (way.direction.as_str(), way.path.as_str(), way.high))
            .collect();
        assert_eq!(
            ways,
            [
                ("down", "t2", 0.04),
                ("leaf", "0", 0.02),
                ("up", "t1", 0.06)
            ]
        );
        let found = &latest[0];
        let at = found.at.unwrap().as_ns() - start(7).realtime_minus_monotonic_ns;
        assert_eq!((at, found.doubts.len(), found.unsure.len()), (6_000, 1, 1));
    });
}

#[test]
fn what_contradicts_the_database_is_rejected_alone() {
    on_both(is_rejected_alone);
}

fn is_rejected_alone(location: &Location) {
    let writer = open(location, 7);
    for seq in [0, 1, 1, 2] {
        let _ = writer.put(Entry::Record(probe(seq)));
    }
    let health = writer.finish().unwrap();
    assert_eq!((health.written, health.rejected, health.dropped), (3, 1, 0));
    assert!(health.rejection.unwrap().to_lowercase().contains("unique"));
    assert_eq!(
        Reader::open(location).unwrap().probes(PAGE).unwrap().len(),
        3
    );
}

#[test]
fn a_full_disk_is_said_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("results.sqlite");
    let limits = Limits {
        database_pages: Some(40),
        ..Limits::default()
    };
    let writer = Writer::open(&path, &start(7), limits).unwrap();
    let probes: u64 = 10_000;
    for seq in 0..probes as u32 {
        let _ = writer.put(Entry::Record(probe(seq)));
    }
    let health = writer.finish().unwrap();
    assert!(health.failing.unwrap().contains("full"));
    assert_eq!(health.written + health.dropped, probes);
    assert!(health.dropped > 0);
    // Whatever was said to be written is there, and the file is sound.
    let logged = Reader::open(&path)
        .unwrap()
        .probes(Page {
            limit: 20_000,
            ..PAGE
        })
        .unwrap();
    assert_eq!(logged.len() as u64, health.written);
}

#[test]
fn a_full_queue_drops_and_counts_and_never_waits() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("results.sqlite");
    let writer = Writer::open(
        &path,
        &start(7),
        Limits {
            queue_entries: 100,
            ..Limits::default()
        },
    )
    .unwrap();
    let blocker = Connection::open(&path).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    // More than the queue and the open batch hold together, while nothing can be committed.
    let probes: u64 = 22_000;
    let dropped = (0..probes as u32)
        .filter(|seq| writer.put(Entry::Record(probe(*seq))) == Put::Dropped)
        .count();
    assert!(dropped > 0);
    blocker.execute_batch("ROLLBACK").unwrap();
    let health = writer.finish().unwrap();
    assert_eq!(health.dropped, dropped as u64);
    assert_eq!(health.written + health.dropped, probes);
}

#[test]
fn sessions_share_a_database_but_not_a_number() {
    on_both(|location| {
        open(location, 7).finish().unwrap();
        assert!(matches!(
            Writer::open(location, &start(7), Limits::default()),
            Err(StoreError::SessionTaken(7))
        ));
        open(location, 8).finish().unwrap();
        let sessions = Reader::open(location).unwrap().sessions().unwrap();
        assert_eq!(
            sessions.iter().map(|s| s.session).collect::<Vec<_>>(),
            [7, 8]
        );
    });
}

#[test]
fn two_monitors_never_write_the_same_database() {
    on_both(|location| {
        let first = open(location, 7);
        assert!(matches!(
            Writer::open(location, &start(8), Limits::default()),
            Err(StoreError::InUse(_))
        ));
        // Looking on is no writing, and the first one is not disturbed.
        assert_eq!(Reader::open(location).unwrap().sessions().unwrap().len(), 1);
        assert_eq!(first.put(Entry::Record(tunnel(1))), Put::Queued);
        assert_eq!(first.finish().unwrap().written, 1);
        open(location, 8).finish().unwrap();
    });
}

#[test]
fn files_that_are_no_results_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("notes.txt");
    std::fs::write(
        &text,
        "not a database at all, but long enough to have a header to look at",
    )
    .unwrap();
    assert!(matches!(
        Writer::open(text.as_path(), &start(7), Limits::default()),
        Err(StoreError::Open { .. })
    ));
    assert!(matches!(
        Reader::open(text.as_path()),
        Err(StoreError::Open { .. })
    ));
    assert!(matches!(
        Reader::open(directory.path().join("absent").as_path()),
        Err(StoreError::Open { .. })
    ));
    let other = directory.path().join("other.sqlite");
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE t (x)")
        .unwrap();
    assert!(matches!(
        Reader::open(&other),
        Err(StoreError::Foreign { .. })
    ));
}
