//! Thresholds on the active side's intervals.

use super::bench::{Bench, hello, name, pe, s};
use crate::alarm::{AlarmSpec, Kind, Severity, Turn};
use crate::report::{Corrected, Distribution, IntervalRow, PairCounts, PairResult};
use crate::time::Instant;
use crate::view::{Cause, Key};

const SPEC: &str = r#"
    [[thresholds]]
    metric = "loss"
    above = "1%"
    for = "30s"
    [[thresholds]]
    metric = "delay-p99"
    above = "50ms"
    severity = "minor"
    tasks = ["blue"]
"#;

/// A row of ten seconds that ends now.
fn row(bench: &Bench, task: &str, lost: u64, p99_ms: i64) -> IntervalRow {
    let delay = Distribution {
        samples: 1_000 - lost,
        min_ns: 0,
        mean_ns: 0,
        p50_ns: 0,
        p90_ns: 0,
        p99_ns: p99_ms * 1_000_000,
        p999_ns: 0,
        max_ns: 0,
    };
    IntervalRow {
        row: 0,
        task_name: name(task),
        task: 1,
        interval: 0,
        start_ns: bench.now - s(10),
        end_ns: bench.now,
        capture_drops: 0,
        pair: PairResult {
            sender: 1,
            sender_name: name("PE1"),
            receiver: 2,
            receiver_name: name("pe2-tunnel"),
            counts: PairCounts {
                sent: 1_000,
                received: 1_000 - lost,
                lost,
                ..PairCounts::default()
            },
            loss: Some(lost as f64 / 1e3),
            delay: Some(delay),
            ipdv: None,
            pdv: None,
            corrected: Corrected::default(),
        },
    }
}

fn measure(bench: &mut Bench, times: u32, lost: u64, p99_ms: i64) {
    for _ in 0..times {
        bench.pass(s(10));
        for task in ["red", "blue"] {
            let row = row(bench, task, lost, p99_ms);
            bench.alarms.handle_interval(&row);
        }
        bench.pass(s(0));
    }
}

fn bench() -> Bench {
    Bench::new(toml::from_str::<AlarmSpec>(SPEC).unwrap())
}

#[test]
fn at_the_level_is_not_above_it() {
    let mut bench = bench();
    measure(&mut bench, 20, 10, 50);
    assert_eq!(bench.transitions, []);
    assert_eq!(bench.alarms.counts().conditions, 0);
}

#[test]
fn loss_above_for_long_enough_is_raised_and_cleared() {
    let mut bench = bench();
    measure(&mut bench, 2, 11, 1);
    measure(&mut bench, 1, 25, 1);
    assert_eq!(bench.turns(), []);
    measure(&mut bench, 1, 30, 1);
    // Of both tasks, for the threshold names none.
    assert_eq!(bench.turns(), [(Turn::Raised, Kind::Threshold); 2]);
    let alarm = bench.active()[1].clone();
    assert_eq!((alarm.mvpn, alarm.severity), (name("red"), Severity::Major));
    insta::assert_snapshot!(alarm.message, @"red: loss from PE1 to pe2-tunnel has been above 1% for 30s: 2.5%");
    measure(&mut bench, 6, 0, 1);
    assert_eq!(bench.turns(), []);
    measure(&mut bench, 1, 0, 1);
    assert_eq!(bench.turns(), [(Turn::Cleared, Kind::Threshold); 2]);
}

#[test]
fn a_threshold_of_one_task_is_not_held_against_another() {
    let mut bench = bench();
    measure(&mut bench, 4, 0, 51);
    assert_eq!(bench.active().len(), 1);
    let alarm = bench.active()[0].clone();
    assert_eq!(
        (alarm.mvpn, alarm.severity),
        (name("blue"), Severity::Minor)
    );
    insta::assert_snapshot!(alarm.message, @"blue: delay-p99 from PE1 to pe2-tunnel has been above 50ms for 30s: 51ms");
}

#[test]
fn one_bad_interval_is_not_long_enough() {
    let mut bench = bench();
    measure(&mut bench, 1, 500, 1);
    measure(&mut bench, 20, 0, 1);
    assert_eq!(bench.transitions, []);
}

#[test]
fn loss_that_may_be_the_monitors_own_says_nothing() {
    let mut bench = bench();
    for _ in 0..10 {
        bench.pass(s(10));
        let mut row = row(&bench, "red", 500, 1);
        row.capture_drops = 1;
        bench.alarms.handle_interval(&row);
    }
    bench.pass(s(60));
    assert_eq!(bench.transitions, []);
}

#[test]
fn a_missing_pe_explains_what_is_measured_over_its_tunnel() {
    let mut bench = bench();
    bench.alarms.handle_watched(bench.now, &name("red"));
    bench.expect(
        "pes = { PE1 = '10.2.0.1', PE2 = { address = '10.2.0.2', tunnel = 'pe2-tunnel' } }",
    );
    bench.say(hello(1, 1));
    bench.say(hello(2, 1));
    measure(&mut bench, 4, 0, 1);
    bench.change(Key::Neighbor { pe: pe(2) }, None, Cause::Expired);
    measure(&mut bench, 10, 1_000, 1);
    let red = |bench: &Bench| -> Vec<Kind> {
        let active = bench.active().into_iter();
        active
            .filter(|alarm| alarm.mvpn == name("red"))
            .map(|alarm| alarm.kind)
            .collect()
    };
    assert_eq!(red(&bench), [Kind::PeMissing]);
    bench.say(hello(2, 1));
    measure(&mut bench, 10, 1_000, 1);
    assert_eq!(red(&bench), [Kind::Threshold]);
}

#[test]
fn the_alarms_of_a_task_end_with_it() {
    let mut bench = bench();
    measure(&mut bench, 4, 500, 1);
    assert_eq!(bench.active().len(), 2);
    let now: Instant = bench.now;
    bench
        .alarms
        .end_what_was_measured(now, &name("red"), crate::alarm::Cleared::Unwatched);
    bench.pass(s(0));
    assert_eq!(bench.active().len(), 1);
}

#[test]
fn a_threshold_taken_away_takes_its_alarms_along() {
    let mut bench = bench();
    measure(&mut bench, 4, 500, 60);
    assert_eq!(bench.active().len(), 3);
    bench
        .alarms
        .handle_spec(bench.now, AlarmSpec::default())
        .unwrap();
    bench.pass(s(0));
    assert_eq!(bench.active().len(), 0);
}
