//! A small simulated provider network around one session, on a virtual clock.
//!
//! ```text
//!             up ──>      core[i][j]      ──> down
//!   monitor ════════ PE i ─────────── PE j ════════ monitor
//!                     └── CE             └── CE
//! ```
//!
//! Each PE ends one GRE tunnel, keeps IGMP state that expires, sends queries, answers pings,
//! and replicates what comes for a group to every other PE, which hands it down its tunnel if
//! the group is joined there. What the network did to every probe is written down: the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vmscope_core::control::*;
use vmscope_core::fault::Planted;
use vmscope_core::session::{Direction, Options, Session};
use vmscope_core::time::Instant;
use vmscope_wire::content::{Content, Customer};
use vmscope_wire::igmp::{FloatCode, QueryV3, RecordType, Repr as Igmp, Sources};
use vmscope_wire::inner::{Addressing, Inner};
use vmscope_wire::ipv4::{IpProtocol, Packet, Repr as Ipv4};
use vmscope_wire::tunnel::{Outer, decapsulate, encapsulate, encapsulated_len};
use vmscope_wire::{gre, icmp, udp};

use crate::down::tunnelled;
pub use crate::path::Path;

pub const MS: u64 = 1_000_000;
pub const S: u64 = 1_000_000_000;
/// Between the driver's send call and the capture's stamp.
const SEND_LAG: u64 = 3_000;
/// The simulation begins 1.5 s before a midnight of the wall clock.
const WALL_MINUS_MONOTONIC: u64 = 20_000 * 86_400 * S - 1_000 * S - 1_500 * MS;
const MONITOR: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);

/// A PE's membership in a group.
#[derive(Debug, Clone)]
struct Membership {
    until: u64,
    /// Sources; none means any.
    sources: BTreeSet<Ipv4Addr>,
    any: bool,
}

#[derive(Debug)]
pub struct Pe {
    pub up: Path,
    pub down: Path,
    /// How far its wall clock is ahead of the monitor's, if it answers what time it is.
    pub clock_ahead: Option<i64>,
    /// Gap between general queries; 0: none.
    pub query_interval: u64,
    groups: BTreeMap<Ipv4Addr, Membership>,
}

impl Pe {
    pub fn new() -> Pe {
        Pe {
            up: Path::default(),
            down: Path::default(),
            clock_ahead: None,
            query_interval: 0,
            groups: BTreeMap::new(),
        }
    }
}

/// One probe, as the network saw it.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    pub sent: u64,
    pub warmup: bool,
    /// Arrivals by receiver, whole copies only, in the order of arrival.
    pub arrivals: BTreeMap<u32, Vec<u64>>,
}

/// Task, sender, sequence number.
pub type ProbeKey = (u32, u32, u32);

enum Happening {
    AtMonitor {
        bytes: Vec<u8>,
        copy: Option<(ProbeKey, u32)>,
    },
    AtPe {
        pe: usize,
        bytes: Vec<u8>,
    },
    Query {
        pe: usize,
    },
}

pub struct Sim {
    pub session: Session,
    pub now: u64,
    pub pes: Vec<Pe>,
    pub core: Path,
    pub truth: BTreeMap<ProbeKey, Truth>,
    pub records: Vec<Record>,
    pub events: Vec<Event>,
    /// Probes that reached a CE.
    pub leaked: u64,
    /// Joined groups that a PE forgot because nobody reported them.
    pub expired: u64,
    /// Copies that PEs sent down per group.
    pub handed_down: BTreeMap<Ipv4Addr, u64>,
    pub customers_sent: u64,
    happenings: BTreeMap<(u64, u64), Happening>,
    order: u64,
    rng: ChaCha8Rng,
    next_request: u64,
}

impl Sim {
    /// A network of `pes` PEs, each with a tunnel `t1`, `t2`, … of number 1, 2, …
    pub fn new(seed: u64, pes: usize, fault: Planted) -> Sim {
        Sim::with(
            pes,
            Options {
                session: 77,
                seed,
                fault,
                ..Options::default()
            },
        )
    }

