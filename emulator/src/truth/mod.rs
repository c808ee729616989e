//! The truth about every packet of a run: what entered each wire and what left it, when, and why it did not.
//!
//! In the lab: one [`Taps`] captures all wires; [`ClockLog`], [`Counters`] and [`Timeline`] note the rest.
//! On the host everything is a pure function over the [`Observation`]. The decoder here is the truth's own:
//! it shares nothing with the monitor, or one codec's bug would cancel itself out.

pub mod agreement;
pub mod clock;
pub mod counters;
mod error;
pub mod lane;
pub mod observation;
pub mod record;
mod ring;
pub mod tap;
pub mod timeline;

pub use agreement::Disagreement;
pub use clock::{ClockLog, Epoch};
pub use counters::{Counters, InterfaceCounters, MrouteCounters, QdiscCounters, Snapshot};
pub use error::TruthError;
pub use observation::{Files, Observation, TapSummary, file};
pub use tap::{Capture, SNAP_BYTES, TapError, Taps};
pub use timeline::{Done, Timeline};
