//! What the monitor says: its database and its replies, read from outside through their public layouts.
//!
//! Nothing here shares code with the monitor's own store; the tables are documented in
//! `monitor/store/src/schema.rs` and are a contract.

mod database;

use std::collections::BTreeMap;

use mvpnlab_emulator::place::Files;
use vmscope_core::control::{Answer, Outcome, Overhead, Reply, Status};

/// Why the monitor's claims could not be read. The monitor's fault, not the lab's.
#[derive(Debug, thiserror::Error)]
pub enum ClaimsError {
    /// No database came back.
    #[error("the monitor left no database (monitor/vmscope.db is missing from the observation); see monitor/log.txt")]
    NoDatabase,
    /// It cannot be read.
    #[error("cannot read {what} from the monitor's database: {source}; is its layout the one of this version?")]
    Database {
        /// Which table.
        what: &'static str,
        /// SQLite's words.
        source: rusqlite::Error,
    },
    /// It could not be put where SQLite finds it.
    #[error("cannot write the monitor's database to a temporary file: {0}; free some space in the temporary directory")]
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
        self.received_ns.map(|at| at.cast_signed() - self.sent_ns.cast_signed())
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

/// Everything the monitor said.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// Tunnel names by number, over all sessions.
    pub tunnels: BTreeMap<u32, String>,
    /// Runs of tasks, in order of session start and task number.
    pub tasks: Vec<TaskRun>,
    /// The log.
    pub probes: BTreeMap<ProbeKey, ProbeClaim>,
    /// The interval rows.
    pub intervals: Vec<IntervalClaim>,
    /// Customer streams.
    pub streams: Vec<StreamClaim>,
    /// `capture_drops` + `record_drops` over all sessions.
    pub own_drops: u64,
    /// Last reply to `status`.
    pub status: Option<Status>,
    /// Last reply to `overhead`.
    pub overhead: Option<Overhead>,
}

impl Claims {
    /// Reads everything of the monitor in an observation.
    pub fn of(observation: &Files) -> Result<Self, ClaimsError> {
        let bytes = observation.get("monitor/vmscope.db").ok_or(ClaimsError::NoDatabase)?;
        let mut claims = database::read(bytes)?;
        if let Some(Answer::Status(status)) = reply(observation, "monitor/status.json")? {
            claims.status = Some(*status);
        }
        if let Some(Answer::Overhead(overhead)) = reply(observation, "monitor/overhead.json")? {
            claims.overhead = Some(overhead);
        }
        Ok(claims)
    }

    /// The runs of the task of this name.
    pub fn runs<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a TaskRun> {
        self.tasks.iter().filter(move |run| run.name == name)
    }

    /// Number of the tunnel of this name.
    pub fn tunnel(&self, name: &str) -> Option<u32> {
        self.tunnels.iter().find(|(_, known)| *known == name).map(|(id, _)| *id)
    }
}

/// The answer in one of the observation's reply files; none where the file is absent or a refusal.
fn reply(observation: &Files, file: &str) -> Result<Option<Answer>, ClaimsError> {
    let Some(bytes) = observation.get(file) else { return Ok(None) };
    let malformed = |error: serde_json::Error| ClaimsError::Reply { file: file.into(), found: error.to_string() };
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(malformed)?;
    if value.get("kind").is_some() {
        return serde_json::from_value(value).map(Some).map_err(malformed);
    }
    match serde_json::from_value::<Reply>(value).map_err(malformed)?.outcome {
        Outcome::Ok(answer) => Ok(Some(answer)),
        Outcome::Error(_) => Ok(None),
    }
}
