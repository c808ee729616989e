//! Getting results out again, also while a monitor writes them.

use std::cell::RefCell;

use serde::Serialize;
use vmscope_core::name::Name;
use vmscope_core::report::{
    Corrected, Distribution, Fate, IntervalRow, PairCounts, PairResult, ProbeRecord,
};
use vmscope_core::time::Instant;

use crate::database::{Database, Purpose, Result, Row, Value, values};
use crate::error::{DatabaseError, StoreError};
use crate::location::Location;
use crate::schema;

/// A results database, opened for reading only.
///
/// One of PostgreSQL blocks, and must not be used on a thread of an asynchronous runtime (`spawn_blocking` has others).
pub struct Reader {
    db: RefCell<Database>,
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

/// The loss of one path at one look of a one-way measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OnewayPath {
    /// Number of the run.
    pub run: u32,
    /// Name of the measurement.
    pub name: String,
    /// How the measurement is: `probing`, `narrow`, `spent`, `stopped` or `failed`.
    pub state: String,
    /// When the last probe that counts was sent.
    pub at_ns: u64,
    /// `up`, `down` or `leaf`.
    pub direction: String,
    /// The tunnel; of a leaf, its place from 0.
    pub path: String,
    /// Probes that count.
    pub probes: u64,
    /// Probes that do not.
    pub discarded: u64,
    /// The estimate and the ends of its interval.
    pub loss: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
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
    pub fn open(location: impl Into<Location>) -> std::result::Result<Reader, StoreError> {
        Ok(Reader {
            db: RefCell::new(Database::open(&location.into(), Purpose::Read)?),
        })
    }

    /// All sessions, oldest first as far as one boot's clock tells.
    pub fn sessions(&self) -> std::result::Result<Vec<SessionSummary>, StoreError> {
        self.rows(
            "the sessions",
            "SELECT s.session, s.version, s.started_ns, s.ended_ns, c.realtime_minus_monotonic_ns,
                    s.capture_drops, s.record_drops
               FROM session s JOIN clock_anchor c ON c.session = s.session AND c.reason = 'start'
              ORDER BY s.started_ns + c.realtime_minus_monotonic_ns",
            &[],
            |row| {
                Ok(SessionSummary {
                    session: row.number(0)?,
                    version: row.text(1)?.to_owned(),
                    started_ns: row.count(2)?,
                    ended_ns: row.maybe_int(3)?.map(i64::unsigned_abs),
                    realtime_minus_monotonic_ns: row.int(4)?,
                    capture_drops: row.count(5)?,
                    record_drops: row.count(6)?,
                })
            },
        )
    }

    /// The tasks of a session, in the order of their numbers.
    pub fn tasks(&self, session: u32) -> std::result::Result<Vec<TaskSummary>, StoreError> {
        self.rows(
            "the tasks",
            "SELECT session, task, name, group_address, started_ns, finished,
                    (SELECT count(*) FROM probe_log p WHERE p.session = t.session AND p.task = t.task)
               FROM task t WHERE session = ?1 ORDER BY task",
            &values![session],
            |row| {
                Ok(TaskSummary {
                    session: row.number(0)?,
                    task: row.number(1)?,
                    name: row.text(2)?.to_owned(),
                    group: row.text(3)?.to_owned(),
                    started_ns: row.count(4)?,
                    finished: row.flag(5)?,
                    probes_logged: row.count(6)?,
                })
            },
        )
    }

    /// Interval results of a task, by row.
    pub fn intervals(&self, page: Page) -> std::result::Result<Vec<IntervalRow>, StoreError> {
        self.rows(
            "the interval results",
            // A tunnel that was dropped and added again has several rows, of one name.
            "SELECT r.*, t.name AS task_name, a.name AS sender_name, b.name AS receiver_name
               FROM interval_result r
               JOIN task t ON t.session = r.session AND t.task = r.task
               JOIN (SELECT session, tunnel, min(name) AS name FROM tunnel GROUP BY session, tunnel) a
                 ON a.session = r.session AND a.tunnel = r.sender
               JOIN (SELECT session, tunnel, min(name) AS name FROM tunnel GROUP BY session, tunnel) b
                 ON b.session = r.session AND b.tunnel = r.receiver
              WHERE r.session = ?1 AND r.task = ?2 AND r.row >= ?3
              ORDER BY r.row LIMIT ?4",
            &values![page.session, page.task, page.since, page.limit],
            interval_row,
        )
    }

