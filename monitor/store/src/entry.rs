//! What is written down: the core's records, and what only the driver knows.

use vmscope_core::alarm::Storm;
use vmscope_core::report::Record;
use vmscope_core::time::Instant;

/// How a run of the monitor begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionStart {
    /// Its number.
    pub session: u32,
    /// Version of the monitor.
    pub version: String,
    /// Interface it sends and captures on.
    pub interface: String,
    /// UDP port of its probes.
    pub probe_port: u16,
    /// When it began.
    pub at_ns: Instant,
    /// The wall clock less the monotonic clock at that moment, nanoseconds.
    pub realtime_minus_monotonic_ns: i64,
}

/// One thing to write down.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// What the core decided.
    Record(Record),
    /// The wall clock moved against the monotonic clock.
    Clock(ClockAnchor),
    /// Something a person should know.
    Event(LogEvent),
    /// People were told of many alarms at once.
    Storm(Box<Storm>),
    /// The driver's counters, at intervals of about a second; the last ones stand in the session's row. They also say
    /// that MVPNs are still listened to.
    Counters(Counters),
    /// The run ends in good order.
    End {
        /// When.
        at_ns: Instant,
        /// The wall clock less the monotonic clock, nanoseconds.
        realtime_minus_monotonic_ns: i64,
    },
}

/// The time of day at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockAnchor {
    /// The instant.
    pub at_ns: Instant,
    /// The wall clock less the monotonic clock, nanoseconds.
    pub realtime_minus_monotonic_ns: i64,
}

/// Something a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// When.
    pub at_ns: Instant,
    /// How bad.
    pub level: Level,
    /// What it is, for programs: a word or two with hyphens.
    pub kind: String,
    /// What it is, for people.
    pub message: String,
}

/// How bad an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Good to know.
    Info,
    /// Results may be affected.
    Warning,
    /// Results are missing.
    Error,
}

impl Level {
    /// As it stands in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// The driver's counters since the run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// When they were read.
    pub at_ns: Instant,
    /// Packets the capture received.
    pub capture_received: u64,
    /// Packets the capture dropped.
    pub capture_drops: u64,
    /// Packets that could not be sent.
    pub transmit_errors: u64,
    /// Records that could not be written.
    pub record_drops: u64,
}
