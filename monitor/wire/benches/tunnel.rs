//! What a packet costs: `cargo bench -p vmscope-wire`. The monitor's floor is 25,000 packets a second each
//! way (VS-13); one microsecond a packet would be 2.5 % of a core.

use std::hint::black_box;
use std::net::Ipv4Addr;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vmscope_wire::{
    Addressing, Content, GroupRecord, IgmpRepr, Inner, Outer, ProbeRepr, ProbeTemplate, RecordType,
    decapsulate, encapsulate,
};

const INNER: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);
/// UDP payloads: a bare header, the paper's 370 bytes on the wire (74 Mbit/s at 25,000 a second), a full MTU.
const PAYLOADS: [usize; 3] = [32, 300, 1400];

fn outer() -> Outer {
    Outer::new(
        Ipv4Addr::new(10, 1, 0, 2),
        Ipv4Addr::new(10, 254, 1, 1),
        Some(7),
    )
}

fn probe(sequence: u32, payload_len: usize) -> Inner<'static> {
    let probe = ProbeRepr {
        warm_up: false,
        reflected: false,
        session: 1,
        task: 2,
        tunnel: 3,
        sequence,
        sent_ns: 0,
    };
    let ip = Addressing::new(INNER, GROUP);
    Inner::Probe {
        ip,
        src_port: 33_900,
        dst_port: 33_900,
        probe,
        payload_len,
    }
}

fn probes(c: &mut Criterion) {
    let mut group = c.benchmark_group("probe");
    for payload_len in PAYLOADS {
        let mut buffer = [0; 2048];
        let outer = outer();
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("encapsulate", payload_len), |b| {
            let mut sequence = 0;
            b.iter(|| {
                sequence += 1;
                encapsulate(
                    &outer,
                    &probe(sequence, payload_len),
                    black_box(&mut buffer),
                )
            });
        });
        group.bench_function(BenchmarkId::new("from a template", payload_len), |b| {
            let len = encapsulate(&outer, &probe(0, payload_len), &mut buffer).expect("room");
            let packet = buffer[..len].to_vec();
            let template = ProbeTemplate::new(&packet, payload_len).expect("a blank probe");
            let mut copy = packet.clone();
            let mut sequence = 0;
            b.iter(|| {
                sequence += 1;
                copy.copy_from_slice(&packet);
                template.fill(black_box(&mut copy), false, sequence, 5)
            });
        });
        let length = encapsulate(&outer, &probe(1, payload_len), &mut buffer).expect("room");
        let packet = &buffer[..length];
        group.bench_function(BenchmarkId::new("decapsulate", payload_len), |b| {
            b.iter(
                || match decapsulate(black_box(packet)).and_then(|p| p.content()) {
                    Ok(Content::Probe { probe, .. }) => probe.sequence,
                    other => unreachable!("not a probe: {other:?}"),
                },
            );
        });
    }
    group.finish();
}

fn reports(c: &mut Criterion) {
    let records: Vec<_> = (0..64)
        .map(|_| GroupRecord::new(RecordType::Allow, GROUP, &[INNER]))
        .collect();
    let message = IgmpRepr::ReportV3 {
        records: records[..].into(),
    };
    let inner = Inner::Igmp {
        src: INNER,
        message,
    };
    let mut buffer = [0; 2048];
    let mut group = c.benchmark_group("report of 64 records");
    group.bench_function("encapsulate", |b| {
        b.iter(|| encapsulate(&outer(), &inner, black_box(&mut buffer)));
    });
    let length = encapsulate(&outer(), &inner, &mut buffer).expect("room");
    group.bench_function("decapsulate", |b| {
        b.iter(
            || match decapsulate(black_box(&buffer[..length])).and_then(|p| p.content()) {
                Ok(Content::Igmp(IgmpRepr::ReportV3 { records })) => records.iter().count(),
                other => unreachable!("not a report: {other:?}"),
            },
        );
    });
    group.finish();
}

criterion_group!(benches, probes, reports);
criterion_main!(benches);
