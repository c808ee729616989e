//! An exporter of flows, its datagrams, and the ways in which they go wrong.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::{Aggregate, Discard, Discards, Export, FlowRecord, FlowSpec, Flows};
use crate::time::{Instant, Span};

const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);

fn spec() -> FlowSpec {
    FlowSpec {
        probes: 10,
        source: SOURCE,
        group: GROUP,
        exported_within: Span::from_s(4),
        patience: Span::from_s(10),
    }
}

/// What is wrong with an exporter or with the way to us; probabilities a datagram, but for `loss`.
#[derive(Debug, Clone, Copy)]
struct Faults {
    loss: f64,
    datagram_lost: f64,
    datagram_twice: f64,
    restart: f64,
    says_uptime: bool,
}

const NONE: Faults = Faults {
    loss: 0.1,
    datagram_lost: 0.0,
    datagram_twice: 0.0,
    restart: 0.0,
    says_uptime: true,
};

/// A flow in the exporter's table.
struct Cached {
    packets: u64,
    last_ms: u64,
}

struct Exporter {
    faults: Faults,
    random: ChaCha8Rng,
    now_ms: u64,
    booted_ms: u64,
    sequence: u32,
    table: BTreeMap<u16, Cached>,
    /// Flows are sent this long after their last packet.
    timeout_ms: u64,
}

impl Exporter {
    fn happens(&mut self, probability: f64) -> bool {
        self.random.random_bool(probability)
    }

    /// Looks at its table; what arrives of what it sends. It always has something to say: of others' flows.
    fn expire(&mut self) -> Vec<Export> {
        // See the limit in `counters`: without an uptime, one restart only.
        let may_restart = self.faults.says_uptime || self.booted_ms == 0;
        if self.happens(self.faults.restart) && may_restart {
            self.table.clear();
            (self.booted_ms, self.sequence) = (self.now_ms, 0);
        }
        let (now_ms, timeout_ms) = (self.now_ms, self.timeout_ms);
        let over = |cached: &Cached| cached.last_ms + timeout_ms <= now_ms;
        let ports: Vec<u16> = self
            .table
            .iter()
            .filter(|(_, c)| over(c))
            .map(|(p, _)| *p)
            .collect();
        let record = |port: u16, packets: u64, source: Ipv4Addr| FlowRecord {
            source,
            destination: GROUP,
            source_port: port,
            packets,
        };
        let mut records = vec![record(57_344, 99, Ipv4Addr::new(10, 0, 0, 9))];
        for port in ports {
            if let Some(cached) = self.table.remove(&port) {
                records.push(record(port, cached.packets, SOURCE));
            }
        }
        let next = self.sequence.wrapping_add(records.len() as u32);
        let export = Export {
            stream: 5,
            sequence: self.sequence,
            next_sequence: Some(next),
            sent_s: (self.now_ms / 1_000) as u32,
            uptime_ms: self
                .faults
                .says_uptime
                .then_some((self.now_ms - self.booted_ms) as u32),
            sampling: None,
            records,
        };
        self.sequence = next;
        let copies = match (
            self.happens(self.faults.datagram_lost),
            self.happens(self.faults.datagram_twice),
        ) {
            (true, _) => 0,
            (false, true) => 2,
            (false, false) => 1,
        };
        vec![export; copies]
    }
}

fn run(faults: Faults, seed: u64, aggregates: u64) -> (Vec<Aggregate>, Flows) {
    let mut exporter = Exporter {
        faults,
        random: ChaCha8Rng::seed_from_u64(seed),
        now_ms: 1_000_000,
        booted_ms: 0,
        // It wraps; but where nothing else tells a restart, not to the very number that it begins with.
        sequence: if faults.says_uptime {
            u32::MAX - 3
        } else {
            1_000
        },
        table: BTreeMap::new(),
        timeout_ms: 2_000,
    };
    let mut flows = Flows::new(spec());
    let mut truth: Vec<Aggregate> = Vec::new();
    let (mut seq, begins_ms) = (0, exporter.now_ms + 3_000);
    while seq < 10 * aggregates || !flows.is_settled() {
        exporter.now_ms += 20;
        let now = Instant::from_ns(exporter.now_ms * 1_000_000);
        if exporter.now_ms.is_multiple_of(1_000) {
            for export in exporter.expire() {
                flows.handle_export(now, &export);
            }
        }
        flows.handle_time(now);
        if exporter.now_ms < begins_ms || seq >= 10 * aggregates {
            continue;
        }
        let Some(port) = flows.port() else { continue };
        if seq.is_multiple_of(10) {
            truth.push(Aggregate {
                first: seq,
                last: seq + 9,
                counted: 0,
            });
        }
        flows.handle_sent(now, seq);
        if !exporter.happens(faults.loss) {
            let last_ms = exporter.now_ms;
            let cached = exporter.table.entry(port).or_insert(Cached {
                packets: 0,
                last_ms,
            });
            (cached.packets, cached.last_ms) = (cached.packets + 1, last_ms);
            if let Some(train) = truth.last_mut() {
                train.counted += 1;
            }
        }
        seq += 1;
    }
    (truth, flows)
}

