//! Ways: the wires that a probe went over from the monitor back to it, and the form that it had on each.

use std::collections::{BTreeMap, VecDeque};

use super::{
    Truth,
    crossing::{Crossing, Exit},
    fate::Sent,
    journey::{Hop, Journey, Phase, phase},
    lane::Lane,
};
use crate::plan::{TunnelPlan, WireKind};

/// One pair in one run.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) truth: &'a Truth,
    pub(super) sender: &'a TunnelPlan,
    pub(super) receiver: &'a TunnelPlan,
}

impl<'a> Search<'a> {
    fn phase(self, crossing: &Crossing) -> Option<Phase> {
        phase(&crossing.decoded, self.sender, self.receiver)
    }

    /// The way that an arrived probe went, from its last crossing back to the monitor.
    pub(super) fn way(self, sent: &Sent, arrivals: &[Exit]) -> Vec<Hop> {
        let journey = self.truth.journey(sent.id);
        let Some(arrived) = arrivals.first() else {
            return Vec::new();
        };
        let mut at = journey.iter().find(|crossing| {
            crossing
                .exits
                .iter()
                .any(|exit| exit.order == arrived.order)
        });
        let mut way = Vec::new();
        while let Some(crossing) = at {
            let Some(phase) = self.phase(crossing) else {
                break;
            };
            way.push(Hop {
                lane: crossing.lane,
                phase,
            });
            at = self.before(journey, crossing, phase);
        }
        way.reverse();
        way
    }

    /// The crossing that brought the packet to the node from which this one goes on: the latest that fits.
    fn before(
        self,
        journey: Journey<'a>,
        next: &Crossing,
        next_phase: Phase,
    ) -> Option<&'a Crossing> {
        let node = self.truth.lanes.from(next.lane);
        let arrived_before = |crossing: &Crossing| {
            crossing
                .exits
                .iter()
                .rev()
                .find(|exit| exit.order < next.order)
                .map(|exit| exit.order)
        };
        let fitting = journey.iter().filter(|crossing| {
            self.truth.lanes.to(crossing.lane) == node
                && self
                    .phase(crossing)
                    .is_some_and(|phase| self.can_follow(phase, next_phase, node))
        });
        let timed = fitting.filter_map(|crossing| Some((arrived_before(crossing)?, crossing)));
        timed
            .max_by_key(|(order, _)| *order)
            .map(|(_, crossing)| crossing)
    }

    /// Which form can come out of a node, given the form that went in.
    fn can_follow(self, before: Phase, after: Phase, node: &str) -> bool {
        match (before, after) {
            (Phase::Up, Phase::Up) | (Phase::Down, Phase::Down) => true,
            (Phase::Up, Phase::Native | Phase::Register) => node == self.sender.at,
            (Phase::Up, Phase::Down) => node == self.sender.at && node == self.receiver.at,
            (Phase::Native | Phase::Register, Phase::Native | Phase::Register) => true,
            (Phase::Native | Phase::Register, Phase::Down) => node == self.receiver.at,
            (Phase::Native | Phase::Register | Phase::Down, Phase::Up)
            | (Phase::Down, Phase::Native | Phase::Register) => false,
        }
    }

    /// When no probe of the pair ever arrived: fewest wires there, along the tunnels and the backbone.
    pub(super) fn shortest_way(self) -> Vec<Hop> {
        let Some((from_monitor, to_monitor)) = self.truth.monitor_lanes else {
            return Vec::new();
        };
        let monitor = self.truth.lanes.from(from_monitor);
        let hops = |from: &str, to: &str, phase| {
            self.lanes_between(from, to)
                .into_iter()
                .map(move |lane| Hop { lane, phase })
                .collect::<Vec<_>>()
        };
        let near = self.truth.lanes.to(from_monitor);
        debug_assert_eq!(self.truth.lanes.to(to_monitor), monitor);
        let mut way = vec![Hop {
            lane: from_monitor,
            phase: Phase::Up,
        }];
        way.extend(hops(near, &self.sender.at, Phase::Up));
        way.extend(hops(&self.sender.at, &self.receiver.at, Phase::Native));
        way.extend(hops(&self.receiver.at, near, Phase::Down));
        way.push(Hop {
            lane: to_monitor,
            phase: Phase::Down,
        });
        way
    }

    /// Breadth first over backbone wires, in lane order.
    fn lanes_between(self, from: &str, to: &str) -> Vec<Lane> {
        let lanes = &self.truth.lanes;
        let mut came_by: BTreeMap<&str, Option<Lane>> = BTreeMap::from([(from, None)]);
        let mut queue = VecDeque::from([from]);
        while let Some(node) = queue.pop_front() {
            let out = lanes.iter().filter(|lane| {
                lanes.from(*lane) == node && *lanes.kind(*lane) == WireKind::Backbone
            });
            for lane in out {
                let next = lanes.to(lane);
                if !came_by.contains_key(next) {
                    came_by.insert(next, Some(lane));
                    queue.push_back(next);
                }
            }
        }
        let mut way = Vec::new();
        let mut node = to;
        while let Some(Some(lane)) = came_by.get(node) {
            way.push(*lane);
            node = lanes.from(*lane);
        }
        way.reverse();
        way
    }
}
