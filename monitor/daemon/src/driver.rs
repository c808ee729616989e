//! The loop that drives the core: the only place where packets, time, requests and results meet.
//!
//! One thread. It sleeps until packets have gathered, a request, a step of the wall clock or the
//! core's next deadline, and never waits for anything else: results go to the journal's queue,
//! replies and events to the control socket's thread.

mod counters;
mod packets;
mod sleep;

use std::io;

use vmscope_core::alarm::Notice;
use vmscope_core::control::{Answer, Operation, Outcome, Reply, Request};
use vmscope_core::session::{Session, Transmit};
use vmscope_core::time::Instant;

use crate::agents::Agents;
use crate::alarm::Notifier;
use crate::capture::{Capture, CaptureCounters, RING_FRAMES};
use crate::clock::{self, StampClock, StepWatch};
use crate::error::StartError;
use crate::journal::Journal;
use crate::mailbox::{AgentReply, FlowExport, Inbox, Message, PeerReply};
use crate::remote::Peers;
use crate::rhythm::Rhythm;
use crate::transmit::{self, Transmitter};
use crate::wakefulness::{self, Lead};

/// Notices that still wait at the end have so long to be delivered.
const LAST_NOTICES: std::time::Duration = std::time::Duration::from_secs(2);

/// What the driver works with.
pub struct Parts {
    /// The core, with its configuration loaded.
    pub session: Session,
    /// Packets in.
    pub capture: Capture,
    /// Packets out.
    pub transmitter: Transmitter,
    /// Stamps to instants.
    pub stamps: StampClock,
    /// Steps of the wall clock.
    pub steps: StepWatch,
    /// Requests in, events out.
    pub inbox: Inbox,
    /// Results.
    pub journal: Journal,
    /// Alarms on their way to people.
    pub notifier: Notifier,
    /// Other monitors.
    pub peers: Peers,
    /// Readers of routers' counters.
    pub agents: Agents,
}

/// Runs until the core has ended in good order, or until it is told twice to end.
pub fn run(parts: Parts) -> Result<(), StartError> {
    let now = clock::now();
    let mut driver = Driver {
        parts,
        turned_at: now,
        ring_empty_at: now,
        rhythm: Rhythm::new(RING_FRAMES),
        lead: Lead::default(),
        outgoing: Vec::with_capacity(transmit::PACKETS_AT_ONCE),
        counters_due: now,
        captured: CaptureCounters::default(),
        drops_unsaid: 0,
        transmit_errors: 0,
        transmit_errors_said: 0,
        latest_transmit_error: None,
        told_to_end: false,
        ended: false,
    };
    let result = driver.run();
    driver.end();
    result
}

struct Driver {
    parts: Parts,
    /// When the latest turn began.
    turned_at: Instant,
    /// When the capture was last found to hold nothing: what it holds now came later.
    ring_empty_at: Instant,
    rhythm: Rhythm,
    lead: Lead,
    /// Packets on their way from the core to the transmitter; empty in between.
    outgoing: Vec<Transmit>,
    counters_due: Instant,
    captured: CaptureCounters,
    /// Drops that people have not been told of.
    drops_unsaid: u64,
    transmit_errors: u64,
    transmit_errors_said: u64,
    latest_transmit_error: Option<io::Error>,
    told_to_end: bool,
    ended: bool,
}

impl Driver {
    fn run(&mut self) -> Result<(), StartError> {
        wakefulness::wake_precisely();
        while !self.ended && !self.parts.session.is_finished() {
            self.catch_up()?;
            self.take_messages();
            self.follow_filter()?;
            self.send_what_is_due();
            let reading = self.is_time_to_read();
            if reading {
                self.take_packets()?;
            }
            self.ask_peers();
            self.ask_agents();
            self.hand_out_results();
            self.look_at_counters();
            // While there are more, nothing is waited for.
            if !(reading && self.is_time_to_read()) {
                self.wait()?;
            }
        }
        Ok(())
    }

    fn compare_clocks(&mut self) {
        if let Some(step) = self.parts.stamps.handle_reading(clock::reading()) {
            self.parts.journal.clock_step(step);
        }
    }

