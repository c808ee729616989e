//! How long it takes from a PE's message on the wire, or from its silence, to the monitor's telling somebody.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use mvpnlab_emulator::scenario::Span;
use mvpnlab_emulator::truth::control::ledger::{self, About, Because, Turn, Way};
use mvpnlab_emulator::truth::control::message::Tree;
use vmscope_core::view::{Cause, Change, Key, Record, Route, State};

use super::Finding;
use super::facts::{CLOCK_SLACK_NS, Facts};
use super::judge::Judge;

/// Something of one PE, in order of address.
type Subject = (Ipv4Addr, About);

/// A change that the monitor told of.
struct Told {
    way: Way,
    /// The monitor's own stamp.
    at_ns: u64,
    /// When a client heard it.
    told_ns: u64,
}

/// Whatever the PEs' messages change, and their silence, the monitor tells, in time; and it tells of nothing else.
pub fn appearance(facts: &Facts, mvpn: &str, within: Span, at_least: u64) -> Finding {
    let expected =
        format!("each change is told within {within} of the message, or of its hold time's end");
    let mut judge = Judge::new("appearance", mvpn, expected);
    let of_mvpn = facts.utterances.iter().filter(|said| said.mvpn == mvpn);
    let unread = of_mvpn.clone().filter(|said| said.said.is_none()).count();
    judge.demand(unread == 0, || {
        format!("{unread} messages were captured in part only, or nobody can read them: ask for fewer groups")
    });
    judge.figure("messages", of_mvpn.clone().count());
    judge.figure(
        "unheard",
        of_mvpn
            .clone()
            .filter(|said| said.heard_ns.is_none())
            .count(),
    );
    let mut told = told(facts, mvpn);
    let mut times = Times::default();
    for (subject, turns) in turns(facts, mvpn) {
        let told = told.remove(&subject).unwrap_or_default();
        judge_subject(
            &mut judge,
            facts,
            (subject, within),
            (&turns, &told),
            &mut times,
        );
    }
    for (subject, told) in told {
        let invented = told.iter().map(|told| facts.clock(told.at_ns));
        let invented: Vec<String> = invented.collect();
        judge.offence(|| {
            format!(
                "{}: told of at {}, and nobody said so",
                words(subject),
                invented.join(", ")
            )
        });
    }
    let judged = judge.count();
    judge.demand(judged >= at_least, || {
        format!("only {judged} changes, and {at_least} were to be judged at least")
    });
    times.figures(&mut judge);
    judge.finish()
}

fn turns(facts: &Facts, mvpn: &str) -> BTreeMap<Subject, Vec<Turn>> {
    let all = ledger::turns(facts.utterances.iter(), mvpn, facts.timeline.end_ns);
    let mut by_subject: BTreeMap<Subject, Vec<Turn>> = BTreeMap::new();
    for turn in all {
        by_subject
            .entry((turn.pe, turn.about))
            .or_default()
            .push(turn);
    }
    by_subject
}

fn told(facts: &Facts, mvpn: &str) -> BTreeMap<Subject, Vec<Told>> {
    let mut by_subject: BTreeMap<Subject, Vec<Told>> = BTreeMap::new();
    let of_mvpn = facts
        .claims
        .changes
        .iter()
        .filter(|told| told.what.mvpn.as_str() == mvpn);
    for told in of_mvpn.filter(|told| told.what.cause != Cause::Unwatched) {
        let change = &told.what;
        let record = change.after.as_ref().or(change.before.as_ref());
        let Some(subject) = record.and_then(|record| subject(&record.key)) else {
            continue;
        };
        let way = match (&change.before, &change.after) {
            (None, _) => Way::Came,
            (Some(_), None) => Way::Went,
            (Some(_), Some(_)) if is_election_only(change) => continue,
            (Some(_), Some(_)) => Way::Became,
        };
        by_subject.entry(subject).or_default().push(Told {
            way,
            at_ns: change.at.as_ns(),
            told_ns: told.told_ns,
        });
    }
    by_subject
}

