//! Whether an expected configuration makes sense in itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Expected, Prefix};
use crate::name::Name;

/// Entries of one expected configuration at most, over all its lists.
const ENTRIES_MAX: usize = 100_000;

/// An expected configuration that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot expect this of MVPN {mvpn}: {problem}; {remedy}")]
pub struct ExpectedError {
    /// The MVPN.
    pub mvpn: Name,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

type Problem = (String, &'static str);

impl Expected {
    /// Whether it makes sense; the first thing that does not.
    pub fn validate(&self) -> Result<(), ExpectedError> {
        self.check_size()
            .and_then(|()| self.check_pes())
            .and_then(|()| self.check_groups())
            .and_then(|()| self.check_sources())
            .and_then(|()| self.check_sites())
            .and_then(|()| self.check_data_mdt())
            .map_err(|(problem, remedy)| ExpectedError {
                mvpn: self.mvpn.clone(),
                problem,
                remedy: remedy.to_owned(),
            })
    }

    fn check_size(&self) -> Result<(), Problem> {
        let of_sources = self
            .sources
            .iter()
            .flatten()
            .map(|(_, list)| 1 + list.len());
        let of_sites = self.sites.iter().flatten().flat_map(|(_, sites)| {
            [&sites.send, &sites.receive].map(|list| list.as_ref().map_or(0, Vec::len))
        });
        let entries = self.pes.as_ref().map_or(0, BTreeMap::len)
            + self.groups.as_ref().map_or(0, Vec::len)
            + of_sources.chain(of_sites).sum::<usize>();
        if entries > ENTRIES_MAX {
            let problem = format!("it has {entries} entries, and {ENTRIES_MAX} are the most");
            return Err((problem, "write ranges rather than single addresses"));
        }
        Ok(())
    }

    fn check_pes(&self) -> Result<(), Problem> {
        let mut names = BTreeMap::new();
        for (name, pe) in self.pes.iter().flatten() {
            let address = pe.address;
            if address.is_multicast() || address.is_unspecified() || address.is_broadcast() {
                let problem = format!("{address} cannot be the address of PE {name}");
                return Err((
                    problem,
                    "write the source address of its packets on the MDT",
                ));
            }
            if let Some(other) = names.insert(address, name) {
                let problem = format!("PEs {other} and {name} have the same address {address}");
                return Err((problem, "correct one, or leave it out"));
            }
        }
        Ok(())
    }

    fn check_groups(&self) -> Result<(), Problem> {
        self.groups
            .iter()
            .flatten()
            .try_for_each(|group| multicast(group, "groups"))
    }

    fn check_sources(&self) -> Result<(), Problem> {
        for (group, sources) in self.sources.iter().flatten() {
            self.customer_group(group, "sources")?;
            for source in sources {
                if source.address().is_multicast() {
                    let problem = format!("{source}, a source of {group}, is a group");
                    return Err((problem, "write as \"GROUP\" = [\"SOURCE\"]"));
                }
                if source.address().is_ipv4() != group.address().is_ipv4() {
                    let problem =
                        format!("{source} cannot be a source of {group}: one is IPv4, one IPv6");
                    return Err((problem, "write sources of the group's own family"));
                }
            }
        }
        Ok(())
    }

    fn check_sites(&self) -> Result<(), Problem> {
        for (pe, sites) in self.sites.iter().flatten() {
            if !self.pes.as_ref().is_some_and(|pes| pes.contains_key(pe)) {
                let problem = format!("`sites` names {pe}, and there is no such PE in `pes`");
                return Err((problem, "add the PE with its address to `pes`"));
            }
            for group in [&sites.send, &sites.receive]
                .into_iter()
                .flatten()
                .flatten()
            {
                self.customer_group(group, "sites")?;
            }
        }
        Ok(())
    }

    fn check_data_mdt(&self) -> Result<(), Problem> {
        let Some(data_mdt) = &self.data_mdt else {
            return Ok(());
        };
        for group in data_mdt.pool.iter().flatten() {
            multicast(group, "data_mdt.pool")?;
            if group.address().is_ipv6() {
                let problem = format!("{group} cannot be in the pool: data MDTs are IPv4 here");
                return Err((
                    problem,
                    "write groups of the backbone, such as 239.200.0.0/24",
                ));
            }
        }
        let groups = data_mdt.groups.iter().flatten();
        groups
            .into_iter()
            .try_for_each(|group| self.customer_group(group, "data_mdt.groups"))
    }

    /// A group that is multicast, and one that `groups` allows in part at least.
    fn customer_group(&self, group: &Prefix, list: &str) -> Result<(), Problem> {
        multicast(group, list)?;
        match &self.groups {
            Some(groups) if !groups.iter().any(|allowed| allowed.overlaps(group)) => {
                let problem = format!("`{list}` names {group}, which `groups` does not allow");
                Err((problem, "add it to `groups`, or leave it out"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Every address of the range is a group (RFC 5771, RFC 4291 §2.7).
fn multicast(group: &Prefix, list: &str) -> Result<(), Problem> {
    let shortest = match group.address() {
        IpAddr::V4(_) => 4,
        IpAddr::V6(_) => 8,
    };
    if group.address().is_multicast() && group.length() >= shortest {
        return Ok(());
    }
    let problem = format!("`{list}` names {group}, which is no multicast group");
    Err((problem, "write groups of 224.0.0.0/4 or ff00::/8"))
}
