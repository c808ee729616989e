//! The monitor: everything it knows, behind a boundary without I/O.
//!
//! A driver hands in what happens (`handle_*`) and takes what is to be done (`poll_*`),
//! each time saying what time it is:
//!
//! ```text
//! loop {
//!     while let Some(t) = session.poll_transmit(now) { send(t) }     // due now, or never again
//!     while let Some(r) = session.poll_record() { store(r) }
//!     while let Some(e) = session.poll_event() { publish(e) }
//!     if let Some(f) = session.poll_filter() { set_capture_filter(f) }
//!     wait until session.next_deadline(), a captured packet, or a request
//! }
//! ```
//!
//! Captured packets come from both directions: our own, seen leaving, give the send time.
//! All stamps are on the same clock as `now`.

mod agenda;
mod alarms;
mod around;
mod budget;
mod drops;
mod ending;
mod helping;
mod load;
mod mvpn;
mod oneway;
mod packets;
mod reporting;
mod requests;
mod tasks;
mod transmit;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::alarm::Alarms;
use crate::budget::{Budget, Spare};
use crate::control::Event;
use crate::fault::{Fault, Planted};
use crate::filter::{self, FilterInput};
use crate::membership::Wanted;
use crate::name::Name;
use crate::numbered::Numbered;
use crate::oneway::Oneway;
use crate::passive::Passive;
use crate::report::{Overhead, Record};
use crate::shard::ShardStatus;
use crate::spec::{MvpnSpec, PROBE_PORT};
use crate::task::{Output, Task};
use crate::template::Templates;
use crate::time::Instant;
use crate::tunnel::Tunnels;
use crate::view::View;
use agenda::Agenda;
use around::Around;
use drops::DropLog;
use ending::Ending;
use reporting::Reporting;

pub use transmit::{Purpose, Transmit};

/// Records that wait for the driver at most; beyond, the oldest is dropped and counted.
const RECORDS_MAX: usize = 1 << 18;
/// Events that wait for the driver at most, and rows in them; beyond, the oldest is dropped and counted.
const EVENTS_MAX: usize = 4_096;
const EVENT_ROWS_MAX: usize = 65_536;

/// What a session is made with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Random number of this run of the monitor: probes of another run are not ours.
    pub session: u32,
    /// Seed of everything random here: report delays, Poisson gaps.
    pub seed: u64,
    /// UDP port of probes.
    pub probe_port: u16,
    /// Version of the monitor, for `hello`.
    pub version: String,
    /// Sequence number of the first probe of every sender. Other than 0 only to test wrapping.
    pub first_seq: u32,
    /// Whether the fate of every single probe is handed out as a record: much, where many come back.
    pub logs_probes: bool,
    /// Its part of a configuration that several monitors share.
    pub shard: Option<ShardStatus>,
    /// A deliberate defect, in a build made for it.
    pub fault: Planted,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            session: 1,
            seed: 0,
            probe_port: PROBE_PORT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            first_seq: 0,
            logs_probes: true,
            shard: None,
            fault: Planted::NONE,
        }
    }
}

/// Which way a captured packet went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the monitor.
    Incoming,
    /// From it.
    Outgoing,
}

/// What the driver knows of its capture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaptureStatus {
    /// How packets are captured, for people.
    pub mode: String,
    /// Packets captured since the start.
    pub received: u64,
    /// Packets dropped for want of room since the start.
    pub drops: u64,
}

/// An MVPN and which of its PEs are taken out.
#[derive(Debug)]
struct Mvpn {
    spec: MvpnSpec,
    /// The task's run, while there is one.
    run: Option<u32>,
    taken_out: Vec<Name>,
    /// What its control plane says, if it is watched.
    view: Option<View>,
}

