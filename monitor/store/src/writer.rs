//! The thread that writes results, and the queue in front of it.
//!
//! Whoever has something to write never waits: [`Writer::put`] takes an entry or drops and
//! counts it. The thread gathers entries into transactions and commits each within
//! [`COMMIT_WITHIN`], so that a monitor that is killed loses no more than that of its results.
//! When the disk is full (or anything else fails) the open batch is kept and tried again.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use crate::entry::{Entry, SessionStart};
use crate::error::StoreError;
use crate::queue::{Gathered, Queue};
use crate::{insert, schema};

/// The longest that an entry waits for its commit while the database can be written.
pub const COMMIT_WITHIN: Duration = Duration::from_millis(500);
/// Pause before a failed batch is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Entries in one transaction, at most.
const BATCH_ENTRIES_MAX: usize = 20_000;

/// Bounds of a writer.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Entries that wait at most; what comes beyond is dropped and counted.
    pub queue_entries: usize,
    /// Size of the database at most, in pages of 4096 bytes; beyond it, writing fails as on a full disk.
    pub database_pages: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            queue_entries: 200_000,
            database_pages: None,
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
struct Shared {
    written: AtomicU64,
    dropped: AtomicU64,
    rejected: AtomicU64,
    failing: Mutex<Option<String>>,
    rejection: Mutex<Option<String>>,
}

impl Shared {
    fn say(place: &Mutex<Option<String>>, words: Option<String>) {
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
    pub fn open(path: &Path, start: &SessionStart, limits: Limits) -> Result<Writer, StoreError> {
        let db = open_database(path, limits)?;
        enter_session(&db, start)?;
        let queue = Arc::new(Queue::new(limits.queue_entries));
        let shared = Arc::new(Shared::default());
        let scribe = Scribe {
            db,
            session: start.session,
            queue: Arc::clone(&queue),
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::Builder::new()
            .name("vmscope-store".to_owned())
            .spawn(move || scribe.run())
            .map_err(StoreError::Thread)?;
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

fn health_of(shared: &Shared) -> Health {
    Health {
        written: shared.written.load(Ordering::Relaxed),
        dropped: shared.dropped.load(Ordering::Relaxed),
        rejected: shared.rejected.load(Ordering::Relaxed),
        failing: Shared::heard(&shared.failing),
        rejection: Shared::heard(&shared.rejection),
    }
}

fn open_database(path: &Path, limits: Limits) -> Result<Connection, StoreError> {
    let prepare = || -> rusqlite::Result<Connection> {
        let db = Connection::open(path)?;
        db.busy_timeout(Duration::from_secs(2))?;
        // A WAL lets readers look on while we write; NORMAL survives our own death (not the host's) at every commit.
        db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.set_prepared_statement_cache_capacity(32);
        Ok(db)
    };
    let mut db = prepare().map_err(|source| StoreError::Open {
        path: path.to_owned(),
        source,
    })?;
    schema::migrate(&mut db)?;
    if let Some(pages) = limits.database_pages {
        db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .map_err(StoreError::Migrate)?;
    }
    Ok(db)
}

fn enter_session(db: &Connection, start: &SessionStart) -> Result<(), StoreError> {
    insert::session_start(db, start).map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => StoreError::SessionTaken(start.session),
        _ => StoreError::Migrate(error),
    })
}

/// The thread's own side.
struct Scribe {
    db: Connection,
    session: u32,
    queue: Arc<Queue<Entry>>,
    shared: Arc<Shared>,
}

impl Scribe {
    fn run(self) {
        // If we end by a panic, whoever puts is told.
        let _closing = self.queue.close_at_end();
        let mut batch = Vec::new();
        loop {
            // Part of the promised time is left for the commit itself.
            let gathered = self
                .queue
                .gather(&mut batch, COMMIT_WITHIN / 2, BATCH_ENTRIES_MAX);
            let written = self.write(&mut batch);
            match gathered {
                Gathered::Batch if written => {}
                Gathered::Batch => std::thread::sleep(RETRY_AFTER),
                Gathered::Last => break,
            }
        }
        self.end(&batch);
    }

    /// Commits the batch and empties it; on failure keeps it and says why.
    fn write(&self, batch: &mut Vec<Entry>) -> bool {
        match self.commit(batch) {
            Ok(rejected) => {
                let written = batch.len() as u64 - rejected;
                self.shared.written.fetch_add(written, Ordering::Relaxed);
                self.shared.rejected.fetch_add(rejected, Ordering::Relaxed);
                Shared::say(&self.shared.failing, None);
                batch.clear();
                true
            }
            Err(error) => {
                Shared::say(&self.shared.failing, Some(error.to_string()));
                false
            }
        }
    }

    /// One transaction. Returns how many entries the database refused for themselves.
    fn commit(&self, batch: &[Entry]) -> rusqlite::Result<u64> {
        let transaction = self.db.unchecked_transaction()?;
        let mut rejected = 0;
        for entry in batch {
            match insert::entry(&transaction, self.session, entry) {
                Ok(()) => {}
                Err(error) if is_about_the_entry(&error) => {
                    rejected += 1;
                    Shared::say(&self.shared.rejection, Some(error.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        transaction.commit()?;
        Ok(rejected)
    }

    fn end(&self, unwritten: &[Entry]) {
        let rest = unwritten.len() + self.queue.len();
        self.shared
            .dropped
            .fetch_add(rest as u64, Ordering::Relaxed);
        // Leaves one plain file behind; if a reader is in the way, its own close will do it.
        let _ = self.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }
}

fn is_about_the_entry(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::ToSqlConversionFailure(_))
        || error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}
