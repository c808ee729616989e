//! Warm labs: machines that have booted, or have built and converged one topology too, kept in the cache to be forked.
//!
//! ```text
//! warm/KEY/ram           the guest's RAM, sparse
//! warm/KEY/device.state  the devices' state, as QEMU's migration writes it
//! warm/KEY/meta.json     format and key; its modification time is the last use
//! locks/warm-KEY         held shared by forks that start, exclusively by whoever makes or removes
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use nix::unistd::{Whence, lseek64};
use sha2::{Digest, Sha256};

use super::cache::{Cache, Lock};
use super::error::PlaceError;
use super::image::hex;
use super::qemu::memory_file;
use super::shared_memory;

/// The RAM's file in a warm lab's folder.
pub const RAM: &str = "ram";
const STATE: &str = "device.state";
const META: &str = "meta.json";
/// How a folder begins in which a lab is being made.
const SCRATCH: &str = ".making-";
/// Raised when warm labs of before cannot be used any more.
const FORMAT: u32 = 1;
/// What all warm labs together may take on disk, bytes, unless `MVPNLAB_WARM_MIB` says otherwise.
pub const DEFAULT_LIMIT_BYTES: u64 = 16 << 30;

/// Folders of labs that this process is making.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes what this process has not finished; for one that is about to end in the middle of it.
pub fn abandon() {
    let unfinished = UNFINISHED.lock();
    let folders = unfinished.map(|mut list| std::mem::take(&mut *list));
    for folder in folders.unwrap_or_default() {
        // What cannot be removed is swept later.
        let _ = fs::remove_dir_all(folder);
    }
}

struct Unfinished(PathBuf);

impl Unfinished {
    fn note(folder: &Path) -> Self {
        if let Ok(mut list) = UNFINISHED.lock() {
            list.push(folder.to_owned());
        }
        Self(folder.to_owned())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Ok(mut list) = UNFINISHED.lock() {
            list.retain(|folder| *folder != self.0);
        }
    }
}

/// What a warm lab depends on, as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Hashes the parts; moving a byte from one part to the next gives another key.
    pub fn new(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(FORMAT.to_le_bytes());
        hash.update((shared_memory::WINDOW_BYTES as u64).to_le_bytes());
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hex(&hash.finalize())[..32].to_owned())
    }
}

/// All warm labs of a cache.
#[derive(Debug, Clone)]
pub struct Store {
    cache: Cache,
    limit_bytes: u64,
}

/// A warm lab that nobody removes while this value lives.
pub struct WarmLab {
    folder: PathBuf,
    _lock: Lock,
}

impl WarmLab {
    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The RAM's file.
    pub fn ram(&self) -> PathBuf {
        self.folder.join(RAM)
    }

    /// The RAM copied into memory of its own.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn ram_copy(&self) -> Result<File, PlaceError> {
        let copy = memory_file("ram", 0)?;
        let result = File::open(self.ram()).and_then(|ram| copy_sparse(&ram, &copy));
        result.map_err(|e| PlaceError::io("copy", self.ram(), e))?;
        Ok(copy)
    }

    /// Opens the devices' state for a fork.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open_state(&self) -> Result<File, PlaceError> {
        let path = self.folder.join(STATE);
        File::open(&path).map_err(|e| PlaceError::io("open", path, e))
    }

    /// The devices' state for a fork that goes on in real time.
    ///
    /// # Errors
    /// When the file cannot be read, or is not what this program expects of QEMU.
    pub fn real_time_state(&self) -> Result<File, PlaceError> {
        let path = self.folder.join(STATE);
        let mut state = fs::read(&path).map_err(|e| PlaceError::io("read", &path, e))?;
        to_real_time(&mut state).map_err(|reason| not_understood(&path, reason))?;
        let mut copy = memory_file("state", 0)?;
        let written = copy.write_all(&state).and_then(|()| copy.rewind());
        written.map_err(|e| PlaceError::io("copy", &path, e))?;
        Ok(copy)
    }
}

