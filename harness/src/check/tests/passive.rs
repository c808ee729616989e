//! What the monitor tells of an MVPN's control plane: in time, in its database, and as alarms.

use mvpnlab_emulator::scenario::ExpectedAlarm;
use mvpnlab_emulator::truth::control::message::{Hello, Said};
use serde_json::json;
use vmscope_core::control::Answer;
use vmscope_core::view::Change;

use super::world::*;
use crate::claims::history::{Changes, Held, Listening, States, Turn};
use crate::drive::checkpoint::Checkpoint;

/// Of the made-up lab's wall clock.
const OFFSET: i64 = 1_767_225_600_000_000_000;

fn pe(world: &World, index: usize) -> Ipv4Addr {
    world.plan.mvpns["red"].sites[index].mdt_source
}

fn record(pe: Ipv4Addr, generation: u32, since_ns: u64) -> serde_json::Value {
    json!({
        "key": {"record": "neighbor", "pe": pe},
        "state": {"state": "neighbor", "address": "172.16.1.1", "hold_time_s": 4, "generation_id": generation,
            "designated_router": false, "bidirectional": false},
        "since_ns": since_ns, "refreshed_ns": since_ns, "refreshes": 0
    })
}

/// PE1 says Hello at 2 s, is another at 5 s, and silent from then on; the monitor notices, and ends it at 9 s.
fn world() -> World {
    let mut world = World::new();
    let pe1 = pe(&world, 0);
    let (first, second) = (START + 2 * S, START + 5 * S);
    for (generation, left_ns) in [(7, first), (8, second)] {
        world.utterances.push(Utterance {
            mvpn: "red".into(),
            pe: pe1,
            address: Ipv4Addr::new(172, 16, 1, 1),
            left_ns,
            heard_ns: Some(left_ns + MS),
            said: Some(Said::Hello(Hello {
                hold_s: 4,
                generation_id: Some(generation),
                ..Hello::default()
            })),
        });
    }
    let (was, is) = (record(pe1, 7, first + MS), record(pe1, 8, second + MS));
    let gone = second + 4 * S + MS;
    for (at, before, after, cause) in [
        (first + MS, json!(null), was.clone(), "said"),
        (second + MS, was, is.clone(), "restarted"),
        (gone, is, json!(null), "expired"),
    ] {
        let change =
            json!({"mvpn": "red", "at_ns": at, "before": before, "after": after, "cause": cause});
        world.claims.changes.push(Told {
            told_ns: at + 3 * MS,
            what: serde_json::from_value::<Change>(change).unwrap(),
        });
    }
    world.claims.watched_since_ns = Some(START);
    world.claims.checkpoints.push(Checkpoint {
        at_ns: 6 * S,
        mvpn: "red".into(),
        said: Answer::MvpnState {
            mvpn: "red".parse().unwrap(),
            at_ns: vmscope_core::time::Instant::from_ns(START + 6 * S),
            records: vec![serde_json::from_value(record(pe1, 8, second + MS)).unwrap()],
            heard: Default::default(),
        },
        vrfs: Vec::new(),
    });
    world.history = Some(told_in_retrospect(&world));
    world
}

/// What a sound database answers about the world.
fn told_in_retrospect(world: &World) -> History {
    let held = |record: &vmscope_core::view::Record| Held {
        key: record.key,
        state: record.state.clone(),
        since_ns: record.since.as_ns() as i64 + OFFSET,
    };
    let changes = world.claims.changes.iter().map(|told| &told.what);
    let turns: Vec<Turn> = changes
        .map(|change| Turn {
            at_ns: change.at.as_ns() as i64 + OFFSET,
            before: change.before.as_ref().map(held),
            after: change.after.as_ref().map(held),
            cause: change.cause,
        })
        .collect();
    let moments = crate::claims::history::moments(&world.claims, "red");
    let at = |ns: u64| {
        let until = turns.iter().rfind(|turn| turn.at_ns <= ns as i64 + OFFSET);
        Ok(States {
            listening: Listening::Yes {},
            states: until
                .and_then(|turn| turn.after.clone())
                .into_iter()
                .collect(),
        })
    };
    History {
        realtime_minus_monotonic_ns: OFFSET,
        moments: BTreeMap::from([(
            "red".into(),
            moments.into_iter().map(|ns| (ns, at(ns))).collect(),
        )]),
        changes: BTreeMap::from([("red".into(), Ok(Changes { changes: turns }))]),
    }
}

