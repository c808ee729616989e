//! A group's tree as the routers' kernels forward it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use mvpnlab_emulator::plan::{End, GrePurpose, Plan};
use serde_json::Value;

/// See the module.
pub struct Tree {
    group: Ipv4Addr,
    source: Option<Ipv4Addr>,
    /// From a node to its neighbour, or to one of its tunnels.
    hops: BTreeSet<(String, String)>,
    /// VRFs that it is delivered to.
    sites: BTreeSet<String>,
    /// Monitor tunnels that it leaves by.
    tunnels: BTreeSet<String>,
}

impl Tree {
    /// From the forwarding entries of a running lab (rows of `show mroutes`). Without a source: of all sources together.
    ///
    /// # Errors
    /// There is no such source, or nobody forwards the group.
    pub fn of(
        plan: &Plan,
        entries: &[Value],
        group: Ipv4Addr,
        source: Option<&str>,
    ) -> Result<Self, String> {
        let source = source.map(|name| address(plan, name)).transpose()?;
        let mut tree = Self {
            group,
            source,
            hops: BTreeSet::new(),
            sites: BTreeSet::new(),
            tunnels: BTreeSet::new(),
        };
        let text =
            |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let is_asked = |entry: &&Value| {
            text(entry, "group") == group.to_string()
                && match source {
                    Some(source) => text(entry, "source") == source.to_string(),
                    // What (*,G) lists without a packet to forward is not a tree of anything.
                    None => text(entry, "source") != "*",
                }
        };
        for entry in entries.iter().filter(is_asked) {
            let node = text(entry, "node");
            for interface in entry["outgoing"].as_array().into_iter().flatten() {
                tree.follow(plan, &node, interface.as_str().unwrap_or_default());
            }
        }
        match tree.hops.is_empty() && tree.sites.is_empty() && tree.tunnels.is_empty() {
            true => Err(format!(
                "{} is forwarded by no router of this lab now; see `mvpnlab show mroutes`",
                tree.name()
            )),
            false => Ok(tree),
        }
    }

    /// Whether it goes from a node to a neighbour (or from a router into one of its tunnels).
    pub fn flows(&self, from: &str, to: &str) -> bool {
        self.hops.contains(&(from.to_owned(), to.to_owned()))
    }

    /// In a line: where it ends.
    pub fn words(&self) -> String {
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
        let ends: Vec<String> = [("sites", &self.sites), ("monitor tunnels", &self.tunnels)]
            .into_iter()
            .filter(|(_, set)| !set.is_empty())
            .map(|(kind, set)| format!("{kind} {}", list(set)))
            .collect();
        format!("Tree of {}: to {}", self.name(), ends.join(" and "))
    }

    fn name(&self) -> String {
        match self.source {
            Some(source) => format!("({source}, {})", self.group),
            None => format!("{} from all its sources", self.group),
        }
    }

    fn follow(&mut self, plan: &Plan, namespace: &str, interface: &str) {
        let is_it = |end: &End| end.namespace == namespace && end.interface == interface;
        let own = node(namespace).to_owned();
        for wire in &plan.wires {
            for (end, far) in [(&wire.a, &wire.b), (&wire.b, &wire.a)] {
                if is_it(end) {
                    self.hops
                        .insert((own.clone(), node(&far.namespace).to_owned()));
                }
            }
        }
        if let Some(attachment) = plan.attachments.iter().find(|a| is_it(&a.pe)) {
            self.sites.insert(attachment.vrf.namespace.clone());
        }
        for device in plan.gre.iter().filter(|device| is_it(&device.end)) {
            if let GrePurpose::MonitorTunnel { tunnel } = &device.purpose {
                self.tunnels.insert(tunnel.clone());
                self.hops.insert((own.clone(), tunnel.clone()));
            }
        }
    }
}

fn node(namespace: &str) -> &str {
    namespace.split('.').next().unwrap_or(namespace)
}

/// An address as such, or that of a tunnel's probes.
fn address(plan: &Plan, name: &str) -> Result<Ipv4Addr, String> {
    let tunnel = plan.tunnels.iter().find(|tunnel| tunnel.name == name);
    match tunnel {
        Some(tunnel) => Ok(tunnel.monitor_inner),
        None => name.parse().map_err(|_| {
            let known: Vec<&str> = plan.tunnels.iter().map(|t| t.name.as_str()).collect();
            format!(
                "{name:?} is neither an address nor a tunnel; there are: {}",
                known.join(", ")
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mvpnlab_emulator::scenario::Scenario;
    use serde_json::json;

    fn plan() -> Plan {
        let text = include_str!("../../../scenarios/vmscope/pimd.toml");
        Plan::of(&Scenario::parse("pimd.toml", text).unwrap())
    }

    fn entries() -> Vec<Value> {
        let entry = |node, source, outgoing: &[&str]| json!({ "node": node, "source": source, "group": "239.1.1.1", "outgoing": outgoing });
        vec![
            entry("PE1", "10.77.0.2", &["to-P", "vrf-red"]),
            entry("P", "10.77.0.2", &["to-PE2"]),
            entry("PE2", "10.77.0.2", &["tun-b", "vrf-red"]),
            entry("PE3", "10.77.0.6", &["to-P"]),
            entry("PE3", "*", &["to-CE3", "pimreg"]),
        ]
    }

    #[test]
    fn a_tree_is_followed_from_its_source_to_its_ends_and_nowhere_else() {
        let group = "239.1.1.1".parse().unwrap();
        let tree = Tree::of(&plan(), &entries(), group, Some("a")).unwrap();
        assert!(tree.flows("PE1", "P") && tree.flows("P", "PE2") && tree.flows("PE2", "b"));
        assert!(!tree.flows("P", "PE1") && !tree.flows("P", "PE3") && !tree.flows("PE3", "P"));
        insta::assert_snapshot!(tree.words(), @"Tree of (10.77.0.2, 239.1.1.1): to sites PE1.red, PE2.red and monitor tunnels b");
        let all = Tree::of(&plan(), &entries(), group, None).unwrap();
        assert!(all.flows("PE3", "P") && !all.flows("PE3", "CE3"));
    }

    #[test]
    fn no_tree_and_no_source_are_said_so() {
        let none = Tree::of(&plan(), &entries(), "239.2.2.2".parse().unwrap(), None);
        insta::assert_snapshot!(none.err().unwrap(), @"239.2.2.2 from all its sources is forwarded by no router of this lab now; see `mvpnlab show mroutes`");
        let unknown = Tree::of(
            &plan(),
            &entries(),
            "239.1.1.1".parse().unwrap(),
            Some("zz"),
        );
        insta::assert_snapshot!(unknown.err().unwrap(), @r#""zz" is neither an address nor a tunnel; there are: a, b, c, p"#);
    }
}
