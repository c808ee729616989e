//! Ranges of addresses, as operators write them, and sets of such.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A range of addresses of one family: `239.1.0.0/16`, `ff3e::/32`; one address alone needs no length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// Text that is no [`Prefix`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Neither an address nor an address and a length.
    #[error("{0:?} is no range of addresses: write 239.1.0.0/16, or one address such as 239.1.1.1")]
    NoPrefix(String),
    /// Longer than an address.
    #[error("{text:?} has {length} bits of prefix, and such an address has only {bits}")]
    TooLong {
        /// What was written.
        text: String,
        /// Its length, in bits.
        length: u8,
        /// Bits of such an address.
        bits: u8,
    },
    /// Bits behind the prefix are set: perhaps another length was meant.
    #[error(
        "{text:?} has bits set behind its prefix: write {cleared} if the range is meant, or {address} if the one address is"
    )]
    HostBits {
        /// What was written.
        text: String,
        /// The range.
        cleared: Prefix,
        /// The address.
        address: IpAddr,
    },
}

impl Prefix {
    /// One address.
    pub fn host(address: IpAddr) -> Prefix {
        Prefix {
            address,
            length: bits(address),
        }
    }

    /// Its first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Its length, in bits.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// Whether the address is in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        same_family(self.address, address) && cut(address, self.length) == number(self.address)
    }

    /// Whether all of `other` is in the range.
    pub fn covers(&self, other: &Prefix) -> bool {
        self.length <= other.length && self.contains(other.address)
    }

    /// Whether the two have an address in common.
    pub fn overlaps(&self, other: &Prefix) -> bool {
        self.covers(other) || other.covers(self)
    }
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address as a number whose first bit is the address's first.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => u128::from(four.to_bits()) << 96,
        IpAddr::V6(six) => six.to_bits(),
    }
}

/// The number of which only the first `length` bits are left.
fn cut(address: IpAddr, length: u8) -> u128 {
    match u32::from(length) {
        0 => 0,
        length => number(address) & (u128::MAX << 128u32.saturating_sub(length)),
    }
}

fn same_family(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4()
}

fn from_number(number: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(((number >> 96) as u32).into()),
        IpAddr::V6(_) => IpAddr::V6(number.into()),
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Prefix, PrefixError> {
        let wrong = || PrefixError::NoPrefix(text.to_owned());
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let all = bits(address);
        let length = length.unwrap_or(all);
        if length > all {
            return Err(PrefixError::TooLong {
                text: text.to_owned(),
                length,
                bits: all,
            });
        }
        let first = from_number(cut(address, length), address);
        let prefix = Prefix {
            address: first,
            length,
        };
        if first == address {
            Ok(prefix)
        } else {
            Err(PrefixError::HostBits {
                text: text.to_owned(),
                cleared: prefix,
                address,
            })
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length == bits(self.address) {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.length)
        }
    }
}

impl TryFrom<String> for Prefix {
    type Error = PrefixError;
    fn try_from(text: String) -> Result<Prefix, PrefixError> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> String {
        prefix.to_string()
    }
}

/// Values by range; the longest range that holds an address counts. A question costs one look per length in use, however many the ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixMap<V> {
    /// Longest first.
    by_length: BTreeMap<(std::cmp::Reverse<u8>, bool), BTreeMap<u128, V>>,
}

impl<V> PrefixMap<V> {
    /// The value of the longest range that holds this address.
    pub fn get(&self, address: IpAddr) -> Option<&V> {
        let of_family = |(_, is_ipv4): &(_, bool)| *is_ipv4 == address.is_ipv4();
        self.by_length
            .iter()
            .filter(|(length, _)| of_family(length))
            .find_map(|((length, _), values)| values.get(&cut(address, length.0)))
    }

    /// Whether a range holds this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.get(address).is_some()
    }
}

impl<V> FromIterator<(Prefix, V)> for PrefixMap<V> {
    fn from_iter<I: IntoIterator<Item = (Prefix, V)>>(pairs: I) -> PrefixMap<V> {
        let mut by_length = BTreeMap::<_, BTreeMap<u128, V>>::new();
        for (prefix, value) in pairs {
            let length = (std::cmp::Reverse(prefix.length), prefix.address.is_ipv4());
            by_length
                .entry(length)
                .or_default()
                .insert(number(prefix.address), value);
        }
        PrefixMap { by_length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn a_range_reads_back_as_written() {
        for text in [
            "239.1.0.0/16",
            "239.1.1.1",
            "0.0.0.0/0",
            "ff3e::/32",
            "::/0",
        ] {
            assert_eq!(prefix(text).to_string(), text);
        }
        assert_eq!(prefix("239.1.1.1/32"), prefix("239.1.1.1"));
    }

    #[test]
    fn what_is_no_range_is_refused_with_the_remedy() {
        for text in ["", "239.1", "239.1.0.0/", "239.1.0.0/x", "pe1"] {
            assert!(matches!(
                text.parse::<Prefix>(),
                Err(PrefixError::NoPrefix(_))
            ));
        }
        let error = "239.1.0.0/33".parse::<Prefix>().unwrap_err();
        insta::assert_snapshot!(error, @r#""239.1.0.0/33" has 33 bits of prefix, and such an address has only 32"#);
        let error = "239.1.1.1/16".parse::<Prefix>().unwrap_err();
        insta::assert_snapshot!(error, @r#""239.1.1.1/16" has bits set behind its prefix: write 239.1.0.0/16 if the range is meant, or 239.1.1.1 if the one address is"#);
    }

    #[test]
    fn a_range_holds_its_own_and_no_other_address() {
        let range = prefix("239.1.0.0/16");
        assert!(range.contains("239.1.255.255".parse().unwrap()));
        assert!(!range.contains("239.2.0.0".parse().unwrap()));
        assert!(!prefix("::/0").contains("239.1.0.0".parse().unwrap()));
        assert!(range.overlaps(&prefix("239.0.0.0/8")) && range.overlaps(&prefix("239.1.1.1")));
        assert!(!range.overlaps(&prefix("239.2.0.0/16")));
    }

    #[test]
    fn the_longest_range_counts() {
        let map: PrefixMap<u8> = [
            (prefix("239.0.0.0/8"), 8),
            (prefix("239.1.0.0/16"), 16),
            (prefix("239.1.1.1"), 32),
        ]
        .into_iter()
        .collect();
        for (address, value) in [
            ("239.1.1.1", Some(32)),
            ("239.1.1.2", Some(16)),
            ("239.9.9.9", Some(8)),
            ("232.1.1.1", None),
            ("ff3e::1", None),
        ] {
            assert_eq!(
                map.get(address.parse().unwrap()).copied(),
                value,
                "{address}"
            );
        }
    }
}
