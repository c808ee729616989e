//! Whatever happens, these hold; and at rest the alarms are those of the final state, however it came about.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::bench::{Bench, hello, join, mapping, name, s, shared, tree, vrf};
use super::oracle::{about, oracle};
use crate::alarm::{AlarmSpec, Kind, Notice, Turn};
use crate::view::{Cause, Expected, Key, Neighbor, Route, State};

const EXPECTED: [&str; 4] = [
    "",
    "pes = { PE1 = '10.2.0.1', PE2 = '10.2.0.2', PE3 = { address = '10.2.0.3', presence = 'optional' } }",
    r#"pes = { PE1 = '10.2.0.1', PE2 = '10.2.0.2', PE3 = '10.2.0.3', PE4 = '10.2.0.4' }
    groups = ["239.1.1.0/24"]
    sources = { "239.1.1.0/24" = ["10.11.0.1"] }
    sites = { PE1 = { send = ["239.1.1.1"], receive = [] }, PE2 = { send = [] }, PE4 = { send = [] } }
    data_mdt = { pool = ["239.200.0.0/24"], groups = ["239.1.1.2"] }"#,
    r#"pes = { PE1 = '10.2.0.1', PE5 = { address = '10.2.0.5', presence = 'optional' } }
    groups = ["239.1.0.0/16"]
    sites = { PE1 = { receive = ["239.1.1.1"] }, PE5 = { send = ["239.1.2.1"] } }"#,
];
const GROUPS: [&str; 3] = ["239.1.1.1", "239.1.1.2", "239.1.2.1"];
const SOURCES: [&str; 2] = ["10.11.0.1", "10.12.0.1"];

#[derive(Debug, Clone)]
enum Op {
    Say(Key, State),
    TakeBack(usize),
    Restart(u8, u32),
    Pass(u64),
    Expect(usize),
    ExpectNothing,
    Unwatch,
    Watch,
}

fn route() -> impl Strategy<Value = Route> {
    let parts = (0..3usize, 0..GROUPS.len(), 0..SOURCES.len());
    parts.prop_map(
        |(kind, group, source)| match (kind, tree(SOURCES[source], GROUPS[group])) {
            (0, _) => shared(GROUPS[group]),
            (1, Route::Source { source, group }) => Route::Rpt { source, group },
            (_, tree) => tree,
        },
    )
}

/// PEs that say Hello now and then from the address of another.
fn any_hello() -> impl Strategy<Value = (Key, State)> {
    (1..6u8, 1..3u32, 1..6u8, any::<bool>()).prop_map(|(n, generation, other, borrows)| {
        let (key, state) = hello(n, generation);
        match state {
            State::Neighbor(neighbor) if borrows => {
                let addresses = vec![vrf(other)];
                (
                    key,
                    State::Neighbor(Neighbor {
                        addresses,
                        ..neighbor
                    }),
                )
            }
            state => (key, state),
        }
    })
}

fn said() -> impl Strategy<Value = (Key, State)> {
    let assert = (1..6u8, route()).prop_map(|(n, route)| {
        let key = Key::Assert {
            pe: super::bench::pe(n),
            route,
        };
        (
            key,
            State::Assert {
                preference: 1,
                metric: 1,
            },
        )
    });
    let map =
        (1..6u8, 0..GROUPS.len(), 0..SOURCES.len(), 0..3u8).prop_map(|(n, g, source, mdt)| {
            mapping(
                n,
                SOURCES[source],
                GROUPS[g],
                &format!("239.{}.0.1", 199 + mdt),
            )
        });
    prop_oneof![
        4 => any_hello(),
        4 => (1..6u8, route(), 1..6u8).prop_map(|(n, route, up)| join(n, route, up)),
        1 => assert,
        1 => map,
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => said().prop_map(|(key, state)| Op::Say(key, state)),
        8 => (0..100usize).prop_map(Op::TakeBack),
        1 => (1..6u8, 3..9u32).prop_map(|(n, generation)| Op::Restart(n, generation)),
        8 => prop_oneof![0..3u64, 0..100u64, 0..1_000u64].prop_map(Op::Pass),
        1 => (0..EXPECTED.len()).prop_map(Op::Expect),
        1 => Just(Op::ExpectNothing),
        1 => Just(Op::Unwatch),
        2 => Just(Op::Watch),
    ]
}

struct Run {
    bench: Bench,
    expected: Option<Expected>,
    watched: bool,
}

fn run(ops: &[Op]) -> Run {
    let spec = AlarmSpec {
        storm_alarms: 3,
        notices_per_second: 1,
        ..AlarmSpec::default()
    };
    let bench = Bench::watching(spec, EXPECTED[2]);
    let expected = bench.alarms.expected(&name("red")).cloned();
    let mut run = Run {
        bench,
        expected,
        watched: true,
    };
    for op in ops {
        run.step(op);
        // Nothing is due behind the clock's back.
        run.bench.pass(s(0));
    }
    run
}

