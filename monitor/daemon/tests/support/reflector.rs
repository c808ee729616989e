//! A stand-in for the PEs: decapsulates GRE, answers pings, remembers joins, and carries each
//! probe to every other tunnel that joined, with a fate that the test decides.
//!
//! It reads bytes by itself: a defect of the monitor's codec must not cancel itself out here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::mdt::{ipv4, sum};
use super::{MONITOR, router};

/// What happens to a probe on its way to one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Straight,
    Lost,
    Twice,
    /// Behind the sender's next one.
    Overtaken,
    /// With a bit of its payload flipped.
    Damaged,
}

/// Decides a way from sender, receiver and sequence number.
pub type Ways = fn(u8, u8, u32) -> Way;

/// A probe that was carried: sender, receiver, number, and whether it was for warming up.
pub type Carried = BTreeMap<(u8, u8, u32), (Way, bool)>;

/// What the stand-in saw and did.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    pub carried: Carried,
    pub joined: BTreeSet<(u8, [u8; 4])>,
    pub left: BTreeSet<(u8, [u8; 4])>,
    pub pings: u32,
    /// Packets that a host with a deaf kernel would not send: ICMP errors about our GRE.
    pub complaints: u32,
}

pub struct Reflector {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
}

impl Reflector {
    /// Serves the link until dropped. With each probe, `customers` customer packets come along.
    pub fn start(link: File, ways: Ways, customers: u32) -> Reflector {
        let (stop, seen) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(Mutex::new(Seen::default())),
        );
        let mut pes = Pes {
            link,
            ways,
            customers,
            monitor_mac: [0; 6],
            held: BTreeMap::new(),
            seen: Arc::clone(&seen),
        };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                pes.serve();
            }
        });
        Reflector {
            thread: Some(thread),
            stop,
            seen,
        }
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Reflector {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Pes {
    link: File,
    ways: Ways,
    customers: u32,
    monitor_mac: [u8; 6],
    /// Copies that wait to be overtaken, by sender and receiver.
    held: BTreeMap<(u8, u8), Vec<u8>>,
    seen: Arc<Mutex<Seen>>,
}

const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 99];

