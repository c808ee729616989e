//! Control planes of MVPNs, made up.

use std::net::{IpAddr, Ipv4Addr};

use vmscope_core::report::Record as Outcome;
use vmscope_core::time::Instant;
use vmscope_core::view::record::{Cause, Change, Key, Neighbor, Record, Route, State};
use vmscope_store::Entry;

use super::name;

pub const S: u64 = 1_000_000_000;

pub fn at(s: u64) -> Instant {
    Instant::from_ns(s * S)
}

pub fn pe(n: u8) -> Ipv4Addr {
    [10, 0, 0, n].into()
}

/// The address of PE `n` on the MDT.
pub fn inner(n: u8) -> IpAddr {
    [192, 168, 0, n].into()
}

pub fn group(n: u8) -> IpAddr {
    [232, 1, 1, n].into()
}

pub fn source(n: u8) -> IpAddr {
    [172, 16, 0, n].into()
}

pub fn neighbor(n: u8) -> (Key, State) {
    let state = State::Neighbor(Neighbor {
        address: inner(n),
        hold_time_s: Some(105),
        generation_id: Some(7),
        dr_priority: None,
        designated_router: n == 1,
        bidirectional: false,
        addresses: vec![],
    });
    (Key::Neighbor { pe: pe(n) }, state)
}

/// PE `n` asks PE `upstream` for (S,G).
pub fn join(n: u8, from: u8, to: u8, upstream: u8) -> (Key, State) {
    let route = Route::Source {
        source: source(from),
        group: group(to),
    };
    let state = State::Join {
        upstream: inner(upstream),
        rp: None,
    };
    (Key::Join { pe: pe(n), route }, state)
}

pub fn shared(n: u8, to: u8, upstream: u8) -> (Key, State) {
    let route = Route::Shared { group: group(to) };
    let state = State::Join {
        upstream: inner(upstream),
        rp: Some([10, 9, 9, 9].into()),
    };
    (Key::Join { pe: pe(n), route }, state)
}

pub fn mapping(n: u8, from: u8, to: u8, data_mdt: u8) -> (Key, State) {
    let key = Key::Mapping {
        pe: pe(n),
        source: source(from),
        group: group(to),
    };
    (
        key,
        State::Mapping {
            data_mdt: [239, 9, 9, data_mdt].into(),
        },
    )
}

pub fn record(key: Key, state: State, since: Instant) -> Record {
    Record {
        key,
        state,
        since,
        refreshed: since,
        refreshes: 0,
        expires: None,
    }
}

/// A key gets a state at `at`.
pub fn said(at: Instant, (key, state): (Key, State)) -> Entry {
    changed(at, None, Some(record(key, state, at)), Cause::Said)
}

/// A key loses its state.
pub fn gone(at: Instant, (key, state): (Key, State), since: Instant, cause: Cause) -> Entry {
    changed(at, Some(record(key, state, since)), None, cause)
}

pub fn changed(at: Instant, before: Option<Record>, after: Option<Record>, cause: Cause) -> Entry {
    Entry::Record(Outcome::Change(Box::new(Change {
        mvpn: name("red"),
        at,
        before,
        after,
        cause,
    })))
}
