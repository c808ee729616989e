//! The native place: a lab in this host's own kernel.
//!
//! The program runs in a child process, which speaks to us through the same window as a sealed guest does; it gets
//! process, mount and network namespaces of its own, so when it ends, however it ends, the whole lab is gone. Time is
//! real and chance is the host's: runs do not repeat here.

use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::error::{LAST_LINES, LastWords, PlaceError};
use super::probe::{self, Fit};
use super::qemu::memory_file;
use super::shared_memory::{WINDOW_BYTES, Window};
use super::{Execution, Files, archive};

/// The environment's entry that makes `guest` a native lab's process: the number of the window's descriptor.
pub const WINDOW: &str = "MVPNLAB_NATIVE_WINDOW";
const GLANCE: Duration = Duration::from_millis(20);

/// A host whose own kernel can run labs.
#[derive(Debug, Clone)]
pub struct Native {
    guest: PathBuf,
}

impl Native {
    /// Checks what this host has.
    ///
    /// # Errors
    /// [`PlaceError::NativeMissing`] with everything that is missing and what to do about it.
    pub fn open() -> Result<Self, PlaceError> {
        let own =
            std::env::current_exe().map_err(|e| PlaceError::io("find", "our own executable", e))?;
        let missing: Vec<String> = probe::native()
            .into_iter()
            .filter(|fact| fact.fit != Fit::Yes)
            .map(|fact| format!("  {}: {}; {}", fact.name, fact.found, fact.remedy))
            .collect();
        match missing.is_empty() {
            true => Ok(Self::unchecked(own)),
            false => Err(PlaceError::NativeMissing(missing.join("\n"))),
        }
    }

    /// Takes for granted that the host has what the program needs. `guest` is started as in the sealed place.
    pub fn unchecked(guest: PathBuf) -> Self {
        Self { guest }
    }

    /// Runs one program; returns its observations. `progress` gets its log. Seed, start and memory mean nothing here.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub fn execute(
        &self,
        execution: &Execution,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Files, PlaceError> {
        let (mut child, window) = self.start(execution)?;
        let mut cursor = 0;
        let end = Instant::now() + execution.deadline;
        loop {
            let has_ended = child.has_ended()?;
            window
                .log_since(&mut cursor)
                .iter()
                .for_each(|line| progress(line));
            if has_ended {
                return window
                    .result(last_words(&window))
                    .and_then(|o| archive::unpack(&o).map_err(PlaceError::Archive));
            }
            if Instant::now() >= end {
                return Err(PlaceError::Deadline {
                    deadline: execution.deadline,
                    words: last_words(&window),
                });
            }
            std::thread::sleep(GLANCE);
        }
    }

    /// Starts the lab's process, with everything for it in its window.
    pub(super) fn start(&self, execution: &Execution) -> Result<(Ended, Window), PlaceError> {
        let shared = memory_file("window", WINDOW_BYTES as u64)?;
        let window =
            Window::map(&shared).map_err(|e| PlaceError::io("map", "the shared window", e))?;
        window.prepare(&archive::pack(execution.topology).map_err(PlaceError::Archive)?)?;
        window.set_job(
            execution.seed,
            &archive::pack(execution.job).map_err(PlaceError::Archive)?,
        )?;
        let mut command = Command::new(&self.guest);
        command
            .arg("guest")
            .env(WINDOW, shared.as_raw_fd().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let child = super::qemu::spawn(command, vec![shared.as_raw_fd()]);
        let child = child.map_err(|e| PlaceError::io("start", &self.guest, e))?;
        Ok((Ended(child), window))
    }
}

pub(super) fn last_words(window: &Window) -> LastWords {
    let log = window.log_since(&mut 0);
    LastWords {
        log: log[log.len().saturating_sub(LAST_LINES)..].to_vec(),
        ..LastWords::default()
    }
}

/// A child that is killed and reaped when it is no longer looked at.
pub(super) struct Ended(Child);

impl Ended {
    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> Result<bool, PlaceError> {
        let status = self.0.try_wait();
        Ok(status
            .map_err(|e| PlaceError::io("wait for", "the lab's process", e))?
            .is_some())
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended already, and is reaped then.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
