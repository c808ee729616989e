//! What our executable does as the sealed lab's init.
//!
//! Process 1 mounts, loads modules, starts one worker and from then on only reaps: orphans of the lab are its
//! children, the program's own children are the worker's, so nobody's exit status is stolen.

mod native;
mod system;

use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{ForkResult, Pid, fork};

use super::doorbell::Doorbell;
use super::shared_memory::{Area, State, Window};
use super::{DEFAULT_PROGRAM, Files, LIVE_ENTRY, Line, PROGRAM_ENTRY, Pace, Program, archive};

/// Finds a program by name.
pub type Programs<'a> = &'a dyn Fn(&str) -> Option<Box<dyn Program>>;

/// Becomes the sealed lab's init. Returns only when it is not process 1, or could not even tell the host.
///
/// Must be called before any thread is started.
///
/// # Errors
/// Why it is no init.
pub fn init(programs: Programs) -> Result<std::convert::Infallible, String> {
    if let Some(number) = std::env::var_os(super::native::WINDOW) {
        native::become_init()?;
        let host = Host {
            window: native::open_window(&number)?,
            bell: None,
        };
        begin(&host, programs)
    }
    if std::process::id() != 1 {
        return Err(
            "`guest` is what runs inside the sealed lab, as its process 1; use `mvpnlab run` here"
                .into(),
        );
    }
    // SAFETY: no thread has been started. The lab's own programs must not see the host's libraries.
    unsafe {
        std::env::remove_var(super::overlay::LIBRARY_PATH.0);
        std::env::set_var("PATH", "/usr/sbin:/usr/bin:/usr/lib/frr");
    }
    system::mount_all()?;
    let window = system::open_window()?;
    let bell = Doorbell::open().map_err(|e| format!("could not get at the doorbell: {e}"))?;
    let host = Host {
        window,
        bell: Some(bell),
    };
    if let Err(reason) = system::prepare(&host.window) {
        give_up(&host, &reason);
    }
    begin(&host, programs)
}

/// Process 1 of the guest, or of a native lab's process namespace, with everything in place.
fn begin(host: &Host, programs: Programs) -> ! {
    // SAFETY: no thread has been started, so the child may do anything.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => work(host, programs),
        Ok(ForkResult::Parent { child }) => reap(host, child),
        Err(errno) => give_up(host, &format!("could not start the worker: {errno}")),
    }
}

/// The worker's whole life.
fn work(host: &Host, programs: Programs) -> ! {
    if let Err(failure) = phases(host, programs) {
        host.window
            .finish(failure.state, failure.message.as_bytes());
    }
    host.stand_still()
}

/// The way to the host: the window, and the bell that stops the machine for the host to look at it.
struct Host {
    window: Window,
    /// None in a native lab: there is no machine to stop.
    bell: Option<Doorbell>,
}

/// More virtual time than two instructions and a timer's interrupt take.
const PAUSE_NS_MAX: u64 = 1_000_000;

impl Host {
    /// Stops the machine. It goes on in a fork, perhaps long after, with another window: what is in that must not have
    /// been read before.
    fn pause(&self, state: State) -> Result<(), Doubt> {
        self.window.set_state(state);
        let Some(bell) = &self.bell else {
            return Ok(());
        };
        let before = system::monotonic_ns();
        bell.ring();
        let passed = system::monotonic_ns().saturating_sub(before);
        match passed > PAUSE_NS_MAX {
            true => Err(Doubt { passed_ns: passed }),
            false => Ok(()),
        }
    }

    fn note(&self, paused: Result<(), Doubt>) {
        if let Err(Doubt { passed_ns }) = paused {
            let text = format!(
                "guest: {passed_ns} ns passed in a pause: QEMU has kept a timer, runs may not repeat"
            );
            self.window.append_log(&text);
        }
    }

