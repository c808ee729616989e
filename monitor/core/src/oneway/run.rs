//! One run of a one-way measurement, from its start until its last probe is decided.
//!
//! ```text
//! start ── waiting for its leaves ── probing (warm-up, then counted) ── draining ── over
//! ```
//!
//! Nothing is sent before every leaf is there. A block of probes counts once it is known at every leaf which of them
//! arrived; one of which that will never be known is discarded and named.

mod rows;
mod settling;

use rand::Rng;

use super::blocks::Blocks;
use super::delay::Loops;
use super::estimates::Estimates;
use super::link::{Link, Role, SILENCE_MAX, Terms};
use super::report::{OnewayRow, OnewayState, OnewayStatus};
use super::spec::{LeafSpec, OnewaySpec};
use super::why::Discards;
use super::window::Window;
use crate::control::{Answer, Operation};
use crate::fault::{Fault, Planted};
use crate::inference::{Confidence, Stopping, Verdict};
use crate::name::Name;
use crate::oneway::PeerFailure;
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
    /// A leaf's peer is to be asked; whoever answers nobody is said farewell to.
    Ask {
        leaf: Option<usize>,
        peer: Name,
        operation: Box<Operation>,
    },
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

/// What a run is made with.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) id: u32,
    pub(crate) up: u32,
    pub(crate) downs: Vec<u32>,
    /// Source of its probes.
    pub(crate) source: std::net::Ipv4Addr,
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
    links: Vec<Link>,
    timetable: Option<Timetable>,
    /// No probe before then: the budget has no room.
    put_off: Instant,
    window: Window,
    probes_sent: u64,
    /// Of these, not warm-up.
    counted: u64,
    blocks: Blocks,
    /// The oldest block that is open.
    next_block: u64,
    /// It waits for answers, but not longer.
    waits_until: Option<Instant>,
    /// How long it waits for them.
    patience: Span,
    discards: Discards,
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
        let link = |(index, leaf)| {
            let name = Name::new(format!("{:08x}-{}-{index}", setting.session, setting.id)).ok()?;
            Link::new(leaf, name, terms.clone(), now)
        };
        Run {
            id: setting.id,
            up: setting.up,
            state: OnewayState::Probing,
            phase: Phase::Waiting,
            started: now,
            links: spec.leaf.iter().enumerate().filter_map(link).collect(),
            timetable: None,
            put_off: Instant::ZERO,
            window: Window::new(setting.first_seq),
            probes_sent: 0,
            counted: 0,
            blocks: Blocks::new(spec.window.map(|window| whole_blocks(window, spec.block))),
            next_block: 0,
            waits_until: None,
            patience: SILENCE_MAX,
            discards: Discards::default(),
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
        self.links.iter().filter_map(|link| link.source)
    }

    /// The run as it is now.
    pub(crate) fn status(&self) -> OnewayStatus {
        let waiting = (self.phase == Phase::Waiting).then(|| {
            let missing: Vec<&str> = self
                .links
                .iter()
                .filter(|link| !link.is_ready())
                .map(|link| link.peer.as_str())
                .collect();
            format!("nothing is sent yet: waiting for {}", missing.join(", "))
        });
        let failures = self.links.iter().filter_map(|link| link.failure.clone());
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
                .chain(self.discards.sentences())
                .collect(),
        }
    }

    /// Whether it sends, or will.
    pub(crate) fn is_sending(&self) -> bool {
        matches!(self.phase, Phase::Waiting | Phase::Probing { .. })
    }

    /// The probe that is due now, if one is: the tunnel it goes into, when it was, and how many copies it brings back.
    pub(crate) fn peek_probe(&self, now: Instant) -> Option<(u32, Instant, usize)> {
        let Phase::Probing { epoch, end } = self.phase else {
            return None;
        };
        let most = self.spec.probes.count.filter(|_| now >= epoch);
        let is_done =
            end.is_some_and(|end| end <= now) || most.is_some_and(|most| self.counted >= most);
        let is_due = !is_done && self.next_probe()? <= now;
        let due = self.timetable.as_ref()?.next();
        is_due.then(|| (self.up, due, copies_back(&self.spec)))
    }

    /// The probe that is due first is put off until then.
    pub(crate) fn put_off_probe(&mut self, at: Instant) {
        self.put_off = at;
    }

    /// The probe that is due first is not sent at all: it has no number, and is not lost.
    pub(crate) fn shed_probe(&mut self, now: Instant, rng: &mut impl Rng) {
        if let Some(timetable) = &mut self.timetable {
            timetable.advance(now, rng);
        }
    }

    fn next_probe(&self) -> Option<Instant> {
        let due = self.timetable.as_ref().map(Timetable::next)?;
        Some(due.max(self.put_off))
    }

    /// The next probe, if one is due. Sending ends here when the count or time is reached.
    pub(crate) fn poll_probe(&mut self, now: Instant, rng: &mut impl Rng) -> Option<Probe> {
        loop {
            let Phase::Probing { epoch, end } = self.phase else {
                return None;
            };
            if let Some(end) = end.filter(|end| *end <= now) {
                self.stop_sending(end);
                return None;
            }
            if self.next_probe()? > now {
                return None;
            }
            let warmup = now < epoch;
            if !warmup
                && self
                    .spec
                    .probes
                    .count
                    .is_some_and(|count| self.counted >= count)
            {
                self.stop_sending(now);
                return None;
            }
            self.timetable.as_mut()?.advance(now, rng);
            // Too many are open: this one is not sent.
            let Some(seq) = self.window.send(now, warmup) else {
                continue;
            };
            self.counted += u64::from(!warmup);
            self.probes_sent += 1;
            return Some(Probe {
                tunnel: self.up,
                seq,
                warmup,
            });
        }
    }

    fn stop_sending(&mut self, stopped: Instant) {
        match self.phase {
            Phase::Waiting => {
                self.phase = Phase::Draining {
                    epoch: stopped,
                    stopped,
                }
            }
            Phase::Probing { epoch, .. } => self.phase = Phase::Draining { epoch, stopped },
            Phase::Draining { .. } | Phase::Over => {}
        }
    }

    /// Ends it for whoever asked for that.
    pub(crate) fn stop(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Waiting | Phase::Probing { .. }) {
            self.state = OnewayState::Stopped;
            self.stop_sending(now);
        }
    }

    /// Ends it for a monitor that ends: nobody who is silent is waited for.
    pub(crate) fn hasten(&mut self, now: Instant) {
        self.stop(now);
        self.patience = Span::from_s(1);
        self.waits_until = None;
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
        let reflects = self.links.iter().any(|link| link.role == Role::Reflects);
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
        outcome: Result<Answer, PeerFailure>,
    ) {
        self.waits_until = None;
        let Some(link) = self.links.get_mut(leaf) else {
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

    /// When something is to be done.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let refused = self.links.iter().any(|link| link.refused.is_some());
        if !self.is_over() && (refused || self.may_begin() || self.is_drained()) {
            return Some(Instant::ZERO);
        }
        let links = self.links.iter().filter_map(Link::next_deadline);
        let own = match self.phase {
            Phase::Waiting => [None, None, None],
            Phase::Probing { end, .. } => [self.next_probe(), end, self.settles_next()],
            Phase::Draining { .. } => [self.settles_next(), None, None],
            Phase::Over => return None,
        };
        links.chain(own.into_iter().flatten()).min()
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
        while let Some(settled) = self.settles_at(self.next_block).filter(|at| *at <= now) {
            if !self.close_next(now, settled, sight) {
                break;
            }
        }
        self.look(now, sight, out);
        self.ask(now, out);
        if let Some(refused) = self.links.iter().find_map(|link| link.refused.clone()) {
            self.refused = Some(refused);
            self.state = OnewayState::Failed;
            self.end(out);
        } else if self.is_drained() {
            self.finish(sight, out);
        }
    }

    fn may_begin(&self) -> bool {
        self.phase == Phase::Waiting && self.links.iter().all(Link::is_ready)
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
        self.phase = Phase::Probing { epoch, end };
    }

    fn ask(&mut self, now: Instant, out: &mut Vec<Output>) {
        for (index, link) in self.links.iter_mut().enumerate() {
            if let Some(operation) = link.poll(now).map(Box::new) {
                let peer = link.peer.clone();
                out.push(Output::Ask {
                    leaf: Some(index),
                    peer,
                    operation,
                });
            }
        }
    }

    fn is_drained(&self) -> bool {
        matches!(self.phase, Phase::Draining { .. }) && self.bounds(self.next_block).is_none()
    }

    /// Everything is decided.
    fn finish(&mut self, sight: &impl Sight, out: &mut Vec<Output>) {
        self.infer(sight, out);
        let sent = self.blocks.sent();
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
        for link in &self.links {
            out.push(Output::Ask {
                leaf: None,
                peer: link.peer.clone(),
                operation: Box::new(link.farewell()),
            });
        }
        out.push(Output::Over);
    }
}

/// Copies of a probe that come back to this monitor: down each way, and from a peer that sends it again.
pub(crate) fn copies_back(spec: &OnewaySpec) -> usize {
    let reflects = |leaf: &&LeafSpec| matches!(leaf, LeafSpec::Reflector { .. });
    spec.down.len() + spec.leaf.iter().filter(reflects).count()
}

fn whole_blocks(window: Span, block: Span) -> u64 {
    window.as_ns().div_ceil(block.as_ns().max(1)).max(1)
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
        source: spec.source_specific.then_some(setting.source),
        loss_timeout: spec.probes.loss_timeout,
        rate_max: crate::time::Rate::from_millipps(rate_max)
            .min(super::reflector::REFLECTED_RATE_MAX),
        warmup: spec.probes.warmup,
        fault: setting.fault,
    }
}
