//! Small disks, in a mount namespace of a test's own.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

/// Runs a test with a disk of so many bytes in memory; skips it, in words, where nothing may be mounted.
pub fn with_small_disk(bytes: u64, test: impl FnOnce(&Path) + Send) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    std::fs::create_dir(&path).unwrap();
    let outcome = std::thread::scope(|scope| {
        let on_it = scope.spawn(|| match unshare(CloneFlags::CLONE_NEWNS) {
            Ok(()) => {
                let _mounted = mount_memory(&path, bytes);
                test(&path);
            }
            Err(why) => eprintln!("skipped: cannot make a mount namespace: {why}; run as root"),
        });
        on_it.join()
    });
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// What is mounted somewhere, as long as this lives, even if a test fails.
pub struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

fn mount_memory(path: &Path, bytes: u64) -> Mounted {
    let (none, private) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    mount(none, "/", none, private, none).unwrap();
    let (tmpfs, size) = (Some("tmpfs"), format!("size={bytes}"));
    let flags = MsFlags::empty();
    mount(tmpfs, path, tmpfs, flags, Some(size.as_str())).unwrap();
    Mounted(path.to_owned())
}

/// Mounts a file system that believes to have 64 MB in a file on a smaller disk, as on a thin volume: beside the disk, for on
/// it they would hold each other. None, and why, where that cannot be.
pub fn mount_thin(disk: &Path) -> Option<(PathBuf, Mounted)> {
    let (image, on) = (disk.join("image"), disk.with_file_name("thin"));
    std::fs::create_dir(&on).unwrap();
    File::create(&image).unwrap().set_len(64 << 20).unwrap();
    let made = run(
        "mkfs.ext4",
        &["-q", "-F", "-O", "^has_journal"],
        &[image.as_path()],
    );
    let mounted = made.and_then(|()| run("mount", &["-o", "loop"], &[&image, &on]));
    match mounted {
        Ok(()) => Some((on.clone(), Mounted(on))),
        Err(why) => {
            eprintln!("skipped: cannot mount a file system in a file: {why}");
            None
        }
    }
}

fn run(program: &str, words: &[&str], paths: &[&Path]) -> Result<(), String> {
    let output = Command::new(program).args(words).args(paths).output();
    let output = output.map_err(|why| format!("{program}: {why}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// Bytes that lie on a disk so that there is no room for others.
pub struct Ballast(PathBuf);

impl Ballast {
    /// Leaves so many bytes.
    pub fn leaving(disk: &Path, bytes: u64) -> Ballast {
        let path = disk.join("ballast");
        let mut file = File::create_new(&path).unwrap();
        // Until nothing fits any more, then so much less.
        while file.write(&[0; 4_096]).is_ok_and(|written| written > 0) {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.checked_sub(bytes).expect("so much fits on the disk"))
            .unwrap();
        Ballast(path)
    }

    pub fn remove(self) {
        std::fs::remove_file(self.0).unwrap();
    }
}
