//! Entries to rows.

mod oneway;

use vmscope_core::alarm::{Transition, Turn};
use vmscope_core::report::{
    Distribution, Fate, IntervalRow, PingRow, ProbeRecord, Record, StreamRow, TaskStatus,
};
use vmscope_core::spec::{PassiveSpec, TunnelSpec};
use vmscope_core::time::Instant;

use crate::alarm::rows;
use crate::database::{Database, Result, Value, values};
use crate::entry::{Counters, Entry, Level, LogEvent, SessionStart};
use crate::error::DatabaseError;
use crate::mvpn::Ledger;

/// SQLite's integers are signed; nothing counted here comes near the limit.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn at(instant: Instant) -> i64 {
    int(instant.as_ns())
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| DatabaseError::Unwritable(e.to_string()))
}

/// The row of a run that begins, and its first clock anchor.
pub(crate) fn session_start(db: &mut Database, start: &SessionStart) -> Result<()> {
    run(
        db,
        "INSERT INTO session (session, version, interface, probe_port, started_ns, updated_ns)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
        values![
            start.session,
            start.version.as_str(),
            start.interface.as_str(),
            start.probe_port,
            at(start.at_ns)
        ],
    )?;
    anchor(
        db,
        start.session,
        start.at_ns,
        start.realtime_minus_monotonic_ns,
        "start",
    )
}

/// Writes one entry of `session`.
pub(crate) fn entry(
    db: &mut Database,
    ledger: &mut Ledger,
    session: u32,
    entry: &Entry,
) -> Result<()> {
    match entry {
        Entry::Record(Record::WatchStarted { mvpn, at_ns }) => ledger.watch(db, mvpn, *at_ns),
        Entry::Record(Record::WatchStopped { mvpn, at_ns }) => ledger.unwatch(db, mvpn, *at_ns),
        Entry::Record(Record::Change(change)) => ledger.change(db, change),
        Entry::Record(Record::Repeated(refreshes)) => ledger.refreshes(db, refreshes),
        Entry::Record(Record::Alarm(transition)) => {
            log_event(db, session, &of_alarm(transition))?;
            rows::transition(db, ledger, session, transition)
        }
        Entry::Record(Record::Expected { expected, at_ns }) => {
            rows::expected(db, ledger, session, *at_ns, expected)
        }
        Entry::Storm(storm) => rows::storm(db, ledger, session, storm),
        Entry::Record(record) => write_record(db, session, record),
        Entry::Clock(clock) => {
            let offset = clock.realtime_minus_monotonic_ns;
            anchor(db, session, clock.at_ns, offset, "step")?;
            ledger.handle_step(clock.at_ns, offset);
            Ok(())
        }
        Entry::Event(event) => log_event(db, session, event),
        Entry::Counters(counters) => {
            ledger.handle_sign_of_life(counters.at_ns);
            write_counters(db, session, counters)
        }
        Entry::End {
            at_ns,
            realtime_minus_monotonic_ns,
        } => {
            anchor(db, session, *at_ns, *realtime_minus_monotonic_ns, "end")?;
            ledger.end(db, *at_ns)?;
            run(
                db,
                "UPDATE session SET ended_ns = ?2 WHERE session = ?1",
                values![session, at(*at_ns)],
            )
        }
    }
}

fn write_record(db: &mut Database, session: u32, record: &Record) -> Result<()> {
    match record {
        Record::TunnelAdded { spec, at_ns } => tunnel_added(db, session, spec, *at_ns),
        Record::TunnelDropped { tunnel, at_ns } => run(
            db,
            "UPDATE tunnel SET dropped_ns = ?3 WHERE session = ?1 AND tunnel = ?2 AND dropped_ns IS NULL",
            values![session, *tunnel, at(*at_ns)],
        ),
        Record::TaskStarted(task) => task_started(db, session, task),
        Record::TaskFinished(task) => run(
            db,
            "UPDATE task SET finished = 1, probes_sent = ?3, intervals = ?4 WHERE session = ?1 AND task = ?2",
            values![
                session,
                task.task,
                int(task.probes_sent),
                int(task.intervals)
            ],
        ),
        Record::Probe(probe) => log_probe(db, session, probe),
        Record::Interval(row) => interval_result(db, session, row),
        Record::Ping(row) => tunnel_result(db, session, row),
        // Written with the ledger's time.
        Record::Alarm(_)
        | Record::Expected { .. }
        | Record::WatchStarted { .. }
        | Record::WatchStopped { .. }
        | Record::Change(_)
        | Record::Repeated(_) => Ok(()),
        Record::Stream { at_ns, stream } => passive_result(db, session, *at_ns, stream),
        Record::PassiveStarted(spec) => passive_started(db, session, spec),
        Record::OnewayStarted(status) => oneway::started(db, session, status),
        Record::Oneway(row) => oneway::row(db, session, row),
        Record::OnewayFinished(status) => oneway::finished(db, session, status),
    }
}

