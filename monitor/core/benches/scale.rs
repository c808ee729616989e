//! What a packet costs as tunnels become more: `cargo bench -p vmscope-core --bench scale`.
//!
//! Ten PEs an MVPN, 10,000 probes a second in all: 100 tunnels that take 100 a second each, 1,000 that take ten, 10,000
//! that take one. An iteration is a second on a virtual clock, ten of them a results interval: probes are due, built, seen
//! leaving, their copies read, matched, decided and accounted; pings, membership reports and rows of results are in it, and
//! there are a hundred times as many rows of 10,000 tunnels as of 100. Counted are probes and copies. Only time spent in
//! the session is measured, and nobody asks for the fate of every single probe.

#[path = "support/fanout.rs"]
mod fanout;

use std::time::Duration;

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use fanout::{Network, Plan};
use vmscope_core::time::Span;

const SECOND: Span = Span::from_s(1);

fn packets(c: &mut Criterion) {
    let mut group = c.benchmark_group("packet");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    for tunnels in [100, 1_000, 10_000] {
        let (rate, ping_interval) = match tunnels {
            100 => ("100pps", "1s"),
            1_000 => ("10pps", "10s"),
            _ => ("1pps", "100s"),
        };
        let plan = Plan {
            tunnels,
            pes: 10,
            rate,
            ping_interval,
        };
        let mut network = Network::without_probe_log(plan);
        // Past the warm-up and some intervals, to where as much is kept as ever.
        run(&mut network, 35);
        let (probes, copies) = (network.probes, network.copies);
        run(&mut network, 1);
        let packets = network.probes + network.copies - probes - copies;
        group.throughput(Throughput::Elements(packets));
        group.measurement_time(Duration::from_secs(5));
        group.bench_function(BenchmarkId::new("tunnels", tunnels), |b| {
            b.iter_custom(|seconds| run(&mut network, seconds));
        });
    }
    group.finish();
}

fn run(network: &mut Network, seconds: u64) -> Duration {
    let before = network.spent;
    let until = network.now + SECOND.times(seconds);
    network.run(until, drop, drop);
    network.spent - before
}

criterion_group!(benches, packets);
criterion_main!(benches);
