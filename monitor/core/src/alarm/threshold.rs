//! Thresholds on what the active side measures (PM-10).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::kind::Severity;
use crate::name::Name;
use crate::report::{Distribution, IntervalRow};
use crate::time::Span;

/// A metric of a pair that must not be above a level for longer than a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The metric.
    pub metric: Metric,
    /// The level: a share such as `"1%"`, or a time such as `"50ms"`, as the metric is one.
    pub above: Level,
    /// How long it must have been above; `raise_after` if absent.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub lasting: Option<Span>,
    /// Of these tasks and MVPNs; of all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<Name>>,
    /// How much it matters; as of its kind if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

/// What of an interval's row is held against a threshold. All include the tunnels' own part but the corrected ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Share of probes lost.
    Loss,
    /// Share of probes lost between the routers, at least: the lower end of what cannot be told apart.
    LossCorrectedLow,
    /// Copies too many, as a share of the probes sent.
    Duplicates,
    /// Share of received probes that came out of order.
    Reordered,
    /// Mean one-way delay.
    DelayMean,
    /// Its 99th percentile.
    DelayP99,
    /// Its maximum.
    DelayMax,
    /// Mean delay between the routers, at least.
    DelayCorrectedLow,
    /// 99th percentile of the difference of consecutive delays (RFC 3393).
    IpdvP99,
    /// 99th percentile of the delay above the least (RFC 5481).
    PdvP99,
}

impl Metric {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Metric::Loss => "loss",
            Metric::LossCorrectedLow => "loss-corrected-low",
            Metric::Duplicates => "duplicates",
            Metric::Reordered => "reordered",
            Metric::DelayMean => "delay-mean",
            Metric::DelayP99 => "delay-p99",
            Metric::DelayMax => "delay-max",
            Metric::DelayCorrectedLow => "delay-corrected-low",
            Metric::IpdvP99 => "ipdv-p99",
            Metric::PdvP99 => "pdv-p99",
        }
    }

    /// Whether it is a share of packets; otherwise it is a time.
    pub fn is_share(self) -> bool {
        match self {
            Metric::Loss | Metric::LossCorrectedLow | Metric::Duplicates | Metric::Reordered => {
                true
            }
            Metric::DelayMean
            | Metric::DelayP99
            | Metric::DelayMax
            | Metric::DelayCorrectedLow
            | Metric::IpdvP99
            | Metric::PdvP99 => false,
        }
    }

    /// Its value in the row, in parts per million or nanoseconds. None where there was nothing to measure, or where
    /// the monitor's own capture dropped packets, so that a loss may be its own.
    pub(super) fn value(self, row: &IntervalRow) -> Option<u64> {
        let pair = &row.pair;
        let counts = &pair.counts;
        let doubtful = row.capture_drops > 0;
        match self {
            Metric::Loss if doubtful => None,
            Metric::LossCorrectedLow if doubtful => None,
            Metric::Loss => share(counts.lost, counts.sent),
            Metric::LossCorrectedLow => pair.corrected.loss_low.map(|low| (low * 1e6) as u64),
            Metric::Duplicates => share(counts.duplicates, counts.sent),
            Metric::Reordered => share(counts.reordered, counts.received),
            Metric::DelayMean => time(&pair.delay, |d| d.mean_ns),
            Metric::DelayP99 => time(&pair.delay, |d| d.p99_ns),
            Metric::DelayMax => time(&pair.delay, |d| d.max_ns),
            Metric::DelayCorrectedLow => pair.corrected.delay_low_ns.map(not_negative),
            Metric::IpdvP99 => time(&pair.ipdv, |d| d.p99_ns),
            Metric::PdvP99 => time(&pair.pdv, |d| d.p99_ns),
        }
    }

    /// A value of it as a level.
    pub(super) fn level(self, value: u64) -> Level {
        if self.is_share() {
            Level::Share(value)
        } else {
            Level::Time(Span::from_ns(value))
        }
    }
}

/// Parts per million, rounded up: a share above a level stays above it.
fn share(part: u64, whole: u64) -> Option<u64> {
    let millionths = (u128::from(part) * 1_000_000).div_ceil(u128::from(whole).max(1));
    (whole > 0).then(|| u64::try_from(millionths).unwrap_or(u64::MAX))
}

fn time(of: &Option<Distribution>, pick: impl Fn(&Distribution) -> i64) -> Option<u64> {
    of.as_ref()
        .map(|distribution| not_negative(pick(distribution)))
}

fn not_negative(ns: i64) -> u64 {
    u64::try_from(ns).unwrap_or(0)
}

/// A level of a metric. A share is written in per cent, a time with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Level {
    /// Parts per million.
    Share(u64),
    /// A length of time.
    Time(Span),
}

impl Level {
    pub(super) fn is_share(self) -> bool {
        matches!(self, Level::Share(_))
    }

    pub(super) fn value(self) -> u64 {
        match self {
            Level::Share(millionths) => millionths,
            Level::Time(span) => span.as_ns(),
        }
    }
}

/// Text that is no [`Level`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot read a level from {0:?}: write a share in per cent with at most four decimals, such as 0.5%, or a time with its unit, such as 50ms"
)]
pub struct LevelError(String);

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Level, LevelError> {
        let wrong = || LevelError(text.to_owned());
        match text.strip_suffix('%') {
            Some(percent) => millionths(percent).map(Level::Share).ok_or_else(wrong),
            None => text.parse().map(Level::Time).map_err(|_| wrong()),
        }
    }
}

/// Per cent to parts per million, exactly.
fn millionths(percent: &str) -> Option<u64> {
    let (whole, fraction) = percent.split_once('.').unwrap_or((percent, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 4 {
        return None;
    }
    let scale = 10u64.pow(4 - u32::try_from(fraction.len()).ok()?);
    let whole = whole.parse::<u64>().ok()?.checked_mul(10_000)?;
    whole.checked_add(fraction.parse::<u64>().ok()? * scale)
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Level::Share(millionths) => {
                let (whole, part) = (millionths / 10_000, millionths % 10_000);
                match part {
                    0 => write!(f, "{whole}%"),
                    part => {
                        let digits = format!("{part:04}");
                        write!(f, "{whole}.{}%", digits.trim_end_matches('0'))
                    }
                }
            }
            Level::Time(span) => span.fmt(f),
        }
    }
}

impl TryFrom<String> for Level {
    type Error = LevelError;
    fn try_from(text: String) -> Result<Level, LevelError> {
        text.parse()
    }
}

impl From<Level> for String {
    fn from(level: Level) -> String {
        level.to_string()
    }
}

/// What was measured between whom, and the level that it is held against.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Measured {
    /// Name of the sender's tunnel.
    pub sender: Name,
    /// Name of the receiver's tunnel.
    pub receiver: Name,
    /// The metric.
    pub metric: Metric,
    /// The level.
    pub above: Level,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_read_back_as_written() {
        for text in ["1%", "0.5%", "0.0001%", "100%", "50ms", "2s"] {
            assert_eq!(text.parse::<Level>().unwrap().to_string(), text);
        }
        assert_eq!("0.02%".parse(), Ok(Level::Share(200)));
    }

    #[test]
    fn what_is_no_level_is_refused() {
        for text in ["", "%", "1", ".5%", "1.%", "0.00001%", "-1%", "1 %", "0.01"] {
            assert!(text.parse::<Level>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_share_is_rounded_up_and_absent_without_a_sample() {
        assert_eq!(share(1, 3), Some(333_334));
        assert_eq!(share(0, 3), Some(0));
        assert_eq!(share(0, 0), None);
    }
}
