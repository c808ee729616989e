//! What the active side measured between pairs, by the clock on the wall: tasks, and pairs over a stretch of time.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use crate::database::{Database, Result, Row, values};
use crate::error::StoreError;
use crate::mvpn::Utc;
use crate::reader::Reader;

/// Rows of results that an answer about pairs is made of, at most, for each run of a task: the latest.
pub const ROWS_MAX: i64 = 500_000;

/// All runs of a task, or of an MVPN's task, which bears the MVPN's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskSpan {
    /// Its name.
    pub name: String,
    /// The group it probed, in its last run.
    pub group: String,
    /// When its first run started.
    #[serde(rename = "first_ns")]
    pub first: Utc,
    /// When its last run started.
    #[serde(rename = "latest_ns")]
    pub latest: Utc,
    /// Whether it runs, as far as is written down.
    pub running: bool,
    /// How many runs.
    pub runs: u64,
}

/// What was measured between pairs in a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairWindow {
    /// Where the first interval that counts begins; later than asked for where there was more than [`ROWS_MAX`], or less.
    #[serde(rename = "from_ns")]
    pub from: Option<Utc>,
    /// Where the last one ends.
    #[serde(rename = "until_ns")]
    pub until: Option<Utc>,
    /// Whether there was more than could be looked at.
    pub cut: bool,
    /// By sender and receiver.
    pub pairs: Vec<PairSpan>,
}

/// One pair in a stretch of time. Shares are fractions; times include the tunnels where nothing else is said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairSpan {
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
    /// lost / sent; absent where nothing was sent.
    pub loss: Option<f64>,
    /// What the loss between the PEs was at least, weighted by probes; absent where the tunnels' part is unknown.
    pub path_loss_low: Option<f64>,
    /// At most.
    pub path_loss_high: Option<f64>,
    /// Samples of delay.
    pub delay_samples: u64,
    /// The least delay.
    pub delay_min_ns: Option<i64>,
    /// The mean.
    pub delay_mean_ns: Option<i64>,
    /// The highest of the intervals' 99th percentiles.
    pub delay_p99_max_ns: Option<i64>,
    /// The greatest.
    pub delay_max_ns: Option<i64>,
    /// The mean delay between the PEs, at least; absent where the tunnels' part is unknown.
    pub path_delay_low_ns: Option<i64>,
    /// At most.
    pub path_delay_high_ns: Option<i64>,
}

/// A run of a task: session, task, and whether it is finished.
#[derive(Debug, Clone, Copy)]
struct Run {
    session: i64,
    task: i64,
}

impl Reader {
    /// All tasks that ever ran, by name.
    pub fn task_spans(&self) -> std::result::Result<Vec<TaskSpan>, StoreError> {
        let runs = self.read("the tasks", |db| {
            db.rows(
                "SELECT t.name, t.group_address, t.started_ns + c.realtime_minus_monotonic_ns,
                        CASE WHEN t.finished = 0 AND s.ended_ns IS NULL
                              AND s.started_ns + c.realtime_minus_monotonic_ns >= (
                                SELECT max(n.started_ns + d.realtime_minus_monotonic_ns) FROM session n
                                  JOIN clock_anchor d ON d.session = n.session AND d.reason = 'start')
                             THEN 1 ELSE 0 END
                   FROM task t JOIN session s ON s.session = t.session
                   JOIN clock_anchor c ON c.session = t.session AND c.reason = 'start'
                  ORDER BY 1, 3",
                &[],
                |row| {
                    Ok(TaskSpan {
                        name: row.text(0)?.to_owned(),
                        group: row.text(1)?.to_owned(),
                        first: Utc::from_ns(row.int(2)?),
                        latest: Utc::from_ns(row.int(2)?),
                        running: row.int(3)? != 0,
                        runs: 1,
                    })
                },
            )
        })?;
        let mut tasks: BTreeMap<String, TaskSpan> = BTreeMap::new();
        for run in runs {
            match tasks.get_mut(&run.name) {
                Some(task) => {
                    task.runs += 1;
                    task.latest = run.latest;
                    task.group = run.group;
                    task.running |= run.running;
                }
                None => {
                    tasks.insert(run.name.clone(), run);
                }
            }
        }
        Ok(tasks.into_values().collect())
    }

