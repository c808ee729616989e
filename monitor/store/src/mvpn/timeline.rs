//! From the monotonic clock to a time of day that never goes back.

use vmscope_core::time::Instant;

/// While a step back of the wall clock is made up for, recorded time is slower by one part in this many.
const SLOWER_BY: i64 = 10;

/// The time of day as it is recorded.
///
/// A step of the wall clock forward is followed at once: what lasted across it lasted longer by the clock on the wall,
/// too. A step back is not, for an interval would end before it began, and two pasts would have the same name. Instead
/// recorded time runs slower until it is right again: ten seconds for a step of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timeline {
    /// Wall clock less monotonic clock in force at `turned`, nanoseconds.
    offset_ns: i64,
    /// Where that is to go; never more.
    goal_ns: i64,
    turned: Instant,
    /// The latest moment given out.
    latest_ns: i64,
}

impl Timeline {
    /// Recorded time, right at the start.
    pub(super) fn new(start: Instant, realtime_minus_monotonic_ns: i64) -> Timeline {
        let mut timeline = Timeline {
            offset_ns: realtime_minus_monotonic_ns,
            goal_ns: realtime_minus_monotonic_ns,
            turned: start,
            latest_ns: i64::MIN,
        };
        timeline.latest_ns = timeline.at(start);
        timeline
    }

    /// The wall clock has been set.
    pub(super) fn handle_step(&mut self, at: Instant, realtime_minus_monotonic_ns: i64) {
        let now = self.offset_at(at);
        self.offset_ns = now.max(realtime_minus_monotonic_ns);
        self.goal_ns = realtime_minus_monotonic_ns;
        self.turned = at;
    }

    /// The time of day of an instant, UTC nanoseconds.
    pub(super) fn at(&self, at: Instant) -> i64 {
        let since_boot = i64::try_from(at.as_ns()).unwrap_or(i64::MAX);
        since_boot.saturating_add(self.offset_at(at))
    }

    /// The time of day of something that happens now: never before what has happened.
    pub(super) fn happened(&mut self, at: Instant) -> i64 {
        self.latest_ns = self.latest_ns.max(self.at(at));
        self.latest_ns
    }

    /// The latest moment at which something happened.
    pub(super) fn latest(&self) -> i64 {
        self.latest_ns
    }

    fn offset_at(&self, at: Instant) -> i64 {
        let made_up = at.signed_since(self.turned).max(0) / SLOWER_BY;
        self.offset_ns.saturating_sub(made_up).max(self.goal_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn at(s: u64) -> Instant {
        Instant::from_ns(s * S)
    }

    #[test]
    fn a_step_forward_is_followed_at_once() {
        let mut time = Timeline::new(at(0), 1_000);
        assert_eq!(time.happened(at(5)), 5 * S as i64 + 1_000);
        time.handle_step(at(6), 7_000);
        assert_eq!(time.happened(at(6)), 6 * S as i64 + 7_000);
    }

    #[test]
    fn a_step_back_is_made_up_for_and_time_never_stands_still() {
        let hour = 3600 * S as i64;
        let mut time = Timeline::new(at(0), hour);
        time.handle_step(at(100), hour - 10 * S as i64);
        let mut last = time.happened(at(100));
        assert_eq!(last, hour + 100 * S as i64, "no step in what is recorded");
        for s in 101..=210 {
            let now = time.happened(at(s));
            assert!(now > last, "{now} after {last}");
            last = now;
        }
        assert_eq!(
            last,
            hour + 200 * S as i64,
            "right again after ten times the step"
        );
        // A second step while the first is made up for.
        time.handle_step(at(210), hour - 20 * S as i64);
        time.handle_step(at(220), hour);
        assert_eq!(time.happened(at(220)), hour + 220 * S as i64);
    }

    #[test]
    fn what_is_told_late_does_not_go_back() {
        let mut time = Timeline::new(at(0), 0);
        assert_eq!(time.happened(at(5)), time.happened(at(4)));
        assert_eq!(time.at(at(4)), 4 * S as i64);
    }
}
