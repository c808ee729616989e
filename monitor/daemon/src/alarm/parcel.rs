//! A notice as it leaves this host: with the wall clock's time and the host's name.

use serde::Serialize;
use vmscope_core::alarm::{Notice, Severity, Turn};

/// A notice, and what sinks need besides.
#[derive(Debug, Serialize)]
pub struct Parcel {
    /// When, by the wall clock (RFC 3339, UTC).
    pub at: String,
    /// The monitor's host.
    pub host: String,
    /// The notice.
    #[serde(flatten)]
    pub notice: Notice,
}

impl Parcel {
    pub fn new(notice: Notice, unix_ns: i64, host: &str) -> Parcel {
        Parcel {
            at: rfc3339(unix_ns),
            host: host.to_owned(),
            notice,
        }
    }

    /// What has happened, in one line for people.
    pub fn line(&self) -> String {
        match &self.notice {
            Notice::Alarm(transition) => {
                let alarm = &transition.alarm;
                let (turn, id) = (transition.turn.as_str(), alarm.id);
                let (severity, kind) = (alarm.severity, alarm.kind);
                let flapping = if alarm.flapping { ", flapping" } else { "" };
                let after = match (transition.turn, alarm.cleared_because) {
                    (Turn::Cleared, Some(why)) => format!(" [{}]", why.as_str()),
                    (Turn::Raised | Turn::Changed, _) => format!("; {}", alarm.remedy),
                    (Turn::Cleared, None) => String::new(),
                };
                let message = &alarm.message;
                format!("alarm {id} {turn} ({severity} {kind}{flapping}): {message}{after}")
            }
            Notice::Storm(storm) => {
                let examples: Vec<_> = storm
                    .examples
                    .iter()
                    .map(|alarm| alarm.message.as_str())
                    .collect();
                let examples = match examples.as_slice() {
                    [] => String::new(),
                    some => format!("; such as: {}", some.join(" | ")),
                };
                let (severity, phase) = (storm.severity, storm.phase.as_str());
                format!(
                    "alarms together, {phase} ({severity}): {}{examples}",
                    storm.message
                )
            }
        }
    }

    /// Whether something is over, rather than beginning.
    pub fn is_good_news(&self) -> bool {
        match &self.notice {
            Notice::Alarm(transition) => transition.turn == Turn::Cleared,
            Notice::Storm(storm) => storm.phase == vmscope_core::alarm::Phase::Over,
        }
    }

    pub fn severity(&self) -> Severity {
        self.notice.severity()
    }

    /// What kind of alarm it is.
    pub fn kind(&self) -> &'static str {
        match &self.notice {
            Notice::Alarm(transition) => transition.alarm.kind.as_str(),
            Notice::Storm(storm) => storm.kind.as_str(),
        }
    }
}

/// This host's name, or `-`.
pub fn host_name() -> String {
    let name = nix::unistd::gethostname().ok();
    let name = name.and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()))
        .unwrap_or_else(|| "-".to_owned())
}

/// To the microsecond, which is all that syslog takes (RFC 5424 §6.2.3).
fn rfc3339(unix_ns: i64) -> String {
    let (seconds, ns) = (
        unix_ns.div_euclid(1_000_000_000),
        unix_ns.rem_euclid(1_000_000_000),
    );
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    let (second, us) = (second % 60, ns / 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{us:06}Z")
}

/// Days since 1970 to year, month and day: the Gregorian calendar repeats every 146,097 days, and a year that begins in March
/// has its leap day at its end.
fn civil(days: i64) -> (i64, i64, i64) {
    let from_march_0 = days + 719_468;
    let (era, day) = (
        from_march_0.div_euclid(146_097),
        from_march_0.rem_euclid(146_097),
    );
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clocks_time_is_written_as_people_read_it() {
        // As `date -u -d @SECONDS` says.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
            (1_795_351_050, "2026-11-22T12:37:30.000000Z"),
            (-1, "1969-12-31T23:59:59.000000Z"),
        ] {
            assert_eq!(rfc3339(seconds * 1_000_000_000), text);
        }
        assert_eq!(rfc3339(1_999), "1970-01-01T00:00:00.000001Z");
    }
}
