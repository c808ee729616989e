//! The audit of tunnels: what netem on a router's tunnel device did to packets on their way to the monitor.
//!
//! No tap is inside a router. Losses are the device's own count; delays are from a probe's arrival at the router to its
//! entering the next wire in the tunnel.

use super::{
    Truth,
    agreement::Found,
    audit::loss_complaint,
    condition::Era,
    counters::{Counters, QdiscCounters},
    crossing::Crossing,
    decode::What,
    journey::{is_in_tunnel_down, is_in_tunnel_up},
    transit::Transits,
};
use crate::{plan::TunnelPlan, scenario::Impairment};

/// Audits every tunnel in every stretch with one impairment.
pub(super) fn check(truth: &Truth, counters: &Counters, alpha: f64, found: &mut Found) {
    for tunnel in &truth.tunnels {
        for era in truth.conditions.tunnel_eras(&tunnel.name) {
            let audit = TunnelAudit {
                truth,
                tunnel,
                era,
                asked: &era.impairment,
                alpha,
            };
            let complaints = [audit.loss(counters), audit.delay()];
            for what in complaints.into_iter().flatten() {
                found.push(format_args!("tunnel/{}", tunnel.name), what);
            }
        }
    }
}

struct TunnelAudit<'a> {
    truth: &'a Truth,
    tunnel: &'a TunnelPlan,
    era: &'a Era,
    asked: &'a Impairment,
    alpha: f64,
}

impl TunnelAudit<'_> {
    /// A queue's drops and second copies are in the same counts: then they say nothing about loss.
    fn loss(&self, counters: &Counters) -> Option<String> {
        if self.asked.queue_packets.is_some() || self.asked.duplicate.is_some() {
            return None;
        }
        let key = format!("tunnel/{}", self.tunnel.name);
        let within = |ns: u64| (self.era.settled_ns..=self.era.ending_ns).contains(&ns);
        let (mut sent, mut dropped) = (0, 0);
        for pair in counters.snapshots.windows(2) {
            let held = within(pair[0].monotonic_ns) && within(pair[1].until_ns);
            if let (true, Some(from), Some(to)) =
                (held, pair[0].qdiscs.get(&key), pair[1].qdiscs.get(&key))
            {
                let change =
                    |count: fn(&QdiscCounters) -> u64| count(to).saturating_sub(count(from));
                sent += change(|qdisc| qdisc.sent_packets);
                dropped += change(|qdisc| qdisc.dropped);
            }
        }
        loss_complaint(self.asked, dropped, sent + dropped, self.alpha)
    }

    fn delay(&self) -> Option<String> {
        let lanes = self
            .truth
            .lanes
            .iter()
            .filter(|lane| self.truth.lanes.from(*lane) == self.tunnel.at);
        let leaving = lanes.flat_map(|lane| self.truth.on(lane));
        let own = leaving.filter(|crossing| is_in_tunnel_down(&crossing.decoded, self.tunnel));
        let transits: Vec<u64> = own
            .filter_map(|crossing| self.transit_ns(crossing))
            .collect();
        Transits {
            asked: self.asked,
            ns: &transits,
            alpha: self.alpha,
        }
        .complaint()
    }

    /// From the probe's last arrival at the router that left time enough for the delay.
    fn transit_ns(&self, leaving: &Crossing) -> Option<u64> {
        let What::Probe { id, .. } = leaving.decoded.what else {
            return None;
        };
        let spread_ns = self.asked.jitter.map_or(0, |jitter| 4 * jitter.ns);
        let shortest_ns = match self.asked.reorder {
            Some(_) => 0,
            None => self
                .asked
                .delay
                .map_or(0, |delay| delay.ns.saturating_sub(spread_ns)),
        };
        let sender = self.truth.tunnel(id.sender)?;
        let arrives = |crossing: &&Crossing| {
            let here = self.truth.lanes.to(crossing.lane) == self.tunnel.at;
            let native = crossing.decoded.tunnel.is_none();
            here && (native
                || (sender.at == self.tunnel.at && is_in_tunnel_up(&crossing.decoded, sender)))
        };
        let journey = self.truth.journey(id);
        let exits = || {
            journey
                .iter()
                .filter(arrives)
                .flat_map(Crossing::whole_exits)
                .map(|exit| exit.ns)
        };
        let before = || exits().filter(|ns| *ns <= leaving.entered_ns);
        let ripe = before()
            .filter(|ns| ns + shortest_ns <= leaving.entered_ns)
            .max();
        let arrived_ns = ripe.or_else(|| before().max())?;
        let surely = self.era.settled_ns <= arrived_ns && leaving.entered_ns <= self.era.ending_ns;
        surely.then(|| leaving.entered_ns - arrived_ns)
    }
}
