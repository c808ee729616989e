//! What routers say of themselves, in one shape for FRR and pimd, and whether a plan's facts hold in it. Pure.

use std::{collections::BTreeSet, net::Ipv4Addr};

use serde_json::Value;

use crate::{
    kernel::mroute::Mroute,
    plan::{Cidr, Fact},
};

/// The state of one namespace's router.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouterState {
    /// Interfaces with a full OSPF neighbour.
    pub ospf_full: BTreeSet<String>,
    /// PIM neighbours: interface, address.
    pub pim_neighbors: BTreeSet<(String, Ipv4Addr)>,
    /// RPs that are known and to which there is a way (or that are this router).
    pub rps: BTreeSet<Ipv4Addr>,
    /// Prefixes in the kernel's unicast table.
    pub routes: BTreeSet<Cidr>,
    /// The kernel's multicast forwarding entries.
    pub mroutes: Vec<Mroute>,
}

impl RouterState {
    /// Whether the fact, which must be about this namespace, holds.
    pub fn holds(&self, fact: &Fact) -> bool {
        match fact {
            Fact::OspfFull { interface, .. } => self.ospf_full.contains(interface),
            Fact::Route { to, .. } => self.routes.contains(to),
            Fact::PimNeighbor {
                interface,
                neighbor,
                ..
            } => self.pim_neighbors.contains(&(interface.clone(), *neighbor)),
            Fact::RpKnown { rp, .. } => self.rps.contains(rp),
            Fact::Forwards {
                source,
                group,
                outgoing,
                ..
            } => self
                .mroutes
                .iter()
                .any(|entry| forwards(entry, *source, *group, outgoing)),
        }
    }
}

fn forwards(
    entry: &Mroute,
    source: Option<Ipv4Addr>,
    group: Ipv4Addr,
    outgoing: &[String],
) -> bool {
    entry.group == group
        && source.is_none_or(|source| entry.source == source)
        && outgoing
            .iter()
            .all(|interface| entry.outgoing.contains(interface))
}

/// The namespace that a fact is about.
pub fn namespace(fact: &Fact) -> &str {
    match fact {
        Fact::OspfFull { namespace, .. }
        | Fact::Route { namespace, .. }
        | Fact::PimNeighbor { namespace, .. }
        | Fact::RpKnown { namespace, .. }
        | Fact::Forwards { namespace, .. } => namespace,
    }
}

/// A fact in words, for whoever waits for it.
pub fn words(fact: &Fact) -> String {
    match fact {
        Fact::OspfFull {
            namespace,
            interface,
        } => format!("{namespace}: full OSPF neighbour on {interface}"),
        Fact::Route { namespace, to } => {
            format!("{namespace}: route to {}/{}", to.address, to.prefix)
        }
        Fact::PimNeighbor {
            namespace,
            interface,
            neighbor,
        } => {
            format!("{namespace}: PIM neighbour {neighbor} on {interface}")
        }
        Fact::RpKnown { namespace, rp } => format!("{namespace}: way to the RP {rp}"),
        Fact::Forwards {
            namespace,
            source,
            group,
            outgoing,
        } => {
            let source = source.map_or_else(|| "*".to_owned(), |s| s.to_string());
            format!(
                "{namespace}: ({source}, {group}) forwarded to {}",
                outgoing.join(", ")
            )
        }
    }
}

/// Interfaces with a full neighbour, from FRR's `show ip ospf neighbor json`.
pub fn frr_ospf_full(json: &str) -> BTreeSet<String> {
    let neighbors = object(json).remove("neighbors").unwrap_or_default();
    let sessions = neighbors
        .as_object()
        .into_iter()
        .flat_map(|o| o.values())
        .filter_map(Value::as_array)
        .flatten();
    sessions.filter_map(full_interface).collect()
}

/// `"nbrState": "Full/-"` or `"Full/DR"`; `"ifaceName": "to-P1:10.1.1.2"`.
fn full_interface(session: &Value) -> Option<String> {
    let state = session
        .get("nbrState")
        .or_else(|| session.get("state"))?
        .as_str()?;
    let interface = session.get("ifaceName")?.as_str()?.split(':').next()?;
    state.starts_with("Full").then(|| interface.to_owned())
}

/// PIM neighbours, from FRR's `show ip pim neighbor json`: `{interface: {address: {...}}}`.
pub fn frr_pim_neighbors(json: &str) -> BTreeSet<(String, Ipv4Addr)> {
    let mut found = BTreeSet::new();
    for (interface, neighbors) in object(json) {
        let addresses = neighbors.as_object().into_iter().flat_map(|o| o.keys());
        found.extend(addresses.filter_map(|a| Some((interface.clone(), a.parse().ok()?))));
    }
    found
}

