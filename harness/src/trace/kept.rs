//! A run that was kept on disk, as the lab handed it back.

use std::fs;
use std::path::{Path, PathBuf};

use mvpnlab_emulator::truth::{Files, file};

use crate::run::output::OBSERVATION;

/// Reads what a trace needs of a kept run. The error is for the user.
pub fn read(run: &Path) -> Result<Files, String> {
    let folder = find(run)?;
    let mut files = Files::new();
    for name in list(&folder.join(OBSERVATION))? {
        let path = folder.join(OBSERVATION).join(&name);
        files.insert(
            name,
            fs::read(&path).map_err(|error| cannot(&path, &error))?,
        );
    }
    // The monitor's own names of its tasks; without them the scenario's are guessed.
    for name in [file::MONITOR_DATABASE, "monitor/vmscope.db-wal"] {
        if let Ok(bytes) = fs::read(folder.join(name)) {
            files.insert(name.to_owned(), bytes);
        }
    }
    Ok(files)
}

/// The run itself, or the only one below: `--out DIR` makes a folder for each.
fn find(run: &Path) -> Result<PathBuf, String> {
    if is_kept(run) {
        return Ok(run.to_owned());
    }
    let below: Vec<PathBuf> = fs::read_dir(run)
        .map_err(|error| cannot(run, &error))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| is_kept(path))
        .collect();
    match below.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(format!(
            "cannot trace {}: no observation was kept there; run the scenario with `mvpnlab run FILE --keep --out DIR`, and name its folder below DIR",
            run.display()
        )),
        many => {
            let mut names: Vec<String> =
                many.iter().map(|path| path.display().to_string()).collect();
            names.sort();
            Err(format!(
                "cannot trace {}: there are several runs below; name one of {}",
                run.display(),
                names.join(", ")
            ))
        }
    }
}

fn is_kept(folder: &Path) -> bool {
    folder.join(OBSERVATION).join(file::TAPS).is_file()
}

fn list(folder: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(folder).map_err(|error| cannot(folder, &error))?;
    let names = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name());
    Ok(names
        .map(|name| name.to_string_lossy().into_owned())
        .collect())
}

fn cannot(path: &Path, error: &std::io::Error) -> String {
    format!(
        "cannot read {}: {error}; name a folder that `mvpnlab run --keep --out DIR` wrote",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::output;

    fn observation() -> Files {
        let text = include_str!("../../../scenarios/vmscope/pimd.toml");
        let scenario = mvpnlab_emulator::scenario::Scenario::parse("pimd.toml", text).unwrap();
        let plan = mvpnlab_emulator::plan::Plan::of(&scenario);
        let taps = mvpnlab_emulator::truth::record::RecordWriter::new(256).to_bytes();
        Files::from([
            (file::PLAN.to_owned(), serde_json::to_vec(&plan).unwrap()),
            (file::TAPS.to_owned(), taps),
            (file::SEED.to_owned(), b"1".to_vec()),
            (file::MONITOR_DATABASE.to_owned(), b"rows".to_vec()),
        ])
    }

    #[test]
    fn what_was_kept_is_read_by_its_folder_or_the_one_above() {
        let out = tempfile::tempdir().unwrap();
        output::write_kept(&out.path().join("one"), &observation()).unwrap();
        assert_eq!(read(&out.path().join("one")), Ok(observation()));
        assert_eq!(read(out.path()), Ok(observation()));
        output::write_kept(&out.path().join("two"), &observation()).unwrap();
        let error = read(out.path()).unwrap_err();
        assert!(
            error.contains("several runs") && error.contains("/one, ") && error.contains("/two"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_without_an_observation_is_refused_with_the_command_that_makes_one() {
        let out = tempfile::tempdir().unwrap();
        assert!(
            read(out.path())
                .unwrap_err()
                .contains("mvpnlab run FILE --keep")
        );
        assert!(
            read(&out.path().join("no-such-run"))
                .unwrap_err()
                .contains("no-such-run")
        );
    }
}
