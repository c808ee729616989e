//! The description of the interface (OpenAPI 3.1), made from the table of routes.

use schemars::generate::{Contract, SchemaSettings};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::problem::Problem;
use crate::route::{Answered, Door, Route};

/// What the varying parts of paths are.
const PARTS: [(&str, &str); 4] = [
    ("mvpn", "Name of an MVPN"),
    ("group", "Address of a customer's group"),
    ("pe", "Address of a PE in the backbone"),
    ("task", "Name of a task, or of an MVPN for its task"),
];

/// The description as JSON.
pub fn describe(routes: &[Route]) -> Value {
    let mut answers = SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.contract = Contract::Serialize;
            settings.meta_schema = None;
        })
        .into_generator();
    let mut questions = SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .into_generator();
    let problem = answers.subschema_for::<Problem>();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let described = operation(route, &problem, &mut questions, &mut answers);
        let path = paths
            .entry(route.path)
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(path) = path {
            path.insert(route.method.word().to_owned(), described);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "vmscope",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Multicast VPNs as vmscope hears and measures them, now and at any moment in the past."
        },
        "paths": paths,
        "components": {
            "schemas": answers.take_definitions(true),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "cookie", "name": "vmscope" }
            }
        }
    })
}

fn operation(
    route: &Route,
    problem: &Schema,
    questions: &mut SchemaGenerator,
    answers: &mut SchemaGenerator,
) -> Value {
    let mut parameters = path_parameters(route.path);
    if let Some(query) = (route.query)(questions) {
        parameters.extend(query_parameters(&query));
    }
    let mut described = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses(route, problem, answers),
        "security": match route.door {
            Door::Open => json!([]),
            Door::Known | Door::Provider => json!([{ "token": [] }, { "session": [] }]),
        }
    });
    if let Some(body) = (route.body)(questions) {
        described["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": body } }
        });
    }
    described
}

fn operation_id(route: &Route) -> String {
    let words = route.path.split(['/', '{', '}', '.']);
    let kept: Vec<&str> = words
        .filter(|word| !word.is_empty() && !["api", "v1"].contains(word))
        .collect();
    format!("{}-{}", route.method.word(), kept.join("-"))
}

fn responses(route: &Route, problem: &Schema, answers: &mut SchemaGenerator) -> Value {
    let mut responses = match route.answer {
        Answered::Json(schema) => json!({ "200": {
            "description": "The answer",
            "content": { "application/json": { "schema": schema(answers) } }
        }}),
        Answered::Text(media_type) => json!({ "200": {
            "description": "The answer",
            "content": { media_type: { "schema": { "type": "string" } } }
        }}),
        Answered::Nothing => json!({ "204": { "description": "Done" } }),
    };
    responses["default"] = json!({
        "description": "Why it is not answered, and what to do (RFC 9457)",
        "content": { "application/problem+json": { "schema": problem } }
    });
    responses
}

fn path_parameters(path: &str) -> Vec<Value> {
    let parts = path.split('/').filter_map(|part| part.strip_prefix('{'));
    parts
        .filter_map(|part| part.strip_suffix('}'))
        .map(|name| {
            let known = PARTS.iter().find(|(of, _)| *of == name);
            json!({
                "name": name,
                "in": "path",
                "required": true,
                "description": known.map_or("", |(_, words)| words),
                "schema": { "type": "string" }
            })
        })
        .collect()
}

/// The properties of a query's object are its parameters.
fn query_parameters(query: &Schema) -> Vec<Value> {
    let Some(Value::Object(properties)) = query.get("properties") else {
        return Vec::new();
    };
    let required: Vec<&str> = match query.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(_) | None => Vec::new(),
    };
    let parameters = properties.iter().map(|(name, schema)| {
        json!({
            "name": name,
            "in": "query",
            "required": required.contains(&name.as_str()),
            "description": schema.get("description").cloned().unwrap_or_default(),
            "schema": schema
        })
    });
    parameters.collect()
}
