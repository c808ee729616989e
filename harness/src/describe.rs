//! `mvpnlab check`, `plan` and `schema`: what scenarios say and how they are written, without running them.

use std::path::{Path, PathBuf};

use mvpnlab_emulator::scenario::Scenario;

use crate::run::suite::{self, Case};
use crate::run::{infrastructure, output, usage};
use crate::verdict::Exit;

/// Reads and plans all scenarios; lists them, or everything that is wrong with any of them.
pub fn check(paths: &[PathBuf]) -> Exit {
    let cases = match suite::load(paths) {
        Ok(cases) => cases,
        Err(errors) => return usage(&errors),
    };
    let line = |case: &Case| {
        format!(
            "{:<28} {:>5.0} s  {:>2} expectations  {}",
            case.name,
            case.scenario.duration.ns as f64 / 1e9,
            case.scenario.expectations.len(),
            case.scenario.title
        )
    };
    let lines: Vec<String> = cases.iter().map(line).collect();
    say(&format!(
        "{}\n{} scenarios are sound",
        lines.join("\n"),
        cases.len()
    ))
}

/// Describes what would be built.
pub fn plan(file: &Path, json: bool) -> Exit {
    let cases = match suite::load(&[file.to_owned()]) {
        Ok(cases) => cases,
        Err(errors) => return usage(&errors),
    };
    let texts: Result<Vec<String>, serde_json::Error> = cases
        .iter()
        .map(|case| {
            if json {
                serde_json::to_string_pretty(&case.plan)
            } else {
                Ok(format!(
                    "{}: {}\n\n{}",
                    case.name,
                    case.scenario.title,
                    case.plan.describe().trim_end()
                ))
            }
        })
        .collect();
    match texts {
        Ok(texts) => say(&texts.join("\n")),
        Err(error) => infrastructure(&error),
    }
}

/// The scenario file's JSON Schema, as it is kept in `scenarios/schema.json`.
pub fn schema() -> Exit {
    match serde_json::to_string_pretty(&Scenario::schema()) {
        Ok(text) => say(&text),
        Err(error) => infrastructure(&error),
    }
}

fn say(text: &str) -> Exit {
    match output::print(text) {
        Ok(()) => Exit::Pass,
        Err(error) => infrastructure(&error),
    }
}
