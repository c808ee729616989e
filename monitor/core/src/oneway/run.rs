//! One run of a one-way measurement, from its start until its last probe is decided.
//!
//! ```text
//! start ── waiting for its leaves ── probing (warm-up, then counted) ── draining ── over
//! ```
//!
//! Nothing is sent before every leaf is there. A block of probes counts once it is known at every leaf which of them
//! arrived; one of which that will never be known is discarded and named.

mod rows;
mod sending;
mod settling;

use rand::Rng;

use super::counter::Counter;
use super::delay::Loops;
use super::estimates::Estimates;
use super::leaf::{Asking, Leaf};
use super::link::{Link, Role, SILENCE_MAX, Terms};
use super::report::{OnewayRow, OnewayState, OnewayStatus};
use super::spec::{AgentSpec, LeafSpec, OnewaySpec};
use super::tally::Tally;
use super::window::Window;
use super::{AgentFailure, AgentOutcome, PeerOutcome};
use crate::counters::Export;
use crate::fault::{Fault, Planted};
use crate::inference::{Confidence, Stopping, Verdict};
use crate::name::Name;
use crate::packet::INNER_HEADERS_BYTES;
use crate::schedule::Timetable;
use crate::task::Probe;
use crate::time::{Instant, Span};

/// How far the run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// For its leaves.
    Waiting,
    /// Counted from `epoch` on, until `end` if that is known.
    Probing {
        epoch: Instant,
        end: Option<Instant>,
    },
    /// No longer sending since then.
    Draining {
        epoch: Instant,
        stopped: Instant,
    },
    Over,
}

/// What a run has to say.
#[derive(Debug)]
pub(crate) enum Output {
    /// Somebody is to be asked for a leaf; for none: said farewell to, and nobody waits for the answer.
    Ask { leaf: Option<usize>, asking: Asking },
    /// There is a row.
    Row,
    /// It is over: groups are left.
    Over,
}

/// What a run sees of the monitor.
pub(crate) trait Sight {
    /// Packets dropped by the capture, as it was said from `start` until `end`.
    fn capture_drops(&self, start: Instant, end: Instant) -> u64;
    /// What the fastest packet up a tunnel took of late at most: a ping's round trip, or what the router's clock says.
    fn least_up_ns(&self, tunnel: u32) -> Option<i64>;
    /// The same back.
    fn least_down_ns(&self, tunnel: u32) -> Option<i64>;
    /// How far a peer's wall clock may be from ours.
    fn clock_error(&self, peer: &Name) -> Option<Span>;
    /// Our wall clock less our monotonic clock.
    fn realtime_minus_monotonic_ns(&self) -> Option<i64>;
}

/// A probe that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) probe: Probe,
    /// The UDP port that it comes from, where that matters.
    pub(crate) source_port: Option<u16>,
}

/// What a run is made with.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) id: u32,
    pub(crate) up: u32,
    pub(crate) downs: Vec<u32>,
    /// Source of its probes.
    pub(crate) source: std::net::Ipv4Addr,
    /// Who reads the counter of a router's leaf.
    pub(crate) agent: Option<AgentSpec>,
    pub(crate) session: u32,
    pub(crate) probe_port: u16,
    pub(crate) first_seq: u32,
    pub(crate) confidence: Confidence,
    pub(crate) fault: Planted,
}

/// One run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: u32,
    pub(crate) spec: OnewaySpec,
    pub(crate) up: u32,
    pub(crate) downs: Vec<u32>,
    state: OnewayState,
    phase: Phase,
    started: Instant,
    leaves: Vec<Leaf>,
    timetable: Option<Timetable>,
    /// No probe before then: the budget has no room.
    put_off: Instant,
    window: Window,
    probes_sent: u64,
    /// Of these, not warm-up.
    counted: u64,
    tally: Tally,
    /// The oldest block that is open.
    next_block: u64,
    /// It waits for answers, but not longer.
    waits_until: Option<Instant>,
    /// How long it waits for them.
    patience: Span,
    stopping: Option<Stopping>,
    confidence: Confidence,
    next_row: Option<Instant>,
    estimates: Option<Estimates>,
    row: Option<OnewayRow>,
    refused: Option<String>,
    loops: Loops,
    fault: Planted,
}

