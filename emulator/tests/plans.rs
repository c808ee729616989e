//! A plan is pure: what it says for a small network, for people to read, and what holds for every network.

use std::collections::BTreeMap;

use mvpnlab_emulator::{
    plan::{Fact, Plan},
    scenario::Scenario,
};
use proptest::prelude::*;

/// Two MVPNs, one of them SSM; a CE router with a host; a host on the backbone; parallel tunnels, one of them added later.
const SMALL: &str = r#"
title = "A bit of everything"
duration = "20s"
[backbone]
rp = "P"
[nodes]
MON = { role = "monitor" }
P = { role = "p" }
PE1 = { role = "pe" }
PE2 = { role = "pe" }
CE1 = { role = "ce" }
CE2 = { role = "ce" }
H1 = { role = "host" }
H9 = { role = "host" }
[[link]]
ends = "MON-P"
[[link]]
ends = "PE1-P"
cost = 20
[[link]]
ends = "PE2-P"
[[link]]
ends = "CE1-PE1"
[[link]]
ends = "PE2-CE2"
[[link]]
ends = "CE1-H1"
[[link]]
ends = "P-H9"
[mvpn.blue]
default_mdt = "232.1.1.1"
sites_without_ce = ["PE1", "PE2"]
[mvpn.red]
default_mdt = "239.1.1.1"
sites = { PE1 = "CE1", PE2 = "CE2" }
customer_rp = "PE1"
[[tunnel]]
name = "a"
at = "PE1"
parallel = 2
key = 7
[[tunnel]]
name = "b"
at = "PE2"
igmp = 2
[[tunnel]]
name = "late"
at = "P"
present = false
[[at]]
time = "5s"
do = "tunnel-add"
tunnel = "late"
[[expect]]
check = "customer-adjacencies"
mvpn = "red"
"#;

fn plan(text: &str) -> Plan {
    Plan::of(&Scenario::parse("plan.toml", text).unwrap_or_else(|e| panic!("{e}\n{text}")))
}

macro_rules! assert_reads {
    ($text:expr) => {
        insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!($text) })
    };
}

#[test]
fn a_small_network() {
    assert_reads!(plan(SMALL).describe());
}

#[test]
fn its_routers_configurations() {
    let plan = plan(SMALL);
    let of = |name: &str| format!("########## {name}\n{}", plan.configuration(name));
    assert_reads!(["P", "PE1", "PE1.red", "CE1"].map(of).join("\n"));
}

#[test]
fn the_same_backbone_on_pimd() {
    let pimd = SMALL
        .replace("rp = \"P\"", "rp = \"P\"\nrouters = \"pimd\"")
        .replace("232.1.1.1", "239.1.1.2");
    let plan = plan(&pimd);
    let of = |name: &str| format!("########## {name}\n{}", plan.configuration(name));
    assert_reads!(["P", "PE1"].map(of).join("\n"));
    let rp = plan.wires[1].b.address.address;
    assert!(
        plan.converged.contains(&Fact::RpKnown {
            namespace: "PE2".into(),
            rp
        }),
        "pimd's RP is an interface's address"
    );
}

/// A peer's tunnel has its outer end at the peer, an id of its own among all, and is none of the monitor's under test.
#[test]
fn a_second_monitor_host_is_a_peer() {
    let text = SMALL
        .replace(
            "P = { role = \"p\" }",
            "MON2 = { role = \"monitor\" }\nP = { role = \"p\" }",
        )
        .replace(
            "[[link]]\nends = \"P-H9\"",
            "[[link]]\nends = \"P-H9\"\n[[link]]\nends = \"PE2-MON2\"",
        )
        .replace("igmp = 2", "igmp = 2\nhost = \"MON2\"");
    let (alone, both) = (plan(SMALL), plan(&text));
    let json = serde_json::to_string(&alone).expect("plain data");
    assert!(
        !json.contains("peer"),
        "without a peer the plan is written as ever, or warm labs are made again"
    );
    assert_eq!(
        both.monitor, alone.monitor,
        "the first by name is under test"
    );
    let peer = &both.peers[0];
    assert_eq!((peer.namespace.as_str(), both.peers.len()), ("MON2", 1));
    let theirs: Vec<_> = both.tunnels_of_peer("MON2").collect();
    assert_eq!(theirs.len(), 1);
    assert_eq!(
        (
            theirs[0].name.as_str(),
            theirs[0].id,
            theirs[0].monitor_outer
        ),
        ("b", 3, peer.address)
    );
    let own: Vec<_> = both
        .own_tunnels()
        .map(|t| (t.name.as_str(), t.id))
        .collect();
    assert_eq!(own, [("a1", 1), ("a2", 2), ("late", 4)]);
    let device = both.tunnel_device("b").expect("its router's end");
    assert_eq!(device.remote, peer.address);
    assert!(
        both.describe().contains("IGMPv2  from MON2"),
        "{}",
        both.describe()
    );
}

