//! Alarms of the past, for people.

use vmscope_core::alarm::Cleared;
use vmscope_store::alarm::{KeptAlarm, KeptAlarms};

use super::mvpn::{moment, more};
use super::table::Column::{Number, Words};
use super::table::table;

/// Alarms that a database knows of.
pub fn kept(found: &KeptAlarms) -> String {
    let columns = [
        Number("alarm"),
        Words("severity"),
        Words("kind"),
        Words("MVPN"),
        Words("raised"),
        Words("cleared"),
        Words("what"),
    ];
    let rows = found.alarms.iter().map(|alarm| {
        vec![
            format!("{}/{}", alarm.session, alarm.id),
            alarm.severity.as_str().to_owned(),
            alarm.kind.as_str().to_owned(),
            alarm.mvpn.to_string(),
            moment(alarm.raised),
            end(alarm),
            alarm.message.clone(),
        ]
    });
    table(&columns, rows) + more(found.next.is_some())
}

fn end(alarm: &KeptAlarm) -> String {
    match (alarm.cleared, alarm.cleared_because) {
        (None, _) => "active".to_owned(),
        (Some(at), None | Some(Cleared::Fine)) => moment(at),
        (Some(at), Some(why)) => format!("{} ({})", moment(at), why.as_str()),
    }
}
