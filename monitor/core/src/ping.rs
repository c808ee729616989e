//! Round trips over one tunnel: an ICMP echo at regular times, its answer or its loss.

use std::collections::VecDeque;

use crate::correction::RoundTrips;
use crate::distribution::exact;
use crate::name::Name;
use crate::report::PingRow;
use crate::time::{Instant, Span};

/// An answer that takes longer is lost.
pub const PING_TIMEOUT: Span = Span::from_s(2);
/// How long after the fact a packet may still come out of the capture.
pub const CAPTURE_GRACE: Span = Span::from_ms(200);
/// Pings remembered per tunnel: correction of an interval uses those sent in it.
const REMEMBERED_MAX: usize = 8_192;

#[derive(Debug, Clone, Copy)]
struct Echo {
    sent: Instant,
    round_trip: Option<Span>,
}

/// Sends the pings of one tunnel and judges them.
#[derive(Debug)]
pub struct Pinger {
    interval: Span,
    next: Option<Instant>,
    /// Sequence number of the first of `echoes`.
    first_seq: u32,
    echoes: VecDeque<Echo>,
}

impl Pinger {
    /// Pings every `interval` from `start`, none if it is zero. The tunnel's number spreads
    /// the tunnels' pings over the interval.
    pub fn new(interval: Span, start: Instant, tunnel: u32) -> Pinger {
        // Multiples of the golden ratio fill the interval evenly, whatever the number of tunnels.
        let phase =
            (u128::from(tunnel.wrapping_mul(0x9e37_79b9)) * u128::from(interval.as_ns())) >> 32;
        let next = (!interval.is_zero()).then(|| start + Span::from_ns(phase as u64));
        Pinger {
            interval,
            next,
            first_seq: 0,
            echoes: VecDeque::new(),
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
        if self.echoes.len() == REMEMBERED_MAX {
            self.echoes.pop_front();
            self.first_seq = self.first_seq.wrapping_add(1);
        }
        self.echoes.push_back(Echo {
            sent: now,
            round_trip: None,
        });
        Some(self.first_seq.wrapping_add(self.echoes.len() as u32 - 1))
    }

    /// The capture saw our request leave.
    pub fn handle_sent(&mut self, stamp: Instant, seq: u32) {
        if let Some(echo) = self.echo(seq) {
            echo.sent = stamp;
        }
    }

    /// The request could not be sent: it is neither sent nor lost.
    pub fn handle_unsent(&mut self, seq: u32) {
        // Only the newest can have failed just now; an older one stays and is counted lost.
        if seq
            == self
                .first_seq
                .wrapping_add(self.echoes.len() as u32)
                .wrapping_sub(1)
        {
            self.echoes.pop_back();
        }
    }

    /// An answer arrived. The first one counts, if in time.
    pub fn handle_reply(&mut self, stamp: Instant, seq: u32) {
        if let Some(echo) = self.echo(seq) {
            let round_trip = stamp.since(echo.sent);
            if echo.round_trip.is_none() && round_trip <= PING_TIMEOUT {
                echo.round_trip = Some(round_trip);
            }
        }
    }

    fn echo(&mut self, seq: u32) -> Option<&mut Echo> {
        self.echoes
            .get_mut(seq.wrapping_sub(self.first_seq) as usize)
    }

    /// Round trips of the pings sent from `start` until before `end` that are decided at `now`.
    pub fn round_trips(&self, start: Instant, end: Instant, now: Instant) -> RoundTrips {
        let mut trips = RoundTrips::default();
        for echo in self.decided(start, end, now) {
            trips.sent += 1;
            match echo.round_trip {
                Some(time) => trips.rtt_sum_ns += i128::from(time.as_ns()),
                None => trips.lost += 1,
            }
        }
        trips
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
            times.extend(echo.round_trip.map(|time| time.as_ns() as i64));
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

    fn decided(&self, start: Instant, end: Instant, now: Instant) -> impl Iterator<Item = &Echo> {
        let from = self.echoes.partition_point(|echo| echo.sent < start);
        let within = self
            .echoes
            .range(from..)
            .take_while(move |echo| echo.sent < end);
        within.filter(move |echo| {
            echo.round_trip.is_some() || now >= echo.sent + PING_TIMEOUT + CAPTURE_GRACE
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    fn ten_pings() -> Pinger {
        let mut pinger = Pinger::new(Span::from_ms(100), at(0), 0);
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
    fn an_interval_of_zero_sends_nothing() {
        let mut pinger = Pinger::new(Span::ZERO, at(0), 1);
        assert_eq!(
            (pinger.next_deadline(), pinger.poll(at(1_000_000))),
            (None, None)
        );
    }
}
