//! What a router's own clock says of a tunnel's two ways (ICMP timestamps, RFC 792 page 16).
//!
//! One clock at one host sees round trips only, and any split of a round trip explains all that it sees. The router's
//! clock, if it is known to be within e of ours, splits them: a request that left at s, and that the router stamped r as it
//! arrived and x as it answered, and whose answer arrived at a, was on its way
//!
//! ```text
//! up     r - s - e  to  r + 1 ms - s + e
//! down   a - x - 1 ms - e  to  a - x + e
//! ```
//!
//! since stamps are whole milliseconds, cut off, of the day. (A router that rounds them instead has a clock error of half a
//! millisecond more.) Neither way takes less than nothing, nor more than the round trip less the other's least. What is
//! left empty contradicts the promised error, and is not used. The mean of such intervals holds the mean of the delays,
//! whatever the delays do. No narrower interval follows from it: the stamps' fractions may all be alike.

use vmscope_wire::icmp::Timestamps;

use crate::oneway::report::DelayRange;
use crate::ping::PING_TIMEOUT;
use crate::report::RouterClockStatus;
use crate::series::Series;
use crate::time::{Instant, NS_PER_S, Span};

const NS_PER_MS: i64 = 1_000_000;
const MS_PER_DAY: u32 = 86_400_000;
const NS_PER_DAY: i64 = 86_400 * NS_PER_S as i64;
/// Set in a time that is not in milliseconds of the day.
const NONSTANDARD: u32 = 1 << 31;

/// Tunnels of higher numbers do not fit into a request.
pub(crate) const TUNNEL_MAX: u32 = NONSTANDARD - 1;

/// The times of a request. Its own is none, as our capture knows it better, but the tunnel to know the request by.
pub(crate) fn request(tunnel: u32) -> Timestamps {
    Timestamps {
        originate: NONSTANDARD | tunnel,
        receive: 0,
        transmit: 0,
    }
}

/// The tunnel of a request of ours, as far as it is told.
pub(crate) fn tunnel_of(times: Timestamps) -> Option<u32> {
    (times.originate & NONSTANDARD != 0).then_some(times.originate & !NONSTANDARD)
}

/// What is certain of one request's two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ways {
    up: DelayRange,
    down: DelayRange,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Missing,
    /// It says no time, or contradicts the promised error.
    Useless,
    Ways(Ways),
}

/// Sums of what is certain of several requests' ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WaySums {
    /// Requests whose answer says something.
    pub answers: u64,
    up: RangeSum,
    down: RangeSum,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct RangeSum {
    low_ns: i128,
    high_ns: i128,
}

impl RangeSum {
    fn add(&mut self, low_ns: i128, high_ns: i128) {
        self.low_ns += low_ns;
        self.high_ns += high_ns;
    }

    fn mean(self, of: u64) -> Option<DelayRange> {
        let of = i128::from(of);
        (of > 0).then(|| DelayRange {
            low_ns: (self.low_ns / of) as i64,
            high_ns: ((self.high_ns + of - 1) / of) as i64,
        })
    }
}

impl WaySums {
    fn note(&mut self, ways: Ways) {
        self.answers += 1;
        for (sum, range) in [(&mut self.up, ways.up), (&mut self.down, ways.down)] {
            sum.add(range.low_ns.into(), range.high_ns.into());
        }
    }

    /// Adds those of another time.
    pub fn add(&mut self, other: WaySums) {
        self.answers += other.answers;
        self.up.add(other.up.low_ns, other.up.high_ns);
        self.down.add(other.down.low_ns, other.down.high_ns);
    }

    /// The mean delay of the way to the router; `None` without an answer.
    pub fn up(&self) -> Option<DelayRange> {
        self.up.mean(self.answers)
    }

    /// The same back.
    pub fn down(&self) -> Option<DelayRange> {
        self.down.mean(self.answers)
    }
}

/// A router's clock, asked over one tunnel.
#[derive(Debug)]
pub(crate) struct RouterClock {
    error: Span,
    requests: Series<Answer>,
    asked: u64,
    answered: u64,
    nonstandard: u64,
    contradictory: u64,
}

impl RouterClock {
    /// `error` is how far it may be from our wall clock.
    pub(crate) fn new(error: Span) -> RouterClock {
        RouterClock {
            error,
            requests: Series::new(),
            asked: 0,
            answered: 0,
            nonstandard: 0,
            contradictory: 0,
        }
    }

