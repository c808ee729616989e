//! Things by number: found without a search, walked in the order of their numbers.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

/// Numbers below this are places in a table; larger ones, which only an operator chooses, are found by hash.
const TABLE_MAX: u32 = 1 << 16;

/// Things, each under a number of its own.
#[derive(Debug)]
pub(crate) struct Numbered<T> {
    table: Vec<Option<Box<T>>>,
    others: FxHashMap<u32, Box<T>>,
    numbers: BTreeSet<u32>,
}

impl<T> Numbered<T> {
    /// None yet.
    pub(crate) fn new() -> Numbered<T> {
        Numbered {
            table: Vec::new(),
            others: FxHashMap::default(),
            numbers: BTreeSet::new(),
        }
    }

    /// Adds one, in place of what has its number.
    pub(crate) fn insert(&mut self, number: u32, thing: T) {
        self.numbers.insert(number);
        let place = number as usize;
        if number >= TABLE_MAX {
            self.others.insert(number, Box::new(thing));
            return;
        }
        if self.table.len() <= place {
            self.table.resize_with(place + 1, || None);
        }
        self.table[place] = Some(Box::new(thing));
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        self.numbers.remove(&number);
        let thing = match number < TABLE_MAX {
            true => self.table.get_mut(number as usize)?.take(),
            false => self.others.remove(&number),
        };
        thing.map(|thing| *thing)
    }

    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        match number < TABLE_MAX {
            true => self.table.get(number as usize)?.as_deref(),
            false => self.others.get(&number).map(|thing| &**thing),
        }
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        match number < TABLE_MAX {
            true => self.table.get_mut(number as usize)?.as_deref_mut(),
            false => self.others.get_mut(&number).map(|thing| &mut **thing),
        }
    }

    pub(crate) fn contains(&self, number: u32) -> bool {
        self.numbers.contains(&number)
    }

    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The numbers, ascending.
    pub(crate) fn numbers(&self) -> impl DoubleEndedIterator<Item = u32> + Clone {
        self.numbers.iter().copied()
    }

    /// The numbers from this one on, ascending, at most so many.
    pub(crate) fn numbers_from(&self, first: u32, most: usize) -> Vec<u32> {
        self.numbers.range(first..).take(most).copied().collect()
    }

    /// The things, in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.numbers.iter().filter_map(|number| self.get(*number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_number_it_is_found_and_walked_in_order() {
        let mut some = Numbered::new();
        let numbers = [TABLE_MAX, 7, u32::MAX, 0, TABLE_MAX - 1];
        for number in numbers {
            some.insert(number, number);
        }
        assert!(numbers.iter().all(|n| some.get(*n) == Some(n)));
        assert_eq!(
            some.iter().copied().collect::<Vec<_>>(),
            [0, 7, TABLE_MAX - 1, TABLE_MAX, u32::MAX]
        );
        for number in numbers {
            assert_eq!(some.remove(number), Some(number));
            assert_eq!(some.get(number), None);
            assert_eq!(some.remove(number), None);
        }
        assert_eq!((some.len(), some.get(3)), (0, None));
    }
}
