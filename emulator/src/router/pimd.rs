//! troglobit pimd 2.3.2 for PIM, on top of FRR's unicast: its configuration, and what its tables say.

use std::{collections::BTreeSet, fmt::Write as _, net::Ipv4Addr};

use super::{InterfaceKind, RouterInput, frr, state::Membership, whole_seconds};
use crate::plan::{Cidr, Daemon, DaemonProgram};

/// zebra, ospfd, troglobit's pimd.
///
/// pimd makes no virtual interface of `lo`: the RP must be an address of one of the RP node's links. Its join/prune
/// interval is fixed at 60 s; it looks at its timers every 5 s.
pub fn render(input: &RouterInput) -> Vec<Daemon> {
    let mut daemons = frr::render_unicast(input);
    daemons.push(Daemon {
        program: DaemonProgram::Pimd,
        config: pimd(input),
    });
    daemons
}

fn pimd(input: &RouterInput) -> String {
    use InterfaceKind::*;
    let mut text = String::new();
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{arguments}");
    };
    line(format_args!(
        "hello-interval {}",
        whole_seconds(input.timers.pim_hello)
    ));
    line(format_args!(
        "igmp-query-interval {}",
        whole_seconds(input.timers.igmp_query)
    ));
    // The first packet switches to the source's tree, looked at every 5 s.
    line(format_args!("spt-threshold packets 0 interval 5"));
    for interface in &input.interfaces {
        let name = &interface.name;
        match interface.kind {
            Loopback => {}
            MonitorLink | Silent => line(format_args!("phyint {name} disable")),
            MonitorTunnel { igmp } => line(format_args!("phyint {name} enable igmpv{igmp}")),
            Core | VrfAttachment | HostLink | Mdt | Customer => {
                line(format_args!("phyint {name} enable igmpv3"))
            }
        }
    }
    for rp in &input.rps {
        for group in &rp.groups {
            line(format_args!(
                "rp-address {} {}/{}",
                rp.address, group.address, group.prefix
            ));
        }
    }
    text
}

/// Neighbours in pimd's interface table, whose numbers are the kernel's.
pub(super) fn neighbors(tables: &str, vifs: &[(usize, String)]) -> BTreeSet<(String, Ipv4Addr)> {
    let table = tables
        .split("Multicast Routing Table")
        .next()
        .unwrap_or_default();
    table
        .lines()
        .filter_map(|line| neighbor(line, vifs))
        .collect()
}

/// `"  0  10.1.1.2         10.1.1/30                1  DR PIM     10.1.1.1       "`
fn neighbor(line: &str, vifs: &[(usize, String)]) -> Option<(String, Ipv4Addr)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number: usize = words.first()?.parse().ok()?;
    let (_, name) = vifs.iter().find(|(n, _)| *n == number)?;
    // Number, local address, subnet, threshold, flags, then the neighbour; without one the flags are last.
    let address = words.get(4..)?.last()?.parse().ok()?;
    Some((name.clone(), address))
}

/// Groups with members on an interface. pimd lists the interfaces with members as leaves of every routing entry: those of
/// (*,G) again under each source, where they say nothing new.
pub(super) fn memberships(tables: &str, vifs: &[(usize, String)]) -> BTreeSet<Membership> {
    let leaves = leaves(tables);
    let is_of_any = |group, vif| leaves.contains(&(Ipv4Addr::UNSPECIFIED, group, vif));
    let told = leaves
        .iter()
        .filter(|(source, group, vif)| source.is_unspecified() || !is_of_any(*group, *vif));
    told.filter_map(|(source, group, vif)| {
        let (_, interface) = vifs.iter().find(|(number, _)| number == vif)?;
        Some(Membership {
            interface: interface.clone(),
            group: group.to_string(),
            source: match source.is_unspecified() {
                true => "*".to_owned(),
                false => source.to_string(),
            },
            mode: String::new(),
            since: String::new(),
        })
    })
    .collect()
}

/// Source (0.0.0.0 for any), group and interface number of every leaf in the routing table.
fn leaves(tables: &str) -> BTreeSet<(Ipv4Addr, Ipv4Addr, usize)> {
    let table = tables.split("Multicast Routing Table").nth(1);
    let mut entry = None;
    let mut found = BTreeSet::new();
    for line in table.unwrap_or_default().lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.as_slice(), entry) {
            // "10.2.0.10        239.1.1.1        10.77.0.5        CACHE SG", "INADDR_ANY       239.1.1.1 …"
            ([source, group, _rp, ..], _) if group.parse::<Ipv4Addr>().is_ok() => {
                let source = match *source {
                    "INADDR_ANY" => Some(Ipv4Addr::UNSPECIFIED),
                    address => address.parse().ok(),
                };
                entry = source.zip(group.parse().ok());
            }
            // "Leaves   oifs: l.l.", a mark an interface
            (["Leaves", "oifs:", marks], Some((source, group))) => {
                let marked = marks.chars().enumerate().filter(|(_, mark)| *mark == 'l');
                found.extend(marked.map(|(vif, _)| (source, group, vif)));
            }
            _ => {}
        }
    }
    found
}

