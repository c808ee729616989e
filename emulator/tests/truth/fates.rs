//! Each fate, and the delays of a way's parts.

use mvpnlab_emulator::truth::{Fate, Pair, ProbeTruth, Truth};

use crate::{
    frames,
    lab::{GROUP, Lab, MS, Perfect, SECOND, START, Send, TWO, Wires, out},
};

/// With something at a place in the scenario's text.
pub fn two(link: &str, extra: &str) -> Lab {
    let line = format!("ends = \"{link}\"\n");
    assert!(TWO.contains(&line));
    Lab::new(&TWO.replace(&line, &format!("{line}{extra}\n")))
}

pub fn pair(lab: &Lab, sender: &str, receiver: &str) -> Pair {
    let id = |name| lab.tunnel(name).id;
    Pair {
        task: 1,
        sender: id(sender),
        receiver: id(receiver),
        loss_timeout_ns: 2 * SECOND,
    }
}

pub fn send(sequence: u32) -> Send<'static> {
    Send {
        sender: "a",
        sequence,
        ns: START + SECOND + u64::from(sequence) * 50 * MS,
        ttl: 64,
    }
}

fn a_to_b(lab: &Lab, truth: &Truth) -> Vec<ProbeTruth> {
    truth.pair(pair(lab, "a", "b"))
}

#[test]
fn a_probe_that_arrives_is_received_with_its_parts() {
    let mut lab = Lab::new(TWO);
    let deed = lab.probe(send(0), &mut Perfect);
    let truth = lab.truth();
    let probes = a_to_b(&lab, &truth);
    assert_eq!(probes.len(), 1);
    let probe = &probes[0];
    assert_eq!(probe.fate, Fate::Received);
    assert_eq!(
        (
            probe.sent_ns,
            probe.duplicates,
            probe.reordered,
            probe.warmup
        ),
        (send(0).ns, 0, false, false)
    );
    assert_eq!(probe.arrivals_ns, deed.arrivals[&lab.tunnel("b").id]);
    // Every wire takes 20 us and every node 5 us.
    assert_eq!(probe.parts.tunnel_up_ns, Some(45_000));
    assert_eq!(probe.parts.path_ns, Some(50_000));
    assert_eq!(probe.parts.tunnel_down_ns, Some(50_000));
    assert_eq!(probe.end_to_end_ns(), Some(145_000));
    // Both tunnels at one router: no path between.
    let same = &truth.pair(pair(&lab, "a", "c"))[0];
    assert_eq!((same.fate, same.parts.path_ns), (Fate::Received, Some(0)));
    assert_eq!(same.end_to_end_ns(), Some(45_000 + 50_000));
    assert_eq!(
        truth.pair(pair(&lab, "b", "a")),
        [],
        "nothing was sent by b"
    );
    assert_eq!(
        truth.pair(Pair {
            task: 2,
            ..pair(&lab, "a", "b")
        }),
        [],
        "there is no such task"
    );
}

#[test]
fn duplicates_are_counted_and_are_not_received_twice() {
    let mut lab = two("P-PE2", "impair_to.PE2 = { duplicate = \"50%\" }");
    for sequence in 0..40 {
        let copies = if sequence % 2 == 0 {
            vec![out(20_000), out(20_100)]
        } else {
            vec![out(20_000)]
        };
        lab.probe(
            send(sequence),
            &mut Wires(|lane: &str, _| {
                if lane == "P-PE2/PE2" {
                    copies.clone()
                } else {
                    vec![out(20_000)]
                }
            }),
        );
    }
    let truth = lab.truth();
    let probes = a_to_b(&lab, &truth);
    assert_eq!(
        probes
            .iter()
            .map(|probe| probe.duplicates)
            .collect::<Vec<_>>(),
        [1, 0].repeat(20)
    );
    assert!(
        probes
            .iter()
            .all(|probe| probe.fate == Fate::Received && !probe.reordered)
    );
    assert!(
        truth
            .pair(pair(&lab, "a", "c"))
            .iter()
            .all(|probe| probe.duplicates == 0),
        "not on that branch"
    );
}

#[test]
fn overtaken_probes_are_reordered_and_their_overtakers_are_not() {
    let mut lab = two(
        "P-PE2",
        "impair_to.PE2 = { delay = \"120ms\", reorder = \"50%\" }",
    );
    // Numbers 0, 3, 6 … are slow.
    for sequence in 0..12 {
        let transit = if sequence % 3 == 0 { 120 * MS } else { 20_000 };
        lab.probe(
            send(sequence),
            &mut Wires(|lane: &str, _| {
                vec![out(if lane == "P-PE2/PE2" { transit } else { 20_000 })]
            }),
        );
    }
    let truth = lab.truth();
    let reordered: Vec<u32> = a_to_b(&lab, &truth)
        .iter()
        .filter(|probe| probe.reordered)
        .map(|probe| probe.id.sequence)
        .collect();
    assert_eq!(reordered, [0, 3, 6, 9]);
    assert!(
        truth
            .pair(pair(&lab, "a", "c"))
            .iter()
            .all(|probe| !probe.reordered)
    );
}

