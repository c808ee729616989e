//! What each message says: which records it makes, repeats, changes or ends.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vmscope_wire::mdt_join::{self, Tlv};
use vmscope_wire::pim::{
    self, Action, Bootstrap, DfElection, DfStep, Entry, Hello, JoinPrune, Repr,
};

use super::record::{Cause, Key, Neighbor, Route, State};
use super::{MAPPING_HOLD, View};
use crate::fault::Fault;
use crate::time::{Instant, Span};

/// Hold time of a Hello that names none (RFC 7761 §4.3.3: Default_Hello_Holdtime).
const HELLO_HOLD_S: u16 = 105;
/// How long a Graft's route is believed: as long as a Join's (RFC 7761 §4.11: 3.5 times t_periodic).
const GRAFT_HOLD_S: u16 = 210;
/// The least and the greatest of routes in the order of keys.
pub(super) const FIRST_ROUTE: Route = Route::Shared {
    group: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
};
pub(super) const LAST_ROUTE: Route = Route::Rpt {
    group: LAST_ADDRESS,
    source: LAST_ADDRESS,
};
const LAST_ADDRESS: IpAddr = IpAddr::V6(Ipv6Addr::from_bits(u128::MAX));
const FIRST_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Who said it.
#[derive(Debug, Clone, Copy)]
pub(super) struct From {
    /// The PE's address in the backbone.
    pub(super) pe: Ipv4Addr,
    /// Its VRF's address on the MDT.
    pub(super) address: IpAddr,
}

impl View {
    pub(super) fn handle_pim(&mut self, now: Instant, from: From, message: &Repr<'_>) {
        if let Repr::Hello(hello) = message {
            self.handle_hello(now, from, hello);
            return;
        }
        if !self.knows(from) {
            self.heard.from_strangers += 1;
            return;
        }
        match message {
            Repr::JoinPrune(joins) => {
                self.handle_join_prune(now, from, joins, joins.holdtime_seconds)
            }
            Repr::Graft(joins) => self.handle_join_prune(now, from, joins, GRAFT_HOLD_S),
            Repr::Assert(assert) => self.handle_assert(now, from, assert),
            Repr::Bootstrap(bootstrap) => self.handle_bootstrap(now, from, bootstrap),
            Repr::DfElection(election) => self.handle_df_election(now, from, election),
            // Said between two routers, or of no consequence for who wants what from whom.
            Repr::Hello(_)
            | Repr::Register(_)
            | Repr::RegisterStop(_)
            | Repr::GraftAck(_)
            | Repr::CandidateRp(_)
            | Repr::StateRefresh(_)
            | Repr::Unknown { .. } => {}
        }
    }

    fn knows(&self, from: From) -> bool {
        let record = self.table.get(&Key::Neighbor { pe: from.pe });
        record.is_some_and(|record| match &record.state {
            State::Neighbor(neighbor) => {
                neighbor.address == from.address || neighbor.addresses.contains(&from.address)
            }
            _ => false,
        })
    }

    /// RFC 7761 §4.3.1: a hold time of zero is a good-bye, another generation id a restart.
    fn handle_hello(&mut self, now: Instant, from: From, hello: &Hello<'_>) {
        let key = Key::Neighbor { pe: from.pe };
        let hold_s = hello.holdtime_seconds().unwrap_or(HELLO_HOLD_S);
        if hold_s == 0 {
            self.table.end(now, &key, Cause::TakenBack);
            self.end_forwarding(now, from.pe, Cause::TakenBack);
            self.elect(now);
            return;
        }
        let before = self.table.get(&key).and_then(|record| match &record.state {
            State::Neighbor(neighbor) => Some(neighbor),
            _ => None,
        });
        let neighbor = Neighbor {
            address: from.address,
            hold_time_s: Some(hold_s).filter(|&s| s != pim::HOLDTIME_FOREVER),
            generation_id: match before {
                Some(before) if self.fault.is(Fault::RestartUnnoticed) => before.generation_id,
                Some(_) | None => hello.generation_id(),
            },
            dr_priority: hello.dr_priority(),
            designated_router: before.is_some_and(|neighbor| neighbor.designated_router),
            bidirectional: hello.is_bidirectional(),
            addresses: hello.addresses().iter().collect(),
        };
        let restarted = before.is_some_and(|before| before.generation_id != neighbor.generation_id);
        let cause = match restarted {
            true => Cause::Restarted,
            false => Cause::Said,
        };
        let state = State::Neighbor(neighbor);
        self.table.put(now, key, state, after(now, hold_s), cause);
        if restarted {
            self.end_forwarding(now, from.pe, Cause::Restarted);
        }
        self.elect(now);
    }