    /// One-way losses of a session's measurements, in the order of time: a row for each path at each look.
    pub fn oneway(&self, session: u32) -> std::result::Result<Vec<OnewayPath>, StoreError> {
        self.rows(
            "the one-way losses",
            "SELECT r.*, o.name, o.state FROM oneway_result r
               JOIN oneway o ON o.session = r.session AND o.run = r.run
              WHERE r.session = ?1 ORDER BY r.at_ns, r.run, r.direction, r.path",
            &values![session],
            oneway_path,
        )
    }

    /// The per-probe log of a task, by sender, receiver and sequence number.
    pub fn probes(&self, page: Page) -> std::result::Result<Vec<ProbeRecord>, StoreError> {
        self.rows(
            "the probe log",
            "SELECT * FROM probe_log WHERE session = ?1 AND task = ?2
              ORDER BY sender, receiver, seq LIMIT ?4 OFFSET ?3",
            &values![page.session, page.task, page.since, page.limit],
            probe_record,
        )
    }

    fn rows<T>(
        &self,
        what: &'static str,
        sql: &str,
        values: &[Value],
        read: impl FnMut(&Row) -> Result<T>,
    ) -> std::result::Result<Vec<T>, StoreError> {
        self.read(what, |db| db.rows(sql, values, read))
    }

    pub(crate) fn read<T>(
        &self,
        what: &'static str,
        read: impl FnOnce(&mut Database) -> Result<T>,
    ) -> std::result::Result<T, StoreError> {
        let db = &mut self.db.borrow_mut();
        read(db).map_err(|source| match schema::version_of(db) {
            Ok(found) if found < schema::current_version() => StoreError::Older {
                found,
                known: schema::current_version(),
            },
            Ok(_) | Err(_) => StoreError::Read { what, source },
        })
    }
}

/// A row whose columns are asked for by name.
struct Named<'a>(&'a Row);

impl Named<'_> {
    fn instant(&self, column: &str) -> Result<Instant> {
        self.count(column).map(Instant::from_ns)
    }

    fn name(&self, column: &str) -> Result<Name> {
        Name::new(self.text(column)?).map_err(|error| DatabaseError::Column(error.to_string()))
    }

    fn text(&self, column: &str) -> Result<&str> {
        self.0.text(self.0.column(column)?)
    }

    fn count(&self, column: &str) -> Result<u64> {
        self.0.count(self.0.column(column)?)
    }

    fn number<T: TryFrom<i64>>(&self, column: &str) -> Result<T> {
        self.0.number(self.0.column(column)?)
    }

    fn flag(&self, column: &str) -> Result<bool> {
        self.0.flag(self.0.column(column)?)
    }

    fn maybe_int(&self, column: &str) -> Result<Option<i64>> {
        self.0.maybe_int(self.0.column(column)?)
    }

    fn maybe_real(&self, column: &str) -> Result<Option<f64>> {
        self.0.maybe_real(self.0.column(column)?)
    }

    /// Absent, too, where an older layout has no such column.
    fn real_if_there(&self, column: &str) -> Result<Option<f64>> {
        match self.0.column(column) {
            Ok(column) => self.0.maybe_real(column),
            Err(_) => Ok(None),
        }
    }

    /// Absent, too, where an older layout has no such column.
    fn text_if_there(&self, column: &str) -> Result<Option<&str>> {
        match self.0.column(column) {
            Ok(column) => self.0.maybe_text(column),
            Err(_) => Ok(None),
        }
    }

    fn distribution(&self, metric: &str) -> Result<Option<Distribution>> {
        let column = |part: &str| format!("{metric}_{part}");
        let Some(samples) = self.maybe_int(&column("samples"))? else {
            return Ok(None);
        };
        let part = |part: &str| self.number::<i64>(&column(part));
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
}

