//! One MVPN: what is expected of it, and as much of what was heard as that needs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use super::judge::{asked, judge};
use super::kind::Kind;
use super::rules::Rules;
use super::subject::{Found, Subject};
use crate::name::Name;
use crate::time::{Instant, Span};
use crate::view::{Cause, Change, Key, Neighbor, Record, State};

/// Addresses believed of one PE; a VRF has one on the MDT, and few more (RFC 7761 §4.3.4).
const ADDRESSES_MAX: usize = 16;
/// Any address of a family comes after it.
const LEAST: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What a change means for alarms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// One record more says so.
    Hold(Subject, Found),
    /// One less.
    Release(Subject),
    /// It is so, or is not.
    Set(Subject, bool),
    /// It has happened.
    Happen(Subject),
    /// What follows from this PE's being missing, or from the MVPN's silence, is to be looked at anew.
    Cover(Option<Ipv4Addr>),
}

#[derive(Debug)]
pub struct Watch {
    mvpn: Name,
    /// Since when the monitor has listened; none while it does not.
    listening: Option<Instant>,
    /// Since when it has heard anything, silence being over; a PE may take a Hello period longer than another.
    hearing: Instant,
    pub rules: Option<Rules>,
    /// PEs heard.
    neighbors: u64,
    /// Of those that must be there.
    present: BTreeSet<Ipv4Addr>,
    /// Addresses on the MDT of PEs that are held to what they may send.
    addresses: BTreeSet<(IpAddr, Ipv4Addr)>,
    /// How many records ask this neighbour for a source of this group.
    asked: BTreeMap<(IpAddr, IpAddr), u32>,
    asked_max: usize,
    /// Some of that was not noted, for want of room: what is may be counted too low, until all is told anew.
    asked_missed: bool,
    /// Something was not taken note of, for want of room.
    pub stale: bool,
}

impl Watch {
    pub fn new(mvpn: Name, asked_max: usize) -> Watch {
        Watch {
            mvpn,
            listening: None,
            hearing: Instant::ZERO,
            rules: None,
            neighbors: 0,
            present: BTreeSet::new(),
            addresses: BTreeSet::new(),
            asked: BTreeMap::new(),
            asked_max,
            asked_missed: false,
            stale: false,
        }
    }

    pub fn is_listening(&self) -> bool {
        self.listening.is_some()
    }

    /// Nothing is known, and nothing expected or heard.
    pub fn is_idle(&self) -> bool {
        self.listening.is_none() && self.rules.is_none()
    }

    pub fn listen(&mut self, now: Instant) {
        if self.listening.is_none() {
            self.listening = Some(now);
            self.hearing = now;
        }
    }

    pub fn stop_listening(&mut self) {
        self.listening = None;
        self.forget();
    }

    fn forget(&mut self) {
        self.neighbors = 0;
        self.present.clear();
        self.addresses.clear();
        self.asked.clear();
        self.asked_missed = false;
        self.stale = false;
    }

    /// How long from `now` what is absent cannot be missed yet.
    pub fn grace(&self, now: Instant, listen_first: Span) -> Span {
        (self.hearing + listen_first).since(now)
    }

    /// PEs are expected, and none is heard.
    pub fn is_silent(&self) -> bool {
        let expects = |rules: &Rules| !rules.required.is_empty();
        self.is_listening() && self.neighbors == 0 && self.rules.as_ref().is_some_and(expects)
    }

    pub fn is_missing(&self, pe: Ipv4Addr) -> bool {
        let expects = |rules: &Rules| rules.required.contains(&pe);
        self.is_listening()
            && self.rules.as_ref().is_some_and(expects)
            && !self.present.contains(&pe)
    }

    /// All that was heard is to be told anew: every record by [`Watch::handle_record`], then [`Watch::absences`].
    pub fn begin_anew(&mut self) {
        self.forget();
    }

