//! Processes inside a namespace: their own process group, gone when the lab goes, logging to a file.

use std::{
    fs::File,
    io,
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
    sys::{
        prctl,
        signal::{Signal, killpg},
    },
    unistd::{Pid, setpgid, setsid},
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{KernelError, Netns};
use crate::place::doorbell::leave_ports;

/// A running process, killed with its group when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
}

/// What a process sees of the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounts {
    /// The same as everyone.
    Shared,
    /// An empty `/run` of its own, for a daemon with fixed file names there.
    PrivateRun,
}

/// Whom a process's signals reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// A process group of its own.
    Group,
    /// A session of its own, at the terminal that is its standard input.
    Terminal,
}

/// Makes a command that the caller will start, with descriptors of the caller's, start in a network namespace, and die
/// with the thread that starts it.
pub fn place(namespace: &OwnedFd, command: &mut Command, session: Session) -> io::Result<()> {
    let target = namespace.try_clone()?;
    // SAFETY: only system calls between fork and exec, no allocation.
    unsafe { command.pre_exec(move || settle(&target, Mounts::Shared, session)) };
    Ok(())
}

impl Process {
    /// Starts the command in the namespace; standard output and error go to `log`, appended.
    pub fn spawn(
        namespace: &Netns,
        mut command: Command,
        mounts: Mounts,
        log: &Path,
    ) -> Result<Self, KernelError> {
        let name = command.get_program().to_string_lossy().into_owned();
        let attempted = || format!("start {name}");
        let open = || -> io::Result<(OwnedFd, File, File)> {
            let log = File::options().create(true).append(true).open(log)?;
            Ok((namespace.open()?, log.try_clone()?, log))
        };
        let (target, out, err) = open().map_err(|e| namespace.error(attempted(), e))?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        // SAFETY: only system calls between fork and exec, no allocation.
        unsafe { command.pre_exec(move || settle(&target, mounts, Session::Group)) };
        let child = command
            .spawn()
            .map_err(|e| namespace.error(attempted(), e))?;
        Ok(Self { child, name })
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Program, as it was started.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends a signal to the process alone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(nix::sys::signal::kill(self.group(), signal)?)
    }

    /// SIGKILL to it and its children, and the end awaited.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        killpg(self.group(), Signal::SIGKILL)?;
        self.child.wait()
    }

    /// SIGTERM, and after `patience` SIGKILL.
    pub async fn terminate(&mut self, patience: Duration) -> io::Result<Ended> {
        if self.ended().is_none() {
            self.signal(Signal::SIGTERM)?;
            if tokio::time::timeout(patience, self.wait()).await.is_err() {
                self.kill()?;
                return Ok(Ended::Killed);
            }
        }
        let status = self.child.wait()?;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Exited(code),
            (None, signal) => Ended::Signalled(signal.unwrap_or(0)),
        })
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        // SAFETY: the descriptor is open, and the watch owns it until it is dropped.
        let watch = unsafe {
            AsyncFd::register_with_interest(pidfd(self.child.id())?, Interest::READABLE)
        }?;
        while self.child.try_wait()?.is_none() {
            watch.readable().await?.clear_ready();
        }
        self.child.wait()
    }

    fn group(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }
}

/// How a process ended that was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// It did not heed SIGTERM.
    Killed,
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            tracing::warn!(program = self.name, %error, "cannot end a process");
        }
    }
}

/// In the child, before the program: its own group or session, dead when we are, in its namespaces.
fn settle(namespace: &OwnedFd, mounts: Mounts, session: Session) -> io::Result<()> {
    match session {
        Session::Group => setpgid(Pid::from_raw(0), Pid::from_raw(0))?,
        Session::Terminal => take_terminal()?,
    }
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    leave_ports();
    setns(namespace, CloneFlags::CLONE_NEWNET)?;
    match mounts {
        Mounts::Shared => {}
        Mounts::PrivateRun => {
            let (none, private) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
            unshare(CloneFlags::CLONE_NEWNS)?;
            mount(none, "/", none, private, none)?;
            mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), none)?;
        }
    }
    Ok(())
}

fn take_terminal() -> io::Result<()> {
    setsid()?;
    // SAFETY: a plain system call on our own standard input.
    match unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: plain system call; the result is checked, and a descriptor is new and ours.
    let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(raw as i32) })
}
