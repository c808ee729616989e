//! Which counter is to be read.

use std::fmt;
use std::net::Ipv4Addr;

/// What is asked of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Packets that come in by the interface of this name.
    Interface(String),
    /// Packets of the multicast route of this group and source.
    Route(Ipv4Addr, Ipv4Addr),
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Question::Interface(name) => write!(f, "interface {name}"),
            Question::Route(group, source) => write!(f, "multicast route of {source} to {group}"),
        }
    }
}
