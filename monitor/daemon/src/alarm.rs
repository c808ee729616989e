//! Notices of alarms on their way to people: log, file, syslog, webhook.
//!
//! Every sink has a thread and a bounded queue: none waits for another, and whoever raises alarms
//! waits for none. What could not be delivered is counted, and said in the log.

mod courier;
mod file;
mod log;
mod parcel;
mod syslog;
#[cfg(test)]
mod tests;
mod webhook;

use std::sync::Arc;
use std::time::{Duration, Instant};

use vmscope_core::alarm::{Notice, SinkSpec};

pub use courier::SinkHealth;
use courier::{Courier, Patience};
use parcel::Parcel;

/// Notices that wait for one sink; more are dropped, and counted.
const WAITING_MAX: usize = 1_024;

/// Sends notices to all sinks.
pub struct Notifier {
    couriers: Vec<Courier>,
    host: String,
}

/// A sink could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot send alarms to {sink}: {problem}")]
pub struct SinkError {
    /// Which.
    pub sink: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// What a sink did not take.
#[derive(Debug)]
pub struct Failure {
    /// Why, and what to do where that is known.
    problem: String,
    /// Whether it may take it later.
    passing: bool,
}

impl Failure {
    fn passing(problem: String) -> Failure {
        Failure {
            problem,
            passing: true,
        }
    }

    fn lasting(problem: String) -> Failure {
        Failure {
            problem,
            passing: false,
        }
    }
}

/// A place to which notices go, one after the other.
trait Sink: Send {
    fn deliver(&mut self, parcel: &Parcel) -> Result<(), Failure>;
}

impl Notifier {
    /// Makes the sinks and starts their threads. Nothing is sent yet, and a server that is down is no error.
    pub fn open(specs: &[SinkSpec]) -> Result<Notifier, SinkError> {
        Notifier::with_room(specs, WAITING_MAX)
    }

    fn with_room(specs: &[SinkSpec], waiting_max: usize) -> Result<Notifier, SinkError> {
        let host = parcel::host_name();
        let couriers = specs
            .iter()
            .map(|spec| start(spec, &host, waiting_max))
            .collect::<Result<_, _>>()?;
        Ok(Notifier { couriers, host })
    }

    /// Hands a notice to all sinks that want it; waits for none. `unix_ns` is the wall clock's time of
    /// what the notice says, in nanoseconds since 1970.
    pub fn put(&self, notice: Notice, unix_ns: i64) {
        let severity = notice.severity();
        let parcel = Arc::new(Parcel::new(notice, unix_ns, &self.host));
        for courier in &self.couriers {
            if severity >= courier.severity_min() {
                courier.put(&parcel);
            }
        }
    }

    /// How every sink is.
    #[cfg(test)]
    pub fn health(&self) -> Vec<SinkHealth> {
        self.couriers.iter().map(Courier::health).collect()
    }

    /// Delivers what waits, trying each once, for as long as `grace` at most. What is left is counted as not delivered.
    pub fn finish(self, grace: Duration) -> Vec<SinkHealth> {
        self.couriers.iter().for_each(Courier::close);
        let until = Instant::now() + grace;
        self.couriers
            .into_iter()
            .map(|courier| courier.finish(until))
            .collect()
    }
}

fn start(spec: &SinkSpec, host: &str, waiting_max: usize) -> Result<Courier, SinkError> {
    let (name, sink, patience) = make(spec, host)?;
    let failed = |source: std::io::Error| SinkError {
        sink: name.clone(),
        problem: format!("no thread could be started: {source}"),
    };
    Courier::start(
        name.clone(),
        sink,
        patience,
        spec.severity_min(),
        waiting_max,
    )
    .map_err(failed)
}

fn make(spec: &SinkSpec, host: &str) -> Result<(String, Box<dyn Sink>, Patience), SinkError> {
    Ok(match spec {
        SinkSpec::Log { .. } => ("the log".to_owned(), Box::new(log::Log), Patience::NONE),
        SinkSpec::File { path, .. } => {
            let name = path.display().to_string();
            (
                name,
                Box::new(file::File::new(path.clone())),
                Patience::LOCAL,
            )
        }
        SinkSpec::Syslog { to, facility, .. } => {
            let syslog = syslog::Syslog::new(to, *facility, host);
            (format!("syslog at {to}"), Box::new(syslog), Patience::LOCAL)
        }
        SinkSpec::Webhook(webhook) => {
            let name = format!("the webhook {}", webhook.url);
            let patience = Patience {
                attempts: webhook.attempts,
                pause: Duration::from_nanos(webhook.pause.as_ns()),
            };
            let sink = webhook::Webhook::new(webhook).map_err(|problem| SinkError {
                sink: name.clone(),
                problem,
            })?;
            (name, Box::new(sink), patience)
        }
    })
}
