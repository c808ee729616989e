//! The only place of this crate that asks what time it is.

use jiff::Timestamp;
use vmscope_store::mvpn::Utc;

/// The time of day.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The time of day as the database counts it.
pub fn utc(now: Timestamp) -> Utc {
    // A clock beyond 2262 is no clock.
    Utc::from_ns(i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX))
}