/// A router that joins a group itself forwards it, before anything else counts as converged.
#[test]
fn a_static_join_is_configured_and_waited_for() {
    let text = SMALL.replace(
        "[mvpn.blue]",
        "[[join]]\nat = \"P\"\ntoward = \"H9\"\ngroup = \"239.5.5.5\"\n[mvpn.blue]",
    );
    let plan = plan(&text);
    let line = "interface to-H9\n ip pim\n ip pim hello 5\n ip pim passive\n ip igmp\n ip igmp version 3\n ip igmp query-interval 10\n ip igmp join 239.5.5.5\n";
    assert!(
        plan.configuration("P").contains(line),
        "{}",
        plan.configuration("P")
    );
    assert!(!plan.configuration("PE1").contains("239.5.5.5"));
    let group = "239.5.5.5".parse().expect("an address");
    assert!(plan.converged.contains(&Fact::Forwards {
        namespace: "P".into(),
        source: None,
        group,
        outgoing: vec!["to-H9".into()],
    }));
}

/// A rogue has everything that a site has, and nothing of it is there before it joins.
#[test]
fn a_rogue_is_planned_and_not_waited_for() {
    let with = SMALL
        .replace(
            "PE2 = { role = \"pe\" }",
            "PE2 = { role = \"pe\" }\nPE3 = { role = \"pe\" }",
        )
        .replace(
            "[[link]]\nends = \"PE2-P\"",
            "[[link]]\nends = \"PE3-P\"\n[[link]]\nends = \"PE2-P\"",
        );
    let rogue = with.replace(
        "customer_rp = \"PE1\"",
        "customer_rp = \"PE1\"\nrogues = [\"PE3\"]",
    );
    let (honest, rogue) = (plan(&with), plan(&rogue));
    let vrf = rogue.vrf("red", "PE3").expect("it has a VRF");
    assert!(rogue.is_rogue(vrf) && honest.vrf("red", "PE3").is_none());
    let device = rogue.mdt_device(vrf).expect("it has a device on the MDT");
    assert_eq!(
        (device.present, device.remote),
        (false, rogue.mvpns["red"].default_mdt)
    );
    assert!(rogue.routers.iter().any(|router| router.namespace == vrf));
    assert!(rogue.routes.iter().any(|route| route.namespace == vrf));
    assert_eq!(
        rogue.mvpns["red"].sites, honest.mvpns["red"].sites,
        "the others are as without it"
    );
    let of_rogue = |fact: &&Fact| match fact {
        Fact::PimNeighbor {
            namespace,
            neighbor,
            ..
        } => namespace == vrf || *neighbor == device.end.address.address,
        Fact::RpKnown { namespace, .. } => namespace == vrf,
        Fact::Forwards { source, .. } => *source == Some(device.local),
        Fact::OspfFull { .. } | Fact::Route { .. } => false,
    };
    assert_eq!(rogue.converged.iter().find(of_rogue), None);
    // Its attachment is announced: one more route at every other router, and nothing else.
    assert_eq!(rogue.converged.len(), honest.converged.len() + 3);
}

