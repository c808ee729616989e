//! The socket's place in the file system: taken once, left clean.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::error::StartError;

/// Connections that wait to be accepted, at most.
const CONNECTIONS_WAITING_MAX: i32 = 64;

/// A socket path that is ours until this is dropped.
///
/// A lock beside it, which the kernel releases however its holder ends, tells a socket that
/// is served from one that a killed monitor left behind.
pub struct SocketPlace {
    path: PathBuf,
    lock_path: PathBuf,
    _lock: Flock<File>,
}

impl SocketPlace {
    /// Takes the place and listens there; only the same user can connect.
    pub fn take(path: &Path) -> Result<(SocketPlace, UnixListener), StartError> {
        let failed = |problem: String| StartError::ControlSocket {
            path: path.to_owned(),
            problem,
        };
        let spoken = |error: io::Error| failed(error.to_string());
        if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(spoken)?;
        }
        let lock_path = lock_path(path);
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(spoken)?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
            StartError::AlreadyRunning {
                path: path.to_owned(),
            }
        })?;
        clear(path, failed)?;
        let listener = listen(path).map_err(spoken)?;
        let place = SocketPlace {
            path: path.to_owned(),
            lock_path,
            _lock: lock,
        };
        Ok((place, listener))
    }
}

impl Drop for SocketPlace {
    fn drop(&mut self) {
        // Somebody may have cleaned up for us.
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(&self.lock_path);
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Removes a socket that nobody serves; nothing else is ever removed.
fn clear(path: &Path, failed: impl Fn(String) -> StartError) -> Result<(), StartError> {
    let found = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error.to_string())),
    };
    if !found.file_type().is_socket() {
        return Err(failed(
            "there is a file of that name, which is not a socket".to_owned(),
        ));
    }
    if UnixStream::connect(path).is_ok() {
        return Err(StartError::AlreadyRunning {
            path: path.to_owned(),
        });
    }
    fs::remove_file(path)
        .map_err(|error| failed(format!("a socket left behind cannot be removed: {error}")))
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Before it is bound: so that nobody else could connect even for a moment.
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(CONNECTIONS_WAITING_MAX)?;
    socket.set_nonblocking(true)?;
    Ok(UnixListener::from(OwnedFd::from(socket)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_place_is_taken_once_and_left_clean() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/vmscope.sock");
        let (place, _listener) = SocketPlace::take(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(matches!(
            SocketPlace::take(&path),
            Err(StartError::AlreadyRunning { .. })
        ));
        drop(place);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[test]
    fn a_socket_left_behind_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vmscope.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let (_place, _listener) = SocketPlace::take(&path).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn somebody_elses_socket_and_other_files_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let served = directory.path().join("served.sock");
        let _listener = UnixListener::bind(&served).unwrap();
        assert!(matches!(
            SocketPlace::take(&served),
            Err(StartError::AlreadyRunning { .. })
        ));
        let file = directory.path().join("file");
        fs::write(&file, "precious").unwrap();
        assert!(matches!(
            SocketPlace::take(&file),
            Err(StartError::ControlSocket { .. })
        ));
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    }
}
