//! What an operator asks of alarms: the section `[alarms]` of the configuration.
//!
//! ```toml
//! [alarms]
//! raise_after = "30s"
//! clear_after = "60s"
//!
//! [alarms.kinds.pe-restarted]
//! severity = "minor"
//!
//! [[alarms.thresholds]]
//! metric = "loss"
//! above = "1%"
//! for = "1m"
//!
//! [[alarms.sinks]]
//! type = "webhook"
//! url = "https://alarms.example.net/vmscope"
//! header_file = "/etc/vmscope/webhook.headers"
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::kind::{Kind, Severity};
use super::sink::SinkSpec;
use super::threshold::Threshold;
use crate::time::Span;

/// How alarms are raised, cleared and made known. Every field has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlarmSpec {
    /// What is wrong must have been so for this long.
    pub raise_after: Span,
    /// What was wrong must have been fine for this long.
    pub clear_after: Span,
    /// What ought to be there is not missed before the monitor has listened for this long: two
    /// Hello periods and a bit (RFC 7761 §4.11: 30 s).
    pub listen_first: Span,
    /// It flaps if it has come this often within `flap_window`; 0 means that nothing flaps.
    pub flap_count: u32,
    /// See there; also how long something that flaps must be quiet before that is over.
    pub flap_window: Span,
    /// More alarms of one kind than this within `storm_window` are told together.
    pub storm_alarms: u32,
    /// See there.
    pub storm_window: Span,
    /// How often a storm is summed up.
    pub summary_every: Span,
    /// Notices at most; what is held back is told in the summaries.
    pub notices_per_second: u32,
    /// Alarms, pending and active, at most; what comes above is counted and looked for again later.
    pub alarms_max: u32,
    /// What differs for a kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<Kind, KindSpec>,
    /// Thresholds on what the active side measures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<Threshold>,
    /// Where notices go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sinks: Vec<SinkSpec>,
}

/// What differs for a kind of alarm.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KindSpec {
    /// Not looked at.
    pub off: bool,
    /// Instead of the kind's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Instead of the common one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raise_after: Option<Span>,
    /// Instead of the common one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear_after: Option<Span>,
}

impl Default for AlarmSpec {
    fn default() -> Self {
        AlarmSpec {
            raise_after: Span::from_s(30),
            clear_after: Span::from_s(60),
            listen_first: Span::from_s(75),
            flap_count: 4,
            flap_window: Span::from_s(600),
            storm_alarms: 10,
            storm_window: Span::from_s(10),
            summary_every: Span::from_s(60),
            notices_per_second: 10,
            alarms_max: 100_000,
            kinds: BTreeMap::new(),
            thresholds: Vec::new(),
            sinks: Vec::new(),
        }
    }
}

/// A section `[alarms]` that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot set alarms up: {problem}; {remedy}")]
pub struct AlarmSpecError {
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: &'static str,
}

/// Rises remembered of one alarm at most.
const FLAP_COUNT_MAX: u32 = 32;
/// Thresholds at most: each is held against every row.
const THRESHOLDS_MAX: usize = 256;
/// Sinks at most: each has a thread.
const SINKS_MAX: usize = 16;

impl AlarmSpec {
    /// Whether it makes sense; the first thing that does not.
    pub fn validate(&self) -> Result<(), AlarmSpecError> {
        match self.problem() {
            Some((problem, remedy)) => Err(AlarmSpecError { problem, remedy }),
            None => Ok(()),
        }
    }

    fn problem(&self) -> Option<(String, &'static str)> {
        let out_of = |name: &str, found: u64, remedy| Some((format!("{name} is {found}"), remedy));
        if self.notices_per_second == 0 || self.notices_per_second > 10_000 {
            let found = u64::from(self.notices_per_second);
            return out_of("notices_per_second", found, "set it to 1 to 10000");
        }
        if self.flap_count == 1 || self.flap_count > FLAP_COUNT_MAX {
            let found = u64::from(self.flap_count);
            return out_of("flap_count", found, "set it to 2 to 32, or to 0 for none");
        }
        if !(100..=1_000_000).contains(&self.alarms_max) {
            let found = u64::from(self.alarms_max);
            return out_of("alarms_max", found, "set it to 100 to 1000000");
        }
        if self.summary_every < Span::from_s(1) {
            let problem = format!("summary_every is {}", self.summary_every);
            return Some((problem, "set it to 1s or more"));
        }
        if self.thresholds.len() > THRESHOLDS_MAX || self.sinks.len() > SINKS_MAX {
            let (thresholds, sinks) = (self.thresholds.len(), self.sinks.len());
            let problem = format!("there are {thresholds} thresholds and {sinks} sinks");
            return Some((problem, "256 thresholds and 16 sinks are the most"));
        }
        let of_thresholds = self.thresholds.iter().find_map(threshold_problem);
        of_thresholds
            .or_else(|| self.twice())
            .or_else(|| self.sinks.iter().find_map(SinkSpec::problem))
    }

    fn twice(&self) -> Option<(String, &'static str)> {
        let mut seen = BTreeSet::new();
        let again = self.thresholds.iter().find(|threshold| {
            !seen.insert((threshold.metric, threshold.above, &threshold.tasks))
        })?;
        let (metric, above) = (again.metric.as_str(), again.above);
        let problem = format!("there are two thresholds for {metric} above {above}");
        Some((problem, "leave one out"))
    }

