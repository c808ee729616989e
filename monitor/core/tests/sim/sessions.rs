//! One behaviour each, with its negative.

use crate::judge::{Expected, contradictions};
use crate::network::{MS, Path, S, Sim};
use crate::scenarios::RED;
use std::net::Ipv4Addr;
use vmscope_core::control::*;
use vmscope_core::fault::Planted;
use vmscope_core::session::{CaptureStatus, Direction, Options, Session};
use vmscope_core::time::Instant;

fn sim(pes: usize) -> Sim {
    Sim::new(5, pes, Planted::NONE)
}

fn assert_exact(sim: &mut Sim, name: &str) -> Expected {
    let expected = Expected::of(sim, name);
    let found = contradictions(sim, &expected);
    assert!(
        found.is_empty(),
        "{} contradictions, the first:\n{}",
        found.len(),
        found[0]
    );
    expected
}

fn refused(sim: &mut Sim, fields: &str) -> Refusal {
    match sim.request(fields) {
        Outcome::Error(refusal) => refusal,
        Outcome::Ok(answer) => panic!("{fields} was accepted: {answer:?}"),
    }
}

fn rows(sim: &Sim) -> impl Iterator<Item = &IntervalRow> {
    sim.records.iter().filter_map(|r| match r {
        Record::Interval(row) => Some(&**row),
        _ => None,
    })
}

