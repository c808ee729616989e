//! Where notices of alarms go: what an operator asks for. The daemon does it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::kind::Severity;
use crate::time::Span;

/// A place to which notices go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SinkSpec {
    /// Lines of the daemon's log, on stderr.
    Log {
        /// Alarms that matter less are left out.
        #[serde(default = "least")]
        severity_min: Severity,
    },
    /// A file to which a JSON object a line is appended.
    File {
        /// Which. It is opened anew where it has been moved away.
        path: PathBuf,
        /// Alarms that matter less are left out.
        #[serde(default = "least")]
        severity_min: Severity,
    },
    /// Syslog (RFC 5424).
    Syslog {
        /// A Unix datagram socket's path, or `udp://HOST:PORT` (RFC 5426).
        #[serde(default = "default_syslog")]
        to: String,
        /// Facility of the messages.
        #[serde(default)]
        facility: Facility,
        /// Alarms that matter less are left out.
        #[serde(default = "least")]
        severity_min: Severity,
    },
    /// HTTP POST of a JSON object a notice.
    Webhook(WebhookSpec),
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSpec {
    /// Where to: `https://…`, or `http://…` where the way there is trusted.
    pub url: String,
    /// A file with header lines to be sent along, such as `Authorization: Bearer …`: secrets are in no
    /// configuration and on no command line. Read anew for every notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_file: Option<PathBuf>,
    /// A PEM file with the authorities that vouch for the server, instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// One attempt may take this long, connecting included.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// Attempts in all before a notice is given up.
    #[serde(default = "default_attempts")]
    pub attempts: u32,
    /// Pause before the second attempt; every further one is twice as long, up to five minutes.
    #[serde(default = "default_pause")]
    pub pause: Span,
    /// Alarms that matter less are left out.
    #[serde(default = "least")]
    pub severity_min: Severity,
}

fn least() -> Severity {
    Severity::Warning
}

fn default_syslog() -> String {
    "/dev/log".to_owned()
}

fn default_timeout() -> Span {
    Span::from_s(10)
}

fn default_attempts() -> u32 {
    5
}

fn default_pause() -> Span {
    Span::from_s(1)
}

/// Syslog facility (RFC 5424 §6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // their names say it
pub enum Facility {
    User,
    #[default]
    Daemon,
    Local0,
    Local1,
    Local2,
    Local3,
    Local4,
    Local5,
    Local6,
    Local7,
}

impl Facility {
    /// Its number (RFC 5424 table 1).
    pub fn number(self) -> u8 {
        match self {
            Facility::User => 1,
            Facility::Daemon => 3,
            Facility::Local0 => 16,
            Facility::Local1 => 17,
            Facility::Local2 => 18,
            Facility::Local3 => 19,
            Facility::Local4 => 20,
            Facility::Local5 => 21,
            Facility::Local6 => 22,
            Facility::Local7 => 23,
        }
    }
}

impl SinkSpec {
    /// Alarms that matter less are left out.
    pub fn severity_min(&self) -> Severity {
        match self {
            SinkSpec::Log { severity_min }
            | SinkSpec::File { severity_min, .. }
            | SinkSpec::Syslog { severity_min, .. } => *severity_min,
            SinkSpec::Webhook(webhook) => webhook.severity_min,
        }
    }

    /// What is wrong with it, and the remedy.
    pub(super) fn problem(&self) -> Option<(String, &'static str)> {
        match self {
            SinkSpec::Log { .. } => None,
            SinkSpec::File { path, .. } if path.as_os_str().is_empty() => {
                Some(("a file sink has no path".to_owned(), "set `path`"))
            }
            SinkSpec::File { .. } => None,
            SinkSpec::Syslog { to, .. } => match to.strip_prefix("udp://") {
                Some(place) if has_port(place) => None,
                None if to.starts_with('/') => None,
                Some(_) | None => Some((
                    format!("syslog cannot go to {to:?}"),
                    "set `to` to the absolute path of a socket, or to udp://HOST:PORT",
                )),
            },
            SinkSpec::Webhook(webhook) => webhook.problem(),
        }
    }
}

impl WebhookSpec {
    fn problem(&self) -> Option<(String, &'static str)> {
        let place = ["https://", "http://"]
            .iter()
            .find_map(|scheme| self.url.strip_prefix(scheme));
        if place.is_none_or(str::is_empty) {
            let problem = format!("a webhook cannot go to {:?}", self.url);
            return Some((problem, "set `url` to https://HOST/… or http://HOST/…"));
        }
        if place.is_some_and(|place| place.split('/').next().unwrap_or("").contains('@')) {
            let problem = "a webhook's url holds a user name or password".to_owned();
            return Some((problem, "write an Authorization line into `header_file`"));
        }
        if !(1..=20).contains(&self.attempts) {
            let problem = format!("a webhook has {} attempts", self.attempts);
            return Some((problem, "set `attempts` to 1 to 20"));
        }
        if self.timeout.is_zero() || self.timeout > Span::from_s(300) {
            let problem = format!("a webhook's attempt may take {}", self.timeout);
            return Some((
                problem,
                "set `timeout` to at most 5m, and more than nothing",
            ));
        }
        None
    }
}

fn has_port(place: &str) -> bool {
    let Some((host, port)) = place.rsplit_once(':') else {
        return false;
    };
    !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
}
