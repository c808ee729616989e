//! Whether there is anything new: asked often, so it must cost next to nothing.

use std::collections::BTreeMap;

use crate::database::{Database, Result, values};
use crate::error::StoreError;
use crate::reader::Reader;

/// What has been written last, by the names of MVPNs and tasks. What differs from the pulse before has news.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pulse {
    /// Of each MVPN: its latest watch, whether it goes on, and the last moment at which a state of it began or ended.
    pub states: BTreeMap<String, (i64, bool, i64)>,
    /// Of each MVPN: the last moment at which an alarm was raised, and at which one was cleared.
    pub alarms: BTreeMap<String, (i64, i64)>,
    /// Of each task: its session and the number of its last row of results.
    pub results: BTreeMap<String, (i64, i64, i64)>,
}

impl Reader {
    /// What has been written last. Of alarms, what was raised or cleared after `alarms_after_ns` (UTC).
    pub fn pulse(&self, alarms_after_ns: i64) -> std::result::Result<Pulse, StoreError> {
        self.read("what is new", |db| {
            Ok(Pulse {
                states: states(db)?,
                alarms: alarms(db, alarms_after_ns)?,
                results: results(db)?,
            })
        })
    }
}

fn states(db: &mut Database) -> Result<BTreeMap<String, (i64, bool, i64)>> {
    let rows = db.rows(
        "SELECT w.mvpn, w.watch, w.until_ns, w.since_ns,
                (SELECT max(n.since_ns) FROM mvpn_now n WHERE n.watch = w.watch),
                (SELECT max(p.until_ns) FROM mvpn_past p WHERE p.watch = w.watch)
           FROM watch w JOIN (SELECT mvpn, max(watch) AS watch FROM watch GROUP BY mvpn) l ON l.watch = w.watch",
        &[],
        |row| {
            let moments = [
                Some(row.int(3)?),
                row.maybe_int(2)?,
                row.maybe_int(4)?,
                row.maybe_int(5)?,
            ];
            let last = moments.into_iter().flatten().max().unwrap_or(i64::MIN);
            let goes_on = row.maybe_int(2)?.is_none();
            Ok((row.text(0)?.to_owned(), (row.int(1)?, goes_on, last)))
        },
    )?;
    Ok(rows.into_iter().collect())
}

fn alarms(db: &mut Database, after_ns: i64) -> Result<BTreeMap<String, (i64, i64)>> {
    let mut found: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let raised = db.rows(
        "SELECT mvpn, max(raised_ns) FROM alarm WHERE raised_ns > ?1 GROUP BY mvpn",
        &values![after_ns],
        |row| Ok((row.text(0)?.to_owned(), row.int(1)?)),
    )?;
    for (mvpn, at) in raised {
        found.entry(mvpn).or_insert((i64::MIN, i64::MIN)).0 = at;
    }
    let cleared = db.rows(
        "SELECT mvpn, max(cleared_ns) FROM alarm WHERE cleared_ns > ?1 GROUP BY mvpn",
        &values![after_ns],
        |row| Ok((row.text(0)?.to_owned(), row.int(1)?)),
    )?;
    for (mvpn, at) in cleared {
        found.entry(mvpn).or_insert((i64::MIN, i64::MIN)).1 = at;
    }
    Ok(found)
}

fn results(db: &mut Database) -> Result<BTreeMap<String, (i64, i64, i64)>> {
    // Of a finished task there is nothing new but that it is.
    let rows = db.rows(
        "SELECT t.name, t.session, t.task, coalesce((SELECT max(r.row) FROM interval_result r
                 WHERE r.session = t.session AND r.task = t.task), -1)
           FROM task t JOIN session s ON s.session = t.session
          WHERE t.finished = 0 AND s.ended_ns IS NULL ORDER BY t.started_ns",
        &[],
        |row| {
            Ok((
                row.text(0)?.to_owned(),
                (row.int(1)?, row.int(2)?, row.int(3)?),
            ))
        },
    )?;
    Ok(rows.into_iter().collect())
}
