//! What a path of a simulated network does to packets.

use rand::{Rng, RngExt};

/// Held back for so long.
const STALL_NS: u64 = 3_000_000_000;

/// What one path does to packets. Times in nanoseconds; shares are fractions of the packets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Path {
    pub delay: u64,
    /// Uniform, from nothing up to this much more: more than the gap reorders.
    pub jitter: u64,
    pub loss: f64,
    pub duplicate: f64,
    /// A bit is flipped behind the headers.
    pub corrupt: f64,
    /// Share of packets that are held back for three seconds.
    pub stall: f64,
}

impl Path {
    /// Delays of the copies that it makes of one packet.
    pub fn passages(&self, rng: &mut impl Rng) -> Vec<u64> {
        let copies = if rng.random_bool(self.duplicate) {
            2
        } else {
            1
        };
        let mut delays = Vec::new();
        for _ in 0..copies {
            let lost = rng.random_bool(self.loss);
            let jitter = rng.random_range(0..=self.jitter);
            let stall = if rng.random_bool(self.stall) {
                STALL_NS
            } else {
                0
            };
            if !lost {
                delays.push(self.delay + jitter + stall);
            }
        }
        delays
    }
}
