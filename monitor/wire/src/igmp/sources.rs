//! Lists of source addresses: in a received message, or about to be sent. Neither is ever copied.

use core::fmt;
use core::net::Ipv4Addr;

use crate::bytes::{address_at, put_address};

/// Source addresses, wherever they lie. Equal if they are the same addresses in the same order.
#[derive(Clone, Copy)]
pub struct Sources<'a>(Place<'a>);

#[derive(Clone, Copy)]
enum Place<'a> {
    Wire(&'a [u8]),
    List(&'a [Ipv4Addr]),
}

impl<'a> Sources<'a> {
    /// No sources.
    pub const NONE: Self = Self(Place::List(&[]));

    /// `bytes` are whole addresses.
    pub(crate) fn wire(bytes: &'a [u8]) -> Self {
        Self(Place::Wire(bytes))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0 {
            Place::Wire(bytes) => bytes.len() / 4,
            Place::List(list) => list.len(),
        }
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One by one, in order.
    #[must_use]
    pub fn iter(&self) -> SourcesIter<'a> {
        SourcesIter {
            sources: *self,
            next: 0,
        }
    }

    fn get(&self, index: usize) -> Option<Ipv4Addr> {
        match self.0 {
            Place::Wire(bytes) => (index < self.len()).then(|| address_at(bytes, index * 4)),
            Place::List(list) => list.get(index).copied(),
        }
    }

    pub(crate) fn buffer_len(&self) -> usize {
        self.len() * 4
    }

    pub(crate) fn emit(&self, buffer: &mut [u8]) {
        for (index, source) in self.iter().enumerate() {
            put_address(buffer, index * 4, source);
        }
    }
}

impl<'a> From<&'a [Ipv4Addr]> for Sources<'a> {
    fn from(list: &'a [Ipv4Addr]) -> Self {
        Self(Place::List(list))
    }
}

impl<'a> IntoIterator for Sources<'a> {
    type Item = Ipv4Addr;
    type IntoIter = SourcesIter<'a>;

    fn into_iter(self) -> SourcesIter<'a> {
        self.iter()
    }
}

impl PartialEq for Sources<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Sources<'_> {}

impl fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Display for Sources<'_> {
    /// In braces, as in RFC 3376.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, source) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{source}")?;
        }
        f.write_str("}")
    }
}

/// Source addresses one by one.
#[derive(Debug, Clone)]
pub struct SourcesIter<'a> {
    sources: Sources<'a>,
    next: usize,
}

impl Iterator for SourcesIter<'_> {
    type Item = Ipv4Addr;

    fn next(&mut self) -> Option<Ipv4Addr> {
        let source = self.sources.get(self.next)?;
        self.next += 1;
        Some(source)
    }
}
