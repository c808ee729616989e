//! One client: its requests in order, and the events it subscribed to.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};
use vmscope_core::control::{
    Answer, ErrorCode, EventKind, Operation, Outcome, Refusal, Reply, Request,
};

use super::lines::{LINE_BYTES_MAX, Line, Lines};
use crate::mailbox::{EVENTS_WAITING_MAX, EventLine, Mailbox};
use crate::remote::Rights;

/// Serves a client of this host, who may ask everything, until it or the monitor ends.
pub async fn serve(
    stream: impl AsyncRead + AsyncWrite,
    mailbox: Mailbox,
    closed: watch::Receiver<bool>,
) {
    let (reader, writer) = tokio::io::split(stream);
    let lines = Lines::new(BufReader::new(reader));
    converse(lines, writer, Rights::Everything, mailbox, closed).await;
}

/// Serves a client with these rights until it or the monitor ends.
pub async fn converse(
    mut lines: Lines<impl AsyncBufRead + Unpin>,
    writer: impl AsyncWrite + Unpin,
    rights: Rights,
    mailbox: Mailbox,
    mut closed: watch::Receiver<bool>,
) {
    let events = mailbox.events();
    let mut client = Client {
        writer,
        rights,
        mailbox,
        events,
        wanted: Wanted::Nothing,
    };
    loop {
        let go_on = tokio::select! {
            biased;
            event = client.events.recv() => client.handle_event(event).await,
            line = lines.next() => match line {
                Ok(line) => client.handle_line(line).await,
                Err(error) => Err(error),
            },
            () = until(&mut closed) => client.say_what_is_left().await,
        };
        match go_on {
            Ok(true) => {}
            // Either it went, or it cannot be reached: both are the client's own affair.
            Ok(false) | Err(_) => return,
        }
    }
}

/// Waits until the socket is to be closed, or nobody is left to say so.
pub async fn until(closed: &mut watch::Receiver<bool>) {
    let _ = closed.wait_for(|closed| *closed).await;
}

/// Tells a client that there are too many.
pub async fn refuse(mut stream: impl AsyncWrite + Unpin, clients_max: usize) {
    let message = format!("there are {clients_max} clients already");
    let reply = refusal(
        0,
        ErrorCode::Limit,
        message,
        "close one of them, then connect again",
    );
    if let Ok(line) = line_of(&reply) {
        // It may have gone already.
        let _ = stream.write_all(line.as_bytes()).await;
    }
}

/// Events a client asked for.
enum Wanted {
    Nothing,
    Everything,
    Kinds(BTreeSet<EventKind>),
}

struct Client<W> {
    writer: W,
    rights: Rights,
    mailbox: Mailbox,
    events: broadcast::Receiver<Arc<EventLine>>,
    wanted: Wanted,
}

impl<W: AsyncWrite + Unpin> Client<W> {
    /// Whether to go on afterwards.
    async fn handle_line(&mut self, line: Line) -> io::Result<bool> {
        let reply = match line {
            Line::End => return Ok(false),
            Line::Text(text) if text.trim().is_empty() => return Ok(true),
            Line::Text(text) => self.answer(&text).await,
            Line::TooLong => refusal(
                0,
                ErrorCode::Malformed,
                format!("the line is longer than {LINE_BYTES_MAX} bytes, and was skipped"),
                "send one JSON object a line, and a large configuration in parts",
            ),
            Line::NotText => refusal(
                0,
                ErrorCode::Malformed,
                "the line is not UTF-8, and was skipped".to_owned(),
                "send one JSON object a line: {\"id\":1,\"request\":{\"op\":\"status\"}}",
            ),
        };
        self.write(&line_of(&reply)?).await?;
        Ok(true)
    }

    /// At once, even where what is written is encrypted in larger pieces.
    async fn write(&mut self, line: &str) -> io::Result<()> {
        self.writer.write_all(line.as_bytes()).await?;
        self.writer.flush().await
    }

    async fn answer(&mut self, text: &str) -> Reply {
        let request = match Request::read(text) {
            Err(reply) => return *reply,
            Ok(request) => request,
        };
        if let Err(refusal) = self.rights.permit(&request.operation) {
            return Reply {
                id: request.id,
                outcome: Outcome::Error(refusal),
            };
        }
        match request {
            Request {
                id,
                operation: Operation::Subscribe { events },
            } => {
                self.wanted = match events.is_empty() {
                    true => Wanted::Everything,
                    false => Wanted::Kinds(events.into_iter().collect()),
                };
                // What was said before was not asked for.
                self.events = self.mailbox.events();
                Reply {
                    id,
                    outcome: Outcome::Ok(Answer::Done),
                }
            }
            request => self.mailbox.ask(request).await,
        }
    }

    async fn handle_event(&mut self, event: Result<Arc<EventLine>, RecvError>) -> io::Result<bool> {
        match event {
            Ok(event) => self.say(&event).await,
            Err(RecvError::Closed) => Ok(false),
            Err(RecvError::Lagged(_)) => self.handle_lag().await,
        }
    }

    /// A client that does not read must not make us remember without bound.
    async fn handle_lag(&mut self) -> io::Result<bool> {
        if matches!(self.wanted, Wanted::Nothing) {
            return Ok(true);
        }
        let reply = refusal(
            0,
            ErrorCode::Limit,
            format!("more than {EVENTS_WAITING_MAX} events waited for this client: it is cut off"),
            "read faster, or subscribe to fewer kinds",
        );
        self.write(&line_of(&reply)?).await?;
        Ok(false)
    }

    async fn say(&mut self, event: &EventLine) -> io::Result<bool> {
        let wanted = match &self.wanted {
            Wanted::Nothing => false,
            Wanted::Everything => true,
            Wanted::Kinds(kinds) => kinds.contains(&event.kind),
        };
        if wanted {
            self.write(&event.line).await?;
        }
        Ok(true)
    }

    async fn say_what_is_left(&mut self) -> io::Result<bool> {
        loop {
            match self.events.try_recv() {
                Ok(event) => self.say(&event).await?,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Ok(false),
                Err(TryRecvError::Lagged(_)) => self.handle_lag().await?,
            };
        }
    }
}

fn refusal(id: u64, code: ErrorCode, message: String, remedy: &str) -> Reply {
    Reply {
        id,
        outcome: Outcome::Error(Refusal::new(code, message, remedy)),
    }
}

/// A reply as a line.
pub fn line_of(reply: &Reply) -> io::Result<String> {
    let json = serde_json::to_string(reply).map_err(io::Error::other)?;
    Ok(json + "\n")
}
