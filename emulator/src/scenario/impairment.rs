//! What netem is told to do to a link or a tunnel.

use serde::{Deserialize, Serialize};

use super::{Bitrate, Probability, Span};

/// What netem does to one direction of a link, or to a tunnel. Absent fields do nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Impairment {
    /// Constant delay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// Spread around the delay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    /// Shape of the spread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// Independent loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Probability>,
    /// Bursty loss (instead of `loss`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<GilbertElliott>,
    /// Share of packets sent twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<Probability>,
    /// Share of packets sent at once, past the delayed ones (needs `delay`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reorder: Option<Probability>,
    /// Share of packets with one bit flipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<Probability>,
    /// Serialisation rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Bitrate>,
    /// Queue limit in packets. Without it nothing may be dropped for want of room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_packets: Option<u32>,
}

/// Shape of the delay's spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Uniform in delay ± jitter (netem without a table).
    Uniform,
    /// Normal with standard deviation = jitter.
    Normal,
    /// Pareto, netem's table.
    Pareto,
}

/// Gilbert-Elliott loss: two states, netem's `loss gemodel`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GilbertElliott {
    /// Probability of leaving the good state, per packet.
    pub p: Probability,
    /// Probability of leaving the bad state, per packet.
    pub r: Probability,
    /// Loss in the bad state.
    #[serde(default = "Probability::one")]
    pub bad_loss: Probability,
    /// Loss in the good state.
    #[serde(default)]
    pub good_loss: Probability,
}

/// Impairment of one tunnel in the direction router -> monitor, at the router's GRE device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TunnelImpairment {
    /// Expanded tunnel name.
    pub tunnel: String,
    /// What is done to it.
    pub impair: Impairment,
}
