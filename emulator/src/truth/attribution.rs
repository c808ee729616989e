//! Attribution: for every probe that did not arrive, where it was last and why it went no further.
//!
//! The way that it should have gone is known from the nearest probes of the same pair that did arrive. Along that way,
//! a frame that entered a wire and never left was lost on the wire; one that arrived at a node and never left it again
//! was lost in the node.

use std::collections::BTreeMap;

use super::{
    Truth,
    crossing::{Crossing, Exit, ExitState},
    fate::Sent,
    journey::{Hop, Journey, Phase, routed_head},
    lane::Lane,
    way::Search,
};
use crate::{
    plan::TunnelPlan,
    scenario::{Impairment, LossCause},
};

/// Two records of one moment: a frame may be counted in or out of the queue.
const OCCUPANCY_SLACK: u32 = 1;

/// A loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loss {
    /// Where.
    pub place: Place,
    /// Why; None: nothing that was asked for explains it, and the lab is to blame.
    pub cause: Option<LossCause>,
}

/// Where a packet was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// On a wire, in this direction.
    Wire(Lane),
    /// In the node that this lane leads to.
    Node(Lane),
}

impl Truth {
    /// A place in words: `PE1-P/P` for a wire's direction, `P` for a node.
    pub fn place_name(&self, place: Place) -> String {
        match place {
            Place::Wire(lane) => self.lanes.key(lane).to_string(),
            Place::Node(lane) => self.lanes.to(lane).to_owned(),
        }
    }

    /// For each probe: None if it arrived, else its loss.
    pub(super) fn losses(
        &self,
        sender: &TunnelPlan,
        receiver: &TunnelPlan,
        sent: &[Sent],
        arrivals: &[Vec<Exit>],
    ) -> Vec<Option<Loss>> {
        let search = Search {
            truth: self,
            sender,
            receiver,
        };
        let mut ways = Ways {
            search,
            sent,
            arrivals,
            known: BTreeMap::new(),
        };
        (0..sent.len())
            .map(|at| arrivals[at].is_empty().then(|| ways.loss(at)))
            .collect()
    }

    /// Why a frame that entered this wire never left it.
    pub fn wire_cause(&self, crossing: &Crossing) -> Option<LossCause> {
        let (lane, ns) = (crossing.lane, crossing.entered_ns);
        let possible = || self.conditions.possible(lane, ns);
        if self.conditions.is_wire_down(lane, ns) {
            return Some(LossCause::LinkDown);
        }
        if possible().any(|impairment| is_full(impairment, crossing.occupancy)) {
            return Some(LossCause::QueueOverflow);
        }
        // Still inside when the wire went down: the queue was purged.
        let longest_ns = self.conditions.longest_transit_ns(lane);
        let shortest_ns = self.conditions.shortest_transit_ns(lane, ns);
        let purged = |within_ns| {
            self.conditions
                .outages(lane)
                .iter()
                .any(|outage| ns < outage.began_ns && ns + within_ns >= outage.began_ns)
        };
        let lossy = possible().any(is_lossy);
        match (lossy, purged(shortest_ns), purged(longest_ns)) {
            (_, true, _) | (false, false, true) => Some(LossCause::LinkDown),
            (true, false, _) => Some(LossCause::Netem),
            (false, false, false) => None,
        }
    }
}

fn is_full(impairment: &Impairment, occupancy: u32) -> bool {
    impairment
        .queue_packets
        .is_some_and(|limit| occupancy + OCCUPANCY_SLACK >= limit)
}

fn is_lossy(impairment: &Impairment) -> bool {
    impairment.loss.is_some_and(|loss| loss.0 > 0.0) || impairment.burst.is_some()
}

/// The ways of a pair's probes, remembered.
struct Ways<'a> {
    search: Search<'a>,
    sent: &'a [Sent],
    arrivals: &'a [Vec<Exit>],
    known: BTreeMap<usize, Vec<Hop>>,
}

impl Ways<'_> {
    /// The loss of a probe: of the ways that its neighbours went, the one that it followed furthest.
    fn loss(&mut self, at: usize) -> Loss {
        let session = self.sent[at].id.session;
        let arrived = |other: &usize| {
            !self.arrivals[*other].is_empty() && self.sent[*other].id.session == session
        };
        let neighbours = [
            (0..at).rev().find(arrived),
            (at + 1..self.sent.len()).find(arrived),
        ];
        for neighbour in neighbours.into_iter().flatten() {
            let (search, sent, arrivals) = (self.search, self.sent, self.arrivals);
            self.known
                .entry(neighbour)
                .or_insert_with(|| search.way(&sent[neighbour], &arrivals[neighbour]));
        }
        let mut ways: Vec<&Vec<Hop>> = neighbours
            .iter()
            .flatten()
            .filter_map(|at| self.known.get(at))
            .collect();
        let shortest;
        if ways.iter().all(|way| way.is_empty()) {
            shortest = self.search.shortest_way();
            ways = vec![&shortest];
        }
        let journey = self.search.truth.journey(self.sent[at].id);
        let ends = ways
            .into_iter()
            .filter(|way| !way.is_empty())
            .map(|way| self.search.follow(journey, way));
        let best = ends.reduce(|one, other| if other.better_than(&one) { other } else { one });
        best.map_or(
            Loss {
                place: Place::Wire(Lane::from_index(0)),
                cause: None,
            },
            |end| end.loss,
        )
    }
}

/// How far a probe followed a way, and how it ended.
#[derive(Debug, Clone, Copy)]
struct End {
    hops: usize,
    loss: Loss,
}

