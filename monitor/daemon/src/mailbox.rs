//! Between the control interface and the driver: requests in, events out, neither waiting.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc;

use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::{broadcast, oneshot};
use vmscope_core::control::{
    Answer, ErrorCode, Event, EventKind, Outcome, Refusal, Reply, Request,
};
use vmscope_core::counters::{Export, Reading};
use vmscope_core::name::Name;
use vmscope_core::oneway::{AgentFailure, PeerFailure};

use crate::agents::Place;

/// Events that wait for a client at most; one that falls further behind is cut off.
pub const EVENTS_WAITING_MAX: usize = 4_096;

/// What the driver is asked to do.
pub enum Message {
    /// A client's request; the reply goes back.
    Ask(Box<Request>, oneshot::Sender<Reply>),
    /// What a peer answered, or why it did not.
    Peer(Box<PeerReply>),
    /// What an agent answered, or why it did not.
    Agent(Box<AgentReply>),
    /// What an exporter of flows sent.
    Export(Box<FlowExport>),
    /// The process was told to end.
    Stop,
}

/// What came of a request to a peer.
#[derive(Debug)]
pub struct PeerReply {
    /// Who was asked.
    pub peer: Name,
    /// The request's.
    pub id: u64,
    /// What it answered, or why it did not.
    pub outcome: Result<Answer, PeerFailure>,
}

/// What came of a question to an agent.
#[derive(Debug)]
pub struct AgentReply {
    /// Who was asked.
    pub agent: Name,
    /// The question's.
    pub id: u64,
    /// What it answered, or why it did not.
    pub outcome: Result<Reading, AgentFailure>,
}

/// A datagram of an exporter of flows, or that it cannot be read.
#[derive(Debug)]
pub struct FlowExport {
    /// Who hears the exporter.
    pub agent: Name,
    /// What it says.
    pub export: Result<Export, AgentFailure>,
    /// Its place in the queue.
    pub place: Place,
}

/// An event as it goes over the wire, written once for all who want it.
#[derive(Debug)]
pub struct EventLine {
    /// Its kind.
    pub kind: EventKind,
    /// JSON and the end of the line.
    pub line: String,
}

/// Where requests are dropped in and events come out.
#[derive(Clone)]
pub struct Mailbox {
    messages: mpsc::Sender<Message>,
    bell: Arc<EventFd>,
    events: broadcast::Sender<Arc<EventLine>>,
}

/// The driver's side of the [`Mailbox`].
pub struct Inbox {
    messages: mpsc::Receiver<Message>,
    bell: Arc<EventFd>,
    events: broadcast::Sender<Arc<EventLine>>,
}

/// Makes the two sides.
pub fn mailbox() -> std::io::Result<(Mailbox, Inbox)> {
    let bell = Arc::new(EventFd::from_value_and_flags(
        0,
        EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC,
    )?);
    let (sender, receiver) = mpsc::channel();
    let (events, _) = broadcast::channel(EVENTS_WAITING_MAX);
    let mailbox = Mailbox {
        messages: sender,
        bell: Arc::clone(&bell),
        events: events.clone(),
    };
    Ok((
        mailbox,
        Inbox {
            messages: receiver,
            bell,
            events,
        },
    ))
}

impl Mailbox {
    /// Asks the driver and waits for its reply.
    pub async fn ask(&self, request: Request) -> Reply {
        let id = request.id;
        let (sender, reply) = oneshot::channel();
        self.drop_in(Message::Ask(Box::new(request), sender));
        reply.await.unwrap_or_else(|_| {
            let message = "the monitor ended before it could answer";
            let refusal = Refusal::new(ErrorCode::Failed, message, "start it again");
            Reply {
                id,
                outcome: Outcome::Error(refusal),
            }
        })
    }

    /// Tells the driver what came of a request to a peer.
    pub fn hear_peer(&self, reply: PeerReply) {
        self.drop_in(Message::Peer(Box::new(reply)));
    }

    /// Tells the driver what came of a question to an agent.
    pub fn hear_agent(&self, reply: AgentReply) {
        self.drop_in(Message::Agent(Box::new(reply)));
    }

    /// Tells the driver what an exporter of flows sent.
    pub fn hear_export(&self, export: FlowExport) {
        self.drop_in(Message::Export(Box::new(export)));
    }

    /// Tells the driver to end.
    pub fn stop(&self) {
        self.drop_in(Message::Stop);
    }

    /// Everything the monitor says from now on.
    pub fn events(&self) -> broadcast::Receiver<Arc<EventLine>> {
        self.events.subscribe()
    }

    fn drop_in(&self, message: Message) {
        // If the driver is gone, so is the other end of the reply, and whoever asked learns it there.
        if self.messages.send(message).is_ok() {
            // A full counter would mean that the bell rings already.
            let _ = self.bell.write(1);
        }
    }
}

impl Inbox {
    /// The next message, if there is one.
    pub fn poll_message(&mut self) -> Option<Message> {
        self.messages.try_recv().ok()
    }

    /// Stops the bell; to be called before looking for messages.
    pub fn silence(&self) {
        // EAGAIN: it did not ring.
        let _ = self.bell.read();
    }

    /// Says an event to all who listen.
    pub fn say(&self, event: &Event) {
        if self.events.receiver_count() == 0 {
            return;
        }
        match serde_json::to_string(event) {
            Ok(json) => {
                let line = EventLine {
                    kind: event.kind(),
                    line: json + "\n",
                };
                // No receiver is no error: the last one left just now.
                let _ = self.events.send(Arc::new(line));
            }
            Err(error) => tracing::error!("cannot write an event as JSON: {error}"),
        }
    }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
