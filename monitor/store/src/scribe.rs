//! The writer's thread: batches to transactions.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::database::{Database, Purpose, Result, values};
use crate::entry::{Entry, SessionStart};
use crate::error::StoreError;
use crate::insert;
use crate::location::Location;
use crate::mvpn::Ledger;
use crate::queue::{Gathered, Queue};
use crate::retention::{Janitor, STEPS_PER_BATCH};
use crate::writer::{GATHERED_FOR, Limits, Shared};

/// Pause before a failed batch is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Entries in one transaction, at most.
const BATCH_ENTRIES_MAX: usize = 20_000;

/// Writes what the queue holds.
pub(crate) struct Scribe {
    db: Database,
    location: Location,
    purpose: Purpose,
    session: u32,
    ledger: Ledger,
    janitor: Janitor,
    /// Batches committed.
    batches: u64,
    /// A commit that may have come through, though its answer did not.
    unsure: Option<Unsure>,
    queue: Arc<Queue<Entry>>,
    shared: Arc<Shared>,
}

impl Scribe {
    /// Opens or creates the database, and enters the session.
    pub(crate) fn open(
        location: Location,
        start: &SessionStart,
        limits: Limits,
        queue: Arc<Queue<Entry>>,
        shared: Arc<Shared>,
    ) -> std::result::Result<Scribe, StoreError> {
        let purpose = Purpose::Write {
            pages_max: limits.database_pages,
        };
        let mut db = Database::open(&location, purpose)?;
        let ledger = enter_session(&mut db, start)?;
        Ok(Scribe {
            db,
            location,
            purpose,
            session: start.session,
            ledger,
            janitor: Janitor::new(limits.retention),
            batches: 0,
            unsure: None,
            queue,
            shared,
        })
    }

