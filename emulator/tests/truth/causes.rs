//! Each cause of loss, with the place, and each with its negative: the neighbour that had none of it.

use mvpnlab_emulator::{
    scenario::{Action, LossCause},
    truth::{Fate, Place, Truth},
};

use crate::{
    fates::{pair, send, two},
    lab::{Lab, MS, Nodes, Out, Perfect, SECOND, START, Send, TWO, Wires, out},
};

/// Place and cause of each lost probe from a to the receiver, by sequence number; None: received.
fn losses(lab: &Lab, truth: &Truth, receiver: &str) -> Vec<Option<(String, Option<LossCause>)>> {
    let told = |fate| match fate {
        Fate::Received => None,
        Fate::Lost(loss) => Some((truth.place_name(loss.place), loss.cause)),
        Fate::Late | Fate::Unfinished => panic!("{fate:?}"),
    };
    truth
        .pair(pair(lab, "a", receiver))
        .iter()
        .map(|probe| told(probe.fate))
        .collect()
}

fn lost(place: &str, cause: LossCause) -> Option<(String, Option<LossCause>)> {
    Some((place.to_owned(), Some(cause)))
}

/// Loses the probes with these numbers on a lane.
fn drop_on(lane: &'static str, numbers: &'static [u32]) -> impl FnMut(u32, &mut Lab) {
    move |sequence, lab| {
        let gone = numbers.contains(&sequence);
        lab.probe(
            send(sequence),
            &mut Wires(|at: &str, _| {
                if gone && at == lane {
                    vec![]
                } else {
                    vec![out(20_000)]
                }
            }),
        );
    }
}

#[test]
fn loss_on_a_wire_is_netems() {
    for (lane, link, b_loses, c_loses) in [
        ("MON-P/P", "MON-P", true, true),
        ("PE1-P/P", "PE1-P", true, true),
        ("P-PE2/PE2", "P-PE2", true, false),
        ("P-PE2/P", "P-PE2", true, false),
    ] {
        let mut lab = two(link, "impair = { loss = \"20%\" }");
        (0..20).for_each(|sequence| drop_on(lane, &[3, 4, 9])(sequence, &mut lab));
        let truth = lab.truth();
        for (receiver, loses) in [("b", b_loses), ("c", c_loses)] {
            for (sequence, loss) in losses(&lab, &truth, receiver).into_iter().enumerate() {
                let gone = loses && [3, 4, 9].contains(&sequence);
                assert_eq!(
                    loss,
                    if gone {
                        lost(lane, LossCause::Netem)
                    } else {
                        None
                    },
                    "{lane} {receiver} {sequence}"
                );
            }
        }
    }
}

#[test]
fn a_pair_that_never_heard_a_probe_is_told_by_the_shortest_way() {
    let mut lab = two("P-PE2", "impair_to.PE2 = { loss = \"100%\" }");
    (0..20).for_each(|sequence| {
        drop_on(
            "P-PE2/PE2",
            &[
                0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
            ],
        )(sequence, &mut lab)
    });
    let truth = lab.truth();
    assert_eq!(
        losses(&lab, &truth, "b"),
        vec![lost("P-PE2/PE2", LossCause::Netem); 20]
    );
    assert_eq!(losses(&lab, &truth, "c"), vec![None; 20]);
}

/// A queue of four behind a slow wire: a fifth frame at once finds no room.
#[test]
fn a_full_queue_overflows_and_a_queue_with_room_does_not() {
    let mut lab = two(
        "P-PE2",
        "impair_to.PE2 = { rate = \"1Mbit\", queue_packets = 4 }",
    );
    let mut free_ns = 0;
    let mut waiting: Vec<u64> = Vec::new();
    for sequence in 0..12 {
        // Six at once, and six at leisure. A native frame has 102 bytes.
        let at = if sequence < 6 {
            START + SECOND + u64::from(sequence) * 1_000
        } else {
            send(sequence).ns
        };
        let mut full = |lane: &str, ns: u64| {
            if lane != "P-PE2/PE2" {
                return vec![out(20_000)];
            }
            waiting.retain(|left| *left > ns);
            if waiting.len() >= 4 {
                return vec![];
            }
            free_ns = free_ns.max(ns) + 102 * 8 * 1_000;
            waiting.push(free_ns);
            vec![out(free_ns - ns)]
        };
        lab.probe(
            Send {
                ns: at,
                ..send(sequence)
            },
            &mut Wires(&mut full),
        );
    }
    let truth = lab.truth();
    let mut expected = vec![None; 12];
    expected[4] = lost("P-PE2/PE2", LossCause::QueueOverflow);
    expected[5] = lost("P-PE2/PE2", LossCause::QueueOverflow);
    assert_eq!(losses(&lab, &truth, "b"), expected);
}

