//! What a packet costs as tunnels become more: `cargo bench -p vmscope-core --bench scale`.
//!
//! Ten PEs an MVPN, each sending ten probes a second; 100, 1,000 and 10,000 tunnels. An iteration is a second on a virtual
//! clock, ten of them a results interval: probes are due, built, seen leaving, their copies read, matched, decided and
//! accounted; pings, membership reports and rows of results are in it. Counted are probes and copies. Only time spent
//! in the session is measured. The target, from 100 to 10,000 tunnels at most 20 % more a packet, is
//! not reached: a hundred times as many packets are in flight, and what is kept of them is in no cache.

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
        let plan = Plan {
            tunnels,
            pes: 10,
            rate: "10pps",
            ping_interval: "1s",
        };
        let mut network = Network::new(plan);
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
