//! Running `mvpnlab` as its users do, for tests that need a lab.
#![allow(dead_code)] // each test binary uses its own part of it

use std::path::{Path, PathBuf};
use std::process::Command;

/// Labs side by side: each takes a core and its memory.
pub const SIDE_BY_SIDE: usize = 2;

/// The folder of scenarios.
pub fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

/// Cargo's target folder: where the tested executable lies, one up.
pub fn target() -> PathBuf {
    let profile = Path::new(env!("CARGO_BIN_EXE_mvpnlab")).parent();
    profile
        .and_then(Path::parent)
        .map_or_else(|| "target".into(), Path::to_owned)
}

/// All scenario files, in order.
pub fn discover(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files.extend(discover(&path));
        } else if path.extension().is_some_and(|e| e == "toml") && !is_catalogue(&path) {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn is_catalogue(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name == "requirements.toml" || name == "faults.toml")
}

/// Runs `mvpnlab`; the error is all it said.
pub fn run(args: &[&str]) -> Result<(), String> {
    let output = Command::new(env!("CARGO_BIN_EXE_mvpnlab"))
        .args(args)
        .args(["--jobs", "1", "--color", "never"])
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(format!(
        "{}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    ))
}
