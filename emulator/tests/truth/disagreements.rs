//! Every lie of the lab is noticed, each beside the same lab telling the truth.

use mvpnlab_emulator::{
    scenario::{Action, Impairment},
    truth::{Counters, Observation, Truth, TruthError, file, record::Direction},
};

use crate::{
    fates::{send, two},
    frames,
    lab::{Lab, MS, Nodes, Out, Perfect, SECOND, START, TWO, Wires, out},
};

/// Many probes, with one rule for the wire from P to PE2.
fn run(lab: &mut Lab, count: u32, mut rule: impl FnMut(u32) -> Vec<Out>) {
    for sequence in 0..count {
        let outs = rule(sequence);
        let mut at = send(sequence);
        at.ns = START + SECOND + u64::from(sequence) * 4 * MS;
        lab.probe(
            at,
            &mut Wires(|lane: &str, _| {
                if lane == "P-PE2/PE2" {
                    outs.clone()
                } else {
                    vec![out(20_000)]
                }
            }),
        );
    }
}

fn quiet() -> Lab {
    let mut lab = Lab::new(TWO);
    run(&mut lab, 40, |_| vec![out(20_000)]);
    lab
}

#[test]
fn an_honest_lab_is_believed() {
    assert_eq!(quiet().complaints(), "");
}

#[test]
fn a_tap_with_holes() {
    let mut lab = quiet();
    lab.tap.kernel_drops = 3;
    lab.tap.foreign = 2;
    insta::assert_snapshot!(lab.complaints(), @r"
    tap: the kernel could not store 3 frames; the truth has holes, give the lab more memory
    tap: 2 frames were seen on devices of the wire room that are no wire's end
    ");
}

#[test]
fn counters_that_contradict_the_tap() {
    type Lie = fn(&mut Counters);
    let lies: [(Lie, &str); 6] = [
        (
            |counters| {
                counters.snapshots[1]
                    .qdiscs
                    .get_mut("P-PE2/PE2")
                    .unwrap()
                    .sent_packets += 1
            },
            "P-PE2/PE2: between \"at 100000\" and \"at 111500\" the queueing discipline counted 41 frames sent, and the tap saw 40 leave",
        ),
        (
            |counters| {
                counters.snapshots[1]
                    .qdiscs
                    .get_mut("P-PE2/PE2")
                    .unwrap()
                    .dropped += 2
            },
            "P-PE2/PE2: between \"at 100000\" and \"at 111500\" the queueing discipline counted 2 frames dropped, and by the tap 0 entered and never left",
        ),
        (
            |counters| {
                counters.snapshots[0]
                    .qdiscs
                    .get_mut("P-PE2/PE2")
                    .unwrap()
                    .sent_packets = 99
            },
            "P-PE2/PE2: between \"at 100000\" and \"at 111500\" the queueing discipline's counts went back, though nothing was changed",
        ),
        (
            |counters| {
                counters.snapshots[1]
                    .interfaces
                    .get_mut("wires/w0b")
                    .unwrap()
                    .tx_packets -= 1
            },
            "wires/w0b: between \"at 100000\" and \"at 111500\" the device counted 39 frames sent, and the tap saw 40 leave",
        ),
        (
            |counters| {
                counters.snapshots[1].interfaces.remove("wires/w2a");
            },
            "wires/w2a: a reading of the counters does not have this device; nothing confirms the tap there",
        ),
        (
            |counters| counters.snapshots.truncate(1),
            "counters: fewer than two readings lie within the capture; nothing confirms the tap",
        ),
    ];
    for (lie, told) in lies {
        let found = quiet().disagreements(lie);
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [told]
        );
    }
}

#[test]
fn a_tunnels_counter() {
    let text = format!("{TWO}[[impair_tunnel]]\ntunnel = \"b\"\nimpair = {{ loss = \"0.01%\" }}\n");
    let mut lab = Lab::new(&text);
    run(&mut lab, 40, |_| vec![out(20_000)]);
    let sent = |count: u64| {
        move |counters: &mut Counters| {
            for (snapshot, packets) in counters.snapshots.iter_mut().zip([0, count]) {
                snapshot
                    .qdiscs
                    .entry("tunnel/b".into())
                    .or_default()
                    .sent_packets = packets;
            }
        }
    };
    assert_eq!(lab.disagreements(sent(40)), []);
    for wrong in [39, 41] {
        let found = lab.disagreements(sent(wrong));
        assert_eq!(found.len(), 1);
        assert!(
            found[0].to_string().contains(&format!(
                "counted {wrong} packets sent, and the tap saw 40 of them"
            )),
            "{}",
            found[0]
        );
    }
}

