//! The library that keeps QEMU's threads out of each other's way (`gate/gate.rs`), and how QEMU comes by it.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};

use super::error::PlaceError;
use super::image::hex;
use super::qemu::{descriptor, memory_file};

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gate.so"));
const NAME: &str = "gate";

/// Identifies this version of the library.
pub fn id() -> String {
    hex(&Sha256::digest(OBJECT))
}

/// Lets `command` load the library; the file must be inherited by it.
///
/// # Errors
/// There is no memory for it.
pub fn put_before(command: &mut Command) -> Result<File, PlaceError> {
    let mut file = memory_file(NAME, 0)?;
    file.write_all(OBJECT)
        .map_err(|e| PlaceError::io("write", NAME, e))?;
    command.env("LD_PRELOAD", descriptor(&file));
    Ok(file)
}

/// Whether a process has loaded it. The loader only warns when it cannot.
pub fn is_in(process: u32) -> bool {
    let maps = Path::new("/proc").join(process.to_string()).join("maps");
    fs::read_to_string(maps).is_ok_and(|maps| maps.contains(&format!("memfd:{NAME}")))
}