/// The monitor.
#[derive(Debug)]
pub struct Session {
    options: Options,
    rng: ChaCha8Rng,
    started: Instant,
    tunnels: Tunnels,
    tasks: Numbered<Task>,
    agenda: Agenda,
    /// The latest run of each name.
    task_names: BTreeMap<Name, u32>,
    next_task: u32,
    mvpns: BTreeMap<Name, Mvpn>,
    alarms: Alarms,
    passives: BTreeMap<Name, Passive>,
    oneway: Oneway,
    /// Which MVPN is listened to, by tunnel and default MDT.
    watches: BTreeMap<(u32, Ipv4Addr), Name>,
    /// Costs of dropped tunnels, and of packets that belong to none.
    overhead: Overhead,
    budget: Budget,
    /// What other monitors' probes may take of it.
    spare: Spare,
    capture: CaptureStatus,
    drops: DropLog,
    transmit_errors: u64,
    record_drops: u64,
    /// Packets to send before anything else.
    waiting: VecDeque<Transmit>,
    templates: Templates,
    records: VecDeque<Record>,
    events: VecDeque<Event>,
    event_rows: usize,
    event_drops: u64,
    filter: String,
    /// What the filter depends on has changed.
    filter_stale: bool,
    filter_changed: bool,
    /// Up to when repetitions are reported.
    repeated_from: Instant,
    /// Start of the time that the next ping and stream reports cover.
    report_from: Instant,
    /// The reports that are being made.
    reporting: Option<Reporting>,
    ending: Ending,
    /// Source and group of the customer packet seen last: for a planted fault only.
    last_customer: Option<(Ipv4Addr, Ipv4Addr)>,
}

impl Session {
    /// A monitor without tunnels.
    pub fn new(now: Instant, options: Options) -> Session {
        let mut session = Session {
            rng: ChaCha8Rng::seed_from_u64(options.seed),
            started: now,
            tunnels: Tunnels::new(options.fault),
            tasks: Numbered::new(),
            agenda: Agenda::default(),
            task_names: BTreeMap::new(),
            next_task: 1,
            mvpns: BTreeMap::new(),
            alarms: Alarms::default(),
            passives: BTreeMap::new(),
            oneway: Oneway::default(),
            watches: BTreeMap::new(),
            overhead: Overhead::default(),
            budget: Budget::default(),
            spare: Spare::default(),
            capture: CaptureStatus::default(),
            drops: DropLog::default(),
            transmit_errors: 0,
            record_drops: 0,
            waiting: VecDeque::new(),
            templates: Templates::default(),
            records: VecDeque::new(),
            events: VecDeque::new(),
            event_rows: 0,
            event_drops: 0,
            filter: String::new(),
            filter_stale: true,
            filter_changed: false,
            repeated_from: now,
            report_from: now,
            reporting: None,
            ending: Ending::No,
            last_customer: None,
            options,
        };
        session.follow_filter();
        session
    }

    /// What the capture says of itself. Drops make results of their time doubtful, so say it often.
    pub fn handle_capture_status(&mut self, now: Instant, status: CaptureStatus) {
        self.drops.note(now, status.drops);
        self.capture = status;
    }

    /// A packet that [`Session::poll_transmit`] handed out could not be sent.
    pub fn handle_transmit_failed(&mut self, purpose: Purpose) {
        self.transmit_errors += 1;
        match purpose {
            Purpose::Probe { task, sender, seq } => {
                if let Some(task) = self.tasks.get_mut(task) {
                    task.handle_unsent(sender, seq);
                } else if let Some(run) = self.oneway.runs.get_mut(&task) {
                    run.handle_unsent(seq);
                }
            }
            Purpose::Ping { tunnel, seq } => {
                if let Some(tunnel) = self.tunnels.get_mut(tunnel) {
                    tunnel.pinger.handle_unsent(seq);
                }
            }
            Purpose::RouterClock { tunnel, seq } => {
                let tunnel = self.tunnels.get_mut(tunnel);
                if let Some(clock) = tunnel.and_then(|t| t.pinger.clock.as_mut()) {
                    clock.handle_unsent(seq);
                }
            }
            Purpose::Reflection { number } => self.oneway.reflector.handle_unsent(number),
            // Reports are repeated anyway (RFC 3376 §5.1).
            Purpose::Igmp { .. } | Purpose::Disguised => {}
        }
    }

    /// The next thing to be written down.
    pub fn poll_record(&mut self) -> Option<Record> {
        self.records.pop_front()
    }

