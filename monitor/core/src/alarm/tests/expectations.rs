//! Every kind is raised when it should be, says what it is about, and is cleared; and is not raised when all is well.

use super::bench::{Bench, hello, ip, join, mapping, name, pe, s, shared, tree};
use crate::alarm::{AlarmSpec, Cleared, Kind, Severity, Turn};
use crate::view::{Cause, Key, Route, State};

const RED: &str = r#"
    pes = { PE1 = "10.2.0.1", PE2 = "10.2.0.2", PE3 = { address = "10.2.0.3", presence = "optional" } }
    groups = ["239.1.0.0/16", "232.1.1.1"]
    sources = { "239.1.0.0/16" = ["10.11.0.0/16"], "239.1.9.0/24" = ["10.12.0.1"] }
    sites = { PE1 = { send = ["239.1.0.0/16"] }, PE2 = { send = ["232.1.1.1"], receive = ["239.1.0.0/16"] } }
    data_mdt = { pool = ["239.200.0.0/24"], groups = ["239.1.1.0/24"] }
"#;

/// Red with its two PEs there.
fn red() -> Bench {
    let mut bench = Bench::watching(AlarmSpec::default(), RED);
    bench.say(hello(1, 1));
    bench.say(hello(2, 1));
    bench.pass(s(300));
    assert_eq!(bench.transitions, []);
    bench
}

/// Raises one alarm by saying this, looks at its message, and clears it by taking it back.
fn one_alarm(said: (Key, State), kind: Kind) -> String {
    let mut bench = red();
    let key = said.0;
    bench.say(said);
    bench.pass(s(29));
    assert_eq!(bench.kinds(), []);
    bench.pass(s(2));
    assert_eq!(bench.kinds(), [kind]);
    let alarm = bench.active()[0].clone();
    assert_eq!(alarm.pe, Some(key.pe()));
    if kind != Kind::PeUnexpected {
        assert_eq!(alarm.group, key.group());
    }
    bench.take_back(key);
    bench.pass(s(59));
    assert_eq!(bench.kinds(), [kind]);
    bench.pass(s(2));
    assert_eq!(bench.turns(), [(Turn::Raised, kind), (Turn::Cleared, kind)]);
    assert_eq!(bench.kinds(), []);
    assert_eq!(bench.notices.len(), 2);
    alarm.message
}

#[test]
fn what_is_allowed_raises_nothing() {
    let mut bench = red();
    bench.say(hello(3, 1));
    bench.say(join(2, shared("239.1.5.5"), 1));
    bench.say(join(2, tree("10.11.0.9", "239.1.5.5"), 1));
    bench.say(join(1, tree("10.13.0.1", "232.1.1.1"), 2));
    bench.say(join(1, tree("10.12.0.1", "239.1.9.1"), 3));
    bench.say(mapping(1, "10.11.0.9", "239.1.1.5", "239.200.0.77"));
    bench.take_back(Key::Neighbor { pe: pe(3) });
    bench.pass(s(4_000));
    assert_eq!(bench.transitions, []);
    assert_eq!(bench.alarms.counts().conditions, 0);
}

#[test]
fn a_pe_is_missing_until_it_is_back() {
    let mut bench = red();
    bench.change(Key::Neighbor { pe: pe(2) }, None, Cause::Expired);
    bench.pass(s(31));
    let alarm = bench.active()[0].clone();
    assert_eq!(
        (alarm.kind, alarm.severity),
        (Kind::PeMissing, Severity::Major)
    );
    assert_eq!(
        (alarm.pe, alarm.pe_name.clone()),
        (Some(pe(2)), Some(name("PE2")))
    );
    insta::assert_snapshot!(alarm.message, @"MVPN red: PE PE2 (10.2.0.2) is missing: expected its PIM Hello on the default MDT, and no valid one was there for 30s");
    bench.say(hello(2, 1));
    bench.pass(s(61));
    assert_eq!(
        bench.turns(),
        [
            (Turn::Raised, Kind::PeMissing),
            (Turn::Cleared, Kind::PeMissing)
        ]
    );
}

#[test]
fn nobody_is_missed_before_the_monitor_has_listened() {
    let mut bench = Bench::watching(AlarmSpec::default(), RED);
    bench.pass(s(10));
    bench.say(hello(1, 1));
    bench.pass(s(74));
    assert_eq!(bench.kinds(), []);
    bench.pass(s(2));
    assert_eq!(bench.kinds(), [Kind::PeMissing]);
}

#[test]
fn a_pe_that_is_not_expected() {
    let message = one_alarm(hello(66, 1), Kind::PeUnexpected);
    insta::assert_snapshot!(message, @"MVPN red: PE 10.2.0.66 takes part and is not expected: a PIM Hello; 3 PEs are");
}

