//! A capture on its way into the core: which packets, in which order, at which time, and what comes of them.

use std::net::Ipv4Addr;

use serde_json::json;
use vmscope_core::control::{Answer, Event, MvpnQuestion, Operation, Outcome, Request};
use vmscope_core::name::Name;
use vmscope_core::report::Record;
use vmscope_core::session::{Direction, Session};
use vmscope_core::time::{Instant, Span};
use vmscope_core::view::Change;
use vmscope_store::{Counters, Limits, Retention, SessionStart, Writer};
use vmscope_wire::ethernet::EtherType;
use vmscope_wire::ipv4::{IpProtocol, Packet};
use vmscope_wire::link::LinkType;
use vmscope_wire::tunnel::{decapsulate, decapsulate_cut_short};

use super::error::ReadError;
use super::file::{CaptureFile, Frame};
use super::order::{Heard, Order, Place};
use super::setup::{self, Setup};
use super::show;
use super::tally::{Tally, utc};
use super::twin::Twins;
use crate::cli::ReadArgs;
use crate::journal::Journal;
use crate::render;

/// After a silence of this long nothing that was said still holds: the longest hold time of PIM is 18.2 hours (RFC 7761
/// section 4.9.2). What is left of the silence is passed in one step.
const SILENCE: Span = Span::from_s(24 * 3_600);
/// The counters are written this often, in the capture's time.
const COUNTERS_EVERY: Span = Span::from_s(1);

/// A capture, being read.
pub struct Replay {
    setup: Setup,
    file: String,
    database: Option<std::path::PathBuf>,
    voice: Voice,
    tally: Tally,
    order: Order,
    twins: Twins,
    player: Option<Player>,
}

/// How results are said.
#[derive(Debug, Clone, Copy)]
struct Voice {
    json: bool,
    changes: bool,
}

impl Replay {
    /// Ready for the first frame.
    pub fn new(setup: Setup, arguments: &ReadArgs, json: bool) -> Replay {
        Replay {
            setup,
            file: arguments.file.display().to_string(),
            database: arguments.database.clone(),
            voice: Voice {
                json,
                changes: arguments.changes,
            },
            tally: Tally::default(),
            order: Order::default(),
            twins: Twins::default(),
            player: None,
        }
    }

    /// The next frame of the capture.
    pub fn handle_frame(&mut self, frame: &Frame<'_>) -> Result<(), ReadError> {
        self.tally.frames += 1;
        let stamp = match frame.stamp_ns {
            Some(ns) => Instant::from_ns(ns),
            None => {
                self.tally.untimed += 1;
                self.order.latest()
            }
        };
        self.order.handle_stamp(stamp);
        if let Some((place, datagram)) = self.wanted(frame) {
            self.order.put(stamp, place, datagram);
        }
        self.hand_on(Order::poll)?;
        match self.order.settle() {
            Some(settled) => self.player()?.pass(settled),
            None => Ok(()),
        }
    }

    /// The IPv4 datagram in a frame, if a live monitor would have read it, and where it was captured.
    fn wanted(&mut self, frame: &Frame<'_>) -> Option<(Place, Vec<u8>)> {
        let Some(link) = LinkType::from_dlt(frame.link_type.cast_signed()) else {
            self.tally.count_unknown_link(frame.link_type);
            return None;
        };
        let Ok(captured) = link.open(&frame.bytes) else {
            self.tally.unreadable += 1;
            return None;
        };
        if captured.ethertype != EtherType::Ipv4 {
            return None;
        }
        let (tunnel, datagram) = match self.setup.opens_tunnels {
            true => opened(captured.payload),
            false => (None, captured.payload),
        };
        if !self.setup.filter.passes(datagram) {
            return None;
        }
        self.tally.read += 1;
        if Packet::new_cut_short(datagram).is_ok_and(|packet| packet.is_cut_short()) {
            self.tally.cut_short += 1;
        }
        let place = Place {
            interface: frame.interface,
            cooked: (captured.interface, captured.direction.map(u16::from)),
            tunnel,
        };
        Some((place, datagram.to_vec()))
    }