    /// What was measured between the pairs of all runs of a task, in intervals that ended in a stretch of time.
    pub fn pairs_between(
        &self,
        task: &str,
        window: Range<Utc>,
    ) -> std::result::Result<PairWindow, StoreError> {
        self.read("what was measured between pairs", |db| {
            let runs = db.rows(
                "SELECT session, task FROM task WHERE name = ?1 ORDER BY session, task",
                &values![task],
                |row| {
                    Ok(Run {
                        session: row.int(0)?,
                        task: row.int(1)?,
                    })
                },
            )?;
            let mut sums = Sums::default();
            for run in runs {
                sums.add_run(db, run, &window)?;
            }
            Ok(sums.into_window())
        })
    }
}

/// Sums by the names of sender and receiver.
#[derive(Default)]
struct Sums {
    pairs: BTreeMap<(String, String), Sum>,
    from: Option<i64>,
    until: Option<i64>,
    cut: bool,
}

#[derive(Default)]
struct Sum {
    counts: [u64; 6],
    delay_samples: u64,
    delay_mean: f64,
    delay: [Option<i64>; 3],
    path_loss: [(f64, f64); 2],
    path_delay: [(f64, f64); 2],
}

impl Sums {
    fn add_run(&mut self, db: &mut Database, run: Run, window: &Range<Utc>) -> Result<()> {
        let anchors = db.rows(
            "SELECT at_ns, realtime_minus_monotonic_ns FROM clock_anchor WHERE session = ?1 AND reason <> 'end' ORDER BY at_ns",
            &values![run.session],
            |row| Ok((row.int(0)?, row.int(1)?)),
        )?;
        let monotonic = |utc: Utc| {
            let in_force = |(at, offset): &&(i64, i64)| at.saturating_add(*offset) <= utc.as_ns();
            let anchor = anchors.iter().rev().find(in_force).or(anchors.first());
            anchor.map(|(_, offset)| (utc.as_ns().saturating_sub(*offset), *offset))
        };
        let (Some((from, _)), Some((until, offset))) =
            (monotonic(window.start), monotonic(window.end))
        else {
            return Ok(());
        };
        let first = first_row(db, run, from)?;
        let after = first_row(db, run, until)?;
        let begins = first.max(after.saturating_sub(ROWS_MAX));
        self.cut |= begins > first;
        db.each(
            PAIRS,
            &values![run.session, run.task, begins, after],
            &mut |row| {
                let span = |column: usize| row.maybe_int(column).map(|ns| ns.map(|ns| ns + offset));
                self.from = least(self.from, span(20)?);
                self.until = greatest(self.until, span(21)?);
                let names = (row.text(0)?.to_owned(), row.text(1)?.to_owned());
                self.pairs.entry(names).or_default().add(row)
            },
        )
    }

    fn into_window(self) -> PairWindow {
        PairWindow {
            from: self.from.map(Utc::from_ns),
            until: self.until.map(Utc::from_ns),
            cut: self.cut,
            pairs: self
                .pairs
                .into_iter()
                .map(|((sender, receiver), sum)| sum.into_pair(sender, receiver))
                .collect(),
        }
    }
}

/// The columns that [`Sum::add`] reads. A tunnel that was dropped and added again has several rows, of one name.
const PAIRS: &str = "SELECT coalesce((SELECT min(t.name) FROM tunnel t WHERE t.session = r.session AND t.tunnel = r.sender), '?'),
    coalesce((SELECT min(t.name) FROM tunnel t WHERE t.session = r.session AND t.tunnel = r.receiver), '?'),
    CAST(count(*) AS BIGINT), CAST(sum(sent) AS BIGINT), CAST(sum(lost) AS BIGINT), CAST(sum(duplicates) AS BIGINT),
    CAST(sum(reordered) AS BIGINT), CAST(sum(capture_drops) AS BIGINT), CAST(coalesce(sum(delay_samples), 0) AS BIGINT),
    CAST(coalesce(sum(CAST(delay_mean_ns AS DOUBLE PRECISION) * delay_samples), 0) AS DOUBLE PRECISION),
    min(delay_min_ns), max(delay_p99_ns), max(delay_max_ns),
    CAST(coalesce(sum(path_loss_low * sent), 0) AS DOUBLE PRECISION),
    CAST(coalesce(sum(CASE WHEN path_loss_low IS NULL THEN 0 ELSE sent END), 0) AS DOUBLE PRECISION),
    CAST(coalesce(sum(path_loss_high * sent), 0) AS DOUBLE PRECISION),
    CAST(coalesce(sum(CASE WHEN path_loss_high IS NULL THEN 0 ELSE sent END), 0) AS DOUBLE PRECISION),
    CAST(coalesce(sum(CAST(path_delay_low_ns AS DOUBLE PRECISION) * delay_samples), 0) AS DOUBLE PRECISION),
    CAST(coalesce(sum(CASE WHEN path_delay_low_ns IS NULL THEN 0 ELSE delay_samples END), 0) AS DOUBLE PRECISION),
    CAST(coalesce(sum(CAST(path_delay_high_ns AS DOUBLE PRECISION) * delay_samples), 0) AS DOUBLE PRECISION),
    min(start_ns), max(end_ns)
  FROM interval_result r
 WHERE session = ?1 AND task = ?2 AND row >= ?3 AND row < ?4 GROUP BY session, sender, receiver";

