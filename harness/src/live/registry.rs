//! Where living labs are known by name: a folder for each, in a folder that is this user's alone.
//!
//! ```text
//! NAME/lock       held by the keeper as long as it lives: the kernel lets go of it, whatever ends the keeper
//! NAME/socket     where the keeper listens, once the lab is up
//! NAME/log        what the lab says
//! ```

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use mvpnlab_emulator::place::cache::Lock;
use thiserror::Error;

const LOCK: &str = "lock";
/// How often a name is tried that a sweep takes away in the very moment.
const TRIES: u32 = 10;
/// Unix sockets' paths have little room (unix(7): 108 bytes).
const NAME_MAX: usize = 40;

/// Why a lab could not be found or registered.
#[derive(Debug, Error)]
#[allow(missing_docs)] // the messages say it
pub enum RegistryError {
    #[error(
        "a lab named {0:?} is up already; take it down (`mvpnlab down {0}`) or name this one otherwise (--name)"
    )]
    Taken(String),
    #[error("{0:?} is no name for a lab: use 1 to {NAME_MAX} letters, digits, `-` and `_`")]
    BadName(String),
    #[error("no lab is up; bring one up with `mvpnlab up FILE`")]
    NoneUp,
    #[error("several labs are up: {0}; say which with --lab")]
    SeveralUp(String),
    #[error("no lab named {name:?} is up; {known}")]
    Unknown { name: String, known: String },
    #[error("the folder {path} belongs to another user; set XDG_RUNTIME_DIR to one of your own")]
    Foreign { path: PathBuf },
    #[error("could not {what} {path}: {source}")]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RegistryError {
    let path = path.to_owned();
    move |source| RegistryError::Io { what, path, source }
}

/// This user's labs.
#[derive(Debug, Clone)]
pub struct Registry {
    root: PathBuf,
}

/// A lab's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The lab's name.
    pub name: String,
    folder: PathBuf,
}

/// A lab's folder, held. Dropping it removes the folder.
#[derive(Debug)]
pub struct Held {
    place: Place,
    _lock: Lock,
}

impl Place {
    /// Where its keeper listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// Where its log goes.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn lock(&self) -> PathBuf {
        self.folder.join(LOCK)
    }

    /// Its keeper's life, to be looked at even when the folder is gone.
    pub fn life(&self) -> Result<Life, RegistryError> {
        let path = self.lock();
        fs::File::open(&path)
            .map(Life)
            .map_err(failed("open", &path))
    }
}

/// The lock of a keeper: held until the very end of its process.
#[derive(Debug)]
pub struct Life(fs::File);

impl Life {
    /// Whether the process has ended.
    pub fn is_over(&self) -> bool {
        self.0.try_lock().is_ok()
    }
}

impl Held {
    /// Removes the folder, and leaves it to the kernel to let go of the lock when this process has ended: whoever waits
    /// for that finds nothing of it any more.
    pub fn leave(self) {
        let _ = fs::remove_dir_all(&self.place.folder);
        std::mem::forget(self);
    }
}

impl std::ops::Deref for Held {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // What stays is swept by the next `gc`.
        let _ = fs::remove_dir_all(&self.place.folder);
    }
}

impl Registry {
    /// The user's own: below XDG_RUNTIME_DIR where there is one, else in /tmp.
    pub fn of_user() -> Result<Self, RegistryError> {
        let user = nix::unistd::geteuid();
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let root = match runtime.filter(|folder| folder.is_dir()) {
            Some(folder) => folder.join("mvpnlab"),
            None => std::env::temp_dir().join(format!("mvpnlab-{user}")),
        };
        Self::at(root)
    }

