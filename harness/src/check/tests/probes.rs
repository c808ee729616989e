//! The log and the interval rows: fates, sums, duplicates, what a kill may cost.

use super::world::*;

#[test]
fn fates_hold_where_log_and_taps_agree() {
    let finding = fates(&World::new());
    held(&finding);
    assert_eq!(finding.judged, 400);
    assert_eq!(finding.figures["lost"], Figure::Count(20));
}

#[test]
fn fates_name_each_kind_of_difference() {
    let spoil: [Spoiled; 7] = [
        (
            |w| {
                w.claim(20).lost = true;
            },
            "the monitor says lost, the taps saw it arrive after 40.00 ms",
        ),
        (
            |w| {
                w.claim(33).lost = false;
            },
            "the monitor says received, the taps saw it lost at PE1-P/P",
        ),
        (
            |w| {
                w.claim(20).duplicates = 1;
            },
            "1 duplicates, the taps saw 0",
        ),
        (
            |w| {
                w.copy(20).reordered = true;
            },
            "the monitor says in order, the taps saw it reordered",
        ),
        (
            |w| {
                w.claims.probes.remove(&key(20));
            },
            "the monitor's log does not have it",
        ),
        (
            |w| {
                w.copies.remove(&key(20));
            },
            "the taps never saw it expected",
        ),
        (
            |w| {
                w.claim(20).warmup = true;
            },
            "calls it warm-up",
        ),
    ];
    for (spoil, because) in spoil {
        let mut world = World::new();
        spoil(&mut world);
        failed(&fates(&world), because);
    }
}

#[test]
fn fates_need_enough_to_judge() {
    let world = World::new();
    failed(
        &fates::fates(&world.facts(), "red", 401, Span::default(), None),
        "only 400",
    );
    failed(
        &fates::fates(&world.facts(), "blue", 0, Span::default(), None),
        "nothing judged",
    );
    held(&fates::fates(
        &world.facts(),
        "red",
        100,
        span(10_000),
        Some(span(16_000)),
    ));
}

#[test]
fn a_probe_around_a_stop_may_be_missing_and_later_ones_too() {
    let mut world = World::new();
    world.done(
        Action::PeStop {
            task: "red".into(),
            tunnel: "t2".into(),
        },
        START + 15 * S,
    );
    let gone: Vec<ProbeKey> = world
        .copies
        .iter()
        .filter(|(_, copy)| copy.sent_ns > START + 15 * S)
        .map(|(k, _)| *k)
        .collect();
    world.claims.probes.retain(|key, _| !gone.contains(key));
    held(&fates::fates(
        &world.facts(),
        "red",
        200,
        Span::default(),
        None,
    ));
    world.claims.probes.remove(&key(50));
    failed(
        &fates::fates(&world.facts(), "red", 200, Span::default(), None),
        "probe 50",
    );
}

#[test]
fn a_late_arrival_on_the_edge_of_the_timeout_may_be_either() {
    let mut world = World::new();
    let copy = world.copy(20);
    copy.first_arrival_ns = Some(copy.sent_ns + 2 * S + 1_000);
    copy.arrived_ns = None;
    held(&fates(&world));
}

#[test]
fn intervals_hold_and_each_kind_of_error_is_named() {
    held(&intervals::intervals(&World::new().facts(), "red"));
    let spoil: [Spoiled; 4] = [
        (
            |w| {
                w.claims.intervals.pop();
            },
            "there is no row for its 50 probes",
        ),
        (
            |w| {
                w.claims.intervals[1].lost += 1;
            },
            "the log adds up to",
        ),
        (
            |w| {
                w.claim(60).interval = Some(0);
            },
            "counted in interval Some(0) rather than Some(1)",
        ),
        (
            |w| {
                w.claims.intervals[0].start_ns += 1;
            },
            "it should begin at",
        ),
    ];
    for (spoil, because) in spoil {
        let mut world = World::new();
        spoil(&mut world);
        failed(&intervals::intervals(&world.facts(), "red"), because);
    }
}

#[test]
fn duplicates_and_reordering_must_have_been_logged() {
    let mut world = World::new();
    failed(&fates::duplicates(&world.facts(), "red", 1), "0 logged");
    failed(&fates::reordered(&world.facts(), "red", 1), "0 logged");
    (world.claim(20).duplicates, world.claim(21).reordered) = (2, true);
    held(&fates::duplicates(&world.facts(), "red", 2));
    held(&fates::reordered(&world.facts(), "red", 1));
}

#[test]
fn the_log_before_a_kill_may_miss_only_its_end() {
    let mut world = World::new();
    failed(
        &fates::log_lost_before_kill(&world.facts(), span(1000)),
        "nothing judged",
    );
    world.done(Action::MonitorKill {}, START + 15 * S);
    // With a loss timeout of 2 s these were decided from 14 s on.
    let gone: Vec<ProbeKey> = world
        .copies
        .iter()
        .filter(|(_, copy)| copy.sent_ns > START + 12 * S)
        .map(|(k, _)| *k)
        .collect();
    world.claims.probes.retain(|key, _| !gone.contains(key));
    held(&fates::log_lost_before_kill(&world.facts(), span(1000)));
    failed(
        &fates::log_lost_before_kill(&world.facts(), span(900)),
        "decided 995.0 ms before",
    );
}
