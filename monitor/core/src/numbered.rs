//! Things by number: found by hash, walked in the order of their numbers.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

/// Things, each under a number of its own.
#[derive(Debug)]
pub(crate) struct Numbered<T> {
    things: FxHashMap<u32, Box<T>>,
    numbers: BTreeSet<u32>,
}

impl<T> Numbered<T> {
    /// None yet.
    pub(crate) fn new() -> Numbered<T> {
        Numbered {
            things: FxHashMap::default(),
            numbers: BTreeSet::new(),
        }
    }

    /// Adds one, in place of what has its number.
    pub(crate) fn insert(&mut self, number: u32, thing: T) {
        self.numbers.insert(number);
        self.things.insert(number, Box::new(thing));
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        self.numbers.remove(&number);
        self.things.remove(&number).map(|thing| *thing)
    }

    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.things.get(&number).map(|thing| &**thing)
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.things.get_mut(&number).map(|thing| &mut **thing)
    }

    pub(crate) fn contains(&self, number: u32) -> bool {
        self.things.contains_key(&number)
    }

    pub(crate) fn len(&self) -> usize {
        self.things.len()
    }

    /// The numbers, ascending.
    pub(crate) fn numbers(&self) -> impl DoubleEndedIterator<Item = u32> + Clone {
        self.numbers.iter().copied()
    }

    /// The things, in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.numbers.iter().filter_map(|number| self.get(*number))
    }
}
