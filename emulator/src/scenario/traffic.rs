//! The customers' own traffic: sources and receivers at CEs and hosts.

use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Rate, Span};

/// A multicast source: RTP over UDP, as `emulator::traffic` emits it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name, unique among sources.
    pub name: String,
    /// CE or host.
    pub at: String,
    /// Group sent to.
    pub group: Ipv4Addr,
    /// Packets per second.
    pub rate: Rate,
    /// UDP payload, bytes (at least 32).
    #[serde(default = "default_size")]
    pub size_bytes: u16,
    /// From, after the start of the run.
    #[serde(default)]
    pub start: Span,
    /// Until; left out: the end of the run.
    #[serde(default)]
    pub stop: Option<Span>,
    /// It sends for `on`, and then is silent for `off`, again and again; left out: it always sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bursts: Option<Bursts>,
}

/// A source's bursts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bursts {
    /// So long it sends.
    pub on: Span,
    /// So long it is silent.
    pub off: Span,
}

/// A bulk transfer by TCP, as fast as the network lets it: traffic that answers to loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// Name, unique among transfers.
    pub name: String,
    /// The host that sends.
    pub from: String,
    /// The host that receives.
    pub to: String,
    /// From, after the start of the run.
    #[serde(default)]
    pub start: Span,
    /// Until; left out: the end of the run.
    #[serde(default)]
    pub stop: Option<Span>,
}

fn default_size() -> u16 {
    100
}

/// A multicast receiver: a real socket that joined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// Name, unique among receivers.
    pub name: String,
    /// CE or host.
    pub at: String,
    /// Group joined.
    pub group: Ipv4Addr,
    /// Name of the source whose address is joined, (S,G); left out: (*,G).
    #[serde(default)]
    pub source: Option<String>,
    /// From, after the start of the run.
    #[serde(default)]
    pub start: Span,
    /// Until; left out: the end of the run.
    #[serde(default)]
    pub stop: Option<Span>,
}