#[test]
fn a_rogue_that_says_no_hello_is_found_all_the_same() {
    let message = one_alarm(join(66, shared("239.1.1.1"), 1), Kind::PeUnexpected);
    insta::assert_snapshot!(message, @"MVPN red: PE 10.2.0.66 takes part and is not expected: a Join; 3 PEs are");
}

#[test]
fn a_group_that_is_not_expected() {
    let message = one_alarm(
        join(2, tree("10.99.0.1", "239.9.9.9"), 1),
        Kind::GroupUnexpected,
    );
    insta::assert_snapshot!(message, @"MVPN red: group 239.9.9.9 is not expected: a Join of PE PE2 (10.2.0.2); allowed are 239.1.0.0/16, 232.1.1.1");
}

#[test]
fn a_source_that_is_not_expected() {
    let message = one_alarm(
        join(2, tree("10.99.0.1", "239.1.1.1"), 1),
        Kind::SourceUnexpected,
    );
    insta::assert_snapshot!(message, @"MVPN red: source 10.99.0.1 may not send to group 239.1.1.1: a Join of PE PE2 (10.2.0.2); allowed are 10.11.0.0/16");
    // The longest range counts.
    one_alarm(
        join(2, tree("10.11.0.9", "239.1.9.1"), 1),
        Kind::SourceUnexpected,
    );
}

#[test]
fn a_pe_that_may_not_receive_a_group() {
    let message = one_alarm(join(2, shared("232.1.1.1"), 1), Kind::ReceiveNotAllowed);
    insta::assert_snapshot!(message, @"MVPN red: sites of PE PE2 (10.2.0.2) may not receive group 232.1.1.1, and it asks for it: a Join; allowed are 239.1.0.0/16");
}

#[test]
fn a_pruned_source_is_not_received() {
    let mut bench = red();
    let route = Route::Rpt {
        source: ip("10.11.0.1"),
        group: ip("232.1.1.1"),
    };
    bench.say(join(2, route, 1));
    bench.pass(s(300));
    assert_eq!(bench.transitions, []);
}

#[test]
fn a_pe_that_forwards_what_it_may_not_send() {
    let message = one_alarm(
        (
            Key::Assert {
                pe: pe(2),
                route: tree("10.11.0.1", "239.1.1.1"),
            },
            State::Assert {
                preference: 110,
                metric: 20,
            },
        ),
        Kind::SendNotAllowed,
    );
    insta::assert_snapshot!(message, @"MVPN red: sites of PE PE2 (10.2.0.2) may not send to group 239.1.1.1, and it does: an Assert; allowed are 232.1.1.1");
}

#[test]
fn a_pe_that_is_asked_for_what_it_may_not_send() {
    let mut bench = red();
    let asks = join(1, tree("10.11.0.1", "239.1.1.1"), 2);
    bench.say(asks.clone());
    bench.pass(s(31));
    let alarm = bench.active()[0].clone();
    assert_eq!((alarm.kind, alarm.pe), (Kind::SendNotAllowed, Some(pe(2))));
    insta::assert_snapshot!(alarm.message, @"MVPN red: sites of PE PE2 (10.2.0.2) may not send to group 239.1.1.1, and another PE asks it for a source (10.77.0.2); allowed are 232.1.1.1");
    bench.take_back(asks.0);
    bench.pass(s(61));
    assert_eq!(bench.kinds(), []);
}

#[test]
fn whom_a_join_asks_may_become_known_after_it() {
    let mut bench = Bench::watching(AlarmSpec::default(), RED);
    bench.say(hello(1, 1));
    bench.say(join(1, tree("10.11.0.1", "239.1.1.1"), 2));
    bench.pass(s(60));
    assert_eq!(bench.kinds(), []);
    bench.say(hello(2, 1));
    bench.pass(s(31));
    assert_eq!(bench.kinds(), [Kind::SendNotAllowed]);
}

#[test]
fn mappings_that_should_not_be() {
    let message = one_alarm(
        mapping(1, "10.11.0.1", "239.1.1.1", "239.201.0.1"),
        Kind::MappingOutsidePool,
    );
    insta::assert_snapshot!(message, @"MVPN red: PE PE1 (10.2.0.1) has mapped (10.11.0.1,239.1.1.1) to 239.201.0.1, which is not in the pool of data MDTs: 239.200.0.0/24");
    let message = one_alarm(
        mapping(1, "10.11.0.1", "239.1.5.1", "239.200.0.1"),
        Kind::MappingNotAllowed,
    );
    insta::assert_snapshot!(message, @"MVPN red: PE PE1 (10.2.0.1) has mapped (10.11.0.1,239.1.5.1) to the data MDT 239.200.0.1, and the group may not be on one; allowed are 239.1.1.0/24");
}