/// Data MDTs come and go while a lab runs: scenarios with and without them share one.
#[test]
fn data_mdts_do_not_shape_the_plan() {
    let table = "[mvpn.red.data_mdt]\npool = [\"239.2.1.0/28\"]\nthreshold = \"1Mbit\"\n[[tunnel]]\nname = \"a\"";
    let with = SMALL.replace("[[tunnel]]\nname = \"a\"", table);
    assert_eq!(plan(&with), plan(SMALL));
}

/// A scenario's text: routers in a random tree with some chords, MVPNs over all PEs, tunnels, a monitor.
#[derive(Debug, Clone)]
struct Shape {
    parents: Vec<usize>,
    chords: Vec<(usize, usize)>,
    mvpns: usize,
    parallel: usize,
    ces: bool,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let parents =
        (2..12usize).prop_flat_map(|n| (1..n).map(|i| (0..i).boxed()).collect::<Vec<_>>());
    let chords = proptest::collection::vec((0..12usize, 0..12usize), 0..4);
    (parents, chords, 0..4usize, 0..5usize, any::<bool>()).prop_map(
        |(parents, chords, mvpns, parallel, ces)| Shape {
            parents,
            chords,
            mvpns,
            parallel,
            ces,
        },
    )
}

impl Shape {
    fn text(&self) -> String {
        let routers = self.parents.len() + 1;
        let mut text = "title = \"x\"\nduration = \"30s\"\n[backbone]\nrp = \"R0\"\n[nodes]\nMON = { role = \"monitor\" }\n".to_owned();
        let mut links = vec!["MON-R0".to_owned()];
        let mut edges: Vec<(usize, usize)> = self
            .parents
            .iter()
            .enumerate()
            .map(|(child, &parent)| (parent, child + 1))
            .collect();
        for &(a, b) in &self.chords {
            let edge = (a.min(b) % routers, a.max(b) % routers);
            let edge = (edge.0.min(edge.1), edge.0.max(edge.1));
            if edge.0 != edge.1 && !edges.contains(&edge) {
                edges.push(edge);
            }
        }
        links.extend(edges.iter().map(|(a, b)| format!("R{a}-R{b}")));
        for router in 0..routers {
            text.push_str(&format!("R{router} = {{ role = \"pe\" }}\n"));
            for mvpn in (0..self.mvpns).filter(|_| self.ces) {
                text.push_str(&format!("C{mvpn}x{router} = {{ role = \"ce\" }}\n"));
                links.push(format!("C{mvpn}x{router}-R{router}"));
            }
        }
        links
            .iter()
            .for_each(|ends| text.push_str(&format!("[[link]]\nends = \"{ends}\"\n")));
        for mvpn in 0..self.mvpns {
            text.push_str(&format!(
                "[mvpn.v{mvpn}]\ndefault_mdt = \"239.1.1.{}\"\n",
                mvpn + 1
            ));
            let sites = (0..routers).map(|router| match self.ces {
                true => format!("R{router} = \"C{mvpn}x{router}\""),
                false => format!("\"R{router}\""),
            });
            let sites = sites.collect::<Vec<_>>().join(", ");
            text.push_str(&if self.ces {
                format!("sites = {{ {sites} }}\n")
            } else {
                format!("sites_without_ce = [{sites}]\n")
            });
        }
        for router in (0..routers).filter(|_| self.parallel > 0) {
            let parallel = self.parallel;
            text.push_str(&format!(
                "[[tunnel]]\nname = \"t{router}x\"\nat = \"R{router}\"\nparallel = {parallel}\n"
            ));
        }
        text + "[[expect]]\ncheck = \"overhead\"\n"
    }
}

