//! Changes to rows: what is, and what was.

use std::collections::HashMap;

use vmscope_core::name::Name;
use vmscope_core::time::Instant;
use vmscope_core::view::record::{Cause, Change, Key, Record, Refresh, Refreshes};

use super::columns;
use super::timeline::Timeline;
use crate::alarm::rows;
use crate::database::{Database, Result, Value, values};
use crate::entry::SessionStart;

/// Keys whose numbers are remembered at most; they cost about 200 bytes each.
const KEYS_REMEMBERED_MAX: usize = 500_000;
/// Keys of one MVPN that are read at once, at most.
const KEYS_LOADED_MAX: u32 = 100_000;

/// Writes the control planes of MVPNs; knows what is in the tables as far as it must.
pub(crate) struct Ledger {
    session: u32,
    written: Written,
    /// As of the last commit.
    committed: Written,
    /// Numbers of keys. Emptied when a transaction fails, for its keys have none.
    keys: HashMap<(Name, Key), i64>,
    /// MVPNs whose keys were read, and whether all are remembered.
    loaded: HashMap<Name, bool>,
}

/// Where a ledger stands within a transaction.
#[derive(Clone)]
pub(crate) struct Written {
    time: Timeline,
    watches: HashMap<Name, i64>,
    next_watch: i64,
    next_key: i64,
    /// The moment up to which the watches are known to have listened.
    seen_ns: i64,
}

/// Moves what `mvpn_now` holds to `mvpn_past`; the end (`?1`) is no part of the interval, and what had no time to be
/// true is left out.
macro_rules! to_the_past {
    ($which:literal) => {
        concat!(
            "INSERT INTO mvpn_past (key, watch, span, since_ns, until_ns, refreshed_ns, refreshes, cause, upstream, data_mdt, rest)
  SELECT key, watch, (SELECT min(s.span) FROM mvpn_span s WHERE s.longest_ns > ?1 - since_ns), since_ns, ?1,
         CASE WHEN ?2 > refreshed_ns THEN ?2 ELSE refreshed_ns END,
         CASE WHEN ?3 > refreshes THEN ?3 ELSE refreshes END, ?4, upstream, data_mdt, rest
    FROM mvpn_now WHERE since_ns < ?1 AND ",
            $which
        )
    };
}

impl Ledger {
    /// Begins a session: all that is left from others is of the past, for they are over.
    pub(crate) fn begin(db: &mut Database, start: &SessionStart) -> Result<Ledger> {
        close_left_over(db)?;
        rows::end_left_over(db)?;
        let next = |db: &mut Database, sql: &str| -> Result<i64> {
            Ok(db
                .first(sql, &[], |row| row.maybe_int(0))?
                .flatten()
                .unwrap_or(0)
                + 1)
        };
        let time = Timeline::new(start.at_ns, start.realtime_minus_monotonic_ns);
        let written = Written {
            time,
            watches: HashMap::new(),
            next_watch: next(db, "SELECT max(watch) FROM watch")?,
            next_key: next(db, "SELECT max(key) FROM mvpn_key")?,
            seen_ns: time.latest(),
        };
        Ok(Ledger {
            session: start.session,
            committed: written.clone(),
            written,
            keys: HashMap::new(),
            loaded: HashMap::new(),
        })
    }

    /// What was written since the last commit is in the database.
    pub(crate) fn handle_commit(&mut self) {
        self.committed = self.written.clone();
        if self.keys.len() > KEYS_REMEMBERED_MAX {
            self.forget_keys();
        }
    }

    /// What was written since the last commit is not in the database.
    pub(crate) fn handle_rollback(&mut self) {
        self.written = self.committed.clone();
        self.forget_keys();
    }

    /// Where it stands, to come back to.
    pub(crate) fn mark(&self) -> Written {
        self.written.clone()
    }

    /// What was written since the mark is not in the database.
    pub(crate) fn handle_undone(&mut self, mark: Written) {
        if self.written.next_key != mark.next_key {
            self.forget_keys();
        }
        self.written = mark;
    }

    /// Keys have gone from the database.
    pub(crate) fn handle_keys_gone(&mut self) {
        self.forget_keys();
    }

    fn forget_keys(&mut self) {
        self.keys.clear();
        self.loaded.clear();
    }

    /// The wall clock was set.
    pub(crate) fn handle_step(&mut self, at: Instant, realtime_minus_monotonic_ns: i64) {
        self.written
            .time
            .handle_step(at, realtime_minus_monotonic_ns);
    }

    /// The monitor runs, and listens to all that it said it does.
    pub(crate) fn handle_sign_of_life(&mut self, at: Instant) {
        let _ = self.written.time.happened(at);
    }

