//! What the monitor's database says of one-way loss.

use rusqlite::{Connection, Row};

use super::ClaimsError;
use super::database::{rows, unsigned};

/// A run of a one-way measurement, as the monitor's `oneway` table has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OnewayRun {
    /// Run of the monitor.
    pub session: u32,
    /// Number in its probes, where they carry their task's.
    pub run: u32,
    /// Name.
    pub name: String,
    /// `probing`, `narrow`, `spent`, `stopped` or `failed`.
    pub state: String,
    /// Probes sent, warm-up included.
    pub probes_sent: u64,
    /// Why there is no estimate.
    pub refused: Option<String>,
    /// What does not count, and why.
    pub unsure: Vec<String>,
    /// Of its last look.
    pub ways: Vec<WayClaim>,
}

/// An estimate of one way's loss.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WayClaim {
    /// `up`, `down` or `leaf`.
    pub direction: String,
    /// The tunnel; of a leaf, its place from 0.
    pub path: String,
    /// `per-packet`, `aggregate` or `reflected`.
    pub configuration: String,
    /// When the last probe that counts was sent.
    pub at_ns: u64,
    /// Probes that count.
    pub probes: u64,
    /// Probes that do not.
    pub discarded: u64,
    /// The estimate.
    pub loss: f64,
    /// Its standard deviation.
    pub deviation: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// What all estimates of the look suffer from.
    pub doubts: Vec<String>,
}

const RUNS: &str = "SELECT session, run, name, state, probes_sent, refused, unsure
  FROM oneway JOIN session USING (session) ORDER BY session.started_ns, run";
const WAYS: &str = "SELECT session, run, direction, path, configuration, at_ns, probes, discarded,
  loss, deviation, low, high, doubts FROM oneway_result AS new
  WHERE at_ns = (SELECT max(at_ns) FROM oneway_result AS old
    WHERE (old.session, old.run) = (new.session, new.run)) ORDER BY rowid";

/// All runs, each with the estimates of its last look.
pub(super) fn read(database: &Connection) -> Result<Vec<OnewayRun>, ClaimsError> {
    let mut runs = rows(database, "one-way measurements", RUNS, run)?;
    let ways = rows(database, "one-way losses", WAYS, |row| {
        Ok(((row.get(0)?, row.get(1)?), way(row)?))
    })?;
    for run in &mut runs {
        let own = ways.iter().filter(|(of, _)| *of == (run.session, run.run));
        for (_, way) in own {
            // Two looks may fall upon one probe: the later one counts.
            let is_same =
                |other: &WayClaim| (&other.direction, &other.path) == (&way.direction, &way.path);
            run.ways.retain(|other| !is_same(other));
            run.ways.push(way.clone());
        }
    }
    Ok(runs)
}

fn run(row: &Row<'_>) -> rusqlite::Result<OnewayRun> {
    Ok(OnewayRun {
        session: row.get(0)?,
        run: row.get(1)?,
        name: row.get(2)?,
        state: row.get(3)?,
        probes_sent: unsigned(row, 4)?,
        refused: row.get(5)?,
        unsure: texts(row, 6)?,
        ways: Vec::new(),
    })
}

fn way(row: &Row<'_>) -> rusqlite::Result<WayClaim> {
    Ok(WayClaim {
        direction: row.get(2)?,
        path: row.get(3)?,
        configuration: row.get(4)?,
        at_ns: unsigned(row, 5)?,
        probes: unsigned(row, 6)?,
        discarded: unsigned(row, 7)?,
        loss: row.get(8)?,
        deviation: row.get(9)?,
        low: row.get(10)?,
        high: row.get(11)?,
        doubts: texts(row, 12)?,
    })
}

/// A list of texts, as JSON.
fn texts(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<String>> {
    let json: String = row.get(column)?;
    serde_json::from_str(&json).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}