fn not_understood(path: &Path, reason: String) -> PlaceError {
    PlaceError::Io {
        what: "understand the devices' state in",
        path: path.to_owned(),
        source: io::Error::other(reason),
    }
}

/// What [`Store::collect_garbage`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Warm labs removed.
    pub removed: usize,
    /// Disk space they took, bytes.
    pub freed_bytes: u64,
    /// Disk space the others take, bytes.
    pub kept_bytes: u64,
}

impl Store {
    /// The store in `cache`, limited by `MVPNLAB_WARM_MIB` or [`DEFAULT_LIMIT_BYTES`].
    pub fn new(cache: &Cache) -> Self {
        let limit = std::env::var("MVPNLAB_WARM_MIB")
            .ok()
            .and_then(|text| text.parse::<u64>().ok());
        Self {
            cache: cache.clone(),
            limit_bytes: limit.map_or(DEFAULT_LIMIT_BYTES, |mib| mib.saturating_mul(1 << 20)),
        }
    }

    /// The same store with another limit.
    pub fn with_limit(self, limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            ..self
        }
    }

    /// The warm lab named by `key`; `make` fills an empty folder with it when there is none. Of several processes that
    /// ask at once one makes it and the others wait.
    ///
    /// # Errors
    /// What `make` returns, or what the disk refuses.
    pub fn open(
        &self,
        key: &Key,
        make: &mut dyn FnMut(&Path) -> Result<(), PlaceError>,
    ) -> Result<WarmLab, PlaceError> {
        let (folder, lock_path) = (
            self.cache.folder("warm").join(&key.0),
            self.lock_path(&key.0),
        );
        loop {
            if let Some(lab) = self.existing(&folder, &lock_path)? {
                return Ok(lab);
            }
            let lock =
                Lock::exclusive(&lock_path).map_err(|e| PlaceError::io("lock", &lock_path, e))?;
            if !folder.join(META).exists() {
                self.make(key, &folder, make)?;
            }
            // Between the two locks it may be removed again, if the limit is tiny: then round again.
            drop(lock);
        }
    }

    fn existing(&self, folder: &Path, lock_path: &Path) -> Result<Option<WarmLab>, PlaceError> {
        if !folder.join(META).exists() {
            return Ok(None);
        }
        let lock = Lock::shared(lock_path).map_err(|e| PlaceError::io("lock", lock_path, e))?;
        let Ok(meta) = OpenOptions::new().write(true).open(folder.join(META)) else {
            return Ok(None);
        };
        // The time of last use orders the removal; a file system that refuses it only makes that order worse.
        let _ = meta.set_modified(SystemTime::now());
        Ok(Some(WarmLab {
            folder: folder.to_owned(),
            _lock: lock,
        }))
    }

    fn make(
        &self,
        key: &Key,
        folder: &Path,
        make: &mut dyn FnMut(&Path) -> Result<(), PlaceError>,
    ) -> Result<(), PlaceError> {
        let parent = self.cache.folder("warm");
        fs::create_dir_all(&parent).map_err(|e| PlaceError::io("create", &parent, e))?;
        let prefix = format!("{SCRATCH}{}-", key.0);
        let scratch = tempfile::Builder::new().prefix(&prefix).tempdir_in(&parent);
        let scratch = scratch.map_err(|e| PlaceError::io("create a folder in", &parent, e))?;
        let _unfinished = Unfinished::note(scratch.path());
        make(scratch.path())?;
        let meta = scratch.path().join(META);
        let text = format!("{{\"format\": {FORMAT}, \"key\": \"{}\"}}\n", key.0);
        fs::write(&meta, text).map_err(|e| PlaceError::io("write", &meta, e))?;
        // Half a lab of an older crash may lie there; it has no meta.json.
        let _ = fs::remove_dir_all(folder);
        fs::rename(scratch.keep(), folder)
            .map_err(|e| PlaceError::io("move the warm lab to", folder, e))?;
        self.collect_garbage(Some(key)).map(drop)
    }

    /// Removes the warm labs used longest ago until the rest fits the limit. One that is in use, or is `keep`, stays.
    ///
    /// # Errors
    /// When the cache cannot be listed.
    pub fn collect_garbage(&self, keep: Option<&Key>) -> Result<Collected, PlaceError> {
        self.sweep();
        let mut labs = self.labs()?;
        labs.sort_by_key(|lab| lab.used);
        let mut result = Collected {
            kept_bytes: labs.iter().map(|lab| lab.bytes).sum(),
            ..Collected::default()
        };
        for lab in labs {
            if result.kept_bytes <= self.limit_bytes {
                break;
            }
            if keep.is_none_or(|key| key.0 != lab.name) && self.remove(&lab) {
                result.removed += 1;
                result.freed_bytes += lab.bytes;
                result.kept_bytes -= lab.bytes;
            }
        }
        Ok(result)
    }

    /// Removes what makers that were killed left behind; returns how many. Who still makes a lab holds its lock. What
    /// cannot be removed stays.
    pub fn sweep(&self) -> usize {
        let listing = fs::read_dir(self.cache.folder("warm"));
        let mut swept = 0;
        for entry in listing.into_iter().flatten().filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let key = name
                .strip_prefix(SCRATCH)
                .and_then(|rest| rest.split('-').next());
            if let Some(key) = key
                && let Ok(Some(_lock)) = Lock::try_exclusive(&self.lock_path(key))
            {
                swept += usize::from(fs::remove_dir_all(entry.path()).is_ok());
            }
        }
        swept
    }

    fn remove(&self, lab: &Kept) -> bool {
        let Ok(Some(_lock)) = Lock::try_exclusive(&self.lock_path(&lab.name)) else {
            return false;
        };
        let folder = self.cache.folder("warm").join(&lab.name);
        // Without its meta.json it is no lab any more, however far the rest gets.
        fs::remove_file(folder.join(META)).is_ok() && fs::remove_dir_all(&folder).is_ok()
    }

    fn labs(&self) -> Result<Vec<Kept>, PlaceError> {
        let folder = self.cache.folder("warm");
        let listing = match fs::read_dir(&folder) {
            Ok(listing) => listing,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(PlaceError::io("list", folder, e)),
        };
        let labs = listing.filter_map(Result::ok).filter_map(|entry| {
            let used = fs::metadata(entry.path().join(META))
                .ok()?
                .modified()
                .ok()?;
            let sizes = [RAM, STATE, META]
                .map(|name| fs::metadata(entry.path().join(name)).map_or(0, |m| m.blocks() * 512));
            Some(Kept {
                name: entry.file_name().to_string_lossy().into_owned(),
                used,
                bytes: sizes.iter().sum(),
            })
        });
        Ok(labs.collect())
    }

    fn lock_path(&self, name: &str) -> PathBuf {
        self.cache.lock_path(&format!("warm-{name}"))
    }
}

