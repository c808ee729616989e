//! The other end of the control socket: asks, and reads answers and events.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use vmscope_core::control::{Operation, Reply, Request, ServerLine};

/// A daemon could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody serves the socket.
    #[error(
        "cannot reach a vmscope daemon at {path}: {source}; start one (vmscope daemon --config FILE), or name its socket with --socket PATH"
    )]
    Unreachable {
        /// Where.
        path: PathBuf,
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

/// A connection to a daemon.
pub struct Client {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
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
    /// Connects to the daemon that serves `path`.
    pub fn connect(path: &Path) -> Result<Client, ClientError> {
        let unreachable = |source| ClientError::Unreachable {
            path: path.to_owned(),
            source,
        };
        let writer = UnixStream::connect(path).map_err(unreachable)?;
        let reader = BufReader::new(writer.try_clone().map_err(unreachable)?);
        Ok(Client {
            reader,
            writer,
            last_id: 0,
        })
    }

    /// Asks, and waits for the reply. Returns it as it came, too.
    pub fn ask(&mut self, operation: Operation) -> Result<(String, Reply), ClientError> {
        self.last_id += 1;
        let request = Request {
            id: self.last_id,
            operation,
        };
        let line = serde_json::to_string(&request).map_err(ClientError::Foreign)? + "\n";
        self.writer
            .write_all(line.as_bytes())
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
            .reader
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
