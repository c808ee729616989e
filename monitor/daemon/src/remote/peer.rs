//! This monitor as a client of others: its peers.
//!
//! Each peer has a task of the control thread, which keeps one connection to it. The driver hands a request over and goes on;
//! the answer, or why there is none, comes back through the mailbox. A request is never kept for later: a peer that cannot be
//! reached now answers "no" now, with the reason, and the core asks again when it wants to.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncWrite, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsConnector;
use vmscope_core::control::{Answer, Outcome, PeerSpec, Refusal, Reply, Request};
use vmscope_core::name::Name;
use vmscope_core::oneway::{PeerFailure, PeerRequest};

use super::listener::notice_death;
use super::trust::{RemoteError, Trust, is_stranger};
use super::{Login, read_token};
use crate::control_socket::{Line, Lines, connection};
use crate::mailbox::{Mailbox, PeerReply};

/// Requests that wait for a peer's task at most.
const REQUESTS_WAITING_MAX: usize = 64;
/// To connect, to agree on a key, and to be let in, each.
const CONNECTED_WITHIN: Duration = Duration::from_secs(3);
/// To answer. A peer that takes longer is taken for gone, and the connection for dead. The core gives up after
/// [`vmscope_core::oneway::PEER_TIMEOUT`], so that the reason arrives first.
const ANSWERED_WITHIN: Duration = Duration::from_secs(4);
/// After a failure, the next attempt comes after this long, and after twice as long each time, up to the second figure.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

/// All peers of the configuration: the driver's side.
#[derive(Debug, Default)]
pub struct Peers {
    requests: BTreeMap<Name, mpsc::Sender<PeerRequest>>,
}

impl Peers {
    /// Reads what each peer needs, and what is to be run in the control thread.
    pub fn open(specs: &[PeerSpec]) -> Result<(Peers, Vec<PeerTask>), RemoteError> {
        let mut peers = Peers::default();
        let mut tasks = Vec::new();
        for spec in specs {
            let tls = Trust::read(&spec.certificate)?.config()?;
            // Whether it is there is known now; what it says, each time anew.
            read_token(&spec.token_file)?;
            let (sender, requests) = mpsc::channel(REQUESTS_WAITING_MAX);
            peers.requests.insert(spec.name.clone(), sender);
            tasks.push(PeerTask {
                spec: spec.clone(),
                tls,
                requests,
            });
        }
        Ok((peers, tasks))
    }

    /// Hands a request over. The failure, if that is not possible, is for the core.
    pub fn ask(&self, request: PeerRequest) -> Result<(), PeerFailure> {
        let name = request.peer.clone();
        let failed = |found: &str| {
            let message = format!("cannot ask peer {name}: {found}");
            Err(PeerFailure::Unreachable(message))
        };
        let Some(sender) = self.requests.get(&request.peer) else {
            return failed("it was added to a running monitor; start the monitor anew");
        };
        match sender.try_send(request) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => failed("too many requests wait for it"),
            Err(mpsc::error::TrySendError::Closed(_)) => failed("the monitor is about to end"),
        }
    }
}

/// What speaks to one peer.
pub struct PeerTask {
    spec: PeerSpec,
    tls: Arc<ClientConfig>,
    requests: mpsc::Receiver<PeerRequest>,
}

type Stream = tokio_rustls::client::TlsStream<TcpStream>;

/// A connection that has been let in.
struct Connected {
    lines: Lines<BufReader<ReadHalf<Stream>>>,
    writer: WriteHalf<Stream>,
}

impl PeerTask {
    /// Keeps a connection, and answers through the mailbox, until the driver is gone or `closed` says to end.
    pub async fn run(mut self, mailbox: Mailbox, mut closed: watch::Receiver<bool>) {
        tokio::select! {
            () = self.keep_connected(&mailbox) => {}
            () = connection::until(&mut closed) => {}
        }
    }

