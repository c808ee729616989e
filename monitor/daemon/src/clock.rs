//! The only file that asks what time it is, and what a capture's stamps mean.
//!
//! The core lives on CLOCK_MONOTONIC; the kernel stamps captured packets with CLOCK_REALTIME,
//! which anyone may set an hour forward or back at any moment. Between two such steps the
//! difference of the two clocks is constant (adjtime slews both alike), so [`StampClock`] keeps
//! that difference as an *epoch*, notices steps by looking at both clocks, and places each
//! stamp by the epoch that puts it where the packet can have arrived: after the capture was
//! last found empty, and before now.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{self, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};
use vmscope_core::fault::{Fault, Planted};
use vmscope_core::time::Instant;

/// Epochs remembered; packets of older ones have long been read.
const EPOCHS_MAX: usize = 8;
/// Rounding between the kernel's two clocks.
const ROUNDING_NS: i64 = 50;
/// A stamp that no epoch puts closer than this to where it can be belongs to none of them.
const MISPLACED_NS: u64 = 500_000_000;

/// Says that the wall clock was set, as soon as it is.
pub struct StepWatch(TimerFd);

impl StepWatch {
    /// Watches from now on.
    pub fn new() -> io::Result<StepWatch> {
        let timer = TimerFd::new(
            timerfd::ClockId::CLOCK_REALTIME,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?;
        let watch = StepWatch(timer);
        watch.arm()?;
        Ok(watch)
    }

    /// An alarm in the far future, which a step of the clock cancels: that is what makes it readable.
    fn arm(&self) -> io::Result<()> {
        let far = TimeSpec::new(i64::MAX / 4, 0);
        let flags =
            TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        Ok(self.0.set(Expiration::OneShot(far), flags)?)
    }

    /// Forgets the step that made this readable, and watches for the next.
    pub fn clear(&self) -> io::Result<()> {
        // The read says ECANCELED; that is the step.
        let _ = self.0.wait();
        self.arm()
    }
}

impl AsFd for StepWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Nanoseconds of a clock that the kernel always has.
fn read(clock: ClockId) -> i64 {
    match clock_gettime(clock) {
        Ok(time) => time.tv_sec() * 1_000_000_000 + time.tv_nsec(),
        // Only an unknown clock or a bad pointer can fail, and neither can be here.
        Err(_) => 0,
    }
}

/// The monotonic clock, now.
pub fn now() -> Instant {
    Instant::from_ns(read(ClockId::CLOCK_MONOTONIC).unsigned_abs())
}

/// Both clocks, read as close together as can be: the wall clock between two looks at the monotonic one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Monotonic, before.
    pub before_ns: i64,
    /// Wall clock.
    pub realtime_ns: i64,
    /// Monotonic, after.
    pub after_ns: i64,
}

/// Reads both clocks.
pub fn reading() -> Reading {
    Reading {
        before_ns: read(ClockId::CLOCK_MONOTONIC),
        realtime_ns: read(ClockId::CLOCK_REALTIME),
        after_ns: read(ClockId::CLOCK_MONOTONIC),
    }
}

/// A time during which the wall clock did not step: what is known of wall clock minus monotonic.
#[derive(Debug, Clone, Copy)]
struct Epoch {
    low_ns: i64,
    high_ns: i64,
}

impl Epoch {
    fn of(reading: Reading) -> Epoch {
        Epoch {
            low_ns: reading.realtime_ns - reading.after_ns,
            high_ns: reading.realtime_ns - reading.before_ns,
        }
    }

    fn offset_ns(self) -> i64 {
        self.low_ns + (self.high_ns - self.low_ns) / 2
    }

    fn agrees_with(self, other: Epoch) -> bool {
        self.low_ns <= other.high_ns + ROUNDING_NS && other.low_ns <= self.high_ns + ROUNDING_NS
    }

    /// Both say something about the same difference: it is where they overlap.
    fn narrowed_by(self, other: Epoch) -> Epoch {
        let (low_ns, high_ns) = (
            self.low_ns.max(other.low_ns),
            self.high_ns.min(other.high_ns),
        );
        if low_ns <= high_ns {
            Epoch { low_ns, high_ns }
        } else {
            self
        }
    }
}

