//! The control planes of MVPNs: what is, what was, and when nobody knows.

mod common;

use std::ops::Range;

use common::mvpn::*;
use common::place::on_both;
use common::{name, start};
use vmscope_core::report::Record as Outcome;
use vmscope_core::time::Instant;
use vmscope_core::view::record::{Cause, Key, Refresh, Refreshes, Route, State};
use vmscope_store::mvpn::*;
use vmscope_store::*;

/// The wall clock less the monotonic clock of every session here.
const OFFSET: i64 = 1_767_225_600_000_000_000;

fn utc(at: Instant) -> Utc {
    Utc::from_ns(at.as_ns() as i64 + OFFSET)
}

fn window(from: u64, to: u64) -> Range<Utc> {
    utc(at(from))..utc(at(to))
}

/// Writes a session; one that does not end in good order is as if it was killed.
fn session(location: &Location, number: u32, began: u64, entries: Vec<Entry>) {
    let start = SessionStart {
        at_ns: at(began),
        ..start(number)
    };
    let writer = Writer::open(location, &start, Limits::default()).unwrap();
    let count = entries.len() as u64;
    for entry in entries {
        assert_eq!(writer.put(entry), Put::Queued);
    }
    let health = writer.finish().unwrap();
    assert_eq!((health.written, health.rejected), (count, 0), "{health:?}");
}

fn end(s: u64) -> Entry {
    Entry::End {
        at_ns: at(s),
        realtime_minus_monotonic_ns: OFFSET,
    }
}

fn state(reader: &Reader, s: u64, filter: &Filter) -> Vec<(Key, State)> {
    let found = reader
        .mvpn_state("red", utc(at(s)), filter, Slice::ALL)
        .unwrap();
    found.states.into_iter().map(|h| (h.key, h.state)).collect()
}

#[test]
fn a_state_moves_to_the_past_with_its_interval_and_its_count() {
    on_both(|location| {
        let (key, old) = join(1, 1, 1, 2);
        let (_, new) = join(1, 1, 1, 3);
        let mut before = record(key, old.clone(), at(10));
        before.refreshes = 5;
        before.refreshed = at(300);
        let after = record(key, new.clone(), at(310));
        session(
            location,
            7,
            0,
            vec![
                said(at(10), (key, old.clone())),
                changed(at(310), Some(before), Some(after), Cause::Said),
            ],
        );
        let reader = Reader::open(location).unwrap();
        assert_eq!(state(&reader, 9, &Filter::ALL), []);
        assert_eq!(state(&reader, 10, &Filter::ALL), [(key, old.clone())]);
        assert_eq!(state(&reader, 309, &Filter::ALL), [(key, old.clone())]);
        assert_eq!(state(&reader, 310, &Filter::ALL), [(key, new.clone())]);
        let now = reader
            .mvpn_state("red", Utc::NOW, &Filter::ALL, Slice::ALL)
            .unwrap();
        assert_eq!(now.states[0].state, new);
        assert_eq!((now.states[0].until, now.states[0].ended_by), (None, None));
        let past = reader
            .mvpn_state("red", utc(at(200)), &Filter::ALL, Slice::ALL)
            .unwrap();
        let expected = Held {
            key,
            state: old,
            since: utc(at(10)),
            until: Some(utc(at(310))),
            refreshed: utc(at(300)),
            refreshes: 5,
            ended_by: Some(Cause::Said),
        };
        assert_eq!(past.states, [expected]);
        // Another MVPN with the same customers is another.
        let other = reader
            .mvpn_state("blue", utc(at(200)), &Filter::ALL, Slice::ALL)
            .unwrap();
        assert_eq!(other.states, []);
        assert_eq!(
            other.listening,
            Listening::No {
                last: None,
                next: None
            }
        );
    });
}