impl Pes {
    fn serve(&mut self) {
        let mut sources = [PollFd::new(self.link.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut sources, PollTimeout::from(20u8));
        let mut frame = [0; 2048];
        while let Ok(length) = self.link.read(&mut frame) {
            let frame = frame[..length].to_vec();
            match frame.get(12..14) {
                Some([0x08, 0x06]) => self.answer_arp(&frame),
                Some([0x08, 0x00]) => self.handle_ipv4(&frame[14..]),
                _ => {}
            }
        }
    }

    fn answer_arp(&mut self, frame: &[u8]) {
        self.monitor_mac.copy_from_slice(&frame[6..12]);
        let mut reply = [
            &frame[6..12],
            &OUR_MAC,
            &frame[12..20],
            &[0, 2],
            &OUR_MAC,
            &frame[38..42],
        ]
        .concat();
        reply.extend_from_slice(&frame[22..32]);
        let _ = self.link.write(&reply);
    }

    fn handle_ipv4(&mut self, outer: &[u8]) {
        if outer[9] == 1 {
            self.seen.lock().unwrap().complaints += 1;
        }
        if outer[9] != 47 || outer[16..19] != router(0)[..3] {
            return;
        }
        let (tunnel, inner) = (outer[19], &outer[24..]);
        let header = usize::from(inner[0] & 15) * 4;
        assert!(
            valid_sum(&outer[..20]) && valid_sum(&inner[..header]),
            "a header with a wrong checksum"
        );
        match inner[9] {
            1 => self.answer_ping(tunnel, inner),
            2 => self.remember_membership(tunnel, &inner[header..]),
            17 => self.carry_probe(tunnel, inner),
            other => panic!("the monitor sent protocol {other} into tunnel {tunnel}"),
        }
    }

    fn answer_ping(&mut self, tunnel: u8, inner: &[u8]) {
        self.seen.lock().unwrap().pings += 1;
        let mut reply = inner.to_vec();
        let (source, destination) = (inner[12..16].to_vec(), inner[16..20].to_vec());
        reply[12..16].copy_from_slice(&destination);
        reply[16..20].copy_from_slice(&source);
        reply[20] = 0;
        reply[22..24].fill(0);
        let sum = sum(&reply[20..]);
        reply[22..24].copy_from_slice(&sum.to_be_bytes());
        self.send(tunnel, &reply);
    }

    /// IGMPv3 reports only: (*,G) joins and leaves.
    fn remember_membership(&mut self, tunnel: u8, report: &[u8]) {
        assert_eq!(report[0], 0x22, "an IGMPv3 report");
        let mut seen = self.seen.lock().unwrap();
        let mut records = &report[8..];
        for _ in 0..u16::from_be_bytes([report[6], report[7]]) {
            let group = [records[4], records[5], records[6], records[7]];
            let is_join = matches!(records[0], 2 | 4);
            if is_join {
                seen.joined.insert((tunnel, group))
            } else {
                seen.left.insert((tunnel, group))
            };
            records = &records[8 + 4 * usize::from(u16::from_be_bytes([records[2], records[3]]))..];
        }
    }

    fn carry_probe(&mut self, sender: u8, inner: &[u8]) {
        let group = [inner[16], inner[17], inner[18], inner[19]];
        let probe = &inner[28..];
        assert_eq!(&probe[..4], b"VMSP");
        let seq = u32::from_be_bytes([probe[20], probe[21], probe[22], probe[23]]);
        let receivers: Vec<u8> = {
            let seen = self.seen.lock().unwrap();
            let joined = seen
                .joined
                .iter()
                .filter(|(t, g)| *t != sender && *g == group);
            joined.map(|(t, _)| *t).collect()
        };
        for receiver in receivers {
            let way = (self.ways)(sender, receiver, seq);
            self.seen
                .lock()
                .unwrap()
                .carried
                .insert((sender, receiver, seq), (way, probe[5] & 1 == 1));
            self.carry(sender, receiver, way, inner);
            for _ in 0..self.customers {
                self.send(receiver, &customer_packet(group));
            }
        }
    }

    fn carry(&mut self, sender: u8, receiver: u8, way: Way, inner: &[u8]) {
        let mut copy = inner.to_vec();
        copy[8] -= 1;
        copy[10..12].fill(0);
        let sum = sum(&copy[..20]);
        copy[10..12].copy_from_slice(&sum.to_be_bytes());
        match way {
            Way::Straight => self.send(receiver, &copy),
            Way::Lost => {}
            Way::Twice => {
                self.send(receiver, &copy);
                self.send(receiver, &copy);
            }
            Way::Overtaken => {
                self.held.insert((sender, receiver), copy);
                return;
            }
            Way::Damaged => {
                *copy.last_mut().unwrap() ^= 4;
                self.send(receiver, &copy);
            }
        }
        if way != Way::Lost
            && let Some(held) = self.held.remove(&(sender, receiver))
        {
            self.send(receiver, &held);
        }
    }

    /// Sends an inner packet to the monitor through a tunnel.
    fn send(&mut self, tunnel: u8, inner: &[u8]) {
        let datagram = ipv4(
            47,
            router(tunnel),
            MONITOR,
            &[&[0, 0, 8, 0], inner].concat(),
        );
        let frame = [&self.monitor_mac[..], &OUR_MAC, &[0x08, 0x00], &datagram].concat();
        let _ = self.link.write(&frame);
    }
}

/// A customer's packet on the MDT: GRE, and IPv4 with something private inside.
fn customer_packet(group: [u8; 4]) -> Vec<u8> {
    let udp = [&[0x13, 0x8c, 0x13, 0x8c, 0, 16, 0, 0][..], b"private!"].concat();
    let customer = ipv4(17, [192, 168, 1, 1], [239, 9, 9, 9], &udp);
    ipv4(
        47,
        [10, 2, 0, 2],
        group,
        &[&[0, 0, 8, 0], &customer[..]].concat(),
    )
}

fn valid_sum(header: &[u8]) -> bool {
    sum(header) == 0
}
