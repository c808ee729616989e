//! One way to speak to either database: statements with values in, rows of values out.
//!
//! Statements are written once, for both. Places for values are `?1`, `?2`, …; the few
//! differences of dialect are in [`dialect`].

pub(crate) mod dialect;
mod postgres;
mod sqlite;
mod value;

use crate::error::{DatabaseError, StoreError};
use crate::location::Location;
use crate::schema;

pub(crate) use postgres::Postgres;
pub(crate) use sqlite::Sqlite;
pub(crate) use value::{Row, Value, values};

pub(crate) type Result<T> = std::result::Result<T, DatabaseError>;

/// How a database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To write: it is created if need be, and ours alone.
    Write {
        /// Size of an SQLite file at most, in pages.
        pages_max: Option<u32>,
    },
    /// To look on.
    Read,
}

/// An open database.
pub(crate) enum Database {
    Sqlite(Sqlite),
    Postgres(Box<Postgres>),
}

impl Database {
    /// Opens the database, and brings its layout up to date if it is to be written.
    pub(crate) fn open(
        location: &Location,
        purpose: Purpose,
    ) -> std::result::Result<Database, StoreError> {
        let mut database = match location {
            Location::Sqlite(path) => Database::Sqlite(Sqlite::open(path, purpose)?),
            Location::Postgres(text) => {
                Database::Postgres(Box::new(Postgres::open(location, text, purpose)?))
            }
        };
        match purpose {
            Purpose::Write { pages_max } => {
                schema::migrate(&mut database)?;
                if let Database::Postgres(db) = &mut database {
                    db.script(dialect::POSTGRES_MONITORS)
                        .map_err(StoreError::Migrate)?;
                }
                database.bound(pages_max).map_err(StoreError::Migrate)?;
            }
            Purpose::Read => schema::check(&mut database, location)?,
        }
        Ok(database)
    }

    /// Runs a statement; returns how many rows it changed.
    pub(crate) fn run(&mut self, sql: &str, values: &[Value]) -> Result<u64> {
        match self {
            Database::Sqlite(db) => db.run(sql, values),
            Database::Postgres(db) => db.run(sql, values),
        }
    }

    /// Runs a statement whose outcome nobody waits for: an error may only show at a later one, at the latest at
    /// [`flush`](Database::flush).
    pub(crate) fn tell(&mut self, sql: &str, values: &[Value]) -> Result<()> {
        match self {
            Database::Sqlite(db) => db.run(sql, values).map(|_| ()),
            Database::Postgres(db) => db.tell(sql, values),
        }
    }

    /// Waits until all that was told is done.
    pub(crate) fn flush(&mut self) -> Result<()> {
        match self {
            Database::Sqlite(_) => Ok(()),
            Database::Postgres(db) => db.flush(),
        }
    }

    /// Hands each row of the answer to `each`.
    pub(crate) fn each(
        &mut self,
        sql: &str,
        values: &[Value],
        each: &mut dyn FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        match self {
            Database::Sqlite(db) => db.each(sql, values, each),
            Database::Postgres(db) => db.each(sql, values, each),
        }
    }

    /// All rows of the answer, read by `read`.
    pub(crate) fn rows<T>(
        &mut self,
        sql: &str,
        values: &[Value],
        mut read: impl FnMut(&Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.each(sql, values, &mut |row| {
            all.push(read(row)?);
            Ok(())
        })?;
        Ok(all)
    }

    /// The first row of the answer.
    pub(crate) fn first<T>(
        &mut self,
        sql: &str,
        values: &[Value],
        read: impl FnMut(&Row) -> Result<T>,
    ) -> Result<Option<T>> {
        Ok(self.rows(sql, values, read)?.into_iter().next())
    }

    /// Statements without values or answers.
    pub(crate) fn script(&mut self, sql: &str) -> Result<()> {
        match self {
            Database::Sqlite(db) => db.script(sql),
            Database::Postgres(db) => db.script(sql),
        }
    }

    /// Begins a transaction that writes.
    pub(crate) fn begin(&mut self) -> Result<()> {
        match self {
            // A transaction that first reads and then writes could not wait for another's end.
            Database::Sqlite(db) => db.script("BEGIN IMMEDIATE"),
            Database::Postgres(db) => db.script("BEGIN"),
        }
    }

    /// Undoes what the open transaction did; does nothing if there is none.
    pub(crate) fn roll_back(&mut self) {
        // It fails if the database has done so already, and when the connection is lost, with the same effect.
        let _ = match self {
            Database::Sqlite(db) => db.script("ROLLBACK"),
            Database::Postgres(db) => db.roll_back(),
        };
    }

    /// Whether the connection is lost, so that only opening anew can help.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Database::Sqlite(_) => false,
            Database::Postgres(db) => db.is_lost(),
        }
    }

    /// Gives a step's freed pages back to the file system, as far as the database does so by itself.
    pub(crate) fn give_back(&mut self) -> Result<()> {
        match self {
            Database::Sqlite(db) => db.give_back(),
            // Autovacuum is the server's.
            Database::Postgres(_) => Ok(()),
        }
    }

    /// Bytes that hold rows and indexes; what was freed and is not given back does not count.
    pub(crate) fn bytes_used(&mut self) -> Result<u64> {
        let sql = match self {
            Database::Sqlite(_) => dialect::SQLITE_BYTES,
            Database::Postgres(_) => dialect::POSTGRES_BYTES,
        };
        Ok(self.first(sql, &[], |row| row.count(0))?.unwrap_or(0))
    }

    /// Closes in good order.
    pub(crate) fn finish(&mut self) {
        match self {
            Database::Sqlite(db) => db.finish(),
            Database::Postgres(_) => {}
        }
    }

    fn bound(&mut self, pages_max: Option<u32>) -> Result<()> {
        match (self, pages_max) {
            (Database::Sqlite(db), Some(pages)) => db.bound(pages),
            (Database::Sqlite(_), None) | (Database::Postgres(_), _) => Ok(()),
        }
    }
}