#[test]
fn refreshes_are_only_counted() {
    on_both(|location| {
        let (key, said_state) = neighbor(1);
        session(
            location,
            7,
            0,
            vec![
                said(at(10), (key, said_state)),
                Entry::Record(Outcome::Repeated(Box::new(Refreshes {
                    mvpn: name("red"),
                    at_ns: at(70),
                    counts: vec![Refresh {
                        key,
                        refreshed: at(69),
                        refreshes: 2,
                        expires: Some(at(174)),
                    }],
                }))),
            ],
        );
        let reader = Reader::open(location).unwrap();
        let found = reader
            .mvpn_state("red", Utc::NOW, &Filter::ALL, Slice::ALL)
            .unwrap();
        assert_eq!(found.states.len(), 1);
        assert_eq!(
            (found.states[0].refreshes, found.states[0].refreshed),
            (2, utc(at(69)))
        );
        assert_eq!(found.states[0].since, utc(at(10)));
        let changes = reader
            .mvpn_changes("red", window(0, 100), &Filter::ALL, Slice::ALL)
            .unwrap();
        assert_eq!(changes.changes.len(), 1, "that it came");
    });
}

#[test]
fn what_a_killed_session_left_does_not_look_current_for_ever() {
    on_both(|location| {
        let counters = Entry::Counters(Counters {
            at_ns: at(50),
            ..Counters::default()
        });
        session(location, 7, 0, vec![said(at(10), neighbor(1)), counters]);
        let reader = Reader::open(location).unwrap();
        assert_eq!(state(&reader, 40, &Filter::ALL), [neighbor(1)]);
        // Somebody starts at 100, and listens from 120 on.
        let watch = Entry::Record(Outcome::WatchStarted {
            mvpn: name("red"),
            at_ns: at(120),
        });
        session(
            location,
            8,
            100,
            vec![watch, said(at(130), neighbor(2)), end(200)],
        );
        let answer = |s| {
            reader
                .mvpn_state("red", utc(at(s)), &Filter::ALL, Slice::ALL)
                .unwrap()
        };
        assert_eq!(state(&reader, 49, &Filter::ALL), [neighbor(1)]);
        assert_eq!(answer(49).states[0].ended_by, Some(Cause::Unwatched));
        assert_eq!(
            answer(49).states[0].until,
            Some(utc(at(50))),
            "the last sign of life"
        );
        let nobody = Listening::No {
            last: Some(utc(at(50))),
            next: Some(utc(at(120))),
        };
        assert_eq!(
            (answer(50).listening, answer(119).listening),
            (nobody, nobody)
        );
        assert!(answer(50).states.is_empty());
        // Listened to, and nothing there: that is something else.
        assert!(answer(125).listening.watched().is_some());
        assert!(answer(125).states.is_empty());
        assert_eq!(state(&reader, 150, &Filter::ALL), [neighbor(2)]);
        assert_eq!(
            answer(200).listening.watched(),
            None,
            "it ended in good order"
        );
        // That a watch ends or begins is no change of the MVPN.
        let changes = reader
            .mvpn_changes("red", window(0, 300), &Filter::ALL, Slice::ALL)
            .unwrap();
        let causes: Vec<_> = changes.changes.iter().map(|c| (c.at, c.cause)).collect();
        assert_eq!(
            causes,
            [(utc(at(10)), Cause::Said), (utc(at(130)), Cause::Said)]
        );
        assert_eq!(changes.watches.len(), 2);
        let summary = &reader.mvpns().unwrap()[0];
        assert_eq!((summary.mvpn.as_str(), summary.watched), ("red", false));
    });
}

#[test]
fn one_mvpn_ends_and_the_others_go_on() {
    on_both(|location| {
        let Entry::Record(Outcome::Change(mut blue)) = said(at(10), neighbor(2)) else {
            unreachable!()
        };
        blue.mvpn = name("blue");
        let unwatch = Entry::Record(Outcome::WatchStopped {
            mvpn: name("red"),
            at_ns: at(20),
        });
        session(
            location,
            7,
            0,
            vec![
                said(at(10), neighbor(1)),
                Entry::Record(Outcome::Change(blue)),
                unwatch,
            ],
        );
        let reader = Reader::open(location).unwrap();
        assert_eq!(state(&reader, 30, &Filter::ALL), []);
        assert!(
            reader
                .listening("red", utc(at(30)))
                .unwrap()
                .watched()
                .is_none()
        );
        let blue = reader
            .mvpn_state("blue", utc(at(30)), &Filter::ALL, Slice::ALL)
            .unwrap();
        assert_eq!(blue.states.len(), 1);
    });
}

