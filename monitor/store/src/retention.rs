//! What is kept, and for how long.
//!
//! The writer's thread deletes what is too old in small steps between its batches, so that results never wait long.
//! SQLite gives freed pages back to the file system as it goes (in files that this version made; older ones use freed
//! pages again); in PostgreSQL that is autovacuum's work.

use vmscope_core::time::{NS_PER_S, Span};

use crate::database::{Database, Result, Value, dialect, values};

/// Steps between two batches, at most.
pub(crate) const STEPS_PER_BATCH: usize = 4;
/// Rows that one step deletes, at most: some ten milliseconds.
const ROWS_PER_STEP: u32 = 2_000;
/// From the end of one round to the next.
const ROUND_NS: i64 = 3_600 * NS_PER_S as i64;
/// Nothing younger is deleted, however full the database is.
const YOUNGEST_NS: u64 = 3_600 * NS_PER_S;
const DAY: Span = Span::from_s(24 * 3_600);

/// How long what is kept; absent means for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Past states of MVPNs, alarms and expectations, from their end on.
    pub history: Option<Span>,
    /// The log of single probes, from their sending on.
    pub probes: Option<Span>,
    /// Interval results and one-way losses, from the interval's end on.
    pub intervals: Option<Span>,
    /// Bytes that the database may hold. Beyond, all three become shorter by a quarter at a time (of 400 days where
    /// they are for ever), though never shorter than an hour, until it fits. SQLite only.
    pub bytes: Option<u64>,
}

impl Retention {
    /// Everything, for ever.
    pub const FOR_EVER: Retention = Retention {
        history: None,
        probes: None,
        intervals: None,
        bytes: None,
    };
}

/// 400 days of history and interval results, 30 days of probes, any size.
impl Default for Retention {
    fn default() -> Self {
        Retention {
            history: Some(DAY.times(400)),
            probes: Some(DAY.times(30)),
            intervals: Some(DAY.times(400)),
            bytes: None,
        }
    }
}

/// Deletes what is too old, a step at a time.
pub(crate) struct Janitor {
    retention: Retention,
    /// The next round begins at this moment, UTC.
    due_ns: i64,
    chore: Option<Chore>,
    /// How often the times to keep were shortened in this round, for want of room.
    shortened: u32,
}

/// What a round is made of, in this order. Each remembers how far it has come.
#[derive(Debug, Clone, Copy)]
enum Chore {
    /// Of the watch with this number or the next.
    History(i64),
    /// Keys after this number.
    Keys(i64),
    /// Of the session, task, sender and receiver with these numbers or the next.
    Probes([i64; 4]),
    /// Of the session and task with these numbers or the next.
    Intervals([i64; 2]),
    /// One-way losses of the session with this number or the next: kept as long as interval results.
    Oneway(i64),
    /// Alarms, and what goes with them.
    Alarms,
}

impl Janitor {
    pub(crate) fn new(retention: Retention) -> Janitor {
        Janitor {
            retention,
            due_ns: i64::MIN,
            chore: None,
            shortened: 0,
        }
    }

    /// Whether there is anything to do.
    pub(crate) fn is_due(&self, now_ns: i64) -> bool {
        self.retention != Retention::FOR_EVER && (self.chore.is_some() || now_ns >= self.due_ns)
    }

    /// Does one step, within a transaction of its caller; if that fails, what it left is met in the next round. Says
    /// whether keys of MVPNs have gone, whose numbers may be remembered elsewhere.
    pub(crate) fn step(&mut self, db: &mut Database, now_ns: i64) -> Result<bool> {
        let chore = self.chore.unwrap_or(Chore::History(i64::MIN));
        let mut keys_gone = false;
        let next = match chore {
            Chore::History(watch) => self.history(db, now_ns, watch)?,
            Chore::Keys(after) => {
                let (next, gone) = keys(db, after)?;
                keys_gone = gone > 0;
                next
            }
            Chore::Probes(from) => self.probes(db, now_ns, from)?,
            Chore::Intervals(from) => self.intervals(db, now_ns, from)?,
            Chore::Oneway(session) => self.oneway(db, now_ns, session)?,
            Chore::Alarms => self.alarms(db, now_ns)?,
        };
        db.give_back()?;
        self.chore = match next {
            Some(chore) => Some(chore),
            None => self.next_round(db, now_ns)?,
        };
        Ok(keys_gone)
    }

    /// After a round: another at once if there is no room, else one later.
    fn next_round(&mut self, db: &mut Database, now_ns: i64) -> Result<Option<Chore>> {
        let can_shrink = matches!(db, Database::Sqlite(_));
        let too_large = match self.retention.bytes {
            Some(bytes) if can_shrink => db.bytes_used()? > bytes,
            Some(_) | None => false,
        };
        if too_large && self.longest() > YOUNGEST_NS {
            self.shortened += 1;
            return Ok(Some(Chore::History(i64::MIN)));
        }
        self.shortened = 0;
        self.due_ns = now_ns.saturating_add(ROUND_NS);
        Ok(None)
    }

