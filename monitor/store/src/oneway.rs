//! One-way losses by the clock on the wall: what was found last.

use std::collections::BTreeMap;

use crate::database::{Database, Result, Row, values};
use crate::error::{DatabaseError, StoreError};
use crate::mvpn::Utc;
use crate::reader::Reader;

/// The latest run of a measurement, and its latest look.
#[derive(Debug, Clone, PartialEq)]
pub struct OnewayLatest {
    /// Name of the measurement.
    pub name: String,
    /// How it is: `probing`, `narrow`, `spent`, `stopped` or `failed`; `probing` too if the monitor ended before it did.
    pub state: String,
    /// When the run started.
    pub started: Utc,
    /// Why there is no estimate, once it is over.
    pub refused: Option<String>,
    /// What does not count, and why, once it is over.
    pub unsure: Vec<String>,
    /// When the last probe that counts was sent; absent before the first look.
    pub at: Option<Utc>,
    /// How it was inferred: `per-packet`, `aggregate` or `reflected`; empty before the first look.
    pub configuration: String,
    /// Probes that count.
    pub probes: u64,
    /// Probes that do not.
    pub discarded: u64,
    /// What the estimates suffer from.
    pub doubts: Vec<String>,
    /// Its ways: down, then leaves, then up.
    pub ways: Vec<OnewayLoss>,
}

/// The loss of one way, as shares of packets.
#[derive(Debug, Clone, PartialEq)]
pub struct OnewayLoss {
    /// `up`, `down` or `leaf`.
    pub direction: String,
    /// The tunnel; of a leaf, its place from 0.
    pub path: String,
    /// The estimate.
    pub loss: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A run, and the wall clock less the monotonic clock when its session began.
struct Run {
    session: u32,
    number: u32,
    offset_ns: i64,
    latest: OnewayLatest,
}

impl Reader {
    /// What each one-way measurement found last, by name.
    pub fn oneway_latest(&self) -> std::result::Result<Vec<OnewayLatest>, StoreError> {
        self.read("the one-way losses", |db| {
            let runs = db.rows(
                "SELECT o.session, o.run, c.realtime_minus_monotonic_ns, o.name, o.state, o.started_ns, o.refused, o.unsure
                   FROM oneway o JOIN clock_anchor c ON c.session = o.session AND c.reason = 'start'
                  ORDER BY o.started_ns + c.realtime_minus_monotonic_ns",
                &[],
                run,
            )?;
            let by_name = runs.into_iter().map(|run| (run.latest.name.clone(), run));
            let latest: BTreeMap<String, Run> = by_name.collect();
            latest.into_values().map(|run| look(db, run)).collect()
        })
    }
}

fn run(row: &Row) -> Result<Run> {
    let offset_ns = row.int(2)?;
    Ok(Run {
        session: row.number(0)?,
        number: row.number(1)?,
        offset_ns,
        latest: OnewayLatest {
            name: row.text(3)?.to_owned(),
            state: row.text(4)?.to_owned(),
            started: Utc::from_ns(row.int(5)?.saturating_add(offset_ns)),
            refused: row.maybe_text(6)?.map(str::to_owned),
            unsure: sentences(row.text(7)?)?,
            at: None,
            configuration: String::new(),
            probes: 0,
            discarded: 0,
            doubts: Vec::new(),
            ways: Vec::new(),
        },
    })
}

/// Adds the run's latest look.
fn look(db: &mut Database, run: Run) -> Result<OnewayLatest> {
    let mut latest = run.latest;
    let mut about = None;
    latest.ways = db.rows(
        "SELECT direction, path, loss, low, high, at_ns, configuration, probes, discarded, doubts FROM oneway_result
          WHERE session = ?1 AND run = ?2
            AND at_ns = (SELECT max(at_ns) FROM oneway_result WHERE session = ?1 AND run = ?2)
          ORDER BY direction, path",
        &values![run.session, run.number],
        |row| {
            let at = Utc::from_ns(row.int(5)?.saturating_add(run.offset_ns));
            let (probes, discarded) = (row.count(7)?, row.count(8)?);
            let doubts = sentences(row.text(9)?)?;
            about = Some((at, row.text(6)?.to_owned(), probes, discarded, doubts));
            Ok(OnewayLoss {
                direction: row.text(0)?.to_owned(),
                path: row.text(1)?.to_owned(),
                loss: row.maybe_real(2)?.unwrap_or(f64::NAN),
                low: row.maybe_real(3)?.unwrap_or(f64::NAN),
                high: row.maybe_real(4)?.unwrap_or(f64::NAN),
            })
        },
    )?;
    if let Some((at, configuration, probes, discarded, doubts)) = about {
        latest.at = Some(at);
        (latest.configuration, latest.doubts) = (configuration, doubts);
        (latest.probes, latest.discarded) = (probes, discarded);
    }
    Ok(latest)
}

fn sentences(json: &str) -> Result<Vec<String>> {
    serde_json::from_str(json).map_err(|error| DatabaseError::Column(error.to_string()))
}