    /// Writes until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let queue = Arc::clone(&self.queue);
        // If we end by a panic, whoever puts is told.
        let _closing = queue.close_at_end();
        let mut batch = Vec::new();
        loop {
            let gathered = queue.gather(&mut batch, GATHERED_FOR, BATCH_ENTRIES_MAX);
            let written = self.write(&mut batch);
            match gathered {
                Gathered::Batch if written => self.tidy_up(),
                Gathered::Batch => std::thread::sleep(RETRY_AFTER),
                Gathered::Last => break,
            }
        }
        self.end(&batch);
    }

    /// Commits the batch and empties it; on failure keeps it and says why.
    fn write(&mut self, batch: &mut Vec<Entry>) -> bool {
        let outcome = self.settle(batch).and_then(|()| {
            let rejected = self
                .commit_batch(batch)
                .map_err(|error| error.to_string())?;
            self.account(batch, batch.len(), rejected);
            Ok(())
        });
        let written = outcome.is_ok();
        Shared::say(&self.shared.failing, outcome.err());
        written
    }

    /// Sees to it that there is a connection, and that nothing is written twice.
    fn settle(&mut self, batch: &mut Vec<Entry>) -> std::result::Result<(), String> {
        if self.db.is_lost() {
            self.db = Database::open(&self.location, self.purpose).map_err(|e| e.to_string())?;
        }
        let Some(unsure) = self.unsure else {
            return Ok(());
        };
        let found = self
            .db
            .first(
                "SELECT batches FROM session WHERE session = ?1",
                &values![self.session],
                |row| row.count(0),
            )
            .map_err(|error| error.to_string())?;
        match found == Some(self.batches + 1) {
            true => {
                self.batches += 1;
                self.ledger.handle_commit();
                self.account(batch, unsure.entries, unsure.rejected);
            }
            false => self.ledger.handle_rollback(),
        }
        self.unsure = None;
        Ok(())
    }

    /// The first `entries` of the batch are in the database, but for those it refused.
    fn account(&self, batch: &mut Vec<Entry>, entries: usize, rejected: u64) {
        batch.drain(..entries);
        let written = entries as u64 - rejected;
        self.shared.written.fetch_add(written, Ordering::Relaxed);
        self.shared.rejected.fetch_add(rejected, Ordering::Relaxed);
    }

    fn commit_batch(&mut self, batch: &[Entry]) -> Result<u64> {
        match self.commit(batch, Care::AllTogether) {
            // Which one it is, is found out one by one.
            Err(error) if error.is_about_the_entry() => self.commit(batch, Care::EachApart),
            outcome => outcome,
        }
    }

    /// One transaction. Returns how many entries the database refused for themselves.
    fn commit(&mut self, batch: &[Entry], care: Care) -> Result<u64> {
        self.db.begin()?;
        let rejected = match self.write_entries(batch, care) {
            Ok(rejected) => rejected,
            Err(error) => {
                self.db.roll_back();
                self.ledger.handle_rollback();
                return Err(error);
            }
        };
        if let Err(error) = self.db.script("COMMIT") {
            self.db.roll_back();
            self.unsure = Some(Unsure {
                entries: batch.len(),
                rejected,
            });
            return Err(error);
        }
        self.batches += 1;
        self.ledger.handle_commit();
        Ok(rejected)
    }

    fn write_entries(&mut self, batch: &[Entry], care: Care) -> Result<u64> {
        let mut rejected = 0;
        for entry in batch {
            match care {
                Care::AllTogether => self.write_entry(entry)?,
                Care::EachApart => rejected += u64::from(!self.is_taken(entry)?),
            }
        }
        self.ledger.write_seen(&mut self.db)?;
        self.db.run(
            "UPDATE session SET batches = ?2 WHERE session = ?1",
            &values![self.session, self.batches + 1],
        )?;
        // From here on, only the commit itself is in doubt.
        self.db.flush()?;
        Ok(rejected)
    }

    fn write_entry(&mut self, entry: &Entry) -> Result<()> {
        insert::entry(&mut self.db, &mut self.ledger, self.session, entry)
    }

    /// Writes an entry, unless the database refuses it for itself.
    fn is_taken(&mut self, entry: &Entry) -> Result<bool> {
        let mark = self.ledger.mark();
        self.db.script("SAVEPOINT entry")?;
        match self.write_entry(entry).and_then(|()| self.db.flush()) {
            Ok(()) => {
                self.db.script("RELEASE SAVEPOINT entry")?;
                Ok(true)
            }
            Err(error) if error.is_about_the_entry() => {
                self.db.script("ROLLBACK TO SAVEPOINT entry")?;
                self.ledger.handle_undone(mark);
                Shared::say(&self.shared.rejection, Some(error.to_string()));
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Some steps of deleting what is too old.
    fn tidy_up(&mut self) {
        let now_ns = self.ledger.now_ns();
        for _ in 0..STEPS_PER_BATCH {
            if !self.janitor.is_due(now_ns) {
                return;
            }
            if let Err(error) = self.tidy_a_step(now_ns) {
                self.db.roll_back();
                Shared::say(&self.shared.failing, Some(error.to_string()));
                return;
            }
        }
    }

    fn tidy_a_step(&mut self, now_ns: i64) -> Result<()> {
        self.db.begin()?;
        let keys_gone = self.janitor.step(&mut self.db, now_ns)?;
        self.db.script("COMMIT")?;
        if keys_gone {
            self.ledger.handle_keys_gone();
        }
        Ok(())
    }

    fn end(&mut self, unwritten: &[Entry]) {
        let rest = unwritten.len() + self.queue.len();
        self.shared
            .dropped
            .fetch_add(rest as u64, Ordering::Relaxed);
        self.db.finish();
    }
}

/// How a transaction meets entries that the database refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    /// It fails at the first.
    AllTogether,
    /// It goes on with the others.
    EachApart,
}

/// The first entries of the batch, which a commit without an answer held.
#[derive(Debug, Clone, Copy)]
struct Unsure {
    entries: usize,
    rejected: u64,
}

fn enter_session(
    db: &mut Database,
    start: &SessionStart,
) -> std::result::Result<Ledger, StoreError> {
    let entered = db.begin().and_then(|()| {
        insert::session_start(db, start)?;
        let ledger = Ledger::begin(db, start)?;
        db.script("COMMIT")?;
        Ok(ledger)
    });
    entered.map_err(|error| {
        db.roll_back();
        match error.is_taken() {
            true => StoreError::SessionTaken(start.session),
            false => StoreError::Migrate(error),
        }
    })
}
