//! Monitors, routers and the tunnels between them, on a seeded network and a virtual clock.
//!
//! ```text
//!        up                down
//!   M1 ══════▶ router k ══════▶ M1, M2          control channel: M1 ◀──▶ M2, which may be silent
//!                 │ core, to every other router
//! ```
//!
//! A router hands a copy of what comes for a group down every tunnel where it is joined, but the one it came by. Each
//! host has a clock of its own, and a capture that may miss what arrives.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vmscope_core::control::*;
use vmscope_core::counters::Reading;
use vmscope_core::fault::Planted;
use vmscope_core::name::Name;
use vmscope_core::oneway::{AgentFailure, AgentRequest, PeerFailure, PeerRequest};
use vmscope_core::session::{CaptureStatus, Direction, Options, Session};
use vmscope_core::time::Instant;
use vmscope_wire::content::Content;
use vmscope_wire::igmp::{RecordType, Repr as Igmp};
use vmscope_wire::inner::{Addressing, Inner};
use vmscope_wire::ipv4::{IpProtocol, Packet, Repr as Ipv4};
use vmscope_wire::tunnel::{Outer, decapsulate, encapsulate, encapsulated_len};
use vmscope_wire::{gre, icmp};

use crate::agent::RouterAgent;

pub const MS: u64 = 1_000_000;
pub const S: u64 = 1_000_000_000;
pub const GROUP: Ipv4Addr = Ipv4Addr::new(239, 7, 7, 7);
/// Between the driver's send call and the capture's stamp.
const SEND_LAG: u64 = 3_000;
const CONTROL_DELAY: u64 = 5 * MS;
/// Between a monitor and a router's agent.
const AGENT_DELAY: u64 = 2 * MS;
const EXPORT_EVERY: u64 = S;
/// How often captures say what they dropped.
const STATUS_EVERY: u64 = 500 * MS;

/// What a path does to packets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Path {
    pub delay: u64,
    pub jitter: u64,
    pub loss: f64,
    pub duplicate: f64,
    /// Share of packets that are held back for three seconds.
    pub stall: f64,
}

#[derive(Debug)]
pub struct Tunnel {
    pub host: usize,
    pub router: usize,
    pub up: Path,
    pub down: Path,
    /// Groups joined, and of which sources; none means any.
    joined: BTreeMap<Ipv4Addr, BTreeSet<Ipv4Addr>>,
}

/// How a monitor's control channel answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    Up,
    /// What is asked is lost.
    Deaf,
    /// It is heard and done, and the answer is lost.
    Mute,
    /// The answers are whatever hurts.
    Liar,
}

pub struct Host {
    pub session: Session,
    /// Its monotonic clock less the simulation's.
    offset: u64,
    pub channel: Channel,
    /// Share of arriving packets that its capture misses, and says so.
    pub capture_misses: f64,
    pub missed: u64,
    pub records: Vec<Record>,
    pub events: Vec<Event>,
    /// What it has sent, byte for byte.
    pub sent: u64,
    pub lines: String,
}

enum Happening {
    /// At a router that counts.
    Counted {
        agent: usize,
        inner: Vec<u8>,
    },
    Asked {
        from: usize,
        request: AgentRequest,
        asked: Instant,
    },
    Answered {
        to: usize,
        request: AgentRequest,
        outcome: Result<Reading, AgentFailure>,
    },
    /// Exporters look at their tables.
    Export,
    AtHost {
        host: usize,
        bytes: Vec<u8>,
    },
    AtRouter {
        tunnel: usize,
        bytes: Vec<u8>,
    },
    Request {
        from: usize,
        request: PeerRequest,
    },
    Reply {
        to: usize,
        peer: Name,
        id: u64,
        outcome: Result<Answer, PeerFailure>,
    },
    Status,
}

pub struct World {
    pub now: u64,
    pub hosts: Vec<Host>,
    pub tunnels: Vec<Tunnel>,
    pub core: Path,
    pub agents: Vec<RouterAgent>,
    pub fault: Planted,
    happenings: BTreeMap<(u64, u64), Happening>,
    order: u64,
    rng: ChaCha8Rng,
    seed: u64,
    next_session: u32,
}

