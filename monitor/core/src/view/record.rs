//! The pieces that an MVPN's state is made of, and what becomes of them.
//!
//! A [`Record`] is one statement of one PE, heard on the default MDT: "I am here", "I want this
//! route from that neighbour", "this customer stream is on that data MDT". Its [`Key`] says what
//! it is about, its [`State`] what was said. A statement that only repeats the last one is
//! counted; anything else is a [`Change`], and the state before it is history.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::time::Instant;

/// What a record is about. Within an MVPN a key has one state at a time.
///
/// `pe` is always the PE's address in the backbone: the source of the packets that it sends
/// into the MDT. Addresses of the customer's side are [`IpAddr`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Key {
    /// The PE takes part: its VRF says Hello on the MDT (RFC 7761 §4.3).
    Neighbor {
        /// The PE.
        pe: Ipv4Addr,
    },
    /// The PE has asked an upstream neighbour on the MDT for a route (RFC 7761 §4.5): upstream state there, downstream
    /// state at that neighbour.
    Join {
        /// The PE that asked.
        pe: Ipv4Addr,
        /// What it asked for.
        #[serde(flatten)]
        route: Route,
    },
    /// The PE has asserted itself as the forwarder of a route onto the MDT (RFC 7761 §4.6).
    Assert {
        /// The PE that asserted.
        pe: Ipv4Addr,
        /// The route; a shared tree's assert names no source.
        #[serde(flatten)]
        route: Route,
    },
    /// The PE sends a customer stream on a data MDT (RFC 6037 §7).
    Mapping {
        /// The PE that sends.
        pe: Ipv4Addr,
        /// The customer's source.
        source: IpAddr,
        /// The customer's group.
        group: IpAddr,
    },
    /// The PE has passed on a Bootstrap message that names an RP for a range of groups (RFC 5059).
    Rp {
        /// The PE that passed it on.
        pe: Ipv4Addr,
        /// The RP.
        rp: IpAddr,
        /// The range's address.
        group: IpAddr,
        /// The range's prefix length, in bits.
        prefix: u8,
    },
    /// The PE is the designated forwarder of an RP's tree on the MDT (RFC 5015 §3.5).
    Forwarder {
        /// The PE that won.
        pe: Ipv4Addr,
        /// The RP.
        rp: IpAddr,
    },
}

/// A multicast route as PIM asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "route", rename_all = "kebab-case")]
pub enum Route {
    /// (*,G): the shared tree.
    Shared {
        /// The customer's group.
        group: IpAddr,
    },
    /// (S,G): a source's tree.
    Source {
        /// The customer's group.
        group: IpAddr,
        /// The customer's source.
        source: IpAddr,
    },
    /// (S,G,rpt) pruned: the shared tree without this source. A group's lie together in the order of routes.
    Rpt {
        /// The customer's group.
        group: IpAddr,
        /// The customer's source.
        source: IpAddr,
    },
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// Of [`Key::Neighbor`].
    Neighbor(Neighbor),
    /// Of [`Key::Join`].
    Join {
        /// The neighbour that was asked: its VRF's address on the MDT.
        upstream: IpAddr,
        /// The RP that a shared tree was asked towards.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rp: Option<IpAddr>,
    },
    /// Of [`Key::Assert`].
    Assert {
        /// Metric preference of the route to the source or RP.
        preference: u32,
        /// Metric of the route to the source or RP.
        metric: u32,
    },
    /// Of [`Key::Mapping`].
    Mapping {
        /// The data MDT: a group of the backbone.
        data_mdt: Ipv4Addr,
    },
    /// Of [`Key::Rp`].
    Rp {
        /// Priority of the RP; lower is better.
        priority: u8,
        /// The bootstrap router that said so.
        bsr: IpAddr,
    },
    /// Of [`Key::Forwarder`].
    Forwarder {
        /// Metric preference of its route to the RP.
        preference: u32,
        /// Metric of its route to the RP.
        metric: u32,
    },
}

/// A PE as a PIM neighbour: what its Hello said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbor {
    /// The VRF's address on the MDT: the source of its PIM messages.
    pub address: IpAddr,
    /// How long it is believed without another Hello, seconds; absent means for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_time_s: Option<u16>,
    /// Another number after every restart of its PIM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation_id: Option<u32>,
    /// Absent where it takes no part in the election of a DR by priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dr_priority: Option<u32>,
    /// Whether it is the designated router of the MDT as a network (RFC 7761 §4.3.2).
    pub designated_router: bool,
    /// Whether it can forward bidirectional groups (RFC 5015).
    pub bidirectional: bool,
    /// Further addresses that its messages may come from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
}

