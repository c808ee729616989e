//! Reading and writing a message front to back: every error names the field and the byte where it lies.

use core::ops::BitOr;

use super::field;
use crate::bytes::{array_at, put};
use crate::error::{Field, Result};

/// What is still to be read of a message.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// All that lies behind the first `at` bytes.
    pub(super) fn new(message: &'a [u8], at: usize) -> Self {
        Self { message, at }
    }

    /// The field that comes next.
    pub(super) fn field(&self, name: &'static str) -> Field {
        field(name, self.at)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.message.len()
    }

    /// A reader of nothing but the next `length` bytes, which are then read here.
    pub(super) fn part(&mut self, name: &'static str, length: usize) -> Result<Self> {
        let at = self.at;
        self.bytes(name, length)?;
        Ok(Self {
            message: &self.message[..self.at],
            at,
        })
    }

    /// A reader of what lies between here and where `end` is.
    pub(super) fn up_to(self, end: &Self) -> Self {
        Self {
            message: &self.message[..end.at],
            at: self.at,
        }
    }

    pub(super) fn bytes(&mut self, name: &'static str, length: usize) -> Result<&'a [u8]> {
        self.field(name).needs(length, self.message)?;
        let from = self.at;
        self.at += length;
        Ok(&self.message[from..self.at])
    }

    /// All the bytes that are left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let from = self.at.min(self.message.len());
        self.at = self.message.len();
        &self.message[from..]
    }

    pub(super) fn array<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N]> {
        Ok(array_at(self.bytes(name, N)?, 0))
    }

    pub(super) fn u8(&mut self, name: &'static str) -> Result<u8> {
        self.array(name).map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self, name: &'static str) -> Result<u16> {
        self.array(name).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, name: &'static str) -> Result<u32> {
        self.array(name).map(u32::from_be_bytes)
    }
}

/// The bits that are set.
pub(super) fn flags<T: BitOr<Output = T> + Default, const N: usize>(bits: [(bool, T); N]) -> T {
    let set = bits.into_iter().filter(|(set, _)| *set);
    set.fold(T::default(), |all, (_, bit)| all | bit)
}

/// What is still to be written of a message. Its length has been made to fit before.
#[derive(Debug)]
pub struct Writer<'b> {
    message: &'b mut [u8],
    at: usize,
}

impl<'b> Writer<'b> {
    /// Begins behind the first `at` bytes.
    pub(super) fn new(message: &'b mut [u8], at: usize) -> Self {
        Self { message, at }
    }

    /// The field that comes next.
    pub(super) fn field(&self, name: &'static str) -> Field {
        field(name, self.at)
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        put(self.message, self.at, bytes);
        self.at += bytes.len();
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// A length or a number of things, if eight bits hold it.
    pub(super) fn count_u8(&mut self, name: &'static str, count: usize) -> Result<()> {
        self.field(name).at_most(usize::from(u8::MAX), count)?;
        self.u8(count as u8);
        Ok(())
    }

    /// A length or a number of things, if sixteen bits hold it.
    pub(super) fn count_u16(&mut self, name: &'static str, count: usize) -> Result<()> {
        self.field(name).at_most(usize::from(u16::MAX), count)?;
        self.u16(count as u16);
        Ok(())
    }
}
