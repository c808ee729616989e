//! What routers say of themselves, in one shape for FRR and pimd, and whether a plan's facts hold in it. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use serde::{Deserialize, Serialize};
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

/// A neighbour, as a router reports it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Neighbor {
    /// `OSPF` or `PIM`.
    pub protocol: &'static str,
    /// Interface.
    pub interface: String,
    /// Its address there.
    pub neighbor: String,
    /// OSPF: state. PIM: since when, or `up` where the router does not say.
    pub state: String,
}

/// A group joined by IGMP on an interface, as a router reports it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Membership {
    /// Interface.
    pub interface: String,
    /// Group.
    pub group: String,
    /// Source; `*` for any.
    pub source: String,
    /// Filter mode of IGMPv3, or the version.
    pub mode: String,
    /// Since when.
    pub since: String,
}

/// OSPF neighbours in any state, from FRR's `show ip ospf neighbor json`:
/// `"nbrState": "Full/-"` or `"Full/DR"`; `"ifaceName": "to-P1:10.1.1.2"`.
pub fn frr_ospf_neighbors(json: &str) -> Vec<Neighbor> {
    let neighbors = object(json).remove("neighbors").unwrap_or_default();
    let sessions = neighbors
        .as_object()
        .into_iter()
        .flat_map(|o| o.values())
        .filter_map(Value::as_array)
        .flatten();
    let one = |session: &Value| {
        let text = |name| session.get(name).and_then(Value::as_str);
        let interface = text("ifaceName")?.split(':').next()?;
        Some(Neighbor {
            protocol: "OSPF",
            interface: interface.to_owned(),
            neighbor: text("ifaceAddress")
                .or_else(|| text("address"))
                .unwrap_or_default()
                .to_owned(),
            state: text("nbrState").or_else(|| text("state"))?.to_owned(),
        })
    };
    let mut found: Vec<Neighbor> = sessions.filter_map(one).collect();
    found.sort();
    found
}

/// PIM neighbours with their age, from FRR's `show ip pim neighbor json`: `{interface: {address: {...}}}`.
pub fn frr_pim_ages(json: &str) -> Vec<Neighbor> {
    let mut found = Vec::new();
    for (interface, neighbors) in object(json) {
        for (address, neighbor) in neighbors.as_object().into_iter().flatten() {
            let since = neighbor.get("upTime").and_then(Value::as_str);
            found.push(Neighbor {
                protocol: "PIM",
                interface: interface.clone(),
                neighbor: address.clone(),
                state: since.map_or_else(|| "up".to_owned(), |age| format!("up {age}")),
            });
        }
    }
    found.sort();
    found
}

/// IGMP memberships, from FRR's `show ip igmp sources json`:
/// `{interface: {group: {sources: [{source, timer, uptime}]}}}`.
pub fn frr_memberships(sources: &str, groups: &str) -> Vec<Membership> {
    let modes = frr_group_modes(groups);
    let mut found = Vec::new();
    for (interface, entry) in object(sources) {
        let groups = entry.as_object().into_iter().flatten();
        for (name, group) in groups.filter(|(_, group)| group.get("sources").is_some()) {
            for source in group
                .get("sources")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                let text = |name| source.get(name).and_then(Value::as_str).unwrap_or_default();
                let mode = modes.get(&(interface.clone(), name.clone()));
                found.push(Membership {
                    interface: interface.clone(),
                    group: name.clone(),
                    source: text("source").to_owned(),
                    mode: mode.cloned().unwrap_or_default(),
                    since: text("uptime").to_owned(),
                });
            }
        }
    }
    found.sort();
    found
}

/// Filter modes by interface and group, from FRR's `show ip igmp groups json`:
/// `{interface: {groups: [{group, mode, version}]}}`.
fn frr_group_modes(json: &str) -> BTreeMap<(String, String), String> {
    let mut modes = BTreeMap::new();
    for (interface, entry) in object(json) {
        for group in entry
            .get("groups")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let text = |name| group.get(name).and_then(Value::as_str);
            let version = group.get("version").and_then(Value::as_u64);
            let mode = match (text("mode"), version) {
                (_, Some(2)) => "v2".to_owned(),
                (Some(mode), _) => mode.to_lowercase(),
                (None, _) => String::new(),
            };
            modes.extend(text("group").map(|g| ((interface.clone(), g.to_owned()), mode)));
        }
    }
    modes
}

