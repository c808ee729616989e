//! One look at a running counter.

use super::Discard;
use crate::time::{Instant, Span};

/// How far a counter counts before it begins at zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// To 2³² − 1 (Counter32, RFC 2578 §7.1.6).
    Bits32,
    /// To 2⁶⁴ − 1 (Counter64, RFC 2578 §7.1.10): it never gets there.
    Bits64,
}

/// A counter's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// As the agent said it.
    pub value: u64,
    /// How far it counts.
    pub width: Width,
}

/// What an agent answered to one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// When it was asked, by our clock.
    pub asked: Instant,
    /// When the answer came.
    pub answered: Instant,
    /// How long the agent has been up, in hundredths of a second; wraps at 2³² (sysUpTime, RFC 3418).
    pub uptime_ticks: u32,
    /// When the counter last began anew, in the same (ifCounterDiscontinuityTime, RFC 2863); 0 if there is no such thing.
    pub discontinuity_ticks: u32,
    /// How long the counter itself has counted, in the same, where that is told instead (ipMRouteUpTime, RFC 2932).
    pub age_ticks: Option<u32>,
    /// Packets.
    pub packets: Count,
    /// Octets of these packets.
    pub octets: Option<Count>,
    /// Something in the same table that moves by itself.
    pub pulse: Option<u64>,
}

/// How far an agent's clock may be from ours over the time between two readings: a twentieth of it, and half a second.
const UPTIME_PART: u64 = 20;
const UPTIME_SLACK: Span = Span::from_ms(500);
const TICK: Span = Span::from_ms(10);

impl Count {
    /// What was counted since; nothing if that cannot be.
    pub fn since(self, earlier: Count) -> Option<u64> {
        match (earlier.width, self.width) {
            (Width::Bits64, Width::Bits64) => self.value.checked_sub(earlier.value),
            (Width::Bits32, Width::Bits32) => {
                let [before, after] = [earlier.value, self.value].map(u32::try_from);
                Some(after.ok()?.wrapping_sub(before.ok()?).into())
            }
            (Width::Bits32, Width::Bits64) | (Width::Bits64, Width::Bits32) => None,
        }
    }
}

impl Reading {
    /// Whether the counter ran on from an earlier reading to this one. A value that is smaller than before says nothing: it
    /// may have wrapped. The agent's own time does, and the counter's.
    pub(super) fn runs_on_from(&self, earlier: &Reading) -> Result<(), Discard> {
        if !self.ticked_on(earlier, earlier.uptime_ticks, self.uptime_ticks) {
            return Err(Discard::Restarted);
        }
        let is_same = match (earlier.age_ticks, self.age_ticks) {
            (Some(before), Some(now)) => self.ticked_on(earlier, before, now),
            (None, None) => self.discontinuity_ticks == earlier.discontinuity_ticks,
            (Some(_), None) | (None, Some(_)) => false,
        };
        is_same.then_some(()).ok_or(Discard::Reset)
    }

    /// Whether what said `before` in the earlier reading and `now` in this one has ticked all the time between.
    fn ticked_on(&self, earlier: &Reading, before: u32, now: u32) -> bool {
        let ns = |ticks: u32| i128::from(TICK.times(ticks.into()).as_ns());
        let said = ns(now.wrapping_sub(before));
        let passed = self.answered.since(earlier.asked).as_ns();
        let least = self.asked.since(earlier.answered).as_ns();
        let slack = i128::from(passed / UPTIME_PART + UPTIME_SLACK.as_ns());
        let (from, to) = (i128::from(least) - slack, i128::from(passed) + slack);
        // What has begun anew since says no more than has passed: that tells it from what went on only if that had said more
        // than clocks may differ by.
        let is_told_apart = ns(before) > slack + i128::from(passed - least);
        is_told_apart && (from..=to).contains(&said)
    }
}
