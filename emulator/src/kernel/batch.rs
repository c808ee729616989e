//! Many things done at once: a datagram of requests to a namespace instead of one a request, and still an error says
//! what was attempted, on what.

use std::collections::BTreeMap;

use netlink_packet_route::RouteNetlinkMessage;

use super::{
    KernelError, Netns,
    netlink::{Refusal, Request},
};

/// Requests to be sent. A namespace's are carried out in the order in which they were added, namespaces one after
/// another by name: the same every time.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    namespaces: BTreeMap<&'a str, Requests<'a>>,
}

#[derive(Debug)]
struct Requests<'a> {
    namespace: &'a Netns,
    requests: Vec<Request>,
    attempted: Vec<String>,
}

impl<'a> Batch<'a> {
    /// Nothing to do yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more request; `attempted` is what an error will say.
    pub fn add(
        &mut self,
        namespace: &'a Netns,
        message: RouteNetlinkMessage,
        flags: u16,
        attempted: impl Into<String>,
    ) {
        let own = self
            .namespaces
            .entry(namespace.name())
            .or_insert_with(|| Requests {
                namespace,
                requests: Vec::new(),
                attempted: Vec::new(),
            });
        own.requests.push((message, flags));
        own.attempted.push(attempted.into());
    }

    /// Has everything done. The error is the first of the first namespace where something failed; what was asked for
    /// after it may be done or not.
    pub async fn send(self) -> Result<(), KernelError> {
        for (_, own) in self.namespaces {
            let done = own.namespace.netlink().act_all(own.requests).await;
            done.map_err(|Refusal { place, error }| {
                let attempted = own.attempted.get(place).map_or("act", String::as_str);
                own.namespace.error(attempted, error)
            })?;
        }
        Ok(())
    }
}
