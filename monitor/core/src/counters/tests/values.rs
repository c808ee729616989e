//! Single values, and the whole table of what can be wrong with the next reading.

use super::super::reading::{Count, Width};
use super::super::{Discard, Reading};
use crate::time::Instant;

fn count(value: u64, width: Width) -> Count {
    Count { value, width }
}

#[test]
fn a_counter_of_32_bits_wraps_and_one_of_64_does_not() {
    use Width::{Bits32, Bits64};
    let since = |after: Count, before: Count| after.since(before);
    assert_eq!(since(count(9, Bits32), count(5, Bits32)), Some(4));
    assert_eq!(
        since(count(2, Bits32), count(u32::MAX.into(), Bits32)),
        Some(3)
    );
    assert_eq!(since(count(2, Bits64), count(u64::MAX, Bits64)), None);
    assert_eq!(since(count(9, Bits64), count(5, Bits32)), None);
    // What a Counter32 cannot hold is not one.
    assert_eq!(since(count(1 << 32, Bits32), count(5, Bits32)), None);
}

fn reading(at_ms: u64, uptime_ticks: u32) -> Reading {
    Reading {
        asked: Instant::from_ns(at_ms * 1_000_000),
        answered: Instant::from_ns((at_ms + 10) * 1_000_000),
        uptime_ticks,
        discontinuity_ticks: 0,
        age_ticks: None,
        packets: count(0, Width::Bits64),
        octets: None,
        pulse: None,
    }
}

#[test]
fn the_agents_own_time_tells_a_wrap_from_a_restart() {
    let base = reading(0, 10_000);
    assert_eq!(reading(5_000, 10_500).runs_on_from(&base), Ok(()));
    for ticks in [0, 1, 500, 10_000, 10_400, 10_700, 50_000] {
        let restarted = reading(5_000, ticks).runs_on_from(&base);
        assert_eq!(restarted, Err(Discard::Restarted), "{ticks}");
    }
    // Up for so short that it may have begun anew unnoticed, and just longer.
    for (ticks, told) in [(75, false), (90, true)] {
        let base = reading(0, ticks);
        assert_eq!(
            reading(5_000, ticks + 500).runs_on_from(&base).is_ok(),
            told
        );
        assert_eq!(
            reading(5_000, 500).runs_on_from(&base),
            Err(Discard::Restarted)
        );
    }
    // After 497 days it begins at zero by itself.
    let base = reading(0, u32::MAX - 99);
    assert_eq!(reading(5_000, 400).runs_on_from(&base), Ok(()));
    let mut set_back = reading(5_000, 400);
    set_back.discontinuity_ticks = 7;
    assert_eq!(set_back.runs_on_from(&base), Err(Discard::Reset));
}

/// A route that was made anew counts from nothing: three more than before may be 18 of 20.
#[test]
fn a_counter_that_is_younger_than_it_ought_to_be_is_another_one() {
    let aged = |at_ms, age_ticks| Reading {
        age_ticks,
        ..reading(at_ms, 60_000 + (at_ms / 10) as u32)
    };
    let base = aged(0, Some(1_000));
    assert_eq!(aged(5_000, Some(1_500)).runs_on_from(&base), Ok(()));
    for other in [
        Some(0),
        Some(400),
        Some(500),
        Some(1_300),
        Some(1_700),
        None,
    ] {
        let found = aged(5_000, other).runs_on_from(&base);
        assert_eq!(found, Err(Discard::Reset), "{other:?}");
    }
    let young = aged(0, Some(60));
    let found = aged(5_000, Some(560)).runs_on_from(&young);
    assert_eq!(
        found,
        Err(Discard::Reset),
        "it may have been made anew at once"
    );
}
