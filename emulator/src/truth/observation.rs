//! What one run left behind: an archive in memory, and the typed view of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{TruthError, clock::ClockLog, counters::Counters, timeline::Timeline};
use crate::{mdt::MdtLog, plan::Plan, scenario::Scenario, traffic::TrafficLog};

/// Names of the files in an observation.
pub mod file {
    /// The plan that was built ([`crate::plan::Plan`]).
    pub const PLAN: &str = "plan.json";
    /// The scenario that ran ([`crate::scenario::Scenario`]).
    pub const SCENARIO: &str = "scenario.json";
    /// The run's seed, decimal text.
    pub const SEED: &str = "seed";
    /// The wire room's capture ([`crate::truth::record`]).
    pub const TAPS: &str = "taps.bin";
    /// About the capture ([`crate::truth::TapSummary`]).
    pub const TAP_SUMMARY: &str = "taps.json";
    /// Clock epochs ([`crate::truth::ClockLog`]).
    pub const CLOCK: &str = "clock.json";
    /// Kernel counters ([`crate::truth::Counters`]).
    pub const COUNTERS: &str = "counters.json";
    /// What was done when ([`crate::truth::Timeline`]).
    pub const TIMELINE: &str = "timeline.json";
    /// Customer traffic ([`crate::traffic::TrafficLog`]).
    pub const TRAFFIC: &str = "traffic.json";
    /// What the PEs did with their data MDTs ([`crate::mdt::MdtLog`]); only where an MVPN has some.
    pub const MDTS: &str = "mdts.json";
    /// The monitor's configuration.
    pub const MONITOR_CONFIG: &str = "monitor/config.toml";
    /// The monitor's database, checkpointed.
    pub const MONITOR_DATABASE: &str = "monitor/vmscope.db";
    /// The monitor's standard error.
    pub const MONITOR_LOG: &str = "monitor/log.txt";
    /// Every request and reply of the harness, in order.
    pub const MONITOR_REQUESTS: &str = "monitor/requests.jsonl";
}

/// The archive: names and contents. The same type as `emulator::place::Files`.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What the tap socket says of itself, `taps.json`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapSummary {
    /// Frames that the kernel could not store; must be 0.
    pub kernel_drops: u64,
    /// Records in `taps.bin`.
    pub records: u64,
    /// Snap length.
    pub snap_bytes: u16,
    /// Frames on devices of the wire room that are no wire's end; must be 0.
    pub foreign: u64,
    /// Capturing from here, CLOCK_MONOTONIC.
    pub started_ns: u64,
    /// Until here. Both enclose every snapshot of the counters.
    pub stopped_ns: u64,
    /// Of a lab that lives on: the newest records of a capture that goes on.
    #[serde(default)]
    pub is_excerpt: bool,
}

/// The typed view of an observation. The capture is borrowed: it is large.
#[derive(Debug, Clone)]
pub struct Observation<'a> {
    /// What was built.
    pub plan: Plan,
    /// What was asked for.
    pub scenario: Scenario,
    /// `taps.bin`.
    pub taps: &'a [u8],
    /// About it.
    pub tap_summary: TapSummary,
    /// Clock epochs.
    pub clock: ClockLog,
    /// Kernel counters.
    pub counters: Counters,
    /// What was done when.
    pub timeline: Timeline,
    /// Customer traffic.
    pub traffic: TrafficLog,
    /// What the PEs did with their data MDTs.
    pub mdts: MdtLog,
}

impl<'a> Observation<'a> {
    /// Reads everything that the truth stands on.
    pub fn of(files: &'a Files) -> Result<Self, TruthError> {
        Ok(Self {
            plan: json(files, file::PLAN)?,
            scenario: json(files, file::SCENARIO)?,
            taps: bytes(files, file::TAPS)?,
            tap_summary: json(files, file::TAP_SUMMARY)?,
            clock: json(files, file::CLOCK)?,
            counters: json(files, file::COUNTERS)?,
            timeline: json(files, file::TIMELINE)?,
            traffic: json(files, file::TRAFFIC)?,
            mdts: match files.contains_key(file::MDTS) {
                true => json(files, file::MDTS)?,
                false => MdtLog::default(),
            },
        })
    }
}

fn bytes<'a>(files: &'a Files, name: &'static str) -> Result<&'a [u8], TruthError> {
    files
        .get(name)
        .map(Vec::as_slice)
        .ok_or(TruthError::Missing { name })
}

fn json<T: DeserializeOwned>(files: &Files, name: &'static str) -> Result<T, TruthError> {
    serde_json::from_slice(bytes(files, name)?)
        .map_err(|source| TruthError::Malformed { name, source })
}
