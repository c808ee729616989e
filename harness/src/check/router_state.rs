//! What the routers themselves say at the end of the run.

use std::net::Ipv4Addr;

use mvpnlab_emulator::plan::GrePurpose;

use super::Finding;
use super::facts::Facts;
use super::judge::Judge;

/// A group is, or is not, forwarded by a router's kernel at the end, to one interface or to any.
pub fn forwarded(
    facts: &Facts,
    node: &str,
    group: Ipv4Addr,
    to: Option<&str>,
    yes: bool,
) -> Finding {
    let expected = if yes {
        "forwarded at the end"
    } else {
        "not forwarded at the end"
    };
    let mut judge = Judge::new("forwarded", format!("{group} at {node}"), expected);
    if let Some(snapshot) = facts.counters.snapshots.last() {
        // All entries of the lab were looked at: no entry here proves nothing if there is none anywhere.
        judge.judged(snapshot.mroutes.len() as u64);
        let own = snapshot
            .mroutes
            .iter()
            .filter(|route| route.namespace == node && route.group == group);
        let outgoing: Vec<&str> = own
            .flat_map(|route| route.outgoing.iter().map(String::as_str))
            .filter(|interface| to.is_none_or(|to| to == *interface))
            .collect();
        judge.demand(outgoing.is_empty() != yes, || match outgoing.is_empty() {
            true => match to {
                Some(to) => format!("{node} has no entry for {group} that sends to {to}"),
                None => format!("{node} has no entry for {group} with an outgoing interface"),
            },
            false => format!("{node} forwards {group} to {}", outgoing.join(", ")),
        });
    }
    judge.finish()
}

/// Every site's VRF has every other as a PIM neighbour over the MDT at the end.
pub fn customer_adjacencies(facts: &Facts, mvpn: &str) -> Finding {
    let mut judge = Judge::new(
        "customer-adjacencies",
        mvpn,
        "every site sees every other as a PIM neighbour over the MDT",
    );
    let ends: Vec<_> = facts
        .plan
        .gre
        .iter()
        .filter(
            |device| matches!(&device.purpose, GrePurpose::DefaultMdt { mvpn: of } if of == mvpn),
        )
        // Rogues come and go.
        .filter(|device| device.present)
        .map(|device| &device.end)
        .collect();
    for own in &ends {
        let state = facts
            .router_states
            .get(&own.namespace)
            .map(String::as_str)
            .unwrap_or_default();
        for other in ends.iter().filter(|other| other.namespace != own.namespace) {
            judge.judged(1);
            judge.demand(
                is_neighbor(state, &own.interface, other.address.address),
                || {
                    format!(
                        "{} does not have {} ({}) as a neighbour on {}",
                        own.namespace, other.namespace, other.address.address, own.interface
                    )
                },
            );
        }
    }
    judge.finish()
}

/// One PE's VRF has another, a rogue perhaps, as a PIM neighbour over the MDT at the end, or has not.
pub fn mdt_neighbor(facts: &Facts, mvpn: &str, (at, neighbor): (&str, &str), yes: bool) -> Finding {
    let expected = match yes {
        true => "a PIM neighbour over the MDT at the end",
        false => "no PIM neighbour over the MDT at the end",
    };
    let about = format!("{neighbor} at {at}, {mvpn}");
    let mut judge = Judge::new("mdt-neighbor", about, expected);
    let device = |pe: &str| facts.plan.mdt_device(facts.plan.vrf(mvpn, pe)?);
    let (Some(own), Some(other)) = (device(at), device(neighbor)) else {
        return judge.finish();
    };
    if let Some(state) = facts.router_states.get(&own.end.namespace) {
        judge.judged(1);
        let address = other.end.address.address;
        let found = is_neighbor(state, &own.end.interface, address);
        judge.demand(found == yes, || {
            let has = if found { "has" } else { "does not have" };
            format!(
                "{} {has} {neighbor} ({address}) as a neighbour",
                own.end.namespace
            )
        });
    }
    judge.finish()
}

/// A line of `show ip pim neighbor`: interface, then neighbour.
fn is_neighbor(state: &str, interface: &str, neighbor: Ipv4Addr) -> bool {
    state.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some(interface)
            && words.next().and_then(|word| word.parse().ok()) == Some(neighbor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_is_read_from_its_own_line_only() {
        let state = "Interface  State  Address     PIM Nbrs  PIM DR\nmdt  up  172.16.1.1  1  172.16.1.2\n\nInterface  Neighbor    Uptime\nmdt        172.16.1.2  00:00:12\n";
        assert!(is_neighbor(state, "mdt", Ipv4Addr::new(172, 16, 1, 2)));
        assert!(!is_neighbor(state, "mdt", Ipv4Addr::new(172, 16, 1, 1)));
        assert!(!is_neighbor(state, "core", Ipv4Addr::new(172, 16, 1, 2)));
        assert!(!is_neighbor("", "mdt", Ipv4Addr::new(172, 16, 1, 2)));
    }
}
