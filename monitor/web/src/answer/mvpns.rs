//! Which MVPNs there are, and how they are.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use vmscope_core::alarm::Severity;
use vmscope_core::name::Name;
use vmscope_core::view::expected::{Pe, Presence};
use vmscope_store::alarm::KeptAlarm;
use vmscope_store::mvpn::{Held, Slice, Utc};

use super::Nothing;
use crate::moment::Moment;
use crate::problem::Problem;
use crate::route::Ask;

/// The MVPNs that may be seen.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Mvpns {
    /// By name.
    pub mvpns: Vec<Mvpn>,
}

/// An MVPN, and how it is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Mvpn {
    /// Its name.
    pub mvpn: String,
    /// The first moment that anything is known of.
    pub first: Moment,
    /// The last moment that anything is known of.
    pub last: Moment,
    /// Whether it is listened to now, as far as is written down.
    pub watched: bool,
    /// PEs that take part.
    pub pes: u64,
    /// PEs that must take part and do not; absent if nobody said which must, or nobody listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pes_missing: Option<u64>,
    /// Active alarms.
    pub alarms: AlarmNumbers,
    /// When something changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Moment>,
}

/// Active alarms by severity.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct AlarmNumbers {
    /// The service is gone, or in wrong hands.
    pub critical: u64,
    /// The service suffers.
    pub major: u64,
    /// The service works, and something is not right.
    pub minor: u64,
    /// It may come to something.
    pub warning: u64,
}

impl AlarmNumbers {
    /// Of these alarms.
    pub fn of<'a>(alarms: impl IntoIterator<Item = &'a KeptAlarm>) -> AlarmNumbers {
        let mut numbers = AlarmNumbers::default();
        for alarm in alarms {
            *match alarm.severity {
                Severity::Critical => &mut numbers.critical,
                Severity::Major => &mut numbers.major,
                Severity::Minor => &mut numbers.minor,
                Severity::Warning => &mut numbers.warning,
            } += 1;
        }
        numbers
    }
}

/// All MVPNs that may be seen.
pub fn list(ask: &Ask<'_>, _: Nothing) -> Result<Mvpns, Problem> {
    let active = ask.reader.alarms_at(None, Utc::NOW, Slice::ALL)?.alarms;
    let mut mvpns = Vec::new();
    for summary in ask.reader.mvpns()? {
        let name = summary.mvpn.as_str();
        if !ask.scope.sees(name) {
            continue;
        }
        let pes = ask.reader.active_pes(name, Utc::NOW)?;
        let then = ask.reader.expected(name, Utc::NOW)?;
        let required = then.as_ref().and_then(|then| then.expected.pes.as_ref());
        let listening = pes.listening.watched().is_some();
        let missing = |wanted| missing(wanted, &pes.answer);
        mvpns.push(Mvpn {
            mvpn: name.to_owned(),
            first: summary.first.into(),
            last: summary.last.into(),
            watched: summary.watched,
            pes: pes.answer.len() as u64,
            pes_missing: required.filter(|_| listening).map(missing),
            alarms: AlarmNumbers::of(active.iter().filter(|alarm| alarm.mvpn.as_str() == name)),
            changed: ask.reader.mvpn_steps(name, Utc::NOW)?.previous.map(Moment),
        });
    }
    Ok(Mvpns { mvpns })
}

/// How many PEs must be there and are not.
fn missing(wanted: &BTreeMap<Name, Pe>, here: &[Held]) -> u64 {
    let required = wanted
        .values()
        .filter(|pe| pe.presence == Presence::Required);
    let missing = required.filter(|pe| !here.iter().any(|held| held.key.pe() == pe.address));
    missing.count() as u64
}
