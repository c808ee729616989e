//! The recount: the kernel's own counters against what the tap saw, between each two readings.

use std::{collections::BTreeMap, fmt};

use super::{
    Truth,
    agreement::Found,
    counters::{Counters, QdiscCounters, Snapshot},
    journey::is_in_tunnel_down,
    lane::{Lane, Side, Tap},
    observation::TapSummary,
};
use crate::scenario::{Impairment, LossCause};

/// Between a counter's change and the tap's stamp of the same frame.
const STAMP_SLACK_NS: u64 = 1_000_000;

/// A count that is known only within bounds, because reading counters takes time.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    least: u64,
    most: u64,
}

impl Bounds {
    fn holds(self, count: u64) -> bool {
        (self.least..=self.most).contains(&count)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.least == self.most {
            write!(f, "{}", self.least)
        } else {
            write!(f, "{} to {}", self.least, self.most)
        }
    }
}

/// A stretch between two readings.
#[derive(Debug, Clone, Copy)]
struct Stretch<'a> {
    from: &'a Snapshot,
    to: &'a Snapshot,
}

impl Stretch<'_> {
    /// How many of these sorted times lie between the readings.
    fn count(self, times_ns: &[u64]) -> Bounds {
        let until = |ns: u64| times_ns.partition_point(|time| *time <= ns) as u64;
        let inner = (
            self.from.until_ns + STAMP_SLACK_NS,
            self.to.monotonic_ns.saturating_sub(STAMP_SLACK_NS),
        );
        let outer = (
            self.from.monotonic_ns.saturating_sub(STAMP_SLACK_NS),
            self.to.until_ns + STAMP_SLACK_NS,
        );
        Bounds {
            least: until(inner.1).saturating_sub(until(inner.0)),
            most: until(outer.1) - until(outer.0),
        }
    }

    fn label(self) -> String {
        format!("between \"{}\" and \"{}\"", self.from.label, self.to.label)
    }
}

/// Frame times of one lane, each sorted.
#[derive(Debug, Default)]
struct LaneTimes {
    entered: Vec<u64>,
    left: Vec<u64>,
    /// Lost where the queueing discipline counts it.
    dropped: Vec<u64>,
    /// Lost with the link, which it does not count; or perhaps not lost at all.
    perhaps_dropped: Vec<u64>,
}

/// The kernel's counters against the tap.
pub(super) struct Recount<'a> {
    truth: &'a Truth,
    stretches: Vec<Stretch<'a>>,
}

impl<'a> Recount<'a> {
    /// Only readings that the capture encloses can be compared with it.
    pub(super) fn new(truth: &'a Truth, tap: &TapSummary, counters: &'a Counters) -> Self {
        let enclosed = |snapshot: &Snapshot| {
            snapshot.monotonic_ns >= tap.started_ns && snapshot.until_ns <= tap.stopped_ns
        };
        let stretches = counters
            .snapshots
            .windows(2)
            .filter(|pair| pair.iter().all(enclosed));
        Self {
            truth,
            stretches: stretches
                .map(|pair| Stretch {
                    from: &pair[0],
                    to: &pair[1],
                })
                .collect(),
        }
    }

    pub(super) fn check(&self, found: &mut Found) {
        if self.stretches.is_empty() {
            found.push(
                "counters",
                "fewer than two readings lie within the capture; nothing confirms the tap",
            );
        }
        let times: Vec<LaneTimes> = self
            .truth
            .lanes
            .iter()
            .map(|lane| self.lane_times(lane))
            .collect();
        for lane in self.truth.lanes.iter() {
            let key = self.truth.lanes.key(lane).to_string();
            for stretch in &self.stretches {
                self.check_qdisc(lane, &key, *stretch, &times[lane.index()], found);
            }
        }
        for wire in 0..self.truth.lanes.len() / 2 {
            for side in [Side::A, Side::B] {
                self.check_device(
                    Tap {
                        wire: wire as u16,
                        side,
                    },
                    &times,
                    found,
                );
            }
        }
        self.check_tunnels(found);
    }

    fn lane_times(&self, lane: Lane) -> LaneTimes {
        let mut times = LaneTimes::default();
        for crossing in self.truth.on(lane) {
            times.entered.push(crossing.entered_ns);
            times.left.extend(crossing.exits.iter().map(|exit| exit.ns));
            let counted =
                crossing.is_lost() && self.truth.wire_cause(crossing) != Some(LossCause::LinkDown);
            match (counted, crossing.exits.is_empty()) {
                (true, _) => times.dropped.push(crossing.entered_ns),
                (false, true) => times.perhaps_dropped.push(crossing.entered_ns),
                (false, false) => {}
            }
        }
        times.left.extend(
            self.truth
                .crossings
                .phantoms
                .iter()
                .filter(|phantom| phantom.lane == lane)
                .map(|phantom| phantom.ns),
        );
        times.entered.sort_unstable();
        times.left.sort_unstable();
        times
    }