    fn hand_on(&mut self, poll: fn(&mut Order) -> Option<Heard>) -> Result<(), ReadError> {
        while let Some(heard) = poll(&mut self.order) {
            match self.twins.is_twin(&heard) {
                true => self.tally.twins += 1,
                false => self.player()?.handle_packet(heard.stamp, &heard.datagram)?,
            }
        }
        Ok(())
    }

    /// The session, which begins with the capture.
    fn player(&mut self) -> Result<&mut Player, ReadError> {
        let player = match self.player.take() {
            Some(player) => player,
            None => {
                let from = self.order.earliest().unwrap_or(Instant::ZERO);
                Player::begin(self, from)?
            }
        };
        Ok(self.player.insert(player))
    }

    /// The capture is over: says who is in which MVPN at its end, and what the capture consisted of.
    pub fn finish(mut self, file: &CaptureFile) -> Result<(), ReadError> {
        self.hand_on(Order::poll_at_end)?;
        self.tally.set_disorder(self.order.disorder());
        self.tally.damaged = file.damaged();
        self.tally.dropped = file.dropped();
        if let Some(from) = self.order.earliest() {
            let until = self.order.latest();
            (self.tally.from_ns, self.tally.until_ns) = (Some(from.as_ns()), Some(until.as_ns()));
            let drops = self.tally.dropped;
            let player = self.player()?;
            player.pass(until)?;
            player.say_states();
            if let Some(player) = self.player.take() {
                player.end(drops)?;
            }
        }
        show(&match self.voice.json {
            true => {
                json!({"kind": "capture", "file": self.file, "capture": self.tally}).to_string()
                    + "\n"
            }
            false => self.tally.text(&self.file),
        });
        Ok(())
    }
}

/// What a monitor's tunnel carries, if it is a packet on an MDT, and the tunnel's ends; else the packet itself.
fn opened(datagram: &[u8]) -> (Option<(Ipv4Addr, Ipv4Addr)>, &[u8]) {
    let Ok(outer) = Packet::new_cut_short(datagram) else {
        return (None, datagram);
    };
    if outer.protocol() != IpProtocol::Gre || outer.dst().is_multicast() {
        return (None, datagram);
    }
    let inside = match outer.is_cut_short() {
        true => decapsulate_cut_short(datagram),
        false => decapsulate(datagram),
    };
    match inside {
        Ok(d) if d.inner.protocol() == IpProtocol::Gre && d.inner.dst().is_multicast() => {
            (Some((d.src(), d.dst())), d.inner.as_bytes())
        }
        Ok(_) | Err(_) => (None, datagram),
    }
}

/// A session whose time is the capture's, in nanoseconds of UTC.
struct Player {
    session: Session,
    mvpns: Vec<(Name, Ipv4Addr)>,
    has_expectations: bool,
    now: Instant,
    journal: Option<Journal>,
    voice: Voice,
    counters_due: Instant,
    received: u64,
}

impl Player {
    fn begin(replay: &Replay, from: Instant) -> Result<Player, ReadError> {
        let config = &replay.setup.config;
        let number = rand::random();
        let session = setup::session(from, number, config).map_err(ReadError::Mvpns)?;
        let start = SessionStart {
            session: number,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            interface: replay.file.clone(),
            probe_port: config.probe_port,
            at_ns: from,
            realtime_minus_monotonic_ns: 0,
        };
        // What the user has collected is not for a reader of captures to throw away.
        let limits = Limits {
            retention: Retention::FOR_EVER,
            ..Limits::default()
        };
        let writer = match &replay.database {
            Some(place) => Some(Writer::open(place, &start, limits)?),
            None => None,
        };
        let mut player = Player {
            session,
            mvpns: config
                .mvpns
                .iter()
                .map(|mvpn| (mvpn.name.clone(), mvpn.group))
                .collect(),
            has_expectations: !config.expected.is_empty(),
            now: from,
            journal: writer.map(|writer| Journal::new(Some(writer), true)),
            voice: replay.voice,
            counters_due: from,
            received: 0,
        };
        player.hand_out()?;
        Ok(player)
    }

    fn handle_packet(&mut self, stamp: Instant, datagram: &[u8]) -> Result<(), ReadError> {
        self.pass(stamp)?;
        self.received += 1;
        self.session
            .handle_packet(stamp, stamp, datagram, Direction::Incoming);
        self.hand_out()
    }

