//! How long results are kept: what an operator asks for. The database's writer does it.
//!
//! ```toml
//! [retention]
//! history = "400d"       # past states of MVPNs, from their end on
//! probes = "30d"         # the log of single probes
//! intervals = "for-ever" # interval results
//! size = "20GB"          # of an SQLite file: beyond, all three become shorter
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::time::{Span, read_scaled};

/// Nothing younger is deleted, so nothing shorter can be asked for.
pub const KEEP_MIN: Span = Span::from_s(3_600);
/// The smallest size that can be asked for: what an empty database and some hours of results take, or a few
/// groups of rows of a file of probes.
pub const SIZE_MIN: Size = Size(16_000_000);
/// The word for "until somebody deletes it".
const FOR_EVER: &str = "for-ever";
const DAY: Span = Span::from_s(24 * 3_600);

/// How long what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSpec {
    /// Past states of MVPNs, from their end on.
    pub history: Keep,
    /// The log of single probes, from their sending on.
    pub probes: Keep,
    /// Interval results, from the interval's end on.
    pub intervals: Keep,
    /// Size of the database. Beyond it all three become shorter, though never shorter than an hour, until it fits. SQLite
    /// only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
}

/// 400 days of history and interval results, 30 days of probes, any size.
impl Default for RetentionSpec {
    fn default() -> Self {
        RetentionSpec {
            history: Keep::For(DAY.times(400)),
            probes: Keep::For(DAY.times(30)),
            intervals: Keep::For(DAY.times(400)),
            size: None,
        }
    }
}

/// How long one kind of result is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Keep {
    /// Until somebody deletes it.
    ForEver,
    /// So long; at least [`KEEP_MIN`].
    For(Span),
}

impl Keep {
    /// The time; nothing if there is no end.
    pub fn span(self) -> Option<Span> {
        match self {
            Keep::ForEver => None,
            Keep::For(span) => Some(span),
        }
    }
}

/// An amount of bytes. Written with a unit: `500MB`, `20GB`; thousands, as disks are sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(u64);

impl Size {
    /// So many millions of bytes.
    pub const fn from_mb(mb: u64) -> Size {
        Size(mb * 1_000_000)
    }

    /// In bytes.
    pub const fn as_bytes(self) -> u64 {
        self.0
    }
}

/// Units of a size, largest first, in bytes.
const SIZE_UNITS: [(&str, u64); 3] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
];

/// A time to keep or a size that could not be read, or is too small.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RetentionError {
    /// No length of time.
    #[error(
        "cannot read how long to keep from {0:?}: write a number and a unit, such as 90d or 12h, or {FOR_EVER}"
    )]
    Keep(String),
    /// Too short.
    #[error("{0} is too short to keep anything: {KEEP_MIN} is the least")]
    TooShort(Span),
    /// No size.
    #[error("cannot read a size from {0:?}: write a number and a unit, such as 500MB or 20GB")]
    Size(String),
    /// Too small.
    #[error("{0} is too small: {SIZE_MIN} is the least")]
    TooSmall(Size),
}

impl FromStr for Keep {
    type Err = RetentionError;

    fn from_str(text: &str) -> Result<Keep, RetentionError> {
        if text == FOR_EVER {
            return Ok(Keep::ForEver);
        }
        match text.parse::<Span>() {
            Ok(span) if span < KEEP_MIN => Err(RetentionError::TooShort(span)),
            Ok(span) => Ok(Keep::For(span)),
            Err(_) => Err(RetentionError::Keep(text.to_owned())),
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Keep::ForEver => f.write_str(FOR_EVER),
            Keep::For(span) => span.fmt(f),
        }
    }
}

impl FromStr for Size {
    type Err = RetentionError;

    fn from_str(text: &str) -> Result<Size, RetentionError> {
        match read_scaled(text, &SIZE_UNITS).map(Size) {
            Some(size) if size < SIZE_MIN => Err(RetentionError::TooSmall(size)),
            Some(size) => Ok(size),
            None => Err(RetentionError::Size(text.to_owned())),
        }
    }
}

impl fmt::Display for Size {
    /// The largest unit that divides it, so that nothing is rounded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = SIZE_UNITS
            .iter()
            .find(|(_, bytes)| self.0.is_multiple_of(*bytes));
        match whole {
            Some((unit, bytes)) => write!(f, "{}{unit}", self.0 / bytes),
            None => write!(f, "{}.{:06}MB", self.0 / 1_000_000, self.0 % 1_000_000),
        }
    }
}

macro_rules! as_text {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = RetentionError;
            fn try_from(text: String) -> Result<Self, RetentionError> {
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
as_text!(Keep);
as_text!(Size);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<RetentionSpec, String> {
        toml::from_str(toml).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_is_kept_as_ever() {
        assert_eq!(read("").unwrap(), RetentionSpec::default());
        let some = read("history = \"for-ever\"\nsize = \"1.5GB\"").unwrap();
        assert_eq!(some.history, Keep::ForEver);
        assert_eq!(some.probes, RetentionSpec::default().probes);
        assert_eq!(some.size.map(Size::as_bytes), Some(1_500_000_000));
    }

    #[test]
    fn what_is_written_reads_back() {
        for toml in [
            "history = \"7d\"\nprobes = \"36h\"\nintervals = \"for-ever\"\nsize = \"20GB\"\n",
            "history = \"1h\"\nprobes = \"90d\"\nintervals = \"90m\"\nsize = \"16.000001MB\"\n",
        ] {
            assert_eq!(toml::to_string(&read(toml).unwrap()).unwrap(), toml);
        }
    }

    #[test]
    fn nonsense_is_refused_with_what_to_write() {
        for (toml, remedy) in [
            ("history = \"400\"", "a number and a unit"),
            ("history = \"never\"", "for-ever"),
            ("probes = \"59m\"", "1h is the least"),
            ("probes = \"0s\"", "1h is the least"),
            ("size = \"20\"", "500MB"),
            ("size = \"-1GB\"", "500MB"),
            ("size = \"1MB\"", "16MB is the least"),
            ("sizes = \"1GB\"", "unknown field"),
        ] {
            let error = read(toml).unwrap_err();
            assert!(error.contains(remedy), "{toml}: {error}");
        }
    }
}
