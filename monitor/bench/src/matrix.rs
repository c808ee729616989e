//! Every pair of many PEs for many minutes, a probe a second of each: nothing may grow, be missed, or become slow to ask.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vmscope_store::mvpn::Utc;
use vmscope_store::{Page, Reader};

use crate::bench::Bench;
use crate::daemon::{Counted, Log, Probing};
use crate::place::Problem;

const WARMUP: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_secs(10);
/// Memory is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// From then on it must not grow: two intervals of rows are kept, and the database's cache is full.
const SETTLED: Duration = Duration::from_secs(60);
/// Each question is asked so often.
const TIMES: usize = 5;

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// PEs.
    pub pes: u32,
    /// How long was counted.
    pub time: Duration,
    /// What the monitor says of the pairs that it tells of at once: the first 10,000.
    pub counted: Counted,
    /// Packets that its capture dropped, packets that it could not send, records that it could not write.
    pub monitor_drops: (u64, u64, u64),
    /// Resident memory, bytes, at each look.
    pub resident_bytes: Vec<u64>,
    /// Processor time it used, as a share of one.
    pub processor: f64,
    /// Size of the database, bytes.
    pub database_bytes: u64,
    /// Rows of interval results in it.
    pub rows: u64,
    /// Questions to the database: rows found, median and longest time.
    pub questions: Vec<(&'static str, usize, Duration, Duration)>,
}

impl Outcome {
    /// Resident memory once it has settled, and in the end.
    pub fn growth(&self) -> (u64, u64) {
        let settled = (SETTLED.as_secs() / LOOK_EVERY.as_secs()) as usize;
        let looks = &self.resident_bytes;
        let settled = looks.get(settled).or(looks.first());
        let both = [settled, looks.last()];
        let [settled, end] = both.map(|bytes| bytes.copied().unwrap_or(0));
        (settled, end)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let questions = self.questions.iter().map(|(what, rows, median, longest)| {
            json!({"what": what, "rows": rows, "median_ms": ms(*median), "longest_ms": ms(*longest)})
        });
        json!({
            "pes": self.pes, "seconds": self.time.as_secs_f64(), "expected": self.counted.expected,
            "received": self.counted.received, "lost": self.counted.lost, "capture_drops": self.monitor_drops.0,
            "transmit_errors": self.monitor_drops.1, "record_drops": self.monitor_drops.2,
            "resident_bytes": self.resident_bytes, "processor": self.processor,
            "database_bytes": self.database_bytes, "rows": self.rows, "questions": questions.collect::<Vec<_>>(),
        })
    }

    /// For people.
    pub fn table(&self) -> String {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (settled, end) = self.growth();
        let (capture, transmit, records) = self.monitor_drops;
        let Counted { expected, lost, .. } = self.counted;
        let mut text = format!(
            "matrix: {} PEs, every pair, a probe a second of each, {:.0} s\n  \
             {expected} copies expected of the pairs that the monitor tells of at once (10,000), {lost} lost; dropped by the capture {capture}, not sent {transmit}, not logged {records}\n  \
             processor {:.1} % of one; memory {:.1} MiB after a minute, {:.1} MiB in the end\n  \
             database {:.1} MB, {} rows of intervals\n",
            self.pes,
            self.time.as_secs_f64(),
            self.processor * 100.0,
            mib(settled),
            mib(end),
            self.database_bytes as f64 / 1e6,
            self.rows,
        );
        for (what, rows, median, longest) in &self.questions {
            text += &format!("  {what}: {rows} rows in {median:.1?}, at worst {longest:.1?}\n");
        }
        text
    }
}

