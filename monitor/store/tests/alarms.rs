//! Alarms and expectations: what is, what was, and what is left of sessions that were killed.

mod common;

use common::mvpn::at;
use common::place::on_both;
use common::{name, start};
use vmscope_core::alarm::{Alarm, Cleared, Kind, Phase, Severity, Storm, Transition, Turn};
use vmscope_core::report::Record;
use vmscope_core::time::Span;
use vmscope_core::view::Expected;
use vmscope_store::alarm::{AlarmCursor, KeptAlarm};
use vmscope_store::mvpn::{Slice, Utc};
use vmscope_store::*;

/// The wall clock less the monotonic clock of every session here.
const OFFSET: i64 = 1_767_225_600_000_000_000;

fn utc(s: u64) -> Utc {
    Utc::from_ns(at(s).as_ns() as i64 + OFFSET)
}

fn alarm(id: u64, mvpn: &str, raised: u64) -> Alarm {
    Alarm {
        id,
        kind: Kind::PeMissing,
        severity: Severity::Major,
        mvpn: name(mvpn),
        pe: Some([10, 0, 0, 1].into()),
        pe_name: Some(name("PE1")),
        group: None,
        source: Some([172, 16, 0, 1].into()),
        measured: None,
        since_ns: at(raised - 30),
        raised_ns: at(raised),
        cleared_ns: None,
        cleared_because: None,
        count: 1,
        flapping: false,
        message: format!("{mvpn}: PE1 is missing"),
        remedy: "look after it".into(),
    }
}

fn turn(turn: Turn, s: u64, alarm: Alarm) -> Entry {
    Entry::Record(Record::Alarm(Box::new(Transition {
        at_ns: at(s),
        turn,
        alarm,
    })))
}

fn raised(id: u64, mvpn: &str, s: u64) -> Entry {
    turn(Turn::Raised, s, alarm(id, mvpn, s))
}

fn cleared(id: u64, mvpn: &str, from: u64, s: u64) -> Entry {
    let over = Alarm {
        cleared_ns: Some(at(s)),
        cleared_because: Some(Cleared::Fine),
        count: 3,
        ..alarm(id, mvpn, from)
    };
    turn(Turn::Cleared, s, over)
}

