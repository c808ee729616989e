//! Quantities with their unit in the text: `"30ms"`, `"2%"`, `"10/s"`, `"10Mbit"`.
//!
//! Each type reads and writes exactly one text form, in TOML and in JSON alike; what is written reads back
//! as the same value, bit for bit. A bare number is refused: a quantity without a unit is a guess.

use std::{cmp::Ordering, fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time, integer nanoseconds. Text: `"250us"`, `"30ms"`, `"1.5s"`, `"2min"`, `"1h"`; at most 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// Nanoseconds.
    pub ns: u64,
}

impl Span {
    /// The longest that the text form takes: 30 days.
    pub const MAX: Self = Self::seconds(30 * 86_400);
    /// No time at all.
    pub const ZERO: Self = Self { ns: 0 };

    /// Whole seconds.
    pub const fn seconds(s: u64) -> Self {
        Self {
            ns: s * 1_000_000_000,
        }
    }

    /// Whole milliseconds.
    pub const fn millis(ms: u64) -> Self {
        Self { ns: ms * 1_000_000 }
    }

    /// Whole microseconds.
    pub const fn micros(us: u64) -> Self {
        Self { ns: us * 1_000 }
    }

    /// Whole seconds, rounded up; for router timers, which know no fractions.
    pub const fn seconds_ceil(self) -> u64 {
        self.ns.div_ceil(1_000_000_000)
    }

    /// Seconds, for arithmetic with rates and for people.
    pub fn as_seconds(self) -> f64 {
        self.ns as f64 / 1e9
    }

    /// The same as the standard library's type.
    pub const fn duration(self) -> Duration {
        Duration::from_nanos(self.ns)
    }

    /// `self - other`, or nothing when `other` is longer.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self {
            ns: self.ns.saturating_sub(other.ns),
        }
    }

    /// `self + other`, at most what an u64 of nanoseconds holds.
    pub const fn saturating_add(self, other: Self) -> Self {
        Self {
            ns: self.ns.saturating_add(other.ns),
        }
    }
}

/// A probability in [0, 1]. Text: `"2%"`, `"0.02%"`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Probability(pub f64);

impl Probability {
    /// Certainty.
    pub const fn one() -> Self {
        Self(1.0)
    }
}

/// Events per second, more than none and at most a million. Text: `"20/s"`, `"0.5/s"`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(pub f64);

impl Rate {
    /// Nanoseconds from one event to the next.
    pub fn period_ns(self) -> u64 {
        (1e9 / self.0).round() as u64
    }
}

/// Bits per second, more than none and at most 100 Gbit. Text: `"64kbit"`, `"10Mbit"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bitrate(pub u64);

/// A quantity's text could not be understood; the message says what was found and what is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {wanted}: {why}")]
pub struct UnitError {
    /// The text.
    pub found: String,
    /// What it should have been.
    pub wanted: &'static str,
    /// What is wrong with it.
    pub why: &'static str,
}

const SPAN: &str = "a length of time, as in \"250us\", \"30ms\", \"1.5s\", \"2min\" or \"1h\"";
const PROBABILITY: &str = "a probability in per cent, as in \"2%\" or \"0.02%\"";
const RATE: &str = "a number of events per second, as in \"20/s\"";
const BITRATE: &str = "a bit rate, as in \"64kbit\", \"10Mbit\" or \"1Gbit\"";

const SPAN_UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];
const BIT_UNITS: [(&str, u64); 4] = [
    ("Gbit", 1_000_000_000),
    ("Mbit", 1_000_000),
    ("kbit", 1_000),
    ("bit", 1),
];

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let ns = scaled(text, &SPAN_UNITS).map_err(|why| unit_error(text, SPAN, why))?;
        if ns > Self::MAX.ns {
            return Err(unit_error(text, SPAN, "longer than 30 days"));
        }
        Ok(Self { ns })
    }
}

impl FromStr for Bitrate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        match scaled(text, &BIT_UNITS).map_err(|why| unit_error(text, BITRATE, why))? {
            0 => Err(unit_error(text, BITRATE, "nothing would ever pass")),
            bits @ 1..=100_000_000_000 => Ok(Self(bits)),
            _ => Err(unit_error(text, BITRATE, "more than 100 Gbit")),
        }
    }
}

