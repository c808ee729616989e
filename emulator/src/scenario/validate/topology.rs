//! Nodes, links, the backbone.

use std::collections::BTreeSet;

use super::Checker;
use crate::scenario::{Link, Role, Span, Suite};

impl Checker<'_> {
    pub(super) fn topology(&mut self) {
        self.bounds();
        self.nodes();
        self.links();
        self.backbone();
        self.tunnels();
        self.joins();
    }

    /// What the address plan has room for.
    fn bounds(&mut self) {
        let scenario = self.scenario;
        let tunnels: usize = scenario
            .tunnels
            .iter()
            .map(|tunnel| tunnel.parallel.unwrap_or(1) as usize)
            .sum();
        for (path, noun, count, most) in [
            ("link.0", "links", scenario.links.len(), 16_000),
            ("tunnel.0", "tunnels", tunnels, 16_000),
            ("mvpn", "MVPNs", scenario.mvpns.len(), 254),
        ] {
            if count > most {
                let remedy = format!("there are addresses for {most}");
                self.wrong(path, format!("{count} {noun}"), remedy);
            }
        }
        for (name, mvpn) in &scenario.mvpns {
            let sites = mvpn.pes_and_rogues().count();
            if sites > 254 {
                let what = format!("{sites} sites of one MVPN");
                self.wrong(&format!("mvpn.{name}"), what, "there are addresses for 254");
            }
        }
        for name in scenario.nodes.keys() {
            let hosts = scenario.neighbors(name).count();
            if scenario.role(name) == Some(Role::Ce) && hosts > 60 {
                let what = format!("{hosts} links of one CE");
                self.wrong(
                    &format!("nodes.{name}:"),
                    what,
                    "there are addresses for 60",
                );
            }
        }
    }

    fn nodes(&mut self) {
        let scenario = self.scenario;
        for (name, node) in &scenario.nodes {
            let path = format!("nodes.{name}:");
            self.name(&path, "node", name, 10);
            if name == "wires" {
                self.wrong(
                    &path,
                    "`wires` is the lab's own namespace",
                    "call the node something else",
                );
            }
            let links = scenario.neighbors(name).count();
            match node.role {
                Role::Monitor => self.one_link(&path, "a monitor", links, "to a router"),
                Role::Host => self.one_link(
                    &path,
                    "a host",
                    links,
                    "to its CE, or to a router for plain multicast",
                ),
                Role::Ce if scenario.site_of_ce(name).is_none() => {
                    let remedy = "name it under `sites` of an MVPN, `PE1 = \"CE1\"`, or remove it";
                    self.wrong(&path, format!("no MVPN has the CE `{name}`"), remedy);
                }
                Role::P | Role::Pe | Role::Ce => {}
            }
        }
    }

    fn one_link(&mut self, path: &str, noun: &str, links: usize, remedy: &str) {
        if links != 1 {
            self.wrong(
                path,
                format!("{noun} has {links} links"),
                format!("give it one link, {remedy}"),
            );
        }
    }

    fn links(&mut self) {
        let scenario = self.scenario;
        let mut seen = BTreeSet::new();
        for (index, link) in scenario.links.iter().enumerate() {
            let path = format!("link.{index}.ends");
            let Some((a, b)) = link.nodes() else {
                let what = format!("`{}` does not name two nodes", link.ends);
                self.wrong(&path, what, "two names with a `-` between, as in \"PE1-P\"");
                continue;
            };
            if !self.known_node(&path, a) | !self.known_node(&path, b) {
                continue;
            }
            if a == b {
                self.wrong(
                    &path,
                    format!("`{a}` is linked to itself"),
                    "name two different nodes",
                );
            } else if !seen.insert(if a < b { (a, b) } else { (b, a) }) {
                self.wrong(
                    &path,
                    format!("`{a}` and `{b}` are linked twice"),
                    "remove one of the two links",
                );
            } else {
                self.roles_of_link(&path, link, a, b);
            }
            for to in link.impair_to.keys() {
                self.end_of_link(&format!("link.{index}.impair_to.{to}:"), link, to);
            }
        }
    }

    /// `to` says a direction of the link.
    pub(super) fn end_of_link(&mut self, path: &str, link: &Link, to: &str) {
        if link.peer_of(to).is_none() {
            let what = format!("`{to}` is not an end of the link `{}`", link.ends);
            self.wrong(path, what, "name the node towards which the packets go");
        }
    }

    fn roles_of_link(&mut self, path: &str, link: &Link, a: &str, b: &str) {
        use Role::{Ce, Host, Monitor, P, Pe};
        let scenario = self.scenario;
        let (Some(role_a), Some(role_b)) = (scenario.role(a), scenario.role(b)) else {
            return;
        };
        let (inner, outer, site) = if role_a <= role_b {
            (role_a, role_b, (a, b))
        } else {
            (role_b, role_a, (b, a))
        };
        match (inner, outer) {
            (P | Pe, P | Pe) => {}
            (P | Pe, Monitor | Host) | (Ce, Host) => self.no_cost(path, link),
            (Pe, Ce) => {
                self.no_cost(path, link);
                if scenario
                    .site_of_ce(site.1)
                    .is_some_and(|(_, pe)| pe != site.0)
                {
                    let what = format!(
                        "`{}` is linked to `{}`, but its site is at another PE",
                        site.1, site.0
                    );
                    self.wrong(path, what, "link it to the PE that `sites` names");
                }
            }
            (P, Ce) => self.wrong(
                path,
                "a CE cannot hang on a P router",
                "P routers have no VRFs: link the CE to a PE",
            ),
            (Ce, Ce) => self.wrong(
                path,
                "two CEs cannot be linked",
                "link each CE to its own PE",
            ),
            (Ce, Monitor) => {
                self.wrong(
                    path,
                    "the monitor belongs to the backbone",
                    "link it to a P or PE router",
                );
            }
            (Host, Host | Monitor) | (Monitor, Monitor) => {
                self.wrong(
                    path,
                    "two hosts cannot be linked",
                    "link each to a router or CE",
                );
            }
            (Ce | Host | Monitor, P)
            | (Ce | Host | Monitor, Pe)
            | (Host | Monitor, Ce)
            | (Monitor, Host) => {} // not possible: sorted above
        }
    }

    fn no_cost(&mut self, path: &str, link: &Link) {
        if link.cost.is_some() {
            let remedy = "only links between backbone routers have an OSPF cost; remove `cost`";
            self.wrong(
                path,
                format!("`{}` has a cost, but no OSPF", link.ends),
                remedy,
            );
        }
    }

    fn backbone(&mut self) {
        let backbone = &self.scenario.backbone;
        if let Some(rp) = &backbone.rp {
            self.known_router("backbone.rp", rp);
        }
        for (field, timer) in [
            ("ospf_hello", backbone.ospf_hello),
            ("pim_hello", backbone.pim_hello),
            ("pim_join_prune", backbone.pim_join_prune),
            ("igmp_query", backbone.igmp_query),
        ] {
            if !timer.ns.is_multiple_of(1_000_000_000)
                || timer < Span::seconds(1)
                || timer > Span::seconds(600)
            {
                let what = format!("`{field}` is {timer}");
                self.wrong(
                    &format!("backbone.{field}"),
                    what,
                    "whole seconds, between \"1s\" and \"10min\"",
                );
            }
        }
        if self.problems.is_empty() {
            self.connected(); // a mistyped link would be reported twice
        }
    }

    /// Every router reaches every other by links between routers.
    fn connected(&mut self) {
        let scenario = self.scenario;
        let mut routers = scenario
            .nodes
            .keys()
            .map(String::as_str)
            .filter(|node| scenario.is_router(node));
        let Some(first) = routers.next() else {
            self.wrong(
                "nodes",
                "there is no router",
                "add a node with the role \"p\" or \"pe\"",
            );
            return;
        };
        let mut reached = BTreeSet::from([first]);
        let mut waiting = vec![first];
        while let Some(node) = waiting.pop() {
            let peers = scenario
                .neighbors(node)
                .filter(|peer| scenario.is_router(peer));
            waiting.extend(peers.filter(|peer| reached.insert(peer)));
        }
        for stray in routers.filter(|node| !reached.contains(node)) {
            let what = format!("no links lead from `{first}` to `{stray}`");
            self.wrong(
                &format!("nodes.{stray}:"),
                what,
                "the backbone must be connected: add a link",
            );
        }
    }

    fn tunnels(&mut self) {
        let scenario = self.scenario;
        let mut seen = BTreeSet::new();
        for (index, tunnel) in scenario.tunnels.iter().enumerate() {
            let path = format!("tunnel.{index}");
            if scenario.role(&tunnel.at) == Some(Role::Ce) {
                let remedy =
                    "the monitor stays out of the customer's domain: name a P or PE router";
                self.wrong(
                    &format!("{path}.at"),
                    format!("a tunnel ends at the CE `{}`", tunnel.at),
                    remedy,
                );
            } else {
                self.known_router(&format!("{path}.at"), &tunnel.at);
            }
            if tunnel
                .parallel
                .is_some_and(|count| !(1..=200).contains(&count))
            {
                self.wrong(
                    &format!("{path}.parallel"),
                    "this many parallel tunnels are not possible",
                    "1 to 200",
                );
                continue;
            }
            if !matches!(tunnel.igmp, 2 | 3) {
                self.wrong(
                    &format!("{path}.igmp"),
                    format!("there is no IGMPv{} here", tunnel.igmp),
                    "2 or 3",
                );
            }
            for name in tunnel.expanded() {
                self.name(&format!("{path}.name"), "tunnel", &name, 11);
                if !seen.insert(name.clone()) {
                    let remedy = "give each its own name; parallel tunnels are numbered from 1";
                    self.wrong(
                        &format!("{path}.name"),
                        format!("there are two tunnels `{name}`"),
                        remedy,
                    );
                }
            }
            self.host_of_tunnel(index);
            self.tunnel_is_built(index);
        }
        if !scenario.tunnels.is_empty() && scenario.monitor_node().is_none() {
            let remedy = "add a node with the role \"monitor\" and link it to a router";
            self.wrong("tunnel.0", "there are tunnels, but no monitor", remedy);
        }
    }

    /// A router joins where hosts are: between routers PIM decides.
    fn joins(&mut self) {
        for (index, join) in self.scenario.joins.iter().enumerate() {
            let path = format!("join.{index}");
            if self.scenario.backbone.routers == Suite::Pimd {
                let remedy = "use FRR, `routers = \"frr\"`, or a host that joins";
                self.wrong(&path, "troglobit's pimd joins no group itself", remedy);
            }
            self.known_router(&format!("{path}.at"), &join.at);
            self.backbone_group(&format!("{path}.group"), join.group);
            let is_host = self.scenario.role(&join.toward) == Some(Role::Host);
            let mut neighbors = self.scenario.neighbors(&join.at);
            if !is_host || !neighbors.any(|peer| peer == join.toward) {
                let what = format!("`{}` has no host `{}`", join.at, join.toward);
                let remedy = "name a host that is linked to this router";
                self.wrong(&format!("{path}.toward"), what, remedy);
            }
        }
    }

    /// A tunnel ends at a monitor's host; only those of the monitor under test come and go.
    fn host_of_tunnel(&mut self, index: usize) {
        let tunnel = &self.scenario.tunnels[index];
        let Some(host) = &tunnel.host else { return };
        let path = format!("tunnel.{index}.host");
        if self.known_node(&path, host) && self.scenario.role(host) != Some(Role::Monitor) {
            let what = format!("`{host}` is no monitor");
            self.wrong(&path, what, "name a node whose role is \"monitor\"");
        }
        if !tunnel.present && self.scenario.peers().any(|peer| peer == host) {
            self.wrong(
                &format!("tunnel.{index}.present"),
                format!(
                    "`{}` is a peer's tunnel, which cannot be added later",
                    tunnel.name
                ),
                "remove `present = false`",
            );
        }
    }

    fn tunnel_is_built(&mut self, index: usize) {
        let tunnel = &self.scenario.tunnels[index];
        let added = |name: &String| {
            self.scenario
                .timeline
                .iter()
                .any(|event| matches!(&event.action, crate::scenario::Action::TunnelAdd { tunnel } if tunnel == name))
        };
        if !tunnel.present && !tunnel.expanded().iter().all(added) {
            let remedy = "add an event with `do = \"tunnel-add\"`, or remove `present = false`";
            self.wrong(
                &format!("tunnel.{index}.present"),
                format!("`{}` is never built", tunnel.name),
                remedy,
            );
        }
    }
}
