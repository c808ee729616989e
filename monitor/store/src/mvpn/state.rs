//! The state of an MVPN at a moment, and what two moments differ in.

use std::collections::BTreeMap;

use serde::Serialize;
use vmscope_core::view::record::Key;

use super::columns::{HELD, held};
use super::question::{Filter, Held, Kind, Listening, Slice, Utc, Watched};
use crate::database::{Database, Result, Row, Value, values};
use crate::error::StoreError;
use crate::reader::Reader;

/// Where a part of a state ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct StateCursor(i64);

/// The state of an MVPN at a moment, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct States {
    /// Whether anybody listened.
    pub listening: Listening,
    /// What held.
    pub states: Vec<Held>,
    /// Where to go on; absent if this was all.
    pub next: Option<StateCursor>,
}

/// A key whose state is not the same at two moments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What held at the first moment.
    pub before: Option<Held>,
    /// What held at the second.
    pub after: Option<Held>,
}

/// What the states at two moments differ in, by key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// Whether anybody listened at the first moment.
    pub before: Listening,
    /// Whether anybody listened at the second.
    pub after: Listening,
    /// Nothing unless somebody listened at both.
    pub differences: Vec<Difference>,
}

impl Reader {
    /// What held in an MVPN at a moment ([`Utc::NOW`]: what holds), in an order that stays.
    pub fn mvpn_state(
        &self,
        mvpn: &str,
        at: Utc,
        filter: &Filter,
        slice: Slice<StateCursor>,
    ) -> std::result::Result<States, StoreError> {
        let mut states = Vec::new();
        let listening = self.each_state(mvpn, at, filter, slice, &mut |key, held| {
            states.push((key, held));
        })?;
        let all = (states.len() as u64) < u64::from(slice.limit);
        states.sort_by_key(|(key, _)| *key);
        Ok(States {
            listening,
            next: states
                .last()
                .filter(|_| !all)
                .map(|(key, _)| StateCursor(*key)),
            states: states.into_iter().map(|(_, held)| held).collect(),
        })
    }

    /// Hands all that held in an MVPN at a moment to `each`, without keeping it, in any order.
    pub fn each_mvpn_state(
        &self,
        mvpn: &str,
        at: Utc,
        filter: &Filter,
        mut each: impl FnMut(Held),
    ) -> std::result::Result<Listening, StoreError> {
        self.each_state(mvpn, at, filter, Slice::ALL, &mut |_, held| each(held))
    }

    /// What the states of an MVPN at two moments differ in.
    pub fn mvpn_diff(
        &self,
        mvpn: &str,
        from: Utc,
        to: Utc,
        filter: &Filter,
    ) -> std::result::Result<Differences, StoreError> {
        let (before, after) = (self.listening(mvpn, from)?, self.listening(mvpn, to)?);
        let mut differences = Vec::new();
        if let (Listening::Yes(old), Listening::Yes(new)) = (before, after) {
            let same = old.watch == new.watch;
            // What held at both moments without a change is no difference, and most of the answer: it stays there.
            let gone = same.then_some((" AND h.until_ns <= ", to));
            let come = same.then_some((" AND h.since_ns > ", from));
            let mut found: BTreeMap<Key, Difference> = BTreeMap::new();
            self.cover(
                mvpn,
                &old,
                from,
                filter,
                gone,
                Slice::ALL,
                &mut |_, held| {
                    let key = held.key;
                    entry(&mut found, key).before = Some(held);
                },
            )?;
            self.cover(mvpn, &new, to, filter, come, Slice::ALL, &mut |_, held| {
                let key = held.key;
                entry(&mut found, key).after = Some(held);
            })?;
            differences = found.into_values().filter(Difference::is_one).collect();
        }
        Ok(Differences {
            before,
            after,
            differences,
        })
    }

