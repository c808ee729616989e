//! Alarms under test, with a view of their own to feed them from.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::alarm::{Alarm, AlarmSpec, Alarms, Kind, Notice, Transition, Turn};
use crate::name::Name;
use crate::time::{Instant, Span};
use crate::view::{Cause, Change, Expected, Key, Neighbor, Record, Route, State};

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The address of PE n, in the backbone and of its VRF on the MDT.
pub fn pe(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 2, 0, n)
}

pub fn vrf(n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 77, 0, n))
}

pub fn s(seconds: u64) -> Span {
    Span::from_s(seconds)
}

pub fn hello(n: u8, generation_id: u32) -> (Key, State) {
    let neighbor = Neighbor {
        address: vrf(n),
        hold_time_s: Some(105),
        generation_id: Some(generation_id),
        dr_priority: Some(1),
        designated_router: false,
        bidirectional: false,
        addresses: Vec::new(),
    };
    (Key::Neighbor { pe: pe(n) }, State::Neighbor(neighbor))
}

pub fn join(n: u8, route: Route, upstream: u8) -> (Key, State) {
    let upstream = vrf(upstream);
    (
        Key::Join { pe: pe(n), route },
        State::Join { upstream, rp: None },
    )
}

pub fn shared(group: &str) -> Route {
    Route::Shared { group: ip(group) }
}

pub fn tree(source: &str, group: &str) -> Route {
    Route::Source {
        source: ip(source),
        group: ip(group),
    }
}

pub fn mapping(n: u8, source: &str, group: &str, data_mdt: &str) -> (Key, State) {
    let key = Key::Mapping {
        pe: pe(n),
        source: ip(source),
        group: ip(group),
    };
    let data_mdt = data_mdt.parse().unwrap();
    (key, State::Mapping { data_mdt })
}

pub struct Bench {
    pub alarms: Alarms,
    pub now: Instant,
    pub view: BTreeMap<Key, Record>,
    pub transitions: Vec<Transition>,
    pub notices: Vec<Notice>,
}

impl Bench {
    pub fn new(spec: AlarmSpec) -> Bench {
        Bench {
            alarms: Alarms::new(spec).unwrap(),
            now: Instant::from_ns(0) + s(1_000),
            view: BTreeMap::new(),
            transitions: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Watches red, of which this is expected.
    pub fn watching(spec: AlarmSpec, expected: &str) -> Bench {
        let mut bench = Bench::new(spec);
        bench.expect(expected);
        bench.alarms.handle_watched(bench.now, &name("red"));
        bench
    }

    pub fn expect(&mut self, toml: &str) {
        let toml = format!("mvpn = 'red'\n{toml}");
        let expected: Expected = toml::from_str(&toml).unwrap();
        self.alarms
            .handle_expected(self.now, expected, self.view.values())
            .unwrap();
    }

    pub fn say(&mut self, (key, state): (Key, State)) {
        self.change(key, Some(state), Cause::Said);
    }

    pub fn take_back(&mut self, key: Key) {
        self.change(key, None, Cause::TakenBack);
    }

    pub fn change(&mut self, key: Key, state: Option<State>, cause: Cause) {
        let before = self.view.get(&key).cloned();
        let after = state.map(|state| Record {
            key,
            state,
            since: self.now,
            refreshed: self.now,
            refreshes: 0,
            expires: None,
        });
        let same = |one: &Record, other: &Record| one.state == other.state;
        match (&before, &after) {
            (None, None) => return,
            (Some(one), Some(other)) if same(one, other) => return,
            (_, _) => {}
        }
        match &after {
            Some(record) => self.view.insert(key, record.clone()),
            None => self.view.remove(&key),
        };
        let change = Change {
            mvpn: name("red"),
            at: self.now,
            before,
            after,
            cause,
        };
        self.alarms.handle_change(&change);
        self.take();
    }

    /// Lets time go by, and does all that falls due meanwhile at its own moment.
    pub fn pass(&mut self, span: Span) {
        let until = self.now + span;
        while let Some(due) = self.alarms.next_deadline()
            && due <= until
        {
            self.now = self.now.max(due);
            self.alarms.handle_timeout(self.now);
            self.take();
        }
        self.now = until;
    }

    pub fn take(&mut self) {
        while let Some(transition) = self.alarms.poll_transition() {
            self.transitions.push(transition);
        }
        while let Some(notice) = self.alarms.poll_notice() {
            self.notices.push(notice);
        }
        while let Some(mvpn) = self.alarms.poll_stale() {
            assert_eq!(mvpn, name("red"));
            self.alarms
                .handle_records(self.now, &mvpn, self.view.values());
        }
    }

    /// What has become of which kinds since the last time this was asked.
    pub fn turns(&mut self) -> Vec<(Turn, Kind)> {
        let turns = self.transitions.drain(..);
        turns
            .map(|transition| (transition.turn, transition.alarm.kind))
            .collect()
    }

    pub fn active(&self) -> Vec<&Alarm> {
        self.alarms.active().collect()
    }

    pub fn kinds(&self) -> Vec<Kind> {
        self.alarms.active().map(|alarm| alarm.kind).collect()
    }
}
