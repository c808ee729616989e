//! A client of the monitor's control socket: the only way the harness speaks to a monitor.
//!
//! Every request and reply is kept, with its time, as `monitor/requests.jsonl`: what the monitor
//! was told is part of the evidence.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mvpnlab_emulator::truth::clock::monotonic_ns;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep, timeout};
use vmscope_core::control::{Answer, EventKind, Operation, Outcome, Reply, Request};

/// How long a reply may take, in the lab's time.
const REPLY_LIMIT: Duration = Duration::from_secs(10);
/// How often a monitor that is starting is tried, in the lab's time.
const CONNECT_RETRY: Duration = Duration::from_millis(20);

/// What can go wrong between harness and monitor.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The socket never answered.
    #[error("cannot reach the monitor at {}: {source} after {waited:?}; its log says why", .path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The last attempt's error.
        source: std::io::Error,
        /// How long it was tried.
        waited: Duration,
    },
    /// The monitor refused a request.
    #[error("the monitor refused {request}: {refusal}")]
    Refused {
        /// The request's line.
        request: String,
        /// Its words.
        refusal: String,
    },
    /// The connection broke, or what came back is no reply.
    #[error("no usable reply to {request}: {found}")]
    Broken {
        /// The request's line.
        request: String,
        /// What was found.
        found: String,
    },
}

/// A connection to a monitor.
pub struct MonitorClient {
    reader: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    next_id: u64,
}

/// A connection on which a monitor says what happens.
pub struct Heard {
    reader: Lines<BufReader<OwnedReadHalf>>,
    /// A monitor takes a connection whose client cannot ask any more for closed.
    _writer: OwnedWriteHalf,
}

impl Heard {
    /// The next line, when it comes; none when the monitor is gone.
    pub async fn line(&mut self) -> Option<String> {
        self.reader.next_line().await.ok().flatten()
    }
}

/// What was said, in order.
#[derive(Default)]
pub struct Transcript {
    lines: Vec<u8>,
}

#[derive(Serialize)]
struct TranscriptLine<'a> {
    monotonic_ns: u64,
    request: &'a Request,
    reply: &'a Reply,
}

impl Transcript {
    fn note(&mut self, request: &Request, reply: &Reply) {
        let line = TranscriptLine {
            monotonic_ns: monotonic_ns(),
            request,
            reply,
        };
        // Both came through serde a moment ago; a line that cannot be written again is left out.
        if serde_json::to_writer(&mut self.lines, &line).is_ok() {
            self.lines.push(b'\n');
        }
    }

    /// The lines, as a file.
    pub fn into_bytes(self) -> Vec<u8> {
        self.lines
    }
}

impl MonitorClient {
    /// Connects to a monitor that may still be starting, for at most `patience`.
    pub async fn connect(path: &Path, patience: Duration) -> Result<Self, ClientError> {
        let begun = Instant::now();
        loop {
            match UnixStream::connect(path).await {
                Ok(stream) => return Ok(Self::over(stream)),
                Err(_) if begun.elapsed() < patience => sleep(CONNECT_RETRY).await,
                Err(source) => {
                    return Err(ClientError::Unreachable {
                        path: path.to_owned(),
                        source,
                        waited: begun.elapsed(),
                    });
                }
            }
        }
    }

    fn over(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader: BufReader::new(reader).lines(),
            writer,
            next_id: 1,
        }
    }

    /// Asks, and waits for the answer.
    pub async fn ask(
        &mut self,
        operation: Operation,
        transcript: &mut Transcript,
    ) -> Result<Answer, ClientError> {
        let request = Request {
            id: self.next_id,
            operation,
        };
        self.next_id += 1;
        let line = serde_json::to_string(&request).unwrap_or_default();
        let broken = |found: String| ClientError::Broken {
            request: line.clone(),
            found,
        };

        let exchange = self.exchange(&line);
        let text = match timeout(REPLY_LIMIT, exchange).await {
            Ok(text) => text.map_err(|e| broken(e.to_string()))?,
            Err(_) => return Err(broken(format!("nothing for {REPLY_LIMIT:?}"))),
        };
        let reply: Reply =
            serde_json::from_str(&text).map_err(|e| broken(format!("{e} in {text:?}")))?;
        transcript.note(&request, &reply);
        if reply.id != request.id {
            return Err(broken(format!(
                "a reply to request {} instead of {}",
                reply.id, request.id
            )));
        }
        match reply.outcome {
            Outcome::Ok(answer) => Ok(answer),
            Outcome::Error(refusal) => Err(ClientError::Refused {
                request: line,
                refusal: refusal.to_string(),
            }),
        }
    }

    /// Asks for events of these kinds, and hands the connection over: nothing else can be asked on it then.
    pub async fn subscribe(
        mut self,
        events: &[EventKind],
        transcript: &mut Transcript,
    ) -> Result<Heard, ClientError> {
        let events = events.to_vec();
        self.ask(Operation::Subscribe { events }, transcript)
            .await?;
        Ok(Heard {
            reader: self.reader,
            _writer: self.writer,
        })
    }

    async fn exchange(&mut self, line: &str) -> std::io::Result<String> {
        self.writer
            .write_all(format!("{line}\n").as_bytes())
            .await?;
        self.reader.next_line().await?.ok_or_else(|| {
            std::io::Error::new(
                std::io::ErrorKind::UnexpectedEof,
                "the monitor closed the connection",
            )
        })
    }
}