    /// Everything is said: stops the machine until the host ends it.
    fn stand_still(&self) -> ! {
        let Some(bell) = &self.bell else {
            std::process::exit(0)
        };
        loop {
            bell.ring();
        }
    }
}

/// Time passed where none should.
struct Doubt {
    passed_ns: u64,
}

struct Failure {
    state: State,
    message: String,
}

fn phases(host: &Host, programs: Programs) -> Result<(), Failure> {
    let guest = |message: String| Failure {
        state: State::GuestFailed,
        message,
    };
    let build = |message: String| Failure {
        state: State::BuildFailed,
        message,
    };
    let run = |message: String| Failure {
        state: State::RunFailed,
        message,
    };
    host.note(host.pause(State::Booted));
    let topology = unpack(host.window.topology()).map_err(guest)?;
    let mut program = choose(&topology, programs).map_err(build)?;
    let mut log = |line: &str| host.window.append_log(line);
    guarded(|| program.build(&topology, &mut log)).map_err(build)?;
    drop(topology);

    let paused = host.pause(State::Built);
    let (seed, job) = host.window.job();
    // Natively the generator is the host's, and not ours to seed.
    if host.bell.is_some() {
        system::reseed(seed).map_err(guest)?;
    }
    let job = unpack(job).map_err(guest)?;
    let output = match job.get(LIVE_ENTRY) {
        Some(pace) => {
            let line = line(host, pace).map_err(guest)?;
            if line.pace() == Pace::Virtual {
                host.note(paused);
            }
            guarded(|| program.live(&job, &line)).map(|()| Files::new())
        }
        None => {
            host.note(paused);
            guarded(|| program.run(&job, &mut log))
        }
    };
    let output = output.map_err(run)?;
    let left = archive::pack_into(host.window.room(), &output).map_err(run)?;
    host.window.finish_in_place(State::Done, &left);
    Ok(())
}

fn unpack(area: Area<'_>) -> Result<Files, String> {
    let length = area.len();
    archive::unpack_from(area, length)
}

/// The line of a lab that lives on. In real time the kernel must not go on counting the processor's ticks: it has
/// measured them in virtual time, and now they pass at the host's rate.
fn line<'a>(host: &'a Host, pace: &[u8]) -> Result<Line<'a>, String> {
    let pace = Pace::of_name(&String::from_utf8_lossy(pace));
    let pace = pace.ok_or("the job does not say whose time the lab lives in")?;
    if host.bell.is_some() && pace == Pace::Real {
        system::leave_virtual_time()?;
    }
    Ok(Line::new(&host.window, host.bell.as_ref(), pace))
}

fn choose(topology: &Files, programs: Programs) -> Result<Box<dyn Program>, String> {
    let name = topology
        .get(PROGRAM_ENTRY)
        .map(|bytes| String::from_utf8_lossy(bytes));
    let name = name.as_deref().unwrap_or(DEFAULT_PROGRAM).trim();
    programs(name).ok_or_else(|| format!("this executable has no program named {name:?}"))
}

/// Turns a panic into an error; its place in the code is on the console.
fn guarded<T>(step: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(result) => result,
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!(
                "the program panicked: {}",
                text.unwrap_or("no reason given")
            ))
        }
    }
}

/// Process 1 after its start: reaps whatever ends, and tells the host when the worker does.
fn reap(host: &Host, worker: Pid) -> ! {
    loop {
        match wait() {
            Ok(WaitStatus::Exited(pid, 0)) if pid == worker && host.bell.is_none() => {
                std::process::exit(0)
            }
            Ok(WaitStatus::Exited(pid, status)) if pid == worker => {
                give_up(host, &format!("its worker ended with exit status {status}"));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == worker => {
                give_up(host, &format!("its worker was ended by {signal}"));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => give_up(host, &format!("it lost its worker: {errno}")),
        }
    }
}

fn give_up(host: &Host, reason: &str) -> ! {
    host.window.finish(State::GuestFailed, reason.as_bytes());
    host.stand_still()
}
