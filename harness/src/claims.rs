//! What the monitor says: its database and its replies, read from outside through their public layouts.
//!
//! Nothing here shares code with the monitor's own store; the tables are documented in
//! `monitor/store/src/schema.rs` and are a contract.

mod database;
pub mod history;
mod oneway;

use std::collections::BTreeMap;

use crate::drive::checkpoint::{self, Checkpoint};
use crate::drive::hearing;
use mvpnlab_emulator::place::Files;
pub use oneway::{OnewayRun, WayClaim};
use vmscope_core::alarm::{Alarm, Transition};
use vmscope_core::control::{Answer, Event, Outcome, Overhead, Reply, Status, StreamRow};
use vmscope_core::view::Change;

/// Why the monitor's claims could not be read. The monitor's fault, not the lab's.
#[derive(Debug, thiserror::Error)]
pub enum ClaimsError {
    /// No database came back.
    #[error(
        "the monitor left no database (monitor/vmscope.db is missing from the observation); see monitor/log.txt"
    )]
    NoDatabase,
    /// It cannot be read.
    #[error(
        "cannot read {what} from the monitor's database: {source}; is its layout the one of this version?"
    )]
    Database {
        /// Which table.
        what: &'static str,
        /// SQLite's words.
        source: rusqlite::Error,
    },
    /// It could not be put where SQLite finds it.
    #[error(
        "cannot write the monitor's database to a temporary file: {0}; free some space in the temporary directory"
    )]
    Temporary(#[from] std::io::Error),
    /// A reply is not of the documented form.
    #[error("cannot read the monitor's reply {file}: {found}")]
    Reply {
        /// Which file of the observation.
        file: String,
        /// What was found.
        found: String,
    },
}

/// A probe on its way to one receiver, named as in the probe's own header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeKey {
    /// Run of the monitor.
    pub session: u32,
    /// Run of the task.
    pub task: u32,
    /// Tunnel into which it was sent.
    pub sender: u32,
    /// Sequence number within the task and sender.
    pub seq: u32,
    /// Tunnel over which a copy was expected.
    pub receiver: u32,
}

/// One line of the monitor's log. Times are monotonic nanoseconds of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeClaim {
    /// When it left the monitor.
    pub sent_ns: u64,
    /// When its first copy arrived; none if it was lost.
    pub received_ns: Option<u64>,
    /// Lost, the monitor says.
    pub lost: bool,
    /// Further copies in time.
    pub duplicates: u64,
    /// Arrived after a later one.
    pub reordered: bool,
    /// Sent to warm up; counted nowhere.
    pub warmup: bool,
    /// Interval that it was counted in.
    pub interval: Option<u64>,
}

impl ProbeClaim {
    /// One-way delay, tunnels included.
    pub fn delay_ns(&self) -> Option<i64> {
        self.received_ns
            .map(|at| at.cast_signed() - self.sent_ns.cast_signed())
    }
}

/// A run of a task, as the monitor's `task` table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRun {
    /// Run of the monitor.
    pub session: u32,
    /// Number in its probes.
    pub task: u32,
    /// Name.
    pub name: String,
    /// When it was started.
    pub started_ns: u64,
    /// Start of interval 0.
    pub epoch_ns: u64,
    /// Every probe decided.
    pub finished: bool,
    /// Probes sent, warm-up included.
    pub probes_sent: u64,
}

/// One pair, one interval: the columns that the checks look at.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[allow(missing_docs)] // the columns of `interval_result`, by their names there
pub struct IntervalClaim {
    pub session: u32,
    pub task: u32,
    pub interval: u64,
    pub sender: u32,
    pub receiver: u32,
    pub start_ns: u64,
    pub end_ns: u64,
    pub sent: u64,
    pub received: u64,
    pub lost: u64,
    pub duplicates: u64,
    pub reordered: u64,
    pub delay_mean_ns: Option<i64>,
    pub path_delay_half_ns: Option<i64>,
    pub path_delay_low_ns: Option<i64>,
    pub path_delay_high_ns: Option<i64>,
    pub path_loss_half: Option<f64>,
    pub path_loss_low: Option<f64>,
    pub path_loss_high: Option<f64>,
    pub path_loss_inferred: Option<f64>,
    pub path_loss_inferred_low: Option<f64>,
    pub path_loss_inferred_high: Option<f64>,
}

