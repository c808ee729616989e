//! The records of one MVPN: put, repeated, taken back, expired. What changes is handed out, what repeats is counted.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::Ipv4Addr;

use super::record::{Cause, Change, Key, Record, Route, State};
use crate::name::Name;
use crate::time::{Instant, Span};

/// Records kept at most; what is said beyond is counted.
pub const RECORDS_MAX: usize = 4_000_000;

/// How long after a Prune a Join of the same route by the same PE is no wish of its own: others' Joins answer the Prune in
/// that time (RFC 7761 §4.11: J/P_Override_Interval, 3 s).
const OVERRIDE: Span = Span::from_s(3);

/// Entries of ended records that the queue may hold whatever the number of records.
const ENDED_MIN: usize = 1_024;

#[derive(Debug)]
struct Slot {
    record: Record,
    /// When it ends by what its own PE has said.
    said_until: Option<Instant>,
    /// It was said right after its PE had taken it back, and not again.
    is_doubted: bool,
    /// When the queue looks at it: not later than it expires. A repetition moves only the record's own time.
    looked_at: Option<Instant>,
}

/// Records by key, and the changes that wait to be handed out.
#[derive(Debug)]
pub(super) struct Table {
    mvpn: Name,
    slots: BTreeMap<Key, Slot>,
    expiries: BinaryHeap<Reverse<(Instant, Key)>>,
    changes: VecDeque<Change>,
    /// What was taken back of late, and when; the latest last.
    taken_back: BTreeMap<Key, Instant>,
    taken_back_queue: VecDeque<(Instant, Key)>,
    /// Statements that there was no room for.
    pub(super) unlisted: u64,
}

impl Table {
    pub(super) fn new(mvpn: Name) -> Table {
        Table {
            mvpn,
            slots: BTreeMap::new(),
            expiries: BinaryHeap::new(),
            changes: VecDeque::new(),
            taken_back: BTreeMap::new(),
            taken_back_queue: VecDeque::new(),
            unlisted: 0,
        }
    }

    /// A statement: new, changed, or only repeated. It holds until `expires`; `None` means until it is taken back.
    pub(super) fn put(
        &mut self,
        now: Instant,
        key: Key,
        state: State,
        expires: Option<Instant>,
        cause: Cause,
    ) {
        let full = self.slots.len() >= RECORDS_MAX;
        let is_doubted = self.was_taken_back(now, &key);
        let slot = match self.slots.entry(key) {
            Entry::Vacant(_) if full => {
                self.unlisted += 1;
                return;
            }
            Entry::Vacant(vacant) => {
                let record = fresh(now, key, state, expires);
                self.changes
                    .push_back(change(&self.mvpn, now, None, Some(&record), cause));
                vacant.insert(Slot {
                    record,
                    said_until: expires,
                    is_doubted,
                    looked_at: None,
                })
            }
            Entry::Occupied(occupied) => {
                let slot = occupied.into_mut();
                slot.said_until = expires;
                slot.is_doubted = false;
                if slot.record.state == state {
                    slot.record.refreshes += 1;
                    slot.record.refreshed = now;
                    slot.record.expires = expires;
                } else {
                    let record = fresh(now, key, state, expires);
                    let before = std::mem::replace(&mut slot.record, record);
                    let said = change(&self.mvpn, now, Some(before), Some(&slot.record), cause);
                    self.changes.push_back(said);
                }
                slot
            }
        };
        if let Some(at) = expires
            && slot.looked_at.is_none_or(|looked_at| at < looked_at)
        {
            slot.looked_at = Some(at);
            self.expiries.push(Reverse((at, key)));
            self.forget_ended();
        }
    }

    /// What comes and goes leaves an entry in the queue each time: they are cleared away before they outnumber the records.
    fn forget_ended(&mut self) {
        if self.expiries.len() <= 2 * self.slots.len() + ENDED_MIN {
            return;
        }
        let looked_at = |(key, slot): (&Key, &Slot)| slot.looked_at.map(|at| Reverse((at, *key)));
        self.expiries = self.slots.iter().filter_map(looked_at).collect();
    }

    /// Another state of a record that was not said again: no repetition, and its end stays.
    pub(super) fn amend(&mut self, now: Instant, key: Key, state: State) {
        let Some(slot) = self.slots.get(&key) else {
            return;
        };
        if slot.record.state != state {
            let expires = slot.record.expires;
            self.put(now, key, state, expires, Cause::Said);
        }
    }

    /// The record is no longer so.
    pub(super) fn end(&mut self, now: Instant, key: &Key, cause: Cause) {
        if let Some(slot) = self.slots.remove(key) {
            if cause == Cause::TakenBack && matches!(key, Key::Join { .. }) {
                self.note_taken_back(now, *key);
            }
            self.changes
                .push_back(change(&self.mvpn, now, Some(slot.record), None, cause));
        }
    }