impl End {
    /// Further; or as far, with a reason other than that nobody knew the way.
    fn better_than(&self, other: &Self) -> bool {
        let vague = |end: &Self| matches!(end.loss.cause, None | Some(LossCause::NoRoute));
        self.hops > other.hops || (self.hops == other.hops && vague(other) && !vague(self))
    }
}

impl<'a> Search<'a> {
    /// Walks a way until the probe is no longer there. Where there are several copies, a whole one is followed.
    fn follow(self, journey: Journey<'a>, way: &[Hop]) -> End {
        let mut before: Vec<&Crossing> = Vec::new();
        // Where the first copy was hurt, and whether only hurt ones are left.
        let (mut hurt, mut damaged): (Option<Place>, Option<Place>) = (None, None);
        for (hops, hop) in way.iter().enumerate() {
            let crossings: Vec<_> = journey.over(*hop, self.sender, self.receiver).collect();
            let Some(crossing) = best(&crossings) else {
                let phase = hops.checked_sub(1).map(|at| way[at].phase);
                let loss = self.lost_in_node(best(&before), damaged, phase, *hop);
                return End { hops, loss };
            };
            if crossing.exits.is_empty() {
                let (place, cause) = (Place::Wire(hop.lane), self.truth.wire_cause(crossing));
                return End {
                    hops,
                    loss: Loss { place, cause },
                };
            }
            let is_hurt =
                |crossing: &&&Crossing| !crossing.exits.is_empty() && crossing.arrival().is_none();
            if let Some(first) = crossings.iter().find(is_hurt) {
                hurt.get_or_insert(origin_of_damage(first, &before));
            }
            if crossing.arrival().is_none() {
                damaged = hurt;
            }
            before = crossings;
        }
        // It came all the way and was still not received: it must have been damaged on the way.
        let last_lane = way.last().map_or(Lane::from_index(0), |hop| hop.lane);
        let place = damaged.unwrap_or(Place::Wire(last_lane));
        let cause = damaged.map(|_| LossCause::Corruption);
        End {
            hops: way.len(),
            loss: Loss { place, cause },
        }
    }

    /// It arrived over `last` and did not go on by `next`.
    fn lost_in_node(
        self,
        last: Option<&Crossing>,
        damaged: Option<Place>,
        before: Option<Phase>,
        next: Hop,
    ) -> Loss {
        let (Some(last), Some(before)) = (last, before) else {
            return Loss {
                place: Place::Wire(next.lane),
                cause: None,
            };
        };
        if let Some(place) = damaged {
            return Loss {
                place,
                cause: Some(LossCause::Corruption),
            };
        }
        let arrived_ns = last.exits.first().map_or(last.entered_ns, |exit| exit.ns);
        let cause = self.node_cause(last, arrived_ns, before, next);
        Loss {
            place: Place::Node(last.lane),
            cause: Some(cause),
        }
    }

    fn node_cause(self, last: &Crossing, arrived_ns: u64, before: Phase, next: Hop) -> LossCause {
        let conditions = &self.truth.conditions;
        let node = self.truth.lanes.to(last.lane);
        let into_tunnel = before != Phase::Down && next.phase == Phase::Down;
        let ttl = if before == Phase::Up && next.phase == Phase::Up || before == Phase::Down {
            routed_head(&last.decoded, before)
        } else {
            last.decoded.ip
        };
        if conditions.is_node_down(node, arrived_ns) {
            return LossCause::NodeDown;
        }
        // RFC 1812 section 5.3.1: a router does not forward what arrives with a TTL of 1.
        if ttl.is_some_and(|head| head.ttl <= 1) {
            return LossCause::Ttl;
        }
        if conditions.is_wire_down(next.lane, arrived_ns) {
            return LossCause::LinkDown;
        }
        if into_tunnel && let Some(cause) = self.tunnel_cause(arrived_ns) {
            return cause;
        }
        LossCause::NoRoute
    }

    /// The receiver's tunnel device may have dropped it.
    fn tunnel_cause(self, ns: u64) -> Option<LossCause> {
        let possible = || {
            self.truth
                .conditions
                .possible_on_tunnel(&self.receiver.name, ns)
        };
        if possible().any(is_lossy) {
            return Some(LossCause::Netem);
        }
        if possible().any(|impairment| impairment.corrupt.is_some()) {
            return Some(LossCause::Corruption);
        }
        possible()
            .any(|impairment| impairment.queue_packets.is_some())
            .then_some(LossCause::QueueOverflow)
    }
}

/// Of several copies on a hop: one that left whole, else one that left, else any.
fn best<'a>(crossings: &[&'a Crossing]) -> Option<&'a Crossing> {
    let whole = crossings
        .iter()
        .find(|crossing| crossing.arrival().is_some());
    let left = || crossings.iter().find(|crossing| !crossing.exits.is_empty());
    whole.or_else(left).or(crossings.first()).copied()
}

/// A copy that left damaged was hurt on this wire; one that came damaged, on the wire before, or in the node between.
fn origin_of_damage(crossing: &Crossing, before: &[&Crossing]) -> Place {
    let hurt = |crossing: &&&Crossing| {
        crossing
            .exits
            .iter()
            .any(|exit| exit.state == ExitState::Damaged)
    };
    let came_damaged = crossing.decoded.damage.is_some();
    match (came_damaged, before.iter().find(hurt), before.first()) {
        (false, _, _) | (true, None, None) => Place::Wire(crossing.lane),
        (true, Some(hurt), _) => Place::Wire(hurt.lane),
        (true, None, Some(last)) => Place::Node(last.lane),
    }
}
