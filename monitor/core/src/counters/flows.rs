//! Aggregates that have a source port each, and the records that an exporter of flows sends of them.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

use super::{Aggregate, Discard, Discards};
use crate::time::{Instant, Span};

/// Source ports of aggregates, used one after another: 4096 of the dynamic ones (RFC 6335 §6).
const PORTS: (u16, u16) = (57_344, 61_439);
/// Concluded aggregates kept at most; beyond, the oldest is forgotten.
const KEPT_MAX: usize = 1 << 16;
/// Streams of an exporter followed at most; of more nothing is believed.
const STREAMS_MAX: usize = 16;
/// Datagrams remembered of a stream.
const RECENT_MAX: usize = 8;
/// How far an exporter's uptime may be from our time, and a twentieth of it.
const UPTIME_SLACK_MS: i128 = 2_000;
const NS_PER_MS: u64 = 1_000_000;

/// One flow, as a record has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowRecord {
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// UDP source port.
    pub source_port: u16,
    /// Packets.
    pub packets: u64,
}

/// One datagram of an exporter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Which of the exporter's streams it is of: version, engine or observation domain.
    pub stream: u64,
    /// Its sequence number.
    pub sequence: u32,
    /// What the next datagram's must be if none is lost; none if that is not known, since not all of this one could be read.
    pub next_sequence: Option<u32>,
    /// When it was sent, by the exporter's clock: Unix seconds.
    pub sent_s: u32,
    /// How long the exporter has been up, ms; wraps at 2³². IPFIX does not say.
    pub uptime_ms: Option<u32>,
    /// One of how many packets is counted, if it says so.
    pub sampling: Option<u32>,
    /// UDP flows.
    pub records: Vec<FlowRecord>,
}

/// How aggregates and exporter go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowSpec {
    /// Probes in an aggregate.
    pub probes: u32,
    /// Source of the probes.
    pub source: Ipv4Addr,
    /// Their group.
    pub group: Ipv4Addr,
    /// A flow's last record is on its way so long after its last probe was sent: the exporter's timeouts, and the way.
    pub exported_within: Span,
    /// How long to wait for the exporter to say anything then.
    pub patience: Span,
}

#[derive(Debug, Clone, Copy)]
struct Flow {
    aggregate: Aggregate,
    port: u16,
    began: Instant,
    /// When its last record must have been sent; none while probes go.
    complete: Option<Instant>,
    probes: u32,
    fault: Option<Discard>,
}

#[derive(Debug, Clone)]
struct Stream {
    /// Since when it has been unbroken.
    since: Instant,
    heard: Instant,
    /// The latest datagrams, to know them when they come twice: a number alone may be that of an exporter begun anew.
    recent: VecDeque<Export>,
}

impl Stream {
    fn last(&self) -> Option<&Export> {
        self.recent.back()
    }

    fn take(&mut self, now: Instant, export: &Export) {
        self.heard = now;
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(export.clone());
    }
}

/// One exporter, and the aggregates it is to tell of.
#[derive(Debug)]
pub struct Flows {
    spec: FlowSpec,
    next_port: u16,
    /// In the order in which they began; the last may still grow.
    open: VecDeque<Flow>,
    streams: BTreeMap<u64, Stream>,
    /// With the port by which they are still told of.
    counted: VecDeque<(Option<u16>, Aggregate)>,
    discards: Discards,
    refused: Option<Discard>,
    duplicates: u64,
}

impl Flows {
    /// Nothing sent yet.
    pub fn new(spec: FlowSpec) -> Flows {
        Flows {
            spec,
            next_port: PORTS.0,
            open: VecDeque::new(),
            streams: BTreeMap::new(),
            counted: VecDeque::new(),
            discards: Discards::default(),
            refused: None,
            duplicates: 0,
        }
    }

    /// Source port of the next probe; none while all are in use.
    pub fn port(&self) -> Option<u16> {
        match self.open.back() {
            Some(flow) if flow.complete.is_none() => Some(flow.port),
            _ => self
                .open
                .iter()
                .all(|flow| flow.port != self.next_port)
                .then_some(self.next_port),
        }
    }

    /// A probe is sent, from that port.
    pub fn handle_sent(&mut self, now: Instant, seq: u64) {
        let grows = self.open.back().is_some_and(|flow| flow.complete.is_none());
        if !grows {
            let port = self.next_port;
            self.next_port = if port >= PORTS.1 { PORTS.0 } else { port + 1 };
            // Records of a port's earlier use are no longer told from this one's.
            for (used, _) in &mut self.counted {
                used.take_if(|used| *used == port);
            }
            self.open.push_back(Flow {
                aggregate: Aggregate {
                    first: seq,
                    last: seq,
                    counted: 0,
                },
                port,
                began: now,
                complete: None,
                probes: 0,
                fault: None,
            });
        }
        let (most, within) = (self.spec.probes, self.spec.exported_within);
        if let Some(flow) = self.open.back_mut() {
            if flow.probes > 0 && seq != flow.aggregate.last + 1 {
                flow.fault = Some(Discard::NotSent);
            }
            flow.aggregate.last = seq;
            flow.probes += 1;
            if flow.probes >= most {
                flow.complete = Some(now + within);
            }
        }
    }

    /// A probe that was to be sent did not leave.
    pub fn handle_unsent(&mut self, seq: u64) {
        let holds = |flow: &&mut Flow| (flow.aggregate.first..=flow.aggregate.last).contains(&seq);
        if let Some(flow) = self.open.iter_mut().rev().find(holds) {
            flow.fault = Some(Discard::NotSent);
        }
    }

