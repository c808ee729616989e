//! The history replays to the same states (PC-06): whatever happens to an MVPN, for every moment the database says what
//! a model that kept every moment's state in memory says.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::mvpn::*;
use common::place::Server;
use common::{name, start};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use vmscope_core::report::Record as Outcome;
use vmscope_core::time::Instant;
use vmscope_core::view::record::{Cause, Change, Key, Record, State};
use vmscope_store::mvpn::*;
use vmscope_store::*;

const OFFSET: i64 = 1_767_225_600_000_000_000;

/// What happens, some seconds after what happened before.
#[derive(Debug, Clone)]
enum Event {
    /// A key gets a state, or another.
    Said(u8, u8),
    /// A key loses its state, if it has one.
    Gone(u8, Cause),
    /// Nobody listens any longer.
    Unwatched,
    /// The wall clock is set forward by some seconds.
    StepForward(u8),
    /// The monitor stops in good order, and another starts.
    Restarted,
    /// The monitor is killed, and another starts.
    Killed,
}

fn event() -> impl Strategy<Value = Event> {
    let cause = prop_oneof![Just(Cause::TakenBack), Just(Cause::Expired)];
    prop_oneof![
        12 => (0..6_u8, 0..3_u8).prop_map(|(key, state)| Event::Said(key, state)),
        6 => (0..6_u8, cause).prop_map(|(key, cause)| Event::Gone(key, cause)),
        1 => Just(Event::Unwatched),
        1 => (1..50_u8).prop_map(Event::StepForward),
        1 => Just(Event::Restarted),
        1 => Just(Event::Killed),
    ]
}

fn what(key: u8, state: u8) -> (Key, State) {
    match key {
        0 | 1 => {
            let (key, mut it) = neighbor(key + 1);
            if let State::Neighbor(neighbor) = &mut it {
                neighbor.generation_id = Some(state.into());
            }
            (key, it)
        }
        2 => join(3, 1, 1, state + 1),
        3 => join(3, 1, 2, state + 1),
        4 => shared(4, 2, state + 1),
        5.. => mapping(5, 1, 1, state),
    }
}

/// The state from a moment on; nothing if nobody listens.
type Known = Option<BTreeMap<Key, State>>;

/// Drives a database and remembers everything.
struct Model<'a> {
    location: &'a Location,
    writer: Option<Writer>,
    session: u32,
    now: Instant,
    offset_ns: i64,
    records: BTreeMap<Key, Record>,
    listening: bool,
    moments: Vec<(Utc, Known)>,
    /// The moments and keys of changes, of watches that go on.
    changes: BTreeSet<(Utc, Key)>,
}

impl Model<'_> {
    fn on(location: &Location) -> Model<'_> {
        let mut model = Model {
            location,
            writer: None,
            session: 0,
            now: at(100),
            offset_ns: OFFSET,
            records: BTreeMap::new(),
            listening: false,
            moments: vec![],
            changes: BTreeSet::new(),
        };
        model.begin();
        model
    }

    fn begin(&mut self) {
        self.session += 1;
        let start = SessionStart {
            at_ns: self.now,
            realtime_minus_monotonic_ns: self.offset_ns,
            ..start(self.session)
        };
        self.writer = Some(Writer::open(self.location, &start, Limits::default()).unwrap());
    }

    fn put(&self, entry: Entry) {
        assert_eq!(self.writer.as_ref().unwrap().put(entry), Put::Queued);
    }

    fn utc(&self) -> Utc {
        Utc::from_ns(self.now.as_ns() as i64 + self.offset_ns)
    }

    fn remember(&mut self) {
        let state = |r: &Record| (r.key, r.state.clone());
        let known = self
            .listening
            .then(|| self.records.values().map(state).collect());
        self.moments.push((self.utc(), known));
    }

    fn forget(&mut self) {
        self.records.clear();
        self.listening = false;
        self.remember();
    }

    fn change(&mut self, key: Key, after: Option<State>, cause: Cause) {
        let before = self.records.remove(&key);
        let after = after.map(|state| record(key, state, self.now));
        self.put(Entry::Record(Outcome::Change(Box::new(Change {
            mvpn: name("red"),
            at: self.now,
            before,
            after: after.clone(),
            cause,
        }))));
        self.records.extend(after.map(|record| (key, record)));
        self.listening = true;
        self.changes.insert((self.utc(), key));
        self.remember();
    }

    fn end(&mut self, in_good_order: bool) {
        let at_ns = self.now;
        self.put(match in_good_order {
            true => Entry::End {
                at_ns,
                realtime_minus_monotonic_ns: self.offset_ns,
            },
            // The last sign of life.
            false => Entry::Counters(Counters {
                at_ns,
                ..Counters::default()
            }),
        });
        let health = self.writer.take().unwrap().finish().unwrap();
        assert_eq!((health.rejected, health.dropped), (0, 0), "{health:?}");
        self.forget();
    }

    fn handle(&mut self, after_s: u8, event: &Event) {
        self.now = self.now + vmscope_core::time::Span::from_s(after_s.into());
        match event {
            Event::Said(key, state) => {
                let (key, state) = what(*key, *state);
                let same = self.records.get(&key).is_some_and(|r| r.state == state);
                if !same {
                    self.change(key, Some(state), Cause::Said);
                }
            }
            Event::Gone(key, cause) => {
                let (key, _) = what(*key, 0);
                if self.records.contains_key(&key) {
                    self.change(key, None, *cause);
                }
            }
            Event::Unwatched => {
                let mvpn = name("red");
                self.put(Entry::Record(Outcome::WatchStopped {
                    mvpn,
                    at_ns: self.now,
                }));
                self.forget();
            }
            Event::StepForward(by_s) => {
                self.offset_ns += i64::from(*by_s) * S as i64;
                self.put(Entry::Clock(ClockAnchor {
                    at_ns: self.now,
                    realtime_minus_monotonic_ns: self.offset_ns,
                }));
            }
            Event::Restarted | Event::Killed => {
                self.end(matches!(event, Event::Restarted));
                self.now = self.now + vmscope_core::time::Span::from_s(1);
                self.begin();
            }
        }
    }
}

