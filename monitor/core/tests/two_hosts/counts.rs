//! Configuration B: a router's counters, by SNMP and as exported flows, and everything that can be wrong with them.

use vmscope_core::control::*;
use vmscope_core::fault::Planted;

use crate::agent::{Kind, RouterAgent};
use crate::network::*;

const UP: f64 = 0.04;
const DOWN: f64 = 0.02;
const LEAF: f64 = 0.03;

/// One router; t1 (up) and t2 (down) of m1, and beside them a router that counts.
fn world(seed: u64, kind: Kind) -> World {
    world_with(seed, kind, Planted::NONE)
}

fn world_with(seed: u64, kind: Kind, fault: Planted) -> World {
    let mut world = World::new(seed, 1, fault);
    world.add_tunnel(0, 0, path(4, UP), path(9, 0.3));
    world.add_tunnel(0, 0, path(7, 0.3), path(6, DOWN));
    world.add_agent(RouterAgent::new(kind, path(8, LEAF)));
    world
}

fn leaf(counter: &str) -> String {
    let counter = match counter {
        "route" | "flow" => format!(r#"{{"of":"{counter}"}}"#),
        name => format!(r#"{{"of":"interface","interface":"{name}"}}"#),
    };
    format!(r#"{{"kind":"counters","agent":"pe2","counter":{counter},"aggregate":20}}"#)
}

fn start(world: &mut World, counter: &str, probes: &str) {
    let leaf = leaf(counter);
    world.ok(0, &format!(r#""op":"oneway-start","name":"x","up":"t1","down":["t2"],"group":"{GROUP}","leaf":[{leaf}],"probes":{{"rate":"400pps","warmup":"3s","loss_timeout":"100ms",{probes}}}"#));
}

fn counter_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Snmp => "route",
        Kind::Flows => "flow",
    }
}

/// Every interval holds what was set; at least so many probes count.
fn is_right(status: &OnewayStatus, probes: u64) {
    let row = status.row.as_ref().unwrap_or_else(|| panic!("{status:?}"));
    assert_eq!(row.configuration, Configuration::Aggregate);
    assert!(
        row.probes >= probes,
        "{} of {probes}: {status:?}",
        row.probes
    );
    assert!(holds(&row.up, UP), "{row:?}");
    assert!(holds(&row.down[0].1, DOWN), "{row:?}");
    assert!(holds(&row.leaf[0], LEAF), "{row:?}");
}

/// This is why some probes do not count, and the row says so too.
fn says(status: &OnewayStatus, why: &str) {
    let said = |texts: &[String]| texts.iter().any(|text| text.contains(why));
    assert!(said(&status.unsure), "{why}: {:?}", status.unsure);
    let row = status.row.as_ref().unwrap();
    assert!(said(&row.doubts), "{why}: {:?}", row.doubts);
    assert!(row.discarded > 0);
}

#[test]
fn counters_of_every_kind_tell_up_from_down() {
    for (kind, counter) in [
        (Kind::Snmp, "route"),
        (Kind::Snmp, "eth0"),
        (Kind::Flows, "flow"),
    ] {
        let mut world = world(1, kind);
        start(&mut world, counter, r#""duration":"120s""#);
        world.run(170 * S);
        let status = world.status("x");
        assert_eq!(status.state, OnewayState::Spent, "{counter}: {status:?}");
        is_right(&status, 4_000);
        let row = status.row.unwrap();
        assert_eq!(row.discarded, 0, "{counter}: {:?}", status.unsure);
        assert!(!world.is_joined(1), "the group is left");
    }
}

#[test]
fn many_seeds_are_covered_as_often_as_they_say() {
    const SEEDS: u64 = 100;
    for kind in [Kind::Snmp, Kind::Flows] {
        let mut held = [0; 3];
        for seed in 0..SEEDS {
            let mut world = world(seed, kind);
            start(&mut world, counter_of(kind), r#""duration":"40s""#);
            world.run(80 * S);
            let row = world.status("x").row.unwrap();
            for (held, (loss, truth)) in
                held.iter_mut()
                    .zip([(&row.up, UP), (&row.down[0].1, DOWN), (&row.leaf[0], LEAF)])
            {
                *held += u32::from(holds(loss, truth));
            }
        }
        // At 95% fewer than 87 of 100 have a probability of 0.0015 each.
        assert!(
            held.iter().all(|held| *held >= 87),
            "{kind:?}: {held:?} of {SEEDS}"
        );
    }
}

#[test]
fn a_counter_that_wraps_is_no_trouble() {
    let mut world = world(2, Kind::Snmp);
    let now = world.now;
    world.agents[0].starts_at(now, u64::from(u32::MAX) - 3_000);
    start(&mut world, "route", r#""duration":"60s""#);
    world.run(80 * S);
    let status = world.status("x");
    is_right(&status, 2_000);
    assert_eq!(status.row.unwrap().discarded, 0);
}

#[test]
fn a_cache_costs_time_and_no_truth() {
    let mut world = world(3, Kind::Snmp);
    world.agents[0].cache = 3 * S;
    start(&mut world, "eth0", r#""duration":"300s""#);
    world.run(330 * S);
    let status = world.status("x");
    is_right(&status, 800);
    assert_eq!(status.row.unwrap().discarded, 0);
}

#[test]
fn a_cache_that_is_never_renewed_yields_nothing() {
    let mut world = world(4, Kind::Snmp);
    start(&mut world, "eth0", r#""duration":"60s""#);
    world.run(20 * S);
    world.agents[0].cache = u64::MAX / 2;
    world.run(80 * S);
    let status = world.status("x");
    is_right(&status, 300);
    says(
        &status,
        "counter of agent pe2: the agent answered from a cache",
    );
}

#[test]
fn an_agent_that_begins_anew_costs_its_train() {
    let mut world = world(5, Kind::Snmp);
    start(&mut world, "route", r#""duration":"60s""#);
    for seconds in [15, 7, 7] {
        world.run(seconds * S);
        let now = world.now;
        world.agents[0].restart(now);
    }
    world.run(70 * S);
    let status = world.status("x");
    is_right(&status, 1_500);
    says(&status, "counter of agent pe2: the agent has begun anew");
    let discarded = status.row.unwrap().discarded;
    assert!(discarded <= 60, "{discarded} for three restarts");
}

/// As soon as can be, while the counts are as small as a train, so that a wrong one looks like a right one.
#[test]
fn a_route_that_is_made_anew_is_noticed_however_little_it_has_counted() {
    for ms in (0..3_000).step_by(250) {
        let mut world = world(6, Kind::Snmp);
        start(&mut world, "route", r#""duration":"60s""#);
        for delay in [4_000 + ms, 700, 700, 700] {
            world.run(delay * MS);
            let now = world.now;
            world.agents[0].reset(now);
        }
        world.run(80 * S);
        let status = world.status("x");
        is_right(&status, 1_500);
        says(
            &status,
            "counter of agent pe2: the counter has been set back",
        );
    }
}

#[test]
fn a_silent_agent_is_waited_for_and_then_named() {
    let mut world = world(7, Kind::Snmp);
    world.agents[0].silent = true;
    start(&mut world, "route", r#""duration":"60s""#);
    world.run(20 * S);
    let status = world.status("x");
    assert_eq!((status.probes_sent, &status.row), (0, &None));
    let waits = "nothing is sent yet: waiting for pe2";
    assert_eq!(status.unsure, [waits, "nobody answers"]);
    world.agents[0].silent = false;
    world.run(20 * S);
    world.agents[0].silent = true;
    world.run(90 * S);
    let status = world.status("x");
    is_right(&status, 400);
    says(&status, "counter of agent pe2: the agent did not answer");
}

#[test]
fn an_agent_that_never_answers_ends_in_no_estimate_and_keeps_nobody_from_ending() {
    let mut world = world(8, Kind::Snmp);
    start(&mut world, "route", r#""duration":"60s""#);
    world.run(4 * S);
    world.agents[0].silent = true;
    world.run(5 * S);
    world.ok(0, r#""op":"shutdown""#);
    world.run(3 * S);
    assert!(world.hosts[0].session.is_finished(), "a second, not thirty");
    let last = world.hosts[0].records.iter().rev().find_map(|r| match r {
        Record::OnewayFinished(status) => Some(status),
        _ => None,
    });
    assert_eq!(last.unwrap().state, OnewayState::Stopped);
}

#[test]
fn missing_exports_are_missed() {
    let mut world = world(9, Kind::Flows);
    world.agents[0].exports_lost = 0.05;
    start(&mut world, "flow", r#""duration":"120s""#);
    world.run(170 * S);
    let status = world.status("x");
    is_right(&status, 5_000);
    says(&status, "counter of agent pe2: exported records were lost");
}

#[test]
fn an_exporter_that_falls_silent_or_begins_anew_or_samples_is_not_believed() {
    let mut world = world(10, Kind::Flows);
    start(&mut world, "flow", r#""duration":"120s""#);
    world.run(40 * S);
    let now = world.now;
    world.agents[0].restart(now);
    world.run(40 * S);
    world.agents[0].silent = true;
    world.run(90 * S);
    let status = world.status("x");
    is_right(&status, 5_000);
    says(&status, "counter of agent pe2: the agent has begun anew");
    says(&status, "counter of agent pe2: the exporter fell silent");

    let mut world = self::world(11, Kind::Flows);
    start(&mut world, "flow", r#""duration":"60s""#);
    world.run(40 * S);
    world.agents[0].sampling = Some(100);
    world.run(70 * S);
    let status = world.status("x");
    assert_eq!(status.row, None, "nothing of it was ever believed");
    let why = "the exporter samples";
    assert!(
        status.unsure.iter().any(|text| text.contains(why)),
        "{status:?}"
    );
}

#[test]
fn what_our_own_capture_drops_is_no_loss() {
    let mut world = world(12, Kind::Snmp);
    start(&mut world, "route", r#""duration":"120s""#);
    world.run(20 * S);
    world.hosts[0].capture_misses = 0.3;
    world.run(10 * S);
    world.hosts[0].capture_misses = 0.0;
    world.run(110 * S);
    let status = world.status("x");
    is_right(&status, 2_000);
    says(&status, "this monitor's capture dropped packets");
}

#[test]
fn a_pair_is_corrected_by_counters_as_by_anybody() {
    let mut world = crate::corrects::two_routers(3, Planted::NONE);
    world.add_agent(RouterAgent::new(Kind::Snmp, path(8, LEAF)));
    let counters = leaf("route");
    for (name, up, down, group) in [
        ("one", "t1", "t2", "239.7.7.1"),
        ("two", "t4", "t5", "239.7.7.2"),
    ] {
        world.ok(0, &format!(r#""op":"oneway-start","name":"{name}","up":"{up}","down":["{down}"],"group":"{group}","leaf":[{counters}],"valid_for":"5m","probes":{{"rate":"500pps","loss_timeout":"100ms","duration":"60s"}}"#));
        world.run(75 * S);
        // Its own route.
        let now = world.now;
        world.agents[0].reset(now);
    }
    world.ok(0, r#""op":"task-start","name":"pair","group":"239.1.1.1","senders":["t1"],"receivers":["t5"],"probes":{"rate":"200pps","interval":"10s","duration":"60s"}"#);
    world.run(70 * S);
    let Answer::Pairs { pairs, .. } = world.ok(0, r#""op":"task-stats","name":"pair""#) else {
        panic!()
    };
    let found = pairs[0].corrected.clone();
    let core = crate::corrects::CORE_LOSS;
    let (low, high) = (
        found.loss_inferred_low.unwrap(),
        found.loss_inferred_high.unwrap(),
    );
    assert!(low <= core && core <= high, "{found:?}");
    let from: Vec<String> = found
        .inferred_from
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(from, ["one", "two"]);
}

#[test]
fn what_cannot_work_is_refused() {
    let mut world = world(13, Kind::Snmp);
    let refused = |world: &mut World, down: &str, leaf: &str, group: &str| {
        let asked = format!(
            r#""op":"oneway-start","name":"y","up":"t1","down":[{down}],"group":"{group}","leaf":[{leaf}]"#
        );
        match world.request(0, &asked) {
            Outcome::Error(refusal) => refusal.to_string(),
            Outcome::Ok(answer) => panic!("{asked}: {answer:?}"),
        }
    };
    let (route, flow) = (leaf("route"), leaf("flow"));
    let group = "239.9.9.9";
    world.add_tunnel(0, 0, path(1, 0.0), path(1, 0.0));
    let mut found = vec![
        refused(&mut world, r#""t2""#, &route.replace("pe2", "pe7"), group),
        refused(&mut world, r#""t2""#, &flow, group),
        refused(&mut world, r#""t2""#, &route.replace("20", "1"), group),
        refused(&mut world, r#""t2""#, &route.replace("20", "1001"), group),
        refused(&mut world, r#""t2""#, &leaf(""), group),
        refused(&mut world, r#""t2","t3""#, &route, group),
        refused(&mut world, r#""t2""#, &format!("{route},{route}"), group),
    ];
    world.ok(0, &format!(r#""op":"send-start","name":"noise","tunnel":"t1","group":"{group}","probes":{{"rate":"1pps","payload_bytes":300}}"#));
    found.push(refused(&mut world, r#""t2""#, &route, group));
    start(&mut world, "route", r#""payload_bytes":200"#);
    let noise = format!(r#""op":"send-start","name":"more","tunnel":"t1","group":"{GROUP}""#);
    let Outcome::Error(refusal) = world.request(0, &noise) else {
        panic!("the route would count it, too");
    };
    found.push(refusal.to_string());
    let interface = format!(
        r#""op":"oneway-start","name":"y","up":"t1","down":["t2"],"group":"239.9.9.8","leaf":[{}],"probes":{{"payload_bytes":300}}"#,
        leaf("eth0")
    );
    let Outcome::Error(refusal) = world.request(0, &interface) else {
        panic!("the interface would count the noise, too");
    };
    found.push(refusal.to_string());
    insta::assert_snapshot!(found.join("\n"));
}

#[cfg(feature = "planted-faults")]
#[test]
fn an_agent_that_begins_anew_unnoticed_is_a_fault_that_shows() {
    use vmscope_core::fault::Fault;
    let mut world = world_with(5, Kind::Snmp, Planted::only(Fault::CounterRestartBelieved));
    start(&mut world, "route", r#""duration":"60s""#);
    world.run(20 * S);
    let now = world.now;
    world.agents[0].restart(now);
    world.run(70 * S);
    let unsure = world.status("x").unsure;
    assert!(
        !unsure.iter().any(|text| text.contains("begun anew")),
        "{unsure:?}"
    );
}