#[test]
fn a_good_exporter_is_believed_whole_and_a_datagram_that_comes_twice_counts_once() {
    let twice = Faults {
        datagram_twice: 0.5,
        ..NONE
    };
    for (faults, doubled) in [(NONE, false), (twice, true)] {
        let (truth, flows) = run(faults, 1, 40);
        let (said, discards) = flows.judge();
        assert_eq!(said, truth);
        assert_eq!(discards, Discards::default());
        assert_eq!(flows.duplicates() > 0, doubled);
    }
}

/// Where nothing arrives there is no record, and that is a count like any other: to discard it would hide an outage.
#[test]
fn an_outage_is_counted_and_not_taken_for_a_missing_export() {
    let (truth, flows) = run(Faults { loss: 1.0, ..NONE }, 2, 10);
    let (said, _) = flows.judge();
    assert_eq!(said, truth);
    assert!(said.iter().all(|aggregate| aggregate.counted == 0));
}

#[test]
fn an_exporter_that_falls_silent_yields_nothing() {
    let mut flows = Flows::new(spec());
    let at = |ms: u64| Instant::from_ns(ms * 1_000_000);
    for seq in 0..10 {
        flows.handle_sent(at(100 + seq), seq);
    }
    flows.handle_time(at(14_000));
    assert!(!flows.is_settled());
    flows.handle_time(at(14_200));
    assert!(flows.is_settled());
    let (said, discards) = flows.judge();
    assert_eq!(said, []);
    assert_eq!(
        discards.by_reason().collect::<Vec<_>>(),
        [(Discard::MissingExport, 10)]
    );
}

fn export(sequence: u32, records: Vec<FlowRecord>) -> Export {
    Export {
        stream: 1,
        sequence,
        next_sequence: Some(sequence + 1),
        sent_s: sequence,
        uptime_ms: None,
        sampling: None,
        records,
    }
}

/// Ten probes, and these datagrams after them.
fn after(exports: &[(u64, Export)]) -> (Vec<Aggregate>, Vec<(Discard, u64)>) {
    let mut flows = Flows::new(spec());
    let at = |ms: u64| Instant::from_ns(ms * 1_000_000);
    flows.handle_export(at(1), &export(0, vec![]));
    for seq in 0..10 {
        flows.handle_sent(at(100 + seq), seq);
    }
    for (ms, export) in exports {
        flows.handle_export(at(*ms), export);
    }
    let (said, discards) = flows.judge();
    (said, discards.by_reason().collect())
}

fn ours(packets: u64) -> Vec<FlowRecord> {
    vec![FlowRecord {
        source: SOURCE,
        destination: GROUP,
        source_port: 57_344,
        packets,
    }]
}

#[test]
fn records_of_one_key_add_up_and_what_cannot_be_is_discarded() {
    let counted = |counted| {
        vec![Aggregate {
            first: 0,
            last: 9,
            counted,
        }]
    };
    let (said, _) = after(&[
        (500, export(1, ours(4))),
        (3_000, export(2, ours(5))),
        (5_000, export(3, vec![])),
    ]);
    assert_eq!(said, counted(9));
    // Ingress and egress, both exported.
    let twice = after(&[
        (500, export(1, ours(9))),
        (3_000, export(2, ours(9))),
        (5_000, export(3, vec![])),
    ]);
    assert_eq!(twice, (vec![], vec![(Discard::AboveSent, 10)]));
    // A datagram is missing between.
    let gap = after(&[
        (500, export(1, ours(4))),
        (3_000, export(3, ours(5))),
        (5_000, export(4, vec![])),
    ]);
    assert_eq!(gap, (vec![], vec![(Discard::ExportLost, 10)]));
    // What it was to say next is not known, for part of it could not be read.
    let mut unread = export(1, ours(4));
    unread.next_sequence = None;
    let part = after(&[
        (500, unread),
        (3_000, export(2, ours(5))),
        (5_000, export(3, vec![])),
    ]);
    assert_eq!(part, (vec![], vec![(Discard::ExportLost, 10)]));
    // A record after the conclusion.
    let late = after(&[
        (500, export(1, ours(4))),
        (5_000, export(2, vec![])),
        (6_000, export(3, ours(5))),
    ]);
    assert_eq!(late, (vec![], vec![(Discard::LateExport, 10)]));
    let mut sampled = export(2, vec![]);
    sampled.sampling = Some(100);
    let refused = after(&[(500, export(1, ours(9))), (5_000, sampled)]);
    assert_eq!(refused, (vec![], vec![(Discard::Sampled, 10)]));
}

proptest! {
    /// Whatever is lost, doubled or begun anew: what is said is true, and the rest is accounted for.
    #[test]
    fn hostile_exporters_are_never_believed(
        seed: u64,
        loss in 0.0..0.6,
        datagram_lost in 0.0..0.4,
        datagram_twice in 0.0..0.4,
        restart in 0.0..0.2,
        says_uptime: bool,
    ) {
        let faults = Faults { loss, datagram_lost, datagram_twice, restart, says_uptime };
        let (truth, flows) = run(faults, seed, 15);
        let (said, discards) = flows.judge();
        for aggregate in &said {
            prop_assert!(truth.contains(aggregate), "{:?} is not among {:?}", aggregate, truth);
        }
        let sent: u64 = truth.iter().map(Aggregate::sent).sum();
        let counted: u64 = said.iter().map(Aggregate::sent).sum();
        prop_assert_eq!(counted + discards.probes(), sent);
    }
}
