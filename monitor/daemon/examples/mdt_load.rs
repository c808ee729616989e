//! A large MVPN's control plane as real packets into a real daemon, and what that costs.
//!
//! ```text
//! cargo build --release -p vmscope
//! cargo run --release -p vmscope --example mdt_load -- 300 10
//! ```
//!
//! Needs the right to make a network namespace, and `vmscope` built beside it. In the namespace is one TAP device, the
//! monitor's link. 200 PEs and 10,000 (S,G), five PEs before each, which ask for it every 60 s; every tenth is on a data
//! MDT; Hellos every 30 s. The first argument is for how many seconds, after two minutes in which all is said for the first
//! time; the second how many (S,G) a second are pruned and asked for again, which is what fills the database. A Join/Prune has one group here,
//! although routers pack many: the most messages there can be.
//!
//! Once a second a Prune is timed from its writing into the device until the client of the control socket has the event.
//! In the end the questions that people ask are asked of the monitor and of its database, as commands, and timed.

#![allow(dead_code)]

#[path = "mdt_load/daemon.rs"]
mod daemon;
#[path = "../tests/support/mdt.rs"]
mod mdt;
#[path = "mdt_load/network.rs"]
mod network;
#[path = "mdt_load/questions.rs"]
mod questions;
#[path = "../tests/support/tap.rs"]
mod tap;

use std::time::{Duration, Instant};

use daemon::Daemon;
use network::Network;

/// The monitor's address on the link.
pub const MONITOR: [u8; 4] = [10, 1, 0, 2];

/// Whatever goes wrong ends it.
pub type Problem = Box<dyn std::error::Error>;

/// In the first minute all PEs say Hello, before which nobody listens to them; in the second all routes are asked for.
const FIRST_S: u32 = 121;

fn main() -> Result<(), Problem> {
    let argument = |n: usize, or: u32| {
        std::env::args()
            .nth(n)
            .map_or(Ok(or), |text| text.parse::<u32>())
    };
    let (length_s, changes) = (argument(1, 300)?, argument(2, 10)?);
    let link = tap::enter_new_network();
    let folder = std::env::temp_dir().join(format!("mdt_load-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = run(link, &folder, length_s, changes);
    std::fs::remove_dir_all(&folder)?;
    outcome
}

fn run(
    link: std::fs::File,
    folder: &std::path::Path,
    length_s: u32,
    changes: u32,
) -> Result<(), Problem> {
    let mut daemon = Daemon::start(folder)?;
    let mut network = Network::new(link);
    let mut began = Instant::now();
    let mut before = daemon.figures()?;
    let mut lags = Vec::new();
    for second in 0..FIRST_S + length_s {
        if second == FIRST_S {
            before = daemon.figures()?;
            began = Instant::now();
            daemon.listen()?;
            println!("at the beginning: {before}");
        }
        let is_steady = second >= FIRST_S;
        let ends = Instant::now() + Duration::from_secs(1);
        network.second(second, if is_steady { changes } else { 0 }, ends)?;
        if is_steady {
            lags.push(daemon.time_a_prune(&mut network)?);
        }
        std::thread::sleep(ends.saturating_duration_since(Instant::now()));
    }
    let after = daemon.figures()?;
    println!("at the end:       {after}");
    let took_s = began.elapsed().as_secs_f64();
    let messages = after.messages - before.messages;
    let cpu_s = after.cpu_s - before.cpu_s;
    println!(
        "{messages} messages in {took_s:.0} s ({:.0} a second): {:.2} % of a processor, {:.1} µs a message",
        messages as f64 / took_s,
        100.0 * cpu_s / took_s,
        1e6 * cpu_s / messages as f64,
    );
    let grown = after.database_bytes.saturating_sub(before.database_bytes);
    let history = after.history - before.history;
    println!(
        "database: {:.1} MB more for {history} states that are over, {:.0} bytes each",
        grown as f64 / 1e6,
        grown as f64 / (history.max(1)) as f64,
    );
    println!(
        "packets written {}, captured {}, dropped by the kernel {}, by the device {}",
        network.written, after.captured, after.dropped, network.refused,
    );
    lags.sort();
    let lag = |share: usize| lags[(lags.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!(
        "from the wire to the event: median {:.1} ms, 95 % within {:.1} ms, worst {:.1} ms, of {}",
        lag(50),
        lag(95),
        lag(100),
        lags.len(),
    );
    questions::ask_all(folder, began)?;
    daemon.end()
}
