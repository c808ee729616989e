//! The OpenAPI description against what is really answered.

mod support;

use serde_json::{Value, json};
use support::demo::{DEAF_S, LENGTH_S};
use support::*;

/// What is wrong with a value by a schema, as far as schemas of this description go; an unknown keyword is a mistake too.
fn mistakes(document: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let Value::Object(schema) = schema else {
        return;
    };
    let mut wrong = |words: String| found.push(format!("{place}: {words}"));
    for keyword in schema.keys() {
        let known = [
            "$ref",
            "type",
            "properties",
            "required",
            "items",
            "anyOf",
            "oneOf",
            "allOf",
            "const",
            "enum",
            "description",
            "format",
            "minimum",
            "maximum",
            "examples",
            "additionalProperties",
            "minItems",
            "maxItems",
        ];
        if !known.contains(&keyword.as_str()) {
            wrong(format!("what {keyword} means is not known here"));
        }
    }
    if let Some(kind) = schema.get("type") {
        let kinds: Vec<&str> = match kind {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            kind => kind.as_str().into_iter().collect(),
        };
        let is = |kind: &str| match kind {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => false,
        };
        if !kinds.iter().any(|kind| is(kind)) {
            wrong(format!("{value} is none of {kinds:?}"));
        }
    }
    if schema.get("const").is_some_and(|wanted| wanted != value) {
        wrong(format!("{value} is not {}", schema["const"]));
    }
    if let Some(Value::Array(all)) = schema.get("enum")
        && !all.contains(value)
    {
        wrong(format!("{value} is none of {all:?}"));
    }
    if let (Some(Value::Array(names)), Value::Object(fields)) = (schema.get("required"), value) {
        for name in names.iter().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                wrong(format!("{name} is missing"));
            }
        }
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = document.pointer(reference.trim_start_matches('#'));
        match target {
            Some(target) => mistakes(document, target, value, place, found),
            None => found.push(format!("{place}: {reference} leads nowhere")),
        }
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(Value::Array(choices)) = schema.get(keyword) {
            let fits = |choice: &&Value| {
                let mut found = vec![];
                mistakes(document, choice, value, place, &mut found);
                found.is_empty()
            };
            if !choices.iter().any(|choice| fits(&choice)) {
                found.push(format!("{place}: {value} fits none of {keyword}"));
            }
        }
    }
    for part in schema
        .get("allOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        mistakes(document, part, value, place, found);
    }
    if let (Some(items), Value::Array(values)) = (schema.get("items"), value) {
        for (n, value) in values.iter().enumerate() {
            mistakes(document, items, value, &format!("{place}[{n}]"), found);
        }
    }
    if let Value::Object(fields) = value {
        for (name, value) in fields {
            let place = format!("{place}.{name}");
            if let Some(property) = schema.get("properties").and_then(|all| all.get(name)) {
                mistakes(document, property, value, &place, found);
            } else if let Some(more) = schema.get("additionalProperties") {
                mistakes(document, more, value, &place, found);
            }
        }
    }
}

/// What of a value no schema describes: a field that programs would have to guess at.
fn undescribed(
    document: &Value,
    schema: &Value,
    value: &Value,
    place: &str,
    found: &mut Vec<String>,
) {
    let schemas = parts(document, schema);
    if let Value::Object(fields) = value {
        for (name, value) in fields {
            let place = format!("{place}.{name}");
            let of = schemas.iter().find_map(|schema| {
                let own = schema.get("properties").and_then(|all| all.get(name));
                own.or(schema.get("additionalProperties"))
            });
            match of {
                Some(of) => undescribed(document, of, value, &place, found),
                None => found.push(place),
            }
        }
    }
    if let Value::Array(values) = value {
        let items = schemas.iter().find_map(|schema| schema.get("items"));
        for value in values {
            undescribed(document, items.unwrap_or(&Value::Null), value, place, found);
        }
    }
}

/// A schema with all that it refers to or chooses among.
fn parts<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let mut all = vec![schema];
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str)
        && let Some(target) = document.pointer(reference.trim_start_matches('#'))
    {
        all.extend(parts(document, target));
    }
    for keyword in ["anyOf", "oneOf", "allOf"] {
        for choice in schema
            .get(keyword)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            all.extend(parts(document, choice));
        }
    }
    all
}

