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

/// At most so many prefixes (at least one) that hold all these addresses: each address by itself where there are no more.
/// Else addresses are put together that begin with the same bits, as many bits as possible, and of each lot all bits that
/// its addresses have in common are told.
pub fn cover(addresses: &BTreeSet<Ipv4Addr>, most: usize) -> Vec<Prefix> {
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
    let fitting = (0..=32)
        .rev()
        .map(lots)
        .find(|lots| lots.len() <= most.max(1));
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
            ["net 10.0.0.0/30", "host 10.0.1.7", "host 192.168.0.1"]
        );
        assert_eq!(of(&some, 2), ["net 10.0.0.0/23", "host 192.168.0.1"]);
        assert_eq!(of(&some, 1), ["net 0.0.0.0/0"]);
        assert!(of(&[], 1).is_empty());
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