    pub(crate) fn remember_for(&mut self, length: Span) {
        self.requests.remember_for(length);
    }

    /// A request is sent now. Returns its number.
    pub(crate) fn ask(&mut self, now: Instant) -> u32 {
        self.asked += 1;
        self.requests.push(now, Answer::Missing)
    }

    /// The capture saw it leave.
    pub(crate) fn handle_sent(&mut self, stamp: Instant, seq: u16) {
        if let Some(request) = self.requests.get_mut_by_half(seq) {
            request.sent = stamp;
        }
    }

    /// It could not be sent.
    pub(crate) fn handle_unsent(&mut self, seq: u32) {
        self.requests.take_back(seq);
        self.asked -= 1;
    }

    /// An answer arrived at `stamp`. The first one counts, if in time. `realtime_minus_monotonic_ns` is what our wall
    /// clock shows less what our monotonic clock shows.
    pub(crate) fn handle_reply(
        &mut self,
        stamp: Instant,
        seq: u16,
        times: Timestamps,
        realtime_minus_monotonic_ns: i64,
    ) {
        let Some(request) = self.requests.get_mut_by_half(seq) else {
            return;
        };
        let is_late = stamp < request.sent || stamp.since(request.sent) > PING_TIMEOUT;
        if request.value != Answer::Missing || is_late {
            return;
        }
        self.answered += 1;
        if [times.receive, times.transmit]
            .iter()
            .any(|ms| *ms >= MS_PER_DAY)
        {
            request.value = Answer::Useless;
            self.nonstandard += 1;
            return;
        }
        let wall_ns = |at: Instant| at.as_ns().cast_signed() + realtime_minus_monotonic_ns;
        let ends = (wall_ns(request.sent), wall_ns(stamp));
        request.value = ways(ends, times, self.error).map_or(Answer::Useless, Answer::Ways);
        self.contradictory += u64::from(request.value == Answer::Useless);
    }

    /// What the fastest ways up and down took at most, of requests sent from `start` until before `end`.
    pub(crate) fn least_ns(&self, start: Instant, end: Instant) -> Option<(i64, i64)> {
        let requests = self.requests.between(start, end);
        let highs = requests.filter_map(|request| match request.value {
            Answer::Ways(ways) => Some((ways.up.high_ns, ways.down.high_ns)),
            Answer::Missing | Answer::Useless => None,
        });
        highs.reduce(|(up, down), (u, d)| (up.min(u), down.min(d)))
    }

    /// What is certain of requests sent from `start` until before `end`.
    pub(crate) fn ways(&self, start: Instant, end: Instant) -> WaySums {
        let mut sums = WaySums::default();
        for request in self.requests.between(start, end) {
            match request.value {
                Answer::Ways(ways) => sums.note(ways),
                Answer::Missing | Answer::Useless => {}
            }
        }
        sums
    }

    /// All of it, and what was certain of late.
    pub(crate) fn status(&self, start: Instant, end: Instant) -> RouterClockStatus {
        let ways = self.ways(start, end);
        RouterClockStatus {
            asked: self.asked,
            answered: self.answered,
            nonstandard: self.nonstandard,
            contradictory: self.contradictory,
            up: ways.up(),
            down: ways.down(),
        }
    }
}

/// What is certain of a request that left and came back at these times of our wall clock. `None` if that is nothing.
fn ways((sent_ns, back_ns): (i64, i64), times: Timestamps, error: Span) -> Option<Ways> {
    let error = i64::try_from(error.as_ns()).unwrap_or(NS_PER_DAY);
    let round_trip = back_ns - sent_ns;
    let earlier = i64::from(times.receive) * NS_PER_MS - sent_ns;
    let up = of_day(earlier);
    let down = of_day(back_ns - i64::from(times.transmit) * NS_PER_MS);
    let up = (up - error, up + NS_PER_MS + error);
    let down = (down - NS_PER_MS - error, down + error);
    let least = |(low, _): (i64, i64)| low.max(0);
    let range = |way: (i64, i64), other: (i64, i64)| {
        let (low_ns, high_ns) = (least(way), way.1.min(round_trip - least(other)));
        (low_ns <= high_ns).then_some(DelayRange { low_ns, high_ns })
    };
    Some(Ways {
        up: range(up, down)?,
        down: range(down, up)?,
    })
}

