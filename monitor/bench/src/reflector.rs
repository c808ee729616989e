//! Stand-ins for N PEs in one thread: they end the tunnels, remember who joined, and copy each probe to every other tunnel
//! that joined its group, as fast as a packet ring and `sendmmsg` allow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use nix::sched::CpuSet;

use crate::frames::{self, TUNNEL_BYTES};
use crate::place::{self, PES_LINK};
use crate::ring::{Frame, Ring, RingCounts, Sees};
use crate::sender::{SendCounts, Sender, Way};

/// A reflector that never rests looks at its ring's counters this often.
const BLOCKS_BETWEEN_COUNTS: u32 = 64;

/// How the reflector is to behave.
#[derive(Debug, Clone)]
pub struct Options {
    /// Tunnels, numbered from 1.
    pub tunnels: u32,
    /// Whether the kernel's stamps of what comes and goes are remembered.
    pub remembers: bool,
    /// The processors it has to itself.
    pub processors: CpuSet,
}

/// A frame as the kernel saw it at the reflector's end of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The tunnel that the probe was sent into.
    pub sender: u32,
    /// Its number.
    pub seq: u32,
    /// The tunnel over which the copy went; none of a probe that came.
    pub receiver: Option<u32>,
    /// The kernel's stamp, nanoseconds of CLOCK_REALTIME.
    pub stamp_ns: u64,
}

/// What the reflector saw and did.
#[derive(Debug, Clone, Default)]
pub struct Deeds {
    /// Probes that came.
    pub probes: u64,
    /// Copies made of them.
    pub copies: u64,
    /// Pings answered.
    pub pings: u64,
    /// Frames for which its ring had no room: lost on the way, nobody's fault but the bench's.
    pub ring: RingCounts,
    /// What became of its frames.
    pub sent: SendCounts,
    /// What it remembers.
    pub sightings: Vec<Sighting>,
}

/// A reflector at work.
pub struct Reflector {
    thread: JoinHandle<Deeds>,
    stop: Arc<AtomicBool>,
    dropped: Arc<AtomicU64>,
}

impl Reflector {
    /// Begins to serve the link of the calling thread's network namespace.
    pub fn start(options: Options) -> std::io::Result<Reflector> {
        let (sees, way) = match options.remembers {
            true => (Sees::Both, Way::Queue),
            false => (Sees::Incoming, Way::Bypass),
        };
        let mut ring = Ring::open(PES_LINK, sees)?;
        let sender = Sender::open(PES_LINK, way)?;
        let stop = Arc::new(AtomicBool::new(false));
        let dropped = Arc::new(AtomicU64::new(0));
        let (told, tells) = (Arc::clone(&stop), Arc::clone(&dropped));
        let thread = std::thread::spawn(move || {
            place::keep_to(&options.processors);
            let mut pes = Pes::new(&options, sender);
            let mut blocks = 0_u32;
            while !told.load(Ordering::Relaxed) {
                let frames = ring.poll_block(&mut pes, Pes::handle_frame, |pes| pes.sender.flush());
                blocks += 1;
                if frames == 0 || blocks.is_multiple_of(BLOCKS_BETWEEN_COUNTS) {
                    tells.store(ring.counts().dropped, Ordering::Relaxed);
                }
                if frames == 0 {
                    ring.wait(10);
                }
            }
            Deeds {
                ring: ring.counts(),
                sent: pes.sender.counts(),
                ..pes.deeds
            }
        });
        Ok(Reflector {
            thread,
            stop,
            dropped,
        })
    }

    /// Frames for which its ring had no room, so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Ends it.
    pub fn stop(self) -> Deeds {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the reflector does not panic")
    }
}

struct Pes {
    sender: Sender,
    tunnels: u32,
    remembers: bool,
    /// In front of a packet to the monitor, by tunnel; for inner packets of `inner_bytes`.
    headers: Vec<[u8; TUNNEL_BYTES]>,
    inner_bytes: usize,
    groups: BTreeMap<[u8; 4], BTreeSet<u32>>,
    /// Where probes went last, and to whom: most go where the last one went.
    latest: ([u8; 4], Vec<u32>),
    deeds: Deeds,
}

impl Pes {
    fn new(options: &Options, sender: Sender) -> Pes {
        Pes {
            sender,
            tunnels: options.tunnels,
            remembers: options.remembers,
            headers: Vec::new(),
            inner_bytes: 0,
            groups: BTreeMap::new(),
            latest: ([0; 4], Vec::new()),
            deeds: Deeds::default(),
        }
    }