/// The tunnel's device is inside the router: its count tells of loss, the wires around it of delay.
#[test]
fn a_tunnels_impairment_is_audited() {
    let lab = |asked: &str, delay_ns: u64, n: u32| {
        let text = format!("{TWO}[[impair_tunnel]]\ntunnel = \"b\"\nimpair = {{ {asked} }}\n");
        let mut lab = Lab::new(&text);
        lab.hold = Some(("P-PE2/P".into(), delay_ns));
        for sequence in 0..600u32 {
            let mut at = send(sequence);
            at.ns = START + SECOND + u64::from(sequence) * 4 * MS;
            let gone = sequence % n == 0;
            lab.probe(
                at,
                &mut Nodes(|node: &str, lane: &str, _| {
                    !(gone && node == "PE2" && lane == "P-PE2/P")
                }),
            );
        }
        let (dropped, sent) = (
            (0..600).filter(|sequence| sequence % n == 0).count() as u64,
            (0..600).filter(|sequence| sequence % n != 0).count() as u64,
        );
        let found = lab.disagreements(|counters| {
            for (snapshot, share) in counters.snapshots.iter_mut().zip([0, 1]) {
                let qdisc = snapshot.qdiscs.entry("tunnel/b".into()).or_default();
                (qdisc.sent_packets, qdisc.dropped) = (sent * share, dropped * share);
            }
        });
        found
            .iter()
            .map(|found| format!("{found}\n"))
            .collect::<String>()
    };
    assert_eq!(lab("loss = \"10%\", delay = \"10ms\"", 10 * MS, 10), "");
    assert_eq!(
        lab("loss = \"10%\", delay = \"10ms\"", 10 * MS, 2),
        "tunnel/b: 300 of 600 frames were lost, though 10.0000 % was asked for\n"
    );
    assert!(lab("loss = \"10%\", delay = \"10ms\"", 100 * MS, 10).starts_with("tunnel/b: a delay of 10.000 ms was asked for, and half of the frames took at least 100.005 ms"));
    assert!(
        lab("loss = \"10%\", delay = \"10ms\"", 5 * MS, 10)
            .contains("540 of 540 frames took less than the 9.998 ms")
    );
}

