//! Records to write, made up.
#![allow(dead_code)]

pub mod disk;
pub mod mvpn;
pub mod place;

use vmscope_core::control::{
    Configuration, DelayRange, OnewayRow, OnewaySpec, OnewayState, OnewayStatus, PathLoss,
};
use vmscope_core::name::Name;
use vmscope_core::report::*;
use vmscope_core::spec::{ProbeSpec, TaskSpec, TunnelSpec};
use vmscope_core::time::Instant;
use vmscope_store::SessionStart;

pub fn start(session: u32) -> SessionStart {
    SessionStart {
        session,
        version: "0.0.0".into(),
        interface: "eth0".into(),
        probe_port: 33900,
        at_ns: Instant::from_ns(1_000),
        realtime_minus_monotonic_ns: 1_767_225_600_000_000_000,
    }
}

pub fn probe(seq: u32) -> Record {
    let lost = seq % 10 == 3;
    let sent_ns = Instant::from_ns(1_000_000 * u64::from(seq));
    Record::Probe(ProbeRecord {
        task: 1,
        sender: 1,
        receiver: 2,
        seq,
        sent_ns,
        received_ns: (!lost).then(|| Instant::from_ns(sent_ns.as_ns() + 30_000_000)),
        fate: if lost { Fate::Lost } else { Fate::Received },
        duplicates: u32::from(seq % 7 == 1),
        reordered: seq == 5,
        late: 0,
        warmup: seq < 2,
        interval: (seq >= 2).then_some(0),
    })
}

pub fn tunnel(id: u32) -> Record {
    let spec = TunnelSpec {
        id: Some(id),
        ..serde_json::from_str(&format!(
            r#"{{"name":"t{id}","outer_local":"10.1.0.2","outer_remote":"10.254.1.{id}",
                 "inner_local":"10.77.1.2","inner_remote":"10.77.1.1"}}"#
        ))
        .unwrap()
    };
    Record::TunnelAdded {
        spec,
        at_ns: Instant::from_ns(2_000),
    }
}

pub fn task(state: TaskState) -> TaskStatus {
    TaskStatus {
        spec: TaskSpec {
            name: name("red"),
            group: [239, 1, 1, 1].into(),
            senders: vec![name("t1")],
            receivers: vec![name("t2")],
            source_specific: false,
            probes: ProbeSpec::default(),
        },
        task: 1,
        state,
        started_ns: Instant::from_ns(3_000),
        epoch_ns: Instant::from_ns(2_000_003_000),
        probes_sent: 12,
        intervals: 1,
        first_row: 0,
        next_row: 1,
        active: vec![],
    }
}

pub fn interval(row: u64) -> IntervalRow {
    let delay = Distribution {
        samples: 9,
        min_ns: 1,
        mean_ns: 2,
        p50_ns: 3,
        p90_ns: 4,
        p99_ns: 5,
        p999_ns: 6,
        max_ns: 7,
    };
    IntervalRow {
        row,
        task_name: name("red"),
        task: 1,
        interval: row,
        start_ns: Instant::from_ns(10),
        end_ns: Instant::from_ns(20),
        capture_drops: 1,
        pair: PairResult {
            sender: 1,
            sender_name: name("t1"),
            receiver: 2,
            receiver_name: name("t2"),
            counts: PairCounts {
                sent: 10,
                received: 9,
                lost: 1,
                duplicates: 2,
                reordered: 3,
                late: 4,
            },
            loss: Some(0.1),
            delay: Some(delay),
            ipdv: Some(Distribution {
                samples: 8,
                min_ns: -5,
                ..delay
            }),
            pdv: None,
            corrected: Corrected {
                sender_rtt_ns: Some(11),
                receiver_rtt_ns: None,
                sender_ping_loss: Some(0.25),
                receiver_ping_loss: None,
                delay_half_ns: Some(12),
                delay_low_ns: Some(-13),
                delay_high_ns: Some(14),
                loss_half: None,
                loss_low: Some(0.0),
                loss_high: Some(0.5),
                loss_inferred: Some(0.09),
                loss_inferred_low: Some(0.08),
                loss_inferred_high: Some(0.1),
                inferred_from: vec![name("up1"), name("up2")],
            },
        },
    }
}

pub fn oneway(state: OnewayState) -> OnewayStatus {
    OnewayStatus {
        spec: OnewaySpec::new(
            name("x"),
            name("t1"),
            vec![name("t2")],
            [239, 7, 7, 7].into(),
        ),
        run: 2,
        state,
        started_ns: Instant::from_ns(4_000),
        probes_sent: 100,
        row: None,
        refused: None,
        unsure: vec!["7 probes of 1 blocks do not count: why".to_owned()],
    }
}

pub fn oneway_row(at_ns: u64) -> OnewayRow {
    let loss = |loss| PathLoss {
        loss,
        deviation: 0.01,
        low: loss / 2.0,
        high: loss * 2.0,
    };
    OnewayRow {
        run: 2,
        name: name("x"),
        at_ns: Instant::from_ns(at_ns),
        probes: 93,
        blocks: 9,
        configuration: Configuration::PerPacket,
        up_tunnel: Some(name("t1")),
        up: loss(0.03),
        down: vec![(name("t2"), loss(0.02))],
        leaf: vec![loss(0.01)],
        discarded: 7,
        doubts: vec!["up: too few events".to_owned()],
        up_delay: Some(DelayRange {
            low_ns: 0,
            high_ns: 9,
        }),
        down_delay: Vec::new(),
    }
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}
