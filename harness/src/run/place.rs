//! The labs of a suite: one place, one monitor, any number of runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mvpnlab_emulator::place::native::Native;
use mvpnlab_emulator::place::{Execution, Files, PlaceError, Sealed, Start};
use sha2::{Digest as _, Sha256};

use super::interrupt;
use super::one::Ran;
use super::progress::Progress;
use super::suite::Case;
use crate::cli;
use crate::program;
use crate::report::Built;
use crate::verdict::Verdict;

/// Real time a run may take, warm-up of its lab included, before it counts as hung.
const DEADLINE_BASE: Duration = Duration::from_secs(300);
/// And this much more for each second of the scenario: virtual time is mostly faster than real time.
const DEADLINE_FACTOR: u32 = 4;

/// What all runs of a command share.
pub struct Setup {
    monitor: PathBuf,
    built: Built,
    fault: Option<String>,
    start: Start,
    native: bool,
}

impl Setup {
    /// Finds and reads the monitor under test. The error is for the user.
    pub fn of(labs: &cli::Labs, fault: Option<&str>) -> Result<Self, String> {
        let own = std::env::current_exe()
            .map_err(|error| format!("cannot find our own executable: {error}"))?;
        let path = labs
            .monitor
            .clone()
            .unwrap_or_else(|| own.with_file_name("vmscope"));
        let monitor = fs::read(&path).map_err(|error| {
            format!("cannot read the monitor {}: {error}; build it with `cargo build -p vmscope`, or name it with --monitor", path.display())
        })?;
        let own = fs::read(&own).map_err(|error| {
            format!("cannot read our own executable {}: {error}", own.display())
        })?;
        let built = Built {
            image: String::new(),
            mvpnlab: sha256(&own),
            monitor: sha256(&monitor),
        };
        let start = if labs.cold { Start::Cold } else { Start::Warm };
        Ok(Self {
            monitor: path,
            built,
            fault: fault.map(str::to_owned),
            start,
            native: labs.native,
        })
    }
}

/// SHA-256, lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Where labs run, or why they cannot.
enum Place {
    Sealed(Box<Sealed>),
    Native(Native),
    Missing(Verdict),
}

/// The labs of a suite.
pub struct Labs<'a> {
    setup: &'a Setup,
    place: Place,
    built: Built,
}

impl<'a> Labs<'a> {
    /// Opens the place. When it cannot be opened every run says so: a suite's results are complete even then.
    pub fn open(setup: &'a Setup, progress: &Progress) -> Self {
        interrupt::end_cleanly();
        let place = match setup.native {
            true => Native::open().map(Place::Native),
            false => Sealed::open(&mut |line| progress.line("image", line))
                .map(|sealed| Place::Sealed(Box::new(sealed))),
        };
        let place = place.unwrap_or_else(|error| match error {
            PlaceError::NativeMissing(_) => Place::Missing(Verdict::Skipped {
                reason: error.to_string(),
            }),
            other => Place::Missing(unsound(&other)),
        });
        let image = match &place {
            Place::Sealed(sealed) => sealed.image().manifest.id.clone(),
            Place::Native(_) => "native".into(),
            Place::Missing(_) => String::new(),
        };
        Self {
            setup,
            built: Built {
                image,
                ..setup.built.clone()
            },
            place,
        }
    }

    /// What ran, for reports.
    pub fn built(&self) -> &Built {
        &self.built
    }

    /// The monitor under test: its executable, which is also its command line.
    pub fn monitor(&self) -> &Path {
        &self.setup.monitor
    }

    /// The planted fault asked for.
    pub fn fault(&self) -> Option<&str> {
        self.setup.fault.as_deref()
    }

    /// Runs one scenario with one seed and judges it.
    pub fn run(&self, case: &Case, seed: u64, progress: &Progress) -> Ran {
        let label = format!("{} seed {seed}", case.name);
        match self.execute(case, seed, &mut |line| progress.line(&label, line)) {
            Ok(observation) => Ran::judged(self, case, seed, observation),
            Err(verdict) => Ran::unjudged(self, case, seed, verdict),
        }
    }

    fn execute(&self, case: &Case, seed: u64, log: &mut dyn FnMut(&str)) -> Result<Files, Verdict> {
        let topology = program::topology(&case.plan);
        let job = program::job(
            &case.scenario,
            seed,
            Some(&self.setup.monitor),
            self.fault(),
        );
        let job = job.map_err(|error| unsound(&error))?;
        let virtual_seconds = Duration::from_nanos(case.scenario.duration.ns);
        let execution = Execution {
            topology: &topology,
            job: &job,
            seed,
            deadline: DEADLINE_BASE + virtual_seconds * DEADLINE_FACTOR,
            start: self.setup.start,
            memory_mib: case.scenario.memory_mib,
        };
        match &self.place {
            Place::Sealed(sealed) => sealed
                .execute(&execution, log)
                .map_err(|error| unsound(&error)),
            Place::Native(native) => native
                .execute(&execution, log)
                .map_err(|error| unsound(&error)),
            Place::Missing(verdict) => Err(verdict.clone()),
        }
    }
}

fn unsound(error: &PlaceError) -> Verdict {
    Verdict::Infrastructure {
        what: error.to_string(),
    }
}
