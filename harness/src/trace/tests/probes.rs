//! Probes: each way to arrive and not to arrive.

use mvpnlab_emulator::scenario::Action;

use super::lab::{Lab, MS, Nodes, Out, Perfect, SECOND, START, Wires, out};
use super::*;

/// Loses the probes with these numbers on a lane.
fn losing(lab: &mut Lab, lane: &str, numbers: &[u32]) {
    for sequence in 0..20 {
        let gone = numbers.contains(&sequence);
        let mut rule = |at: &str, _| match gone && at == lane {
            true => vec![],
            false => vec![out(20_000)],
        };
        lab.probe(send(sequence), &mut Wires(&mut rule));
    }
}

#[test]
fn a_probe_that_arrives_everywhere() {
    let mut lab = two("P-PE2", "impair_to.PE2 = { delay = \"10ms\" }");
    let slow = |lane: &str, _| vec![out(if lane == "P-PE2/PE2" { 10 * MS } else { 20_000 })];
    lab.probe(send(0), &mut Wires(slow));
    let files = lab.files(|_| {});
    insta::assert_snapshot!("everywhere", asked(&files, "mdt/a#0"));
    let question = Question {
        what: read("mdt/a/b#0"),
        ..Question::default()
    };
    insta::assert_snapshot!(
        "one_receiver_as_json",
        with(&files, &question, |scene, answer| json(scene, answer)
            .unwrap())
    );
}

#[test]
fn a_probe_that_a_link_lost_says_where_and_why() {
    let mut lab = two("P-PE2", "impair = { loss = \"20%\" }");
    losing(&mut lab, "P-PE2/PE2", &[3, 4, 9]);
    let files = lab.files(|_| {});
    insta::assert_snapshot!("lost_on_a_link", asked(&files, "mdt/a#4"));
    insta::assert_snapshot!("lost_on_a_link_to_one", asked(&files, "mdt/a/b#4"));
    insta::assert_snapshot!("what_was_lost", asked(&files, "--lost"));
    assert_eq!(asked(&files, "--lost mdt/a/c"), "Nothing was lost.\n");
}

#[test]
fn a_probe_that_a_node_did_not_send_on() {
    let mut lab = Lab::new(&scenario());
    for sequence in 0..6 {
        let mut refuses =
            |node: &str, lane: &str, _| !(sequence == 2 && node == "P" && lane == "P-PE2/PE2");
        lab.probe(send(sequence), &mut Nodes(&mut refuses));
    }
    insta::assert_snapshot!(asked(&lab.files(|_| {}), "mdt/a#2"));
}

#[test]
fn a_probe_that_found_the_link_down() {
    let mut lab = Lab::new(&scenario());
    let down_ns = SECOND + 190 * MS;
    lab.act(
        down_ns,
        Action::LinkDown {
            link: "P-PE2".into(),
        },
    );
    lab.act(
        down_ns + 100 * MS,
        Action::LinkUp {
            link: "P-PE2".into(),
        },
    );
    let down = START + down_ns..START + down_ns + 100 * MS;
    for sequence in 0..10 {
        let mut up = |_: &str, lane: &str, ns| !(lane == "P-PE2/PE2" && down.contains(&ns));
        lab.probe(send(sequence), &mut Nodes(&mut up));
    }
    let files = lab.files(|_| {});
    let said = asked(&files, "--lost");
    assert!(said.contains("at P"), "{said}");
    assert!(
        said.contains("P had it, and the link onwards was down"),
        "{said}"
    );
    assert_eq!(
        said.matches("mdt/a/b#").count(),
        3,
        "two, and the example: {said}"
    );
}

#[test]
fn a_probe_that_overflowed_a_queue() {
    let mut lab = two(
        "P-PE2",
        "impair_to.PE2 = { rate = \"1Mbit\", queue_packets = 1 }",
    );
    let mut seen = 0;
    for sequence in 0..3 {
        let mut full = |lane: &str, _| {
            seen += u64::from(lane == "P-PE2/PE2");
            match (lane, seen) {
                ("P-PE2/PE2", 2) => vec![],
                ("P-PE2/PE2", _) => vec![out(900_000)],
                _ => vec![out(20_000)],
            }
        };
        let at = Send {
            ns: START + SECOND + u64::from(sequence) * if sequence == 1 { 1_000 } else { 50 * MS },
            ..send(sequence)
        };
        lab.probe(at, &mut Wires(&mut full));
    }
    let said = asked(&lab.files(|_| {}), "mdt/a/b#1");
    assert!(said.contains("✗ b  lost on P-PE2 towards PE2 after 75.00 µs: the queue of 1 packets was full (1 were waiting)"), "{said}");
}

#[test]
fn copies_and_flipped_bits_are_told() {
    let mut lab = two(
        "P-PE2",
        "impair_to.PE2 = { duplicate = \"20%\", corrupt = \"20%\" }",
    );
    for sequence in 0..10 {
        let mut rule = |lane: &str, _| match (lane, sequence) {
            ("P-PE2/PE2", 3) => vec![out(20_000), out(25_000)],
            // In the native frame's payload: Ethernet 14, IPv4 20, UDP 8, probe 32.
            ("P-PE2/PE2", 5) => vec![Out {
                transit_ns: 20_000,
                flip: Some((14 + 20 + 8 + 40) * 8),
            }],
            _ => vec![out(20_000)],
        };
        lab.probe(send(sequence), &mut Wires(&mut rule));
    }
    let files = lab.files(|_| {});
    insta::assert_snapshot!("twice", asked(&files, "mdt/a/b#3"));
    insta::assert_snapshot!("damaged", asked(&files, "mdt/a/b#5"));
}

#[test]
fn views_that_disagree_are_said_in_a_line_and_the_taps_go_on() {
    let mut lab = Lab::new(&scenario());
    lab.probe(send(0), &mut Perfect);
    let tampered = lab.files(|counters| {
        for snapshot in &mut counters.snapshots {
            snapshot.interfaces.clear();
            snapshot
                .qdiscs
                .values_mut()
                .for_each(|qdisc| qdisc.dropped += snapshot.until_ns);
        }
    });
    let said = asked(&tampered, "mdt/a#0");
    assert!(
        said.starts_with("Note: the lab's views disagree, what follows is what the taps saw. "),
        "{said}"
    );
    assert!(said.contains("✓ b  received"), "{said}");
    assert_eq!(
        said.lines()
            .filter(|line| line.contains("disagree"))
            .count(),
        1,
        "{said}"
    );
}
