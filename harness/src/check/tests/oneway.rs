//! One-way loss, path loss by it, and bulk transfers.

use mvpnlab_emulator::scenario::Bitrate;
use mvpnlab_emulator::traffic::TransferLog;
use mvpnlab_emulator::truth::Spread;

use super::super::{inferred, oneway, transfer};
use super::world::*;
use crate::claims::{OnewayRun, WayClaim};

/// Probes into t1, copies back by t3, and to a peer at MON2 by t4.
const ONEWAY: &str = r#"
nodes = { P = { role = "p" }, PE1 = { role = "pe" }, PE2 = { role = "pe" }, CE1 = { role = "ce" }, CE2 = { role = "ce" }, MON = { role = "monitor" }, MON2 = { role = "monitor" } }
link = [{ ends = "PE1-P" }, { ends = "PE2-P" }, { ends = "P-MON" }, { ends = "PE1-CE1" }, { ends = "PE2-CE2" }, { ends = "PE2-MON2" }]
tunnel = [{ name = "t1", at = "PE1" }, { name = "t2", at = "PE2" }, { name = "t3", at = "PE1" }, { name = "t4", at = "PE1", host = "MON2" }]
backbone = { rp = "P" }
monitor = { task = [{ name = "red", mvpn = "red", rate = "10/s", interval = "5s", warmup = "1s", senders = ["t1", "t2"], receivers = ["t1", "t2"] }], oneway = [{ name = "alpha", up = "t1", down = ["t3"], leaf = [{ collector = "t4" }], group = "239.5.5.5", rate = "40/s", confidence = "99%" }] }
"#;

const PROBES: u32 = 1000;

/// Of 1000 probes 20 are lost on the way up, then 40 down t3 and 10 down t4, none at both.
fn world() -> World {
    let mut world = World::new();
    let head = ["nodes", "link", "tunnel", "backbone"];
    let kept = SCENARIO
        .lines()
        .filter(|line| !head.iter().any(|key| line.starts_with(&format!("{key} ="))));
    let kept: Vec<&str> = kept.collect();
    let text = kept
        .join("\n")
        .replacen("[mvpn.red]", &format!("{ONEWAY}[mvpn.red]"), 1);
    let tasks = text.find("[[monitor.task]]").unwrap();
    let expects = text.find("[[expect]]").unwrap();
    let text = format!("{}{}", &text[..tasks], &text[expects..]);
    world.scenario = Scenario::parse("world.toml", &text).unwrap_or_else(|e| panic!("{e}"));
    world.plan = Plan::of(&world.scenario);
    let at = |seq: u32| START + u64::from(seq) * 25 * MS;
    let probe = |seq: u32| Spread {
        id: ProbeId {
            task: 9,
            sender: 1,
            session: 7,
            sequence: seq,
        },
        warmup: false,
        sent_ns: at(seq),
        router_ns: (!seq.is_multiple_of(50)).then(|| at(seq) + MS),
        branches_ns: vec![
            (!seq.is_multiple_of(50) && seq % 25 != 1).then(|| at(seq) + 2 * MS),
            (!seq.is_multiple_of(50) && seq % 100 != 2).then(|| at(seq) + 2 * MS),
        ],
        returned_ns: None,
    };
    world
        .spreads
        .insert((7, 9), (0..PROBES).map(probe).collect());
    let (first, second, both) = (940.0, 970.0, 930.0);
    let way = |direction: &str, path: &str, pass: f64| WayClaim {
        direction: direction.into(),
        path: path.into(),
        configuration: "per-packet".into(),
        at_ns: at(PROBES - 1),
        probes: PROBES.into(),
        loss: 1.0 - pass,
        deviation: 0.004,
        low: 1.0 - pass - 0.01,
        high: 1.0 - pass + 0.01,
        ..WayClaim::default()
    };
    world.claims.oneways.push(OnewayRun {
        session: 7,
        run: 9,
        name: "alpha".into(),
        state: "stopped".into(),
        probes_sent: PROBES.into(),
        ways: vec![
            way("up", "t1", first * second / (1000.0 * both)),
            way("down", "t3", both / second),
            way("leaf", "0", both / first),
        ],
        ..OnewayRun::default()
    });
    world
}

fn judge_alpha(world: &World, at_least: u64, relative: Option<f64>) -> Finding {
    let injected = BTreeMap::from([("t3".to_owned(), Probability(0.045))]);
    let wanted = oneway::Wanted {
        at_least,
        ways: &[],
        relative_error_at_most: relative.map(Probability),
        injected: &injected,
    };
    oneway::oneway(&world.facts(), "alpha", &wanted)
}

#[test]
fn an_interval_must_hold_what_the_taps_saw() {
    let finding = judge_alpha(&world(), 1000, Some(0.05));
    held(&finding);
    assert_eq!(finding.judged, 3);
    // Three ways and one injected rate, at 99 %.
    assert!((finding.false_alarm.unwrap() - 0.04).abs() < 1e-12);
    let spoiled: [Spoiled; 7] = [
        (|w| ways(w)[0].low = 0.0201, "the taps saw 20 of 1000 lost"),
        (|w| ways(w)[1].high = 0.0449, "injected were 4.5"),
        (|w| ways(w)[2].low = ways(w)[2].high, "without width"),
        (|w| ways(w)[0].loss += 1e-4, "counted 940 and 970"),
        (|w| drop(ways(w).remove(2)), "t4: there is no estimate"),
        (|w| ways(w)[0].probes += 1, "1000 were sent"),
        (|w| w.claims.oneways.clear(), "never started"),
    ];
    for (spoil, because) in spoiled {
        let mut world = world();
        spoil(&mut world);
        failed(&judge_alpha(&world, 1000, None), because);
    }
    failed(&judge_alpha(&world(), 1001, None), "1000 probes count");
    failed(&judge_alpha(&world(), 1000, Some(0.02)), "off by 2.");
}

