//! Alarms and expectations to rows.

use vmscope_core::alarm::{Alarm, Storm, Transition, Turn};
use vmscope_core::name::Name;
use vmscope_core::time::Instant;
use vmscope_core::view::Expected;

use crate::database::{Database, Result, values};
use crate::error::DatabaseError;
use crate::mvpn::Ledger;

/// What an alarm's end is put down to when the session ended before it.
const SESSION_OVER: &str = "unwatched";

/// An alarm was raised, has changed or is over.
pub(crate) fn transition(
    db: &mut Database,
    ledger: &mut Ledger,
    session: u32,
    transition: &Transition,
) -> Result<()> {
    let at_ns = ledger.happened(transition.at_ns);
    let alarm = &transition.alarm;
    match transition.turn {
        Turn::Raised => raised(db, ledger, session, at_ns, alarm),
        Turn::Changed => turned(db, session, None, alarm),
        Turn::Cleared => turned(db, session, Some(at_ns), alarm),
    }
}

fn raised(
    db: &mut Database,
    ledger: &Ledger,
    session: u32,
    at_ns: i64,
    alarm: &Alarm,
) -> Result<()> {
    let measured = alarm.measured.as_ref().map(json).transpose()?;
    db.tell(
        "INSERT INTO alarm (session, id, mvpn, kind, severity, pe, pe_name, source, group_address, measured,
                            since_ns, raised_ns, count, flapping, message, remedy)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        &values![
            session,
            alarm.id,
            alarm.mvpn.as_str(),
            alarm.kind.as_str(),
            alarm.severity.as_str(),
            alarm.pe.map(|a| a.to_string()),
            alarm.pe_name.as_ref().map(Name::to_string),
            alarm.source.map(|a| a.to_string()),
            alarm.group.map(|a| a.to_string()),
            measured,
            ledger.moment(alarm.since_ns).min(at_ns),
            at_ns,
            alarm.count,
            alarm.flapping,
            alarm.message.as_str(),
            alarm.remedy.as_str()
        ],
    )
}

fn turned(db: &mut Database, session: u32, cleared_ns: Option<i64>, alarm: &Alarm) -> Result<()> {
    let because = alarm.cleared_because.map(|why| why.as_str().to_owned());
    db.tell(
        "UPDATE alarm SET cleared_ns = ?3, cleared_because = ?4, count = ?5, flapping = ?6
          WHERE session = ?1 AND id = ?2",
        &values![
            session,
            alarm.id,
            cleared_ns,
            because,
            alarm.count,
            alarm.flapping
        ],
    )
}

/// People were told of many alarms at once.
pub(crate) fn storm(
    db: &mut Database,
    ledger: &mut Ledger,
    session: u32,
    storm: &Storm,
) -> Result<()> {
    let at_ns = ledger.happened(storm.at_ns);
    db.tell(
        "INSERT INTO alarm_storm VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        &values![
            session,
            at_ns,
            storm.kind.as_str(),
            storm.severity.as_str(),
            storm.phase.as_str(),
            ledger.moment(storm.since_ns).min(at_ns),
            storm.raised,
            storm.cleared,
            storm.active,
            storm.message.as_str()
        ],
    )
}

/// The monitor was told what an MVPN ought to be from now on.
pub(crate) fn expected(
    db: &mut Database,
    ledger: &mut Ledger,
    session: u32,
    at: Instant,
    expected: &Expected,
) -> Result<()> {
    let at_ns = ledger.happened(at);
    db.tell(
        "UPDATE expectation SET until_ns = ?3 WHERE mvpn = ?2 AND session = ?1 AND until_ns IS NULL",
        &values![session, expected.mvpn.as_str(), at_ns],
    )?;
    db.tell(
        "INSERT INTO expectation (mvpn, session, since_ns, expected) VALUES (?1, ?2, ?3, ?4)",
        &values![expected.mvpn.as_str(), session, at_ns, json(expected)?],
    )
}

/// A session is over: nobody knows what becomes of its alarms, and nothing is expected any more.
pub(crate) fn end(db: &mut Database, session: i64, until_ns: i64) -> Result<()> {
    db.tell(
        "UPDATE alarm SET cleared_ns = CASE WHEN raised_ns > ?2 THEN raised_ns ELSE ?2 END, cleared_because = ?3
          WHERE session = ?1 AND cleared_ns IS NULL",
        &values![session, until_ns, SESSION_OVER],
    )?;
    db.tell(
        "UPDATE expectation SET until_ns = CASE WHEN since_ns > ?2 THEN since_ns ELSE ?2 END
          WHERE session = ?1 AND until_ns IS NULL",
        &values![session, until_ns],
    )
}

/// Ends what sessions that were killed have left, when they last wrote that they were alive.
pub(crate) fn end_left_over(db: &mut Database) -> Result<()> {
    let left = db.rows(
        "SELECT s.session, s.updated_ns + (SELECT c.realtime_minus_monotonic_ns FROM clock_anchor c
                 WHERE c.session = s.session ORDER BY c.at_ns DESC LIMIT 1)
           FROM session s
          WHERE EXISTS (SELECT 1 FROM alarm a WHERE a.session = s.session AND a.cleared_ns IS NULL)
             OR EXISTS (SELECT 1 FROM expectation e WHERE e.session = s.session AND e.until_ns IS NULL)",
        &[],
        |row| Ok((row.int(0)?, row.maybe_int(1)?)),
    )?;
    for (session, seen_ns) in left {
        // Every session has an anchor; without one, its alarms end as they were raised.
        end(db, session, seen_ns.unwrap_or(i64::MIN))?;
    }
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| DatabaseError::Unwritable(e.to_string()))
}
