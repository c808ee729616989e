//! The sinks against real sockets, files and servers of this host.

mod files;
mod http;
mod server;
mod syslogs;
mod tls;

use std::time::Duration;

use vmscope_core::alarm::{Alarm, Cleared, Kind, Notice, Severity, SinkSpec, Transition, Turn};
use vmscope_core::name::Name;
use vmscope_core::time::Instant;

use super::{Notifier, SinkHealth};

/// Nothing takes this long; if something does, the test fails rather than hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// 2026-11-22T12:37:30Z.
const NOW: i64 = 1_795_351_050_000_000_000;

fn sink(toml: &str) -> SinkSpec {
    toml::from_str(toml).unwrap()
}

fn open(toml: &str) -> Notifier {
    Notifier::open(&[sink(toml)]).unwrap()
}

/// A PE is missing: alarm `id`, raised or cleared.
fn notice(id: u64, turn: Turn) -> Notice {
    let over = turn == Turn::Cleared;
    let alarm = Alarm {
        id,
        kind: Kind::PeMissing,
        severity: Severity::Major,
        mvpn: Name::new("red").unwrap(),
        pe: Some([10, 2, 0, 2].into()),
        pe_name: Some(Name::new("PE2").unwrap()),
        group: None,
        source: None,
        measured: None,
        since_ns: Instant::from_ns(1),
        raised_ns: Instant::from_ns(2),
        cleared_ns: over.then_some(Instant::from_ns(3)),
        cleared_because: over.then_some(Cleared::Fine),
        count: 1,
        flapping: false,
        message: "MVPN red: PE PE2 (10.2.0.2) is missing".to_owned(),
        remedy: "look at that PE's VRF".to_owned(),
    };
    let at_ns = Instant::from_ns(2);
    Notice::Alarm(Box::new(Transition { at_ns, turn, alarm }))
}

fn raise(notifier: &Notifier, id: u64) {
    notifier.put(notice(id, Turn::Raised), NOW);
}

/// What has become of the only sink's notices, all of them having been dealt with: (delivered, repeated, failed).
fn outcome(notifier: Notifier) -> (u64, u64, u64) {
    let health = settled(&notifier);
    notifier.finish(Duration::ZERO);
    (health.delivered, health.repeated, health.failed)
}

/// Waits until nothing waits.
fn settled(notifier: &Notifier) -> SinkHealth {
    notifier.couriers[0].settle(PATIENCE)
}