/// Interfaces with a full neighbour, from FRR's `show ip ospf neighbor json`.
pub fn frr_ospf_full(json: &str) -> BTreeSet<String> {
    let neighbors = frr_ospf_neighbors(json).into_iter();
    let full = neighbors.filter(|neighbor| neighbor.state.starts_with("Full"));
    full.map(|neighbor| neighbor.interface).collect()
}

/// What a router's PIM knows of one interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnInterface {
    /// Its neighbours there.
    pub neighbors: BTreeSet<Ipv4Addr>,
    /// Routes that they have asked it for: source (none for a shared tree) and group.
    pub joins: BTreeSet<(Option<Ipv4Addr>, Ipv4Addr)>,
    /// Sources that they have pruned off a group's shared tree there, (S,G,rpt): source and group.
    #[serde(default)]
    pub pruned: BTreeSet<(Ipv4Addr, Ipv4Addr)>,
    /// Routes that it asks of a neighbour there itself.
    #[serde(default)]
    pub asks: BTreeSet<(Option<Ipv4Addr>, Ipv4Addr)>,
}

/// PIM neighbours, from FRR's `show ip pim neighbor json`.
pub fn frr_pim_neighbors(json: &str) -> BTreeSet<(String, Ipv4Addr)> {
    let neighbors = frr_pim_ages(json).into_iter();
    let known = neighbors.filter_map(|n| Some((n.interface, n.neighbor.parse().ok()?)));
    known.collect()
}

/// Routes asked for over an interface, from FRR's `show ip pim join json`: `{interface: {group: {source: {channelJoinName,
/// ...}}}}`, where a shared tree's source is `*`.
pub fn frr_joins(json: &str, interface: &str) -> BTreeSet<(Option<Ipv4Addr>, Ipv4Addr)> {
    // Until a prune takes effect, the route is still asked for (RFC 7761 section 4.5.1: Prune-Pending).
    let asked = frr_channels(json, interface, &["JOIN", "PRUNEP"]);
    asked
        .map(|(source, group)| (source.parse().ok(), group))
        .collect()
}

/// Sources pruned off the shared tree over an interface, from the same; while a message is taken in, marked as temporary
/// (RFC 7761 section 4.5.3: PruneTmp).
pub fn frr_pruned(json: &str, interface: &str) -> BTreeSet<(Ipv4Addr, Ipv4Addr)> {
    let pruned = ["SGRpt(P)", "SGRpt(PP)", "SGRpt(P')", "SGRpt(PP')"];
    frr_channels(json, interface, &pruned)
        .filter_map(|(source, group)| Some((source.parse().ok()?, group)))
        .collect()
}

/// Routes that the router asks for over an interface itself, from FRR's `show ip pim upstream json`: `{group: {source:
/// {inboundInterface, joinState, ...}}}`.
pub fn frr_upstreams(json: &str, interface: &str) -> BTreeSet<(Option<Ipv4Addr>, Ipv4Addr)> {
    let mut asks = BTreeSet::new();
    for (group, sources) in object(json) {
        let (Ok(group), Some(sources)) = (group.parse(), sources.as_object()) else {
            continue;
        };
        let text = |of: &Value, name| of.get(name).and_then(Value::as_str).map(str::to_owned);
        let asked = sources.iter().filter(|(_, upstream)| {
            text(upstream, "inboundInterface").as_deref() == Some(interface)
                && text(upstream, "joinState").as_deref() == Some("Joined")
        });
        asks.extend(asked.map(|(source, _)| (source.parse().ok(), group)));
    }
    asks
}

