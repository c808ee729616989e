//! The results of a full matrix in a database: how fast they are written, how large it is, how long questions take.
//!
//! ```text
//! cargo run --release -p vmscope-store --example matrix_rows -- /tmp/matrix.sqlite 200 600
//! cargo run --release -p vmscope-store --example matrix_rows -- postgres://user@host/database 200 600 probes
//! ```
//!
//! A session of the core measures every pair of so many PEs at a probe a second each, for so many seconds on a virtual
//! clock; what it says goes through the [`Writer`], which is waited for. With `probes`, each probe's fate is written, too.
//! Questions are asked five times each: the median and the worst are printed.

#[path = "../../core/benches/support/fanout.rs"]
mod fanout;

use std::time::{Duration, Instant as WallInstant};

use fanout::{BEGIN, Network, Plan};
use vmscope_core::report::Record;
use vmscope_core::time::Span;
use vmscope_store::mvpn::Utc;
use vmscope_store::{Entry, Limits, Location, Page, Put, Reader, SessionStart, Writer};

const OFFSET: i64 = 1_767_225_600_000_000_000;
const TIMES: usize = 5;

type Problem = Box<dyn std::error::Error>;

fn main() -> Result<(), Problem> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let location = Location::new(
        arguments
            .first()
            .ok_or("say where: a path or a connection string")?,
    );
    let number = |n: usize, or: u32| arguments.get(n).map_or(Ok(or), |text| text.parse());
    let (pes, seconds) = (number(1, 200)?, number(2, 600)?);
    let probes = arguments.get(3).is_some_and(|word| word == "probes");
    write(&location, pes, seconds, probes)?;
    ask(&location, u64::from(seconds))
}

fn write(location: &Location, pes: u32, seconds: u32, probes: bool) -> Result<(), Problem> {
    let start = SessionStart {
        session: 1,
        version: "matrix".to_owned(),
        interface: "none".to_owned(),
        probe_port: 33_900,
        at_ns: BEGIN,
        realtime_minus_monotonic_ns: OFFSET,
    };
    let writer = Writer::open(location, &start, Limits::default())?;
    let mut network = Network::new(Plan {
        tunnels: pes,
        pes,
        rate: "1pps",
        ping_interval: "1s",
    });
    let began = WallInstant::now();
    let (mut put, mut dropped) = (0_u64, 0_u64);
    let record = |record: Record| {
        if !probes && matches!(record, Record::Probe(_)) {
            return;
        }
        while writer.is_half_full() && writer.health().failing.is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        put += 1;
        dropped += u64::from(writer.put(Entry::Record(record)) == Put::Dropped);
    };
    network.run(BEGIN + Span::from_s(u64::from(seconds)), record, drop);
    let health = writer.finish()?;
    let took = began.elapsed().as_secs_f64();
    println!("{location}: {health:?}");
    println!(
        "{seconds} s of {pes} PEs: {put} records written in {took:.1} s, {:.0} a second; {dropped} dropped",
        put as f64 / took
    );
    Ok(())
}

fn ask(location: &Location, seconds: u64) -> Result<(), Problem> {
    let reader = Reader::open(location)?;
    let size = reader.size()?;
    println!("{:.1} MB", size.bytes as f64 / 1e6);
    let end_ns = (BEGIN + Span::from_s(seconds)).as_ns() as i64 + OFFSET;
    let utc = |before_s: i64| Utc::from_ns(end_ns - before_s * 1_000_000_000);
    let page = Page {
        session: 1,
        task: 1,
        since: 0,
        limit: 1_000,
    };
    timed("tasks", || Ok(reader.tasks(1)?.len()))?;
    timed("a thousand interval rows", || {
        Ok(reader.intervals(page)?.len())
    })?;
    timed("all pairs over the last minute", || {
        Ok(reader.pairs_between("m0", utc(60)..utc(0))?.pairs.len())
    })?;
    timed("all pairs over all of it", || {
        Ok(reader
            .pairs_between("m0", utc(seconds as i64)..utc(0))?
            .pairs
            .len())
    })
}

fn timed(what: &str, mut ask: impl FnMut() -> Result<usize, Problem>) -> Result<(), Problem> {
    let mut took = Vec::new();
    let mut found = 0;
    for _ in 0..TIMES {
        let began = WallInstant::now();
        found = ask()?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let (median, worst) = (took[TIMES / 2], took[TIMES - 1]);
    println!("{what}: {found} rows, {median:.1?}, at worst {worst:.1?}");
    Ok(())
}
