//! Lists of things in a message: received, or about to be sent, never copied.

use core::fmt;

use super::cursor::{Reader, Writer};
use crate::error::Result;

/// What a message may hold several of.
pub trait Element<'a>: Copy + PartialEq + fmt::Debug {
    /// Reads the next one.
    fn read(reader: &mut Reader<'a>) -> Result<Self>;
    /// Its length on the wire, in bytes.
    fn buffer_len(&self) -> usize;
    /// Writes it.
    fn emit(&self, writer: &mut Writer<'_>) -> Result<()>;
}

/// A list, wherever it lies. Equal if it holds the same things in the same order.
#[derive(Clone, Copy)]
pub struct List<'a, T>(Place<'a, T>);

#[derive(Clone, Copy)]
enum Place<'a, T> {
    Wire { first: Reader<'a>, len: usize },
    Slice(&'a [T]),
}

impl<'a, T: Element<'a>> List<'a, T> {
    /// Nothing.
    pub const NONE: Self = Self(Place::Slice(&[]));

    /// The next `len` of them; all are checked.
    pub(super) fn counted(reader: &mut Reader<'a>, len: usize) -> Result<Self> {
        let first = *reader;
        for _ in 0..len {
            T::read(reader)?;
        }
        let first = first.up_to(reader);
        Ok(Self(Place::Wire { first, len }))
    }

    /// As many as the bytes hold, which they must fill; all are checked.
    pub(super) fn filling(mut reader: Reader<'a>) -> Result<Self> {
        let first = reader;
        let mut len = 0;
        while !reader.is_at_end() {
            T::read(&mut reader)?;
            len += 1;
        }
        Ok(Self(Place::Wire { first, len }))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0 {
            Place::Wire { len, .. } => len,
            Place::Slice(slice) => slice.len(),
        }
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One by one, in order.
    #[must_use]
    pub fn iter(&self) -> ListIter<'a, T> {
        ListIter(self.0)
    }

    pub(super) fn buffer_len(&self) -> usize {
        self.iter().map(|item| item.buffer_len()).sum()
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        self.iter().try_for_each(|item| item.emit(writer))
    }
}

impl<'a, T> From<&'a [T]> for List<'a, T> {
    fn from(slice: &'a [T]) -> Self {
        Self(Place::Slice(slice))
    }
}

impl<'a, T: Element<'a>> IntoIterator for List<'a, T> {
    type Item = T;
    type IntoIter = ListIter<'a, T>;

    fn into_iter(self) -> ListIter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Element<'a>> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a, T: Element<'a> + Eq> Eq for List<'a, T> {}

impl<'a, T: Element<'a>> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Element<'a> + fmt::Display> fmt::Display for List<'a, T> {
    /// With commas between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{item}")?;
        }
        Ok(())
    }
}

/// The things of a list one by one.
#[derive(Clone)]
pub struct ListIter<'a, T>(Place<'a, T>);

impl<'a, T: Element<'a>> Iterator for ListIter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            Place::Slice(slice) => {
                let (first, rest) = slice.split_first()?;
                *slice = rest;
                Some(*first)
            }
            Place::Wire { first, len } => {
                *len = len.checked_sub(1)?;
                T::read(first).ok()
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = List(self.0).len();
        (len, Some(len))
    }
}

impl<'a, T: Element<'a>> ExactSizeIterator for ListIter<'a, T> {}

impl<'a, T: Element<'a>> fmt::Debug for ListIter<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        List(self.0).fmt(f)
    }
}
