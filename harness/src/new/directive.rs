//! The line by which editors find the schema of a scenario.
//!
//! It names a file relative to the scenario, so it is written only where that is known: into a file, at or below a
//! folder that holds our schema. A path that leads nowhere would be an error in the editor, and there is no address
//! on the web that would always fit this version.

use std::fs;
use std::path::{Path, absolute};

use serde_json::Value;

use mvpnlab_emulator::scenario::Scenario;

/// Where a schema is looked for: in each folder from the scenario's upwards.
const PLACES: [&str; 2] = ["schema.json", "scenarios/schema.json"];

/// `#:schema ../schema.json` and an end of line for a scenario that goes into this file; None: no schema is near.
pub fn line(scenario: &Path) -> Option<String> {
    let scenario = absolute(scenario).ok()?;
    for (up, folder) in scenario.parent()?.ancestors().enumerate() {
        let near = PLACES.iter().find(|place| is_schema(&folder.join(place)));
        if let Some(place) = near {
            let way = if up == 0 {
                "./".to_owned()
            } else {
                "../".repeat(up)
            };
            return Some(format!("#:schema {way}{place}\n"));
        }
    }
    None
}

/// Ours, of any version: others call their schemas the same.
fn is_schema(file: &Path) -> bool {
    let text = fs::read(file).unwrap_or_default();
    let found: Value = serde_json::from_slice(&text).unwrap_or_default();
    !found["title"].is_null() && found["title"] == Scenario::schema()["title"]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_schema_of_ours_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let scenarios = folder.path().join("scenarios");
        fs::create_dir_all(scenarios.join("mine")).unwrap();
        let deep = scenarios.join("mine/new.toml");
        assert_eq!(line(&deep), None);
        fs::write(
            folder.path().join("schema.json"),
            r#"{"title": "of something else"}"#,
        )
        .unwrap();
        assert_eq!(line(&deep), None);
        fs::write(
            scenarios.join("schema.json"),
            Scenario::schema().to_string(),
        )
        .unwrap();
        assert_eq!(line(&deep).as_deref(), Some("#:schema ../schema.json\n"));
        let beside = scenarios.join("new.toml");
        assert_eq!(line(&beside).as_deref(), Some("#:schema ./schema.json\n"));
        let above = folder.path().join("new.toml");
        assert_eq!(
            line(&above).as_deref(),
            Some("#:schema ./scenarios/schema.json\n")
        );
    }
}