    /// In a folder, which is made if need be.
    pub fn at(root: PathBuf) -> Result<Self, RegistryError> {
        match DirBuilder::new().mode(0o700).create(&root) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed("create", &root)(error));
            }
            Ok(()) | Err(_) => {}
        }
        // Somebody else may have made it first, or put a link there.
        let found = fs::symlink_metadata(&root).map_err(failed("look at", &root))?;
        match found.is_dir() && found.uid() == nix::unistd::geteuid().as_raw() {
            true => Ok(Self { root }),
            false => Err(RegistryError::Foreign { path: root }),
        }
    }

    /// Takes a name, as long as the result lives.
    pub fn claim(&self, name: &str) -> Result<Held, RegistryError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(is_plain) {
            return Err(RegistryError::BadName(name.to_owned()));
        }
        let place = self.place(name);
        for _ in 0..TRIES {
            match DirBuilder::new().mode(0o700).create(&place.folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(failed("create", &place.folder)(error));
                }
                Ok(()) | Err(_) => {}
            }
            match hold(&place) {
                Ok(Some(held)) => {
                    // What a killed keeper left.
                    for path in [place.socket(), place.log()] {
                        let _ = fs::remove_file(path);
                    }
                    return Ok(held);
                }
                Ok(None) => return Err(RegistryError::Taken(name.to_owned())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("lock", &place.folder)(error)),
            }
        }
        Err(RegistryError::Taken(name.to_owned()))
    }

    /// Labs whose keepers live, by name.
    pub fn up(&self) -> Result<Vec<Place>, RegistryError> {
        let mut up = Vec::new();
        for place in self.places()? {
            // A sweep that holds it for a moment passes for a keeper; its socket will not answer.
            if let Ok(None) = Lock::try_exclusive(&place.lock()) {
                up.push(place);
            }
        }
        Ok(up)
    }

    /// The lab of this name, or the only one.
    pub fn choose(&self, name: Option<&str>) -> Result<Place, RegistryError> {
        let mut up = self.up()?;
        let names = |up: &[Place]| {
            let names: Vec<&str> = up.iter().map(|place| place.name.as_str()).collect();
            names.join(", ")
        };
        match name {
            Some(name) => match up.iter().find(|place| place.name == name) {
                Some(place) => Ok(place.clone()),
                None => Err(RegistryError::Unknown {
                    name: name.to_owned(),
                    known: match up.is_empty() {
                        true => "none is".to_owned(),
                        false => format!("up are: {}", names(&up)),
                    },
                }),
            },
            None if up.len() > 1 => Err(RegistryError::SeveralUp(names(&up))),
            None => up.pop().ok_or(RegistryError::NoneUp),
        }
    }

    /// Removes the folders of labs whose keepers were killed; returns their names.
    pub fn sweep(&self) -> Result<Vec<String>, RegistryError> {
        let mut swept = Vec::new();
        for place in self.places()? {
            if let Ok(Some(held)) = hold(&place) {
                swept.push(held.name.clone());
            }
        }
        Ok(swept)
    }

    fn place(&self, name: &str) -> Place {
        Place {
            name: name.to_owned(),
            folder: self.root.join(name),
        }
    }

    fn places(&self) -> Result<Vec<Place>, RegistryError> {
        let listing = fs::read_dir(&self.root).map_err(failed("list", &self.root))?;
        let mut names: Vec<String> = listing
            .filter_map(Result::ok)
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        Ok(names.iter().map(|name| self.place(name)).collect())
    }
}

/// Takes the lock of a folder. A folder that a sweep has removed in between is not found: the lock of a file that has no
/// name any more is worth nothing.
fn hold(place: &Place) -> io::Result<Option<Held>> {
    if !place.folder.is_dir() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let Some(lock) = Lock::try_exclusive(&place.lock())? else {
        return Ok(None);
    };
    match lock.is_at(&place.lock()) {
        true => Ok(Some(Held {
            place: place.clone(),
            _lock: lock,
        })),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> (tempfile::TempDir, Registry) {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::at(folder.path().join("labs")).unwrap();
        (folder, registry)
    }

    #[test]
    fn a_name_is_taken_once_and_free_again_afterwards() {
        let (_folder, registry) = registry();
        let held = registry.claim("a").unwrap();
        assert!(matches!(registry.claim("a"), Err(RegistryError::Taken(_))));
        assert_eq!(registry.up().unwrap().len(), 1);
        assert_eq!(registry.choose(None).unwrap().name, "a");
        drop(held);
        assert!(registry.up().unwrap().is_empty());
        assert!(matches!(registry.choose(None), Err(RegistryError::NoneUp)));
        registry.claim("a").unwrap();
    }

    #[test]
    fn a_life_is_over_when_the_lock_is_let_go_and_not_when_the_folder_is_gone() {
        let (_folder, registry) = registry();
        let held = registry.claim("a").unwrap();
        let life = held.life().unwrap();
        fs::remove_dir_all(&held.folder).unwrap();
        assert!(!life.is_over());
        drop(held);
        assert!(life.is_over());
    }

    #[test]
    fn what_a_killed_keeper_left_is_swept_and_the_living_stay() {
        let (_folder, registry) = registry();
        let living = registry.claim("living").unwrap();
        // A process that is killed lets go of its locks and removes nothing.
        let folder = registry.place("dead").folder;
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(LOCK), "").unwrap();
        fs::write(folder.join("socket"), "").unwrap();
        assert_eq!(registry.sweep().unwrap(), ["dead"]);
        assert!(!folder.exists());
        assert!(living.folder.join(LOCK).exists());
    }

    #[test]
    fn bad_names_are_refused() {
        let (_folder, registry) = registry();
        for name in ["", ".", "..", "a/b", "a b", &"x".repeat(41)] {
            let refused = registry.claim(name);
            assert!(matches!(refused, Err(RegistryError::BadName(_))), "{name}");
        }
    }

    #[test]
    fn of_several_labs_one_must_be_named() {
        let (_folder, registry) = registry();
        let _held = [registry.claim("a").unwrap(), registry.claim("b").unwrap()];
        insta::assert_snapshot!(registry.choose(None).unwrap_err(), @"several labs are up: a, b; say which with --lab");
        assert_eq!(registry.choose(Some("b")).unwrap().name, "b");
        insta::assert_snapshot!(registry.choose(Some("c")).unwrap_err(), @r#"no lab named "c" is up; up are: a, b"#);
    }
}