impl Sum {
    fn add(&mut self, row: &Row) -> Result<()> {
        for (sum, column) in self.counts.iter_mut().zip(2..) {
            *sum += row.count(column)?;
        }
        self.delay_samples += row.count(8)?;
        self.delay_mean += real(row, 9)?;
        let [min, p99, max] = &mut self.delay;
        *min = least(*min, row.maybe_int(10)?);
        *p99 = greatest(*p99, row.maybe_int(11)?);
        *max = greatest(*max, row.maybe_int(12)?);
        let [low, high] = &mut self.path_loss;
        *low = (low.0 + real(row, 13)?, low.1 + real(row, 14)?);
        *high = (high.0 + real(row, 15)?, high.1 + real(row, 16)?);
        // Both ends of the interval are known, or neither.
        let weight = real(row, 18)?;
        let [low, high] = &mut self.path_delay;
        *low = (low.0 + real(row, 17)?, low.1 + weight);
        *high = (high.0 + real(row, 19)?, high.1 + weight);
        Ok(())
    }

    fn into_pair(self, sender: String, receiver: String) -> PairSpan {
        let [intervals, sent, lost, duplicates, reordered, capture_drops] = self.counts;
        let share = |(sum, weight): (f64, f64)| (weight > 0.0).then(|| sum / weight);
        let time = |(sum, weight): (f64, f64)| share((sum, weight)).map(|ns| ns.round() as i64);
        let [delay_min_ns, delay_p99_max_ns, delay_max_ns] = self.delay;
        PairSpan {
            sender,
            receiver,
            intervals,
            sent,
            lost,
            duplicates,
            reordered,
            capture_drops,
            loss: (sent > 0).then(|| lost as f64 / sent as f64),
            path_loss_low: share(self.path_loss[0]),
            path_loss_high: share(self.path_loss[1]),
            delay_samples: self.delay_samples,
            delay_min_ns,
            delay_mean_ns: time((self.delay_mean, self.delay_samples as f64)),
            delay_p99_max_ns,
            delay_max_ns,
            path_delay_low_ns: time(self.path_delay[0]),
            path_delay_high_ns: time(self.path_delay[1]),
        }
    }
}

fn real(row: &Row, column: usize) -> Result<f64> {
    Ok(row.maybe_real(column)?.unwrap_or(0.0))
}

fn least(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    [a, b].into_iter().flatten().min()
}

fn greatest(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    [a, b].into_iter().flatten().max()
}

/// The first row of a run whose interval ended after a moment of its monotonic clock; one past the last if none did. Rows
/// lie in the order of time, so it is looked for by halves: all of them may be many.
fn first_row(db: &mut Database, run: Run, moment_ns: i64) -> Result<i64> {
    let last = db.first(
        "SELECT max(row) FROM interval_result WHERE session = ?1 AND task = ?2",
        &values![run.session, run.task],
        |row| row.maybe_int(0),
    )?;
    let first = db.first(
        "SELECT min(row) FROM interval_result WHERE session = ?1 AND task = ?2",
        &values![run.session, run.task],
        |row| row.maybe_int(0),
    )?;
    let (Some(mut low), Some(last)) = (first.flatten(), last.flatten()) else {
        return Ok(0);
    };
    let mut high = last + 1;
    while low < high {
        let middle = low + (high - low) / 2;
        let found = db.first(
            "SELECT row, end_ns FROM interval_result WHERE session = ?1 AND task = ?2 AND row >= ?3 ORDER BY row LIMIT 1",
            &values![run.session, run.task, middle],
            |row| Ok((row.int(0)?, row.int(1)?)),
        )?;
        match found {
            Some((row, end_ns)) if end_ns <= moment_ns => low = row + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}
