//! The lab's two clocks. Taps stamp in CLOCK_REALTIME, which scenarios step; the truth is told in CLOCK_MONOTONIC.
//!
//! `clock.json` is a list of epochs: how far realtime was ahead of monotonic at some moments. Readings are taken at
//! the start, just before and just after every step, and at the end, so a step lies between two neighbours.

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Stamps may be out of order by this much (several CPUs, natively).
const DISORDER_NS: i128 = 100_000_000;
/// Nothing is stamped later than this after the last reading.
const AFTER_END_NS: i128 = 60_000_000_000;
/// Two readings of an unstepped offset differ by less than this.
const READING_ERROR_NS: i64 = 1_000_000;

/// CLOCK_MONOTONIC now, nanoseconds.
pub fn monotonic_ns() -> u64 {
    now_ns(ClockId::CLOCK_MONOTONIC)
}

fn now_ns(clock: ClockId) -> u64 {
    // Both clocks exist on every Linux; a failure could only be a wrong id.
    clock_gettime(clock).map_or(0, |now| {
        now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
    })
}

/// How far realtime was ahead of monotonic at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// When, CLOCK_MONOTONIC.
    pub at_monotonic_ns: u64,
    /// CLOCK_REALTIME minus CLOCK_MONOTONIC.
    pub realtime_minus_monotonic_ns: i64,
}

impl Epoch {
    /// Reads both clocks; the closest bracket of sixteen.
    pub fn read() -> Self {
        let mut best = (
            u64::MAX,
            Self {
                at_monotonic_ns: 0,
                realtime_minus_monotonic_ns: 0,
            },
        );
        for _ in 0..16 {
            let (before, real, after) = (
                monotonic_ns(),
                now_ns(ClockId::CLOCK_REALTIME),
                monotonic_ns(),
            );
            let middle = before + (after - before) / 2;
            let epoch = Self {
                at_monotonic_ns: middle,
                realtime_minus_monotonic_ns: real as i64 - middle as i64,
            };
            if after - before < best.0 {
                best = (after - before, epoch);
            }
        }
        best.1
    }
}

/// Records epochs in the lab; serialises as `clock.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClockLog {
    /// In time order.
    pub epochs: Vec<Epoch>,
}

impl ClockLog {
    /// With the epoch of now: call at the start, before the taps.
    pub fn start() -> Self {
        Self {
            epochs: vec![Epoch::read()],
        }
    }

    /// Call before *and* after every step of the wall clock, and at the end.
    pub fn note(&mut self) {
        self.epochs.push(Epoch::read());
    }
}

/// A stamp that fits no epoch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClockError {
    /// Nothing was recorded.
    #[error("reading the lab's clock log: it has no epochs; the run did not reach its start")]
    Empty,
    /// A stamp lies outside of every epoch.
    #[error(
        "placing the tap's record {record}: its wall clock stamp {realtime_ns} ns{} fits none of the recorded clock epochs; the lab's clock was stepped by something that is not in the timeline",
        after(*.before_ns)
    )]
    Unplaced {
        /// Number of the record.
        record: usize,
        /// Its stamp.
        realtime_ns: u64,
        /// The latest stamp before it; None: it is the first.
        before_ns: Option<u64>,
    },
}

fn after(before_ns: Option<u64>) -> String {
    before_ns.map_or_else(String::new, |ns| format!(", after {ns} ns,"))
}

/// A stretch with one offset, between two steps.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    offset_ns: i128,
    /// The step into it happened in [from_ns, until_ns].
    from_ns: i128,
    until_ns: i128,
}

/// Converts stamps, in record order.
#[derive(Debug, Clone)]
pub struct Converter {
    stretches: Vec<Stretch>,
    end_ns: i128,
    current: usize,
    last_ns: Option<i128>,
    latest_stamp_ns: Option<u64>,
    record: usize,
    is_lenient: bool,
}

impl Converter {
    /// From the recorded epochs.
    pub fn new(log: &ClockLog) -> Result<Self, ClockError> {
        let first = log.epochs.first().ok_or(ClockError::Empty)?;
        let mut stretches = vec![Stretch {
            offset_ns: i128::from(first.realtime_minus_monotonic_ns),
            from_ns: i128::MIN,
            until_ns: i128::MIN,
        }];
        for pair in log.epochs.windows(2) {
            let (old, new) = (
                pair[0].realtime_minus_monotonic_ns,
                pair[1].realtime_minus_monotonic_ns,
            );
            if old.abs_diff(new) >= READING_ERROR_NS.unsigned_abs() {
                stretches.push(Stretch {
                    offset_ns: i128::from(new),
                    from_ns: i128::from(pair[0].at_monotonic_ns),
                    until_ns: i128::from(pair[1].at_monotonic_ns),
                });
            }
        }
        let end_ns = log
            .epochs
            .last()
            .map_or(0, |epoch| i128::from(epoch.at_monotonic_ns))
            + AFTER_END_NS;
        Ok(Self {
            stretches,
            end_ns,
            current: 0,
            last_ns: None,
            latest_stamp_ns: None,
            record: 0,
            is_lenient: false,
        })
    }

    /// For a lab that is not judged: in real time a clock that the host emulates may leap for a moment, and such a stamp is
    /// taken as it is.
    pub fn lenient(self, is_lenient: bool) -> Self {
        Self { is_lenient, ..self }
    }

