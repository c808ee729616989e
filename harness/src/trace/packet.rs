//! One packet's trace: every copy over every link, and what became of it at each receiver.

use serde::Serialize;

use mvpnlab_emulator::scenario::{Impairment, LossCause};
use mvpnlab_emulator::truth::crossing::{Crossing, Exit, ExitState};
use mvpnlab_emulator::truth::{Loss, Place};

use super::scene::Scene;
use super::tree::{Form, Tree, Tunnel};
use super::why;

/// Where a packet went. Moments are nanoseconds into the run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trace {
    /// Its name, as it can be asked for.
    pub packet: String,
    /// What it is, in words.
    pub about: String,
    /// It began its way then.
    pub sent_ns: i64,
    /// The links that it went over first.
    pub hops: Vec<Hop>,
    /// What became of it, receiver by receiver.
    pub outcomes: Vec<Outcome>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

/// One copy on one link.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hop {
    /// The link, as the scenario names it.
    pub link: String,
    /// The node that sent it.
    pub from: String,
    /// The node that it went to.
    pub to: String,
    /// How it was wrapped, in words.
    pub form: String,
    /// Length of the frame, without FCS.
    pub frame_bytes: u16,
    /// It entered the link then.
    pub entered_ns: i64,
    /// After the sending of the packet.
    pub entered_after_sending_ns: i64,
    /// From its arrival at the node to here; None at the beginning.
    pub in_node_ns: Option<u64>,
    /// What netem was asked to do to the link then, and to the tunnel that begins before it; empty: nothing.
    pub in_force: String,
    /// It left the link: never, once, or more often.
    pub exits: Vec<Left>,
    /// Why it never left it, if it did not.
    pub lost: Option<String>,
    /// The observation ended before it could have left.
    pub unfinished: bool,
    /// Receivers that missed it by that.
    pub lost_for: Vec<String>,
}

/// A copy leaving a link.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Left {
    /// Then.
    pub left_ns: i64,
    /// After the sending of the packet.
    pub left_after_sending_ns: i64,
    /// Time on the link.
    pub transit_ns: u64,
    /// How it looked.
    pub state: State,
    /// From the second on: the link made this copy.
    pub duplicate: bool,
    /// Receivers that it arrived at.
    pub arrived_at: Vec<String>,
    /// Receivers that it should have gone on to, and did not.
    pub stopped: Vec<Stop>,
    /// Where it went on to.
    pub hops: Vec<Hop>,
}

/// How a frame looked when it left a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it had entered.
    Intact,
    /// A bit was flipped where nobody looks.
    Harmless,
    /// A bit was flipped, and no receiver would take it.
    Damaged,
}

/// A copy that went no further.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stop {
    /// The receiver that missed it.
    pub receiver: String,
    /// Why.
    pub why: String,
}

/// What became of a packet at one receiver.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The receiver: a tunnel, or a customer's.
    pub receiver: String,
    /// `received`, `late`, `lost`, `not-joined` or `unfinished`.
    pub fate: &'static str,
    /// Arrivals of whole copies after the sending of the packet, the first first.
    pub arrived_after_sending_ns: Vec<i64>,
    /// Where it was lost, as reports write it: `PE2-P/P` on a link, `P` in a node.
    pub lost_at: Option<String>,
    /// Why, in a word.
    pub cause: Option<LossCause>,
    /// In words.
    pub words: String,
}

/// Something that happened to a packet at a place of its tree, for a receiver.
#[derive(Debug, Clone)]
pub struct Mark {
    /// The receiver.
    pub receiver: String,
    /// Number of the tree's node.
    pub node: usize,
    /// Which of its exits; None: it had none, or it is the crossing itself that matters.
    pub exit: Option<usize>,
    /// What.
    pub what: Happened,
}

/// What happened there.
#[derive(Debug, Clone)]
pub enum Happened {
    /// It arrived.
    Arrived,
    /// It went no further, and why.
    Stopped(String),
}

/// A tree in the words of the scenario.
pub struct Drawing<'a> {
    /// All that is known.
    pub scene: &'a Scene<'a>,
    /// The packet's copies.
    pub tree: &'a Tree<'a>,
    /// The packet's sending.
    pub sent_ns: u64,
    /// What happened to it.
    pub marks: &'a [Mark],
    /// Only copies on the way to one of the marks.
    pub marked_only: bool,
}

