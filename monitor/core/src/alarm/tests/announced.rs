//! Many alarms at once: what people are told of them.

use super::bench::{Bench, hello, join, s, shared, tree};
use crate::alarm::{AlarmSpec, Kind, Notice, Phase, Storm, Turn};
use crate::view::Key;

fn red() -> Bench {
    let mut bench = Bench::watching(AlarmSpec::default(), "groups = ['239.1.0.0/16']");
    bench.say(hello(1, 1));
    bench.say(hello(2, 1));
    bench
}

fn group(n: u32) -> (Key, crate::view::State) {
    join(2, shared(&format!("239.9.{}.{}", n / 250, n % 250)), 1)
}

fn storms(bench: &Bench) -> Vec<Storm> {
    let notices = bench.notices.iter();
    notices
        .filter_map(|notice| match notice {
            Notice::Storm(storm) => Some((**storm).clone()),
            Notice::Alarm(_) => None,
        })
        .collect()
}

fn singles(bench: &Bench, turn: Turn) -> usize {
    let told = |notice: &&Notice| match notice {
        Notice::Alarm(transition) => transition.turn == turn,
        Notice::Storm(_) => false,
    };
    bench.notices.iter().filter(told).count()
}

#[test]
fn a_few_are_told_one_by_one() {
    let mut bench = red();
    (0..10).for_each(|n| bench.say(group(n)));
    bench.pass(s(300));
    assert_eq!(
        (singles(&bench, Turn::Raised), storms(&bench).len()),
        (10, 0)
    );
}

#[test]
fn many_are_told_together_from_beginning_to_end() {
    let mut bench = red();
    (0..200).for_each(|n| bench.say(group(n)));
    bench.pass(s(33));
    assert_eq!(singles(&bench, Turn::Raised), 10);
    let begun = storms(&bench).pop().unwrap();
    assert_eq!(
        (begun.phase, begun.kind),
        (Phase::Begun, Kind::GroupUnexpected)
    );
    assert_eq!(
        (begun.raised, begun.active, begun.examples.len()),
        (190, 190, 5)
    );
    insta::assert_snapshot!(begun.message, @"group-unexpected alarms: there are many at once: 190 raised, 0 cleared, 190 active");

    // All is said: nothing more is until something changes.
    bench.pass(s(3_600));
    assert_eq!(storms(&bench).len(), 1);
    (0..200).for_each(|n| bench.take_back(group(n).0));
    bench.pass(s(300));
    assert_eq!(singles(&bench, Turn::Cleared), 10);
    let over = storms(&bench).pop().unwrap();
    assert_eq!(
        (over.phase, over.cleared, over.active),
        (Phase::Over, 190, 0)
    );
    assert_eq!(bench.alarms.counts().held_back, 190);

    // And then one alone is told by itself again.
    bench.say(group(1_000));
    bench.pass(s(31));
    assert_eq!(singles(&bench, Turn::Raised), 11);
}

#[test]
fn a_storm_that_goes_on_is_summed_up_every_minute() {
    let mut bench = red();
    for n in 0..600 {
        bench.say(group(n));
        bench.pass(s(1));
    }
    bench.pass(s(600));
    // One a second: the first ten of the first window, and then the storm's.
    let (single, storms) = (singles(&bench, Turn::Raised), storms(&bench));
    let together: u64 = storms.iter().map(|storm| storm.raised).sum();
    assert_eq!(single as u64 + together, 600);
    assert!(storms.len() <= 12, "{} summaries", storms.len());
}

#[test]
fn a_storm_of_one_kind_does_not_hide_another() {
    let mut bench = red();
    bench.expect("groups = ['239.1.0.0/16']\npes = { PE1 = '10.2.0.1', PE2 = '10.2.0.2' }");
    (0..200).for_each(|n| bench.say(group(n)));
    bench.pass(s(35));
    bench.say(hello(66, 1));
    bench.pass(s(31));
    let last = bench.notices.last().unwrap();
    assert!(
        matches!(last, Notice::Alarm(t) if t.alarm.kind == Kind::PeUnexpected && t.turn == Turn::Raised)
    );
}

#[test]
fn what_finds_no_room_is_counted_and_found_later() {
    let spec = AlarmSpec {
        alarms_max: 100,
        ..AlarmSpec::default()
    };
    let mut bench = Bench::watching(spec, "groups = ['239.1.0.0/16']");
    (0..500).for_each(|n| bench.say(group(n)));
    bench.pass(s(100));
    let counts = bench.alarms.counts();
    assert_eq!((counts.active, counts.missed), (100, 400));
    // Those that were noted end, and of the others there are few.
    (0..460).for_each(|n| bench.take_back(group(n).0));
    bench.pass(s(4_000));
    bench.take();
    bench.pass(s(100));
    assert_eq!(bench.alarms.counts().active, 40);
    assert!(bench.alarms.counts().conditions <= 100);
}

#[test]
fn what_a_pe_is_asked_for_finds_room_later_too() {
    let spec = AlarmSpec {
        alarms_max: 100,
        ..AlarmSpec::default()
    };
    let expected = "pes = { PE1 = '10.2.0.1', PE2 = '10.2.0.2' }\nsites = { PE1 = { send = [] } }";
    let mut bench = Bench::watching(spec, expected);
    bench.say(hello(1, 1));
    bench.say(hello(2, 1));
    // Until it is forgotten that they were missing at the start.
    bench.pass(s(700));
    let asked = |n: u32| join(2, tree("10.11.0.1", &format!("239.1.0.{n}")), 1);
    (0..150).for_each(|n| bench.say(asked(n)));
    bench.pass(s(100));
    assert_eq!(bench.alarms.counts().active, 100);
    (0..120).for_each(|n| bench.take_back(asked(n).0));
    bench.pass(s(4_000));
    assert_eq!(bench.alarms.counts().active, 30);
}
