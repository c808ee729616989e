//! What changes mean for conditions: evidence that comes and goes, and what follows from what.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::condition::Timing;
use super::subject::{Found, Subject};
use super::watch::{Effect, Watch};
use super::{Alarms, Cleared, Kind};
use crate::name::Name;
use crate::time::{Instant, Span};
use crate::view::Record;

impl Alarms {
    pub(super) fn apply(&mut self, now: Instant, mvpn: &Name, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Hold(subject, found) => self.hold(now, &subject, found),
                Effect::Release(subject) => self.release(now, &subject),
                Effect::Set(subject, holds) => self.set(now, &subject, Found::Nothing, holds),
                Effect::Happen(subject) => self.happen(now, &subject),
                Effect::Cover(pe) => self.cover(now, mvpn, pe),
            }
        }
    }

    /// One record more says so.
    fn hold(&mut self, now: Instant, subject: &Subject, found: Found) {
        let evidence = self.evidence(subject).saturating_add(1);
        self.set_evidence(now, subject, found, evidence);
    }

    /// One record less.
    fn release(&mut self, now: Instant, subject: &Subject) {
        let Some(entry) = self.table.get(subject) else {
            return;
        };
        let (found, evidence) = (entry.found, entry.condition.evidence());
        self.set_evidence(now, subject, found, evidence.saturating_sub(1));
    }

    /// It is so, or is not.
    pub(super) fn set(&mut self, now: Instant, subject: &Subject, found: Found, holds: bool) {
        if holds || self.table.get(subject).is_some() {
            self.set_evidence(now, subject, found, u32::from(holds));
        }
    }

    fn evidence(&self, subject: &Subject) -> u32 {
        let entry = self.table.get(subject);
        entry.map_or(0, |entry| entry.condition.evidence())
    }

    fn set_evidence(&mut self, now: Instant, subject: &Subject, found: Found, evidence: u32) {
        if evidence > 0 && !self.make(now, subject) {
            return;
        }
        let timing = self.timing(now, subject);
        self.table.change(subject, &timing, |entry| {
            if evidence > 0 {
                entry.found = found;
            }
            entry.condition.set_evidence(now, evidence, &timing);
        });
    }

    fn happen(&mut self, now: Instant, subject: &Subject) {
        if self.make(now, subject) {
            let timing = self.timing(now, subject);
            self.table.change(subject, &timing, |entry| {
                entry.condition.happen(now, &timing)
            });
        }
    }

    /// Makes a condition, covered from the beginning if it is to be. Not done, and noted, where there is no room.
    fn make(&mut self, now: Instant, subject: &Subject) -> bool {
        if self.spec.is_off(subject.kind) {
            return false;
        }
        if self.table.get(subject).is_some() {
            return true;
        }
        if !self.table.make(now, subject) {
            self.missed += 1;
            if let Some(watch) = self.watches.get_mut(&subject.mvpn) {
                watch.stale = true;
            }
            return false;
        }
        self.cover_one(now, subject);
        true
    }

    /// Looks anew at what follows from a PE's being missing, or from the MVPN's silence.
    pub(super) fn cover(&mut self, now: Instant, mvpn: &Name, pe: Option<Ipv4Addr>) {
        let mut subjects = match pe {
            Some(pe) => self.table.of_pe(mvpn, pe),
            None => self.table.of_mvpn(mvpn),
        };
        if pe.is_some() {
            subjects.extend(self.table.of_no_pe(mvpn));
        }
        for subject in subjects {
            self.cover_one(now, &subject);
        }
    }

    fn cover_one(&mut self, now: Instant, subject: &Subject) {
        let mut causes = match self.watches.get(&subject.mvpn) {
            Some(watch) => causes(watch, subject),
            None => Vec::new(),
        };
        // What is not told explains nothing to anybody.
        causes.retain(|cause| !self.spec.is_off(cause.kind));
        let is_told = |cause: &Subject| {
            let entry = self.table.get(cause);
            entry.is_some_and(|entry| entry.condition.is_active())
        };
        let told = causes.iter().any(is_told);
        let timing = self.timing(now, subject);
        self.table.change(subject, &timing, |entry| {
            let condition = &mut entry.condition;
            condition.set_covered(now, !causes.is_empty(), &timing);
            if told {
                condition.end(Cleared::Covered);
            }
        });
    }

    /// All that was heard of an MVPN is told anew; what is as it was stays as it is.
    pub(super) fn tell_anew<'a>(
        &mut self,
        now: Instant,
        mvpn: &Name,
        records: impl Iterator<Item = &'a Record>,
    ) {
        let fresh = self.evidence_of(mvpn, records);
        for subject in self.table.of_mvpn(mvpn) {
            if is_heard(subject.kind) && !fresh.contains_key(&subject) {
                self.end_one(now, &subject, Cleared::Expected);
            }
        }
        for (subject, (evidence, found)) in &fresh {
            self.set_evidence(now, subject, *found, *evidence);
        }
        self.cover(now, mvpn, None);
    }

    fn evidence_of<'a>(
        &mut self,
        mvpn: &Name,
        records: impl Iterator<Item = &'a Record>,
    ) -> BTreeMap<Subject, (u32, Found)> {
        let mut fresh = BTreeMap::<Subject, (u32, Found)>::new();
        let Some(watch) = self.watches.get_mut(mvpn) else {
            return fresh;
        };
        watch.begin_anew();
        let mut effects = Vec::new();
        for record in records {
            watch.handle_record(record, &mut effects);
            for effect in effects.drain(..) {
                match effect {
                    Effect::Hold(subject, found) => {
                        if fresh.len() < self.spec.alarms_max as usize
                            || fresh.contains_key(&subject)
                        {
                            let (evidence, _) = fresh.entry(subject).or_insert((0, found));
                            *evidence = evidence.saturating_add(1);
                        } else {
                            self.missed += 1;
                            watch.stale = true;
                        }
                    }
                    // Records that are there neither take anything back nor change.
                    Effect::Release(_)
                    | Effect::Set(_, _)
                    | Effect::Happen(_)
                    | Effect::Cover(_) => {}
                }
            }
        }
        let absences = watch.absences();
        fresh.extend(
            absences
                .into_iter()
                .map(|subject| (subject, (1, Found::Nothing))),
        );
        fresh.retain(|subject, _| !self.spec.is_off(subject.kind));
        fresh
    }

    /// The monitor no longer listens there.
    pub(super) fn end_what_was_heard(&mut self, now: Instant, mvpn: &Name, why: Cleared) {
        for subject in self.table.of_mvpn(mvpn) {
            match subject.kind {
                Kind::Threshold => self.cover_one(now, &subject),
                Kind::MvpnSilent
                | Kind::PeMissing
                | Kind::PeUnexpected
                | Kind::PeRestarted
                | Kind::GroupUnexpected
                | Kind::SourceUnexpected
                | Kind::SendNotAllowed
                | Kind::ReceiveNotAllowed
                | Kind::MappingOutsidePool
                | Kind::MappingNotAllowed => self.end_one(now, &subject, why),
            }
        }
    }

    /// A task is over.
    pub(super) fn end_what_was_measured(&mut self, now: Instant, task: &Name, why: Cleared) {
        for subject in self.table.of_no_pe(task) {
            if subject.kind == Kind::Threshold {
                self.end_one(now, &subject, why);
            }
        }
    }

    /// What is no longer asked for.
    pub(super) fn drop_what_is_off(&mut self, now: Instant) {
        let subjects: Vec<Subject> = self.table.entries().map(|(s, _)| s.clone()).collect();
        for subject in subjects {
            let unasked = subject.kind == Kind::Threshold && self.threshold(&subject).is_none();
            if unasked || self.spec.is_off(subject.kind) {
                self.end_one(now, &subject, Cleared::Expected);
            }
        }
    }

    fn end_one(&mut self, now: Instant, subject: &Subject, why: Cleared) {
        let timing = self.timing(now, subject);
        self.table.change(subject, &timing, |entry| {
            // What is fine already is cleared for that, when its time has come.
            let holds = entry.condition.evidence() > 0;
            entry.condition.set_evidence(now, 0, &timing);
            if holds || why == Cleared::Unwatched {
                entry.condition.end(why);
            }
        });
    }

    /// How long is long enough for this one.
    pub(super) fn timing(&self, now: Instant, subject: &Subject) -> Timing {
        let kind = subject.kind;
        let lasting = match kind {
            Kind::Threshold => self
                .threshold(subject)
                .and_then(|threshold| threshold.lasting),
            Kind::MvpnSilent
            | Kind::PeMissing
            | Kind::PeUnexpected
            | Kind::PeRestarted
            | Kind::GroupUnexpected
            | Kind::SourceUnexpected
            | Kind::SendNotAllowed
            | Kind::ReceiveNotAllowed
            | Kind::MappingOutsidePool
            | Kind::MappingNotAllowed => None,
        };
        let raise_after = lasting.unwrap_or_else(|| self.spec.raise_after(kind));
        let watch = self
            .watches
            .get(&subject.mvpn)
            .filter(|_| kind.is_absence());
        let grace = watch.map_or(Span::ZERO, |watch| watch.grace(now, self.spec.listen_first));
        Timing {
            raise_after: raise_after.max(grace),
            clear_after: self.spec.clear_after(kind),
            flap_count: self.spec.flap_count as usize,
            flap_window: self.spec.flap_window,
            momentary: kind.is_momentary(),
        }
    }

    /// The threshold that a pair is held against.
    pub(super) fn threshold(&self, subject: &Subject) -> Option<&super::Threshold> {
        let measured = subject.measured.as_deref()?;
        self.spec.thresholds.iter().find(|threshold| {
            let tasks = threshold.tasks.as_ref();
            threshold.metric == measured.metric
                && threshold.above == measured.above
                && tasks.is_none_or(|tasks| tasks.contains(&subject.mvpn))
        })
    }
}

/// Whether it is known from the MVPN's records, and lasts.
fn is_heard(kind: Kind) -> bool {
    !kind.is_momentary() && kind != Kind::Threshold
}

/// What it follows from: of these things that are so, each explains it.
fn causes(watch: &Watch, subject: &Subject) -> Vec<Subject> {
    let mvpn = &subject.mvpn;
    let mut causes = Vec::new();
    if subject.kind == Kind::MvpnSilent {
        return causes;
    }
    if watch.is_silent() {
        causes.push(Subject::of_mvpn(Kind::MvpnSilent, mvpn));
    }
    if subject.kind == Kind::PeMissing {
        return causes;
    }
    let mut missing = |pe: Ipv4Addr| {
        if watch.is_missing(pe) {
            causes.push(Subject::of_pe(Kind::PeMissing, mvpn, pe));
        }
    };
    if let Some(pe) = subject.pe {
        missing(pe);
    }
    if let (Some(measured), Some(rules)) = (&subject.measured, &watch.rules) {
        let ends = [&measured.sender, &measured.receiver];
        let pes = ends
            .into_iter()
            .filter_map(|tunnel| rules.by_tunnel.get(tunnel));
        pes.for_each(|pe| missing(*pe));
    }
    causes
}