    /// Ends when nobody is left to ask.
    async fn keep_connected(&mut self, mailbox: &Mailbox) {
        let mut pause = BACKOFF.0;
        loop {
            let problem = match self.connect().await {
                Ok(connected) => {
                    tracing::info!("connected to {}", self.whom());
                    pause = BACKOFF.0;
                    match self.speak(connected, mailbox).await {
                        None => return,
                        Some(problem) => problem,
                    }
                }
                Err(problem) => problem,
            };
            tracing::warn!("{}: {problem}", self.whom());
            if !self
                .turn_down(&problem, Instant::now() + pause, mailbox)
                .await
            {
                return;
            }
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    fn whom(&self) -> String {
        format!("peer {} at {}", self.spec.name, self.spec.address)
    }

    async fn connect(&self) -> Result<Connected, String> {
        let address = self.spec.address;
        let stream = within("connect", TcpStream::connect(address)).await?;
        notice_death(&stream);
        let host = ServerName::IpAddress(address.ip().into());
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = within("agree on a key", connector.connect(host, stream)).await;
        let stream = stream.map_err(|problem| match problem.contains(STRANGER) {
            true => format!(
                "{problem}; expected is the one in {}",
                self.spec.certificate.display()
            ),
            false => problem,
        })?;
        let (reader, writer) = tokio::io::split(stream);
        let lines = Lines::new(BufReader::new(reader));
        let mut connected = Connected { lines, writer };
        let token = read_token(&self.spec.token_file).map_err(|error| error.to_string())?;
        within("log in", connected.log_in(token)).await?;
        Ok(connected)
    }

    /// Asks and hands back answers. Why the connection is over; nothing when nobody is left to ask.
    async fn speak(&mut self, connected: Connected, mailbox: &Mailbox) -> Option<String> {
        let Connected {
            mut lines,
            mut writer,
        } = connected;
        let mut open: BTreeMap<u64, Instant> = BTreeMap::new();
        let problem = loop {
            let patience = open.values().min().map(|asked| *asked + ANSWERED_WITHIN);
            let lost_patience = sleep_until(patience.unwrap_or_else(Instant::now));
            tokio::select! {
                request = self.requests.recv() => {
                    let request = request?;
                    open.insert(request.id, Instant::now());
                    if let Err(error) = write(&mut writer, request).await {
                        break format!("cannot send a request: {error}");
                    }
                }
                line = lines.next() => match line {
                    Ok(Line::Text(text)) => match serde_json::from_str::<Reply>(&text) {
                        Ok(reply) => {
                            if open.remove(&reply.id).is_some() {
                                self.hand_back(mailbox, reply.id, read(reply.outcome));
                            }
                        }
                        Err(error) => break format!("cannot understand what it says: {error}; use the same version there"),
                    },
                    Ok(Line::End) => break "it closed the connection".to_owned(),
                    Ok(Line::TooLong | Line::NotText) => break "it says what is no line of JSON".to_owned(),
                    Err(error) => break format!("the connection broke: {error}"),
                },
                () = lost_patience, if patience.is_some() => {
                    break format!("it did not answer within {} s", ANSWERED_WITHIN.as_secs());
                }
            }
        };
        for id in open.into_keys() {
            self.hand_back(mailbox, id, Err(self.failure(&problem)));
        }
        Some(problem)
    }

    /// Answers what is asked with why it cannot be, until then. Whether somebody is left to ask.
    async fn turn_down(&mut self, problem: &str, until: Instant, mailbox: &Mailbox) -> bool {
        loop {
            tokio::select! {
                () = sleep_until(until) => return true,
                request = self.requests.recv() => match request {
                    None => return false,
                    Some(request) => self.hand_back(mailbox, request.id, Err(self.failure(problem))),
                },
            }
        }
    }

    fn failure(&self, problem: &str) -> PeerFailure {
        PeerFailure::Unreachable(format!("cannot ask {}: {problem}", self.whom()))
    }

    fn hand_back(&self, mailbox: &Mailbox, id: u64, outcome: Result<Answer, PeerFailure>) {
        let peer = self.spec.name.clone();
        mailbox.hear_peer(PeerReply { peer, id, outcome });
    }
}

/// How a server is spoken of that is not who it should be.
const STRANGER: &str = "its certificate is another";

async fn within<T>(
    attempted: &str,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, String> {
    match timeout(CONNECTED_WITHIN, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) if is_stranger(&error) => Err(format!("cannot {attempted}: {STRANGER}")),
        Ok(Err(error)) => Err(format!("cannot {attempted}: {error}")),
        Err(_) => Err(format!(
            "cannot {attempted}: no answer within {} s",
            CONNECTED_WITHIN.as_secs()
        )),
    }
}

impl Connected {
    async fn log_in(&mut self, token: String) -> io::Result<()> {
        let login = Login { id: 0, token };
        send(&mut self.writer, &login.line()?).await?;
        let Line::Text(text) = self.lines.next().await? else {
            return Err(io::Error::other("it closed the connection"));
        };
        let reply: Reply = serde_json::from_str(&text)?;
        match reply.outcome {
            Outcome::Ok(_) => Ok(()),
            Outcome::Error(Refusal { message, .. }) => Err(io::Error::other(message)),
        }
    }
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), request: PeerRequest) -> io::Result<()> {
    let PeerRequest { id, operation, .. } = request;
    let request = Request { id, operation };
    send(writer, &(serde_json::to_string(&request)? + "\n")).await
}

async fn send(writer: &mut (impl AsyncWrite + Unpin), line: &str) -> io::Result<()> {
    writer.write_all(line.as_bytes()).await?;
    writer.flush().await
}

fn read(outcome: Outcome) -> Result<Answer, PeerFailure> {
    match outcome {
        Outcome::Ok(answer) => Ok(answer),
        Outcome::Error(refusal) => Err(PeerFailure::Refused(refusal)),
    }
}
