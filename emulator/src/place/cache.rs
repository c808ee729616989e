//! Where built things are kept between runs, and the locks that let several processes share them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// A folder with the sub-folders `image`, `warm` and `locks`.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `MVPNLAB_CACHE`, else `XDG_CACHE_HOME/mvpnlab`, else `~/.cache/mvpnlab`.
    pub fn from_environment() -> Self {
        let variable = |name: &str| {
            std::env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let root = variable("MVPNLAB_CACHE")
            .or_else(|| variable("XDG_CACHE_HOME").map(|p| p.join("mvpnlab")))
            .or_else(|| variable("HOME").map(|p| p.join(".cache/mvpnlab")))
            .unwrap_or_else(|| PathBuf::from("/var/tmp/mvpnlab"));
        Self { root }
    }

    /// A cache in a folder of the caller's choice.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The cache's own folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A sub-folder; it may not exist yet.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The file that [`Lock`] takes for `name`.
    pub fn lock_path(&self, name: &str) -> PathBuf {
        self.root.join("locks").join(name)
    }
}

/// An advisory lock on a file, released when dropped or when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: Flock<File>,
}

impl Lock {
    /// Waits until nobody else holds the lock.
    pub fn exclusive(path: &Path) -> io::Result<Self> {
        Self::take(path, FlockArg::LockExclusive)
            .and_then(|lock| lock.ok_or_else(|| Errno::EWOULDBLOCK.into()))
    }

    /// Waits until nobody holds the lock exclusively; any number may share it.
    pub fn shared(path: &Path) -> io::Result<Self> {
        Self::take(path, FlockArg::LockShared)
            .and_then(|lock| lock.ok_or_else(|| Errno::EWOULDBLOCK.into()))
    }

    /// Takes the lock if nobody holds it, else says so at once.
    pub fn try_exclusive(path: &Path) -> io::Result<Option<Self>> {
        Self::take(path, FlockArg::LockExclusiveNonblock)
    }

    /// Whether the file that is locked still has this name.
    pub fn is_at(&self, path: &Path) -> bool {
        match (self.file.metadata(), fs::metadata(path)) {
            (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }

    fn take(path: &Path, how: FlockArg) -> io::Result<Option<Self>> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        loop {
            match Flock::lock(file, how) {
                Ok(locked) => return Ok(Some(Self { file: locked })),
                Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
                Err((back, Errno::EINTR)) => file = back,
                Err((_, errno)) => return Err(errno.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exclusive_lock_keeps_others_out_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locks/one");
        let held = Lock::exclusive(&path).unwrap();
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::try_exclusive(&path).unwrap().is_some());
    }

    #[test]
    fn a_shared_lock_is_shared_but_not_with_an_exclusive_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("one");
        let first = Lock::shared(&path).unwrap();
        let second = Lock::shared(&path).unwrap();
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        drop((first, second));
        assert!(Lock::try_exclusive(&path).unwrap().is_some());
    }
}
