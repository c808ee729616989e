//! What it costs to read a customer's joins as they come on an MDT, and to write them.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vmscope_wire::pim::{Group, GroupRange, JoinPrune, Route, Source};
use vmscope_wire::{PimPacket, PimRepr};

/// As many as fit in 1400 bytes with one source each.
const GROUPS: usize = 69;

fn joins(c: &mut Criterion) {
    let address = |last: usize| IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + last as u32));
    let sources: Vec<_> = (0..GROUPS).map(|n| [Source::new(address(n))]).collect();
    let groups: Vec<_> = sources
        .iter()
        .enumerate()
        .map(|(n, joins)| Group {
            group: GroupRange::one(Ipv4Addr::from(0xe801_0000 + n as u32).into()),
            joins: joins[..].into(),
            prunes: (&[][..]).into(),
        })
        .collect();
    let message = PimRepr::JoinPrune(JoinPrune {
        upstream: address(0),
        holdtime_seconds: 210,
        groups: groups[..].into(),
    });
    let mut buffer = vec![0; message.buffer_len()];
    let mut group = c.benchmark_group("join of 69 (S,G)");
    group.throughput(Throughput::Elements(GROUPS as u64));
    group.bench_function("emit", |b| b.iter(|| message.emit(black_box(&mut buffer))));
    message.emit(&mut buffer).expect("room");
    group.bench_function("check", |b| {
        b.iter(|| PimPacket::new_checked(black_box(&buffer)).expect("PIM"));
    });
    group.bench_function("check, parse and read every join", |b| {
        b.iter(|| {
            let packet = PimPacket::new_checked(black_box(&buffer)).expect("PIM");
            match PimRepr::parse(&packet).expect("a right checksum") {
                PimRepr::JoinPrune(message) => message
                    .entries()
                    .filter(|entry| entry.route == Some(Route::Sg))
                    .count(),
                other => unreachable!("not a Join/Prune: {other}"),
            }
        });
    });
    group.finish();
}

criterion_group!(benches, joins);
criterion_main!(benches);