/// The last counters of a customer stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamClaim {
    /// Tunnel it came by.
    pub tunnel: u32,
    /// Customer source address.
    pub source: String,
    /// Customer group.
    pub group: String,
    /// Packets counted.
    pub packets: u64,
    /// RTP packets missing.
    pub rtp_lost: Option<i64>,
}

/// Something that the monitor said unasked.
#[derive(Debug, Clone, PartialEq)]
pub struct Told<T> {
    /// When a client of its control socket heard it, monotonic nanoseconds of the lab.
    pub told_ns: u64,
    /// What it said.
    pub what: T,
}

/// Everything the monitor said.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// Runs of tasks, in order of session start and task number.
    pub tasks: Vec<TaskRun>,
    /// The log.
    pub probes: BTreeMap<ProbeKey, ProbeClaim>,
    /// The interval rows.
    pub intervals: Vec<IntervalClaim>,
    /// Runs of one-way measurements, in order of session start and run.
    pub oneways: Vec<OnewayRun>,
    /// Customer streams.
    pub streams: Vec<StreamClaim>,
    /// `capture_drops` + `record_drops` over all sessions.
    pub own_drops: u64,
    /// Last reply to `status`.
    pub status: Option<Status>,
    /// Last reply to `overhead`.
    pub overhead: Option<Overhead>,
    /// When that reply came.
    pub overhead_ns: Option<u64>,
    /// What it said of MVPNs that it watches, beside the routers' own words.
    pub checkpoints: Vec<Checkpoint>,
    /// What it said unasked of what it watches, in the order in which it was heard.
    pub changes: Vec<Told<Change>>,
    /// What it said unasked of alarms.
    pub alarms: Vec<Told<Transition>>,
    /// Last reply to `alarm-list`.
    pub active_alarms: Option<Vec<Alarm>>,
    /// When the last of the MVPNs that are watched had been asked for.
    pub watched_since_ns: Option<u64>,
    /// When the first passive observation had been asked for.
    pub passive_since_ns: Option<u64>,
}

impl Claims {
    /// Reads everything of the monitor in an observation.
    pub fn of(observation: &Files) -> Result<Self, ClaimsError> {
        let bytes = observation
            .get("monitor/vmscope.db")
            .ok_or(ClaimsError::NoDatabase)?;
        let log = observation
            .get("monitor/vmscope.db-wal")
            .map_or(&[][..], Vec::as_slice);
        let mut claims = database::read(bytes, log)?;
        if let Some(Answer::Status(status)) = reply(observation, "monitor/status.json")? {
            claims.status = Some(*status);
        }
        if let Some(Answer::Overhead(overhead)) = reply(observation, "monitor/overhead.json")? {
            claims.overhead = Some(overhead);
            claims.overhead_ns = asked(observation, "overhead").pop();
        }
        let answered =
            |name: &&String| name.starts_with("monitor/passive-") && name.ends_with(".json");
        let mut streams = Vec::new();
        for file in observation.keys().filter(answered) {
            if let Some(Answer::Streams { streams: rows, .. }) = reply(observation, file)? {
                streams.extend(rows.iter().map(StreamClaim::from));
            }
        }
        // The last reply is younger than the last row in the database; a monitor that died left only the latter.
        if !streams.is_empty() {
            claims.streams = streams;
        }
        if let Some(bytes) = observation.get(checkpoint::FILE) {
            claims.checkpoints = serde_json::from_slice(bytes).map_err(|error| {
                let (file, found) = (checkpoint::FILE.to_owned(), error.to_string());
                ClaimsError::Reply { file, found }
            })?;
        }
        claims.hear(observation)?;
        if let Some(Answer::Alarms { alarms, .. }) = reply(observation, "monitor/alarms.json")? {
            claims.active_alarms = Some(alarms);
        }
        claims.watched_since_ns = asked(observation, "mvpn-add").pop();
        claims.passive_since_ns = asked(observation, "passive-start").into_iter().next();
        Ok(claims)
    }