#[test]
fn frames_from_nowhere_and_frames_into_nowhere() {
    let mut lab = quiet();
    let frame = frames::ethernet(
        [1, 0, 0x5e, 0, 0, 5],
        0x0800,
        &frames::igmp([10, 0, 0, 1].into(), [224, 0, 0, 1].into(), 0x11),
    );
    lab.see(
        "PE1-P/P",
        Direction::Left,
        START + 5 * SECOND,
        frame.clone(),
    );
    lab.cross("PE1-P/PE1", START + 5 * SECOND, &frame, &[]);
    insta::assert_snapshot!(lab.complaints(), @r"
    PE1-P/PE1: 1 frames entered the wire and never left it, though neither loss nor a queue limit was asked for; the first 5.000 s after the start, the fullest queue held 0 frames
    PE1-P/P: 1 frames left the wire that had never entered it
    ");
}

#[test]
fn a_frame_that_was_inside_when_the_capture_began_or_ended_is_no_lie() {
    let mut lab = quiet();
    let frame = frames::ethernet(
        [1, 0, 0x5e, 0, 0, 5],
        0x0800,
        &frames::igmp([10, 0, 0, 1].into(), [224, 0, 0, 1].into(), 0x11),
    );
    lab.see(
        "PE1-P/P",
        Direction::Left,
        lab.tap.started_ns + 1,
        frame.clone(),
    );
    lab.see(
        "PE1-P/PE1",
        Direction::Entered,
        lab.tap.stopped_ns - 1,
        frame,
    );
    assert_eq!(lab.complaints(), "");
}

/// 600 frames with every `n`th lost.
fn losing(asked: &str, n: u32) -> String {
    let mut lab = two("P-PE2", &format!("impair_to.PE2 = {{ {asked} }}"));
    run(&mut lab, 600, |sequence| {
        if sequence % n == n - 1 {
            vec![]
        } else {
            vec![out(20_000)]
        }
    });
    lab.complaints()
}

#[test]
fn loss_that_is_not_what_was_asked() {
    assert_eq!(losing("loss = \"10%\"", 10), "");
    assert_eq!(losing("burst = { p = \"5%\", r = \"45%\" }", 10), "");
    assert_eq!(
        losing("loss = \"10%\"", 1000),
        "P-PE2/PE2: in the stretch from 1.000 s on, 0 of 600 frames were lost, though 10.0000 % was asked for\n"
    );
    assert_eq!(
        losing("loss = \"10%\"", 3),
        "P-PE2/PE2: in the stretch from 1.000 s on, 200 of 600 frames were lost, though 10.0000 % was asked for\n"
    );
    assert!(
        losing("burst = { p = \"5%\", r = \"45%\" }", 2).contains("300 of 600 frames were lost")
    );
}

#[test]
fn delay_that_is_not_what_was_asked() {
    let delayed = |asked: &str, transit_ns: fn(u32) -> u64| {
        let mut lab = two("P-PE2", &format!("impair_to.PE2 = {{ {asked} }}"));
        run(&mut lab, 200, |sequence| vec![out(transit_ns(sequence))]);
        lab.complaints()
    };
    assert_eq!(delayed("delay = \"70ms\"", |_| 70 * MS + 30_000), "");
    assert_eq!(
        delayed("delay = \"70ms\"", |_| 700 * MS),
        "P-PE2/PE2: in the stretch from 1.000 s on, a delay of 70.000 ms was asked for, and half of the frames took at least 700.000 ms, one of a hundred 700.000 ms\n"
    );
    assert!(
        delayed("delay = \"70ms\"", |_| 20_000)
            .contains("200 of 200 frames took less than the 69.998 ms")
    );
    assert!(delayed("loss = \"0.01%\"", |_| 9 * MS).contains("a delay of 0.000 ms was asked for"));
    assert_eq!(
        delayed("delay = \"70ms\", jitter = \"10ms\"", |sequence| 60 * MS
            + u64::from(sequence) * 100_000),
        ""
    );
    assert!(
        delayed("delay = \"70ms\", jitter = \"10ms\"", |sequence| 60 * MS
            + u64::from(sequence) * 10_000)
        .contains("on average")
    );
    assert!(
        delayed("delay = \"70ms\", jitter = \"10ms\"", |_| 95 * MS)
            .contains("more than the 80.000 ms that delay and jitter allow")
    );
    assert_eq!(
        delayed("delay = \"70ms\", reorder = \"25%\"", |sequence| {
            if sequence % 4 == 0 { 20_000 } else { 70 * MS }
        }),
        ""
    );
    assert!(
        delayed("delay = \"70ms\", reorder = \"1%\"", |sequence| {
            if sequence % 4 == 0 { 20_000 } else { 70 * MS }
        })
        .contains("asked to be sent at once")
    );
}

#[test]
fn duplicates_and_corruption_that_were_not_asked_for_or_are_missing() {
    let twice = |asked: &str, n: u32| {
        let mut lab = two("P-PE2", &format!("impair_to.PE2 = {{ {asked} }}"));
        run(&mut lab, 400, |sequence| {
            if sequence % n == 0 {
                vec![out(20_000), out(21_000)]
            } else {
                vec![out(20_000)]
            }
        });
        lab.complaints()
    };
    assert_eq!(twice("duplicate = \"10%\"", 10), "");
    assert!(
        twice("duplicate = \"10%\"", 1000)
            .contains("1 of 400 frames left twice, though 10.0000 % was asked for")
    );
    assert!(
        twice("loss = \"0.01%\"", 1000)
            .contains("1 of 400 frames left twice, though 0.0000 % was asked for")
    );

    let flipped = |asked: &str, n: u32| {
        let mut lab = two("P-PE2", &format!("impair_to.PE2 = {{ {asked} }}"));
        run(&mut lab, 400, |sequence| {
            vec![Out {
                transit_ns: 20_000,
                flip: (sequence % n == 0).then_some(90 * 8),
            }]
        });
        lab.complaints()
    };
    assert_eq!(flipped("corrupt = \"10%\"", 10), "");
    assert!(
        flipped("corrupt = \"10%\"", 1000)
            .contains("1 of 400 frames left with a flipped bit, though 10.0000 % was asked for")
    );
    assert!(
        flipped("loss = \"0.01%\"", 1000)
            .contains("1 of 400 frames left with a flipped bit, though 0.0000 % was asked for")
    );
}

/// netem's silent default: room for 1000, where no limit was asked for and some loss hides it.
#[test]
fn netems_default_queue_is_recognised() {
    let lab = |room: usize| {
        let mut lab = two(
            "P-PE2",
            "impair_to.PE2 = { delay = \"400ms\", loss = \"5%\" }",
        );
        let mut inside: Vec<u64> = Vec::new();
        for sequence in 0..6_000u32 {
            let ns = START + SECOND + u64::from(sequence) * 300_000;
            inside.retain(|left| *left > ns);
            let lost = sequence % 20 == 0 || inside.len() >= room;
            if !lost {
                inside.push(ns + 400 * MS);
            }
            let payload = frames::probe_payload(1, 1, 1, sequence, false);
            let frame = frames::ethernet(
                [2; 6],
                0x0800,
                &frames::udp([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 9, 9, &payload),
            );
            lab.cross(
                "P-PE2/PE2",
                ns,
                &frame,
                if lost {
                    &[]
                } else {
                    &[Out {
                        transit_ns: 400 * MS,
                        flip: None,
                    }]
                },
            );
        }
        lab.complaints()
    };
    assert_eq!(lab(usize::MAX), "");
    let found = lab(1000);
    assert!(
        found.contains("netem's default queue dropped them, and no limit was asked for"),
        "{found}"
    );
}

#[test]
fn a_changed_impairment_is_audited_from_its_change_on() {
    let changed = |from: u32| {
        let mut lab = two("P-PE2", "impair_to.PE2 = { delay = \"10ms\" }");
        let impair = Impairment {
            delay: Some(mvpnlab_emulator::scenario::Span::millis(30)),
            ..Impairment::default()
        };
        lab.act(
            3 * SECOND,
            Action::ImpairLink {
                link: "P-PE2".into(),
                to: Some("PE2".into()),
                impair,
            },
        );
        run(&mut lab, 1_500, |sequence| {
            vec![out(if sequence < from { 10 * MS } else { 30 * MS })]
        });
        lab.complaints()
    };
    assert_eq!(changed(500), "");
    let found = changed(1_500);
    assert!(
        found.contains("frames took less than the 29.998 ms"),
        "{found}"
    );
    assert_eq!(found.lines().count(), 1, "{found}");
}

#[test]
fn a_truth_that_cannot_be_read_says_what_is_missing() {
    let lab = quiet();
    let whole = lab.files(|_| {});
    let read = |change: &dyn Fn(&mut mvpnlab_emulator::truth::Files)| {
        let mut files = whole.clone();
        change(&mut files);
        Observation::of(&files)
            .and_then(|observation| Truth::of(&observation).map(|_| ()))
            .map_err(|error| error.to_string())
    };
    assert_eq!(read(&|_| {}), Ok(()));
    assert_eq!(
        read(&|files| drop(files.remove(file::TIMELINE))).unwrap_err(),
        "reading the observation: timeline.json is missing; the lab ended before it was written"
    );
    assert!(
        read(&|files| drop(files.insert(file::CLOCK.into(), b"{".to_vec())))
            .unwrap_err()
            .starts_with("reading the observation: clock.json: ")
    );
    assert!(
        read(&|files| drop(files.insert(file::TAPS.into(), Vec::new())))
            .unwrap_err()
            .contains("does not begin with MVLBTAPS")
    );
    assert!(
        read(&|files| files.get_mut(file::TAPS).unwrap().truncate(100))
            .unwrap_err()
            .contains("cut off")
    );
    assert!(
        read(&|files| files.get_mut(file::TAPS).unwrap()[16 + 8] = 200)
            .unwrap_err()
            .contains("wire 100 is not in the plan, which has 3")
    );
    let stepped = read(&|files| files.get_mut(file::TAPS).unwrap()[16 + 6] ^= 1).unwrap_err();
    assert!(
        stepped.contains("fits none of the recorded clock epochs"),
        "{stepped}"
    );
    let mut lab = quiet();
    lab.tap.kernel_drops = 1;
    let files = lab.files(|_| {});
    let error = Truth::of(&Observation::of(&files).unwrap())
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, TruthError::Disagreement(_)));
    assert!(error.to_string().starts_with(
        "the lab's views of the run disagree, so no verdict can be given:\n  - tap: "
    ));
}

#[test]
fn nothing_needs_a_probe() {
    let lab = Lab::new(TWO);
    let truth = lab.truth();
    assert!(truth.monitor_frames().is_empty());
    let mut lab = Lab::new(TWO);
    lab.probe(send(0), &mut Perfect);
    assert_eq!(lab.truth().monitor_frames().len(), 3);
}
