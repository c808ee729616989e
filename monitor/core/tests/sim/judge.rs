//! Holds what a session claims against what the network did. Returns every contradiction.

use std::collections::BTreeMap;

use crate::network::{ProbeKey, S, Sim, Truth};
use vmscope_core::control::*;
use vmscope_core::time::Instant;

/// A task, as far as judging it needs.
pub struct Expected {
    pub task: u32,
    pub senders: Vec<u32>,
    pub receivers: Vec<u32>,
    pub epoch: u64,
    pub interval: u64,
    pub loss_timeout: u64,
    /// A probe handed out before the end and seen leaving after it belongs to this interval.
    pub last_interval: u64,
}

impl Expected {
    /// The task of this name, from what the session says of it.
    pub fn of(sim: &mut Sim, name: &str) -> Expected {
        let Answer::Task(status) = sim.ok(&format!(r#""op":"task-show","name":"{name}""#)) else {
            panic!()
        };
        let id = |name: &vmscope_core::name::Name| name.as_str()[1..].parse().unwrap();
        Expected {
            task: status.task,
            senders: status.spec.senders.iter().map(id).collect(),
            receivers: status.spec.receivers.iter().map(id).collect(),
            epoch: status.epoch_ns.as_ns(),
            interval: status.spec.probes.interval.as_ns(),
            loss_timeout: status.spec.probes.loss_timeout.as_ns(),
            last_interval: match status.spec.probes.duration {
                Some(duration) => {
                    duration
                        .as_ns()
                        .div_ceil(status.spec.probes.interval.as_ns())
                        - 1
                }
                None => u64::MAX,
            },
        }
    }

    fn receivers_of(&self, sender: u32) -> impl Iterator<Item = u32> + '_ {
        self.receivers.iter().copied().filter(move |r| *r != sender)
    }
}

/// What should have been recorded of one probe at one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fated {
    received: Option<u64>,
    duplicates: u32,
    late: u32,
    reordered: bool,
}

/// All fates of one stream, from the truth; sequence numbers ascending.
fn fates(
    sim: &Sim,
    expected: &Expected,
    sender: u32,
    receiver: u32,
) -> BTreeMap<u32, (Truth, Fated)> {
    let probes: BTreeMap<u32, &Truth> = sim
        .truth
        .range((expected.task, sender, 0)..=(expected.task, sender, u32::MAX))
        .map(|((_, _, seq), truth)| (*seq, truth))
        .collect();
    let arrivals = |t: &Truth| t.arrivals.get(&receiver).cloned().unwrap_or_default();
    let in_time = |t: &Truth| {
        arrivals(t)
            .into_iter()
            .filter(|at| *at <= t.sent + expected.loss_timeout)
            .collect::<Vec<_>>()
    };
    let firsts: BTreeMap<u32, u64> = probes
        .iter()
        .filter_map(|(seq, t)| Some((*seq, *in_time(t).first()?)))
        .collect();
    // The earliest arrival of any later probe, by sequence number.
    let mut earliest_later = BTreeMap::new();
    let mut earliest = u64::MAX;
    for (seq, at) in firsts.iter().rev() {
        earliest_later.insert(*seq, earliest);
        earliest = earliest.min(*at);
    }
    let fate = |seq: u32, t: &Truth| {
        let timely = in_time(t);
        let until_decision = t.sent + expected.loss_timeout + S / 5;
        Fated {
            received: timely.first().copied(),
            duplicates: timely.len().saturating_sub(1) as u32,
            late: arrivals(t)
                .iter()
                .filter(|at| **at > t.sent + expected.loss_timeout && **at < until_decision)
                .count() as u32,
            reordered: firsts
                .get(&seq)
                .is_some_and(|at| earliest_later[&seq] < *at),
        }
    };
    probes
        .iter()
        .map(|(seq, t)| (*seq, ((*t).clone(), fate(*seq, t))))
        .collect()
}

/// Every contradiction between a finished task's log, its rows, and the truth.
pub fn contradictions(sim: &mut Sim, expected: &Expected) -> Vec<String> {
    let mut found = Vec::new();
    let mut log: BTreeMap<(ProbeKey, u32), Vec<ProbeRecord>> = BTreeMap::new();
    let mut rows: BTreeMap<(u32, u32, u64), PairCounts> = BTreeMap::new();
    for record in &sim.records {
        match record {
            Record::Probe(p) if p.task == expected.task => {
                log.entry(((p.task, p.sender, p.seq), p.receiver))
                    .or_default()
                    .push(p.clone());
            }
            Record::Interval(row) if row.task == expected.task => {
                let key = (row.pair.sender, row.pair.receiver, row.interval);
                if rows.insert(key, row.pair.counts).is_some() {
                    found.push(format!("two rows of {key:?}"));
                }
            }
            _ => {}
        }
    }
    for &sender in &expected.senders {
        for receiver in expected.receivers_of(sender) {
            let fates = fates(sim, expected, sender, receiver);
            if fates.is_empty() {
                found.push(format!("{sender} sent nothing"));
            }
            let mut truth_rows: BTreeMap<u64, PairCounts> = BTreeMap::new();
            for (seq, (truth, fate)) in &fates {
                let interval = (!truth.warmup).then(|| {
                    ((truth.sent - expected.epoch) / expected.interval).min(expected.last_interval)
                });
                if let Some(interval) = interval {
                    let c = truth_rows.entry(interval).or_default();
                    c.sent += 1;
                    c.received += u64::from(fate.received.is_some());
                    c.lost += u64::from(fate.received.is_none());
                    c.duplicates += u64::from(fate.duplicates);
                    c.reordered += u64::from(fate.reordered);
                    c.late += u64::from(fate.late);
                }
                let claim = ProbeRecord {
                    task: expected.task,
                    sender,
                    receiver,
                    seq: *seq,
                    sent_ns: Instant::from_ns(truth.sent),
                    received_ns: fate.received.map(Instant::from_ns),
                    fate: if fate.received.is_some() {
                        Fate::Received
                    } else {
                        Fate::Lost
                    },
                    duplicates: fate.duplicates,
                    reordered: fate.reordered,
                    late: fate.late,
                    warmup: truth.warmup,
                    interval,
                };
                let logged = log
                    .remove(&((expected.task, sender, *seq), receiver))
                    .unwrap_or_default();
                if logged != [claim.clone()] {
                    found.push(format!("probe: true {claim:?}\n      logged {logged:?}"));
                }
            }
            for (interval, counts) in truth_rows {
                let row = rows.remove(&(sender, receiver, interval));
                if row != Some(counts) {
                    found.push(format!(
                        "row {sender}->{receiver} {interval}: true {counts:?}, said {row:?}"
                    ));
                }
            }
        }
    }
    found.extend(rows.keys().map(|key| format!("a row of nothing: {key:?}")));
    found.extend(log.keys().map(|key| format!("a probe never sent: {key:?}")));
    found
}