#[test]
fn a_late_probe_is_lost_and_still_has_an_arrival() {
    let mut lab = two("P-PE2", "impair_to.PE2 = { delay = \"1500ms\" }");
    lab.probe(
        send(0),
        &mut Wires(|lane: &str, _| {
            vec![out(if lane == "P-PE2/PE2" {
                1500 * MS
            } else {
                20_000
            })]
        }),
    );
    let truth = lab.truth();
    let ask = |loss_timeout_ns| {
        truth.pair(Pair {
            loss_timeout_ns,
            ..pair(&lab, "a", "b")
        })[0]
            .clone()
    };
    assert_eq!(ask(2 * SECOND).fate, Fate::Received);
    assert_eq!(
        (ask(SECOND).fate, ask(SECOND).arrivals_ns.len()),
        (Fate::Late, 1)
    );
    assert_eq!(ask(SECOND).fate.is_received(), Some(false));
}

#[test]
fn a_probe_without_time_to_arrive_is_not_judged() {
    let mut lab = two("P-PE2", "impair_to.PE2 = { loss = \"50%\" }");
    let lost = &mut Wires(|lane: &str, _| {
        if lane == "P-PE2/PE2" {
            vec![]
        } else {
            vec![out(20_000)]
        }
    });
    lab.probe(send(0), lost);
    lab.probe(
        Send {
            ns: lab.tap.stopped_ns - SECOND,
            ..send(1)
        },
        lost,
    );
    let truth = lab.truth();
    let probes = a_to_b(&lab, &truth);
    assert!(
        matches!(probes[0].fate, Fate::Lost(_)),
        "{:?}",
        probes[0].fate
    );
    assert_eq!(
        (probes[1].fate, probes[1].fate.is_received()),
        (Fate::Unfinished, None)
    );
}

#[test]
fn a_stepped_wall_clock_changes_no_delay() {
    for hour in [3_600_000_000_000, -3_600_000_000_000] {
        let mut lab = Lab::new(TWO);
        // Between sending and arriving of number 1.
        lab.steps.push((send(1).ns + 70_000, hour));
        for sequence in 0..4 {
            lab.probe(send(sequence), &mut Perfect);
        }
        let truth = lab.truth();
        let delays: Vec<_> = a_to_b(&lab, &truth)
            .iter()
            .map(ProbeTruth::end_to_end_ns)
            .collect();
        assert_eq!(delays, [Some(145_000); 4]);
    }
}

#[test]
fn a_second_session_counts_anew() {
    let mut lab = Lab::new(TWO);
    lab.probe(send(5), &mut Perfect);
    lab.session = 78;
    lab.probe(
        Send {
            ns: send(6).ns,
            ..send(0)
        },
        &mut Perfect,
    );
    let truth = lab.truth();
    let probes = a_to_b(&lab, &truth);
    assert_eq!(probes.len(), 2);
    assert!(
        probes
            .iter()
            .all(|probe| !probe.reordered && probe.fate == Fate::Received)
    );
    assert_eq!(truth.journeys.streams().len(), 2);
}

#[test]
fn a_probe_in_a_foreign_tunnel_is_a_stray_and_was_not_sent() {
    let mut lab = Lab::new(TWO);
    lab.probe(send(0), &mut Perfect);
    let (a, b) = (lab.tunnel("a"), lab.tunnel("b"));
    let inner = frames::udp(
        a.monitor_inner,
        GROUP,
        33900,
        64,
        &frames::probe_payload(77, 1, a.id, 1, false),
    );
    let frame = frames::ethernet(
        [2, 0, 0, 0, 0, 1],
        0x0800,
        &frames::gre(b.monitor_outer, b.router_outer, b.key, &inner),
    );
    lab.cross("MON-P/P", send(1).ns, &frame, &[out(20_000)]);
    let truth = lab.truth();
    assert_eq!(a_to_b(&lab, &truth).len(), 1);
    assert_eq!(
        truth.strays().map(|id| id.sequence).collect::<Vec<_>>(),
        [1]
    );
    let seen = truth.monitor_frames();
    assert_eq!(seen.iter().filter(|frame| frame.from_monitor).count(), 2);
    assert_eq!(
        seen.iter()
            .filter(|frame| !frame.from_monitor && frame.tunnel == Some(b.id))
            .count(),
        1
    );
    assert!(
        seen.iter()
            .all(|frame| frame.destination == Some(GROUP) && frame.whole)
    );
}