/// The wall clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// When it was noticed.
    pub at_ns: Instant,
    /// By how much: positive is forward.
    pub by_ns: i64,
    /// Wall clock minus monotonic since.
    pub offset_ns: i64,
}

/// Where a stamp lies on the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// There.
    At(Instant),
    /// No epoch fits: the wall clock stepped there and back unseen. The packet was read at this instant.
    ReadAt(Instant),
}

/// Turns stamps of the wall clock into instants of the monotonic clock.
pub struct StampClock {
    /// Oldest first; never empty.
    epochs: Vec<Epoch>,
    /// The latest instant a packet was placed at: the next cannot have come before.
    latest: Instant,
    planted: Planted,
}

impl StampClock {
    /// Begins with a first reading of both clocks.
    pub fn new(first: Reading, planted: Planted) -> StampClock {
        StampClock {
            epochs: vec![Epoch::of(first)],
            latest: Instant::ZERO,
            planted,
        }
    }

    /// Wall clock minus monotonic, as it is now.
    pub fn offset_ns(&self) -> i64 {
        self.current().offset_ns()
    }

    fn current(&self) -> Epoch {
        self.epochs[self.epochs.len() - 1]
    }

    /// Takes note of a reading of both clocks; says so if the wall clock was set in between.
    pub fn handle_reading(&mut self, reading: Reading) -> Option<Step> {
        if self.planted.is(Fault::WallClockDelays) {
            return None;
        }
        let (seen, current) = (Epoch::of(reading), self.current());
        if current.agrees_with(seen) {
            let last = self.epochs.len() - 1;
            self.epochs[last] = current.narrowed_by(seen);
            return None;
        }
        if self.epochs.len() == EPOCHS_MAX {
            self.epochs.remove(0);
        }
        self.epochs.push(seen);
        Some(Step {
            at_ns: Instant::from_ns(reading.after_ns.unsigned_abs()),
            by_ns: seen.offset_ns() - current.offset_ns(),
            offset_ns: seen.offset_ns(),
        })
    }

    /// Places a stamp of a packet that arrived after `since`, when there was none, and was read at `now`.
    ///
    /// Packets are placed in the order in which they were read: where two processors stamped
    /// two packets within the same microsecond, the second is not put before the first.
    pub fn place(&mut self, stamp_ns: i64, since: Instant, now: Instant) -> Placed {
        let candidates = self.epochs.iter().rev().map(|epoch| {
            let at = Instant::from_ns(u64::try_from(stamp_ns - epoch.offset_ns()).unwrap_or(0));
            (at, distance_ns(at, since, now))
        });
        // The first of equals is the newest.
        let best = candidates.min_by_key(|(_, distance)| *distance);
        match best {
            Some((at, _)) if self.planted.is(Fault::WallClockDelays) => Placed::At(at),
            Some((at, distance)) if distance <= MISPLACED_NS => {
                self.latest = at.max(self.latest);
                Placed::At(self.latest)
            }
            Some(_) | None => Placed::ReadAt(now),
        }
    }

    /// Whether a stamp lies after `now` or before `since` by the current epoch: time for a new reading.
    pub fn is_doubtful(&self, stamp_ns: i64, since: Instant, now: Instant) -> bool {
        let at = stamp_ns - self.offset_ns();
        u64::try_from(at).map_or(true, |at| distance_ns(Instant::from_ns(at), since, now) > 0)
    }
}