    /// What came over the connection that only listens.
    fn hear(&mut self, observation: &Files) -> Result<(), ClaimsError> {
        let lines = observation
            .get(hearing::FILE)
            .map_or(&[][..], Vec::as_slice);
        let lines = lines.split(|byte| *byte == b'\n').filter(|l| !l.is_empty());
        for line in lines {
            let line: hearing::Line<Event> = serde_json::from_slice(line).map_err(|error| {
                let found = format!("{error} in {}", String::from_utf8_lossy(line));
                ClaimsError::Reply {
                    file: hearing::FILE.into(),
                    found,
                }
            })?;
            let told_ns = line.monotonic_ns;
            match line.event {
                Event::Change(what) => self.changes.push(Told {
                    told_ns,
                    what: *what,
                }),
                Event::Alarm(what) => self.alarms.push(Told {
                    told_ns,
                    what: *what,
                }),
                // Not asked for.
                Event::Interval { .. }
                | Event::Task(_)
                | Event::Ping(_)
                | Event::Filter { .. }
                | Event::Oneway(_)
                | Event::Shutdown => {}
            }
        }
        Ok(())
    }

    /// The runs of the task of this name.
    pub fn runs<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a TaskRun> {
        self.tasks.iter().filter(move |run| run.name == name)
    }
}

impl From<&StreamRow> for StreamClaim {
    fn from(row: &StreamRow) -> Self {
        Self {
            tunnel: row.tunnel,
            source: row.source.to_string(),
            group: row.group.to_string(),
            packets: row.received.packets,
            rtp_lost: row.rtp.as_ref().map(|rtp| rtp.lost),
        }
    }
}

/// The answer in one of the observation's reply files; none where the file is absent or a refusal.
fn reply(observation: &Files, file: &str) -> Result<Option<Answer>, ClaimsError> {
    let Some(bytes) = observation.get(file) else {
        return Ok(None);
    };
    let malformed = |error: serde_json::Error| ClaimsError::Reply {
        file: file.into(),
        found: error.to_string(),
    };
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(malformed)?;
    if value.get("kind").is_some() {
        return serde_json::from_value(value).map(Some).map_err(malformed);
    }
    match serde_json::from_value::<Reply>(value)
        .map_err(malformed)?
        .outcome
    {
        Outcome::Ok(answer) => Ok(Some(answer)),
        Outcome::Error(_) => Ok(None),
    }
}

