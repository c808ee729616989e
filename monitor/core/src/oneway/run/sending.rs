//! Probes of a one-way measurement: when the next is due, and when there are no more.

use rand::Rng;

use super::{Due, Phase, Run, copies_back};
use crate::oneway::counter::Counter;
use crate::oneway::report::OnewayState;
use crate::schedule::Timetable;
use crate::task::Probe;
use crate::time::{Instant, Span};

/// How long is waited for anybody once the monitor is to end.
const HASTE: Span = Span::from_s(1);

impl Run {
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

    pub(super) fn next_probe(&self) -> Option<Instant> {
        let due = self.timetable.as_ref().map(Timetable::next)?;
        Some(due.max(self.put_off))
    }

    /// The next probe, if one is due. Sending ends here when the count or time is reached.
    pub(crate) fn poll_probe(&mut self, now: Instant, rng: &mut impl Rng) -> Option<Due> {
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
            // Too many are open, or a counter must be read first: this one is not sent.
            if let Some(due) = self.send(now, warmup) {
                return Some(due);
            }
        }
    }

    fn send(&mut self, now: Instant, warmup: bool) -> Option<Due> {
        if !warmup && !self.counters().all(Counter::may_send) {
            return None;
        }
        let seq = self.window.send(now, warmup)?;
        let mut source_port = None;
        if !warmup {
            source_port = self.counters().find_map(Counter::port);
            let number = self.window.extend(seq)?;
            self.tally.handle_sent(number);
            self.counters_mut()
                .for_each(|counter| counter.handle_sent(now, number));
            self.counted += 1;
        }
        self.probes_sent += 1;
        let tunnel = self.up;
        let probe = Probe {
            tunnel,
            seq,
            warmup,
        };
        Some(Due { probe, source_port })
    }

    pub(super) fn stop_sending(&mut self, stopped: Instant) {
        self.counters_mut()
            .for_each(|counter| counter.finish(stopped));
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
        self.patience = HASTE;
        self.waits_until = None;
        self.counters_mut()
            .for_each(|counter| counter.hasten(now + HASTE));
    }
}
