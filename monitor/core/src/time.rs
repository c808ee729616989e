//! Time as integer nanoseconds: instants of a monotonic clock, spans, and rates.
//!
//! Nothing in this crate asks a clock. Whoever drives it says what time it is, in
//! nanoseconds since an origin that never steps (the daemon uses the time since boot).
//! Spans and rates are written by people with a unit (`250ms`, `12.5pps`) and travel so in
//! the configuration file and on the control socket; measured times travel as plain
//! integers in fields whose names end in `_ns`.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Nanoseconds in a second.
pub const NS_PER_S: u64 = 1_000_000_000;

/// A point on the monotonic clock, in nanoseconds since its origin.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Instant(u64);

impl Instant {
    /// The clock's origin.
    pub const ZERO: Instant = Instant(0);

    /// The instant `ns` nanoseconds after the origin.
    pub const fn from_ns(ns: u64) -> Self {
        Instant(ns)
    }

    /// Nanoseconds since the origin.
    pub const fn as_ns(self) -> u64 {
        self.0
    }

    /// How long `self` is after `earlier`; nothing if it is not.
    pub const fn since(self, earlier: Instant) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// The first instant from `self` on that is a whole number of `grid`s after the origin. A grid of no time changes
    /// nothing.
    pub const fn next_multiple_of(self, grid: Span) -> Instant {
        match grid.0 {
            0 => self,
            ns => Instant(self.0.div_ceil(ns).saturating_mul(ns)),
        }
    }

    /// `self - other` in nanoseconds, negative where `other` is later.
    pub const fn signed_since(self, other: Instant) -> i64 {
        self.0.wrapping_sub(other.0) as i64
    }
}

impl Add<Span> for Instant {
    type Output = Instant;
    fn add(self, span: Span) -> Instant {
        Instant(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Instant {
    type Output = Instant;
    fn sub(self, span: Span) -> Instant {
        Instant(self.0.saturating_sub(span.0))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / NS_PER_S, self.0 % NS_PER_S)
    }
}

/// A length of time in nanoseconds. Written with a unit: `20us`, `250ms`, `1.5s`, `2m`, `1h`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// `ns` nanoseconds.
    pub const fn from_ns(ns: u64) -> Self {
        Span(ns)
    }

    /// `ms` milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Span(ms * 1_000_000)
    }

    /// `s` seconds.
    pub const fn from_s(s: u64) -> Self {
        Span(s * NS_PER_S)
    }

    /// The length in nanoseconds.
    pub const fn as_ns(self) -> u64 {
        self.0
    }

    /// Whether this is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `n` times as long.
    pub const fn times(self, n: u64) -> Span {
        Span(self.0.saturating_mul(n))
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

/// Units of a span, longest first, in nanoseconds.
const SPAN_UNITS: [(&str, u64); 7] = [
    ("d", 24 * 3600 * NS_PER_S),
    ("h", 3600 * NS_PER_S),
    ("m", 60 * NS_PER_S),
    ("s", NS_PER_S),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl fmt::Display for Span {
    /// The longest unit that divides the span, so that nothing is rounded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        for (unit, ns) in SPAN_UNITS {
            if self.0.is_multiple_of(ns) {
                return write!(f, "{}{unit}", self.0 / ns);
            }
        }
        write!(f, "{}ns", self.0)
    }
}

/// A span or rate that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {what} from {found:?}: write a number and a unit, such as {example}")]
pub struct UnitError {
    what: &'static str,
    found: String,
    example: &'static str,
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        read_scaled(text, &SPAN_UNITS)
            .map(Span)
            .ok_or_else(|| UnitError {
                what: "a length of time",
                found: text.to_owned(),
                example: "250ms, 1.5s or 2m",
            })
    }
}

/// Packets per second, kept in thousandths. Written with a unit: `0.5pps`, `100pps`, `25kpps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(u64);

/// Units of a rate, largest first, in thousandths of a packet per second.
const RATE_UNITS: [(&str, u64); 2] = [("kpps", 1_000_000), ("pps", 1_000)];

impl Rate {
    /// `pps` packets per second.
    pub const fn from_pps(pps: u64) -> Self {
        Rate(pps * 1_000)
    }