struct Kept {
    name: String,
    used: SystemTime,
    bytes: u64,
}

/// Writes a machine's RAM and the state of its devices into the folder of a lab that is being made.
///
/// # Errors
/// When the disk is full, or the state is not what this program expects of QEMU.
pub fn keep(folder: &Path, ram: &File, mut state: Vec<u8>) -> Result<(), PlaceError> {
    let path = folder.join(STATE);
    forget_window(&mut state).map_err(|reason| not_understood(&path, reason))?;
    fs::write(&path, &state).map_err(|e| PlaceError::io("write", &path, e))?;
    let path = folder.join(RAM);
    File::create(&path)
        .and_then(|target| copy_sparse(ram, &target))
        .map_err(|e| PlaceError::io("write", &path, e))
}

/// QEMU notes at which address the guest had mapped each shared memory, and refuses to restore when the new machine has
/// it elsewhere; but the window is a PCI device's, mapped nowhere until its device is restored, which comes later in the
/// same stream. So the noted address becomes zero, what a new machine has.
///
/// In the stream (QEMU, `ram_save_setup`): length byte and name of the memory, its size and its address, big-endian.
fn forget_window(state: &mut [u8]) -> Result<(), String> {
    let mut pattern = b"/window".to_vec();
    pattern.extend((shared_memory::WINDOW_BYTES as u64).to_be_bytes());
    let found = state
        .windows(pattern.len())
        .position(|part| part == pattern);
    let address = found
        .map(|at| at + pattern.len())
        .filter(|at| at + 8 <= state.len());
    let address = address
        .ok_or("it does not name the window; this version of QEMU writes it in another way")?;
    state[address..address + 8].fill(0);
    Ok(())
}

