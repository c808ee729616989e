//! The thread that writes results, and the queue in front of it.
//!
//! Whoever has something to write never waits: [`Writer::put`] takes an entry or drops and
//! counts it. The thread gathers entries into transactions and commits each within
//! [`COMMIT_WITHIN`], so that a monitor that is killed loses no more than that of its results.
//! When the disk is full, the server is gone or anything else fails, the open batch is kept and tried again.
//!
//! One monitor at a time writes a database: a second one is refused.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::entry::{Entry, SessionStart};
use crate::error::StoreError;
use crate::location::Location;
use crate::queue::Queue;
use crate::retention::Retention;
use crate::scribe::Scribe;

/// The longest that an entry waits for its commit while the database can be written.
pub const COMMIT_WITHIN: Duration = Duration::from_millis(750);
/// So long entries are gathered for one commit; the rest of the promised time is left for the commit itself. A commit writes
/// every page that it touches twice, and the log's rows lie by pair: the more rows a commit has, the less each one costs.
pub(crate) const GATHERED_FOR: Duration = Duration::from_millis(500);

/// Bounds of a writer.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Entries that wait at most; what comes beyond is dropped and counted.
    pub queue_entries: usize,
    /// Size of an SQLite database at most, in pages of 4096 bytes; beyond it, writing fails as on a full disk.
    pub database_pages: Option<u32>,
    /// How long what is kept.
    pub retention: Retention,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            queue_entries: 200_000,
            database_pages: None,
            retention: Retention::default(),
        }
    }
}

/// What became of an entry that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Put {
    /// It waits to be written.
    Queued,
    /// There was no room: it is lost, and counted.
    Dropped,
}

/// How the writer is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Entries committed.
    pub written: u64,
    /// Entries lost because the queue was full, or because the writer had to give up.
    pub dropped: u64,
    /// Entries that the database refused as contradicting what it holds.
    pub rejected: u64,
    /// Why nothing can be written at the moment; it is tried again each second.
    pub failing: Option<String>,
    /// The latest reason for a rejection.
    pub rejection: Option<String>,
}

#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) written: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) failing: Mutex<Option<String>>,
    pub(crate) rejection: Mutex<Option<String>>,
}

impl Shared {
    pub(crate) fn say(place: &Mutex<Option<String>>, words: Option<String>) {
        *place.lock().unwrap_or_else(PoisonError::into_inner) = words;
    }

    fn heard(place: &Mutex<Option<String>>) -> Option<String> {
        place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Writes the results of one session into a database.
pub struct Writer {
    queue: Arc<Queue<Entry>>,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Opens or creates the database, enters the session and starts the thread.
    pub fn open(
        location: impl Into<Location>,
        start: &SessionStart,
        limits: Limits,
    ) -> Result<Writer, StoreError> {
        let queue = Arc::new(Queue::new(limits.queue_entries));
        let shared = Arc::new(Shared::default());
        let (location, start) = (location.into(), start.clone());
        let (tell, told) = mpsc::channel();
        let (its_queue, its_shared) = (Arc::clone(&queue), Arc::clone(&shared));
        // A client of PostgreSQL must be opened where it is used, and not on a thread of an asynchronous runtime.
        let thread = std::thread::Builder::new()
            .name("vmscope-store".to_owned())
            .spawn(move || {
                let opened = Scribe::open(location, &start, limits, its_queue, its_shared);
                let (scribe, outcome) = match opened {
                    Ok(scribe) => (Some(scribe), Ok(())),
                    Err(error) => (None, Err(error)),
                };
                if let (Ok(()), Some(scribe)) = (tell.send(outcome), scribe) {
                    scribe.run();
                }
            })
            .map_err(StoreError::Thread)?;
        match told.recv() {
            Ok(outcome) => outcome?,
            Err(_) => {
                return Err(StoreError::WriterGone(
                    "it ended while it opened".to_owned(),
                ));
            }
        }
        Ok(Writer {
            queue,
            shared,
            thread,
        })
    }

    /// Queues an entry, or drops and counts it. Never waits.
    pub fn put(&self, entry: Entry) -> Put {
        match self.queue.put(entry) {
            Ok(()) => Put::Queued,
            Err(_) => {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                Put::Dropped
            }
        }
    }

    /// Whether half of the queue is taken: whoever can wait should, before anything is dropped.
    pub fn is_half_full(&self) -> bool {
        self.queue.len() > self.queue.capacity() / 2
    }

    /// How the writer is.
    pub fn health(&self) -> Health {
        health_of(&self.shared)
    }

    /// Writes what is queued and closes the database. What cannot be written is counted as dropped.
    pub fn finish(self) -> Result<Health, StoreError> {
        let Writer {
            queue,
            shared,
            thread,
        } = self;
        queue.close();
        match thread.join() {
            Ok(()) => Ok(health_of(&shared)),
            Err(_) => Err(StoreError::WriterGone(
                Shared::heard(&shared.failing).unwrap_or_default(),
            )),
        }
    }
}

pub(crate) fn health_of(shared: &Shared) -> Health {
    Health {
        written: shared.written.load(Ordering::Relaxed),
        dropped: shared.dropped.load(Ordering::Relaxed),
        rejected: shared.rejected.load(Ordering::Relaxed),
        failing: Shared::heard(&shared.failing),
        rejection: Shared::heard(&shared.rejection),
    }
}