impl Drawing<'_> {
    /// All links from the roots on.
    pub fn hops(&self) -> Vec<Hop> {
        let roots: Vec<usize> = self.tree.roots().collect();
        self.below(&roots)
    }

    fn below(&self, numbers: &[usize]) -> Vec<Hop> {
        let wanted = numbers
            .iter()
            .filter(|at| !self.marked_only || self.is_marked(**at));
        wanted.map(|at| self.hop(*at)).collect()
    }

    fn is_marked(&self, at: usize) -> bool {
        let below = || self.tree.nodes[at].next.iter().flatten();
        self.marks.iter().any(|mark| mark.node == at) || below().any(|next| self.is_marked(*next))
    }

    fn hop(&self, at: usize) -> Hop {
        let node = &self.tree.nodes[at];
        let (crossing, lanes) = (node.crossing, &self.scene.truth.lanes);
        let came = node
            .parent
            .map(|(parent, exit)| &self.tree.nodes[parent].crossing.exits[exit]);
        let stopped = |exit| {
            self.marks
                .iter()
                .filter(move |mark| mark.node == at && mark.exit == exit)
        };
        Hop {
            link: lanes.wire(crossing.lane).into(),
            from: lanes.from(crossing.lane).into(),
            to: lanes.to(crossing.lane).into(),
            form: words(&node.form, crossing),
            frame_bytes: crossing.bytes,
            entered_ns: self.scene.run_ns(crossing.entered_ns),
            entered_after_sending_ns: self.after(crossing.entered_ns),
            in_node_ns: came.map(|exit| crossing.entered_ns.saturating_sub(exit.ns)),
            in_force: self.in_force(at),
            exits: (0..crossing.exits.len())
                .map(|exit| self.left(at, exit))
                .collect(),
            lost: crossing.is_lost().then(|| self.lost(crossing)),
            unfinished: crossing.unfinished && crossing.exits.is_empty(),
            lost_for: stopped(None).map(|mark| mark.receiver.clone()).collect(),
        }
    }

    /// While an action takes effect two states may hold.
    fn in_force(&self, at: usize) -> String {
        let node = &self.tree.nodes[at];
        let (lane, ns) = (node.crossing.lane, node.crossing.entered_ns);
        let conditions = &self.scene.truth.conditions;
        let before = node.parent.map(|(parent, _)| &self.tree.nodes[parent].form);
        let begins = before.is_none_or(|form| form.tunnel != node.form.tunnel);
        let tunnel = match &node.form.tunnel {
            Some(Tunnel::Down(name)) if begins => either(conditions.possible_on_tunnel(name, ns))
                .map(|words| format!("tunnel {name}: {words}")),
            _ => None,
        };
        let link = either(conditions.possible(lane, ns));
        let words: Vec<String> = [link, tunnel].into_iter().flatten().collect();
        words.join("; ")
    }

    fn lost(&self, crossing: &Crossing) -> String {
        let loss = Loss {
            place: Place::Wire(crossing.lane),
            cause: self.scene.truth.wire_cause(crossing),
        };
        why::reason(self.scene, loss, Some(crossing), None)
    }

    fn left(&self, at: usize, number: usize) -> Left {
        let node = &self.tree.nodes[at];
        let exit = &node.crossing.exits[number];
        let mut left = Left {
            left_ns: self.scene.run_ns(exit.ns),
            left_after_sending_ns: self.after(exit.ns),
            transit_ns: exit.ns.saturating_sub(node.crossing.entered_ns),
            state: state(node.crossing, exit),
            duplicate: number > 0,
            arrived_at: Vec::new(),
            stopped: Vec::new(),
            hops: self.below(&node.next[number]),
        };
        for mark in self
            .marks
            .iter()
            .filter(|mark| mark.node == at && mark.exit == Some(number))
        {
            match &mark.what {
                Happened::Arrived => left.arrived_at.push(mark.receiver.clone()),
                Happened::Stopped(why) => left.stopped.push(Stop {
                    receiver: mark.receiver.clone(),
                    why: why.clone(),
                }),
            }
        }
        left
    }

    fn after(&self, ns: u64) -> i64 {
        ns.cast_signed() - self.sent_ns.cast_signed()
    }
}

fn either<'i>(asked: impl Iterator<Item = &'i Impairment>) -> Option<String> {
    let mut words: Vec<String> = asked.map(ToString::to_string).collect();
    words.dedup();
    words.retain(|words| !words.is_empty());
    (!words.is_empty()).then(|| words.join(" or "))
}

fn state(crossing: &Crossing, exit: &Exit) -> State {
    match exit.state {
        ExitState::Intact if crossing.decoded.damage.is_some() => State::Damaged,
        ExitState::Intact => State::Intact,
        ExitState::Harmless => State::Harmless,
        ExitState::Damaged => State::Damaged,
    }
}

/// Outermost first.
fn words(form: &Form, crossing: &Crossing) -> String {
    let decoded = &crossing.decoded;
    let tunnel = form.tunnel.as_ref().map(|tunnel| match tunnel {
        Tunnel::Up(name) | Tunnel::Down(name) => format!("tunnel {name}"),
        Tunnel::Unknown => "unknown tunnel".into(),
    });
    let register = form.register.then(|| "Register".to_owned());
    let mdt = decoded
        .mdt
        .map(|gre| format!("MDT {}", gre.head.destination));
    let native = decoded.ip.map(|ip| ip.destination.to_string());
    let wraps: Vec<String> = [tunnel, register, mdt].into_iter().flatten().collect();
    match (wraps.is_empty(), native) {
        (true, Some(native)) => native,
        (true, None) => "not IPv4".into(),
        (false, _) => wraps.join(", "),
    }
}
