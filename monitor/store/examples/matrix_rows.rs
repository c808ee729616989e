//! The results of a full matrix in a database: how fast they are written, how large it is, how long questions take.
//!
//! ```text
//! cargo run --release -p vmscope-store --example matrix_rows -- /tmp/matrix.sqlite 200 600
//! cargo run --release -p vmscope-store --example matrix_rows -- postgres://user@host/database 200 600 probes
//! ```
//!
//! A session of the core measures every pair of so many PEs at a probe a second each, for so many seconds on a virtual
//! clock; what it says goes through the [`Writer`], which is waited for. With `probes`, each probe's fate is written, too.
//! Questions are asked five times each: the median and the worst are printed, and whether there was more than an answer is made of.

#[path = "../../core/benches/support/fanout.rs"]
mod fanout;
mod support;

use std::time::{Duration, Instant as WallInstant};

use fanout::{BEGIN, Network, Plan};
use support::{Arguments, OFFSET, Problem, measure, session};
use vmscope_core::report::Record;
use vmscope_core::time::Span;
use vmscope_store::mvpn::Utc;
use vmscope_store::{Entry, Limits, Location, Page, Put, ROWS_MAX, Reader, Writer};

fn main() -> Result<(), Problem> {
    let arguments = Arguments::of_process();
    let location = arguments.location()?;
    let (pes, seconds) = (arguments.number(1, 200)?, arguments.number(2, 600)?);
    let probes = arguments.has("probes");
    write(&location, pes, seconds, probes)?;
    ask(&location, u64::from(seconds))
}

fn write(location: &Location, pes: u32, seconds: u32, probes: bool) -> Result<(), Problem> {
    let start = session("matrix", BEGIN);
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
    let length_ns = seconds * 1_000_000_000;
    let pairs = |before_s: i64| {
        let reader = &reader;
        move |_| {
            Ok(reader
                .pairs_between("m0", utc(before_s)..utc(0))?
                .pairs
                .len())
        }
    };
    measure("tasks", length_ns, |_| Ok(reader.tasks(1)?.len()))?;
    measure("a thousand interval rows", length_ns, |_| {
        Ok(reader.intervals(page)?.len())
    })?;
    measure("all pairs over the last minute", length_ns, pairs(60))?;
    measure("all pairs over all of it", length_ns, pairs(seconds as i64))?;
    let whole = reader.pairs_between("m0", utc(seconds as i64)..utc(0))?;
    if let (true, Some(from)) = (whole.cut, whole.from) {
        let s = (end_ns - from.as_ns()) / 1_000_000_000;
        println!("that was cut: the last {s} s, of which there are {ROWS_MAX} rows");
    }
    Ok(())
}
