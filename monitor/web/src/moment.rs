//! Moments as the interface writes them: RFC 3339 with as many digits as needed, for no number of JavaScript holds the
//! nanoseconds since 1970.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};
use vmscope_store::mvpn::Utc;

/// A moment. Read from RFC 3339, or from `now`, which is later than all that is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Utc);

impl Moment {
    /// Later than all that is recorded.
    pub const NOW: Moment = Moment(Utc::NOW);

    /// Whether the present is meant.
    pub fn is_now(self) -> bool {
        self == Moment::NOW
    }
}

impl From<Utc> for Moment {
    fn from(utc: Utc) -> Moment {
        Moment(utc)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_now() {
            return f.write_str("now");
        }
        match Timestamp::from_nanosecond(i128::from(self.0.as_ns())) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => write!(f, "{} ns", self.0.as_ns()),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        if text == "now" {
            return Ok(Moment::NOW);
        }
        let read = text.parse::<Timestamp>().ok();
        let ns = read.and_then(|at| i64::try_from(at.as_nanosecond()).ok());
        ns.map(|ns| Moment(Utc::from_ns(ns))).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no moment from 1678 to 2261: write it like 2026-01-31T12:00:00Z (with %2B for a plus), or now"
            ))
        })
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "RFC 3339, UTC, to the nanosecond; as a question also `now`",
            "examples": ["2026-01-31T12:00:00.25Z"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Moment, serde_json::Error> {
        serde_json::from_value(text.into())
    }

    #[test]
    fn what_is_written_is_read_to_the_nanosecond() {
        for ns in [0, 1, 1_767_225_600_123_456_789, -5_000_000_001] {
            let moment = Moment(Utc::from_ns(ns));
            assert_eq!(read(&moment.to_string()).unwrap(), moment);
        }
        assert_eq!(read("now").unwrap(), Moment::NOW);
        assert_eq!(Moment::NOW.to_string(), "now");
        let east = read("2026-01-01T02:00:00+02:00").unwrap();
        assert_eq!(east, read("2026-01-01T00:00:00Z").unwrap());
    }

    #[test]
    fn nonsense_says_how_to_write_it() {
        for text in [
            "",
            "yesterday",
            "2026-01-31",
            "9999-01-01T00:00:00Z",
            "1767225600",
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("2026-01-31T12:00:00Z"), "{error}");
        }
    }
}
