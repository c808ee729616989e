//! Results of the VMScope monitor in SQLite or PostgreSQL.
//!
//! [`schema`] is the contract with whoever queries the database; [`Location`] says which. [`Writer`] puts the results of a
//! session into it without ever making the packet path wait; [`Reader`] gets them out again.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("results.sqlite");
//! use vmscope_core::time::Instant;
//! use vmscope_store::{Entry, Level, Limits, LogEvent, Reader, SessionStart, Writer};
//!
//! let start = SessionStart {
//!     session: 7,
//!     version: "0.1.0".to_owned(),
//!     interface: "eth0".to_owned(),
//!     probe_port: 33900,
//!     at_ns: Instant::from_ns(1_000),
//!     realtime_minus_monotonic_ns: 1_767_225_600_000_000_000,
//! };
//! let writer = Writer::open(&path, &start, Limits::default())?;
//! let _ = writer.put(Entry::Event(LogEvent {
//!     at_ns: Instant::from_ns(2_000),
//!     level: Level::Info,
//!     kind: "example".to_owned(),
//!     message: "written by the documentation".to_owned(),
//! }));
//! let health = writer.finish()?;
//! assert_eq!((health.written, health.dropped), (1, 0));
//! assert_eq!(Reader::open(&path)?.sessions()?[0].session, 7);
//! # Ok(()) }
//! ```

pub mod alarm;
mod database;
mod entry;
mod error;
mod insert;
mod location;
pub mod mvpn;
mod oneway;
mod pairs;
mod probe_files;
mod pulse;
mod queue;
mod reader;
mod retention;
pub mod schema;
mod scribe;
mod writer;

pub use entry::{ClockAnchor, Counters, Entry, Level, LogEvent, SessionStart};
pub use error::{DatabaseError, StoreError};
pub use location::Location;
pub use oneway::{OnewayLatest, OnewayLoss};
pub use pairs::{PairSpan, PairWindow, ROWS_MAX, TaskSpan};
pub use probe_files::{ProbeFileLimits, ProbeFiles, SCHEMA as PROBE_FILE_SCHEMA};
pub use pulse::Pulse;
pub use reader::{OnewayPath, Page, Reader, SessionSummary, TaskSummary};
pub use retention::Retention;
pub use writer::{COMMIT_WITHIN, Health, Limits, Put, Writer};
