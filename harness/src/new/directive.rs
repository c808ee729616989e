//! The line by which editors find the schema of a scenario.
//!
//! It names a file relative to the scenario, so it is written only where that is known: into a file, at or below a
//! folder that holds our schema. What is searched ends with the scenario's repository: a schema above it is somebody
//! else's, and would not go along when the repository is cloned. A path that leads nowhere would be an error in the
//! editor, and there is no address on the web that would always fit this version.

use std::fs;
use std::path::{Path, PathBuf, absolute};

use serde_json::Value;

use mvpnlab_emulator::scenario::Scenario;

/// Where a schema is looked for: in each folder from the scenario's up to the repository's.
const PLACES: [&str; 2] = ["schema.json", "scenarios/schema.json"];
/// What the topmost folder of a repository holds (a file in a linked work tree).
const REPOSITORY: &str = ".git";

/// `#:schema ../schema.json` and an end of line for a scenario that goes into this file; None: no schema is near.
pub fn line(scenario: &Path) -> Option<String> {
    for (up, folder) in searched(scenario)?.iter().enumerate() {
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

/// The scenario's folder, and those above it that belong to the same repository; outside of any, its own alone.
fn searched(scenario: &Path) -> Option<Vec<PathBuf>> {
    let folder = absolute(scenario).ok()?.parent()?.canonicalize().ok()?;
    let above: Vec<PathBuf> = folder.ancestors().map(Path::to_owned).collect();
    let top = above
        .iter()
        .position(|folder| folder.join(REPOSITORY).exists());
    Some(above.into_iter().take(top.unwrap_or(0) + 1).collect())
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

    fn write_schema(file: &Path) {
        fs::write(file, Scenario::schema().to_string()).unwrap();
    }

    #[test]
    fn the_nearest_schema_of_ours_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let scenarios = folder.path().join("scenarios");
        fs::create_dir_all(scenarios.join("mine")).unwrap();
        fs::create_dir(folder.path().join(REPOSITORY)).unwrap();
        let deep = scenarios.join("mine/new.toml");
        assert_eq!(line(&deep), None);
        let others = r#"{"title": "of something else"}"#;
        fs::write(folder.path().join("schema.json"), others).unwrap();
        assert_eq!(line(&deep), None);
        write_schema(&scenarios.join("schema.json"));
        assert_eq!(line(&deep).as_deref(), Some("#:schema ../schema.json\n"));
        let beside = scenarios.join("new.toml");
        assert_eq!(line(&beside).as_deref(), Some("#:schema ./schema.json\n"));
        let above = folder.path().join("new.toml");
        let below = "#:schema ./scenarios/schema.json\n";
        assert_eq!(line(&above).as_deref(), Some(below));
        let around = scenarios.join("mine/../../new.toml");
        assert_eq!(line(&around).as_deref(), Some(below));
    }

    #[test]
    fn nothing_above_the_repository_is_looked_at_nor_above_the_folder_where_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let repository = folder.path().join("repository");
        let scenario = repository.join("new.toml");
        // The search ends here, whatever lies above.
        fs::create_dir(folder.path().join(REPOSITORY)).unwrap();
        fs::create_dir(&repository).unwrap();
        write_schema(&folder.path().join("schema.json"));
        assert_eq!(
            line(&scenario).as_deref(),
            Some("#:schema ../schema.json\n")
        );
        fs::create_dir(repository.join(REPOSITORY)).unwrap();
        assert_eq!(line(&scenario), None);
        let searched = searched(&folder.path().join("new.toml")).unwrap();
        assert_eq!(searched, [folder.path().canonicalize().unwrap()]);
    }
}
