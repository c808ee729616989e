//! Speaks QEMU's machine protocol: newline-delimited JSON over a socket.
//!
//! Source: QEMU's docs/interop/qmp-spec.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use serde_json::{Value, json};

/// A connection to one QEMU.
pub struct Qmp {
    stream: UnixStream,
    received: Vec<u8>,
    events: VecDeque<String>,
}

/// Why QEMU could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// The other side closed: QEMU is gone, or going.
    #[error("QEMU closed its control connection")]
    Closed,
    /// No answer in time.
    #[error("QEMU did not answer `{command}` in time")]
    Timeout {
        /// What was asked.
        command: String,
    },
    /// QEMU said no.
    #[error("QEMU refused `{command}`: {reason}")]
    Refused {
        /// What was asked.
        command: String,
        /// QEMU's words.
        reason: String,
    },
    /// The connection failed.
    #[error("the control connection to QEMU failed: {0}")]
    Io(#[from] io::Error),
}

impl Qmp {
    /// Takes over a fresh connection: waits for the greeting and leaves negotiation mode.
    pub fn open(stream: UnixStream, deadline: Instant) -> Result<Self, QmpError> {
        let mut qmp = Self {
            stream,
            received: Vec::new(),
            events: VecDeque::new(),
        };
        while qmp.message("greeting", deadline)?.get("QMP").is_none() {}
        qmp.command("qmp_capabilities", json!({}), deadline)?;
        Ok(qmp)
    }

    /// Sends a command and waits for its reply; events that come in between are kept.
    pub fn command(
        &mut self,
        name: &str,
        arguments: Value,
        deadline: Instant,
    ) -> Result<Value, QmpError> {
        let mut line = json!({ "execute": name, "arguments": arguments }).to_string();
        line.push('\n');
        self.stream
            .write_all(line.as_bytes())
            .map_err(closed_or_io)?;
        self.reply(name, deadline)
    }

    fn reply(&mut self, name: &str, deadline: Instant) -> Result<Value, QmpError> {
        loop {
            let mut message = self.message(name, deadline)?;
            if let Some(value) = message.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = message.get("error") {
                let reason = error["desc"]
                    .as_str()
                    .unwrap_or("no reason given")
                    .to_owned();
                return Err(QmpError::Refused {
                    command: name.to_owned(),
                    reason,
                });
            }
            self.keep_event(&message);
        }
    }

    /// Hands QEMU a descriptor that later commands know as `name`.
    pub fn send_descriptor(
        &mut self,
        name: &str,
        file: &File,
        deadline: Instant,
    ) -> Result<(), QmpError> {
        let line =
            json!({ "execute": "getfd", "arguments": { "fdname": name } }).to_string() + "\n";
        let descriptors = [file.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&descriptors)];
        let content = [IoSlice::new(line.as_bytes())];
        let sent = sendmsg::<()>(
            self.stream.as_raw_fd(),
            &content,
            &rights,
            MsgFlags::empty(),
            None,
        );
        sent.map_err(|errno| closed_or_io(errno.into()))?;
        self.reply("getfd", deadline).map(drop)
    }

    /// The next event's name; none when `patience` runs out first.
    pub fn next_event(&mut self, patience: Duration) -> Result<Option<String>, QmpError> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            match self.message("an event", deadline) {
                Ok(message) => self.keep_event(&message),
                Err(QmpError::Timeout { .. }) => return Ok(None),
                Err(other) => return Err(other),
            }
        }
    }

    fn keep_event(&mut self, message: &Value) {
        self.events
            .extend(message["event"].as_str().map(str::to_owned));
    }

    fn message(&mut self, waiting_for: &str, deadline: Instant) -> Result<Value, QmpError> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return serde_json::from_slice(&line)
                    .map_err(|e| QmpError::Io(io::Error::other(e)));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut ready = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ready, patience) {
                Ok(0) => {
                    return Err(QmpError::Timeout {
                        command: waiting_for.to_owned(),
                    });
                }
                Ok(_) => {}
                Err(nix::errno::Errno::EINTR) => continue,
                Err(errno) => return Err(QmpError::Io(errno.into())),
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk).map_err(closed_or_io)? {
                0 => return Err(QmpError::Closed),
                count => self.received.extend_from_slice(&chunk[..count]),
            }
        }
    }
}

fn closed_or_io(error: io::Error) -> QmpError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => QmpError::Closed,
        _ => QmpError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A QEMU that says `lines` at once and reads nothing.
    fn scripted(lines: &str) -> (UnixStream, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(lines.as_bytes()).unwrap();
        (ours, theirs)
    }

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    const GREETING: &str = "{\"QMP\": {}}\r\n{\"return\": {}}\r\n";

    #[test]
    fn replies_and_events_are_told_apart() {
        let script = format!(
            "{GREETING}{{\"event\": \"STOP\"}}\r\n{{\"return\": {{\"status\": \"paused\"}}}}\r\n"
        );
        let (ours, _theirs) = scripted(&script);
        let mut qmp = Qmp::open(ours, far()).unwrap();
        assert_eq!(
            qmp.command("query-status", json!({}), far()).unwrap()["status"],
            "paused"
        );
        assert_eq!(
            qmp.next_event(Duration::ZERO).unwrap().as_deref(),
            Some("STOP")
        );
        assert_eq!(qmp.next_event(Duration::ZERO).unwrap(), None);
    }

    #[test]
    fn a_refusal_carries_the_reason() {
        let (ours, _theirs) = scripted(&format!(
            "{GREETING}{{\"error\": {{\"desc\": \"not now\"}}}}\n"
        ));
        let error = Qmp::open(ours, far())
            .unwrap()
            .command("cont", json!({}), far())
            .unwrap_err();
        assert_eq!(error.to_string(), "QEMU refused `cont`: not now");
    }

    #[test]
    fn a_connection_that_ends_is_closed_and_a_silent_one_times_out() {
        let (ours, theirs) = scripted(GREETING);
        let mut qmp = Qmp::open(ours, far()).unwrap();
        let now = Instant::now();
        assert!(matches!(
            qmp.command("stop", json!({}), now),
            Err(QmpError::Timeout { .. })
        ));
        drop(theirs);
        assert!(matches!(
            qmp.next_event(Duration::from_secs(60)),
            Err(QmpError::Closed)
        ));
    }
}
