//! One-way loss from one side, inferred from where copies of a probe arrive (OL-01 to OL-07).
//!
//! A round trip shows the product of two pass rates, never each alone ([`crate::correction`]). Where a router makes
//! copies of a probe, what is lost before it is lost for all copies and what is lost behind it for one: that tells
//! the two apart.
//!
//! | configuration | seen | function |
//! |---|---|---|
//! | A: two (or more) hosts collect | single probes, at each leaf | [`per_packet`] |
//! | B1, B2: one host, and a router's counters | sums over aggregates | [`aggregate`] |
//! | C: the second host reflects | single probes, at the first host | [`reflected`] |
//!
//! Each takes counts by blocks of equal lengths of time and returns [`Estimate`]s: loss rate, variance, interval,
//! [`Doubt`]s. The blocks serve to find losses that come together; a second of probing is a good one, and there
//! should be at least [`BLOCKS_LEAST`]. Counts that cannot be are refused, never repaired. [`Stopping`] says when to
//! stop probing, [`path_loss`] takes two tunnels' one-way losses out of what was measured over both.
//!
//! Assumed: probes are treated alike, and copies fare independently once they have parted. Loss that strikes both
//! leaves at once behind the branching point (shared background load) is indistinguishable from loss before it, and
//! is counted there; no number of probes shows that.

mod aggregate;
mod dependence;
mod doubt;
mod estimate;
mod packet;
mod path;
mod reflected;
mod root;
mod share;
mod stopping;
mod tree;

pub use aggregate::{AggregateCounts, aggregate};
pub use dependence::BLOCKS_LEAST;
pub use doubt::{Doubt, InferenceError};
pub use estimate::{Confidence, EVENTS_LEAST, Estimate};
pub use packet::{LeafCounts, PacketCounts};
pub use path::path_loss;
pub use reflected::{ReflectedEstimate, reflected, reflection_bound};
pub use stopping::{Stopping, StoppingRule, Verdict, Width};
pub use tree::{TreeEstimate, bound, per_packet};
