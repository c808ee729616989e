//! Multicast groups in the text: one, or all of a prefix.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use serde::{Deserialize, Serialize};

use super::UnitError;

/// One group or several. Text: `"239.2.1.1"`, or `"239.2.1.0/28"` for its sixteen; at least a /24.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Groups {
    /// The first.
    pub first: Ipv4Addr,
    /// Prefix length, 24 to 32.
    pub prefix: u8,
}

impl Groups {
    /// All of them, in order.
    pub fn iter(self) -> impl Iterator<Item = Ipv4Addr> {
        let first = self.first.to_bits();
        let count = 1u32 << u32::from(32 - self.prefix.clamp(24, 32));
        (0..count).map(move |n| Ipv4Addr::from_bits(first.wrapping_add(n)))
    }
}

const WANTED: &str = "a group or a prefix of groups, as in \"239.2.1.1\" or \"239.2.1.0/28\"";

impl FromStr for Groups {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fail = |why| UnitError {
            found: text.to_owned(),
            wanted: WANTED,
            why,
        };
        let (address, prefix) = text.split_once('/').unwrap_or((text, "32"));
        let first: Ipv4Addr = address
            .parse()
            .map_err(|_| fail("the address is not four numbers"))?;
        let prefix: u8 = prefix
            .parse()
            .map_err(|_| fail("the prefix length is not a number"))?;
        if !(24..=32).contains(&prefix) {
            return Err(fail("the prefix length is from 24 to 32"));
        }
        if first.to_bits() & !(u32::MAX << (32 - u32::from(prefix))) != 0 {
            return Err(fail("the address is not the first of its prefix"));
        }
        Ok(Self { first, prefix })
    }
}

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix {
            32 => write!(f, "{}", self.first),
            prefix => write!(f, "{}/{prefix}", self.first),
        }
    }
}

impl TryFrom<String> for Groups {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl From<Groups> for String {
    fn from(groups: Groups) -> Self {
        groups.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_all_of_its_groups() {
        let four: Groups = "239.2.1.4/30".parse().unwrap();
        let all: Vec<String> = four.iter().map(|group| group.to_string()).collect();
        assert_eq!(all, ["239.2.1.4", "239.2.1.5", "239.2.1.6", "239.2.1.7"]);
        let one: Groups = "239.2.1.9".parse().unwrap();
        assert_eq!(one.iter().count(), 1);
        for text in ["239.2.1.4/30", "239.2.1.9", "239.2.1.0/24"] {
            assert_eq!(text.parse::<Groups>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_prefix_is_refused_with_the_reason() {
        for (text, why) in [
            ("239.2.1", "the address is not four numbers"),
            ("239.2.1.0/x", "the prefix length is not a number"),
            ("239.2.0.0/16", "the prefix length is from 24 to 32"),
            ("239.2.1.1/33", "the prefix length is from 24 to 32"),
            ("239.2.1.1/28", "the address is not the first of its prefix"),
        ] {
            assert_eq!(
                text.parse::<Groups>().map_err(|e| e.why),
                Err(why),
                "{text}"
            );
        }
    }
}