/// Lets a machine that was kept in virtual time go on in real time: its clocks, which count on from what the state says
/// of the host, are set to what they showed, or the guest's timers would be due in the far future.
///
/// In the stream (QEMU, `vmstate_timers`): the section `timer` with processor ticks, a spare word and the clock; its
/// subsection `timer/icount` with the bias and the count of instructions, of two nanoseconds each. All are 64 bits,
/// big-endian.
pub fn to_real_time(state: &mut [u8]) -> Result<(), String> {
    let unknown = || "it does not say how far virtual time had come; this version of QEMU writes it in another way";
    let after = |pattern: &[u8], gap: usize| {
        let found = state
            .windows(pattern.len())
            .position(|part| part == pattern);
        found.map(|at| at + pattern.len() + gap).ok_or_else(unknown)
    };
    let word = |at: usize| {
        let bytes = state.get(at..at + 8).and_then(|b| b.try_into().ok());
        bytes.map(i64::from_be_bytes).ok_or_else(unknown)
    };
    // Instance and version of the section, version of the subsection.
    let timer = after(b"\x05timer", 8)?;
    let icount = after(b"\x0ctimer/icount", 4)?;
    let now_ns = word(icount)? + (word(icount + 8)? << 1);
    word(timer + 16)?;
    for at in [timer, timer + 16] {
        state[at..at + 8].copy_from_slice(&now_ns.to_be_bytes());
    }
    Ok(())
}

/// Copies RAM into a file, leaving out pages that are all zero. RAM is written here in one go, rather than by a QEMU that
/// maps the file: a full disk is an error then, and no SIGBUS in the guest.
pub fn copy_sparse(ram: &File, target: &File) -> io::Result<()> {
    const CHUNK: usize = 64 << 10;
    const PAGE: usize = 4 << 10;
    let size = ram.metadata()?.len();
    target.set_len(size)?;
    let mut chunk = vec![0; CHUNK];
    let mut at = 0;
    while let Some(data) = next_data(ram, at)? {
        at = data - data % CHUNK as u64;
        let length = CHUNK.min((size - at) as usize);
        ram.read_exact_at(&mut chunk[..length], at)?;
        for (n, page) in chunk[..length].chunks(PAGE).enumerate() {
            if page.iter().any(|byte| *byte != 0) {
                target.write_all_at(page, at + (n * PAGE) as u64)?;
            }
        }
        at += length as u64;
    }
    Ok(())
}