impl World {
    /// So many monitors, m1, m2, …; each knows the others as peers.
    pub fn new(seed: u64, hosts: usize, fault: Planted) -> World {
        let mut world = World {
            now: 1_000 * S,
            hosts: Vec::new(),
            tunnels: Vec::new(),
            core: Path::default(),
            agents: Vec::new(),
            fault,
            happenings: BTreeMap::new(),
            order: 0,
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0x77),
            seed,
            next_session: 70,
        };
        for host in 0..hosts {
            let offset = 123_456_789 * host as u64;
            let session = world.new_session(host, offset);
            world.hosts.push(Host {
                session,
                offset,
                channel: Channel::Up,
                capture_misses: 0.0,
                missed: 0,
                records: Vec::new(),
                events: Vec::new(),
                sent: 0,
                lines: String::new(),
            });
            world.know_peers(host, hosts);
        }
        world.happen(STATUS_EVERY, Happening::Status);
        world.happen(EXPORT_EVERY, Happening::Export);
        world
    }

    fn new_session(&mut self, host: usize, offset: u64) -> Session {
        self.next_session += 1;
        let options = Options {
            session: self.next_session,
            seed: self.seed ^ host as u64,
            fault: self.fault,
            ..Options::default()
        };
        Session::new(Instant::from_ns(self.now + offset), options)
    }

    fn know_peers(&mut self, host: usize, hosts: usize) {
        let peer = |n: usize| {
            format!(
                "[[peer]]\nname='m{}'\naddress='192.0.2.{}:8471'\ncertificate='m.pem'\ntoken_file='token'\nclock_error='1ms'\n",
                n + 1,
                n + 1
            )
        };
        let toml: String = (0..hosts).filter(|n| *n != host).map(peer).collect();
        let config = vmscope_core::config::Config::from_toml(&toml).unwrap();
        let now = self.at(host);
        self.hosts[host].session.load(now, &config).unwrap();
        // All wall clocks agree.
        let realtime = 5 * S as i64 - self.hosts[host].offset as i64;
        self.hosts[host].session.handle_wall_clock(realtime);
    }

    /// Adds a tunnel of a host to a router, named and numbered by its place: t1 is number 1.
    pub fn add_tunnel(&mut self, host: usize, router: usize, up: Path, down: Path) -> usize {
        self.tunnels.push(Tunnel {
            host,
            router,
            up,
            down,
            joined: BTreeMap::new(),
        });
        let index = self.tunnels.len() - 1;
        self.tell_of_tunnel(index);
        index
    }

    pub fn tell_of_tunnel(&mut self, index: usize) {
        let host = self.tunnels[index].host;
        let n = index + 1;
        self.ok(
            host,
            &format!(
                r#""op":"tunnel-add","name":"t{n}","id":{n},"outer_local":"{}","outer_remote":"{}","inner_local":"{}","inner_remote":"{}","ping_interval":"100ms""#,
                host_address(host), outer(index), inner_host(index), inner_router(index)
            ),
        );
    }

    /// A monitor ends without a word and starts anew; what routers know of it stays as it is.
    pub fn restart(&mut self, host: usize) {
        self.hosts[host].session = self.new_session(host, self.hosts[host].offset);
        self.know_peers(host, self.hosts.len());
        for index in 0..self.tunnels.len() {
            if self.tunnels[index].host == host {
                self.tell_of_tunnel(index);
            }
        }
    }

    /// A host's clock.
    pub fn at(&self, host: usize) -> Instant {
        let offset = self
            .hosts
            .get(host)
            .map_or(123_456_789 * host as u64, |h| h.offset);
        Instant::from_ns(self.now + offset)
    }

    pub fn request(&mut self, host: usize, fields: &str) -> Outcome {
        let line = format!(r#"{{"id":1,"request":{{{fields}}}}}"#);
        let request = Request::read(&line).unwrap_or_else(|reply| panic!("{line}: {reply:?}"));
        let now = self.at(host);
        let reply = self.hosts[host].session.handle_request(now, request);
        self.drain(host);
        reply.outcome
    }

    /// Makes a request that must succeed.
    pub fn ok(&mut self, host: usize, fields: &str) -> Answer {
        match self.request(host, fields) {
            Outcome::Ok(answer) => answer,
            Outcome::Error(refusal) => panic!("{fields}: {refusal}"),
        }
    }

    /// A one-way measurement of m1.
    pub fn status(&mut self, name: &str) -> OnewayStatus {
        match self.ok(0, &format!(r#""op":"oneway-show","name":"{name}""#)) {
            Answer::Oneway(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Whether a tunnel has joined the group.
    pub fn is_joined(&self, tunnel: usize) -> bool {
        self.tunnels[tunnel].joined.contains_key(&GROUP)
    }

    /// Lets time pass.
    pub fn run(&mut self, length: u64) {
        let end = self.now + length;
        loop {
            (0..self.hosts.len()).for_each(|host| self.drain(host));
            let next = self.next();
            if next >= end {
                break;
            }
            assert!(
                next >= self.now,
                "nobody may want what is past: {next} at {}",
                self.now
            );
            self.now = next;
            while let Some(first) = self
                .happenings
                .first_entry()
                .filter(|e| e.key().0 <= self.now)
            {
                let happening = first.remove();
                self.happened(happening);
            }
        }
        self.now = end;
        (0..self.hosts.len()).for_each(|host| self.drain(host));
    }

    fn next(&self) -> u64 {
        let deadline = |host: &Host| {
            let at = host
                .session
                .next_deadline()
                .map_or(u64::MAX, Instant::as_ns);
            at.saturating_sub(host.offset)
        };
        let hosts = self.hosts.iter().map(deadline).min().unwrap_or(u64::MAX);
        let happening = self.happenings.first_key_value();
        hosts.min(happening.map_or(u64::MAX, |((at, _), _)| *at))
    }

    /// Takes everything that a session has to say.
    fn drain(&mut self, host: usize) {
        let now = self.at(host);
        for _ in 0..100_000 {
            while let Some(transmit) = self.hosts[host].session.poll_transmit(now) {
                let stamp = Instant::from_ns(now.as_ns() + SEND_LAG);
                let session = &mut self.hosts[host].session;
                session.handle_packet(now, stamp, &transmit.bytes, Direction::Outgoing);
                self.leave(host, transmit.bytes);
            }
            let own = &mut self.hosts[host];
            while let Some(record) = own.session.poll_record() {
                own.records.push(record);
            }
            while let Some(event) = own.session.poll_event() {
                own.lines += &serde_json::to_string(&event).unwrap();
                own.lines.push('\n');
                own.events.push(event);
            }
            let mut requests = Vec::new();
            while let Some(request) = own.session.poll_peer() {
                requests.push(request);
            }
            for request in requests {
                self.happen(
                    CONTROL_DELAY,
                    Happening::Request {
                        from: host,
                        request,
                    },
                );
            }
            while let Some(request) = self.hosts[host].session.poll_agent() {
                let asked = now;
                let from = host;
                self.happen(
                    AGENT_DELAY,
                    Happening::Asked {
                        from,
                        request,
                        asked,
                    },
                );
            }
            let due = self.hosts[host].session.next_deadline();
            if due.is_none_or(|at| at > now) {
                return;
            }
        }
        panic!("host {host} wants to be polled for ever at {}", self.now);
    }

    fn leave(&mut self, host: usize, bytes: Vec<u8>) {
        self.hosts[host].sent += 1;
        let opened = decapsulate(&bytes).expect("sessions send whole packets");
        let tunnel = usize::from(opened.dst().octets()[2]) - 1;
        let up = match opened.content() {
            // Reports are repeated until they get through; here they do at once.
            Ok(Content::Igmp(_)) => path(1, 0.0),
            _ => self.tunnels[tunnel].up,
        };
        for delay in self.passages(up) {
            let bytes = bytes.clone();
            self.happen(SEND_LAG + delay, Happening::AtRouter { tunnel, bytes });
        }
    }

    /// Delays of the copies that a path makes of one packet.
    fn passages(&mut self, path: Path) -> Vec<u64> {
        let copies = if self.rng.random_bool(path.duplicate) {
            2
        } else {
            1
        };
        let mut delays = Vec::new();
        for _ in 0..copies {
            let lost = self.rng.random_bool(path.loss);
            let jitter = self.rng.random_range(0..=path.jitter);
            let stall = if self.rng.random_bool(path.stall) {
                3 * S
            } else {
                0
            };
            if !lost {
                delays.push(path.delay + jitter + stall);
            }
        }
        delays
    }

    fn happen(&mut self, delay: u64, happening: Happening) {
        self.order += 1;
        self.happenings
            .insert((self.now + delay, self.order), happening);
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::AtHost { host, bytes } => self.at_host(host, &bytes),
            Happening::AtRouter { tunnel, bytes } => self.at_router(tunnel, &bytes),
            Happening::Request { from, request } => self.asked(from, request),
            Happening::Reply {
                to,
                peer,
                id,
                outcome,
            } => {
                let now = self.at(to);
                self.hosts[to]
                    .session
                    .handle_peer_reply(now, &peer, id, outcome);
            }
            Happening::Counted { agent, inner } => {
                let now = self.now;
                self.agents[agent].count(now, &inner);
            }
            Happening::Asked {
                from,
                request,
                asked,
            } => self.agent_asked(from, request, asked),
            Happening::Answered {
                to,
                request,
                outcome,
            } => {
                let now = self.at(to);
                let session = &mut self.hosts[to].session;
                session.handle_reading(now, &request.agent, request.id, outcome);
            }
            Happening::Export => self.export(),
            Happening::Status => {
                for host in 0..self.hosts.len() {
                    let now = self.at(host);
                    let status = CaptureStatus {
                        mode: "simulated".to_owned(),
                        received: 0,
                        drops: self.hosts[host].missed,
                    };
                    self.hosts[host].session.handle_capture_status(now, status);
                }
                self.happen(STATUS_EVERY, Happening::Status);
            }
        }
    }

    fn at_host(&mut self, host: usize, bytes: &[u8]) {
        let missed = self.rng.random_bool(self.hosts[host].capture_misses);
        if missed {
            self.hosts[host].missed += 1;
            return;
        }
        let now = self.at(host);
        let session = &mut self.hosts[host].session;
        session.handle_packet(now, now, bytes, Direction::Incoming);
    }

    fn asked(&mut self, from: usize, request: PeerRequest) {
        let PeerRequest {
            peer,
            id,
            operation,
        } = request;
        let to = usize::from(peer.as_str().as_bytes()[1] - b'1');
        let channel = self.hosts[to].channel;
        if channel == Channel::Deaf {
            return;
        }
        // As it travels.
        let line = serde_json::to_string(&Request { id, operation }).unwrap();
        let request = Request::read(&line).unwrap();
        if channel == Channel::Liar {
            let outcome = Ok(lie(&request.operation, self.order));
            let reply = Happening::Reply {
                to: from,
                peer,
                id,
                outcome,
            };
            return self.happen(CONTROL_DELAY, reply);
        }
        let now = self.at(to);
        let reply = self.hosts[to].session.handle_request(now, request);
        let outcome = match reply.outcome {
            Outcome::Ok(answer) => {
                let line = serde_json::to_string(&answer).unwrap();
                Ok(serde_json::from_str(&line).unwrap())
            }
            Outcome::Error(refusal) => Err(PeerFailure::Refused(refusal)),
        };
        if channel == Channel::Up {
            self.happen(
                CONTROL_DELAY,
                Happening::Reply {
                    to: from,
                    peer,
                    id,
                    outcome,
                },
            );
        }
    }

    fn hand_to_counters(&mut self, inner: &[u8]) {
        for agent in 0..self.agents.len() {
            for delay in self.passages(self.agents[agent].path) {
                let inner = inner.to_vec();
                self.happen(delay, Happening::Counted { agent, inner });
            }
        }
    }

    fn agent_asked(&mut self, to: usize, request: AgentRequest, asked: Instant) {
        let now = self.now;
        let agent = self.agents.iter_mut().find(|a| a.name == request.agent);
        let answer = agent.and_then(|agent| agent.answer(now, &request.question));
        let (delay, outcome) = match answer {
            Some(answer) => (AGENT_DELAY, answer),
            None => (S, Err(AgentFailure::NoAnswer("nobody answers".to_owned()))),
        };
        let answered = self.at(to).as_ns() + delay;
        let outcome = outcome.map(|reading| Reading {
            asked,
            answered: Instant::from_ns(answered),
            ..reading
        });
        self.happen(
            delay,
            Happening::Answered {
                to,
                request,
                outcome,
            },
        );
    }

    /// What exporters send reaches m1 at once, or not at all.
    fn export(&mut self) {
        for agent in 0..self.agents.len() {
            let Some(export) = self.agents[agent].export(self.now) else {
                continue;
            };
            if self.rng.random_bool(self.agents[agent].exports_lost) {
                continue;
            }
            let now = self.at(0);
            let name = self.agents[agent].name.clone();
            self.hosts[0].session.handle_export(now, &name, Ok(&export));
            self.drain(0);
        }
        self.happen(EXPORT_EVERY, Happening::Export);
    }

    /// Adds a router that counts, and an agent of its.
    pub fn add_agent(&mut self, agent: RouterAgent) -> usize {
        let config = vmscope_core::config::Config::from_toml(&agent.config()).unwrap();
        let now = self.at(0);
        self.hosts[0].session.load(now, &config).unwrap();
        self.agents.push(agent);
        self.agents.len() - 1
    }

    fn at_router(&mut self, tunnel: usize, bytes: &[u8]) {
        let opened = decapsulate(bytes).expect("whole");
        match opened.content().expect("readable") {
            Content::Igmp(message) => self.report(tunnel, &message),
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
                let ip = Addressing::new(inner_router(tunnel), inner_host(tunnel));
                let inner = Inner::Icmp { ip, message };
                let outer =
                    Outer::new(outer(tunnel), host_address(self.tunnels[tunnel].host), None);
                let mut bytes = vec![0; encapsulated_len(&outer, &inner)];
                encapsulate(&outer, &inner, &mut bytes).unwrap();
                self.down(tunnel, 0, &bytes);
            }
            Content::Probe { .. } => {
                let inner = opened.inner.as_bytes().to_vec();
                self.hand_to_counters(&inner);
                let router = self.tunnels[tunnel].router;
                self.hand_down(router, Some(tunnel), 0, &inner);
                let others: BTreeSet<usize> = self.tunnels.iter().map(|t| t.router).collect();
                for other in others.into_iter().filter(|other| *other != router) {
                    for delay in self.passages(self.core) {
                        self.hand_down(other, None, delay, &inner);
                    }
                }
            }
            other => panic!("a monitor sent {other:?}"),
        }
    }

    fn hand_down(&mut self, router: usize, came_by: Option<usize>, before: u64, inner: &[u8]) {
        let packet = Packet::new_checked(inner).expect("whole");
        let (source, group) = (packet.src(), packet.dst());
        let mut forwarded = inner.to_vec();
        forwarded[8] -= 1;
        let ttl = forwarded[8];
        forwarded[10..12].fill(0);
        let sum = vmscope_wire::checksum::Sum::of(&forwarded[..20]).checksum();
        forwarded[10..12].copy_from_slice(&sum.to_be_bytes());
        for index in 0..self.tunnels.len() {
            let tunnel = &self.tunnels[index];
            let joined = tunnel.joined.get(&group);
            let wanted = joined.is_some_and(|from| from.is_empty() || from.contains(&source));
            if tunnel.router != router || came_by == Some(index) || !wanted || ttl == 0 {
                continue;
            }
            let carried = gre::Repr::ipv4(None, forwarded.len());
            let to = host_address(tunnel.host);
            let ip = Ipv4::new(outer(index), to, IpProtocol::Gre, carried.buffer_len());
            let mut bytes = vec![0; ip.buffer_len()];
            ip.emit(&mut bytes, |b| {
                carried.emit(b, |b| {
                    b.copy_from_slice(&forwarded);
                    Ok(())
                })
            })
            .unwrap();
            self.down(index, before, &bytes);
        }
    }

    fn down(&mut self, tunnel: usize, before: u64, bytes: &[u8]) {
        let (path, host) = (self.tunnels[tunnel].down, self.tunnels[tunnel].host);
        for delay in self.passages(path) {
            let bytes = bytes.to_vec();
            self.happen(before + delay, Happening::AtHost { host, bytes });
        }
    }

    fn report(&mut self, tunnel: usize, message: &Igmp<'_>) {
        let Igmp::ReportV3 { records } = message else {
            panic!("a monitor said {message}");
        };
        let joined = &mut self.tunnels[tunnel].joined;
        for record in records.iter() {
            let sources: BTreeSet<Ipv4Addr> = record.sources.iter().collect();
            match record.kind {
                RecordType::IsExclude | RecordType::ToExclude => {
                    joined.insert(record.group, BTreeSet::new());
                }
                RecordType::IsInclude | RecordType::ToInclude if sources.is_empty() => {
                    joined.remove(&record.group);
                }
                RecordType::IsInclude | RecordType::ToInclude => {
                    joined.insert(record.group, sources);
                }
                RecordType::Allow => {
                    joined.entry(record.group).or_default().extend(sources);
                }
                RecordType::Block => {
                    let left = joined.entry(record.group).or_default();
                    left.retain(|source| !sources.contains(source));
                    if left.is_empty() {
                        joined.remove(&record.group);
                    }
                }
                other => panic!("a monitor said {other:?}"),
            }
        }
    }
}

/// An answer of the right kind, with figures that no honest peer has.
fn lie(operation: &Operation, turn: u64) -> Answer {
    let odd = [0, 1, 33, u64::MAX / 2, u64::MAX][(turn % 5) as usize];
    let name = Name::new("liar").unwrap();
    match operation {
        Operation::CollectStart(_) | Operation::CollectTake { .. } => {
            let range = |n: u32| CollectedRange {
                task: n % 3,
                tunnel: 1,
                first: n.wrapping_mul(0x9e37_79b9),
                last: odd as u32,
            };
            Answer::Collected(Collected {
                name,
                session: 72,
                probe_port: 33_900,
                at_ns: Instant::from_ns(odd),
                cursor: odd,
                ranges: (0..1_000).map(range).collect(),
                capture_drops: if turn.is_multiple_of(7) { odd } else { 0 },
                forgotten: if turn.is_multiple_of(11) { odd } else { 0 },
                late: odd,
                least_delay_ns: Some(odd as i64),
            })
        }
        Operation::ReflectStart(_) => Answer::Reflecting(Reflecting {
            name,
            session: 72,
            probe_port: 33_900,
            source: Ipv4Addr::BROADCAST,
            reflected: odd,
            limited: odd,
            unsent: odd,
            capture_drops: odd,
        }),
        _ => Answer::Done,
    }
}

fn host_address(host: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 1, host as u8, 2)
}

fn outer(tunnel: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 254, tunnel as u8 + 1, 1)
}