/// RPs with a way to them, from FRR's `show ip pim rp-info json`: `{rp: [{outboundInterface, iAmRP, ...}]}`.
pub fn frr_rps(json: &str) -> BTreeSet<Ipv4Addr> {
    let usable = |entry: &Value| {
        let interface = entry.get("outboundInterface").and_then(Value::as_str);
        entry.get("iAmRP").and_then(Value::as_bool) == Some(true)
            || interface.is_some_and(|i| i != "Unknown")
    };
    let entries = object(json).into_iter();
    entries
        .filter(|(_, list)| list.as_array().is_some_and(|l| l.iter().any(usable)))
        .filter_map(|(rp, _)| rp.parse().ok())
        .collect()
}

fn object(json: &str) -> serde_json::Map<String, Value> {
    match serde_json::from_str(json) {
        Ok(Value::Object(map)) => map,
        _ => serde_json::Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Recorded from FRR 8.4.4, shortened.
    const NEIGHBORS: &str = r#"{"neighbors":{
        "10.255.0.1":[{"nbrState":"Full\/-","ifaceName":"to-P1:10.1.1.2"}],
        "10.255.0.2":[{"nbrState":"ExStart\/-","ifaceName":"to-P2:10.1.3.2"}]}}"#;
    const PIM: &str =
        r#"{"lo":{},"to-P1":{"10.1.1.1":{"interface":"to-P1","holdTimeMax":17}},"tun-t1":{}}"#;
    const RPS: &str = r#"{
        "10.255.0.1":[{"outboundInterface":"to-P1","iAmRP":false}],
        "10.255.0.2":[{"outboundInterface":"Unknown","iAmRP":false}],
        "10.255.0.3":[{"outboundInterface":"Unknown","iAmRP":true}]}"#;

    fn address(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    #[test]
    fn only_full_neighbours_count() {
        assert_eq!(
            frr_ospf_full(NEIGHBORS),
            BTreeSet::from(["to-P1".to_owned()])
        );
    }

    #[test]
    fn pim_neighbours_stand_under_their_interface() {
        let expected = BTreeSet::from([("to-P1".to_owned(), address("10.1.1.1"))]);
        assert_eq!(frr_pim_neighbors(PIM), expected);
    }

    #[test]
    fn an_rp_without_a_way_to_it_is_none_unless_it_is_here() {
        assert_eq!(
            frr_rps(RPS),
            BTreeSet::from([address("10.255.0.1"), address("10.255.0.3")])
        );
    }

    #[test]
    fn a_daemon_that_does_not_answer_knows_nothing() {
        let silence = "% connection refused";
        assert!(
            frr_ospf_full(silence).is_empty()
                && frr_pim_neighbors(silence).is_empty()
                && frr_rps(silence).is_empty()
        );
    }

    fn forwarding(outgoing: &[&str]) -> RouterState {
        let entry = Mroute {
            source: address("10.2.0.2"),
            group: address("239.1.1.1"),
            incoming: Some("to-P".into()),
            outgoing: outgoing.iter().map(|s| (*s).to_owned()).collect(),
            packets: 1,
            wrong_if: 0,
        };
        RouterState {
            mroutes: vec![entry],
            ..RouterState::default()
        }
    }

    fn fact(source: Option<&str>, group: &str) -> Fact {
        Fact::Forwards {
            namespace: "PE1".into(),
            source: source.map(address),
            group: address(group),
            outgoing: vec!["vrf-red".into()],
        }
    }

    #[test]
    fn forwarding_means_this_source_this_group_and_all_interfaces() {
        let state = forwarding(&["tun-a", "vrf-red"]);
        assert!(state.holds(&fact(Some("10.2.0.2"), "239.1.1.1")));
        assert!(state.holds(&fact(None, "239.1.1.1")));
        assert!(!state.holds(&fact(Some("10.2.0.9"), "239.1.1.1")));
        assert!(!state.holds(&fact(None, "239.1.1.2")));
        assert!(!forwarding(&["tun-a"]).holds(&fact(None, "239.1.1.1")));
    }

    #[test]
    fn nothing_holds_in_an_empty_state() {
        let prefix = Cidr {
            address: address("10.0.0.0"),
            prefix: 8,
        };
        let (namespace, interface) = ("P".to_owned(), "to-PE1".to_owned());
        for fact in [
            Fact::OspfFull {
                namespace: namespace.clone(),
                interface: interface.clone(),
            },
            Fact::Route {
                namespace: namespace.clone(),
                to: prefix,
            },
            Fact::PimNeighbor {
                namespace: namespace.clone(),
                interface,
                neighbor: address("10.1.0.1"),
            },
            Fact::RpKnown {
                namespace,
                rp: address("10.255.0.1"),
            },
            fact(None, "239.1.1.1"),
        ] {
            assert!(!RouterState::default().holds(&fact), "{}", words(&fact));
        }
    }
}