    /// Whether anybody listened to an MVPN at a moment.
    pub fn listening(&self, mvpn: &str, at: Utc) -> std::result::Result<Listening, StoreError> {
        let listening = |db: &mut Database| -> Result<Listening> {
            // Where the clock was set back between two sessions, the later one is right.
            let found = db.first(
                "SELECT watch, session, since_ns, until_ns, seen_ns FROM watch
                  WHERE mvpn = ?1 AND since_ns <= ?2 AND (until_ns IS NULL OR until_ns > ?2)
                  ORDER BY watch DESC LIMIT 1",
                &values![mvpn, at.as_ns()],
                watched,
            )?;
            if let Some(watched) = found {
                return Ok(Listening::Yes(watched));
            }
            let mut moment = |sql: &str| -> Result<Option<Utc>> {
                let found = db.first(sql, &values![mvpn, at.as_ns()], |row| row.maybe_int(0))?;
                Ok(found.flatten().map(Utc::from_ns))
            };
            Ok(Listening::No {
                last: moment("SELECT max(until_ns) FROM watch WHERE mvpn = ?1 AND until_ns <= ?2")?,
                next: moment("SELECT min(since_ns) FROM watch WHERE mvpn = ?1 AND since_ns > ?2")?,
            })
        };
        self.read("when anybody listened", listening)
    }

    fn each_state(
        &self,
        mvpn: &str,
        at: Utc,
        filter: &Filter,
        slice: Slice<StateCursor>,
        each: &mut dyn FnMut(i64, Held),
    ) -> std::result::Result<Listening, StoreError> {
        let listening = self.listening(mvpn, at)?;
        if let Listening::Yes(watched) = &listening {
            self.cover(mvpn, watched, at, filter, None, slice, each)?;
        }
        Ok(listening)
    }

    /// All that held at a moment of a watch, and fulfils one condition more: in any order, or the first keys of a slice.
    #[allow(clippy::too_many_arguments)]
    fn cover(
        &self,
        mvpn: &str,
        watched: &Watched,
        at: Utc,
        filter: &Filter,
        condition: Option<(&str, Utc)>,
        slice: Slice<StateCursor>,
        each: &mut dyn FnMut(i64, Held),
    ) -> std::result::Result<(), StoreError> {
        let mut query = Query::new(values![
            watched.watch,
            at.as_ns(),
            slice.after.map_or(i64::MIN, |c| c.0),
            slice.limit
        ]);
        let of_key = query.key_conditions(mvpn, filter);
        let of_held = query.held_conditions(filter, condition);
        let mut sql = match is_narrow(filter) {
            true => by_key(&of_key, &of_held),
            false => by_time(&of_key, &of_held),
        };
        // To sort all takes a database as long as to find it.
        sql += match slice.limit {
            u32::MAX => " LIMIT ?4",
            _ => " ORDER BY 1 LIMIT ?4",
        };
        self.read("the state of an MVPN", |db| {
            db.each(&sql, &query.values, &mut |row| {
                let (key, held) = held(row)?;
                each(key, held);
                Ok(())
            })
        })
    }
}

fn entry(found: &mut BTreeMap<Key, Difference>, key: Key) -> &mut Difference {
    found.entry(key).or_insert(Difference {
        before: None,
        after: None,
    })
}

impl Difference {
    /// What it is about.
    pub fn key(&self) -> Option<Key> {
        self.before
            .as_ref()
            .or(self.after.as_ref())
            .map(|held| held.key)
    }

    /// A state that went and came back is the same.
    fn is_one(&self) -> bool {
        self.before.as_ref().map(|held| &held.state) != self.after.as_ref().map(|held| &held.state)
    }
}

pub(super) fn watched(row: &Row) -> Result<Watched> {
    Ok(Watched {
        watch: row.count(0)?,
        session: row.number(1)?,
        since: Utc::from_ns(row.int(2)?),
        until: row.maybe_int(3)?.map(Utc::from_ns),
        seen: Utc::from_ns(row.int(4)?),
    })
}