#[test]
fn a_step_of_the_wall_clock_tears_no_interval() {
    on_both(|location| {
        let hour = 3600 * S as i64;
        let step = |s, by| {
            Entry::Clock(ClockAnchor {
                at_ns: at(s),
                realtime_minus_monotonic_ns: OFFSET + by,
            })
        };
        session(
            location,
            7,
            0,
            vec![
                said(at(10), neighbor(1)),
                step(20, -hour),
                said(at(30), neighbor(2)),
                gone(at(40), neighbor(1), at(10), Cause::Expired),
                step(50, hour),
                gone(at(60), neighbor(2), at(30), Cause::TakenBack),
            ],
        );
        let reader = Reader::open(location).unwrap();
        let all = reader
            .mvpn_changes("red", Utc::from_ns(0)..Utc::NOW, &Filter::ALL, Slice::ALL)
            .unwrap();
        let moments: Vec<Utc> = all.changes.iter().map(|change| change.at).collect();
        assert_eq!(moments.len(), 4);
        assert!(moments.is_sorted_by(|a, b| a < b), "{moments:?}");
        for ended in all
            .changes
            .iter()
            .filter_map(|change| change.before.as_ref())
        {
            assert!(ended.until.unwrap() > ended.since, "{ended:?}");
        }
        assert_eq!(
            moments[3].as_ns(),
            utc(at(60)).as_ns() + hour,
            "forward is followed at once"
        );
    });
}

fn busy() -> Vec<Entry> {
    vec![
        said(at(1), neighbor(1)),
        said(at(2), neighbor(2)),
        said(at(3), neighbor(3)),
        said(at(10), join(2, 1, 1, 1)),
        said(at(11), join(3, 1, 1, 1)),
        said(at(12), shared(3, 2, 2)),
        said(at(13), join(1, 9, 3, 9)),
        said(at(20), mapping(1, 1, 1, 7)),
        gone(at(30), join(3, 1, 1, 1), at(11), Cause::TakenBack),
    ]
}

#[test]
fn filters_and_slices_answer_parts() {
    on_both(|location| {
        session(location, 7, 0, busy());
        let reader = Reader::open(location).unwrap();
        let count = |filter: Filter| state(&reader, 25, &filter).len();
        let all = Filter::ALL;
        assert_eq!(count(all), 8);
        assert_eq!(count(Filter::kind(Kind::Join)), 4);
        assert_eq!(count(Filter::kind(Kind::Neighbor)), 3);
        assert_eq!(
            count(Filter {
                pe: Some(pe(3)),
                ..all
            }),
            3
        );
        assert_eq!(
            count(Filter {
                group: Some(group(1)),
                ..all
            }),
            3
        );
        assert_eq!(
            count(Filter {
                source: Some(source(9)),
                ..all
            }),
            1
        );
        assert_eq!(
            count(Filter {
                upstream: Some(inner(1)),
                ..all
            }),
            2
        );
        assert_eq!(
            count(Filter {
                pe: Some(pe(3)),
                group: Some(group(1)),
                ..all
            }),
            1
        );
        assert_eq!(
            count(Filter {
                pe: Some(pe(9)),
                ..all
            }),
            0
        );
        for filter in [all, Filter::kind(Kind::Neighbor)] {
            assert_eq!(in_slices(&reader, &filter), state(&reader, 25, &filter));
        }
        for filter in [
            all,
            Filter {
                pe: Some(pe(3)),
                ..all
            },
        ] {
            let whole = reader
                .mvpn_changes("red", window(0, 99), &filter, Slice::ALL)
                .unwrap();
            for limit in 1..5 {
                assert_eq!(changes_in_slices(&reader, &filter, limit), whole.changes);
            }
        }
    });
}

fn in_slices(reader: &Reader, filter: &Filter) -> Vec<(Key, State)> {
    let mut all = Vec::new();
    let mut slice = Slice::first(2);
    loop {
        let part = reader
            .mvpn_state("red", utc(at(25)), filter, slice)
            .unwrap();
        assert!(part.states.len() <= 2);
        all.extend(part.states.into_iter().map(|h| (h.key, h.state)));
        match part.next {
            Some(_) => slice.after = part.next,
            None => return all,
        }
    }
}

fn changes_in_slices(reader: &Reader, filter: &Filter, limit: u32) -> Vec<PastChange> {
    let mut all = Vec::new();
    let mut slice = Slice::first(limit);
    loop {
        let part = reader
            .mvpn_changes("red", window(0, 99), filter, slice)
            .unwrap();
        assert!(part.changes.len() <= limit as usize);
        all.extend(part.changes);
        match part.next {
            Some(_) => slice.after = part.next,
            None => return all,
        }
    }
}

