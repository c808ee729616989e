//! What the file leaves implicit: parallel tunnels, wildcards, default times, who is linked to whom.

use std::collections::BTreeSet;

use super::{Action, Expectation, Link, Mvpn, Oneway, Role, Scenario, Span, Task, Tunnel};

impl Link {
    /// The two nodes; None when the text is not of the form `"A-B"`.
    pub fn nodes(&self) -> Option<(&str, &str)> {
        self.ends
            .split_once('-')
            .filter(|(a, b)| !a.is_empty() && !b.is_empty() && !b.contains('-'))
    }

    /// The other end, when `node` is one of the two.
    pub fn peer_of(&self, node: &str) -> Option<&str> {
        match self.nodes()? {
            (a, b) if a == node => Some(b),
            (a, b) if b == node => Some(a),
            _ => None,
        }
    }
}

impl Tunnel {
    /// `["a1", "a2"]` with `parallel = 2`, else just the name.
    pub fn expanded(&self) -> Vec<String> {
        match self.parallel {
            Some(count) => (1..=count)
                .map(|index| format!("{}{index}", self.name))
                .collect(),
            None => vec![self.name.clone()],
        }
    }
}

impl Mvpn {
    /// Source-specific: the default MDT is in 232.0.0.0/8 (RFC 4607 section 1).
    pub fn ssm(&self) -> bool {
        self.default_mdt.octets()[0] == 232
    }

    /// Every PE with a VRF of this MVPN, by name: with and without CE.
    pub fn pes(&self) -> BTreeSet<&str> {
        self.sites
            .keys()
            .map(String::as_str)
            .chain(self.sites_without_ce.iter().map(String::as_str))
            .collect()
    }

    /// Every PE that ever has a VRF of this MVPN: its own, by name, then the rogues, in the file's order.
    pub fn pes_and_rogues(&self) -> impl Iterator<Item = &str> {
        let rogues = self.rogues.iter().map(String::as_str);
        self.pes().into_iter().chain(rogues)
    }

    /// The PE whose VRF is the customer's RP.
    pub fn rp_pe(&self) -> Option<&str> {
        self.customer_rp
            .as_deref()
            .or_else(|| self.pes().first().copied())
    }
}

impl Scenario {
    /// Every tunnel by its expanded name, in the file's order: the order of their ids.
    pub fn tunnel_names(&self) -> Vec<String> {
        self.tunnels.iter().flat_map(Tunnel::expanded).collect()
    }

    /// The tunnels of the monitor under test, likewise.
    pub fn own_tunnel_names(&self) -> Vec<String> {
        let own = |tunnel: &&Tunnel| self.host_of(tunnel) == self.monitor_node();
        let own = self.tunnels.iter().filter(own);
        own.flat_map(Tunnel::expanded).collect()
    }

    /// The monitor host where a tunnel ends.
    pub fn host_of<'s>(&'s self, tunnel: &'s Tunnel) -> Option<&'s str> {
        tunnel.host.as_deref().or_else(|| self.monitor_node())
    }

    /// The declaration behind an expanded name.
    pub fn tunnel(&self, expanded: &str) -> Option<&Tunnel> {
        self.tunnels
            .iter()
            .find(|tunnel| tunnel.expanded().iter().any(|name| name == expanded))
    }

    /// Sender tunnels of a task, wildcards resolved, in id order, each once.
    pub fn task_senders(&self, task: &Task) -> Vec<String> {
        self.expand_tunnels(&task.senders)
    }

    /// Receiver tunnels of a task, likewise.
    pub fn task_receivers(&self, task: &Task) -> Vec<String> {
        self.expand_tunnels(&task.receivers)
    }

    /// Ordered (sender, receiver) pairs of a task. A tunnel is never its own receiver: a router does not
    /// forward a packet back out of the interface it came in by.
    pub fn task_pairs(&self, task: &Task) -> Vec<(String, String)> {
        let receivers = self.task_receivers(task);
        let pair = |sender: &String, receiver: &String| (sender.clone(), receiver.clone());
        self.task_senders(task)
            .iter()
            .flat_map(|sender| {
                receivers
                    .iter()
                    .filter(move |r| *r != sender)
                    .map(move |r| pair(sender, r))
            })
            .collect()
    }