fn expected(s: u64, groups: &str) -> Entry {
    let text = format!(r#"{{"mvpn":"red","groups":["{groups}"]}}"#);
    Entry::Record(Record::Expected {
        expected: Box::new(serde_json::from_str(&text).unwrap()),
        at_ns: at(s),
    })
}

fn alive(s: u64) -> Entry {
    Entry::Counters(Counters {
        at_ns: at(s),
        ..Counters::default()
    })
}

fn end(s: u64) -> Entry {
    Entry::End {
        at_ns: at(s),
        realtime_minus_monotonic_ns: OFFSET,
    }
}

/// Writes a session; one that does not end in good order is as if it was killed.
fn session(location: &Location, number: u32, began: u64, limits: Limits, entries: Vec<Entry>) {
    let start = SessionStart {
        at_ns: at(began),
        ..start(number)
    };
    let writer = Writer::open(location, &start, limits).unwrap();
    let count = entries.len() as u64;
    for entry in entries {
        assert_eq!(writer.put(entry), Put::Queued);
    }
    let health = writer.finish().unwrap();
    assert_eq!((health.written, health.rejected), (count, 0), "{health:?}");
}

fn active(reader: &Reader, mvpn: Option<&str>, moment: Utc) -> Vec<(u32, u64)> {
    let found = reader.alarms_at(mvpn, moment, Slice::ALL).unwrap();
    assert_eq!(found.next, None);
    found.alarms.iter().map(|a| (a.session, a.id)).collect()
}

#[test]
fn an_alarm_is_active_from_raised_until_cleared() {
    on_both(|location| {
        let entries = vec![
            raised(1, "red", 100),
            raised(2, "blue", 110),
            cleared(1, "red", 100, 200),
            end(300),
        ];
        session(location, 7, 0, Limits::default(), entries);
        let reader = Reader::open(location).unwrap();
        assert_eq!(active(&reader, None, utc(99)), []);
        assert_eq!(active(&reader, None, utc(100)), [(7, 1)]);
        assert_eq!(active(&reader, None, utc(199)), [(7, 1), (7, 2)]);
        assert_eq!(active(&reader, None, utc(200)), [(7, 2)]);
        // Of another MVPN nothing is said, and of none there is nothing.
        assert_eq!(active(&reader, Some("red"), utc(199)), [(7, 1)]);
        assert_eq!(active(&reader, Some("blue"), utc(199)), [(7, 2)]);
        assert_eq!(active(&reader, Some("green"), utc(199)), []);
        // The session is over, and with it what it looked at.
        assert_eq!(active(&reader, None, Utc::NOW), []);

        let all = reader
            .alarms_between(None, utc(0)..utc(1_000), Slice::ALL)
            .unwrap();
        let [first, second]: [KeptAlarm; 2] = all.alarms.try_into().unwrap();
        let wanted = KeptAlarm {
            session: 7,
            id: 1,
            mvpn: name("red"),
            kind: Kind::PeMissing,
            severity: Severity::Major,
            pe: Some([10, 0, 0, 1].into()),
            pe_name: Some(name("PE1")),
            source: Some([172, 16, 0, 1].into()),
            group: None,
            measured: None,
            since: utc(70),
            raised: utc(100),
            cleared: Some(utc(200)),
            cleared_because: Some(Cleared::Fine),
            count: 3,
            flapping: false,
            message: "red: PE1 is missing".into(),
            remedy: "look after it".into(),
        };
        assert_eq!(first, wanted);
        assert_eq!(second.cleared, Some(utc(300)));
        assert_eq!(second.cleared_because, Some(Cleared::Unwatched));
    });
}

#[test]
fn a_stretch_of_time_has_what_was_active_in_it_and_nothing_else() {
    on_both(|location| {
        let entries = vec![
            raised(1, "red", 100),
            cleared(1, "red", 100, 200),
            raised(2, "red", 300),
        ];
        session(location, 7, 0, Limits::default(), entries);
        let reader = Reader::open(location).unwrap();
        let between = |from: u64, until: u64| -> Vec<u64> {
            let found = reader.alarms_between(Some("red"), utc(from)..utc(until), Slice::ALL);
            found.unwrap().alarms.iter().map(|a| a.id).collect()
        };
        assert_eq!(between(0, 100), [] as [u64; 0]);
        assert_eq!(between(0, 101), [1]);
        assert_eq!(between(150, 160), [1]);
        assert_eq!(between(199, 301), [1, 2]);
        assert_eq!(between(200, 300), [] as [u64; 0]);
        assert_eq!(between(400, 500), [2]);
        // Nobody has begun another session: as far as is known it goes on.
        assert_eq!(active(&reader, None, Utc::NOW), [(7, 2)]);
    });
}

#[test]
fn alarms_and_expectations_of_a_killed_session_end_when_it_was_last_alive() {
    on_both(|location| {
        let killed = vec![
            expected(10, "232.0.0.0/8"),
            raised(1, "red", 100),
            alive(150),
        ];
        session(location, 7, 0, Limits::default(), killed);
        session(location, 8, 1_000, Limits::default(), vec![alive(1_001)]);
        let reader = Reader::open(location).unwrap();
        assert_eq!(active(&reader, None, utc(149)), [(7, 1)]);
        assert_eq!(active(&reader, None, utc(150)), []);
        assert!(reader.expected("red", utc(149)).unwrap().is_some());
        assert!(reader.expected("red", utc(150)).unwrap().is_none());
        assert!(reader.expected("red", Utc::NOW).unwrap().is_none());
    });
}

#[test]
fn what_was_expected_is_known_from_when_to_when() {
    on_both(|location| {
        let entries = vec![
            expected(10, "232.0.0.0/8"),
            expected(50, "239.0.0.0/8"),
            alive(60),
        ];
        session(location, 7, 0, Limits::default(), entries);
        let reader = Reader::open(location).unwrap();
        let groups = |moment: Utc| -> Option<String> {
            let found = reader.expected("red", moment).unwrap();
            found.map(|then| json_of(&then.expected))
        };
        assert_eq!(groups(utc(9)), None);
        assert!(groups(utc(10)).unwrap().contains("232.0.0.0/8"));
        assert!(groups(utc(49)).unwrap().contains("232.0.0.0/8"));
        assert!(groups(utc(50)).unwrap().contains("239.0.0.0/8"));
        assert!(groups(Utc::NOW).unwrap().contains("239.0.0.0/8"));
        assert!(reader.expected("blue", Utc::NOW).unwrap().is_none());
    });
}

fn json_of(expected: &Expected) -> String {
    serde_json::to_string(expected).unwrap()
}

#[test]
fn pages_hold_every_alarm_once() {
    on_both(|location| {
        // Several at one moment: the order must not depend on the moment alone.
        let entries = (1..=25).map(|id| raised(id, "red", 100 + id / 4)).collect();
        session(location, 7, 0, Limits::default(), entries);
        let reader = Reader::open(location).unwrap();
        let mut seen = Vec::new();
        let mut after: Option<AlarmCursor> = None;
        loop {
            let slice = Slice { after, limit: 4 };
            let page = reader.alarms_at(Some("red"), Utc::NOW, slice).unwrap();
            assert!(page.alarms.len() <= 4);
            seen.extend(page.alarms.iter().map(|a| a.id));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, (1..=25).collect::<Vec<u64>>());
    });
}

#[test]
fn storms_are_kept_beside_their_alarms() {
    on_both(|location| {
        let storm = |s: u64, phase: Phase| {
            Entry::Storm(Box::new(Storm {
                at_ns: at(s),
                kind: Kind::GroupUnexpected,
                severity: Severity::Minor,
                phase,
                since_ns: at(90),
                raised: 40,
                cleared: 2,
                active: 38,
                examples: vec![],
                message: "many at once".into(),
            }))
        };
        let entries = vec![storm(100, Phase::Begun), storm(160, Phase::Over)];
        session(location, 7, 0, Limits::default(), entries);
        let reader = Reader::open(location).unwrap();
        let storms = reader.alarm_storms(utc(0)..utc(150), 10).unwrap();
        assert_eq!(storms.len(), 1);
        assert_eq!((storms[0].phase, storms[0].at), (Phase::Begun, utc(100)));
        assert_eq!((storms[0].raised, storms[0].active), (40, 38));
        let latest = reader.alarm_storms(utc(0)..utc(1_000), 1).unwrap();
        assert_eq!(latest[0].phase, Phase::Over);
    });
}

#[test]
fn what_is_too_old_goes_and_what_is_active_stays() {
    on_both(|location| {
        let hour = 3_600;
        let limits = Limits {
            retention: Retention {
                history: Some(Span::from_s(hour)),
                ..Retention::FOR_EVER
            },
            ..Limits::default()
        };
        let entries = vec![
            expected(10, "232.0.0.0/8"),
            expected(20, "239.0.0.0/8"),
            raised(1, "red", 100),
            raised(2, "red", 110),
            cleared(1, "red", 100, 200),
        ];
        session(location, 7, 0, Limits::default(), entries);
        let start = SessionStart {
            at_ns: at(201),
            ..start(8)
        };
        // The session before was killed with alarm 2 active: that ended then.
        let writer = Writer::open(location, &start, limits).unwrap();
        assert_eq!(writer.put(raised(1, "red", 300)), Put::Queued);
        let reader = Reader::open(location).unwrap();
        let kept = || -> Vec<(u32, u64)> {
            let all = reader.alarms_between(None, utc(0)..utc(100_000), Slice::ALL);
            all.unwrap()
                .alarms
                .iter()
                .map(|a| (a.session, a.id))
                .collect()
        };
        let before = std::time::Instant::now();
        while kept() != [(8, 1)] {
            assert!(before.elapsed().as_secs() < 20, "{:?} is kept", kept());
            // Some steps of tidying up follow every batch.
            assert_eq!(writer.put(alive(300 + 2 * hour)), Put::Queued);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(reader.expected("red", utc(15)).unwrap().is_none());
        let _ = writer.finish().unwrap();
    });
}

#[test]
fn a_database_of_an_older_layout_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.sqlite");
    let db = rusqlite::Connection::open(&path).unwrap();
    for migration in &schema::MIGRATIONS[..2] {
        db.execute_batch(migration).unwrap();
    }
    db.execute_batch("PRAGMA user_version = 2").unwrap();
    drop(db);
    let reader = Reader::open(&path).unwrap();
    assert!(reader.mvpns().unwrap().is_empty());
    let refused = reader.alarms_at(None, Utc::NOW, Slice::ALL).unwrap_err();
    assert!(matches!(refused, StoreError::Older { found: 2, known: 4 }));
}
