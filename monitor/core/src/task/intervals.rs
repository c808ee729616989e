//! Deciding probes, closing intervals, and the rows that come of it.
//!
//! A probe belongs to the interval of its send time: interval k begins at its edge
//! `epoch + k * length` and ends just before the next. It is closed when no probe sent in it
//! can still be undecided.

use super::{Presence, ROWS_KEPT, ROWS_KEPT_IN_ALL, Task};
use crate::correction::{RoundTrips, correct, correct_by_inference};
use crate::fault::Fault;
use crate::ledger::{Pair, Summary, received};
use crate::oneway::Inferred;
use crate::ping::{CAPTURE_GRACE, PING_TIMEOUT};
use crate::report::{Fate, IntervalRow, PairResult, ProbeRecord, TaskState};
use crate::time::{Instant, Span};

/// What a task needs to know of the rest of the monitor.
pub(crate) trait Surroundings {
    /// Pings of a tunnel sent in a span of time.
    fn round_trips(&self, tunnel: u32, start: Instant, end: Instant) -> RoundTrips;
    /// How many tasks there are.
    fn tasks(&self) -> usize;
    /// Whether anybody wants to know the fate of every single probe.
    fn logs_probes(&self) -> bool;
    /// Packets dropped by the capture since then.
    fn capture_drops_since(&self, start: Instant) -> u64;
    /// One-way losses of a pair's tunnels, if both are known of that time.
    fn inferred(&self, sender: u32, receiver: u32, when: Instant) -> Option<Inferred<'_>>;
}

/// Rows that are made at once, and delays that are sorted for them, at least: more would keep packets waiting, those that are to
/// be sent as well as those in the capture's ring. The next follow a little later.
const ROWS_AT_ONCE: u64 = 16;
const DELAYS_AT_ONCE: u64 = 256;
const ROWS_APART: Span = Span::from_ms(1);

/// An interval of which some rows are out.
#[derive(Debug)]
pub(super) struct Closing {
    /// When the next rows are made.
    pub(super) goes_on_at: Instant,
    start: Instant,
    end: Instant,
    /// By member.
    trips: Vec<RoundTrips>,
    capture_drops: u64,
}

/// What a task has to say.
#[derive(Debug)]
pub(crate) enum Output {
    /// A probe's fate.
    Probe(ProbeRecord),
    /// Rows of an interval: all, or the next of many.
    Interval {
        interval: u64,
        rows: Vec<IntervalRow>,
    },
    /// The state is another, or a member is out.
    Changed,
    /// The run is over.
    Finished,
}

impl Task {
    /// Does everything that time alone brings about.
    pub(crate) fn advance(
        &mut self,
        now: Instant,
        around: &impl Surroundings,
        out: &mut Vec<Output>,
    ) {
        if self.state == TaskState::WarmingUp && now >= self.epoch {
            self.state = TaskState::Running;
            out.push(Output::Changed);
        }
        self.settle_members(now, out);
        self.decide(now, around.logs_probes(), out);
        while self.close_what_is_due(now, around, out) {}
        let is_settled = self.settled_at().is_some_and(|at| at <= now);
        if self.state == TaskState::Draining && is_settled {
            self.finish(around, out);
        }
    }

    /// Members that leave or enter have done so when their time has come.
    fn settle_members(&mut self, now: Instant, out: &mut Vec<Output>) {
        let mut changed = false;
        while let Some(index) = self.changes.poll(now) {
            self.changes.set(&index, None);
            let member = &mut self.members[index];
            member.presence = match member.presence {
                Presence::Leaving(_) => Presence::Out,
                Presence::Entering(_) => Presence::In,
                Presence::In | Presence::Out => continue,
            };
            changed = true;
        }
        if changed {
            self.find_targets();
            out.push(Output::Changed);
        }
    }

    /// Decides every probe whose time is over.
    fn decide(&mut self, now: Instant, logs: bool, out: &mut Vec<Output>) {
        while let Some(index) = self.decisions.poll(now) {
            while self.account_oldest(index, now, logs, out) {
                self.flows[index].forget_oldest();
            }
            self.await_decision(index);
        }
    }

