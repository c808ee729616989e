//! What follows from something else is not said as well.

use super::bench::{Bench, hello, join, pe, s, shared};
use crate::alarm::{AlarmSpec, Cleared, Kind, Turn};
use crate::view::{Cause, Key};

const RED: &str = r#"
    pes = { PE1 = "10.2.0.1", PE2 = "10.2.0.2", PE3 = "10.2.0.3" }
    groups = ["239.1.0.0/16"]
"#;

fn red() -> Bench {
    let mut bench = Bench::watching(AlarmSpec::default(), RED);
    for n in 1..=3 {
        bench.say(hello(n, 1));
    }
    bench.pass(s(300));
    bench
}

fn lose(bench: &mut Bench, n: u8) {
    bench.change(Key::Neighbor { pe: pe(n) }, None, Cause::Expired);
}

#[test]
fn an_mvpn_of_which_nothing_is_heard_is_one_alarm() {
    let mut bench = red();
    for n in 1..=3 {
        lose(&mut bench, n);
    }
    bench.pass(s(600));
    assert_eq!(bench.turns(), [(Turn::Raised, Kind::MvpnSilent)]);
    insta::assert_snapshot!(bench.active()[0].message, @"MVPN red: expected PIM Hellos of 3 PEs on the default MDT, and heard none for 30s");
}

#[test]
fn an_mvpn_that_was_never_heard_is_one_alarm() {
    let mut bench = Bench::watching(AlarmSpec::default(), RED);
    bench.pass(s(74));
    assert_eq!(bench.turns(), []);
    bench.pass(s(600));
    assert_eq!(bench.turns(), [(Turn::Raised, Kind::MvpnSilent)]);
}

#[test]
fn when_one_is_heard_again_the_others_have_time_to_say_hello() {
    let mut bench = red();
    for n in 1..=3 {
        lose(&mut bench, n);
    }
    bench.pass(s(600));
    bench.say(hello(1, 1));
    bench.pass(s(40));
    bench.say(hello(2, 1));
    bench.pass(s(34));
    assert_eq!(
        bench.turns(),
        [
            (Turn::Raised, Kind::MvpnSilent),
            (Turn::Cleared, Kind::MvpnSilent)
        ]
    );
    bench.pass(s(2));
    assert_eq!(bench.turns(), [(Turn::Raised, Kind::PeMissing)]);
    assert_eq!(bench.active()[0].pe, Some(pe(3)));
}

#[test]
fn silence_takes_the_place_of_what_is_missing_already() {
    let mut bench = red();
    lose(&mut bench, 1);
    bench.pass(s(60));
    assert_eq!(bench.turns(), [(Turn::Raised, Kind::PeMissing)]);
    lose(&mut bench, 2);
    lose(&mut bench, 3);
    bench.pass(s(29));
    assert_eq!(bench.kinds(), [Kind::PeMissing]);
    bench.pass(s(2));
    assert_eq!(bench.kinds(), [Kind::MvpnSilent]);
    assert_eq!(
        bench.transitions[1].alarm.cleared_because,
        Some(Cleared::Covered)
    );
}

#[test]
fn of_a_missing_pe_nothing_else_is_said() {
    let mut bench = red();
    lose(&mut bench, 2);
    bench.say(join(2, shared("239.9.9.9"), 1));
    bench.say(join(3, shared("239.9.9.9"), 1));
    bench.pass(s(300));
    assert_eq!(bench.kinds(), [Kind::PeMissing, Kind::GroupUnexpected]);
    assert_eq!(bench.active()[1].pe, Some(pe(3)));
}

#[test]
fn what_was_said_of_a_pe_is_covered_when_it_is_missing_and_returns_with_it() {
    let mut bench = red();
    bench.say(join(2, shared("239.9.9.9"), 1));
    bench.pass(s(60));
    lose(&mut bench, 2);
    bench.pass(s(60));
    assert_eq!(
        bench.turns(),
        [
            (Turn::Raised, Kind::GroupUnexpected),
            (Turn::Raised, Kind::PeMissing),
            (Turn::Cleared, Kind::GroupUnexpected),
        ]
    );
    bench.say(hello(2, 1));
    bench.pass(s(61));
    assert_eq!(bench.kinds(), [Kind::GroupUnexpected]);
}

#[test]
fn what_is_not_told_covers_nothing() {
    let off: AlarmSpec = toml::from_str("[kinds.pe-missing]\noff = true").unwrap();
    let mut bench = Bench::watching(off, RED);
    bench.say(hello(1, 1));
    bench.say(join(2, shared("239.9.9.9"), 1));
    bench.pass(s(300));
    assert_eq!(bench.kinds(), [Kind::GroupUnexpected]);
}

#[test]
fn a_flapping_pe_does_not_flood() {
    let mut bench = red();
    for _ in 0..1_000 {
        lose(&mut bench, 2);
        bench.pass(s(10));
        bench.say(hello(2, 1));
        bench.pass(s(10));
    }
    assert_eq!(bench.turns(), [(Turn::Raised, Kind::PeMissing)]);
    let alarm = bench.active()[0].clone();
    assert!(alarm.flapping);
    assert_eq!(bench.notices.len(), 1);
    bench.pass(s(600));
    assert_eq!(bench.turns(), [(Turn::Cleared, Kind::PeMissing)]);
    assert_eq!(bench.notices.len(), 2);
}
