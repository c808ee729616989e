//! What PEs say, each in one flat object.

use std::net::{IpAddr, Ipv4Addr};

use schemars::JsonSchema;
use serde::Serialize;
use vmscope_core::view::record::{Key, Route, State};
use vmscope_store::mvpn::Held;

use crate::moment::Moment;

/// What a PE said, and from when to when it held. What its kind does not have is absent.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Statement {
    /// `neighbor`, `join`, `assert`, `mapping`, `rp` or `forwarder`.
    pub kind: &'static str,
    /// Who said it: its address in the backbone.
    pub pe: String,
    /// Of joins and asserts: `shared` for (*,G), `source` for (S,G), `rpt` for a source pruned from the shared tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<&'static str>,
    /// The customer's source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// The customer's group; of an RP its range's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<IpAddr>,
    /// Length of an RP's range, bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<u8>,
    /// The RP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rp: Option<IpAddr>,
    /// Of joins: the neighbour that was asked, its address on the MDT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<IpAddr>,
    /// Of mappings: a group of the backbone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_mdt: Option<Ipv4Addr>,
    /// Of neighbours: its address on the MDT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Of neighbours: how long it is believed without another Hello, seconds; absent for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_time_s: Option<u16>,
    /// Of neighbours: another number after every restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_id: Option<u32>,
    /// Of neighbours: the priority in the election of the designated router.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dr_priority: Option<u32>,
    /// Of neighbours: whether it is the designated router of the MDT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub designated_router: Option<bool>,
    /// Of neighbours: whether it can forward bidirectional groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bidirectional: Option<bool>,
    /// Of asserts and forwarders: metric preference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preference: Option<u32>,
    /// Of asserts and forwarders: metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// Of RPs: lower is better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Of RPs: the bootstrap router that said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bsr: Option<IpAddr>,
    /// From when on it held.
    pub since: Moment,
    /// Until when; absent if it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// When it was last repeated, as far as was written down.
    pub refreshed: Moment,
    /// How often it was repeated, as far as was written down.
    pub refreshes: u64,
    /// `said`, `taken-back`, `expired`, `restarted` or `unwatched`; absent if it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<&'static str>,
}

impl Default for Moment {
    fn default() -> Self {
        Moment::NOW
    }
}

impl From<&Held> for Statement {
    fn from(held: &Held) -> Statement {
        let mut said = Statement {
            kind: held.key.kind(),
            pe: held.key.pe().to_string(),
            source: held.key.source(),
            group: held.key.group(),
            since: held.since.into(),
            until: held.until.map(Moment),
            refreshed: held.refreshed.into(),
            refreshes: held.refreshes,
            ended_by: held.ended_by.map(|cause| cause.as_str()),
            ..Statement::default()
        };
        said.add_key(&held.key);
        said.add_state(&held.state);
        said
    }
}

impl Statement {
    fn add_key(&mut self, key: &Key) {
        match *key {
            Key::Join { route, .. } | Key::Assert { route, .. } => self.route = Some(word(&route)),
            Key::Rp {
                rp, group, prefix, ..
            } => {
                self.rp = Some(rp);
                self.group = Some(group);
                self.prefix = Some(prefix);
            }
            Key::Forwarder { rp, .. } => self.rp = Some(rp),
            Key::Neighbor { .. } | Key::Mapping { .. } => {}
        }
    }

    fn add_state(&mut self, state: &State) {
        match state {
            State::Neighbor(neighbor) => {
                self.address = Some(neighbor.address);
                self.hold_time_s = neighbor.hold_time_s;
                self.generation_id = neighbor.generation_id;
                self.dr_priority = neighbor.dr_priority;
                self.designated_router = Some(neighbor.designated_router);
                self.bidirectional = Some(neighbor.bidirectional);
            }
            State::Join { upstream, rp } => {
                self.upstream = Some(*upstream);
                self.rp = *rp;
            }
            State::Mapping { data_mdt } => self.data_mdt = Some(*data_mdt),
            State::Assert { preference, metric } | State::Forwarder { preference, metric } => {
                self.preference = Some(*preference);
                self.metric = Some(*metric);
            }
            State::Rp { priority, bsr } => {
                self.priority = Some(*priority);
                self.bsr = Some(*bsr);
            }
        }
    }
}

/// The word for a kind of route.
pub fn word(route: &Route) -> &'static str {
    match route {
        Route::Shared { .. } => "shared",
        Route::Source { .. } => "source",
        Route::Rpt { .. } => "rpt",
    }
}
