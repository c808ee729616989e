//! What this host can do.
use std::path::PathBuf;

/// Where a program lies on PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// True when a program is on PATH.
pub fn on_path(program: &str) -> bool {
    find(program).is_some()
}
