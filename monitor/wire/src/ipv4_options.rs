//! IPv4 options (RFC 791 §3.1), Router Alert (RFC 2113) above all: routers look at IGMP because of it.

use core::fmt;

use crate::bytes::u16_at;
use crate::error::{Expected, Field, Protocol, Result};

/// The most bytes of options that a header can carry.
pub const OPTIONS_LEN_MAX: usize = 40;

const END_OF_LIST: u8 = 0;
const NO_OPERATION: u8 = 1;
const ROUTER_ALERT: u8 = 0x94;

const fn field(name: &'static str, offset: usize) -> Field {
    Field {
        protocol: Protocol::Ipv4,
        name,
        offset,
    }
}

/// One option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ipv4Option<'a> {
    /// Padding of one byte.
    NoOperation,
    /// "Routers, look at this packet" (RFC 2113); the value is zero in practice.
    RouterAlert(u16),
    /// Any other option, with its data behind type and length.
    Unknown {
        /// Option type.
        kind: u8,
        /// Option data.
        data: &'a [u8],
    },
}

impl Ipv4Option<'_> {
    /// Is it Router Alert?
    #[must_use]
    pub fn is_router_alert(&self) -> bool {
        matches!(self, Self::RouterAlert(_))
    }
}

/// The options of a header one by one, up to the end-of-list option. An option whose length is
/// wrong is an error, and the last item. Offsets in errors count from the first option byte.
#[derive(Debug, Clone)]
pub struct OptionsIter<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> OptionsIter<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn step(&mut self) -> Result<Option<Ipv4Option<'a>>> {
        let Some(&kind) = self.bytes.get(self.at) else {
            return Ok(None);
        };
        match kind {
            END_OF_LIST => Ok(None),
            NO_OPERATION => {
                self.at += 1;
                Ok(Some(Ipv4Option::NoOperation))
            }
            kind => self.step_with_length(kind).map(Some),
        }
    }

    fn step_with_length(&mut self, kind: u8) -> Result<Ipv4Option<'a>> {
        field("option", self.at).needs(2, self.bytes)?;
        let length = usize::from(self.bytes[self.at + 1]);
        field("option length", self.at + 1).at_least(2, length)?;
        field("option", self.at).needs(length, self.bytes)?;
        let data = &self.bytes[self.at + 2..self.at + length];
        self.at += length;
        Ok(match (kind, data.len()) {
            (ROUTER_ALERT, 2) => Ipv4Option::RouterAlert(u16_at(data, 0)),
            (kind, _) => Ipv4Option::Unknown { kind, data },
        })
    }
}

impl<'a> Iterator for OptionsIter<'a> {
    type Item = Result<Ipv4Option<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if !matches!(step, Ok(Some(_))) {
            self.at = self.bytes.len();
        }
        step.transpose()
    }
}

/// The options of a header, kept as their bytes: whole 32-bit words, at most ten.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Options {
    bytes: [u8; OPTIONS_LEN_MAX],
    len: u8,
}

impl Options {
    /// No options.
    pub const NONE: Self = Self {
        bytes: [0; OPTIONS_LEN_MAX],
        len: 0,
    };

    /// Router Alert with value zero, as every IGMP message carries it (RFC 3376 §4).
    pub const ROUTER_ALERT: Self = {
        let mut bytes = [0; OPTIONS_LEN_MAX];
        bytes[0] = ROUTER_ALERT;
        bytes[1] = 4;
        Self { bytes, len: 4 }
    };

    /// Options from their bytes, which must be whole words, at most 40 bytes, and well formed.
    pub fn parse(wire: &[u8]) -> Result<Self> {
        let length = field("options", 0);
        length.at_most(OPTIONS_LEN_MAX, wire.len())?;
        let whole_words = wire.len().is_multiple_of(4);
        length.holds(whole_words, Expected::MultipleOf(4), wire.len() as u64)?;
        OptionsIter::new(wire).try_for_each(|option| option.map(|_| ()))?;
        let mut bytes = [0; OPTIONS_LEN_MAX];
        bytes[..wire.len()].copy_from_slice(wire);
        Ok(Self {
            bytes,
            len: wire.len() as u8,
        })
    }

    /// The bytes as they lie in the header.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The options, one by one.
    #[must_use]
    pub fn iter(&self) -> OptionsIter<'_> {
        OptionsIter::new(self.as_bytes())
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().flatten()).finish()
    }
}

impl fmt::Display for Options {
    /// Every option behind a space, so that no options is no text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for option in self.iter().flatten() {
            match option {
                Ipv4Option::NoOperation => f.write_str(" nop")?,
                Ipv4Option::RouterAlert(0) => f.write_str(" router-alert")?,
                Ipv4Option::RouterAlert(value) => write!(f, " router-alert={value}")?,
                Ipv4Option::Unknown { kind, .. } => write!(f, " option-{kind}")?,
            }
        }
        Ok(())
    }
}