    /// No more probes will be sent.
    pub fn finish(&mut self, now: Instant) {
        let complete = now + self.spec.exported_within;
        if let Some(flow) = self.open.back_mut() {
            flow.complete.get_or_insert(complete);
        }
    }

    /// Whether nothing is waited for.
    pub fn is_settled(&self) -> bool {
        self.open.is_empty()
    }

    /// Datagrams that came twice.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// When the next aggregate is given up.
    pub fn next_deadline(&self) -> Option<Instant> {
        let complete = self.open.front()?.complete?;
        Some(complete + self.spec.patience)
    }

    /// Gives up what the exporter has fallen silent about.
    pub fn handle_time(&mut self, now: Instant) {
        while self.next_deadline().is_some_and(|at| at <= now) {
            if let Some(flow) = self.open.pop_front() {
                let reason = flow.fault.unwrap_or(Discard::MissingExport);
                self.discards.add(reason, flow.probes.into());
            }
        }
    }

    /// A datagram of the exporter.
    pub fn handle_export(&mut self, now: Instant, export: &Export) {
        if export.sampling.is_some_and(|one_in| one_in > 1) {
            self.refused = Some(Discard::Sampled);
        }
        if !self.follow(now, export) {
            return;
        }
        for record in &export.records {
            if record.source == self.spec.source && record.destination == self.spec.group {
                self.take(record);
            }
        }
        self.conclude(now);
    }

    /// What was counted so far, oldest first, and what does not count.
    pub fn judge(&self) -> (Vec<Aggregate>, Discards) {
        let mut discards = self.discards.clone();
        let mut clean = Vec::new();
        for (_, aggregate) in &self.counted {
            let refused = self.refused;
            let above = (aggregate.counted > aggregate.sent()).then_some(Discard::AboveSent);
            match refused.or(above) {
                None => clean.push(*aggregate),
                Some(reason) => discards.add(reason, aggregate.sent()),
            }
        }
        (clean, discards)
    }

    /// Takes the datagram's place in its stream; whether it is to be read.
    fn follow(&mut self, now: Instant, export: &Export) -> bool {
        let Some(stream) = self.streams.get_mut(&export.stream) else {
            if self.streams.len() >= STREAMS_MAX {
                self.spoil(Discard::ExportLost);
                return false;
            }
            // What it has said before was not heard; neither is what it says now of what began before.
            self.spoil(Discard::NoBaseline);
            self.begin(now, export);
            return true;
        };
        if stream.recent.contains(export) {
            self.duplicates += 1;
            return false;
        }
        match break_of(stream, now, export) {
            None => stream.take(now, export),
            Some(reason) => {
                self.spoil(reason);
                self.begin(now, export);
            }
        }
        true
    }

    fn begin(&mut self, now: Instant, export: &Export) {
        let mut stream = Stream {
            since: now,
            heard: now,
            recent: VecDeque::new(),
        };
        stream.take(now, export);
        self.streams.insert(export.stream, stream);
    }

    /// Records of all that is open may be among what was lost.
    fn spoil(&mut self, reason: Discard) {
        for flow in &mut self.open {
            flow.fault.get_or_insert(reason);
        }
    }

    fn take(&mut self, record: &FlowRecord) {
        let open = self
            .open
            .iter_mut()
            .find(|flow| flow.port == record.source_port);
        if let Some(flow) = open {
            let counted = &mut flow.aggregate.counted;
            *counted = counted.saturating_add(record.packets);
            return;
        }
        let closed = self
            .counted
            .iter()
            .position(|(port, _)| *port == Some(record.source_port));
        if let Some((_, aggregate)) = closed.and_then(|index| self.counted.remove(index)) {
            self.discards.add(Discard::LateExport, aggregate.sent());
        }
    }

    /// Concludes what must have been told of by now: every stream has spoken since, and none was broken.
    fn conclude(&mut self, now: Instant) {
        while let Some(flow) = self.open.front().copied() {
            let told =
                |complete: Instant| self.streams.values().all(|stream| stream.heard >= complete);
            if !flow
                .complete
                .is_some_and(|complete| complete <= now && told(complete))
            {
                return;
            }
            self.open.pop_front();
            let unknown = self
                .streams
                .values()
                .any(|stream| stream.since > flow.began);
            let unknown = unknown.then_some(Discard::NoBaseline);
            if let Some(reason) = flow.fault.or(unknown) {
                self.discards.add(reason, flow.probes.into());
                continue;
            }
            if self.counted.len() >= KEPT_MAX {
                self.counted.pop_front();
            }
            self.counted.push_back((Some(flow.port), flow.aggregate));
        }
    }
}

/// Why the stream does not go on with this datagram, if it does not.
fn break_of(stream: &Stream, now: Instant, export: &Export) -> Option<Discard> {
    let last = stream.last()?;
    if let (Some(before), Some(uptime)) = (last.uptime_ms, export.uptime_ms) {
        let said_ms = i128::from(uptime.wrapping_sub(before).cast_signed());
        let passed_ms = i128::from(now.since(stream.heard).as_ns() / NS_PER_MS);
        // Datagrams may have waited on their way. As for agents, who had not been up for longer than that may have begun anew
        // unnoticed.
        let slack_ms = passed_ms / 20 + UPTIME_SLACK_MS;
        if i128::from(before) <= slack_ms || (said_ms - passed_ms).abs() > slack_ms {
            return Some(Discard::Restarted);
        }
    }
    (last.next_sequence != Some(export.sequence)).then_some(Discard::ExportLost)
}
