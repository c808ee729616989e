//! Planted faults of one-way loss: each shows in what a sound monitor never says.

use vmscope_core::fault::{Fault, Planted};

use crate::corrects::{CORE_LOSS, measure, two_routers};
use crate::network::*;

fn faulty(fault: Fault, kind: &str, losses: [f64; 4]) -> World {
    let mut world = World::new(1, 2, Planted::only(fault));
    let [up, down, leaf, back] = losses;
    world.add_tunnel(0, 0, path(4, up), path(9, 0.3));
    world.add_tunnel(0, 0, path(7, 0.3), path(6, down));
    world.add_tunnel(1, 0, path(5, back), path(3, leaf));
    start(&mut world, kind, r#""rate":"500pps","duration":"40s""#, "");
    world
}

#[test]
fn ways_up_and_down_that_are_taken_for_each_other_show() {
    let mut world = faulty(
        Fault::UpAndDownSwapped,
        "collector",
        [0.05, 0.005, 0.01, 0.0],
    );
    world.run(60 * S);
    let row = world.status("x").row.unwrap();
    assert!(
        !holds(&row.up, 0.05) && !holds(&row.down[0].1, 0.005),
        "{row:?}"
    );
}

#[test]
fn reflected_copies_that_are_taken_for_direct_ones_show() {
    let mut world = faulty(
        Fault::ReflectedAsDirect,
        "reflector",
        [0.03, 0.05, 0.01, 0.01],
    );
    world.run(60 * S);
    let row = world.status("x").row.unwrap();
    assert!(!holds(&row.down[0].1, 0.05), "{row:?}");
}

#[test]
fn drops_of_the_collector_that_count_as_loss_show() {
    let mut world = faulty(
        Fault::CollectorDropsAsLoss,
        "collector",
        [0.01, 0.01, 0.01, 0.0],
    );
    world.run(10 * S);
    world.hosts[1].capture_misses = 0.3;
    world.run(10 * S);
    world.hosts[1].capture_misses = 0.0;
    world.run(40 * S);
    let status = world.status("x");
    assert_eq!(status.row.as_ref().unwrap().discarded, 0);
    assert!(status.row.unwrap().leaf[0].loss > 0.03);
}

#[test]
fn an_error_that_is_forgotten_makes_intervals_too_narrow() {
    let width = |fault: Planted| {
        let mut world = two_routers(3, fault);
        measure(&mut world, "one", ("t1", "t2", "t3"), "239.7.7.1", "25s");
        measure(&mut world, "two", ("t4", "t5", "t6"), "239.7.7.2", "25s");
        world.run(40 * S);
        world.ok(0, r#""op":"task-start","name":"pair","group":"239.1.1.1","senders":["t1"],"receivers":["t5"],"probes":{"rate":"500pps","duration":"60s"}"#);
        world.run(70 * S);
        let answer = world.ok(0, r#""op":"task-stats","name":"pair""#);
        let vmscope_core::control::Answer::Pairs { pairs, .. } = answer else {
            panic!()
        };
        let found = &pairs[0].corrected;
        assert!((found.loss_inferred.unwrap() - CORE_LOSS).abs() < 0.02);
        found.loss_inferred_high.unwrap() - found.loss_inferred_low.unwrap()
    };
    let sound = width(Planted::NONE);
    let faulty = width(Planted::only(Fault::InferenceErrorForgotten));
    assert!(faulty < 0.8 * sound, "{faulty} {sound}");
}