/// When the requests of this operation were answered, by the transcript, in order.
fn asked(observation: &Files, operation: &str) -> Vec<u64> {
    let transcript = observation
        .get("monitor/requests.jsonl")
        .map_or(&[][..], Vec::as_slice);
    let lines = transcript
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok());
    let of = |line: serde_json::Value| {
        (line["request"]["request"]["op"] == operation).then(|| line["monotonic_ns"].as_u64())?
    };
    lines.filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// The monitor's own statements, from the files that document the contract.
    fn layout() -> String {
        let statements = |file: &str, first: &str| {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../monitor/store/src");
            let source = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
            let from = source.find(first).unwrap();
            source[from..][..source[from..].find("\n\";").unwrap()].to_owned()
        };
        let first = statements("schema.rs", "CREATE TABLE session");
        first + &statements("schema/oneway.rs", "ALTER TABLE")
    }

    fn database(statements: &str) -> Files {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vmscope.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(&format!("{}\n{statements}", layout()))
            .unwrap();
        drop(connection);
        Files::from([("monitor/vmscope.db".into(), std::fs::read(path).unwrap())])
    }

    #[test]
    fn the_documented_layout_is_read() {
        let observation = database(
            "INSERT INTO session (session, version, interface, probe_port, started_ns, updated_ns, capture_drops) VALUES (7, '1', 'to-P', 33900, 5, 6, 2);
             INSERT INTO tunnel VALUES (7, 1, 't1', NULL, NULL, '10.77.1.2', '10.77.1.1', '{}', 5, NULL);
             INSERT INTO task (session, task, name, group_address, spec, started_ns, epoch_ns, finished) VALUES (7, 3, 'red', '239.1.1.1', '{}', 10, 20, 1);
             INSERT INTO probe_log VALUES (7, 3, 1, 2, 0, NULL, 11, 15, 'received', 1, 0, 0, 1), (7, 3, 1, 2, 1, 0, 21, NULL, 'lost', 0, 0, 0, 0);
             INSERT INTO interval_result (session, task, row, interval, sender, receiver, start_ns, end_ns, capture_drops, sent, received, lost, duplicates, reordered, late, path_loss_high)
               VALUES (7, 3, 0, 0, 1, 2, 20, 30, 0, 1, 0, 1, 0, 0, 0, 0.5);
             INSERT INTO passive_result (session, at_ns, passive, tunnel, source, group_address, protocol, source_port, destination_port, packets, bytes, first_ns, last_ns, rtp_lost)
               VALUES (7, 40, 'red', 2, '192.168.1.2', '239.200.1.1', 17, 1, 2, 5, 500, 1, 2, 0), (7, 50, 'red', 2, '192.168.1.2', '239.200.1.1', 17, 1, 2, 9, 900, 1, 2, 1);",
        );
        let claims = Claims::of(&observation).unwrap();
        assert_eq!((claims.own_drops, claims.runs("red").count()), (2, 1));
        let key = |seq| ProbeKey {
            session: 7,
            task: 3,
            sender: 1,
            seq,
            receiver: 2,
        };
        assert_eq!(
            (
                claims.probes[&key(0)].delay_ns(),
                claims.probes[&key(0)].duplicates
            ),
            (Some(4), 1)
        );
        assert!(claims.probes[&key(0)].warmup && claims.probes[&key(1)].lost);
        assert_eq!(
            (claims.intervals.len(), claims.intervals[0].path_loss_high),
            (1, Some(0.5))
        );
        assert_eq!((claims.streams.len(), claims.streams[0].packets), (1, 9));
    }

    #[test]
    fn no_database_and_nonsense_are_errors() {
        assert!(matches!(
            Claims::of(&Files::new()),
            Err(ClaimsError::NoDatabase)
        ));
        let nonsense = Files::from([(
            "monitor/vmscope.db".into(),
            b"not a database at all, for certain".to_vec(),
        )]);
        assert!(matches!(
            Claims::of(&nonsense),
            Err(ClaimsError::Database { .. })
        ));
    }

    #[test]
    fn replies_and_their_times_are_read() {
        let mut observation = database("");
        let overhead = serde_json::to_vec(&Answer::Overhead(Overhead::default())).unwrap();
        observation.insert("monitor/overhead.json".into(), overhead);
        let transcript = r#"{"monotonic_ns":5,"request":{"id":1,"request":{"op":"overhead"}},"reply":{}}
{"monotonic_ns":9,"request":{"id":2,"request":{"op":"overhead"}},"reply":{}}
{"monotonic_ns":11,"request":{"id":3,"request":{"op":"status"}},"reply":{}}"#;
        observation.insert("monitor/requests.jsonl".into(), transcript.into());
        let claims = Claims::of(&observation).unwrap();
        assert_eq!(
            (claims.overhead, claims.overhead_ns),
            (Some(Overhead::default()), Some(9))
        );
        observation.insert("monitor/overhead.json".into(), b"{}".to_vec());
        assert!(matches!(
            Claims::of(&observation),
            Err(ClaimsError::Reply { .. })
        ));
    }
}