    /// The stamp of the next record, as CLOCK_MONOTONIC.
    pub fn convert(&mut self, realtime_ns: u64) -> Result<u64, ClockError> {
        let record = self.record;
        self.record += 1;
        let before_ns = self.latest_stamp_ns;
        self.latest_stamp_ns = before_ns.max(Some(realtime_ns));
        let found = (self.current..self.stretches.len())
            .filter_map(|at| self.fits(at, i128::from(realtime_ns)).map(|ns| (at, ns)))
            .min_by_key(|(at, ns)| (self.last_ns.map_or(0, |last| (ns - last).abs()), *at));
        let as_it_is = || {
            let ns = i128::from(realtime_ns) - self.stretches[self.current].offset_ns;
            (self.is_lenient && ns >= 0).then_some((self.current, ns))
        };
        let (at, ns) = found.or_else(as_it_is).ok_or(ClockError::Unplaced {
            record,
            realtime_ns,
            before_ns,
        })?;
        self.current = at;
        self.last_ns = Some(self.last_ns.map_or(ns, |last| last.max(ns)));
        u64::try_from(ns).map_err(|_| ClockError::Unplaced {
            record,
            realtime_ns,
            before_ns,
        })
    }

    /// The time that the stamp would mean in this stretch, if it could lie there.
    fn fits(&self, at: usize, realtime_ns: i128) -> Option<i128> {
        let ns = realtime_ns - self.stretches[at].offset_ns;
        let early = ns < self.stretches[at].from_ns
            || self.last_ns.is_some_and(|last| ns < last - DISORDER_NS);
        let late = ns
            > self
                .stretches
                .get(at + 1)
                .map_or(self.end_ns, |next| next.until_ns);
        (!early && !late && ns >= 0).then_some(ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_is_an_error_where_it_matters_and_taken_as_it_is_elsewhere() {
        let log = ClockLog {
            epochs: vec![Epoch {
                at_monotonic_ns: 1_000_000_000,
                realtime_minus_monotonic_ns: 1_000,
            }],
        };
        let stamps = [2_000_001_000, 5_000_001_000, 2_100_001_000];
        let convert = |is_lenient| {
            let mut converter = Converter::new(&log).unwrap().lenient(is_lenient);
            stamps.map(|stamp| converter.convert(stamp))
        };
        assert_eq!(
            convert(true),
            [Ok(2_000_000_000), Ok(5_000_000_000), Ok(2_100_000_000)]
        );
        let strict = convert(false);
        assert!(strict[1].is_ok() && strict[2].is_err());
        assert!(
            strict[2]
                .as_ref()
                .unwrap_err()
                .to_string()
                .contains("after 5000001000 ns,")
        );
    }

    const HOUR: i64 = 3_600_000_000_000;
    const SECOND: u64 = 1_000_000_000;
    const BASE: i64 = 1_767_225_600_000_000_000;

    fn log(offsets: &[(u64, i64)]) -> ClockLog {
        let epochs = offsets
            .iter()
            .map(|(at, offset)| Epoch {
                at_monotonic_ns: *at,
                realtime_minus_monotonic_ns: *offset,
            })
            .collect();
        ClockLog { epochs }
    }

    fn round_trip(log: &ClockLog, step_ns: &[(u64, i64)]) {
        let mut converter = Converter::new(log).unwrap();
        for ms in (10_000..60_000).step_by(7) {
            let monotonic = ms * 1_000_000;
            let offset = step_ns
                .iter()
                .rfind(|(at, _)| *at <= monotonic)
                .map_or(BASE, |(_, offset)| *offset);
            let stamp = (monotonic as i64 + offset) as u64;
            assert_eq!(converter.convert(stamp).unwrap(), monotonic, "at {ms} ms");
        }
    }

    #[test]
    fn steps_of_an_hour_forward_and_back_are_followed() {
        for step in [HOUR, -HOUR, 40_000_000, -40_000_000] {
            let log = log(&[
                (9 * SECOND, BASE),
                (20 * SECOND - 1_000, BASE + 30),
                (20 * SECOND + 1_000, BASE + step),
                (40 * SECOND - 1_000, BASE + step - 20),
                (40 * SECOND + 1_000, BASE),
                (61 * SECOND, BASE),
            ]);
            round_trip(&log, &[(20 * SECOND, BASE + step), (40 * SECOND, BASE)]);
        }
    }

    #[test]
    fn a_step_that_nobody_recorded_is_an_error() {
        let log = log(&[(9 * SECOND, BASE), (61 * SECOND, BASE)]);
        let mut converter = Converter::new(&log).unwrap();
        converter
            .convert((10 * SECOND as i64 + BASE) as u64)
            .unwrap();
        for (record, step) in [(1, -HOUR), (2, HOUR)] {
            let error = converter
                .convert((11 * SECOND as i64 + BASE + step) as u64)
                .unwrap_err();
            assert!(
                matches!(error, ClockError::Unplaced { record: at, .. } if at == record),
                "{error}"
            );
        }
        assert_eq!(
            Converter::new(&ClockLog::default()).unwrap_err(),
            ClockError::Empty
        );
    }

    #[test]
    fn a_reading_is_near_both_clocks() {
        let epoch = Epoch::read();
        assert!(epoch.at_monotonic_ns <= monotonic_ns());
        assert!(epoch.realtime_minus_monotonic_ns > 0);
    }
}
