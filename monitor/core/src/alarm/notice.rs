//! What is said of alarms: to the control socket, the store, the web and the sinks.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::kind::{Kind, Severity};
use super::threshold::Measured;
use crate::name::Name;
use crate::time::Instant;

/// An alarm, as it is at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Counted from 1 for as long as the monitor runs. From raised to cleared it is one alarm.
    pub id: u64,
    /// What is wrong.
    pub kind: Kind,
    /// How much it matters.
    pub severity: Severity,
    /// The MVPN; of a threshold, the task, which bears the name of its MVPN where it has one.
    pub mvpn: Name,
    /// The PE, by its address in the backbone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pe: Option<Ipv4Addr>,
    /// Its name, where the expected configuration gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pe_name: Option<Name>,
    /// The customer's group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<IpAddr>,
    /// The customer's source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// Of a threshold: what was measured between whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// Since when it has been so.
    pub since_ns: Instant,
    /// When it was raised.
    pub raised_ns: Instant,
    /// When it was cleared; absent while it is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_ns: Option<Instant>,
    /// Why it was cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_because: Option<Cleared>,
    /// How often it has come while the alarm was active: 1 unless it comes and goes.
    pub count: u64,
    /// Whether it comes and goes.
    pub flapping: bool,
    /// What, on what; what was expected and what was found.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// Why an alarm was cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cleared {
    /// It has been fine for long enough.
    Fine,
    /// It follows from another alarm, which is active: a PE's from its being missing, all of an MVPN from its silence.
    Covered,
    /// What is expected has changed.
    Expected,
    /// The monitor no longer listens or measures there.
    Unwatched,
}

impl Cleared {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Cleared::Fine => "fine",
            Cleared::Covered => "covered",
            Cleared::Expected => "expected",
            Cleared::Unwatched => "unwatched",
        }
    }
}

/// What becomes of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    /// It is active.
    Raised,
    /// It has begun to flap, or has ceased to.
    Changed,
    /// It is over.
    Cleared,
}

impl Turn {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Turn::Raised => "raised",
            Turn::Changed => "changed",
            Turn::Cleared => "cleared",
        }
    }
}

/// An alarm and what has just become of it: every one of them, for the store and the web.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub at_ns: Instant,
    /// What.
    pub turn: Turn,
    /// The alarm, as it is then.
    pub alarm: Alarm,
}

/// What people are told. An alarm whose raising is told has its clearing told, and no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "kebab-case")]
pub enum Notice {
    /// One alarm.
    Alarm(Box<Transition>),
    /// Many alarms of a kind at once.
    Storm(Box<Storm>),
}

/// Many alarms of a kind, told together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storm {
    /// When this is said.
    pub at_ns: Instant,
    /// Their kind.
    pub kind: Kind,
    /// The highest of their severities.
    pub severity: Severity,
    /// Where it is in its life.
    pub phase: Phase,
    /// When it began.
    pub since_ns: Instant,
    /// Alarms raised since the last such notice that were not told one by one.
    pub raised: u64,
    /// Of all alarms not told one by one, how many were cleared since then.
    pub cleared: u64,
    /// Of all alarms not told one by one, how many are active.
    pub active: u64,
    /// The first few raised since then.
    pub examples: Vec<Alarm>,
    /// All that in words.
    pub message: String,
}

/// Where a storm is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The first that is said of it.
    Begun,
    /// It was said before.
    GoesOn,
    /// None of its alarms is active.
    Over,
}

impl Phase {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Begun => "begun",
            Phase::GoesOn => "goes-on",
            Phase::Over => "over",
        }
    }
}

impl Notice {
    /// When it is said.
    pub fn at_ns(&self) -> Instant {
        match self {
            Notice::Alarm(transition) => transition.at_ns,
            Notice::Storm(storm) => storm.at_ns,
        }
    }

    /// How much it matters.
    pub fn severity(&self) -> Severity {
        match self {
            Notice::Alarm(transition) => transition.alarm.severity,
            Notice::Storm(storm) => storm.severity,
        }
    }

    /// When it is said.
    pub fn at(&self) -> Instant {
        match self {
            Notice::Alarm(transition) => transition.at_ns,
            Notice::Storm(storm) => storm.at_ns,
        }
    }
}
