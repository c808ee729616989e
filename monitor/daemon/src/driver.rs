//! The loop that drives the core: the only place where packets, time, requests and results meet.
//!
//! One thread. It sleeps until packets have gathered, a request, a step of the wall clock or the
//! core's next deadline, and never waits for anything else: results go to the journal's queue,
//! replies and events to the control socket's thread.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::time::TimeSpec;
use vmscope_core::alarm::Notice;
use vmscope_core::control::{Answer, Operation, Outcome, Reply, Request};
use vmscope_core::session::{CaptureStatus, Session, Transmit};
use vmscope_core::time::{Instant, Span};
use vmscope_store::{Counters, Level};

use crate::agents::Agents;
use crate::alarm::Notifier;
use crate::capture::{Capture, CaptureCounters, RING_FRAMES};
use crate::clock::{self, Placed, StampClock, StepWatch};
use crate::error::StartError;
use crate::journal::Journal;
use crate::mailbox::{AgentReply, FlowExport, Inbox, Message, PeerReply};
use crate::remote::Peers;
use crate::rhythm::Rhythm;
use crate::transmit::{self, Transmitter};
use crate::wakefulness::{self, Lead};

/// Packets read before anything else gets its turn: what is to be sent meanwhile is late by the time that takes. As many as
/// can be read before that, each in so long, but not so few that turns are all there is.
const PACKETS_AT_ONCE: std::ops::RangeInclusive<u64> = 8..=32;
const PACKET_TIME: Span = Span::from_ns(1_000);
/// A turn takes a fraction of this, and the core waits for packets longer.
const AWAY: Span = Span::from_ms(100);
/// Nearer deadlines are not slept for: going to sleep and waking up takes as long.
const NO_SLEEP: Span = Span::from_ns(3_000);
/// Notices that still wait at the end have so long to be delivered.
const LAST_NOTICES: std::time::Duration = std::time::Duration::from_secs(2);
/// The capture's and the journal's counters are looked at this often.
const COUNTERS_EVERY: Span = Span::from_ms(500);

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

    /// Who was away (stopped, or on a host that others share) first reads what came meanwhile: else probes would be lost by
    /// time whose copies lie in the ring.
    fn catch_up(&mut self) -> Result<(), StartError> {
        let now = clock::now();
        let away = now.since(std::mem::replace(&mut self.turned_at, now));
        let mut room = RING_FRAMES;
        while away > AWAY && room > 0 && self.take_packets()? {
            room = room.saturating_sub(*PACKETS_AT_ONCE.start());
        }
        Ok(())
    }

    fn is_time_to_read(&self) -> bool {
        self.rhythm
            .until()
            .is_some_and(|until| until <= clock::now())
    }

    /// Sleeps until there is something to do.
    fn wait(&mut self) -> Result<(), StartError> {
        let failed = |source: Errno| StartError::Socket {
            attempted: "wait for packets",
            source: source.into(),
        };
        let before = clock::now();
        let deadline = self.next_deadline();
        let left = match deadline.since(before + self.lead.span()) {
            left if left <= NO_SLEEP => Span::ZERO,
            left => left,
        };
        let (slept, end) = (!left.is_zero(), before + left);
        let left = TimeSpec::from_duration(std::time::Duration::from_nanos(left.as_ns()));
        let bell = self.parts.inbox.as_fd();
        // Where nobody tells of next hops, the bell is listened to twice.
        let hops = self.parts.transmitter.changes().unwrap_or(bell);
        let mut sources = [
            PollFd::new(bell, PollFlags::POLLIN),
            PollFd::new(self.parts.steps.as_fd(), PollFlags::POLLIN),
            PollFd::new(hops, PollFlags::POLLIN),
            PollFd::new(self.parts.capture.as_fd(), PollFlags::POLLIN),
        ];
        let watched = match self.rhythm.until() {
            Some(_) => &mut sources[..3],
            None => &mut sources[..],
        };
        let came = match nix::poll::ppoll(watched, Some(left), None) {
            Ok(came) => came > 0,
            Err(Errno::EINTR) => true,
            Err(error) => return Err(failed(error)),
        };
        let has_news = |source: &PollFd<'_>| source.any().unwrap_or(false);
        let [rang, stepped, hops_changed, captured] = sources.each_ref().map(has_news);
        if captured {
            self.rhythm.handle_first(clock::now());
        } else if self.rhythm.until().is_none() {
            self.ring_empty_at = before;
        }
        if rang {
            self.parts.inbox.silence();
        }
        if hops_changed {
            self.parts.transmitter.follow();
        }
        if stepped {
            self.parts
                .steps
                .clear()
                .map_err(StartError::socket("watch the wall clock"))?;
            self.compare_clocks();
        }
        if !came {
            self.await_deadline(deadline, slept.then_some(end));
        }
        Ok(())
    }

    /// Stays awake for what is left, which is no more than the lead. `slept_until` is when sleep was to end, if there was any.
    fn await_deadline(&mut self, deadline: Instant, slept_until: Option<Instant>) {
        let mut now = clock::now();
        if let Some(due) = slept_until {
            self.lead.handle_woken(due, now);
        }
        while now < deadline {
            std::hint::spin_loop();
            now = clock::now();
        }
    }

    /// When there is something to do even if nothing comes in.
    fn next_deadline(&self) -> Instant {
        [self.parts.session.next_deadline(), self.rhythm.until()]
            .into_iter()
            .flatten()
            .fold(self.counters_due, Instant::min)
    }

    fn compare_clocks(&mut self) {
        if let Some(step) = self.parts.stamps.handle_reading(clock::reading()) {
            self.parts.journal.clock_step(step);
        }
    }

    /// Reads some packets; whether there may be more.
    fn take_packets(&mut self) -> Result<bool, StartError> {
        let Parts {
            session,
            capture,
            stamps,
            journal,
            ..
        } = &mut self.parts;
        let (since, began) = (self.ring_empty_at, clock::now());
        let mut now = began;
        let (least, most) = PACKETS_AT_ONCE.into_inner();
        let most = match session.next_deadline() {
            Some(at) if at > began => {
                let fit = at.since(began).as_ns() / PACKET_TIME.as_ns();
                fit.clamp(least, most) as usize
            }
            Some(_) | None => most as usize,
        };
        let taken = capture.read(most, |packet| {
            let at = place(stamps, journal, packet.stamp_ns, since, &mut now);
            session.handle_packet(now, at, packet.datagram, packet.direction);
        })?;
        self.rhythm.handle_read(taken);
        if taken < most {
            self.ring_empty_at = began;
            self.rhythm.handle_empty(now);
            self.look_for_drops();
        }
        Ok(taken == most)
    }

    fn send_what_is_due(&mut self) {
        let Parts {
            session,
            transmitter,
            ..
        } = &mut self.parts;
        let now = clock::now();
        while self.outgoing.len() < transmit::PACKETS_AT_ONCE
            && let Some(due) = session.poll_transmit(now)
        {
            self.outgoing.push(due);
        }
        let (errors, latest) = (&mut self.transmit_errors, &mut self.latest_transmit_error);
        transmitter.send(&mut self.outgoing, |packet, error| {
            *errors += 1;
            *latest = Some(error);
            session.handle_transmit_failed(packet.purpose);
        });
        for packet in self.outgoing.drain(..) {
            session.take_back(packet.bytes);
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

    fn follow_filter(&mut self) -> Result<(), StartError> {
        if let Some(filter) = self.parts.session.poll_filter() {
            tracing::debug!("capture filter: {filter}");
            self.parts.capture.set_filter(&filter)?;
        }
        Ok(())
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

    fn look_at_counters(&mut self) {
        let now = clock::now();
        if now < self.counters_due {
            return;
        }
        self.counters_due = now + COUNTERS_EVERY;
        self.compare_clocks();
        let offset_ns = self.parts.stamps.offset_ns();
        self.parts.session.handle_wall_clock(offset_ns);
        self.look_for_drops();
        let captured = self.captured;
        self.tell_capture_status(now);
        self.say_drops(now);
        self.say_transmit_errors(now);
        self.parts.journal.counters(Counters {
            at_ns: now,
            capture_received: captured.received,
            capture_drops: captured.dropped,
            transmit_errors: self.transmit_errors,
            record_drops: 0,
        });
    }

    /// Drops are noted while the intervals they belong to are open.
    fn look_for_drops(&mut self) {
        let captured = self.parts.capture.counters();
        let new_drops = captured.dropped - self.captured.dropped;
        self.captured = captured;
        if new_drops > 0 {
            self.tell_capture_status(clock::now());
            self.drops_unsaid += new_drops;
        }
    }

    fn tell_capture_status(&mut self, now: Instant) {
        let status = CaptureStatus {
            mode: self.parts.capture.description(),
            received: self.captured.received,
            drops: self.captured.dropped,
        };
        self.parts.session.handle_capture_status(now, status);
    }

    fn say_drops(&mut self, now: Instant) {
        let new_drops = std::mem::take(&mut self.drops_unsaid);
        if new_drops > 0 {
            let message = format!(
                "the capture dropped {new_drops} packets: losses measured now may be the monitor's own"
            );
            self.parts
                .journal
                .event(now, Level::Warning, "capture-drops", message);
        }
    }

    fn say_transmit_errors(&mut self, now: Instant) {
        let new = self.transmit_errors - self.transmit_errors_said;
        if let Some(error) = self.latest_transmit_error.take() {
            self.transmit_errors_said = self.transmit_errors;
            let message = format!("{new} packets could not be sent: {error}{}", remedy(&error));
            self.parts
                .journal
                .event(now, Level::Warning, "transmit-errors", message);
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

/// When a packet was captured, by its stamp. It came after `since`, and before `now`, which is brought up to date if need be.
fn place(
    stamps: &mut StampClock,
    journal: &Journal,
    stamp_ns: i64,
    since: Instant,
    now: &mut Instant,
) -> Instant {
    if stamps.is_doubtful(stamp_ns, since, *now) {
        // It may have come while others were read.
        *now = clock::now();
        if stamps.is_doubtful(stamp_ns, since, *now)
            && let Some(step) = stamps.handle_reading(clock::reading())
        {
            journal.clock_step(step);
        }
    }
    match stamps.place(stamp_ns, since, *now) {
        Placed::At(at) => at,
        Placed::ReadAt(at) => {
            let message =
                "a packet's stamp fits no state of the wall clock: the time of its reading is used";
            journal.event(*now, Level::Warning, "stamp-misplaced", message.to_owned());
            at
        }
    }
}

/// What to do when a packet cannot be sent.
fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENOBUFS | libc::EAGAIN) => "; the interface takes no more: lower the rates",
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => {
            "; add a route to the routers' outer addresses"
        }
        Some(libc::EPERM) => "; a packet filter of this host forbids it",
        Some(libc::EMSGSIZE) => {
            "; the probes are larger than the interface's MTU: make payload_bytes smaller"
        }
        Some(libc::ENETDOWN) => "; the interface is down: bring it up",
        Some(_) | None => "",
    }
}