/// The configured RPs to which a route leads; pimd itself says nothing of RPs without groups.
pub(super) fn reachable_rps(config: &str, routes: &BTreeSet<Cidr>) -> BTreeSet<Ipv4Addr> {
    let configured = config.lines().filter_map(|line| {
        line.strip_prefix("rp-address ")?
            .split(' ')
            .next()?
            .parse()
            .ok()
    });
    configured
        .filter(|rp| routes.iter().any(|route| route.contains(*rp)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Recorded from pimd 2.3.2 (SIGUSR1), shortened.
    const TABLES: &str = "\
Virtual Interface Table ======================================================
Vif  Local Address    Subnet              Thresh  Flags      Neighbors
---  ---------------  ------------------  ------  ---------  -----------------
  0  10.1.1.2         10.1.1/30                1  DR PIM     10.1.1.1       
  2  10.2.1.1         10.2.1/30                1  DR NO-NBR
  4  10.1.1.2         register_vif0            1 

 Vif  SSM Group        Sources             

Multicast Routing Table ======================================================
  0  10.1.1.2         10.1.1/30                1  DR PIM     10.1.1.9
";

    #[test]
    fn neighbours_stand_in_the_interface_table_alone() {
        let vifs = [
            (0, "to-P1".to_owned()),
            (2, "vrf-red".to_owned()),
            (4, "pimreg".to_owned()),
        ];
        let found = neighbors(TABLES, &vifs);
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("to-P1".to_owned(), Ipv4Addr::new(10, 1, 1, 1))]
        );
    }

    // Recorded from pimd 2.3.2 at a PE with a VRF and a monitor tunnel, shortened; the last entry is made up.
    const ROUTES: &str = "\
Virtual Interface Table ======================================================
  0  10.2.0.9         10.2.0.8/30              1  DR NO-NBR
Multicast Routing Table ======================================================
----------------------------------- (*,G) ------------------------------------
Source           Group            RP Address       Flags
---------------  ---------------  ---------------  ---------------------------
INADDR_ANY       239.1.1.1        10.77.0.5        WC RP CACHE
Joined   oifs: ....                
Pruned   oifs: ....                
Leaves   oifs: l.l.                
Asserted oifs: ....                
Outgoing oifs: o.o.                
Incoming     : .I..                

TIMERS:  Entry    JP    RS  Assert VIFS:  0  1  2  3
             0    30     0       0        0  0  0  0
----------------------------------- (S,G) ------------------------------------
10.2.0.10        239.1.1.1        10.77.0.5        CACHE SG
Joined   oifs: .j.j                
Leaves   oifs: l.l.                
Outgoing oifs: ooo.                
10.2.0.2         232.1.1.1        10.77.0.5        SG
Leaves   oifs: l...                
";

    #[test]
    fn members_of_a_group_are_not_members_of_each_of_its_sources() {
        let vifs = [
            (0, "vrf-red".to_owned()),
            (1, "to-P".to_owned()),
            (2, "tun-c".to_owned()),
        ];
        let found: Vec<String> = memberships(ROUTES, &vifs)
            .iter()
            .map(|m| format!("{} ({}, {})", m.interface, m.source, m.group))
            .collect();
        let expected = [
            "tun-c (*, 239.1.1.1)",
            "vrf-red (10.2.0.2, 232.1.1.1)",
            "vrf-red (*, 239.1.1.1)",
        ];
        assert_eq!(found, expected);
        assert!(memberships("nonsense", &vifs).is_empty());
        assert!(memberships(TABLES, &vifs).is_empty());
    }

    #[test]
    fn an_rp_counts_only_with_a_route() {
        let config = "hello-interval 5\nrp-address 10.1.0.1 239.0.0.0/8\n";
        let route = |a: [u8; 4], prefix| {
            BTreeSet::from([Cidr {
                address: a.into(),
                prefix,
            }])
        };
        assert_eq!(reachable_rps(config, &route([10, 1, 0, 0], 30)).len(), 1);
        assert_eq!(reachable_rps(config, &route([0, 0, 0, 0], 0)).len(), 1);
        assert!(reachable_rps(config, &route([10, 1, 0, 4], 30)).is_empty());
    }
}