fn ways(world: &mut World) -> &mut Vec<WayClaim> {
    &mut world.claims.oneways[0].ways
}

#[test]
fn what_was_left_out_is_not_held_against_the_arithmetic() {
    let mut world = world();
    for way in ways(&mut world) {
        (way.probes, way.discarded) = (900, 100);
        way.loss += 0.001;
    }
    held(&judge_alpha(&world, 900, None));
}

#[test]
fn an_estimate_that_ought_not_to_be_is_found() {
    let mut world = world();
    failed(
        &oneway::absent(&world.facts(), "alpha", "reset"),
        "there is one: up t1: estimated 1.9",
    );
    let run = &mut world.claims.oneways[0];
    run.ways.clear();
    failed(
        &oneway::absent(&world.facts(), "alpha", "reset"),
        "what is told is []",
    );
    world.claims.oneways[0].refused = Some("the counter was reset".into());
    held(&oneway::absent(&world.facts(), "alpha", "reset"));
    failed(
        &oneway::doubt(&world.facts(), "alpha", "reset"),
        "no estimate",
    );
    failed(&judge_alpha(&world, 1, None), "the counter was reset");
}

#[test]
fn doubts_and_what_was_left_out_must_be_told() {
    let mut world = world();
    failed(
        &oneway::doubt(&world.facts(), "alpha", "stale"),
        "what is told is []",
    );
    world.claims.oneways[0].unsure = vec!["2 readings were stale".into()];
    held(&oneway::doubt(&world.facts(), "alpha", "stale"));
    ways(&mut world)[0].doubts = vec!["losses come together".into()];
    held(&oneway::doubt(&world.facts(), "alpha", "together"));
}

#[test]
fn a_bias_lies_in_its_range() {
    let mut world = world();
    let range = |low, high| (Probability(low), Probability(high));
    let bias = |world: &World, range| oneway::bias(&world.facts(), "alpha", "t1", range);
    failed(&bias(&world, range(0.001, 0.1)), "off by -0.0004");
    ways(&mut world)[0].loss += 0.005;
    held(&bias(&world, range(0.001, 0.1)));
    failed(&bias(&world, range(0.0, 0.001)), "off by +0.0045");
    ways(&mut world).clear();
    failed(&bias(&world, range(0.0, 1.0)), "there is no estimate");
}

fn corrected() -> World {
    let mut world = world();
    for row in &mut world.claims.intervals {
        row.path_loss_half = Some(if row.sender == 1 { 0.09 } else { 0.05 });
        row.path_loss_inferred = Some(0.052);
        (row.path_loss_inferred_low, row.path_loss_inferred_high) = (Some(0.0), Some(0.2));
    }
    world
}

/// Every pair's path loses 5 %; half the round trip takes a tunnel's own loss for the path's.
#[test]
fn inferred_path_loss_is_held_beside_half_the_round_trip() {
    let judge = |world: &World| {
        let shares = (Probability(0.01), Probability(0.03));
        inferred::path_loss_inferred(&world.facts(), "red", shares.0, shares.1)
    };
    held(&judge(&corrected()));
    let spoiled: [Spoiled; 4] = [
        (
            |w| rows(w, |row| row.path_loss_inferred = Some(0.07)),
            "t1 → t2: true 5",
        ),
        (
            |w| rows(w, |row| row.path_loss_half = Some(0.05)),
            "not so far off",
        ),
        (
            |w| rows(w, |row| row.path_loss_inferred = None),
            "nothing was inferred",
        ),
        (
            |w| rows(w, |row| row.path_loss_inferred_high = Some(0.01)),
            "misses the truth in 8 of 8",
        ),
    ];
    for (spoil, because) in spoiled {
        let mut world = corrected();
        spoil(&mut world);
        failed(&judge(&world), because);
    }
}

fn rows(world: &mut World, spoil: fn(&mut IntervalClaim)) {
    world.claims.intervals.iter_mut().for_each(spoil);
}

#[test]
fn a_transfer_has_its_rate() {
    let mut world = world();
    let bits = |bits: u64| -> Bitrate { format!("{bits}bit").parse().unwrap() };
    let judge =
        |world: &World| transfer::transferred(&world.facts(), "bulk", (bits(900), bits(1100)));
    failed(&judge(&world), "nothing judged");
    world.traffic.transfers.push(TransferLog {
        name: "bulk".into(),
        bytes: 1250,
        first_ns: START,
        last_ns: START + 10 * S,
        retransmitted: 3,
    });
    held(&judge(&world));
    world.traffic.transfers[0].bytes = 2500;
    failed(&judge(&world), "2500 bytes came in 10.000 s");
}