    fn take_messages(&mut self) {
        while let Some(message) = self.parts.inbox.poll_message() {
            match message {
                Message::Ask(request, reply) => {
                    let answer = self.answer(*request);
                    self.hand_out_results();
                    // The client may have gone; what it asked for is done all the same.
                    let _ = reply.send(answer);
                }
                Message::Peer(reply) => {
                    let PeerReply { peer, id, outcome } = *reply;
                    let session = &mut self.parts.session;
                    session.handle_peer_reply(clock::now(), &peer, id, outcome);
                }
                Message::Agent(reply) => {
                    let AgentReply { agent, id, outcome } = *reply;
                    let session = &mut self.parts.session;
                    session.handle_reading(clock::now(), &agent, id, outcome);
                }
                Message::Export(export) => {
                    let FlowExport {
                        agent,
                        export,
                        place,
                    } = *export;
                    let export = export.as_ref().map_err(Clone::clone);
                    let session = &mut self.parts.session;
                    session.handle_export(clock::now(), &agent, export);
                    drop(place);
                }
                Message::Stop => self.stop(),
            }
        }
    }

    fn ask_peers(&mut self) {
        let session = &mut self.parts.session;
        while let Some(request) = session.poll_peer() {
            let (peer, id) = (request.peer.clone(), request.id);
            if let Err(failure) = self.parts.peers.ask(request) {
                session.handle_peer_reply(clock::now(), &peer, id, Err(failure));
            }
        }
    }

    fn ask_agents(&mut self) {
        let session = &mut self.parts.session;
        while let Some(request) = session.poll_agent() {
            let (agent, id) = (request.agent.clone(), request.id);
            if let Err(failure) = self.parts.agents.ask(request) {
                session.handle_reading(clock::now(), &agent, id, Err(failure));
            }
        }
    }

    fn answer(&mut self, request: Request) -> Reply {
        tracing::debug!("request {}: {:?}", request.id, request.operation);
        self.told_to_end |= matches!(request.operation, Operation::Shutdown);
        let mut reply = self.parts.session.handle_request(clock::now(), request);
        if let Outcome::Ok(Answer::Status(status)) = &mut reply.outcome {
            // The core knows neither what became of its records nor how packets are sent.
            status.record_drops += self.parts.journal.lost();
            status.probe_files = self.parts.journal.probe_files();
            status.transmit = self.parts.transmitter.description();
        }
        reply
    }

    /// The first time: in good order. The second time: at once.
    fn stop(&mut self) {
        if std::mem::replace(&mut self.told_to_end, true) {
            tracing::warn!(
                "told to end again: groups are not left, and outstanding probes stay undecided"
            );
            self.ended = true;
            return;
        }
        tracing::info!("told to end: tasks stop, outstanding probes are decided, groups are left");
        let request = Request {
            id: 0,
            operation: Operation::Shutdown,
        };
        self.parts.session.handle_request(clock::now(), request);
    }

    fn hand_out_results(&mut self) {
        while let Some(record) = self.parts.session.poll_record() {
            self.parts.journal.record(record);
        }
        while let Some(event) = self.parts.session.poll_event() {
            self.parts.inbox.say(&event);
        }
        let offset_ns = self.parts.stamps.offset_ns();
        while let Some(notice) = self.parts.session.poll_notice() {
            let unix_ns = notice.at_ns().as_ns() as i64 + offset_ns;
            if let Notice::Storm(storm) = &notice {
                self.parts.journal.storm(storm);
            }
            self.parts.notifier.put(notice, unix_ns);
        }
    }

    fn end(self) {
        let Driver { mut parts, .. } = self;
        while let Some(record) = parts.session.poll_record() {
            parts.journal.record(record);
        }
        while let Some(event) = parts.session.poll_event() {
            parts.inbox.say(&event);
        }
        parts.journal.finish(clock::now(), parts.stamps.offset_ns());
        for sink in parts.notifier.finish(LAST_NOTICES) {
            let lost = sink.failed + sink.dropped + sink.waiting;
            if lost > 0 {
                tracing::warn!(
                    "{lost} notices of alarms were not delivered to {}",
                    sink.sink
                );
            }
        }
    }
}
