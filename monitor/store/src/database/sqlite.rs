//! SQLite.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::{Purpose, Result, Row, Value};
use crate::error::{DatabaseError, StoreError};

/// Freed pages that one step gives back, at most: 4 MiB.
const PAGES_GIVEN_BACK: u32 = 1024;

/// Pages kept in memory, in KiB: the indexes of a long history are written all over.
const CACHE_KIB: i64 = 65_536;

/// A file.
pub(crate) struct Sqlite {
    pub(crate) connection: Connection,
    /// Says that we write; its lock ends with us, however we end.
    _lock: Option<File>,
}

impl Sqlite {
    pub(super) fn open(path: &Path, purpose: Purpose) -> std::result::Result<Sqlite, StoreError> {
        let opened = match purpose {
            Purpose::Write { .. } => open_to_write(path),
            Purpose::Read => open_to_read(path),
        };
        let connection = opened.map_err(|source| StoreError::Open {
            path: path.to_owned(),
            source,
        })?;
        let lock = match purpose {
            Purpose::Write { .. } => Some(lock(path)?),
            Purpose::Read => None,
        };
        Ok(Sqlite {
            connection,
            _lock: lock,
        })
    }

    pub(super) fn run(&mut self, sql: &str, values: &[Value]) -> Result<u64> {
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.execute(params_from_iter(values))? as u64)
    }

    pub(super) fn each(
        &mut self,
        sql: &str,
        values: &[Value],
        each: &mut dyn FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let columns: Rc<[String]> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(found) = rows.next()? {
            let mut row = Row {
                columns: Rc::clone(&columns),
                values: Vec::with_capacity(columns.len()),
            };
            for column in 0..columns.len() {
                row.values.push(value(found.get_ref(column)?)?);
            }
            each(&row)?;
        }
        Ok(())
    }

    pub(super) fn script(&mut self, sql: &str) -> Result<()> {
        Ok(self.connection.execute_batch(sql)?)
    }

    pub(super) fn bound(&mut self, pages: u32) -> Result<()> {
        Ok(self
            .connection
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?)
    }

    pub(super) fn give_back(&mut self) -> Result<()> {
        // Answers a row for each page: it must be stepped through to do its work.
        let mut statement = self
            .connection
            .prepare(&format!("PRAGMA incremental_vacuum({PAGES_GIVEN_BACK})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }

    pub(super) fn finish(&mut self) {
        // Leaves one plain file behind; if a reader is in the way, its own close will do it.
        let _ = self
            .connection
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }
}

fn open_to_write(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(2))?;
    // So that retention can give pages back. It only takes effect in a file that has no tables yet.
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    // A WAL lets readers look on while we write; NORMAL survives our own death (not the host's) at every commit.
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update(None, "cache_size", -CACHE_KIB)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(Duration::from_secs(2))?;
    db.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // Fails here on a file that is none of SQLite's.
    db.query_row("PRAGMA user_version", [], |_| Ok(()))?;
    Ok(db)
}

/// A file beside the database, for SQLite's own locks end with each transaction.
fn lock(path: &Path) -> std::result::Result<File, StoreError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push("-writer");
    let beside = PathBuf::from(beside);
    let file = File::create(&beside).map_err(|source| StoreError::Lock {
        path: beside,
        source,
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(StoreError::InUse(path.display().to_string()))
        }
        // A file system without locks (some of the network) cannot keep others out.
        Err(std::fs::TryLockError::Error(_)) => Ok(file),
    }
}

fn value(found: ValueRef<'_>) -> Result<Value> {
    Ok(match found {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Real(value) => Value::Real(value),
        ValueRef::Text(_) => Value::Text(
            found
                .as_str()
                .map_err(|e| DatabaseError::Column(e.to_string()))?
                .to_owned(),
        ),
        ValueRef::Blob(_) => {
            return Err(DatabaseError::Column("bytes where none belong".to_owned()));
        }
    })
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Int(value) => ToSqlOutput::Borrowed(ValueRef::Integer(*value)),
            Value::Real(value) => ToSqlOutput::Borrowed(ValueRef::Real(*value)),
            Value::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
        })
    }
}
