//! Random sequences of requests on a random network: whatever is asked, what must always hold does.

use crate::network::{MS, Path, S, Sim};
use proptest::prelude::*;
use std::collections::BTreeSet;
use vmscope_core::control::*;
use vmscope_core::fault::Planted;

const PES: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Request(String),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let tunnel = 1..=4u8;
    let group = prop::sample::select(vec!["239.1.1.1", "239.1.1.2", "10.0.0.1"]);
    let task = prop::sample::select(vec!["a", "b", "red"]);
    prop_oneof![
        3 => (1..4_000u64).prop_map(|ms| Step::Wait(ms * MS)),
        1 => (tunnel.clone(), group.clone()).prop_map(|(t, g)| Step::Request(format!(r#""op":"group-join","tunnel":"t{t}","group":"{g}""#))),
        1 => (tunnel.clone(), group.clone()).prop_map(|(t, g)| Step::Request(format!(r#""op":"group-leave","tunnel":"t{t}","group":"{g}""#))),
        1 => (tunnel.clone()).prop_map(|t| Step::Request(format!(r#""op":"tunnel-drop","name":"t{t}""#))),
        1 => (1..=PES as u8).prop_map(|n| Step::Request(format!(
            r#""op":"tunnel-add","name":"t{n}","id":{n},"outer_local":"10.1.0.2","outer_remote":"10.254.{n}.1","inner_local":"10.77.{n}.2","inner_remote":"10.77.{n}.1","ping_interval":"100ms""#))),
        2 => (task.clone(), group, tunnel.clone(), tunnel.clone(), 1..40u64).prop_map(|(n, g, s, r, rate)| Step::Request(format!(
            r#""op":"task-start","name":"{n}","group":"{g}","senders":["t{s}"],"receivers":["t{s}","t{r}"],"probes":{{"rate":"{rate}pps","warmup":"300ms","interval":"700ms","loss_timeout":"500ms"}}"#))),
        1 => task.clone().prop_map(|n| Step::Request(format!(r#""op":"task-stop","name":"{n}""#))),
        1 => task.prop_map(|n| Step::Request(format!(r#""op":"task-drop","name":"{n}""#))),
        1 => Just(Step::Request(r#""op":"mvpn-add","name":"red","group":"239.1.1.3","tunnels":["t1","t2","t3"],"probes":{"rate":"20pps","warmup":"100ms","interval":"1s"}"#.to_owned())),
        1 => prop::sample::select(vec!["start", "stop", "drop"]).prop_map(|v| Step::Request(format!(r#""op":"mvpn-{v}","name":"red""#))),
        2 => (tunnel, prop::sample::select(vec!["start", "stop"])).prop_map(|(t, v)| Step::Request(format!(r#""op":"mvpn-pe-{v}","mvpn":"red","tunnel":"t{t}""#))),
    ]
}

/// Everything that can be seen from outside, as text.
fn visible(sim: &mut Sim) -> String {
    [
        "tunnel-list",
        "group-list",
        "task-list",
        "mvpn-list",
        "filter",
    ]
    .map(|op| format!("{:?}", sim.ok(&format!(r#""op":"{op}""#))))
    .join("\n")
}

fn check_always(sim: &mut Sim) {
    let mut decided = BTreeSet::new();
    for record in &sim.records {
        match record {
            Record::Probe(p) => {
                assert!(
                    decided.insert((p.task, p.sender, p.receiver, p.seq)),
                    "decided twice: {p:?}"
                );
                assert_eq!(p.fate == Fate::Received, p.received_ns.is_some(), "{p:?}");
                assert_eq!(p.warmup, p.interval.is_none(), "{p:?}");
                let truth = &sim.truth[&(p.task, p.sender, p.seq)];
                let arrived = truth
                    .arrivals
                    .get(&p.receiver)
                    .is_some_and(|a| a[0] <= truth.sent + S / 2);
                assert!(
                    p.fate == Fate::Lost || arrived,
                    "received, but never arrived: {p:?}"
                );
            }
            Record::Interval(row) => {
                let c = row.pair.counts;
                assert_eq!(c.sent, c.received + c.lost, "{row:?}");
                assert!(c.sent > 0 && row.start_ns < row.end_ns, "{row:?}");
                assert!(c.reordered <= c.received, "{row:?}");
            }
            _ => {}
        }
    }
}

/// After everything is stopped: groups left, rows and log agree.
fn check_at_the_end(sim: &mut Sim) {
    sim.ok(r#""op":"shutdown""#);
    sim.run(8 * S);
    assert!(sim.session.is_finished());
    let left: Vec<_> = (0..PES).flat_map(|pe| sim.joined(pe)).collect();
    assert!(left.is_empty(), "still joined: {left:?}");
    let counted = sim
        .records
        .iter()
        .filter(|r| matches!(r, Record::Probe(p) if !p.warmup))
        .count() as u64;
    let in_rows: u64 = sim
        .records
        .iter()
        .filter_map(|r| match r {
            Record::Interval(row) => Some(row.pair.counts.sent),
            _ => None,
        })
        .sum();
    assert_eq!(
        counted, in_rows,
        "every counted probe is in exactly one row"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_asked(seed in 0..1000u64, steps in prop::collection::vec(step(), 1..40)) {
        let mut sim = Sim::new(seed, PES, Planted::NONE);
        sim.core = Path { delay: 5 * MS, jitter: 80 * MS, loss: 0.05, duplicate: 0.05, ..Path::default() };
        for step in steps {
            match step {
                Step::Wait(length) => sim.run(length),
                Step::Request(fields) => {
                    let before = visible(&mut sim);
                    if let Outcome::Error(_) = sim.request(&fields) {
                        prop_assert_eq!(before, visible(&mut sim), "a refused request changed something");
                    }
                }
            }
            check_always(&mut sim);
        }
        check_at_the_end(&mut sim);
        check_always(&mut sim);
    }
}