    /// The time of day of something that happens now; see [`Timeline::happened`].
    pub(crate) fn happened(&mut self, at: Instant) -> i64 {
        self.written.time.happened(at)
    }

    /// The time of day of an instant of the past.
    pub(crate) fn moment(&self, at: Instant) -> i64 {
        self.written.time.at(at)
    }

    /// The present by the clock on the wall, UTC nanoseconds, as of the last entry.
    pub(crate) fn now_ns(&self) -> i64 {
        self.written.time.latest()
    }

    /// The MVPN is listened to from now on.
    pub(crate) fn watch(&mut self, db: &mut Database, mvpn: &Name, at: Instant) -> Result<()> {
        let since_ns = self.written.time.happened(at);
        self.watch_from(db, mvpn, since_ns).map(|_| ())
    }

    /// Nobody listens to the MVPN any longer.
    pub(crate) fn unwatch(&mut self, db: &mut Database, mvpn: &Name, at: Instant) -> Result<()> {
        let until_ns = self.written.time.happened(at);
        match self.written.watches.remove(mvpn) {
            Some(watch) => close(db, watch, until_ns),
            None => Ok(()),
        }
    }

    /// The session ends in good order.
    pub(crate) fn end(&mut self, db: &mut Database, at: Instant) -> Result<()> {
        let until_ns = self.written.time.happened(at);
        for (_, watch) in self.written.watches.drain() {
            close(db, watch, until_ns)?;
        }
        rows::end(db, self.session.into(), until_ns)
    }

    /// A record has come, has become another, or has gone.
    pub(crate) fn change(&mut self, db: &mut Database, change: &Change) -> Result<()> {
        let Some(key) = change
            .after
            .as_ref()
            .or(change.before.as_ref())
            .map(|r| r.key)
        else {
            return Ok(());
        };
        let at_ns = self.written.time.happened(change.at);
        let watch = self.watch_from(db, &change.mvpn, at_ns)?;
        let number = self.number(db, &change.mvpn, &key)?;
        self.to_the_past(db, number, at_ns, change)?;
        match &change.after {
            Some(record) => self.put(db, number, watch, at_ns, record),
            None => db.tell("DELETE FROM mvpn_now WHERE key = ?1", &values![number]),
        }
    }

    /// Records were repeated, and nothing else.
    pub(crate) fn refreshes(&mut self, db: &mut Database, refreshes: &Refreshes) -> Result<()> {
        let _ = self.written.time.happened(refreshes.at_ns);
        for refresh in &refreshes.counts {
            self.refresh(db, &refreshes.mvpn, refresh)?;
        }
        Ok(())
    }

    /// Writes down up to when the watches are known to have listened, if that is news.
    pub(crate) fn write_seen(&mut self, db: &mut Database) -> Result<()> {
        let seen_ns = self.written.time.latest();
        if self.written.watches.is_empty() || seen_ns == self.written.seen_ns {
            return Ok(());
        }
        self.written.seen_ns = seen_ns;
        db.tell(
            "UPDATE watch SET seen_ns = ?2 WHERE session = ?1 AND until_ns IS NULL",
            &values![self.session, seen_ns],
        )
    }

    fn watch_from(&mut self, db: &mut Database, mvpn: &Name, since_ns: i64) -> Result<i64> {
        if let Some(watch) = self.written.watches.get(mvpn) {
            return Ok(*watch);
        }
        let watch = self.written.next_watch;
        self.written.next_watch += 1;
        db.tell(
            "INSERT INTO watch (watch, session, mvpn, since_ns, seen_ns) VALUES (?1, ?2, ?3, ?4, ?4)",
            &values![watch, self.session, mvpn.as_str(), since_ns],
        )?;
        self.written.watches.insert(mvpn.clone(), watch);
        Ok(watch)
    }

    /// The key's number; a key that is new gets one.
    fn number(&mut self, db: &mut Database, mvpn: &Name, key: &Key) -> Result<i64> {
        let wanted = (mvpn.clone(), *key);
        if let Some(number) = self.keys.get(&wanted) {
            return Ok(*number);
        }
        let all_remembered = match self.loaded.get(mvpn) {
            Some(all) => *all,
            None => self.load_keys(db, mvpn)?,
        };
        let mut columns = vec![Value::from(mvpn.as_str())];
        columns.extend(columns::of_key(key));
        let known = match (self.keys.get(&wanted), all_remembered) {
            (Some(number), _) => Some(*number),
            (None, true) => None,
            (None, false) => db.first(
                "SELECT key FROM mvpn_key WHERE mvpn = ?1 AND kind = ?2 AND pe = ?3 AND route = ?4
                    AND source = ?5 AND group_address = ?6 AND rp = ?7 AND prefix = ?8",
                &columns,
                |row| row.int(0),
            )?,
        };
        let number = match known {
            Some(number) => number,
            None => self.new_key(db, columns)?,
        };
        self.keys.insert(wanted, number);
        Ok(number)
    }

