//! rtnetlink in one namespace: do something and have it acknowledged, or dump something.

use std::io;

use futures_util::StreamExt;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use tokio::task::JoinHandle;

/// The object must not exist.
pub const CREATE: u16 = NLM_F_CREATE | NLM_F_EXCL;
/// The object is made, or changed into this.
pub const REPLACE: u16 = NLM_F_CREATE | NLM_F_REPLACE;
/// The object exists.
pub const CHANGE: u16 = 0;

/// A socket to the kernel's routing tables, bound to the namespace it was opened in.
#[derive(Debug)]
pub struct Netlink {
    handle: rtnetlink::Handle,
    connection: JoinHandle<()>,
}

impl Netlink {
    /// Opens in the calling thread's namespace. Needs a tokio runtime with I/O.
    pub fn open() -> io::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        Ok(Self {
            handle,
            connection: tokio::spawn(connection),
        })
    }

    /// Sends one request and waits for the kernel's yes or no.
    pub async fn act(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let mut answers = self.send(message, NLM_F_ACK | flags)?;
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::Error(error) = answer.payload {
                return if error.code.is_none() {
                    Ok(())
                } else {
                    Err(error.to_io())
                };
            }
        }
        Ok(())
    }

    /// Everything that matches the request.
    pub async fn dump(&self, message: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        let mut answers = self.send(message, NLM_F_DUMP)?;
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

    fn send(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<impl futures_util::Stream<Item = NetlinkMessage<RouteNetlinkMessage>> + use<>>
    {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        self.handle
            .clone()
            .request(request)
            .map_err(io::Error::other)
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
