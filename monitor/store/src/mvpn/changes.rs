//! What changed in an MVPN in a stretch of time.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use vmscope_core::view::record::{Cause, Key};

use super::columns::{HELD, held};
use super::question::{Filter, Held, Slice, Utc, Watched};
use super::state::{Query, is_narrow, watched};
use crate::database::{Value, values};
use crate::error::StoreError;
use crate::reader::Reader;

/// Where a part of the changes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeCursor {
    watch: u64,
    at_ns: i64,
    key: i64,
}

/// A state has come, has become another, or has gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastChange {
    /// When.
    #[serde(rename = "at_ns")]
    pub at: Utc,
    /// What held until then. Absent if it came.
    pub before: Option<Held>,
    /// What held from then on. Absent if it went.
    pub after: Option<Held>,
    /// What led to it.
    pub cause: Cause,
}

/// Changes in the order in which they happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// When somebody listened, of the time that was asked for. What changed in between is not known; that a watch
    /// begins or ends is not a change.
    pub watches: Vec<Watched>,
    /// The changes, or a part of them.
    pub changes: Vec<PastChange>,
    /// Where to go on; absent if this was all.
    pub next: Option<ChangeCursor>,
}

impl Reader {
    /// What changed in an MVPN in a stretch of time, its end not included.
    ///
    /// When a watch begins, all that is there appears as it is heard for the first time.
    pub fn mvpn_changes(
        &self,
        mvpn: &str,
        window: Range<Utc>,
        filter: &Filter,
        slice: Slice<ChangeCursor>,
    ) -> std::result::Result<Changes, StoreError> {
        let watches = self.mvpn_watches(mvpn, window.clone())?;
        let mut changes = Vec::new();
        let mut next = None;
        let first = slice.after.map_or(0, |cursor| cursor.watch);
        for watch in watches.iter().filter(|watch| watch.watch >= first) {
            let room = (slice.limit as usize).saturating_sub(changes.len());
            if room == 0 {
                break;
            }
            let after = slice.after.filter(|cursor| cursor.watch == watch.watch);
            for (at_ns, key, change) in
                self.changes_of(mvpn, watch, &window, filter, after, room)?
            {
                next = Some(ChangeCursor {
                    watch: watch.watch,
                    at_ns,
                    key,
                });
                changes.push(change);
            }
        }
        if changes.len() < slice.limit as usize {
            next = None;
        }
        Ok(Changes {
            watches,
            changes,
            next,
        })
    }

    /// When somebody listened to an MVPN, of a stretch of time.
    pub fn mvpn_watches(
        &self,
        mvpn: &str,
        window: Range<Utc>,
    ) -> std::result::Result<Vec<Watched>, StoreError> {
        self.read("when anybody listened", |db| {
            db.rows(
                "SELECT watch, session, since_ns, until_ns, seen_ns FROM watch
                  WHERE mvpn = ?1 AND since_ns < ?3 AND (until_ns IS NULL OR until_ns > ?2) ORDER BY watch",
                &values![mvpn, window.start.as_ns(), window.end.as_ns()],
                watched,
            )
        })
    }

    fn changes_of(
        &self,
        mvpn: &str,
        watch: &Watched,
        window: &Range<Utc>,
        filter: &Filter,
        after: Option<ChangeCursor>,
        limit: usize,
    ) -> std::result::Result<Vec<(i64, i64, PastChange)>, StoreError> {
        let from = after.map_or(window.start.as_ns(), |cursor| {
            cursor.at_ns.max(window.start.as_ns())
        });
        let mut merged = Merged::default();
        for half in [Half::Ends, Half::BeginsPast, Half::BeginsNow] {
            let mut query = Query::new(values![
                watch.watch,
                from,
                window.end.as_ns(),
                after.map_or(i64::MIN, |cursor| cursor.at_ns),
                after.map_or(i64::MIN, |cursor| cursor.key),
                Value::Int(i64::try_from(limit).unwrap_or(i64::MAX)),
            ]);
            let of_key = query.key_conditions(mvpn, filter);
            let of_held = query.held_conditions(filter, None);
            let sql = half.sql(is_narrow(filter), &of_key, &of_held);
            let found = self.read("the changes of an MVPN", |db| {
                db.rows(&sql, &query.values, held)
            })?;
            merged.add(half, found, limit);
        }
        Ok(merged.into_changes(limit))
    }
}

