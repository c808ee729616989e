//! Every probe's fate in Parquet files, with a SQLite or PostgreSQL database beside them or without.
//!
//! As with the database, whoever has something to write never waits: [`ProbeFiles::put`] takes a record, or drops and
//! counts it. A thread of their own encodes and writes them. A file is named `probes-SESSION-NUMBER.parquet.open` while
//! rows are added, and loses the last part of its name once it is whole and on disk: so each file without it is valid, and
//! a monitor that is killed loses what is in the open one. Where a file cannot be written, the same bytes are tried again
//! every second, and what comes meanwhile waits in the queue. What the kernel took and then could not put on disk is gone:
//! such a file is removed, its rows are counted as dropped, and the next ones begin another.
//!
//! [`SCHEMA`] is the contract with whoever reads them.

mod encoder;
mod file;
mod scribe;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use vmscope_core::report::{ProbeRecord, Record};
use vmscope_core::time::Span;

use self::encoder::Names;
pub use self::encoder::SCHEMA;
use self::scribe::Scribe;
use crate::entry::{ClockAnchor, SessionStart};
use crate::error::StoreError;
use crate::queue::Queue;
use crate::writer::{Health, Put, Shared, health_of};

/// Bounds of files and of the queue before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeFileLimits {
    /// A file that has grown to so many bytes is closed.
    pub bytes: u64,
    /// A file that is so old is closed.
    pub age: Span,
    /// Records that wait at most; what comes beyond is dropped and counted.
    pub queue_records: usize,
}

impl Default for ProbeFileLimits {
    fn default() -> Self {
        ProbeFileLimits {
            bytes: 256_000_000,
            age: Span::from_s(600),
            queue_records: 400_000,
        }
    }
}

/// What the thread is given.
enum Item {
    Probe(ProbeRecord),
    /// It is now this late.
    Moment(ClockAnchor),
}

/// Writes one session's probes into files.
pub struct ProbeFiles {
    directory: PathBuf,
    queue: Arc<Queue<Item>>,
    shared: Arc<Shared>,
    /// Names that have come up, and that the thread has not seen.
    names: Arc<Mutex<Names>>,
    thread: JoinHandle<()>,
}

impl ProbeFiles {
    /// Starts the thread, if files can be made in the directory.
    pub fn open(
        directory: PathBuf,
        start: &SessionStart,
        limits: ProbeFileLimits,
    ) -> Result<ProbeFiles, StoreError> {
        file::try_directory(&directory, start.session).map_err(|source| {
            let path = directory.clone();
            StoreError::ProbeFiles { path, source }
        })?;
        let queue = Arc::new(Queue::new(limits.queue_records));
        let (shared, names) = (Arc::new(Shared::default()), Arc::default());
        let scribe = Scribe::new(
            (directory.clone(), start.clone(), limits),
            Arc::clone(&queue),
            Arc::clone(&shared),
            Arc::clone(&names),
        );
        let thread = std::thread::Builder::new()
            .name("vmscope-parquet".to_owned())
            .spawn(move || scribe.run())
            .map_err(StoreError::Thread)?;
        Ok(ProbeFiles {
            directory,
            queue,
            shared,
            names,
            thread,
        })
    }

    /// Queues a probe's fate, or drops and counts it; takes names from other records. Never waits.
    pub fn put(&self, record: &Record) -> Put {
        match record {
            Record::Probe(probe) => {
                let put = self.queue.put(Item::Probe(probe.clone()));
                if put.is_err() {
                    self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                    return Put::Dropped;
                }
            }
            Record::TunnelAdded { spec, .. } => {
                if let Some(number) = spec.id {
                    self.learn(|names| names.name_tunnel(number, spec.name.as_str()));
                }
            }
            Record::TaskStarted(task) => {
                self.learn(|names| names.name_task(task.task, task.spec.name.as_str()));
            }
            _ => {}
        }
        Put::Queued
    }

    /// Says what time it is, about every half second: files are closed by it, and it is the time of day in them.
    pub fn handle_time(&self, now: ClockAnchor) {
        // Where there is no room, there are enough records to write before the time matters.
        let _ = self.queue.put(Item::Moment(now));
    }

    /// Where the files go.
    pub fn directory(&self) -> &PathBuf {
        &self.directory
    }

    /// How the writing is. What is written is counted when its file is closed.
    pub fn health(&self) -> Health {
        health_of(&self.shared)
    }

    /// Writes what is queued and closes the file. What cannot be written is counted as dropped.
    pub fn finish(self) -> Result<Health, StoreError> {
        self.queue.close();
        match self.thread.join() {
            Ok(()) => Ok(health_of(&self.shared)),
            Err(_) => Err(StoreError::WriterGone("the Parquet files'".to_owned())),
        }
    }

    fn learn(&self, learn: impl FnOnce(&mut Names)) {
        learn(&mut self.names.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
