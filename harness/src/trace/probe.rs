//! A probe: what became of it at each receiver tunnel, and where in its tree that was.

use mvpnlab_emulator::scenario::LossCause;
use mvpnlab_emulator::truth::journey::phase;
use mvpnlab_emulator::truth::{Fate, Loss, Place, ProbeTruth, Truth, crossing::Crossing};

use super::packet::{Drawing, Happened, Mark, Outcome, Trace};
use super::scene::{Scene, Stream};
use super::text::{duration, moment};
use super::tree::{Tree, Tunnel};
use super::why;

/// A probe of a stream, to all receivers or to one.
pub fn trace(
    scene: &Scene<'_>,
    stream: &Stream,
    sequence: u32,
    receiver: Option<&str>,
) -> Option<Trace> {
    let sent = stream.probe(sequence)?;
    let journey = scene.truth.journey(sent.id);
    let tree = Tree::of(scene.truth, journey.iter());
    let (mut outcomes, mut marks) = (Vec::new(), Vec::new());
    let wanted = |name: &&String| receiver.is_none_or(|only| only == name.as_str());
    for name in stream.receivers.iter().filter(wanted) {
        let pair = scene.pair(stream, name);
        if let Some(probe) = pair.iter().find(|probe| probe.id == sent.id) {
            outcomes.push(outcome(scene, stream, name, probe));
            marks.extend(self::marks(scene, &tree, stream, name, probe));
        }
    }
    let drawing = Drawing {
        scene,
        tree: &tree,
        sent_ns: sent.ns,
        marks: &marks,
        marked_only: receiver.is_some(),
    };
    let way = receiver.map_or(String::new(), |name| format!("/{name}"));
    Some(Trace {
        packet: format!("{}{way}#{sequence}", stream.name()),
        about: about(scene, stream, sent.warmup),
        sent_ns: scene.run_ns(sent.ns),
        hops: drawing.hops(),
        outcomes,
        notes: Vec::new(),
    })
}

fn about(scene: &Scene<'_>, stream: &Stream, warmup: bool) -> String {
    let mut tunnels = scene.truth.tunnels.iter();
    let at = tunnels
        .find(|tunnel| tunnel.name == stream.sender)
        .map_or("?", |tunnel| tunnel.at.as_str());
    let kind = if warmup {
        "a probe that only warms the tree up"
    } else {
        "a probe"
    };
    format!("{kind}, into tunnel {} to {at}", stream.sender)
}

/// In words, with the loss explained.
fn outcome(scene: &Scene<'_>, stream: &Stream, receiver: &str, probe: &ProbeTruth) -> Outcome {
    let after: Vec<i64> = probe
        .arrivals_ns
        .iter()
        .map(|ns| ns.cast_signed() - probe.sent_ns.cast_signed())
        .collect();
    let first = after.first().map(|ns| duration(*ns)).unwrap_or_default();
    let (mut at, mut cause) = (None, None);
    let (fate, words) = match probe.fate {
        Fate::Received => ("received", received(scene, probe, &first)),
        Fate::Late => {
            let timeout = duration(stream.loss_timeout_ns().cast_signed());
            (
                "late",
                format!("came too late, after {first}: a probe counts as lost after {timeout}"),
            )
        }
        Fate::Unfinished => (
            "unfinished",
            "unknown: the observation ends before it counts as lost".into(),
        ),
        Fate::Lost(loss) => {
            let lost = lost(scene, receiver, stream, probe, loss);
            (at, cause) = (lost.at.clone(), lost.cause);
            ("lost", lost.words())
        }
    };
    Outcome {
        receiver: receiver.to_owned(),
        fate,
        arrived_after_sending_ns: after,
        lost_at: at,
        cause,
        words,
    }
}

fn received(scene: &Scene<'_>, probe: &ProbeTruth, first: &str) -> String {
    let at = probe
        .arrivals_ns
        .first()
        .map(|ns| moment(scene.run_ns(*ns)));
    let copies = match probe.duplicates {
        0 => String::new(),
        1 => ", and once more".into(),
        more => format!(", and {more} times more"),
    };
    let order = if probe.reordered {
        ", after a later probe"
    } else {
        ""
    };
    format!(
        "received after {first}, at {}{copies}{order}",
        at.unwrap_or_default()
    )
}

