//! The thread that writes probe files.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::encoder::{Encoder, Names, Row};
use super::file::GrowingFile;
use super::{Item, ProbeFileLimits};
use crate::entry::{ClockAnchor, SessionStart};
use crate::queue::{Gathered, Queue};
use crate::writer::Shared;

/// Rows of a file that are encoded together.
const ROWS_AT_ONCE: usize = 100_000;
/// How long records are gathered for, and how many at most.
const GATHER_WITHIN: Duration = Duration::from_millis(500);
const RECORDS_AT_ONCE: usize = 20_000;
/// Pause before what failed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Takes records from the queue and writes files.
pub(super) struct Scribe {
    directory: PathBuf,
    start: SessionStart,
    limits: ProbeFileLimits,
    queue: Arc<Queue<Item>>,
    shared: Arc<Shared>,
    /// Names that the other side has learnt.
    learnt: Arc<Mutex<Names>>,
    names: Names,
    moment: ClockAnchor,
    /// Rows that are not encoded yet.
    rows: Vec<Row>,
    open: Option<Open>,
    files: u32,
    /// The queue is closed, and something could not be written: nothing is tried any more.
    given_up: bool,
}

/// The file that rows are added to.
struct Open {
    file: GrowingFile,
    encoder: Encoder,
    begun: ClockAnchor,
    rows: u64,
}

impl Scribe {
    pub(super) fn new(
        (directory, start, limits): (PathBuf, SessionStart, ProbeFileLimits),
        queue: Arc<Queue<Item>>,
        shared: Arc<Shared>,
        learnt: Arc<Mutex<Names>>,
    ) -> Scribe {
        Scribe {
            moment: ClockAnchor {
                at_ns: start.at_ns,
                realtime_minus_monotonic_ns: start.realtime_minus_monotonic_ns,
            },
            directory,
            start,
            limits,
            queue,
            shared,
            learnt,
            names: Names::default(),
            rows: Vec::new(),
            open: None,
            files: 0,
            given_up: false,
        }
    }

    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let queue = Arc::clone(&self.queue);
        // If we end by a panic, whoever puts is told.
        let _closing = queue.close_at_end();
        let mut items = Vec::new();
        loop {
            let gathered = queue.gather(&mut items, GATHER_WITHIN, RECORDS_AT_ONCE);
            // Names come before the records that need them.
            self.names
                .take(&mut self.learnt.lock().unwrap_or_else(PoisonError::into_inner));
            items.drain(..).for_each(|item| self.take(item));
            if gathered == Gathered::Last {
                return self.close();
            }
        }
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Probe(probe) => {
                let offset = self.moment.realtime_minus_monotonic_ns;
                self.rows.push((probe, offset));
                if self.rows.len() >= ROWS_AT_ONCE {
                    self.write_rows();
                }
            }
            Item::Moment(moment) => {
                self.moment = moment;
                // The file begins with its first row, encoded or not.
                if self.open.is_none() && !self.rows.is_empty() {
                    self.begin();
                }
                let age = self
                    .open
                    .as_ref()
                    .map(|open| moment.at_ns.since(open.begun.at_ns));
                if age.is_some_and(|age| age >= self.limits.age) {
                    self.close();
                }
            }
        }
    }

    /// Encodes the rows that wait and appends them; closes a file that has become large.
    fn write_rows(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        if self.open.is_none() {
            self.begin();
        }
        let rows = std::mem::take(&mut self.rows);
        let Some(open) = &mut self.open else {
            return self.drop_rows(rows.len() as u64);
        };
        open.rows += rows.len() as u64;
        match open.encoder.add(&rows, &self.names) {
            Ok(bytes) => self.append(&bytes),
            Err(error) => self.abandon(error.to_string()),
        }
        let length = self.open.as_ref().map_or(0, |open| open.file.len());
        if length >= self.limits.bytes {
            self.close();
        }
    }

    fn begin(&mut self) {
        let number = self.files;
        let (directory, session) = (self.directory.clone(), self.start.session);
        let Some(file) = self.insist(|_| GrowingFile::create(&directory, session, number)) else {
            return;
        };
        self.files += 1;
        match Encoder::new(&self.start) {
            Ok(encoder) => {
                self.open = Some(Open {
                    file,
                    encoder,
                    begun: self.moment,
                    rows: 0,
                });
            }
            Err(error) => Shared::say(&self.shared.failing, Some(error.to_string())),
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let appended = self.insist(|scribe| match &mut scribe.open {
            Some(open) => open.file.append(bytes),
            None => Ok(()),
        });
        if appended.is_none() {
            self.drop_open();
        }
    }

    /// Makes the open file whole, and gives it its name.
    fn close(&mut self) {
        self.write_rows();
        let Some(Open {
            mut file,
            encoder,
            rows,
            ..
        }) = self.open.take()
        else {
            return;
        };
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        let last = match encoder.finish(dropped) {
            Ok(last) => last,
            Err(error) => {
                Shared::say(&self.shared.failing, Some(error.to_string()));
                file.discard();
                return self.drop_rows(rows);
            }
        };
        let closed = self
            .insist(|_| file.append(&last))
            .and_then(|()| self.sync(&file))
            .and_then(|()| self.insist(|_| file.name()));
        match closed {
            Some(()) => {
                self.shared.written.fetch_add(rows, Ordering::Relaxed);
            }
            None => {
                file.discard();
                self.drop_rows(rows);
            }
        }
    }

    /// Has a file on disk, or nothing if some of it is lost.
    fn sync(&self, file: &GrowingFile) -> Option<()> {
        let synced = file.sync();
        synced.map_err(|error| self.say_failing(&error)).ok()
    }

    /// Tries until it succeeds; nothing if the end comes first.
    fn insist<T>(&mut self, mut attempt: impl FnMut(&mut Self) -> io::Result<T>) -> Option<T> {
        while !self.given_up {
            match attempt(self) {
                Ok(done) => {
                    Shared::say(&self.shared.failing, None);
                    return Some(done);
                }
                Err(error) => self.say_failing(&error),
            }
            self.given_up = self.queue.is_closed_within(RETRY_AFTER);
        }
        None
    }

    fn say_failing(&self, error: &io::Error) {
        let why = format!("{}: {error}", self.directory.display());
        Shared::say(&self.shared.failing, Some(why));
    }

    /// The open file can never be made whole.
    fn abandon(&mut self, why: String) {
        Shared::say(&self.shared.failing, Some(why));
        self.drop_open();
    }

    fn drop_open(&mut self) {
        if let Some(open) = self.open.take() {
            open.file.discard();
            self.drop_rows(open.rows);
        }
    }

    fn drop_rows(&self, rows: u64) {
        self.shared.dropped.fetch_add(rows, Ordering::Relaxed);
    }
}