    /// A record of the view, of one that is told anew.
    pub fn handle_record(&mut self, record: &Record, effects: &mut Vec<Effect>) {
        if self.is_listening() && self.rules.is_some() {
            self.note(None, Some(record), effects);
        }
    }

    /// What ought to be there and is not.
    pub fn absences(&self) -> Vec<Subject> {
        let Some(rules) = &self.rules else {
            return Vec::new();
        };
        let silent = Subject::of_mvpn(Kind::MvpnSilent, &self.mvpn);
        let missing = rules.required.iter().filter(|pe| self.is_missing(**pe));
        let missing = missing.map(|pe| Subject::of_pe(Kind::PeMissing, &self.mvpn, *pe));
        self.is_silent()
            .then_some(silent)
            .into_iter()
            .chain(missing)
            .collect()
    }

    pub fn handle_change(&mut self, change: &Change, effects: &mut Vec<Effect>) {
        let (before, after) = (change.before.as_ref(), change.after.as_ref());
        let Some(record) = after.or(before) else {
            return;
        };
        if let (Key::Neighbor { pe }, Cause::Restarted, Some(_)) = (record.key, change.cause, after)
        {
            let subject = Subject::of_pe(Kind::PeRestarted, &self.mvpn, pe);
            effects.push(Effect::Happen(subject));
        }
        if self.rules.is_none() {
            return;
        }
        let was_silent = self.is_silent();
        self.note(before, after, effects);
        if let Key::Neighbor { pe } = record.key {
            self.note_absence(change.at, pe, was_silent, effects);
        }
    }

    /// A PE has come or gone.
    fn note_absence(
        &mut self,
        now: Instant,
        pe: Ipv4Addr,
        was_silent: bool,
        effects: &mut Vec<Effect>,
    ) {
        let silent = self.is_silent();
        if was_silent && !silent {
            self.hearing = now;
        }
        if self
            .rules
            .as_ref()
            .is_some_and(|rules| rules.required.contains(&pe))
        {
            let missing = Subject::of_pe(Kind::PeMissing, &self.mvpn, pe);
            effects.push(Effect::Set(missing, self.is_missing(pe)));
            effects.push(Effect::Cover(Some(pe)));
        }
        if was_silent != silent {
            let subject = Subject::of_mvpn(Kind::MvpnSilent, &self.mvpn);
            effects.push(Effect::Set(subject, silent));
            effects.push(Effect::Cover(None));
        }
    }

    /// A record takes the place of another. What both say does not fall in between.
    fn note(&mut self, before: Option<&Record>, after: Option<&Record>, effects: &mut Vec<Effect>) {
        self.note_neighbor(before, after, effects);
        if let Some(rules) = &self.rules {
            let mvpn = &self.mvpn;
            if let Some(Record { key, state, .. }) = after {
                let mut hold = |subject, found| effects.push(Effect::Hold(subject, found));
                judge(mvpn, rules, key, state, &mut hold);
            }
            if let Some(Record { key, state, .. }) = before {
                let mut release = |subject, _| effects.push(Effect::Release(subject));
                judge(mvpn, rules, key, state, &mut release);
            }
        }
        let asks = |record: Option<&Record>| record.and_then(|r| asked(&r.key, &r.state));
        let (asked_before, asked_after) = (asks(before), asks(after));
        if asked_before == asked_after {
            return;
        }
        if let Some((upstream, group)) = asked_after {
            self.ask(upstream, group, effects);
        }
        if let Some((upstream, group)) = asked_before {
            self.cease_asking(upstream, group, effects);
        }
    }

    fn ask(&mut self, upstream: IpAddr, group: IpAddr, effects: &mut Vec<Effect>) {
        if !self
            .rules
            .as_ref()
            .is_some_and(|rules| rules.checks_sending)
        {
            return;
        }
        let full = self.asked.len() >= self.asked_max;
        match self.asked.get_mut(&(upstream, group)) {
            Some(times) => *times += 1,
            None if full => self.asked_missed = true,
            None => {
                self.asked.insert((upstream, group), 1);
                self.at(upstream, group, |subject| {
                    effects.push(Effect::Hold(subject, Found::Asked(upstream)));
                });
            }
        }
    }

