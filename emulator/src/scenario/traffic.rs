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