/// Has `pes` PEs measure each other for so long.
pub fn measure(bench: &Bench, pes: u32, time: Duration) -> Result<Outcome, Problem> {
    let reflector = bench.reflector(pes, false)?;
    let mut daemon = bench.daemon(pes, Log::Intervals)?;
    let probing = Probing {
        name: "matrix".to_owned(),
        tunnels: pes,
        per_group: pes,
        probes_per_s: f64::from(pes),
        payload_bytes: bench.payload_bytes,
        warmup: WARMUP,
        time,
        interval: INTERVAL,
    };
    probing.start(&mut daemon)?;
    let (begun, used) = (Instant::now(), daemon.processor_ns());
    let mut resident_bytes = Vec::new();
    while begun.elapsed() < WARMUP + time {
        let look = LOOK_EVERY * (resident_bytes.len() as u32 + 1);
        let next = look.min(WARMUP + time);
        std::thread::sleep(next.saturating_sub(begun.elapsed()));
        resident_bytes.push(daemon.resident_bytes());
        if resident_bytes.len() % 6 == 0 {
            let status = daemon.ask(&json!({"op": "status"}))?;
            let elapsed = begun.elapsed().as_secs();
            bench.say(&format!(
                "matrix: {elapsed} s, {} bytes resident, {} dropped",
                daemon.resident_bytes(),
                status["capture_drops"]
            ));
        }
    }
    let processor = (daemon.processor_ns() - used) as f64 / begun.elapsed().as_nanos() as f64;
    probing.wait(&mut daemon)?;
    let counted = probing.counted(&mut daemon)?;
    let status = daemon.ask(&json!({"op": "status"}))?;
    let number = |field: &str| status[field].as_u64().unwrap_or(0);
    let monitor_drops = (
        number("capture_drops"),
        number("transmit_errors"),
        number("record_drops"),
    );
    daemon.stop()?;
    drop(reflector.stop());
    let path = daemon.database();
    let size = std::fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (rows, questions) = ask(&path)?;
    Ok(Outcome {
        pes,
        time,
        counted,
        monitor_drops,
        resident_bytes,
        processor,
        database_bytes: size.len(),
        rows,
        questions,
    })
}

type Questions = Vec<(&'static str, usize, Duration, Duration)>;

/// What an operator asks, of the database as it is.
fn ask(path: &Path) -> Result<(u64, Questions), Problem> {
    let failed = |error: vmscope_store::StoreError| error.to_string();
    let reader = Reader::open(path).map_err(failed)?;
    let name = "matrix-0";
    let sessions = reader.sessions().map_err(failed)?;
    let session = sessions
        .first()
        .ok_or("the database has no session")?
        .session;
    let tasks = reader.tasks(session).map_err(failed)?;
    let task = tasks.first().ok_or("the database has no task")?.task;
    let all = reader
        .pairs_between(name, Utc::from_ns(0)..Utc::NOW)
        .map_err(failed)?;
    let end = all.until.ok_or("the database has no results")?.as_ns();
    let before = |s: i64| Utc::from_ns(end - s * 1_000_000_000);
    let page = |since, limit| Page {
        session,
        task,
        since,
        limit,
    };
    let mut questions = Vec::new();
    let mut timed = |what, question: &dyn Fn() -> Result<usize, vmscope_store::StoreError>| {
        let mut took = Vec::new();
        let mut found = 0;
        for _ in 0..TIMES {
            let begun = Instant::now();
            found = question().map_err(failed)?;
            took.push(begun.elapsed());
        }
        took.sort_unstable();
        questions.push((what, found, took[TIMES / 2], took[TIMES - 1]));
        Ok::<usize, Problem>(found)
    };
    timed("tasks", &|| Ok(reader.tasks(session)?.len()))?;
    timed("a thousand rows of intervals", &|| {
        Ok(reader.intervals(page(0, 1_000))?.len())
    })?;
    timed("all pairs over the last minute", &|| {
        Ok(reader
            .pairs_between(name, before(60)..Utc::NOW)?
            .pairs
            .len())
    })?;
    timed("all pairs over all of it", &|| {
        let all = Utc::from_ns(0)..Utc::NOW;
        Ok(reader.pairs_between(name, all)?.pairs.len())
    })?;
    let rows = rows(path)?;
    Ok((rows, questions))
}

fn rows(path: &Path) -> Result<u64, Problem> {
    let failed =
        |error: rusqlite::Error| format!("cannot count rows in {}: {error}", path.display());
    let database = rusqlite::Connection::open(path).map_err(failed)?;
    let sql = "SELECT count(*) FROM interval_result";
    let rows: i64 = database
        .query_row(sql, [], |row| row.get(0))
        .map_err(failed)?;
    Ok(rows.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_from_a_minute_on() {
        let mut outcome = Outcome {
            pes: 2,
            time: Duration::from_secs(100),
            counted: Counted::default(),
            monitor_drops: (0, 0, 0),
            resident_bytes: (1..=10).collect(),
            processor: 0.1,
            database_bytes: 0,
            rows: 0,
            questions: vec![("tasks", 1, Duration::ZERO, Duration::ZERO)],
        };
        assert_eq!(outcome.growth(), (7, 10));
        assert_eq!(outcome.json()["questions"][0]["rows"], 1);
        outcome.resident_bytes.truncate(3);
        assert_eq!(outcome.growth(), (1, 3));
    }
}
