//! Getting results out again, also while a monitor writes them.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Row, params};
use serde::Serialize;
use vmscope_core::name::Name;
use vmscope_core::report::{
    Corrected, Distribution, Fate, IntervalRow, PairCounts, PairResult, ProbeRecord,
};
use vmscope_core::time::Instant;

use crate::error::StoreError;
use crate::schema;

/// A results database, opened for reading only.
pub struct Reader {
    db: Connection,
}

/// One run of the monitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionSummary {
    /// Its number.
    pub session: u32,
    /// Version of the monitor.
    pub version: String,
    /// When it began.
    pub started_ns: u64,
    /// When it ended; absent if it still runs or was killed.
    pub ended_ns: Option<u64>,
    /// The wall clock less the monotonic clock when it began.
    pub realtime_minus_monotonic_ns: i64,
    /// Packets its capture dropped.
    pub capture_drops: u64,
    /// Rows it could not write.
    pub record_drops: u64,
}

/// One run of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskSummary {
    /// Its session.
    pub session: u32,
    /// Its number.
    pub task: u32,
    /// Its name.
    pub name: String,
    /// The group it probed.
    pub group: String,
    /// When it started.
    pub started_ns: u64,
    /// Whether every probe of it is decided.
    pub finished: bool,
    /// Probes in the log, all receivers together.
    pub probes_logged: u64,
}

/// Where to look: one task's run, from a row on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The session.
    pub session: u32,
    /// The task's number.
    pub task: u32,
    /// Rows to leave out.
    pub since: u64,
    /// Rows at most.
    pub limit: u32,
}

impl Reader {
    /// Opens a database that exists.
    pub fn open(path: &Path) -> Result<Reader, StoreError> {
        let open = || -> rusqlite::Result<(Connection, i64)> {
            let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            db.busy_timeout(Duration::from_secs(2))?;
            let found = schema::version_of(&db)?;
            Ok((db, found))
        };
        let (db, found) = open().map_err(|source| StoreError::Open {
            path: path.to_owned(),
            source,
        })?;
        let known = schema::current_version();
        if found > known {
            return Err(StoreError::Newer { found, known });
        }
        if found == 0 {
            return Err(StoreError::Foreign {
                path: path.to_owned(),
            });
        }
        Ok(Reader { db })
    }

    /// All sessions, oldest first as far as one boot's clock tells.
    pub fn sessions(&self) -> Result<Vec<SessionSummary>, StoreError> {
        self.rows(
            "the sessions",
            "SELECT s.session, s.version, s.started_ns, s.ended_ns, c.realtime_minus_monotonic_ns,
                    s.capture_drops, s.record_drops
               FROM session s JOIN clock_anchor c ON c.session = s.session AND c.reason = 'start'
              ORDER BY s.started_ns + c.realtime_minus_monotonic_ns",
            params![],
            |row| {
                Ok(SessionSummary {
                    session: row.get(0)?,
                    version: row.get(1)?,
                    started_ns: unsigned(row, 2)?,
                    ended_ns: row.get::<_, Option<i64>>(3)?.map(i64::unsigned_abs),
                    realtime_minus_monotonic_ns: row.get(4)?,
                    capture_drops: unsigned(row, 5)?,
                    record_drops: unsigned(row, 6)?,
                })
            },
        )
    }

    /// The tasks of a session, in the order of their numbers.
    pub fn tasks(&self, session: u32) -> Result<Vec<TaskSummary>, StoreError> {
        self.rows(
            "the tasks",
            "SELECT session, task, name, group_address, started_ns, finished,
                    (SELECT count(*) FROM probe_log p WHERE p.session = t.session AND p.task = t.task)
               FROM task t WHERE session = ?1 ORDER BY task",
            params![session],
            |row| {
                Ok(TaskSummary {
                    session: row.get(0)?,
                    task: row.get(1)?,
                    name: row.get(2)?,
                    group: row.get(3)?,
                    started_ns: unsigned(row, 4)?,
                    finished: row.get(5)?,
                    probes_logged: unsigned(row, 6)?,
                })
            },
        )
    }

    /// Interval results of a task, by row.
    pub fn intervals(&self, page: Page) -> Result<Vec<IntervalRow>, StoreError> {
        self.rows(
            "the interval results",
            "SELECT r.*, t.name AS task_name, a.name AS sender_name, b.name AS receiver_name
               FROM interval_result r
               JOIN task t ON t.session = r.session AND t.task = r.task
               JOIN tunnel a ON a.session = r.session AND a.tunnel = r.sender
               JOIN tunnel b ON b.session = r.session AND b.tunnel = r.receiver
              WHERE r.session = ?1 AND r.task = ?2 AND r.row >= ?3
              GROUP BY r.row ORDER BY r.row LIMIT ?4",
            params![
                page.session,
                page.task,
                page.since.cast_signed(),
                page.limit
            ],
            interval_row,
        )
    }

