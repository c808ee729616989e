//! What is asked, and what answers are made of.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use vmscope_core::name::Name;
use vmscope_core::view::record::{Cause, Key, State};

/// A moment by the clock on the wall: UTC nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Utc(i64);

impl Utc {
    /// Later than all that is or will be recorded: asks for the present.
    pub const NOW: Utc = Utc(i64::MAX);

    /// The moment `ns` nanoseconds after 1970 began.
    pub const fn from_ns(ns: i64) -> Utc {
        Utc(ns)
    }

    /// Nanoseconds since 1970 began.
    pub const fn as_ns(self) -> i64 {
        self.0
    }
}

/// The kind of a key; see [`Key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A PE takes part.
    Neighbor,
    /// A PE has asked for a route.
    Join,
    /// A PE has asserted itself as forwarder.
    Assert,
    /// A PE sends a stream on a data MDT.
    Mapping,
    /// A PE has named an RP.
    Rp,
    /// A PE is the designated forwarder of an RP's tree.
    Forwarder,
}

impl Kind {
    /// All there are.
    pub const ALL: [Kind; 6] = [
        Kind::Neighbor,
        Kind::Join,
        Kind::Assert,
        Kind::Mapping,
        Kind::Rp,
        Kind::Forwarder,
    ];

    /// The word for it in databases and on the control socket: that of [`Key::kind`].
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Neighbor => "neighbor",
            Kind::Join => "join",
            Kind::Assert => "assert",
            Kind::Mapping => "mapping",
            Kind::Rp => "rp",
            Kind::Forwarder => "forwarder",
        }
    }
}

/// A word that is no [`Kind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of state: use neighbor, join, assert, mapping, rp or forwarder")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Kind, UnknownKind> {
        let found = Kind::ALL.into_iter().find(|kind| kind.as_str() == word);
        found.ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which keys are asked for; what is absent restricts nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Filter {
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only what this PE said: its address in the backbone.
    pub pe: Option<Ipv4Addr>,
    /// Only of this customer group (of an RP: the address of its range).
    pub group: Option<IpAddr>,
    /// Only of this customer source.
    pub source: Option<IpAddr>,
    /// Only joins that ask this neighbour: its address on the MDT.
    pub upstream: Option<IpAddr>,
}

impl Filter {
    /// Everything.
    pub const ALL: Filter = Filter {
        kind: None,
        pe: None,
        group: None,
        source: None,
        upstream: None,
    };

    /// Only of one kind.
    pub const fn kind(kind: Kind) -> Filter {
        Filter {
            kind: Some(kind),
            ..Filter::ALL
        }
    }
}

/// A part of a long answer: what comes after a cursor of the part before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice<C> {
    /// Where the part before ended; absent for the first.
    pub after: Option<C>,
    /// How much at most; at least one.
    pub limit: u32,
}

impl<C> Slice<C> {
    /// All at once.
    pub const ALL: Slice<C> = Slice {
        after: None,
        limit: u32::MAX,
    };

    /// The first `limit`.
    pub const fn first(limit: u32) -> Slice<C> {
        Slice { after: None, limit }
    }
}

/// What a PE said, and from when to when it held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// What it is about.
    #[serde(flatten)]
    pub key: Key,
    /// What was said.
    #[serde(flatten)]
    pub state: State,
    /// From when on it held.
    #[serde(rename = "since_ns")]
    pub since: Utc,
    /// Until when, that moment not included; absent if it holds.
    #[serde(rename = "until_ns", default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Utc>,
    /// When it was last repeated, as far as was written down.
    #[serde(rename = "refreshed_ns")]
    pub refreshed: Utc,
    /// How often it was repeated, as far as was written down.
    pub refreshes: u64,
    /// What ended it; absent if it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<Cause>,
}

/// A stretch of time in which somebody listened to an MVPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Its number: later ones began later.
    pub watch: u64,
    /// The session that listened.
    pub session: u32,
    /// From when.
    #[serde(rename = "since_ns")]
    pub since: Utc,
    /// Until when; absent if it goes on (or the monitor was killed, and none has started since).
    #[serde(rename = "until_ns", default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Utc>,
    /// Up to when it is known for certain; a monitor that runs writes this down about each second.
    #[serde(rename = "seen_ns")]
    pub seen: Utc,
}

/// Whether anybody listened at the moment of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "listening", rename_all = "kebab-case")]
pub enum Listening {
    /// Yes: what is not in the answer was not there.
    Yes(Watched),
    /// No: nothing is known.
    No {
        /// The end of the last time before that somebody did.
        #[serde(rename = "last_ns")]
        last: Option<Utc>,
        /// The beginning of the next time that somebody did.
        #[serde(rename = "next_ns")]
        next: Option<Utc>,
    },
}

impl Listening {
    /// The stretch of time, if somebody listened.
    pub fn watched(&self) -> Option<&Watched> {
        match self {
            Listening::Yes(watched) => Some(watched),
            Listening::No { .. } => None,
        }
    }
}

/// An answer about one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer<T> {
    /// Whether anybody listened then; if not, the answer is empty.
    pub listening: Listening,
    /// What is known.
    pub answer: T,
}

/// An MVPN that is or was listened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MvpnSummary {
    /// Its name.
    pub mvpn: Name,
    /// The first moment that anything is known of.
    #[serde(rename = "first_ns")]
    pub first: Utc,
    /// The last moment that anything is known of.
    #[serde(rename = "last_ns")]
    pub last: Utc,
    /// Whether it is listened to now, as far as is written down.
    pub watched: bool,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Size {
    /// States that hold, of all MVPNs.
    pub now: u64,
    /// States that held.
    pub past: u64,
    /// Keys.
    pub keys: u64,
    /// Bytes of the whole database, without what is free.
    pub bytes: u64,
}