    /// The next thing to be told to subscribers.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.event_rows -= event.rows();
        Some(event)
    }

    /// The capture filter, if it has changed since this was asked last.
    pub fn poll_filter(&mut self) -> Option<String> {
        std::mem::take(&mut self.filter_changed).then(|| self.filter.clone())
    }

    /// The capture filter in force.
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// Which fault is planted.
    pub fn fault(&self) -> Planted {
        self.options.fault
    }

    /// Whether a shutdown is complete: groups left, results out.
    pub fn is_finished(&self) -> bool {
        self.ending == Ending::Done
    }

    /// When [`Session::poll_transmit`] has something to do, if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        if !self.waiting.is_empty() {
            return Some(Instant::ZERO);
        }
        if matches!(self.ending, Ending::Leaving) {
            return self.agenda.report_held_until().or(Some(Instant::ZERO));
        }
        [self.agenda.first(), self.alarms.next_deadline()]
            .into_iter()
            .flatten()
            .chain(self.oneway_due())
            .chain([self.reports_due()])
            .min()
    }

    /// Does everything that time alone brings about.
    fn advance(&mut self, now: Instant) {
        self.advance_tasks(now);
        self.advance_oneway(now);
        self.advance_watches(now);
        self.advance_alarms(now);
        if now >= self.reports_due() {
            self.report(now);
        }
        self.advance_ending(now);
        self.follow_filter();
    }

    fn advance_tasks(&mut self, now: Instant) {
        while let Some(id) = self.agenda.tasks.poll(now) {
            self.advance_task(now, id);
        }
    }

    fn advance_task(&mut self, now: Instant, id: u32) {
        self.bring_about(now, id);
        self.reschedule_task(id);
    }

    /// What time alone brings about in a task; it has to be scheduled anew behind this.
    fn bring_about(&mut self, now: Instant, id: u32) {
        let mut out = Vec::new();
        let tasks = self.tasks.len();
        if let Some(task) = self.tasks.get_mut(id) {
            let around = Around {
                tunnels: &self.tunnels,
                tasks,
                logs_probes: self.options.logs_probes,
                drops: &self.drops,
                known: &self.oneway.known,
                now,
            };
            task.advance(now, &around, &mut out);
        }
        for output in out {
            self.handle_output(now, id, output);
        }
    }

    fn around(&self, now: Instant) -> Around<'_> {
        Around {
            tunnels: &self.tunnels,
            tasks: self.tasks.len(),
            logs_probes: self.options.logs_probes,
            drops: &self.drops,
            known: &self.oneway.known,
            now,
        }
    }

    fn handle_output(&mut self, now: Instant, id: u32, output: Output) {
        match output {
            Output::Probe(record) => self.record(now, Record::Probe(record)),
            Output::Interval { interval, rows } => {
                for row in &rows {
                    self.record(now, Record::Interval(Box::new(row.clone())));
                }
                if let Some(task) = self.tasks.get(id) {
                    let task = task.spec.name.clone();
                    self.event(Event::Interval {
                        task,
                        interval,
                        rows,
                    });
                }
            }
            Output::Changed => self.task_changed(now, id),
            Output::Finished => {
                self.templates.forget(id);
                self.task_finished(now, id);
            }
        }
    }

    /// Says what an owner wants of a group over a tunnel.
    fn set_membership(
        &mut self,
        now: Instant,
        tunnel: u32,
        owner: crate::membership::Owner,
        group: Ipv4Addr,
        wanted: Wanted,
    ) {
        if let Some(tunnel) = self.tunnels.get_mut(tunnel) {
            tunnel.set_membership(now, owner, group, wanted);
        }
        self.reschedule_tunnel(tunnel);
    }

    /// The filter will be another; it is looked up once, when all that was asked for is done.
    fn update_filter(&mut self) {
        self.filter_stale = true;
    }

    fn follow_filter(&mut self) {
        if !std::mem::take(&mut self.filter_stale) {
            return;
        }
        let fault = self.options.fault;
        let filter = filter::render(&FilterInput {
            tunnels: self.tunnels.iter().map(|t| &t.spec).collect(),
            passive: self.passives.values().map(|p| &p.spec).collect(),
            watched: self.watched(),
            probe_port: self.options.probe_port,
            customers_anyway: fault.is(Fault::CustomerPacketsCounted)
                || fault.is(Fault::ProbeAsCustomer),
        });
        if filter != self.filter {
            self.filter.clone_from(&filter);
            self.filter_changed = true;
            self.event(Event::Filter { filter });
        }
    }

    fn record(&mut self, now: Instant, record: Record) {
        self.alarms.handle_outcome(now, &record);
        if self.records.len() >= RECORDS_MAX {
            self.records.pop_front();
            self.record_drops += 1;
        }
        self.records.push_back(record);
    }

    fn event(&mut self, event: Event) {
        self.event_rows += event.rows();
        self.events.push_back(event);
        while self.events.len() > EVENTS_MAX || self.event_rows > EVENT_ROWS_MAX {
            self.event_drops += u64::from(self.poll_event().is_some());
        }
    }
}
