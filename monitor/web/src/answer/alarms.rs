//! Alarms, active and past.

use std::net::{IpAddr, Ipv4Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vmscope_store::alarm::{AlarmCursor, KeptAlarm, KeptAlarms};
use vmscope_store::mvpn::Slice;

use super::{place, slice, window};
use crate::moment::Moment;
use crate::problem::Problem;
use crate::route::Ask;
use crate::token::Scope;

/// Summaries of storms at most.
const STORMS_MAX: u32 = 500;

/// Which alarms: of a moment, or of a stretch of time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlarmsQuery {
    /// Only of this MVPN, or task.
    pub mvpn: Option<String>,
    /// Those active at this moment; the present if neither this nor `from` is there.
    pub at: Option<Moment>,
    /// Those active at any time from this moment on.
    pub from: Option<Moment>,
    /// Until when, that moment not included; the present if absent.
    pub until: Option<Moment>,
    /// At most so many: 500 if absent, up to 5000.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// Alarms in the order in which they were raised.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Alarms {
    /// The alarms.
    pub alarms: Vec<Alarm>,
    /// Where the next page begins; absent if this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An alarm.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Alarm {
    /// Its number: that of the run of the monitor, and within that run.
    pub id: String,
    /// The MVPN; of a threshold, the task.
    pub mvpn: String,
    /// What is wrong: `pe-missing`, ...
    pub kind: &'static str,
    /// `critical`, `major`, `minor` or `warning`.
    pub severity: &'static str,
    /// The PE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pe: Option<Ipv4Addr>,
    /// Its name, as the expected configuration had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pe_name: Option<String>,
    /// The customer's source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// The customer's group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<IpAddr>,
    /// Since when it had been so when it was raised.
    pub since: Moment,
    /// When it was raised.
    pub raised: Moment,
    /// When it was cleared; absent while it is active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleared: Option<Moment>,
    /// `fine`, `covered`, `expected` or `unwatched`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleared_because: Option<&'static str>,
    /// How often it came while it was active.
    pub count: u64,
    /// Whether it comes and goes.
    pub flapping: bool,
    /// What, on what; what was expected and what was found.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl From<&KeptAlarm> for Alarm {
    fn from(alarm: &KeptAlarm) -> Alarm {
        Alarm {
            id: format!("{}/{}", alarm.session, alarm.id),
            mvpn: alarm.mvpn.to_string(),
            kind: alarm.kind.as_str(),
            severity: alarm.severity.as_str(),
            pe: alarm.pe,
            pe_name: alarm.pe_name.as_ref().map(|name| name.to_string()),
            source: alarm.source,
            group: alarm.group,
            since: alarm.since.into(),
            raised: alarm.raised.into(),
            cleared: alarm.cleared.map(Moment),
            cleared_because: alarm.cleared_because.map(|why| why.as_str()),
            count: alarm.count,
            flapping: alarm.flapping,
            message: alarm.message.clone(),
            remedy: alarm.remedy.clone(),
        }
    }
}

/// Alarms as the interface writes them.
pub fn listed(alarms: &[KeptAlarm]) -> Vec<Alarm> {
    alarms.iter().map(Alarm::from).collect()
}

/// Alarms that may be seen.
pub fn alarms(ask: &Ask<'_>, query: AlarmsQuery) -> Result<Alarms, Problem> {
    let slice: Slice<AlarmCursor> = slice(query.limit, query.after.as_deref())?;
    let mvpn = query.mvpn.as_deref();
    let found = match (ask.scope, mvpn) {
        // Of somebody else's there are none, as of one that there is not.
        (scope, Some(mvpn)) if !scope.sees(mvpn) => return Ok(no_alarms()),
        (_, Some(mvpn)) => found(ask, &query, Some(mvpn), slice)?,
        (Scope::Provider, None) => found(ask, &query, None, slice)?,
        (Scope::Peer, None) => return Ok(no_alarms()),
        (Scope::Mvpns(own), None) => {
            let mut merged = Vec::new();
            for mvpn in own {
                merged.extend(found(ask, &query, Some(mvpn.as_str()), slice)?.alarms);
            }
            first_of(merged, slice.limit)
        }
    };
    Ok(Alarms {
        alarms: listed(&found.alarms),
        next: place(found.next),
    })
}

fn no_alarms() -> Alarms {
    Alarms {
        alarms: Vec::new(),
        next: None,
    }
}

fn found(
    ask: &Ask<'_>,
    query: &AlarmsQuery,
    mvpn: Option<&str>,
    slice: Slice<AlarmCursor>,
) -> Result<KeptAlarms, Problem> {
    Ok(match (query.at, query.from, query.until) {
        (None, Some(from), until) => {
            let window = window(from, until.unwrap_or(Moment::NOW))?;
            ask.reader.alarms_between(mvpn, window, slice)?
        }
        (at, None, None) => {
            let at = at.unwrap_or(Moment::NOW).0;
            ask.reader.alarms_at(mvpn, at, slice)?
        }
        (Some(_), Some(_), _) | (_, None, Some(_)) => {
            return Err(Problem::bad(
                "the question names both a moment and a stretch of time, or half of one",
                "say `at`, or `from` and `until`",
            ));
        }
    })
}

/// The first alarms of several answers, each of which has as many.
fn first_of(mut alarms: Vec<KeptAlarm>, limit: u32) -> KeptAlarms {
    alarms.sort_by_key(|alarm| (alarm.raised, alarm.session, alarm.id));
    let more = alarms.len() >= limit as usize;
    alarms.truncate(limit as usize);
    let next = alarms.last().filter(|_| more).map(AlarmCursor::after);
    KeptAlarms { alarms, next }
}

/// Which storms.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StormsQuery {
    /// From when.
    pub from: Moment,
    /// Until when, that moment not included; the present if absent.
    pub until: Option<Moment>,
}

/// What people were told of storms: the latest 500, in their order.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Storms {
    /// In their order.
    pub storms: Vec<Storm>,
}

/// Alarms of one kind, of any MVPNs, that people were told of together.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Storm {
    /// When they were told.
    pub at: Moment,
    /// What is wrong.
    pub kind: &'static str,
    /// The highest severity.
    pub severity: &'static str,
    /// `begun`, `goes-on` or `over`.
    pub phase: &'static str,
    /// When it began.
    pub since: Moment,
    /// Raised since they were last told.
    pub raised: u64,
    /// Cleared since they were last told.
    pub cleared: u64,
    /// Active, of all that were told together.
    pub active: u64,
    /// All that in words.
    pub message: String,
}

/// What people were told of storms.
pub fn storms(ask: &Ask<'_>, query: StormsQuery) -> Result<Storms, Problem> {
    let window = window(query.from, query.until.unwrap_or(Moment::NOW))?;
    let found = ask.reader.alarm_storms(window, STORMS_MAX)?;
    let storms = found.into_iter().map(|storm| Storm {
        at: storm.at.into(),
        kind: storm.kind.as_str(),
        severity: storm.severity.as_str(),
        phase: storm.phase.as_str(),
        since: storm.since.into(),
        raised: storm.raised,
        cleared: storm.cleared,
        active: storm.active,
        message: storm.message,
    });
    Ok(Storms {
        storms: storms.collect(),
    })
}
