//! Delay, loss, outage, and the path between the routers.

use super::world::*;

#[test]
fn delay_error_is_judged_at_its_99th_percentile() {
    let mut world = World::new();
    held(&delay::delay_error(
        &world.facts(),
        "red",
        Span { ns: 3_000 },
    ));
    failed(
        &delay::delay_error(&world.facts(), "red", Span { ns: 2_999 }),
        "99th percentile of the error is 3.000 µs",
    );
    world
        .claims
        .probes
        .values_mut()
        .for_each(|claim| claim.received_ns = None);
    failed(
        &delay::delay_error(&world.facts(), "red", span(1)),
        "nothing judged",
    );
}

#[test]
fn delay_must_lie_in_its_range() {
    let world = World::new();
    held(&delay::delay(
        &world.facts(),
        "red",
        (None, None),
        span(39),
        span(41),
    ));
    failed(
        &delay::delay(
            &world.facts(),
            "red",
            (Some("t1"), None),
            span(41),
            span(50),
        ),
        "t1 → t2: 40.00 ms",
    );
}

#[test]
fn loss_rate_is_tested_against_what_was_injected() {
    let world = World::new();
    let finding = loss::loss_rate(&world.facts(), "red", (None, None), Probability(0.05), 1e-6);
    held(&finding);
    assert_eq!(finding.false_alarm, Some(2e-6));
    failed(
        &loss::loss_rate(&world.facts(), "red", (None, None), Probability(0.4), 1e-6),
        "10 of 200 measured as lost",
    );
    failed(
        &loss::loss_rate(
            &world.facts(),
            "red",
            (Some("t9"), None),
            Probability(0.4),
            1e-6,
        ),
        "nothing judged",
    );
}

#[test]
fn loss_between_and_cause_are_the_truths_own() {
    let world = World::new();
    let between = |at_least, at_most| loss::Between {
        from: span(5_000),
        until: span(15_000),
        at_least: Probability(at_least),
        at_most: Probability(at_most),
    };
    held(&loss::loss_between(
        &world.facts(),
        "red",
        (None, None),
        &between(0.01, 0.1),
    ));
    failed(
        &loss::loss_between(&world.facts(), "red", (None, None), &between(0.5, 1.0)),
        "5 of 100 lost",
    );
    held(&loss::cause(&world.facts(), LossCause::Netem, 20));
    failed(
        &loss::cause(&world.facts(), LossCause::LinkDown, 1),
        "0 of 20 lost probe copies",
    );
}

#[test]
fn outages_are_measured_by_both() {
    let mut world = World::new();
    held(&outage::outage(
        &world.facts(),
        "red",
        "t1",
        "t2",
        span(50),
        span(150),
    ));
    world.claim(34).lost = true;
    failed(
        &outage::outage(&world.facts(), "red", "t1", "t2", span(50), span(150)),
        "the monitor saw 200.0 ms",
    );
}

#[test]
fn path_estimates_are_judged_against_the_taps() {
    let mut world = World::new();
    let facts = world.facts();
    held(&path::path_delay(&facts, "red", Span { ns: 50_000 }));
    failed(
        &path::path_delay(&facts, "red", Span { ns: 49_000 }),
        "estimated 10.05 ms, true 10.00 ms",
    );
    held(&path::path_bias(
        &facts,
        "red",
        "t1",
        "t2",
        Span { ns: 40_000 },
    ));
    failed(
        &path::path_bias(&facts, "red", "t1", "t2", span(1)),
        "estimated",
    );
    held(&path::path_loss(&facts, "red", Probability(0.01)));
    held(&path::path_interval(&facts, "red", None, None));
    world.claims.intervals[0].path_delay_low_ns = Some(11 * MS as i64);
    failed(
        &path::path_interval(&world.facts(), "red", None, None),
        "does not hold 10.00 ms",
    );
    held(&path::path_interval(
        &world.facts(),
        "red",
        Some(span(1)),
        None,
    ));
    world
        .claims
        .intervals
        .iter_mut()
        .for_each(|row| (row.path_loss_low, row.path_loss_half) = (Some(0.15), Some(0.3)));
    failed(
        &path::path_interval(&world.facts(), "red", Some(span(1)), None),
        "far more than 5 in 100",
    );
    failed(
        &path::path_loss(&world.facts(), "red", Probability(0.01)),
        "estimated 30.00 %",
    );
}
