//! What the monitor is told to do, by its public interfaces only.

use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Alarms, ExpectedMvpn, Oneway, Rate, Span};

/// What the monitor is told: everything here goes to `vmscope` by its public interfaces only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Monitor {
    /// Round-trip measurement of each tunnel, this often.
    pub ping: Option<Span>,
    /// Probing tasks.
    #[serde(rename = "task")]
    pub tasks: Vec<Task>,
    /// Passive measurement of customer traffic arriving by these tunnels.
    #[serde(rename = "passive")]
    pub passives: Vec<Passive>,
    /// MVPNs whose control plane is listened to, from the start of the run.
    #[serde(rename = "watch")]
    pub watches: Vec<Watch>,
    /// What MVPNs that are watched ought to be, from the start of the run.
    #[serde(rename = "expect")]
    pub expected: Vec<ExpectedMvpn>,
    /// When what is not so is raised and cleared.
    pub alarms: Alarms,
    /// Measurements of one-way loss.
    #[serde(rename = "oneway", skip_serializing_if = "Vec::is_empty")]
    pub oneways: Vec<Oneway>,
}

/// A probing task: N senders, M receivers, one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Name.
    pub name: String,
    /// The MVPN whose default MDT is probed (exclusive with `group`).
    #[serde(default)]
    pub mvpn: Option<String>,
    /// A plain group (exclusive with `mvpn`).
    #[serde(default)]
    pub group: Option<Ipv4Addr>,
    /// Tunnel names; `a*` means all that begin with `a`; empty: all tunnels.
    #[serde(default)]
    pub senders: Vec<String>,
    /// Tunnel names, likewise.
    #[serde(default)]
    pub receivers: Vec<String>,
    /// Probes per second of each sender.
    pub rate: Rate,
    /// UDP payload of a probe, bytes.
    #[serde(default = "default_size")]
    pub size_bytes: u16,
    /// Length of a result interval.
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// Probes of this first stretch build trees and are not counted.
    #[serde(default)]
    pub warmup: Span,
    /// A probe missing for this long is lost.
    #[serde(default = "default_loss_timeout")]
    pub loss_timeout: Span,
    /// Poisson instead of periodic.
    #[serde(default)]
    pub poisson: bool,
    /// TTL of the inner packet.
    #[serde(default = "default_ttl")]
    #[schemars(range(min = 1))]
    pub ttl: u8,
    /// Started this long after the start of the run; `"event"`: only when the timeline says so.
    #[serde(default = "at_once", with = "start_text")]
    #[schemars(with = "super::schema::Start")]
    pub start: Option<Span>,
    /// Stopped then; left out: `loss_timeout` plus one second before the end of the run.
    #[serde(default)]
    pub stop: Option<Span>,
}

fn default_size() -> u16 {
    100
}

fn default_interval() -> Span {
    Span::seconds(10)
}

fn default_loss_timeout() -> Span {
    Span::seconds(2)
}

fn default_ttl() -> u8 {
    64
}

/// `"5s"`, or `"event"`.
mod start_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::Span;

    const EVENT: &str = "event";

    pub(super) fn serialize<S: Serializer>(
        start: &Option<Span>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match start {
            Some(span) => serializer.collect_str(span),
            None => serializer.serialize_str(EVENT),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Span>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == EVENT {
            Ok(None)
        } else {
            text.parse().map(Some).map_err(D::Error::custom)
        }
    }
}

fn at_once() -> Option<Span> {
    Some(Span::seconds(0))
}

/// Passive measurement of a customer's traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Passive {
    /// The MVPN whose default MDT is joined.
    pub mvpn: String,
    /// Tunnel names.
    pub tunnels: Vec<String>,
}

/// Listening to an MVPN's control plane: who is in it, by what its PEs tell each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// The MVPN whose default MDT is joined.
    pub mvpn: String,
    /// Tunnel names; one hears everything.
    pub tunnels: Vec<String>,
}
