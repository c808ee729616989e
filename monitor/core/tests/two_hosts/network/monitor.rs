//! A host with a monitor: its session, its clock, and a capture that may miss what arrives.

use rand::RngExt;
use vmscope_core::control::*;
use vmscope_core::session::{CaptureStatus, Direction, Options, Session};
use vmscope_core::time::Instant;
use vmscope_wire::content::Content;
use vmscope_wire::tunnel::decapsulate;

use super::counters::AGENT_DELAY;
use super::peers::CONTROL_DELAY;
use super::{Channel, Happening, MS, World, path};

/// Between the driver's send call and the capture's stamp.
const SEND_LAG: u64 = 3_000;
/// How often captures say what they dropped.
pub(super) const STATUS_EVERY: u64 = 500 * MS;

pub struct Host {
    pub session: Session,
    /// Its monotonic clock less the simulation's.
    pub(super) offset: u64,
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

impl World {
    pub(super) fn new_session(&mut self, host: usize, offset: u64) -> Session {
        self.next_session += 1;
        let options = Options {
            session: self.next_session,
            seed: self.seed ^ host as u64,
            fault: self.fault,
            ..Options::default()
        };
        Session::new(Instant::from_ns(self.now + offset), options)
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

    /// Takes everything that a session has to say.
    pub(super) fn drain(&mut self, host: usize) {
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
        for delay in up.passages(&mut self.rng) {
            let bytes = bytes.clone();
            self.happen(SEND_LAG + delay, Happening::AtRouter { tunnel, bytes });
        }
    }

    pub(super) fn at_host(&mut self, host: usize, bytes: &[u8]) {
        let missed = self.rng.random_bool(self.hosts[host].capture_misses);
        if missed {
            self.hosts[host].missed += 1;
            return;
        }
        let now = self.at(host);
        let session = &mut self.hosts[host].session;
        session.handle_packet(now, now, bytes, Direction::Incoming);
    }

    /// Captures say what they have dropped.
    pub(super) fn tell_capture_status(&mut self) {
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