    fn check_qdisc(
        &self,
        lane: Lane,
        key: &str,
        stretch: Stretch<'_>,
        times: &LaneTimes,
        found: &mut Found,
    ) {
        let Some((from, to)) = both(&stretch.from.qdiscs, &stretch.to.qdiscs, key) else {
            return;
        };
        let Some(change) = change(from, to) else {
            // Replacing an impairment may replace the queueing discipline, and its counts start again.
            return self.check_restart(lane, stretch, found);
        };
        let left = stretch.count(&times.left);
        if !left.holds(change.sent_packets) {
            let what = format!(
                "{} the queueing discipline counted {} frames sent, and the tap saw {left} leave",
                stretch.label(),
                change.sent_packets
            );
            found.push(key, what);
        }
        let dropped = Bounds {
            least: stretch.count(&times.dropped).least,
            most: stretch.count(&times.dropped).most
                + stretch.count(&times.perhaps_dropped).most
                + self.duplicate_drops(lane, stretch.count(&times.entered).most),
        };
        if !dropped.holds(change.dropped) {
            let what = format!(
                "{} the queueing discipline counted {} frames dropped, and by the tap {dropped} entered and never left",
                stretch.label(),
                change.dropped
            );
            found.push(key, what);
        }
    }

    fn check_restart(&self, lane: Lane, stretch: Stretch<'_>, found: &mut Found) {
        let (from_ns, to_ns) = (stretch.from.monotonic_ns, stretch.to.until_ns);
        let changed = self
            .truth
            .conditions
            .eras(lane)
            .iter()
            .any(|era| (from_ns..=to_ns).contains(&era.settled_ns));
        if !changed {
            let what = format!(
                "{} the queueing discipline's counts went back, though nothing was changed",
                stretch.label()
            );
            found.push(self.truth.lanes.key(lane), what);
        }
    }

    /// netem counts the loss of a second copy although the first one left.
    fn duplicate_drops(&self, lane: Lane, entered: u64) -> u64 {
        let duplicate = |impairment: &Impairment| impairment.duplicate.map_or(0.0, |share| share.0);
        let share = self
            .truth
            .conditions
            .eras(lane)
            .iter()
            .map(|era| duplicate(&era.impairment))
            .fold(0.0, f64::max);
        if share > 0.0 {
            (entered as f64 * share * 2.0) as u64 + 20
        } else {
            0
        }
    }

    /// The wire room's own devices: received is what entered there, sent is what left there.
    fn check_device(&self, tap: Tap, times: &[LaneTimes], found: &mut Found) {
        let key = format!("wires/{}", tap.device());
        let entering = Lane {
            wire: tap.wire,
            toward: tap.side.other(),
        };
        let leaving = Lane {
            wire: tap.wire,
            toward: tap.side,
        };
        let counted = |stretch: &Stretch<'_>| {
            both(&stretch.from.interfaces, &stretch.to.interfaces, &key).is_some()
        };
        if !self.stretches.is_empty() && !self.stretches.iter().all(counted) {
            found.push(&key, "a reading of the counters does not have this device; nothing confirms the tap there");
        }
        for stretch in &self.stretches {
            let Some((from, to)) = both(&stretch.from.interfaces, &stretch.to.interfaces, &key)
            else {
                continue;
            };
            let received = to.rx_packets.wrapping_sub(from.rx_packets);
            let entered = stretch.count(&times[entering.index()].entered);
            if !entered.holds(received) {
                let what = format!(
                    "{} the device counted {received} frames received, and the tap saw {entered} enter",
                    stretch.label()
                );
                found.push(&key, what);
            }
            let sent = to.tx_packets.wrapping_sub(from.tx_packets);
            let refused = to.tx_dropped.wrapping_sub(from.tx_dropped);
            let left = stretch.count(&times[leaving.index()].left);
            if left.least > sent + refused || left.most < sent {
                let what = format!(
                    "{} the device counted {sent} frames sent, and the tap saw {left} leave",
                    stretch.label()
                );
                found.push(&key, what);
            }
        }
    }

    /// What a tunnel's device sent is what entered the router's wires in that tunnel, unless links or nodes failed.
    fn check_tunnels(&self, found: &mut Found) {
        let truth = self.truth;
        for tunnel in &truth.tunnels {
            let key = format!("tunnel/{}", tunnel.name);
            let entered: Vec<u64> = truth
                .crossings
                .all
                .iter()
                .filter(|crossing| {
                    truth.lanes.from(crossing.lane) == tunnel.at
                        && is_in_tunnel_down(&crossing.decoded, tunnel)
                })
                .map(|crossing| crossing.entered_ns)
                .collect();
            for stretch in &self.stretches {
                let Some((from, to)) = both(&stretch.from.qdiscs, &stretch.to.qdiscs, &key) else {
                    continue;
                };
                let Some(change) = change(from, to) else {
                    continue;
                };
                let seen = stretch.count(&entered);
                let too_few = change.sent_packets < seen.least;
                let too_many = change.sent_packets > seen.most && !truth.conditions.has_faults();
                if too_few || too_many {
                    let what = format!(
                        "{} the tunnel's device counted {} packets sent, and the tap saw {seen} of them enter the wires of {}",
                        stretch.label(),
                        change.sent_packets,
                        tunnel.at
                    );
                    found.push(&key, what);
                }
            }
        }
    }
}

fn both<'a, T>(
    from: &'a BTreeMap<String, T>,
    to: &'a BTreeMap<String, T>,
    key: &str,
) -> Option<(&'a T, &'a T)> {
    Some((from.get(key)?, to.get(key)?))
}

/// None: the counts began again in between.
fn change(from: &QdiscCounters, to: &QdiscCounters) -> Option<QdiscCounters> {
    Some(QdiscCounters {
        sent_packets: to.sent_packets.checked_sub(from.sent_packets)?,
        sent_bytes: to.sent_bytes.checked_sub(from.sent_bytes)?,
        dropped: to.dropped.checked_sub(from.dropped)?,
        overlimits: to.overlimits.checked_sub(from.overlimits)?,
        backlog_packets: to.backlog_packets,
        requeues: to.requeues.checked_sub(from.requeues)?,
    })
}