#[test]
fn a_mapping_that_moves_within_what_is_wrong_is_one_alarm() {
    let mut bench = red();
    for third in 1..20 {
        let data_mdt = format!("239.201.{third}.1");
        bench.say(mapping(1, "10.11.0.1", "239.1.1.1", &data_mdt));
        bench.pass(s(20));
    }
    assert_eq!(bench.turns(), [(Turn::Raised, Kind::MappingOutsidePool)]);
    assert!(!bench.active()[0].flapping);
}

#[test]
fn a_restart_is_said_at_once_and_is_over_after_a_while() {
    let mut bench = red();
    let (key, state) = hello(2, 2);
    bench.change(key, Some(state), Cause::Restarted);
    bench.pass(s(0));
    assert_eq!(bench.kinds(), [Kind::PeRestarted]);
    bench.pass(s(61));
    assert_eq!(
        bench.turns(),
        [
            (Turn::Raised, Kind::PeRestarted),
            (Turn::Cleared, Kind::PeRestarted)
        ]
    );
}

#[test]
fn two_records_of_one_wrong_are_one_alarm_until_both_are_gone() {
    let mut bench = red();
    let (one, other) = (
        join(2, shared("239.9.9.9"), 1),
        join(2, tree("10.11.0.1", "239.9.9.9"), 1),
    );
    bench.say(one.clone());
    bench.say(other.clone());
    bench.pass(s(31));
    bench.take_back(one.0);
    bench.pass(s(600));
    assert_eq!(bench.turns(), [(Turn::Raised, Kind::GroupUnexpected)]);
    bench.take_back(other.0);
    bench.pass(s(61));
    assert_eq!(bench.turns(), [(Turn::Cleared, Kind::GroupUnexpected)]);
}

#[test]
fn what_becomes_expected_is_cleared_at_once_and_what_no_longer_is_raised() {
    let mut bench = red();
    bench.say(hello(66, 1));
    bench.pass(s(31));
    bench.turns();
    bench.expect("pes = { PE1 = '10.2.0.1', PE66 = '10.2.0.66' }");
    bench.pass(s(0));
    let cleared = bench.transitions[0].alarm.cleared_because;
    assert_eq!(cleared, Some(Cleared::Expected));
    bench.pass(s(31));
    assert_eq!(
        bench.turns(),
        [
            (Turn::Cleared, Kind::PeUnexpected),
            (Turn::Raised, Kind::PeUnexpected)
        ]
    );
    assert_eq!(bench.active()[0].pe, Some(pe(2)));
    bench
        .alarms
        .handle_nothing_expected(bench.now, &name("red"));
    bench.pass(s(1));
    assert_eq!(bench.kinds(), []);
}

#[test]
fn an_expectation_given_again_disturbs_nothing() {
    let mut bench = red();
    bench.say(hello(66, 1));
    bench.say(join(1, tree("10.11.0.1", "239.1.1.1"), 2));
    bench.pass(s(31));
    bench.turns();
    bench.expect(RED);
    bench.pass(s(300));
    assert_eq!(bench.turns(), []);
    assert_eq!(bench.kinds(), [Kind::SendNotAllowed, Kind::PeUnexpected]);
}

#[test]
fn what_is_not_listened_to_is_not_amiss() {
    let mut bench = red();
    bench.say(hello(66, 1));
    bench.pass(s(31));
    bench.turns();
    bench.alarms.handle_unwatched(bench.now, &name("red"));
    bench.view.clear();
    bench.pass(s(4_000));
    let cleared = bench.transitions[0].alarm.cleared_because;
    assert_eq!(cleared, Some(Cleared::Unwatched));
    assert_eq!(bench.turns(), [(Turn::Cleared, Kind::PeUnexpected)]);
}

#[test]
fn a_kind_that_is_off_is_not_raised_and_one_turned_off_is_cleared() {
    let mut bench = red();
    bench.say(join(2, shared("239.9.9.9"), 1));
    bench.pass(s(31));
    let off: AlarmSpec = toml::from_str("[kinds.group-unexpected]\noff = true").unwrap();
    bench.alarms.handle_spec(bench.now, off).unwrap();
    bench.say(join(2, shared("239.9.9.8"), 1));
    bench.pass(s(300));
    assert_eq!(bench.kinds(), []);
    bench
        .alarms
        .handle_spec(bench.now, AlarmSpec::default())
        .unwrap();
    bench.take();
    bench.pass(s(31));
    assert_eq!(bench.kinds(), [Kind::GroupUnexpected; 2]);
}

#[test]
fn an_alarm_reads_back_from_its_json() {
    let mut bench = red();
    bench.say(join(2, tree("10.99.0.1", "239.1.1.1"), 1));
    bench.pass(s(31));
    let json = serde_json::to_string_pretty(&bench.notices[0]).unwrap();
    assert_eq!(
        serde_json::from_str::<crate::alarm::Notice>(&json).unwrap(),
        bench.notices[0]
    );
    insta::assert_snapshot!(json);
}