    /// The per-probe log of a task, by sender, receiver and sequence number.
    pub fn probes(&self, page: Page) -> Result<Vec<ProbeRecord>, StoreError> {
        self.rows(
            "the probe log",
            "SELECT * FROM probe_log WHERE session = ?1 AND task = ?2
              ORDER BY sender, receiver, seq LIMIT ?4 OFFSET ?3",
            params![
                page.session,
                page.task,
                page.since.cast_signed(),
                page.limit
            ],
            probe_record,
        )
    }

    fn rows<T>(
        &self,
        what: &'static str,
        sql: &str,
        parameters: &[&dyn rusqlite::ToSql],
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let all = || -> rusqlite::Result<Vec<T>> {
            self.db
                .prepare_cached(sql)?
                .query_map(parameters, read)?
                .collect()
        };
        all().map_err(StoreError::reading(what))
    }
}

fn unsigned(row: &Row<'_>, column: impl rusqlite::RowIndex) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column)
        .map(|value| u64::try_from(value).unwrap_or(0))
}

fn instant(row: &Row<'_>, column: &str) -> rusqlite::Result<Instant> {
    unsigned(row, column).map(Instant::from_ns)
}

fn name(row: &Row<'_>, column: &str) -> rusqlite::Result<Name> {
    let text: String = row.get(column)?;
    Name::new(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn distribution(row: &Row<'_>, metric: &str) -> rusqlite::Result<Option<Distribution>> {
    let column = |part: &str| format!("{metric}_{part}");
    let Some(samples) = row.get::<_, Option<i64>>(column("samples").as_str())? else {
        return Ok(None);
    };
    let part = |part: &str| row.get::<_, i64>(column(part).as_str());
    Ok(Some(Distribution {
        samples: u64::try_from(samples).unwrap_or(0),
        min_ns: part("min_ns")?,
        mean_ns: part("mean_ns")?,
        p50_ns: part("p50_ns")?,
        p90_ns: part("p90_ns")?,
        p99_ns: part("p99_ns")?,
        p999_ns: part("p999_ns")?,
        max_ns: part("max_ns")?,
    }))
}

fn interval_row(row: &Row<'_>) -> rusqlite::Result<IntervalRow> {
    Ok(IntervalRow {
        row: unsigned(row, "row")?,
        task_name: name(row, "task_name")?,
        task: row.get("task")?,
        interval: unsigned(row, "interval")?,
        start_ns: instant(row, "start_ns")?,
        end_ns: instant(row, "end_ns")?,
        capture_drops: unsigned(row, "capture_drops")?,
        pair: PairResult {
            sender: row.get("sender")?,
            sender_name: name(row, "sender_name")?,
            receiver: row.get("receiver")?,
            receiver_name: name(row, "receiver_name")?,
            counts: counts(row)?,
            loss: row.get("loss")?,
            delay: distribution(row, "delay")?,
            ipdv: distribution(row, "ipdv")?,
            pdv: distribution(row, "pdv")?,
            corrected: corrected(row)?,
        },
    })
}

fn counts(row: &Row<'_>) -> rusqlite::Result<PairCounts> {
    Ok(PairCounts {
        sent: unsigned(row, "sent")?,
        received: unsigned(row, "received")?,
        lost: unsigned(row, "lost")?,
        duplicates: unsigned(row, "duplicates")?,
        reordered: unsigned(row, "reordered")?,
        late: unsigned(row, "late")?,
    })
}

fn corrected(row: &Row<'_>) -> rusqlite::Result<Corrected> {
    Ok(Corrected {
        sender_rtt_ns: row.get("sender_rtt_ns")?,
        receiver_rtt_ns: row.get("receiver_rtt_ns")?,
        sender_ping_loss: row.get("sender_ping_loss")?,
        receiver_ping_loss: row.get("receiver_ping_loss")?,
        delay_half_ns: row.get("path_delay_half_ns")?,
        delay_low_ns: row.get("path_delay_low_ns")?,
        delay_high_ns: row.get("path_delay_high_ns")?,
        loss_half: row.get("path_loss_half")?,
        loss_low: row.get("path_loss_low")?,
        loss_high: row.get("path_loss_high")?,
    })
}

fn probe_record(row: &Row<'_>) -> rusqlite::Result<ProbeRecord> {
    let received_ns = row.get::<_, Option<i64>>("received_ns")?;
    let interval = row.get::<_, Option<i64>>("interval")?;
    Ok(ProbeRecord {
        task: row.get("task")?,
        sender: row.get("sender")?,
        receiver: row.get("receiver")?,
        seq: row.get("seq")?,
        sent_ns: instant(row, "sent_ns")?,
        received_ns: received_ns.map(|ns| Instant::from_ns(u64::try_from(ns).unwrap_or(0))),
        fate: if row.get::<_, String>("fate")? == "received" {
            Fate::Received
        } else {
            Fate::Lost
        },
        duplicates: row.get("duplicates")?,
        reordered: row.get("reordered")?,
        late: row.get("late")?,
        warmup: row.get("warmup")?,
        interval: interval.map(|i| u64::try_from(i).unwrap_or(0)),
    })
}