    /// Expanded names that a list of names and `prefix*` patterns means, of the monitor under test; an empty list means
    /// all of its tunnels.
    pub fn expand_tunnels(&self, patterns: &[String]) -> Vec<String> {
        let mut names = self.own_tunnel_names();
        if !patterns.is_empty() {
            names.retain(|name| patterns.iter().any(|pattern| matches(pattern, name)));
        }
        names
    }

    /// The task of that name.
    pub fn task(&self, name: &str) -> Option<&Task> {
        self.monitor.tasks.iter().find(|task| task.name == name)
    }

    /// When a task is stopped: as the file says, else `loss_timeout` plus one second before the end, so that
    /// the fate of its last probe is known when the run ends.
    pub fn task_stop(&self, task: &Task) -> Span {
        let settled = task.loss_timeout.saturating_add(Span::seconds(1));
        task.stop
            .unwrap_or_else(|| self.duration.saturating_sub(settled))
    }

    /// The one-way measurement of that name.
    pub fn oneway(&self, name: &str) -> Option<&Oneway> {
        self.monitor
            .oneways
            .iter()
            .find(|oneway| oneway.name == name)
    }

    /// When a one-way measurement is stopped: as the file says, else so long before the end that the fate of its last
    /// probe is known, also to peers and agents that are asked for it every few seconds.
    pub fn oneway_stop(&self, oneway: &Oneway) -> Span {
        let settled = oneway.loss_timeout.saturating_add(Span::seconds(5));
        oneway
            .stop
            .unwrap_or_else(|| self.duration.saturating_sub(settled))
    }

    /// The peer at whose host a tunnel ends; None: the monitor under test, or no such tunnel.
    pub fn peer_of_tunnel(&self, expanded: &str) -> Option<&str> {
        let host = self.host_of(self.tunnel(expanded)?)?;
        self.peers().find(|peer| *peer == host)
    }

    /// When a source or receiver with this `stop` ends.
    pub fn until(&self, stop: Option<Span>) -> Span {
        stop.unwrap_or(self.duration)
    }

    /// The group a task probes: its MVPN's default MDT, or its own.
    pub fn task_group(&self, task: &Task) -> Option<std::net::Ipv4Addr> {
        match &task.mvpn {
            Some(name) => self.mvpns.get(name).map(|mvpn| mvpn.default_mdt),
            None => task.group,
        }
    }

    /// The node of the monitor under test: the first by name.
    pub fn monitor_node(&self) -> Option<&str> {
        self.monitor_hosts().next()
    }

    /// All monitor hosts by name: the monitor under test, then its peers.
    pub fn monitor_hosts(&self) -> impl Iterator<Item = &str> {
        let hosts = self.nodes.iter();
        hosts
            .filter(|(_, node)| node.role == Role::Monitor)
            .map(|(name, _)| name.as_str())
    }

    /// The hosts of the monitor's peers.
    pub fn peers(&self) -> impl Iterator<Item = &str> {
        self.monitor_hosts().skip(1)
    }

    /// Role of a node.
    pub fn role(&self, node: &str) -> Option<Role> {
        self.nodes.get(node).map(|node| node.role)
    }

    /// P or PE.
    pub fn is_router(&self, node: &str) -> bool {
        matches!(self.role(node), Some(Role::P | Role::Pe))
    }

    /// The MVPN that has this CE, and its PE there.
    pub fn site_of_ce(&self, ce: &str) -> Option<(&str, &str)> {
        self.mvpns.iter().find_map(|(name, mvpn)| {
            let (pe, _) = mvpn.sites.iter().find(|(_, site)| *site == ce)?;
            Some((name.as_str(), pe.as_str()))
        })
    }

