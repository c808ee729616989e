//! A histogram of times in bounded room: as fine as fits.
//!
//! Its buckets are those of HdrHistogram, and so are its answers: the tests hold it against
//! the crate. That keeps an array from the shortest to the longest time, 20 to 30 kB where
//! delays are some milliseconds; a task of 200 PEs has 79,600 of these. A pair's delays lie
//! in some tens of buckets, and only they are kept: 8 bytes each. When they are too many, each
//! two neighbours become one, as in UDDSketch (Epicoco et al., IEEE Access 8, 2020, section III).

/// Times below this are not told apart, in nanoseconds.
const NS_MIN: u64 = 1_000;
/// Longer times count as this one: an hour.
const NS_MAX: u64 = 3_600_000_000_000;
/// Bits of a time that are never looked at: those below [`NS_MIN`].
const UNIT_BITS: u32 = NS_MIN.ilog2();

/// How finely times are told apart: by so many of their leading bits. Half of a bucket's octave may belong to the one below,
/// so the relative error is at most 1 part in 2^(bits - 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grain {
    bits: u32,
}

impl Grain {
    /// 1 part in 1000, and what is left when any time of [`NS_MIN`] to [`NS_MAX`] has been seen and there is no room: the
    /// octaves.
    const FINEST: Grain = Grain { bits: 11 };
    const COARSEST: Grain = Grain { bits: 1 };

    fn coarser(self) -> Grain {
        Grain {
            bits: self.bits - 1,
        }
    }

    /// The bucket of a time.
    fn bucket(self, ns: u64) -> u32 {
        let octave = self.octave(ns);
        let step = (ns >> (octave + UNIT_BITS)) as u32;
        // The first octave has twice the steps of the others: what is below its middle.
        (octave << (self.bits - 1)) + step
    }

    fn octave(self, ns: u64) -> u32 {
        let top = u64::BITS - ns.leading_zeros();
        top.saturating_sub(UNIT_BITS + self.bits)
    }

    /// The longest time of a bucket.
    fn longest(self, bucket: u32) -> u64 {
        let half = 1 << (self.bits - 1);
        let octave = (bucket / half).saturating_sub(1);
        let step = u64::from(bucket - octave * half);
        ((step + 1) << (octave + UNIT_BITS)) - 1
    }
}

/// How often times of a bucket were seen.
#[derive(Debug, Clone, Copy)]
struct Count {
    bucket: u32,
    times: u32,
}

/// A histogram.
#[derive(Debug, Clone)]
pub struct Histogram {
    grain: Grain,
    samples: u64,
    /// Buckets kept at most.
    room: u32,
    /// Ascending; those that are empty are not here.
    counts: Vec<Count>,
}

impl Histogram {
    /// Fewer buckets than these may not do for all octaves.
    pub const ROOM_MIN: usize = 64;
    /// 1 part in 250 where times are within a factor of two, in 2 kB: a monitor of 1,000 MVPNs has 180,000 of these.
    pub const ROOM_MAX: usize = 256;
    /// Bytes that a bucket takes.
    pub const BUCKET_BYTES: usize = size_of::<Count>();

    /// Nothing seen; room for so many buckets, at least [`Histogram::ROOM_MIN`] of them. A power of two wastes none.
    pub fn new(room: usize) -> Histogram {
        Histogram {
            grain: Grain::FINEST,
            samples: 0,
            room: room.max(Histogram::ROOM_MIN) as u32,
            counts: Vec::new(),
        }
    }

    /// How many times were seen.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// A time was seen.
    #[cfg(test)]
    fn add(&mut self, ns: u64) {
        self.add_sorted(std::iter::once(ns));
    }

    /// Times were seen, which come in ascending order: a bucket is looked up once for all that are in it.
    pub fn add_sorted(&mut self, ascending: impl Iterator<Item = u64>) {
        let mut seen = Count {
            bucket: 0,
            times: 0,
        };
        for ns in ascending.map(|ns| ns.min(NS_MAX)) {
            if self.grain.bucket(ns) != seen.bucket {
                self.count(seen);
                // Which may have made them coarser.
                let bucket = self.grain.bucket(ns);
                seen = Count { bucket, times: 0 };
            }
            seen.times = seen.times.saturating_add(1);
        }
        self.count(seen);
    }

    fn count(&mut self, mut seen: Count) {
        if seen.times == 0 {
            return;
        }
        self.samples += u64::from(seen.times);
        loop {
            let found = self.counts.binary_search_by_key(&seen.bucket, |c| c.bucket);
            match found {
                Ok(at) => {
                    self.counts[at].times = self.counts[at].times.saturating_add(seen.times);
                    return;
                }
                Err(at) if self.has_room() => return self.counts.insert(at, seen),
                Err(_) => {
                    seen.bucket = self.grain.coarser().bucket(self.grain.longest(seen.bucket));
                    self.coarsen();
                }
            }
        }
    }

