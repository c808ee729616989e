//! Alarms: what is not as expected, told once, to people who have other work (PC-07, PM-10).
//!
//! [`Alarms`] is fed with all changes of the MVPNs' views, with what is expected of them, and with
//! the active side's results. What it says is of two kinds: [`Transition`]s, every one, for the store
//! and the web; and [`Notice`]s for people, which are summed up in storms and limited in rate.
//!
//! - *Hysteresis*: an alarm is raised when it has held for `raise_after`, cleared when it has been
//!   fine for `clear_after`. What comes and goes more often is one alarm that is flapping.
//! - *Suppression*: while a PE is missing, nothing else is said of it; while nothing at all is heard of
//!   an MVPN, that is said, and nothing else of it.
//! - *Bounds*: at most `alarms_max` conditions; what is above is counted, and [`Alarms::poll_stale`] asks
//!   for the records again when there is room.
//!
//! The driver calls `handle_timeout` when `next_deadline` has come, and takes all that `poll_*` give.

mod advance;
mod announcer;
mod condition;
mod effects;
mod judge;
mod kind;
mod message;
mod notice;
mod rules;
mod sink;
mod spec;
mod subject;
mod table;
#[cfg(test)]
mod tests;
mod threshold;
mod watch;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::report::{IntervalRow, Record as Outcome};
use crate::time::Instant;
use crate::view::expected::ExpectedError;
use crate::view::{Cause, Change, Expected, Record};
use announcer::Announcer;
pub use kind::{KINDS, Kind, Severity};
pub use notice::{Alarm, Cleared, Notice, Phase, Storm, Transition, Turn};
use rules::Rules;
pub use sink::{Facility, SinkSpec, WebhookSpec};
pub use spec::{AlarmSpec, AlarmSpecError, KindSpec};
use subject::{Found, Subject};
use table::Table;
pub use threshold::{Level, LevelError, Measured, Metric, Threshold};
use watch::Watch;

/// Conditions looked at in one call.
const STEPS_AT_ONCE: usize = 1_024;
/// Transitions that wait to be taken; until they are, nothing more becomes of any alarm.
const TRANSITIONS_WAITING_MAX: usize = 4_096;

/// All alarms of the monitor.
#[derive(Debug)]
pub struct Alarms {
    spec: AlarmSpec,
    watches: BTreeMap<Name, Watch>,
    table: Table,
    announcer: Announcer,
    transitions: VecDeque<Transition>,
    raised: u64,
    missed: u64,
}

/// How alarms are, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AlarmCounts {
    /// Active alarms.
    pub active: u64,
    /// Conditions kept: active, about to be, and such as were of late.
    pub conditions: u64,
    /// Alarms raised so far.
    pub raised: u64,
    /// Of those, how many were not told one by one, but in summaries.
    pub held_back: u64,
    /// Times that something was wrong and there was no room to note it.
    pub missed: u64,
}

/// With nothing expected and nothing set, there is nothing to alarm about.
impl Default for Alarms {
    fn default() -> Self {
        let spec = AlarmSpec::default();
        Alarms {
            watches: BTreeMap::new(),
            table: Table::new(spec.alarms_max as usize),
            announcer: Announcer::new(&spec),
            transitions: VecDeque::new(),
            raised: 0,
            missed: 0,
            spec,
        }
    }
}

impl Alarms {
    /// Alarms as asked for; see [`AlarmSpec::validate`].
    pub fn new(spec: AlarmSpec) -> Result<Alarms, AlarmSpecError> {
        spec.validate()?;
        Ok(Alarms {
            table: Table::new(spec.alarms_max as usize),
            announcer: Announcer::new(&spec),
            spec,
            ..Alarms::default()
        })
    }

    /// What is in force.
    pub fn spec(&self) -> &AlarmSpec {
        &self.spec
    }

    /// What is expected of an MVPN.
    pub fn expected(&self, mvpn: &Name) -> Option<&Expected> {
        let rules = self.watches.get(mvpn)?.rules.as_ref();
        rules.map(|rules| &rules.expected)
    }

    /// All that is expected, by MVPN.
    pub fn all_expected(&self) -> impl Iterator<Item = &Expected> {
        let rules = self
            .watches
            .values()
            .filter_map(|watch| watch.rules.as_ref());
        rules.map(|rules| &rules.expected)
    }

    /// Active alarms, those of an MVPN together.
    pub fn active(&self) -> impl Iterator<Item = &Alarm> {
        self.table
            .entries()
            .filter_map(|(_, entry)| entry.alarm.as_deref())
    }

    /// How they are, in numbers.
    pub fn counts(&self) -> AlarmCounts {
        AlarmCounts {
            active: self.table.active() as u64,
            conditions: self.table.len() as u64,
            raised: self.raised,
            held_back: self.announcer.held_back(),
            missed: self.missed,
        }
    }

    /// Other settings. What is no longer looked at is cleared.
    pub fn handle_spec(&mut self, now: Instant, spec: AlarmSpec) -> Result<(), AlarmSpecError> {
        spec.validate()?;
        self.announcer.set_spec(&spec);
        self.table.set_entries_max(spec.alarms_max as usize);
        self.spec = spec;
        self.drop_what_is_off(now);
        for watch in self.watches.values_mut() {
            // A kind may have been off, and what was wrong then was not noted.
            watch.stale = watch.rules.is_some();
        }
        Ok(())
    }

    /// The monitor listens to this MVPN from now on. Before that nothing is amiss there.
    pub fn handle_watched(&mut self, now: Instant, mvpn: &Name) {
        self.watch(mvpn).listen(now);
        self.tell_anew(now, mvpn, std::iter::empty());
    }

