//! Pairs corrected by what was inferred (OL-10).

use vmscope_core::control::*;
use vmscope_core::fault::Planted;

use crate::network::*;

/// Two routers, each with two tunnels of m1 and one of m2. Up: t1, t4; down: t2, t5; m2: t3, t6.
pub fn two_routers(seed: u64, fault: Planted) -> World {
    let mut world = World::new(seed, 2, fault);
    for (router, up, down) in [(0, 0.08, 0.002), (1, 0.05, 0.03)] {
        // Each tunnel loses in both directions; up and down are far from alike.
        world.add_tunnel(0, router, path(4, up), path(4, 0.0));
        world.add_tunnel(0, router, path(4, 0.0), path(4, down));
        world.add_tunnel(1, router, path(4, 0.01), path(4, 0.01));
    }
    world.core = path(10, CORE_LOSS);
    world
}

/// Between the routers.
pub const CORE_LOSS: f64 = 0.02;

pub fn measure(
    world: &mut World,
    name: &str,
    (up, down, leaf): (&str, &str, &str),
    group: &str,
    duration: &str,
) {
    world.ok(0, &format!(r#""op":"oneway-start","name":"{name}","up":"{up}","down":["{down}"],"group":"{group}","leaf":[{{"kind":"collector","peer":"m2","tunnel":"{leaf}"}}],"valid_for":"2m","probes":{{"rate":"500pps","duration":"{duration}"}}"#));
}

fn pair(world: &mut World) -> PairResult {
    let Answer::Pairs { pairs, .. } = world.ok(0, r#""op":"task-stats","name":"pair""#) else {
        panic!()
    };
    pairs[0].clone()
}

const TASK: &str = r#""op":"task-start","name":"pair","group":"239.1.1.1","senders":["t1"],"receivers":["t5"],"probes":{"rate":"200pps","interval":"10s","duration":"60s"}"#;

#[test]
fn asymmetric_tunnels_are_taken_out_with_their_error() {
    let mut covered = 0;
    for seed in 0..20 {
        let mut world = two_routers(seed, Planted::NONE);
        measure(&mut world, "one", ("t1", "t2", "t3"), "239.7.7.1", "40s");
        measure(&mut world, "two", ("t4", "t5", "t6"), "239.7.7.2", "40s");
        world.run(60 * S);
        world.ok(0, TASK);
        world.run(70 * S);
        let found = pair(&mut world).corrected;
        let inferred = found.loss_inferred.unwrap();
        let half = (found.loss_half.unwrap() - CORE_LOSS).abs();
        assert!((inferred - CORE_LOSS).abs() < half / 2.0, "{found:?}");
        let (low, high) = (
            found.loss_inferred_low.unwrap(),
            found.loss_inferred_high.unwrap(),
        );
        covered += u32::from(low <= CORE_LOSS && CORE_LOSS <= high);
        assert!(
            high - low > 0.004,
            "the tunnels' own errors are in it: {found:?}"
        );
        let from: Vec<String> = found
            .inferred_from
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(from, ["one", "two"]);
        let rows = world.hosts[0]
            .records
            .iter()
            .filter_map(|record| match record {
                Record::Interval(row) => Some(&row.pair.corrected),
                _ => None,
            });
        assert!(rows.clone().count() >= 6);
        assert!(
            rows.clone()
                .all(|c| c.loss_inferred.is_some() && c.loss_inferred_low <= c.loss_inferred)
        );
    }
    assert!(covered >= 17, "{covered} of 20");
}

#[test]
fn what_is_too_old_or_of_one_way_only_corrects_nothing() {
    let mut world = two_routers(1, Planted::NONE);
    measure(&mut world, "one", ("t1", "t2", "t3"), "239.7.7.1", "30s");
    world.run(50 * S);
    world.ok(0, TASK);
    world.run(70 * S);
    assert_eq!(
        pair(&mut world).corrected.loss_inferred,
        None,
        "nothing is known of the way down"
    );
    measure(&mut world, "two", ("t4", "t5", "t6"), "239.7.7.2", "30s");
    world.run(150 * S);
    world.ok(0, TASK);
    world.run(70 * S);
    let found = pair(&mut world).corrected;
    assert_eq!(
        (found.loss_inferred, found.inferred_from),
        (None, Vec::new()),
        "two minutes are over"
    );
    assert!(found.loss_half.is_some());
}

#[test]
fn what_is_forgotten_corrects_nothing() {
    let mut world = two_routers(2, Planted::NONE);
    measure(&mut world, "one", ("t1", "t2", "t3"), "239.7.7.1", "30s");
    measure(&mut world, "two", ("t4", "t5", "t6"), "239.7.7.2", "30s");
    world.run(50 * S);
    world.ok(0, r#""op":"oneway-drop","name":"two""#);
    world.ok(0, TASK);
    world.run(70 * S);
    assert_eq!(pair(&mut world).corrected.loss_inferred, None);
}
