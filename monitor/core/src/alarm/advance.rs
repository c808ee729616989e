//! What becomes of a condition when its time has come, and who is told.

use super::condition::Step;
use super::message::words;
use super::subject::Subject;
use super::table::Entry;
use super::{Alarm, Alarms, Cleared, Kind, Transition, Turn};
use crate::time::{Instant, Span};

impl Alarms {
    pub(super) fn advance(&mut self, now: Instant, subject: &Subject) {
        let timing = self.timing(now, subject);
        let step = self.table.change(subject, &timing, |entry| {
            entry.condition.handle_timeout(now, &timing)
        });
        match step {
            None | Some(Step::None) => {}
            Some(Step::Raise) => self.raise(now, subject),
            Some(Step::Change) => self.tell_change(now, subject),
            Some(Step::Clear(why)) => self.clear(now, subject, why),
            Some(Step::Forget) => self.table.remove(subject),
        }
    }

    fn raise(&mut self, now: Instant, subject: &Subject) {
        let Some(entry) = self.table.get(subject) else {
            return;
        };
        self.raised += 1;
        let alarm = self.alarm(now, subject, entry);
        let transition = Transition {
            at_ns: now,
            turn: Turn::Raised,
            alarm,
        };
        let told = self.announcer.handle_raised(&transition);
        let timing = self.timing(now, subject);
        self.table.change(subject, &timing, |entry| {
            entry.alarm = Some(Box::new(transition.alarm.clone()));
            entry.told = told;
        });
        self.transitions.push_back(transition);
        match subject.kind {
            Kind::MvpnSilent => self.cover(now, &subject.mvpn, None),
            Kind::PeMissing => self.cover(now, &subject.mvpn, subject.pe),
            Kind::PeUnexpected
            | Kind::PeRestarted
            | Kind::GroupUnexpected
            | Kind::SourceUnexpected
            | Kind::SendNotAllowed
            | Kind::ReceiveNotAllowed
            | Kind::MappingOutsidePool
            | Kind::MappingNotAllowed
            | Kind::Threshold => {}
        }
    }

    fn tell_change(&mut self, now: Instant, subject: &Subject) {
        if let Some((alarm, told)) = self.refreshed(now, subject) {
            let turn = Turn::Changed;
            let at_ns = now;
            let transition = Transition { at_ns, turn, alarm };
            self.announcer.handle_changed(&transition, told);
            self.transitions.push_back(transition);
        }
    }

    fn clear(&mut self, now: Instant, subject: &Subject, why: Cleared) {
        let Some((mut alarm, told)) = self.refreshed(now, subject) else {
            return;
        };
        let timing = self.timing(now, subject);
        self.table.change(subject, &timing, |entry| {
            entry.alarm = None;
            entry.told = false;
        });
        alarm.cleared_ns = Some(now);
        alarm.cleared_because = Some(why);
        let turn = Turn::Cleared;
        let at_ns = now;
        let transition = Transition { at_ns, turn, alarm };
        self.announcer.handle_cleared(&transition, told);
        self.transitions.push_back(transition);
    }

    /// The alarm with what has changed in it since it was raised.
    fn refreshed(&mut self, now: Instant, subject: &Subject) -> Option<(Alarm, bool)> {
        let timing = self.timing(now, subject);
        let refresh = |entry: &mut Entry| {
            let alarm = entry.alarm.as_mut()?;
            alarm.count = alarm.count.max(entry.condition.count());
            alarm.flapping = entry.condition.is_flapping();
            Some(((**alarm).clone(), entry.told))
        };
        self.table.change(subject, &timing, refresh).flatten()
    }

    fn alarm(&self, now: Instant, subject: &Subject, entry: &Entry) -> Alarm {
        let watch = self.watches.get(&subject.mvpn);
        let rules = watch.and_then(|watch| watch.rules.as_ref());
        let since = entry.condition.since();
        let held: Span = now.since(since);
        let (message, remedy) = words(subject, entry.found, rules, held);
        let of_threshold = self
            .threshold(subject)
            .and_then(|threshold| threshold.severity);
        let pe_rules = subject.pe.and_then(|pe| rules?.pe(pe));
        Alarm {
            id: self.raised,
            kind: subject.kind,
            severity: of_threshold.unwrap_or_else(|| self.spec.severity(subject.kind)),
            mvpn: subject.mvpn.clone(),
            pe: subject.pe,
            pe_name: pe_rules.map(|pe| pe.name.clone()),
            group: subject.group,
            source: subject.source,
            measured: subject.measured.as_deref().cloned(),
            since_ns: since,
            raised_ns: now,
            cleared_ns: None,
            cleared_because: None,
            count: entry.condition.count(),
            flapping: entry.condition.is_flapping(),
            message,
            remedy: remedy.to_owned(),
        }
    }
}
