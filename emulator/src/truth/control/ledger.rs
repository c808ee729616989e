//! What the messages come to: which PE is there, wants what of whom, and sends what on which data MDT; and when that
//! changes. Of what comes to the monitor alone: nobody can know more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::Utterance;
use super::message::{Hello, JoinPrune, Said, Tree};

/// How long an announced data MDT is believed (RFC 6037 section 7.2: MDT_DATA_TIMEOUT).
const MAPPING_HOLD_NS: u64 = 180_000_000_000;
/// A Join so soon after the same PE's Prune is not believed for longer than it says itself: FRR 8.4 sends one when it has
/// left (RFC 7761 section 4.11: J/P_Override_Interval).
const AFTERTHOUGHT_NS: u64 = 3_000_000_000;
/// A hold time that never ends (RFC 7761 section 4.9.2).
const FOREVER_S: u16 = u16::MAX;

/// What is known of something of one PE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// The PE is there.
    Pe,
    /// It asks for a route: group, and source, or the RP's address for the shared tree.
    Route {
        /// The customer's group.
        group: Ipv4Addr,
        /// Which tree. (S,G,rpt) is there while it is pruned.
        tree: Tree,
        /// The customer's source; none for the shared tree.
        source: Option<Ipv4Addr>,
    },
    /// It sends a stream on a data MDT.
    Mapping {
        /// The customer's source.
        source: Ipv4Addr,
        /// The customer's group.
        group: Ipv4Addr,
    },
}

/// Which way something has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// It has come.
    Came,
    /// It is another.
    Became,
    /// It is gone.
    Went,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Because {
    /// A Hello said so.
    Hello,
    /// A Join/Prune said so.
    JoinPrune,
    /// An MDT Join said so.
    MdtJoin,
    /// Its hold time has passed in silence.
    Silence,
}

/// Something has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// The PE, by its address in the backbone.
    pub pe: Ipv4Addr,
    /// What it is about.
    pub about: About,
    /// How it has changed.
    pub way: Way,
    /// Why.
    pub because: Because,
    /// When: the message left the PE, or so long after the last one left it, nanoseconds.
    pub at_ns: u64,
}

/// All that changes in an MVPN, in order, until the end of the run.
pub fn turns<'a>(
    utterances: impl Iterator<Item = &'a Utterance>,
    mvpn: &str,
    end_ns: u64,
) -> Vec<Turn> {
    let mut heard: Vec<(u64, &Utterance)> = utterances
        .filter(|utterance| utterance.mvpn == mvpn)
        .filter_map(|utterance| Some((utterance.heard_ns?, utterance)))
        .collect();
    heard.sort_by_key(|(heard_ns, _)| *heard_ns);
    let mut ledger = Ledger::default();
    for (heard_ns, utterance) in heard {
        ledger.expire(heard_ns);
        ledger.take(heard_ns, utterance);
    }
    ledger.expire(end_ns);
    ledger.turns
}

/// What was said of something.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Pe(Hello),
    Asked {
        upstream: Ipv4Addr,
        rp: Option<Ipv4Addr>,
    },
    Mapped(Ipv4Addr),
}

/// An end: by the time at which it was heard, and by that at which it had left.
type End = (u64, u64);

#[derive(Debug)]
struct Entry {
    state: State,
    /// By what the PE itself has said.
    said_until: Option<End>,
    /// It was said once, right after a Prune.
    is_afterthought: bool,
    /// All in all.
    ends: Option<End>,
}

#[derive(Debug, Default)]
struct Ledger {
    entries: BTreeMap<(Ipv4Addr, About), Entry>,
    /// Where each PE's messages come from on the MDT.
    addresses: BTreeMap<Ipv4Addr, BTreeSet<Ipv4Addr>>,
    /// When routes were last pruned, by hearing.
    pruned: BTreeMap<(Ipv4Addr, About), u64>,
    turns: Vec<Turn>,
}

