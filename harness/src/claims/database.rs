//! The monitor's SQLite file, table by table.

use std::fs;

use rusqlite::{Connection, OpenFlags, Row};

use super::{
    Claims, ClaimsError, IntervalClaim, ProbeClaim, ProbeKey, StreamClaim, TaskRun, oneway,
};

/// Reads all tables that the checks need. `log` is SQLite's write-ahead log, which a monitor that was killed leaves.
pub(super) fn read(bytes: &[u8], log: &[u8]) -> Result<Claims, ClaimsError> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("vmscope.db");
    fs::write(&path, bytes)?;
    fs::write(folder.path().join("vmscope.db-wal"), log)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database =
        Connection::open_with_flags(path, flags).map_err(|source| ClaimsError::Database {
            what: "anything",
            source,
        })?;
    Ok(Claims {
        tasks: rows(&database, "tasks", TASKS, task)?,
        probes: rows(&database, "the probe log", PROBES, probe)?
            .into_iter()
            .collect(),
        intervals: rows(&database, "interval results", INTERVALS, interval)?,
        oneways: oneway::read(&database)?,
        streams: rows(&database, "passive results", STREAMS, stream)?,
        own_drops: rows(&database, "sessions", DROPS, |row| unsigned(row, 0))?
            .into_iter()
            .sum(),
        ..Claims::default()
    })
}

const TASKS: &str = "SELECT task.session, task.task, task.name, task.started_ns, task.epoch_ns, task.finished, task.probes_sent
  FROM task JOIN session USING (session) ORDER BY session.started_ns, task.task";
const PROBES: &str = "SELECT session, task, sender, seq, receiver,
  sent_ns, received_ns, fate, duplicates, reordered, warmup, interval FROM probe_log";
const INTERVALS: &str = "SELECT session, task, interval, sender, receiver, start_ns, end_ns,
  sent, received, lost, duplicates, reordered, delay_mean_ns,
  path_delay_half_ns, path_delay_low_ns, path_delay_high_ns, path_loss_half, path_loss_low, path_loss_high,
  path_loss_inferred, path_loss_inferred_low, path_loss_inferred_high
  FROM interval_result ORDER BY session, task, row";
const STREAMS: &str =
    "SELECT tunnel, source, group_address, packets, rtp_lost FROM passive_result AS new
  WHERE at_ns = (SELECT max(at_ns) FROM passive_result AS old
    WHERE (old.session, old.passive, old.tunnel, old.source, old.group_address, old.source_port)
        = (new.session, new.passive, new.tunnel, new.source, new.group_address, new.source_port))
  ORDER BY tunnel, source, group_address, source_port";
const DROPS: &str = "SELECT capture_drops + record_drops FROM session";

pub(super) fn rows<T>(
    database: &Connection,
    what: &'static str,
    query: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, ClaimsError> {
    let all =
        || -> rusqlite::Result<Vec<T>> { database.prepare(query)?.query_map([], read)?.collect() };
    all().map_err(|source| ClaimsError::Database { what, source })
}

/// SQLite's integers are signed; the layout's are not.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn optional(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    let value: Option<i64> = row.get(column)?;
    value
        .map(|value| {
            u64::try_from(value)
                .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
        })
        .transpose()
}

fn task(row: &Row<'_>) -> rusqlite::Result<TaskRun> {
    Ok(TaskRun {
        session: row.get(0)?,
        task: row.get(1)?,
        name: row.get(2)?,
        started_ns: unsigned(row, 3)?,
        epoch_ns: unsigned(row, 4)?,
        finished: row.get(5)?,
        probes_sent: unsigned(row, 6)?,
    })
}

fn probe(row: &Row<'_>) -> rusqlite::Result<(ProbeKey, ProbeClaim)> {
    let key = ProbeKey {
        session: row.get(0)?,
        task: row.get(1)?,
        sender: row.get(2)?,
        seq: row.get(3)?,
        receiver: row.get(4)?,
    };
    let fate: String = row.get(7)?;
    let claim = ProbeClaim {
        sent_ns: unsigned(row, 5)?,
        received_ns: optional(row, 6)?,
        lost: fate == "lost",
        duplicates: unsigned(row, 8)?,
        reordered: row.get(9)?,
        warmup: row.get(10)?,
        interval: optional(row, 11)?,
    };
    Ok((key, claim))
}

fn interval(row: &Row<'_>) -> rusqlite::Result<IntervalClaim> {
    Ok(IntervalClaim {
        session: row.get(0)?,
        task: row.get(1)?,
        interval: unsigned(row, 2)?,
        sender: row.get(3)?,
        receiver: row.get(4)?,
        start_ns: unsigned(row, 5)?,
        end_ns: unsigned(row, 6)?,
        sent: unsigned(row, 7)?,
        received: unsigned(row, 8)?,
        lost: unsigned(row, 9)?,
        duplicates: unsigned(row, 10)?,
        reordered: unsigned(row, 11)?,
        delay_mean_ns: row.get(12)?,
        path_delay_half_ns: row.get(13)?,
        path_delay_low_ns: row.get(14)?,
        path_delay_high_ns: row.get(15)?,
        path_loss_half: row.get(16)?,
        path_loss_low: row.get(17)?,
        path_loss_high: row.get(18)?,
        path_loss_inferred: row.get(19)?,
        path_loss_inferred_low: row.get(20)?,
        path_loss_inferred_high: row.get(21)?,
    })
}

fn stream(row: &Row<'_>) -> rusqlite::Result<StreamClaim> {
    Ok(StreamClaim {
        tunnel: row.get(0)?,
        source: row.get(1)?,
        group: row.get(2)?,
        packets: unsigned(row, 3)?,
        rtp_lost: row.get(4)?,
    })
}
