//! Whatever goes wrong: what it touches does not count, is named, and the rest is right.

use vmscope_core::control::*;

use crate::network::*;

const TRUTH: [f64; 4] = [0.02, 0.01, 0.01, 0.0];

/// A minute of probing; `trouble` happens after twenty seconds.
fn minute(kind: &str, seed: u64, trouble: impl FnOnce(&mut World)) -> (World, OnewayStatus) {
    let mut world = tree(seed, TRUTH);
    start(&mut world, kind, r#""rate":"200pps","duration":"60s""#, "");
    world.run(20 * S);
    trouble(&mut world);
    world.run(60 * S);
    let status = world.status("x");
    (world, status)
}

/// The estimates are right, so many probes at least do not count, and that is why.
fn right(status: &OnewayStatus, discarded: std::ops::RangeInclusive<u64>, why: &str) {
    assert_eq!(status.state, OnewayState::Spent, "{status:?}");
    let row = status.row.as_ref().unwrap();
    for (loss, truth) in [
        (row.up, TRUTH[0]),
        (row.down[0].1, TRUTH[1]),
        (row.leaf[0], TRUTH[2]),
    ] {
        assert!(
            (loss.loss - truth).abs() < 4.5 * loss.deviation,
            "{loss:?} {truth} {status:?}"
        );
    }
    assert!(
        discarded.contains(&row.discarded),
        "{} {:?}",
        row.discarded,
        status.unsure
    );
    assert_eq!(row.probes + row.discarded, 12_000);
    let unsure = status.unsure.join("; ");
    assert!(unsure.contains(why), "{unsure}");
}

const BOTH: [&str; 2] = ["collector", "reflector"];

#[test]
fn a_peer_that_starts_anew_has_forgotten() {
    for kind in BOTH {
        let (_, status) = minute(kind, 1, |world| world.restart(1));
        right(&status, 600..=3_000, "started anew");
    }
}

#[test]
fn a_peer_that_is_silent_for_long_loses_its_lease_and_what_it_had() {
    for kind in BOTH {
        for channel in [Channel::Deaf, Channel::Mute] {
            let (mut world, status) = minute(kind, 2, |world| {
                world.hosts[1].channel = channel;
                world.run(35 * S);
                if channel == Channel::Deaf {
                    assert!(
                        !world.is_joined(2),
                        "nobody asked for longer than the lease"
                    );
                }
                world.hosts[1].channel = Channel::Up;
            });
            right(&status, 3_000..=10_000, "did not say what arrived");
            assert!(!status.unsure.iter().any(|why| why.contains("waiting")));
            world.run(40 * S);
            assert!(!world.is_joined(2), "and left in the end");
        }
    }
}

#[test]
fn a_short_silence_costs_nothing() {
    for channel in [Channel::Deaf, Channel::Mute] {
        let (_, status) = minute("collector", 3, |world| {
            world.hosts[1].channel = channel;
            world.run(6 * S);
            world.hosts[1].channel = Channel::Up;
        });
        right(&status, 0..=0, "");
    }
}

#[test]
fn what_the_peers_capture_dropped_does_not_count() {
    for kind in BOTH {
        let (_, status) = minute(kind, 4, |world| {
            world.hosts[1].capture_misses = 0.3;
            world.run(3 * S);
            world.hosts[1].capture_misses = 0.0;
        });
        right(&status, 600..=2_600, "peer m2's capture dropped packets");
    }
}

#[test]
fn what_our_capture_dropped_does_not_count() {
    for kind in BOTH {
        let (_, status) = minute(kind, 5, |world| {
            world.hosts[0].capture_misses = 0.3;
            world.run(3 * S);
            world.hosts[0].capture_misses = 0.0;
        });
        right(
            &status,
            600..=2_600,
            "this monitor's capture dropped packets",
        );
    }
}

/// Loss of nine in ten at the peer's capture, told all the time: there is no estimate, and the reason.
#[test]
fn where_nothing_counts_there_is_no_estimate() {
    for host in [0, 1] {
        let mut world = tree(6, TRUTH);
        world.hosts[host].capture_misses = 0.1;
        start(
            &mut world,
            "collector",
            r#""rate":"200pps","duration":"20s""#,
            "",
        );
        world.run(60 * S);
        let status = world.status("x");
        assert_eq!((status.state, &status.row), (OnewayState::Failed, &None));
        assert_eq!(
            status.refused.as_deref(),
            Some("no block of probes counts yet")
        );
        assert!(
            status.unsure.join("; ").contains("capture dropped"),
            "{status:?}"
        );
    }
}

#[test]
fn duplicates_and_reordering_change_nothing() {
    for kind in BOTH {
        let (_, status) = minute(kind, 7, |world| {
            for tunnel in &mut world.tunnels {
                tunnel.up.duplicate = 0.1;
                tunnel.down.duplicate = 0.1;
                tunnel.up.jitter = 30 * MS;
                tunnel.down.jitter = 30 * MS;
            }
        });
        // A duplicate of a probe whose other copy was lost is a probe that arrived: that is so, and little.
        assert_eq!(status.state, OnewayState::Spent);
        let row = status.row.unwrap();
        assert_eq!((row.probes, row.discarded), (12_000, 0));
        assert!((0.012..0.024).contains(&row.up.loss), "{row:?}");
    }
}

/// A copy that takes three seconds is lost at whatever leaf it comes late.
#[test]
fn late_copies_are_lost_on_all_paths_alike() {
    let mut world = tree(8, [0.0; 4]);
    world.tunnels[0].up.stall = 0.04;
    world.tunnels[1].down.stall = 0.02;
    world.tunnels[2].down.stall = 0.03;
    start(
        &mut world,
        "collector",
        r#""rate":"400pps","duration":"60s""#,
        "",
    );
    world.run(80 * S);
    let row = world.status("x").row.unwrap();
    for (loss, truth) in [(row.up, 0.04), (row.down[0].1, 0.02), (row.leaf[0], 0.03)] {
        assert!(
            (loss.loss - truth).abs() < 4.5 * loss.deviation,
            "{loss:?} {truth}"
        );
    }
}

#[test]
fn a_peer_without_such_a_tunnel_fails_the_measurement_at_once() {
    let mut world = tree(9, TRUTH);
    world.ok(0, &format!(r#""op":"oneway-start","name":"x","up":"t1","down":["t2"],"group":"{GROUP}","leaf":[{{"kind":"collector","peer":"m2","tunnel":"t9"}}]"#));
    world.run(S);
    let status = world.status("x");
    assert_eq!((status.state, status.probes_sent), (OnewayState::Failed, 0));
    let refused = status.refused.unwrap();
    assert!(
        refused.contains("m2 refused: there is no tunnel t9"),
        "{refused}"
    );
    assert!(!world.is_joined(1));
}

#[test]
fn a_peer_that_comes_back_without_its_tunnel_is_asked_until_it_has_it() {
    let (_, status) = minute("collector", 13, |world| {
        world.restart(1);
        world.ok(1, r#""op":"tunnel-drop","name":"t3""#);
        world.run(10 * S);
        let status = world.status("x");
        assert_eq!(status.state, OnewayState::Probing);
        assert!(
            status.unsure.join("; ").contains("no tunnel t3"),
            "{status:?}"
        );
        world.tell_of_tunnel(2);
    });
    right(&status, 2_000..=5_000, "started anew");
}

#[test]
fn a_monitor_that_ends_takes_what_is_settled_and_waits_for_no_silent_peer() {
    for channel in [Channel::Up, Channel::Deaf] {
        let mut world = tree(10, TRUTH);
        start(&mut world, "collector", r#""rate":"200pps""#, "");
        world.run(30 * S);
        world.hosts[1].channel = channel;
        world.ok(0, r#""op":"shutdown""#);
        world.run(7 * S);
        assert!(world.hosts[0].session.is_finished(), "{channel:?}");
        let over = world.hosts[0]
            .records
            .iter()
            .find_map(|record| match record {
                Record::OnewayFinished(status) => Some(status),
                _ => None,
            });
        let over = over.unwrap();
        assert_eq!(over.state, OnewayState::Stopped);
        // Of the last seconds the silent peer said nothing.
        let least = if channel == Channel::Up { 5_000 } else { 4_400 };
        assert!(over.row.as_ref().unwrap().probes >= least, "{over:?}");
        assert!(!world.is_joined(1));
    }
}

/// Whatever a peer answers, nothing breaks, nothing takes long, and the measurement ends.
#[test]
fn a_peer_that_lies_does_no_harm() {
    for kind in BOTH {
        let mut world = tree(11, TRUTH);
        start(&mut world, kind, r#""rate":"200pps","duration":"30s""#, "");
        world.run(10 * S);
        world.hosts[1].channel = Channel::Liar;
        world.run(60 * S);
        let status = world.status("x");
        assert_ne!(status.state, OnewayState::Probing, "{status:?}");
        // Answers that nobody asked for are not looked at.
        let (now, peer) = (world.at(0), vmscope_core::name::Name::new("m2").unwrap());
        for id in 0..1_000 {
            let session = &mut world.hosts[0].session;
            session.handle_peer_reply(now, &peer, id, Ok(Answer::Done));
        }
        assert_eq!(world.status("x"), status);
    }
}

#[test]
fn mistakes_are_refused_with_what_to_do() {
    let mut world = tree(12, TRUTH);
    let mut all = String::new();
    let leaf = r#""leaf":[{"kind":"collector","peer":"m2","tunnel":"t3"}]"#;
    for fields in [
        format!(r#""up":"t1","down":[],{leaf}"#),
        format!(r#""up":"t1","down":["t1"],{leaf}"#),
        format!(r#""up":"t1","down":["t2","t2"],{leaf}"#),
        format!(r#""up":"t1","down":["t9"],{leaf}"#),
        r#""up":"t1","down":["t2"]"#.to_owned(),
        r#""up":"t1","down":["t2"],"leaf":[{"kind":"collector","peer":"m9","tunnel":"t3"}]"#.to_owned(),
        r#""up":"t1","down":["t2"],"leaf":[{"kind":"reflector","peer":"m2","tunnel":"t3"},{"kind":"collector","peer":"m2","tunnel":"t3"}]"#.to_owned(),
        r#""up":"t1","down":["t2"],"leaf":[{"kind":"counters","agent":"a","counter":{"of":"route"},"aggregate":50}]"#.to_owned(),
        format!(r#""up":"t1","down":["t2"],{leaf},"probes":{{"rate":"0pps"}}"#),
        format!(r#""up":"t1","down":["t2"],{leaf},"probes":{{"rate":"500kpps"}}"#),
        format!(r#""up":"t1","down":["t2"],{leaf},"block":"1ms""#),
        format!(r#""up":"t1","down":["t2"],{leaf},"confidence":"100%""#),
        format!(r#""up":"t1","down":["t2"],{leaf},"window":"60s","until":{{"relative":"10%"}}"#),
    ] {
        let fields = format!(r#""op":"oneway-start","name":"x","group":"{GROUP}",{fields}"#);
        let Outcome::Error(refusal) = world.request(0, &fields) else {
            panic!("{fields} was accepted");
        };
        all.push_str(&format!("{:?}: {}\n    -> {}\n", refusal.code, refusal.message, refusal.remedy));
    }
    for fields in [
        format!(
            r#""op":"collect-start","name":"y","session":1,"tunnel":"t9","group":"{GROUP}","lease":"30s""#
        ),
        format!(
            r#""op":"collect-start","name":"y","session":1,"tunnel":"t3","group":"{GROUP}","lease":"30h""#
        ),
        r#""op":"collect-take","name":"y","after":0"#.to_owned(),
        format!(
            r#""op":"reflect-start","name":"y","session":1,"tunnel":"t3","group":"{GROUP}","rate_max":"0pps","lease":"30s""#
        ),
        r#""op":"reflect-stop","name":"y""#.to_owned(),
        r#""op":"oneway-stop","name":"y""#.to_owned(),
    ] {
        let Outcome::Error(refusal) = world.request(1, &fields) else {
            panic!("{fields} was accepted");
        };
        all.push_str(&format!(
            "{:?}: {}\n    -> {}\n",
            refusal.code, refusal.message, refusal.remedy
        ));
    }
    insta::assert_snapshot!(all);
}
