//! What can be wrong, and how much it matters.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// PEs are expected in an MVPN, and no PE at all is heard there.
    MvpnSilent,
    /// A PE that must be there is not: no PIM Hello of it is valid.
    PeMissing,
    /// A PE is there that may not be.
    PeUnexpected,
    /// A PE has restarted: its generation id is another (RFC 7761 §4.3.1).
    PeRestarted,
    /// A group that is not among the customer's.
    GroupUnexpected,
    /// A source that may not send to this group.
    SourceUnexpected,
    /// A PE whose sites may not send to this group is asked for it, or forwards it.
    SendNotAllowed,
    /// A PE whose sites may not receive this group asks for it.
    ReceiveNotAllowed,
    /// A data MDT that is not in the MVPN's pool.
    MappingOutsidePool,
    /// A data MDT for a group that may not be on one.
    MappingNotAllowed,
    /// A measured metric is above its threshold.
    Threshold,
}

/// All kinds.
pub const KINDS: [Kind; 11] = [
    Kind::MvpnSilent,
    Kind::PeMissing,
    Kind::PeUnexpected,
    Kind::PeRestarted,
    Kind::GroupUnexpected,
    Kind::SourceUnexpected,
    Kind::SendNotAllowed,
    Kind::ReceiveNotAllowed,
    Kind::MappingOutsidePool,
    Kind::MappingNotAllowed,
    Kind::Threshold,
];

/// How much an alarm matters: the perceived severity of ITU-T X.733 §8.1.2.3. Later ones matter more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It may come to something.
    Warning,
    /// The service works, and something is not right.
    Minor,
    /// The service suffers.
    Major,
    /// The service is gone, or in wrong hands.
    Critical,
}

impl Kind {
    /// The word for it in databases, on the control socket and in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::MvpnSilent => "mvpn-silent",
            Kind::PeMissing => "pe-missing",
            Kind::PeUnexpected => "pe-unexpected",
            Kind::PeRestarted => "pe-restarted",
            Kind::GroupUnexpected => "group-unexpected",
            Kind::SourceUnexpected => "source-unexpected",
            Kind::SendNotAllowed => "send-not-allowed",
            Kind::ReceiveNotAllowed => "receive-not-allowed",
            Kind::MappingOutsidePool => "mapping-outside-pool",
            Kind::MappingNotAllowed => "mapping-not-allowed",
            Kind::Threshold => "threshold",
        }
    }

    /// Its severity unless configured otherwise.
    pub fn severity(self) -> Severity {
        match self {
            Kind::MvpnSilent | Kind::PeUnexpected => Severity::Critical,
            Kind::PeMissing
            | Kind::SourceUnexpected
            | Kind::SendNotAllowed
            | Kind::MappingOutsidePool
            | Kind::Threshold => Severity::Major,
            Kind::GroupUnexpected | Kind::ReceiveNotAllowed | Kind::MappingNotAllowed => {
                Severity::Minor
            }
            Kind::PeRestarted => Severity::Warning,
        }
    }

    /// Whether it happens rather than lasts: raised at once, and cleared when it has not happened again for a while.
    pub fn is_momentary(self) -> bool {
        matches!(self, Kind::PeRestarted)
    }

    /// Whether it is something that ought to be there and is not: then it cannot be known before
    /// the monitor has listened for a while.
    pub fn is_absence(self) -> bool {
        matches!(self, Kind::MvpnSilent | Kind::PeMissing)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Minor => "minor",
            Severity::Major => "major",
            Severity::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