#[test]
fn sequence_numbers_wrap() {
    let mut sim = Sim::with(
        2,
        Options {
            session: 77,
            first_seq: u32::MAX - 50,
            ..Options::default()
        },
    );
    sim.core = Path {
        delay: 5 * MS,
        jitter: 200 * MS,
        ..Path::default()
    };
    sim.ok(r#""op":"task-start","name":"x","group":"239.1.1.1","senders":["t1"],"receivers":["t2"],"probes":{"rate":"20pps","warmup":"0s","interval":"1s","count":100}"#);
    sim.run(15 * S);
    let received = sim
        .records
        .iter()
        .filter(|r| matches!(r, Record::Probe(p) if p.fate == Fate::Received))
        .count();
    assert_eq!(received, 100);
    assert_eq!(rows(&sim).map(|r| r.pair.counts.sent).sum::<u64>(), 100);
}

/// Probes handed out before an edge and seen leaving after it belong to the later interval.
#[test]
fn the_capture_decides_at_interval_edges() {
    for warmup in ["999998us", "1000000us", "1000002us"] {
        let mut sim = sim(2);
        sim.ok(&format!(
            r#""op":"task-start","name":"x","group":"239.1.1.1","senders":["t1"],"receivers":["t2"],"probes":{{"rate":"10pps","warmup":"{warmup}","interval":"1s","duration":"5s"}}"#
        ));
        sim.run(10 * S);
        assert_exact(&mut sim, "x");
        let counts: Vec<_> = rows(&sim).map(|row| row.pair.counts.sent).collect();
        assert_eq!(
            (counts.len(), counts.iter().sum()),
            (5, 50),
            "{warmup}: {counts:?}"
        );
    }
}

#[test]
fn two_mvpns_do_not_see_each_other() {
    let mut sim = sim(4);
    for (name, group, tunnels) in [
        ("red", "239.1.1.1", r#""t1","t2","t3""#),
        ("blue", "239.1.1.2", r#""t2","t3","t4""#),
    ] {
        sim.ok(&format!(r#""op":"mvpn-add","name":"{name}","group":"{group}","tunnels":[{tunnels}],"start":true,"probes":{{"rate":"10pps","duration":"10s","interval":"5s"}}"#));
    }
    sim.run(5 * S);
    assert_eq!(sim.joined(0), [RED], "PE 1 is not one of blue's");
    sim.run(15 * S);
    assert_exact(&mut sim, "red");
    assert_exact(&mut sim, "blue");
    assert!(
        sim.records
            .iter()
            .all(|r| !matches!(r, Record::Probe(p) if p.fate == Fate::Lost))
    );
}

#[test]
fn a_pe_is_taken_out_and_put_back_without_disturbing_others() {
    let mut sim = sim(3);
    sim.ok(r#""op":"mvpn-add","name":"red","group":"239.1.1.1","tunnels":["t1","t2","t3"],"probes":{"rate":"10pps","warmup":"1s","interval":"1s"}"#);
    sim.run(S);
    assert!(
        sim.truth.is_empty(),
        "nothing is sent before it is asked for"
    );
    sim.ok(r#""op":"mvpn-start","name":"red""#);
    sim.run(5 * S);
    sim.ok(r#""op":"mvpn-pe-stop","mvpn":"red","tunnel":"t3""#);
    sim.run(5 * S);
    assert!(sim.joined(2).is_empty(), "its group is left");
    sim.ok(r#""op":"mvpn-pe-start","mvpn":"red","tunnel":"t3""#);
    sim.run(5 * S);
    sim.ok(r#""op":"mvpn-stop","name":"red""#);
    sim.run(5 * S);
    let of = |s, r| {
        sim.records.iter().filter(|x| matches!(x, Record::Probe(p) if (p.sender, p.receiver) == (s, r) && p.fate == Fate::Received)).count()
    };
    // From 0.0 s to 15.0 s, both included.
    assert_eq!(of(1, 2), 151, "the others never noticed");
    assert!(
        of(1, 3) == 51 + 41 && (99..=101).contains(&of(3, 1)),
        "{} {}",
        of(1, 3),
        of(3, 1)
    );
    // Out from 5.0 s to 10.0 s, then a second of warm-up before anything is expected of it.
    let lost = sim
        .records
        .iter()
        .filter(|x| matches!(x, Record::Probe(p) if p.fate == Fate::Lost))
        .count();
    assert_eq!(lost, 0, "whoever is out is not waited for");
    assert!((0..3).all(|pe| sim.joined(pe).is_empty()));
}

#[test]
fn a_source_specific_mvpn_joins_its_senders_only() {
    let mut sim = sim(3);
    sim.ok(r#""op":"mvpn-add","name":"red","group":"232.1.1.1","source_specific":true,"tunnels":["t1","t2","t3"],"start":true,"probes":{"rate":"10pps","duration":"5s"}"#);
    sim.run(2 * S);
    let Answer::Groups { groups } = sim.ok(r#""op":"group-show","group":"232.1.1.1""#) else {
        panic!()
    };
    assert_eq!(
        groups[0].sources,
        [Ipv4Addr::new(10, 77, 2, 2), Ipv4Addr::new(10, 77, 3, 2)]
    );
    assert_eq!(groups[0].wanted_by, ["task red"]);
    sim.run(10 * S);
    assert_exact(&mut sim, "red");
    assert!(
        sim.records
            .iter()
            .any(|r| matches!(r, Record::Probe(p) if p.fate == Fate::Received))
    );
}

#[test]
fn probes_of_another_life_are_not_ours() {
    let mut before = Sim::with(
        2,
        Options {
            session: 1,
            ..Options::default()
        },
    );
    before.ok(r#""op":"group-join","tunnel":"t2","group":"239.1.1.1""#);
    let start = r#""op":"task-start","name":"x","group":"239.1.1.1","senders":["t1"],"receivers":["t2"],"probes":{"rate":"10pps","warmup":"0s"}"#;
    before.ok(start);
    before.run(S);
    // The restarted monitor has the same task number and the same sequence numbers.
    before.session = Session::new(
        Instant::from_ns(before.now),
        Options {
            session: 2,
            ..Options::default()
        },
    );
    (0..2).for_each(|pe| before.add_tunnel(pe, "0s"));
    before.core.delay = 900 * MS;
    before.ok(start);
    before.run(5 * MS);
    let Answer::Overhead(overhead) = before.ok(r#""op":"overhead""#) else {
        panic!()
    };
    assert_eq!(overhead.probes_received.packets, 0);
}

#[test]
fn what_could_not_be_sent_is_not_lost() {
    let mut session = Session::new(Instant::ZERO, Options::default());
    let tunnel = |n: u8| {
        format!(
            r#"{{"id":1,"request":{{"op":"tunnel-add","name":"t{n}","outer_local":"10.1.0.2","outer_remote":"10.254.{n}.1","inner_local":"10.77.{n}.2","inner_remote":"10.77.{n}.1","ping_interval":"0s"}}}}"#
        )
    };
    let start = r#"{"id":2,"request":{"op":"task-start","name":"x","group":"239.1.1.1","senders":["t1"],"receivers":["t2"],"probes":{"rate":"10pps","warmup":"0s","count":5}}}"#;
    for line in [tunnel(1), tunnel(2), start.to_owned()] {
        let reply = session.handle_request(Instant::ZERO, Request::read(&line).unwrap());
        assert!(matches!(reply.outcome, Outcome::Ok(_)), "{reply:?}");
    }
    let mut probes = 0;
    while let Some(at) = session.next_deadline().filter(|at| at.as_ns() < 9 * S) {
        while let Some(transmit) = session.poll_transmit(at) {
            probes += 1;
            session.handle_transmit_failed(transmit.purpose);
        }
    }
    assert!(probes > 5);
    let records: Vec<_> = std::iter::from_fn(|| session.poll_record()).collect();
    assert!(
        !records
            .iter()
            .any(|r| matches!(r, Record::Probe(_) | Record::Interval(_)))
    );
    assert!(records.iter().any(|r| matches!(r, Record::TaskFinished(_))));
}

#[test]
fn capture_drops_are_written_beside_the_losses() {
    let mut sim = sim(2);
    sim.ok(r#""op":"task-start","name":"x","group":"239.1.1.1","senders":["t1"],"receivers":["t2"],"probes":{"rate":"10pps","warmup":"0s","interval":"5s","duration":"30s"}"#);
    sim.run(12 * S);
    let status = CaptureStatus {
        mode: "test".to_owned(),
        received: 1,
        drops: 7,
    };
    sim.session
        .handle_capture_status(Instant::from_ns(sim.now), status);
    sim.run(25 * S);
    let drops: Vec<_> = rows(&sim).map(|row| row.capture_drops).collect();
    assert_eq!(
        drops,
        [0, 7, 7, 0, 0, 0],
        "dropped while probes of the second and third were out"
    );
}

#[test]
fn observation_measures_streams_and_is_off_unless_asked_for() {
    let mut sim = sim(3);
    sim.ok(r#""op":"group-join","tunnel":"t2","group":"239.1.1.1""#);
    sim.run(S);
    sim.customer_packet(0, RED, 0);
    sim.run(S);
    assert!(!sim.session.filter().contains("47 and ip[40:4]"));
    sim.ok(r#""op":"passive-start","name":"red","tunnels":["t2","t3"],"group":"239.1.1.1""#);
    assert!(
        sim.session
            .filter()
            .contains("(ip[33] = 47 and ip[40:4] = 0xef010101)")
    );
    sim.run(S);
    sim.core.loss = 0.1;
    for i in 1..=1000u16 {
        sim.customer_packet(0, RED, i.wrapping_add(65_000));
        sim.run(20 * MS);
    }
    sim.core.loss = 0.0;
    sim.customer_packet(0, RED, 1001u16.wrapping_add(65_000));
    sim.run(S);
    let Answer::Streams {
        streams,
        unlisted_packets: 0,
    } = sim.ok(r#""op":"passive-stats","name":"red""#)
    else {
        panic!()
    };
    assert_eq!(streams.len(), 2);
    for stream in streams {
        let rtp = stream.rtp.unwrap();
        // RFC 3550 A.1 forgets what came before two in a row.
        assert!(
            rtp.lost
                .abs_diff((rtp.expected - stream.received.packets) as i64)
                <= 3,
            "{rtp:?}"
        );
        assert!(
            (50..150).contains(&rtp.lost) && rtp.clock_hz == 8_000,
            "{rtp:?}"
        );
        assert_eq!(
            (stream.pe, stream.group),
            (
                Some(Ipv4Addr::new(10, 255, 0, 1)),
                Ipv4Addr::new(239, 9, 9, 9)
            )
        );
        assert!(
            stream.bits_per_second.unwrap().abs_diff(72_000) < 2_000,
            "200 bytes each 20 ms, less a tenth"
        );
    }
    sim.ok(r#""op":"passive-stop","name":"red""#);
    assert!(!sim.session.filter().contains("47 and ip[40:4]"));
    sim.run(3 * S);
    assert_eq!(
        (sim.joined(1), sim.joined(2)),
        (vec![RED], vec![]),
        "the operator's own join stays"
    );
}

#[test]
fn a_configuration_is_applied_whole_or_not_at_all() {
    let mut sim = sim(2);
    let load = |sim: &mut Sim, toml: &str| {
        sim.request(&format!(
            r#""op":"config-load","toml":{}"#,
            serde_json::to_string(toml).unwrap()
        ))
    };
    let good = "[[mvpns]]\nname='red'\ngroup='239.1.1.1'\ntunnels=['t1','t2']\nstart=true\n";
    let bad = format!("{good}[[joins]]\ntunnel='t9'\ngroup='239.1.1.1'\n");
    let Outcome::Error(refusal) = load(&mut sim, &bad) else {
        panic!()
    };
    assert_eq!(
        (refusal.code, refusal.message.as_str()),
        (ErrorCode::NotFound, "there is no tunnel t9")
    );
    assert_eq!(
        sim.ok(r#""op":"mvpn-list""#),
        Answer::Mvpns { mvpns: Vec::new() }
    );
    assert_eq!(load(&mut sim, good), Outcome::Ok(Answer::Done));
    let Outcome::Error(twice) = load(&mut sim, good) else {
        panic!()
    };
    assert_eq!(twice.code, ErrorCode::Exists);
    assert!(matches!(
        load(&mut sim, "tunnles = []"),
        Outcome::Error(Refusal {
            code: ErrorCode::Malformed,
            ..
        })
    ));
}

#[test]
fn mistakes_are_refused_with_what_to_do() {
    let mut sim = sim(2);
    sim.ok(
        r#""op":"mvpn-add","name":"red","group":"239.1.1.1","tunnels":["t1","t2"],"start":true"#,
    );
    let task = |fields: &str| {
        format!(
            r#""op":"task-start","name":"x","group":"239.2.2.2","senders":["t1"],"receivers":["t2"],{fields}"#
        )
    };
    let mut all = String::new();
    for fields in [
        r#""op":"tunnel-drop","name":"t1""#.to_owned(),
        r#""op":"tunnel-show","name":"t7""#.to_owned(),
        r#""op":"tunnel-add","name":"t7","outer_local":"10.1.0.2","outer_remote":"10.254.1.1","inner_local":"10.7.7.2","inner_remote":"10.7.7.1""#.to_owned(),
        r#""op":"tunnel-add","name":"t7","inner_local":"10.7.7.2","inner_remote":"10.7.7.1""#.to_owned(),
        r#""op":"group-join","tunnel":"t1","group":"10.0.0.1""#.to_owned(),
        r#""op":"group-join","tunnel":"t1","group":"224.0.0.13""#.to_owned(),
        r#""op":"group-leave","tunnel":"t1","group":"239.1.1.1""#.to_owned(),
        r#""op":"mvpn-start","name":"red""#.to_owned(),
        r#""op":"mvpn-drop","name":"red""#.to_owned(),
        r#""op":"task-stop","name":"red""#.to_owned(),
        task(r#""probes":{"rate":"0pps"}"#),
        task(r#""probes":{"payload_bytes":20}"#),
        task(r#""probes":{"rate":"1000kpps","loss_timeout":"60s"}"#),
        task(r#""probes":{"interval":"1ms"}"#),
        r#""op":"task-start","name":"x","group":"239.2.2.2","senders":["t1"],"receivers":["t1"]"#.to_owned(),
        r#""op":"task-start","name":"red","group":"239.2.2.2","senders":["t1"],"receivers":["t2"]"#.to_owned(),
    ] {
        let refusal = refused(&mut sim, &fields);
        all.push_str(&format!("{:?}: {}\n    -> {}\n", refusal.code, refusal.message, refusal.remedy));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn shutting_down_brings_results_out_and_leaves_groups() {
    let mut sim = sim(2);
    sim.query_every(125 * S);
    sim.ok(r#""op":"group-join","tunnel":"t1","group":"239.7.7.7""#);
    sim.ok(r#""op":"task-start","name":"x","group":"239.1.1.1","senders":["t1"],"receivers":["t2"],"probes":{"rate":"10pps","warmup":"0s"}"#);
    sim.run(4 * S);
    sim.ok(r#""op":"shutdown""#);
    assert!(!sim.session.is_finished());
    sim.run(4 * S);
    assert!(sim.session.is_finished());
    assert!(sim.joined(0).is_empty() && sim.joined(1).is_empty());
    assert_exact(&mut sim, "x");
    refused(
        &mut sim,
        r#""op":"send-start","name":"y","group":"239.1.1.1","tunnel":"t1""#,
    );
}

#[test]
fn a_key_tells_tunnels_apart() {
    let mut session = Session::new(Instant::ZERO, Options::default());
    let add = |name: &str, n: u8, key: u32| {
        format!(
            r#"{{"id":1,"request":{{"op":"tunnel-add","name":"{name}","id":{n},"key":{key},"outer_local":"10.1.0.2","outer_remote":"10.254.1.1","inner_local":"10.77.{n}.2","inner_remote":"10.77.{n}.1","igmp":2,"ping_interval":"0s"}}}}"#
        )
    };
    let join =
        r#"{"id":2,"request":{"op":"group-join","tunnel":"b","group":"239.1.1.1"}}"#.to_owned();
    for line in [add("a", 1, 7), add("b", 2, 8), join] {
        assert!(matches!(
            session
                .handle_request(Instant::ZERO, Request::read(&line).unwrap())
                .outcome,
            Outcome::Ok(_)
        ));
    }
    let report = session.poll_transmit(Instant::ZERO).unwrap();
    assert_eq!(report.destination, Ipv4Addr::new(10, 254, 1, 1));
    assert_eq!(
        vmscope_wire::decapsulate(&report.bytes).unwrap().key(),
        Some(8)
    );
    let mut returned = report.bytes.clone();
    returned[12..20].copy_from_slice(&[10, 254, 1, 1, 10, 1, 0, 2]);
    session.handle_packet(Instant::ZERO, Instant::ZERO, &returned, Direction::Incoming);
    let other = |session: &mut Session, name: &str| {
        let line = format!(r#"{{"id":3,"request":{{"op":"tunnel-show","name":"{name}"}}}}"#);
        let Outcome::Ok(Answer::Tunnel(t)) = session
            .handle_request(Instant::ZERO, Request::read(&line).unwrap())
            .outcome
        else {
            panic!()
        };
        t.overhead.other_received.packets
    };
    assert_eq!((other(&mut session, "a"), other(&mut session, "b")), (0, 1));
}

/// The monitor's own link as a receiver: plain packets, no GRE (VS-15).
#[test]
fn plain_multicast_is_received_without_a_tunnel() {
    let mut session = Session::new(Instant::ZERO, Options::default());
    let lines = [
        r#"{"id":1,"request":{"op":"tunnel-add","name":"lan","encapsulation":"none","inner_local":"10.1.0.2","inner_remote":"10.1.0.1","ping_interval":"0s"}}"#,
        r#"{"id":1,"request":{"op":"tunnel-add","name":"p1","outer_local":"10.1.0.2","outer_remote":"10.254.1.1","inner_local":"10.77.1.2","inner_remote":"10.77.1.1","ping_interval":"0s"}}"#,
        r#"{"id":1,"request":{"op":"task-start","name":"x","group":"239.1.1.1","senders":["p1"],"receivers":["lan"],"probes":{"rate":"10pps","warmup":"0s","count":3}}}"#,
    ];
    for line in lines {
        let reply = session.handle_request(Instant::ZERO, Request::read(line).unwrap());
        assert!(matches!(reply.outcome, Outcome::Ok(_)), "{reply:?}");
    }
    while let Some(at) = session.next_deadline().filter(|at| at.as_ns() < 9 * S) {
        while let Some(transmit) = session.poll_transmit(at) {
            match vmscope_wire::decapsulate(&transmit.bytes) {
                Ok(opened) => {
                    let inner = opened.inner.as_bytes().to_vec();
                    session.handle_packet(
                        at,
                        Instant::from_ns(at.as_ns() + MS),
                        &inner,
                        Direction::Incoming,
                    );
                }
                Err(_) => assert!(
                    transmit.destination.is_multicast(),
                    "a plain report goes to its group"
                ),
            }
        }
    }
    let fates: Vec<_> = std::iter::from_fn(|| session.poll_record())
        .filter_map(|r| match r {
            Record::Probe(p) => Some((p.fate, p.received_ns.map(Instant::as_ns))),
            _ => None,
        })
        .collect();
    assert_eq!(
        fates,
        [0, 100, 200].map(|ms| (Fate::Received, Some((ms + 1) * MS)))
    );
}

/// Queries each 10 s over tunnels that lose a tenth each way, for an hour: two lost in a row, every ten minutes, must not
/// make a router forget a group.
#[test]
fn a_lossy_tunnel_does_not_lose_its_memberships() {
    for seed in 1..=5 {
        let mut sim = Sim::new(seed, 2, Planted::NONE);
        for pe in &mut sim.pes {
            pe.up.loss = 0.1;
            pe.down.loss = 0.1;
        }
        sim.query_every(10 * S);
        sim.ok(r#""op":"group-join","tunnel":"t1","group":"239.1.1.1""#);
        sim.run(3_600 * S);
        assert_eq!((sim.expired, sim.joined(0).len()), (0, 1), "seed {seed}");
    }
}
