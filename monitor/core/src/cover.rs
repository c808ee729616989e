//! Many addresses as few prefixes: what a packet filter of bounded length can still tell apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

/// Addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// Its first address.
    pub first: Ipv4Addr,
    /// Leading bits that are alike, 0 to 32.
    pub bits: u8,
}

impl Prefix {
    fn host(address: Ipv4Addr) -> Prefix {
        Prefix {
            first: address,
            bits: 32,
        }
    }

    /// This and the one behind it as one, if that holds nothing else.
    fn with(self, behind: Prefix) -> Option<Prefix> {
        let bits = self.bits.checked_sub(1)?;
        let both = u32::from(self.first) & mask(bits);
        let halves = self.bits == behind.bits
            && both == u32::from(self.first)
            && both == u32::from(behind.first) & mask(bits);
        halves.then_some(Prefix {
            first: self.first,
            bits,
        })
    }

    /// The leading bits as a mask.
    pub fn mask(self) -> u32 {
        mask(self.bits)
    }
}

/// As pcap filters write it.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bits {
            32 => write!(f, "host {}", self.first),
            bits => write!(f, "net {}/{bits}", self.first),
        }
    }
}

/// At most so many prefixes (at least one) that hold all these addresses: each address by itself where there are no more;
/// else prefixes that hold nothing else, if so many do. Else addresses are put together that begin with the same bits, as
/// many bits as possible, and of each lot all bits that its addresses have in common are told.
///
/// The longest come first: where hosts stand behind prefixes, libpcap's optimiser (1.10.3) may lose the last.
pub fn cover(addresses: &BTreeSet<Ipv4Addr>, most: usize) -> Vec<Prefix> {
    let most = most.max(1);
    let mut prefixes = match addresses.len() <= most {
        true => addresses.iter().copied().map(Prefix::host).collect(),
        false => exact(addresses),
    };
    if prefixes.len() > most {
        prefixes = lots(addresses, most);
    }
    prefixes.sort_by_key(|prefix| (std::cmp::Reverse(prefix.bits), prefix.first));
    prefixes
}

/// As few prefixes as hold these addresses and no others.
fn exact(addresses: &BTreeSet<Ipv4Addr>) -> Vec<Prefix> {
    let mut prefixes: Vec<Prefix> = Vec::new();
    for address in addresses {
        let mut next = Prefix::host(*address);
        while let Some(both) = prefixes.last().and_then(|last| last.with(next)) {
            prefixes.pop();
            next = both;
        }
        prefixes.push(next);
    }
    prefixes
}

/// At most so many lots of addresses that begin alike.
fn lots(addresses: &BTreeSet<Ipv4Addr>, most: usize) -> Vec<Prefix> {
    let lots = |bits: u8| {
        let mut lots: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
        for address in addresses {
            let address = u32::from(*address);
            let lot = lots.entry(address & mask(bits));
            lot.and_modify(|(_, last)| *last = address)
                .or_insert((address, address));
        }
        lots
    };
    let fitting = (0..=32).rev().map(lots).find(|lots| lots.len() <= most);
    let lots = fitting.unwrap_or_default().into_values();
    lots.map(|(first, last)| {
        let bits = (first ^ last).leading_zeros() as u8;
        Prefix {
            first: Ipv4Addr::from(first & mask(bits)),
            bits,
        }
    })
    .collect()
}

fn mask(bits: u8) -> u32 {
    u32::MAX
        .checked_shl(32 - u32::from(bits))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(addresses: &[&str], most: usize) -> Vec<String> {
        let all = addresses.iter().map(|a| a.parse().unwrap()).collect();
        cover(&all, most).iter().map(Prefix::to_string).collect()
    }

    #[test]
    fn few_stay_as_they_are_and_many_are_put_together() {
        let some = ["10.0.0.1", "10.0.0.2", "10.0.1.7", "192.168.0.1"];
        assert_eq!(of(&some, 4).len(), 4);
        assert_eq!(
            of(&some, 3),
            ["host 10.0.1.7", "host 192.168.0.1", "net 10.0.0.0/30"]
        );
        assert_eq!(of(&some, 2), ["host 192.168.0.1", "net 10.0.0.0/23"]);
        assert_eq!(of(&some, 1), ["net 0.0.0.0/0"]);
        assert!(of(&[], 1).is_empty());
    }

    #[test]
    fn what_lies_side_by_side_is_held_by_few_prefixes_that_hold_nothing_else() {
        let all: BTreeSet<Ipv4Addr> = (1..=100).map(|n| Ipv4Addr::new(10, 0, 0, n)).collect();
        let prefixes = cover(&all, 64);
        let held: u32 = prefixes.iter().map(|p| 1 << (32 - p.bits)).sum();
        assert_eq!((prefixes.len(), held), (9, 100));
        assert_eq!(prefixes[0].to_string(), "host 10.0.0.1");
        assert_eq!(prefixes[8].to_string(), "net 10.0.0.64/27");
    }

    proptest! {
        #[test]
        fn all_are_covered_by_no_more_than_that(
            addresses in prop::collection::btree_set(any::<u32>().prop_map(Ipv4Addr::from), 0..300),
            most in 1..40usize,
        ) {
            let prefixes = cover(&addresses, most);
            prop_assert!(prefixes.len() <= most);
            for address in &addresses {
                let holds = |p: &Prefix| u32::from(*address) & p.mask() == u32::from(p.first);
                prop_assert!(prefixes.iter().any(holds), "{address} of {prefixes:?}");
            }
        }
    }
}