impl Run {
    fn step(&mut self, op: &Op) {
        let bench = &mut self.bench;
        let red = name("red");
        match op {
            Op::Say(key, state) if self.watched => bench.say((*key, state.clone())),
            Op::TakeBack(index) if self.watched && !bench.view.is_empty() => {
                let index = index % bench.view.len();
                let key = *bench.view.keys().nth(index).unwrap();
                let cause = if index.is_multiple_of(2) {
                    Cause::Expired
                } else {
                    Cause::TakenBack
                };
                bench.change(key, None, cause);
            }
            Op::Restart(n, generation) if self.watched => {
                let (key, state) = hello(*n, *generation);
                if bench.view.contains_key(&key) {
                    bench.change(key, Some(state), Cause::Restarted);
                }
            }
            Op::Say(..) | Op::TakeBack(_) | Op::Restart(..) => {}
            Op::Pass(seconds) => bench.pass(s(*seconds)),
            Op::Expect(index) => {
                bench.expect(EXPECTED[*index]);
                self.expected = bench.alarms.expected(&red).cloned();
            }
            Op::ExpectNothing => {
                bench.alarms.handle_nothing_expected(bench.now, &red);
                self.expected = None;
            }
            Op::Unwatch => {
                bench.alarms.handle_unwatched(bench.now, &red);
                bench.view.clear();
                self.watched = false;
            }
            Op::Watch if self.watched => {}
            Op::Watch => {
                bench.alarms.handle_watched(bench.now, &red);
                self.watched = true;
            }
        }
    }

    /// Every alarm is raised once, and cleared at most once, and no two are active about the same.
    fn check_transitions(&self) {
        let mut active = BTreeMap::new();
        let mut subjects = BTreeSet::new();
        let mut last = self.bench.now - s(1_000_000);
        for transition in &self.bench.transitions {
            let (id, subject) = (transition.alarm.id, about(&transition.alarm));
            assert!(transition.at_ns >= last, "time goes forward");
            last = transition.at_ns;
            match transition.turn {
                Turn::Raised => {
                    assert_eq!(active.insert(id, subject), None);
                    assert!(subjects.insert(subject), "{subject:?} was raised twice");
                }
                Turn::Changed => assert_eq!(active.get(&id), Some(&subject)),
                Turn::Cleared => {
                    assert_eq!(active.remove(&id), Some(subject), "cleared and not raised");
                    assert!(subjects.remove(&subject));
                }
            }
        }
        let said: BTreeSet<_> = self.bench.active().into_iter().map(about).collect();
        assert_eq!(said, subjects);
        assert_eq!(self.bench.alarms.counts().active, subjects.len() as u64);
    }

    /// People are told of every alarm, by itself or in a summary; and of each clearing likewise. At rest nothing is owed.
    fn check_notices(&self) {
        let mut told = BTreeSet::new();
        let mut raised = BTreeMap::<Kind, u64>::new();
        let mut gathered_active = BTreeMap::<Kind, u64>::new();
        for notice in &self.bench.notices {
            match notice {
                Notice::Alarm(transition) => match transition.turn {
                    Turn::Raised => {
                        assert!(told.insert(transition.alarm.id));
                        *raised.entry(transition.alarm.kind).or_default() += 1;
                    }
                    Turn::Changed => assert!(told.contains(&transition.alarm.id)),
                    Turn::Cleared => assert!(told.remove(&transition.alarm.id)),
                },
                Notice::Storm(storm) => {
                    *raised.entry(storm.kind).or_default() += storm.raised;
                    gathered_active.insert(storm.kind, storm.active);
                }
            }
        }
        for kind in crate::alarm::KINDS {
            let of_kind = |turn| {
                let all = self.bench.transitions.iter();
                all.filter(|t| t.turn == turn && t.alarm.kind == kind)
                    .count() as u64
            };
            let all = raised.get(&kind).copied().unwrap_or(0);
            assert_eq!(all, of_kind(Turn::Raised), "{kind}");
            let active = self
                .bench
                .active()
                .into_iter()
                .filter(|alarm| alarm.kind == kind);
            let (told, gathered): (Vec<_>, Vec<_>) =
                active.partition(|alarm| told.contains(&alarm.id));
            let said = gathered_active.get(&kind).copied().unwrap_or(0);
            assert_eq!(gathered.len() as u64, said, "{kind}, {} told", told.len());
        }
        let active: BTreeSet<u64> = self.bench.active().iter().map(|alarm| alarm.id).collect();
        assert!(told.is_subset(&active), "a clearing is owed");
    }

    /// Never more than one a second, and one at once.
    fn check_rate(&self) {
        let mut last = None;
        for notice in &self.bench.notices {
            let at = notice.at();
            if let (Notice::Storm(_), Some(last)) = (notice, last) {
                assert!(at >= last);
            }
            last = Some(at);
        }
        let elapsed = self
            .bench
            .now
            .since(super::super::Instant::from_ns(0) + s(1_000));
        let most = elapsed.as_ns() / s(1).as_ns() + 1;
        assert!(self.bench.notices.len() as u64 <= most);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn at_rest_the_alarms_are_those_of_the_final_state(ops in prop::collection::vec(op(), 0..120)) {
        let mut run = run(&ops);
        run.bench.pass(s(10_000));
        let found: BTreeSet<_> = run.bench.active().into_iter().map(about).collect();
        let expected = run.expected.as_ref().filter(|_| run.watched);
        prop_assert_eq!(found, oracle(expected, &run.bench.view));
        run.check_transitions();
        run.check_notices();
        run.check_rate();
        let counts = run.bench.alarms.counts();
        prop_assert_eq!(counts.missed, 0);
    }

    #[test]
    fn the_same_changes_make_the_same_alarms(ops in prop::collection::vec(op(), 0..60)) {
        let (one, other) = (run(&ops), run(&ops));
        prop_assert_eq!(one.bench.transitions, other.bench.transitions);
        prop_assert_eq!(one.bench.notices, other.bench.notices);
    }
}
