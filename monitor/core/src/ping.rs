//! Round trips over one tunnel: an ICMP echo at regular times, its answer or its loss.

use crate::correction::RoundTrips;
use crate::distribution::exact;
use crate::name::Name;
use crate::report::{PingRow, RouterClockStatus};
use crate::router_clock::RouterClock;
use crate::schedule::turn;
use crate::series::{Entry, Series};
use crate::time::{Instant, Span};

/// An answer that takes longer is lost.
pub const PING_TIMEOUT: Span = Span::from_s(2);
/// How long after the fact a packet may still come out of the capture.
pub const CAPTURE_GRACE: Span = Span::from_ms(200);

/// Round trip of a ping in nanoseconds; [`PING_TIMEOUT`] is less than the greatest, which stands for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RoundTrip(u32);

impl RoundTrip {
    const NONE: RoundTrip = RoundTrip(u32::MAX);

    fn span(self) -> Option<Span> {
        (self != RoundTrip::NONE).then(|| Span::from_ns(u64::from(self.0)))
    }
}

/// Sends the pings of one tunnel and judges them.
#[derive(Debug)]
pub struct Pinger {
    interval: Span,
    next: Option<Instant>,
    echoes: Series<RoundTrip>,
    /// Asked with every ping, where it is known how far it may be from ours.
    pub(crate) clock: Option<Box<RouterClock>>,
}

impl Pinger {
    /// Pings every `interval` from `start`, none if it is zero. The tunnel's number spreads
    /// the tunnels' pings over the interval. With `clock_error` the router is asked for its time, too.
    pub fn new(interval: Span, start: Instant, tunnel: u32, clock_error: Option<Span>) -> Pinger {
        let next = (!interval.is_zero()).then(|| start + turn(tunnel, interval));
        Pinger {
            interval,
            next,
            echoes: Series::new(),
            clock: clock_error.map(|error| Box::new(RouterClock::new(error))),
        }
    }

    /// Somebody needs pings for so long after they were sent, as far as there is room for so many.
    pub fn remember_for(&mut self, length: Span) {
        self.echoes.remember_for(length);
        if let Some(clock) = &mut self.clock {
            clock.remember_for(length);
        }
    }

