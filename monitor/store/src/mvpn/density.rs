//! When much changed, and when the next change was: what a slider over the history is made of.

use std::ops::Range;

use serde::Serialize;

use super::question::{Utc, Watched};
use crate::database::{Database, Result, values};
use crate::error::StoreError;
use crate::reader::Reader;

/// Beginnings, and as many ends, that are counted of one bucket at most: an answer about a year takes no longer than one
/// about an hour.
pub const COUNTED_MAX: u32 = 1_000;

/// How much changed in an MVPN in each of equal parts of a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Density {
    /// When somebody listened.
    pub watches: Vec<Watched>,
    /// Where the first part begins.
    #[serde(rename = "from_ns")]
    pub from: Utc,
    /// How long each is.
    pub width_ns: i64,
    /// The parts, in their order.
    pub buckets: Vec<Bucket>,
}

/// What happened in one part. A state that became another one began once and ended once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Bucket {
    /// States that began; [`COUNTED_MAX`] a watch says: so many or more.
    pub begun: u64,
    /// States that ended; likewise.
    pub ended: u64,
}

/// The changes next to a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Steps {
    /// The last moment before at which something changed, or a watch began or ended.
    #[serde(rename = "previous_ns")]
    pub previous: Option<Utc>,
    /// The first moment after at which something did.
    #[serde(rename = "next_ns")]
    pub next: Option<Utc>,
}

impl Reader {
    /// How much changed in each of `buckets` equal parts of a stretch of time.
    pub fn mvpn_density(
        &self,
        mvpn: &str,
        window: Range<Utc>,
        buckets: u32,
    ) -> std::result::Result<Density, StoreError> {
        let (from, until) = (window.start.as_ns(), window.end.as_ns());
        let length = until.saturating_sub(from).max(1);
        // Rounded up, so that the last part reaches the end.
        let width_ns = (length - 1) / i64::from(buckets.max(1)) + 1;
        let watches = self.mvpn_watches(mvpn, window)?;
        let mut found = vec![Bucket::default(); buckets as usize];
        for watch in &watches {
            let first = part(watch.since.as_ns().max(from) - from, width_ns);
            let last = part(
                watch
                    .until
                    .map_or(until, |at| at.as_ns())
                    .min(until)
                    .saturating_sub(from),
                width_ns,
            )
            .min(i64::from(buckets) - 1);
            let counted = self.read("how much changed", |db| {
                counts(db, watch.watch, from, width_ns, first..last + 1)
            })?;
            for (place, bucket) in counted {
                if let Some(sum) = found.get_mut(place) {
                    sum.begun += bucket.begun;
                    sum.ended += bucket.ended;
                }
            }
        }
        Ok(Density {
            watches,
            from: Utc::from_ns(from),
            width_ns,
            buckets: found,
        })
    }

    /// When something changed last before a moment, and first after it.
    pub fn mvpn_steps(&self, mvpn: &str, at: Utc) -> std::result::Result<Steps, StoreError> {
        self.read("the changes next to a moment", |db| {
            Ok(Steps {
                previous: previous(db, mvpn, at.as_ns())?.map(Utc::from_ns),
                next: next(db, mvpn, at.as_ns())?.map(Utc::from_ns),
            })
        })
    }
}

fn part(after_start: i64, width_ns: i64) -> i64 {
    after_start.max(0) / width_ns
}

/// Counts the beginnings and ends of a watch's states in each of some parts.
fn counts(
    db: &mut Database,
    watch: u64,
    from: i64,
    width_ns: i64,
    parts: Range<i64>,
) -> Result<Vec<(usize, Bucket)>> {
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let begins = "b.begins_ns AND x.since_ns < b.begins_ns + ?3 LIMIT ?6) c)";
    let sql = format!(
        "WITH RECURSIVE bucket (place) AS (
           SELECT CAST(?4 AS BIGINT) UNION ALL SELECT place + 1 FROM bucket WHERE place + 1 < ?5
         ), b AS (SELECT place, ?2 + place * ?3 AS begins_ns FROM bucket)
         SELECT b.place,
           (SELECT count(*) FROM (SELECT 1 FROM mvpn_past x WHERE x.watch = ?1 AND x.since_ns >= {begins},
           (SELECT count(*) FROM (SELECT 1 FROM mvpn_now x WHERE x.watch = ?1 AND x.since_ns >= {begins},
           (SELECT count(*) FROM (SELECT 1 FROM mvpn_past x WHERE x.watch = ?1 AND x.until_ns >= b.begins_ns
              AND x.until_ns < b.begins_ns + ?3 AND x.cause <> 'unwatched' LIMIT ?6) c)
         FROM b ORDER BY b.place"
    );
    db.rows(
        &sql,
        &values![
            watch,
            from,
            width_ns,
            parts.start,
            parts.end,
            u64::from(COUNTED_MAX)
        ],
        |row| {
            let begun = row.count(1)? + row.count(2)?;
            Ok((
                row.number(0)?,
                Bucket {
                    begun: begun.min(COUNTED_MAX.into()),
                    ended: row.count(3)?,
                },
            ))
        },
    )
}

/// The youngest watch that began before the moment has the last change before it: its own beginning, if no other.
fn previous(db: &mut Database, mvpn: &str, at: i64) -> Result<Option<i64>> {
    let watch = db.first(
        "SELECT watch, since_ns, until_ns FROM watch WHERE mvpn = ?1 AND since_ns < ?2 ORDER BY since_ns DESC LIMIT 1",
        &values![mvpn, at],
        |row| Ok((row.int(0)?, row.int(1)?, row.maybe_int(2)?)),
    )?;
    let Some((watch, since, until)) = watch else {
        return Ok(None);
    };
    let mut found = vec![since];
    found.extend(until.filter(|until| *until < at));
    for sql in [
        "SELECT max(since_ns) FROM mvpn_past WHERE watch = ?1 AND since_ns < ?2",
        "SELECT max(until_ns) FROM mvpn_past WHERE watch = ?1 AND until_ns < ?2",
        "SELECT max(since_ns) FROM mvpn_now WHERE watch = ?1 AND since_ns < ?2",
    ] {
        let latest = db.first(sql, &values![watch, at], |row| row.maybe_int(0))?;
        found.extend(latest.flatten());
    }
    Ok(found.into_iter().max())
}

/// The first change after the moment is of the watch that goes on then, or of the one that begins next.
fn next(db: &mut Database, mvpn: &str, at: i64) -> Result<Option<i64>> {
    let watches = db.rows(
        "SELECT watch, since_ns, until_ns FROM watch WHERE mvpn = ?1 AND (until_ns IS NULL OR until_ns > ?2)
          ORDER BY since_ns LIMIT 2",
        &values![mvpn, at],
        |row| Ok((row.int(0)?, row.int(1)?, row.maybe_int(2)?)),
    )?;
    let mut found = Vec::new();
    for (watch, since, until) in watches {
        found.extend([Some(since), until].into_iter().flatten());
        for sql in [
            "SELECT min(since_ns) FROM mvpn_past WHERE watch = ?1 AND since_ns > ?2",
            "SELECT min(until_ns) FROM mvpn_past WHERE watch = ?1 AND until_ns > ?2",
            "SELECT min(since_ns) FROM mvpn_now WHERE watch = ?1 AND since_ns > ?2",
        ] {
            let first = db.first(sql, &values![watch, at], |row| row.maybe_int(0))?;
            found.extend(first.flatten());
        }
    }
    Ok(found.into_iter().filter(|moment| *moment > at).min())
}