    fn longest(&self) -> u64 {
        let kept = [
            self.retention.history,
            self.retention.probes,
            self.retention.intervals,
        ];
        // What is kept for ever counts as longest.
        kept.into_iter()
            .map(|age| self.age(age).unwrap_or(u64::MAX))
            .max()
            .unwrap_or(0)
    }

    /// How long something is kept in this round, nanoseconds.
    fn age(&self, kept: Option<Span>) -> Option<u64> {
        let kept = match (kept, self.shortened) {
            (None, 0) => return None,
            (None, _) => DAY.times(400),
            (Some(kept), _) => kept,
        };
        let shorter = (0..self.shortened).fold(kept.as_ns(), |ns, _| ns / 4 * 3);
        Some(match self.shortened {
            0 => shorter,
            _ => shorter.max(YOUNGEST_NS.min(kept.as_ns())),
        })
    }

    fn cutoff(&self, now_ns: i64, kept: Option<Span>) -> Option<i64> {
        let age = i64::try_from(self.age(kept)?).unwrap_or(i64::MAX);
        Some(now_ns.saturating_sub(age))
    }

    fn history(&self, db: &mut Database, now_ns: i64, watch: i64) -> Result<Option<Chore>> {
        let Some(cutoff) = self.cutoff(now_ns, self.retention.history) else {
            return Ok(Some(Chore::Probes([i64::MIN; 4])));
        };
        let found = db.first(
            "SELECT watch, until_ns FROM watch WHERE watch >= ?1 AND since_ns < ?2 ORDER BY watch LIMIT 1",
            &values![watch, cutoff],
            |row| Ok((row.int(0)?, row.maybe_int(1)?)),
        )?;
        let Some((watch, until_ns)) = found else {
            return Ok(Some(Chore::Keys(i64::MIN)));
        };
        let gone = db.run(oldest_history(db), &values![watch, cutoff, ROWS_PER_STEP])?;
        if gone == u64::from(ROWS_PER_STEP) {
            return Ok(Some(Chore::History(watch)));
        }
        // What is forgotten is not known any more, which is something else than that nothing was there.
        match until_ns {
            Some(until_ns) if until_ns <= cutoff => {
                db.run("DELETE FROM watch WHERE watch = ?1", &values![watch])?
            }
            Some(_) | None => db.run(
                "UPDATE watch SET since_ns = ?2 WHERE watch = ?1",
                &values![watch, cutoff],
            )?,
        };
        Ok(Some(Chore::History(watch.saturating_add(1))))
    }

    fn probes(&self, db: &mut Database, now_ns: i64, from: [i64; 4]) -> Result<Option<Chore>> {
        let Some(cutoff) = self.cutoff(now_ns, self.retention.probes) else {
            return Ok(Some(Chore::Intervals([i64::MIN; 2])));
        };
        let found = db.first(
            "SELECT session, task, sender, receiver FROM probe_log
              WHERE (session, task, sender, receiver) >= (?1, ?2, ?3, ?4)
              ORDER BY session, task, sender, receiver LIMIT 1",
            &from.map(Value::from),
            |row| Ok([row.int(0)?, row.int(1)?, row.int(2)?, row.int(3)?]),
        )?;
        let Some(pair) = found else {
            return Ok(Some(Chore::Intervals([i64::MIN; 2])));
        };
        let [session, task, sender, receiver] = pair;
        let cutoff = monotonic(db, session, cutoff)?;
        // Later probes have higher numbers.
        let gone = db.run(
            "DELETE FROM probe_log WHERE session = ?1 AND task = ?2 AND sender = ?3 AND receiver = ?4 AND sent_ns < ?5
                AND seq < coalesce((SELECT p.seq FROM probe_log p
                     WHERE p.session = ?1 AND p.task = ?2 AND p.sender = ?3 AND p.receiver = ?4
                     ORDER BY p.seq LIMIT 1 OFFSET ?6), 9223372036854775807)",
            &values![session, task, sender, receiver, cutoff, ROWS_PER_STEP],
        )?;
        Ok(Some(Chore::Probes(match gone {
            0 => [session, task, sender, receiver.saturating_add(1)],
            _ => pair,
        })))
    }

