//! Alarms of now and of the past, and what was expected of MVPNs.
//!
//! An alarm is active from the moment it was raised until the moment it was cleared, that moment not included. One whose
//! session ended before it was cleared ended with the session: nobody looked any longer.

pub(crate) mod rows;

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use vmscope_core::alarm::{Cleared, KINDS, Kind, Measured, Phase, Severity};
use vmscope_core::name::Name;
use vmscope_core::view::Expected;

use crate::database::{self, Row, values};
use crate::error::{DatabaseError, StoreError};
use crate::mvpn::{Slice, Utc};
use crate::reader::Reader;

type Result<T> = std::result::Result<T, StoreError>;

/// An alarm, as far as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAlarm {
    /// The session that raised it.
    pub session: u32,
    /// Its number within the session, from 1.
    pub id: u64,
    /// The MVPN; of a threshold, the task.
    pub mvpn: Name,
    /// What is wrong.
    pub kind: Kind,
    /// How much it matters.
    pub severity: Severity,
    /// The PE, by its address in the backbone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pe: Option<Ipv4Addr>,
    /// Its name, where the expected configuration gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pe_name: Option<Name>,
    /// The customer's source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// The customer's group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<IpAddr>,
    /// Of a threshold: what was measured between whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// Since when it had been so when it was raised.
    #[serde(rename = "since_ns")]
    pub since: Utc,
    /// When it was raised.
    #[serde(rename = "raised_ns")]
    pub raised: Utc,
    /// When it was cleared; absent while it is active.
    #[serde(
        rename = "cleared_ns",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub cleared: Option<Utc>,
    /// Why it was cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_because: Option<Cleared>,
    /// How often it came while it was active.
    pub count: u64,
    /// Whether it comes and goes, as of its last turn.
    pub flapping: bool,
    /// What, on what; what was expected and what was found.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// Where a part of the alarms ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmCursor {
    raised_ns: i64,
    session: u32,
    id: u64,
}

impl AlarmCursor {
    /// After this alarm.
    pub fn after(alarm: &KeptAlarm) -> AlarmCursor {
        AlarmCursor {
            raised_ns: alarm.raised.as_ns(),
            session: alarm.session,
            id: alarm.id,
        }
    }
}

/// Alarms in the order in which they were raised, or a part of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptAlarms {
    /// The alarms.
    pub alarms: Vec<KeptAlarm>,
    /// Where to go on; absent if this was all.
    pub next: Option<AlarmCursor>,
}

/// Alarms of one kind, of any MVPNs, that people were told of together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptStorm {
    /// When they were told.
    #[serde(rename = "at_ns")]
    pub at: Utc,
    /// What is wrong.
    pub kind: Kind,
    /// The highest severity.
    pub severity: Severity,
    /// Where the storm was in its life.
    pub phase: Phase,
    /// When it began.
    #[serde(rename = "since_ns")]
    pub since: Utc,
    /// Raised since they were last told.
    pub raised: u64,
    /// Cleared since they were last told.
    pub cleared: u64,
    /// Active, of all that were told together.
    pub active: u64,
    /// All that in words.
    pub message: String,
}

/// What was expected of an MVPN, and from when to when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExpectedThen {
    /// From when.
    #[serde(rename = "since_ns")]
    pub since: Utc,
    /// Until when; absent if it is in force.
    #[serde(rename = "until_ns", skip_serializing_if = "Option::is_none")]
    pub until: Option<Utc>,
    /// What.
    pub expected: Expected,
}

const ALARM: &str =
    "session, id, mvpn, kind, severity, pe, pe_name, source, group_address, measured,
  since_ns, raised_ns, cleared_ns, cleared_because, count, flapping, message, remedy";

impl Reader {
    /// The alarms that were active at a moment ([`Utc::NOW`]: that are), of an MVPN or of all.
    pub fn alarms_at(
        &self,
        mvpn: Option<&str>,
        at: Utc,
        slice: Slice<AlarmCursor>,
    ) -> Result<KeptAlarms> {
        self.alarms(mvpn, at.as_ns(), at.as_ns(), slice)
    }

    /// The alarms that were active at any time of a stretch of time, its end not included.
    pub fn alarms_between(
        &self,
        mvpn: Option<&str>,
        window: Range<Utc>,
        slice: Slice<AlarmCursor>,
    ) -> Result<KeptAlarms> {
        let last = window.end.as_ns().saturating_sub(1);
        self.alarms(mvpn, window.start.as_ns(), last, slice)
    }

    fn alarms(
        &self,
        mvpn: Option<&str>,
        first: i64,
        last: i64,
        slice: Slice<AlarmCursor>,
    ) -> Result<KeptAlarms> {
        let after = slice.after.map_or((i64::MIN, 0, 0), |cursor| {
            (cursor.raised_ns, cursor.session, cursor.id)
        });
        let of_mvpn = match mvpn {
            Some(_) => " AND mvpn = ?1",
            // The place must be there all the same.
            None => " AND CAST(?1 AS TEXT) IS NULL",
        };
        let sql = format!(
            "SELECT {ALARM} FROM alarm
              WHERE raised_ns <= ?3 AND (cleared_ns IS NULL OR cleared_ns > ?2)
                AND (raised_ns, session, id) > (?4, ?5, ?6){of_mvpn}
              ORDER BY raised_ns, session, id LIMIT ?7"
        );
        let mvpn = mvpn.map(str::to_owned);
        let values = values![mvpn, first, last, after.0, after.1, after.2, slice.limit];
        let alarms = self.read("the alarms", |db| db.rows(&sql, &values, alarm))?;
        let all = (alarms.len() as u64) < u64::from(slice.limit);
        let next = alarms.last().filter(|_| !all).map(AlarmCursor::after);
        Ok(KeptAlarms { alarms, next })
    }

