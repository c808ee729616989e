//! A file that has another name while it is open.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What the name of a file ends with that is not whole yet.
const OPEN: &str = "open";

/// A file that grows.
pub(super) struct GrowingFile {
    file: File,
    /// Its name once it is whole.
    path: PathBuf,
    length: u64,
    named: bool,
}

impl GrowingFile {
    /// Makes a file that is not there yet.
    pub(super) fn create(directory: &Path, session: u32, number: u32) -> io::Result<GrowingFile> {
        let path = directory.join(format!("probes-{session:08x}-{number:06}.parquet"));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(open_name(&path))?;
        Ok(GrowingFile {
            file,
            path,
            length: 0,
            named: false,
        })
    }

    /// Appends all of it, or nothing: what was written of it when that fails is written over by the next.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Bytes appended.
    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// Has all of it on disk. Not to be tried again: what could not be written out is forgotten by the kernel, and the next
    /// attempt succeeds without it (fsync(2)).
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Gives it its name, once it is on disk. May be tried again.
    pub(super) fn name(&mut self) -> io::Result<()> {
        if !self.named {
            std::fs::rename(open_name(&self.path), &self.path)?;
            self.named = true;
        }
        let directory = self.path.parent().unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    }

    /// Makes room, if it can never be made whole. Where that fails, its name still says that it is open.
    pub(super) fn discard(self) {
        if !self.named {
            let _ = std::fs::remove_file(open_name(&self.path));
        }
    }
}

fn open_name(path: &Path) -> PathBuf {
    path.with_added_extension(OPEN)
}

/// Whether a file can be made and written there.
pub(super) fn try_directory(directory: &Path, session: u32) -> io::Result<()> {
    let path = directory.join(format!("probes-{session:08x}.tried"));
    let tried = std::fs::write(&path, "x");
    let removed = std::fs::remove_file(&path);
    tried.and(removed)
}