/// The next offset at or after `at` that is not in a hole.
fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match lseek64(file, at as i64, Whence::SeekData) {
        Ok(offset) => Ok(Some(offset as u64)),
        Err(nix::errno::Errno::ENXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn store(limit_bytes: u64) -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(&Cache::at(dir.path())).with_limit(limit_bytes);
        (dir, store)
    }

    fn fill(folder: &Path) -> Result<(), PlaceError> {
        fs::write(folder.join(RAM), vec![1; 100_000]).unwrap();
        fs::write(folder.join(STATE), b"state").unwrap();
        Ok(())
    }

    fn key(name: &str) -> Key {
        Key::new(&[name.as_bytes()])
    }

    fn used_seconds_ago(store: &Store, key: &Key, seconds: u64) {
        let meta = File::options()
            .write(true)
            .open(store.cache.folder("warm").join(&key.0).join(META))
            .unwrap();
        meta.set_modified(SystemTime::now() - Duration::from_secs(seconds))
            .unwrap();
    }

    #[test]
    fn a_key_depends_on_every_part_and_on_where_one_ends() {
        assert_eq!(Key::new(&[b"a", b"b"]), Key::new(&[b"a", b"b"]));
        assert_ne!(Key::new(&[b"a", b"b"]), Key::new(&[b"b", b"a"]));
        assert_ne!(Key::new(&[b"ab", b""]), Key::new(&[b"a", b"b"]));
    }

    #[test]
    fn a_lab_is_made_once_and_found_again() {
        let (_dir, store) = store(u64::MAX);
        let mut made = 0;
        for _ in 0..3 {
            let lab = store.open(&key("x"), &mut |folder| {
                made += 1;
                fill(folder)
            });
            assert_eq!(
                fs::read(lab.unwrap().folder().join(STATE)).unwrap(),
                b"state"
            );
        }
        assert_eq!(made, 1);
    }

    #[test]
    fn a_lab_that_fails_leaves_nothing_behind() {
        let (_dir, store) = store(u64::MAX);
        let failed = store.open(&key("x"), &mut |folder| {
            fill(folder)?;
            Err(PlaceError::Archive("no".into()))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(store.cache.folder("warm")).unwrap().count(), 0);
    }

    #[test]
    fn threads_that_ask_at_once_make_one_lab() {
        let (_dir, store) = store(u64::MAX);
        let made = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    store
                        .open(&key("x"), &mut |folder| {
                            made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            fill(folder)
                        })
                        .unwrap();
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
    }

    #[test]
    fn the_lab_used_longest_ago_goes_first_but_not_one_in_use() {
        let (_dir, store) = store(u64::MAX);
        let held = store.open(&key("held"), &mut fill).unwrap();
        for name in ["old", "new"] {
            store.open(&key(name), &mut fill).unwrap();
        }
        used_seconds_ago(&store, &key("held"), 300);
        used_seconds_ago(&store, &key("old"), 200);
        used_seconds_ago(&store, &key("new"), 100);
        let total = store.collect_garbage(None).unwrap().kept_bytes;
        let tight = store.clone().with_limit(total - 1);
        let collected = tight.collect_garbage(None).unwrap();
        assert_eq!(
            (
                collected.removed,
                collected.kept_bytes + collected.freed_bytes
            ),
            (1, total)
        );
        let exists = |name| store.cache.folder("warm").join(&key(name).0).exists();
        assert!(exists("held") && !exists("old") && exists("new"));
        drop(held);
        assert_eq!(
            store.with_limit(0).collect_garbage(None).unwrap().removed,
            2
        );
    }

    #[test]
    fn the_window_is_forgotten_by_its_address_only() {
        let mut state = b"QEVM...\x130000:00:01.0/window".to_vec();
        state.extend((shared_memory::WINDOW_BYTES as u64).to_be_bytes());
        let before = state.clone();
        state.extend(0xe000_0000u64.to_be_bytes());
        state.extend(b"the rest");
        forget_window(&mut state).unwrap();
        assert_eq!(state, [before.as_slice(), &[0; 8], b"the rest"].concat());
        assert!(forget_window(&mut b"QEVM without it".to_vec()).is_err());
        assert!(forget_window(&mut before.clone()).is_err());
    }

    #[test]
    fn a_sparse_copy_is_equal_and_smaller() {
        let dir = tempfile::tempdir().unwrap();
        let ram = tempfile::tempfile().unwrap();
        ram.set_len(8 << 20).unwrap();
        ram.write_all_at(b"one", 5).unwrap();
        ram.write_all_at(b"two", (8 << 20) - 3).unwrap();
        ram.write_all_at(&[0; 1 << 20], 1 << 20).unwrap();
        let path = dir.path().join("copy");
        copy_sparse(&ram, &File::create(&path).unwrap()).unwrap();
        let copy = fs::read(&path).unwrap();
        assert_eq!(
            (&copy[5..8], &copy[(8 << 20) - 3..]),
            (&b"one"[..], &b"two"[..])
        );
        assert_eq!(copy.iter().filter(|byte| **byte != 0).count(), 6);
        assert!(fs::metadata(&path).unwrap().blocks() * 512 < 256 << 10);
    }
}
