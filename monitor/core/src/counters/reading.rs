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
    /// may have wrapped. The agent's own time does.
    pub(super) fn runs_on_from(&self, earlier: &Reading) -> Result<(), Discard> {
        let said = u64::from(self.uptime_ticks.wrapping_sub(earlier.uptime_ticks));
        let said_ns = i128::from(TICK.times(said).as_ns());
        let passed = self.answered.since(earlier.asked);
        let least = self.asked.since(earlier.answered);
        let slack = i128::from(passed.as_ns() / UPTIME_PART + UPTIME_SLACK.as_ns());
        let (from, to) = (
            i128::from(least.as_ns()) - slack,
            i128::from(passed.as_ns()) + slack,
        );
        if !(from..=to).contains(&said_ns) {
            return Err(Discard::Restarted);
        }
        if self.discontinuity_ticks != earlier.discontinuity_ticks {
            return Err(Discard::Reset);
        }
        Ok(())
    }
}
