//! What our executable does as the sealed lab's init.
//!
//! Process 1 mounts, loads modules, starts one worker and from then on only reaps: orphans of the lab are its
//! children, the program's own children are the worker's, so nobody's exit status is stolen.

mod system;

use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{ForkResult, Pid, fork};

use super::shared_memory::{State, Window};
use super::{DEFAULT_PROGRAM, Files, PROGRAM_ENTRY, Program, archive, doorbell};

/// Finds a program by name.
pub type Programs<'a> = &'a dyn Fn(&str) -> Option<Box<dyn Program>>;

/// Becomes the sealed lab's init. Returns only when it is not process 1, or could not even tell the host.
///
/// Must be called before any thread is started.
///
/// # Errors
/// Why it is no init.
pub fn init(programs: Programs) -> Result<std::convert::Infallible, String> {
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
    doorbell::open().map_err(|e| format!("could not get at the doorbell's port: {e}"))?;
    if let Err(reason) = system::prepare(&window) {
        give_up(&window, &reason);
    }
    // SAFETY: no thread has been started, so the child may do anything.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => work(&window, programs),
        Ok(ForkResult::Parent { child }) => reap(&window, child),
        Err(errno) => give_up(&window, &format!("could not start the worker: {errno}")),
    }
}

/// The worker's whole life.
fn work(window: &Window, programs: Programs) -> ! {
    if let Err(failure) = phases(window, programs) {
        window.finish(failure.state, failure.message.as_bytes());
    }
    stand_still()
}

struct Failure {
    state: State,
    message: String,
}

fn phases(window: &Window, programs: Programs) -> Result<(), Failure> {
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
    pause(window, State::Booted);
    let topology = archive::unpack(&window.topology()).map_err(guest)?;
    let mut program = choose(&topology, programs).map_err(build)?;
    let mut log = |line: &str| window.append_log(line);
    guarded(|| program.build(&topology, &mut log)).map_err(build)?;
    drop(topology);

    pause(window, State::Built);
    let (seed, job) = window.job();
    system::reseed(seed).map_err(guest)?;
    let job = archive::unpack(&job).map_err(guest)?;
    let output = guarded(|| program.run(&job, &mut log)).map_err(run)?;
    let output = archive::pack(&output).map_err(run)?;
    window.finish(State::Done, &output);
    Ok(())
}

/// Stops the machine. It goes on in a fork, perhaps long after, with another window: what is in that must not have been
/// read before.
fn pause(window: &Window, state: State) {
    window.set_state(state);
    let before = system::monotonic_ns();
    doorbell::ring();
    window.set_pause_gap_ns(system::monotonic_ns().saturating_sub(before));
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
fn reap(window: &Window, worker: Pid) -> ! {
    loop {
        match wait() {
            Ok(WaitStatus::Exited(pid, status)) if pid == worker => {
                give_up(
                    window,
                    &format!("its worker ended with exit status {status}"),
                );
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == worker => {
                give_up(window, &format!("its worker was ended by {signal}"));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => give_up(window, &format!("it lost its worker: {errno}")),
        }
    }
}

fn give_up(window: &Window, reason: &str) -> ! {
    window.finish(State::GuestFailed, reason.as_bytes());
    stand_still()
}

/// Everything is said: stops the machine until the host ends it.
fn stand_still() -> ! {
    loop {
        doorbell::ring();
    }
}