    /// The summaries of storms of alarms that people were told in a stretch of time, its end not included; the latest
    /// `limit` of them, in their order. They are of no MVPN in particular.
    pub fn alarm_storms(&self, window: Range<Utc>, limit: u32) -> Result<Vec<KeptStorm>> {
        let mut storms = self.read("the storms of alarms", |db| {
            db.rows(
                "SELECT at_ns, kind, severity, phase, since_ns, raised, cleared, active, message FROM alarm_storm
                  WHERE at_ns >= ?1 AND at_ns < ?2 ORDER BY at_ns DESC LIMIT ?3",
                &values![window.start.as_ns(), window.end.as_ns(), limit],
                storm,
            )
        })?;
        storms.reverse();
        Ok(storms)
    }

    /// What was expected of an MVPN at a moment ([`Utc::NOW`]: what is), as far as the monitor was told.
    pub fn expected(&self, mvpn: &str, at: Utc) -> Result<Option<ExpectedThen>> {
        self.read("what was expected", |db| {
            db.first(
                "SELECT since_ns, until_ns, expected FROM expectation
                  WHERE mvpn = ?1 AND since_ns <= ?2 AND (until_ns IS NULL OR until_ns > ?2)
                  ORDER BY since_ns DESC LIMIT 1",
                &values![mvpn, at.as_ns()],
                |row| {
                    Ok(ExpectedThen {
                        since: Utc::from_ns(row.int(0)?),
                        until: row.maybe_int(1)?.map(Utc::from_ns),
                        expected: from_json("expectation", row.text(2)?)?,
                    })
                },
            )
        })
    }
}

fn alarm(row: &Row) -> database::Result<KeptAlarm> {
    Ok(KeptAlarm {
        session: row.number(0)?,
        id: row.count(1)?,
        mvpn: parsed("name", row.text(2)?)?,
        kind: kind(row.text(3)?)?,
        severity: severity(row.text(4)?)?,
        pe: maybe("address", row.maybe_text(5)?)?,
        pe_name: maybe("name", row.maybe_text(6)?)?,
        source: maybe("address", row.maybe_text(7)?)?,
        group: maybe("address", row.maybe_text(8)?)?,
        measured: row
            .maybe_text(9)?
            .map(|text| from_json("measurement", text))
            .transpose()?,
        since: Utc::from_ns(row.int(10)?),
        raised: Utc::from_ns(row.int(11)?),
        cleared: row.maybe_int(12)?.map(Utc::from_ns),
        cleared_because: row.maybe_text(13)?.map(cleared).transpose()?,
        count: row.count(14)?,
        flapping: row.flag(15)?,
        message: row.text(16)?.to_owned(),
        remedy: row.text(17)?.to_owned(),
    })
}

fn storm(row: &Row) -> database::Result<KeptStorm> {
    Ok(KeptStorm {
        at: Utc::from_ns(row.int(0)?),
        kind: kind(row.text(1)?)?,
        severity: severity(row.text(2)?)?,
        phase: phase(row.text(3)?)?,
        since: Utc::from_ns(row.int(4)?),
        raised: row.count(5)?,
        cleared: row.count(6)?,
        active: row.count(7)?,
        message: row.text(8)?.to_owned(),
    })
}

fn kind(word: &str) -> database::Result<Kind> {
    let found = KINDS.into_iter().find(|kind| kind.as_str() == word);
    found.ok_or_else(|| odd("kind of alarm", word))
}

fn severity(word: &str) -> database::Result<Severity> {
    let all = [
        Severity::Warning,
        Severity::Minor,
        Severity::Major,
        Severity::Critical,
    ];
    let found = all.into_iter().find(|severity| severity.as_str() == word);
    found.ok_or_else(|| odd("severity", word))
}

fn cleared(word: &str) -> database::Result<Cleared> {
    let all = [
        Cleared::Fine,
        Cleared::Covered,
        Cleared::Expected,
        Cleared::Unwatched,
    ];
    let found = all.into_iter().find(|why| why.as_str() == word);
    found.ok_or_else(|| odd("reason", word))
}

fn phase(word: &str) -> database::Result<Phase> {
    let all = [Phase::Begun, Phase::GoesOn, Phase::Over];
    let found = all.into_iter().find(|phase| phase.as_str() == word);
    found.ok_or_else(|| odd("phase", word))
}

fn maybe<T: FromStr>(what: &str, text: Option<&str>) -> database::Result<Option<T>> {
    text.map(|text| parsed(what, text)).transpose()
}

fn parsed<T: FromStr>(what: &str, text: &str) -> database::Result<T> {
    text.parse().map_err(|_| odd(what, text))
}

fn from_json<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> database::Result<T> {
    serde_json::from_str(text).map_err(|_| odd(what, text))
}

fn odd(what: &str, found: &str) -> DatabaseError {
    DatabaseError::Column(format!("{found:?} is no {what}"))
}