/// Source, as it is written, and group of what is in one of these states.
fn frr_channels(
    json: &str,
    interface: &str,
    states: &[&str],
) -> impl Iterator<Item = (String, Ipv4Addr)> {
    let mut found = Vec::new();
    let interfaces = object(json);
    let groups = interfaces.get(interface).and_then(Value::as_object);
    for (group, sources) in groups.into_iter().flatten() {
        let (Ok(group), Some(sources)) = (group.parse(), sources.as_object()) else {
            continue; // the interface's own fields
        };
        for (source, channel) in sources {
            let state = channel.get("channelJoinName").and_then(Value::as_str);
            if state.is_some_and(|state| states.contains(&state)) {
                found.push((source.clone(), group));
            }
        }
    }
    found.into_iter()
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

    // Recorded from FRR 8.4.4 at a PE, shortened.
    const SOURCES: &str = r#"{"tun-t1":{"name":"tun-t1","239.1.1.1":{"group":"239.1.1.1","sources":[
        {"source":"*","timer":"--:--","forwarded":true,"uptime":"00:00:10"}]}}}"#;
    const GROUPS: &str = r#"{"totalGroups":1,"watermarkLimit":0,"tun-t1":{"name":"tun-t1","state":"up","groups":[
        {"group":"239.1.1.1","mode":"EXCLUDE","timer":"00:00:20","sourcesCount":1,"version":3,"uptime":"00:00:10"}]}}"#;
    const SESSION: &str = r#"{"neighbors":{"10.255.0.1":[{"state":"Full\/-","nbrState":"Full\/-",
        "upTime":"25.655s","address":"10.1.0.18","ifaceAddress":"10.1.0.18","ifaceName":"to-P1:10.1.0.17"}]}}"#;
    const AGES: &str =
        r#"{"lo":{},"to-P1":{"10.1.0.18":{"neighbor":"10.1.0.18","upTime":"00:00:26"}}}"#;

    #[test]
    fn what_people_are_shown_is_what_the_router_says() {
        let membership = Membership {
            interface: "tun-t1".to_owned(),
            group: "239.1.1.1".to_owned(),
            source: "*".to_owned(),
            mode: "exclude".to_owned(),
            since: "00:00:10".to_owned(),
        };
        assert_eq!(frr_memberships(SOURCES, GROUPS), [membership]);
        let neighbor = |protocol, state: &str| Neighbor {
            protocol,
            interface: "to-P1".to_owned(),
            neighbor: "10.1.0.18".to_owned(),
            state: state.to_owned(),
        };
        assert_eq!(frr_ospf_neighbors(SESSION), [neighbor("OSPF", "Full/-")]);
        assert_eq!(frr_pim_ages(AGES), [neighbor("PIM", "up 00:00:26")]);
        let silence = "% connection refused";
        assert!(frr_memberships(silence, silence).is_empty());
        assert!(frr_ospf_neighbors(silence).is_empty() && frr_pim_ages(silence).is_empty());
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

    // Written by hand in the form of FRR 8.4.4's answer at an RP's PE.
    const CHANNELS: &str = r#"{"mdt":{"name":"mdt","state":"up","239.100.1.1":{
        "*":{"source":"*","group":"239.100.1.1","channelJoinName":"JOIN"},
        "192.168.1.2":{"source":"192.168.1.2","group":"239.100.1.1","channelJoinName":"PRUNEP"},
        "192.168.3.2":{"source":"192.168.3.2","group":"239.100.1.1","channelJoinName":"SGRpt(P)"}}},
        "to-R1":{"name":"to-R1","239.100.1.1":{"192.168.9.2":{"channelJoinName":"JOIN"}}}}"#;

    #[test]
    fn what_neighbours_have_asked_for_and_pruned_stands_under_their_interface() {
        let group = address("239.100.1.1");
        let joins = BTreeSet::from([(None, group), (Some(address("192.168.1.2")), group)]);
        assert_eq!(frr_joins(CHANNELS, "mdt"), joins);
        let pruned = BTreeSet::from([(address("192.168.3.2"), group)]);
        assert_eq!(frr_pruned(CHANNELS, "mdt"), pruned);
        assert!(frr_pruned(CHANNELS, "to-R1").is_empty() && frr_joins(CHANNELS, "lo").is_empty());
    }

    // Written by hand in the form of FRR 8.4.4's answer at a receiver's PE.
    const UPSTREAMS: &str = r#"{"239.100.1.1":{
        "*":{"inboundInterface":"mdt","joinState":"Joined"},
        "192.168.1.2":{"inboundInterface":"mdt","joinState":"NotJoined"},
        "192.168.2.2":{"inboundInterface":"to-R2","joinState":"Joined"}}}"#;

    #[test]
    fn what_it_asks_for_itself_is_what_it_has_joined_over_the_interface() {
        let shared = BTreeSet::from([(None, address("239.100.1.1"))]);
        assert_eq!(frr_upstreams(UPSTREAMS, "mdt"), shared);
        assert!(frr_upstreams("% connection refused", "mdt").is_empty());
    }

    fn forwarding(outgoing: &[&str]) -> RouterState {
        let entry = Mroute {
            source: address("10.2.0.2"),
            group: address("239.1.1.1"),
            incoming: Some("to-P".into()),
            outgoing: outgoing.iter().map(|s| (*s).to_owned()).collect(),
            bytes: 0,
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