impl FromStr for Probability {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fail = |why| unit_error(text, PROBABILITY, why);
        let number = text
            .strip_suffix('%')
            .ok_or_else(|| fail("the `%` is missing"))?;
        if !is_decimal(number) {
            return Err(fail("the part before `%` is not a plain number"));
        }
        // The exponent moves the point before rounding, so that "0.02%" is the float nearest to 0.0002.
        let value: f64 = format!("{number}e-2")
            .parse()
            .map_err(|_| fail("not a number"))?;
        if value > 1.0 {
            return Err(fail("more than 100%"));
        }
        Ok(Self(value))
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fail = |why| unit_error(text, RATE, why);
        let number = text
            .strip_suffix("/s")
            .ok_or_else(|| fail("the `/s` is missing"))?;
        if !is_decimal(number) {
            return Err(fail("the part before `/s` is not a plain number"));
        }
        let value: f64 = number.parse().map_err(|_| fail("not a number"))?;
        if value < 0.001 {
            return Err(fail("less than one in a thousand seconds"));
        }
        if value > 1e6 {
            return Err(fail("more than a million a second"));
        }
        Ok(Self(value))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ns == 0 {
            return f.write_str("0s");
        }
        // Minutes and hours only when whole: "1.5s" reads well, "1.0333min" does not.
        let (name, unit) = SPAN_UNITS
            .into_iter()
            .find(|&(name, unit)| {
                self.ns.is_multiple_of(unit)
                    || (self.ns > unit && matches!(name, "s" | "ms" | "us"))
            })
            .unwrap_or(("ns", 1));
        write!(f, "{}{name}", decimal(self.ns, unit))
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) = BIT_UNITS
            .into_iter()
            .find(|&(_, unit)| self.0 >= unit)
            .unwrap_or(("bit", 1));
        write!(f, "{}{name}", decimal(self.0, unit))
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", shifted_two(self.0))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

fn unit_error(found: &str, wanted: &'static str, why: &'static str) -> UnitError {
    UnitError {
        found: found.to_owned(),
        wanted,
        why,
    }
}

/// Digits, with at most one point that has digits on both sides.
fn is_decimal(text: &str) -> bool {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    }
}

/// `"1.5ms"` in the smallest of the units, exactly.
fn scaled(text: &str, units: &[(&str, u64)]) -> Result<u64, &'static str> {
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .ok_or("the unit is missing")?;
    let (number, unit) = text.split_at(split);
    let &(_, factor) = units
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or("the unit is not known")?;
    if !is_decimal(number) {
        return Err("the part before the unit is not a plain number");
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().map_err(|_| "the number is too large")?;
    let mut value = whole.checked_mul(factor).ok_or("the number is too large")?;
    let mut place = factor;
    for digit in fraction.bytes().map(|b| u64::from(b - b'0')) {
        if place % 10 != 0 && digit != 0 {
            return Err("finer than the smallest unit");
        }
        place /= 10;
        value = value
            .checked_add(digit * place)
            .ok_or("the number is too large")?;
    }
    Ok(value)
}