    /// Lets time pass, deadline by deadline, as it does for a live monitor.
    fn pass(&mut self, until: Instant) -> Result<(), ReadError> {
        let silent = self.now + SILENCE;
        while let Some(due) = self.session.next_deadline()
            && due <= until
        {
            let at = due.max(self.now);
            self.step(match at <= silent {
                true => at,
                false => until,
            })?;
        }
        self.now = self.now.max(until);
        if self.now >= self.counters_due {
            self.counters_due = self.now + COUNTERS_EVERY;
            self.put_counters(0);
        }
        Ok(())
    }

    fn step(&mut self, at: Instant) -> Result<(), ReadError> {
        self.now = at;
        // What it has to send is nobody's any more.
        while self.session.poll_transmit(at).is_some() {}
        self.hand_out()
    }

    fn hand_out(&mut self) -> Result<(), ReadError> {
        while let Some(record) = self.session.poll_record() {
            if let (true, Record::Change(change)) = (self.voice.changes, &record) {
                self.say_change(change);
            }
            if let Some(journal) = &self.journal {
                journal.wait_for_room().map_err(ReadError::Results)?;
                journal.record(record);
            }
        }
        while let Some(event) = self.session.poll_event() {
            if let (true, Event::Alarm(_)) = (self.voice.changes, &event) {
                self.say_event(&event);
            }
        }
        while self.session.poll_notice().is_some() {}
        Ok(())
    }

    fn say_change(&self, change: &Change) {
        match self.voice.json {
            true => self.say_event(&Event::Change(Box::new(change.clone()))),
            false => show(&format!(
                "{} {}",
                render::mvpn::moment(utc(change.at)),
                render::mvpn::change(change)
            )),
        }
    }

    fn say_event(&self, event: &Event) {
        show(&match self.voice.json {
            true => json!(event).to_string() + "\n",
            false => format!(
                "{} {}",
                render::mvpn::moment(utc(self.now)),
                render::event(event)
            ),
        });
    }

    fn say_states(&mut self) {
        for (name, group) in self.mvpns.clone() {
            let question = MvpnQuestion {
                name: name.clone(),
                pe: None,
                group: None,
            };
            let heading = format!(
                "{name} ({group}) at {}\n",
                render::mvpn::moment(utc(self.now))
            );
            self.say_answer(&heading, Operation::MvpnShow(question));
        }
        if self.has_expectations {
            self.say_answer("alarms\n", Operation::AlarmList { mvpn: None });
        }
    }

    fn say_answer(&mut self, heading: &str, operation: Operation) {
        let Outcome::Ok(answer) = self.ask(operation) else {
            return; // it names an MVPN that is watched, or nothing
        };
        show(&match self.voice.json {
            true => json!(answer).to_string() + "\n",
            false => format!("{heading}{}\n", render::answer(&answer)),
        });
    }

    fn ask(&mut self, operation: Operation) -> Outcome {
        let request = Request { id: 0, operation };
        self.session.handle_request(self.now, request).outcome
    }

    fn put_counters(&mut self, drops: u64) {
        if let Some(journal) = &mut self.journal {
            journal.counters(Counters {
                at_ns: self.now,
                capture_received: self.received,
                capture_drops: drops,
                transmit_errors: 0,
                record_drops: 0,
            });
        }
    }

    /// Stops watching: what was said is not known to hold after the capture's end.
    fn end(mut self, drops: u64) -> Result<(), ReadError> {
        self.voice.changes = false;
        self.put_counters(drops);
        self.ask(Operation::Shutdown);
        while !self.session.is_finished() {
            self.step(self.now)?;
        }
        let lost = match self.ask(Operation::Status) {
            Outcome::Ok(Answer::Status(status)) => status.record_drops,
            Outcome::Ok(_) | Outcome::Error(_) => 0,
        };
        if lost > 0 {
            let problem = format!("{lost} changes came at once, more than there is room for");
            return Err(ReadError::Results(problem));
        }
        match self.journal {
            Some(journal) => journal.finish_all(self.now, 0).map_err(ReadError::Results),
            None => Ok(()),
        }
    }
}