    /// `millipps` thousandths of a packet per second.
    pub const fn from_millipps(millipps: u64) -> Self {
        Rate(millipps)
    }

    /// The rate in thousandths of a packet per second.
    pub const fn as_millipps(self) -> u64 {
        self.0
    }

    /// The mean gap between two packets; `None` at rate zero.
    pub const fn gap(self) -> Option<Span> {
        match (1_000 * NS_PER_S).checked_div(self.0) {
            Some(ns) => Some(Span(ns)),
            None => None,
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 1_000, self.0 % 1_000) {
            (whole, 0) => write!(f, "{whole}pps"),
            (whole, part) => {
                let digits = format!("{part:03}");
                write!(f, "{whole}.{}pps", digits.trim_end_matches('0'))
            }
        }
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        read_scaled(text, &RATE_UNITS)
            .map(Rate)
            .ok_or_else(|| UnitError {
                what: "a packet rate",
                found: text.to_owned(),
                example: "100pps, 0.5pps or 25kpps",
            })
    }
}

/// Reads `12.5unit` exactly; `None` if the unit is unknown, or digits would be lost.
pub(crate) fn read_scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(split);
    let scale = units.iter().find(|(name, _)| *name == unit)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || (number.contains('.') && fraction.is_empty()) {
        return None;
    }
    let mut value = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    let mut unit_of_digit = scale;
    for digit in fraction.chars() {
        let digit = u64::from(digit.to_digit(10)?);
        if !unit_of_digit.is_multiple_of(10) && digit != 0 {
            return None;
        }
        unit_of_digit /= 10;
        value = value.checked_add(digit * unit_of_digit)?;
    }
    Some(value)
}

macro_rules! text_conversions {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = UnitError;
            fn try_from(text: String) -> Result<Self, UnitError> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }
    };
}
text_conversions!(Span);
text_conversions!(Rate);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_never_behind_and_less_than_a_step_ahead() {
        let grid = Span::from_ms(50);
        let on = |ns| Instant::from_ns(ns).next_multiple_of(grid).as_ns();
        assert_eq!((on(0), on(1), on(50_000_000)), (0, 50_000_000, 50_000_000));
        assert_eq!(on(50_000_001), 100_000_000);
        let odd = Instant::from_ns(7);
        assert_eq!(odd.next_multiple_of(Span::ZERO), odd);
        assert_eq!(
            Instant::from_ns(u64::MAX).next_multiple_of(grid).as_ns(),
            u64::MAX
        );
    }

    #[test]
    fn spans_are_read_with_their_unit() {
        for (text, ns) in [
            ("0s", 0),
            ("20us", 20_000),
            ("1.5s", 1_500_000_000),
            ("2m", 120_000_000_000),
            ("7ns", 7),
            ("400d", 400 * 24 * 3_600 * NS_PER_S),
        ] {
            assert_eq!(text.parse::<Span>().unwrap().as_ns(), ns, "{text}");
        }
    }

    #[test]
    fn spans_without_a_unit_or_with_lost_digits_are_refused() {
        for text in [
            "",
            "5",
            "s",
            ".5s",
            "1.s",
            "1..5s",
            "-1s",
            "1.5ns",
            "1 s",
            "1sec",
            "99999999999999h",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for ns in [
            0,
            1,
            999,
            1_000,
            1_500_000,
            90 * NS_PER_S,
            3600 * NS_PER_S,
            48 * 3600 * NS_PER_S,
            u64::MAX,
        ] {
            assert_eq!(Span(ns).to_string().parse::<Span>(), Ok(Span(ns)));
        }
        for rate in [1, 500, 1_000, 12_500, 25_000_000] {
            assert_eq!(Rate(rate).to_string().parse::<Rate>(), Ok(Rate(rate)));
        }
    }

    #[test]
    fn a_rate_has_a_gap_unless_it_is_zero() {
        assert_eq!(Rate::from_pps(100).gap(), Some(Span::from_ms(10)));
        assert_eq!(
            "0.5pps".parse::<Rate>().unwrap().gap(),
            Some(Span::from_s(2))
        );
        assert_eq!(Rate::from_pps(0).gap(), None);
    }
}
