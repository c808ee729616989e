//! What packets cost the core: captured ones, read and matched to their probe; and all that time brings about, probes built,
//! decided, accounted for by pair and interval. `cargo bench -p vmscope-core --bench packets`.
//!
//! A million packets a second on one core would be a microsecond each, the kernel's part not counted.

use std::time::{Duration, Instant as Watch};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vmscope_core::config::Config;
use vmscope_core::session::{Direction, Options, Purpose, Session};
use vmscope_core::time::{Instant, Span};

/// Probes a second of each sender.
const RATE: u64 = 1_000;
/// From the outer IPv4 header to the inner one.
const INNER_AT: usize = 24;

fn address(tunnel: u32) -> [u8; 4] {
    [10, 254, (tunnel >> 8) as u8, tunnel as u8]
}

/// A session that probes among `tunnels` tunnels, all to all.
fn session(tunnels: u32) -> Session {
    let mut text = String::new();
    let mut names = Vec::new();
    for id in 1..=tunnels {
        let [_, _, c, d] = address(id);
        text += &format!(
            "[[tunnels]]\nname = \"t{id}\"\nid = {id}\nouter_local = \"10.1.0.2\"\nouter_remote = \"10.254.{c}.{d}\"\n\
             inner_local = \"10.77.{c}.{d}\"\ninner_remote = \"10.78.{c}.{d}\"\nping_interval = \"0s\"\n"
        );
        names.push(format!("\"t{id}\""));
    }
    let names = names.join(", ");
    text += &format!(
        "[[tasks]]\nname = \"all\"\ngroup = \"239.1.1.1\"\nsenders = [{names}]\nreceivers = [{names}]\n\
         probes = {{ rate = \"{RATE}pps\", warmup = \"1ms\", interval = \"1s\", loss_timeout = \"100ms\" }}\n"
    );
    let options = Options {
        logs_probes: false,
        ..Options::default()
    };
    let mut session = Session::new(Instant::ZERO, options);
    let config = Config::from_toml(&text).expect("a configuration");
    session
        .load(Instant::ZERO, &config)
        .expect("a configuration that makes sense");
    session
}

/// A probe as it comes back over a tunnel: the same inner packet, the outer ends exchanged. TTL and identification are left
/// as they are, so the outer checksum, a sum of both addresses, changes by the addresses alone.
fn copy_for(tunnel: u32, probe: &[u8]) -> Vec<u8> {
    let mut copy = probe.to_vec();
    copy[12..16].copy_from_slice(&address(tunnel));
    copy[16..20].copy_from_slice(&[10, 1, 0, 2]);
    copy[10..12].fill(0);
    let mut sum: u32 = copy[..20]
        .chunks(2)
        .map(|w| u32::from(w[0]) << 8 | u32::from(w[1]))
        .sum();
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    copy[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    copy
}

/// What is timed.
#[derive(Clone, Copy)]
enum Part {
    /// Reading what was captured, and matching it.
    Matching,
    /// Building probes, deciding and accounting for them, closing intervals.
    Accounting,
}

/// Time that a part takes for `rounds` probes and all that comes of them.
fn time(
    part: Part,
    session: &mut Session,
    now: &mut Instant,
    tunnels: u32,
    rounds: u64,
) -> Duration {
    let (mut matching, mut accounting) = (Duration::ZERO, Duration::ZERO);
    let mut done = 0;
    while done < rounds {
        *now = *now + Span::from_ns(1_000_000_000 / RATE / u64::from(tunnels));
        loop {
            let begun = Watch::now();
            let packet = session.poll_transmit(*now);
            accounting += begun.elapsed();
            let Some(packet) = packet else {
                break;
            };
            let Purpose::Probe { sender, .. } = packet.purpose else {
                continue;
            };
            assert_eq!(packet.bytes[INNER_AT], 0x45);
            let others = (1..=tunnels).filter(|id| *id != sender);
            let copies: Vec<_> = others.map(|id| copy_for(id, &packet.bytes)).collect();
            let begun = Watch::now();
            session.handle_packet(*now, *now, &packet.bytes, Direction::Outgoing);
            let stamp = *now + Span::from_ns(500);
            for copy in &copies {
                session.handle_packet(stamp, stamp, copy, Direction::Incoming);
            }
            matching += begun.elapsed();
            session.take_back(packet.bytes);
            done += 1;
        }
        while session.poll_record().is_some() {}
        while session.poll_event().is_some() {}
    }
    match part {
        Part::Matching => matching,
        Part::Accounting => accounting,
    }
}

fn packets(c: &mut Criterion) {
    for (name, part) in [
        ("a probe and its copies, matched", Part::Matching),
        ("a probe and its copies, accounted for", Part::Accounting),
    ] {
        let mut group = c.benchmark_group(name);
        for tunnels in [2, 10, 100] {
            let (mut session, mut now) = (session(tunnels), Instant::ZERO);
            group.throughput(Throughput::Elements(tunnels.into()));
            group.bench_function(BenchmarkId::new("tunnels", tunnels), |b| {
                b.iter_custom(|rounds| time(part, &mut session, &mut now, tunnels, rounds));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, packets);
criterion_main!(benches);
