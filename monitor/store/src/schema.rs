//! The database's layout: a public contract.
//!
//! Any number of runs of the monitor (*sessions*) share one file. Every table begins with the
//! session's number. Columns ending in `_ns` are nanoseconds: instants of the monotonic clock
//! (`clock_anchor` ties it to the time of day) or differences of such. Ratios are fractions
//! between 0 and 1. A metric without a single sample is NULL, never zero.
//!
//! What is known of MVPNs' control planes outlives sessions; its tables have rules of their own,
//! which stand at their head.
//!
//! `PRAGMA user_version` (in PostgreSQL: `layout.version`) is the number of migrations applied. A released migration is never
//! edited; a change of the layout is a new one at the end. Columns are only ever added, so
//! that a query written for an older version keeps its meaning.
//!
//! The comments inside the statements are kept by SQLite: `.schema` shows them to whoever
//! opens the file without these sources. PostgreSQL gets the same tables and columns, with BIGINT
//! for INTEGER and DOUBLE PRECISION for REAL.

use crate::database::{Database, Result, dialect, values};
use crate::error::StoreError;
use crate::location::Location;

mod alarm;
mod mvpn;
mod oneway;

/// The migrations, oldest first; `user_version` counts them.
pub const MIGRATIONS: &[&str] = &[FIRST_LAYOUT, mvpn::LAYOUT, alarm::LAYOUT, oneway::LAYOUT];

const FIRST_LAYOUT: &str = "
CREATE TABLE session (            -- one run of the monitor
  session         INTEGER PRIMARY KEY,  -- random number, carried in its probes
  version         TEXT NOT NULL,        -- of the monitor
  interface       TEXT NOT NULL,        -- where it sent and captured
  probe_port      INTEGER NOT NULL,     -- UDP
  started_ns      INTEGER NOT NULL,
  ended_ns        INTEGER,              -- NULL: running, or killed; then updated_ns says how far the log goes
  updated_ns      INTEGER NOT NULL,     -- when the counters below were last written
  capture_received INTEGER NOT NULL DEFAULT 0,
  capture_drops   INTEGER NOT NULL DEFAULT 0,  -- by the capture: if not 0, losses of that time may be the monitor's own
  transmit_errors INTEGER NOT NULL DEFAULT 0,
  record_drops    INTEGER NOT NULL DEFAULT 0   -- rows missing from this file because it could not be written fast enough
) STRICT;

CREATE TABLE clock_anchor (       -- what the time of day was
  session         INTEGER NOT NULL,
  at_ns           INTEGER NOT NULL,     -- monotonic; valid from here to the next anchor
  realtime_minus_monotonic_ns INTEGER NOT NULL,
  reason          TEXT NOT NULL         -- 'start' | 'step' | 'end'
) STRICT;

CREATE TABLE tunnel (
  session         INTEGER NOT NULL,
  tunnel          INTEGER NOT NULL,     -- number, carried in probes
  name            TEXT NOT NULL,
  outer_local     TEXT,                 -- NULL without encapsulation
  outer_remote    TEXT,
  inner_local     TEXT NOT NULL,
  inner_remote    TEXT NOT NULL,
  spec            TEXT NOT NULL,        -- JSON, as on the control socket
  added_ns        INTEGER NOT NULL,
  dropped_ns      INTEGER,
  PRIMARY KEY (session, tunnel, added_ns)
) STRICT, WITHOUT ROWID;

CREATE TABLE task (               -- one run of a task, an MVPN's task or a send
  session         INTEGER NOT NULL,
  task            INTEGER NOT NULL,     -- number, carried in probes
  name            TEXT NOT NULL,
  group_address   TEXT NOT NULL,
  spec            TEXT NOT NULL,        -- JSON, as on the control socket
  started_ns      INTEGER NOT NULL,
  epoch_ns        INTEGER NOT NULL,     -- start of interval 0: the warm-up is over
  finished        INTEGER NOT NULL DEFAULT 0,  -- 1: every probe is decided
  probes_sent     INTEGER NOT NULL DEFAULT 0,  -- warm-up included; final once finished
  intervals       INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (session, task)
) STRICT, WITHOUT ROWID;

