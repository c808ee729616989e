//! What is to be run: scenario files found, read and checked before anything starts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mvpnlab_emulator::plan::Plan;
use mvpnlab_emulator::scenario::Scenario;

use crate::cli::Shard;

/// Files among the scenarios that are none.
const NOT_SCENARIOS: [&str; 2] = ["requirements.toml", "faults.toml"];

/// A scenario that can be run.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its file's name without `.toml`.
    pub name: String,
    /// Where its results go, below `--out`.
    pub folder: PathBuf,
    /// Its text.
    pub text: String,
    /// Read.
    pub scenario: Scenario,
    /// Planned.
    pub plan: Plan,
}

impl Case {
    /// Reads and plans one scenario; `file` only serves messages and the name. The error lists all that is wrong.
    pub fn of(text: String, file: &Path, folder: PathBuf) -> Result<Self, String> {
        let shown = file.display().to_string();
        let scenario = Scenario::parse(&shown, &text).map_err(|error| error.to_string())?;
        let plan = Plan::of(&scenario);
        let name = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            name,
            folder,
            text,
            scenario,
            plan,
        })
    }
}

/// Finds, reads and plans all scenarios below these paths, in a fixed order. The error lists everything wrong with any of them.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Case>, String> {
    let mut errors = Vec::new();
    let mut files = BTreeMap::new();
    for path in paths {
        match find(path) {
            Ok(found) => files.extend(found),
            Err(error) => errors.push(error),
        }
    }
    let mut cases: Vec<Case> = Vec::new();
    for (file, folder) in files {
        match read(&file).and_then(|text| Case::of(text, &file, folder)) {
            Ok(case) => match cases.iter().find(|other| other.folder == case.folder) {
                Some(_) => errors.push(format!(
                    "{}: another scenario would also write to {}; run them one at a time",
                    file.display(),
                    case.folder.display()
                )),
                None => cases.push(case),
            },
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(cases)
    } else {
        Err(errors.join("\n"))
    }
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file)
        .map_err(|error| format!("cannot read the scenario {}: {error}", file.display()))
}

/// The scenario files at or below a path, each with the folder of its results.
fn find(path: &Path) -> Result<Vec<(PathBuf, PathBuf)>, String> {
    let cannot = |error: std::io::Error| {
        format!(
            "cannot open {}: {error}; name a scenario file or a folder of them",
            path.display()
        )
    };
    if !fs::metadata(path).map_err(cannot)?.is_dir() {
        let folder = path.file_stem().unwrap_or_default().into();
        return Ok(vec![(path.to_owned(), folder)]);
    }
    let mut found = Vec::new();
    walk(path, Path::new(""), &mut found).map_err(cannot)?;
    match found.is_empty() {
        true => Err(format!(
            "there is no scenario (*.toml) in {}",
            path.display()
        )),
        false => Ok(found),
    }
}

fn walk(folder: &Path, below: &Path, found: &mut Vec<(PathBuf, PathBuf)>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type()?.is_dir() {
            walk(&path, &below.join(&name), found)?;
        } else if path.extension().is_some_and(|e| e == "toml")
            && !NOT_SCENARIOS.iter().any(|n| name == *n)
        {
            found.push((
                path.clone(),
                below.join(path.file_stem().unwrap_or_default()),
            ));
        }
    }
    Ok(())
}

/// One run to make: a case and a seed.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The scenario.
    pub case: &'a Case,
    /// The seed.
    pub seed: u64,
    /// Where results go, below `--out`.
    pub folder: PathBuf,
}

/// All runs of a suite, or those of one shard, in the order of reports. Shards take turns, so that
/// the seeds of one scenario, which share a warm lab, are spread evenly over time rather than cost.
pub fn jobs<'a>(cases: &'a [Case], seeds: &[u64], shard: Option<Shard>) -> Vec<Job<'a>> {
    let folder = |case: &Case, seed: u64| match seeds.len() {
        1 => case.folder.clone(),
        _ => case.folder.join(format!("seed-{seed}")),
    };
    let all = cases.iter().flat_map(|case| {
        seeds.iter().map(move |&seed| Job {
            case,
            seed,
            folder: folder(case, seed),
        })
    });
    match shard {
        None => all.collect(),
        Some(Shard { index, of }) => all.skip(index - 1).step_by(of).collect(),
    }
}
