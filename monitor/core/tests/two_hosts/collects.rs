//! Configuration A: the second monitor counts.

use vmscope_core::control::*;

use crate::network::*;

#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    let missed = missed_of_60("collector", [0.03, 0.005, 0.02, 0.0], [0.03, 0.005, 0.02]);
    // Of 60, more than 9 are missed with a chance of one in a thousand where one in twenty is.
    assert!(missed.iter().all(|missed| *missed <= 9), "{missed:?}");
}

#[test]
fn nothing_is_sent_before_the_leaf_is_there_and_groups_are_left_at_the_end() {
    let mut world = tree(1, [0.01; 4]);
    world.hosts[1].channel = Channel::Deaf;
    start(
        &mut world,
        "collector",
        r#""rate":"100pps","count":500"#,
        "",
    );
    world.run(20 * S);
    let status = world.status("x");
    assert_eq!(
        (status.state, status.probes_sent, &status.row),
        (OnewayState::Probing, 0, &None)
    );
    let unsure = status.unsure.join("; ");
    assert!(
        unsure.contains("waiting for m2") && unsure.contains("no answer within 5s"),
        "{unsure}"
    );
    assert!(world.is_joined(1) && !world.is_joined(2));
    world.hosts[1].channel = Channel::Up;
    world.run(10 * S);
    assert!(world.is_joined(2));
    world.run(20 * S);
    let status = world.status("x");
    assert_eq!(status.state, OnewayState::Spent, "{status:?}");
    assert_eq!(status.row.unwrap().probes, 500);
    assert!(!world.is_joined(1) && !world.is_joined(2));
    // The way up was pinged and probed, and nothing ever joined over it.
    assert!(!world.is_joined(0));
}

#[test]
fn probing_stops_when_the_intervals_are_narrow_and_goes_on_when_they_are_not() {
    let mut world = tree(2, [0.05, 0.05, 0.05, 0.0]);
    let until = r#","until":{"absolute":"1%"}"#;
    start(
        &mut world,
        "collector",
        r#""rate":"200pps","duration":"10m""#,
        until,
    );
    world.run(90 * S);
    let status = world.status("x");
    assert_eq!(status.state, OnewayState::Narrow, "{status:?}");
    let row = status.row.unwrap();
    assert!(row.probes < 20_000, "{row:?}");
    for loss in [row.up, row.down[0].1, row.leaf[0]] {
        assert!(loss.high - loss.low <= 0.02, "{loss:?}");
    }
    let mut world = tree(2, [0.05, 0.05, 0.05, 0.0]);
    let until = r#","until":{"relative":"1%"}"#;
    start(
        &mut world,
        "collector",
        r#""rate":"200pps","duration":"40s""#,
        until,
    );
    world.run(90 * S);
    assert_eq!(world.status("x").state, OnewayState::Spent);
}

#[test]
fn a_window_forgets_and_rows_come_at_every_interval() {
    let mut world = tree(3, [0.2, 0.01, 0.01, 0.0]);
    let window = r#","window":"20s""#;
    start(
        &mut world,
        "collector",
        r#""rate":"200pps","interval":"5s""#,
        window,
    );
    world.run(40 * S);
    assert!(world.status("x").row.unwrap().up.loss > 0.15);
    world.tunnels[0].up.loss = 0.01;
    world.run(60 * S);
    let row = world.status("x").row.unwrap();
    assert!(row.up.loss < 0.03 && holds(&row.up, 0.01), "{row:?}");
    assert_eq!((row.probes, row.blocks), (4_000, 20));
    let rows = world.hosts[0]
        .events
        .iter()
        .filter(|e| matches!(e, Event::Oneway(_)));
    assert!((18..=20).contains(&rows.count()));
    world.ok(0, r#""op":"oneway-stop","name":"x""#);
    world.run(20 * S);
    assert_eq!(world.status("x").state, OnewayState::Stopped);
    world.ok(0, r#""op":"oneway-drop","name":"x""#);
    assert!(matches!(
        world.request(0, r#""op":"oneway-show","name":"x""#),
        Outcome::Error(_)
    ));
}

#[test]
fn three_ways_down_and_two_leaves_are_one_tree() {
    let mut world = tree(4, [0.04, 0.01, 0.02, 0.0]);
    let truth = [0.04, 0.01, 0.03, 0.005, 0.02];
    world.add_tunnel(0, 0, path(5, 0.2), path(8, 0.03));
    world.add_tunnel(0, 0, path(5, 0.2), path(2, 0.005));
    world.ok(0, &format!(r#""op":"oneway-start","name":"x","up":"t1","down":["t2","t4","t5"],"group":"{GROUP}","leaf":[{{"kind":"collector","peer":"m2","tunnel":"t3"}}],"probes":{{"rate":"500pps","duration":"40s"}}"#));
    world.ok(0, r#""op":"oneway-start","name":"alone","up":"t2","down":["t1","t4"],"group":"239.7.7.8","probes":{"rate":"500pps","duration":"40s"}"#);
    world.run(60 * S);
    let row = world.status("x").row.unwrap();
    let down = row.down.iter().map(|(_, loss)| loss);
    let all: Vec<PathLoss> = std::iter::once(&row.up)
        .chain(down)
        .chain(&row.leaf)
        .copied()
        .collect();
    for (loss, truth) in all.iter().zip(truth) {
        assert!(
            (loss.loss - truth).abs() < 4.0 * loss.deviation,
            "{loss:?} {truth}"
        );
    }
    // Without a peer: two ways down are leaves, too.
    let row = world.status("alone").row.unwrap();
    for (loss, truth) in [(row.up, 0.3), (row.down[0].1, 0.3), (row.down[1].1, 0.03)] {
        assert!(
            (loss.loss - truth).abs() < 4.0 * loss.deviation,
            "{loss:?} {truth}"
        );
    }
}

#[test]
fn single_sources_are_joined_where_that_is_asked_for_and_that_of_a_reflector_too() {
    for kind in ["collector", "reflector"] {
        let mut world = tree(5, [0.02, 0.02, 0.02, 0.0]);
        let more = r#","source_specific":true"#;
        start(
            &mut world,
            kind,
            r#""rate":"200pps","duration":"20s""#,
            more,
        );
        world.run(40 * S);
        let row = world.status("x").row.unwrap();
        for loss in [row.up, row.leaf[0]] {
            assert!((loss.loss - 0.02).abs() < 4.5 * loss.deviation, "{loss:?}");
        }
    }
}

#[test]
fn delays_are_intervals_that_hold_the_truth() {
    for seed in 0..20 {
        let mut world = tree(seed, [0.01; 4]);
        for tunnel in &mut world.tunnels {
            tunnel.up.jitter = 3 * MS;
            tunnel.down.jitter = 5 * MS;
        }
        start(
            &mut world,
            "collector",
            r#""rate":"100pps","duration":"25s""#,
            "",
        );
        world.run(40 * S);
        let row = world.status("x").row.unwrap();
        let up = row.up_delay.unwrap();
        let (_, down) = row.down_delay[0];
        let holds = |range: DelayRange, truth: u64| {
            range.low_ns <= (truth * MS) as i64 && (truth * MS) as i64 <= range.high_ns
        };
        assert!(holds(up, 4) && holds(down, 6), "{up:?} {down:?}");
        // m2 is 3 ms behind the router, and its clock is right to 1 ms: that is the tightest sum of the way up.
        assert!(up.high_ns < 9 * MS as i64, "{up:?}");
        assert!(down.high_ns < 14 * MS as i64, "{down:?}");
    }
}
