//! What the capture and the transmitter count: to the core, to the journal, to people.

use std::io;

use vmscope_core::session::CaptureStatus;
use vmscope_core::time::{Instant, Span};
use vmscope_store::{Counters, Level};

use super::Driver;
use crate::clock;

/// The capture's and the journal's counters are looked at this often.
const COUNTERS_EVERY: Span = Span::from_ms(500);

impl Driver {
    pub(super) fn look_at_counters(&mut self) {
        let now = clock::now();
        if now < self.counters_due {
            return;
        }
        self.counters_due = now + COUNTERS_EVERY;
        self.compare_clocks();
        let offset_ns = self.parts.stamps.offset_ns();
        self.parts.session.handle_wall_clock(offset_ns);
        self.look_for_drops();
        let captured = self.captured;
        self.tell_capture_status(now);
        self.say_drops(now);
        self.say_transmit_errors(now);
        self.parts.journal.counters(Counters {
            at_ns: now,
            capture_received: captured.received,
            capture_drops: captured.dropped,
            transmit_errors: self.transmit_errors,
            record_drops: 0,
        });
    }

    /// Drops are noted while the intervals they belong to are open.
    pub(super) fn look_for_drops(&mut self) {
        let captured = self.parts.capture.counters();
        let new_drops = captured.dropped - self.captured.dropped;
        self.captured = captured;
        if new_drops > 0 {
            self.tell_capture_status(clock::now());
            self.drops_unsaid += new_drops;
        }
    }

    fn tell_capture_status(&mut self, now: Instant) {
        let status = CaptureStatus {
            mode: self.parts.capture.description(),
            received: self.captured.received,
            drops: self.captured.dropped,
        };
        self.parts.session.handle_capture_status(now, status);
    }

    fn say_drops(&mut self, now: Instant) {
        let new_drops = std::mem::take(&mut self.drops_unsaid);
        if new_drops > 0 {
            let message = format!(
                "the capture dropped {new_drops} packets: losses measured now may be the monitor's own"
            );
            self.parts
                .journal
                .event(now, Level::Warning, "capture-drops", message);
        }
    }

    fn say_transmit_errors(&mut self, now: Instant) {
        let new = self.transmit_errors - self.transmit_errors_said;
        if let Some(error) = self.latest_transmit_error.take() {
            self.transmit_errors_said = self.transmit_errors;
            let message = format!("{new} packets could not be sent: {error}{}", remedy(&error));
            self.parts
                .journal
                .event(now, Level::Warning, "transmit-errors", message);
        }
    }
}

/// What to do when a packet cannot be sent.
fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENOBUFS | libc::EAGAIN) => "; the interface takes no more: lower the rates",
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => {
            "; add a route to the routers' outer addresses"
        }
        Some(libc::EPERM) => "; a packet filter of this host forbids it",
        Some(libc::EMSGSIZE) => {
            "; the probes are larger than the interface's MTU: make payload_bytes smaller"
        }
        Some(libc::ENETDOWN) => "; the interface is down: bring it up",
        Some(_) | None => "",
    }
}