impl Run {
    pub(crate) fn start(spec: OnewaySpec, setting: Setting, now: Instant) -> Run {
        let terms = terms(&spec, &setting);
        let leaf = |(index, leaf)| {
            let name = Name::new(format!("{:08x}-{}-{index}", setting.session, setting.id)).ok()?;
            Leaf::new(leaf, name, setting.agent.as_ref(), &terms, now)
        };
        Run {
            id: setting.id,
            up: setting.up,
            state: OnewayState::Probing,
            phase: Phase::Waiting,
            started: now,
            leaves: spec.leaf.iter().enumerate().filter_map(leaf).collect(),
            timetable: None,
            put_off: Instant::ZERO,
            window: Window::new(setting.first_seq),
            probes_sent: 0,
            counted: 0,
            tally: Tally::new(&spec),
            next_block: 0,
            waits_until: None,
            patience: SILENCE_MAX,
            stopping: rows::stopping(&spec),
            confidence: setting.confidence,
            next_row: None,
            estimates: None,
            row: None,
            refused: None,
            loops: Loops::new(spec.window),
            fault: setting.fault,
            downs: setting.downs,
            spec,
        }
    }

    /// Whether the run is over.
    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Whether the tunnel is part of it.
    pub(crate) fn uses(&self, tunnel: u32) -> bool {
        !self.is_over() && (self.up == tunnel || self.downs.contains(&tunnel))
    }

    /// The latest row.
    pub(crate) fn row(&self) -> Option<&OnewayRow> {
        self.row.as_ref()
    }

    /// What the latest row was made of.
    pub(crate) fn estimates(&self) -> Option<&Estimates> {
        self.estimates.as_ref()
    }

    /// Sources of what is to come back over the ways down, beside the probes' own: those of reflectors.
    pub(crate) fn reflected_sources(&self) -> impl Iterator<Item = std::net::Ipv4Addr> {
        self.links().filter_map(|link| link.source)
    }

    /// Whether a counter of this agent's is a leaf.
    pub(crate) fn reads(&self, agent: &Name) -> bool {
        !self.is_over() && self.counters().any(|counter| counter.agent == *agent)
    }

    fn links(&self) -> impl Iterator<Item = &Link> {
        self.leaves.iter().filter_map(Leaf::peer)
    }

    fn counters(&self) -> impl Iterator<Item = &Counter> {
        self.leaves.iter().filter_map(Leaf::counter)
    }

    fn counters_mut(&mut self) -> impl Iterator<Item = &mut Counter> {
        self.leaves.iter_mut().filter_map(Leaf::counter_mut)
    }

    /// The run as it is now.
    pub(crate) fn status(&self) -> OnewayStatus {
        let waiting = (self.phase == Phase::Waiting).then(|| {
            let missing = self.leaves.iter().filter(|leaf| !leaf.is_ready());
            let missing: Vec<&str> = missing.map(|leaf| leaf.who().as_str()).collect();
            format!("nothing is sent yet: waiting for {}", missing.join(", "))
        });
        let failures = self.leaves.iter().filter_map(Leaf::failure).cloned();
        OnewayStatus {
            spec: self.spec.clone(),
            run: self.id,
            state: self.state,
            started_ns: self.started,
            probes_sent: self.probes_sent,
            row: self.row.clone(),
            refused: self.refused.clone(),
            unsure: waiting
                .into_iter()
                .chain(failures)
                .chain(self.tally.discards().sentences())
                .collect(),
        }
    }

    /// The capture saw a probe leave.
    pub(crate) fn handle_sent(&mut self, tunnel: u32, seq: u32, stamp: Instant) {
        if tunnel == self.up {
            self.window.handle_sent(seq, stamp);
        }
    }