    fn cease_asking(&mut self, upstream: IpAddr, group: IpAddr, effects: &mut Vec<Effect>) {
        let Some(times) = self.asked.get_mut(&(upstream, group)) else {
            return;
        };
        *times -= 1;
        if *times == 0 {
            self.asked.remove(&(upstream, group));
            // Not before there is room, or it would be told anew for ever.
            if self.asked_missed && self.asked.len() <= self.asked_max / 2 {
                self.stale = true;
            }
            self.at(upstream, group, |subject| {
                effects.push(Effect::Release(subject))
            });
        }
    }

    /// The PEs with this address of which the group may not be asked.
    fn at(&self, upstream: IpAddr, group: IpAddr, mut visit: impl FnMut(Subject)) {
        let of_upstream = self
            .addresses
            .range((upstream, Ipv4Addr::UNSPECIFIED)..)
            .take_while(|(address, _)| *address == upstream);
        for &(_, pe) in of_upstream {
            if let Some(subject) = self.must_not_be_asked(pe, group) {
                visit(subject);
            }
        }
    }

    fn must_not_be_asked(&self, pe: Ipv4Addr, group: IpAddr) -> Option<Subject> {
        let rules = self.rules.as_ref()?;
        let wrong = !rules.is_group_unexpected(group) && rules.may_not_send(pe, group);
        wrong.then(|| Subject::of_group(Kind::SendNotAllowed, &self.mvpn, pe, group))
    }

    fn note_neighbor(
        &mut self,
        before: Option<&Record>,
        after: Option<&Record>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(Record {
            key: Key::Neighbor { pe },
            ..
        }) = after.or(before)
        else {
            return;
        };
        let pe = *pe;
        self.neighbors += u64::from(after.is_some());
        self.neighbors = self.neighbors.saturating_sub(u64::from(before.is_some()));
        let Some(rules) = &self.rules else { return };
        if rules.required.contains(&pe) {
            match after {
                Some(_) => self.present.insert(pe),
                None => self.present.remove(&pe),
            };
        }
        if rules.pe(pe).is_none_or(|rules| rules.send.is_none()) {
            return;
        }
        let (before, after) = (addresses(before), addresses(after));
        for &address in after.difference(&before) {
            self.addresses.insert((address, pe));
            self.asked_of(address, pe, |subject| {
                effects.push(Effect::Hold(subject, Found::Asked(address)));
            });
        }
        for &address in before.difference(&after) {
            self.addresses.remove(&(address, pe));
            self.asked_of(address, pe, |subject| {
                effects.push(Effect::Release(subject))
            });
        }
    }

    /// What this PE is asked for at this address, and may not be.
    fn asked_of(&self, address: IpAddr, pe: Ipv4Addr, mut visit: impl FnMut(Subject)) {
        let of_address = self
            .asked
            .range((address, LEAST)..)
            .take_while(|((upstream, _), _)| *upstream == address);
        for (&(_, group), _) in of_address {
            if let Some(subject) = self.must_not_be_asked(pe, group) {
                visit(subject);
            }
        }
    }
}

fn addresses(record: Option<&Record>) -> BTreeSet<IpAddr> {
    match record.map(|record| &record.state) {
        Some(State::Neighbor(Neighbor {
            address, addresses, ..
        })) => std::iter::once(*address)
            .chain(addresses.iter().copied().take(ADDRESSES_MAX))
            .collect(),
        Some(
            State::Join { .. }
            | State::Assert { .. }
            | State::Mapping { .. }
            | State::Rp { .. }
            | State::Forwarder { .. },
        )
        | None => BTreeSet::new(),
    }
}
