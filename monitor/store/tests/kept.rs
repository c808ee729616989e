//! What is too old goes, what is not stays, and what was forgotten is not said to have been nothing.

mod common;

use common::mvpn::*;
use common::place::on_both;
use common::{oneway, oneway_row, probe, start};
use vmscope_core::control::OnewayState;
use vmscope_core::report::Record;
use vmscope_core::time::Span;
use vmscope_core::view::record::Cause;
use vmscope_store::mvpn::*;
use vmscope_store::*;

const OFFSET: i64 = 1_767_225_600_000_000_000;
const HOUR: u64 = 3_600;

fn utc(s: u64) -> Utc {
    Utc::from_ns(at(s).as_ns() as i64 + OFFSET)
}

fn counters(s: u64) -> Entry {
    Entry::Counters(Counters {
        at_ns: at(s),
        ..Counters::default()
    })
}

/// Puts the entries, then signs of life until the writer has tidied up, which it does between its batches.
fn write(location: &Location, retention: Retention, entries: Vec<Entry>, now_s: u64, batches: u32) {
    let limits = Limits {
        retention,
        ..Limits::default()
    };
    let writer = Writer::open(location, &start(7), limits).unwrap();
    let mut put = 0;
    let mut all = |entries: Vec<Entry>| {
        put += entries.len() as u64;
        for entry in entries {
            assert_eq!(writer.put(entry), Put::Queued);
        }
        while writer.health().written < put {
            assert_eq!(writer.health().failing, None);
            std::thread::yield_now();
        }
    };
    // All in one batch, or the first round begins in the past.
    all(entries.into_iter().chain([counters(now_s)]).collect());
    for _ in 0..batches {
        all(vec![counters(now_s)]);
    }
    assert_eq!(writer.finish().unwrap().failing, None);
}

#[test]
fn one_way_losses_are_kept_as_long_as_intervals() {
    on_both(|location| {
        let mut entries = vec![Entry::Record(Record::OnewayStarted(Box::new(oneway(
            OnewayState::Probing,
        ))))];
        let row = |s: u64| Record::Oneway(Box::new(oneway_row(at(s).as_ns())));
        entries.extend((1..=9).map(|hour| Entry::Record(row(hour * HOUR))));
        let retention = Retention {
            intervals: Some(Span::from_s(2 * HOUR + 60)),
            ..Retention::FOR_EVER
        };
        write(location, retention, entries, 10 * HOUR, 8);
        let left = Reader::open(location).unwrap().oneway(7).unwrap();
        let hours: std::collections::BTreeSet<u64> =
            left.iter().map(|p| p.at_ns / at(HOUR).as_ns()).collect();
        assert_eq!(hours.into_iter().collect::<Vec<_>>(), [8, 9]);
        assert_eq!(left.len(), 6, "of each look all paths, or none");
    });
}

#[test]
fn history_is_kept_as_long_as_was_said() {
    on_both(|location| {
        let old = join(1, 1, 1, 2);
        let long = join(2, 1, 1, 2);
        let entries = vec![
            said(at(10), old.clone()),
            said(at(11), long.clone()),
            gone(at(20), old.clone(), at(10), Cause::TakenBack),
            gone(at(9 * HOUR), long.clone(), at(11), Cause::TakenBack),
            said(at(9 * HOUR), neighbor(1)),
        ];
        let retention = Retention {
            history: Some(Span::from_s(2 * HOUR)),
            ..Retention::FOR_EVER
        };
        write(location, retention, entries, 10 * HOUR, 8);
        let reader = Reader::open(location).unwrap();
        let answer = |s| {
            reader
                .mvpn_state("red", utc(s), &Filter::ALL, Slice::ALL)
                .unwrap()
        };
        // Forgotten: not known, and not empty.
        assert_eq!(
            answer(15).listening,
            Listening::No {
                last: None,
                next: Some(utc(8 * HOUR))
            }
        );
        // What lasted into the time that is kept is kept as a whole.
        assert_eq!(answer(8 * HOUR).states.len(), 1);
        assert_eq!(answer(8 * HOUR).states[0].since, utc(11));
        assert_eq!(answer(10 * HOUR).states[0].key, neighbor(1).0);
        let all = reader
            .mvpn_changes("red", utc(0)..Utc::NOW, &Filter::ALL, Slice::ALL)
            .unwrap();
        assert!(all.changes.iter().all(|change| change.key() != Some(old.0)));
    });
}

#[test]
fn probes_are_kept_as_long_as_was_said() {
    on_both(|location| {
        let retention = Retention {
            probes: Some(Span::from_s(2 * HOUR)),
            ..Retention::FOR_EVER
        };
        // One each millisecond: the first five seconds are too old.
        let probes = (0..9_000).map(|seq| Entry::Record(probe(seq))).collect();
        write(location, retention, probes, 2 * HOUR + 5, 12);
        let page = Page {
            session: 7,
            task: 1,
            since: 0,
            limit: 100_000,
        };
        let held = Reader::open(location).unwrap().probes(page).unwrap();
        assert!(
            held.iter().map(|probe| probe.seq).eq(5_000..9_000),
            "{}",
            held.len()
        );
    });
}

#[test]
fn a_file_that_grows_too_large_loses_its_oldest_and_gets_smaller() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.sqlite");
    let location = Location::new(path.as_path());
    let size = || std::fs::metadata(&path).unwrap().len();
    let probes = |from: u32| {
        (from..from + 40_000)
            .map(|seq| Entry::Record(probe(seq * 900)))
            .collect()
    };
    // A probe each 0.9 s: ten hours.
    write(&location, Retention::FOR_EVER, probes(0), 10 * HOUR, 1);
    let full = size();
    let bytes = full / 2;
    let retention = Retention {
        bytes: Some(bytes),
        probes: Some(Span::from_s(12 * HOUR)),
        ..Retention::FOR_EVER
    };
    let limits = Limits {
        retention,
        ..Limits::default()
    };
    let writer = Writer::open(
        &location,
        &SessionStart {
            at_ns: at(10 * HOUR),
            ..start(8)
        },
        limits,
    )
    .unwrap();
    for n in 1..=30 {
        assert_eq!(writer.put(counters(10 * HOUR)), Put::Queued);
        while writer.health().written < n {
            std::thread::yield_now();
        }
    }
    assert_eq!(writer.finish().unwrap().failing, None);
    assert!(
        size() <= bytes,
        "{} of {full} bytes, {bytes} wanted",
        size()
    );
    let page = Page {
        session: 7,
        task: 1,
        since: 0,
        limit: 100_000,
    };
    let held = Reader::open(&location).unwrap().probes(page).unwrap();
    assert!(held.len() > 4_000, "the last hour stays: {}", held.len());
    assert_eq!(held.last().unwrap().seq, 39_999 * 900, "the newest stay");
    assert!(held[0].seq > 0, "the oldest go");
}
