//! Probes of a task: when the next is due, and when there are no more.

use rand::Rng;

use super::{Presence, Probe, Task};
use crate::report::TaskState;
use crate::schedule::{Timetable, turn};
use crate::time::{Instant, Span};

impl Task {
    /// Puts a sender on the timetable, from `now`.
    pub(super) fn schedule(&mut self, index: usize, now: Instant, rng: &mut impl Rng) {
        let of = self.senders.len();
        let probes = &self.spec.probes;
        let member = &mut self.members[index];
        if member.sends_as.is_none() {
            return;
        }
        // Tasks that start together do not send together either: each in its own part of the time between two senders.
        let between = probes.rate.gap().unwrap_or_default().as_ns() / of.max(1) as u64;
        let start = now + turn(self.id.wrapping_sub(1), Span::from_ns(between));
        let timetable = Timetable::new(probes.schedule, probes.rate, start, member.phase, of, rng);
        self.probes.insert((timetable.next(), member.tunnel));
        member.timetable = Some(timetable);
    }

    /// The next probe, if one is due. Sending ends here when the count or time is reached.
    pub(crate) fn poll_probe(&mut self, now: Instant, rng: &mut impl Rng) -> Option<Probe> {
        if self.is_sending() && self.end.is_some_and(|end| end <= now) {
            self.stop(self.end.unwrap_or(now));
        }
        while self.is_sending() {
            let (_, tunnel) = *self.probes.first().filter(|(at, _)| *at <= now)?;
            self.probes.pop_first();
            let Some(index) = self.index_of(tunnel) else {
                continue;
            };
            if let Some(probe) = self.send(index, now, rng) {
                return Some(probe);
            }
        }
        None
    }

    /// The probe that is due now, if one is: the tunnel it goes into, when it was due, and how many copies it brings back.
    pub(crate) fn peek_probe(&self, now: Instant) -> Option<(u32, Instant, usize)> {
        let (_, tunnel) = *self.probes.first().filter(|(at, _)| *at <= now)?;
        let member = &self.members[self.index_of(tunnel)?];
        let due = member.timetable.as_ref()?.next();
        Some((tunnel, due, member.targets.count()))
    }

    /// The probe that is due first is put off until then.
    pub(crate) fn put_off_probe(&mut self, at: Instant) {
        if let Some((_, tunnel)) = self.probes.pop_first() {
            self.probes.insert((at, tunnel));
        }
    }

    /// The probe that is due first is not sent at all.
    pub(crate) fn shed_probe(&mut self, now: Instant, rng: &mut impl Rng) {
        let Some((_, tunnel)) = self.probes.pop_first() else {
            return;
        };
        let member = self.member_mut(tunnel);
        if let Some(timetable) = member.and_then(|m| m.timetable.as_mut()) {
            timetable.advance(now, rng);
            let next = timetable.next();
            self.probes.insert((next, tunnel));
        }
    }

    /// The next probe of a sender, which is due; nothing if it has sent all.
    fn send(&mut self, index: usize, now: Instant, rng: &mut impl Rng) -> Option<Probe> {
        let before_epoch = now < self.epoch;
        let member = &mut self.members[index];
        let warmup = before_epoch || matches!(member.presence, Presence::Entering(_));
        let count = self.spec.probes.count;
        if !warmup && count.is_some_and(|count| member.counted >= count) {
            self.stop_if_all_sent(now);
            return None;
        }
        let tunnel = member.tunnel;
        if let Some(timetable) = &mut member.timetable {
            timetable.advance(now, rng);
            self.probes.insert((timetable.next(), tunnel));
        }
        let seq = self.flows[index].send(now, warmup, &member.targets)?;
        member.counted += u64::from(!warmup);
        self.probes_sent += 1;
        if self.flows[index].has_one() {
            self.await_decision(index);
        }
        Some(Probe {
            tunnel,
            seq: seq as u32,
            warmup,
        })
    }

    fn stop_if_all_sent(&mut self, now: Instant) {
        if self.probes.is_empty() {
            self.stop(now);
        }
    }

    /// Ends sending. What is on its way is waited for.
    pub(crate) fn stop(&mut self, now: Instant) {
        if self.is_sending() {
            self.state = TaskState::Draining;
            self.stopped = Some(now);
            self.probes.clear();
        }
    }

    /// When [`Task::poll_probe`] has something to do.
    pub(crate) fn next_probe(&self) -> Option<Instant> {
        let end = self.end.filter(|_| self.is_sending());
        let probe = self.probes.first().map(|(at, _)| *at);
        probe.into_iter().chain(end).min()
    }
}
