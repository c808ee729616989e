//! Others who are asked and answer, or do not: peers, and the agents of routers.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use crate::name::Name;
use crate::time::{Instant, Span};

/// Requests that may wait for the driver; beyond, the oldest is forgotten, which counts as no answer.
const WAITING_MAX: usize = 1_024;

/// What a kind of contact has.
pub(crate) trait Contact: Clone + PartialEq {
    /// An answer that takes longer is none.
    const TIMEOUT: Span;

    /// What it is called here.
    fn name(&self) -> &Name;
}

/// Whom a request was made for: a run and its leaf; none when nobody waits for the answer.
type Asker = Option<(u32, usize)>;

/// One of them.
#[derive(Debug)]
pub(crate) struct Known<S> {
    pub(crate) spec: S,
    /// When it answered last.
    pub(crate) heard: Option<Instant>,
    /// What went wrong since.
    pub(crate) failure: Option<String>,
}

/// A request, for the driver to carry.
#[derive(Debug)]
pub(crate) struct Asked<Q> {
    pub(crate) name: Name,
    pub(crate) id: u64,
    pub(crate) question: Q,
}

/// What is handed to whoever asked.
#[derive(Debug)]
pub(crate) struct Heard<A> {
    pub(crate) asker: Asker,
    pub(crate) asked: Instant,
    pub(crate) outcome: A,
}

/// All of a kind, and the requests that are out.
#[derive(Debug)]
pub(crate) struct Contacts<S, Q> {
    by_name: BTreeMap<Name, Known<S>>,
    next_id: u64,
    waiting: VecDeque<Asked<Q>>,
    /// What is not answered: who, asker, when it was asked.
    open: BTreeMap<u64, (Name, Asker, Instant)>,
}

impl<S, Q> Default for Contacts<S, Q> {
    fn default() -> Self {
        Contacts {
            by_name: BTreeMap::new(),
            next_id: 0,
            waiting: VecDeque::new(),
            open: BTreeMap::new(),
        }
    }
}

impl<S: Contact, Q> Contacts<S, Q> {
    /// Adds one; the same once more changes nothing. `false` if another has its name.
    pub(crate) fn add(&mut self, spec: S) -> bool {
        let there = self.by_name.entry(spec.name().clone()).or_insert(Known {
            spec: spec.clone(),
            heard: None,
            failure: None,
        });
        there.spec == spec
    }

    pub(crate) fn get(&self, name: &Name) -> Option<&S> {
        self.by_name.get(name).map(|known| &known.spec)
    }

    /// All of them, by name.
    pub(crate) fn specs(&self) -> impl Iterator<Item = &S> {
        self.by_name.values().map(|known| &known.spec)
    }

    /// All of them, by name, and how many requests each has not answered.
    pub(crate) fn known(&self) -> impl Iterator<Item = (&Known<S>, u32)> {
        self.by_name.iter().map(|(name, known)| {
            let waiting = self.open.values().filter(|(asked, ..)| asked == name);
            (known, waiting.count() as u32)
        })
    }

    /// Asks.
    pub(crate) fn ask(&mut self, now: Instant, name: &Name, asker: Asker, question: Q) {
        self.next_id += 1;
        let id = self.next_id;
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
        }
        self.open.insert(id, (name.clone(), asker, now));
        self.waiting.push_back(Asked {
            name: name.clone(),
            id,
            question,
        });
    }

    /// The next request to carry.
    pub(crate) fn poll(&mut self) -> Option<Asked<Q>> {
        self.waiting.pop_front()
    }

    /// What one of them says unasked.
    pub(crate) fn note<A, F: fmt::Display>(
        &mut self,
        now: Instant,
        name: &Name,
        said: &Result<A, F>,
    ) {
        if let Some(known) = self.by_name.get_mut(name) {
            match said {
                Ok(_) => (known.heard, known.failure) = (Some(now), None),
                Err(failure) => known.failure = Some(failure.to_string()),
            }
        }
    }

    /// An answer, or none; `None` if nobody waits for it (any longer).
    pub(crate) fn handle_reply<A, F: fmt::Display>(
        &mut self,
        now: Instant,
        name: &Name,
        id: u64,
        outcome: Result<A, F>,
    ) -> Option<Heard<Result<A, F>>> {
        if self.open.get(&id).is_none_or(|(asked, ..)| asked != name) {
            return None;
        }
        let (_, asker, asked) = self.open.remove(&id)?;
        self.note(now, name, &outcome);
        Some(Heard {
            asker,
            asked,
            outcome,
        })
    }

    /// When the next request has waited too long.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        // Requests are numbered in the order of asking.
        let first = self.open.values().next();
        first.map(|(.., asked)| *asked + S::TIMEOUT)
    }

    /// The next request that has waited too long: who was asked, and its number. It is no longer carried, but still to be
    /// answered.
    pub(crate) fn poll_overdue(&mut self, now: Instant) -> Option<(Name, u64)> {
        self.next_deadline().filter(|at| *at <= now)?;
        let (&id, (name, ..)) = self.open.first_key_value()?;
        self.waiting.retain(|request| request.id != id);
        Some((name.clone(), id))
    }
}
