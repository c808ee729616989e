//! One-way losses of the monitor's tunnels.

use schemars::JsonSchema;
use serde::Serialize;
use vmscope_store::{OnewayLatest, OnewayLoss};

use super::Nothing;
use crate::moment::Moment;
use crate::problem::Problem;
use crate::route::Ask;

/// One-way measurements.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Oneways {
    /// By name.
    pub oneways: Vec<Oneway>,
}

/// The latest run of a measurement, and what it found last.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Oneway {
    /// Its name.
    pub name: String,
    /// `probing`, `narrow`, `spent`, `stopped` or `failed`, as far as is written down.
    pub state: String,
    /// When it started.
    pub started: Moment,
    /// When the last probe that counts was sent; absent before the first look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// How it was inferred: `per-packet`, `aggregate` or `reflected`; empty before the first look.
    pub configuration: String,
    /// Probes that count.
    pub probes: u64,
    /// Probes that do not.
    pub discarded: u64,
    /// Why there is no estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What the estimates suffer from, and what does not count.
    pub doubts: Vec<String>,
    /// Down, then leaves, then up.
    pub ways: Vec<Way>,
}

/// The loss of one way; shares are fractions between 0 and 1.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Way {
    /// `up`: to the router; `down`: from it; `leaf`: from it to another monitor, and back if that reflects.
    pub direction: String,
    /// The tunnel; of a leaf, its place from 0. Empty where an older monitor wrote it.
    pub path: String,
    /// The estimate.
    pub loss: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl From<OnewayLoss> for Way {
    fn from(way: OnewayLoss) -> Way {
        let OnewayLoss {
            direction,
            path,
            loss,
            low,
            high,
        } = way;
        Way {
            direction,
            path,
            loss,
            low,
            high,
        }
    }
}

impl From<OnewayLatest> for Oneway {
    fn from(found: OnewayLatest) -> Oneway {
        Oneway {
            name: found.name,
            state: found.state,
            started: found.started.into(),
            at: found.at.map(Moment),
            configuration: found.configuration,
            probes: found.probes,
            discarded: found.discarded,
            refused: found.refused,
            doubts: found.doubts.into_iter().chain(found.unsure).collect(),
            ways: found.ways.into_iter().map(Way::from).collect(),
        }
    }
}

/// What each measurement found last.
pub fn latest(ask: &Ask<'_>, _: Nothing) -> Result<Oneways, Problem> {
    let found = ask.reader.oneway_latest()?.into_iter();
    Ok(Oneways {
        oneways: found.map(Oneway::from).collect(),
    })
}