    fn handle_frame(&mut self, frame: Frame<'_>) {
        let bytes = frame.bytes;
        // IPv4 with GRE in it and IPv4 in that, no options: anything else is the kernel's business.
        if bytes.len() < TUNNEL_BYTES + 20
            || bytes[12..15] != [0x08, 0x00, 0x45]
            || bytes[23] != 47
            || bytes[34..38] != [0, 0, 0x08, 0x00]
        {
            return;
        }
        if frame.is_outgoing {
            self.remember(
                &bytes[TUNNEL_BYTES..],
                frames::tunnel_of(&bytes[26..30]),
                frame.stamp_ns,
            );
            return;
        }
        let Some(tunnel) =
            frames::tunnel_of(&bytes[30..34]).filter(|id| (1..=self.tunnels).contains(id))
        else {
            return;
        };
        // The link's padding is not part of the packet.
        let length = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
        let Some(inner) = bytes.get_mut(TUNNEL_BYTES..14 + length) else {
            return;
        };
        match inner[9] {
            17 => {
                self.remember(inner, None, frame.stamp_ns);
                self.carry(tunnel, inner);
            }
            2 => self.handle_report(tunnel, inner),
            1 => self.answer(tunnel, inner),
            _ => {}
        }
    }

    fn remember(&mut self, inner: &[u8], receiver: Option<u32>, stamp_ns: u64) {
        if let (true, Some((sender, seq))) = (self.remembers, frames::probe_of(inner)) {
            self.deeds.sightings.push(Sighting {
                sender,
                seq,
                receiver,
                stamp_ns,
            });
        }
    }

    /// A probe: to every tunnel that joined its group but the one it came from.
    fn carry(&mut self, from: u32, inner: &mut [u8]) {
        if !frames::forward(inner) {
            return;
        }
        self.deeds.probes += 1;
        self.fit_headers(inner.len());
        let group = [inner[16], inner[17], inner[18], inner[19]];
        if self.latest.0 != group {
            let joined = self
                .groups
                .get(&group)
                .into_iter()
                .flatten()
                .copied()
                .collect();
            self.latest = (group, joined);
        }
        for &tunnel in self.latest.1.iter().filter(|&&tunnel| tunnel != from) {
            // SAFETY: headers change in `fit_headers` only, which flushes first; the packet lies in the ring's block,
            // which is given back behind a flush.
            unsafe { self.sender.put(&self.headers[tunnel as usize], inner) };
            self.deeds.copies += 1;
        }
    }

    fn fit_headers(&mut self, inner_bytes: usize) {
        if self.inner_bytes != inner_bytes {
            self.sender.flush();
            self.inner_bytes = inner_bytes;
            self.headers = (0..=self.tunnels)
                .map(|id| frames::tunnel_header(id, true, inner_bytes))
                .collect();
        }
    }

    /// An IGMP report (RFC 3376 section 4.2, RFC 2236): who is in a group from now on.
    fn handle_report(&mut self, tunnel: u32, inner: &[u8]) {
        let Some(report) = inner
            .get(usize::from(inner[0] & 15) * 4..)
            .filter(|r| r.len() >= 8)
        else {
            return;
        };
        self.latest = ([0; 4], Vec::new());
        let address = |bytes: &[u8]| [bytes[0], bytes[1], bytes[2], bytes[3]];
        match report[0] {
            0x12 | 0x16 => {
                self.groups
                    .entry(address(&report[4..]))
                    .or_default()
                    .insert(tunnel);
            }
            0x17 => self.leave(tunnel, address(&report[4..])),
            0x22 => {
                let mut records = &report[8..];
                while records.len() >= 8 {
                    let sources = usize::from(u16::from_be_bytes([records[2], records[3]]));
                    let group = address(&records[4..]);
                    match (records[0], sources) {
                        // Nothing from anywhere, and an end to some sources.
                        (1 | 3, 0) | (6, _) => self.leave(tunnel, group),
                        (1..=5, _) => {
                            self.groups.entry(group).or_default().insert(tunnel);
                        }
                        (_, _) => {}
                    }
                    records = records.get(8 + 4 * sources..).unwrap_or_default();
                }
            }
            _ => {}
        }
    }

    fn leave(&mut self, tunnel: u32, group: [u8; 4]) {
        if let Some(joined) = self.groups.get_mut(&group) {
            joined.remove(&tunnel);
        }
    }

    /// An echo request to the PE's address in the tunnel: back with its ends exchanged.
    fn answer(&mut self, tunnel: u32, inner: &mut [u8]) {
        if inner.len() < 28 || inner[20] != 8 {
            return;
        }
        let (source, destination) = inner[12..20].split_at_mut(4);
        source.swap_with_slice(destination);
        inner[20] = 0;
        inner[22..24].fill(0);
        let sum = frames::checksum(&inner[20..]);
        inner[22..24].copy_from_slice(&sum.to_be_bytes());
        let header = frames::tunnel_header(tunnel, true, inner.len());
        // SAFETY: both pieces are used before this returns.
        unsafe { self.sender.put(&header, inner) };
        self.sender.flush();
        self.deeds.pings += 1;
    }
}