    /// A probe could not be sent.
    pub(crate) fn handle_unsent(&mut self, seq: u32) {
        self.window.handle_unsent(seq);
        if let Some(number) = self.window.extend(seq) {
            self.counters_mut()
                .for_each(|counter| counter.handle_unsent(number));
        }
    }

    /// A copy came down a tunnel, from the router or, `reflected`, from the peer that sent it again.
    pub(crate) fn handle_copy(
        &mut self,
        (sender, receiver): (u32, u32),
        seq: u32,
        stamp: Instant,
        is_reflected: bool,
    ) {
        let Some(down) = self.downs.iter().position(|id| *id == receiver) else {
            return;
        };
        let reflects = self.links().any(|link| link.role == Role::Reflects);
        if sender != self.up || (is_reflected && !reflects) {
            return;
        }
        let timeout = self.spec.probes.loss_timeout;
        let leaf = match is_reflected {
            // The only leaf, behind all ways down.
            true => self.downs.len(),
            false => down,
        };
        let delay = self.window.handle_copy(leaf, seq, stamp, timeout);
        if let Some(delay) = delay.filter(|_| !is_reflected) {
            self.loops.note(stamp, down, delay);
        }
        if is_reflected && self.fault.is(Fault::ReflectedAsDirect) {
            self.window.handle_copy(down, seq, stamp, timeout);
        }
    }

    /// A leaf's peer answered what was asked at `asked`, or did not.
    pub(crate) fn handle_reply(
        &mut self,
        now: Instant,
        leaf: usize,
        asked: Instant,
        outcome: PeerOutcome,
    ) {
        self.waits_until = None;
        let Some(link) = self.leaves.get_mut(leaf).and_then(Leaf::peer_mut) else {
            return;
        };
        let ranges = link.handle(now, asked, outcome);
        let ours = ranges
            .iter()
            .filter(|range| (range.task, range.tunnel) == (self.id, self.up));
        for range in ours {
            self.window
                .handle_range(self.downs.len() + leaf, range.first, range.last);
        }
    }

    /// A leaf's agent answered, or did not.
    pub(crate) fn handle_reading(&mut self, now: Instant, leaf: usize, outcome: AgentOutcome) {
        if let Some(counter) = self.leaves.get_mut(leaf).and_then(Leaf::counter_mut) {
            counter.handle_answer(now, outcome);
        }
    }

    /// An exporter sent flows, or what cannot be read.
    pub(crate) fn handle_export(
        &mut self,
        now: Instant,
        agent: &Name,
        export: Result<&Export, &AgentFailure>,
    ) {
        let of_agent = |counter: &&mut Counter| counter.agent == *agent;
        self.counters_mut()
            .filter(of_agent)
            .for_each(|counter| counter.handle_export(now, export));
    }

