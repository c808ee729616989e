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

mod counters;
#[path = "../../support/down.rs"]
mod down;
mod monitor;
#[allow(dead_code)] // Nothing is damaged here.
#[path = "../../support/path.rs"]
mod path;
mod peers;
mod router;
mod tree;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use vmscope_core::control::*;
use vmscope_core::counters::Reading;
use vmscope_core::fault::Planted;
use vmscope_core::name::Name;
use vmscope_core::oneway::{AgentFailure, AgentRequest, PeerFailure, PeerRequest};
use vmscope_core::time::Instant;

use counters::EXPORT_EVERY;
use monitor::STATUS_EVERY;

pub use monitor::Host;
pub use path::Path;
pub use peers::Channel;
pub use router::Tunnel;
pub use tree::{flood, holds, missed_of_60, path, reflecting, start, tree, wanted};

use crate::agent::RouterAgent;

pub const MS: u64 = 1_000_000;
pub const S: u64 = 1_000_000_000;
pub const GROUP: Ipv4Addr = Ipv4Addr::new(239, 7, 7, 7);

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

    fn happen(&mut self, delay: u64, happening: Happening) {
        self.order += 1;
        self.happenings
            .insert((self.now + delay, self.order), happening);
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::AtHost { host, bytes } => self.at_host(host, &bytes),
            Happening::AtRouter { tunnel, bytes } => self.at_router(tunnel, &bytes),
            Happening::Request { from, request } => self.peer_asked(from, request),
            Happening::Reply {
                to,
                peer,
                id,
                outcome,
            } => self.peer_replied(to, &peer, id, outcome),
            Happening::Counted { agent, inner } => self.counted(agent, &inner),
            Happening::Asked {
                from,
                request,
                asked,
            } => self.agent_asked(from, request, asked),
            Happening::Answered {
                to,
                request,
                outcome,
            } => self.agent_answered(to, &request, outcome),
            Happening::Export => self.export(),
            Happening::Status => self.tell_capture_status(),
        }
    }
}
