//! Questions and their answers: which packets of a scene are meant, or why there are none.

use serde::Serialize;

use mvpnlab_emulator::scenario::Receiver;

use super::customer::Flow;
use super::lists::{self, Contents, LostPackets};
use super::packet::Trace;
use super::probe;
use super::scene::{Scene, Stream};
use super::what::What;

/// Lost packets in a list, unless all are asked for.
const LISTED: usize = 20;

/// What somebody wants to know.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// About which packets.
    pub what: What,
    /// Only those that were lost.
    pub lost: bool,
    /// However many there are.
    pub all: bool,
}

/// What there is to say.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Counts.
    Contents(Contents),
    /// Losses.
    Lost(LostPackets),
    /// One packet.
    Packet(Trace),
}

/// Names that do not lead to packets. For the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot trace {asked:?}: {found}")]
pub struct NoSuchPacket {
    /// What was asked for.
    asked: String,
    /// What is wrong, and what there is.
    found: String,
}

/// Answers a question from whatever was observed. The views may disagree: the taps are believed then.
pub fn answer(scene: &Scene<'_>, question: &Question) -> Result<Answer, NoSuchPacket> {
    let what = &question.what;
    check(scene, what).map_err(|found| NoSuchPacket {
        asked: what.to_string(),
        found,
    })?;
    let most = if question.all { usize::MAX } else { LISTED };
    Ok(match what.sequence {
        Some(sequence) => {
            Answer::Packet(packet(scene, what, sequence).map_err(|found| NoSuchPacket {
                asked: what.to_string(),
                found,
            })?)
        }
        None if question.lost => Answer::Lost(lists::lost(scene, what, most)),
        None => Answer::Contents(lists::contents(scene, what)),
    })
}

impl What {
    /// Probe streams that are meant.
    pub fn streams<'s>(&'s self, scene: &'s Scene<'_>) -> impl Iterator<Item = &'s Stream> {
        let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|w| w == name);
        scene.streams.iter().filter(move |stream| {
            is(&self.name, &stream.task)
                && is(&self.sender, &stream.sender)
                && self.run.is_none_or(|run| run == stream.run)
        })
    }

    /// Receivers of a stream that are meant.
    pub fn receivers<'s>(&'s self, stream: &'s Stream) -> impl Iterator<Item = &'s String> {
        let wanted = |name: &&String| self.receiver.as_ref().is_none_or(|only| only == *name);
        stream.receivers.iter().filter(wanted)
    }

    /// Customers' flows that are meant.
    pub fn flows<'s>(&'s self, scene: &'s Scene<'s>) -> impl Iterator<Item = Flow<'s>> {
        let is_flow = self.run.is_none() && self.receiver.is_none();
        let flows = scene.flows().filter(move |(_, source)| {
            is_flow && self.name.as_ref().is_none_or(|name| *name == source.name)
        });
        flows.map(|(number, source)| Flow::of(scene, number, source))
    }

    /// Receivers of a flow that are meant: with customers they stand where a task has its senders.
    pub fn customers<'s>(&'s self, flow: &'s Flow<'_>) -> impl Iterator<Item = &'s Receiver> {
        let wanted = |one: &&Receiver| self.sender.as_ref().is_none_or(|only| *only == one.name);
        flow.receivers().filter(wanted)
    }
}

/// Every name that is given is one of this run, from left to right.
fn check(scene: &Scene<'_>, what: &What) -> Result<(), String> {
    let Some(name) = &what.name else {
        return Ok(());
    };
    let sources = || {
        scene
            .scenario
            .sources
            .iter()
            .map(|source| source.name.as_str())
    };
    let mut own = scene
        .streams
        .iter()
        .filter(|stream| stream.task == *name)
        .peekable();
    if own.peek().is_none() {
        if sources().any(|source| source == name) {
            return check_flow(scene, what);
        }
        let tasks = names(scene.streams.iter().map(|stream| stream.task.as_str()));
        return Err(format!(
            "no probes of a task of that name were seen ({tasks} were), and no customers' source has it ({})",
            names(sources())
        ));
    }
    let senders = names(own.clone().map(|stream| stream.sender.as_str()));
    let runs = own.clone().map(|stream| stream.run).max().unwrap_or(1);
    if what.streams(scene).next().is_none() {
        return Err(match what.run {
            Some(run) if run > runs => format!("{name} was started {runs} times"),
            _ => format!("{name} sent no probes into that tunnel; it did into {senders}"),
        });
    }
    let receivers = names(own.flat_map(|stream| &stream.receivers).map(String::as_str));
    match what
        .streams(scene)
        .any(|stream| what.receivers(stream).next().is_some())
    {
        true => Ok(()),
        false => Err(format!(
            "no probes were to come back by that tunnel; the receivers of {name} are {receivers}"
        )),
    }
}

fn check_flow(scene: &Scene<'_>, what: &What) -> Result<(), String> {
    let Some(flow) = what.flows(scene).next() else {
        return Err(
            "a customer's source has neither runs nor tunnels: write SOURCE/RECEIVER#NUMBER".into(),
        );
    };
    match what.sender.is_none() || what.customers(&flow).next().is_some() {
        true => Ok(()),
        false => Err(format!(
            "that is no receiver of its group; there are {}",
            names(flow.receivers().map(|receiver| receiver.name.as_str()))
        )),
    }
}

fn packet(scene: &Scene<'_>, what: &What, sequence: u32) -> Result<Trace, String> {
    let mut streams = what.streams(scene);
    let Some(first) = streams.next() else {
        let flow = what.flows(scene).next().ok_or("there is no such flow")?;
        let receiver = what.sender.as_deref();
        return flow
            .trace(sequence, receiver)
            .ok_or_else(|| range(flow.packets.keys().copied()));
    };
    let all = || what.streams(scene);
    if all().any(|stream| stream.sender != first.sender) {
        let senders = names(all().map(|stream| stream.sender.as_str()));
        return Err(format!(
            "each sender counts its own probes, so name one of {senders}, as in {}#{sequence}",
            first.name()
        ));
    }
    let having: Vec<&Stream> = all()
        .filter(|stream| stream.probe(sequence).is_some())
        .collect();
    let found = having
        .first()
        .and_then(|stream| probe::trace(scene, stream, sequence, what.receiver.as_deref()));
    let mut trace = found.ok_or_else(|| {
        let sent = all().flat_map(|stream| &stream.sent);
        range(
            sent.map(|sent| sent.id.sequence)
                .collect::<Vec<_>>()
                .into_iter(),
        )
    })?;
    let others: Vec<String> = having
        .iter()
        .skip(1)
        .map(|stream| format!("{}#{sequence}", stream.name()))
        .collect();
    if !others.is_empty() {
        trace.notes.push(format!(
            "the task was started anew and counted from 0 again: see also {}",
            others.join(", ")
        ));
    }
    Ok(trace)
}

fn range(sequences: impl Iterator<Item = u32> + Clone) -> String {
    match (sequences.clone().min(), sequences.max()) {
        (Some(first), Some(last)) => {
            format!("none was sent with that number; there are #{first} to #{last}")
        }
        _ => "none was sent".into(),
    }
}

/// Each once, in order of first mention.
fn names<'n>(all: impl Iterator<Item = &'n str>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for name in all {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    match seen.is_empty() {
        true => "none".into(),
        false => seen.join(", "),
    }
}