/// How far `at` lies outside `since..=now`.
fn distance_ns(at: Instant, since: Instant, now: Instant) -> u64 {
    since.since(at).as_ns().max(at.since(now).as_ns())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFSET: i64 = 1_767_225_600_000_000_000;
    const HOUR: i64 = 3_600_000_000_000;
    const MS: i64 = 1_000_000;

    fn at(monotonic_ms: i64, offset_ns: i64) -> Reading {
        let before_ns = monotonic_ms * MS;
        Reading {
            before_ns,
            realtime_ns: before_ns + 40 + offset_ns,
            after_ns: before_ns + 80,
        }
    }

    fn instant(ms: i64) -> Instant {
        Instant::from_ns((ms * MS).unsigned_abs())
    }

    fn clock() -> StampClock {
        StampClock::new(at(0, OFFSET), Planted::NONE)
    }

    #[test]
    fn without_a_step_stamps_lose_the_offset() {
        let mut clock = clock();
        assert_eq!(clock.handle_reading(at(1_000, OFFSET)), None);
        let placed = clock.place(OFFSET + 900 * MS, instant(800), instant(1_000));
        assert_eq!(placed, Placed::At(instant(900)));
    }

    #[test]
    fn readings_narrow_the_offset_down() {
        let wide = Reading {
            before_ns: 0,
            realtime_ns: OFFSET + 9_000,
            after_ns: 10_000,
        };
        let mut clock = StampClock::new(wide, Planted::NONE);
        assert_eq!(clock.handle_reading(at(1, OFFSET)), None);
        assert!(
            (clock.offset_ns() - OFFSET).abs() <= 40,
            "{}",
            clock.offset_ns() - OFFSET
        );
    }

    #[test]
    fn packets_from_both_sides_of_a_step_are_placed_by_their_own_epoch() {
        for step in [HOUR, -HOUR] {
            let mut clock = clock();
            // Both packets waited in the ring while the clock was set at 950 ms.
            let seen = clock.handle_reading(at(1_000, OFFSET + step)).unwrap();
            assert_eq!(seen.by_ns, step);
            let (since, now) = (instant(800), instant(1_000));
            let before = clock.place(OFFSET + 900 * MS, since, now);
            let after = clock.place(OFFSET + step + 960 * MS, since, now);
            assert_eq!(before, Placed::At(instant(900)));
            assert_eq!(after, Placed::At(instant(960)));
        }
    }

    #[test]
    fn a_step_there_and_back_seen_both_times_is_no_trouble() {
        let mut clock = clock();
        assert!(clock.handle_reading(at(100, OFFSET + HOUR)).is_some());
        assert!(clock.handle_reading(at(200, OFFSET)).is_some());
        for (stamp, ms) in [(OFFSET + HOUR + 150 * MS, 150), (OFFSET + 210 * MS, 210)] {
            assert_eq!(
                clock.place(stamp, instant(90), instant(300)),
                Placed::At(instant(ms))
            );
        }
    }

    #[test]
    fn a_step_there_and_back_unseen_does_not_invent_a_time() {
        let placed = clock().place(OFFSET + HOUR + 150 * MS, instant(90), instant(300));
        assert_eq!(placed, Placed::ReadAt(instant(300)));
    }

    #[test]
    fn a_packet_stamped_just_before_the_ring_was_found_empty_keeps_its_stamp() {
        let placed = clock().place(OFFSET + 99 * MS, instant(100), instant(101));
        assert_eq!(placed, Placed::At(instant(99)));
    }

    #[test]
    fn packets_are_placed_in_the_order_in_which_they_came() {
        let mut clock = clock();
        let mut place = |stamp| clock.place(OFFSET + stamp, instant(90), instant(100));
        assert_eq!(place(95 * MS), Placed::At(instant(95)));
        assert_eq!(place(95 * MS - 700), Placed::At(instant(95)));
        assert_eq!(place(96 * MS), Placed::At(instant(96)));
    }

    #[test]
    fn stamps_outside_the_window_ask_for_a_new_reading() {
        let clock = clock();
        assert!(!clock.is_doubtful(OFFSET + 95 * MS, instant(90), instant(100)));
        assert!(clock.is_doubtful(OFFSET + 95 * MS + HOUR, instant(90), instant(100)));
        assert!(clock.is_doubtful(OFFSET + 95 * MS - HOUR, instant(90), instant(100)));
    }

    #[cfg(feature = "planted-faults")]
    #[test]
    fn the_planted_fault_believes_the_wall_clock() {
        let mut clock = StampClock::new(at(0, OFFSET), Planted::only(Fault::WallClockDelays));
        assert_eq!(clock.handle_reading(at(1_000, OFFSET + HOUR)), None);
        let placed = clock.place(OFFSET + HOUR + 960 * MS, instant(800), instant(1_000));
        assert_eq!(placed, Placed::At(instant(960 + HOUR / MS)));
    }

    #[test]
    fn the_kernels_clocks_agree_with_themselves() {
        let mut clock = StampClock::new(reading(), Planted::NONE);
        for _ in 0..100 {
            assert_eq!(clock.handle_reading(reading()), None);
        }
        assert!(now() <= now());
    }
}
