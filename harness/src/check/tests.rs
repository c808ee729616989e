//! Each check held and failed, on a world made up by hand: two routers, one tunnel each, a task of two pairs.

mod figures;
mod lab;
mod mdts;
mod oneway;
mod passive;
mod probes;
mod world;

use world::*;

#[test]
fn a_scenario_that_expects_nothing_does_not_pass() {
    assert!(matches!(verdict(&[]), Verdict::Fail { .. }));
    assert_eq!(verdict(&[fates(&World::new())]), Verdict::Pass);
}

#[test]
fn every_expectation_of_the_scenario_is_judged_in_its_order() {
    let world = World::new();
    let findings = judge(&world.facts());
    assert_eq!(
        findings
            .iter()
            .map(|f| f.check.as_str())
            .collect::<Vec<_>>(),
        ["intervals"]
    );
    held(&findings[0]);
}
