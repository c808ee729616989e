//! From the schema of the types to that of the file.

use serde_json::{Map, Value, json};

const TITLE: &str = "A scenario of mvpnlab";

/// What the derives cannot know.
pub(super) fn shape(mut schema: Value) -> Value {
    without_null(&mut schema);
    schema["title"] = TITLE.into();
    let definitions = &mut schema["definitions"];
    let event = &definitions["Event"];
    let (time, about) = (
        event["properties"]["time"].clone(),
        "Something that happens during the run.",
    );
    definitions["Event"] = lifted(&definitions["Action"], about, "do", &[("time", time)]);
    definitions["Expectation"] = lifted(
        &definitions["Expectation"],
        "Something that must hold after the run.",
        "check",
        &[],
    );
    if let Some(definitions) = definitions.as_object_mut() {
        definitions.remove("Action");
    }
    schema
}

/// An enum as the file writes it: the variant's name under `tag`, its fields and those of all variants beside it.
fn lifted(variants: &Value, about: &str, tag: &str, common: &[(&str, Value)]) -> Value {
    let variants = variants["oneOf"].as_array().map_or(&[][..], Vec::as_slice);
    let lifted = variants.iter().filter_map(|variant| {
        let (name, fields) = variant["properties"].as_object()?.iter().next()?;
        Some(variant_of(
            name,
            fields,
            &variant["description"],
            tag,
            common,
        ))
    });
    json!({ "description": about, "oneOf": lifted.collect::<Vec<_>>() })
}

fn variant_of(
    name: &str,
    fields: &Value,
    about: &Value,
    tag: &str,
    common: &[(&str, Value)],
) -> Value {
    let mut properties = Map::new();
    properties.insert(tag.into(), json!({ "const": name, "description": about }));
    let mut required = vec![Value::from(tag)];
    for (name, schema) in common {
        properties.insert((*name).into(), schema.clone());
        required.push((*name).into());
    }
    properties.extend(
        fields["properties"]
            .as_object()
            .cloned()
            .unwrap_or_default(),
    );
    required.extend(fields["required"].as_array().cloned().unwrap_or_default());
    json!({
        "type": "object",
        "description": about,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// TOML has no null: what may be left out is left out.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            if let Some(kinds) = fields.get_mut("type") {
                *kinds = only_real(kinds.take());
            }
            let null = json!({ "type": "null" });
            if let Some(Value::Array(choices)) = fields.get_mut("anyOf") {
                choices.retain(|choice| *choice != null);
                if let [only] = choices.as_slice() {
                    let only = only.clone();
                    fields.remove("anyOf");
                    fields.insert("allOf".into(), json!([only]));
                }
            }
            fields.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn only_real(kinds: Value) -> Value {
    let Value::Array(mut kinds) = kinds else {
        return kinds;
    };
    kinds.retain(|kind| kind != "null");
    match kinds.as_slice() {
        [only] => only.clone(),
        _ => kinds.into(),
    }
}