    /// When the next ping is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.next
    }

    /// The sequence number to send now, if one is due.
    pub fn poll(&mut self, now: Instant) -> Option<u32> {
        let due = self.next.filter(|&due| due <= now)?;
        let following = due + self.interval;
        self.next = Some(if following > now {
            following
        } else {
            now + self.interval
        });
        Some(self.echoes.push(now, RoundTrip::NONE))
    }

    /// The capture saw our request leave.
    pub fn handle_sent(&mut self, stamp: Instant, seq: u32) {
        if let Some(echo) = self.echoes.get_mut(seq) {
            echo.sent = stamp;
        }
    }

    /// The request could not be sent: it is neither sent nor lost.
    pub fn handle_unsent(&mut self, seq: u32) {
        self.echoes.take_back(seq);
    }

    /// An answer arrived. The first one counts, if in time.
    pub fn handle_reply(&mut self, stamp: Instant, seq: u32) {
        if let Some(echo) = self.echoes.get_mut(seq) {
            let round_trip = stamp.since(echo.sent);
            if echo.value == RoundTrip::NONE && round_trip <= PING_TIMEOUT {
                let ns = u32::try_from(round_trip.as_ns());
                echo.value = ns.map_or(RoundTrip::NONE, RoundTrip);
            }
        }
    }

    /// Round trips of the pings sent from `start` until before `end` that are decided at `now`.
    pub fn round_trips(&self, start: Instant, end: Instant, now: Instant) -> RoundTrips {
        let mut trips = RoundTrips::default();
        for echo in self.decided(start, end, now) {
            trips.sent += 1;
            match echo.value.span() {
                Some(time) => trips.rtt_sum_ns += i128::from(time.as_ns()),
                None => trips.lost += 1,
            }
        }
        if let Some(clock) = &self.clock {
            trips.ways = clock.ways(start, end);
        }
        trips
    }

    /// What the router's clock says, where it is asked.
    pub fn clock_status(&self, start: Instant, end: Instant) -> Option<RouterClockStatus> {
        let clock = self.clock.as_ref()?;
        Some(clock.status(start, end))
    }

    /// The same as a row of results.
    pub fn row(
        &self,
        tunnel: u32,
        name: &Name,
        start: Instant,
        end: Instant,
        now: Instant,
    ) -> PingRow {
        let mut times: Vec<i64> = Vec::new();
        let mut sent = 0;
        for echo in self.decided(start, end, now) {
            sent += 1;
            times.extend(echo.value.span().map(|time| time.as_ns() as i64));
        }
        let lost = sent - times.len() as u64;
        PingRow {
            tunnel,
            tunnel_name: name.clone(),
            start_ns: start,
            end_ns: end,
            sent,
            lost,
            rtt: exact(&mut times),
        }
    }

    fn decided(
        &self,
        start: Instant,
        end: Instant,
        now: Instant,
    ) -> impl Iterator<Item = &Entry<RoundTrip>> {
        let within = self.echoes.between(start, end);
        within.filter(move |echo| {
            echo.value != RoundTrip::NONE || now >= echo.sent + PING_TIMEOUT + CAPTURE_GRACE
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::REMEMBERED_MAX;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    fn ten_pings() -> Pinger {
        let mut pinger = Pinger::new(Span::from_ms(100), at(0), 0, None);
        for i in 0..10 {
            assert_eq!(pinger.poll(at(100 * i)), Some(i as u32));
            assert_eq!(pinger.poll(at(100 * i)), None, "once only");
        }
        pinger
    }

    #[test]
    fn answers_count_once_and_in_time() {
        let mut pinger = ten_pings();
        pinger.handle_reply(at(130), 1);
        pinger.handle_reply(at(150), 1);
        pinger.handle_reply(at(200 + 2001), 2);
        pinger.handle_reply(at(500), 77);
        let trips = pinger.round_trips(at(0), at(1000), at(5000));
        assert_eq!(
            (trips.sent, trips.lost, trips.mean_ns()),
            (10, 9, Some(30_000_000))
        );
    }

    #[test]
    fn an_open_ping_is_neither_answered_nor_lost() {
        let pinger = ten_pings();
        assert_eq!(pinger.round_trips(at(0), at(1000), at(2250)).sent, 1);
    }

    #[test]
    fn the_capture_stamp_replaces_the_poll_time() {
        let mut pinger = ten_pings();
        pinger.handle_sent(at(5), 0);
        pinger.handle_reply(at(20), 0);
        assert_eq!(
            pinger.round_trips(at(0), at(100), at(5000)).mean_ns(),
            Some(15_000_000)
        );
    }

    #[test]
    fn what_could_not_be_sent_is_not_lost() {
        let mut pinger = ten_pings();
        pinger.handle_unsent(9);
        assert_eq!(pinger.round_trips(at(0), at(1000), at(5000)).sent, 9);
    }

    #[test]
    fn what_nobody_needs_any_more_is_forgotten() {
        let remembered = |needed: Span| {
            let mut pinger = Pinger::new(Span::from_ms(100), at(0), 0, None);
            pinger.remember_for(needed);
            for i in 0..20_000u64 {
                let seq = pinger.poll(at(100 * i)).unwrap();
                assert_eq!(u64::from(seq), i);
                pinger.handle_reply(at(100 * i + 7), seq);
            }
            let trips = pinger.round_trips(at(0), at(2_000_000), at(2_000_000));
            assert_eq!(trips.mean_ns(), Some(7_000_000));
            trips.sent
        };
        assert_eq!(remembered(Span::ZERO), 301);
        assert_eq!(remembered(Span::from_s(60)), 601);
        assert_eq!(remembered(Span::from_s(3_600)), REMEMBERED_MAX as u64);
    }

    #[test]
    fn an_interval_of_zero_sends_nothing() {
        let mut pinger = Pinger::new(Span::ZERO, at(0), 1, None);
        assert_eq!(
            (pinger.next_deadline(), pinger.poll(at(1_000_000))),
            (None, None)
        );
    }
}
