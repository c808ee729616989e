//! Sets of sequence numbers, kept as ranges: what arrives in order costs one of them.

use std::collections::BTreeMap;

/// A set of numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    /// First to last number; no two ranges touch.
    by_first: BTreeMap<u32, u32>,
}

impl Ranges {
    /// Adds a number. `false` if it was there.
    pub(crate) fn insert(&mut self, number: u32) -> bool {
        let before = self.by_first.range(..=number).next_back();
        let before = before.map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| number <= last) {
            return false;
        }
        let after = number
            .checked_add(1)
            .and_then(|next| self.by_first.remove(&next));
        let last = after.unwrap_or(number);
        match before.filter(|(_, last)| *last + 1 == number) {
            Some((first, _)) => self.by_first.insert(first, last),
            None => self.by_first.insert(number, last),
        };
        true
    }

    /// Adds all of another set.
    pub(crate) fn extend(&mut self, other: &Ranges) {
        for (first, last) in other.iter() {
            self.insert_range(first, last);
        }
    }

    fn insert_range(&mut self, first: u32, last: u32) {
        let mut joined = (first, last);
        let touching = |(other_first, other_last): (&u32, &u32)| {
            let apart =
                *other_last < first.saturating_sub(1) || *other_first > last.saturating_add(1);
            (!apart).then_some((*other_first, *other_last))
        };
        let reach = ..=last.saturating_add(1);
        let touched: Vec<(u32, u32)> = self
            .by_first
            .range(reach)
            .rev()
            .map_while(touching)
            .collect();
        for (other_first, other_last) in touched {
            self.by_first.remove(&other_first);
            joined = (joined.0.min(other_first), joined.1.max(other_last));
        }
        self.by_first.insert(joined.0, joined.1);
    }

    /// Number of ranges.
    pub(crate) fn len(&self) -> usize {
        self.by_first.len()
    }

    /// Whether adding this number would take room.
    pub(crate) fn needs_room(&self, number: u32) -> bool {
        let before = self.by_first.range(..=number).next_back();
        let joins_before = before.is_some_and(|(_, last)| *last >= number.saturating_sub(1));
        let joins_after = number
            .checked_add(1)
            .is_some_and(|next| self.by_first.contains_key(&next));
        !(joins_before || joins_after)
    }

    /// First and last number of each range, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        self.by_first.iter().map(|(first, last)| (*first, *last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn of(numbers: &[u32]) -> Ranges {
        let mut ranges = Ranges::default();
        for number in numbers {
            ranges.insert(*number);
        }
        ranges
    }

    fn shown(ranges: &Ranges) -> Vec<(u32, u32)> {
        ranges.iter().collect()
    }

    #[test]
    fn gaps_close_and_repetitions_are_noticed() {
        let mut ranges = of(&[5, 6, 8, 0, u32::MAX]);
        assert_eq!(
            shown(&ranges),
            [(0, 0), (5, 6), (8, 8), (u32::MAX, u32::MAX)]
        );
        assert!(!ranges.needs_room(7) && !ranges.needs_room(4) && ranges.needs_room(3));
        assert!(ranges.insert(7) && !ranges.insert(7));
        assert_eq!(shown(&ranges), [(0, 0), (5, 8), (u32::MAX, u32::MAX)]);
    }

    /// Against sets of single numbers, for every pair of sets of six numbers.
    #[test]
    fn a_union_is_that_of_the_numbers() {
        let numbers = |bits: u32| (0..6).filter(move |bit| bits & (1 << bit) != 0);
        for (a, b) in (0..64).flat_map(|a| (0..64).map(move |b| (a, b))) {
            let mut union = of(&numbers(a).collect::<Vec<_>>());
            union.extend(&of(&numbers(b).rev_order()));
            let wanted: BTreeSet<u32> = numbers(a | b).collect();
            let found: BTreeSet<u32> = union
                .iter()
                .flat_map(|(first, last)| first..=last)
                .collect();
            assert_eq!(found, wanted);
            let whole = of(&wanted.iter().copied().collect::<Vec<_>>());
            assert_eq!(union, whole, "no two ranges touch");
        }
    }

    trait Reversed {
        fn rev_order(self) -> Vec<u32>;
    }

    impl<I: Iterator<Item = u32>> Reversed for I {
        fn rev_order(self) -> Vec<u32> {
            let mut all: Vec<u32> = self.collect();
            all.reverse();
            all
        }
    }
}
