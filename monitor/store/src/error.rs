//! What can go wrong with a results database.

use std::path::PathBuf;

/// A results database that could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It could not be opened or created.
    #[error(
        "cannot open the results database {path}: {source}; check that its directory exists and is writable, and that the file is an SQLite database"
    )]
    Open {
        /// Where.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Its layout could not be brought up to date.
    #[error(
        "cannot prepare the layout of the results database: {0}; move the file away to start a new one"
    )]
    Migrate(rusqlite::Error),
    /// It was written by a newer monitor.
    #[error(
        "the results database has layout {found}, and this monitor knows layouts up to {known}: use the monitor that wrote it, or another file"
    )]
    Newer {
        /// Its layout.
        found: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// It is an SQLite database without a layout of ours.
    #[error(
        "{path} holds no results of vmscope: name the file that `database` in the configuration names"
    )]
    Foreign {
        /// Where.
        path: PathBuf,
    },
    /// The number of this session is in the file already.
    #[error("the results database has a session {0} already: choose another number")]
    SessionTaken(u32),
    /// The thread that writes could not be started.
    #[error("cannot start the thread that writes results: {0}")]
    Thread(std::io::Error),
    /// The thread that writes is gone.
    #[error("the thread that writes results has ended by a defect; its last error: {0}")]
    WriterGone(String),
    /// A query failed.
    #[error("cannot read {what} from the results database: {source}")]
    Read {
        /// What was asked for.
        what: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

impl StoreError {
    pub(crate) fn migrating(source: rusqlite::Error) -> StoreError {
        StoreError::Migrate(source)
    }

    pub(crate) fn reading(what: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
        move |source| StoreError::Read { what, source }
    }
}
