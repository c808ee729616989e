//! rtnetlink in one namespace: do something and have it acknowledged, or dump something.

use std::io;

use futures_util::StreamExt;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::{
    proto::{self, ConnectionHandle},
    sys::{SocketAddr, protocols::NETLINK_ROUTE},
};
use tokio::task::JoinHandle;

/// The object must not exist.
pub const CREATE: u16 = NLM_F_CREATE | NLM_F_EXCL;
/// The object is made, or changed into this.
pub const REPLACE: u16 = NLM_F_CREATE | NLM_F_REPLACE;
/// The object exists.
pub const CHANGE: u16 = 0;

/// Requests in one datagram. Each answer takes about 1 KiB of the socket's receive buffer, 208 KiB by default, and
/// what does not fit is lost.
const AT_ONCE: usize = 64;

/// A socket to the kernel's routing tables, bound to the namespace it was opened in.
#[derive(Debug)]
pub struct Netlink {
    handle: ConnectionHandle<RouteNetlinkMessage>,
    connection: JoinHandle<()>,
}

/// What to do, and whether the object may or must exist.
pub type Request = (RouteNetlinkMessage, u16);

/// The first of several requests that failed; those after it may have been carried out.
#[derive(Debug)]
pub struct Refusal {
    /// Its place among the requests.
    pub place: usize,
    /// The kernel's reason.
    pub error: io::Error,
}

impl Netlink {
    /// Opens in the calling thread's namespace. Needs a tokio runtime with I/O.
    pub fn open() -> io::Result<Self> {
        // Not rtnetlink's own handle, which sends no two requests in one datagram.
        let (mut connection, handle, _) = proto::new_connection(NETLINK_ROUTE)?;
        connection.set_forward_ack(true);
        Ok(Self {
            handle,
            connection: tokio::spawn(connection),
        })
    }

    /// Sends one request and waits for the kernel's yes or no.
    pub async fn act(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let done = self.act_all(vec![(message, flags)]).await;
        done.map_err(|refusal| refusal.error)
    }

    /// Sends requests, many to a datagram, and waits until the kernel has said yes or no to each. It carries them out
    /// in order; a no does not keep it from what follows in the same datagram.
    pub async fn act_all(&self, requests: Vec<Request>) -> Result<(), Refusal> {
        let mut requests = requests.into_iter();
        let mut sent = 0;
        loop {
            let some: Vec<Request> = requests.by_ref().take(AT_ONCE).collect();
            if some.is_empty() {
                return Ok(());
            }
            let count = some.len();
            let done = self.datagram(some).await;
            done.map_err(|Refusal { place, error }| Refusal {
                place: sent + place,
                error,
            })?;
            sent += count;
        }
    }

    async fn datagram(&self, requests: Vec<Request>) -> Result<(), Refusal> {
        let count = requests.len();
        let messages = requests
            .into_iter()
            .map(|(message, flags)| request(message, NLM_F_ACK | flags));
        let mut answers = self
            .send(messages)
            .map_err(|error| Refusal { place: 0, error })?;
        let (mut first, mut answered, mut refusal) = (None, 0, None);
        while let Some(answer) = answers.next().await {
            let NetlinkPayload::Error(error) = answer.payload else {
                continue;
            };
            // Requests are numbered in a row and answered in order, so the first answer's number is the first request's.
            let number = answer.header.sequence_number;
            let place = number.wrapping_sub(*first.get_or_insert(number)) as usize;
            answered += 1;
            if error.code.is_some() && refusal.is_none() {
                let error = error.to_io();
                refusal = Some(Refusal { place, error });
            }
        }
        match refusal {
            Some(refusal) => Err(refusal),
            None if answered < count => Err(Refusal {
                place: answered,
                error: io::Error::other("the kernel gave no answer"),
            }),
            None => Ok(()),
        }
    }

    /// Everything that matches the request.
    pub async fn dump(&self, message: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        let mut answers = self.send([request(message, NLM_F_DUMP)])?;
        let mut found = Vec::new();
        while let Some(answer) = answers.next().await {
            match answer.payload {
                NetlinkPayload::InnerMessage(message) => found.push(message),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => {}
            }
        }
        Ok(found)
    }

    fn send<I>(
        &self,
        messages: I,
    ) -> io::Result<impl futures_util::Stream<Item = NetlinkMessage<RouteNetlinkMessage>> + use<I>>
    where
        I: IntoIterator<Item = NetlinkMessage<RouteNetlinkMessage>>,
    {
        let kernel = SocketAddr::new(0, 0);
        self.handle
            .request_batch(messages, kernel)
            .map_err(io::Error::other)
    }
}

fn request(message: RouteNetlinkMessage, flags: u16) -> NetlinkMessage<RouteNetlinkMessage> {
    let mut request = NetlinkMessage::from(message);
    request.header.flags = NLM_F_REQUEST | flags;
    request
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