/// A change is the end of one state, the beginning of another, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Ends,
    BeginsPast,
    BeginsNow,
}

impl Half {
    /// Answers in the order of moments and keys, from the cursor on.
    fn sql(self, narrow: bool, of_key: &str, of_held: &str) -> String {
        let (moment, table, more) = match self {
            Half::Ends => ("until_ns", "mvpn_past", "AND h.cause <> 'unwatched'"),
            Half::BeginsPast => ("since_ns", "mvpn_past", ""),
            Half::BeginsNow => ("since_ns", "mvpn_now", ""),
        };
        let columns = match self {
            Half::Ends | Half::BeginsPast => HELD.to_owned(),
            Half::BeginsNow => HELD
                .replace("h.until_ns", "CAST(NULL AS BIGINT)")
                .replace("h.cause", "CAST(NULL AS TEXT)"),
        };
        // A plus before a column keeps SQLite from its index: of few keys, each is looked up by itself.
        let (tables, plus) = match narrow {
            true => (format!("mvpn_key k CROSS JOIN {table} h"), "+"),
            false => (format!("{table} h CROSS JOIN mvpn_key k"), ""),
        };
        format!(
            "SELECT {columns} FROM {tables}
              WHERE {plus}h.watch = ?1 AND k.key = h.key AND {plus}h.{moment} >= ?2 AND {plus}h.{moment} < ?3
                AND (h.{moment} > ?4 OR h.key > ?5) AND {of_key}{of_held} {more}
              ORDER BY h.{moment}, h.key LIMIT ?6"
        )
    }
}

#[derive(Default)]
struct Merged {
    changes: BTreeMap<(i64, i64), (Option<Held>, Option<Held>)>,
    /// Beyond this, one half may be missing.
    complete_to: Option<(i64, i64)>,
}

impl Merged {
    fn add(&mut self, half: Half, found: Vec<(i64, Held)>, limit: usize) {
        let cut = found.len() >= limit;
        let mut last = None;
        for (key, held) in found {
            let (at, is_end) = match half {
                Half::Ends => (held.until.unwrap_or(held.since), true),
                Half::BeginsPast | Half::BeginsNow => (held.since, false),
            };
            last = Some((at.as_ns(), key));
            let change = self.changes.entry((at.as_ns(), key)).or_default();
            match is_end {
                true => change.0 = Some(held),
                false => change.1 = Some(held),
            }
        }
        if let (true, Some(last)) = (cut, last) {
            self.complete_to = Some(self.complete_to.map_or(last, |to| to.min(last)));
        }
    }

    fn into_changes(self, limit: usize) -> Vec<(i64, i64, PastChange)> {
        let complete_to = self.complete_to.unwrap_or((i64::MAX, i64::MAX));
        self.changes
            .into_iter()
            .take_while(|(place, _)| *place <= complete_to)
            .take(limit)
            .map(|((at_ns, key), (before, after))| {
                let cause = before.as_ref().and_then(|held| held.ended_by);
                let change = PastChange {
                    at: Utc::from_ns(at_ns),
                    // What has come was said.
                    cause: cause.unwrap_or(Cause::Said),
                    before,
                    after,
                };
                (at_ns, key, change)
            })
            .collect()
    }
}

impl PastChange {
    /// What it is about.
    pub fn key(&self) -> Option<Key> {
        self.before
            .as_ref()
            .or(self.after.as_ref())
            .map(|held| held.key)
    }
}
