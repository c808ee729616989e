//! What netem is told to do to a link or a tunnel.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bitrate, Probability, Span};

/// What netem does to one direction of a link, or to a tunnel. Absent fields do nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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

/// As it is written on a link: `30ms ±5ms, loss 3%`; nothing for none.
impl fmt::Display for Impairment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            delay,
            jitter,
            distribution,
            loss,
            burst,
            duplicate,
            reorder,
            corrupt,
            rate,
            queue_packets,
        } = self;
        let shape = |text: String| match distribution {
            Some(distribution) => format!("{text} {}", format!("{distribution:?}").to_lowercase()),
            None => text,
        };
        let delay = match (delay, jitter) {
            (Some(delay), Some(jitter)) => Some(shape(format!("{delay} ±{jitter}"))),
            (Some(delay), None) => Some(delay.to_string()),
            (None, Some(jitter)) => Some(shape(format!("±{jitter}"))),
            (None, None) => None,
        };
        let parts = [
            delay,
            loss.map(|p| format!("loss {p}")),
            burst.map(|model| format!("bursts p {} r {}", model.p, model.r)),
            duplicate.map(|p| format!("dup. {p}")),
            reorder.map(|p| format!("reorder {p}")),
            corrupt.map(|p| format!("corrupt {p}")),
            rate.map(|rate| rate.to_string()),
            queue_packets.map(|packets| format!("queue {packets}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&parts.join(", "))
    }
}

/// What cannot be true of an impairment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: a field, or a field of a field.
    pub field: &'static str,
    /// What was found.
    pub what: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Impairment {
    /// This impairment with what the other one names put in its place. A loss of one kind takes the other kind's.
    pub fn changed_by(&self, other: &Self) -> Self {
        Self {
            delay: other.delay.or(self.delay),
            jitter: other.jitter.or(self.jitter),
            distribution: other.distribution.or(self.distribution),
            loss: other.loss.or(self.loss.filter(|_| other.burst.is_none())),
            burst: other.burst.or(self.burst.filter(|_| other.loss.is_none())),
            duplicate: other.duplicate.or(self.duplicate),
            reorder: other.reorder.or(self.reorder),
            corrupt: other.corrupt.or(self.corrupt),
            rate: other.rate.or(self.rate),
            queue_packets: other.queue_packets.or(self.queue_packets),
        }
    }

    /// Contradictions.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut wrong = |field, what: String, remedy| {
            found.push(Problem {
                field,
                what,
                remedy,
            });
        };
        let delay = self.delay.unwrap_or_default();
        if self.loss.is_some() && self.burst.is_some() {
            let remedy = "netem has one loss model: keep one of the two";
            wrong("burst", "`loss` and `burst` both".into(), remedy);
        }
        if self.jitter.is_some_and(|jitter| jitter > delay) {
            let remedy =
                "the spread would be cut off at zero: make `delay` at least as long as `jitter`";
            wrong("jitter", "more `jitter` than `delay`".into(), remedy);
        }
        if self.distribution.is_some() && self.jitter.is_none() {
            let remedy = "add `jitter`, or remove it";
            wrong("distribution", "a `distribution` of nothing".into(), remedy);
        }
        if self.reorder.is_some() && delay == Span::ZERO {
            let remedy = "packets overtake only those that wait: add `delay`";
            wrong("reorder", "`reorder` without `delay`".into(), remedy);
        }
        if self.queue_packets == Some(0) {
            wrong(
                "queue_packets",
                "a queue of no packets".into(),
                "at least 1",
            );
        }
        if self.queue_packets.is_some() && self.rate.is_none() && delay == Span::ZERO {
            let remedy = "nothing ever waits there: add `rate` or `delay`";
            wrong(
                "queue_packets",
                "a queue limit without a queue".into(),
                remedy,
            );
        }
        if delay > Span::seconds(60) {
            wrong("delay", format!("a delay of {delay}"), "at most \"60s\"");
        }
        if let Some(burst) = self.burst {
            for (field, name, value) in [("burst.p", "p", burst.p), ("burst.r", "r", burst.r)] {
                if value == Probability(0.0) {
                    let remedy = "the state would never change: more than \"0%\", or use `loss`";
                    wrong(field, format!("`{name}` is 0%"), remedy);
                }
            }
        }
        found
    }
}

/// Shape of the delay's spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TunnelImpairment {
    /// Expanded tunnel name.
    pub tunnel: String,
    /// What is done to it.
    pub impair: Impairment,
}
