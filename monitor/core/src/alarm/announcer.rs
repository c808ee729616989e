//! What people are told, and how much of it: storms summed up, notices per second limited.
//!
//! An alarm whose raising is told by itself has its clearing told by itself, as late as the
//! limit makes it, but never not: somebody's ticket hangs on it. All others appear as numbers in the
//! summaries of their kind.

use std::collections::{BTreeMap, VecDeque};

use super::kind::{Kind, Severity};
use super::notice::{Alarm, Notice, Phase, Storm, Transition};
use super::spec::AlarmSpec;
use crate::time::{Instant, NS_PER_S, Span};

/// Examples in a summary.
const EXAMPLES_MAX: usize = 5;
/// A storm is first said when it has gathered for so long, to say more than that it began.
const GATHER: Span = Span::from_s(2);
/// Alarms told one by one and active, at most: each is owed a notice when it is over.
const TOLD_MAX: usize = 10_000;
/// Notices that wait to be taken.
const OUT_MAX: usize = 1_024;

#[derive(Debug)]
pub struct Announcer {
    storm_alarms: u32,
    storm_window: Span,
    summary_every: Span,
    /// Gap between two notices in the long run; a second's worth of them may come at once.
    gap: Span,
    /// When the notices so far would have been out, one gap apart.
    spent_until: Instant,
    out: VecDeque<Notice>,
    /// Clearings and changes that are to be told as soon as the limit lets them.
    owed: VecDeque<Transition>,
    told: usize,
    kinds: BTreeMap<Kind, OfKind>,
    held_back: u64,
}

/// Alarms of one kind.
#[derive(Debug, Default)]
struct OfKind {
    window_start: Instant,
    in_window: u32,
    storm: Option<Gathered>,
}

/// Alarms of one kind that are not told one by one.
#[derive(Debug)]
struct Gathered {
    since: Instant,
    said: bool,
    /// New ones are gathered; otherwise it only waits for those that it has to be cleared.
    rages: bool,
    severity: Severity,
    raised: u64,
    cleared: u64,
    active: u64,
    examples: Vec<Alarm>,
    due: Option<Instant>,
    last_said: Instant,
}

impl Announcer {
    pub fn new(spec: &AlarmSpec) -> Announcer {
        let mut announcer = Announcer {
            storm_alarms: 0,
            storm_window: Span::ZERO,
            summary_every: Span::ZERO,
            gap: Span::ZERO,
            spent_until: Instant::ZERO,
            out: VecDeque::new(),
            owed: VecDeque::new(),
            told: 0,
            kinds: BTreeMap::new(),
            held_back: 0,
        };
        announcer.set_spec(spec);
        announcer
    }

    pub fn set_spec(&mut self, spec: &AlarmSpec) {
        self.storm_alarms = spec.storm_alarms;
        self.storm_window = spec.storm_window;
        self.summary_every = spec.summary_every;
        self.gap = Span::from_ns(NS_PER_S / u64::from(spec.notices_per_second.max(1)));
    }

    /// Raisings not told one by one, so far.
    pub fn held_back(&self) -> u64 {
        self.held_back
    }

    /// An alarm was raised. Whether it is told by itself; if not, it is gathered.
    pub fn handle_raised(&mut self, transition: &Transition) -> bool {
        let now = transition.at_ns;
        let alarm = &transition.alarm;
        let of_kind = self.kinds.entry(alarm.kind).or_default();
        if now.since(of_kind.window_start) >= self.storm_window {
            of_kind.window_start = now;
            of_kind.in_window = 0;
        }
        of_kind.in_window = of_kind.in_window.saturating_add(1);
        let few = of_kind.in_window <= self.storm_alarms;
        let rages = of_kind.storm.as_ref().is_some_and(|storm| storm.rages);
        let room = self.owed.is_empty() && self.told < TOLD_MAX;
        if few && !rages && room && self.spend(now) {
            self.told += 1;
            self.put(transition.clone());
            return true;
        }
        self.held_back += 1;
        if let Some(of_kind) = self.kinds.get_mut(&alarm.kind) {
            of_kind.gather(now, alarm);
        }
        false
    }

    /// An alarm has changed. That it flaps is no news of one that was never told.
    pub fn handle_changed(&mut self, transition: &Transition, told: bool) {
        // A change is worth less than room for a clearing.
        if told && self.owed.len() < TOLD_MAX {
            self.owed.push_back(transition.clone());
            self.pay(transition.at_ns);
        }
    }

