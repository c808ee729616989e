//! The capture filter, as a pcap expression that follows tunnels and observations (VS-07).
//!
//! It lets through what the monitor reads, both ways: probes, pings and IGMP inside GRE from
//! and to the routers it has tunnels to. A customer's packet on an MDT is GRE inside GRE: the
//! kernel drops it, unless observation was asked for.
//!
//! The kernel takes 4096 instructions and runs them for every packet. Routers and watched groups beyond some number are
//! therefore told apart by prefixes only, which may let through what the core then drops: GRE to us from a stranger in
//! the same prefix, and control messages of an MVPN that is not watched. Never a customer's packet.
//!
//! Offsets are counted from the outer IPv4 header, which has no options here: 20 bytes, then
//! GRE, of 4 bytes, or 8 with a key; the inner header follows.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use vmscope_wire::mdt_join;

use crate::cover::{Prefix, cover};
use crate::spec::{Encapsulation, PassiveLayer, PassiveSpec, TunnelSpec};
use crate::view::ALL_PIM_ROUTERS;

/// What the filter depends on.
#[derive(Debug, Clone, Default)]
pub(crate) struct FilterInput<'a> {
    pub(crate) tunnels: Vec<&'a TunnelSpec>,
    pub(crate) passive: Vec<&'a PassiveSpec>,
    /// Default MDTs that are watched (224.0.0.13: a link without one), and whether over the monitor's own link.
    pub(crate) watched: Vec<(Ipv4Addr, bool)>,
    pub(crate) probe_port: u16,
    /// Let customer packets through although nobody asked: a planted fault.
    pub(crate) customers_anyway: bool,
}

/// Routers, and addresses of ours, that are named one by one; beyond, by so many prefixes.
const HOSTS_MAX: usize = 64;
/// Watched groups likewise.
const GROUPS_MAX: usize = 32;

/// An expression that is true of nothing: an IPv4 header's first byte is never zero.
const NOTHING: &str = "ip[0] = 0";

/// Renders the expression.
pub(crate) fn render(input: &FilterInput<'_>) -> String {
    let clauses: Vec<String> = [gre_clause(input), native_clause(input)]
        .into_iter()
        .flatten()
        .collect();
    match clauses.as_slice() {
        [] => NOTHING.to_owned(),
        some => some.join(" or "),
    }
}

fn gre_clause(input: &FilterInput<'_>) -> Option<String> {
    let gre: Vec<_> = input
        .tunnels
        .iter()
        .filter(|t| t.encapsulation == Encapsulation::Gre)
        .collect();
    let routers: BTreeSet<Ipv4Addr> = gre.iter().filter_map(|t| t.outer_remote).collect();
    let ours: BTreeSet<Ipv4Addr> = gre.iter().filter_map(|t| t.outer_local).collect();
    if routers.is_empty() {
        return None;
    }
    let with_key: BTreeSet<bool> = gre.iter().map(|t| t.key.is_some()).collect();
    let inner: Vec<String> = with_key
        .into_iter()
        .map(|key| inner_clause(input, key))
        .collect();
    let (ours, routers) = (hosts(&ours), hosts(&routers));
    Some(format!(
        "(ip proto 47 and {ours} and {routers} and ({}))",
        inner.join(" or ")
    ))
}

fn hosts(addresses: &BTreeSet<Ipv4Addr>) -> String {
    let each = cover(addresses, HOSTS_MAX);
    let each: Vec<String> = each.iter().map(Prefix::to_string).collect();
    format!("({})", each.join(" or "))
}

/// What is watched, as clauses about the packets whose IPv4 header is at `at`.
fn watch_clauses(at: usize, groups: impl Iterator<Item = Ipv4Addr>) -> Vec<String> {
    let mut mdts: BTreeSet<Ipv4Addr> = groups.collect();
    let plain = mdts.remove(&ALL_PIM_ROUTERS);
    let mdts = cover(&mdts, GROUPS_MAX);
    let plain = plain.then(|| plain_clause(at));
    let mdts = mdts.iter().map(|mdt| control_clause(at, *mdt));
    plain.into_iter().chain(mdts).collect()
}

