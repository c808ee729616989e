//! One run of a task: N senders, M receivers, from its start until its last probe is decided.
//!
//! ```text
//! start ── warming up ── epoch ── running ── stop ── draining ── finished
//! ```
//!
//! A member (a tunnel of the task) can be taken out and put back at any time; a probe is
//! expected at the receivers that took part when it was sent, so nobody else is disturbed.

mod intervals;
mod sending;

use intervals::Closing;
pub(crate) use intervals::{Output, Surroundings};

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::net::Ipv4Addr;

use rand::Rng;

use crate::correction::RoundTrips;
use crate::due::Due;
use crate::fault::Planted;
use crate::ledger::Ledger;
use crate::membership::Wanted;
use crate::name::Name;
use crate::probe::{Copy, Flow, Patience, Receivers};
use crate::report::{IntervalRow, TaskState, TaskStatus};
use crate::schedule::Timetable;
use crate::spec::TaskSpec;
use crate::time::{Instant, Span};

/// Probes whose time is over are decided together, on this grid: nobody waits for a single fate.
const DECISIONS_EVERY: Span = Span::from_ms(100);
/// Rows kept for `results` of one task, and of all; tasks of many pairs keep two intervals in any case.
const ROWS_KEPT: usize = 10_000;
const ROWS_KEPT_IN_ALL: usize = 100_000;

/// A tunnel's part in a task.
#[derive(Debug)]
struct Member {
    tunnel: u32,
    name: Name,
    address: Ipv4Addr,
    /// Its place among the senders by tunnel number, if it is one.
    sends_as: Option<usize>,
    /// Its place among the receivers by tunnel number, if it is one.
    receives_as: Option<usize>,
    presence: Presence,
    timetable: Option<Timetable>,
    /// Its position among the senders as they were named.
    phase: usize,
    /// Counted probes sent.
    counted: u64,
    /// Where its probes are expected: all receivers that take part, but itself.
    targets: Receivers,
    round_trips: RoundTrips,
}

/// Whether a member takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// It was put back: it is joined and sends, but is not counted before this time, so that
    /// the tree has the warm-up to grow.
    Entering(Instant),
    /// It does.
    In,
    /// No longer; but until then probes may be on their way to it.
    Leaving(Instant),
    /// It does not.
    Out,
}

/// A tunnel that takes part in a task: its number, name and inner address.
#[derive(Debug, Clone)]
pub(crate) struct Participant {
    pub(crate) id: u32,
    pub(crate) name: Name,
    pub(crate) address: Ipv4Addr,
}

/// A probe to be built and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) tunnel: u32,
    pub(crate) seq: u32,
    pub(crate) warmup: bool,
}

/// A member as a copy finds it: its tunnel, and its place among the receivers.
#[derive(Debug, Clone, Copy)]
struct End {
    tunnel: u32,
    receives_as: Option<u32>,
}

/// One run of a task. What a copy needs of it is first, so that it lies together.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Task {
    group: Ipv4Addr,
    /// The members once more, by tunnel number, and the probes of each.
    ends: Box<[End]>,
    flows: Box<[Flow]>,
    patience: Patience,
    pub(crate) id: u32,
    pub(crate) spec: TaskSpec,
    pub(crate) state: TaskState,
    started: Instant,
    epoch: Instant,
    /// When sending ends, if that is known.
    end: Option<Instant>,
    stopped: Option<Instant>,
    /// By tunnel number, ascending.
    members: Vec<Member>,
    /// Senders, then receivers, by their places: which member each is.
    senders: Vec<usize>,
    receivers: Vec<usize>,
    /// Next probe of each sender that takes part, by its tunnel.
    probes: BTreeSet<(Instant, u32)>,
    /// When the oldest probe of each member that is not decided will be.
    decisions: Due<usize>,
    /// Members that enter or leave.
    changes: Due<usize>,
    ledger: Ledger,
    /// The interval that is being closed.
    closing: Option<Closing>,
    next_interval: u64,
    rows: VecDeque<IntervalRow>,
    next_row: u64,
    probes_sent: u64,
    fault: Planted,
}