fn inner_host(tunnel: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, tunnel as u8 + 1, 2)
}

fn inner_router(tunnel: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, tunnel as u8 + 1, 1)
}

/// A path of this delay and loss.
pub fn path(delay_ms: u64, loss: f64) -> Path {
    Path {
        delay: delay_ms * MS,
        loss,
        ..Path::default()
    }
}

/// One router; t1 (up) and t2 (down) of m1, t3 of m2. Losses: up, down, leaf there, leaf back.
pub fn tree(seed: u64, losses: [f64; 4]) -> World {
    let mut world = World::new(seed, 2, Planted::NONE);
    let [up, down, leaf, back] = losses;
    world.add_tunnel(0, 0, path(4, up), path(9, 0.3));
    world.add_tunnel(0, 0, path(7, 0.3), path(6, down));
    world.add_tunnel(1, 0, path(5, back), path(3, leaf));
    world.core = path(10, 0.0);
    world
}

/// Starts a measurement named x over such a tree, up t1, down t2, with a leaf at m2's t3.
pub fn start(world: &mut World, kind: &str, probes: &str, more: &str) {
    world.ok(
        0,
        &format!(
            r#""op":"oneway-start","name":"x","up":"t1","down":["t2"],"group":"{GROUP}","leaf":[{{"kind":"{kind}","peer":"m2","tunnel":"t3"}}],"probes":{{"warmup":"1s",{probes}}}{more}"#
        ),
    );
}

/// Whether an interval holds the truth.
pub fn holds(loss: &PathLoss, truth: f64) -> bool {
    loss.low <= truth && truth <= loss.high
}
