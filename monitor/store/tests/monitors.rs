//! Several monitors that write to one PostgreSQL: each into its own part, and all can be asked together.

mod common;

use common::place::Server;
use common::*;
use vmscope_core::name::Name;
use vmscope_core::report::{Record, TaskState};
use vmscope_core::time::Instant;
use vmscope_store::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A session of a monitor with a task and some probes.
fn write(writer: Writer, probes: u32) {
    let mut records = vec![
        tunnel(1),
        tunnel(2),
        Record::TaskStarted(Box::new(task(TaskState::WarmingUp))),
        Record::Interval(Box::new(interval(0))),
    ];
    records.extend((0..probes).map(probe));
    for record in records {
        assert_eq!(writer.put(Entry::Record(record)), Put::Queued);
    }
    let end = Entry::End {
        at_ns: Instant::from_ns(9_000),
        realtime_minus_monotonic_ns: 5,
    };
    assert_eq!(writer.put(end), Put::Queued);
    let health = writer.finish().unwrap();
    assert_eq!(
        (health.rejected, health.dropped, health.failing),
        (0, 0, None)
    );
}

fn open(location: &Location, session: u32) -> Result<Writer, StoreError> {
    Writer::open(location, &start(session), Limits::default())
}

#[test]
fn two_monitors_write_at_once_and_are_asked_together_or_apart() {
    let server = Server::start();
    let shared = server.whole();
    let [east, west] = ["east", "West-2"].map(|monitor| shared.of_monitor(&name(monitor)));
    // Both run at the same time, and may well have drawn the same number.
    let (a, b) = (open(&east, 7).unwrap(), open(&west, 7).unwrap());
    assert!(
        matches!(open(&east, 8), Err(StoreError::InUse(_))),
        "a monitor is there only once"
    );
    write(a, 10);
    write(b, 25);
    for (location, probes) in [(&east, 10), (&west, 25)] {
        let tasks = Reader::open(location).unwrap().tasks(7).unwrap();
        assert_eq!(tasks.len(), 1);
        assert_eq!(tasks[0].probes_logged, probes);
    }
    let mut client = server.client();
    let mut counts = |sql: &str| -> Vec<(String, i64)> {
        let rows = client.query(sql, &[]).unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    let together = counts(
        "SELECT monitor, count(*) FROM monitors.probe_log GROUP BY 1 ORDER BY monitor COLLATE \"C\"",
    );
    assert_eq!(
        together,
        [("West-2".to_owned(), 25), ("east".to_owned(), 10)]
    );
    let rows = counts(
        "SELECT monitor, sum(sent)::bigint FROM monitors.pair_total GROUP BY 1 ORDER BY monitor COLLATE \"C\"",
    );
    assert_eq!(rows.len(), 2);
}

#[test]
fn a_monitor_alone_has_no_part_and_no_views() {
    let server = Server::start();
    write(open(&server.whole(), 7).unwrap(), 3);
    let mut client = server.client();
    let schemas = client
        .query(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'monitor%'",
            &[],
        )
        .unwrap();
    assert!(schemas.is_empty());
    let there: i64 = client
        .query_one("SELECT count(*) FROM public.probe_log", &[])
        .unwrap()
        .get(0);
    assert_eq!(there, 3);
}

/// A monitor that comes later joins; one of another layout is left out until it has the same columns.
#[test]
fn who_has_other_columns_is_left_out() {
    let server = Server::start();
    let part = |monitor: &str| server.whole().of_monitor(&name(monitor));
    write(open(&part("a"), 1).unwrap(), 1);
    let mut client = server.client();
    client
        .batch_execute("ALTER TABLE monitor_a.event ADD COLUMN more TEXT")
        .unwrap();
    write(open(&part("b"), 2).unwrap(), 1);
    let monitors = |client: &mut postgres::Client, table: &str| -> Vec<String> {
        let sql = format!("SELECT DISTINCT monitor FROM monitors.{table} ORDER BY 1");
        let rows = client.query(&sql, &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    assert_eq!(monitors(&mut client, "session"), ["a", "b"]);
    client
        .batch_execute("INSERT INTO monitor_a.event VALUES (1, 2, 'info', 'k', 'm', 'x'); INSERT INTO monitor_b.event VALUES (1, 2, 'info', 'k', 'm')")
        .unwrap();
    assert_eq!(monitors(&mut client, "event"), ["b"]);
}