fn replay(location: &Location, events: &[(u8, Event)]) {
    let mut model = Model::on(location);
    for (after_s, event) in events {
        model.handle(*after_s, event);
    }
    let writer = model.writer.take().unwrap();
    let health = writer.finish().unwrap();
    assert_eq!((health.rejected, health.dropped), (0, 0), "{health:?}");

    let reader = Reader::open(location).unwrap();
    let states = |at| {
        reader
            .mvpn_state("red", at, &Filter::ALL, Slice::ALL)
            .unwrap()
    };
    for (n, (moment, known)) in model.moments.iter().enumerate() {
        let until = model.moments.get(n + 1).map_or(Utc::NOW, |(next, _)| *next);
        if *moment >= until {
            continue;
        }
        let last = Utc::from_ns(until.as_ns() - 1);
        for moment in [*moment, last] {
            let found = states(moment);
            let state: BTreeMap<Key, State> = found
                .states
                .into_iter()
                .map(|held| (held.key, held.state))
                .collect();
            let listening = found.listening.watched().is_some();
            assert_eq!(listening.then_some(state), *known, "at {moment:?}");
        }
    }
    let all = reader
        .mvpn_changes("red", Utc::from_ns(0)..Utc::NOW, &Filter::ALL, Slice::ALL)
        .unwrap();
    let found: BTreeSet<_> = all
        .changes
        .iter()
        .map(|c| (c.at, c.key().unwrap()))
        .collect();
    assert_eq!(found, model.changes);
    // Applied one by one, within each watch, they lead to what is.
    for watch in &all.watches {
        let mut replayed: BTreeMap<Key, State> = BTreeMap::new();
        let until = watch.until.unwrap_or(Utc::NOW);
        for change in all
            .changes
            .iter()
            .filter(|c| c.at >= watch.since && c.at < until)
        {
            let key = change.key().unwrap();
            let before = change.before.as_ref().map(|held| held.state.clone());
            assert_eq!(replayed.remove(&key), before);
            replayed.extend(change.after.as_ref().map(|held| (key, held.state.clone())));
        }
        let last = states(Utc::from_ns(until.as_ns() - 1));
        let last: BTreeMap<Key, State> = last
            .states
            .into_iter()
            .map(|held| (held.key, held.state))
            .collect();
        assert_eq!(replayed, last);
    }
}

fn sequences() -> impl Strategy<Value = Vec<(u8, Event)>> {
    // At least a second: what lasts no time is never the state.
    prop::collection::vec((1..40_u8, event()), 1..60)
}

#[test]
fn the_history_replays_to_the_same_states_in_sqlite() {
    let mut runner = TestRunner::new(Config::with_cases(48));
    let outcome = runner.run(&sequences(), |events| {
        let folder = tempfile::tempdir().unwrap();
        replay(
            &Location::new(folder.path().join("results.sqlite")),
            &events,
        );
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn the_history_replays_to_the_same_states_in_postgresql() {
    let server = Server::start();
    let number = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config::with_cases(16));
    let outcome = runner.run(&sequences(), |events| {
        number.set(number.get() + 1);
        let schema = format!("case{}", number.get());
        server
            .client()
            .batch_execute(&format!("CREATE SCHEMA {schema}"))
            .unwrap();
        replay(&server.location(&schema), &events);
        Ok(())
    });
    outcome.unwrap();
}
