//! The results database as the driver sees it: entries in, trouble out, nothing to wait for.

use std::cell::Cell;

use vmscope_core::alarm::Storm;
use vmscope_core::control::ProbeFilesStatus;
use vmscope_core::report::Record;
use vmscope_core::time::Instant;
use vmscope_store::{
    ClockAnchor, Counters, Entry, Health, Level, LogEvent, ProbeFiles, Put, Writer,
};

use crate::clock::Step;

/// How often a full queue is looked at.
const ROOM_LOOKED_FOR_EVERY: std::time::Duration = std::time::Duration::from_millis(1);

/// What is written where, in words.
struct Place {
    what: &'static str,
    rows: &'static str,
    taker: &'static str,
    /// What the kinds of its events begin with.
    kind: &'static str,
    remedy: &'static str,
}

const DATABASE: Place = Place {
    what: "results",
    rows: "records",
    taker: "the database takes them",
    kind: "results",
    remedy: "make room, or look after the database",
};
const PROBE_FILES: Place = Place {
    what: "files of probes",
    rows: "probes",
    taker: "files take them",
    kind: "probe-files",
    remedy: "make room, or look after the directory",
};

/// Writes down what happens, if there is a database, and tells stderr what people should know.
pub struct Journal {
    writer: Option<Writer>,
    log_probes: bool,
    last: Health,
    files: Option<ProbeFiles>,
    files_last: Health,
    realtime_minus_monotonic_ns: Cell<i64>,
}

impl Journal {
    /// A journal; without a writer nothing is kept.
    pub fn new(writer: Option<Writer>, log_probes: bool) -> Journal {
        Journal {
            writer,
            log_probes,
            last: Health::default(),
            files: None,
            files_last: Health::default(),
            realtime_minus_monotonic_ns: Cell::new(0),
        }
    }

    /// The same with files of probes, which are told the time of day from now on.
    pub fn with_probe_files(self, files: Option<ProbeFiles>, offset_ns: i64) -> Journal {
        Journal {
            files,
            realtime_minus_monotonic_ns: Cell::new(offset_ns),
            ..self
        }
    }

    /// Writes a record of the core.
    pub fn record(&self, record: Record) {
        if let Some(files) = &self.files {
            // What is dropped is counted there, and said with the next counters.
            let _ = files.put(&record);
        }
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
        self.realtime_minus_monotonic_ns.set(step.offset_ns);
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

    /// Writes the driver's counters, and says what has become of the database and the files since last time.
    pub fn counters(&mut self, mut counters: Counters) {
        let health = self.health();
        counters.record_drops += health.dropped + health.rejected;
        let now = counters.at_ns;
        self.put(Entry::Counters(counters));
        let last = std::mem::replace(&mut self.last, health.clone());
        self.say_changes(now, &DATABASE, &last, &health);
        if let Some(files) = &self.files {
            files.handle_time(ClockAnchor {
                at_ns: now,
                realtime_minus_monotonic_ns: self.realtime_minus_monotonic_ns.get(),
            });
            let health = files.health();
            let last = std::mem::replace(&mut self.files_last, health.clone());
            self.say_changes(now, &PROBE_FILES, &last, &health);
        }
    }

    fn say_changes(&self, now: Instant, place: &Place, last: &Health, health: &Health) {
        let Place {
            what,
            rows,
            taker,
            kind,
            remedy,
        } = place;
        let say =
            |level, how: &str, message| self.event(now, level, &format!("{kind}-{how}"), message);
        match (&last.failing, &health.failing) {
            (None, Some(why)) => {
                let message = format!(
                    "cannot write {what}: {why}; they wait, and are tried again every second: {remedy}"
                );
                say(Level::Error, "not-written", message);
            }
            (Some(_), None) => {
                say(
                    Level::Info,
                    "written-again",
                    format!("{what} are written again"),
                );
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
        let dropped = health.dropped - last.dropped;
        if dropped > 0 {
            let message =
                format!("{dropped} {rows} were not written: they came faster than {taker}");
            say(Level::Error, "dropped", message);
        }
        let rejected = health.rejected - last.rejected;
        if rejected > 0 {
            let why = health.rejection.as_deref().unwrap_or("no reason given");
            let message = format!("the database refused {rejected} records: {why}");
            say(Level::Error, "rejected", message);
        }
    }

    /// Records lost so far between the core and the database or files.
    pub fn lost(&self) -> u64 {
        let health = self.health();
        let files = self
            .files
            .as_ref()
            .map_or(0, |files| files.health().dropped);
        health.dropped + health.rejected + files
    }

    /// How the files of probes are, if there are any.
    pub fn probe_files(&self) -> Option<ProbeFilesStatus> {
        let files = self.files.as_ref()?;
        let Health {
            written,
            dropped,
            failing,
            ..
        } = files.health();
        Some(ProbeFilesStatus {
            directory: files.directory().clone(),
            written,
            dropped,
            failing,
        })
    }

    /// Ends the session in good order.
    pub fn finish(self, at_ns: Instant, realtime_minus_monotonic_ns: i64) {
        self.put(Entry::End {
            at_ns,
            realtime_minus_monotonic_ns,
        });
        match self.files.map(ProbeFiles::finish) {
            Some(Ok(Health { dropped: 0, .. })) | None => {}
            Some(Ok(health)) => tracing::error!("{} probes are in no file", health.dropped),
            Some(Err(error)) => tracing::error!("{error}"),
        }
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