fn states(world: &mut World, nth: usize) -> &mut States {
    let moments = world
        .history
        .as_mut()
        .unwrap()
        .moments
        .get_mut("red")
        .unwrap();
    moments.values_mut().nth(nth).unwrap().as_mut().unwrap()
}

fn turns(world: &mut World) -> &mut Vec<Turn> {
    let changes = world
        .history
        .as_mut()
        .unwrap()
        .changes
        .get_mut("red")
        .unwrap();
    &mut changes.as_mut().unwrap().changes
}

#[test]
fn the_past_is_asked_around_every_change_and_at_every_checkpoint() {
    let world = world();
    let moments = crate::claims::history::moments(&world.claims, "red");
    let relative: Vec<u64> = moments.iter().map(|ns| (ns - START) / MS).collect();
    assert_eq!(relative, [1_951, 2_051, 4_951, 5_051, 6_000, 8_951, 9_051]);
    assert_eq!(
        crate::claims::history::moments(&world.claims, "blue"),
        [0; 0]
    );
}

#[test]
fn the_past_is_what_was_said_when_it_was_the_present() {
    let check = |world: &World| history::history(&world.facts(), "red");
    held(&check(&world()));
    let spoilers: [Spoiled; 7] = [
        (|w| states(w, 2).states.clear(), "does not know"),
        (|w| states(w, 3).states[0].since_ns += S as i64, "since"),
        // Not closed: what has gone is still there.
        (
            |w| {
                let left = states(w, 4).states.clone();
                states(w, 6).states = left;
            },
            "invents",
        ),
        (
            |w| states(w, 4).listening = Listening::No {},
            "nobody listened",
        ),
        (|w| drop(turns(w).remove(1)), "the changes written down"),
        (|w| drop(w.claims.changes.remove(1)), "the changes told"),
        (|w| w.history = None, "could not be asked"),
    ];
    for (spoil, words) in spoilers {
        let mut world = world();
        spoil(&mut world);
        failed(&check(&world), words);
    }
    failed(
        &history::history(&world().facts(), "blue"),
        "nobody asked for the changes",
    );
}

#[test]
fn what_is_said_is_told_in_time_and_silence_with_its_hold_time() {
    let check = |world: &World| appearance::appearance(&world.facts(), "red", span(1_000), 3);
    let finding = check(&world());
    held(&finding);
    assert_eq!(finding.judged, 3);
    let figure = |name: &str| finding.figures.get(name).copied();
    assert_eq!(figure("hello_events"), Some(Figure::Count(2)));
    assert_eq!(figure("hello_max_ns"), Some(Figure::Count(4 * MS as i64)));
    assert_eq!(figure("silence_max_ns"), Some(Figure::Count(4 * MS as i64)));
    let spoilers: [Spoiled; 7] = [
        (|w| w.claims.changes[0].told_ns += S, "and told it at"),
        (|w| w.claims.changes[2].told_ns -= S, "and told it at"),
        (|w| drop(w.claims.changes.remove(1)), "the monitor says"),
        (|w| drop(w.claims.changes.pop()), "the monitor says"),
        (|w| drop(w.utterances.pop()), "the monitor says"),
        (|w| w.utterances.clear(), "nobody said so"),
        (|w| w.utterances[0].said = None, "captured in part only"),
    ];
    for (spoil, words) in spoilers {
        let mut world = world();
        spoil(&mut world);
        failed(&check(&world), words);
    }
    failed(
        &appearance::appearance(&world().facts(), "red", span(1_000), 4),
        "only 3 changes",
    );
    failed(
        &appearance::appearance(&World::new().facts(), "red", span(1_000), 0),
        "nothing judged",
    );
}

