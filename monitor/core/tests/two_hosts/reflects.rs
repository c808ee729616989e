//! Configuration C: the second monitor sends again what it gets.

use vmscope_core::control::*;

use crate::network::*;

#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    // The reflection's path is there and back again: through m2's tunnel both ways.
    let (up, down, leaf, back) = (0.03, 0.005, 0.02, 0.01);
    let truth = [up, down, 1.0 - (1.0 - leaf) * (1.0 - back)];
    let missed = missed_of_60("reflector", [up, down, leaf, back], truth);
    assert!(missed.iter().all(|missed| *missed <= 9), "{missed:?}");
}

#[test]
fn a_reflected_probe_is_never_reflected_again() {
    let mut world = tree(1, [0.0; 4]);
    // A third monitor at the same router reflects the same session's probes, too.
    let mut world3 = World::new(1, 3, world.fault);
    std::mem::swap(&mut world, &mut world3);
    for host in [0, 0, 1, 2] {
        world.add_tunnel(host, 0, path(3, 0.0), path(3, 0.0));
    }
    start(
        &mut world,
        "reflector",
        r#""rate":"100pps","duration":"10s""#,
        "",
    );
    let session = match world.ok(0, r#""op":"hello""#) {
        Answer::Hello { session, .. } => session,
        other => panic!("{other:?}"),
    };
    world.ok(2, &format!(r#""op":"reflect-start","name":"y","session":{session},"tunnel":"t4","group":"{GROUP}","rate_max":"1kpps","lease":"60s""#));
    world.run(25 * S);
    let status = world.status("x");
    assert_eq!(status.row.as_ref().unwrap().up.loss, 0.0);
    let Answer::Reflecting(reflecting) = world.ok(2, &format!(r#""op":"reflect-start","name":"y","session":{session},"tunnel":"t4","group":"{GROUP}","rate_max":"1kpps","lease":"60s""#)) else {
        panic!()
    };
    assert!(
        reflecting.reflected <= status.probes_sent,
        "{reflecting:?} of {}",
        status.probes_sent
    );
    assert_eq!(reflecting.limited, 0);
}

#[test]
fn more_than_the_highest_rate_is_not_reflected_and_does_not_count() {
    let mut world = tree(2, [0.0; 4]);
    let wanted = wanted(&mut world, "20pps");
    reflecting(&mut world, &wanted);
    world.run(S);
    flood(&mut world);
    world.run(10 * S);
    let reflecting = reflecting(&mut world, &wanted);
    assert!(
        (195..=225).contains(&reflecting.reflected),
        "{reflecting:?}"
    );
    assert!(
        (3_700..=3_810).contains(&reflecting.limited),
        "{reflecting:?}"
    );
    // Its peer falls silent: it ends by itself, and its group is left.
    assert!(world.is_joined(2));
    world.run(65 * S);
    assert!(!world.is_joined(2));
}

#[test]
fn a_packet_at_the_end_of_its_life_is_not_reflected() {
    let mut world = tree(3, [0.0; 4]);
    start(
        &mut world,
        "reflector",
        r#""rate":"100pps","duration":"5s","ttl":2"#,
        "",
    );
    world.run(30 * S);
    let status = world.status("x");
    assert_eq!((status.state, &status.row), (OnewayState::Failed, &None));
    let unsure = status.unsure.join("; ");
    assert!(
        unsure.contains("could not send everything again"),
        "{unsure}"
    );
}

#[test]
fn a_task_on_the_same_group_is_not_disturbed_by_reflected_probes() {
    let mut world = tree(4, [0.0; 4]);
    start(
        &mut world,
        "reflector",
        r#""rate":"100pps","duration":"10s""#,
        "",
    );
    world.ok(0, &format!(r#""op":"task-start","name":"y","group":"{GROUP}","senders":["t1"],"receivers":["t2"],"probes":{{"rate":"10pps","duration":"10s"}}"#));
    world.run(25 * S);
    let Answer::Pairs { pairs, .. } = world.ok(0, r#""op":"task-stats","name":"y""#) else {
        panic!()
    };
    let counts = pairs[0].counts;
    assert_eq!(
        (counts.sent, counts.received, counts.duplicates, counts.late),
        (100, 100, 0, 0)
    );
}