    /// The MVPN of a customer's node: a CE, or a host behind one.
    pub fn mvpn_of(&self, node: &str) -> Option<&str> {
        let own = self.site_of_ce(node);
        let behind = || self.neighbors(node).find_map(|peer| self.site_of_ce(peer));
        own.or_else(behind).map(|(mvpn, _)| mvpn)
    }

    /// Neighbours of a node, in the order of the links.
    pub fn neighbors<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a str> {
        self.links.iter().filter_map(move |link| link.peer_of(node))
    }

    /// A CE with a host behind it, which is therefore a PIM router.
    pub fn is_ce_router(&self, node: &str) -> bool {
        self.role(node) == Some(Role::Ce)
            && self
                .neighbors(node)
                .any(|peer| self.role(peer) == Some(Role::Host))
    }

    /// Times at which an action of this name happens.
    pub fn times_of(&self, action: &str) -> Vec<Span> {
        self.timeline
            .iter()
            .filter(|event| event.action.name() == action)
            .map(|event| event.time)
            .collect()
    }

    /// An expectation is about single control messages on default MDTs.
    pub fn hears_control(&self) -> bool {
        let mut all = self.expectations.iter();
        all.any(|expectation| matches!(expectation, Expectation::Appearance { .. }))
    }

    /// The run kills the monitor at some time.
    pub fn kills_monitor(&self) -> bool {
        self.timeline
            .iter()
            .any(|event| event.action == Action::MonitorKill {})
    }
}

/// `"a*"` is every name that begins with `a`; anything else is itself.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario() -> Scenario {
        let text = r#"
title = "x"
duration = "30s"
[backbone]
rp = "P"
[nodes]
MON = { role = "monitor" }
P = { role = "p" }
[[link]]
ends = "MON-P"
[[tunnel]]
name = "b"
at = "P"
[[tunnel]]
name = "a"
at = "P"
parallel = 3
[[monitor.task]]
name = "all"
group = "239.1.1.1"
rate = "1/s"
[[monitor.task]]
name = "some"
group = "239.1.1.1"
senders = ["a3", "a*", "b"]
receivers = ["b"]
rate = "1/s"
loss_timeout = "500ms"
[[monitor.task]]
name = "timed"
group = "239.1.1.1"
rate = "1/s"
stop = "12s"
[[expect]]
check = "overhead"
"#;
        Scenario::parse("names.toml", text).expect("a good scenario")
    }

    #[test]
    fn parallel_tunnels_are_numbered_in_the_files_order() {
        assert_eq!(scenario().tunnel_names(), ["b", "a1", "a2", "a3"]);
        assert_eq!(
            scenario().tunnel("a2").map(|tunnel| tunnel.name.as_str()),
            Some("a")
        );
        assert!(scenario().tunnel("a").is_none() && scenario().tunnel("a4").is_none());
    }

    #[test]
    fn wildcards_mean_each_tunnel_once_in_id_order() {
        let scenario = scenario();
        let some = scenario.task("some").expect("declared");
        assert_eq!(scenario.task_senders(some), ["b", "a1", "a2", "a3"]);
        assert_eq!(scenario.task_receivers(some), ["b"]);
        assert_eq!(
            scenario.expand_tunnels(&["c*".into()]),
            Vec::<String>::new()
        );
        assert_eq!(scenario.expand_tunnels(&[]).len(), 4);
    }

    #[test]
    fn no_tunnel_is_its_own_receiver() {
        let scenario = scenario();
        let pairs = |name| scenario.task_pairs(scenario.task(name).expect("declared"));
        assert_eq!(pairs("all").len(), 12);
        assert_eq!(pairs("some").len(), 3);
        assert!(
            pairs("all")
                .iter()
                .all(|(sender, receiver)| sender != receiver)
        );
    }

    #[test]
    fn a_task_stops_when_told_or_in_time_to_know_its_last_probe() {
        let scenario = scenario();
        let stop = |name| scenario.task_stop(scenario.task(name).expect("declared"));
        assert_eq!(stop("all"), Span::seconds(27));
        assert_eq!(stop("some"), Span::millis(28_500));
        assert_eq!(stop("timed"), Span::seconds(12));
    }
}
