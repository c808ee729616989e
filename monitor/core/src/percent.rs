//! Shares that people write with a percent sign.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::time::read_scaled;

/// A share, kept in billionths. Written in percent: `95%`, `0.01%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Percent(u64);

/// Billionths in one percent.
const PER_PERCENT: u64 = 10_000_000;

/// Text that is no [`Percent`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot read a share from {0:?}: write a number of at most 7 decimals and a percent sign, such as 0.01%"
)]
pub struct PercentError(String);

impl Percent {
    /// So many whole percent.
    pub const fn whole(percent: u64) -> Percent {
        Percent(percent * PER_PERCENT)
    }

    /// The share: 1 is everything.
    pub fn share(self) -> f64 {
        self.0 as f64 / (100 * PER_PERCENT) as f64
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / PER_PERCENT, self.0 % PER_PERCENT) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, part) => {
                let digits = format!("{part:07}");
                write!(f, "{whole}.{}%", digits.trim_end_matches('0'))
            }
        }
    }
}

impl FromStr for Percent {
    type Err = PercentError;

    fn from_str(text: &str) -> Result<Percent, PercentError> {
        read_scaled(text, &[("%", PER_PERCENT)])
            .map(Percent)
            .ok_or_else(|| PercentError(text.to_owned()))
    }
}

impl TryFrom<String> for Percent {
    type Error = PercentError;
    fn try_from(text: String) -> Result<Percent, PercentError> {
        text.parse()
    }
}

impl From<Percent> for String {
    fn from(percent: Percent) -> String {
        percent.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_exactly_and_shown_as_written() {
        for (text, share) in [
            ("95%", 0.95),
            ("0.01%", 1e-4),
            ("100%", 1.0),
            ("0.0000001%", 1e-9),
        ] {
            let percent: Percent = text.parse().unwrap();
            assert_eq!(percent.share(), share, "{text}");
            assert_eq!(percent.to_string(), text);
        }
        for text in ["95", "0.00000001%", "-1%", "%", "1 %"] {
            assert!(text.parse::<Percent>().is_err(), "{text:?} was accepted");
        }
    }
}
