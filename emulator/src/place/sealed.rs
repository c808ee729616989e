//! The sealed place: a lab in a QEMU guest, in virtual time, sealed off from everything asynchronous.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::error::PlaceError;
use super::image::{Image, hex};
use super::processor::Processor;
use super::qemu::{Boot, Machine, Pace, Qemu, join, memory_file};
use super::qmp::QmpError;
use super::shared_memory::{State, Window};
use super::warm::{self, Key, Store, WarmLab};
use super::{Cache, Execution, Files, Start, archive, overlay};

/// How often progress is looked for while the guest runs.
const GLANCE: Duration = Duration::from_millis(50);
/// How long QEMU may take to answer while nothing else is waited for.
const ANSWER: Duration = Duration::from_secs(10);

/// A host that can run sealed labs. Any number of threads may execute at once.
pub struct Sealed {
    image: Image,
    qemu: Qemu,
    overlay: Vec<u8>,
    overlay_hash: String,
    store: Store,
    cache: Cache,
}

impl Sealed {
    /// Prepares this host: finds QEMU, builds the image when the cache has none, packs our own executable.
    ///
    /// # Errors
    /// [`PlaceError::NoQemu`], [`PlaceError::Image`], [`PlaceError::Executable`].
    pub fn open(progress: &mut dyn FnMut(&str)) -> Result<Self, PlaceError> {
        let own =
            std::env::current_exe().map_err(|e| PlaceError::io("find", "our own executable", e))?;
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
        let overlay_hash = hex(&Sha256::digest(&overlay));
        Ok(Self {
            image,
            qemu,
            overlay,
            overlay_hash,
            store: Store::new(cache),
            cache: cache.clone(),
        })
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
    pub fn execute(
        &self,
        execution: &Execution,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Files, PlaceError> {
        let job = archive::pack(execution.job).map_err(PlaceError::Archive)?;
        self.on_the_way(execution, progress, |lab| {
            let mut machine = match execution.start {
                Start::Cold => lab.build_cold(&job)?,
                Start::Warm => lab.fork(&job, Pace::Virtual)?,
            };
            machine.go_on(lab.clock)?;
            machine.wait_for_bell(lab.clock, lab.progress)?;
            archive::unpack(&machine.output()?).map_err(PlaceError::Archive)
        })
    }

    /// A fork of the warm lab, about to begin its job: for a lab that lives on. The execution's deadline is that of
    /// making the warm lab and forking it.
    ///
    /// # Errors
    /// As [`Sealed::execute`].
    pub fn fork(
        &self,
        execution: &Execution,
        pace: Pace,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Machine, PlaceError> {
        let job = archive::pack(execution.job).map_err(PlaceError::Archive)?;
        self.on_the_way(execution, progress, |lab| {
            lab.built()?;
            // It may stand idle for hours, and keeps no processor from those that work.
            lab.processor = None;
            let mut machine = lab.fork(&job, pace)?;
            machine.go_on(lab.clock)?;
            Ok(machine)
        })
    }

    /// Makes the warm lab now, if it is not there yet.
    ///
    /// # Errors
    /// As [`Sealed::execute`].
    pub fn warm_up(
        &self,
        execution: &Execution,
        progress: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, PlaceError> {
        self.on_the_way(execution, progress, |lab| {
            Ok(lab.built()?.folder().to_owned())
        })
    }

    fn on_the_way<T>(
        &self,
        execution: &Execution,
        progress: &mut dyn FnMut(&str),
        work: impl FnOnce(&mut Lab) -> Result<T, PlaceError>,
    ) -> Result<T, PlaceError> {
        let clock = Clock::new(execution.deadline);
        let topology = archive::pack(execution.topology).map_err(PlaceError::Archive)?;
        work(&mut Lab {
            sealed: self,
            execution,
            topology: &topology,
            processor: Processor::free(&self.cache),
            clock: &clock,
            progress,
        })
    }
}

/// The way of one execution to a machine that stands still, built, with its job in place.
struct Lab<'a> {
    sealed: &'a Sealed,
    execution: &'a Execution<'a>,
    topology: &'a [u8],
    processor: Option<Processor>,
    clock: &'a Clock,
    progress: &'a mut dyn FnMut(&str),
}

impl Lab<'_> {
    /// Boots, builds, keeps nothing. The machine stops at the same instructions as one that is kept does, and so has the
    /// same history.
    fn build_cold(&mut self, job: &[u8]) -> Result<Machine, PlaceError> {
        let mut machine = self.boot(&memory(self.execution)?)?;
        self.build(&mut machine)?;
        machine.window.set_job(self.execution.seed, job)?;
        Ok(machine)
    }

    /// A private copy of the warm lab.
    fn fork(&mut self, job: &[u8], pace: Pace) -> Result<Machine, PlaceError> {
        let lab = self.built()?;
        let prepare = |window: &Window| {
            window.prepare(self.topology)?;
            window.set_job(self.execution.seed, job)?;
            window.set_state(State::Built);
            Ok(())
        };
        let boot = Boot::Fork {
            ram: &lab.ram(),
            pace,
        };
        let mut machine = self.start(&boot, &prepare)?;
        let state = match pace {
            Pace::Virtual => lab.open_state()?,
            Pace::Real => lab.real_time_state()?,
        };
        machine.restore(&state, self.clock)?;
        Ok(machine)
    }

    /// The lab with its topology built and converged, made from the booted one if need be.
    fn built(&mut self) -> Result<WarmLab, PlaceError> {
        let key = Key::new(&[&self.booted_identity(), self.topology]);
        self.sealed.store.open(&key, &mut |folder| {
            let booted = self.booted()?;
            (self.progress)("warm lab: building and converging the topology, once");
            let ram = booted.ram_copy()?;
            let prepare = |window: &Window| {
                window.prepare(self.topology)?;
                window.set_state(State::Booted);
                Ok(())
            };
            let mut machine = self.start(&Boot::Continue { ram: &ram }, &prepare)?;
            machine.restore(&booted.open_state()?, self.clock)?;
            self.build(&mut machine)?;
            self.keep(machine, &ram, folder)
        })
    }

    /// The lab that has booted and not read any topology yet.
    fn booted(&mut self) -> Result<WarmLab, PlaceError> {
        let key = Key::new(&[&self.booted_identity()]);
        self.sealed.store.open(&key, &mut |folder| {
            (self.progress)("warm lab: booting, once");
            let ram = memory(self.execution)?;
            let machine = self.boot(&ram)?;
            self.keep(machine, &ram, folder)
        })
    }

    fn booted_identity(&self) -> Vec<u8> {
        let qemu = self.sealed.qemu.identity(self.execution.memory_mib);
        [
            self.sealed.image.manifest.id.as_bytes(),
            qemu.as_bytes(),
            self.sealed.overlay_hash.as_bytes(),
        ]
        .concat()
    }

    fn boot(&mut self, ram: &File) -> Result<Machine, PlaceError> {
        let initrd = join(&self.sealed.image.root(), &self.sealed.overlay)?;
        let prepare = |window: &Window| Ok(window.prepare(self.topology)?);
        let mut machine = self.start(
            &Boot::Fresh {
                initrd: &initrd,
                ram,
            },
            &prepare,
        )?;
        machine.wait_for(State::Booted, self.clock, self.progress)?;
        Ok(machine)
    }

    fn build(&mut self, machine: &mut Machine) -> Result<(), PlaceError> {
        machine.go_on(self.clock)?;
        machine.wait_for(State::Built, self.clock, self.progress)
    }

    fn keep(&self, mut machine: Machine, ram: &File, folder: &Path) -> Result<(), PlaceError> {
        let state = machine.device_state(self.clock)?;
        drop(machine);
        warm::keep(folder, ram, state)
    }

    fn start(
        &self,
        boot: &Boot,
        prepare: &dyn Fn(&Window) -> Result<(), PlaceError>,
    ) -> Result<Machine, PlaceError> {
        let kernel = self.sealed.image.kernel();
        self.sealed.qemu.start(
            boot,
            &kernel,
            self.execution.memory_mib,
            self.processor.as_ref(),
            prepare,
            self.clock.end,
        )
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
        Self {
            deadline,
            end: Instant::now() + deadline,
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }
}

impl Machine {
    /// Waits for the doorbell, and that the guest has come as far as `state`.
    fn wait_for(
        &mut self,
        state: State,
        clock: &Clock,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), PlaceError> {
        self.wait_for_bell(clock, progress)?;
        match self.window.state() {
            Some(found) if found == state => Ok(()),
            _ => Err(self.output().err().unwrap_or_else(|| PlaceError::Guest {
                message: "it was done before its work began".into(),
                words: self.last_words(),
            })),
        }
    }

    /// Waits until the guest has rung its doorbell and stands still.
    fn wait_for_bell(
        &mut self,
        clock: &Clock,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), PlaceError> {
        loop {
            let event = self.qmp.next_event(GLANCE);
            for line in self.window.log_since(&mut self.log_cursor) {
                progress(&line);
            }
            match event {
                Ok(Some(event)) if event == "STOP" => return Ok(()),
                Ok(_) if clock.is_over() => return Err(self.too_late(clock)),
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
                return Err(self.too_late(clock));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn go_on(&mut self, clock: &Clock) -> Result<(), PlaceError> {
        self.ask("cont", json!({}), clock).map(drop)
    }

    /// Lets a stopped machine go on.
    pub(super) fn resume(&mut self) -> Result<(), PlaceError> {
        self.go_on(&Clock::new(ANSWER))
    }

    /// Whether the guest has rung its doorbell since this was asked last.
    pub(super) fn has_stopped(&mut self) -> Result<bool, PlaceError> {
        while let Some(event) = self
            .qmp
            .next_event(Duration::ZERO)
            .map_err(|e| self.failure(e))?
        {
            if event == "STOP" {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The state of the devices, for another machine to go on from. The RAM is in its own file already.
    fn device_state(&mut self, clock: &Clock) -> Result<Vec<u8>, PlaceError> {
        let mut state = memory_file("state", 0)?;
        let uri = self.migration_to_or_from(&state, clock)?;
        self.ask("migrate", json!({ "uri": uri }), clock)?;
        loop {
            let status = self.ask("query-migrate", json!({}), clock)?;
            match status["status"].as_str() {
                Some("completed") => break,
                Some("failed" | "cancelled") => {
                    let reason = status["error-desc"]
                        .as_str()
                        .unwrap_or("no reason given")
                        .to_owned();
                    let refused = QmpError::Refused {
                        command: "migrate".into(),
                        reason,
                    };
                    return Err(PlaceError::Qmp(refused, self.last_words()));
                }
                _ if clock.is_over() => return Err(self.too_late(clock)),
                _ => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        let mut bytes = Vec::new();
        let read = state
            .seek(SeekFrom::Start(0))
            .and_then(|_| state.read_to_end(&mut bytes));
        read.map_err(|e| PlaceError::io("read", "the devices' state", e))?;
        Ok(bytes)
    }

    /// Prepares a migration that leaves out the RAM, which is in a file, and hands over the file for the rest.
    fn migration_to_or_from(&mut self, state: &File, clock: &Clock) -> Result<String, PlaceError> {
        let capabilities =
            json!({ "capabilities": [{ "capability": "x-ignore-shared", "state": true }] });
        self.ask("migrate-set-capabilities", capabilities, clock)?;
        let sent = self.qmp.send_descriptor("state", state, clock.end);
        sent.map_err(|error| self.failure(error))?;
        Ok("fd:state".to_owned())
    }

    fn ask(
        &mut self,
        command: &str,
        arguments: serde_json::Value,
        clock: &Clock,
    ) -> Result<serde_json::Value, PlaceError> {
        self.qmp
            .command(command, arguments, clock.end)
            .map_err(|error| match error {
                QmpError::Timeout { .. } if clock.is_over() => self.too_late(clock),
                other => self.failure(other),
            })
    }

    /// What the guest handed over when it rang.
    pub(super) fn output(&self) -> Result<Vec<u8>, PlaceError> {
        self.window.result(self.last_words())
    }

    fn too_late(&self, clock: &Clock) -> PlaceError {
        PlaceError::Deadline {
            deadline: clock.deadline,
            words: self.last_words(),
        }
    }
}
