//! One group on one tunnel: who wants it, what the router was told, and what is yet to be said.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use vmscope_wire::igmp::RecordType;

use super::{Owner, Record, Refresh, Wanted};
use crate::time::Instant;

/// An answer to a query about this group. No sources: about all of them.
#[derive(Debug)]
struct Answer {
    at: Instant,
    sources: BTreeSet<Ipv4Addr>,
}

/// State of one group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) address: Ipv4Addr,
    owners: BTreeMap<Owner, Wanted>,
    /// The union of what the owners want.
    pub(super) state: Wanted,
    /// Filter mode change records still to be sent (RFC 3376 §5.1).
    mode_changes_left: u8,
    /// Per source, ALLOW or BLOCK records still to be sent.
    source_changes_left: BTreeMap<Ipv4Addr, u8>,
    change_at: Option<Instant>,
    answer: Option<Answer>,
    pub(super) refresh_at: Instant,
    refresh: Refresh,
}

impl Group {
    pub(super) fn new(address: Ipv4Addr, refresh: Refresh) -> Group {
        Group {
            address,
            owners: BTreeMap::new(),
            state: Wanted::nothing(),
            mode_changes_left: 0,
            source_changes_left: BTreeMap::new(),
            change_at: None,
            answer: None,
            refresh_at: Instant::ZERO,
            refresh,
        }
    }

    pub(super) fn wants(&self, owner: &Owner) -> Option<&Wanted> {
        self.owners.get(owner)
    }

    pub(super) fn owners(&self) -> impl Iterator<Item = &Owner> {
        self.owners.keys()
    }

    pub(super) fn owner_names(&self) -> Vec<String> {
        self.owners.keys().map(Owner::to_string).collect()
    }

    pub(super) fn is_joined(&self) -> bool {
        !self.state.is_nothing()
    }

    /// Nobody wants it, and the router has been told often enough.
    pub(super) fn is_forgotten(&self) -> bool {
        !self.is_joined() && self.change_at.is_none()
    }

    /// An owner changes its mind; the router is told at once, and `robustness - 1` times more.
    pub(super) fn set(&mut self, now: Instant, owner: Owner, wanted: Wanted, robustness: u8) {
        if wanted.is_nothing() {
            self.owners.remove(&owner);
        } else {
            self.owners.insert(owner, wanted);
        }
        let new = self.union();
        if new == self.state {
            return;
        }
        let old = std::mem::replace(&mut self.state, new);
        match (&old, &self.state) {
            (Wanted::Sources(a), Wanted::Sources(b)) => {
                for source in a.symmetric_difference(b) {
                    self.source_changes_left.insert(*source, robustness);
                }
            }
            (Wanted::Any, Wanted::Sources(_)) | (Wanted::Sources(_), Wanted::Any) => {
                self.mode_changes_left = robustness;
                self.source_changes_left.clear();
            }
            // Equal states returned above: EXCLUDE here never lists sources.
            (Wanted::Any, Wanted::Any) => {}
        }
        self.change_at = Some(now);
        self.refresh_at = self.refresh.after(now);
    }

    fn union(&self) -> Wanted {
        let mut all = BTreeSet::new();
        for wanted in self.owners.values() {
            match wanted {
                Wanted::Any => return Wanted::Any,
                Wanted::Sources(sources) => all.extend(sources.iter().copied()),
            }
        }
        Wanted::Sources(all)
    }

    pub(super) fn next_deadline(&self, refreshes: bool) -> Option<Instant> {
        let answer = self.answer.as_ref().map(|answer| answer.at);
        let refresh = (refreshes && self.is_joined()).then_some(self.refresh_at);
        [self.change_at, answer, refresh]
            .into_iter()
            .flatten()
            .min()
    }

    /// Unasked reports come at other times from now on, the next one no later than it would have.
    pub(super) fn refresh_by(&mut self, now: Instant, refresh: Refresh) {
        self.refresh = refresh;
        self.refresh_at = self.refresh_at.min(refresh.after(now));
    }

    pub(super) fn change_due(&self, now: Instant) -> bool {
        self.change_at.is_some_and(|at| at <= now)
    }

    /// The state change records to send now (RFC 3376 §5.1); those left follow at `again`.
    pub(super) fn take_change(&mut self, now: Instant, again: Instant) -> Vec<Record> {
        self.refresh_at = self.refresh.after(now);
        let records = if self.mode_changes_left > 0 {
            self.mode_changes_left -= 1;
            let kind = match self.state {
                Wanted::Any => RecordType::ToExclude,
                Wanted::Sources(_) => RecordType::ToInclude,
            };
            vec![self.record(kind, self.state.sources())]
        } else {
            self.take_source_changes()
        };
        let more = self.mode_changes_left > 0 || !self.source_changes_left.is_empty();
        self.change_at = more.then_some(again);
        records
    }

    fn take_source_changes(&mut self) -> Vec<Record> {
        let included = self.state.sources();
        let (allowed, blocked): (Vec<_>, Vec<_>) = self
            .source_changes_left
            .keys()
            .partition(|source| included.binary_search(source).is_ok());
        for left in self.source_changes_left.values_mut() {
            *left -= 1;
        }
        self.source_changes_left.retain(|_, left| *left > 0);
        let both = [(RecordType::Allow, allowed), (RecordType::Block, blocked)];
        let some = both.into_iter().filter(|(_, sources)| !sources.is_empty());
        some.map(|(kind, sources)| self.record(kind, sources))
            .collect()
    }

    /// Merges a query into the pending answer (RFC 3376 §5.2, rules 3 to 5).
    pub(super) fn schedule_answer(&mut self, at: Instant, sources: &[Ipv4Addr]) {
        if !self.is_joined() {
            return;
        }
        let asked: BTreeSet<_> = sources.iter().copied().collect();
        self.answer = Some(match self.answer.take() {
            None => Answer { at, sources: asked },
            Some(pending) if pending.sources.is_empty() || asked.is_empty() => Answer {
                at: pending.at.min(at),
                sources: BTreeSet::new(),
            },
            Some(pending) => Answer {
                at: pending.at.min(at),
                sources: &pending.sources | &asked,
            },
        });
    }

    pub(super) fn cancel_answer(&mut self) {
        self.answer = None;
    }

    pub(super) fn answer_due(&self, now: Instant) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.at <= now)
    }

    /// The current state, as far as it was asked about: nothing if that is empty.
    pub(super) fn take_answer(&mut self, now: Instant) -> Vec<Record> {
        let asked = self
            .answer
            .take()
            .map(|answer| answer.sources)
            .unwrap_or_default();
        if !self.is_joined() {
            return Vec::new();
        }
        if asked.is_empty() {
            return self.report_current(now);
        }
        let sources: Vec<_> = match &self.state {
            Wanted::Any => asked.into_iter().collect(),
            Wanted::Sources(included) => included.intersection(&asked).copied().collect(),
        };
        if sources.is_empty() {
            Vec::new()
        } else {
            vec![self.record(RecordType::IsInclude, sources)]
        }
    }

    pub(super) fn report_current(&mut self, now: Instant) -> Vec<Record> {
        self.refresh_at = self.refresh.after(now);
        let kind = match self.state {
            Wanted::Any => RecordType::IsExclude,
            Wanted::Sources(_) => RecordType::IsInclude,
        };
        vec![self.record(kind, self.state.sources())]
    }

    fn record(&self, kind: RecordType, sources: Vec<Ipv4Addr>) -> Record {
        Record {
            kind,
            group: self.address,
            sources,
        }
    }
}
