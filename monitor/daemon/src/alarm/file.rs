//! Notices in a file, a JSON object a line.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::parcel::Parcel;
use super::{Failure, Sink};

pub struct File {
    path: PathBuf,
}

impl File {
    pub fn new(path: PathBuf) -> File {
        File { path }
    }
}

impl Sink for File {
    /// Opened for every notice, of which there are few: so the file can be moved away at any time.
    fn deliver(&mut self, parcel: &Parcel) -> Result<(), Failure> {
        let mut line = serde_json::to_vec(parcel)
            .map_err(|error| Failure::lasting(format!("it cannot be written as JSON: {error}")))?;
        line.push(b'\n');
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .open(&self.path);
        let written = file.and_then(|mut file| file.write_all(&line));
        written.map_err(|error| {
            Failure::passing(format!(
                "cannot append to it: {error}; make room, or let the daemon write there"
            ))
        })
    }
}