fn run<const N: usize>(db: &mut Database, sql: &str, values: [Value; N]) -> Result<()> {
    db.tell(sql, &values)
}

fn anchor(
    db: &mut Database,
    session: u32,
    at_ns: Instant,
    offset: i64,
    reason: &str,
) -> Result<()> {
    run(
        db,
        "INSERT INTO clock_anchor VALUES (?1, ?2, ?3, ?4)",
        values![session, at(at_ns), offset, reason],
    )
}

/// Every turn of an alarm stands among the events.
fn of_alarm(transition: &Transition) -> LogEvent {
    let alarm = &transition.alarm;
    LogEvent {
        at_ns: transition.at_ns,
        level: match (transition.turn, alarm.severity) {
            (Turn::Cleared, _) => Level::Info,
            (Turn::Raised | Turn::Changed, _) => Level::Warning,
        },
        kind: format!("alarm-{}", transition.turn.as_str()),
        message: format!("{} {}: {}", alarm.mvpn, alarm.kind.as_str(), alarm.message),
    }
}

pub(crate) fn log_event(db: &mut Database, session: u32, event: &LogEvent) -> Result<()> {
    run(
        db,
        "INSERT INTO event VALUES (?1, ?2, ?3, ?4, ?5)",
        values![
            session,
            at(event.at_ns),
            event.level.as_str(),
            event.kind.as_str(),
            event.message.as_str()
        ],
    )
}

fn write_counters(db: &mut Database, session: u32, counters: &Counters) -> Result<()> {
    run(
        db,
        "UPDATE session SET updated_ns = ?2, capture_received = ?3, capture_drops = ?4,
                transmit_errors = ?5, record_drops = ?6 WHERE session = ?1",
        values![
            session,
            at(counters.at_ns),
            int(counters.capture_received),
            int(counters.capture_drops),
            int(counters.transmit_errors),
            int(counters.record_drops)
        ],
    )
}

fn tunnel_added(db: &mut Database, session: u32, spec: &TunnelSpec, at_ns: Instant) -> Result<()> {
    run(
        db,
        "INSERT INTO tunnel VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NULL)",
        values![
            session,
            spec.id.unwrap_or(0),
            spec.name.as_str(),
            spec.outer_local.map(|a| a.to_string()),
            spec.outer_remote.map(|a| a.to_string()),
            spec.inner_local.to_string(),
            spec.inner_remote.to_string(),
            json(spec)?,
            at(at_ns)
        ],
    )
}

fn task_started(db: &mut Database, session: u32, task: &TaskStatus) -> Result<()> {
    run(
        db,
        "INSERT INTO task (session, task, name, group_address, spec, started_ns, epoch_ns)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        values![
            session,
            task.task,
            task.spec.name.as_str(),
            task.spec.group.to_string(),
            json(&task.spec)?,
            at(task.started_ns),
            at(task.epoch_ns)
        ],
    )
}

fn log_probe(db: &mut Database, session: u32, probe: &ProbeRecord) -> Result<()> {
    let fate = match probe.fate {
        Fate::Received => "received",
        Fate::Lost => "lost",
    };
    run(
        db,
        "INSERT INTO probe_log VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        values![
            session,
            probe.task,
            probe.sender,
            probe.receiver,
            probe.seq,
            probe.interval.map(int),
            at(probe.sent_ns),
            probe.received_ns.map(at),
            fate,
            probe.duplicates,
            probe.reordered,
            probe.late,
            probe.warmup
        ],
    )
}

/// Values of a row, gathered in the order of the table's columns.
#[derive(Default)]
struct Row(Vec<Value>);

impl Row {
    fn ints(mut self, values: impl IntoIterator<Item = u64>) -> Row {
        self.0
            .extend(values.into_iter().map(|v| Value::Int(int(v))));
        self
    }

    fn maybe_ints(mut self, values: impl IntoIterator<Item = Option<i64>>) -> Row {
        self.0.extend(
            values
                .into_iter()
                .map(|v| v.map_or(Value::Null, Value::Int)),
        );
        self
    }

