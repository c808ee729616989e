//! The PEs of a large MVPN, at the other end of the monitor's link.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use crate::Problem;
use crate::mdt::*;

pub const PES: u32 = 200;
pub const STREAMS: u32 = 10_000;
const RECEIVERS: u32 = 5;
const MDT: Address = [239, 1, 1, 1];
/// Packets are written in so many parts of a second.
const PARTS: u32 = 50;

pub struct Network {
    link: File,
    dice: u64,
    pub written: u64,
    /// Packets that the device had no room for.
    pub refused: u64,
}

pub fn pe(n: u32) -> Address {
    (0x0a02_0001 + n).to_be_bytes()
}

fn vrf(n: u32) -> Address {
    (0xac10_0001 + n).to_be_bytes()
}

pub fn source(stream: u32) -> Address {
    (0xc0a8_0001 + stream).to_be_bytes()
}

pub fn group(stream: u32) -> Address {
    (0xe801_0000 + stream / 4).to_be_bytes()
}

/// Who asks for a stream.
pub fn receiver(stream: u32, n: u32) -> u32 {
    (stream * 7 + n * 31 + 1) % PES
}

impl Network {
    pub fn new(link: File) -> Network {
        Network {
            link,
            dice: 0x5eed,
            written: 0,
            refused: 0,
        }
    }

    /// What is due in a second, spread over it.
    pub fn second(&mut self, second: u32, changes: u32, ends: Instant) -> Result<(), Problem> {
        let mut due = Vec::new();
        for n in share(PES, second, 30) {
            due.push((n, pim(vrf(n), hello(105, 1))));
        }
        for stream in share(STREAMS, second, 60) {
            due.extend((0..RECEIVERS).map(|n| asks(stream, n, true)));
            if stream.is_multiple_of(10) {
                let from = stream % PES;
                let data_mdt = [239, 2, 1, (stream / 10 % 250) as u8];
                let join = mdt_join(vrf(from), source(stream), group(stream), data_mdt);
                due.push((from, join));
            }
        }
        for _ in 0..changes {
            let (stream, n) = (self.below(STREAMS), self.below(RECEIVERS));
            due.push(asks(stream, n, false));
            due.push(asks(stream, n, true));
        }
        let parts = due.len().div_ceil(PARTS as usize).max(1);
        for (n, part) in due.chunks(parts).enumerate() {
            for (from, packet) in part {
                self.write(*from, packet)?;
            }
            let left = Duration::from_millis(900) / PARTS * (PARTS - n as u32 - 1);
            let until = ends.checked_sub(left + Duration::from_millis(100));
            if let Some(until) = until {
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
            }
        }
        Ok(())
    }

    /// The Prune, or the Join, that is timed: of a stream of its own.
    pub fn mark(&mut self, joined: bool) -> Result<(), Problem> {
        let (from, packet) = asks(STREAMS, 0, joined);
        self.write(from, &packet)
    }

    fn write(&mut self, from: u32, packet: &[u8]) -> Result<(), Problem> {
        let datagram = on_mdt(pe(from), MDT, packet);
        let header = [1, 0, 0x5e, 1, 1, 1, 2, 0, 0, 0, 0, 99, 8, 0];
        match self.link.write(&[&header[..], &datagram].concat()) {
            Ok(_) => self.written += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.refused += 1,
            Err(error) => return Err(error.into()),
        }
        // What the monitor sends: membership reports, which nobody here needs.
        let mut away = [0; 2_048];
        while self.link.read(&mut away).is_ok() {}
        Ok(())
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        ((self.dice.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % u64::from(bound)) as u32
    }
}

fn asks(stream: u32, n: u32, joined: bool) -> (u32, Vec<u8>) {
    let from = receiver(stream, n);
    let all = [source(stream)];
    let (joins, prunes) = match joined {
        true => (&all[..], &[][..]),
        false => (&[][..], &all[..]),
    };
    let message = join_prune(vrf(stream % PES), 210, group(stream), joins, prunes);
    (from, pim(vrf(from), message))
}

/// The part of all whose turn comes in this second of a period.
fn share(all: u32, second: u32, period_s: u32) -> std::ops::Range<u32> {
    let turn = second % period_s;
    all * turn / period_s..all * (turn + 1) / period_s
}
