//! Probes in Parquet files: what it costs whoever puts them, how fast they are written, how large they are.
//!
//! ```text
//! cargo run --release -p vmscope-store --example probe_files -- /tmp/probes 200
//! ```
//!
//! So many PEs measure each other at a probe a second for ten seconds on a virtual clock; all fates are put at once, and
//! the files' end is waited for.

#[path = "../../core/benches/support/fanout.rs"]
mod fanout;
mod support;

use std::path::PathBuf;
use std::time::Instant as WallInstant;

use fanout::{BEGIN, Network, Plan};
use support::{Arguments, Problem, session};
use vmscope_core::report::Record;
use vmscope_core::time::Span;
use vmscope_store::{ProbeFileLimits, ProbeFiles, Put};

const SECONDS: u64 = 10;

fn main() -> Result<(), Problem> {
    let arguments = Arguments::of_process();
    let directory = PathBuf::from(arguments.first("in which directory")?);
    let pes = arguments.number(1, 200)?;
    let start = session("example", BEGIN);
    let mut records = Vec::new();
    let mut network = Network::new(Plan {
        tunnels: pes,
        pes,
        rate: "1pps",
        ping_interval: "0s",
    });
    network.run(
        BEGIN + Span::from_s(SECONDS),
        |record| records.push(record),
        drop,
    );
    let probes = records
        .iter()
        .filter(|r| matches!(r, Record::Probe(_)))
        .count();

    let files = ProbeFiles::open(directory.clone(), &start, ProbeFileLimits::default())?;
    let (began, used) = (WallInstant::now(), processor_ns());
    let dropped = records
        .iter()
        .filter(|record| files.put(record) == Put::Dropped);
    let dropped = dropped.count();
    let put_ns = processor_ns() - used;
    let health = files.finish()?;
    let took = began.elapsed();
    let sizes = std::fs::read_dir(&directory)?.map(|entry| Ok(entry?.metadata()?.len()));
    let bytes: u64 = sizes.sum::<std::io::Result<u64>>()?;
    println!(
        "{probes} probes put, {:.0} ns of processor time each; {dropped} dropped",
        put_ns as f64 / probes as f64
    );
    println!(
        "{} in closed files after {took:.1?}, {:.0} a second; {:.1} bytes each in {}",
        health.written,
        health.written as f64 / took.as_secs_f64(),
        bytes as f64 / health.written.max(1) as f64,
        directory.display()
    );
    Ok(())
}

/// Processor time of this thread: what others do at the same time is not in it.
fn processor_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().and_then(|ns| ns.parse().ok());
    first.unwrap_or(0)
}
