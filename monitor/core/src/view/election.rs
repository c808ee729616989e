//! Who speaks for the MDT: the designated router (RFC 7761 §4.3.2) and asserts (RFC 7761 §4.6).

use std::net::{IpAddr, Ipv4Addr};

use vmscope_wire::pim::{Assert, PREFERENCE_MAX};

use super::message::From;
use super::record::{Cause, Key, Neighbor, Record, Route, State};
use super::{View, message};
use crate::time::{Instant, Span};

/// How long an assert is believed (RFC 7761 §4.11: Assert_Time).
const ASSERT_HOLD: Span = Span::from_s(180);

impl View {
    /// The neighbours, with the PE that each is at.
    pub(super) fn neighbors(&self) -> impl Iterator<Item = (Ipv4Addr, &Neighbor)> {
        let first = Key::Neighbor {
            pe: Ipv4Addr::UNSPECIFIED,
        };
        let last = Key::Neighbor {
            pe: Ipv4Addr::BROADCAST,
        };
        self.table
            .between(first, last)
            .filter_map(|record| match &record.state {
                State::Neighbor(neighbor) => Some((record.key.pe(), neighbor)),
                _ => None,
            })
    }

    /// Lets every neighbour's record say whether it is the designated router.
    pub(super) fn elect(&mut self, now: Instant) {
        let everyone: Vec<(Ipv4Addr, Neighbor)> = self
            .neighbors()
            .map(|(pe, neighbor)| (pe, neighbor.clone()))
            .collect();
        let winner = designated_router(everyone.iter().map(|(_, neighbor)| neighbor));
        for (pe, mut neighbor) in everyone {
            neighbor.designated_router = Some(neighbor.address) == winner;
            self.table
                .amend(now, Key::Neighbor { pe }, State::Neighbor(neighbor));
        }
    }

    /// A PE says that it forwards a route onto the MDT; or, with the worst of metrics, that it no longer does
    /// (RFC 7761 §4.6.3).
    pub(super) fn handle_assert(&mut self, now: Instant, from: From, assert: &Assert) {
        let group = assert.group.address;
        let route = match assert.is_rpt {
            true => Route::Shared { group },
            false => Route::Source {
                group,
                source: assert.source,
            },
        };
        let key = Key::Assert { pe: from.pe, route };
        if assert.preference == PREFERENCE_MAX && assert.metric == u32::MAX {
            self.table.end(now, &key, Cause::TakenBack);
            return;
        }
        let claim = Claim {
            preference: assert.preference,
            metric: assert.metric,
            address: from.address,
        };
        self.end_worse(now, route, &claim);
        let state = State::Assert {
            preference: assert.preference,
            metric: assert.metric,
        };
        let expires = Some(now + ASSERT_HOLD);
        self.table.put(now, key, state, expires, Cause::Said);
    }

    /// Whoever has asserted itself for the same route with a worse claim has lost.
    fn end_worse(&mut self, now: Instant, route: Route, claim: &Claim) {
        let first = Key::Assert {
            pe: Ipv4Addr::UNSPECIFIED,
            route: message::FIRST_ROUTE,
        };
        let last = Key::Assert {
            pe: Ipv4Addr::BROADCAST,
            route: message::LAST_ROUTE,
        };
        let lost: Vec<Key> = self
            .table
            .between(first, last)
            .filter(
                |record| matches!(record.key, Key::Assert { route: other, .. } if other == route),
            )
            .filter(|record| {
                self.claim_of(record)
                    .is_some_and(|other| claim.beats(&other))
            })
            .map(|record| record.key)
            .collect();
        for key in lost {
            self.table.end(now, &key, Cause::TakenBack);
        }
    }

    fn claim_of(&self, record: &Record) -> Option<Claim> {
        let State::Assert { preference, metric } = record.state else {
            return None;
        };
        let neighbor = self.table.get(&Key::Neighbor {
            pe: record.key.pe(),
        })?;
        match &neighbor.state {
            State::Neighbor(neighbor) => Some(Claim {
                preference,
                metric,
                address: neighbor.address,
            }),
            _ => None,
        }
    }
}

/// What asserts are compared by: lower preference, lower metric, higher address (RFC 7761 §4.6.3).
#[derive(Debug)]
struct Claim {
    preference: u32,
    metric: u32,
    address: IpAddr,
}

impl Claim {
    fn beats(&self, other: &Claim) -> bool {
        let cost = |claim: &Claim| (claim.preference, claim.metric);
        cost(self) < cost(other) || (cost(self) == cost(other) && self.address > other.address)
    }
}

/// By priority, unless somebody has none to say; then by address (RFC 7761 §4.3.2). A monitor is no candidate.
fn designated_router<'a>(neighbors: impl Iterator<Item = &'a Neighbor> + Clone) -> Option<IpAddr> {
    let by_priority = neighbors.clone().all(|n| n.dr_priority.is_some());
    neighbors
        .max_by_key(|n| (n.dr_priority.filter(|_| by_priority), n.address))
        .map(|n| n.address)
}
