//! A lab that lives on after it was built, seen from the host: bytes go both ways until it is dropped, or dies.

use std::collections::VecDeque;

use super::Execution;
use super::error::PlaceError;
use super::native::{Ended, Native, last_words};
use super::qemu::{Machine, Pace};
use super::sealed::Sealed;
use super::shared_memory::{State, Stream, Window};

/// A lab that is ended, with everything in it, when it is dropped. It must be dropped by, and not outlive, the thread
/// that made it: the kernel ends it with that thread.
pub struct Living {
    kind: Kind,
    log_cursor: u64,
}

enum Kind {
    Sealed {
        machine: Box<Machine>,
        pace: Pace,
        is_running: bool,
    },
    Native {
        child: Ended,
        window: Window,
    },
}

/// What came out of a lab.
#[derive(Debug, Default)]
pub struct Received {
    /// Of its stream.
    pub bytes: Vec<u8>,
    /// Of its log.
    pub log: Vec<String>,
}

impl Living {
    /// Forks a warm lab (making it if need be) that begins its job. `progress` gets the lines of its making.
    ///
    /// # Errors
    /// As [`Sealed::execute`].
    pub fn sealed(
        sealed: &Sealed,
        execution: &Execution,
        pace: Pace,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, PlaceError> {
        let machine = Box::new(sealed.fork(execution, pace, progress)?);
        let log_cursor = machine.log_cursor;
        Ok(Self {
            kind: Kind::Sealed {
                machine,
                pace,
                is_running: true,
            },
            log_cursor,
        })
    }

    /// Starts a lab in this host's own kernel; it is building when this returns.
    ///
    /// # Errors
    /// As [`Native::execute`].
    pub fn native(native: &Native, execution: &Execution) -> Result<Self, PlaceError> {
        let (child, window) = native.start(execution)?;
        Ok(Self {
            kind: Kind::Native { child, window },
            log_cursor: 0,
        })
    }

    /// Gives the lab what is outgoing, as far as it takes it now, and takes what it has said. Does not wait. A lab in
    /// virtual time takes and gives only when it stands still; it goes on when there is reason to.
    ///
    /// # Errors
    /// How the lab ended.
    pub fn exchange(&mut self, outgoing: &mut VecDeque<u8>) -> Result<Received, PlaceError> {
        let bytes = match &mut self.kind {
            Kind::Native { child, window } => {
                let ended = child.has_ended()?;
                let received = both_ways(window, outgoing);
                if ended && received.is_empty() {
                    return Err(over(window));
                }
                received
            }
            Kind::Sealed {
                machine,
                pace: Pace::Real,
                ..
            } => {
                // The guest rings only when it has failed.
                if machine.has_stopped()? {
                    return Err(failed(machine));
                }
                both_ways(&machine.window, outgoing)
            }
            Kind::Sealed {
                machine,
                pace: Pace::Virtual,
                is_running,
            } => by_turns(machine, is_running, outgoing)?,
        };
        Ok(Received {
            bytes,
            log: self.log(),
        })
    }

    /// Whether time passes in the lab.
    pub fn is_running(&self) -> bool {
        match &self.kind {
            Kind::Sealed { is_running, .. } => *is_running,
            Kind::Native { .. } => true,
        }
    }

    fn log(&mut self) -> Vec<String> {
        let window = match &self.kind {
            Kind::Sealed { machine, .. } => &machine.window,
            Kind::Native { window, .. } => window,
        };
        window.log_since(&mut self.log_cursor)
    }
}

fn both_ways(window: &Window, outgoing: &mut VecDeque<u8>) -> Vec<u8> {
    let sent = window.send(Stream::ToGuest, outgoing.make_contiguous());
    outgoing.drain(..sent);
    window.receive(Stream::ToHost)
}

fn by_turns(
    machine: &mut Machine,
    is_running: &mut bool,
    outgoing: &mut VecDeque<u8>,
) -> Result<Vec<u8>, PlaceError> {
    if *is_running && !machine.has_stopped()? {
        return Ok(Vec::new());
    }
    if machine.window.state() != Some(State::Built) {
        return Err(failed(machine));
    }
    *is_running = false;
    let received = both_ways(&machine.window, outgoing);
    // It may have been told something when it stopped before, and not have looked since.
    if machine.window.is_busy() || machine.window.is_waiting(Stream::ToGuest) {
        machine.resume()?;
        *is_running = true;
    }
    Ok(received)
}

fn failed(machine: &Machine) -> PlaceError {
    machine
        .output()
        .err()
        .unwrap_or_else(|| over(&machine.window))
}

fn over(window: &Window) -> PlaceError {
    let words = last_words(window);
    let early = |words| PlaceError::EarlyExit { words };
    window
        .result(words.clone())
        .err()
        .unwrap_or_else(|| early(words))
}
