//! When the next probe of a sender is due: periodic (RFC 3432) or Poisson (RFC 2330 §11.1.1).

use rand::{Rng, RngExt};

use crate::spec::Schedule;
use crate::time::{Instant, NS_PER_S, Rate, Span};

/// A driver that comes later than this is not given the missed probes to send in a burst.
const LAG_MAX: Span = Span::from_ms(100);

/// Periodic senders begin on this grid, so that one wake-up sends for all whose turn is the same: where many send, waking up is
/// what a probe costs most. The time between one sender's own probes stays what it is. A longer step would save little more,
/// and more probes would queue behind each other.
const GRID: Span = Span::from_ns(200_000);

/// Where in a period the thing of this number has its turn. Multiples of the golden ratio fill a period evenly, however
/// many there are.
pub fn turn(number: u32, period: Span) -> Span {
    let part = u128::from(number.wrapping_mul(0x9e37_79b9));
    Span::from_ns(((part * u128::from(period.as_ns())) >> 32) as u64)
}

/// The timetable of one sender.
#[derive(Debug, Clone)]
pub struct Timetable {
    kind: Schedule,
    millipps: u64,
    /// Where periodic counting starts.
    origin: Instant,
    /// Probes due since `origin`.
    position: u64,
    next: Instant,
}

impl Timetable {
    /// A timetable from `start`. Periodic senders are spread in phase: sender `index` of `of`
    /// begins that part of a gap later, on a grid of 200 µs. N senders send at once only where there are more
    /// of them than steps in a gap, and then as few as can be. `rate` must not be zero.
    pub fn new(
        kind: Schedule,
        rate: Rate,
        start: Instant,
        index: usize,
        of: usize,
        rng: &mut impl Rng,
    ) -> Timetable {
        let millipps = rate.as_millipps().max(1);
        let mut timetable = Timetable {
            kind,
            millipps,
            origin: start,
            position: 0,
            next: start,
        };
        match kind {
            Schedule::Periodic => {
                let phase =
                    u128::from(timetable.gaps(1).as_ns()) * index as u128 / of.max(1) as u128;
                let step = Span::from_ns(phase as u64 / GRID.as_ns() * GRID.as_ns());
                timetable.origin = start.next_multiple_of(GRID) + step;
                timetable.next = timetable.origin;
            }
            Schedule::Poisson => timetable.next = start + timetable.exponential_gap(rng),
        }
        timetable
    }

    /// When the next probe is due.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// The probe due at [`Timetable::next`] was sent at `now`.
    pub fn advance(&mut self, now: Instant, rng: &mut impl Rng) {
        match self.kind {
            Schedule::Periodic => {
                self.position += 1;
                self.next = self.origin + self.gaps(self.position);
                if now.since(self.next) > LAG_MAX {
                    self.origin = now;
                    self.position = 1;
                    self.next = now + self.gaps(1);
                }
            }
            Schedule::Poisson => {
                let from = if now.since(self.next) > LAG_MAX {
                    now
                } else {
                    self.next
                };
                self.next = from + self.exponential_gap(rng);
            }
        }
    }

    /// `n` mean gaps, without accumulating their rounding.
    fn gaps(&self, n: u64) -> Span {
        let ns = u128::from(n) * u128::from(1_000 * NS_PER_S) / u128::from(self.millipps);
        Span::from_ns(ns.min(u128::from(u64::MAX)) as u64)
    }

    fn exponential_gap(&self, rng: &mut impl Rng) -> Span {
        let uniform: f64 = rng.random();
        let mean = 1_000.0 * NS_PER_S as f64 / self.millipps as f64;
        Span::from_ns((-(1.0 - uniform).ln() * mean) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn times(kind: Schedule, rate: Rate, index: usize, of: usize, n: usize) -> Vec<u64> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut timetable = Timetable::new(kind, rate, Instant::ZERO, index, of, &mut rng);
        let mut due = Vec::new();
        for _ in 0..n {
            due.push(timetable.next().as_ns());
            timetable.advance(timetable.next(), &mut rng);
        }
        due
    }

    #[test]
    fn periodic_probes_do_not_drift() {
        let due = times(Schedule::Periodic, Rate::from_pps(3), 0, 1, 301);
        assert_eq!(due[1], 333_333_333);
        assert_eq!(due[300], 100 * NS_PER_S);
    }

    #[test]
    fn senders_are_spread_in_phase() {
        let starts: Vec<_> = (0..4)
            .map(|i| times(Schedule::Periodic, Rate::from_pps(100), i, 4, 1)[0])
            .collect();
        assert_eq!(starts, [0, 2_400_000, 5_000_000, 7_400_000]);
    }

    #[test]
    fn senders_of_one_step_send_together_and_no_more_of_them_than_must() {
        let rate = Rate::from_pps(250);
        let starts = (0..100).map(|i| times(Schedule::Periodic, rate, i, 100, 1)[0]);
        let mut together = std::collections::BTreeMap::new();
        starts.for_each(|start| *together.entry(start).or_insert(0) += 1);
        // Twenty steps of 200 µs in a gap of 4 ms.
        assert_eq!(together.len(), 20);
        assert!(
            together
                .iter()
                .all(|(start, n)| start % GRID.as_ns() == 0 && *n == 5)
        );
        let own = times(Schedule::Periodic, rate, 37, 100, 50);
        assert!(own.windows(2).all(|pair| pair[1] - pair[0] == 4_000_000));
    }

    #[test]
    fn turns_fill_a_period_evenly_however_many_there_are() {
        let period = Span::from_s(60);
        for many in [10, 1_000, 10_000] {
            let mut turns: Vec<u64> = (1..=many).map(|n| turn(n, period).as_ns()).collect();
            turns.sort_unstable();
            let share = period.as_ns() / u64::from(many);
            let gaps = turns.windows(2).map(|pair| pair[1] - pair[0]);
            let (least, most) = (gaps.clone().min().unwrap(), gaps.max().unwrap());
            assert!(
                least * 3 > share && most < 2 * share,
                "{many}: {least} {most}"
            );
        }
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_the_spread_of_an_exponential() {
        let due = times(Schedule::Poisson, Rate::from_pps(1_000), 0, 1, 20_001);
        let gaps: Vec<f64> = due.windows(2).map(|w| (w[1] - w[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let deviation =
            (gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        assert!((mean / 1e6 - 1.0).abs() < 0.03, "{mean}");
        assert!((deviation / mean - 1.0).abs() < 0.03, "{deviation}");
    }

    #[test]
    fn a_late_driver_gets_no_burst() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut timetable = Timetable::new(
            Schedule::Periodic,
            Rate::from_pps(100),
            Instant::ZERO,
            0,
            1,
            &mut rng,
        );
        let late = Instant::ZERO + Span::from_s(5);
        timetable.advance(late, &mut rng);
        assert_eq!(timetable.next(), late + Span::from_ms(10));
    }
}