impl Task {
    /// Starts a run; `first_seq` is the number of every sender's first probe.
    pub(crate) fn start(
        id: u32,
        spec: TaskSpec,
        participants: &[Participant],
        now: Instant,
        first_seq: u32,
        fault: Planted,
        rng: &mut impl Rng,
    ) -> Task {
        let epoch = now + spec.probes.warmup;
        let members = members(&spec, participants);
        let places = |place: fn(&Member) -> Option<usize>| -> Vec<usize> {
            let all = members.iter().enumerate();
            all.filter_map(|(index, m)| place(m).map(|_| index))
                .collect()
        };
        let senders = places(|m| m.sends_as);
        let receivers = places(|m| m.receives_as);
        let mut task = Task {
            id,
            state: TaskState::WarmingUp,
            started: now,
            epoch,
            end: spec.probes.duration.map(|duration| epoch + duration),
            stopped: None,
            group: spec.group,
            ends: members.iter().map(Member::end).collect(),
            flows: members
                .iter()
                .map(|_| Flow::new(first_seq, receivers.len()))
                .collect(),
            probes: BTreeSet::new(),
            decisions: Due::new(),
            changes: Due::new(),
            patience: Patience::new(spec.probes.loss_timeout, fault),
            ledger: Ledger::new(senders.len(), receivers.len(), fault),
            members,
            senders,
            receivers,
            closing: None,
            next_interval: 0,
            rows: VecDeque::new(),
            next_row: 0,
            probes_sent: 0,
            fault,
            spec,
        };
        task.find_targets();
        for index in task.senders.clone() {
            task.schedule(index, now, rng);
        }
        task
    }

    /// Where the tunnel's member is.
    fn index_of(&self, tunnel: u32) -> Option<usize> {
        self.ends
            .binary_search_by_key(&tunnel, |end| end.tunnel)
            .ok()
    }

    fn member_mut(&mut self, tunnel: u32) -> Option<&mut Member> {
        let index = self.index_of(tunnel)?;
        self.members.get_mut(index)
    }

    /// Whether probes are still sent.
    pub(crate) fn is_sending(&self) -> bool {
        match self.state {
            TaskState::WarmingUp | TaskState::Running => true,
            TaskState::Draining | TaskState::Finished => false,
        }
    }

    /// Whether the run is over.
    pub(crate) fn is_finished(&self) -> bool {
        self.state == TaskState::Finished
    }

    /// Whether the tunnel is part of the task, now or when put back.
    pub(crate) fn uses(&self, tunnel: u32) -> bool {
        !self.is_finished() && self.index_of(tunnel).is_some()
    }

    /// Looks up anew when the member's oldest probe will be decided.
    fn await_decision(&mut self, index: usize) {
        let at = self.flows[index].next_deadline(self.patience);
        self.decisions.set(&index, at);
    }

    /// Takes a member out: it neither sends nor receives from now on.
    pub(crate) fn take_out(&mut self, tunnel: u32, now: Instant) {
        let until = now + self.patience.until_decision();
        let Some(index) = self.index_of(tunnel) else {
            return;
        };
        let member = &mut self.members[index];
        if member.takes_part() {
            member.presence = Presence::Leaving(until);
            member.timetable = None;
            self.probes.retain(|(_, sender)| *sender != tunnel);
            self.changes.set(&index, Some(until));
            self.find_targets();
        }
    }

    /// Puts a member back in.
    pub(crate) fn put_back(&mut self, tunnel: u32, now: Instant, rng: &mut impl Rng) {
        let sending = self.is_sending();
        let counted_from = now + self.spec.probes.warmup;
        let Some(index) = self.index_of(tunnel) else {
            return;
        };
        let member = &mut self.members[index];
        match member.presence {
            Presence::Leaving(_) | Presence::Out if sending => {
                member.presence = Presence::Entering(counted_from);
                self.changes.set(&index, Some(counted_from));
                self.schedule(index, now, rng);
            }
            Presence::Leaving(_) | Presence::Out | Presence::Entering(_) | Presence::In => {}
        }
    }

    fn find_targets(&mut self) {
        let is_in = |member: &Member| member.presence == Presence::In;
        let present: Vec<bool> = self
            .receivers
            .iter()
            .map(|index| is_in(&self.members[*index]))
            .collect();
        for index in &self.senders {
            let member = &mut self.members[*index];
            let other = |place| present[place] && Some(place) != member.receives_as;
            member.targets = Receivers::new(present.len(), other);
        }
    }

    /// What each receiver's tunnel must have joined at this moment.
    pub(crate) fn wanted(&self) -> Vec<(u32, Wanted)> {
        let here = |m: &Member| m.presence != Presence::Out && !self.is_finished();
        let member = |index: &usize| &self.members[*index];
        let wanted = |receiver: &Member| {
            let others = self
                .senders
                .iter()
                .map(member)
                .filter(|m| m.tunnel != receiver.tunnel && here(m));
            let wanted = match (here(receiver), self.spec.source_specific) {
                (false, _) => Wanted::nothing(),
                (true, false) => Wanted::Any,
                (true, true) => Wanted::Sources(others.map(|m| m.address).collect()),
            };
            (receiver.tunnel, wanted)
        };
        self.receivers.iter().map(member).map(wanted).collect()
    }

    /// The capture saw a probe leave. Whether [`Task::next_deadline`] may be another.
    pub(crate) fn handle_sent(&mut self, sender: u32, seq: u32, stamp: Instant) -> bool {
        let Some(index) = self.index_of(sender) else {
            return false;
        };
        let is_oldest = self.flows[index].handle_sent(seq, stamp);
        if is_oldest {
            self.await_decision(index);
        }
        is_oldest
    }

