//! The lab's views of a run must agree before any verdict is given: what was asked for, what the tap saw, and what the
//! kernel counted. Each contradiction is told in plain English; any of them makes the run *infrastructure*.

use std::fmt;

use super::{
    Truth, audit, counters::Counters, crossing::Crossing, lane::Lane, observation::TapSummary,
    recount::Recount,
};

/// Two views contradict each other, in plain English.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// Where: a lane (`PE1-P/P`), a tunnel, or the tap.
    pub at: String,
    /// What each side says.
    pub what: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

/// Every contradiction that can be found.
pub(super) fn disagreements(
    truth: &Truth,
    tap: &TapSummary,
    counters: &Counters,
) -> Vec<Disagreement> {
    let mut found = Found::default();
    check_tap(truth, tap, &mut found);
    for lane in truth.lanes.iter() {
        check_phantoms(truth, lane, tap, &mut found);
        check_losses(truth, lane, &mut found);
    }
    Recount::new(truth, tap, counters).check(&mut found);
    audit::check(truth, counters, &mut found);
    found.0
}

/// Collects disagreements.
#[derive(Debug, Default)]
pub(super) struct Found(pub(super) Vec<Disagreement>);

impl Found {
    /// One more.
    pub(super) fn push(&mut self, at: impl fmt::Display, what: impl Into<String>) {
        self.0.push(Disagreement {
            at: at.to_string(),
            what: what.into(),
        });
    }
}

fn check_tap(truth: &Truth, tap: &TapSummary, found: &mut Found) {
    if tap.kernel_drops > 0 {
        let what = format!(
            "the kernel could not store {} frames; the truth has holes, give the lab more memory",
            tap.kernel_drops
        );
        found.push("tap", what);
    }
    if tap.foreign > 0 {
        found.push(
            "tap",
            format!(
                "{} frames were seen on devices of the wire room that are no wire's end",
                tap.foreign
            ),
        );
    }
    if tap.records != truth.crossings.records {
        let what = format!(
            "it wrote {} records, and the capture holds {}",
            tap.records, truth.crossings.records
        );
        found.push("tap", what);
    }
}

/// Frames that were inside when the capture began may leave without having entered.
fn check_phantoms(truth: &Truth, lane: Lane, tap: &TapSummary, found: &mut Found) {
    let settled_ns = tap.started_ns + truth.conditions.longest_transit_ns(lane);
    let phantoms = truth
        .crossings
        .phantoms
        .iter()
        .filter(|phantom| phantom.lane == lane && phantom.ns > settled_ns);
    let count = phantoms.count();
    if count > 0 {
        found.push(
            truth.lanes.key(lane),
            format!("{count} frames left the wire that had never entered it"),
        );
    }
}

/// Every loss on a wire has a cause that was asked for. Before the run's start nothing is judged.
fn check_losses(truth: &Truth, lane: Lane, found: &mut Found) {
    let unexplained = |crossing: &&Crossing| {
        crossing.is_lost()
            && crossing.entered_ns >= truth.start_ns
            && truth.wire_cause(crossing).is_none()
    };
    let lost: Vec<_> = truth.on(lane).filter(unexplained).collect();
    let Some(first) = lost.first() else { return };
    let deepest = lost
        .iter()
        .map(|crossing| crossing.occupancy)
        .max()
        .unwrap_or(0);
    let what = format!(
        "{} frames entered the wire and never left it, though neither loss nor a queue limit was asked for; the first {} after the start, the fullest queue held {deepest} frames",
        lost.len(),
        seconds(first.entered_ns - truth.start_ns),
    );
    found.push(truth.lanes.key(lane), what);
}

/// Nanoseconds as seconds, for people.
pub(super) fn seconds(ns: u64) -> String {
    format!("{}.{:03} s", ns / 1_000_000_000, ns / 1_000_000 % 1_000)
}
