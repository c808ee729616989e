//! The sealed place: a lab in a QEMU guest, in virtual time, sealed off from everything asynchronous.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::error::{PlaceError, Phase};
use super::image::Image;
use super::qemu::{Boot, Machine, Qemu, join, memory_file};
use super::shared_memory::{State, Window};
use super::warm::{self, Key, Store, WarmLab};
use super::{Cache, Execution, Files, Start, archive, overlay};

/// How often progress is looked for while the guest runs.
const GLANCE: Duration = Duration::from_millis(50);

/// A host that can run sealed labs. Any number of threads may execute at once.
pub struct Sealed {
    image: Image,
    qemu: Qemu,
    overlay: Vec<u8>,
    store: Store,
}

impl Sealed {
    /// Prepares this host: finds QEMU, builds the image when the cache has none, packs our own executable.
    ///
    /// # Errors
    /// [`PlaceError::NoQemu`], [`PlaceError::Image`], [`PlaceError::Executable`].
    pub fn open(progress: &mut dyn FnMut(&str)) -> Result<Self, PlaceError> {
        let own = std::env::current_exe().map_err(|e| PlaceError::io("find", "our own executable", e))?;
        Self::with(&Cache::from_environment(), Qemu::find()?, &own, progress)
    }

    /// As [`Sealed::open`], with every part named. `guest` is started in the guest as `guest` by its first argument
    /// and must call [`super::guest::init`].
    ///
    /// # Errors
    /// As [`Sealed::open`].
    pub fn with(
        cache: &Cache,
        qemu: Qemu,
        guest: &Path,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, PlaceError> {
        let image = Image::open(cache, progress)?;
        let overlay = overlay::initramfs(guest)?;
        Ok(Self { image, qemu, overlay, store: Store::new(cache) })
    }

    /// The image labs run in; its id belongs into reports.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The QEMU labs run under.
    pub fn qemu(&self) -> &Qemu {
        &self.qemu
    }

    /// Runs one program; returns its observations. `progress` gets the guest's log, line by line.
    ///
    /// # Errors
    /// See [`PlaceError`]; the guest's last words are in most of them.
    pub fn execute(&self, execution: &Execution, progress: &mut dyn FnMut(&str)) -> Result<Files, PlaceError> {
        let clock = Clock::new(execution.deadline);
        let topology = archive::pack(execution.topology).map_err(PlaceError::Archive)?;
        let job = archive::pack(execution.job).map_err(PlaceError::Archive)?;
        let mut machine = match execution.start {
            Start::Cold => {
                let mut machine = self.boot(execution, &topology, &clock, &memory(execution)?, progress)?;
                machine.window.set_job(execution.seed, &job)?;
                machine.go_on(&clock)?;
                machine
            }
            Start::Warm => {
                let lab = self.warm_lab(execution, &topology, &clock, progress)?;
                self.fork(&lab, execution, &topology, &job, &clock)?
            }
        };
        machine.wait_for_bell(&clock, progress)?;
        let output = machine.output()?;
        archive::unpack(&output).map_err(PlaceError::Archive)
    }

    /// Makes the warm lab now, if it is not there yet.
    ///
    /// # Errors
    /// As [`Sealed::execute`].
    pub fn warm_up(&self, execution: &Execution, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, PlaceError> {
        let clock = Clock::new(execution.deadline);
        let topology = archive::pack(execution.topology).map_err(PlaceError::Archive)?;
        Ok(self.warm_lab(execution, &topology, &clock, progress)?.folder().to_owned())
    }

    fn warm_lab(
        &self,
        execution: &Execution,
        topology: &[u8],
        clock: &Clock,
        progress: &mut dyn FnMut(&str),
    ) -> Result<WarmLab, PlaceError> {
        let key = Key::new(&[
            self.image.manifest.id.as_bytes(),
            self.qemu.identity(execution.memory_mib).as_bytes(),
            &self.overlay,
            topology,
        ]);
        self.store.open(&key, &mut |folder| {
            progress("warm lab: booting, building and converging the topology once");
            let ram = memory(execution)?;
            let mut machine = self.boot(execution, topology, clock, &ram, progress)?;
            let state = warm::create_state(folder)?;
            machine.keep(&state, clock)?;
            drop(machine);
            warm::copy_sparse(&ram, &folder.join(warm::RAM))
        })
    }

    /// Boots and builds; returns the machine stopped at its doorbell, built.
    fn boot(
        &self,
        execution: &Execution,
        topology: &[u8],
        clock: &Clock,
        ram: &File,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Machine, PlaceError> {
        let initrd = join(&self.image.root(), &self.overlay)?;
        let boot = Boot::Fresh { initrd: &initrd, ram };
        let prepare = |window: &Window| Ok(window.prepare(topology)?);
        let kernel = self.image.kernel();
        let mut machine = self.qemu.start(&boot, &kernel, execution.memory_mib, &prepare, clock.end)?;
        machine.wait_for_bell(clock, progress)?;
        match machine.window.state() {
            Some(State::Built) => Ok(machine),
            _ => Err(machine.output().err().unwrap_or_else(|| machine.nonsense())),
        }
    }

    /// A private copy of a warm lab, running, with the job in place.
    fn fork(
        &self,
        lab: &WarmLab,
        execution: &Execution,
        topology: &[u8],
        job: &[u8],
        clock: &Clock,
    ) -> Result<Machine, PlaceError> {
        let state = lab.open_state()?;
        let ram = lab.ram();
        let boot = Boot::Fork { ram: &ram };
        let prepare = |window: &Window| {
            window.prepare(topology)?;
            window.set_job(execution.seed, job)?;
            window.set_built();
            Ok(())
        };
        let kernel = self.image.kernel();
        let mut machine = self.qemu.start(&boot, &kernel, execution.memory_mib, &prepare, clock.end)?;
        machine.restore(&state, clock)?;
        machine.go_on(clock)?;
        Ok(machine)
    }
}

fn memory(execution: &Execution) -> Result<File, PlaceError> {
    memory_file("ram", u64::from(execution.memory_mib) << 20)
}

/// An execution's real-time limit.
struct Clock {
    deadline: Duration,
    end: Instant,
}

impl Clock {
    fn new(deadline: Duration) -> Self {
        Self { deadline, end: Instant::now() + deadline }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }
}

impl Machine {
    /// Waits until the guest has rung its doorbell and stands still.
    fn wait_for_bell(&mut self, clock: &Clock, progress: &mut dyn FnMut(&str)) -> Result<(), PlaceError> {
        loop {
            let event = self.qmp.next_event(GLANCE);
            for line in self.window.log_since(&mut self.log_cursor) {
                progress(&line);
            }
            match event {
                Ok(Some(event)) if event == "STOP" => return Ok(()),
                Ok(_) if clock.is_over() => {
                    return Err(PlaceError::Deadline { deadline: clock.deadline, words: self.last_words() });
                }
                // Other events, a shutdown among them, are followed by the end of the connection.
                Ok(_) => {}
                Err(error) => return Err(self.failure(error)),
            }
        }
    }

    /// Restores a fork's devices.
    fn restore(&mut self, state: &File, clock: &Clock) -> Result<(), PlaceError> {
        let uri = self.migration_to_or_from(state, clock)?;
        self.ask("migrate-incoming", json!({ "uri": uri }), clock)?;
        loop {
            let status = self.ask("query-status", json!({}), clock)?;
            if status["status"] != "inmigrate" {
                return Ok(());
            }
            if clock.is_over() {
                return Err(PlaceError::Deadline { deadline: clock.deadline, words: self.last_words() });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn go_on(&mut self, clock: &Clock) -> Result<(), PlaceError> {
        self.ask("cont", json!({}), clock).map(drop)
    }

    /// Writes the devices' state; the RAM is in its own file already.
    fn keep(&mut self, state: &File, clock: &Clock) -> Result<(), PlaceError> {
        let uri = self.migration_to_or_from(state, clock)?;
        self.ask("migrate", json!({ "uri": uri }), clock)?;
        loop {
            let status = self.ask("query-migrate", json!({}), clock)?;
            match status["status"].as_str() {
                Some("completed") => return Ok(()),
                Some("failed" | "cancelled") => {
                    let reason = status["error-desc"].as_str().unwrap_or("no reason given").to_owned();
                    let refused = super::qmp::QmpError::Refused { command: "migrate".into(), reason };
                    return Err(PlaceError::Qmp(refused, self.last_words()));
                }
                _ if clock.is_over() => {
                    return Err(PlaceError::Deadline { deadline: clock.deadline, words: self.last_words() });
                }
                _ => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Prepares a migration that leaves out the RAM, which is in a file, and hands over the file for the rest.
    fn migration_to_or_from(&mut self, state: &File, clock: &Clock) -> Result<String, PlaceError> {
        let capabilities = json!({ "capabilities": [{ "capability": "x-ignore-shared", "state": true }] });
        self.ask("migrate-set-capabilities", capabilities, clock)?;
        let sent = self.qmp.send_descriptor("state", state, clock.end);
        sent.map_err(|error| self.failure(error))?;
        Ok("fd:state".to_owned())
    }

    fn ask(&mut self, command: &str, arguments: serde_json::Value, clock: &Clock) -> Result<serde_json::Value, PlaceError> {
        self.qmp.command(command, arguments, clock.end).map_err(|error| match error {
            super::qmp::QmpError::Timeout { .. } if clock.is_over() => {
                PlaceError::Deadline { deadline: clock.deadline, words: self.last_words() }
            }
            other => self.failure(other),
        })
    }

    /// What the guest handed over when it rang.
    fn output(&self) -> Result<Vec<u8>, PlaceError> {
        let output = self.window.output();
        let message = || String::from_utf8_lossy(&output).into_owned();
        let failed = |phase| PlaceError::Program { phase, message: message(), words: self.last_words() };
        match self.window.state() {
            Some(State::Done) => Ok(output),
            Some(State::BuildFailed) => Err(failed(Phase::Build)),
            Some(State::RunFailed) => Err(failed(Phase::Run)),
            Some(State::GuestFailed) => Err(PlaceError::Guest { message: message(), words: self.last_words() }),
            Some(State::Building | State::Built) | None => Err(self.nonsense()),
        }
    }

    fn nonsense(&self) -> PlaceError {
        let message = format!("it stopped in the middle of its work (state {:?})", self.window.state());
        PlaceError::Guest { message, words: self.last_words() }
    }
}
