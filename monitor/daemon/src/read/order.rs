//! Packets in the order of their stamps, although a capture of several interfaces may hold them in another.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::Ipv4Addr;

use vmscope_core::time::{Instant, Span};

/// What comes later than this after its time cannot be put in its place any more.
pub const WINDOW: Span = Span::from_s(1);
/// Bytes held at most; beyond, the earliest packet goes on before its window is over.
const HELD_BYTES_MAX: usize = 64 << 20;

/// A packet of interest.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Heard {
    /// When it was captured.
    pub stamp: Instant,
    /// Those of one stamp stay as they came.
    number: u64,
    /// Where it was captured.
    pub place: Place,
    /// The packet, from its outermost IPv4 header on.
    pub datagram: Vec<u8>,
}

/// Where a packet was captured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The interface, by its number in the file.
    pub interface: u32,
    /// On a "cooked" link: the interface's index, and which way the packet went.
    pub cooked: (Option<u32>, Option<u16>),
    /// The ends of the tunnel that it was taken out of.
    pub tunnel: Option<(Ipv4Addr, Ipv4Addr)>,
}

/// How stamps were out of order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disorder {
    /// Packets that were put in their place.
    pub swapped: u64,
    /// Packets that were too late for it, and are taken as if of the time reached.
    pub late: u64,
    /// By how much, the worst of them.
    pub late_by: Span,
}

/// Holds packets back until no earlier one is to be expected.
#[derive(Debug, Default)]
pub struct Order {
    held: BinaryHeap<Reverse<Heard>>,
    held_bytes: usize,
    count: u64,
    earliest: Option<Instant>,
    latest: Instant,
    /// Up to where packets have been handed out: what is older is late.
    settled: Instant,
    disorder: Disorder,
}

impl Order {
    /// Takes note of a frame's stamp, of interest or not: time goes on.
    pub fn handle_stamp(&mut self, stamp: Instant) {
        self.earliest = Some(self.earliest.map_or(stamp, |earliest| earliest.min(stamp)));
        self.latest = self.latest.max(stamp);
    }

    /// Takes a packet that is of interest; its stamp must have been noted before.
    pub fn put(&mut self, stamp: Instant, place: Place, datagram: Vec<u8>) {
        if stamp < self.settled {
            self.disorder.late += 1;
            self.disorder.late_by = self.disorder.late_by.max(self.settled.since(stamp));
        } else if stamp < self.latest {
            self.disorder.swapped += 1;
        }
        self.count += 1;
        self.held_bytes += cost(&datagram);
        self.held.push(Reverse(Heard {
            stamp: stamp.max(self.settled),
            number: self.count,
            place,
            datagram,
        }));
    }

    /// The next packet whose window is over.
    pub fn poll(&mut self) -> Option<Heard> {
        let Reverse(first) = self.held.peek()?;
        let is_over = self.latest.since(first.stamp) >= WINDOW;
        match is_over || self.held_bytes > HELD_BYTES_MAX {
            true => self.poll_at_end(),
            false => None,
        }
    }

    /// The next packet, when no other will come.
    pub fn poll_at_end(&mut self) -> Option<Heard> {
        let Reverse(first) = self.held.pop()?;
        self.held_bytes -= cost(&first.datagram);
        self.settled = self.settled.max(first.stamp);
        Some(first)
    }

    /// Up to which moment all packets have been handed out; nothing while the first window lasts. Asked for once
    /// [`Order::poll`] has nothing more.
    pub fn settle(&mut self) -> Option<Instant> {
        let over = self.latest.as_ns().checked_sub(WINDOW.as_ns());
        let over = Instant::from_ns(over?);
        if self.earliest.is_none_or(|earliest| over < earliest) {
            return None;
        }
        self.settled = self.settled.max(over);
        Some(self.settled)
    }

    /// The first moment of the capture.
    pub fn earliest(&self) -> Option<Instant> {
        self.earliest
    }

    /// The last.
    pub fn latest(&self) -> Instant {
        self.latest
    }

    /// How stamps were out of order so far.
    pub fn disorder(&self) -> Disorder {
        self.disorder
    }
}

fn cost(datagram: &[u8]) -> usize {
    size_of::<Heard>() + datagram.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    /// What comes out of stamps in milliseconds, in the end.
    fn ordered(stamps: &[u64]) -> (Vec<u64>, Disorder) {
        let mut order = Order::default();
        let mut out = Vec::new();
        for (n, ms) in stamps.iter().enumerate() {
            order.handle_stamp(at(*ms));
            order.put(at(*ms), Place::default(), vec![n as u8]);
            while let Some(heard) = order.poll() {
                out.push(heard.stamp);
            }
            order.settle();
        }
        while let Some(heard) = order.poll_at_end() {
            out.push(heard.stamp);
        }
        let ms = out.iter().map(|at| at.as_ns() / 1_000_000).collect();
        (ms, order.disorder())
    }

    #[test]
    fn what_is_a_little_late_is_put_in_its_place() {
        let (out, disorder) = ordered(&[5_000, 5_900, 5_100, 7_000, 6_500]);
        assert_eq!(out, [5_000, 5_100, 5_900, 6_500, 7_000]);
        assert_eq!((disorder.swapped, disorder.late), (2, 0));
    }

    #[test]
    fn what_is_very_late_is_of_the_time_reached() {
        let (out, disorder) = ordered(&[5_000, 9_000, 4_000, 9_100]);
        assert_eq!(out, [5_000, 8_000, 9_000, 9_100]);
        assert_eq!((disorder.swapped, disorder.late), (0, 1));
        assert_eq!(disorder.late_by, Span::from_ms(4_000));
    }

    #[test]
    fn what_is_in_order_stays_so_and_is_held_for_a_window_at_most() {
        let mut order = Order::default();
        for ms in [0, 400, 800, 1_000] {
            order.handle_stamp(at(ms));
            order.put(at(ms), Place::default(), vec![]);
        }
        assert_eq!(order.poll().map(|heard| heard.stamp), Some(at(0)));
        assert_eq!(order.poll(), None);
        assert_eq!(order.settle(), Some(at(0)));
        assert_eq!(order.disorder(), Disorder::default());
    }

    #[test]
    fn no_more_is_held_than_there_is_room_for() {
        let mut order = Order::default();
        let large = vec![0; 60_000];
        for _ in 0..2_000 {
            order.handle_stamp(at(1));
            order.put(at(1), Place::default(), large.clone());
            while order.poll().is_some() {}
        }
        assert!(order.held.len() <= HELD_BYTES_MAX / large.len());
        while order.poll_at_end().is_some() {}
        assert_eq!(order.held_bytes, 0);
    }
}