/// Whether few enough keys pass that each one's history is looked up by itself. Joins and mappings of a whole MVPN do not.
pub(super) fn is_narrow(filter: &Filter) -> bool {
    let few_of_its_kind = match filter.kind {
        Some(Kind::Neighbor | Kind::Assert | Kind::Rp | Kind::Forwarder) => true,
        Some(Kind::Join | Kind::Mapping) | None => false,
    };
    few_of_its_kind || filter.pe.is_some() || filter.group.is_some() || filter.source.is_some()
}

/// The values of a statement, and conditions that need more of them.
pub(super) struct Query {
    pub(super) values: Vec<Value>,
}

impl Query {
    pub(super) fn new(values: impl Into<Vec<Value>>) -> Query {
        Query {
            values: values.into(),
        }
    }

    fn place(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    /// On the key `k`.
    pub(super) fn key_conditions(&mut self, mvpn: &str, filter: &Filter) -> String {
        let wanted = [
            ("kind", filter.kind.map(|kind| kind.as_str().to_owned())),
            ("pe", filter.pe.map(|a| a.to_string())),
            ("group_address", filter.group.map(|a| a.to_string())),
            ("source", filter.source.map(|a| a.to_string())),
        ];
        let mut sql = format!("k.mvpn = {}", self.place(mvpn));
        for (column, value) in wanted {
            if let Some(value) = value {
                sql += &format!(" AND k.{column} = {}", self.place(value));
            }
        }
        sql
    }

    /// On what was held, `h`.
    pub(super) fn held_conditions(&mut self, filter: &Filter, more: Option<(&str, Utc)>) -> String {
        let mut sql = String::new();
        if let Some(upstream) = filter.upstream {
            sql += &format!(" AND h.upstream = {}", self.place(upstream.to_string()));
        }
        if let Some((condition, moment)) = more {
            sql += &format!("{condition}{}", self.place(moment.as_ns()));
        }
        sql
    }
}

/// What holds, as rows of what was held.
const NOW_AS_PAST: &str = "SELECT n.key, n.watch, n.since_ns, CAST(NULL AS BIGINT) AS until_ns, n.refreshed_ns, n.refreshes,
    CAST(NULL AS TEXT) AS cause, n.upstream, n.data_mdt, n.rest FROM mvpn_now n";

// A plus before a column keeps SQLite, which knows nothing of how many rows there are, from its index.

/// Looks among all states that can still have held at `?2`, span by span.
fn by_time(of_key: &str, of_held: &str) -> String {
    format!(
        "SELECT {HELD} FROM (
           SELECT p.key, p.watch, p.since_ns, p.until_ns, p.refreshed_ns, p.refreshes, p.cause, p.upstream, p.data_mdt, p.rest
             FROM mvpn_span s CROSS JOIN mvpn_past p
            WHERE p.watch = ?1 AND p.span = s.span AND p.since_ns > ?2 - s.longest_ns AND p.since_ns <= ?2 AND +p.until_ns > ?2
           UNION ALL {NOW_AS_PAST} WHERE n.watch = ?1 AND n.since_ns <= ?2
         ) h CROSS JOIN mvpn_key k
         WHERE k.key = h.key AND h.key > ?3 AND {of_key}{of_held}"
    )
}

/// Looks up each key that passes.
fn by_key(of_key: &str, of_held: &str) -> String {
    format!(
        "SELECT {HELD} FROM mvpn_key k CROSS JOIN mvpn_past h
          WHERE {of_key} AND h.key = k.key AND h.since_ns <= ?2 AND +h.watch = ?1 AND +h.until_ns > ?2 AND k.key > ?3{of_held}
         UNION ALL
         SELECT {HELD} FROM mvpn_key k CROSS JOIN ({NOW_AS_PAST}) h
          WHERE {of_key} AND h.key = k.key AND h.since_ns <= ?2 AND +h.watch = ?1 AND k.key > ?3{of_held}"
    )
}
