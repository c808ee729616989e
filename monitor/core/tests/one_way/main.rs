//! What the estimators of one-way loss promise, over many seeds: bias, variance, coverage of intervals, doubts.
//!
//! Seeds are fixed, so a run is the same every time: a failure is a change of the estimators, not bad luck. Bounds on
//! what is random are wide enough that other seeds would pass them too, but for those of coverage, which the
//! requirement sets: 93 to 97 % of 2,000 intervals. Where true coverage is 95 %, that is four standard deviations.

mod bursts;
mod coverage;
mod properties;
mod refusals;
mod simulate;
mod stopping;

/// Loss rates of the paths, as shares.
const RATES: [f64; 6] = [0.0002, 0.001, 0.005, 0.01, 0.02, 0.05];
/// Runs for each statement about coverage.
const SEEDS: u64 = 2_000;
/// Probes per second.
const RATE: u32 = 2_000;
/// Threads of a simulation.
const THREADS: u64 = 2;
