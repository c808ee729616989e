//! What the active side measured: tasks, and the matrix of their pairs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vmscope_store::PairSpan;

use super::{Nothing, window};
use crate::moment::Moment;
use crate::problem::Problem;
use crate::route::Ask;

/// The tasks that may be seen: an MVPN's bears its name.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tasks {
    /// By name.
    pub tasks: Vec<Task>,
}

/// All runs of a task.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Task {
    /// Its name.
    pub task: String,
    /// The group it probed, in its last run.
    pub group: String,
    /// When its first run started.
    pub first: Moment,
    /// When its last run started.
    pub latest: Moment,
    /// Whether it runs, as far as is written down.
    pub running: bool,
    /// How many runs.
    pub runs: u64,
}

/// Which stretch of time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairsQuery {
    /// Intervals that ended after this moment.
    pub from: Moment,
    /// Intervals that ended by this moment; the present if absent.
    pub until: Option<Moment>,
}

/// What was measured between pairs in a stretch of time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Pairs {
    /// Where the first interval that counts begins; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Moment>,
    /// Where the last one ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// Whether there was more than could be looked at: then only the latest counts.
    pub cut: bool,
    /// By sender and receiver.
    pub pairs: Vec<Pair>,
}

/// One pair. Shares are fractions between 0 and 1; times are milliseconds and include the monitor's tunnels where nothing
/// else is said.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Pair {
    /// Tunnel of the sender.
    pub sender: String,
    /// Tunnel of the receiver.
    pub receiver: String,
    /// Intervals that it is made of.
    pub intervals: u64,
    /// Probes whose fate is decided.
    pub sent: u64,
    /// Of those, how many were lost.
    pub lost: u64,
    /// Copies too many.
    pub duplicates: u64,
    /// Received out of order.
    pub reordered: u64,
    /// Packets that the monitor's own capture dropped meanwhile: losses may be its own.
    pub capture_drops: u64,
    /// lost / sent.
    pub loss: Option<f64>,
    /// What the loss between the PEs was at least; absent where the tunnels' part is unknown.
    pub path_loss_low: Option<f64>,
    /// At most.
    pub path_loss_high: Option<f64>,
    /// Samples of delay.
    pub delay_samples: u64,
    /// The least delay.
    pub delay_min_ms: Option<f64>,
    /// The mean.
    pub delay_mean_ms: Option<f64>,
    /// The highest of the intervals' 99th percentiles.
    pub delay_p99_max_ms: Option<f64>,
    /// The greatest.
    pub delay_max_ms: Option<f64>,
    /// The mean delay between the PEs, at least; absent where the tunnels' part is unknown.
    pub path_delay_low_ms: Option<f64>,
    /// At most.
    pub path_delay_high_ms: Option<f64>,
}

impl From<PairSpan> for Pair {
    fn from(pair: PairSpan) -> Pair {
        let ms = |ns: Option<i64>| ns.map(|ns| ns as f64 / 1e6);
        Pair {
            sender: pair.sender,
            receiver: pair.receiver,
            intervals: pair.intervals,
            sent: pair.sent,
            lost: pair.lost,
            duplicates: pair.duplicates,
            reordered: pair.reordered,
            capture_drops: pair.capture_drops,
            loss: pair.loss,
            path_loss_low: pair.path_loss_low,
            path_loss_high: pair.path_loss_high,
            delay_samples: pair.delay_samples,
            delay_min_ms: ms(pair.delay_min_ns),
            delay_mean_ms: ms(pair.delay_mean_ns),
            delay_p99_max_ms: ms(pair.delay_p99_max_ns),
            delay_max_ms: ms(pair.delay_max_ns),
            path_delay_low_ms: ms(pair.path_delay_low_ns),
            path_delay_high_ms: ms(pair.path_delay_high_ns),
        }
    }
}

/// The tasks that may be seen.
pub fn tasks(ask: &Ask<'_>, _: Nothing) -> Result<Tasks, Problem> {
    let all = ask.reader.task_spans()?.into_iter();
    let own = all.filter(|task| ask.scope.sees(&task.name));
    let tasks = own.map(|task| Task {
        task: task.name,
        group: task.group,
        first: task.first.into(),
        latest: task.latest.into(),
        running: task.running,
        runs: task.runs,
    });
    Ok(Tasks {
        tasks: tasks.collect(),
    })
}

/// The matrix of a task's pairs.
pub fn pairs(ask: &Ask<'_>, query: PairsQuery) -> Result<Pairs, Problem> {
    let task = ask.part("task")?;
    let there = ask.scope.sees(task)
        && ask
            .reader
            .task_spans()?
            .iter()
            .any(|span| span.name == task);
    if !there {
        return Err(Problem::unknown("task", task));
    }
    let window = window(query.from, query.until.unwrap_or(Moment::NOW))?;
    let found = ask.reader.pairs_between(task, window)?;
    Ok(Pairs {
        from: found.from.map(Moment),
        until: found.until.map(Moment),
        cut: found.cut,
        pairs: found.pairs.into_iter().map(Pair::from).collect(),
    })
}
