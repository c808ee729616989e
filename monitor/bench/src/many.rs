//! What a packet costs as tunnels become more, at one and the same rate in all: 100 tunnels, 1,000, 10,000, in MVPNs of ten.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::daemon::{Counted, Daemon, Log, Probing};
use crate::place::Problem;

/// How many tunnels.
const TUNNELS: [u32; 3] = [100, 1_000, 10_000];
/// PEs of an MVPN: each probe comes back over all tunnels of a group but its own.
const PER_GROUP: u32 = 10;
/// Probes a second, all tunnels together.
pub const PROBES_PER_S: f64 = 10_000.0;
/// Before counting begins: a thousand tasks are started in it.
const WARMUP: Duration = Duration::from_secs(6);
/// How long is counted, and of that, how long the processor's time is.
const TIME: Duration = Duration::from_secs(12);
const WINDOW: Duration = Duration::from_secs(10);

/// What came out with so many tunnels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// How many.
    pub tunnels: u32,
    /// Nanoseconds of processor time the monitor used, a probe or a copy; all its threads.
    pub ns_per_packet: f64,
    /// Probes and copies a second.
    pub packets_per_s: f64,
    /// Copies expected and lost.
    pub counted: Counted,
    /// Memory it has resident.
    pub resident_bytes: u64,
}

impl Outcome {
    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "tunnels": self.tunnels, "processor_ns_per_packet": self.ns_per_packet, "packets_per_s": self.packets_per_s,
            "expected": self.counted.expected, "lost": self.counted.lost, "resident_bytes": self.resident_bytes,
        })
    }
}

/// Measures, from few tunnels to many.
pub fn measure(bench: &Bench) -> Result<Vec<Outcome>, Problem> {
    let outcomes = TUNNELS.map(|tunnels| {
        let outcome = measure_with(bench, tunnels)?;
        bench.say(&format!("many: {outcome:?}"));
        Ok(outcome)
    });
    outcomes.into_iter().collect()
}

fn measure_with(bench: &Bench, tunnels: u32) -> Result<Outcome, Problem> {
    let reflector = bench.reflector(tunnels, false)?;
    let mut daemon = bench.daemon(tunnels, Log::Intervals)?;
    let probing = Probing {
        name: "many".to_owned(),
        tunnels,
        per_group: PER_GROUP,
        probes_per_s: PROBES_PER_S,
        payload_bytes: bench.payload_bytes,
        warmup: WARMUP,
        time: TIME,
        interval: Duration::from_secs(10),
    };
    let begun = Instant::now();
    probing.start(&mut daemon)?;
    std::thread::sleep(WARMUP.saturating_sub(begun.elapsed()));
    let (packets_before, used_before) = (packets(&mut daemon)?, daemon.processor_ns());
    let window = Instant::now();
    std::thread::sleep(WINDOW);
    let used = daemon.processor_ns() - used_before;
    let packets = packets(&mut daemon)? - packets_before;
    let packets_per_s = packets as f64 / window.elapsed().as_secs_f64();
    let resident_bytes = daemon.resident_bytes();
    probing.wait(&mut daemon)?;
    let counted = probing.counted(&mut daemon)?;
    reflector.stop();
    Ok(Outcome {
        tunnels,
        ns_per_packet: used as f64 / packets as f64,
        packets_per_s,
        counted,
        resident_bytes,
    })
}

/// Probes and copies of them, so far.
fn packets(daemon: &mut Daemon) -> Result<u64, Problem> {
    let overhead = daemon.ask(&json!({"op": "overhead"}))?;
    let of = |kind: &str| overhead[kind]["packets"].as_u64().unwrap_or(0);
    Ok(of("probes_sent") + of("probes_received"))
}