/// What the monitor's key is about; none for what no message of ours says.
fn subject(key: &Key) -> Option<Subject> {
    let about = match *key {
        Key::Neighbor { .. } => About::Pe,
        Key::Join { route, .. } => About::Route {
            group: v4(route.group())?,
            tree: match route {
                Route::Shared { .. } => Tree::Shared,
                Route::Source { .. } => Tree::Source,
                Route::Rpt { .. } => Tree::SourceOnShared,
            },
            source: match route.source() {
                Some(source) => Some(v4(source)?),
                None => None,
            },
        },
        Key::Mapping { source, group, .. } => About::Mapping {
            source: v4(source)?,
            group: v4(group)?,
        },
        Key::Assert { .. } | Key::Rp { .. } | Key::Forwarder { .. } => return None,
    };
    Some((key.pe(), about))
}

/// Only who is the designated router has changed: that no PE says, it follows from all of them.
fn is_election_only(change: &Change) -> bool {
    let but_election = |record: &Option<Record>| match record.as_ref().map(|r| r.state.clone()) {
        Some(State::Neighbor(mut neighbor)) => {
            neighbor.designated_router = false;
            Some(neighbor)
        }
        _ => None,
    };
    let before = but_election(&change.before);
    before.is_some() && before == but_election(&change.after)
}

fn judge_subject(
    judge: &mut Judge,
    facts: &Facts,
    (subject, within): (Subject, Span),
    (turns, told): (&[Turn], &[Told]),
    times: &mut Times,
) {
    // What changes at the very end may be told too late for us.
    let due = |turn: &Turn| turn.at_ns + within.ns < facts.timeline.end_ns;
    let pairs = turns
        .iter()
        .zip(told)
        .take_while(|(turn, told)| turn.way == told.way);
    let matched = pairs.count();
    if told.len() > matched || turns[matched..].iter().any(due) {
        judge.judged(turns.len() as u64);
        let list = |all: &[(Way, u64)]| -> String {
            let all = all
                .iter()
                .map(|(way, ns)| format!("{way:?} at {}", facts.clock(*ns)));
            all.collect::<Vec<_>>().join(", ")
        };
        let said: Vec<_> = turns.iter().map(|turn| (turn.way, turn.at_ns)).collect();
        let heard: Vec<_> = told.iter().map(|told| (told.way, told.at_ns)).collect();
        return judge.offence(|| {
            format!(
                "{}: it {}; the monitor says: {}",
                words(subject),
                list(&said),
                list(&heard)
            )
        });
    }
    for (turn, told) in turns.iter().zip(told) {
        judge.judged(1);
        let window = turn.at_ns.saturating_sub(CLOCK_SLACK_NS)..=turn.at_ns + within.ns;
        times.note(turn, told.told_ns.saturating_sub(turn.at_ns));
        judge.demand(
            window.contains(&told.told_ns) && window.contains(&told.at_ns),
            || {
                format!(
                    "{}: it {:?} at {}; the monitor stamped that {}, and told it at {}",
                    words(subject),
                    turn.way,
                    facts.clock(turn.at_ns),
                    facts.clock(told.at_ns),
                    facts.clock(told.told_ns)
                )
            },
        );
    }
}

fn words((pe, about): Subject) -> String {
    let source = |source: Option<Ipv4Addr>| source.map_or("*".into(), |source| source.to_string());
    match about {
        About::Pe => format!("PE {pe}"),
        About::Route {
            group,
            tree: Tree::SourceOnShared,
            source: of,
        } => {
            format!("({},{group},rpt) of PE {pe}", source(of))
        }
        About::Route {
            group, source: of, ..
        } => format!("({},{group}) of PE {pe}", source(of)),
        About::Mapping { source, group } => format!("data MDT of ({source},{group}) of PE {pe}"),
    }
}

fn v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// Times from event to telling, by what carried it, nanoseconds.
#[derive(Default)]
struct Times(BTreeMap<Because, Vec<u64>>);

impl Times {
    fn note(&mut self, turn: &Turn, ns: u64) {
        self.0.entry(turn.because).or_default().push(ns);
    }

    /// How many, the median and the longest, of each.
    fn figures(self, judge: &mut Judge) {
        for (because, mut times) in self.0 {
            let name = match because {
                Because::Hello => "hello",
                Because::JoinPrune => "join-prune",
                Because::MdtJoin => "mdt-join",
                Because::Silence => "silence",
            };
            times.sort_unstable();
            judge.figure(&format!("{name}_events"), times.len());
            judge.figure(&format!("{name}_median_ns"), times[times.len() / 2]);
            judge.figure(&format!("{name}_max_ns"), times[times.len() - 1]);
        }
    }
}
