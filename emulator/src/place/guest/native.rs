//! The native lab's beginning: namespaces of its own, so that all of it goes when its process 1 does.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, User, chown, fork, pipe2};

use super::super::shared_memory::Window;
use super::system;

/// Moves into new mount, network and process namespaces; returns in process 1 of the latter. The first process waits for
/// it and ends with it.
pub fn become_init() -> Result<(), String> {
    let spaces = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID;
    unshare(spaces).map_err(|errno| format!("could not make namespaces for the lab: {errno}"))?;
    let (parents_end, alive) =
        pipe2(OFlag::O_CLOEXEC).map_err(|errno| format!("could not make a pipe: {errno}"))?;
    // SAFETY: no thread has been started, so the child may do anything.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { child }) => {
            // What became of the lab is said in the window.
            let _ = waitpid(child, None);
            std::process::exit(0)
        }
        Ok(ForkResult::Child) => {
            drop(alive);
            end_with_parent(&parents_end)?;
            furnish()
        }
        Err(errno) => Err(format!("could not start the lab's first process: {errno}")),
    }
}

/// Process 1 cannot see its parent's number, and so not that it has died before the request was in place: a pipe, which
/// only the parent holds open, can.
fn end_with_parent(parents_end: &OwnedFd) -> Result<(), String> {
    set_pdeathsig(Signal::SIGKILL)
        .map_err(|errno| format!("could not ask to end with the first process: {errno}"))?;
    let mut hung_up = [PollFd::new(parents_end.as_fd(), PollFlags::empty())];
    match poll(&mut hung_up, PollTimeout::ZERO) {
        Ok(0) => Ok(()),
        _ => std::process::exit(0),
    }
}

fn furnish() -> Result<(), String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |errno| format!("could not {what}: {errno}")
    };
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(failed("make the mounts private"))?;
    for (kind, target) in [("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", "/run")] {
        mount(Some(kind), target, Some(kind), MsFlags::empty(), none)
            .map_err(failed(&format!("mount {target}")))?;
    }
    for folder in ["/run/netns", "/run/lock", "/run/frr"] {
        fs::create_dir_all(folder).map_err(|e| format!("could not create {folder}: {e}"))?;
    }
    if let Ok(Some(frr)) = User::from_name("frr") {
        chown("/run/frr", Some(frr.uid), Some(frr.gid)).map_err(failed("give /run/frr to frr"))?;
    }
    system::loopback_up().map_err(|e| format!("could not bring up the loopback interface: {e}"))
}

/// Maps the window whose descriptor was inherited.
pub fn open_window(number: &OsStr) -> Result<Window, String> {
    let number: RawFd = number
        .to_string_lossy()
        .parse()
        .map_err(|_| "the window's descriptor is no number".to_owned())?;
    // SAFETY: the host passed this descriptor for us to own, and this is the only place that takes it.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(number) });
    let window = Window::map(&file).map_err(|e| format!("could not map the window: {e}"))?;
    match window.is_prepared() {
        true => Ok(window),
        false => Err("the window was not laid out by this version's host".into()),
    }
}