    fn has_room(&self) -> bool {
        self.counts.len() < self.room as usize || self.grain == Grain::COARSEST
    }

    /// Makes one of each two neighbours.
    fn coarsen(&mut self) {
        let (fine, coarse) = (self.grain, self.grain.coarser());
        for count in &mut self.counts {
            count.bucket = coarse.bucket(fine.longest(count.bucket));
        }
        self.counts.dedup_by(|next, kept| {
            let alike = next.bucket == kept.bucket;
            if alike {
                kept.times = kept.times.saturating_add(next.times);
            }
            alike
        });
        self.grain = coarse;
    }

    /// A time that this part of all (0 to 1) do not exceed, up to the relative error; 0 if none was seen.
    pub fn quantile(&self, part: f64) -> u64 {
        let wanted = ((part * self.samples as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let reaches = |count: &&Count| {
            seen += u64::from(count.times);
            seen >= wanted
        };
        let found = self.counts.iter().find(reaches).or(self.counts.last());
        found.map_or(0, |count| self.grain.longest(count.bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bits of HdrHistogram's two and three significant figures.
    const FIGURES: [(u32, u8); 2] = [(8, 2), (11, 3)];

    fn times() -> impl Strategy<Value = Vec<u64>> {
        // As many short ones as long ones.
        let time = (0..u64::BITS, any::<u64>()).prop_map(|(shift, ns)| ns >> shift);
        prop::collection::vec(time, 1..300)
    }

    fn coarsened(sample: &[u64], bits: u32) -> Histogram {
        let mut histogram = Histogram::new(sample.len());
        sample.iter().for_each(|ns| histogram.add(*ns));
        while histogram.grain.bits > bits {
            histogram.coarsen();
        }
        histogram
    }

    proptest! {
        #[test]
        fn answers_are_those_of_hdr_histogram(
            sample in times(),
            part in 0.0..=1.0f64,
            (bits, figures) in prop::sample::select(&FIGURES[..]),
        ) {
            let ours = coarsened(&sample, bits);
            let mut theirs = hdrhistogram::Histogram::<u32>::new_with_bounds(NS_MIN, NS_MAX, figures).unwrap();
            sample.iter().for_each(|ns| theirs.record((*ns).min(NS_MAX)).unwrap());
            prop_assert_eq!(ours.samples(), theirs.len());
            for part in [part, 0.5, 0.9, 0.99, 0.999, 1.0] {
                // Of nothing at all it says the shortest equivalent, which nobody asks for.
                prop_assume!(part > 0.0);
                prop_assert_eq!(ours.quantile(part), theirs.value_at_quantile(part));
            }
        }

        #[test]
        fn the_error_is_bounded(ns in NS_MIN..NS_MAX, bits in 1..=11u32) {
            let grain = Grain { bits };
            let longest = grain.longest(grain.bucket(ns));
            prop_assert!(longest >= ns);
            prop_assert!(longest - ns <= (ns >> (bits - 1)).max(1 << UNIT_BITS), "{ns}: {longest}");
        }

        /// However times come, the answers are those of a histogram that had been as coarse from the start, and no more room
        /// is taken than there is.
        #[test]
        fn room_is_bounded_whatever_is_seen(batches in prop::collection::vec(times(), 1..8), part in 0.01..=1.0f64) {
            let mut histogram = Histogram::new(Histogram::ROOM_MIN);
            for batch in &batches {
                let mut sorted = batch.clone();
                sorted.sort_unstable();
                histogram.add_sorted(sorted.into_iter());
                prop_assert!(histogram.counts.capacity() <= Histogram::ROOM_MIN);
            }
            let all: Vec<u64> = batches.concat();
            let coarse = coarsened(&all, histogram.grain.bits);
            prop_assert_eq!(histogram.samples(), all.len() as u64);
            prop_assert_eq!(histogram.quantile(part), coarse.quantile(part));
        }
    }

    #[test]
    fn room_is_taken_for_what_was_seen_and_the_error_is_what_fits() {
        let hour = |room| {
            let mut histogram = Histogram::new(room);
            // An hour at 100 a second around 20 ms, uniform over 2 ms.
            for n in 0..360_000u64 {
                histogram.add(19_000_000 + n * 7_919 % 2_000_000);
            }
            histogram
        };
        let (fine, coarse) = (hour(Histogram::ROOM_MAX), hour(Histogram::ROOM_MIN));
        assert_eq!((fine.grain.bits, fine.counts.len()), (11, 123));
        // One part in 512 where there was room for 64.
        assert_eq!((coarse.grain.bits, coarse.counts.len()), (10, 62));
        assert_eq!(Histogram::new(64).quantile(0.5), 0);
    }
}
