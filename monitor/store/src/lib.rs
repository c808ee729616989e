//! Results of the VMScope monitor in SQLite.
//!
//! [`schema`] is the contract with whoever queries the file. [`Writer`] puts the results of a
//! session into it without ever making the packet path wait; [`Reader`] gets them out again.
//!
//! ```no_run
//! # fn main() -> Result<(), vmscope_store::StoreError> {
//! use vmscope_store::{Entry, Limits, SessionStart, Writer};
//! # let start: SessionStart = unimplemented!(); let record = unimplemented!();
//! let writer = Writer::open("results.sqlite".as_ref(), &start, Limits::default())?;
//! let _ = writer.put(Entry::Record(record));
//! let health = writer.finish()?;
//! assert_eq!(health.dropped, 0);
//! # Ok(()) }
//! ```

mod entry;
mod error;
mod insert;
mod queue;
mod reader;
pub mod schema;
mod writer;

pub use entry::{ClockAnchor, Counters, Entry, Level, LogEvent, SessionStart};
pub use error::StoreError;
pub use reader::{Page, Reader, SessionSummary, TaskSummary};
pub use writer::{COMMIT_WITHIN, Health, Limits, Put, Writer};