    /// Accounts for a member's oldest probe, if its time is over.
    fn account_oldest(
        &mut self,
        index: usize,
        now: Instant,
        logs: bool,
        out: &mut Vec<Output>,
    ) -> bool {
        let Some(probe) = self.flows[index].decided(now, self.patience) else {
            return false;
        };
        let member = &self.members[index];
        let (sender, from) = (member.tunnel, member.sends_as);
        let Some(from) = from.filter(|_| !probe.unsent) else {
            return true;
        };
        let by_time = self.interval_of(probe.sent);
        let interval = (!probe.warmup).then(|| self.ledger.count(from, by_time, &probe));
        if !logs {
            return true;
        }
        for (place, arrival) in probe.arrivals() {
            let received_ns = received(&arrival, self.fault);
            out.push(Output::Probe(ProbeRecord {
                task: self.id,
                sender,
                receiver: self.ends[self.receivers[place]].tunnel,
                seq: probe.seq as u32,
                sent_ns: probe.sent,
                received_ns,
                fate: if received_ns.is_some() {
                    Fate::Received
                } else {
                    Fate::Lost
                },
                duplicates: arrival.duplicates,
                reordered: arrival.reordered,
                late: arrival.late,
                warmup: probe.warmup,
                interval,
            }));
        }
        true
    }

    /// The first instant of an interval.
    fn edge(&self, interval: u64) -> Instant {
        self.epoch + self.spec.probes.interval.times(interval)
    }

    /// How much later than its edge an interval's first probe is taken to be: nothing.
    fn edge_error(&self) -> Span {
        if self.fault.is(Fault::IntervalEdgeOffByOne) {
            return self.spec.probes.rate.gap().unwrap_or_default();
        }
        Span::ZERO
    }

    fn interval_of(&self, sent: Instant) -> u64 {
        let since_epoch = sent.since(self.epoch + self.edge_error());
        let interval = since_epoch.as_ns() / self.spec.probes.interval.as_ns();
        // A probe stamped after sending has ended belongs to the last interval, not to one of its own.
        interval.min(self.last_interval().unwrap_or(u64::MAX))
    }

    /// The last interval, once it is known when sending ends.
    fn last_interval(&self) -> Option<u64> {
        let sending = self.stopped?.since(self.epoch).as_ns();
        Some(
            sending
                .div_ceil(self.spec.probes.interval.as_ns())
                .saturating_sub(1),
        )
    }

    /// When every probe of an interval, and every ping, is decided.
    pub(super) fn closes_at(&self, interval: u64) -> Instant {
        self.edge(interval + 1) + self.edge_error() + self.settling_time()
    }

    /// When everything is decided after sending has ended; `None` while it is not.
    pub(super) fn settled_at(&self) -> Option<Instant> {
        let decided = self.decisions.first().is_none();
        self.stopped
            .filter(|_| decided)
            .map(|stopped| stopped + self.settling_time())
    }

    fn settling_time(&self) -> Span {
        self.patience
            .until_decision()
            .max(PING_TIMEOUT + CAPTURE_GRACE)
    }

    /// Closes as much as is due now and can be done at once; whether there was anything.
    fn close_what_is_due(
        &mut self,
        now: Instant,
        around: &impl Surroundings,
        out: &mut Vec<Output>,
    ) -> bool {
        let is_due = match &self.closing {
            Some(closing) => closing.goes_on_at <= now,
            None => self.state == TaskState::Running && now >= self.closes_at(self.next_interval),
        };
        if is_due {
            // Who comes late for a step does those that were due meanwhile, too.
            let since = self.closing.as_ref().map_or(now, |c| c.goes_on_at);
            let steps = 1 + now.since(since).as_ns() / ROWS_APART.as_ns();
            self.close_rows(steps, around, out);
            if let Some(closing) = &mut self.closing {
                closing.goes_on_at = now + ROWS_APART;
            }
        }
        is_due
    }

    fn begin_closing(&mut self, around: &impl Surroundings) -> Closing {
        let interval = self.next_interval;
        self.ledger.close(interval);
        let start = self.edge(interval);
        let end = self.stopped.map_or(self.edge(interval + 1), |stopped| {
            self.edge(interval + 1).min(stopped)
        });
        let trips: Vec<RoundTrips> = self
            .ends
            .iter()
            .map(|member| around.round_trips(member.tunnel, start, end))
            .collect();
        for (member, trips) in self.members.iter_mut().zip(&trips) {
            member.round_trips.add(*trips);
        }
        Closing {
            goes_on_at: Instant::ZERO,
            start,
            end,
            trips,
            capture_drops: around.capture_drops_since(start),
        }
    }

