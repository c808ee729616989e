//! The tree of one branching that most tests measure.

use vmscope_core::control::{Answer, Configuration, OnewayState, PathLoss, Reflecting};
use vmscope_core::fault::Planted;

use super::{GROUP, MS, Path, S, World};

/// A path of this delay and loss.
pub fn path(delay_ms: u64, loss: f64) -> Path {
    Path {
        delay: delay_ms * MS,
        loss,
        ..Path::default()
    }
}

/// One router; t1 (up) and t2 (down) of m1, t3 of m2. Losses: up, down, leaf there, leaf back.
pub fn tree(seed: u64, losses: [f64; 4]) -> World {
    let mut world = World::new(seed, 2, Planted::NONE);
    let [up, down, leaf, back] = losses;
    world.add_tunnel(0, 0, path(4, up), path(9, 0.3));
    world.add_tunnel(0, 0, path(7, 0.3), path(6, down));
    world.add_tunnel(1, 0, path(5, back), path(3, leaf));
    world.core = path(10, 0.0);
    world
}

/// Starts a measurement named x over such a tree, up t1, down t2, with a leaf at m2's t3.
pub fn start(world: &mut World, kind: &str, probes: &str, more: &str) {
    world.ok(
        0,
        &format!(
            r#""op":"oneway-start","name":"x","up":"t1","down":["t2"],"group":"{GROUP}","leaf":[{{"kind":"{kind}","peer":"m2","tunnel":"t3"}}],"probes":{{"warmup":"1s",{probes}}}{more}"#
        ),
    );
}

/// What m1's probes being sent again by m2 into t3 takes.
pub fn wanted(world: &mut World, rate_max: &str) -> String {
    let Answer::Hello { session, .. } = world.ok(0, r#""op":"hello""#) else {
        panic!("no hello")
    };
    format!(
        r#""op":"reflect-start","name":"y","session":{session},"tunnel":"t3","group":"{GROUP}","rate_max":"{rate_max}","lease":"60s""#
    )
}

/// Asks m2 for it, or asks it to go on.
pub fn reflecting(world: &mut World, wanted: &str) -> Reflecting {
    match world.ok(1, wanted) {
        Answer::Reflecting(reflecting) => reflecting,
        other => panic!("{other:?}"),
    }
}

/// m1 sends 400 probes a second up t1, for ever.
pub fn flood(world: &mut World) {
    world.ok(0, &format!(r#""op":"send-start","name":"flood","tunnel":"t1","group":"{GROUP}","probes":{{"rate":"400pps"}}"#));
}

/// Whether an interval holds the truth.
pub fn holds(loss: &PathLoss, truth: f64) -> bool {
    loss.low <= truth && truth <= loss.high
}

/// How often of 60 seeds an interval of up, down and leaf does not hold the truth. What is measured by a leaf of this kind must
/// be whole each time, and no estimate further off than five deviations.
pub fn missed_of_60(kind: &str, losses: [f64; 4], truth: [f64; 3]) -> [u32; 3] {
    let configuration = match kind {
        "collector" => Configuration::PerPacket,
        "reflector" => Configuration::Reflected,
        other => panic!("no leaf is a {other}"),
    };
    let mut missed = [0; 3];
    for seed in 0..60 {
        let mut world = tree(seed, losses);
        start(&mut world, kind, r#""rate":"200pps","duration":"30s""#, "");
        world.run(45 * S);
        let status = world.status("x");
        let ended = (status.state, &status.refused);
        assert_eq!(ended, (OnewayState::Spent, &None), "{status:?}");
        let row = status.row.expect("a row");
        let whole = (row.probes, row.discarded, row.blocks);
        assert_eq!(whole, (6_000, 0, 30), "{:?}", status.unsure);
        assert_eq!(row.configuration, configuration);
        let found = [row.up, row.down[0].1, row.leaf[0]];
        for (path, (loss, truth)) in found.iter().zip(truth).enumerate() {
            missed[path] += u32::from(!holds(loss, truth));
            let off = (loss.loss - truth).abs();
            assert!(off < 5.0 * loss.deviation + 1e-3, "{loss:?} {truth}");
        }
    }
    missed
}
