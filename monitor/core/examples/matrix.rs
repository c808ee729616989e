//! Every pair of many PEs, for hours on a virtual clock: what the core holds in memory, counted to the byte, what a packet
//! costs, and whether anything drifts.
//!
//! ```text
//! cargo run --release -p vmscope-core --example matrix -- 200 3600        # an MVPN of 200 PEs, an hour
//! cargo run --release -p vmscope-core --example matrix -- 10000 120 10    # 1,000 MVPNs of ten PEs, two minutes
//! ```
//!
//! Arguments: how many PEs; for how many seconds (3600); PEs of an MVPN (all in one). Each PE sends a probe a second and is
//! pinged once a second. Bytes are those that the allocator was asked for. Commands are asked at the end, and timed; the
//! figures of a machine that others use too are to be read with care.

#[path = "../benches/support/fanout.rs"]
mod fanout;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant as WallInstant;

use fanout::{BEGIN, Network, Plan};
use vmscope_core::control::*;
use vmscope_core::time::Span;

struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work; only sizes are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocated() -> usize {
    ALLOCATED.load(Ordering::Relaxed)
}

/// What has come out of the session.
#[derive(Default)]
struct Tally {
    fates: u64,
    lost: u64,
    rows: u64,
    pings: u64,
    others: u64,
    /// Sum over rows of their mean delay, to see whether it drifts.
    delay_ns: i128,
}

impl Tally {
    fn take(&mut self, record: &Record) {
        match record {
            Record::Probe(probe) => {
                self.fates += 1;
                self.lost += u64::from(probe.fate == Fate::Lost);
            }
            Record::Interval(row) => {
                self.rows += 1;
                self.delay_ns += row.pair.delay.map_or(0, |delay| i128::from(delay.mean_ns));
            }
            Record::Ping(_) => self.pings += 1,
            _ => self.others += 1,
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize, or: u32| arguments.get(n).map_or(Ok(or), |text| text.parse());
    let pes = number(0, 200)?;
    let seconds = number(1, 3_600)?;
    let plan = Plan {
        tunnels: pes,
        pes: number(2, pes)?,
        rate: "1pps",
        ping_interval: "1s",
    };
    let pairs = u64::from(plan.tunnels / plan.pes * plan.pes * (plan.pes - 1));
    println!(
        "{} tunnels, {} MVPNs, {pairs} pairs",
        plan.tunnels,
        plan.tunnels / plan.pes
    );
    let toml = plan.toml();
    let before = (allocated(), WallInstant::now());
    let mut network = Network::new(plan);
    let loaded = allocated() - before.0;
    println!(
        "configuration of {} bytes loaded in {:.1?}: {loaded} bytes, {} a tunnel",
        toml.len(),
        before.1.elapsed(),
        loaded / plan.tunnels as usize
    );
    let step = (seconds / 12).max(10);
    let mut last = Tally::default();
    for second in (step..=seconds).step_by(step as usize) {
        let mut tally = Tally::default();
        let (spent, packets) = (network.spent, network.probes + network.copies);
        MOST.store(0, Ordering::Relaxed);
        network.run(
            BEGIN + Span::from_s(u64::from(second)),
            |r| tally.take(&r),
            drop,
        );
        let packets = network.probes + network.copies - packets;
        let held = allocated();
        println!(
            "{second} s: {held} bytes, {} a pair, {} at most; {} probes, {} fates, {:.4} % lost, {} rows, mean delay {} ns, {} others; {:.0} ns a packet",
            (held - loaded - before.0) as u64 / pairs.max(1),
            MOST.load(Ordering::Relaxed),
            network.probes,
            tally.fates,
            100.0 * tally.lost as f64 / tally.fates.max(1) as f64,
            tally.rows,
            tally.delay_ns / i128::from(tally.rows.max(1)),
            tally.pings + tally.others,
            (network.spent - spent).as_nanos() as f64 / packets.max(1) as f64,
        );
        last = tally;
    }
    let due = u64::from(plan.tunnels) * u64::from(seconds - seconds % step);
    println!(
        "probes due {due}, sent {}; fates in the last step {}",
        network.probes, last.fates
    );
    ask(&mut network);
    Ok(())
}

fn ask(network: &mut Network) {
    let questions = [
        ("status", Operation::Status),
        ("tunnel-list", Operation::TunnelList(Page::default())),
        ("group-list", Operation::GroupList),
        ("task-list", Operation::TaskList),
        (
            "task-stats",
            Operation::TaskStats(PairsQuestion::all("m0".parse().expect("a name"))),
        ),
        ("overhead", Operation::Overhead),
    ];
    for (what, operation) in questions {
        let before = WallInstant::now();
        let answer = network.ask(operation);
        let answered = before.elapsed();
        let json = serde_json::to_string(&answer).map_or(0, |json| json.len());
        println!(
            "{what}: {answered:.1?}, as {json} bytes of JSON in {:.1?}",
            before.elapsed()
        );
    }
}