/// Who said it, and when.
#[derive(Clone, Copy)]
struct Voice {
    pe: Ipv4Addr,
    left_ns: u64,
    heard_ns: u64,
    because: Because,
}

impl Voice {
    fn until(self, hold_ns: u64) -> Option<End> {
        Some((self.heard_ns + hold_ns, self.left_ns + hold_ns))
    }

    fn until_s(self, hold_s: u16) -> Option<End> {
        match hold_s {
            FOREVER_S => None,
            seconds => self.until(u64::from(seconds) * 1_000_000_000),
        }
    }
}

impl Ledger {
    fn take(&mut self, heard_ns: u64, utterance: &Utterance) {
        let voice = |because| Voice {
            pe: utterance.pe,
            left_ns: utterance.left_ns,
            heard_ns,
            because,
        };
        match &utterance.said {
            Some(Said::Hello(hello)) => self.hello(voice(Because::Hello), utterance.address, hello),
            // RFC 7761 section 4.3.1: from whom no Hello was heard, nothing else is believed.
            Some(Said::JoinPrune(asked)) if self.is_known(utterance) => {
                self.join_prune(voice(Because::JoinPrune), asked)
            }
            Some(Said::MdtJoin(announced)) => {
                let voice = voice(Because::MdtJoin);
                for (stream, p_group) in announced {
                    let about = About::Mapping {
                        source: stream.c_source,
                        group: stream.c_group,
                    };
                    let until = voice.until(MAPPING_HOLD_NS);
                    self.put(voice, about, State::Mapped(*p_group), until);
                }
            }
            Some(Said::JoinPrune(_) | Said::Other { .. }) | None => {}
        }
    }

    fn is_known(&self, utterance: &Utterance) -> bool {
        let addresses = self.addresses.get(&utterance.pe);
        self.entries.contains_key(&(utterance.pe, About::Pe))
            && addresses.is_some_and(|known| known.contains(&utterance.address))
    }

    fn hello(&mut self, voice: Voice, address: Ipv4Addr, hello: &Hello) {
        if hello.hold_s == 0 {
            return self.end(voice, About::Pe);
        }
        let addresses = hello.addresses.iter().copied().chain([address]);
        self.addresses.insert(voice.pe, addresses.collect());
        let until = voice.until_s(hello.hold_s);
        self.put(voice, About::Pe, State::Pe(hello.clone()), until);
    }

    /// RFC 7761 section 4.5.
    fn join_prune(&mut self, voice: Voice, asked: &JoinPrune) {
        for group in &asked.groups {
            let route = |tree, source| About::Route {
                group: group.group,
                tree,
                source,
            };
            // Section 4.5.3: a Join of the shared tree ends what it does not prune again.
            if group.joins.iter().any(|join| join.tree == Tree::Shared) {
                let pruned = |about: &About| {
                    group.prunes.iter().any(|prune| {
                        prune.tree == Tree::SourceOnShared
                            && route(prune.tree, Some(prune.address)) == *about
                    })
                };
                let on_shared = |about: &About| matches!(about, About::Route { group: of, tree: Tree::SourceOnShared, .. } if *of == group.group);
                let ended: Vec<About> = self
                    .entries
                    .keys()
                    .filter(|(pe, about)| *pe == voice.pe && on_shared(about) && !pruned(about))
                    .map(|(_, about)| *about)
                    .collect();
                ended.into_iter().for_each(|about| self.end(voice, about));
            }
            let joins = group.joins.iter().map(|join| (join, true));
            let prunes = group.prunes.iter().map(|prune| (prune, false));
            for (source, is_join) in joins.chain(prunes) {
                let (about, rp) = match source.tree {
                    Tree::Shared => (route(Tree::Shared, None), Some(source.address)),
                    tree => (route(tree, Some(source.address)), None),
                };
                // Of a source on the shared tree it is the prune that is a state.
                let holds = is_join != (source.tree == Tree::SourceOnShared);
                let upstream = asked.upstream;
                if holds {
                    let until = voice.until_s(asked.hold_s);
                    self.put(voice, about, State::Asked { upstream, rp }, until);
                } else if self.is_asked_of(voice.pe, about, upstream) {
                    self.end(voice, about);
                }
            }
        }
    }

