//! Reports of pings and streams, every ten seconds.

use super::Session;
use crate::control::Event;
use crate::passive::Passive;
use crate::ping::{CAPTURE_GRACE, PING_TIMEOUT};
use crate::report::Record;
use crate::time::{Instant, Span};

/// Pings and streams are reported this often.
pub(super) const REPORT_INTERVAL: Span = Span::from_s(10);
/// Further behind than this (a capture with a hole in it), one report covers all of the time since the last one.
const REPORTS_BEHIND_MAX: Span = Span::from_s(3_600);
/// Tunnels reported at once; the next follow a little later.
const TUNNELS_AT_ONCE: usize = 256;
const TUNNELS_APART: Span = Span::from_ms(1);

/// Reports of which some are out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reporting {
    /// When the next are made.
    goes_on_at: Instant,
    start: Instant,
    end: Instant,
    /// The least number of a tunnel that is not reported yet.
    next: u32,
}

impl Session {
    pub(super) fn reports_due(&self) -> Instant {
        match &self.reporting {
            Some(reporting) => reporting.goes_on_at,
            None => self.report_from + REPORT_INTERVAL + PING_TIMEOUT + CAPTURE_GRACE,
        }
    }

    /// Rows of pings and streams for the time since the last ones: of all tunnels, or, if there are many, of some at a
    /// time, so that neither packets nor those who take the rows are kept waiting.
    pub(super) fn report(&mut self, now: Instant) {
        let reporting = self.reporting.unwrap_or_else(|| self.begin_report(now));
        let Reporting { start, end, .. } = reporting;
        let ids = self.tunnels.ids_from(reporting.next, TUNNELS_AT_ONCE + 1);
        for id in ids.iter().take(TUNNELS_AT_ONCE) {
            let tunnel = self.tunnels.get(*id);
            let pinging = tunnel.filter(|t| !t.spec.ping_interval.is_zero());
            if let Some(row) = pinging.map(|t| t.ping_row(start, end, now)) {
                self.record(now, Record::Ping(row.clone()));
                self.event(Event::Ping(row));
            }
        }
        self.reporting = ids.get(TUNNELS_AT_ONCE).map(|next| Reporting {
            goes_on_at: now + TUNNELS_APART,
            next: *next,
            ..reporting
        });
        if self.reporting.is_none() {
            self.report_from = end;
            self.report_repeated(now);
            let streams: Vec<_> = self.passives.values().flat_map(Passive::rows).collect();
            for stream in streams {
                self.record(now, Record::Stream { at_ns: now, stream });
            }
        }
    }

    fn begin_report(&self, now: Instant) -> Reporting {
        let start = self.report_from;
        let behind = now.since(self.reports_due());
        let missed = match behind > REPORTS_BEHIND_MAX {
            true => behind.as_ns() / REPORT_INTERVAL.as_ns(),
            false => 0,
        };
        Reporting {
            goes_on_at: now,
            start,
            end: start + REPORT_INTERVAL.times(missed + 1),
            next: 0,
        }
    }
}
