//! Trains of probes, and readings of a running counter in the silence between them.

use std::collections::BTreeMap;

use super::{Aggregate, Discard, Discards, Reading};
use crate::time::{Instant, Span};

/// Aggregates kept at most; beyond, the oldest is forgotten.
const KEPT_MAX: usize = 1 << 16;
/// Whatever is around a probe on an interface (Ethernet, a tag or two, GRE and its IPv4 header) has at most so many octets.
const AROUND_MAX: u64 = 128;

/// Trains that must agree on the length of a probe.
const AGREEING_LEAST: u64 = 3;

/// What shows that a reading is of the silence in which it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {
    /// A pulse that has moved within the silence.
    ByPulse,
    /// Somebody vouches that no answer is older.
    ByAge(Span),
}

/// How trains go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainSpec {
    /// Probes in a train.
    pub probes: u32,
    /// Octets of a probe's IPv4 datagram.
    pub datagram_bytes: u64,
    /// How long a probe may be on its way to the counter.
    pub settle: Span,
    /// Time between two questions in a silence.
    pub every: Span,
    /// How long a silence may take until its train is given up.
    pub patience: Span,
    /// What shows that a reading is of its silence.
    pub fresh: Fresh,
    /// Whether the counter counts probes only, as a multicast route does: then octets are not needed.
    pub exclusive: bool,
}

/// What a train turned out to be.
#[derive(Debug, Clone, Copy)]
struct Counted {
    aggregate: Aggregate,
    octets: Option<u64>,
}

/// A train on its way.
#[derive(Debug, Clone, Copy)]
struct Train {
    first: u64,
    last: u64,
    probes: u32,
    spoiled: bool,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Probes may go.
    Sending(Option<Train>),
    /// They may not, since the train that was sent is being counted.
    Quiet {
        /// Nothing of the train is on its way any more.
        since: Instant,
        train: Option<Train>,
    },
}

/// One counter that is read while probes go in trains.
#[derive(Debug)]
pub struct Trains {
    spec: TrainSpec,
    phase: Phase,
    /// The latest reading that is known to be of a silence.
    base: Option<Reading>,
    /// The first reading in the present silence.
    earlier: Option<Reading>,
    asked: Option<Instant>,
    /// The latest question was not answered.
    unanswered: bool,
    ask_due: Instant,
    counted: Vec<Counted>,
    discards: Discards,
}

impl Trains {
    /// Begins with a silence, in which a first reading is taken.
    pub fn new(now: Instant, spec: TrainSpec) -> Trains {
        let since = now + spec.settle;
        Trains {
            spec,
            phase: Phase::Quiet { since, train: None },
            base: None,
            earlier: None,
            asked: None,
            unanswered: false,
            ask_due: since,
            counted: Vec::new(),
            discards: Discards::default(),
        }
    }

    /// Whether a probe may be sent.
    pub fn may_send(&self) -> bool {
        matches!(self.phase, Phase::Sending(_))
    }

    /// A probe is sent. Sent in a silence, it spoils what is being counted.
    pub fn handle_sent(&mut self, now: Instant, seq: u64) {
        match &mut self.phase {
            Phase::Sending(train) => {
                let train = train.get_or_insert(Train {
                    first: seq,
                    last: seq,
                    probes: 0,
                    spoiled: false,
                });
                train.spoiled |= train.probes > 0 && seq != train.last + 1;
                train.last = seq;
                train.probes += 1;
                if train.probes >= self.spec.probes {
                    let train = *train;
                    self.fall_silent(now, Some(train));
                }
            }
            Phase::Quiet { train, .. } => {
                let train = train.take();
                self.discard(train, Discard::NotSent);
                self.base = None;
                self.fall_silent(now, None);
            }
        }
    }

    /// A probe that was to be sent did not leave.
    pub fn handle_unsent(&mut self, seq: u64) {
        if let Phase::Sending(Some(train))
        | Phase::Quiet {
            train: Some(train), ..
        } = &mut self.phase
            && (train.first..=train.last).contains(&seq)
        {
            train.spoiled = true;
        }
    }

    /// No more probes will be sent: what is of a train is counted as one.
    pub fn finish(&mut self, now: Instant) {
        if let Phase::Sending(train) = self.phase {
            self.fall_silent(now, train);
        }
    }

    /// Whether anything is still to be read of what was sent.
    pub fn is_settled(&self) -> bool {
        matches!(
            self.phase,
            Phase::Sending(None) | Phase::Quiet { train: None, .. }
        )
    }