    /// A prune towards anybody else is the farewell to a former neighbour.
    fn is_asked_of(&self, pe: Ipv4Addr, about: About, neighbor: Ipv4Addr) -> bool {
        let state = self.entries.get(&(pe, about)).map(|entry| &entry.state);
        matches!(state, Some(State::Asked { upstream, .. }) if *upstream == neighbor)
    }

    fn put(&mut self, voice: Voice, about: About, state: State, ends: Option<End>) {
        let pruned_ns = self.pruned.get(&(voice.pe, about));
        let is_soon = pruned_ns.is_some_and(|ns| voice.heard_ns <= ns + AFTERTHOUGHT_NS);
        let is_new = !self.entries.contains_key(&(voice.pe, about));
        let entry = Entry {
            state,
            said_until: ends,
            is_afterthought: is_new && is_soon,
            ends,
        };
        let before = self.entries.insert((voice.pe, about), entry);
        let now = self
            .entries
            .get(&(voice.pe, about))
            .map(|entry| &entry.state);
        match before.map(|entry| entry.state) {
            None => self.turn(voice, about, Way::Came),
            Some(before) if Some(&before) != now => self.turn(voice, about, Way::Became),
            Some(_) => {}
        }
    }

    fn end(&mut self, voice: Voice, about: About) {
        if self.entries.remove(&(voice.pe, about)).is_some() {
            self.pruned.insert((voice.pe, about), voice.heard_ns);
            self.turn(voice, about, Way::Went);
        }
    }

    fn turn(&mut self, voice: Voice, about: About, way: Way) {
        self.turns.push(Turn {
            pe: voice.pe,
            about,
            way,
            because: voice.because,
            at_ns: voice.left_ns,
        });
    }

    /// Ends what is over by then, the earliest first.
    fn expire(&mut self, now_ns: u64) {
        let over = |(key, entry): (&(Ipv4Addr, About), &Entry)| {
            let end = entry.ends.filter(|(heard_ns, _)| *heard_ns <= now_ns)?;
            Some((end, *key))
        };
        while let Some((end, (pe, about))) = self.entries.iter().filter_map(over).min() {
            if let Some(later) = self.held_back_until(pe, about, end) {
                if let Some(entry) = self.entries.get_mut(&(pe, about)) {
                    entry.ends = Some(later);
                }
                continue;
            }
            self.entries.remove(&(pe, about));
            self.turns.push(Turn {
                pe,
                about,
                way: Way::Went,
                because: Because::Silence,
                at_ns: end.1,
            });
        }
    }

    /// RFC 7761 sections 4.5.4 and 4.5.5: a PE that hears another's Join to its own neighbour holds its own back. So it
    /// still asks as long as anybody else says so, unless it says Prune, or is gone.
    fn held_back_until(&self, pe: Ipv4Addr, about: About, end: End) -> Option<End> {
        let About::Route {
            tree: Tree::Shared | Tree::Source,
            ..
        } = about
        else {
            return None;
        };
        self.entries.get(&(pe, About::Pe))?;
        let neighbor = |state: &State| match state {
            State::Asked { upstream, .. } => Some(*upstream),
            State::Pe(_) | State::Mapped(_) => None,
        };
        let entry = self.entries.get(&(pe, about))?;
        let own = neighbor(&entry.state).filter(|_| !entry.is_afterthought)?;
        self.entries
            .iter()
            .filter(|((other, of), _)| *other != pe && *of == about)
            .filter(|(_, entry)| neighbor(&entry.state) == Some(own))
            .filter_map(|(_, entry)| entry.said_until)
            .filter(|until| until.0 > end.0)
            .max()
    }
}

#[cfg(test)]
mod tests;