#[test]
fn a_flipped_bit_in_the_payload_travels_on_and_is_corruption_where_it_happened() {
    let mut lab = two("PE1-P", "impair_to.P = { corrupt = \"20%\" }");
    for sequence in 0..20u32 {
        // In the native frame's padding: Ethernet 14, IPv4 20, UDP 8, probe 32.
        let flip = (sequence % 5 == 0).then_some((14 + 20 + 8 + 40) * 8 + 3);
        lab.probe(
            send(sequence),
            &mut Wires(|lane: &str, _| {
                vec![Out {
                    transit_ns: 20_000,
                    flip: flip.filter(|_| lane == "PE1-P/P"),
                }]
            }),
        );
    }
    let truth = lab.truth();
    let expected: Vec<_> = (0..20)
        .map(|sequence| {
            if sequence % 5 == 0 {
                lost("PE1-P/P", LossCause::Corruption)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(losses(&lab, &truth, "b"), expected);
    // The tunnel c leaves over the same wire, but inside GRE: there the same bit belongs to the probe's number.
    let c = losses(&lab, &truth, "c");
    assert_eq!(c[0], lost("PE1-P/P", LossCause::Corruption));
    assert_eq!(c[1], None);
}

#[test]
fn a_flipped_bit_in_a_header_ends_at_the_next_node_and_one_in_the_source_mac_is_harmless() {
    let mut lab = two("P-PE2", "impair_to.PE2 = { corrupt = \"20%\" }");
    for sequence in 0..20u32 {
        let bit = match sequence % 10 {
            0 => Some((14 + 8) * 8),
            5 => Some(7 * 8),
            _ => None,
        };
        let mut net = Wires(|lane: &str, _| {
            vec![Out {
                transit_ns: 20_000,
                flip: bit.filter(|_| lane == "P-PE2/PE2"),
            }]
        });
        lab.probe(send(sequence), &mut net);
    }
    let truth = lab.truth();
    let expected: Vec<_> = (0..20)
        .map(|sequence| {
            if sequence % 10 == 0 {
                lost("P-PE2/PE2", LossCause::Corruption)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(losses(&lab, &truth, "b"), expected);
}

#[test]
fn a_down_link_takes_what_was_to_go_over_it_and_what_was_inside() {
    let mut lab = two("P-PE2", "impair_to.PE2 = { delay = \"30ms\" }");
    let down_ns = send(10).ns - START + 40 * MS;
    lab.act(
        down_ns,
        Action::LinkDown {
            link: "P-PE2".into(),
        },
    );
    lab.act(
        down_ns + 200 * MS,
        Action::LinkUp {
            link: "PE2-P".into(),
        },
    );
    let (from, until) = (START + down_ns, START + down_ns + 200 * MS);
    for sequence in 0..20 {
        // Number 10 is delayed on its way to P, so that it is inside when the link goes down.
        let hold = if sequence == 10 { 25 * MS } else { 20_000 };
        let mut wires = |lane: &str, ns: u64| match lane {
            "PE1-P/P" => vec![out(hold)],
            "P-PE2/PE2" if ns < from && ns + 30 * MS > from => vec![],
            "P-PE2/PE2" => vec![out(30 * MS)],
            _ => vec![out(20_000)],
        };
        struct Both<'a>(&'a mut dyn FnMut(&str, u64) -> Vec<Out>, u64, u64);
        impl crate::lab::Net for Both<'_> {
            fn wire(&mut self, lane: &str, ns: u64) -> Vec<Out> {
                (self.0)(lane, ns)
            }
            fn node(&mut self, _: &str, lane: &str, ns: u64) -> bool {
                !(lane.starts_with("P-PE2") && (self.1..self.2).contains(&ns))
            }
        }
        lab.probe(send(sequence), &mut Both(&mut wires, from, until));
    }
    // A purged queue counts no drops.
    lab.drops.clear();
    let (truth, found) = {
        let files = lab.files(|_| {});
        let observation = mvpnlab_emulator::truth::Observation::of(&files).unwrap();
        Truth::read(&observation).unwrap()
    };
    // The generator's one slow frame on PE1-P was not asked for; nothing else is wrong.
    assert!(
        found.iter().all(|found| found.at.starts_with("PE1-P")),
        "{found:?}"
    );
    let b = losses(&lab, &truth, "b");
    assert_eq!(b[10], lost("P-PE2/PE2", LossCause::LinkDown));
    for loss in &b[11..15] {
        assert_eq!(*loss, lost("P", LossCause::LinkDown));
    }
    assert_eq!(b.iter().filter(|loss| loss.is_some()).count(), 5, "{b:?}");
}

#[test]
fn a_node_that_passes_nothing_on_has_no_route_or_is_down() {
    for (kill, cause) in [(false, LossCause::NoRoute), (true, LossCause::NodeDown)] {
        let mut lab = Lab::new(TWO);
        let (from, until) = (send(5).ns - 10 * MS, send(9).ns - 10 * MS);
        if kill {
            lab.act(from - START, Action::NodeKill { node: "PE2".into() });
            lab.act(until - START, Action::NodeRestart { node: "PE2".into() });
        }
        for sequence in 0..20 {
            lab.probe(
                send(sequence),
                &mut Nodes(|node: &str, _: &str, ns| {
                    !(node == "PE2" && (from..until).contains(&ns))
                }),
            );
        }
        let truth = lab.truth();
        let expected: Vec<_> = (0..20)
            .map(|at| {
                if (5..9).contains(&at) {
                    lost("PE2", cause)
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(losses(&lab, &truth, "b"), expected);
        assert_eq!(losses(&lab, &truth, "c"), vec![None; 20]);
    }
}

#[test]
fn a_ttl_that_runs_out_is_told_from_a_missing_route() {
    let mut lab = Lab::new(TWO);
    for sequence in 0..6 {
        // PE1 and P each take one: with 2 it arrives at P with 1.
        lab.probe(
            Send {
                ttl: if sequence == 3 { 2 } else { 4 },
                ..send(sequence)
            },
            &mut Perfect,
        );
    }
    let truth = lab.truth();
    let mut expected = vec![None; 6];
    expected[3] = lost("P", LossCause::Ttl);
    assert_eq!(losses(&lab, &truth, "b"), expected);
    assert_eq!(
        losses(&lab, &truth, "c"),
        vec![None; 6],
        "PE1 itself still had enough"
    );
}

#[test]
fn a_tunnels_own_impairment_is_told_from_the_nodes() {
    let text = format!("{TWO}[[impair_tunnel]]\ntunnel = \"b\"\nimpair = {{ loss = \"20%\" }}\n");
    let mut lab = Lab::new(&text);
    for sequence in 0..20u32 {
        let gone = sequence % 5 == 1;
        lab.probe(
            send(sequence),
            &mut Nodes(|node: &str, lane: &str, _| !(gone && node == "PE2" && lane == "P-PE2/P")),
        );
    }
    let truth = lab.truth();
    let expected: Vec<_> = (0..20)
        .map(|at| {
            if at % 5 == 1 {
                lost("PE2", LossCause::Netem)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(losses(&lab, &truth, "b"), expected);
    let Fate::Lost(loss) = truth.pair(pair(&lab, "a", "b"))[1].fate else {
        panic!("lost")
    };
    assert_eq!(loss.place, Place::Node(lab.lane("P-PE2/PE2")));
}
