//! Why probes do not count.

use std::collections::BTreeMap;
use std::fmt;

use crate::counters::Discard;
use crate::name::Name;

/// Why probes do not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// This monitor's capture dropped packets.
    OwnDrops,
    /// The peer's capture did.
    PeerDrops(Name),
    /// The peer has not yet begun, or begun again, or its group has not had the time to be joined.
    NotReady(Name),
    /// The peer did not answer.
    Silent(Name),
    /// The peer started anew, and has forgotten.
    Restarted(Name),
    /// The peer ended its part because nobody had asked for too long.
    Lapsed(Name),
    /// The peer found no room for what arrived.
    Forgot(Name),
    /// The peer did not send everything again: too much, or it could not.
    NotReflected(Name),
    /// What an agent told of a router's counter is not believed.
    Counter(Name, Discard),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::OwnDrops => f.write_str("this monitor's capture dropped packets"),
            Why::PeerDrops(peer) => write!(f, "peer {peer}'s capture dropped packets"),
            Why::NotReady(peer) => write!(
                f,
                "peer {peer} had not begun, or not joined the group for long enough"
            ),
            Why::Silent(peer) => write!(f, "peer {peer} did not say what arrived"),
            Why::Restarted(peer) => write!(f, "peer {peer} started anew"),
            Why::Lapsed(peer) => write!(f, "peer {peer} had ended its part: its lease was over"),
            Why::Forgot(peer) => write!(f, "peer {peer} had no room for what arrived"),
            Why::NotReflected(peer) => write!(f, "peer {peer} could not send everything again"),
            Why::Counter(agent, discard) => write!(f, "counter of agent {agent}: {discard}"),
        }
    }
}

/// What does not count, by reason.
#[derive(Debug, Default)]
pub(crate) struct Discards {
    probes_by_why: BTreeMap<Why, u64>,
}

impl Discards {
    pub(crate) fn count(&mut self, why: Why, probes: u64) {
        *self.probes_by_why.entry(why).or_default() += probes;
    }

    /// Probes that do not count.
    pub(crate) fn probes(&self) -> u64 {
        self.probes_by_why.values().sum()
    }

    /// A sentence for each reason.
    pub(crate) fn sentences(&self) -> impl Iterator<Item = String> {
        let each = self.probes_by_why.iter();
        each.map(|(why, probes)| format!("{probes} probes do not count: {why}"))
    }
}