#[test]
fn who_takes_part_who_sends_and_who_wants_it() {
    on_both(|location| {
        session(location, 7, 0, busy());
        let reader = Reader::open(location).unwrap();
        let now = utc(at(25));
        let pes = reader.active_pes("red", now).unwrap().answer;
        assert_eq!(
            pes.iter().map(|h| h.key.pe()).collect::<Vec<_>>(),
            [pe(1), pe(2), pe(3)]
        );
        let groups = reader.active_groups("red", now).unwrap().answer;
        let expected = |group, wanted_by, sources, data_mdts| ActiveGroup {
            group,
            wanted_by,
            sources,
            data_mdts,
        };
        assert_eq!(
            groups,
            [
                expected(group(1), 2, 1, 1),
                expected(group(2), 1, 0, 0),
                expected(group(3), 1, 1, 0)
            ]
        );
        let members = |n, s| reader.members("red", group(n), utc(at(s))).unwrap().answer;
        let wanters = |m: &Members| {
            m.wanted_by
                .iter()
                .map(|w| (w.pe, w.upstream_pe))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            wanters(&members(1, 25)),
            [(pe(2), Some(pe(1))), (pe(3), Some(pe(1)))]
        );
        assert_eq!(
            wanters(&members(1, 35)),
            [(pe(2), Some(pe(1)))],
            "one has pruned"
        );
        assert_eq!(
            wanters(&members(3, 25)),
            [(pe(1), None)],
            "no neighbour has that address"
        );
        let sent = |n, s| members(n, s).sent_by;
        let by = |source, backbone| Sender {
            pe: Some(pe(1)),
            source: Some(source),
            backbone,
        };
        assert_eq!(sent(1, 15), [by(source(1), Backbone::Default)]);
        assert_eq!(
            sent(1, 25),
            [by(source(1), Backbone::Data([239, 9, 9, 7].into()))]
        );
        let trees = reader.pe_trees("red", pe(1), now).unwrap().answer;
        let down: Vec<_> = trees.downstream.iter().map(|leg| leg.pe).collect();
        assert_eq!(down, [Some(pe(2)), Some(pe(3))]);
        assert_eq!(trees.upstream.len(), 1);
        let trees = reader.pe_trees("red", pe(3), now).unwrap().answer;
        let up: Vec<_> = trees
            .upstream
            .iter()
            .map(|leg| (leg.route, leg.pe))
            .collect();
        let route = Route::Source {
            source: source(1),
            group: group(1),
        };
        assert_eq!(
            up,
            [
                (Route::Shared { group: group(2) }, Some(pe(2))),
                (route, Some(pe(1)))
            ]
        );
        assert!(trees.downstream.is_empty());
    });
}

#[test]
fn two_moments_differ_in_what_changed_and_did_not_change_back() {
    on_both(|location| {
        let mut entries = busy();
        entries.push(gone(at(40), neighbor(3), at(3), Cause::Expired));
        entries.push(said(at(41), neighbor(3)));
        session(location, 7, 0, entries);
        let reader = Reader::open(location).unwrap();
        let diff = |a, b| {
            let found = reader
                .mvpn_diff("red", utc(at(a)), utc(at(b)), &Filter::ALL)
                .unwrap();
            let sides = |d: &Difference| (d.key().unwrap(), d.before.is_some(), d.after.is_some());
            found.differences.iter().map(sides).collect::<Vec<_>>()
        };
        assert_eq!(diff(25, 25), []);
        assert_eq!(diff(15, 25), [(mapping(1, 1, 1, 7).0, false, true)]);
        assert_eq!(diff(25, 35), [(join(3, 1, 1, 1).0, true, false)]);
        assert_eq!(diff(35, 50), [], "it went and came back");
        assert_eq!(diff(35, 40), [(neighbor(3).0, true, false)]);
        // Before anybody listened nothing is known, and nothing differs.
        let unknown = reader
            .mvpn_diff("red", utc(at(0)), utc(at(25)), &Filter::ALL)
            .unwrap();
        assert_eq!(
            (unknown.before.watched(), unknown.differences.len()),
            (None, 0)
        );
    });
}
