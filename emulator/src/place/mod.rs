//! Where a lab runs: sealed, in a QEMU guest whose time is virtual, or native, in this host's own kernel.
//!
//! A lab is a [`Program`]. The same code runs in both places; in the sealed one our own executable is the guest's init
//! ([`guest::init`]), the program's files come and its observations go through memory shared with the host.

pub mod archive;
pub mod cache;
pub mod doorbell;
pub mod error;
mod gate;
pub mod guest;
pub mod image;
pub mod line;
pub mod living;
pub mod native;
pub mod overlay;
pub mod probe;
pub mod processor;
pub mod qemu;
pub mod qmp;
pub mod sealed;
pub mod shared_memory;
pub mod shell;
pub mod warm;

use std::time::Duration;

pub use archive::Files;
pub use cache::Cache;
pub use error::{LastWords, PlaceError};
pub use line::Line;
pub use living::Living;
pub use native::Native;
pub use qemu::Pace;
pub use sealed::Sealed;
pub use warm::abandon;

/// The entry of the topology's files that names the program to run; without it, [`DEFAULT_PROGRAM`].
pub const PROGRAM_ENTRY: &str = "program";
/// The program a guest runs when the topology names none.
pub const DEFAULT_PROGRAM: &str = "lab";

/// The entry of the job's files that makes a lab live on, serving whoever is on its [`Line`], instead of running once;
/// it holds [`Pace::name`].
pub const LIVE_ENTRY: &str = "live";

/// A lab, in two phases, so that the first can be kept warm and the second repeated.
pub trait Program {
    /// Builds and converges the lab from its topology files: everything that needs no seed.
    ///
    /// # Errors
    /// What could not be built, and why. `log` takes lines for whoever watches.
    fn build(&mut self, topology: &Files, log: &mut dyn FnMut(&str)) -> Result<(), String>;

    /// Runs one scenario in the converged lab and returns its observations.
    ///
    /// # Errors
    /// What failed in the lab itself. A monitor that does badly is no error but an observation.
    fn run(&mut self, job: &Files, log: &mut dyn FnMut(&str)) -> Result<Files, String>;

    /// Lives in the converged lab, serving the line, until the lab is ended from outside.
    ///
    /// # Errors
    /// What failed in the lab itself; or that this program only runs.
    fn live(&mut self, job: &Files, line: &Line) -> Result<(), String> {
        let _ = (job, line);
        Err("this program runs once; it cannot live on".to_owned())
    }
}

/// Whether a run begins in a lab that was kept, or boots and builds its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// Fork the warm lab; make it first when it is not there.
    #[default]
    Warm,
    /// Boot, build and run in one go, and keep nothing.
    Cold,
}

/// One run in a place.
#[derive(Debug, Clone, Copy)]
pub struct Execution<'a> {
    /// The topology's files: what [`Program::build`] gets.
    pub topology: &'a Files,
    /// The job's files: what [`Program::run`] gets.
    pub job: &'a Files,
    /// Seed of all randomness in the lab.
    pub seed: u64,
    /// Real time the whole execution may take, making the warm lab included.
    pub deadline: Duration,
    /// Warm or cold.
    pub start: Start,
    /// The guest's memory, MiB.
    pub memory_mib: u32,
}

/// Memory enough for the largest scenario we ship, MiB.
pub const DEFAULT_MEMORY_MIB: u32 = 1024;
