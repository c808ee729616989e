//! What every measurement needs: the place, a reflector, a monitor.

use std::path::PathBuf;

use nix::sched::CpuSet;

use crate::daemon::{Daemon, Log, Setup};
use crate::place::{self, Place, Problem};
use crate::reflector::{self, Reflector};

/// How tunnels are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// In words.
    pub name: &'static str,
    /// Tunnels, numbered from 1.
    pub tunnels: u32,
    /// Tunnels of a group: each probe comes back over all of them but its own.
    pub per_group: u32,
}

/// The bench.
pub struct Bench {
    /// Where it takes place.
    pub place: Place,
    /// The monitor's executable.
    pub executable: PathBuf,
    /// UDP payload of probes, bytes.
    pub payload_bytes: usize,
    /// Whether what happens is told on standard error while it does.
    pub tells: bool,
    /// More TOML for the top of the monitor's configuration.
    pub more: String,
    /// The reflector's processors, and those of what is measured.
    pub processors: (CpuSet, CpuSet),
}

impl Bench {
    /// Tells people how far things are.
    pub fn say(&self, line: &str) {
        if self.tells {
            eprintln!("{line}");
        }
    }

    /// A reflector of so many tunnels.
    pub fn reflector(&self, tunnels: u32, remembers: bool) -> Result<Reflector, Problem> {
        let options = reflector::Options {
            tunnels,
            remembers,
            processors: self.processors.0,
        };
        let started = self.place.pes.run(move || Reflector::start(options));
        started.map_err(|error| format!("cannot start the reflector: {error}"))
    }

    /// A monitor with so many tunnels.
    pub fn daemon(&self, tunnels: u32, log: Log) -> Result<Daemon, Problem> {
        self.daemon_with(tunnels, log, "")
    }

    /// The same with more TOML for the top of its configuration.
    pub fn daemon_with(&self, tunnels: u32, log: Log, more: &str) -> Result<Daemon, Problem> {
        let setup = Setup {
            executable: self.executable.clone(),
            tunnels,
            log,
            processors: self.processors.1,
            more: format!("{}\n{more}", self.more),
        };
        self.place.monitor.run(move || Daemon::start(&setup))
    }

    /// Runs something where the monitor would be, on its processors.
    pub fn in_monitors_place<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let processors = self.processors.1;
        self.place.monitor.run(move || {
            place::keep_to(&processors);
            job()
        })
    }
}
