//! How long packets gather in the ring before they are read.
//!
//! The kernel has stamped them: reading them together changes no delay, and a wake-up a packet is what costs most. So they lie
//! there until the next step of a grid; or, where many come, only as long as they can without filling the ring.

use vmscope_core::time::{Instant, Span};

/// The grid. The core's own deadlines lie on coarser ones of which this is a part.
const TOGETHER: Span = Span::from_ms(25);
/// Rounds shorter than this say little of a rate.
const ROUND_MIN: Span = Span::from_ms(1);
/// Of the ring, what may fill at the rate of the latest round. The rest is for whoever comes all at once.
const PART_OF_RING: u64 = 4;

/// When packets are read.
#[derive(Debug)]
pub struct Rhythm {
    /// Frames that the ring has room for.
    ring_frames: u64,
    /// Since when packets have been in the ring, and how many were read of them.
    round: Option<(Instant, u64)>,
    /// How long they gather.
    together: Span,
    /// When they are read.
    until: Option<Instant>,
}

impl Rhythm {
    /// For a ring of this size, empty.
    pub fn new(ring_frames: u64) -> Rhythm {
        Rhythm {
            ring_frames,
            round: None,
            together: TOGETHER,
            until: None,
        }
    }

    /// When packets are read that lie in the ring; none when none does.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// There are packets in the ring.
    pub fn handle_first(&mut self, now: Instant) {
        self.round = Some((now, 0));
        self.until = Some(match self.together {
            TOGETHER => now.next_multiple_of(TOGETHER),
            shorter => now + shorter,
        });
    }

    /// So many were read; there may be more.
    pub fn handle_read(&mut self, frames: usize) {
        if let Some((_, read)) = &mut self.round {
            *read += frames as u64;
        }
    }

    /// The ring is empty.
    pub fn handle_empty(&mut self, now: Instant) {
        self.until = None;
        let Some((since, frames)) = self.round.take() else {
            return;
        };
        let room = self.ring_frames / PART_OF_RING;
        let round = now.since(since).max(ROUND_MIN);
        let fills_in = u128::from(round.as_ns()) * u128::from(room) / u128::from(frames.max(1));
        let fills_in = u64::try_from(fills_in).unwrap_or(u64::MAX);
        self.together = Span::from_ns(fills_in).min(TOGETHER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: u64) -> Instant {
        Instant::from_ns(us * 1_000)
    }

    /// A round that begins at `from` and in which the ring is found empty at `to`, microseconds.
    fn round(rhythm: &mut Rhythm, from: u64, to: u64, frames: usize) {
        rhythm.handle_first(at(from));
        rhythm.handle_read(frames);
        rhythm.handle_empty(at(to));
        assert_eq!(rhythm.until(), None);
    }

    #[test]
    fn few_packets_gather_until_the_next_step_of_the_grid() {
        let mut rhythm = Rhythm::new(8_192);
        round(&mut rhythm, 1_000, 25_100, 500);
        rhythm.handle_first(at(26_000));
        assert_eq!(rhythm.until(), Some(at(50_000)));
    }

    #[test]
    fn many_are_read_before_they_fill_a_quarter_of_the_ring() {
        let mut rhythm = Rhythm::new(8_192);
        round(&mut rhythm, 0, 25_000, 25_000);
        rhythm.handle_first(at(26_000));
        assert_eq!(rhythm.until(), Some(at(26_000 + 2_048)));
    }

    #[test]
    fn when_they_have_become_few_again_they_gather_as_long_as_ever() {
        let mut rhythm = Rhythm::new(8_192);
        round(&mut rhythm, 0, 25_000, 25_000);
        round(&mut rhythm, 26_000, 28_048, 3);
        rhythm.handle_first(at(30_001));
        assert_eq!(rhythm.until(), Some(at(50_000)));
        rhythm.handle_empty(at(30_001));
        rhythm.handle_first(at(60_000));
        assert_eq!(rhythm.until(), Some(at(75_000)), "none in no time");
    }
}
