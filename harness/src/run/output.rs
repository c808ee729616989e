//! Files under `--out`, and what to say when they cannot be written.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use mvpnlab_emulator::place::Files;
use mvpnlab_emulator::truth::{file, pcapng};

use crate::report::{Report, html, json, junit};

/// Results could not be written. The run itself may have been fine.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// No room.
    #[error("no space left while writing {}; free some, or choose another folder with --out", .0.display())]
    Full(PathBuf),
    /// Anything else of the file system.
    #[error("cannot write {}: {source}; choose another folder with --out", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A report could not be rendered.
    #[error("cannot render {what}: {message}; please report this")]
    Render {
        /// Which form.
        what: &'static str,
        /// Why.
        message: String,
    },
}

impl OutputError {
    fn io(path: &Path, source: std::io::Error) -> Self {
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full(path.into()),
            _ => Self::Io {
                path: path.into(),
                source,
            },
        }
    }
}

/// Writes a file, its folders made first; no half file is left when it cannot be.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| OutputError::io(folder, error))?;
    }
    fs::write(path, bytes).map_err(|error| {
        let _ = fs::remove_file(path);
        OutputError::io(path, error)
    })
}

/// `report.json`, `report.html` and `junit.xml` of one run.
pub fn write_report(folder: &Path, report: &Report) -> Result<(), OutputError> {
    write(&folder.join("report.json"), &to_json(report)?)?;
    write(&folder.join("report.html"), html::render(report).as_bytes())?;
    write(
        &folder.join("junit.xml"),
        to_junit(std::slice::from_ref(report))?.as_bytes(),
    )
}

/// The bytes of `report.json`.
pub fn to_json(report: &Report) -> Result<Vec<u8>, OutputError> {
    json::render(report).map_err(|error| OutputError::Render {
        what: "report.json",
        message: error.to_string(),
    })
}

/// JUnit XML of these runs.
pub fn to_junit(reports: &[Report]) -> Result<String, OutputError> {
    junit::render(reports).map_err(|error| OutputError::Render {
        what: "JUnit XML",
        message: error.to_string(),
    })
}

/// Below a kept run: what the truth is read from, as the lab handed it back.
pub const OBSERVATION: &str = "observation";

/// What `--keep` keeps: everything the lab handed back, and the taps once more as pcapng per link.
pub fn write_kept(folder: &Path, observation: &Files) -> Result<(), OutputError> {
    for (name, bytes) in observation {
        write(&kept(folder, name), bytes)?;
    }
    let captures = captures(observation).map_err(|message| OutputError::Render {
        what: "the captures",
        message,
    })?;
    captures
        .iter()
        .try_for_each(|(name, bytes)| write(&folder.join("captures").join(name), bytes))
}

/// Where a file of the observation is kept: what has no folder of its own stands in one together.
fn kept(folder: &Path, name: &str) -> PathBuf {
    match name.contains('/') {
        true => folder.join(name),
        false => folder.join(OBSERVATION).join(name),
    }
}

/// The taps per link, for Wireshark and its kin.
fn captures(observation: &Files) -> Result<Files, String> {
    let missing = |name: &str| format!("the observation has no {name}");
    let taps = observation
        .get(file::TAPS)
        .ok_or_else(|| missing(file::TAPS))?;
    let plan = observation
        .get(file::PLAN)
        .ok_or_else(|| missing(file::PLAN))?;
    let plan = serde_json::from_slice(plan).map_err(|error| error.to_string())?;
    pcapng::export(taps, &plan).map_err(|error| error.to_string())
}

/// Fails early where nothing can be written.
pub fn probe(folder: &Path) -> Result<(), OutputError> {
    let file = folder.join(".mvpnlab-probe");
    write(&file, &[0; 4096])?;
    fs::remove_file(&file).map_err(|error| OutputError::io(&file, error))
}

/// Says something on standard error. Where nobody listens any more (`2>&1 | head`) there is nobody to tell.
pub fn say(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes to standard output; a reader that has gone away is no error.
pub fn print(text: &str) -> Result<(), OutputError> {
    use std::io::Write as _;
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(OutputError::io(Path::new("standard output"), error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
