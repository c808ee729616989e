//! The same monitor over a capture: what was captured once is heard as if it were heard now.
//!
//! Frames come out of a [`file`], pass the capture [`filter`] that a live monitor would have set, are put into the
//! [`order`] of their stamps, and reach the core's `Session`, whose time is the capture's ([`replay`]). What the session
//! would send is thrown away. Memory depends on what the control plane says, not on the capture's length.

mod error;
mod file;
mod filter;
mod order;
mod replay;
mod setup;
mod tally;
#[cfg(test)]
mod tests;
mod twin;

use std::io::{self, Write};

use vmscope_core::config::LogLevel;

use crate::cli::ReadArgs;
use crate::exit::Exit;
use error::ReadError;
use file::{CaptureFile, Next};
use replay::Replay;
use setup::Setup;

/// Reads a capture and says what was in it.
pub fn run(arguments: &ReadArgs, json: bool) -> Exit {
    crate::daemon::log_to_stderr(LogLevel::Warn);
    match read(arguments, json) {
        Ok(()) => Exit::Done,
        Err(error) => {
            eprintln!("vmscope: {error}");
            match error.is_usage() {
                true => Exit::Usage,
                false => Exit::Unable,
            }
        }
    }
}

/// What stops the reading is said last: what was read before it stands.
fn read(arguments: &ReadArgs, json: bool) -> Result<(), ReadError> {
    let setup = Setup::of(arguments)?;
    let mut file = CaptureFile::open(&arguments.file)?;
    let mut replay = Replay::new(setup, arguments, json);
    let read = read_all(&mut file, &mut replay);
    // A database that failed fails again: nothing more is written then.
    if let Err(error @ (ReadError::Store(_) | ReadError::Results(_))) = read {
        return Err(error);
    }
    replay.finish(&file)?;
    read
}

fn read_all(file: &mut CaptureFile, replay: &mut Replay) -> Result<(), ReadError> {
    loop {
        match file.poll_next()? {
            Next::Frame(frame) => replay.handle_frame(&frame)?,
            Next::Other => {}
            Next::End => return Ok(()),
        }
    }
}

/// Writes to stdout; whoever closed it early (`| head`) has seen enough.
fn show(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