    /// A probe could not be sent.
    pub(crate) fn handle_unsent(&mut self, sender: u32, seq: u32) {
        if let Some(index) = self.index_of(sender) {
            self.flows[index].handle_unsent(seq);
        }
    }

    /// Whether its probes go to this group.
    pub(crate) fn is_in(&self, group: Ipv4Addr) -> bool {
        self.group == group
    }

    /// A copy of a probe came over a tunnel.
    pub(crate) fn handle_copy(
        &mut self,
        sender: u32,
        receiver: u32,
        seq: u32,
        stamp: Instant,
    ) -> Copy {
        let to = self.index_of(receiver);
        let to = to.and_then(|index| self.ends[index].receives_as);
        let (Some(index), Some(to)) = (self.index_of(sender), to) else {
            return Copy::Unexpected;
        };
        let to = to as usize;
        let copy = self.flows[index].handle_copy(to, seq, stamp, self.patience);
        if copy == Copy::Decided
            && let Some(from) = self.members[index].sends_as
        {
            self.ledger.count_late((from, to));
        }
        copy
    }

    /// The planted fault: whatever comes over this tunnel is a copy of someone's newest probe.
    pub(crate) fn mistake_for_probe(&mut self, receiver: u32, stamp: Instant) {
        let mut flows = self.ends.iter().zip(&self.flows);
        let newest = |(end, flow): (&End, &Flow)| {
            Some((end.tunnel, flow.newest()?)).filter(|(id, _)| *id != receiver)
        };
        if let Some((sender, seq)) = flows.find_map(newest) {
            self.handle_copy(sender, receiver, seq, stamp);
        }
    }

    /// When [`Task::advance`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if self.is_finished() {
            return None;
        }
        let decision = self.decisions.first();
        [
            decision.map(|at| at.next_multiple_of(DECISIONS_EVERY)),
            self.changes.first(),
            self.next_change(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When the state changes, or an interval closes, by time alone.
    fn next_change(&self) -> Option<Instant> {
        if let Some(closing) = &self.closing {
            return Some(closing.goes_on_at);
        }
        match self.state {
            TaskState::WarmingUp => Some(self.epoch),
            TaskState::Running => Some(self.closes_at(self.next_interval)),
            TaskState::Draining => self.settled_at(),
            TaskState::Finished => None,
        }
    }

    /// The run as it is now.
    pub(crate) fn status(&self) -> TaskStatus {
        let active = self
            .members
            .iter()
            .filter(|m| m.takes_part() && !self.is_finished());
        TaskStatus {
            spec: self.spec.clone(),
            task: self.id,
            state: self.state,
            started_ns: self.started,
            epoch_ns: self.epoch,
            probes_sent: self.probes_sent,
            intervals: self.next_interval,
            first_row: self.next_row - self.rows.len() as u64,
            next_row: self.next_row,
            active: active.map(|m| m.name.clone()).collect(),
        }
    }

    /// Pairs that accounts are kept of.
    pub(crate) fn pair_count(&self) -> usize {
        self.ledger.pairs()
    }

    /// Rows from `since` on, at most `limit`.
    pub(crate) fn rows(&self, since: u64, limit: usize) -> Vec<IntervalRow> {
        let first = self.next_row - self.rows.len() as u64;
        let skip = usize::try_from(since.saturating_sub(first)).unwrap_or(usize::MAX);
        self.rows.iter().skip(skip).take(limit).cloned().collect()
    }
}

impl Member {
    fn end(&self) -> End {
        End {
            tunnel: self.tunnel,
            receives_as: self.receives_as.map(|place| place as u32),
        }
    }

    /// Whether it was not taken out.
    fn takes_part(&self) -> bool {
        matches!(self.presence, Presence::In | Presence::Entering(_))
    }
}

/// The members, by tunnel number.
fn members(spec: &TaskSpec, participants: &[Participant]) -> Vec<Member> {
    let phases = spec.senders.iter().enumerate();
    let phases: HashMap<&Name, usize> = phases.map(|(phase, name)| (name, phase)).collect();
    let receivers: HashSet<&Name> = spec.receivers.iter().collect();
    let mut in_order: Vec<&Participant> = participants.iter().collect();
    in_order.sort_unstable_by_key(|p| p.id);
    let (mut senders, mut receiving) = (0.., 0..);
    in_order
        .into_iter()
        .map(|p| Member {
            tunnel: p.id,
            name: p.name.clone(),
            address: p.address,
            sends_as: phases.get(&p.name).and_then(|_| senders.next()),
            receives_as: receivers.get(&p.name).and_then(|_| receiving.next()),
            presence: Presence::In,
            timetable: None,
            phase: phases.get(&p.name).copied().unwrap_or(0),
            counted: 0,
            targets: Receivers::default(),
            round_trips: RoundTrips::default(),
        })
        .collect()
}
