//! Quantities with their unit in the text: `"30ms"`, `"2%"`, `"10/s"`, `"10Mbit"`.
// Owned by the scenario engineer: Display, FromStr, serde as strings, range errors, tests.

use serde::{Deserialize, Serialize};

/// A length of time, integer nanoseconds. Text: `"250us"`, `"30ms"`, `"1.5s"`, `"2min"`, `"1h"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Span {
    /// Nanoseconds.
    pub ns: u64,
}

impl Span {
    /// Whole seconds.
    pub const fn seconds(s: u64) -> Self {
        Self { ns: s * 1_000_000_000 }
    }
}

/// A probability in [0, 1]. Text: `"2%"`, `"0.02%"`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
pub struct Probability(pub f64);

impl Probability {
    /// Certainty.
    pub const fn one() -> Self {
        Self(1.0)
    }
}

/// Events per second. Text: `"20/s"`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Rate(pub f64);

/// Bits per second. Text: `"10Mbit"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bitrate(pub u64);