/// What may be inside GRE with or without a key.
fn inner_clause(input: &FilterInput<'_>, key: bool) -> String {
    let (flags, at) = if key { ("0x2000", 28) } else { ("0", 24) };
    let (first, protocol, destination, port) = (at, at + 9, at + 16, at + 22);
    let mut any = vec![
        format!("ip[{protocol}] = 1"),
        format!("ip[{protocol}] = 2"),
        format!(
            "(ip[{first}] = 0x45 and ip[{protocol}] = 17 and ip[{port}:2] = {})",
            input.probe_port
        ),
    ];
    if input.customers_anyway {
        any.push(format!("ip[{protocol}] = 47"));
    }
    for passive in &input.passive {
        let group = format!("ip[{destination}:4] = {:#010x}", u32::from(passive.group));
        any.push(match passive.layer {
            PassiveLayer::Mdt => format!("(ip[{protocol}] = 47 and {group})"),
            PassiveLayer::Plain => format!("({group})"),
        });
    }
    any.extend(watch_clauses(
        at,
        input.watched.iter().map(|(group, _)| *group),
    ));
    format!("(ip[20:2] = {flags} and ({}))", any.join(" or "))
}

/// A router's control message on a link without an MDT: PIM or an MDT Join, to all PIM routers.
fn plain_clause(at: usize) -> String {
    format!(
        "(ip[{}:4] = {:#010x} and (ip[{}] = 103 or (ip[{at}] = 0x45 and ip[{}] = 17 and ip[{}:2] = {})))",
        at + 16,
        u32::from(ALL_PIM_ROUTERS),
        at + 9,
        at + 9,
        at + 22,
        mdt_join::PORT,
    )
}

/// A PE's control message on a default MDT whose own IPv4 header is at `at`: PIM or an MDT Join, to all PIM routers, in
/// plain GRE. Everything else there is the customer's and stays unread.
fn control_clause(at: usize, groups: Prefix) -> String {
    let (protocol, gre, inner) = (at + 9, at + 20, at + 24);
    let destination = match groups.bits {
        32 => format!("ip[{}:4]", at + 16),
        _ => format!("ip[{}:4] & {:#010x}", at + 16, groups.mask()),
    };
    format!(
        "(ip[{at}] = 0x45 and ip[{protocol}] = 47 and {destination} = {:#010x} and ip[{gre}:4] = 0x800 and \
         ip[{}:4] = {:#010x} and (ip[{}] = 103 or (ip[{inner}] = 0x45 and ip[{}] = 17 and ip[{}:2] = {})))",
        u32::from(groups.first),
        inner + 16,
        u32::from(ALL_PIM_ROUTERS),
        inner + 9,
        inner + 9,
        inner + 22,
        mdt_join::PORT,
    )
}