    pub(super) fn is_off(&self, kind: Kind) -> bool {
        self.kinds.get(&kind).is_some_and(|of_kind| of_kind.off)
    }

    pub(super) fn severity(&self, kind: Kind) -> Severity {
        let of_kind = self.kinds.get(&kind);
        of_kind
            .and_then(|of_kind| of_kind.severity)
            .unwrap_or(kind.severity())
    }

    pub(super) fn raise_after(&self, kind: Kind) -> Span {
        if kind.is_momentary() {
            return Span::ZERO;
        }
        let of_kind = self.kinds.get(&kind);
        of_kind
            .and_then(|of_kind| of_kind.raise_after)
            .unwrap_or(self.raise_after)
    }

    pub(super) fn clear_after(&self, kind: Kind) -> Span {
        let of_kind = self.kinds.get(&kind);
        of_kind
            .and_then(|of_kind| of_kind.clear_after)
            .unwrap_or(self.clear_after)
    }
}

fn threshold_problem(threshold: &Threshold) -> Option<(String, &'static str)> {
    let (metric, above) = (threshold.metric.as_str(), threshold.above);
    if threshold.metric.is_share() == above.is_share() {
        return None;
    }
    let remedy = if threshold.metric.is_share() {
        "write a share, such as 1%"
    } else {
        "write a time, such as 50ms"
    };
    Some((format!("{above} is no level of {metric}"), remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"
        raise_after = "10s"
        [kinds.pe-restarted]
        severity = "minor"
        [kinds.group-unexpected]
        off = true
        [[thresholds]]
        metric = "loss"
        above = "1%"
        for = "1m"
        [[thresholds]]
        metric = "delay-p99"
        above = "50ms"
        tasks = ["red"]
        severity = "critical"
        [[sinks]]
        type = "log"
        [[sinks]]
        type = "file"
        path = "/var/log/vmscope/alarms.jsonl"
        severity_min = "major"
        [[sinks]]
        type = "syslog"
        to = "udp://[fd00::1]:514"
        facility = "local3"
        [[sinks]]
        type = "webhook"
        url = "https://alarms.example.net/vmscope"
        header_file = "/etc/vmscope/webhook.headers"
    "#;

    fn read(text: &str) -> AlarmSpec {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn it_reads_back_as_written() {
        let spec = read(EXAMPLE);
        assert_eq!(spec.validate(), Ok(()));
        assert_eq!(read(&toml::to_string(&spec).unwrap()), spec);
        assert_eq!(spec.severity(Kind::PeRestarted), Severity::Minor);
        assert!(spec.is_off(Kind::GroupUnexpected) && !spec.is_off(Kind::PeMissing));
        assert_eq!(spec.sinks[1].severity_min(), Severity::Major);
    }

    #[test]
    fn nothing_need_be_said() {
        assert_eq!(read(""), AlarmSpec::default());
        assert_eq!(AlarmSpec::default().validate(), Ok(()));
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        for (from, to) in [
            ("raise_after", "raise"),
            ("above", "over"),
            ("pe-restarted", "pe-restart"),
            ("header_file", "token"),
            ("severity_min", "severity"),
            ("\"1%\"", "0.01"),
        ] {
            let text = EXAMPLE.replacen(from, to, 1);
            assert!(toml::from_str::<AlarmSpec>(&text).is_err(), "{to}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_remedy() {
        let refusal = |from: &str, to: &str| {
            assert!(EXAMPLE.contains(from), "{from}");
            let spec = read(&EXAMPLE.replacen(from, to, 1));
            spec.validate().unwrap_err().to_string()
        };
        insta::assert_snapshot!(refusal("\"1%\"", "\"1ms\""), @"cannot set alarms up: 1ms is no level of loss; write a share, such as 1%");
        insta::assert_snapshot!(refusal("\"50ms\"", "\"50%\""), @"cannot set alarms up: 50% is no level of delay-p99; write a time, such as 50ms");
        insta::assert_snapshot!(refusal("udp://[fd00::1]:514", "udp://[fd00::1]"), @r#"cannot set alarms up: syslog cannot go to "udp://[fd00::1]"; set `to` to the absolute path of a socket, or to udp://HOST:PORT"#);
        insta::assert_snapshot!(refusal("https://", "ftp://"), @r#"cannot set alarms up: a webhook cannot go to "ftp://alarms.example.net/vmscope"; set `url` to https://HOST/… or http://HOST/…"#);
        insta::assert_snapshot!(refusal("https://", "https://me:secret@"), @"cannot set alarms up: a webhook's url holds a user name or password; write an Authorization line into `header_file`");
        insta::assert_snapshot!(refusal("raise_after = \"10s\"", "flap_count = 1"), @"cannot set alarms up: flap_count is 1; set it to 2 to 32, or to 0 for none");
        insta::assert_snapshot!(refusal("raise_after = \"10s\"", "notices_per_second = 0"), @"cannot set alarms up: notices_per_second is 0; set it to 1 to 10000");
    }
}