#[test]
fn an_election_alone_is_nobodys_message() {
    let mut world = world();
    let change = &world.claims.changes[1];
    let mut elected = change.clone();
    let after = serde_json::to_value(change.what.after.as_ref().unwrap()).unwrap();
    let mut designated = after.clone();
    designated["state"]["designated_router"] = json!(true);
    elected.what.before = serde_json::from_value(after).unwrap();
    elected.what.after = serde_json::from_value(designated).unwrap();
    world.claims.changes.insert(2, elected);
    held(&appearance::appearance(
        &world.facts(),
        "red",
        span(1_000),
        3,
    ));
}

fn alarm(
    world: &World,
    id: u64,
    (turn, at_s): (&str, u64),
) -> Told<vmscope_core::alarm::Transition> {
    let at_ns = START + at_s * S;
    let transition = json!({"at_ns": at_ns, "turn": turn, "alarm": {
        "id": id, "kind": "pe-missing", "severity": "major", "mvpn": "red", "pe": pe(world, 0),
        "since_ns": START, "raised_ns": START, "count": 1, "flapping": false, "message": "gone", "remedy": "look"
    }});
    Told {
        told_ns: at_ns,
        what: serde_json::from_value(transition).unwrap(),
    }
}

/// An alarm raised at 5 s and cleared at 9 s, and what is expected of it.
fn alarmed() -> (World, Vec<ExpectedAlarm>) {
    let mut world = World::new();
    world.claims.alarms = vec![
        alarm(&world, 1, ("raised", 5)),
        alarm(&world, 1, ("cleared", 9)),
    ];
    world.claims.active_alarms = Some(Vec::new());
    let wanted = json!([{"kind": "pe-missing", "pe": "PE1", "raised": ["4s", "6s"], "cleared": ["8s", "10s"]}]);
    (world, serde_json::from_value(wanted).unwrap())
}

#[test]
fn exactly_the_expected_alarms_are_raised_and_cleared_in_time() {
    let (world, wanted) = alarmed();
    held(&alarms::alarms(&world.facts(), "red", &wanted));
    let spoilers: [Spoiled; 6] = [
        (|w| w.claims.alarms.clear(), "not raised from 4s until 6s"),
        (
            |w| w.claims.alarms[0] = alarm(w, 1, ("raised", 7)),
            "not raised from 4s until 6s",
        ),
        (|w| drop(w.claims.alarms.pop()), "not cleared until 10s"),
        (
            |w| w.claims.alarms[1] = alarm(w, 1, ("cleared", 20)),
            "and not from 8s until 10s",
        ),
        (
            |w| {
                let again = [("raised", 12), ("cleared", 13)].map(|turn| alarm(w, 2, turn));
                w.claims.alarms.extend(again);
            },
            "not expected then",
        ),
        (|w| w.claims.active_alarms = None, "no list of its alarms"),
    ];
    for (spoil, words) in spoilers {
        let (mut world, wanted) = alarmed();
        spoil(&mut world);
        failed(&alarms::alarms(&world.facts(), "red", &wanted), words);
    }
}

#[test]
fn an_alarm_that_is_to_stay_stays_and_is_listed() {
    let (mut world, mut wanted) = alarmed();
    wanted[0].cleared = None;
    let check = |world: &World| alarms::alarms(&world.facts(), "red", &wanted);
    failed(&check(&world), "and it was to stay");
    let raised = world.claims.alarms.remove(0);
    world.claims.active_alarms = Some(vec![raised.what.alarm.clone()]);
    world.claims.alarms = vec![raised];
    held(&check(&world));
    world.claims.active_alarms = Some(Vec::new());
    failed(&check(&world), "listed as active");
}
