//! What is due when: one time a key, found without looking at all the others.
//!
//! Keys that are due at once come in their own order, whenever each became due, so that what
//! happens at one moment happens in the same order every time.

use std::collections::BTreeSet;
use std::hash::Hash;

use rustc_hash::FxHashMap;

use crate::time::Instant;

/// Keys and when each is due.
#[derive(Debug)]
pub(crate) struct Due<K> {
    times: FxHashMap<K, Instant>,
    waiting: BTreeSet<(Instant, K)>,
    /// Those whose time has come, until they are given another.
    ready: BTreeSet<K>,
}

impl<K: Clone + Ord + Hash> Due<K> {
    /// Nothing is due, ever.
    pub(crate) fn new() -> Due<K> {
        Due {
            times: FxHashMap::default(),
            waiting: BTreeSet::new(),
            ready: BTreeSet::new(),
        }
    }

    /// The key is due then and at no other time; never, if there is none.
    pub(crate) fn set(&mut self, key: &K, at: Option<Instant>) {
        let before = self.times.get(key).copied();
        if before == at && !self.ready.contains(key) {
            return;
        }
        if let Some(before) = before
            && !self.ready.remove(key)
        {
            self.waiting.remove(&(before, key.clone()));
        }
        match at {
            Some(at) => {
                self.times.insert(key.clone(), at);
                self.waiting.insert((at, key.clone()));
            }
            None => {
                self.times.remove(key);
            }
        }
    }

    /// When the first is due; the clock's origin for one that was found due already.
    pub(crate) fn first(&self) -> Option<Instant> {
        match self.ready.is_empty() {
            true => self.waiting.first().map(|(at, _)| *at),
            false => Some(Instant::ZERO),
        }
    }

    /// The first in their own order of those that are due. It stays due until it is given another time.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<K> {
        while let Some((at, _)) = self.waiting.first()
            && *at <= now
        {
            self.ready
                .extend(self.waiting.pop_first().map(|(_, key)| key));
        }
        self.ready.first().cloned()
    }

    /// The one that has been due for longest, for who cannot do all that is due at once; instead of [`Due::poll`].
    pub(crate) fn longest_due(&self, now: Instant) -> Option<K> {
        let (at, key) = self.waiting.first()?;
        (*at <= now).then(|| key.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(ns: u64) -> Instant {
        Instant::from_ns(ns)
    }

    #[test]
    fn who_has_been_due_for_longest_comes_before_its_betters() {
        let mut due = Due::new();
        for (key, ns) in [(3, 5), (1, 9), (2, 7)] {
            due.set(&key, Some(at(ns)));
        }
        assert_eq!(
            (due.longest_due(at(4)), due.longest_due(at(9))),
            (None, Some(3))
        );
        due.set(&3, Some(at(12)));
        assert_eq!(due.longest_due(at(9)), Some(2));
    }

    #[test]
    fn those_due_at_once_come_in_their_own_order() {
        let mut due = Due::new();
        for (key, ns) in [(3, 5), (1, 9), (2, 7), (4, 20)] {
            due.set(&key, Some(at(ns)));
        }
        assert_eq!((due.first(), due.poll(at(4))), (Some(at(5)), None));
        let mut came = Vec::new();
        while let Some(key) = due.poll(at(10)) {
            came.push(key);
            due.set(&key, None);
        }
        assert_eq!((came, due.first()), (vec![1, 2, 3], Some(at(20))));
    }

    #[test]
    fn what_is_not_given_another_time_stays_due() {
        let mut due = Due::new();
        due.set(&1, Some(at(5)));
        assert_eq!((due.poll(at(5)), due.poll(at(5))), (Some(1), Some(1)));
        assert_eq!(due.first(), Some(Instant::ZERO));
        due.set(&1, Some(at(5)));
        assert_eq!(due.first(), Some(at(5)), "due again at the same time");
        due.set(&1, Some(at(6)));
        assert_eq!((due.poll(at(5)), due.poll(at(6))), (None, Some(1)));
    }

    proptest! {
        /// As looking at every key would find it.
        #[test]
        fn the_first_is_found_as_by_looking_at_all(
            steps in prop::collection::vec((0..20u32, prop::option::of(0..50u64), 0..50u64), 1..200)
        ) {
            let (mut due, mut all) = (Due::new(), BTreeMap::new());
            for (key, ns, now) in steps {
                due.set(&key, ns.map(at));
                match ns {
                    Some(ns) => all.insert(key, at(ns)),
                    None => all.remove(&key),
                };
                prop_assert_eq!(due.first(), all.values().min().copied());
                let expected = all.iter().find(|(_, at)| at.as_ns() <= now).map(|(key, _)| *key);
                prop_assert_eq!(due.poll(at(now)), expected);
                if let Some(key) = expected {
                    due.set(&key, None);
                    all.remove(&key);
                }
                // Those found due and not taken are due from the origin on.
                while let Some(key) = due.poll(at(now)) {
                    due.set(&key, None);
                    all.remove(&key);
                }
            }
        }
    }
}