    /// The next rows of the interval that is being closed, or of the next: those of so many steps.
    fn close_rows(&mut self, steps: u64, around: &impl Surroundings, out: &mut Vec<Output>) {
        let closing = match self.closing.take() {
            Some(closing) => closing,
            None => self.begin_closing(around),
        };
        let interval = self.next_interval;
        let (rows_at_once, delays_at_once) = self.piece(steps);
        let mut rows = Vec::new();
        let (mut is_over, mut delays) = (false, 0);
        while (rows.len() as u64) < rows_at_once && delays < delays_at_once && !is_over {
            let Some((pair, summary)) = self.ledger.sum_up() else {
                is_over = true;
                continue;
            };
            delays += summary.counts.received;
            let mut pair = self.pair_result(pair, &summary, |member| closing.trips[member]);
            let inferred = around.inferred(pair.sender, pair.receiver, closing.end);
            correct_by_inference(&mut pair, inferred.as_ref(), self.fault);
            let row = self.next_row;
            self.next_row += 1;
            rows.push(IntervalRow {
                row,
                task_name: self.spec.name.clone(),
                task: self.id,
                interval,
                start_ns: closing.start,
                end_ns: closing.end,
                capture_drops: closing.capture_drops,
                pair,
            });
        }
        match is_over {
            true => self.next_interval += 1,
            false => self.closing = Some(closing),
        }
        self.keep(&rows, around.tasks());
        if !rows.is_empty() {
            out.push(Output::Interval { interval, rows });
        }
    }

    /// Rows and delays of which so many steps of closing are made: as few as let it be over in half of the next interval.
    fn piece(&self, steps: u64) -> (u64, u64) {
        let probes = &self.spec.probes;
        let of = (probes.interval.as_ns() / 2 / ROWS_APART.as_ns()).max(1);
        let pairs = self.ledger.pairs() as u64;
        let gap = probes.rate.gap().unwrap_or(probes.interval).as_ns().max(1);
        let delays = pairs * (probes.interval.as_ns() / gap + 1);
        (
            pairs.div_ceil(of).max(ROWS_AT_ONCE).saturating_mul(steps),
            delays
                .div_ceil(of)
                .max(DELAYS_AT_ONCE)
                .saturating_mul(steps),
        )
    }

    fn keep(&mut self, rows: &[IntervalRow], tasks: usize) {
        self.rows.extend(rows.iter().cloned());
        let share = ROWS_KEPT.min(ROWS_KEPT_IN_ALL / tasks.max(1));
        let kept = share.max(2 * self.ledger.pairs());
        self.rows.drain(..self.rows.len().saturating_sub(kept));
    }

    /// Closes what is left; the run is over.
    fn finish(&mut self, around: &impl Surroundings, out: &mut Vec<Output>) {
        let stopped = self.stopped.unwrap_or(self.epoch);
        while self.closing.is_some() || stopped > self.edge(self.next_interval) {
            let is_last = stopped <= self.edge(self.next_interval + 1);
            if is_last && self.fault.is(Fault::LastIntervalDropped) {
                break;
            }
            self.close_rows(1, around, out);
        }
        self.state = TaskState::Finished;
        out.push(Output::Finished);
    }

    /// What a pair's account comes to, with the round trips of both members' tunnels.
    fn pair_result(
        &self,
        (from, to): Pair,
        summary: &Summary,
        trips: impl Fn(usize) -> RoundTrips,
    ) -> PairResult {
        let (from, to) = (self.senders[from], self.receivers[to]);
        let (sender, receiver) = (&self.members[from], &self.members[to]);
        let Summary {
            counts,
            delay,
            ipdv,
            pdv,
        } = *summary;
        PairResult {
            sender: sender.tunnel,
            sender_name: sender.name.clone(),
            receiver: receiver.tunnel,
            receiver_name: receiver.name.clone(),
            counts,
            loss: (counts.sent > 0).then(|| counts.lost as f64 / counts.sent as f64),
            delay,
            ipdv,
            pdv,
            corrected: correct(
                &counts,
                delay.map(|d| d.mean_ns),
                &trips(from),
                &trips(to),
                self.fault,
            ),
        }
    }

    /// The pair matrix over all closed and open intervals so far, corrected by the closed ones' pings.
    /// From the `first` on, at most so many; and where the next ones begin, if there are any.
    pub(crate) fn pairs(
        &self,
        first: usize,
        most: usize,
        now: Instant,
        around: &impl Surroundings,
    ) -> (Vec<PairResult>, Option<usize>) {
        let until = self.stopped.unwrap_or(now).min(now);
        let trips = |member: usize| self.members[member].round_trips;
        let result = |(_, pair, summary): (usize, _, _)| {
            let mut pair = self.pair_result(pair, &summary, trips);
            let inferred = around.inferred(pair.sender, pair.receiver, until);
            correct_by_inference(&mut pair, inferred.as_ref(), self.fault);
            pair
        };
        let mut totals = self.ledger.totals_from(first).peekable();
        let results = totals.by_ref().take(most).map(result).collect();
        (results, totals.peek().map(|(index, ..)| *index))
    }
}