CREATE TABLE probe_log (          -- one probe, one receiver, once its fate is decided
  session         INTEGER NOT NULL,
  task            INTEGER NOT NULL,
  sender          INTEGER NOT NULL,     -- tunnel number
  receiver        INTEGER NOT NULL,     -- tunnel number
  seq             INTEGER NOT NULL,     -- within (task, sender), from 0
  interval        INTEGER,              -- the interval it was counted in; NULL for warm-up
  sent_ns         INTEGER NOT NULL,     -- when the capture saw it leave
  received_ns     INTEGER,              -- when the capture saw its first copy; NULL if lost
  fate            TEXT NOT NULL CHECK (fate IN ('received', 'lost')),
  duplicates      INTEGER NOT NULL,     -- further copies within the loss timeout
  reordered       INTEGER NOT NULL,     -- 1: a higher seq had arrived before (RFC 4737)
  late            INTEGER NOT NULL,     -- copies after the loss timeout
  warmup          INTEGER NOT NULL,     -- 1: counted nowhere
  PRIMARY KEY (session, task, sender, receiver, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE interval_result (    -- one pair over one interval
  session         INTEGER NOT NULL,
  task            INTEGER NOT NULL,
  row             INTEGER NOT NULL,     -- position among the rows of the task
  interval        INTEGER NOT NULL,
  sender          INTEGER NOT NULL,
  receiver        INTEGER NOT NULL,
  start_ns        INTEGER NOT NULL,
  end_ns          INTEGER NOT NULL,
  capture_drops   INTEGER NOT NULL,     -- while the interval's probes were out
  sent            INTEGER NOT NULL,     -- always received + lost
  received        INTEGER NOT NULL,
  lost            INTEGER NOT NULL,
  duplicates      INTEGER NOT NULL,
  reordered       INTEGER NOT NULL,
  late            INTEGER NOT NULL,
  loss            REAL,                 -- lost / sent, tunnels included
  delay_samples INTEGER, delay_min_ns INTEGER, delay_mean_ns INTEGER, delay_p50_ns INTEGER,  -- one-way, tunnels included (RFC 7679)
  delay_p90_ns INTEGER, delay_p99_ns INTEGER, delay_p999_ns INTEGER, delay_max_ns INTEGER,
  ipdv_samples INTEGER, ipdv_min_ns INTEGER, ipdv_mean_ns INTEGER, ipdv_p50_ns INTEGER,      -- RFC 3393
  ipdv_p90_ns INTEGER, ipdv_p99_ns INTEGER, ipdv_p999_ns INTEGER, ipdv_max_ns INTEGER,
  pdv_samples INTEGER, pdv_min_ns INTEGER, pdv_mean_ns INTEGER, pdv_p50_ns INTEGER,          -- RFC 5481
  pdv_p90_ns INTEGER, pdv_p99_ns INTEGER, pdv_p999_ns INTEGER, pdv_max_ns INTEGER,
  sender_rtt_ns INTEGER, receiver_rtt_ns INTEGER,       -- mean round trips of the two tunnels
  sender_ping_loss REAL, receiver_ping_loss REAL,
  path_delay_half_ns INTEGER,           -- half of each round trip removed: exact only if both tunnels are symmetric
  path_delay_low_ns INTEGER, path_delay_high_ns INTEGER,  -- what is certain
  path_loss_half REAL, path_loss_low REAL, path_loss_high REAL,
  PRIMARY KEY (session, task, row)
) STRICT, WITHOUT ROWID;

CREATE TABLE tunnel_result (      -- pings over one tunnel in one span of time
  session         INTEGER NOT NULL,
  tunnel          INTEGER NOT NULL,
  start_ns        INTEGER NOT NULL,
  end_ns          INTEGER NOT NULL,
  sent            INTEGER NOT NULL,
  lost            INTEGER NOT NULL,
  rtt_samples INTEGER, rtt_min_ns INTEGER, rtt_mean_ns INTEGER, rtt_p50_ns INTEGER,
  rtt_p90_ns INTEGER, rtt_p99_ns INTEGER, rtt_p999_ns INTEGER, rtt_max_ns INTEGER
) STRICT;

CREATE TABLE passive_observation (
  session         INTEGER NOT NULL,
  name            TEXT NOT NULL,
  spec            TEXT NOT NULL         -- JSON, as on the control socket
) STRICT;

CREATE TABLE passive_result (     -- counters of one customer stream, from its first packet to at_ns
  session         INTEGER NOT NULL,
  at_ns           INTEGER NOT NULL,
  passive         TEXT NOT NULL,        -- name of the observation
  tunnel          INTEGER NOT NULL,
  pe              TEXT,                 -- source on the MDT; NULL in plain multicast
  source          TEXT NOT NULL,
  group_address   TEXT NOT NULL,
  protocol        INTEGER NOT NULL,
  source_port     INTEGER NOT NULL,
  destination_port INTEGER NOT NULL,
  packets         INTEGER NOT NULL,
  bytes           INTEGER NOT NULL,     -- from the customer's IPv4 header on
  first_ns        INTEGER NOT NULL,
  last_ns         INTEGER NOT NULL,
  bits_per_second INTEGER,
  rtp_ssrc INTEGER, rtp_expected INTEGER, rtp_received INTEGER, rtp_lost INTEGER,  -- RFC 3550 appendix A; NULL if not RTP
  rtp_jitter_units INTEGER, rtp_restarts INTEGER
) STRICT;

CREATE TABLE event (              -- what a person should know, in the order in which it happened
  session         INTEGER NOT NULL,
  at_ns           INTEGER NOT NULL,
  level           TEXT NOT NULL CHECK (level IN ('info', 'warning', 'error')),
  kind            TEXT NOT NULL,        -- for programs: 'clock-step', 'capture-drops', 'transmit-errors', ...
  message         TEXT NOT NULL
) STRICT;

CREATE VIEW pair_total AS         -- a task's pairs over all its intervals
  SELECT session, task, sender, receiver,
         sum(sent) AS sent, sum(received) AS received, sum(lost) AS lost,
         sum(duplicates) AS duplicates, sum(reordered) AS reordered, sum(late) AS late,
         CAST(sum(lost) AS REAL) / nullif(sum(sent), 0) AS loss,
         min(delay_min_ns) AS delay_min_ns,
         sum(delay_mean_ns * delay_samples) / nullif(sum(delay_samples), 0) AS delay_mean_ns,
         max(delay_max_ns) AS delay_max_ns,
         sum(capture_drops) AS capture_drops
    FROM interval_result GROUP BY session, task, sender, receiver;
";

/// The layout this build writes: the number of [`MIGRATIONS`].
pub fn current_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// The layout of an open database; 0 if it has none of ours.
pub(crate) fn version_of(db: &mut Database) -> Result<i64> {
    let sql = match db {
        Database::Sqlite(_) => "SELECT user_version FROM pragma_user_version",
        Database::Postgres(_) => {
            let there = db.first("SELECT to_regclass('layout') IS NOT NULL", &[], |row| {
                row.flag(0)
            })?;
            if there != Some(true) {
                return Ok(0);
            }
            "SELECT version FROM layout"
        }
    };
    Ok(db.first(sql, &[], |row| row.int(0))?.unwrap_or(0))
}

/// Brings a database to the current layout, all or nothing. One that a newer monitor wrote is refused.
pub(crate) fn migrate(db: &mut Database) -> std::result::Result<(), StoreError> {
    db.begin().map_err(StoreError::Migrate)?;
    let migrated =
        migrate_within(db).and_then(|()| db.script("COMMIT").map_err(StoreError::Migrate));
    if migrated.is_err() {
        db.roll_back();
    }
    migrated
}

fn migrate_within(db: &mut Database) -> std::result::Result<(), StoreError> {
    let found = version_of(db).map_err(StoreError::Migrate)?;
    let known = current_version();
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if found < known {
        apply(db, usize::try_from(found).unwrap_or(0)).map_err(StoreError::Migrate)?;
    }
    Ok(())
}

fn apply(db: &mut Database, done: usize) -> Result<()> {
    for migration in MIGRATIONS.iter().skip(done) {
        match db {
            Database::Sqlite(_) => db.script(migration)?,
            Database::Postgres(_) => db.script(&dialect::postgres_layout(migration))?,
        }
    }
    let known = current_version();
    match db {
        Database::Sqlite(_) => db.script(&format!("PRAGMA user_version = {known}")),
        Database::Postgres(_) => {
            db.script(dialect::POSTGRES_VERSION_TABLE)?;
            db.script("DELETE FROM layout")?;
            db.run("INSERT INTO layout VALUES (?1)", &values![known])
                .map(|_| ())
        }
    }
}

/// Refuses to read what is not ours, or newer than we are. What is older can be read as far as it goes.
pub(crate) fn check(db: &mut Database, location: &Location) -> std::result::Result<(), StoreError> {
    let found = version_of(db).map_err(StoreError::reading("its layout"))?;
    let known = current_version();
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if found == 0 {
        return Err(StoreError::Foreign {
            location: location.to_string(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Purpose;

    const WRITE: Purpose = Purpose::Write { pages_max: None };

    fn opened(folder: &tempfile::TempDir) -> std::result::Result<Database, StoreError> {
        Database::open(&Location::new(folder.path().join("r.sqlite")), WRITE)
    }

    #[test]
    fn a_fresh_database_gets_every_table_and_the_version() {
        let folder = tempfile::tempdir().unwrap();
        let mut db = opened(&folder).unwrap();
        assert_eq!(version_of(&mut db).unwrap(), current_version());
        let names = db
            .rows(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name",
                &[],
                |row| row.text(0).map(str::to_owned),
            )
            .unwrap();
        insta::assert_snapshot!(names.join("\n"));
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        opened(&folder)
            .unwrap()
            .script("INSERT INTO event VALUES (1, 2, 'info', 'test', 'kept')")
            .unwrap();
        let kept = opened(&folder)
            .unwrap()
            .first("SELECT count(*) FROM event", &[], |row| row.int(0));
        assert_eq!(kept.unwrap(), Some(1));
    }

    #[test]
    fn a_database_of_the_first_layout_keeps_its_rows_and_gets_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let old = rusqlite::Connection::open(folder.path().join("r.sqlite")).unwrap();
        old.execute_batch(FIRST_LAYOUT).unwrap();
        old.execute_batch(
            "PRAGMA user_version = 1; INSERT INTO event VALUES (1, 2, 'info', 'test', 'kept')",
        )
        .unwrap();
        drop(old);
        let mut db = opened(&folder).unwrap();
        assert_eq!(version_of(&mut db).unwrap(), current_version());
        let count = |db: &mut Database, table: &str| {
            db.first(&format!("SELECT count(*) FROM {table}"), &[], |row| {
                row.int(0)
            })
            .unwrap()
        };
        assert_eq!(count(&mut db, "event"), Some(1));
        assert_eq!(count(&mut db, "mvpn_history"), Some(0));
    }

    #[test]
    fn a_newer_database_is_refused_untouched() {
        let folder = tempfile::tempdir().unwrap();
        opened(&folder)
            .unwrap()
            .script("PRAGMA user_version = 99")
            .unwrap();
        assert!(matches!(
            opened(&folder),
            Err(StoreError::Newer { found: 99, .. })
        ));
        let db = rusqlite::Connection::open(folder.path().join("r.sqlite")).unwrap();
        let version: i64 = db
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap();
        assert_eq!(version, 99);
    }
}
