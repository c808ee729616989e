//! Journeys: all crossings of one packet, through every wrapping and along every branch of the tree.

use super::{
    crossing::{Crossing, Crossings},
    decode::{CustomerId, Decoded, Head, ProbeId, What},
    lane::Lane,
};
use crate::plan::TunnelPlan;

/// The part of a probe's way that a crossing belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// In the sender's tunnel, monitor to router.
    Up,
    /// Plain multicast in the backbone.
    Native,
    /// In a PIM Register on its way to the RP.
    Register,
    /// In a receiver's tunnel, router to monitor.
    Down,
}

/// A step of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hop {
    /// Over this direction of this wire.
    pub lane: Lane,
    /// In this form.
    pub phase: Phase,
}

/// Crossings by packet.
#[derive(Debug, Clone)]
pub struct Journeys {
    probes: Vec<(ProbeId, u32)>,
    reflections: Vec<(ProbeId, u32)>,
    customers: Vec<(CustomerId, u32)>,
}

impl Journeys {
    /// Sorts all crossings by packet; within a packet they stay in order of entering.
    pub fn of(crossings: &Crossings) -> Self {
        let (mut probes, mut reflections) = (Vec::new(), Vec::new());
        let mut customers = Vec::new();
        for (index, crossing) in (0u32..).zip(&crossings.all) {
            match crossing.decoded.what {
                What::Probe { id, .. } => probes.push((id, index)),
                What::Reflection { id } => reflections.push((id, index)),
                What::Customer(id) => customers.push((id, index)),
                What::Echo { .. }
                | What::Icmp { .. }
                | What::Igmp { .. }
                | What::Pim { .. }
                | What::Udp { .. }
                | What::Ip { .. }
                | What::Other { .. } => {}
            }
        }
        probes.sort_unstable();
        reflections.sort_unstable();
        customers.sort_unstable();
        Self {
            probes,
            reflections,
            customers,
        }
    }

    /// All crossings of a probe.
    pub fn probe<'a>(&'a self, crossings: &'a Crossings, id: ProbeId) -> Journey<'a> {
        Journey::of(&self.probes, crossings, id)
    }

    /// All crossings of what a peer sent again of a probe.
    pub fn reflection<'a>(&'a self, crossings: &'a Crossings, id: ProbeId) -> Journey<'a> {
        Journey::of(&self.reflections, crossings, id)
    }

    /// Every probe of a task's sender, in order of session and sequence number.
    pub fn probes_of(&self, task: u32, sender: u32) -> impl Iterator<Item = ProbeId> + '_ {
        let from = self
            .probes
            .partition_point(|(id, _)| (id.task, id.sender) < (task, sender));
        let own = self.probes[from..]
            .iter()
            .map(|(id, _)| *id)
            .take_while(move |id| (id.task, id.sender) == (task, sender));
        let mut last = None;
        own.filter(move |id| last.replace(*id) != Some(*id))
    }

    /// Every (task, sender, session) that was seen.
    pub fn streams(&self) -> Vec<(u32, u32, u32)> {
        let mut streams: Vec<_> = self
            .probes
            .iter()
            .map(|(id, _)| (id.task, id.sender, id.session))
            .collect();
        streams.dedup();
        streams
    }

    /// All crossings of a flow, by sequence number.
    pub fn flow<'a>(
        &'a self,
        crossings: &'a Crossings,
        flow: u32,
    ) -> impl Iterator<Item = (CustomerId, &'a Crossing)> {
        let from = self.customers.partition_point(|(id, _)| id.flow < flow);
        let own = self.customers[from..]
            .iter()
            .take_while(move |(id, _)| id.flow == flow);
        own.map(|(id, index)| (*id, &crossings.all[*index as usize]))
    }
}

/// One probe's crossings, in order of entering.
#[derive(Debug, Clone, Copy)]
pub struct Journey<'a> {
    crossings: &'a [Crossing],
    indices: &'a [(ProbeId, u32)],
}

impl<'a> Journey<'a> {
    fn of(sorted: &'a [(ProbeId, u32)], crossings: &'a Crossings, id: ProbeId) -> Self {
        let from = sorted.partition_point(|(other, _)| *other < id);
        let length = sorted[from..].partition_point(|(other, _)| *other == id);
        Self {
            crossings: &crossings.all,
            indices: &sorted[from..from + length],
        }
    }

    /// All of them.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = &'a Crossing> {
        self.indices
            .iter()
            .map(|(_, index)| &self.crossings[*index as usize])
    }

    /// Those of a hop; a router may repeat a packet, so there can be several.
    pub fn over(
        self,
        hop: Hop,
        sender: &TunnelPlan,
        receiver: &TunnelPlan,
    ) -> impl Iterator<Item = &'a Crossing> {
        let matches = move |crossing: &&Crossing| {
            crossing.lane == hop.lane
                && phase(&crossing.decoded, sender, receiver) == Some(hop.phase)
        };
        self.iter().filter(matches)
    }
}

/// Which part of the way from `sender` to `receiver` a packet in this form is on; None: in another pair's tunnel.
pub fn phase(decoded: &Decoded, sender: &TunnelPlan, receiver: &TunnelPlan) -> Option<Phase> {
    match (decoded.tunnel, decoded.register) {
        (Some(_), _) if is_in_tunnel_up(decoded, sender) => Some(Phase::Up),
        (Some(_), _) if is_in_tunnel_down(decoded, receiver) => Some(Phase::Down),
        (Some(_), _) => None,
        (None, Some(_)) => Some(Phase::Register),
        (None, None) => Some(Phase::Native),
    }
}

/// In this tunnel, monitor to router.
pub fn is_in_tunnel_up(decoded: &Decoded, tunnel: &TunnelPlan) -> bool {
    decoded
        .tunnel
        .is_some_and(|gre| gre.head.destination == tunnel.router_outer && gre.key == tunnel.key)
}

/// In this tunnel, router to monitor.
pub fn is_in_tunnel_down(decoded: &Decoded, tunnel: &TunnelPlan) -> bool {
    decoded.tunnel.is_some_and(|gre| {
        gre.head.source == tunnel.router_outer
            && gre.head.destination == tunnel.monitor_outer
            && gre.key == tunnel.key
    })
}

/// The header that routers look at in this phase.
pub fn routed_head(decoded: &Decoded, phase: Phase) -> Option<Head> {
    match phase {
        Phase::Up | Phase::Down => decoded.tunnel.map(|gre| gre.head),
        Phase::Register => decoded.register,
        Phase::Native => decoded.ip,
    }
}
