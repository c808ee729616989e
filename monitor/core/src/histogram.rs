//! A histogram of times with a bounded relative error that takes room only for what was seen.
//!
//! Its buckets are those of HdrHistogram, and so are its answers: the tests hold it against
//! the crate. That keeps an array from the shortest to the longest time, 20 to 30 kB where
//! delays are some milliseconds; a task of 200 PEs has 79,600 of these. A pair's delays lie
//! in some tens of buckets, and only they are kept: 8 bytes each.

/// Times below this are not told apart, in nanoseconds.
const NS_MIN: u64 = 1_000;
/// Longer times count as this one: an hour.
const NS_MAX: u64 = 3_600_000_000_000;
/// Bits of a time that are never looked at: those below [`NS_MIN`].
const UNIT_BITS: u32 = NS_MIN.ilog2();

/// Significant decimal digits: the relative error is at most 1 part in 100 or in 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digits {
    Two,
    Three,
}

impl Digits {
    /// A time's leading bits that are told apart: twice as many steps as the digits ask for, because half of them may be
    /// in the bucket below.
    fn bits(self) -> u32 {
        match self {
            Digits::Two => 8,
            Digits::Three => 11,
        }
    }

    /// The bucket of a time.
    fn bucket(self, ns: u64) -> u32 {
        let octave = self.octave(ns);
        let step = (ns >> (octave + UNIT_BITS)) as u32;
        // The first octave has twice the steps of the others: what is below its middle.
        (octave << (self.bits() - 1)) + step
    }

    fn octave(self, ns: u64) -> u32 {
        let top = u64::BITS - ns.leading_zeros();
        top.saturating_sub(UNIT_BITS + self.bits())
    }

    /// The longest time of a bucket.
    fn longest(self, bucket: u32) -> u64 {
        let half = 1 << (self.bits() - 1);
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
    digits: Digits,
    samples: u64,
    /// Ascending; those that are empty are not here.
    counts: Vec<Count>,
}

impl Histogram {
    /// Nothing seen.
    pub fn new(digits: Digits) -> Histogram {
        Histogram {
            digits,
            samples: 0,
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
        for ns in ascending {
            let bucket = self.digits.bucket(ns.min(NS_MAX));
            if bucket != seen.bucket {
                self.count(seen);
                seen = Count { bucket, times: 0 };
            }
            seen.times = seen.times.saturating_add(1);
        }
        self.count(seen);
    }

    fn count(&mut self, seen: Count) {
        if seen.times == 0 {
            return;
        }
        self.samples += u64::from(seen.times);
        let found = self.counts.binary_search_by_key(&seen.bucket, |c| c.bucket);
        match found {
            Ok(at) => self.counts[at].times = self.counts[at].times.saturating_add(seen.times),
            Err(at) => self.counts.insert(at, seen),
        }
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
        found.map_or(0, |count| self.digits.longest(count.bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both(digits: Digits, sample: &[u64]) -> (Histogram, hdrhistogram::Histogram<u32>) {
        let figures = match digits {
            Digits::Two => 2,
            Digits::Three => 3,
        };
        let mut ours = Histogram::new(digits);
        let mut theirs = hdrhistogram::Histogram::new_with_bounds(NS_MIN, NS_MAX, figures).unwrap();
        for ns in sample {
            ours.add(*ns);
            theirs.record((*ns).min(NS_MAX)).unwrap();
        }
        (ours, theirs)
    }

    fn times() -> impl Strategy<Value = Vec<u64>> {
        // As many short ones as long ones.
        let time = (0..u64::BITS, any::<u64>()).prop_map(|(shift, ns)| ns >> shift);
        prop::collection::vec(time, 1..300)
    }

    proptest! {
        #[test]
        fn answers_are_those_of_hdr_histogram(
            sample in times(),
            part in 0.0..=1.0f64,
            digits in prop::sample::select(vec![Digits::Two, Digits::Three]),
        ) {
            let (ours, theirs) = both(digits, &sample);
            prop_assert_eq!(ours.samples(), theirs.len());
            for part in [part, 0.5, 0.9, 0.99, 0.999, 1.0] {
                // Of nothing at all it says the shortest equivalent, which nobody asks for.
                prop_assume!(part > 0.0);
                prop_assert_eq!(ours.quantile(part), theirs.value_at_quantile(part));
            }
        }

        #[test]
        fn the_error_is_bounded(ns in NS_MIN..NS_MAX) {
            for (digits, part) in [(Digits::Two, 100), (Digits::Three, 1_000)] {
                let longest = digits.longest(digits.bucket(ns));
                prop_assert!(longest >= ns);
                prop_assert!(longest - ns <= (ns / part).max(1 << UNIT_BITS), "{ns}: {longest}");
            }
        }
    }

    #[test]
    fn room_is_taken_for_what_was_seen() {
        let mut histogram = Histogram::new(Digits::Two);
        // An hour at 100 a second around 20 ms, uniform over 2 ms: buckets there are 131 µs wide.
        for n in 0..360_000u64 {
            histogram.add(19_000_000 + n * 7_919 % 2_000_000);
        }
        assert!(histogram.counts.len() <= 17, "{}", histogram.counts.len());
        assert_eq!(Histogram::new(Digits::Three).quantile(0.5), 0);
    }
}
