//! Loss and jitter from RTP headers (RFC 3550 A.1, A.3, A.8).

use vmscope_wire::rtp::Packet;

use crate::report::RtpRow;
use crate::time::{Instant, NS_PER_S};

/// RFC 3550 A.1: packets in sequence before a source is believed.
const MIN_SEQUENTIAL: u16 = 2;
/// A jump ahead by less is loss; by more, a restart.
const MAX_DROPOUT: u16 = 3_000;
/// A packet older by less is misordered; by more, part of a restart.
const MAX_MISORDER: u16 = 100;
/// Clock of dynamic payload types: what video and MPEG transport streams use.
const DYNAMIC_CLOCK_HZ: u32 = 90_000;

/// The sequence state of one source.
#[derive(Debug, Clone)]
pub(super) struct RtpStream {
    ssrc: u32,
    clock_hz: u32,
    /// Packets in sequence still wanted before the source is believed.
    probation: u16,
    base_seq: u32,
    max_seq: u16,
    /// Wraps so far, times 65536.
    cycles: u64,
    /// The number that, if it comes next, proves a restart.
    restart_seq: Option<u16>,
    received: u64,
    /// Packets expected and received before the last restart.
    before: (u64, u64),
    restarts: u32,
    /// Arrival time less timestamp, in clock units, of the last packet.
    transit: Option<u32>,
    /// Sixteen times the jitter.
    jitter_scaled: u64,
}

/// Looks at a UDP payload that may be RTP.
pub(super) fn observe(state: &mut Option<RtpStream>, payload: &[u8], stamp: Instant) {
    let Ok(packet) = Packet::new_checked(payload) else {
        return;
    };
    match state {
        Some(stream) => stream.handle_packet(&packet, stamp),
        None => *state = Some(RtpStream::new(&packet, stamp)),
    }
}

impl RtpStream {
    fn new(packet: &Packet<'_>, stamp: Instant) -> RtpStream {
        let mut stream = RtpStream {
            ssrc: packet.ssrc(),
            clock_hz: clock_hz(packet.payload_type()),
            probation: MIN_SEQUENTIAL - 1,
            base_seq: u32::from(packet.sequence()),
            max_seq: packet.sequence(),
            cycles: 0,
            restart_seq: None,
            received: 1,
            before: (0, 0),
            restarts: 0,
            transit: None,
            jitter_scaled: 0,
        };
        stream.measure_jitter(packet, stamp);
        stream
    }

    fn handle_packet(&mut self, packet: &Packet<'_>, stamp: Instant) {
        let seq = packet.sequence();
        if packet.ssrc() != self.ssrc {
            self.restart(packet.ssrc(), seq);
            self.clock_hz = clock_hz(packet.payload_type());
        } else if self.probation > 0 {
            self.try_out(seq);
        } else if !self.place(seq) {
            return;
        } else {
            self.received += 1;
        }
        self.measure_jitter(packet, stamp);
    }

    /// Not believed yet: counts packets in sequence, and begins anew where one is not.
    fn try_out(&mut self, seq: u16) {
        if seq == self.max_seq.wrapping_add(1) {
            self.probation -= 1;
            self.max_seq = seq;
            self.received += 1;
            self.cycles += if seq == 0 { 1 << 16 } else { 0 };
        } else {
            self.probation = MIN_SEQUENTIAL - 1;
            self.base_seq = u32::from(seq);
            self.max_seq = seq;
            self.cycles = 0;
            self.received = 1;
        }
    }

    /// Finds a number's place; `false` if it has none, and the packet is not to be counted.
    fn place(&mut self, seq: u16) -> bool {
        let ahead = seq.wrapping_sub(self.max_seq);
        if ahead < MAX_DROPOUT {
            self.cycles += if seq < self.max_seq { 1 << 16 } else { 0 };
            self.max_seq = seq;
            self.restart_seq = None;
        } else if ahead <= 0u16.wrapping_sub(MAX_MISORDER) {
            // A very large jump: twice in sequence, and the other side has started anew.
            if self.restart_seq != Some(seq) {
                self.restart_seq = Some(seq.wrapping_add(1));
                return false;
            }
            self.restart(self.ssrc, seq.wrapping_sub(1));
            self.max_seq = seq;
            // The packet that announced the restart was not counted when it came.
            self.received = 1;
        }
        true
    }

    fn restart(&mut self, ssrc: u32, seq: u16) {
        self.before = (
            self.before.0 + self.expected(),
            self.before.1 + self.received,
        );
        self.ssrc = ssrc;
        self.base_seq = u32::from(seq);
        self.max_seq = seq;
        self.cycles = 0;
        self.received = 1;
        self.restart_seq = None;
        self.restarts += 1;
        self.transit = None;
    }

