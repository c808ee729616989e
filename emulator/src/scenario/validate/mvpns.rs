//! MVPNs and their sites.

use std::{collections::BTreeMap, net::Ipv4Addr};

use super::Checker;
use crate::scenario::{Mvpn, Role, Suite};

impl Checker<'_> {
    pub(super) fn mvpns(&mut self) {
        let scenario = self.scenario;
        let mut groups: BTreeMap<Ipv4Addr, &str> = BTreeMap::new();
        let mut customers: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, mvpn) in &scenario.mvpns {
            let path = format!("mvpn.{name}");
            self.name(&path, "MVPN", name, 10);
            self.backbone_group(&format!("{path}.default_mdt"), mvpn.default_mdt);
            if let Some(other) = groups.insert(mvpn.default_mdt, name) {
                let what = format!(
                    "`{other}` and `{name}` have the same default MDT {}",
                    mvpn.default_mdt
                );
                self.wrong(
                    &format!("{path}.default_mdt"),
                    what,
                    "give each MVPN its own backbone group",
                );
            }
            if mvpn.ssm() && scenario.backbone.routers == Suite::Pimd {
                let remedy = "pimd cannot join a source by configuration: use FRR, or a group in 239.0.0.0/8";
                self.wrong(
                    &format!("{path}.default_mdt"),
                    "an SSM default MDT over pimd",
                    remedy,
                );
            }
            self.sites(&path, mvpn);
            self.rogues(&path, mvpn);
            for ce in mvpn.sites.values() {
                if let Some(other) = customers.insert(ce, name) {
                    let what = format!("the CE `{ce}` is a site of `{other}` already");
                    self.wrong(
                        &format!("{path}.sites"),
                        what,
                        "a CE belongs to one site of one MVPN",
                    );
                }
            }
        }
    }

    fn sites(&mut self, path: &str, mvpn: &Mvpn) {
        for (pe, ce) in &mvpn.sites {
            let at = format!("{path}.sites.{pe}");
            if self.is_pe(&format!("{at}:"), pe) & self.is_ce(&at, ce)
                && !self.scenario.neighbors(pe).any(|peer| peer == ce)
            {
                let remedy = format!("add `[[link]]` with `ends = \"{pe}-{ce}\"`");
                self.wrong(&at, format!("`{pe}` has no link to its CE `{ce}`"), remedy);
            }
        }
        for (index, pe) in mvpn.sites_without_ce.iter().enumerate() {
            let at = format!("{path}.sites_without_ce.{index}");
            self.is_pe(&at, pe);
            let again = mvpn.sites_without_ce[..index].contains(pe);
            if again || mvpn.sites.contains_key(pe) {
                self.wrong(&at, format!("`{pe}` is a site already"), "name it once");
            }
        }
        let pes = mvpn.pes();
        if pes.len() < 2 {
            let remedy = "name at least two PEs under `sites` or `sites_without_ce`";
            self.wrong(path, "an MVPN needs two sites", remedy);
        }
        if let Some(rp) = mvpn.customer_rp.as_deref().filter(|rp| !pes.contains(rp)) {
            let remedy = format!(
                "one of its PEs: {}",
                pes.into_iter().collect::<Vec<_>>().join(", ")
            );
            self.wrong(
                &format!("{path}.customer_rp"),
                format!("`{rp}` has no site of this MVPN"),
                remedy,
            );
        }
    }

    fn rogues(&mut self, path: &str, mvpn: &Mvpn) {
        for (index, pe) in mvpn.rogues.iter().enumerate() {
            let at = format!("{path}.rogues.{index}");
            if !self.is_pe(&at, pe) {
                continue;
            }
            if mvpn.pes().contains(pe.as_str()) {
                let remedy = "a rogue is a PE that does not belong to the MVPN: name another";
                self.wrong(&at, format!("`{pe}` is a site, so no rogue"), remedy);
            }
            if mvpn.rogues[..index].contains(pe) {
                self.wrong(&at, format!("`{pe}` is a rogue already"), "name it once");
            }
        }
        if mvpn.ssm() && !mvpn.rogues.is_empty() {
            let remedy =
                "nobody would join the rogue as a source: use a default MDT in 239.0.0.0/8";
            self.wrong(
                &format!("{path}.rogues"),
                "a rogue on an SSM default MDT",
                remedy,
            );
        }
    }

    fn is_pe(&mut self, path: &str, node: &str) -> bool {
        let known = self.known_node(path, node);
        if known && self.scenario.role(node) != Some(Role::Pe) {
            self.wrong(
                path,
                format!("`{node}` is not a PE"),
                "only nodes with the role \"pe\" have VRFs",
            );
            return false;
        }
        known
    }

    fn is_ce(&mut self, path: &str, node: &str) -> bool {
        let known = self.known_node(path, node);
        if known && self.scenario.role(node) != Some(Role::Ce) {
            self.wrong(
                path,
                format!("`{node}` is not a CE"),
                "name a node with the role \"ce\"",
            );
            return false;
        }
        known
    }
}
