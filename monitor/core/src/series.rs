//! Packets of one kind over one tunnel, numbered, remembered for as long as somebody needs them.

use std::collections::VecDeque;

use crate::time::{Instant, Span};

/// Remembered at most: correction of an interval uses those sent in it.
pub(crate) const REMEMBERED_MAX: usize = 8_192;
/// How long they are remembered where nobody needs them for longer: what a report looks back, and then some.
const REMEMBERED_FOR: Span = Span::from_s(30);

/// One packet and what became of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<T> {
    pub(crate) sent: Instant,
    pub(crate) value: T,
}

/// The latest packets, oldest first.
#[derive(Debug)]
pub(crate) struct Series<T> {
    remembered_for: Span,
    /// Sequence number of the first of `entries`.
    first_seq: u32,
    entries: VecDeque<Entry<T>>,
}

impl<T> Series<T> {
    pub(crate) fn new() -> Series<T> {
        Series {
            remembered_for: REMEMBERED_FOR,
            first_seq: 0,
            entries: VecDeque::new(),
        }
    }

    /// Somebody needs them for so long after they were sent, as far as there is room for so many.
    pub(crate) fn remember_for(&mut self, length: Span) {
        self.remembered_for = self.remembered_for.max(length);
    }

    /// A packet is sent. Returns its sequence number.
    pub(crate) fn push(&mut self, now: Instant, value: T) -> u32 {
        let oldest = now - self.remembered_for;
        let is_too_much = |entries: &VecDeque<Entry<T>>| {
            let old = entries.front().is_some_and(|entry| entry.sent < oldest);
            old || entries.len() >= REMEMBERED_MAX
        };
        while is_too_much(&self.entries) {
            self.entries.pop_front();
            self.first_seq = self.first_seq.wrapping_add(1);
        }
        self.entries.push_back(Entry { sent: now, value });
        self.next_seq().wrapping_sub(1)
    }

    /// A packet was not sent after all. Only the newest can have failed just now; an older one stays.
    pub(crate) fn take_back(&mut self, seq: u32) {
        if seq == self.next_seq().wrapping_sub(1) {
            self.entries.pop_back();
        }
    }

    pub(crate) fn get_mut(&mut self, seq: u32) -> Option<&mut Entry<T>> {
        self.entries
            .get_mut(seq.wrapping_sub(self.first_seq) as usize)
    }

    /// The same by the lower half of its number: no more are remembered than that tells apart.
    pub(crate) fn get_mut_by_half(&mut self, seq: u16) -> Option<&mut Entry<T>> {
        let index = seq.wrapping_sub(self.first_seq as u16);
        self.entries.get_mut(usize::from(index))
    }

    /// Those sent from `start` until before `end`.
    pub(crate) fn between(&self, start: Instant, end: Instant) -> impl Iterator<Item = &Entry<T>> {
        let from = self.entries.partition_point(|entry| entry.sent < start);
        let within = self.entries.range(from..);
        within.take_while(move |entry| entry.sent < end)
    }

    fn next_seq(&self) -> u32 {
        self.first_seq.wrapping_add(self.entries.len() as u32)
    }
}