/// `value / unit` as an exact decimal; units are powers of ten, or divide `value`.
fn decimal(value: u64, unit: u64) -> String {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let fraction = format!("{rest:0width$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

/// A float times a hundred, by moving the point in its shortest decimal form: no rounding.
fn shifted_two(value: f64) -> String {
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let point = exponent + 3; // digits before the point after the shift
    if point <= 0 {
        return format!("0.{}{digits}", "0".repeat(point.unsigned_abs() as usize));
    }
    let point = point as usize;
    match digits.len().cmp(&point) {
        Ordering::Less if value == 0.0 => "0".to_owned(),
        Ordering::Less | Ordering::Equal => format!("{digits:0<point$}"),
        Ordering::Greater => format!("{}.{}", &digits[..point], &digits[point..]),
    }
}

/// Serde by the text form; a number without unit is refused with the form that is wanted.
macro_rules! serde_as_text {
    ($type:ty, $wanted:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($wanted)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

serde_as_text!(Span, SPAN);
serde_as_text!(Probability, PROBABILITY);
serde_as_text!(Rate, RATE);
serde_as_text!(Bitrate, BITRATE);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_read_and_write() {
        for (text, ns) in [
            ("0s", 0),
            ("1ns", 1),
            ("250us", 250_000),
            ("30ms", 30_000_000),
            ("1.5s", 1_500_000_000),
            ("2min", 120_000_000_000),
            ("1h", 3_600_000_000_000),
        ] {
            assert_eq!(text.parse::<Span>().map(|s| s.ns), Ok(ns), "{text}");
            assert_eq!(Span { ns }.to_string(), text);
        }
        assert_eq!("1.5min".parse::<Span>().map(|s| s.ns), Ok(90_000_000_000));
    }

    #[test]
    fn what_is_no_span_is_refused_with_the_reason() {
        for (text, why) in [
            ("30", "the unit is missing"),
            ("30sec", "the unit is not known"),
            ("-3ms", "the part before the unit is not a plain number"),
            ("1.ms", "the part before the unit is not a plain number"),
            ("1.5ns", "finer than the smallest unit"),
            ("31000h", "longer than 30 days"),
            ("99999999999999999999h", "the number is too large"),
            ("ms", "the part before the unit is not a plain number"),
        ] {
            assert_eq!(text.parse::<Span>().map_err(|e| e.why), Err(why), "{text}");
        }
    }

    #[test]
    fn probabilities_are_exact_per_cents() {
        for (text, value) in [
            ("0%", 0.0),
            ("2%", 0.02),
            ("0.02%", 0.0002),
            ("100%", 1.0),
            ("12.5%", 0.125),
        ] {
            assert_eq!(
                text.parse::<Probability>(),
                Ok(Probability(value)),
                "{text}"
            );
            assert_eq!(Probability(value).to_string(), text);
        }
        assert_eq!(
            "100.1%".parse::<Probability>().map_err(|e| e.why),
            Err("more than 100%")
        );
        assert_eq!(
            "0.02".parse::<Probability>().map_err(|e| e.why),
            Err("the `%` is missing")
        );
        assert!("-1%".parse::<Probability>().is_err() && "1e1%".parse::<Probability>().is_err());
    }

    #[test]
    fn rates_have_a_floor_and_a_ceiling() {
        assert_eq!("20/s".parse::<Rate>(), Ok(Rate(20.0)));
        assert_eq!(Rate(20.0).to_string(), "20/s");
        assert_eq!(Rate(30.0).period_ns(), 33_333_333);
        assert!(
            "0/s".parse::<Rate>().is_err()
                && "1000001/s".parse::<Rate>().is_err()
                && "5".parse::<Rate>().is_err()
        );
        assert_eq!("1.544Mbit".parse::<Bitrate>(), Ok(Bitrate(1_544_000)));
        assert_eq!(Bitrate(1_544_000).to_string(), "1.544Mbit");
        assert!("0kbit".parse::<Bitrate>().is_err() && "10Mb".parse::<Bitrate>().is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn written_spans_read_back(ns in 0..=Span::MAX.ns) {
            prop_assert_eq!(Span { ns }.to_string().parse(), Ok(Span { ns }));
        }

        #[test]
        fn written_probabilities_read_back(value in 0.0f64..=1.0) {
            prop_assert_eq!(Probability(value).to_string().parse(), Ok(Probability(value)));
        }

        #[test]
        fn written_rates_read_back(value in 0.001f64..=1e6, bits in 1u64..=100_000_000_000) {
            prop_assert_eq!(Rate(value).to_string().parse(), Ok(Rate(value)));
            prop_assert_eq!(Bitrate(bits).to_string().parse(), Ok(Bitrate(bits)));
        }

        #[test]
        fn no_text_panics(text in ".{0,12}") {
            let _ = (text.parse::<Span>(), text.parse::<Probability>(), text.parse::<Rate>(), text.parse::<Bitrate>());
        }
    }
}
