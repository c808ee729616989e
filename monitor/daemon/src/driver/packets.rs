//! Packets out and in: what is due is sent first, and no more is read at once than fits before the next.

use vmscope_core::time::{Instant, Span};
use vmscope_store::Level;

use super::{Driver, Parts};
use crate::capture::RING_FRAMES;
use crate::clock::{self, Placed, StampClock};
use crate::error::StartError;
use crate::journal::Journal;
use crate::transmit;

/// Packets read before anything else gets its turn: what is to be sent meanwhile is late by the time that takes. As many as
/// can be read before that, each in so long, but not so few that turns are all there is.
const PACKETS_AT_ONCE: std::ops::RangeInclusive<u64> = 8..=32;
const PACKET_TIME: Span = Span::from_ns(1_000);
/// A turn takes a fraction of this, and the core waits for packets longer.
const AWAY: Span = Span::from_ms(100);

impl Driver {
    pub(super) fn send_what_is_due(&mut self) {
        let Parts {
            session,
            transmitter,
            ..
        } = &mut self.parts;
        let now = clock::now();
        while self.outgoing.len() < transmit::PACKETS_AT_ONCE
            && let Some(due) = session.poll_transmit(now)
        {
            self.outgoing.push(due);
        }
        let (errors, latest) = (&mut self.transmit_errors, &mut self.latest_transmit_error);
        transmitter.send(&mut self.outgoing, |packet, error| {
            *errors += 1;
            *latest = Some(error);
            session.handle_transmit_failed(packet.purpose);
        });
        for packet in self.outgoing.drain(..) {
            session.take_back(packet.bytes);
        }
    }

    /// Reads some packets; whether there may be more.
    pub(super) fn take_packets(&mut self) -> Result<bool, StartError> {
        let Parts {
            session,
            capture,
            stamps,
            journal,
            ..
        } = &mut self.parts;
        let (since, began) = (self.ring_empty_at, clock::now());
        let mut now = began;
        let (least, most) = PACKETS_AT_ONCE.into_inner();
        let most = match session.next_deadline() {
            Some(at) if at > began => {
                let fit = at.since(began).as_ns() / PACKET_TIME.as_ns();
                fit.clamp(least, most) as usize
            }
            Some(_) | None => most as usize,
        };
        let taken = capture.read(most, |packet| {
            let at = place(stamps, journal, packet.stamp_ns, since, &mut now);
            session.handle_packet(now, at, packet.datagram, packet.direction);
        })?;
        self.rhythm.handle_read(taken);
        if taken < most {
            self.ring_empty_at = began;
            self.rhythm.handle_empty(now);
            self.look_for_drops();
        }
        Ok(taken == most)
    }

    /// Who was away (stopped, or on a host that others share) first reads what came meanwhile: else probes would be lost by
    /// time whose copies lie in the ring.
    pub(super) fn catch_up(&mut self) -> Result<(), StartError> {
        let now = clock::now();
        let away = now.since(std::mem::replace(&mut self.turned_at, now));
        let mut room = RING_FRAMES;
        while away > AWAY && room > 0 && self.take_packets()? {
            room = room.saturating_sub(*PACKETS_AT_ONCE.start());
        }
        Ok(())
    }

    pub(super) fn follow_filter(&mut self) -> Result<(), StartError> {
        if let Some(filter) = self.parts.session.poll_filter() {
            tracing::debug!("capture filter: {filter}");
            self.parts.capture.set_filter(&filter)?;
        }
        Ok(())
    }
}

/// When a packet was captured, by its stamp. It came after `since`, and before `now`, which is brought up to date if need be.
fn place(
    stamps: &mut StampClock,
    journal: &Journal,
    stamp_ns: i64,
    since: Instant,
    now: &mut Instant,
) -> Instant {
    if stamps.is_doubtful(stamp_ns, since, *now) {
        // It may have come while others were read.
        *now = clock::now();
        if stamps.is_doubtful(stamp_ns, since, *now)
            && let Some(step) = stamps.handle_reading(clock::reading())
        {
            journal.clock_step(step);
        }
    }
    match stamps.place(stamp_ns, since, *now) {
        Placed::At(at) => at,
        Placed::ReadAt(at) => {
            let message =
                "a packet's stamp fits no state of the wall clock: the time of its reading is used";
            journal.event(*now, Level::Warning, "stamp-misplaced", message.to_owned());
            at
        }
    }
}