    /// When something is to be done.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let refused = self.leaves.iter().any(|leaf| leaf.refused().is_some());
        if !self.is_over() && (refused || self.may_begin() || self.is_drained()) {
            return Some(Instant::ZERO);
        }
        let leaves = self.leaves.iter().filter_map(Leaf::next_deadline);
        let own = match self.phase {
            Phase::Waiting => [None, None, None],
            Phase::Probing { end, .. } => [self.next_probe(), end, self.settles_next()],
            Phase::Draining { .. } => [self.settles_next(), None, None],
            Phase::Over => return None,
        };
        leaves.chain(own.into_iter().flatten()).min()
    }

    /// Does everything that time alone brings about.
    pub(crate) fn advance(
        &mut self,
        now: Instant,
        sight: &impl Sight,
        rng: &mut impl Rng,
        out: &mut Vec<Output>,
    ) {
        if self.is_over() {
            return;
        }
        self.begin_if_ready(now, rng);
        let first = self.next_block;
        while let Some(settled) = self.settles_at(self.next_block).filter(|at| *at <= now) {
            if !self.close_next(now, settled, sight) {
                break;
            }
        }
        if self.next_block > first {
            self.look_at_counters();
        }
        self.look(now, sight, out);
        self.ask(now, out);
        let refused = self.leaves.iter().find_map(Leaf::refused).cloned();
        if let Some(refused) = refused {
            self.refused = Some(refused);
            self.state = OnewayState::Failed;
            self.end(out);
        } else if self.is_drained() {
            self.finish(sight, out);
        }
    }

    fn may_begin(&self) -> bool {
        self.phase == Phase::Waiting && self.leaves.iter().all(Leaf::is_ready)
    }

    /// Everybody is there: probes from now on, counted after the warm-up.
    fn begin_if_ready(&mut self, now: Instant, rng: &mut impl Rng) {
        if !self.may_begin() {
            return;
        }
        let probes = &self.spec.probes;
        // A leaf is trusted once its join has had the same time.
        let epoch = now + probes.warmup;
        self.timetable = Some(Timetable::new(probes.schedule, probes.rate, now, 0, 1, rng));
        let end = probes.duration.map(|duration| epoch + duration);
        self.next_row = Some(epoch + probes.interval);
        self.counters_mut().for_each(|counter| counter.begin(epoch));
        self.phase = Phase::Probing { epoch, end };
    }

    fn ask(&mut self, now: Instant, out: &mut Vec<Output>) {
        for (index, leaf) in self.leaves.iter_mut().enumerate() {
            if let Some(asking) = leaf.poll(now) {
                let leaf = Some(index);
                out.push(Output::Ask { leaf, asking });
            }
        }
    }

    fn is_drained(&self) -> bool {
        matches!(self.phase, Phase::Draining { .. })
            && self.bounds(self.next_block).is_none()
            && self.leaves.iter().all(Leaf::is_settled)
    }

    /// Everything is decided.
    fn finish(&mut self, sight: &impl Sight, out: &mut Vec<Output>) {
        self.infer(sight, out);
        let sent = self.tally.sent();
        let looked = self
            .stopping
            .map_or(sent, |stopping| sent.max(stopping.next_look()));
        self.state = match (self.state, self.row.is_some()) {
            (OnewayState::Stopped, _) => OnewayState::Stopped,
            (_, false) => OnewayState::Failed,
            (OnewayState::Narrow, true) => OnewayState::Narrow,
            (_, true) if self.verdict(looked) == Verdict::Narrow => OnewayState::Narrow,
            (_, true) => OnewayState::Spent,
        };
        self.end(out);
    }

    fn end(&mut self, out: &mut Vec<Output>) {
        self.phase = Phase::Over;
        let farewells = self.leaves.iter().filter_map(Leaf::farewell);
        out.extend(farewells.map(|asking| Output::Ask { leaf: None, asking }));
        out.push(Output::Over);
    }
}

/// Copies of a probe that come back to this monitor: down each way, and from a peer that sends it again.
pub(crate) fn copies_back(spec: &OnewaySpec) -> usize {
    let reflects = |leaf: &&LeafSpec| matches!(leaf, LeafSpec::Reflector { .. });
    spec.down.len() + spec.leaf.iter().filter(reflects).count()
}

fn terms(spec: &OnewaySpec, setting: &Setting) -> Terms {
    // What is sent again may come in bunches, and twice: four times the rate is no loop yet.
    const RATE_LEAST_MILLIPPS: u64 = 100_000;
    let rate_max = spec
        .probes
        .rate
        .as_millipps()
        .saturating_mul(4)
        .max(RATE_LEAST_MILLIPPS);
    Terms {
        session: setting.session,
        probe_port: setting.probe_port,
        group: spec.group,
        sender: setting.source,
        source: spec.source_specific.then_some(setting.source),
        datagram_bytes: INNER_HEADERS_BYTES + u64::from(spec.probes.payload_bytes),
        loss_timeout: spec.probes.loss_timeout,
        rate_max: crate::time::Rate::from_millipps(rate_max)
            .min(super::reflector::REFLECTED_RATE_MAX),
        warmup: spec.probes.warmup,
        fault: setting.fault,
    }
}
