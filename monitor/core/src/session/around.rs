//! What tasks see of the monitor.

use super::drops::DropLog;
use crate::correction::RoundTrips;
use crate::oneway::{Inferred, Known};
use crate::task::Surroundings;
use crate::time::Instant;
use crate::tunnel::Tunnels;

/// What tasks see of the monitor.
pub(super) struct Around<'a> {
    pub(super) tunnels: &'a Tunnels,
    pub(super) tasks: usize,
    pub(super) logs_probes: bool,
    pub(super) drops: &'a DropLog,
    pub(super) known: &'a Known,
    pub(super) now: Instant,
}

impl Surroundings for Around<'_> {
    fn round_trips(&self, tunnel: u32, start: Instant, end: Instant) -> RoundTrips {
        self.tunnels
            .get(tunnel)
            .map(|t| t.pinger.round_trips(start, end, self.now))
            .unwrap_or_default()
    }

    fn tasks(&self) -> usize {
        self.tasks
    }

    fn logs_probes(&self) -> bool {
        self.logs_probes
    }

    fn capture_drops_since(&self, start: Instant) -> u64 {
        self.drops.since(start)
    }

    fn inferred(&self, sender: u32, receiver: u32, when: Instant) -> Option<Inferred<'_>> {
        self.known.of_pair(sender, receiver, when)
    }
}
