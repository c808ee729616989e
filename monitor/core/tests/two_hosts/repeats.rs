//! One seed, one run.

use crate::network::*;

#[test]
fn one_seed_gives_the_same_bytes_and_another_others() {
    let told = |seed: u64| {
        let mut world = tree(seed, [0.02, 0.01, 0.01, 0.005]);
        start(
            &mut world,
            "reflector",
            r#""rate":"200pps","duration":"20s","schedule":"poisson""#,
            "",
        );
        world.run(15 * S);
        world.restart(1);
        world.run(30 * S);
        std::mem::take(&mut world.hosts[0].lines)
    };
    let first = told(7);
    assert!(first.contains(r#""event":"oneway""#));
    assert_eq!(first, told(7));
    assert_ne!(first, told(8));
}