    /// RFC 3550 A.3: since the last restart.
    fn expected(&self) -> u64 {
        self.cycles + u64::from(self.max_seq) + 1 - u64::from(self.base_seq)
    }

    /// RFC 3550 A.8, in integers.
    fn measure_jitter(&mut self, packet: &Packet<'_>, stamp: Instant) {
        let arrival = u128::from(stamp.as_ns()) * u128::from(self.clock_hz) / u128::from(NS_PER_S);
        let transit = (arrival as u32).wrapping_sub(packet.timestamp());
        if let Some(before) = self.transit.replace(transit) {
            let difference = u64::from((transit.wrapping_sub(before) as i32).unsigned_abs());
            self.jitter_scaled = self.jitter_scaled + difference - ((self.jitter_scaled + 8) >> 4);
        }
    }

    /// What is known, once the source is believed.
    pub(super) fn row(&self) -> Option<RtpRow> {
        let expected = self.before.0 + self.expected();
        let received = self.before.1 + self.received;
        (self.probation == 0).then_some(RtpRow {
            ssrc: self.ssrc,
            expected,
            received,
            lost: expected as i64 - received as i64,
            jitter_units: u32::try_from(self.jitter_scaled >> 4).unwrap_or(u32::MAX),
            clock_hz: self.clock_hz,
            restarts: self.restarts,
        })
    }
}

/// RFC 3551 §6, tables 4 and 5.
fn clock_hz(payload_type: u8) -> u32 {
    match payload_type {
        0 | 3..=5 | 7..=9 | 12 | 13 | 15 | 18 => 8_000,
        6 => 16_000,
        16 => 11_025,
        10 | 11 => 44_100,
        17 => 22_050,
        _ => DYNAMIC_CLOCK_HZ,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;
    use vmscope_wire::rtp::Repr;

    /// Sequence numbers, 20 ms apart, with a clock of 90 kHz.
    fn stream(ssrc: u32, numbers: &[u16]) -> Option<RtpStream> {
        let mut state = None;
        feed(&mut state, ssrc, numbers);
        state
    }

    fn feed(state: &mut Option<RtpStream>, ssrc: u32, numbers: &[u16]) {
        for (i, &sequence) in numbers.iter().enumerate() {
            let repr = Repr {
                marker: false,
                payload_type: 96,
                sequence,
                timestamp: 1_800 * i as u32,
                ssrc,
            };
            let mut payload = [0; 40];
            repr.emit(&mut payload).unwrap();
            observe(
                state,
                &payload,
                Instant::ZERO + Span::from_ms(20 * i as u64),
            );
        }
    }

    fn row(state: &Option<RtpStream>) -> RtpRow {
        state.as_ref().unwrap().row().unwrap()
    }

    #[test]
    fn gaps_are_losses_and_wraps_are_not() {
        let r = row(&stream(1, &[65_533, 65_534, 65_535, 0, 1, 3]));
        assert_eq!((r.expected, r.received, r.lost, r.restarts), (7, 6, 1, 0));
        let numbers: Vec<u16> = (0..200_000u32)
            .filter(|i| i % 1000 != 7)
            .map(|i| i as u16)
            .collect();
        assert_eq!(
            (
                row(&stream(1, &numbers)).expected,
                row(&stream(1, &numbers)).lost
            ),
            (200_000, 200)
        );
    }

    #[test]
    fn misordered_and_duplicate_packets_are_no_losses() {
        assert_eq!(row(&stream(1, &[1, 2, 4, 3, 5])).lost, 0);
        assert_eq!(row(&stream(1, &[1, 2, 2, 3])).lost, -1);
    }

    #[test]
    fn a_restart_is_no_loss() {
        let r = row(&stream(1, &[1, 2, 3, 40_000, 40_001, 40_002]));
        assert_eq!((r.expected, r.received, r.lost, r.restarts), (6, 6, 0, 1));
        let mut state = stream(1, &[1, 2, 3]);
        feed(&mut state, 2, &[900, 901]);
        assert_eq!(
            (row(&state).lost, row(&state).restarts, row(&state).ssrc),
            (0, 1, 2)
        );
    }

    #[test]
    fn one_stray_number_is_not_believed() {
        let r = row(&stream(1, &[1, 2, 3, 40_000, 4, 5]));
        assert_eq!((r.received, r.lost, r.restarts), (5, 0, 0));
    }

    #[test]
    fn what_is_not_in_sequence_is_not_rtp() {
        assert!(stream(1, &[5, 900, 17]).unwrap().row().is_none());
        let mut state = None;
        observe(
            &mut state,
            b"neither is this, which has another version",
            Instant::ZERO,
        );
        assert!(state.is_none());
    }

    #[test]
    fn an_even_stream_has_no_jitter() {
        assert_eq!(row(&stream(1, &[1, 2, 3, 4])).jitter_units, 0);
    }
}
