//! What an alarm is about: no two alarms are active about the same.

use std::net::{IpAddr, Ipv4Addr};

use super::kind::Kind;
use super::threshold::Measured;
use crate::name::Name;

/// What an alarm is about. Ordered so that what belongs to one PE of one MVPN lies together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Subject {
    /// The MVPN; of a threshold, the task, which bears the name of its MVPN where it has one.
    pub mvpn: Name,
    pub pe: Option<Ipv4Addr>,
    pub kind: Kind,
    pub group: Option<IpAddr>,
    pub source: Option<IpAddr>,
    pub measured: Option<Box<Measured>>,
}

impl Subject {
    pub fn of_mvpn(kind: Kind, mvpn: &Name) -> Subject {
        Subject {
            mvpn: mvpn.clone(),
            pe: None,
            kind,
            group: None,
            source: None,
            measured: None,
        }
    }

    pub fn of_pe(kind: Kind, mvpn: &Name, pe: Ipv4Addr) -> Subject {
        Subject {
            pe: Some(pe),
            ..Subject::of_mvpn(kind, mvpn)
        }
    }

    pub fn of_group(kind: Kind, mvpn: &Name, pe: Ipv4Addr, group: IpAddr) -> Subject {
        Subject {
            group: Some(group),
            ..Subject::of_pe(kind, mvpn, pe)
        }
    }

    pub fn of_stream(
        kind: Kind,
        mvpn: &Name,
        pe: Ipv4Addr,
        source: IpAddr,
        group: IpAddr,
    ) -> Subject {
        Subject {
            source: Some(source),
            ..Subject::of_group(kind, mvpn, pe, group)
        }
    }

    pub fn of_pair(task: &Name, measured: Measured) -> Subject {
        Subject {
            measured: Some(Box::new(measured)),
            ..Subject::of_mvpn(Kind::Threshold, task)
        }
    }

    /// Where all that is about this MVPN, or about this PE of it, begins.
    pub fn first(mvpn: &Name, pe: Option<Ipv4Addr>) -> Subject {
        Subject {
            pe,
            ..Subject::of_mvpn(Kind::MvpnSilent, mvpn)
        }
    }
}

/// What was found, as far as an alarm's message needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing was heard.
    Nothing,
    /// A record of this kind said so.
    Said(&'static str),
    /// A PE of the MVPN asks this address of the PE for it.
    Asked(IpAddr),
    /// It is mapped to this data MDT.
    Mapped(Ipv4Addr),
    /// A metric's value, in its own unit.
    Value(u64),
}