/// A loss in words, in parts.
pub struct Lost {
    /// `on PE2-P towards P`.
    pub place: String,
    /// From the sending until it was seen last; None: it was not seen where it was lost.
    pub after_ns: Option<i64>,
    /// The same place as reports write it: `PE2-P/P` on a link, `P` in a node; None: nobody knows.
    pub at: Option<String>,
    /// Why, in a word.
    pub cause: Option<LossCause>,
    /// Why, in a sentence.
    pub why: String,
}

impl Lost {
    /// As a sentence.
    pub fn words(&self) -> String {
        let after = self
            .after_ns
            .map_or(String::new(), |ns| format!(" after {}", duration(ns)));
        format!("lost {}{after}: {}", self.place, self.why)
    }
}

/// Explains the loss of a probe.
pub fn lost(
    scene: &Scene<'_>,
    receiver: &str,
    stream: &Stream,
    probe: &ProbeTruth,
    loss: Loss,
) -> Lost {
    let journey = scene.truth.journey(probe.id);
    let crossings: Vec<&Crossing> = journey.iter().collect();
    let last = seen_last(scene.truth, &crossings, (&stream.sender, receiver), loss);
    let last = last.map(|at| crossings[at]);
    Lost {
        place: why::place(scene, loss.place),
        after_ns: last
            .map(|last| why::seen_ns(loss, last).cast_signed() - probe.sent_ns.cast_signed()),
        at: Some(scene.truth.place_name(loss.place)),
        cause: loss.cause,
        why: why::reason(scene, loss, last, Some(receiver)),
    }
}

/// The same for one that came, and too late.
pub fn late(stream: &Stream, probe: &ProbeTruth) -> Lost {
    let timeout = duration(stream.loss_timeout_ns().cast_signed());
    Lost {
        place: "too late".into(),
        after_ns: probe.end_to_end_ns().map(u64::cast_signed),
        at: None,
        cause: None,
        why: format!("it came, but a probe counts as lost after {timeout}"),
    }
}

/// The crossing at the end of which a probe was lost: on the loss's lane, in a form that the pair's probes have.
fn seen_last(
    truth: &Truth,
    crossings: &[&Crossing],
    (sender, receiver): (&str, &str),
    loss: Loss,
) -> Option<usize> {
    let tunnel = |name: &str| truth.tunnels.iter().find(|tunnel| tunnel.name == name);
    let (sender, receiver) = (tunnel(sender)?, tunnel(receiver)?);
    let (Place::Wire(lane) | Place::Node(lane)) = loss.place;
    let mut there = (0..crossings.len()).rev().filter(|at| {
        let crossing = crossings[*at];
        crossing.lane == lane && phase(&crossing.decoded, sender, receiver).is_some()
    });
    let ended = |at: &usize| match loss.place {
        Place::Wire(_) => crossings[*at].arrival().is_none(),
        Place::Node(_) => !crossings[*at].exits.is_empty(),
    };
    there.clone().find(ended).or_else(|| there.next())
}

fn marks(
    scene: &Scene<'_>,
    tree: &Tree<'_>,
    stream: &Stream,
    receiver: &str,
    probe: &ProbeTruth,
) -> Vec<Mark> {
    let mark = |node, exit, what| Mark {
        receiver: receiver.to_owned(),
        node,
        exit,
        what,
    };
    if let Fate::Lost(loss) = probe.fate {
        let crossings: Vec<&Crossing> = tree.nodes.iter().map(|node| node.crossing).collect();
        let pair = (stream.sender.as_str(), receiver);
        let at = seen_last(scene.truth, &crossings, pair, loss);
        let why = || lost(scene, receiver, stream, probe, loss).why;
        let stopped = |at: usize| {
            let exit = (!crossings[at].exits.is_empty()).then_some(0);
            mark(at, exit, Happened::Stopped(why()))
        };
        return at.map(stopped).into_iter().collect();
    }
    let down = Some(Tunnel::Down(receiver.to_owned()));
    let is_last = |node: &super::tree::Node<'_>| {
        node.form.tunnel == down
            && Some(scene.truth.lanes.to(node.crossing.lane)) == scene.scenario.monitor_node()
    };
    let arrivals = tree
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| is_last(node));
    arrivals
        .flat_map(|(at, node)| {
            let exits = node.crossing.exits.iter().enumerate();
            let whole = exits.filter(|(_, exit)| probe.arrivals_ns.contains(&exit.ns));
            whole.map(move |(exit, _)| (at, exit))
        })
        .map(|(at, exit)| mark(at, Some(exit), Happened::Arrived))
        .collect()
}
