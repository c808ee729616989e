//! The kernel's multicast forwarding entries, from `ip_mr_vif` and `ip_mr_cache` of a namespace.

use std::{fs, net::Ipv4Addr};

use super::{KernelError, Netns};

/// A forwarding entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mroute {
    /// Source; 0.0.0.0 for (*,G).
    pub source: Ipv4Addr,
    /// Group.
    pub group: Ipv4Addr,
    /// Incoming interface; None: unresolved.
    pub incoming: Option<String>,
    /// Outgoing interfaces, in the kernel's order.
    pub outgoing: Vec<String>,
    /// Packets that matched.
    pub packets: u64,
    /// Their bytes, IP headers included.
    pub bytes: u64,
    /// Packets that came by a wrong interface.
    pub wrong_if: u64,
}

/// All entries, ordered by group and source.
pub fn read(namespace: &Netns) -> Result<Vec<Mroute>, KernelError> {
    Ok(parse(
        &table(namespace, "ip_mr_vif")?,
        &table(namespace, "ip_mr_cache")?,
    ))
}

/// Numbers and names of the interfaces that take part in multicast routing.
pub fn vifs(namespace: &Netns) -> Result<Vec<(usize, String)>, KernelError> {
    let text = table(namespace, "ip_mr_vif")?;
    let found = text.lines().filter_map(parse_vif);
    Ok(found
        .map(|(number, name)| (number, name.to_owned()))
        .collect())
}

fn table(namespace: &Netns, name: &str) -> Result<String, KernelError> {
    // /proc/net follows the process; this thread alone has entered the namespace.
    let path = format!("/proc/thread-self/net/{name}");
    let text = namespace.inside(|| fs::read_to_string(&path))?;
    text.map_err(|e| namespace.error(format!("read {name}"), e))
}

/// Both tables' text; lines that are not understood are left out.
pub fn parse(vifs: &str, cache: &str) -> Vec<Mroute> {
    let vifs: Vec<(usize, &str)> = vifs.lines().filter_map(parse_vif).collect();
    let name = |number: usize| {
        vifs.iter()
            .find(|(n, _)| *n == number)
            .map(|(_, name)| (*name).to_owned())
    };
    let mut entries: Vec<Mroute> = cache
        .lines()
        .filter_map(|line| parse_entry(line, &name))
        .collect();
    entries.sort_by_key(|e| (e.group, e.source));
    entries
}

/// `" 1 mdt            9108      99         0       0 00008 00000007 00000000"`
fn parse_vif(line: &str) -> Option<(usize, &str)> {
    let mut words = line.split_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?))
}

/// `"090909EF 0201A8C0 1         98     9016        0  2:1    3:1  "`: addresses in memory order, vif:ttl last.
fn parse_entry(line: &str, name: &impl Fn(usize) -> Option<String>) -> Option<Mroute> {
    let mut words = line.split_whitespace();
    let (group, source) = (address(words.next()?)?, address(words.next()?)?);
    let incoming: i64 = words.next()?.parse().ok()?;
    let packets = words.next()?.parse().ok()?;
    let bytes = words.next()?.parse().ok()?;
    let wrong_if = words.next()?.parse().ok()?;
    let outgoing = words
        .filter_map(|pair| name(pair.split_once(':')?.0.parse().ok()?))
        .collect();
    let incoming = usize::try_from(incoming).ok().and_then(name);
    Some(Mroute {
        source,
        group,
        incoming,
        outgoing,
        packets,
        bytes,
        wrong_if,
    })
}

fn address(hex: &str) -> Option<Ipv4Addr> {
    let word = u32::from_str_radix(hex, 16).ok()?;
    Some(Ipv4Addr::from(word.to_ne_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Recorded from Linux 6.1 in a VRF's namespace under FRR 8.4.4.
    const VIFS: &str = "\
Interface      BytesIn  PktsIn  BytesOut PktsOut Flags Local    Remote
 0 pimreg            0       0        92       1 00004 00000000 00000000
 1 mdt            9108      99         0       0 00008 00000007 00000000
 2 to-CE2            0       0      9108      99 00008 00000006 00000000
";
    const CACHE: &str = "\
Group    Origin   Iif     Pkts    Bytes    Wrong Oifs
090909EF 00000000 1          1       92        0  0:1    1:1    2:1  
090909EF 0201A8C0 1         98     9016        3  2:1  
090909EF 0301A8C0 -1         0        0        0
";

    #[test]
    fn entries_name_their_interfaces() {
        let entries = parse(VIFS, CACHE);
        let shared = &entries[0];
        assert_eq!(
            (shared.source, shared.group),
            (Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(239, 9, 9, 9))
        );
        assert_eq!(shared.outgoing, ["pimreg", "mdt", "to-CE2"]);
        let specific = &entries[1];
        assert_eq!(specific.source, Ipv4Addr::new(192, 168, 1, 2));
        assert_eq!(specific.incoming.as_deref(), Some("mdt"));
        assert_eq!(specific.outgoing, ["to-CE2"]);
        assert_eq!((specific.packets, specific.bytes), (98, 9016));
        assert_eq!(specific.wrong_if, 3);
    }

    #[test]
    fn an_unresolved_entry_comes_from_and_goes_nowhere() {
        let entry = &parse(VIFS, CACHE)[2];
        assert_eq!((entry.incoming.as_deref(), entry.outgoing.len()), (None, 0));
    }

    #[test]
    fn nonsense_is_left_out() {
        assert_eq!(parse("x", "G O\n12 zz 3 4\n090909EF\n"), []);
    }
}