/// Addresses by the domain in which they must be unique: the backbone, or one customer.
fn addresses(plan: &Plan) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let vrf_of = |namespace: &str| plan.namespace(namespace).and_then(|n| n.vrf.clone());
    let ends = plan.wires.iter().flat_map(|wire| {
        let domain = match &wire.kind {
            mvpnlab_emulator::plan::WireKind::Customer { mvpn } => mvpn.clone(),
            _ => "backbone".to_owned(),
        };
        [&wire.a, &wire.b].map(|end| (domain.clone(), end.clone()))
    });
    let attached = plan
        .attachments
        .iter()
        .flat_map(|a| [&a.pe, &a.vrf].map(|end| ("backbone".to_owned(), end.clone())));
    let gre = plan.gre.iter().map(|gre| {
        let domain = vrf_of(&gre.end.namespace).unwrap_or("backbone".to_owned());
        (domain, gre.end.clone())
    });
    for (domain, end) in ends.chain(attached).chain(gre) {
        found.push((
            domain,
            end.address.address.to_string(),
            format!("{}:{}", end.namespace, end.interface),
        ));
    }
    for namespace in &plan.namespaces {
        for loopback in &namespace.loopback {
            found.push((
                "backbone".into(),
                loopback.address.to_string(),
                format!("{}:lo", namespace.name),
            ));
        }
    }
    found.extend(plan.tunnels.iter().map(|t| {
        (
            "backbone".into(),
            t.monitor_inner.to_string(),
            format!("MON:{}", t.name),
        )
    }));
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn addresses_are_unique_and_names_fit_a_device(shape in shapes()) {
        let plan = plan(&shape.text());
        let mut owners: BTreeMap<(String, String), String> = BTreeMap::new();
        let mut devices = BTreeMap::new();
        for (domain, address, owner) in addresses(&plan) {
            let before = owners.insert((domain.clone(), address.clone()), owner.clone());
            prop_assert_eq!(before, None, "{} in {} belongs to {} too", address, domain, owner);
            let (namespace, device) = owner.split_once(':').expect("written above");
            prop_assert!(device.len() <= 15, "{device} is no device name");
            if device != "lo" && namespace != "MON" {
                prop_assert_eq!(devices.insert(owner.clone(), ()), None, "two devices {}", owner);
            }
        }
    }

    #[test]
    fn the_same_scenario_gives_the_same_bytes(shape in shapes()) {
        let text = shape.text();
        let json = |plan: &Plan| serde_json::to_string(plan).expect("a plan is plain data");
        let (first, second) = (plan(&text), plan(&text));
        prop_assert_eq!(json(&first), json(&second));
        prop_assert_eq!(serde_json::from_str::<Plan>(&json(&first)).expect("it reads back"), first);
    }

    /// What is done to a network, or measured in it, does not change it: one warm lab serves all.
    #[test]
    fn only_topology_shapes_the_plan(shape in shapes(), loss in 0u8..100, seconds in 5u64..60) {
        let text = shape.text();
        let quiet = plan(&text);
        let mut busy = text.replacen("ends = \"R0-R1\"\n", &format!("ends = \"R0-R1\"\nimpair = {{ loss = \"{loss}%\" }}\n"), 1);
        prop_assert!(busy != text, "the first edge is always there");
        busy = busy.replacen("duration = \"30s\"", &format!("duration = \"{seconds}s\""), 1);
        busy.push_str("[[at]]\ntime = \"1s\"\ndo = \"link-down\"\nlink = \"R0-R1\"\n[monitor]\nping = \"100ms\"\n");
        if shape.parallel > 1 {
            busy.push_str("[[monitor.task]]\nname = \"t\"\ngroup = \"239.7.7.7\"\nrate = \"10/s\"\n");
        }
        prop_assert_eq!(plan(&busy), quiet);
    }

    /// Every router is asked for, and every pair of VRFs must see each other over the MDT.
    #[test]
    fn convergence_speaks_of_every_router_and_every_pair_of_vrfs(shape in shapes()) {
        let plan = plan(&shape.text());
        let routers = shape.parents.len() + 1;
        let over_mdt = plan.converged.iter().filter(|f| matches!(f, Fact::PimNeighbor { interface, .. } if interface == "mdt"));
        prop_assert_eq!(over_mdt.count(), shape.mvpns * routers * (routers - 1));
        for namespace in plan.namespaces.iter().filter(|n| n.forwards && n.vrf.is_none()) {
            let full = |f: &Fact| matches!(f, Fact::OspfFull { namespace: at, .. } if *at == namespace.name);
            prop_assert!(plan.converged.iter().any(full), "nobody asks {}", namespace.name);
        }
    }
}
