//! Where SQLite and PostgreSQL differ in what they are told.
//!
//! The layout and all statements are written in SQLite's words, as far as both understand them;
//! here is the rest.

use std::borrow::Cow;

/// Layouts: SQLite's words, PostgreSQL's. A REAL of PostgreSQL has four bytes only, an INTEGER too.
const LAYOUT_WORDS: [(&str, &str); 4] = [
    (" INTEGER", " BIGINT"),
    (" REAL", " DOUBLE PRECISION"),
    (") STRICT, WITHOUT ROWID;", ");"),
    (") STRICT;", ");"),
];

/// A migration as PostgreSQL is told it.
pub(crate) fn postgres_layout(sqlite: &str) -> String {
    LAYOUT_WORDS
        .iter()
        .fold(sqlite.to_owned(), |text, (theirs, ours)| {
            text.replace(theirs, ours)
        })
}

/// A statement as PostgreSQL is told it: places for values are `$1`, not `?1`.
pub(crate) fn postgres_statement(sqlite: &str) -> Cow<'_, str> {
    match sqlite.contains('?') {
        true => Cow::Owned(sqlite.replace('?', "$")),
        false => Cow::Borrowed(sqlite),
    }
}

/// Bytes that hold something.
pub(crate) const SQLITE_BYTES: &str = "SELECT (c.page_count - f.freelist_count) * s.page_size
  FROM pragma_page_count c, pragma_freelist_count f, pragma_page_size s";
pub(crate) const POSTGRES_BYTES: &str =
    "SELECT CAST(coalesce(sum(pg_total_relation_size(c.oid)), 0) AS BIGINT)
  FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = quote_ident(current_schema())::regnamespace";

/// Deletes the `?3` oldest of a watch's past states, of those that ended before `?2`.
pub(crate) const SQLITE_OLDEST_HISTORY: &str = "DELETE FROM mvpn_past WHERE rowid IN
  (SELECT rowid FROM mvpn_past WHERE watch = ?1 AND until_ns < ?2 ORDER BY until_ns LIMIT ?3)";
pub(crate) const POSTGRES_OLDEST_HISTORY: &str = "DELETE FROM mvpn_past WHERE ctid = ANY (ARRAY
  (SELECT ctid FROM mvpn_past WHERE watch = ?1 AND until_ns < ?2 ORDER BY until_ns LIMIT ?3))";

/// Where PostgreSQL keeps the number of migrations applied; SQLite has `user_version`.
pub(crate) const POSTGRES_VERSION_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS layout (version BIGINT NOT NULL)";

/// Said first on PostgreSQL's connections: a client that is gone without a word must not keep its lock for hours.
pub(crate) const POSTGRES_GREETING: &str =
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5;
  SET tcp_keepalives_count = 3; SET tcp_user_timeout = 15000";

/// Makes the schema that is to be written, if the connection names one that is not there.
pub(crate) const POSTGRES_SCHEMA: &str = "DO $$ BEGIN
  IF current_schema() IS NULL THEN
    EXECUTE 'CREATE SCHEMA IF NOT EXISTS ' || current_setting('search_path');
  END IF;
END $$";

/// What several monitors have written, together: in the schema `monitors`, a view for each table of ours, with the
/// monitor's name before its columns. Only of those whose table has the same columns; a monitor of another version joins
/// when it is started with the same. Nothing for a monitor that is alone.
pub(crate) const POSTGRES_MONITORS: &str = "DO $$
DECLARE
  of_ours RECORD;
  all_of_it TEXT;
BEGIN
  IF current_schema() NOT LIKE 'monitor\\_%' THEN RETURN; END IF;
  PERFORM pg_advisory_xact_lock(1986947955, hashtext('monitors'));
  CREATE SCHEMA IF NOT EXISTS monitors;
  FOR of_ours IN
    SELECT c.relname AS name, (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
      FROM pg_class c
     WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'v') AND c.relname <> 'layout'
  LOOP
    SELECT string_agg(format('SELECT CAST(%L AS TEXT) AS monitor, t.* FROM %I.%I t', substr(n.nspname, 9), n.nspname, c.relname),
                      ' UNION ALL ' ORDER BY n.nspname)
      INTO all_of_it
      FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = of_ours.name
     WHERE n.nspname LIKE 'monitor\\_%'
       AND of_ours.columns = (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped);
    EXECUTE format('CREATE OR REPLACE VIEW monitors.%I AS %s', of_ours.name, all_of_it);
  END LOOP;
END $$";

/// PostgreSQL's lock of whoever writes, in the schema that is written; it ends with the connection. One that has just
/// ended is waited for.
pub(crate) const POSTGRES_LOCK_PATIENCE: &str = "SET lock_timeout = 3000";
pub(crate) const POSTGRES_WRITER_LOCK: &str =
    "SELECT pg_advisory_lock(1986947955, hashtext(current_schema()))";
pub(crate) const POSTGRES_LOCKED: &str = "SET lock_timeout = 0";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::MIGRATIONS;

    #[test]
    fn nothing_of_sqlite_alone_is_left_in_a_layout_for_postgresql() {
        for migration in MIGRATIONS {
            let told = postgres_layout(migration);
            for word in ["STRICT", "ROWID", "INTEGER", " REAL"] {
                assert!(!told.contains(word), "{word} is left in {told}");
            }
        }
    }

    #[test]
    fn places_for_values_are_rewritten() {
        assert_eq!(postgres_statement("SELECT ?1, ?12"), "SELECT $1, $12");
    }
}