    /// RFC 7761 §4.5: each entry for itself, but a (*,G) Join ends those (S,G,rpt) prunes of its group that are not in
    /// the same message (§4.5.3, "PruneTmp").
    fn handle_join_prune(&mut self, now: Instant, from: From, joins: &JoinPrune<'_>, hold_s: u16) {
        for group in joins.groups.iter() {
            let entries = || group.entries();
            let shared = |entry: &Entry<'_>| {
                entry.action == Action::Join && entry.route == Some(pim::Route::StarG)
            };
            if entries().any(|entry| shared(&entry)) {
                self.end_unrepeated_prunes(now, from, group.group.address, entries());
            }
            for entry in entries() {
                self.handle_entry(now, from, joins.upstream, &entry, hold_s);
            }
        }
    }

    fn end_unrepeated_prunes<'m>(
        &mut self,
        now: Instant,
        from: From,
        group: IpAddr,
        entries: impl Iterator<Item = Entry<'m>>,
    ) {
        let repeated: BTreeSet<IpAddr> = entries
            .filter(|e| e.action == Action::Prune && e.route == Some(pim::Route::SgRpt))
            .map(|entry| entry.source.address)
            .collect();
        let rpt = |source| Key::Join {
            pe: from.pe,
            route: Route::Rpt { group, source },
        };
        let ended: Vec<Key> = self
            .table
            .between(rpt(FIRST_ADDRESS), rpt(LAST_ADDRESS))
            .map(|record| record.key)
            .filter(|key| {
                key.source()
                    .is_some_and(|source| !repeated.contains(&source))
            })
            .collect();
        for key in ended {
            self.table.end(now, &key, Cause::TakenBack);
        }
    }

    fn handle_entry(
        &mut self,
        now: Instant,
        from: From,
        upstream: IpAddr,
        entry: &Entry<'_>,
        hold_s: u16,
    ) {
        let (group, source) = (entry.group.address, entry.source.address);
        let route = match entry.route {
            Some(pim::Route::StarG) => Route::Shared { group },
            Some(pim::Route::Sg) => Route::Source { group, source },
            Some(pim::Route::SgRpt) => Route::Rpt { group, source },
            // (*,*,RP) is gone from the standard (RFC 7761 appendix A); other combinations mean nothing.
            Some(pim::Route::StarStarRp) | None => return,
        };
        let key = Key::Join { pe: from.pe, route };
        // On the shared tree, a source's state is its prune.
        let holds = match (entry.action, route) {
            (Action::Join, Route::Shared { .. } | Route::Source { .. }) => true,
            (Action::Prune, Route::Rpt { .. }) => true,
            (Action::Prune, Route::Shared { .. } | Route::Source { .. }) => false,
            (Action::Join, Route::Rpt { .. }) => false,
        };
        if holds {
            let rp = matches!(route, Route::Shared { .. }).then_some(source);
            let state = State::Join { upstream, rp };
            self.table
                .put(now, key, state, after(now, hold_s), Cause::Said);
        } else if self.asked(&key) == Some(upstream) && !self.fault.is(Fault::PruneIgnored) {
            // A prune towards another neighbour is the farewell to a former one.
            self.table.end(now, &key, Cause::TakenBack);
        }
    }

    /// Which neighbour a route was asked of.
    fn asked(&self, key: &Key) -> Option<IpAddr> {
        match self.table.get(key)?.state {
            State::Join { upstream, .. } => Some(upstream),
            _ => None,
        }
    }

    /// RFC 5059 §3.1: the RP-set that the bootstrap router has made and this PE passes on.
    fn handle_bootstrap(&mut self, now: Instant, from: From, bootstrap: &Bootstrap<'_>) {
        for range in bootstrap.ranges.iter() {
            for rp in range.rps.iter() {
                let key = Key::Rp {
                    pe: from.pe,
                    rp: rp.address,
                    group: range.group.address,
                    prefix: range.group.prefix_len,
                };
                if rp.holdtime_seconds == 0 {
                    self.table.end(now, &key, Cause::TakenBack);
                    continue;
                }
                let state = State::Rp {
                    priority: rp.priority,
                    bsr: bootstrap.bsr,
                };
                let expires = after(now, rp.holdtime_seconds);
                self.table.put(now, key, state, expires, Cause::Said);
            }
        }
    }

    /// RFC 5015 §3.5.3: who says Winner is it; who says Pass has handed it on.
    fn handle_df_election(&mut self, now: Instant, from: From, election: &DfElection) {
        let (winner, way) = match election.step {
            DfStep::Winner => (Some(from.pe), election.sender),
            DfStep::Pass { winner, offer } => (self.pe_of(winner), offer),
            DfStep::Offer | DfStep::Backoff { .. } => return,
        };
        let rp = election.rp;
        let others: Vec<Key> = self
            .neighbors()
            .map(|(pe, _)| pe)
            .filter(|pe| Some(*pe) != winner)
            .map(|pe| Key::Forwarder { pe, rp })
            .collect();
        for key in others {
            self.table.end(now, &key, Cause::TakenBack);
        }
        if let Some(pe) = winner {
            let state = State::Forwarder {
                preference: way.preference,
                metric: way.metric,
            };
            self.table
                .put(now, Key::Forwarder { pe, rp }, state, None, Cause::Said);
        }
    }

    /// RFC 5015 §3.5.3.2: a designated forwarder that has gone, or has forgotten everything, is none any more.
    pub(super) fn end_forwarding(&mut self, now: Instant, pe: Ipv4Addr, cause: Cause) {
        let of_rp = |rp| Key::Forwarder { pe, rp };
        let won = self
            .table
            .between(of_rp(FIRST_ADDRESS), of_rp(LAST_ADDRESS))
            .map(|record| record.key);
        let won: Vec<Key> = won.collect();
        for key in won {
            self.table.end(now, &key, cause);
        }
    }

    fn pe_of(&self, address: IpAddr) -> Option<Ipv4Addr> {
        self.neighbors()
            .find(|(_, neighbor)| neighbor.address == address)
            .map(|(pe, _)| pe)
    }

    /// RFC 6037 §7: customer streams that the PE sends, or is about to send, on data MDTs.
    pub(super) fn handle_mdt_join(
        &mut self,
        now: Instant,
        from: From,
        joins: &mdt_join::Packet<'_>,
    ) {
        for tlv in joins.tlvs() {
            let (source, group, data_mdt): (IpAddr, IpAddr, _) = match tlv {
                Tlv::Ipv4 {
                    source,
                    group,
                    mdt_group,
                } => (source.into(), group.into(), mdt_group),
                Tlv::Ipv6 {
                    source,
                    group,
                    mdt_group,
                } => (source.into(), group.into(), mdt_group),
                Tlv::Unknown { .. } => continue,
            };
            let key = Key::Mapping {
                pe: from.pe,
                source,
                group,
            };
            let expires = (!self.fault.is(Fault::MappingNeverEnds)).then_some(now + MAPPING_HOLD);
            self.table
                .put(now, key, State::Mapping { data_mdt }, expires, Cause::Said);
        }
    }
}

/// The end of a hold time.
fn after(now: Instant, hold_s: u16) -> Option<Instant> {
    (hold_s != pim::HOLDTIME_FOREVER).then(|| now + Span::from_s(u64::from(hold_s)))
}