    /// When there is something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let Phase::Quiet { since, .. } = self.phase else {
            return None;
        };
        let ask = self.asked.is_none().then_some(self.ask_due);
        let give_up = since + self.spec.patience;
        Some(ask.map_or(give_up, |ask| ask.min(give_up)))
    }

    /// Whether the agent is to be asked now. One question at a time.
    pub fn poll_ask(&mut self, now: Instant) -> bool {
        self.give_up_if_due(now);
        let Phase::Quiet { since, .. } = self.phase else {
            return false;
        };
        if self.asked.is_some() || now < since || now < self.ask_due {
            return false;
        }
        self.asked = Some(now);
        self.ask_due = now + self.spec.every;
        true
    }

    /// The agent was asked, and did not answer.
    pub fn handle_no_answer(&mut self) {
        (self.asked, self.unanswered) = (None, true);
    }

    /// The agent answered.
    pub fn handle_reading(&mut self, now: Instant, reading: Reading) {
        (self.asked, self.unanswered) = (None, false);
        let Phase::Quiet { since, train } = self.phase else {
            return;
        };
        if reading.asked < since || reading.answered > now || reading.answered < reading.asked {
            return;
        }
        for before in [self.base, self.earlier].into_iter().flatten() {
            if let Err(reason) = reading.runs_on_from(&before) {
                return self.begin_anew(now, train, reason, reading);
            }
        }
        if self.is_fresh(&reading, since) {
            self.close(train, reading);
        } else {
            self.earlier.get_or_insert(reading);
        }
    }

    /// What was counted so far, oldest first, and what of it does not count.
    pub fn judge(&self) -> (Vec<Aggregate>, Discards) {
        let mut discards = self.discards.clone();
        let length = self.length();
        let mut clean = Vec::new();
        for counted in &self.counted {
            let Counted { aggregate, octets } = *counted;
            let verdict = match octets {
                None if self.spec.exclusive => None,
                None => Some(Discard::NoOctets),
                Some(octets) => {
                    let fits = length.and_then(|length| aggregate.counted.checked_mul(length));
                    let nothing = aggregate.counted == 0 && octets == 0;
                    (!nothing && fits != Some(octets)).then_some(Discard::ForeignPackets)
                }
            };
            match verdict {
                // Only now: a surplus by foreign packets is one of foreign packets.
                None if aggregate.counted > aggregate.sent() => {
                    discards.add(Discard::AboveSent, aggregate.sent());
                }
                None => clean.push(aggregate),
                Some(reason) => discards.add(reason, aggregate.sent()),
            }
        }
        (clean, discards)
    }

    /// Octets that a probe has for the counter: what most trains agree on, among what is possible; at least three of them, and
    /// two thirds of all that counted anything, or nobody knows.
    fn length(&self) -> Option<u64> {
        let mut votes: BTreeMap<u64, u64> = BTreeMap::new();
        let voters = self
            .counted
            .iter()
            .filter(|c| c.aggregate.counted > 0)
            .count() as u64;
        let possible = self.spec.datagram_bytes..=self.spec.datagram_bytes + AROUND_MAX;
        for Counted { aggregate, octets } in &self.counted {
            let packets = aggregate.counted;
            if let Some(octets) = octets
                && packets > 0
                && octets % packets == 0
                && possible.contains(&(octets / packets))
            {
                *votes.entry(octets / packets).or_default() += 1;
            }
        }
        let enough = |votes: u64| votes >= AGREEING_LEAST && 3 * votes >= 2 * voters;
        let mut agreed = votes.into_iter().filter(|(_, votes)| enough(*votes));
        agreed.next().map(|(length, _)| length)
    }

    fn is_fresh(&self, reading: &Reading, since: Instant) -> bool {
        match self.spec.fresh {
            Fresh::ByAge(age) => reading.asked >= since + age,
            Fresh::ByPulse => self.earlier.is_some_and(|earlier| {
                let moved = reading.pulse.zip(earlier.pulse);
                reading.asked >= earlier.answered && moved.is_some_and(|(now, then)| now != then)
            }),
        }
    }

    fn close(&mut self, train: Option<Train>, reading: Reading) {
        let base = self.base.replace(reading);
        self.phase = Phase::Sending(None);
        self.earlier = None;
        let (Some(train), Some(base)) = (train, base) else {
            return self.discard(train, Discard::NoBaseline);
        };
        if train.spoiled {
            return self.discard(Some(train), Discard::NotSent);
        }
        let packets = reading.packets.since(base.packets);
        let octets = match (reading.octets, base.octets) {
            (Some(now), Some(then)) => now.since(then).map(Some),
            (None, None) => Some(None),
            (Some(_), None) | (None, Some(_)) => None,
        };
        let (Some(counted), Some(octets)) = (packets, octets) else {
            return self.discard(Some(train), Discard::Reset);
        };
        if self.counted.len() >= KEPT_MAX {
            self.counted.remove(0);
        }
        let aggregate = Aggregate {
            first: train.first,
            last: train.last,
            counted,
        };
        self.counted.push(Counted { aggregate, octets });
    }

    /// What was read before says nothing any more.
    fn begin_anew(&mut self, now: Instant, train: Option<Train>, why: Discard, reading: Reading) {
        self.discard(train, why);
        self.base = None;
        self.phase = Phase::Quiet {
            since: now,
            train: None,
        };
        self.earlier = Some(reading);
    }

    fn fall_silent(&mut self, now: Instant, train: Option<Train>) {
        let since = now + self.spec.settle;
        self.phase = Phase::Quiet { since, train };
        self.earlier = None;
        self.ask_due = since;
        if let Fresh::ByAge(age) = self.spec.fresh {
            self.ask_due = since + age;
        }
    }

    fn give_up_if_due(&mut self, now: Instant) {
        let Phase::Quiet { since, train } = self.phase else {
            return;
        };
        if now < since + self.spec.patience {
            return;
        }
        let reason = match self.earlier {
            Some(_) if !self.unanswered => Discard::Stale,
            Some(_) | None => Discard::Silent,
        };
        self.discard(train, reason);
        // Still silence: the next reading may be a beginning.
        self.base = None;
        self.asked = None;
        self.phase = Phase::Quiet {
            since: now,
            train: None,
        };
        self.earlier = None;
    }

    fn discard(&mut self, train: Option<Train>, reason: Discard) {
        if let Some(train) = train {
            self.discards.add(reason, u64::from(train.probes));
        }
    }
}