    pub fn with(pes: usize, options: Options) -> Sim {
        let now = 1_000 * S;
        let seed = options.seed;
        let mut sim = Sim {
            session: Session::new(Instant::from_ns(now), options),
            now,
            pes: (0..pes).map(|_| Pe::new()).collect(),
            core: Path {
                delay: 10 * MS,
                ..Path::default()
            },
            truth: BTreeMap::new(),
            records: Vec::new(),
            events: Vec::new(),
            leaked: 0,
            expired: 0,
            handed_down: BTreeMap::new(),
            customers_sent: 0,
            happenings: BTreeMap::new(),
            order: 0,
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0xabcd),
            next_request: 1,
        };
        sim.session
            .handle_wall_clock(WALL_MINUS_MONOTONIC.cast_signed());
        for i in 0..pes {
            sim.add_tunnel(i, "50ms");
        }
        sim
    }

    pub fn add_tunnel(&mut self, pe: usize, ping: &str) {
        self.add_tunnel_with(pe, &format!(r#""ping_interval":"{ping}""#));
    }

    pub fn add_tunnel_with(&mut self, pe: usize, more: &str) {
        let n = pe + 1;
        self.ok(&format!(
            r#""op":"tunnel-add","name":"t{n}","id":{n},"outer_local":"{MONITOR}","outer_remote":"{}","inner_local":"{}","inner_remote":"{}",{more}"#,
            outer(pe), inner_monitor(pe), inner_pe(pe)
        ));
    }

    /// What the monitor's wall clock shows, in nanoseconds.
    fn wall_ns(&self) -> u64 {
        WALL_MINUS_MONOTONIC + self.now
    }

    /// What a PE that answers says its time is, in milliseconds of the day.
    fn time_of_day(&self, pe: usize) -> Option<u32> {
        let ahead = self.pes[pe].clock_ahead?;
        let wall_ms = self.wall_ns().checked_add_signed(ahead)? / MS;
        Some((wall_ms % 86_400_000) as u32)
    }

    /// Begins queries at every PE.
    pub fn query_every(&mut self, interval: u64) {
        for pe in 0..self.pes.len() {
            self.pes[pe].query_interval = interval;
            self.happen(interval, Happening::Query { pe });
        }
    }

    /// Makes a request that must succeed.
    pub fn ok(&mut self, fields: &str) -> Answer {
        match self.request(fields) {
            Outcome::Ok(answer) => answer,
            Outcome::Error(refusal) => panic!("{fields}: {refusal}"),
        }
    }

    pub fn request(&mut self, fields: &str) -> Outcome {
        let line = format!(r#"{{"id":{},"request":{{{fields}}}}}"#, self.next_request);
        self.next_request += 1;
        let request = Request::read(&line).unwrap_or_else(|reply| panic!("{line}: {reply:?}"));
        let reply = self
            .session
            .handle_request(Instant::from_ns(self.now), request);
        self.drain();
        reply.outcome
    }

    /// Lets time pass.
    pub fn run(&mut self, length: u64) {
        let end = self.now + length;
        self.drain();
        loop {
            let deadline = self
                .session
                .next_deadline()
                .map_or(u64::MAX, Instant::as_ns);
            let happening = self
                .happenings
                .first_key_value()
                .map_or(u64::MAX, |((at, _), _)| *at);
            let next = deadline.min(happening);
            if next >= end {
                break;
            }
            self.now = self.now.max(next);
            while let Some(first) = self
                .happenings
                .first_entry()
                .filter(|e| e.key().0 <= self.now)
            {
                let happening = first.remove();
                self.happened(happening);
            }
            self.drain();
            let again = self
                .session
                .next_deadline()
                .map_or(u64::MAX, Instant::as_ns);
            assert!(
                again > self.now,
                "the session wants to be polled for ever at {}",
                self.now
            );
        }
        self.now = end;
        self.drain();
    }

    /// Takes everything that the session has to say.
    fn drain(&mut self) {
        let now = Instant::from_ns(self.now);
        while let Some(transmit) = self.session.poll_transmit(now) {
            let stamp = Instant::from_ns(self.now + SEND_LAG);
            self.session
                .handle_packet(now, stamp, &transmit.bytes, Direction::Outgoing);
            self.leave_monitor(transmit.bytes);
        }
        while let Some(record) = self.session.poll_record() {
            self.records.push(record);
        }
        while let Some(event) = self.session.poll_event() {
            self.events.push(event);
        }
    }

    fn leave_monitor(&mut self, bytes: Vec<u8>) {
        let opened = decapsulate(&bytes).expect("the session sends whole packets");
        let pe = usize::from(opened.dst().octets()[2]) - 1;
        if let Ok(Content::Probe { probe, .. }) = opened.content() {
            let truth = self
                .truth
                .entry((probe.task, probe.tunnel, probe.sequence))
                .or_default();
            truth.sent = self.now + SEND_LAG;
            truth.warmup = probe.warm_up;
        }
        let up = self.pes[pe].up;
        for delay in up.passages(&mut self.rng) {
            self.happen(
                SEND_LAG + delay,
                Happening::AtPe {
                    pe,
                    bytes: bytes.clone(),
                },
            );
        }
    }

    fn happen(&mut self, delay: u64, happening: Happening) {
        self.order += 1;
        self.happenings
            .insert((self.now + delay, self.order), happening);
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::AtMonitor { bytes, copy } => {
                if let Some((key, receiver)) = copy {
                    let arrivals = &mut self.truth.get_mut(&key).expect("sent before").arrivals;
                    arrivals.entry(receiver).or_default().push(self.now);
                }
                let now = Instant::from_ns(self.now);
                self.session
                    .handle_packet(now, now, &bytes, Direction::Incoming);
            }
            Happening::AtPe { pe, bytes } => self.at_pe(pe, &bytes),
            Happening::Query { pe } => {
                self.expire(pe);
                let query = Igmp::QueryV3(QueryV3 {
                    max_response_tenths: FloatCode::at_most(10),
                    group: Ipv4Addr::UNSPECIFIED,
                    suppress_router_side: false,
                    robustness: 2,
                    interval_seconds: FloatCode::at_most((self.pes[pe].query_interval / S) as u32),
                    sources: Sources::NONE,
                });
                self.send_down(
                    pe,
                    &Inner::Igmp {
                        src: inner_pe(pe),
                        message: query,
                    },
                    None,
                );
                self.happen(self.pes[pe].query_interval, Happening::Query { pe });
            }
        }
    }

    fn at_pe(&mut self, pe: usize, bytes: &[u8]) {
        let opened = decapsulate(bytes).expect("whole");
        match opened.content().expect("readable") {
            Content::Igmp(message) => self.report(pe, &message),
            Content::Icmp(icmp::Repr::EchoRequest {
                identifier,
                sequence,
                data,
            }) => {
                let message = icmp::Repr::EchoReply {
                    identifier,
                    sequence,
                    data,
                };
                let ip = Addressing::new(inner_pe(pe), inner_monitor(pe));
                self.send_down(pe, &Inner::Icmp { ip, message }, None);
            }
            Content::Icmp(icmp::Repr::TimestampRequest {
                identifier,
                sequence,
                times,
            }) => {
                let Some(ms) = self.time_of_day(pe) else {
                    return;
                };
                let times = icmp::Timestamps {
                    receive: ms,
                    transmit: ms,
                    ..times
                };
                let message = icmp::Repr::TimestampReply {
                    identifier,
                    sequence,
                    times,
                };
                let ip = Addressing::new(inner_pe(pe), inner_monitor(pe));
                self.send_down(pe, &Inner::Icmp { ip, message }, None);
            }
            Content::Probe { probe, .. } => {
                let key = (probe.task, probe.tunnel, probe.sequence);
                self.replicate(pe, opened.inner.as_bytes(), Some(key));
            }
            Content::Mdt(Customer::Ipv4(_)) => {
                self.leaked += 1;
                self.replicate(pe, opened.inner.as_bytes(), None);
            }
            other => panic!("the monitor sent {other:?}"),
        }
    }

    /// Hands a packet on the tree to every PE but its own, and down where the group is joined.
    fn replicate(&mut self, from: usize, inner: &[u8], key: Option<ProbeKey>) {
        let packet = Packet::new_checked(inner).expect("whole");
        let (source, group) = (packet.src(), packet.dst());
        for to in (0..self.pes.len()).filter(|to| *to != from) {
            for delay in self.core.passages(&mut self.rng) {
                self.expire(to);
                let joined = self.pes[to]
                    .groups
                    .get(&group)
                    .is_some_and(|m| m.any || m.sources.contains(&source));
                if joined {
                    *self.handed_down.entry(group).or_default() += 1;
                    let mut copy = inner.to_vec();
                    let whole = !self.rng.random_bool(self.core.corrupt);
                    if !whole {
                        let at = self.rng.random_range(60..copy.len());
                        copy[at] ^= 1 << self.rng.random_range(0..8);
                    }
                    let copied = key.filter(|_| whole).map(|key| (key, to as u32 + 1));
                    self.tunnel_down(to, &copy, delay, copied);
                }
            }
        }
    }

    fn send_down(&mut self, pe: usize, inner: &Inner<'_>, copy: Option<(ProbeKey, u32)>) {
        let outer = Outer::new(outer(pe), MONITOR, None);
        let mut bytes = vec![0; encapsulated_len(&outer, inner)];
        encapsulate(&outer, inner, &mut bytes).unwrap();
        self.down(pe, bytes, 0, copy);
    }

    fn tunnel_down(&mut self, pe: usize, inner: &[u8], delay: u64, copy: Option<(ProbeKey, u32)>) {
        let bytes = tunnelled(outer(pe), MONITOR, inner);
        self.down(pe, bytes, delay, copy);
    }

    fn down(&mut self, pe: usize, bytes: Vec<u8>, before: u64, copy: Option<(ProbeKey, u32)>) {
        let path = self.pes[pe].down;
        for delay in path.passages(&mut self.rng) {
            self.happen(
                before + delay,
                Happening::AtMonitor {
                    bytes: bytes.clone(),
                    copy,
                },
            );
        }
    }

    /// A customer's packet enters at a PE: it goes to all others on the MDT.
    pub fn customer_packet(&mut self, pe: usize, mdt: Ipv4Addr, sequence: u16) {
        let mut rtp = [0u8; 172];
        let header = vmscope_wire::rtp::Repr {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp: u32::from(sequence) * 160,
            ssrc: 9,
        };
        header.emit(&mut rtp).unwrap();
        let (source, group) = (Ipv4Addr::new(192, 168, 1, 10), Ipv4Addr::new(239, 9, 9, 9));
        let datagram = udp::Repr {
            src_port: 5004,
            dst_port: 5004,
            has_checksum: true,
            payload_len: rtp.len(),
        };
        let customer = Ipv4::new(source, group, IpProtocol::Udp, datagram.buffer_len());
        let carried = gre::Repr::ipv4(None, customer.buffer_len());
        let on_mdt = Ipv4::new(
            Ipv4Addr::new(10, 255, 0, pe as u8 + 1),
            mdt,
            IpProtocol::Gre,
            carried.buffer_len(),
        );
        let mut bytes = vec![0; on_mdt.buffer_len()];
        on_mdt
            .emit(&mut bytes, |b| {
                carried.emit(b, |b| {
                    customer.emit(b, |b| {
                        datagram.emit(b, source, group, |b| {
                            b.copy_from_slice(&rtp);
                            Ok(())
                        })
                    })
                })
            })
            .unwrap();
        self.customers_sent += 1;
        self.replicate(pe, &bytes, None);
    }

    fn report(&mut self, pe: usize, message: &Igmp<'_>) {
        let until = match self.pes[pe].query_interval {
            0 => u64::MAX,
            interval => self.now + 2 * interval + S,
        };
        match message {
            Igmp::ReportV3 { records } => {
                for record in records.iter() {
                    self.record(
                        pe,
                        record.kind,
                        record.group,
                        record.sources.iter().collect(),
                        until,
                    );
                }
            }
            Igmp::ReportV2 { group } => {
                self.record(pe, RecordType::ToExclude, *group, BTreeSet::new(), until)
            }
            Igmp::LeaveV2 { group } => {
                self.record(pe, RecordType::ToInclude, *group, BTreeSet::new(), until)
            }
            other => panic!("the monitor said {other}"),
        }
    }

    fn record(
        &mut self,
        pe: usize,
        kind: RecordType,
        group: Ipv4Addr,
        sources: BTreeSet<Ipv4Addr>,
        until: u64,
    ) {
        let groups = &mut self.pes[pe].groups;
        let none = Membership {
            until,
            sources: BTreeSet::new(),
            any: false,
        };
        let member = groups.entry(group).or_insert(none);
        member.until = until;
        match kind {
            RecordType::IsExclude | RecordType::ToExclude => member.any = true,
            RecordType::IsInclude | RecordType::Allow => member.sources.extend(sources),
            RecordType::ToInclude => (member.any, member.sources) = (false, sources),
            RecordType::Block => member.sources.retain(|s| !sources.contains(s)),
            RecordType::Unknown(kind) => panic!("record type {kind}"),
        }
        groups.retain(|_, m| m.any || !m.sources.is_empty());
    }

    fn expire(&mut self, pe: usize) {
        let (now, before) = (self.now, self.pes[pe].groups.len());
        self.pes[pe].groups.retain(|_, m| m.until > now);
        self.expired += (before - self.pes[pe].groups.len()) as u64;
    }

    /// Groups joined at a PE.
    pub fn joined(&self, pe: usize) -> Vec<Ipv4Addr> {
        self.pes[pe].groups.keys().copied().collect()
    }
}

fn outer(pe: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 254, pe as u8 + 1, 1)
}

fn inner_pe(pe: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, pe as u8 + 1, 1)
}

fn inner_monitor(pe: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, pe as u8 + 1, 2)
}