/// A key, its state, and how often it was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What it is about.
    pub key: Key,
    /// What was said.
    pub state: State,
    /// When it was said for the first time.
    #[serde(rename = "since_ns")]
    pub since: Instant,
    /// When it was last repeated.
    #[serde(rename = "refreshed_ns")]
    pub refreshed: Instant,
    /// How often it was repeated.
    pub refreshes: u64,
    /// When it ends unless it is repeated; absent means never.
    #[serde(
        rename = "expires_ns",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub expires: Option<Instant>,
}

/// How often records of an MVPN were repeated: for looking on, a change brings its own count along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refreshes {
    /// The MVPN.
    pub mvpn: Name,
    /// When they were counted.
    pub at_ns: Instant,
    /// The records.
    pub counts: Vec<Refresh>,
}

/// How often a record was repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refresh {
    /// What it is about.
    pub key: Key,
    /// When it was last repeated.
    #[serde(rename = "refreshed_ns")]
    pub refreshed: Instant,
    /// How often, since it has its state.
    pub refreshes: u64,
    /// When it ends unless it is repeated; absent means never.
    #[serde(
        rename = "expires_ns",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub expires: Option<Instant>,
}

impl From<&Record> for Refresh {
    fn from(record: &Record) -> Refresh {
        Refresh {
            key: record.key,
            refreshed: record.refreshed,
            refreshes: record.refreshes,
            expires: record.expires,
        }
    }
}

/// A record has come, has become another, or has gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The MVPN.
    pub mvpn: Name,
    /// When it was heard, or noticed.
    #[serde(rename = "at_ns")]
    pub at: Instant,
    /// What it was before: history from now on. Absent if it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Record>,
    /// What it is now. Absent if it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Record>,
    /// What has led to it.
    pub cause: Cause,
}

/// What leads to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A message said something new.
    Said,
    /// A message took it back: a Prune, a Hello with hold time zero, an Assert cancelled.
    TakenBack,
    /// It was not repeated in time.
    Expired,
    /// The PE's PIM has restarted: its generation id is another.
    Restarted,
    /// The monitor stopped listening.
    Unwatched,
}

impl Cause {
    /// The word for it in databases and on the control socket.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Said => "said",
            Cause::TakenBack => "taken-back",
            Cause::Expired => "expired",
            Cause::Restarted => "restarted",
            Cause::Unwatched => "unwatched",
        }
    }
}

impl Key {
    /// The PE that announced it.
    pub fn pe(&self) -> Ipv4Addr {
        match *self {
            Key::Neighbor { pe }
            | Key::Join { pe, .. }
            | Key::Assert { pe, .. }
            | Key::Mapping { pe, .. }
            | Key::Rp { pe, .. }
            | Key::Forwarder { pe, .. } => pe,
        }
    }

    /// The customer's group that it concerns, if it concerns one.
    pub fn group(&self) -> Option<IpAddr> {
        match *self {
            Key::Join { route, .. } | Key::Assert { route, .. } => Some(route.group()),
            Key::Mapping { group, .. } => Some(group),
            Key::Neighbor { .. } | Key::Rp { .. } | Key::Forwarder { .. } => None,
        }
    }

    /// The customer's source that it concerns, if it concerns one.
    pub fn source(&self) -> Option<IpAddr> {
        match *self {
            Key::Join { route, .. } | Key::Assert { route, .. } => route.source(),
            Key::Mapping { source, .. } => Some(source),
            Key::Neighbor { .. } | Key::Rp { .. } | Key::Forwarder { .. } => None,
        }
    }

    /// The word for its kind in databases and on the control socket.
    pub fn kind(&self) -> &'static str {
        match self {
            Key::Neighbor { .. } => "neighbor",
            Key::Join { .. } => "join",
            Key::Assert { .. } => "assert",
            Key::Mapping { .. } => "mapping",
            Key::Rp { .. } => "rp",
            Key::Forwarder { .. } => "forwarder",
        }
    }
}

impl Route {
    /// The customer's group.
    pub fn group(&self) -> IpAddr {
        match *self {
            Route::Shared { group } | Route::Source { group, .. } | Route::Rpt { group, .. } => {
                group
            }
        }
    }

    /// The customer's source, of a route that has one.
    pub fn source(&self) -> Option<IpAddr> {
        match *self {
            Route::Shared { .. } => None,
            Route::Source { source, .. } | Route::Rpt { source, .. } => Some(source),
        }
    }
}

/// As PIM writes it: `(*,G)`, `(S,G)`, `(S,G,rpt)`.
impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Route::Shared { group } => write!(f, "(*,{group})"),
            Route::Source { source, group } => write!(f, "({source},{group})"),
            Route::Rpt { source, group } => write!(f, "({source},{group},rpt)"),
        }
    }
}