    fn intervals(&self, db: &mut Database, now_ns: i64, from: [i64; 2]) -> Result<Option<Chore>> {
        let Some(cutoff) = self.cutoff(now_ns, self.retention.intervals) else {
            return Ok(Some(Chore::Oneway(i64::MIN)));
        };
        let found = db.first(
            "SELECT session, task FROM interval_result WHERE (session, task) >= (?1, ?2)
              ORDER BY session, task LIMIT 1",
            &from.map(Value::from),
            |row| Ok([row.int(0)?, row.int(1)?]),
        )?;
        let Some([session, task]) = found else {
            return Ok(Some(Chore::Oneway(i64::MIN)));
        };
        let cutoff = monotonic(db, session, cutoff)?;
        let gone = db.run(
            "DELETE FROM interval_result WHERE session = ?1 AND task = ?2 AND end_ns < ?3
                AND row < coalesce((SELECT i.row FROM interval_result i WHERE i.session = ?1 AND i.task = ?2
                     ORDER BY i.row LIMIT 1 OFFSET ?4), 9223372036854775807)",
            &values![session, task, cutoff, ROWS_PER_STEP],
        )?;
        Ok(Some(Chore::Intervals(match gone {
            0 => [session, task.saturating_add(1)],
            _ => [session, task],
        })))
    }

    fn oneway(&self, db: &mut Database, now_ns: i64, from: i64) -> Result<Option<Chore>> {
        let Some(cutoff) = self.cutoff(now_ns, self.retention.intervals) else {
            return Ok(Some(Chore::Alarms));
        };
        let found = db.first(
            "SELECT session FROM oneway_result WHERE session >= ?1 ORDER BY session LIMIT 1",
            &values![from],
            |row| row.int(0),
        )?;
        let Some(session) = found else {
            return Ok(Some(Chore::Alarms));
        };
        let cutoff = monotonic(db, session, cutoff)?;
        let gone = db.run(
            "DELETE FROM oneway_result WHERE session = ?1 AND at_ns < ?2
                AND at_ns < coalesce((SELECT o.at_ns FROM oneway_result o WHERE o.session = ?1
                     ORDER BY o.at_ns LIMIT 1 OFFSET ?3), 9223372036854775807)",
            &values![session, cutoff, ROWS_PER_STEP],
        )?;
        Ok(Some(Chore::Oneway(match gone {
            0 => session.saturating_add(1),
            _ => session,
        })))
    }

    fn alarms(&self, db: &mut Database, now_ns: i64) -> Result<Option<Chore>> {
        let Some(cutoff) = self.cutoff(now_ns, self.retention.history) else {
            return Ok(None);
        };
        let gone = db.run(
            "DELETE FROM alarm WHERE (session, id) IN
               (SELECT session, id FROM alarm WHERE cleared_ns < ?1 ORDER BY cleared_ns LIMIT ?2)",
            &values![cutoff, ROWS_PER_STEP],
        )?;
        if gone == u64::from(ROWS_PER_STEP) {
            return Ok(Some(Chore::Alarms));
        }
        // Of these there are few.
        db.run("DELETE FROM alarm_storm WHERE at_ns < ?1", &values![cutoff])?;
        db.run(
            "DELETE FROM expectation WHERE until_ns < ?1",
            &values![cutoff],
        )?;
        Ok(None)
    }
}

fn oldest_history(db: &Database) -> &'static str {
    match db {
        Database::Sqlite(_) => dialect::SQLITE_OLDEST_HISTORY,
        Database::Postgres(_) => dialect::POSTGRES_OLDEST_HISTORY,
    }
}

/// Forgets keys that have and had no state.
fn keys(db: &mut Database, after: i64) -> Result<(Option<Chore>, u64)> {
    let last = db.first(
        "SELECT max(key) FROM (SELECT key FROM mvpn_key WHERE key > ?1 ORDER BY key LIMIT ?2) k",
        &values![after, ROWS_PER_STEP],
        |row| row.maybe_int(0),
    )?;
    let Some(last) = last.flatten() else {
        return Ok((Some(Chore::Probes([i64::MIN; 4])), 0));
    };
    let gone = db.run(
        "DELETE FROM mvpn_key WHERE key > ?1 AND key <= ?2
            AND NOT EXISTS (SELECT 1 FROM mvpn_now n WHERE n.key = mvpn_key.key)
            AND NOT EXISTS (SELECT 1 FROM mvpn_past p WHERE p.key = mvpn_key.key)",
        &values![after, last],
    )?;
    Ok((Some(Chore::Keys(last)), gone))
}

/// A moment by the monotonic clock of a session.
fn monotonic(db: &mut Database, session: i64, utc_ns: i64) -> Result<i64> {
    let offset = db.first(
        "SELECT realtime_minus_monotonic_ns FROM clock_anchor WHERE session = ?1 AND reason = 'start'",
        &values![session],
        |row| row.int(0),
    )?;
    // A session without an anchor is none of ours: nothing of it is too old.
    Ok(offset.map_or(i64::MIN, |offset| utc_ns.saturating_sub(offset)))
}
