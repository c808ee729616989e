//! Pairs of routers behind asymmetric tunnels: what half a round trip makes of their loss, beside inference.
//!
//! ```text
//! cargo run --release -p vmscope-core --example asymmetric -- [SEEDS [SECONDS]]
//! ```
//!
//! Two routers, the path between them loses 1 %. The ways up and down of their tunnels share a round trip loss of 4 %
//! by turns: alike, three to one, all on one side. Two monitors measure the one-way losses for SECONDS at 500 packets a
//! second; then the pair is probed as long at 500. All is whole sessions on a simulated network, in virtual time.

#[allow(dead_code)]
#[path = "../tests/two_hosts/agent.rs"]
mod agent;
#[allow(dead_code, unused_imports)]
#[path = "../tests/two_hosts/network/mod.rs"]
mod network;

use network::{S, World, path};
use vmscope_core::control::Answer;
use vmscope_core::fault::Planted;

const PATH_LOSS: f64 = 0.01;
const ROUND_TRIP_LOSS: f64 = 0.04;
/// Share of a round trip's loss that is on the way up: of the sender's tunnel, of the receiver's.
const SPLITS: [(f64, f64); 6] = [
    (0.5, 0.5),
    (0.75, 0.25),
    (0.25, 0.75),
    (1.0, 0.0),
    (0.0, 1.0),
    (1.0, 1.0),
];

/// Errors of one run; whether the interval held the truth, and half its width.
struct Outcome {
    half: f64,
    inferred: f64,
    covered: bool,
    half_width: f64,
}

fn run(seed: u64, (sender, receiver): (f64, f64), seconds: u64) -> Option<Outcome> {
    let mut world = World::new(seed, 2, Planted::NONE);
    for (router, share) in [(0, sender), (1, receiver)] {
        // The tunnel that is asked about, in both directions; then its helper, and the peer's.
        world.add_tunnel(
            0,
            router,
            path(5, share * ROUND_TRIP_LOSS),
            path(5, (1.0 - share) * ROUND_TRIP_LOSS),
        );
        world.add_tunnel(0, router, path(5, 0.01), path(5, 0.01));
        world.add_tunnel(1, router, path(5, 0.01), path(5, 0.01));
    }
    world.core = path(20, PATH_LOSS);
    for (name, up, down, leaf, group) in [
        ("up", "t1", "t2", "t3", "239.7.7.1"),
        ("down", "t5", "t4", "t6", "239.7.7.2"),
    ] {
        world.ok(0, &format!(r#""op":"oneway-start","name":"{name}","up":"{up}","down":["{down}"],"group":"{group}","leaf":[{{"kind":"collector","peer":"m2","tunnel":"{leaf}"}}],"probes":{{"rate":"500pps","duration":"{seconds}s"}}"#));
    }
    world.run((seconds + 10) * S);
    world.ok(0, &format!(r#""op":"task-start","name":"pair","group":"239.1.1.1","senders":["t1"],"receivers":["t4"],"probes":{{"rate":"500pps","duration":"{seconds}s"}}"#));
    world.run((seconds + 10) * S);
    let Answer::Pairs { pairs, .. } = world.ok(0, r#""op":"task-stats","name":"pair""#) else {
        return None;
    };
    let found = &pairs.first()?.corrected;
    let (low, high) = (found.loss_inferred_low?, found.loss_inferred_high?);
    Some(Outcome {
        half: found.loss_half? - PATH_LOSS,
        inferred: found.loss_inferred? - PATH_LOSS,
        covered: low <= PATH_LOSS && PATH_LOSS <= high,
        half_width: (high - low) / 2.0,
    })
}

fn main() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| match arguments.next() {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| format!("{text:?} is no number: say SEEDS and SECONDS")),
    };
    let (seeds, seconds) = (number(20)?.max(1), number(60)?.clamp(25, 3_600));
    println!(
        "path loses {:.1} %, each tunnel's round trip {:.1} %; {seeds} seeds, {seconds} s",
        PATH_LOSS * 100.0,
        ROUND_TRIP_LOSS * 100.0
    );
    println!(
        "{:>24}  {:>20}  {:>20}  {:>12}  {:>8}",
        "up : down, of sender",
        "half: mean |error| %",
        "inferred: the same %",
        "half width %",
        "covered"
    );
    for split in SPLITS {
        let outcomes: Option<Vec<Outcome>> =
            (0..seeds).map(|seed| run(seed, split, seconds)).collect();
        let outcomes = outcomes.ok_or("a pair was not corrected")?;
        let mean =
            |of: fn(&Outcome) -> f64| 100.0 * outcomes.iter().map(of).sum::<f64>() / seeds as f64;
        let covered = outcomes.iter().filter(|outcome| outcome.covered).count();
        let of = |share: f64| format!("{:.0}:{:.0}", share * 4.0, (1.0 - share) * 4.0);
        println!(
            "{:>24}  {:>20.3}  {:>20.3}  {:>12.3}  {covered:>3} of {seeds}",
            format!("{}, of receiver {}", of(split.0), of(split.1)),
            mean(|o| o.half.abs()),
            mean(|o| o.inferred.abs()),
            mean(|o| o.half_width)
        );
    }
    Ok(())
}
