//! A report made up by hand, for the snapshots of everything that people read.

use std::collections::BTreeMap;

use super::*;
use crate::check::{Figure, Outcome};

/// Two PEs with three parallel tunnels each; one expectation failed.
pub fn failed() -> Report {
    let mut report = passed();
    report.findings[0].outcome = Outcome::Failed {
        reason: "fates of table1: 2 of 12 000 differ from the taps\n  t1 -> u1 probe 17: the monitor says lost, the taps saw it arrive after 31.20 ms\n  t1 -> u1 probe 18: the monitor says 1 duplicate, the taps saw none".into(),
    };
    report.verdict = Verdict::Fail {
        reasons: vec![
            report.findings[0]
                .outcome
                .reason()
                .unwrap_or_default()
                .into(),
        ],
    };
    report
}

/// The same, and everything held.
pub fn passed() -> Report {
    let tunnels = [
        ("t1", "PE1", ""),
        ("t2", "PE1", "20ms"),
        ("t3", "PE1", "loss 5%"),
        ("u1", "PE2", ""),
        ("u2", "PE2", "60ms loss 1%"),
    ];
    Report {
        format: FORMAT,
        scenario: "table1".into(),
        title: "Table 1 of the paper: parallel tunnels, each with its own loss and delay".into(),
        proves: vec!["VS-05".into(), "VS-12".into()],
        seed: 7,
        fault: None,
        built: Built {
            image: "5f3c".repeat(16),
            mvpnlab: "aa11".repeat(16),
            monitor: "0b0b".repeat(16),
        },
        verdict: Verdict::Pass,
        findings: findings(),
        false_alarm_total: 2e-6,
        pairs: tunnels[..3]
            .iter()
            .enumerate()
            .flat_map(|(i, t)| {
                tunnels[3..]
                    .iter()
                    .enumerate()
                    .map(move |(j, u)| pair(t.0, u.0, i as u64, j as u64))
            })
            .collect(),
        losses: vec![
            LossAt {
                cause: "netem".into(),
                place: "tunnel u2".into(),
                probes: 93,
            },
            LossAt {
                cause: "netem".into(),
                place: "PE1-P/P".into(),
                probes: 371,
            },
            LossAt {
                cause: "link-down".into(),
                place: "PE2-P/PE2".into(),
                probes: 12,
            },
        ],
        streams: vec![Stream {
            source: "video".into(),
            receiver: "viewer".into(),
            sent: 1500,
            received: 1481,
        }],
        series: vec![Series {
            task: "table1".into(),
            bucket_ns: 2_000_000_000,
            buckets: (0..30).map(bucket).collect(),
        }],
        delays: vec![DelayHistogram {
            task: "table1".into(),
            from_ns: 28_000_000,
            bin_ns: 2_000_000,
            truth: shape(0),
            measured: shape(1),
        }],
        events: vec![
            EventDone {
                at_ns: 20_000_000_000,
                what: "link PE2-P down".into(),
            },
            EventDone {
                at_ns: 24_000_000_000,
                what: "link PE2-P up".into(),
            },
        ],
        topology: topology(&tunnels),
        scenario_text: "title = \"Table 1 of the paper\"\nduration = \"60s\"\n".into(),
    }
}

fn findings() -> Vec<Finding> {
    let finding =
        |check: &str, expected: &str, judged: u64, figures: &[(&str, Figure)], false_alarm| {
            Finding {
                check: check.into(),
                about: "table1".into(),
                expected: expected.into(),
                outcome: Outcome::Held,
                judged,
                figures: figures
                    .iter()
                    .map(|(name, figure)| ((*name).into(), *figure))
                    .collect::<BTreeMap<_, _>>(),
                false_alarm,
            }
        };
    vec![
        finding(
            "fates",
            "every probe's fate as the taps saw it",
            12_000,
            &[("lost", Figure::Count(476))],
            None,
        ),
        finding(
            "delay-error",
            "at most 20.00 µs at the 99th percentile",
            11_524,
            &[
                ("error_p99_ns", Figure::Count(4_112)),
                ("error_max_ns", Figure::Count(9_870)),
            ],
            None,
        ),
        finding(
            "loss-rate",
            "injected 5.00 %, at a false-alarm probability of 1.0e-6",
            6,
            &[("measured_share", Figure::Ratio(0.0497))],
            Some(2e-6),
        ),
    ]
}

fn pair(sender: &str, receiver: &str, i: u64, j: u64) -> Pair {
    let lost = 20 * i + 31 * j;
    let delay = 30_000_000 + 20_000_000 * i as i64 + 25_000_000 * j as i64;
    let truth = Figures {
        sent: 2000,
        received: 2000 - lost,
        lost,
        duplicates: i,
        reordered: j,
        delay_mean_ns: Some(delay + 27_000),
        delay_p99_ns: Some(delay + 41_000),
    };
    Pair {
        task: "table1".into(),
        sender: sender.into(),
        receiver: receiver.into(),
        induced: Induced {
            loss: Some(0.01 * i as f64 + 0.015 * j as f64),
            delay_ns: Some(delay),
        },
        truth,
        measured: Some(Figures {
            delay_mean_ns: Some(delay + 29_000),
            ..truth
        }),
        path: PathFigures {
            true_delay_ns: Some(10_021_000),
            true_loss: Some(0.004),
            point_delay_ns: Some(10_026_000),
            delay_interval_ns: Some((2_000_000, 38_000_000)),
            point_loss: Some(0.005),
            loss_interval: Some((0.0, 0.02)),
        },
    }
}

fn bucket(i: u64) -> Bucket {
    let lost = if (10..12).contains(&i) {
        90
    } else {
        (i * 7) % 13
    };
    Bucket {
        expected: 400,
        lost_true: lost,
        lost_measured: lost,
        logged: 400,
    }
}

fn shape(shift: u64) -> Vec<u64> {
    (0..40u64)
        .map(|i| {
            900 / (1 + i.abs_diff(6).pow(2)) + 700 / (1 + i.abs_diff(21).pow(2)) + shift * (i % 2)
        })
        .collect()
}

fn topology(tunnels: &[(&str, &str, &str)]) -> Topology {
    let node = |name: &str, role: &str, mvpns: &[&str]| Node {
        name: name.into(),
        role: role.into(),
        mvpns: mvpns.iter().map(|m| (*m).into()).collect(),
    };
    let quiet = |entered| Direction {
        impairment: String::new(),
        entered,
        left: entered,
        lost: 0,
    };
    let link = |a: &str, b: &str, to_b: Direction| Link {
        a: a.into(),
        b: b.into(),
        to_b,
        to_a: quiet(5_212),
    };
    Topology {
        nodes: vec![
            node("CE1", "ce", &[]),
            node("CE2", "ce", &[]),
            node("MON", "monitor", &[]),
            node("P", "p", &[]),
            node("PE1", "pe", &["red"]),
            node("PE2", "pe", &["red"]),
        ],
        links: vec![
            link(
                "PE1",
                "P",
                Direction {
                    impairment: "30ms loss 3%".into(),
                    entered: 12_408,
                    left: 12_037,
                    lost: 371,
                },
            ),
            link("PE2", "P", quiet(9_911)),
            link("P", "MON", quiet(15_000)),
            link("PE1", "CE1", quiet(3_000)),
            link("PE2", "CE2", quiet(3_000)),
        ],
        tunnels: tunnels
            .iter()
            .map(|(name, at, impairment)| Tunnel {
                name: (*name).into(),
                at: (*at).into(),
                peer: None,
                impairment: (*impairment).into(),
            })
            .collect(),
    }
}