/// A difference of times of which one is of an unknown day: less than half a day either way.
fn of_day(difference_ns: i64) -> i64 {
    let half = NS_PER_DAY / 2;
    (difference_ns + half).rem_euclid(NS_PER_DAY) - half
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON_MS: i64 = 43_200_000;

    fn at_us(us: u64) -> Instant {
        Instant::ZERO + Span::from_ns(1_000 * us)
    }

    /// A request that takes so long up and down, to a router whose clock is ahead by so much. Our wall clock shows
    /// `wall_ms` at the origin of the monotonic one.
    fn asked(wall_ms: i64, up_us: u64, down_us: u64, ahead_us: i64, error: Span) -> RouterClock {
        let mut clock = RouterClock::new(error);
        let seq = clock.ask(at_us(0)) as u16;
        clock.handle_sent(at_us(300), seq);
        let theirs_us = wall_ms * 1_000 + 300 + up_us.cast_signed() + ahead_us;
        let ms = (theirs_us / 1_000).rem_euclid(i64::from(MS_PER_DAY)) as u32;
        let times = Timestamps {
            receive: ms,
            transmit: ms,
            ..request(1)
        };
        clock.handle_reply(
            at_us(300 + up_us + down_us),
            seq,
            times,
            wall_ms * NS_PER_MS,
        );
        clock
    }

    fn found(clock: &RouterClock) -> Option<(DelayRange, DelayRange)> {
        let ways = clock.ways(at_us(0), at_us(1_000_000));
        ways.up().zip(ways.down())
    }

    #[test]
    fn both_ways_are_within_a_millisecond_and_the_clocks_error() {
        for wall_ms in [
            NOON_MS,
            0,
            i64::from(MS_PER_DAY) - 2,
            20_000 * NS_PER_DAY / NS_PER_MS,
        ] {
            for (ahead_us, error) in [
                (0, Span::ZERO),
                (1_900, Span::from_ms(2)),
                (-1_900, Span::from_ms(2)),
            ] {
                let clock = asked(wall_ms, 40_250, 5_500, ahead_us, error);
                let (up, down) = found(&clock).expect("an answer that agrees");
                let width = 1_000_000 + 2 * error.as_ns().cast_signed();
                assert!((up.low_ns..=up.high_ns).contains(&40_250_000), "{up:?}");
                assert!(
                    (down.low_ns..=down.high_ns).contains(&5_500_000),
                    "{down:?}"
                );
                assert!(up.high_ns - up.low_ns <= width && down.high_ns - down.low_ns <= width);
            }
        }
    }

    #[test]
    fn a_clock_that_breaks_its_promise_says_nothing() {
        for ahead_us in [-47_000, 47_000] {
            let clock = asked(NOON_MS, 40_000, 5_000, ahead_us, Span::from_ms(1));
            assert_eq!(found(&clock), None);
            let status = clock.status(at_us(0), at_us(1_000_000));
            assert_eq!(
                (status.asked, status.answered, status.contradictory),
                (1, 1, 1)
            );
        }
    }

    #[test]
    fn no_way_is_longer_than_the_round_trip_or_shorter_than_nothing() {
        let clock = asked(NOON_MS, 100, 200, 0, Span::from_ms(30));
        let whole = DelayRange {
            low_ns: 0,
            high_ns: 300_000,
        };
        assert_eq!(found(&clock), Some((whole, whole)));
    }

    #[test]
    fn a_time_that_is_none_is_not_used() {
        let mut clock = RouterClock::new(Span::ZERO);
        let seq = clock.ask(at_us(0)) as u16;
        let times = Timestamps {
            receive: NONSTANDARD | 5,
            ..request(1)
        };
        clock.handle_reply(at_us(10), seq, times, 0);
        assert_eq!(found(&clock), None);
        assert_eq!(clock.status(at_us(0), at_us(1)).nonstandard, 1);
    }

    #[test]
    fn what_is_late_doubled_or_unasked_is_ignored() {
        let mut clock = RouterClock::new(Span::ZERO);
        let times = Timestamps::default();
        let seq = clock.ask(at_us(0)) as u16;
        clock.handle_reply(at_us(2_000_001), seq, times, 0);
        clock.handle_reply(at_us(5), seq + 1, times, 0);
        assert_eq!(clock.answered, 0);
        clock.handle_reply(at_us(500), seq, times, 0);
        clock.handle_reply(at_us(600), seq, times, 0);
        assert_eq!(clock.answered, 1);
    }
}