/// The monitor's own link: plain probes, pings of the router, IGMP, watched groups.
fn native_clause(input: &FilterInput<'_>) -> Option<String> {
    let native = input
        .tunnels
        .iter()
        .find(|t| t.encapsulation == Encapsulation::None)?;
    let mut any = vec![
        "ip proto 2".to_owned(),
        format!("(icmp and host {})", native.inner_remote),
        format!("(udp dst port {} and ip multicast)", input.probe_port),
    ];
    if input.customers_anyway {
        any.push("(ip proto 47 and ip multicast)".to_owned());
    }
    for passive in input
        .passive
        .iter()
        .filter(|p| p.tunnels.contains(&native.name))
    {
        any.push(match passive.layer {
            PassiveLayer::Mdt => format!("(ip proto 47 and dst host {})", passive.group),
            PassiveLayer::Plain => format!("dst host {}", passive.group),
        });
    }
    let natively = input.watched.iter().filter(|(_, natively)| *natively);
    any.extend(watch_clauses(0, natively.map(|(group, _)| *group)));
    Some(format!("({})", any.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::spec::PROBE_PORT;

    const TUNNELS: &str = r#"
        tunnels = [
          { name = "pe1", outer_local = "10.1.0.2", outer_remote = "10.254.1.1", inner_local = "10.77.1.2", inner_remote = "10.77.1.1" },
          { name = "pe2", outer_local = "10.1.0.2", outer_remote = "10.254.2.1", inner_local = "10.77.2.2", inner_remote = "10.77.2.1" },
        ]"#;
    const KEYED: &str = r#"
        [[tunnels]]
        name = "pe3"
        outer_local = "10.1.0.2"
        outer_remote = "10.254.3.1"
        inner_local = "10.77.3.2"
        inner_remote = "10.77.3.1"
        key = 7"#;
    const NATIVE: &str = r#"
        [[tunnels]]
        name = "lan"
        encapsulation = "none"
        inner_local = "10.1.0.2"
        inner_remote = "10.1.0.1""#;
    const MDT: &str = r#"
        [[passive]]
        name = "red"
        group = "239.1.1.1"
        tunnels = ["pe2"]"#;
    const PLAIN: &str = r#"
        [[passive]]
        name = "tv"
        group = "239.5.5.5"
        layer = "plain"
        tunnels = ["lan"]"#;

    fn filter_of(parts: &[&str]) -> String {
        let config = Config::from_toml(&parts.join("\n")).unwrap();
        render(&FilterInput {
            tunnels: config.tunnels.iter().collect(),
            passive: config.passive.iter().collect(),
            watched: Vec::new(),
            probe_port: config.probe_port,
            customers_anyway: false,
        })
    }

    #[test]
    fn without_tunnels_nothing_passes() {
        assert_eq!(filter_of(&[]), NOTHING);
    }

    #[test]
    fn tunnels_without_key() {
        insta::assert_snapshot!(filter_of(&[TUNNELS]));
    }

    #[test]
    fn a_key_moves_the_inner_header() {
        insta::assert_snapshot!(filter_of(&[KEYED]));
    }

    #[test]
    fn observation_lets_its_group_through() {
        insta::assert_snapshot!(filter_of(&[TUNNELS, MDT]));
    }

    #[test]
    fn the_monitors_own_link() {
        insta::assert_snapshot!(filter_of(&[NATIVE, PLAIN]));
    }

    #[test]
    fn a_watch_lets_control_messages_through_and_nothing_else_of_its_group() {
        let config = Config::from_toml(&[KEYED, NATIVE].join("\n")).unwrap();
        insta::assert_snapshot!(render(&FilterInput {
            tunnels: config.tunnels.iter().collect(),
            passive: Vec::new(),
            watched: vec![(Ipv4Addr::new(239, 1, 1, 1), true)],
            probe_port: config.probe_port,
            customers_anyway: false,
        }));
    }

    #[test]
    fn a_watch_without_an_mdt_lets_the_links_own_control_messages_through() {
        let config = Config::from_toml(&[KEYED, NATIVE].join("\n")).unwrap();
        insta::assert_snapshot!(render(&FilterInput {
            tunnels: config.tunnels.iter().collect(),
            passive: Vec::new(),
            watched: vec![(ALL_PIM_ROUTERS, true)],
            probe_port: config.probe_port,
            customers_anyway: false,
        }));
    }

    /// Ten thousand tunnels, keyed and not, from two regions, and a thousand watched MVPNs.
    #[test]
    fn a_large_network_is_told_apart_by_prefixes() {
        let tunnel = |n: u32| {
            let mut config = Config::from_toml(KEYED).unwrap();
            let mut tunnel = config.tunnels.remove(0);
            let region = if n.is_multiple_of(2) {
                0x0afe_0000
            } else {
                0xc0a8_0000
            };
            tunnel.outer_remote = Some(Ipv4Addr::from(region + n));
            tunnel.key = (n.is_multiple_of(3)).then_some(n);
            tunnel
        };
        let tunnels: Vec<TunnelSpec> = (0..10_000).map(tunnel).collect();
        let watched = |n: u32| (Ipv4Addr::from(0xef01_0000 + n), false);
        let filter = render(&FilterInput {
            tunnels: tunnels.iter().collect(),
            passive: Vec::new(),
            watched: (0..1_000).map(watched).collect(),
            probe_port: PROBE_PORT,
            customers_anyway: false,
        });
        insta::assert_snapshot!(filter.replace(" or ", "\n or "));
    }

    #[test]
    fn customers_pass_only_when_observed() {
        assert!(!filter_of(&[TUNNELS]).contains("= 47"));
        assert!(filter_of(&[TUNNELS, MDT]).contains("= 47"));
    }
}
