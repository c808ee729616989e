//! The other end of the control socket, or of control from afar: asks, and reads answers and events.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use vmscope_core::control::{Operation, Reply, Request, ServerLine};

use crate::remote::Wire;

/// A daemon could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody serves the place, or does not let us in.
    #[error("cannot reach a vmscope daemon at {place}: {source}; {}", place.remedy())]
    Unreachable {
        /// Where.
        place: Box<Place>,
        /// Why.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to the daemon broke: {0}; see whether it still runs (vmscope status)")]
    Broken(io::Error),
    /// It said something that is not in the contract.
    #[error("cannot understand what the daemon says: {0}; use the vmscope of the daemon's version")]
    Foreign(serde_json::Error),
}

/// Where a daemon is.
#[derive(Debug, Clone)]
pub enum Place {
    /// On this host: its control socket.
    Here(PathBuf),
    /// Elsewhere.
    Afar(Wire),
}

impl Place {
    fn remedy(&self) -> &'static str {
        match self {
            Place::Here(_) => {
                "start one (vmscope daemon --config FILE), or name its socket with --socket PATH"
            }
            Place::Afar(_) => {
                "see whether it runs with [remote] in its configuration, and whether --certificate and --token-file are for it"
            }
        }
    }

    fn open(&self) -> io::Result<BufReader<Box<dyn Stream>>> {
        Ok(match self {
            Place::Here(path) => BufReader::new(Box::new(UnixStream::connect(path)?)),
            Place::Afar(wire) => BufReader::new(Box::new(wire.connect()?)),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Here(path) => path.display().fmt(f),
            Place::Afar(wire) => f.write_str(&wire.address),
        }
    }
}

/// What can be read from and written to.
trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// A connection to a daemon.
pub struct Client {
    stream: BufReader<Box<dyn Stream>>,
    last_id: u64,
}

/// A line as it came, and what it means.
pub struct Heard {
    /// JSON, without the line's end.
    pub json: String,
    /// What it means.
    pub line: ServerLine,
}

impl Client {
    /// Connects to the daemon at a place.
    pub fn connect(place: &Place) -> Result<Client, ClientError> {
        let stream = place.open().map_err(|source| ClientError::Unreachable {
            place: Box::new(place.clone()),
            source,
        })?;
        Ok(Client { stream, last_id: 0 })
    }

    /// Asks, and waits for the reply. Returns it as it came, too.
    pub fn ask(&mut self, operation: Operation) -> Result<(String, Reply), ClientError> {
        self.last_id += 1;
        let request = Request {
            id: self.last_id,
            operation,
        };
        let line = serde_json::to_string(&request).map_err(ClientError::Foreign)? + "\n";
        let writer = self.stream.get_mut();
        writer
            .write_all(line.as_bytes())
            .and_then(|()| writer.flush())
            .map_err(ClientError::Broken)?;
        loop {
            match self.hear()? {
                Some(Heard {
                    json,
                    line: ServerLine::Reply(reply),
                }) => return Ok((json, *reply)),
                Some(Heard {
                    line: ServerLine::Event(_),
                    ..
                }) => {}
                None => return Err(ClientError::Broken(io::ErrorKind::UnexpectedEof.into())),
            }
        }
    }

    /// The next line; none once the daemon has closed the connection.
    pub fn hear(&mut self) -> Result<Option<Heard>, ClientError> {
        let mut json = String::new();
        if self
            .stream
            .read_line(&mut json)
            .map_err(ClientError::Broken)?
            == 0
        {
            return Ok(None);
        }
        json.truncate(json.trim_end().len());
        let line = serde_json::from_str(&json).map_err(ClientError::Foreign)?;
        Ok(Some(Heard { json, line }))
    }
}
