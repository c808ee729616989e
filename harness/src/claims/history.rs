//! What the monitor's database answers of the past, asked as an operator asks: by its command line, as a process.
//!
//! The database that came back from the lab is asked after the run, wherever that is: its answers depend on nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use mvpnlab_emulator::place::Files;
use mvpnlab_emulator::scenario::{Expectation, Scenario};
use mvpnlab_emulator::truth::ClockLog;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use vmscope_core::view::{Cause, Key, State};

use super::Claims;

/// How far a recorded time may lie from when the monitor said so: recorded time never goes back, and what was captured
/// some milliseconds ago comes after a sign of life that is written down meanwhile.
pub const SLACK_NS: u64 = 50_000_000;

/// All answers, by MVPN.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Of the lab: CLOCK_REALTIME minus CLOCK_MONOTONIC.
    pub realtime_minus_monotonic_ns: i64,
    /// `mvpn show --at`: moments, monotonic nanoseconds of the lab, in order.
    pub moments: BTreeMap<String, BTreeMap<u64, Result<States, String>>>,
    /// `mvpn show --between`, over the whole run.
    pub changes: BTreeMap<String, Result<Changes, String>>,
}

/// What held at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct States {
    /// Whether anybody listened.
    pub listening: Listening,
    /// What held.
    pub states: Vec<Held>,
}

/// Whether anybody listened.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "listening", rename_all = "lowercase")]
pub enum Listening {
    /// Somebody did.
    Yes {},
    /// Nobody did.
    No {},
}

/// A state of the past. Times are UTC, nanoseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Held {
    /// What it is about.
    #[serde(flatten)]
    pub key: Key,
    /// What was said.
    #[serde(flatten)]
    pub state: State,
    /// From when on it held.
    pub since_ns: i64,
}

/// What changed in the run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Changes {
    /// In the order in which it happened.
    pub changes: Vec<Turn>,
}

/// A change of the past.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Turn {
    /// When, UTC nanoseconds.
    pub at_ns: i64,
    /// What held until then.
    pub before: Option<Held>,
    /// What held from then on.
    pub after: Option<Held>,
    /// Why.
    pub cause: Cause,
}

impl History {
    /// Asks whatever an expectation of the scenario wants to know.
    pub fn ask(
        monitor: &Path,
        scenario: &Scenario,
        files: &Files,
        clock: &ClockLog,
        claims: &Claims,
    ) -> Option<Self> {
        let mvpns: Vec<&str> = scenario
            .expectations
            .iter()
            .filter_map(|expectation| match expectation {
                Expectation::History { mvpn } => Some(mvpn.as_str()),
                _ => None,
            })
            .collect();
        if mvpns.is_empty() {
            return None;
        }
        let mut history = Self {
            realtime_minus_monotonic_ns: clock.epochs.first()?.realtime_minus_monotonic_ns,
            ..Self::default()
        };
        // Without a folder there is no answer, which is for the check to say.
        let desk = Desk::new(monitor, files).ok()?;
        for mvpn in mvpns {
            let moments = moments(claims, mvpn).into_iter().map(|at_ns| {
                let at = history.time_of_day(at_ns);
                (at_ns, desk.ask(mvpn, &["--at", &at]))
            });
            let moments = moments.collect();
            let from = history.time_of_day(claims.watched_since_ns.unwrap_or_default());
            let until = history.time_of_day(u64::MAX >> 2);
            let changes = desk.ask(mvpn, &["--between", &from, &until]);
            history.moments.insert(mvpn.to_owned(), moments);
            history.changes.insert(mvpn.to_owned(), changes);
        }
        Some(history)
    }

    /// UTC, as the lab's wall clock has it.
    pub fn utc_ns(&self, monotonic_ns: u64) -> i64 {
        monotonic_ns
            .cast_signed()
            .saturating_add(self.realtime_minus_monotonic_ns)
    }

    fn time_of_day(&self, monotonic_ns: u64) -> String {
        Timestamp::from_nanosecond(i128::from(self.utc_ns(monotonic_ns)))
            .unwrap_or(Timestamp::MAX)
            .to_string()
    }
}

/// The moments that are asked about: every checkpoint, and just before and after every change, or every run of
/// changes that follow each other more closely than their times are known.
pub fn moments(claims: &Claims, mvpn: &str) -> Vec<u64> {
    let of_mvpn = claims
        .changes
        .iter()
        .filter(|told| told.what.mvpn.as_str() == mvpn);
    let mut changes: Vec<u64> = of_mvpn
        .filter(|told| told.what.cause != Cause::Unwatched)
        .map(|told| told.what.at.as_ns())
        .collect();
    changes.sort_unstable();
    let apart = |pair: &[u64]| pair[1] - pair[0] > 2 * SLACK_NS;
    let first = changes.first().map(|at| at.saturating_sub(SLACK_NS));
    let between = changes.windows(2).filter(|pair| apart(pair));
    let between = between.flat_map(|pair| [pair[0] + SLACK_NS, pair[1] - SLACK_NS]);
    let last = changes.last().map(|at| at + SLACK_NS);
    let around = first.into_iter().chain(between).chain(last);
    let at_checkpoints = claims
        .checkpoints
        .iter()
        .filter(|checkpoint| checkpoint.mvpn == mvpn)
        .filter_map(|checkpoint| checkpoint.said_at_ns())
        .filter(|at| !is_in_doubt(claims, mvpn, *at));
    let since = claims.watched_since_ns.unwrap_or_default();
    let mut all: Vec<u64> = around.chain(at_checkpoints).collect();
    all.retain(|at| *at >= since);
    all.sort_unstable();
    all.dedup();
    all
}

/// A change lies so close that by its recorded time it may be on the other side.
pub fn is_in_doubt(claims: &Claims, mvpn: &str, at_ns: u64) -> bool {
    let changes = claims.changes.iter().map(|told| &told.what);
    changes
        .filter(|change| change.mvpn.as_str() == mvpn)
        .any(|change| change.at.as_ns().abs_diff(at_ns) < SLACK_NS)
}

/// Where the database lies, and who is asked about it.
struct Desk<'a> {
    monitor: &'a Path,
    folder: tempfile::TempDir,
}

impl<'a> Desk<'a> {
    fn new(monitor: &'a Path, files: &Files) -> std::io::Result<Self> {
        let folder = tempfile::tempdir()?;
        for name in ["vmscope.db", "vmscope.db-wal"] {
            if let Some(bytes) = files.get(&format!("monitor/{name}")) {
                fs::write(folder.path().join(name), bytes)?;
            }
        }
        Ok(Self { monitor, folder })
    }

    fn ask<T: DeserializeOwned>(&self, mvpn: &str, about: &[&str]) -> Result<T, String> {
        let mut command = Command::new(self.monitor);
        command
            .args(["mvpn", "show", mvpn, "--json", "--database"])
            .arg(self.folder.path().join("vmscope.db"))
            .args(about);
        let output = command
            .output()
            .map_err(|error| format!("cannot run {}: {error}", self.monitor.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("mvpn show ended with {}: {said}", output.status));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| {
            let said = String::from_utf8_lossy(&output.stdout);
            format!("cannot read the answer of mvpn show: {error} in {said:?}")
        })
    }
}
