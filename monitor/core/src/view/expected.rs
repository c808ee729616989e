//! The expected configuration of an MVPN: what its view is held against (PC-07).
//!
//! ```toml
//! [[expected]]
//! mvpn = "red"
//! pes = { PE1 = "10.2.0.2", PE2 = "10.2.0.3", PE9 = { address = "10.2.0.9", presence = "optional" } }
//! groups = ["239.1.0.0/16", "232.1.1.1"]
//! sources = { "232.1.1.1" = ["10.11.0.5"], "239.1.0.0/16" = ["10.11.0.0/16"] }
//! sites = { PE1 = { send = ["239.1.0.0/16"] }, PE2 = { send = [], receive = ["239.1.0.0/16"] } }
//! data_mdt = { pool = ["239.200.0.0/24"], groups = ["239.1.0.0/16"] }
//! ```
//!
//! What is absent is not checked; an empty list allows nothing.

mod prefix;
#[cfg(test)]
mod tests;
mod validation;

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::name::Name;
pub use prefix::{Prefix, PrefixError, PrefixMap};
pub use validation::ExpectedError;

/// What an MVPN is expected to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The MVPN.
    pub mvpn: Name,
    /// Its PEs, by name; if absent, any may be there and none must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pes: Option<BTreeMap<Name, Pe>>,
    /// The customer's groups; if absent, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<Prefix>>,
    /// The customer's sources of a range of groups. The longest range that holds a group counts; a
    /// group in none may have any source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<BTreeMap<Prefix, Vec<Prefix>>>,
    /// What the customer's sites behind a PE may do; a PE not named may do all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<BTreeMap<Name, Sites>>,
    /// What may be mapped to data MDTs; if absent, anything to any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_mdt: Option<DataMdt>,
}

/// A PE of an MVPN. Written as its address alone if it must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pe {
    /// Its address in the backbone: the source of its packets on the MDT.
    pub address: Ipv4Addr,
    /// Whether it must be there.
    pub presence: Presence,
    /// The monitor's tunnel to it, if that bears another name than the PE: a missing PE explains
    /// what is measured over it.
    pub tunnel: Option<Name>,
}

/// Whether a PE must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It must be: if it is not, it is missing.
    #[default]
    Required,
    /// It may be.
    Optional,
}

/// What the sites behind one PE may do. The MDT shows PEs, not the sites behind them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sites {
    /// Groups to which they may send; if absent, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<Vec<Prefix>>,
    /// Groups that they may receive; if absent, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receive: Option<Vec<Prefix>>,
}

/// What may be mapped to data MDTs (RFC 6037 §6).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataMdt {
    /// Backbone groups that may be data MDTs of this MVPN; if absent, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Vec<Prefix>>,
    /// The customer's groups that may be on a data MDT; if absent, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<Prefix>>,
}

impl Pe {
    /// A PE that must be there.
    pub fn required(address: Ipv4Addr) -> Pe {
        Pe {
            address,
            presence: Presence::Required,
            tunnel: None,
        }
    }
}

/// The long form of a [`Pe`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PeTable {
    address: Ipv4Addr,
    #[serde(default)]
    presence: Presence,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tunnel: Option<Name>,
}

impl Serialize for Pe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.presence, &self.tunnel) {
            (Presence::Required, None) => self.address.serialize(serializer),
            (Presence::Required, Some(_)) | (Presence::Optional, _) => PeTable {
                address: self.address,
                presence: self.presence,
                tunnel: self.tunnel.clone(),
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Pe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pe, D::Error> {
        deserializer.deserialize_any(EitherForm)
    }
}

/// By hand, for a message that names the mistake: serde's own for two forms is only that none fits.
struct EitherForm;

impl<'de> Visitor<'de> for EitherForm {
    type Value = Pe;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a PE: its address, or { address = \"10.2.0.9\", presence = \"optional\" }")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Pe, E> {
        let address = text.parse().map_err(|_| {
            E::custom(format!(
                "{text:?} is no IPv4 address: write the PE's in the backbone"
            ))
        })?;
        Ok(Pe::required(address))
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Pe, M::Error> {
        let table = PeTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Pe {
            address: table.address,
            presence: table.presence,
            tunnel: table.tunnel,
        })
    }
}
