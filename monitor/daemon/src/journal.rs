//! The results database as the driver sees it: entries in, trouble out, nothing to wait for.

use vmscope_core::alarm::Storm;
use vmscope_core::report::Record;
use vmscope_core::time::Instant;
use vmscope_store::{ClockAnchor, Counters, Entry, Health, Level, LogEvent, Put, Writer};

use crate::clock::Step;

/// How often a full queue is looked at.
const ROOM_LOOKED_FOR_EVERY: std::time::Duration = std::time::Duration::from_millis(1);

/// Writes down what happens, if there is a database, and tells stderr what people should know.
pub struct Journal {
    writer: Option<Writer>,
    log_probes: bool,
    last: Health,
}

impl Journal {
    /// A journal; without a writer nothing is kept.
    pub fn new(writer: Option<Writer>, log_probes: bool) -> Journal {
        Journal {
            writer,
            log_probes,
            last: Health::default(),
        }
    }

    /// Writes a record of the core.
    pub fn record(&self, record: Record) {
        if self.log_probes || !matches!(record, Record::Probe(_)) {
            self.put(Entry::Record(record));
        }
    }

    /// Writes down that people are told of many alarms at once.
    pub fn storm(&self, storm: &Storm) {
        self.put(Entry::Storm(Box::new(storm.clone())));
    }

    /// Writes down, and says, something that people should know.
    pub fn event(&self, at_ns: Instant, level: Level, kind: &str, message: String) {
        match level {
            Level::Info => tracing::info!("{message}"),
            Level::Warning => tracing::warn!("{message}"),
            Level::Error => tracing::error!("{message}"),
        }
        self.put(Entry::Event(LogEvent {
            at_ns,
            level,
            kind: kind.to_owned(),
            message,
        }));
    }

    /// Writes down that the wall clock was set.
    pub fn clock_step(&self, step: Step) {
        self.put(Entry::Clock(ClockAnchor {
            at_ns: step.at_ns,
            realtime_minus_monotonic_ns: step.offset_ns,
        }));
        let message = format!(
            "the wall clock was set by {:+.6} s; delays are taken from the monotonic clock and stay right",
            step.by_ns as f64 / 1e9
        );
        self.event(step.at_ns, Level::Info, "clock-step", message);
    }

    /// Writes the driver's counters, and says what has become of the database since last time.
    pub fn counters(&mut self, mut counters: Counters) {
        let health = self.health();
        counters.record_drops += health.dropped + health.rejected;
        let now = counters.at_ns;
        self.put(Entry::Counters(counters));
        let last = std::mem::replace(&mut self.last, health.clone());
        self.say_changes(now, &last, &health);
    }

    fn say_changes(&self, now: Instant, last: &Health, health: &Health) {
        match (&last.failing, &health.failing) {
            (None, Some(why)) => {
                let message = format!(
                    "cannot write results: {why}; they wait, and are tried again every second: make room, or look after the database"
                );
                self.event(now, Level::Error, "results-not-written", message);
            }
            (Some(_), None) => {
                self.event(
                    now,
                    Level::Info,
                    "results-written-again",
                    "results are written again".to_owned(),
                );
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
        let dropped = health.dropped - last.dropped;
        if dropped > 0 {
            let message = format!(
                "{dropped} records were not written: they came faster than the database takes them"
            );
            self.event(now, Level::Error, "results-dropped", message);
        }
        let rejected = health.rejected - last.rejected;
        if rejected > 0 {
            let why = health.rejection.as_deref().unwrap_or("no reason given");
            let message = format!("the database refused {rejected} records: {why}");
            self.event(now, Level::Error, "results-rejected", message);
        }
    }

    /// Records lost so far between the core and the file.
    pub fn lost(&self) -> u64 {
        let health = self.health();
        health.dropped + health.rejected
    }

    /// Ends the session in good order.
    pub fn finish(self, at_ns: Instant, realtime_minus_monotonic_ns: i64) {
        self.put(Entry::End {
            at_ns,
            realtime_minus_monotonic_ns,
        });
        let Some(writer) = self.writer else { return };
        match writer.finish() {
            Ok(health) => match health.failing {
                Some(why) => tracing::error!("{} records were not written: {why}", health.dropped),
                None => tracing::debug!("{} records written", health.written),
            },
            Err(error) => tracing::error!("{error}"),
        }
    }

    /// Waits until the database has taken enough for more to be put without loss: for one who reads faster than it writes,
    /// and can wait. The error is why it takes nothing.
    pub fn wait_for_room(&self) -> Result<(), String> {
        let Some(writer) = &self.writer else {
            return Ok(());
        };
        while writer.is_half_full() {
            if let Some(why) = writer.health().failing {
                return Err(why);
            }
            std::thread::sleep(ROOM_LOOKED_FOR_EVERY);
        }
        Ok(())
    }

    /// Ends the session in good order; an error unless all that was put is in the database.
    pub fn finish_all(
        self,
        at_ns: Instant,
        realtime_minus_monotonic_ns: i64,
    ) -> Result<(), String> {
        self.put(Entry::End {
            at_ns,
            realtime_minus_monotonic_ns,
        });
        let Some(writer) = self.writer else {
            return Ok(());
        };
        let health = writer.finish().map_err(|error| error.to_string())?;
        match (health.failing, health.rejection, health.dropped) {
            (None, None, 0) => Ok(()),
            (Some(why), _, _) | (None, Some(why), _) => Err(why),
            (None, None, dropped) => Err(format!("{dropped} records were lost")),
        }
    }

    fn health(&self) -> Health {
        self.writer.as_ref().map(Writer::health).unwrap_or_default()
    }

    fn put(&self, entry: Entry) {
        if let Some(writer) = &self.writer {
            match writer.put(entry) {
                // What is dropped is counted there, and said with the next counters.
                Put::Queued | Put::Dropped => {}
            }
        }
    }
}
