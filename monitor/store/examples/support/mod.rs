//! What the examples share: what they are told, the session they write as, and how long questions take.

#![allow(dead_code)] // No example needs all of it.

use std::str::FromStr;
use std::time::Instant as WallInstant;

use vmscope_core::time::Instant;
use vmscope_store::{Location, SessionStart, StoreError};

pub type Problem = Box<dyn std::error::Error>;

/// The wall clock less the simulation's, in nanoseconds: it begins with 2026.
pub const OFFSET: i64 = 1_767_225_600_000_000_000;
/// A question is asked so often.
const TIMES: u64 = 5;

/// The words behind the program's name.
pub struct Arguments(Vec<String>);

impl Arguments {
    pub fn of_process() -> Arguments {
        Arguments(std::env::args().skip(1).collect())
    }

    pub fn first(&self, what: &str) -> Result<&str, Problem> {
        Ok(self.0.first().ok_or_else(|| format!("say {what}"))?)
    }

    pub fn location(&self) -> Result<Location, Problem> {
        let first = self.first("where: a path or a connection string")?;
        Ok(Location::new(first))
    }

    /// The n-th word as a number; `or` if there is none.
    pub fn number<N: FromStr<Err: std::error::Error + 'static>>(
        &self,
        n: usize,
        or: N,
    ) -> Result<N, Problem> {
        Ok(self.0.get(n).map_or(Ok(or), |text| text.parse())?)
    }

    pub fn has(&self, word: &str) -> bool {
        self.0.iter().any(|given| given == word)
    }
}

/// The only session.
pub fn session(version: &str, at: Instant) -> SessionStart {
    SessionStart {
        session: 1,
        version: version.to_owned(),
        interface: "none".to_owned(),
        probe_port: 33_900,
        at_ns: at,
        realtime_minus_monotonic_ns: OFFSET,
    }
}

/// Asks about moments all over `length_ns`, as nanoseconds from the begin; prints the median and the worst.
pub fn measure(
    what: &str,
    length_ns: u64,
    mut ask: impl FnMut(u64) -> Result<usize, StoreError>,
) -> Result<(), Problem> {
    let mut took = Vec::new();
    let mut rows = 0;
    for n in 1..=TIMES {
        let began = WallInstant::now();
        rows = ask(length_ns / (TIMES + 1) * n)?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    println!(
        "{what:<42} {:>8.1} ms median {:>8.1} ms worst {rows:>8} rows",
        took[took.len() / 2],
        took[took.len() - 1]
    );
    Ok(())
}
