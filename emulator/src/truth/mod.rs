//! The truth about every packet of a run: what entered each wire and what left it, when, and why it did not.
//!
//! In the lab: one [`Taps`] captures all wires; [`ClockLog`], [`Counters`] and [`Timeline`] note the rest.
//! On the host everything is a pure function over the [`Observation`]: records are decoded ([`decode`]), paired per
//! wire ([`crossing`]), gathered per packet ([`journey`]), and asked about ([`fate`], [`attribution`], [`view`]).
//! Before anything may be asked, the lab's views must agree ([`agreement`], [`audit`](self)).
//! The decoder is the truth's own: it shares nothing with the monitor, or one codec's bug would cancel itself out.

pub mod agreement;
pub mod attribution;
mod audit;
mod binomial;
pub mod clock;
pub mod condition;
pub mod control;
pub mod counters;
pub mod crossing;
pub mod decode;
mod error;
pub mod fate;
pub mod journey;
pub mod lane;
pub mod observation;
pub mod pcapng;
pub mod record;
mod recount;
mod ring;
mod spread;
pub mod tap;
pub mod timeline;
mod transit;
mod tunnel_audit;
pub mod view;
mod way;

pub use agreement::Disagreement;
pub use attribution::{Loss, Place};
pub use audit::FALSE_ALARM;
pub use clock::{ClockLog, Epoch};
pub use control::Utterance;
pub use counters::{Counters, InterfaceCounters, MrouteCounters, QdiscCounters, Snapshot};
pub use decode::{CustomerId, ProbeId, What};
pub use error::TruthError;
pub use fate::{Fate, Pair, Parts, ProbeTruth, Sent};
pub use lane::{Lane, Lanes};
pub use observation::{Files, Observation, TapSummary, file};
pub use spread::{Branch, Spread};
pub use tap::{Capture, SNAP_BYTES, TapError, Taps, WHOLE_FRAME_BYTES, snap_bytes};
pub use timeline::{Done, Timeline};
pub use view::{CustomerArrival, CustomerSide, MdtArrival, MonitorFrame};

use self::{
    condition::Conditions,
    crossing::{Crossing, Crossings},
    journey::{Journey, Journeys},
};
use crate::plan::{Plan, TunnelPlan};

/// Everything that is known about a run. Times are CLOCK_MONOTONIC of the lab, nanoseconds.
#[derive(Debug, Clone)]
pub struct Truth {
    /// Names of wires' directions.
    pub lanes: Lanes,
    /// Every frame on every wire.
    pub crossings: Crossings,
    /// What was in force when.
    pub conditions: Conditions,
    /// Crossings by packet.
    pub journeys: Journeys,
    /// The monitor's tunnels, by id.
    pub tunnels: Vec<TunnelPlan>,
    /// The run's zero.
    pub start_ns: u64,
    /// The run's end.
    pub end_ns: u64,
    /// The capture's end.
    pub stopped_ns: u64,
    /// From the monitor, and to it.
    monitor_lanes: Option<(Lane, Lane)>,
    /// What the PEs said on the default MDTs; only where the scenario expects something of it.
    pub utterances: Vec<Utterance>,
    by_lane: Vec<Vec<u32>>,
}

impl Truth {
    /// Reads the truth, and insists that the lab's views agree.
    pub fn of(observation: &Observation<'_>) -> Result<Self, TruthError> {
        let (truth, disagreements) = Self::read(observation)?;
        match disagreements.is_empty() {
            true => Ok(truth),
            false => Err(TruthError::Disagreement(disagreements)),
        }
    }

    /// Reads the truth, and what contradicts it: for looking into a lab that went wrong. No verdict may stand on it.
    pub fn read(observation: &Observation<'_>) -> Result<(Self, Vec<Disagreement>), TruthError> {
        let lanes = Lanes::of(&observation.plan);
        let conditions = Conditions::of(&observation.scenario, &observation.timeline, &lanes);
        let crossings = Crossings::of(observation, &lanes, &conditions)?;
        let monitor_lanes = monitor_lanes(&observation.plan, &lanes);
        let to_monitor = monitor_lanes.map(|(_, to)| to);
        let utterances = match observation.scenario.hears_control() {
            true => control::utterances(observation, &lanes, to_monitor)?,
            false => Vec::new(),
        };
        let truth = Self {
            journeys: Journeys::of(&crossings),
            by_lane: by_lane(&crossings, &lanes),
            crossings,
            conditions,
            tunnels: observation.plan.tunnels.clone(),
            start_ns: observation.timeline.start_ns,
            end_ns: observation.timeline.end_ns,
            stopped_ns: observation.tap_summary.stopped_ns,
            monitor_lanes,
            utterances,
            lanes,
        };
        let disagreements =
            agreement::disagreements(&truth, &observation.tap_summary, &observation.counters);
        Ok((truth, disagreements))
    }

    /// Every frame of a lane, in order of entering.
    pub fn on(&self, lane: Lane) -> impl Iterator<Item = &Crossing> {
        self.by_lane[lane.index()]
            .iter()
            .map(|index| &self.crossings.all[*index as usize])
    }

    /// A tunnel by id.
    pub fn tunnel(&self, id: u32) -> Option<&TunnelPlan> {
        self.tunnels.iter().find(|tunnel| tunnel.id == id)
    }

    /// All crossings of a probe.
    pub fn journey(&self, id: ProbeId) -> Journey<'_> {
        self.journeys.probe(&self.crossings, id)
    }
}

fn by_lane(crossings: &Crossings, lanes: &Lanes) -> Vec<Vec<u32>> {
    let mut by_lane = vec![Vec::new(); lanes.len()];
    for (index, crossing) in (0u32..).zip(&crossings.all) {
        by_lane[crossing.lane.index()].push(index);
    }
    by_lane
}

fn monitor_lanes(plan: &Plan, lanes: &Lanes) -> Option<(Lane, Lane)> {
    let monitor = plan.monitor.as_ref()?;
    let own = |lane: &Lane| usize::from(lane.wire) == monitor.wire;
    let is_from = |lane: &Lane| lanes.from_interface(*lane).0 == monitor.namespace;
    let from = lanes.iter().filter(own).find(is_from)?;
    Some((
        from,
        Lane {
            wire: from.wire,
            toward: from.toward.other(),
        },
    ))
}