/// A question for each path of the description.
fn example(path: &str) -> String {
    let filled = path
        .replace("{mvpn}", "red")
        .replace("{task}", "red")
        .replace("{group}", "239.1.1.1")
        .replace("{pe}", "10.2.0.12");
    let (from, until) = (moment(DEAF_S.end), moment(LENGTH_S));
    match path.rsplit('/').next().unwrap() {
        "changes" | "pairs" | "density" => format!("{filled}?from={from}&until={until}"),
        "difference" => format!("{filled}?from={}&to={until}", moment(DEAF_S.end + 600)),
        "storms" | "alarms" => format!("{filled}?from={from}"),
        _ => filled,
    }
}

#[test]
fn everything_that_is_described_is_answered_as_described() {
    let (_folder, location) = demonstration();
    let bench = bench(&location, false);
    let document = bench.get("/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    let mut looked_at = 0;
    for (path, methods) in paths {
        let Some(described) = methods.get("get") else {
            continue;
        };
        let content = &described["responses"]["200"]["content"];
        let Some(schema) = content.get("application/json").map(|of| &of["schema"]) else {
            continue;
        };
        let question = example(path);
        let reply = bench.get(&question);
        assert_eq!(reply.status, 200, "{question}: {}", reply.body);
        let answer = reply.json();
        if path == "/openapi.json" {
            continue;
        }
        let mut found = vec![];
        mistakes(&document, schema, &answer, path, &mut found);
        undescribed(&document, schema, &answer, path, &mut found);
        assert_eq!(found, [] as [String; 0], "{question}");
        // A parameter that is not described is not taken, and one that is needed is.
        let joint = if question.contains('?') { '&' } else { '?' };
        if path != "/api/v1/session" {
            assert_eq!(
                bench.get(&format!("{question}{joint}undescribed=1")).status,
                400,
                "{path}"
            );
        }
        let parameters = described["parameters"].as_array().unwrap().iter();
        let needs_some = parameters
            .filter(|p| p["in"] == "query" && p["required"] == true)
            .count()
            > 0;
        if needs_some {
            let bare = question.split('?').next().unwrap();
            let refused = bench.get(bare);
            assert_eq!(refused.status, 400, "{bare}");
            let mut found = vec![];
            mistakes(
                &document,
                &described["responses"]["default"]["content"]["application/problem+json"]["schema"],
                &refused.json(),
                bare,
                &mut found,
            );
            assert_eq!(found, [] as [String; 0]);
        }
        looked_at += 1;
    }
    assert_eq!(looked_at, 15, "questions that are answered in JSON");
}

#[test]
fn the_check_finds_what_does_not_fit() {
    let schema = json!({"type": "object", "properties": {"a": {"type": ["integer", "null"]}, "b": {"$ref": "#/x"}}, "required": ["a"]});
    let document = json!({"x": {"type": "array", "items": {"type": "string"}}});
    let count = |value: Value| {
        let mut found = vec![];
        mistakes(&document, &schema, &value, "", &mut found);
        undescribed(&document, &schema, &value, "", &mut found);
        found.len()
    };
    assert_eq!(count(json!({"a": 1, "b": ["x"]})), 0);
    assert_eq!(count(json!({"a": null})), 0);
    assert_eq!(count(json!({"a": "1"})), 1);
    assert_eq!(count(json!({"a": 1, "c": 1})), 1);
    assert_eq!(count(json!({"b": ["x", 1]})), 2);
}

/// Whoever changes the interface sees it here.
#[test]
fn what_can_be_asked() {
    let (_folder, location) = demonstration();
    let bench = bench(&location, false);
    let document = bench.get("/openapi.json").json();
    let mut lines = vec![];
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, of) in methods.as_object().unwrap() {
            let parameters = of["parameters"].as_array().unwrap().iter();
            let query = parameters.filter(|p| p["in"] == "query");
            let names: Vec<&str> = query.map(|p| p["name"].as_str().unwrap()).collect();
            lines.push(format!(
                "{method} {path} [{}]: {}",
                names.join(" "),
                of["summary"].as_str().unwrap()
            ));
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}
