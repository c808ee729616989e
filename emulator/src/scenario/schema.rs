//! The scenario file as a JSON Schema, so that editors complete it and mark mistakes while it is written.
//!
//! The types' own derives say most of it. What is particular to the file is put right afterwards ([`file`]): TOML has
//! no null, and `[[at]]` and `[[expect]]` have their action's or check's fields beside its name. The schema is
//! deliberately laxer than [`Scenario::parse`], which also follows references; it never refuses what that accepts.

mod file;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::Value;

use super::{Bitrate, Groups, Probability, Rate, Scenario, Span};

impl Scenario {
    /// The JSON Schema of a scenario file: draft-07, which the TOML plugins of editors take.
    pub fn schema() -> Value {
        let generator = SchemaSettings::draft07().into_generator();
        file::shape(generator.into_root_schema_for::<Self>().to_value())
    }
}

/// `monitor.task.start`: a time, or a word.
pub(super) struct Start;

/// A quantity with its unit in the text.
struct Quantity {
    name: &'static str,
    description: &'static str,
    pattern: &'static str,
    examples: &'static [&'static str],
}

impl Quantity {
    fn schema(&self) -> Schema {
        json_schema!({
            "type": "string",
            "description": self.description,
            "pattern": format!("^({})$", self.pattern),
            "examples": self.examples,
        })
    }
}

/// The text forms of [`super::units`].
macro_rules! schema_of_text {
    ($type:ty, $quantity:expr) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed($quantity.name)
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $quantity.schema()
            }
        }
    };
}

schema_of_text!(
    Span,
    Quantity {
        name: "Span",
        description: "A length of time with its unit: ns, us, ms, s, min or h; at most 30 days.",
        pattern: r"[0-9]+(\.[0-9]+)?(ns|us|ms|s|min|h)",
        examples: &["250us", "30ms", "1.5s", "2min", "1h"],
    }
);
schema_of_text!(
    Start,
    Quantity {
        name: "Start",
        description: "A length of time with its unit, or \"event\".",
        pattern: r"[0-9]+(\.[0-9]+)?(ns|us|ms|s|min|h)|event",
        examples: &["0s", "5s", "event"],
    }
);
schema_of_text!(
    Probability,
    Quantity {
        name: "Probability",
        description: "A share in per cent.",
        pattern: r"0*(100(\.0+)?|[0-9]{1,2}(\.[0-9]+)?)%",
        examples: &["2%", "0.02%", "12.5%"],
    }
);
schema_of_text!(
    Rate,
    Quantity {
        name: "Rate",
        description: "Events per second, from one in a thousand seconds to a million a second.",
        pattern: r"[0-9]+(\.[0-9]+)?/s",
        examples: &["20/s", "0.5/s"],
    }
);
schema_of_text!(
    Bitrate,
    Quantity {
        name: "Bitrate",
        description: "Bits per second: bit, kbit, Mbit or Gbit; at most 100 Gbit.",
        pattern: r"[0-9]+(\.[0-9]+)?(bit|kbit|Mbit|Gbit)",
        examples: &["512kbit", "10Mbit"],
    }
);
schema_of_text!(
    Groups,
    Quantity {
        name: "Groups",
        description: "A multicast group, or a prefix of groups from a /24 on.",
        pattern: r"[0-9]{1,3}(\.[0-9]{1,3}){3}(/(2[4-9]|3[0-2]))?",
        examples: &["239.2.1.1", "239.2.1.0/28"],
    }
);
