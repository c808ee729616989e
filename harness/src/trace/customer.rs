//! A customer's packet: what became of it at each receiver of its group, and where that was.
//!
//! Where a packet should have gone is known from the nearest packets of its flow that did arrive, as for probes.

use std::collections::BTreeMap;

use mvpnlab_emulator::scenario::{LossCause, Receiver, Source};
use mvpnlab_emulator::truth::{Lane, Loss, Place, crossing::Crossing};

use super::packet::{Drawing, Happened, Mark, Outcome, Trace};
use super::probe::Lost;
use super::scene::Scene;
use super::text::{duration, moment};
use super::tree::{Form, Tree};
use super::why;

/// Packets of a customer's source.
pub struct Flow<'a> {
    scene: &'a Scene<'a>,
    /// The source.
    pub source: &'a Source,
    /// By sequence number, crossings in order of entering.
    pub packets: BTreeMap<u32, Vec<&'a Crossing>>,
}

/// What became of one packet at one receiver.
pub enum Fate {
    /// It came, at these times.
    Received(Vec<u64>),
    /// The receiver was no member when it was sent.
    NotJoined,
    /// It did not come; None: nor did any other, so nobody knows the way.
    Lost(Option<(Loss, usize)>),
    /// The observation ended while it was on its way.
    Unfinished,
}

impl<'a> Flow<'a> {
    /// The flow of a source.
    pub fn of(scene: &'a Scene<'a>, number: u32, source: &'a Source) -> Self {
        Self {
            scene,
            source,
            packets: scene.packets(number),
        }
    }

    /// Receivers of its group at other nodes, of the same customer: others may use the same group.
    pub fn receivers(&self) -> impl Iterator<Item = &'a Receiver> + '_ {
        let source = self.source;
        let hears = |receiver: &&Receiver| {
            let from = receiver.source.as_deref();
            from.is_none_or(|from| from == source.name || from == source.at)
        };
        let customer = self.scene.customer_of(&source.at);
        let there = self.scene.scenario.receivers.iter();
        there
            .filter(|receiver| receiver.group == source.group && receiver.at != source.at)
            .filter(hears)
            .filter(move |receiver| self.scene.customer_of(&receiver.at) == customer)
    }

    /// When a packet entered its first link.
    pub fn sent_ns(&self, sequence: u32) -> Option<u64> {
        self.packets
            .get(&sequence)?
            .first()
            .map(|first| first.entered_ns)
    }

    /// What became of a packet.
    pub fn fate(&self, sequence: u32, receiver: &Receiver) -> Fate {
        let crossings = self.packets.get(&sequence).map_or(&[][..], Vec::as_slice);
        let arrivals = self.arrivals(crossings, receiver);
        let sent_ns = self.sent_ns(sequence).unwrap_or_default();
        let run_ns = self.scene.run_ns(sent_ns);
        let until = self.scene.scenario.until(receiver.stop);
        let member = receiver.start.ns.cast_signed()..until.ns.cast_signed();
        if !arrivals.is_empty() {
            Fate::Received(arrivals)
        } else if !member.contains(&run_ns) {
            Fate::NotJoined
        } else if crossings.iter().any(|crossing| crossing.unfinished) {
            Fate::Unfinished
        } else {
            Fate::Lost(self.loss(sequence, receiver))
        }
    }

    fn arrivals(&self, crossings: &[&Crossing], receiver: &Receiver) -> Vec<u64> {
        let there = crossings
            .iter()
            .filter(|crossing| self.is_last(crossing, receiver));
        there
            .flat_map(|crossing| crossing.whole_exits().map(|exit| exit.ns))
            .collect()
    }

    /// Plain, into the receiver's node.
    fn is_last(&self, crossing: &Crossing, receiver: &Receiver) -> bool {
        let decoded = &crossing.decoded;
        let plain = decoded.tunnel.is_none() && decoded.register.is_none() && decoded.mdt.is_none();
        plain && self.scene.truth.lanes.to(crossing.lane) == receiver.at
    }

