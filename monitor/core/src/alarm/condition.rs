//! One thing that may be wrong: when it becomes an alarm, and when that is over.
//!
//! ```text
//!            rises                  held long enough
//!   Quiet ──────────────▶ Held ─────────────────────────▶ Raised ◀─┐
//!     ▲ ◀──falls, covered──┘                               │ falls │ rises: counted
//!     │                                                    ▼       │
//!     └─────────────── fine long enough ──────────────── Fine ─────┘
//! ```
//!
//! What rises often within a while *flaps*: it is raised at once, as the next fall would come before
//! it had held long enough, and is over only when it has been quiet for that while.

use std::collections::VecDeque;

use super::notice::Cleared;
use crate::time::{Instant, Span};

/// How long is long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    pub raise_after: Span,
    pub clear_after: Span,
    /// Rises within `flap_window` that make it flap; 0 for none.
    pub flap_count: usize,
    pub flap_window: Span,
    /// It happens rather than lasts: it falls by itself as soon as it is raised.
    pub momentary: bool,
}

/// Where a condition is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No alarm, and none to come: it does not hold, or what it follows from does.
    Quiet,
    /// It holds, and will be an alarm then.
    Held { due: Instant },
    /// It is an alarm, and holds.
    Raised,
    /// It is an alarm, no longer holds, and will be over then.
    Fine { due: Instant },
}

/// What has become of it at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    None,
    /// It is an alarm from now on.
    Raise,
    /// It is the same alarm, and has begun or ceased to flap.
    Change,
    /// It is no longer one.
    Clear(Cleared),
    /// There is nothing to be remembered of it.
    Forget,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// How many records say so; it holds if any does.
    evidence: u32,
    /// What it follows from holds, so that it means nothing.
    covered: bool,
    phase: Phase,
    /// Since when it has held, or did last.
    since: Instant,
    /// How often it has risen while it was an alarm, the first time included.
    count: u64,
    flapping: bool,
    /// Its beginning to flap is yet to be said.
    unsaid: bool,
    /// The last rises: as many as make it flap.
    rises: VecDeque<Instant>,
    /// It is to be over at once, for this reason.
    ending: Option<Cleared>,
}