    /// An alarm is over.
    pub fn handle_cleared(&mut self, transition: &Transition, told: bool) {
        let now = transition.at_ns;
        if told {
            self.told = self.told.saturating_sub(1);
            self.owed.push_back(transition.clone());
            self.pay(now);
            return;
        }
        let of_kind = self.kinds.get_mut(&transition.alarm.kind);
        if let Some(storm) = of_kind.and_then(|of_kind| of_kind.storm.as_mut()) {
            storm.cleared += 1;
            storm.active = storm.active.saturating_sub(1);
            let next = storm.last_said + self.summary_every;
            storm.due.get_or_insert(next.max(now));
        }
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        let summaries = self
            .kinds
            .values()
            .filter_map(|of_kind| of_kind.storm.as_ref()?.due);
        let owed = (!self.owed.is_empty()).then_some(Instant::ZERO);
        let first = summaries.chain(owed).min()?;
        if self.out.len() >= OUT_MAX {
            return None;
        }
        Some(first.max(self.affordable_at()))
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.pay(now);
        let due = |of_kind: &OfKind| {
            let due = of_kind.storm.as_ref().and_then(|storm| storm.due);
            due.is_some_and(|due| due <= now)
        };
        let kinds: Vec<Kind> = self
            .kinds
            .iter()
            .filter(|(_, of)| due(of))
            .map(|(kind, _)| *kind)
            .collect();
        for kind in kinds {
            self.sum_up(now, kind);
        }
    }

    pub fn poll(&mut self) -> Option<Notice> {
        self.out.pop_front()
    }

    fn sum_up(&mut self, now: Instant, kind: Kind) {
        let (every, few) = (self.summary_every, self.storm_alarms);
        let storm = |of_kind: &mut OfKind| of_kind.storm.take();
        let Some(mut storm) = self.kinds.get_mut(&kind).and_then(storm) else {
            return;
        };
        let over = if storm.has_calmed() {
            storm.rages = false;
            storm.due = None;
            false
        } else if self.spend(now) {
            let said = storm.sum_up(now, every, few, kind);
            let over = said.phase == Phase::Over;
            self.out.push_back(Notice::Storm(Box::new(said)));
            over
        } else {
            false
        };
        if !over && let Some(of_kind) = self.kinds.get_mut(&kind) {
            of_kind.storm = Some(storm);
        }
    }

    /// Tells what is owed, as far as the limit lets it.
    fn pay(&mut self, now: Instant) {
        while !self.owed.is_empty() && self.spend(now) {
            if let Some(transition) = self.owed.pop_front() {
                self.put(transition);
            }
        }
    }

    fn put(&mut self, transition: Transition) {
        self.out.push_back(Notice::Alarm(Box::new(transition)));
    }

    /// When one more notice is within the limit.
    fn affordable_at(&self) -> Instant {
        self.spent_until + self.gap - Span::from_ns(NS_PER_S)
    }

    /// Takes leave for one notice, if it is to be had.
    fn spend(&mut self, now: Instant) -> bool {
        if now < self.affordable_at() || self.out.len() >= OUT_MAX {
            return false;
        }
        self.spent_until = self.spent_until.max(now) + self.gap;
        true
    }
}

impl OfKind {
    fn gather(&mut self, now: Instant, alarm: &Alarm) {
        let storm = self.storm.get_or_insert_with(|| Gathered {
            since: now,
            said: false,
            rages: true,
            severity: alarm.severity,
            raised: 0,
            cleared: 0,
            active: 0,
            examples: Vec::new(),
            due: None,
            last_said: now,
        });
        storm.rages = true;
        storm.severity = storm.severity.max(alarm.severity);
        storm.raised += 1;
        storm.active += 1;
        if storm.examples.len() < EXAMPLES_MAX {
            storm.examples.push(alarm.clone());
        }
        storm.due.get_or_insert(now + GATHER);
    }
}

impl Gathered {
    /// Nothing has happened since it was last said, and its alarms are as active as they were.
    fn has_calmed(&self) -> bool {
        self.raised == 0 && self.cleared == 0 && self.active > 0
    }

    fn sum_up(&mut self, now: Instant, every: Span, few: u32, kind: Kind) -> Storm {
        let (raised, cleared) = (self.raised, self.cleared);
        let phase = match (self.active, raised, self.said) {
            (0, 0, _) => Phase::Over,
            (_, _, false) => Phase::Begun,
            (_, _, true) => Phase::GoesOn,
        };
        let storm = Storm {
            at_ns: now,
            kind,
            severity: self.severity,
            phase,
            since_ns: self.since,
            raised,
            cleared,
            active: self.active,
            message: words(kind, phase, raised, cleared, self.active),
            examples: std::mem::take(&mut self.examples),
        };
        self.said = true;
        self.rages = raised > u64::from(few);
        // When nothing comes any more it is looked at only when one of its alarms is cleared.
        self.due = (raised > 0).then(|| now + every);
        self.raised = 0;
        self.cleared = 0;
        self.last_said = now;
        storm
    }
}

fn words(kind: Kind, phase: Phase, raised: u64, cleared: u64, active: u64) -> String {
    let life = match phase {
        Phase::Begun => "there are many at once",
        Phase::GoesOn => "of those told together",
        Phase::Over => "none of those told together is active any more",
    };
    format!("{kind} alarms: {life}: {raised} raised, {cleared} cleared, {active} active")
}
