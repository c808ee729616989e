//! One run of a task: N senders, M receivers, from its start until its last probe is decided.
//!
//! ```text
//! start ── warming up ── epoch ── running ── stop ── draining ── finished
//! ```
//!
//! A member (a tunnel of the task) can be taken out and put back at any time; a probe is
//! expected at the receivers that took part when it was sent, so nobody else is disturbed.

mod intervals;

pub(crate) use intervals::{Output, Surroundings};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;

use rand::Rng;

use crate::correction::RoundTrips;
use crate::fault::Planted;
use crate::ledger::Ledger;
use crate::membership::Wanted;
use crate::name::Name;
use crate::probe::{Copy, Flow, Patience};
use crate::report::{IntervalRow, TaskState, TaskStatus};
use crate::schedule::Timetable;
use crate::spec::TaskSpec;
use crate::time::{Instant, Span};

/// Probes whose time is over are decided together, on this grid: nobody waits for a single fate.
const DECISIONS_EVERY: Span = Span::from_ms(100);
/// Rows kept for `results`, at least; tasks of many pairs keep two intervals.
const ROWS_KEPT_MIN: usize = 10_000;

/// A tunnel's part in a task.
#[derive(Debug)]
struct Member {
    name: Name,
    address: Ipv4Addr,
    sends: bool,
    receives: bool,
    presence: Presence,
    flow: Flow,
    timetable: Option<Timetable>,
    /// Counted probes sent.
    counted: u64,
    /// Where its probes are expected: all receivers that take part, but itself.
    targets: Arc<[u32]>,
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
pub(crate) struct Due {
    pub(crate) tunnel: u32,
    pub(crate) seq: u32,
    pub(crate) warmup: bool,
}

/// One run of a task.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: u32,
    pub(crate) spec: TaskSpec,
    pub(crate) state: TaskState,
    started: Instant,
    epoch: Instant,
    /// When sending ends, if that is known.
    end: Option<Instant>,
    stopped: Option<Instant>,
    members: BTreeMap<u32, Member>,
    /// Next probe of each sender that takes part.
    due: BTreeSet<(Instant, u32)>,
    patience: Patience,
    ledger: Ledger,
    next_interval: u64,
    rows: VecDeque<IntervalRow>,
    next_row: u64,
    round_trips: BTreeMap<u32, RoundTrips>,
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
        let mut task = Task {
            id,
            state: TaskState::WarmingUp,
            started: now,
            epoch,
            end: spec.probes.duration.map(|duration| epoch + duration),
            stopped: None,
            members: members(&spec, participants, first_seq),
            due: BTreeSet::new(),
            patience: Patience::new(spec.probes.loss_timeout, fault),
            ledger: Ledger::new(spec.senders.len() * spec.receivers.len(), fault),
            next_interval: 0,
            rows: VecDeque::new(),
            next_row: 0,
            round_trips: BTreeMap::new(),
            probes_sent: 0,
            fault,
            spec,
        };
        task.find_targets();
        let senders: Vec<u32> = task
            .members
            .iter()
            .filter(|(_, m)| m.sends)
            .map(|(id, _)| *id)
            .collect();
        for sender in senders {
            task.schedule(sender, now, rng);
        }
        task
    }

    /// Puts a sender on the timetable, from `now`.
    fn schedule(&mut self, sender: u32, now: Instant, rng: &mut impl Rng) {
        let of = self.spec.senders.len();
        let probes = &self.spec.probes;
        let Some(member) = self.members.get_mut(&sender).filter(|m| m.sends) else {
            return;
        };
        let index = self
            .spec
            .senders
            .iter()
            .position(|name| *name == member.name)
            .unwrap_or(0);
        let timetable = Timetable::new(probes.schedule, probes.rate, now, index, of, rng);
        self.due.insert((timetable.next(), sender));
        member.timetable = Some(timetable);
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
        !self.is_finished() && self.members.contains_key(&tunnel)
    }

    /// The next probe, if one is due. Sending ends here when the count or time is reached.
    pub(crate) fn poll_probe(&mut self, now: Instant, rng: &mut impl Rng) -> Option<Due> {
        if self.is_sending() && self.end.is_some_and(|end| end <= now) {
            self.stop(self.end.unwrap_or(now));
        }
        while self.is_sending() {
            let (_, tunnel) = *self.due.first().filter(|(at, _)| *at <= now)?;
            self.due.pop_first();
            let before_epoch = now < self.epoch;
            let Some(member) = self.members.get_mut(&tunnel) else {
                continue;
            };
            let warmup = before_epoch || matches!(member.presence, Presence::Entering(_));
            if !warmup
                && self
                    .spec
                    .probes
                    .count
                    .is_some_and(|count| member.counted >= count)
            {
                self.stop_if_all_sent(now);
                continue;
            }
            if let Some(timetable) = &mut member.timetable {
                timetable.advance(now, rng);
                self.due.insert((timetable.next(), tunnel));
            }
            let Some(seq) = member.flow.send(now, warmup, &member.targets) else {
                continue;
            };
            member.counted += u64::from(!warmup);
            self.probes_sent += 1;
            return Some(Due {
                tunnel,
                seq: seq as u32,
                warmup,
            });
        }
        None
    }

    fn stop_if_all_sent(&mut self, now: Instant) {
        if self.due.is_empty() {
            self.stop(now);
        }
    }

    /// Ends sending. What is on its way is waited for.
    pub(crate) fn stop(&mut self, now: Instant) {
        if self.is_sending() {
            self.state = TaskState::Draining;
            self.stopped = Some(now);
            self.due.clear();
        }
    }

    /// Takes a member out: it neither sends nor receives from now on.
    pub(crate) fn take_out(&mut self, tunnel: u32, now: Instant) {
        let leaving = Presence::Leaving(now + self.patience.until_decision());
        if let Some(member) = self.members.get_mut(&tunnel).filter(|m| m.takes_part()) {
            member.presence = leaving;
            member.timetable = None;
            self.due.retain(|(_, sender)| *sender != tunnel);
            self.find_targets();
        }
    }

    /// Puts a member back in.
    pub(crate) fn put_back(&mut self, tunnel: u32, now: Instant, rng: &mut impl Rng) {
        let sending = self.is_sending();
        let counted_from = now + self.spec.probes.warmup;
        let Some(member) = self.members.get_mut(&tunnel) else {
            return;
        };
        match member.presence {
            Presence::Leaving(_) | Presence::Out if sending => {
                member.presence = Presence::Entering(counted_from);
                self.schedule(tunnel, now, rng);
            }
            Presence::Leaving(_) | Presence::Out | Presence::Entering(_) | Presence::In => {}
        }
    }

    fn find_targets(&mut self) {
        let takes_part =
            |(id, m): (&u32, &Member)| (m.receives && m.presence == Presence::In).then_some(*id);
        let all: Vec<u32> = self.members.iter().filter_map(takes_part).collect();
        for (id, member) in &mut self.members {
            member.targets = all.iter().copied().filter(|target| target != id).collect();
        }
    }

    /// What each receiver's tunnel must have joined at this moment.
    pub(crate) fn wanted(&self) -> Vec<(u32, Wanted)> {
        let here = |m: &Member| m.presence != Presence::Out && !self.is_finished();
        let receivers = self.members.iter().filter(|(_, m)| m.receives);
        let wanted = |(id, receiver): (&u32, &Member)| {
            let others = self
                .members
                .iter()
                .filter(|(other, m)| *other != id && m.sends && here(m));
            let wanted = match (here(receiver), self.spec.source_specific) {
                (false, _) => Wanted::nothing(),
                (true, false) => Wanted::Any,
                (true, true) => Wanted::Sources(others.map(|(_, m)| m.address).collect()),
            };
            (*id, wanted)
        };
        receivers.map(wanted).collect()
    }

    /// The capture saw a probe leave.
    pub(crate) fn handle_sent(&mut self, sender: u32, seq: u32, stamp: Instant) {
        if let Some(member) = self.members.get_mut(&sender) {
            member.flow.handle_sent(seq, stamp);
        }
    }

    /// A probe could not be sent.
    pub(crate) fn handle_unsent(&mut self, sender: u32, seq: u32) {
        if let Some(member) = self.members.get_mut(&sender) {
            member.flow.handle_unsent(seq);
        }
    }

    /// A copy of a probe came over a tunnel.
    pub(crate) fn handle_copy(
        &mut self,
        sender: u32,
        receiver: u32,
        seq: u32,
        stamp: Instant,
    ) -> Copy {
        let Some(member) = self.members.get_mut(&sender) else {
            return Copy::Unexpected;
        };
        let copy = member.flow.handle_copy(receiver, seq, stamp, self.patience);
        if copy == Copy::Decided {
            self.ledger.count_late((sender, receiver));
        }
        copy
    }

    /// The planted fault: whatever comes over this tunnel is a copy of someone's newest probe.
    pub(crate) fn mistake_for_probe(&mut self, receiver: u32, stamp: Instant) {
        let newest = |(id, m): (&u32, &Member)| {
            Some((*id, m.flow.newest()?)).filter(|(id, _)| *id != receiver)
        };
        if let Some((sender, seq)) = self.members.iter().find_map(newest) {
            self.handle_copy(sender, receiver, seq, stamp);
        }
    }

    /// When something is to be done.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if self.is_finished() {
            return None;
        }
        let changing = |m: &Member| match m.presence {
            Presence::Leaving(until) | Presence::Entering(until) => Some(until),
            Presence::In | Presence::Out => None,
        };
        let members = self.members.values();
        let decisions = members
            .clone()
            .filter_map(|m| m.flow.next_deadline(self.patience))
            .map(|at| at.next_multiple_of(DECISIONS_EVERY));
        let others = [
            self.due.first().map(|(at, _)| *at),
            self.end.filter(|_| self.is_sending()),
            self.next_change(),
        ];
        decisions
            .chain(members.filter_map(changing))
            .chain(others.into_iter().flatten())
            .min()
    }

    /// When the state changes, or an interval closes, by time alone.
    fn next_change(&self) -> Option<Instant> {
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
            .values()
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

    /// Rows from `since` on, at most `limit`.
    pub(crate) fn rows(&self, since: u64, limit: usize) -> Vec<IntervalRow> {
        let first = self.next_row - self.rows.len() as u64;
        let skip = usize::try_from(since.saturating_sub(first)).unwrap_or(usize::MAX);
        self.rows.iter().skip(skip).take(limit).cloned().collect()
    }
}

impl Member {
    /// Whether it was not taken out.
    fn takes_part(&self) -> bool {
        matches!(self.presence, Presence::In | Presence::Entering(_))
    }
}

fn members(spec: &TaskSpec, participants: &[Participant], first_seq: u32) -> BTreeMap<u32, Member> {
    let member = |p: &Participant| Member {
        name: p.name.clone(),
        address: p.address,
        sends: spec.senders.contains(&p.name),
        receives: spec.receivers.contains(&p.name),
        presence: Presence::In,
        flow: Flow::new(first_seq),
        timetable: None,
        counted: 0,
        targets: Arc::from([]),
    };
    participants.iter().map(|p| (p.id, member(p))).collect()
}
