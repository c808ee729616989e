//! A client of a keeper: asks once, and passes streams on.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use thiserror::Error;

use super::frame::{Frame, Kind, Nonsense, Parser};
use super::registry::Place;
use super::request::{Reply, Request, json};

/// Why there is no answer.
#[derive(Debug, Error)]
#[allow(missing_docs)] // the messages say it
pub enum ClientError {
    #[error(
        "cannot reach the lab {name}: {source}; if its keeper was killed, `mvpnlab gc` clears up"
    )]
    Connect { name: String, source: io::Error },
    #[error("the lab {name} went away in the middle of its answer; its log may say why: {log}")]
    Gone { name: String, log: String },
    #[error(transparent)]
    Nonsense(#[from] Nonsense),
    #[error("the lab {name} answers something that this mvpnlab does not understand: {found}")]
    Unreadable { name: String, found: String },
    /// The lab's own words.
    #[error("{0}")]
    Refused(String),
}

/// A connection to a lab.
pub struct Client {
    lab: Place,
    from: UnixStream,
    to: Sender,
    parser: Parser,
}

/// The way to the lab; several threads may have it.
#[derive(Clone)]
pub struct Sender(Arc<Mutex<UnixStream>>);

impl Sender {
    /// Sends a frame. A lab that is gone is noticed by whoever waits for its answer.
    pub fn send(&self, kind: Kind, content: impl Into<Vec<u8>>) {
        if let Ok(mut stream) = self.0.lock() {
            let _ = stream.write_all(&Frame::new(0, kind, content).to_bytes());
        }
    }
}

impl Client {
    /// Connects to a lab's keeper.
    pub fn connect(lab: &Place) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Connect {
            name: lab.name.clone(),
            source,
        };
        let from = UnixStream::connect(lab.socket()).map_err(failed)?;
        let to = from.try_clone().map_err(failed)?;
        Ok(Self {
            lab: lab.clone(),
            from,
            to: Sender(Arc::new(Mutex::new(to))),
            parser: Parser::default(),
        })
    }

    /// The way to the lab.
    pub fn sender(&self) -> Sender {
        self.to.clone()
    }

    /// Sends a request and waits for the last word on it; `stream` gets what comes before.
    pub fn ask(
        &mut self,
        request: &Request,
        stream: &mut dyn FnMut(Kind, &[u8]),
    ) -> Result<Value, ClientError> {
        self.open(request);
        self.finish(stream)
    }

    /// Sends a request; what belongs to it may follow.
    pub fn open(&self, request: &Request) {
        self.to.send(Kind::Request, json(request));
    }

    /// Waits for the last word on a request.
    pub fn finish(&mut self, stream: &mut dyn FnMut(Kind, &[u8])) -> Result<Value, ClientError> {
        let mut piece = vec![0; 64 << 10];
        loop {
            while let Some(frame) = self.parser.poll()? {
                match frame.kind {
                    Kind::Reply => return self.read_reply(&frame.content),
                    kind => stream(kind, &frame.content),
                }
            }
            match self.from.read(&mut piece) {
                Ok(count @ 1..) => self.parser.handle(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => {
                    return Err(ClientError::Gone {
                        name: self.lab.name.clone(),
                        log: self.lab.log().display().to_string(),
                    });
                }
            }
        }
    }

    fn read_reply(&self, content: &[u8]) -> Result<Value, ClientError> {
        match serde_json::from_slice(content) {
            Ok(Reply::Done(value)) => Ok(value),
            Ok(Reply::Failed(reason)) => Err(ClientError::Refused(reason)),
            Err(error) => Err(ClientError::Unreadable {
                name: self.lab.name.clone(),
                found: error.to_string(),
            }),
        }
    }
}