fn interval_row(row: &Row) -> Result<IntervalRow> {
    let row = Named(row);
    Ok(IntervalRow {
        row: row.count("row")?,
        task_name: row.name("task_name")?,
        task: row.number("task")?,
        interval: row.count("interval")?,
        start_ns: row.instant("start_ns")?,
        end_ns: row.instant("end_ns")?,
        capture_drops: row.count("capture_drops")?,
        pair: PairResult {
            sender: row.number("sender")?,
            sender_name: row.name("sender_name")?,
            receiver: row.number("receiver")?,
            receiver_name: row.name("receiver_name")?,
            counts: counts(&row)?,
            loss: row.maybe_real("loss")?,
            delay: row.distribution("delay")?,
            ipdv: row.distribution("ipdv")?,
            pdv: row.distribution("pdv")?,
            corrected: corrected(&row)?,
        },
    })
}

fn counts(row: &Named<'_>) -> Result<PairCounts> {
    Ok(PairCounts {
        sent: row.count("sent")?,
        received: row.count("received")?,
        lost: row.count("lost")?,
        duplicates: row.count("duplicates")?,
        reordered: row.count("reordered")?,
        late: row.count("late")?,
    })
}

fn corrected(row: &Named<'_>) -> Result<Corrected> {
    Ok(Corrected {
        sender_rtt_ns: row.maybe_int("sender_rtt_ns")?,
        receiver_rtt_ns: row.maybe_int("receiver_rtt_ns")?,
        sender_ping_loss: row.maybe_real("sender_ping_loss")?,
        receiver_ping_loss: row.maybe_real("receiver_ping_loss")?,
        delay_half_ns: row.maybe_int("path_delay_half_ns")?,
        delay_low_ns: row.maybe_int("path_delay_low_ns")?,
        delay_high_ns: row.maybe_int("path_delay_high_ns")?,
        loss_half: row.maybe_real("path_loss_half")?,
        loss_low: row.maybe_real("path_loss_low")?,
        loss_high: row.maybe_real("path_loss_high")?,
        loss_inferred: row.real_if_there("path_loss_inferred")?,
        loss_inferred_low: row.real_if_there("path_loss_inferred_low")?,
        loss_inferred_high: row.real_if_there("path_loss_inferred_high")?,
        inferred_from: inferred_from(row)?,
    })
}

fn inferred_from(row: &Named<'_>) -> Result<Vec<Name>> {
    match row.text_if_there("path_loss_inferred_from")? {
        Some(names) => {
            serde_json::from_str(names).map_err(|error| DatabaseError::Column(error.to_string()))
        }
        None => Ok(Vec::new()),
    }
}

fn oneway_path(row: &Row) -> Result<OnewayPath> {
    let row = Named(row);
    let real = |column: &str| -> Result<f64> { Ok(row.maybe_real(column)?.unwrap_or(f64::NAN)) };
    Ok(OnewayPath {
        run: row.number("run")?,
        name: row.text("name")?.to_owned(),
        state: row.text("state")?.to_owned(),
        at_ns: row.count("at_ns")?,
        direction: row.text("direction")?.to_owned(),
        path: row.text("path")?.to_owned(),
        probes: row.count("probes")?,
        discarded: row.count("discarded")?,
        loss: real("loss")?,
        low: real("low")?,
        high: real("high")?,
    })
}

fn probe_record(row: &Row) -> Result<ProbeRecord> {
    let row = Named(row);
    let unsigned = |ns: i64| u64::try_from(ns).unwrap_or(0);
    Ok(ProbeRecord {
        task: row.number("task")?,
        sender: row.number("sender")?,
        receiver: row.number("receiver")?,
        seq: row.number("seq")?,
        sent_ns: row.instant("sent_ns")?,
        received_ns: row
            .maybe_int("received_ns")?
            .map(|ns| Instant::from_ns(unsigned(ns))),
        fate: match row.text("fate")? == "received" {
            true => Fate::Received,
            false => Fate::Lost,
        },
        duplicates: row.number("duplicates")?,
        reordered: row.flag("reordered")?,
        late: row.number("late")?,
        warmup: row.flag("warmup")?,
        interval: row.maybe_int("interval")?.map(unsigned),
    })
}
