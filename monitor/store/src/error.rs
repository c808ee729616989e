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
        "cannot prepare the layout of the results database: {0}; move the file away (or name another database) to start a new one"
    )]
    Migrate(DatabaseError),
    /// A PostgreSQL server could not be reached, or does not let us in.
    #[error(
        "cannot open the results database {location}: {problem}; check that the server runs, and the user, the password and the database in the connection string"
    )]
    Connect {
        /// Where, without the password.
        location: String,
        /// What was found.
        problem: String,
    },
    /// Another monitor writes there.
    #[error(
        "another monitor writes results to {0}: stop it, or name another file, database or schema (?options=-csearch_path%3DNAME)"
    )]
    InUse(String),
    /// The file that tells other monitors that this one writes could not be made.
    #[error(
        "cannot make {path}, which keeps other monitors from writing the same results: {source}"
    )]
    Lock {
        /// Where.
        path: PathBuf,
        /// What was found.
        source: std::io::Error,
    },
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
    /// It was written by an older monitor, and lacks what is asked for.
    #[error(
        "the results database has layout {found}, and this needs layout {known}: start this version of the monitor on it once"
    )]
    Older {
        /// Its layout.
        found: i64,
        /// The layout that is needed.
        known: i64,
    },
    /// It is a database without a layout of ours.
    #[error(
        "{location} holds no results of vmscope: name what `database` in the configuration names"
    )]
    Foreign {
        /// Where.
        location: String,
    },
    /// The number of this session is in the file already.
    #[error("the results database has a session {0} already: choose another number")]
    SessionTaken(u32),
    /// Files of probes cannot be made.
    #[error(
        "cannot make files of probes in {path}: {source}; set `directory` under [parquet] to a directory that is there and can be written"
    )]
    ProbeFiles {
        /// Where.
        path: PathBuf,
        /// What was found.
        source: std::io::Error,
    },
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
        /// What the database said.
        source: DatabaseError,
    },
}

/// What a database says when it does not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// SQLite.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL.
    #[error("{}", in_full(.0))]
    Postgres(#[from] postgres::Error),
    /// A column holds what it should not.
    #[error("the database holds what this monitor never wrote: {0}")]
    Column(String),
    /// Something to write has no form in a database.
    #[error("{0}")]
    Unwritable(String),
}

impl DatabaseError {
    /// Whether what was to be written is to blame, and not the database: another entry may well be taken.
    pub(crate) fn is_about_the_entry(&self) -> bool {
        match self {
            DatabaseError::Sqlite(rusqlite::Error::ToSqlConversionFailure(_)) => true,
            DatabaseError::Sqlite(error) => {
                error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
            }
            // Classes of SQLSTATE: 22 is data that has no form there, 23 a violated constraint.
            DatabaseError::Postgres(error) => error.code().is_some_and(|state| {
                state.code().starts_with("22") || state.code().starts_with("23")
            }),
            DatabaseError::Unwritable(_) => true,
            DatabaseError::Column(_) => false,
        }
    }

    /// Whether it contradicts what is there already.
    pub(crate) fn is_taken(&self) -> bool {
        match self {
            DatabaseError::Sqlite(error) => {
                error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
            }
            DatabaseError::Postgres(error) => {
                error.code() == Some(&postgres::error::SqlState::UNIQUE_VIOLATION)
            }
            DatabaseError::Column(_) | DatabaseError::Unwritable(_) => false,
        }
    }
}

/// The client's own words leave out what the server or the system said.
fn in_full(error: &postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(said), _) => match said.detail() {
            Some(detail) => format!("{} ({detail})", said.message()),
            None => said.message().to_owned(),
        },
        (None, Some(source)) if !error.to_string().contains(&source.to_string()) => {
            format!("{error}: {source}")
        }
        (None, Some(_) | None) => error.to_string(),
    }
}

impl StoreError {
    pub(crate) fn reading(what: &'static str) -> impl FnOnce(DatabaseError) -> StoreError {
        move |source| StoreError::Read { what, source }
    }
}
