//! All conditions by what they are about, and when each is to be looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::condition::{Condition, Phase, Timing};
use super::notice::Alarm;
use super::subject::{Found, Subject};
use crate::name::Name;
use crate::time::Instant;

#[derive(Debug)]
pub struct Entry {
    pub condition: Condition,
    pub found: Found,
    /// While it is one.
    pub alarm: Option<Box<Alarm>>,
    /// Its raising was told by itself.
    pub told: bool,
    deadline: Option<Instant>,
}

/// Conditions, never more than `entries_max`.
#[derive(Debug)]
pub struct Table {
    entries: BTreeMap<Subject, Entry>,
    deadlines: BTreeSet<(Instant, Subject)>,
    entries_max: usize,
    active: usize,
    /// Kept only for what they have been.
    resting: usize,
}

impl Table {
    pub fn new(entries_max: usize) -> Table {
        Table {
            entries: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            entries_max,
            active: 0,
            resting: 0,
        }
    }

    pub fn set_entries_max(&mut self, entries_max: usize) {
        self.entries_max = entries_max;
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn active(&self) -> usize {
        self.active
    }

    /// Whether there is room for a good many more.
    pub fn is_roomy(&self) -> bool {
        self.entries.len() <= self.entries_max / 2
    }

    pub fn get(&self, subject: &Subject) -> Option<&Entry> {
        self.entries.get(subject)
    }

    pub fn entries(&self) -> impl Iterator<Item = (&Subject, &Entry)> {
        self.entries.iter()
    }

    /// All that is about this MVPN.
    pub fn of_mvpn(&self, mvpn: &Name) -> Vec<Subject> {
        self.from(Subject::first(mvpn, None), |subject| subject.mvpn == *mvpn)
    }

    /// All that is about this PE of this MVPN.
    pub fn of_pe(&self, mvpn: &Name, pe: Ipv4Addr) -> Vec<Subject> {
        self.from(Subject::first(mvpn, Some(pe)), |subject| {
            subject.mvpn == *mvpn && subject.pe == Some(pe)
        })
    }

    /// All that is about this MVPN, and about no PE of it.
    pub fn of_no_pe(&self, mvpn: &Name) -> Vec<Subject> {
        self.from(Subject::first(mvpn, None), |subject| {
            subject.mvpn == *mvpn && subject.pe.is_none()
        })
    }

    fn from(&self, first: Subject, belongs: impl Fn(&Subject) -> bool) -> Vec<Subject> {
        let from_first = self.entries.range(first..);
        from_first
            .map(|(subject, _)| subject)
            .take_while(|subject| belongs(subject))
            .cloned()
            .collect()
    }

    /// Makes an entry where there is none yet. Not done, and false, where there is no room.
    pub fn make(&mut self, now: Instant, subject: &Subject) -> bool {
        if self.entries.contains_key(subject) {
            return true;
        }
        if self.entries.len() >= self.entries_max {
            return false;
        }
        let entry = Entry {
            condition: Condition::new(now),
            found: Found::Nothing,
            alarm: None,
            told: false,
            deadline: None,
        };
        self.entries.insert(subject.clone(), entry);
        self.resting += 1;
        true
    }

    /// Changes an entry, if it is there, and sees to its next deadline.
    pub fn change<T>(
        &mut self,
        subject: &Subject,
        timing: &Timing,
        change: impl FnOnce(&mut Entry) -> T,
    ) -> Option<T> {
        let entry = self.entries.get_mut(subject)?;
        let (was_active, was_resting) = standing(&entry.condition);
        let was_done = was_resting && entry.alarm.is_none();
        let outcome = change(entry);
        let (is_active, is_resting) = standing(&entry.condition);
        let is_done = is_resting && entry.alarm.is_none();
        let before = entry.deadline;
        entry.deadline = entry.condition.next_deadline(timing);
        let after = entry.deadline;
        self.active = self.active + usize::from(is_active) - usize::from(was_active);
        self.resting = self.resting + usize::from(is_resting) - usize::from(was_resting);
        if before != after {
            self.move_deadline(subject, before, after);
        }
        // What has been is of interest only while there is room for what is.
        if is_done && !was_done && self.resting > self.entries_max / 2 {
            self.remove(subject);
        }
        Some(outcome)
    }

    fn move_deadline(
        &mut self,
        subject: &Subject,
        before: Option<Instant>,
        after: Option<Instant>,
    ) {
        if let Some(before) = before {
            self.deadlines.remove(&(before, subject.clone()));
        }
        if let Some(after) = after {
            self.deadlines.insert((after, subject.clone()));
        }
    }

    pub fn remove(&mut self, subject: &Subject) {
        let Some(entry) = self.entries.remove(subject) else {
            return;
        };
        let (was_active, was_resting) = standing(&entry.condition);
        self.active -= usize::from(was_active);
        self.resting -= usize::from(was_resting);
        self.move_deadline(subject, entry.deadline, None);
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// The first that is due.
    pub fn due(&self, now: Instant) -> Option<Subject> {
        let (deadline, subject) = self.deadlines.first()?;
        (*deadline <= now).then(|| subject.clone())
    }
}

/// Whether it is an alarm; whether nothing holds it there but its past.
fn standing(condition: &Condition) -> (bool, bool) {
    let resting = condition.phase() == Phase::Quiet && condition.evidence() == 0;
    (condition.is_active(), resting)
}
