//! troglobit pimd 2.3.2 for PIM, on top of FRR's unicast: its configuration, and what its tables say.

use std::{collections::BTreeSet, fmt::Write as _, net::Ipv4Addr};

use super::{InterfaceKind, RouterInput, frr, whole_seconds};
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
