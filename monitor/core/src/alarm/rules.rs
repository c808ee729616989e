//! An expected configuration, arranged for quick questions.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use crate::name::Name;
use crate::view::Expected;
use crate::view::expected::{Prefix, PrefixMap, Presence};

/// A set of addresses.
pub type Ranges = PrefixMap<()>;

#[derive(Debug)]
pub struct Rules {
    /// As it was given.
    pub expected: Expected,
    /// None if any PE may be there.
    pub pes: Option<BTreeMap<Ipv4Addr, PeRules>>,
    pub required: BTreeSet<Ipv4Addr>,
    pub by_tunnel: BTreeMap<Name, Ipv4Addr>,
    pub groups: Option<Ranges>,
    pub sources: PrefixMap<Ranges>,
    pub pool: Option<Ranges>,
    pub mapped_groups: Option<Ranges>,
    /// Whether any PE is held to what its sites may send.
    pub checks_sending: bool,
}

/// What is expected of one PE.
#[derive(Debug)]
pub struct PeRules {
    pub name: Name,
    pub send: Option<Ranges>,
    pub receive: Option<Ranges>,
}

impl Rules {
    pub fn new(expected: Expected) -> Rules {
        let pes = || expected.pes.iter().flatten();
        let data_mdt = expected.data_mdt.as_ref();
        Rules {
            pes: expected.pes.as_ref().map(|_| pe_rules(&expected)),
            required: pes()
                .filter(|(_, pe)| pe.presence == Presence::Required)
                .map(|(_, pe)| pe.address)
                .collect(),
            by_tunnel: pes()
                .map(|(name, pe)| (pe.tunnel.as_ref().unwrap_or(name).clone(), pe.address))
                .collect(),
            groups: expected.groups.as_deref().map(ranges),
            sources: expected
                .sources
                .iter()
                .flatten()
                .map(|(group, sources)| (*group, ranges(sources)))
                .collect(),
            pool: data_mdt.and_then(|of| of.pool.as_deref()).map(ranges),
            mapped_groups: data_mdt.and_then(|of| of.groups.as_deref()).map(ranges),
            checks_sending: expected
                .sites
                .iter()
                .flatten()
                .any(|(_, of)| of.send.is_some()),
            expected,
        }
    }

    pub fn pe(&self, address: Ipv4Addr) -> Option<&PeRules> {
        self.pes.as_ref().and_then(|pes| pes.get(&address))
    }

    pub fn is_unexpected(&self, pe: Ipv4Addr) -> bool {
        self.pes.as_ref().is_some_and(|pes| !pes.contains_key(&pe))
    }

    pub fn is_group_unexpected(&self, group: IpAddr) -> bool {
        self.groups
            .as_ref()
            .is_some_and(|allowed| !allowed.contains(group))
    }

    pub fn is_source_unexpected(&self, source: IpAddr, group: IpAddr) -> bool {
        self.sources
            .get(group)
            .is_some_and(|allowed| !allowed.contains(source))
    }

    /// Whether what the MVPN lets in is kept from this PE's sites: they may not send it.
    pub fn may_not_send(&self, pe: Ipv4Addr, group: IpAddr) -> bool {
        let allowed = self.pe(pe).and_then(|pe| pe.send.as_ref());
        allowed.is_some_and(|allowed| !allowed.contains(group))
    }

    pub fn may_not_receive(&self, pe: Ipv4Addr, group: IpAddr) -> bool {
        let allowed = self.pe(pe).and_then(|pe| pe.receive.as_ref());
        allowed.is_some_and(|allowed| !allowed.contains(group))
    }
}

fn ranges(prefixes: &[Prefix]) -> Ranges {
    prefixes.iter().map(|prefix| (*prefix, ())).collect()
}

fn pe_rules(expected: &Expected) -> BTreeMap<Ipv4Addr, PeRules> {
    let sites = expected.sites.as_ref();
    let of_pe = |name: &Name| {
        let sites = sites.and_then(|sites| sites.get(name));
        PeRules {
            name: name.clone(),
            send: sites.and_then(|of| of.send.as_deref()).map(ranges),
            receive: sites.and_then(|of| of.receive.as_deref()).map(ranges),
        }
    };
    let pes = expected.pes.iter().flatten();
    pes.map(|(name, pe)| (pe.address, of_pe(name))).collect()
}