    fn note_taken_back(&mut self, now: Instant, key: Key) {
        while let Some((at, old)) = self.taken_back_queue.front().copied()
            && at + OVERRIDE < now
        {
            self.taken_back_queue.pop_front();
            if self.taken_back.get(&old) == Some(&at) {
                self.taken_back.remove(&old);
            }
        }
        self.taken_back.insert(key, now);
        self.taken_back_queue.push_back((now, key));
    }

    fn was_taken_back(&self, now: Instant, key: &Key) -> bool {
        let at = self.taken_back.get(key);
        at.is_some_and(|at| now <= *at + OVERRIDE)
    }

    /// Ends everything.
    pub(super) fn end_all(&mut self, now: Instant, cause: Cause) {
        for (_, slot) in std::mem::take(&mut self.slots) {
            self.changes
                .push_back(change(&self.mvpn, now, Some(slot.record), None, cause));
        }
        self.expiries.clear();
    }

    /// When a record may have to end.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.expiries.peek().map(|Reverse((at, _))| *at)
    }

    /// Ends what was not repeated in time; returns what ended.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Key> {
        let mut ended = Vec::new();
        while let Some(Reverse((at, key))) = self.expiries.peek().copied()
            && at <= now
        {
            self.expiries.pop();
            let is_current = |slot: &&Slot| slot.looked_at == Some(at);
            if self.slots.get(&key).filter(is_current).is_none() {
                continue; // of a record that ended otherwise
            }
            let vouched = self.vouched_until(&key, at);
            let Some(slot) = self.slots.get_mut(&key) else {
                continue;
            };
            slot.record.expires = slot.record.expires.max(vouched);
            slot.looked_at = slot.record.expires;
            match slot.record.expires {
                Some(expires) if expires <= now => {
                    self.end(expires, &key, Cause::Expired);
                    ended.push(key);
                }
                Some(expires) => self.expiries.push(Reverse((expires, key))),
                None => {}
            }
        }
        ended
    }

    /// Until when a route that its PE has ceased to repeat is believed all the same: a PE that hears another ask the same
    /// neighbour for the same route keeps its own Join to itself (RFC 7761 §4.5.4, §4.5.5: "See Join"), and only says Prune
    /// when it no longer wants it. None where nobody else asks, or the PE itself is gone, or has said it only once, right after
    /// a Prune: FRR 8.4 does that when it has left, with the prune of a source off the shared tree. Who is only vouched for
    /// vouches for nobody.
    fn vouched_until(&self, key: &Key, since: Instant) -> Option<Instant> {
        let Key::Join { pe: own, route } = *key else {
            return None;
        };
        // A prune off the shared tree is part of the Join that is held back, and is forgotten upstream too.
        let (Route::Shared { .. } | Route::Source { .. }) = route else {
            return None;
        };
        let own_slot = self.slots.get(key).filter(|slot| !slot.is_doubted)?;
        let State::Join {
            upstream: asked, ..
        } = own_slot.record.state
        else {
            return None;
        };
        self.get(&Key::Neighbor { pe: own })?;
        let first = Key::Neighbor {
            pe: Ipv4Addr::UNSPECIFIED,
        };
        let last = Key::Neighbor {
            pe: Ipv4Addr::BROADCAST,
        };
        self.between(first, last)
            .map(|record| record.key.pe())
            .filter(|pe| *pe != own)
            .filter_map(|pe| self.slots.get(&Key::Join { pe, route }))
            .filter(|slot| matches!(slot.record.state, State::Join { upstream, .. } if upstream == asked))
            .filter_map(|slot| slot.said_until)
            .filter(|until| *until > since)
            .max()
    }

    pub(super) fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Record> {
        self.slots.get(key).map(|slot| &slot.record)
    }

    /// All records, in the order of their keys.
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.slots.values().map(|slot| &slot.record)
    }

    /// The records from one key to another, both included.
    pub(super) fn between(&self, first: Key, last: Key) -> impl Iterator<Item = &Record> {
        self.slots.range(first..=last).map(|(_, slot)| &slot.record)
    }

    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.expiries.len()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}

fn fresh(now: Instant, key: Key, state: State, expires: Option<Instant>) -> Record {
    Record {
        key,
        state,
        since: now,
        refreshed: now,
        refreshes: 0,
        expires,
    }
}

fn change(
    mvpn: &Name,
    at: Instant,
    before: Option<Record>,
    after: Option<&Record>,
    cause: Cause,
) -> Change {
    Change {
        mvpn: mvpn.clone(),
        at,
        before,
        after: after.cloned(),
        cause,
    }
}