    /// Of the ways that its neighbours went, where the packet left the one that it followed furthest.
    fn loss(&self, sequence: u32, receiver: &Receiver) -> Option<(Loss, usize)> {
        let tree = self.tree(sequence);
        let before = self
            .packets
            .range(..sequence)
            .rev()
            .map(|(other, _)| *other);
        let after = self.packets.range(sequence..).map(|(other, _)| *other);
        let ways = [self.way(before, receiver), self.way(after, receiver)];
        let ends = ways
            .into_iter()
            .flatten()
            .filter_map(|way| self.follow(&tree, &way));
        let (_, loss, at) = ends.max_by_key(|(hops, ..)| *hops)?;
        Some((loss, at))
    }

    /// The way of the first of these packets that arrived.
    fn way(
        &self,
        mut others: impl Iterator<Item = u32>,
        receiver: &Receiver,
    ) -> Option<Vec<(Lane, Form)>> {
        let arrived = |other: &u32| !self.arrivals(&self.packets[other], receiver).is_empty();
        let tree = self.tree(others.find(arrived)?);
        let is_last = |node: &super::tree::Node<'_>| {
            self.is_last(node.crossing, receiver) && node.crossing.arrival().is_some()
        };
        Some(tree.way(tree.nodes.iter().position(is_last)?))
    }

    /// How many hops it followed the way, its loss, and the tree's node where it was seen last.
    fn follow(&self, tree: &Tree<'_>, way: &[(Lane, Form)]) -> Option<(usize, Loss, usize)> {
        let mut last = None;
        for (hops, (lane, form)) in way.iter().enumerate() {
            let is_there =
                |node: &super::tree::Node<'_>| node.crossing.lane == *lane && node.form == *form;
            let there = || (0..tree.nodes.len()).filter(|at| is_there(&tree.nodes[*at]));
            let left = there().find(|at| !tree.nodes[*at].crossing.exits.is_empty());
            match (left.or_else(|| there().next()), last) {
                (Some(at), _) if tree.nodes[at].crossing.exits.is_empty() => {
                    let cause = self.scene.truth.wire_cause(tree.nodes[at].crossing);
                    let place = Place::Wire(*lane);
                    return Some((hops, Loss { place, cause }, at));
                }
                (Some(at), _) => last = Some(at),
                (None, Some(at)) => {
                    let loss = self.lost_in_node(tree.nodes[at].crossing, *lane);
                    return Some((hops, loss, at));
                }
                (None, None) => return None,
            }
        }
        // All the way, and not received: damaged.
        let at = last?;
        let place = Place::Wire(tree.nodes[at].crossing.lane);
        let cause = Some(LossCause::Corruption);
        Some((way.len(), Loss { place, cause }, at))
    }

    fn lost_in_node(&self, last: &Crossing, next: Lane) -> Loss {
        let truth = self.scene.truth;
        let damaged = last.arrival().is_none();
        let arrived_ns = last.exits.first().map_or(last.entered_ns, |exit| exit.ns);
        let routed = last.decoded.mdt.map(|gre| gre.head).or(last.decoded.ip);
        let cause = if damaged {
            LossCause::Corruption
        } else if truth
            .conditions
            .is_node_down(truth.lanes.to(last.lane), arrived_ns)
        {
            LossCause::NodeDown
        } else if truth.conditions.is_wire_down(next, arrived_ns) {
            LossCause::LinkDown
        } else if routed.is_some_and(|head| head.ttl <= 1) {
            LossCause::Ttl
        } else {
            LossCause::NoRoute
        };
        let place = if damaged {
            Place::Wire(last.lane)
        } else {
            Place::Node(last.lane)
        };
        Loss {
            place,
            cause: Some(cause),
        }
    }

    fn tree(&self, sequence: u32) -> Tree<'a> {
        let crossings = self.packets.get(&sequence).map_or(&[][..], Vec::as_slice);
        Tree::of(self.scene.truth, crossings.iter().copied())
    }

    /// A loss in words.
    pub fn lost(&self, sequence: u32, loss: Option<(Loss, usize)>) -> Lost {
        let Some((loss, at)) = loss else {
            return Lost {
                place: "somewhere".into(),
                after_ns: None,
                at: None,
                cause: None,
                why: "no packet of the flow ever came, so the way there is not known; see where the copies end".into(),
            };
        };
        let last = self
            .packets
            .get(&sequence)
            .and_then(|crossings| crossings.get(at))
            .copied();
        let sent_ns = self.sent_ns(sequence).unwrap_or_default();
        Lost {
            place: why::place(self.scene, loss.place),
            after_ns: last
                .map(|last| why::seen_ns(loss, last).cast_signed() - sent_ns.cast_signed()),
            at: Some(self.scene.truth.place_name(loss.place)),
            cause: loss.cause,
            why: why::reason(self.scene, loss, last, None),
        }
    }

    /// A packet, to all receivers or to one.
    pub fn trace(&self, sequence: u32, receiver: Option<&str>) -> Option<Trace> {
        let sent_ns = self.sent_ns(sequence)?;
        let tree = self.tree(sequence);
        let (mut outcomes, mut marks) = (Vec::new(), Vec::new());
        let wanted = |one: &&Receiver| receiver.is_none_or(|only| only == one.name);
        for receiver in self.receivers().filter(wanted) {
            let fate = self.fate(sequence, receiver);
            outcomes.push(self.outcome(sequence, receiver, &fate));
            marks.extend(self.marks(&tree, sequence, receiver, &fate));
        }
        let drawing = Drawing {
            scene: self.scene,
            tree: &tree,
            sent_ns,
            marks: &marks,
            marked_only: receiver.is_some(),
        };
        let to = receiver.map_or(String::new(), |name| format!("/{name}"));
        Some(Trace {
            packet: format!("{}{to}#{sequence}", self.source.name),
            about: format!(
                "a customer's packet, from {} to {}",
                self.source.at, self.source.group
            ),
            sent_ns: self.scene.run_ns(sent_ns),
            hops: drawing.hops(),
            outcomes,
            notes: Vec::new(),
        })
    }

    fn outcome(&self, sequence: u32, receiver: &Receiver, fate: &Fate) -> Outcome {
        let sent_ns = self.sent_ns(sequence).unwrap_or_default();
        let mut after = Vec::new();
        let (mut at, mut cause) = (None, None);
        let (fate, words) = match fate {
            Fate::Received(arrivals) => {
                after.extend(
                    arrivals
                        .iter()
                        .map(|ns| ns.cast_signed() - sent_ns.cast_signed()),
                );
                let at = arrivals.first().map(|ns| moment(self.scene.run_ns(*ns)));
                let first = after.first().map(|ns| duration(*ns)).unwrap_or_default();
                let copies = if arrivals.len() > 1 {
                    format!(", and {} times more", arrivals.len() - 1)
                } else {
                    String::new()
                };
                let words = format!(
                    "came to {} after {first}, at {}{copies}",
                    receiver.at,
                    at.unwrap_or_default()
                );
                ("received", words)
            }
            Fate::NotJoined => (
                "not-joined",
                "not to be expected: it was no member of the group then".into(),
            ),
            Fate::Unfinished => (
                "unfinished",
                "unknown: the observation ends while it is on its way".into(),
            ),
            Fate::Lost(loss) => {
                let lost = self.lost(sequence, *loss);
                (at, cause) = (lost.at.clone(), lost.cause);
                ("lost", lost.words())
            }
        };
        Outcome {
            receiver: receiver.name.clone(),
            fate,
            arrived_after_sending_ns: after,
            lost_at: at,
            cause,
            words,
        }
    }

    fn marks(&self, tree: &Tree<'_>, sequence: u32, receiver: &Receiver, fate: &Fate) -> Vec<Mark> {
        let mark = |node, exit, what| Mark {
            receiver: receiver.name.clone(),
            node,
            exit,
            what,
        };
        match fate {
            Fate::Lost(Some((loss, at))) => {
                let exit = (!tree.nodes[*at].crossing.exits.is_empty()).then_some(0);
                let why = self.lost(sequence, Some((*loss, *at))).why;
                vec![mark(*at, exit, Happened::Stopped(why))]
            }
            Fate::Received(arrivals) => {
                let nodes = tree.nodes.iter().enumerate();
                let there = nodes.filter(|(_, node)| self.is_last(node.crossing, receiver));
                let exits = there.flat_map(|(at, node)| {
                    let exits = node.crossing.exits.iter().enumerate();
                    exits.map(move |(number, exit)| (at, number, exit.ns))
                });
                exits
                    .filter(|(_, _, ns)| arrivals.contains(ns))
                    .map(|(at, number, _)| mark(at, Some(number), Happened::Arrived))
                    .collect()
            }
            Fate::Lost(None) | Fate::NotJoined | Fate::Unfinished => Vec::new(),
        }
    }
}