    fn reals(mut self, values: impl IntoIterator<Item = Option<f64>>) -> Row {
        self.0.extend(
            values
                .into_iter()
                .map(|v| v.map_or(Value::Null, Value::Real)),
        );
        self
    }

    fn text(mut self, value: Option<String>) -> Row {
        self.0.push(value.map_or(Value::Null, Value::Text));
        self
    }

    fn distribution(self, distribution: &Option<Distribution>) -> Row {
        let Some(d) = distribution else {
            return self.maybe_ints([None; 8]);
        };
        self.ints([d.samples]).maybe_ints(
            [
                d.min_ns, d.mean_ns, d.p50_ns, d.p90_ns, d.p99_ns, d.p999_ns, d.max_ns,
            ]
            .map(Some),
        )
    }

    fn insert_into(self, db: &mut Database, table: &str) -> Result<()> {
        let places: Vec<String> = (1..=self.0.len())
            .map(|place| format!("?{place}"))
            .collect();
        let places = places.join(",");
        db.tell(&format!("INSERT INTO {table} VALUES ({places})"), &self.0)
    }
}

fn interval_result(db: &mut Database, session: u32, row: &IntervalRow) -> Result<()> {
    let (pair, counts, path) = (&row.pair, &row.pair.counts, &row.pair.corrected);
    let inferred_from = match path.inferred_from.as_slice() {
        [] => None,
        names => Some(json(&names)?),
    };
    Row::default()
        .ints([session.into(), row.task.into(), row.row, row.interval])
        .ints([pair.sender.into(), pair.receiver.into()])
        .ints([row.start_ns.as_ns(), row.end_ns.as_ns(), row.capture_drops])
        .ints([counts.sent, counts.received, counts.lost])
        .ints([counts.duplicates, counts.reordered, counts.late])
        .reals([pair.loss])
        .distribution(&pair.delay)
        .distribution(&pair.ipdv)
        .distribution(&pair.pdv)
        .maybe_ints([path.sender_rtt_ns, path.receiver_rtt_ns])
        .reals([path.sender_ping_loss, path.receiver_ping_loss])
        .maybe_ints([path.delay_half_ns, path.delay_low_ns, path.delay_high_ns])
        .reals([path.loss_half, path.loss_low, path.loss_high])
        .reals([
            path.loss_inferred,
            path.loss_inferred_low,
            path.loss_inferred_high,
        ])
        .text(inferred_from)
        .insert_into(db, "interval_result")
}

fn tunnel_result(db: &mut Database, session: u32, row: &PingRow) -> Result<()> {
    Row::default()
        .ints([session.into(), row.tunnel.into()])
        .ints([row.start_ns.as_ns(), row.end_ns.as_ns(), row.sent, row.lost])
        .distribution(&row.rtt)
        .insert_into(db, "tunnel_result")
}

fn passive_started(db: &mut Database, session: u32, spec: &PassiveSpec) -> Result<()> {
    run(
        db,
        "INSERT INTO passive_observation VALUES (?1, ?2, ?3)",
        values![session, spec.name.as_str(), json(spec)?],
    )
}

fn passive_result(db: &mut Database, session: u32, at_ns: Instant, row: &StreamRow) -> Result<()> {
    let rtp = |get: fn(&vmscope_core::report::RtpRow) -> i64| row.rtp.as_ref().map(get);
    Row::default()
        .ints([session.into(), at_ns.as_ns()])
        .text(Some(row.passive.to_string()))
        .ints([row.tunnel.into()])
        .text(row.pe.map(|a| a.to_string()))
        .text(Some(row.source.to_string()))
        .text(Some(row.group.to_string()))
        .ints([
            row.protocol.into(),
            row.source_port.into(),
            row.destination_port.into(),
        ])
        .ints([row.received.packets, row.received.bytes])
        .ints([row.first_ns.as_ns(), row.last_ns.as_ns()])
        .maybe_ints([row.bits_per_second.map(int)])
        .maybe_ints([
            rtp(|r| r.ssrc.into()),
            rtp(|r| int(r.expected)),
            rtp(|r| int(r.received)),
        ])
        .maybe_ints([
            rtp(|r| r.lost),
            rtp(|r| r.jitter_units.into()),
            rtp(|r| r.restarts.into()),
        ])
        .insert_into(db, "passive_result")
}
