//! The customers' sources and receivers.

use std::net::Ipv4Addr;

use super::Checker;
use crate::scenario::{Role, Source, Span};

/// The smallest payload holds an RTP header and the lab's own; the largest passes two GRE headers unfragmented.
const SIZES: std::ops::RangeInclusive<u16> = 32..=1400;

impl Checker<'_> {
    pub(super) fn traffic(&mut self) {
        let scenario = self.scenario;
        let sources = scenario.sources.iter().enumerate();
        self.unique(
            "source",
            sources
                .clone()
                .map(|(i, s)| (format!("source.{i}.name"), s.name.as_str())),
        );
        for (index, source) in sources {
            let path = format!("source.{index}");
            self.end_station(&path, &source.at, source.group);
            self.within_run(&path, source.start, source.stop);
            self.size(&path, source.size_bytes);
            self.register_can_return(&path, &source.at);
            self.bursts(&path, source);
        }
        let receivers = scenario.receivers.iter().enumerate();
        self.unique(
            "receiver",
            receivers
                .clone()
                .map(|(i, r)| (format!("receiver.{i}.name"), r.name.as_str())),
        );
        for (index, receiver) in receivers {
            let path = format!("receiver.{index}");
            self.end_station(&path, &receiver.at, receiver.group);
            self.within_run(&path, receiver.start, receiver.stop);
            match &receiver.source {
                Some(source) => {
                    let names: Vec<&str> =
                        scenario.sources.iter().map(|s| s.name.as_str()).collect();
                    self.known(&format!("{path}.source"), "source", source, &names);
                }
                None if receiver.group.octets()[0] == 232 => {
                    let what = format!(
                        "{} is an SSM group, but no source is joined",
                        receiver.group
                    );
                    self.wrong(
                        &format!("{path}.group"),
                        what,
                        "add `source = …`, the name of a [[source]]",
                    );
                }
                None => {}
            }
        }
    }

    /// A transfer goes from one host to another, over the backbone or within a site.
    pub(super) fn transfers(&mut self) {
        let scenario = self.scenario;
        let transfers = scenario.transfers.iter().enumerate();
        let names = transfers
            .clone()
            .map(|(i, t)| (format!("transfer.{i}.name"), t.name.as_str()));
        self.unique("transfer", names);
        for (index, transfer) in transfers {
            let path = format!("transfer.{index}");
            for (field, node) in [("from", &transfer.from), ("to", &transfer.to)] {
                let at = format!("{path}.{field}");
                if self.known_node(&at, node) && scenario.role(node) != Some(Role::Host) {
                    let what = format!("`{node}` is no host");
                    self.wrong(&at, what, "name a node whose role is \"host\"");
                }
            }
            if transfer.from == transfer.to {
                let what = format!("`{}` sends to itself", transfer.from);
                self.wrong(&format!("{path}.to"), what, "name another host");
            }
            self.within_run(&path, transfer.start, transfer.stop);
        }
    }

    fn bursts(&mut self, path: &str, source: &Source) {
        let least = Span::millis(1);
        if let Some(bursts) = source.bursts
            && (bursts.on < least || bursts.off < least)
        {
            let what = "bursts without length or pause";
            self.wrong(&format!("{path}.bursts"), what, "at least \"1ms\" each");
        }
    }

    pub(super) fn size(&mut self, path: &str, size_bytes: u16) {
        if !SIZES.contains(&size_bytes) {
            let what = format!("a payload of {size_bytes} bytes");
            self.wrong(
                &format!("{path}.size_bytes"),
                what,
                "between 32 and 1400 bytes",
            );
        }
    }

    fn end_station(&mut self, path: &str, node: &str, group: Ipv4Addr) {
        let at = format!("{path}.at");
        if !self.known_node(&at, node) {
            return;
        }
        let on_backbone = self
            .scenario
            .neighbors(node)
            .any(|peer| self.scenario.is_router(peer));
        match self.scenario.role(node) {
            Some(Role::Host) if on_backbone => self.backbone_group(&format!("{path}.group"), group),
            Some(Role::Host | Role::Ce) => self.group(&format!("{path}.group"), group),
            Some(Role::P | Role::Pe | Role::Monitor) | None => {
                let remedy = "traffic starts and ends at nodes with the role \"ce\" or \"host\"";
                self.wrong(&at, format!("`{node}` is no customer"), remedy);
            }
        }
    }

    /// A CE with hosts behind it registers their packets with the customer's RP itself. The RP's answer would have to
    /// cross the MDT as unicast for a third party, which Linux does not forward (it arrived by multicast).
    fn register_can_return(&mut self, path: &str, node: &str) {
        let scenario = self.scenario;
        let Some(ce) = scenario
            .neighbors(node)
            .find(|peer| scenario.is_ce_router(peer))
        else {
            return;
        };
        let Some((name, pe)) = scenario.site_of_ce(ce) else {
            return;
        };
        if scenario.role(node) == Some(Role::Host)
            && scenario.mvpns.get(name).and_then(|m| m.rp_pe()) != Some(pe)
        {
            let what = format!("a source behind the CE router `{ce}`, whose RP is at another site");
            self.wrong(
                &format!("{path}.at"),
                what,
                format!("set `customer_rp = \"{pe}\"` in [mvpn.{name}]"),
            );
        }
    }
}
