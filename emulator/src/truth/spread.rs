//! Spread: how far each probe of a one-way measurement came up its tunnel, and down every branch from the router.

use super::{
    Truth,
    crossing::Crossing,
    decode::ProbeId,
    journey::{is_in_tunnel_down, is_in_tunnel_up},
};
use crate::plan::TunnelPlan;

/// A way that copies go from the router at which they part.
#[derive(Debug, Clone, Copy)]
pub enum Branch<'a> {
    /// Down a tunnel, to the monitor's or a peer's host.
    Tunnel(&'a TunnelPlan),
    /// As plain multicast, to another router.
    Router(&'a str),
    /// Down a peer's tunnel, and back up it, sent again by the peer.
    Reflected(&'a TunnelPlan),
}

/// How far one probe came. Times are CLOCK_MONOTONIC of the lab, nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spread {
    /// Which.
    pub id: ProbeId,
    /// It only warmed the tree up.
    pub warmup: bool,
    /// It entered the monitor's wire.
    pub sent_ns: u64,
    /// It reached the router, whole.
    pub router_ns: Option<u64>,
    /// It reached the end of each branch, whole.
    pub branches_ns: Vec<Option<u64>>,
    /// What a peer sent again of it came back to the monitor by the first branch, whole.
    pub returned_ns: Option<u64>,
}

impl Truth {
    /// Every probe that a task put into a tunnel, by session and sequence number.
    pub fn spread(&self, task: u32, up: &TunnelPlan, branches: &[Branch<'_>]) -> Vec<Spread> {
        let sent = self.sent(task, up.id);
        sent.map(|sent| Spread {
            id: sent.id,
            warmup: sent.warmup,
            sent_ns: sent.ns,
            router_ns: self.first_at(sent.id, &up.at, |c| is_in_tunnel_up(&c.decoded, up)),
            branches_ns: branches
                .iter()
                .map(|branch| self.end_of(sent.id, *branch))
                .collect(),
            returned_ns: match branches.first() {
                Some(Branch::Tunnel(down)) => self.return_of(sent.id, down),
                Some(Branch::Router(_) | Branch::Reflected(_)) | None => None,
            },
        })
        .collect()
    }

    fn end_of(&self, id: ProbeId, branch: Branch<'_>) -> Option<u64> {
        match branch {
            Branch::Tunnel(tunnel) => {
                let host = self.host_of(tunnel)?;
                self.first_at(id, host, |c| is_in_tunnel_down(&c.decoded, tunnel))
            }
            Branch::Router(node) => self.first_at(id, node, |c| {
                c.decoded.tunnel.is_none() && c.decoded.register.is_none()
            }),
            Branch::Reflected(tunnel) => {
                let again = self.journeys.reflection(&self.crossings, id);
                self.first_into(again, &tunnel.at, |c| is_in_tunnel_up(&c.decoded, tunnel))
            }
        }
    }

    fn return_of(&self, id: ProbeId, down: &TunnelPlan) -> Option<u64> {
        let again = self.journeys.reflection(&self.crossings, id);
        let host = self.host_of(down)?;
        self.first_into(again, host, |c| is_in_tunnel_down(&c.decoded, down))
    }

    /// The host at which a tunnel ends: its peer's, or that of the monitor under test.
    fn host_of<'a>(&'a self, tunnel: &'a TunnelPlan) -> Option<&'a str> {
        let own = || self.monitor_lanes.map(|(from, _)| self.lanes.from(from));
        tunnel.peer.as_deref().or_else(own)
    }

    fn first_at(&self, id: ProbeId, node: &str, wanted: impl Fn(&Crossing) -> bool) -> Option<u64> {
        self.first_into(self.journey(id), node, wanted)
    }
}