    /// It no longer does; so does a change with [`Cause::Unwatched`]. Its alarms are cleared at once.
    pub fn handle_unwatched(&mut self, now: Instant, mvpn: &Name) {
        let Some(watch) = self.watches.get_mut(mvpn) else {
            return;
        };
        watch.stop_listening();
        if watch.is_idle() {
            self.watches.remove(mvpn);
        }
        self.end_what_was_heard(now, mvpn, Cleared::Unwatched);
    }

    /// This is expected of an MVPN from now on, in place of what was; `records` are all of its view, as it is now.
    pub fn handle_expected<'a>(
        &mut self,
        now: Instant,
        expected: Expected,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<(), ExpectedError> {
        expected.validate()?;
        let mvpn = expected.mvpn.clone();
        self.watch(&mvpn).rules = Some(Rules::new(expected));
        self.tell_anew(now, &mvpn, records.into_iter());
        Ok(())
    }

    /// Nothing is expected of an MVPN any more.
    pub fn handle_nothing_expected(&mut self, now: Instant, mvpn: &Name) {
        let Some(watch) = self.watches.get_mut(mvpn) else {
            return;
        };
        watch.rules = None;
        if watch.is_idle() {
            self.watches.remove(mvpn);
        }
        self.tell_anew(now, mvpn, std::iter::empty());
    }

    /// All records of an MVPN's view, as [`Alarms::poll_stale`] asked for.
    pub fn handle_records<'a>(
        &mut self,
        now: Instant,
        mvpn: &Name,
        records: impl IntoIterator<Item = &'a Record>,
    ) {
        self.tell_anew(now, mvpn, records.into_iter());
    }

    /// A change of an MVPN's view, once it is in the view.
    pub fn handle_change(&mut self, change: &Change) {
        if change.cause == Cause::Unwatched {
            self.handle_unwatched(change.at, &change.mvpn);
            return;
        }
        let Some(watch) = self.watches.get_mut(&change.mvpn) else {
            return;
        };
        if watch.is_listening() {
            let mut effects = Vec::new();
            watch.handle_change(change, &mut effects);
            self.apply(change.at, &change.mvpn, effects);
        }
    }

    /// Anything that is written down: what is heard, and results of the active side, held against the thresholds.
    pub fn handle_outcome(&mut self, now: Instant, outcome: &Outcome) {
        match outcome {
            Outcome::Interval(row) => self.handle_interval(row),
            Outcome::TaskFinished(task) => {
                self.end_what_was_measured(now, &task.spec.name, Cleared::Unwatched);
            }
            Outcome::WatchStarted { mvpn, at_ns } => self.handle_watched(*at_ns, mvpn),
            Outcome::WatchStopped { mvpn, at_ns } => self.handle_unwatched(*at_ns, mvpn),
            Outcome::Change(change) => self.handle_change(change),
            Outcome::TunnelAdded { .. }
            | Outcome::TunnelDropped { .. }
            | Outcome::TaskStarted(_)
            | Outcome::Probe(_)
            | Outcome::Ping(_)
            | Outcome::Stream { .. }
            | Outcome::PassiveStarted(_)
            | Outcome::Repeated(_)
            | Outcome::Alarm(_)
            | Outcome::OnewayStarted(_)
            | Outcome::Oneway(_)
            | Outcome::OnewayFinished(_)
            | Outcome::Expected { .. } => {}
        }
    }

    /// One pair, one interval. It counts from the interval's end on, so that what is raised after so long is known to have
    /// been so for as long, and not only until the last row.
    pub fn handle_interval(&mut self, row: &IntervalRow) {
        let of_task = |threshold: &&Threshold| {
            let tasks = threshold.tasks.as_ref();
            tasks.is_none_or(|tasks| tasks.contains(&row.task_name))
        };
        let judged: Vec<(Subject, u64, bool)> = self
            .spec
            .thresholds
            .iter()
            .filter(of_task)
            .filter_map(|threshold| {
                let value = threshold.metric.value(row)?;
                let measured = Measured {
                    sender: row.pair.sender_name.clone(),
                    receiver: row.pair.receiver_name.clone(),
                    metric: threshold.metric,
                    above: threshold.above,
                };
                let subject = Subject::of_pair(&row.task_name, measured);
                Some((subject, value, value > threshold.above.value()))
            })
            .collect();
        for (subject, value, is_above) in judged {
            self.set(row.end_ns, &subject, Found::Value(value), is_above);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        for _ in 0..STEPS_AT_ONCE {
            if self.transitions.len() >= TRANSITIONS_WAITING_MAX {
                break;
            }
            let Some(subject) = self.table.due(now) else {
                break;
            };
            self.advance(now, &subject);
        }
        self.announcer.handle_timeout(now);
    }

    /// When there is something to do; in the past for at once.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.table.next_deadline(), self.announcer.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// What has become of an alarm: every turn of every one, for the store and the web.
    pub fn poll_transition(&mut self) -> Option<Transition> {
        self.transitions.pop_front()
    }

    /// What people are to be told, for the sinks.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.announcer.poll()
    }

    /// An MVPN of which something was not noted; [`Alarms::handle_records`] is to be called for it.
    pub fn poll_stale(&mut self) -> Option<Name> {
        if !self.table.is_roomy() {
            return None;
        }
        let mut stale = self.watches.iter_mut().filter(|(_, watch)| watch.stale);
        let (mvpn, watch) = stale.next()?;
        watch.stale = false;
        Some(mvpn.clone())
    }

    fn watch(&mut self, mvpn: &Name) -> &mut Watch {
        let asked_max = self.spec.alarms_max as usize;
        self.watches
            .entry(mvpn.clone())
            .or_insert_with(|| Watch::new(mvpn.clone(), asked_max))
    }
}
