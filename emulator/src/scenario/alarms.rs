//! What an MVPN ought to be, and the alarms that tell where it is not.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Groups, Span};

/// What an MVPN ought to be, told to the monitor when the run starts. What is left out is not checked; an empty list
/// allows nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedMvpn {
    /// The MVPN; it is watched.
    pub mvpn: String,
    /// PEs that must be there, and no others.
    #[serde(default)]
    pub pes: Option<Vec<String>>,
    /// The customer's groups.
    #[serde(default)]
    pub groups: Option<Vec<Groups>>,
    /// Of a group, the nodes that may send to it.
    #[serde(default)]
    pub sources: BTreeMap<Ipv4Addr, Vec<String>>,
    /// Backbone groups that may be data MDTs.
    #[serde(default)]
    pub data_mdts: Option<Vec<Groups>>,
    /// The customer's groups that may be on a data MDT.
    #[serde(default)]
    pub on_data_mdts: Option<Vec<Groups>>,
}

/// How long something must be wrong, or fine; the monitor's own times where left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Alarms {
    /// An alarm is raised when it has been wrong for so long.
    pub raise_after: Option<Span>,
    /// It is cleared when it has been fine for so long.
    pub clear_after: Option<Span>,
    /// Nobody is missed before the monitor has listened for so long.
    pub listen_first: Option<Span>,
}

/// An alarm of an MVPN that must be raised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedAlarm {
    /// What is wrong.
    pub kind: AlarmKind,
    /// At which PE, a rogue too; none where it is about the MVPN as a whole.
    #[serde(default)]
    pub pe: Option<String>,
    /// Of which customer group.
    #[serde(default)]
    pub group: Option<Ipv4Addr>,
    /// Of which source: the node that sends.
    #[serde(default)]
    pub source: Option<String>,
    /// Raised from then, and before then, after the start of the run.
    pub raised: [Span; 2],
    /// Cleared from then, and before then; left out: it is active at the end.
    #[serde(default)]
    pub cleared: Option<[Span; 2]>,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmKind {
    /// PEs are expected, and none is heard.
    MvpnSilent,
    /// A PE is not there.
    PeMissing,
    /// A PE is there that may not be.
    PeUnexpected,
    /// A PE has restarted.
    PeRestarted,
    /// A group that is not the customer's.
    GroupUnexpected,
    /// A source that may not send to its group.
    SourceUnexpected,
    /// A data MDT outside of the pool.
    MappingOutsidePool,
    /// A data MDT for a group that may not be on one.
    MappingNotAllowed,
}

impl AlarmKind {
    /// The word for it, in scenarios and on the monitor's control socket.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MvpnSilent => "mvpn-silent",
            Self::PeMissing => "pe-missing",
            Self::PeUnexpected => "pe-unexpected",
            Self::PeRestarted => "pe-restarted",
            Self::GroupUnexpected => "group-unexpected",
            Self::SourceUnexpected => "source-unexpected",
            Self::MappingOutsidePool => "mapping-outside-pool",
            Self::MappingNotAllowed => "mapping-not-allowed",
        }
    }

    /// It is about a PE.
    pub const fn has_pe(self) -> bool {
        !matches!(self, Self::MvpnSilent)
    }

    /// It is about a customer's group.
    pub const fn has_group(self) -> bool {
        matches!(self, Self::GroupUnexpected) || self.has_source()
    }

    /// It is about a customer's source.
    pub const fn has_source(self) -> bool {
        matches!(
            self,
            Self::SourceUnexpected | Self::MappingOutsidePool | Self::MappingNotAllowed
        )
    }
}

impl fmt::Display for AlarmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
