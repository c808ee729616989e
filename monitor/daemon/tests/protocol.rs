//! `PROTOCOL.md` says what the code does.

#[path = "support/scripted.rs"]
mod scripted;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use scripted::{SCRIPT, conversation};
use serde_json::Value;
use vmscope_core::control::Outcome;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/PROTOCOL.md");
const EXAMPLES_BEGIN: &str = "writes it anew.\n";

/// Longest JSON kept on one line.
const LINE_CHARS_MAX: usize = 110;

/// JSON over as many lines as it needs, and no more.
fn pretty(value: &impl serde::Serialize) -> String {
    let mut out = String::new();
    lay_out(&sorted(serde_json::to_value(value).unwrap()), 0, &mut out);
    out
}

/// The same with fields in the order of their names, whatever features serde_json was built with.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> = fields.into_iter().collect();
            Value::Object(
                fields
                    .into_iter()
                    .map(|(name, v)| (name, sorted(v)))
                    .collect(),
            )
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        scalar => scalar,
    }
}

fn lay_out(value: &Value, indent: usize, out: &mut String) {
    let line = value.to_string();
    let inside = "  ".repeat(indent + 1);
    let parts: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, v)| (format!("\"{name}\": "), v))
            .collect(),
        Value::Array(items) => items.iter().map(|v| (String::new(), v)).collect(),
        _ => Vec::new(),
    };
    if parts.is_empty() || line.len() + inside.len() <= LINE_CHARS_MAX {
        out.push_str(&line);
        return;
    }
    let (open, close) = if value.is_object() {
        ('{', '}')
    } else {
        ('[', ']')
    };
    out.push(open);
    for (index, (name, part)) in parts.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(out, "{comma}\n{inside}{name}").unwrap();
        lay_out(part, indent + 1, out);
    }
    write!(out, "\n{}{close}", "  ".repeat(indent)).unwrap();
}

fn examples() -> String {
    let (exchanges, events) = conversation();
    let mut out = String::new();
    let mut asked_before = BTreeSet::new();
    for exchange in exchanges {
        let request = serde_json::to_value(&exchange.request).unwrap();
        let operation = request["request"]["op"].as_str().unwrap().to_owned();
        let refused = matches!(exchange.reply.outcome, Outcome::Error(_));
        if !asked_before.insert(operation.clone()) && !refused {
            continue;
        }
        let asked = serde_json::to_string(&exchange.request).unwrap();
        write!(
            out,
            "\n### {operation}\n\n```json\n{asked}\n```\n```json\n{}\n```\n",
            pretty(&exchange.reply)
        )
        .unwrap();
    }
    let mut shown = BTreeSet::new();
    for event in events {
        if shown.insert(event.kind()) {
            let kind = serde_json::to_value(event.kind()).unwrap();
            write!(
                out,
                "\n### Event: {}\n\n```json\n{}\n```\n",
                kind.as_str().unwrap(),
                pretty(&event)
            )
            .unwrap();
        }
    }
    out
}

#[test]
fn the_examples_are_what_the_code_says() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let (text, found) = document.split_once(EXAMPLES_BEGIN).unwrap();
    let expected = examples();
    if std::env::var_os("VMSCOPE_UPDATE_PROTOCOL").is_some() {
        std::fs::write(DOCUMENT, format!("{text}{EXAMPLES_BEGIN}{expected}")).unwrap();
        return;
    }
    assert!(
        found == expected,
        "the examples in PROTOCOL.md are out of date: see there how to write them anew"
    );
}

#[test]
fn the_conversation_has_every_operation() {
    let spoken: BTreeSet<String> = SCRIPT
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|request| request["op"].as_str().unwrap().to_owned())
        .collect();
    // What serde lists when it refuses an operation is what there is.
    let refusal = serde_json::from_str::<vmscope_core::control::Operation>(r#"{"op":"?"}"#)
        .unwrap_err()
        .to_string();
    let known = refusal.split('`').skip(3).step_by(2).map(str::to_owned);
    let unspoken: Vec<String> = known
        .filter(|op| !spoken.contains(op) && op != "subscribe")
        .collect();
    assert_eq!(unspoken, Vec::<String>::new());
    assert!(spoken.len() > 30);
}

#[test]
fn refusals_say_what_to_do() {
    let (exchanges, _) = conversation();
    let refused: Vec<_> = exchanges
        .iter()
        .filter_map(|exchange| {
            serde_json::to_value(&exchange.reply)
                .unwrap()
                .get("error")
                .cloned()
        })
        .collect();
    assert_eq!(
        refused.len(),
        1,
        "only what is meant to be refused is: {refused:?}"
    );
    assert!(
        refused[0]["remedy"]
            .as_str()
            .is_some_and(|remedy| !remedy.is_empty())
    );
}