    fn new_key(&mut self, db: &mut Database, mut columns: Vec<Value>) -> Result<i64> {
        let number = self.written.next_key;
        self.written.next_key += 1;
        columns.push(number.into());
        db.tell(
            "INSERT INTO mvpn_key (mvpn, kind, pe, route, source, group_address, rp, prefix, key)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            &columns,
        )?;
        Ok(number)
    }

    /// Remembers an MVPN's keys, the youngest if there are too many; says whether these are all. To ask for each by
    /// itself would make the first minutes with a server long.
    fn load_keys(&mut self, db: &mut Database, mvpn: &Name) -> Result<bool> {
        let mut count = 0;
        let keys = &mut self.keys;
        db.each(
            "SELECT key, kind, pe, route, source, group_address, rp, prefix FROM mvpn_key
              WHERE mvpn = ?1 ORDER BY key DESC LIMIT ?2",
            &values![mvpn.as_str(), KEYS_LOADED_MAX],
            &mut |row| {
                count += 1;
                keys.insert((mvpn.clone(), columns::key(row)?), row.int(0)?);
                Ok(())
            },
        )?;
        let all = count < KEYS_LOADED_MAX;
        self.loaded.insert(mvpn.clone(), all);
        Ok(all)
    }

    fn to_the_past(&self, db: &mut Database, key: i64, at_ns: i64, change: &Change) -> Result<()> {
        let before = change.before.as_ref();
        // Repeated at the very end, at most: the clock may have been set since.
        let refreshed = before.map(|record| self.written.time.at(record.refreshed).min(at_ns));
        db.tell(
            to_the_past!("key = ?5"),
            &values![
                at_ns,
                refreshed.unwrap_or(0),
                before.map_or(0, |record| record.refreshes),
                change.cause.as_str(),
                key
            ],
        )
    }

    fn put(
        &self,
        db: &mut Database,
        key: i64,
        watch: i64,
        at_ns: i64,
        record: &Record,
    ) -> Result<()> {
        let refreshed_ns = self.written.time.at(record.refreshed).max(at_ns);
        let expires_ns = record.expires.map(|at| self.written.time.at(at));
        let mut row = values![
            key,
            watch,
            at_ns,
            refreshed_ns,
            record.refreshes,
            expires_ns
        ]
        .to_vec();
        row.extend(columns::of_state(&record.state)?);
        db.tell(
            "INSERT INTO mvpn_now (key, watch, since_ns, refreshed_ns, refreshes, expires_ns, upstream, data_mdt, rest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (key) DO UPDATE SET watch = excluded.watch, since_ns = excluded.since_ns,
               refreshed_ns = excluded.refreshed_ns, refreshes = excluded.refreshes, expires_ns = excluded.expires_ns,
               upstream = excluded.upstream, data_mdt = excluded.data_mdt, rest = excluded.rest",
            &row,
        )
    }

    fn refresh(&mut self, db: &mut Database, mvpn: &Name, refresh: &Refresh) -> Result<()> {
        let key = self.number(db, mvpn, &refresh.key)?;
        let time = &self.written.time;
        db.tell(
            "UPDATE mvpn_now SET refreshed_ns = ?2, refreshes = ?3, expires_ns = ?4 WHERE key = ?1",
            &values![
                key,
                time.at(refresh.refreshed),
                refresh.refreshes,
                refresh.expires.map(|at| time.at(at))
            ],
        )
    }
}

/// Ends a watch: nobody knows what became of its states.
fn close(db: &mut Database, watch: i64, until_ns: i64) -> Result<()> {
    db.tell(
        to_the_past!("watch = ?5"),
        &values![until_ns, 0_i64, 0_i64, Cause::Unwatched.as_str(), watch],
    )?;
    db.tell("DELETE FROM mvpn_now WHERE watch = ?1", &values![watch])?;
    db.tell(
        "UPDATE watch SET until_ns = ?2, seen_ns = ?2 WHERE watch = ?1",
        &values![watch, until_ns],
    )
}

/// Ends what sessions that were killed have left, when they were last known to listen.
fn close_left_over(db: &mut Database) -> Result<()> {
    let left = db.rows(
        "SELECT watch, seen_ns FROM watch WHERE until_ns IS NULL",
        &[],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    for (watch, seen_ns) in left {
        close(db, watch, seen_ns)?;
    }
    Ok(())
}