impl Condition {
    pub fn new(now: Instant) -> Condition {
        Condition {
            evidence: 0,
            covered: false,
            phase: Phase::Quiet,
            since: now,
            count: 0,
            flapping: false,
            unsaid: false,
            rises: VecDeque::new(),
            ending: None,
        }
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn evidence(&self) -> u32 {
        self.evidence
    }

    pub fn since(&self) -> Instant {
        self.since
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn is_flapping(&self) -> bool {
        self.flapping
    }

    /// Whether it is an alarm.
    pub fn is_active(&self) -> bool {
        match self.phase {
            Phase::Raised | Phase::Fine { .. } => true,
            Phase::Quiet | Phase::Held { .. } => false,
        }
    }

    /// This many records say so from now on.
    pub fn set_evidence(&mut self, now: Instant, evidence: u32, timing: &Timing) {
        let before = std::mem::replace(&mut self.evidence, evidence);
        match (before, evidence) {
            (0, 0) => {}
            (0, _) => self.rise(now, timing),
            (_, 0) => self.fall(now, timing),
            (_, _) => {}
        }
    }

    /// It has happened once more.
    pub fn happen(&mut self, now: Instant, timing: &Timing) {
        self.rise(now, timing);
    }

    /// It follows from something that holds, or no longer does.
    pub fn set_covered(&mut self, now: Instant, covered: bool, timing: &Timing) {
        if std::mem::replace(&mut self.covered, covered) == covered {
            return;
        }
        match (covered, self.phase) {
            (true, Phase::Held { .. }) => self.phase = Phase::Quiet,
            (true, Phase::Quiet | Phase::Raised | Phase::Fine { .. }) => {}
            (false, Phase::Quiet) if self.evidence > 0 => self.hold(now + timing.raise_after),
            // It came back while it meant nothing.
            (false, Phase::Fine { .. }) if self.evidence > 0 => self.phase = Phase::Raised,
            (false, Phase::Quiet | Phase::Held { .. } | Phase::Raised | Phase::Fine { .. }) => {}
        }
    }

    /// If it is an alarm, it is to be over at once.
    pub fn end(&mut self, why: Cleared) {
        if self.is_active() {
            self.ending = Some(why);
        } else if self.evidence == 0 {
            self.phase = Phase::Quiet;
        }
    }

    fn rise(&mut self, now: Instant, timing: &Timing) {
        if self.covered {
            return;
        }
        let flaps = self.remember(now, timing);
        match self.phase {
            Phase::Quiet => {
                self.since = now;
                self.flapping = flaps;
                let held = if flaps {
                    Span::ZERO
                } else {
                    timing.raise_after
                };
                self.hold(now + held);
            }
            Phase::Held { .. } => {}
            Phase::Raised => self.again(flaps),
            Phase::Fine { .. } => {
                self.again(flaps);
                self.phase = if timing.momentary {
                    self.fine(now, timing)
                } else {
                    Phase::Raised
                };
            }
        }
    }

    fn again(&mut self, flaps: bool) {
        self.count += 1;
        self.unsaid |= flaps && !self.flapping;
        self.flapping |= flaps;
    }

    fn fall(&mut self, now: Instant, timing: &Timing) {
        match self.phase {
            Phase::Quiet => {}
            Phase::Held { .. } => self.phase = Phase::Quiet,
            Phase::Raised => self.phase = self.fine(now, timing),
            Phase::Fine { .. } => {}
        }
    }

    fn hold(&mut self, due: Instant) {
        self.phase = Phase::Held { due };
    }

    fn fine(&self, now: Instant, timing: &Timing) -> Phase {
        let quiet = if self.flapping {
            timing.flap_window.max(timing.clear_after)
        } else {
            timing.clear_after
        };
        Phase::Fine { due: now + quiet }
    }

    /// Notes a rise; whether there were so many of late that it flaps.
    fn remember(&mut self, now: Instant, timing: &Timing) -> bool {
        if timing.flap_count == 0 {
            return false;
        }
        self.rises.push_back(now);
        while self.rises.len() > timing.flap_count {
            self.rises.pop_front();
        }
        let oldest = self.rises.front().copied().unwrap_or(now);
        self.rises.len() == timing.flap_count && now.since(oldest) <= timing.flap_window
    }

    /// When the last rise is of no more interest.
    fn calm_at(&self, timing: &Timing) -> Instant {
        let last = self.rises.back();
        last.map_or(Instant::ZERO, |&last| last + timing.flap_window)
    }

    /// When there is something to do; [`Instant::ZERO`] for at once.
    pub fn next_deadline(&self, timing: &Timing) -> Option<Instant> {
        if self.ending.is_some() || self.unsaid {
            return Some(Instant::ZERO);
        }
        match self.phase {
            Phase::Quiet if self.evidence > 0 => None,
            Phase::Quiet => Some(self.calm_at(timing)),
            Phase::Held { due } | Phase::Fine { due } => Some(due),
            Phase::Raised if self.flapping => Some(self.calm_at(timing)),
            Phase::Raised => None,
        }
    }

    /// Does what is due, one step at a time.
    pub fn handle_timeout(&mut self, now: Instant, timing: &Timing) -> Step {
        if let Some(why) = self.ending.take() {
            return self.clear(now, why, timing);
        }
        if std::mem::take(&mut self.unsaid) {
            return Step::Change;
        }
        match self.phase {
            Phase::Held { due } if due <= now => {
                self.count = 1;
                self.phase = if timing.momentary {
                    self.fine(now, timing)
                } else {
                    Phase::Raised
                };
                Step::Raise
            }
            Phase::Fine { due } if due <= now => self.clear(now, Cleared::Fine, timing),
            Phase::Raised if self.flapping && self.calm_at(timing) <= now => {
                self.flapping = false;
                Step::Change
            }
            Phase::Quiet if self.evidence == 0 && self.calm_at(timing) <= now => Step::Forget,
            Phase::Quiet | Phase::Held { .. } | Phase::Raised | Phase::Fine { .. } => Step::None,
        }
    }

    fn clear(&mut self, now: Instant, why: Cleared, timing: &Timing) -> Step {
        self.flapping = false;
        self.unsaid = false;
        self.phase = Phase::Quiet;
        // It was to be over for a reason that is gone meanwhile.
        if self.evidence > 0 && !self.covered {
            self.hold(now + timing.raise_after);
        }
        Step::Clear(why)
    }
}
