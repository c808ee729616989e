//! A judge of JSON Schema draft-07, as far as our schema goes; a keyword that it does not know is a failure.
//!
//! Full validators are there as crates, but each of them turns on features of crates that the product is built with,
//! and then the tests would build another executable than `make build` does and converge all warm labs anew.

use std::net::Ipv4Addr;

use regex::Regex;
use serde_json::Value;

/// The schema of a document.
pub struct Judge<'s> {
    root: &'s Value,
}

impl<'s> Judge<'s> {
    /// By this schema.
    pub fn new(root: &'s Value) -> Self {
        Self { root }
    }

    /// What is wrong with a document, each with its place; nothing: it is valid.
    pub fn complaints(&self, document: &Value) -> Vec<String> {
        self.judge(self.root, document, "")
    }

    fn judge(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let keywords = match schema {
            Value::Bool(true) => return Vec::new(),
            Value::Bool(false) => return vec![format!("{at}: nothing may stand here")],
            _ => schema.as_object().expect("a schema is an object or a bool"),
        };
        let judged = keywords
            .iter()
            .flat_map(|(keyword, wanted)| self.keyword(keyword, wanted, schema, value, at));
        judged.collect()
    }

    fn keyword(
        &self,
        keyword: &str,
        wanted: &Value,
        schema: &Value,
        value: &Value,
        at: &str,
    ) -> Vec<String> {
        let all = || {
            wanted
                .as_array()
                .expect("schemas")
                .iter()
                .map(|choice| self.judge(choice, value, at))
        };
        let demand = |holds: bool, what: &str| match holds {
            true => Vec::new(),
            false => vec![format!("{at}: {value} is not {what} {wanted}")],
        };
        match keyword {
            "$schema" | "title" | "description" | "examples" | "default" | "definitions" => {
                Vec::new()
            }
            "$ref" => {
                let pointer = wanted.as_str().and_then(|path| path.strip_prefix('#'));
                let target = pointer.and_then(|path| self.root.pointer(path));
                self.judge(target.expect("a reference leads somewhere"), value, at)
            }
            "allOf" => all().flatten().collect(),
            "anyOf" => demand(all().any(|found| found.is_empty()), "any of"),
            "oneOf" => demand(all().filter(Vec::is_empty).count() == 1, "exactly one of"),
            "const" => demand(value == wanted, "the"),
            "enum" => demand(
                wanted.as_array().is_some_and(|known| known.contains(value)),
                "one of",
            ),
            "type" => demand(is_a(value, wanted.as_str().expect("one type")), "of type"),
            "pattern" => demand(
                value.as_str().is_none_or(|text| matches(wanted, text)),
                "of the form",
            ),
            "format" => demand(is_formatted(value, wanted), "of the format"),
            "minimum" => demand(
                value
                    .as_f64()
                    .is_none_or(|n| n >= wanted.as_f64().expect("a number")),
                "at least",
            ),
            "maximum" => demand(
                value
                    .as_f64()
                    .is_none_or(|n| n <= wanted.as_f64().expect("a number")),
                "at most",
            ),
            "minItems" => demand(
                value
                    .as_array()
                    .is_none_or(|items| items.len() as u64 >= wanted.as_u64().expect("a count")),
                "of at least so many items:",
            ),
            "maxItems" => demand(
                value
                    .as_array()
                    .is_none_or(|items| items.len() as u64 <= wanted.as_u64().expect("a count")),
                "of at most so many items:",
            ),
            "items" => self.each(
                value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|item| (wanted, item)),
                at,
            ),
            "required" => self.required(wanted, value, at),
            "propertyNames" | "properties" | "additionalProperties" => {
                self.fields(keyword, wanted, schema, value, at)
            }
            other => panic!("{at}: the judge does not know the keyword {other:?}; teach it"),
        }
    }

    fn each<'v>(
        &self,
        parts: impl Iterator<Item = (&'v Value, &'v Value)>,
        at: &str,
    ) -> Vec<String> {
        let judged = parts
            .enumerate()
            .flat_map(|(index, (schema, part))| self.judge(schema, part, &format!("{at}/{index}")));
        judged.collect()
    }

    fn required(&self, wanted: &Value, value: &Value, at: &str) -> Vec<String> {
        let names = wanted
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let missing = names.filter(|name| {
            value
                .as_object()
                .is_some_and(|fields| !fields.contains_key(*name))
        });
        missing
            .map(|name| format!("{at}: {name} is missing"))
            .collect()
    }

    fn fields(
        &self,
        keyword: &str,
        wanted: &Value,
        schema: &Value,
        value: &Value,
        at: &str,
    ) -> Vec<String> {
        let Some(fields) = value.as_object() else {
            return Vec::new();
        };
        let judged = fields.iter().flat_map(|(name, field)| {
            let (at, own) = (format!("{at}/{name}"), schema["properties"].get(name));
            match (keyword, own) {
                ("propertyNames", _) => self.judge(wanted, &Value::from(name.as_str()), &at),
                ("properties", Some(own)) => self.judge(own, field, &at),
                ("additionalProperties", None) => self.judge(wanted, field, &at),
                _ => Vec::new(),
            }
        });
        judged.collect()
    }
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("no type {other:?}"),
    }
}

/// A pattern is searched for: it is anchored itself, or it is not.
pub fn matches(pattern: &Value, text: &str) -> bool {
    let pattern = pattern.as_str().expect("a pattern is text");
    Regex::new(pattern).expect("a pattern").is_match(text)
}

/// Numbers' formats say their size, and are bounded by `minimum` and `maximum` too.
fn is_formatted(value: &Value, format: &Value) -> bool {
    match format.as_str() {
        Some("ipv4") => value
            .as_str()
            .is_none_or(|text| text.parse::<Ipv4Addr>().is_ok()),
        Some("uint8" | "uint16" | "uint32" | "uint64" | "double") => true,
        other => panic!("no format {other:?}"),
    }
}
