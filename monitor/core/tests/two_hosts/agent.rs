//! A router that counts what comes, an agent that tells of it, an exporter of flows; and what can be wrong with them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use vmscope_core::counters::{Count, Export, FlowRecord, Question, Reading, Width};
use vmscope_core::name::Name;
use vmscope_core::oneway::AgentFailure;
use vmscope_core::time::Instant;

use crate::network::{MS, Path, S};

/// Ethernet's, which an interface counts and a route does not.
const LINK_OCTETS: u64 = 14;
/// A flow is exported once it has been silent for so long.
const INACTIVE: u64 = S;

/// What an agent is asked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Snmp,
    Flows,
}

/// The agent's picture of the counter.
#[derive(Debug, Clone, Copy)]
struct Table {
    packets: u64,
    octets: u64,
    pulse: u64,
    read: u64,
}

pub struct RouterAgent {
    pub name: Name,
    pub kind: Kind,
    /// From the branching router.
    pub path: Path,
    /// Since the agent began.
    booted: u64,
    /// Since there is a route; none before the first packet.
    route: Option<u64>,
    packets: u64,
    octets: u64,
    pulse: u64,
    /// For so long an answer is kept.
    pub cache: u64,
    cached: Option<Table>,
    pub silent: bool,
    flows: BTreeMap<u16, (u64, u64)>,
    sequence: u32,
    pub exports_lost: f64,
    pub sampling: Option<u32>,
}

impl RouterAgent {
    pub fn new(kind: Kind, path: Path) -> RouterAgent {
        RouterAgent {
            name: Name::new("pe2").unwrap(),
            kind,
            path,
            booted: 0,
            route: None,
            packets: 0,
            octets: 0,
            pulse: 0,
            cache: 0,
            cached: None,
            silent: false,
            flows: BTreeMap::new(),
            sequence: 0,
            exports_lost: 0.0,
            sampling: None,
        }
    }

    pub fn config(&self) -> String {
        let name = &self.name;
        match self.kind {
            Kind::Snmp => format!(
                "[[agent]]\nkind='snmp'\nname='{name}'\naddress='192.0.2.9:161'\ncommunity_file='c'\n"
            ),
            Kind::Flows => format!(
                "[[agent]]\nkind='flows'\nname='{name}'\nlisten='0.0.0.0:2055'\nexporter='192.0.2.9'\nexported_within='3s'\n"
            ),
        }
    }

    /// The counter is that of a route which has been there for so long, and shows so much.
    pub fn starts_at(&mut self, now: u64, packets: u64) {
        (self.route, self.packets) = (Some(now), packets);
    }

    /// The agent begins anew; the router forwards as before.
    pub fn restart(&mut self, now: u64) {
        (self.booted, self.cached, self.sequence) = (now, None, 0);
        self.flows.clear();
    }

    /// The route is made anew, and counts from nothing.
    pub fn reset(&mut self, now: u64) {
        (self.packets, self.octets, self.cached) = (0, 0, None);
        self.route = Some(now);
    }

    pub fn count(&mut self, now: u64, inner: &[u8]) {
        let port = u16::from_be_bytes([inner[20], inner[21]]);
        self.route.get_or_insert(now);
        self.packets += 1;
        self.octets += inner.len() as u64;
        self.pulse += inner.len() as u64;
        let flow = self.flows.entry(port).or_default();
        *flow = (flow.0 + 1, now);
    }

    /// What it answers; `None` if it does not.
    pub fn answer(
        &mut self,
        now: u64,
        question: &Question,
    ) -> Option<Result<Reading, AgentFailure>> {
        if self.silent {
            return None;
        }
        // The question itself.
        self.pulse += 70;
        let is_fresh = |table: &Table| now < table.read + self.cache;
        let table = self.cached.filter(is_fresh).unwrap_or(Table {
            packets: self.packets,
            octets: self.octets,
            pulse: self.pulse,
            read: now,
        });
        self.cached = Some(table);
        let count = |value, width| Count { value, width };
        let ticks = |since: u64| ((now - since) / (10 * MS)) as u32;
        let reading = Reading {
            asked: Instant::ZERO,
            answered: Instant::ZERO,
            uptime_ticks: ticks(self.booted),
            discontinuity_ticks: 0,
            age_ticks: None,
            packets: count(table.packets, Width::Bits64),
            octets: Some(count(
                table.octets + table.packets * LINK_OCTETS,
                Width::Bits64,
            )),
            pulse: Some(table.pulse),
        };
        let narrow = |value: u64| count(value & 0xffff_ffff, Width::Bits32);
        Some(match (question, self.route) {
            (Question::Interface(_), _) => Ok(reading),
            (Question::Route(..), None) => Err(AgentFailure::NoSuch("no such route".to_owned())),
            (Question::Route(..), Some(route)) => {
                let age = (table.read.saturating_sub(route) / (10 * MS)) as u32;
                Ok(Reading {
                    age_ticks: Some(age),
                    packets: narrow(table.packets),
                    octets: Some(narrow(table.octets)),
                    pulse: Some(age.into()),
                    ..reading
                })
            }
        })
    }

    /// One datagram, of what has been silent and of somebody else's flow.
    pub fn export(&mut self, now: u64) -> Option<Export> {
        if self.kind != Kind::Flows || self.silent {
            return None;
        }
        let over = self
            .flows
            .extract_if(.., |_, (_, last)| *last + INACTIVE <= now);
        let ours = over.map(|(source_port, (packets, _))| FlowRecord {
            source: Ipv4Addr::new(10, 77, 1, 2),
            destination: crate::network::GROUP,
            source_port,
            packets,
        });
        let others = FlowRecord {
            source: Ipv4Addr::new(10, 9, 9, 9),
            destination: crate::network::GROUP,
            source_port: 57_344,
            packets: 77,
        };
        let records = std::iter::once(others).chain(ours).collect();
        self.sequence += 1;
        Some(Export {
            stream: 9,
            sequence: self.sequence - 1,
            next_sequence: Some(self.sequence),
            sent_s: (now / S) as u32,
            uptime_ms: Some(((now - self.booted) / MS) as u32),
            sampling: self.sampling,
            records,
        })
    }
}
