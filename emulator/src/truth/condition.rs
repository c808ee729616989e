//! What was in force when: impairments of lanes and tunnels, wires and nodes that were down.
//!
//! An action takes time; between its beginning and its end either state may hold. So every question has two forms:
//! what *surely* held, and what *possibly* held.

use std::collections::BTreeMap;

use super::{
    lane::{Lane, Lanes},
    timeline::Timeline,
};
use crate::scenario::{Action, GilbertElliott, Impairment, Probability, Scenario};

/// Frames pass an unimpaired wire well within this, however busy the machine is.
pub(super) const SLACK_NS: u64 = 500_000_000;
/// A queue behind a rate, without a limit, is taken to be no longer than this.
const UNLIMITED_QUEUE_NS: u64 = 5_000_000_000;
/// netem's delay tables reach four deviations (32767 / 8192).
const TABLE_REACH: u64 = 4;
const LARGEST_FRAME_BITS: u64 = 1600 * 8;

/// A stretch of time with one impairment.
#[derive(Debug, Clone, PartialEq)]
pub struct Era {
    /// It possibly holds from here.
    pub began_ns: u64,
    /// It surely holds from here …
    pub settled_ns: u64,
    /// … until here.
    pub ending_ns: u64,
    /// It possibly holds until here.
    pub ended_ns: u64,
    /// What.
    pub impairment: Impairment,
}

/// A stretch of time in which a wire or node was down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// Possibly down from here.
    pub began_ns: u64,
    /// Possibly down until here.
    pub ended_ns: u64,
}

/// Probabilities that were asked for; 0 where nothing was.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Shares {
    pub(super) loss: f64,
    pub(super) duplicate: f64,
    pub(super) corrupt: f64,
}

impl Shares {
    pub(super) fn of(asked: &Impairment) -> Self {
        let share = |asked: Option<Probability>| asked.map_or(0.0, |share| share.0);
        Self {
            loss: asked.burst.map_or(share(asked.loss), stationary_loss),
            duplicate: share(asked.duplicate),
            corrupt: share(asked.corrupt),
        }
    }

    fn most(self, other: Self) -> Self {
        Self {
            loss: self.loss.max(other.loss),
            duplicate: self.duplicate.max(other.duplicate),
            corrupt: self.corrupt.max(other.corrupt),
        }
    }
}

/// All conditions of a run.
#[derive(Debug, Clone)]
pub struct Conditions {
    lanes: Vec<Vec<Era>>,
    tunnels: BTreeMap<String, Vec<Era>>,
    wires: Vec<Vec<Outage>>,
    nodes: BTreeMap<String, Vec<Outage>>,
    faults: bool,
}

impl Conditions {
    /// From what was asked for and what was done.
    pub fn of(scenario: &Scenario, timeline: &Timeline, lanes: &Lanes) -> Self {
        let mut this = Self {
            lanes: vec![Vec::new(); lanes.len()],
            tunnels: BTreeMap::new(),
            wires: vec![Vec::new(); lanes.len() / 2],
            nodes: BTreeMap::new(),
            faults: false,
        };
        for (lane, link) in lanes
            .iter()
            .filter_map(|lane| Some((lane, scenario.links.get(usize::from(lane.wire))?)))
        {
            let own = link.impair_to.get(lanes.to(lane)).or(link.impair.as_ref());
            begin(
                &mut this.lanes[lane.index()],
                0,
                timeline.start_ns,
                own.cloned().unwrap_or_default(),
            );
        }
        for impaired in &scenario.tunnel_impairments {
            let eras = this.tunnels.entry(impaired.tunnel.clone()).or_default();
            begin(eras, 0, timeline.start_ns, impaired.impair.clone());
        }
        for done in &timeline.done {
            this.handle(&done.action, done.began_ns, done.monotonic_ns, lanes);
        }
        this
    }

    /// No catch-all: a new action must be thought about here.
    fn handle(&mut self, action: &Action, began_ns: u64, done_ns: u64, lanes: &Lanes) {
        match action {
            Action::ImpairLink { link, to, impair } => {
                for lane in lanes.iter().filter(|lane| is_wire(lanes.wire(*lane), link)) {
                    if to.as_deref().is_none_or(|to| to == lanes.to(lane)) {
                        begin(
                            &mut self.lanes[lane.index()],
                            began_ns,
                            done_ns,
                            impair.clone(),
                        );
                    }
                }
            }
            Action::ImpairTunnel { tunnel, impair } => {
                begin(
                    self.tunnels.entry(tunnel.clone()).or_default(),
                    began_ns,
                    done_ns,
                    impair.clone(),
                );
            }
            Action::LinkDown { link } => {
                self.faults = true;
                self.each_wire(link, lanes, |outages| {
                    outages.push(Outage {
                        began_ns,
                        ended_ns: u64::MAX,
                    })
                });
            }
            Action::LinkUp { link } => self.each_wire(link, lanes, |outages| end(outages, done_ns)),
            Action::NodeKill { node } => {
                self.faults = true;
                let outage = Outage {
                    began_ns,
                    ended_ns: u64::MAX,
                };
                self.nodes.entry(node.clone()).or_default().push(outage);
            }
            Action::NodeRestart { node } => {
                end(self.nodes.entry(node.clone()).or_default(), done_ns)
            }
            Action::TunnelAdd { .. } | Action::TunnelDrop { .. } => self.faults = true,
            Action::MonitorKill {}
            | Action::MonitorRestart {}
            | Action::ClockStep { .. }
            | Action::TaskStart { .. }
            | Action::TaskStop { .. }
            | Action::PeStart { .. }
            | Action::PeStop { .. }
            | Action::RogueJoin { .. }
            | Action::RogueLeave { .. }
            | Action::PeSilent { .. }
            | Action::PeSpeaks { .. }
            | Action::AgentKill { .. }
            | Action::AgentRestart { .. }
            | Action::PeerKill { .. }
            | Action::PeerRestart { .. }
            | Action::Checkpoint {} => {}
        }
    }

    fn each_wire(&mut self, link: &str, lanes: &Lanes, change: impl Fn(&mut Vec<Outage>)) {
        for (wire, outages) in self.wires.iter_mut().enumerate() {
            if is_wire(lanes.wire(Lane::from_index(wire * 2)), link) {
                change(outages);
            }
        }
    }

    /// Links, nodes or tunnels were taken away at some time.
    pub fn has_faults(&self) -> bool {
        self.faults
    }

    /// All eras of a lane in time order.
    pub fn eras(&self, lane: Lane) -> &[Era] {
        &self.lanes[lane.index()]
    }

    /// All eras of a tunnel, router to monitor.
    pub fn tunnel_eras(&self, tunnel: &str) -> &[Era] {
        self.tunnels.get(tunnel).map_or(&[], Vec::as_slice)
    }

    /// Every impairment that possibly held on the lane then.
    pub fn possible(&self, lane: Lane, ns: u64) -> impl Iterator<Item = &Impairment> {
        possible(self.eras(lane), ns)
    }

    /// Every impairment that possibly held on the tunnel then.
    pub fn possible_on_tunnel(&self, tunnel: &str, ns: u64) -> impl Iterator<Item = &Impairment> {
        possible(self.tunnel_eras(tunnel), ns)
    }

    /// When the wire of the lane was possibly down.
    pub fn outages(&self, lane: Lane) -> &[Outage] {
        &self.wires[usize::from(lane.wire)]
    }

    /// The wire was possibly down then.
    pub fn is_wire_down(&self, lane: Lane, ns: u64) -> bool {
        self.outages(lane).iter().any(|outage| outage.holds(ns))
    }

    /// The node was possibly down then.
    pub fn is_node_down(&self, node: &str, ns: u64) -> bool {
        self.node_outages(node)
            .iter()
            .any(|outage| outage.holds(ns))
    }

    /// When the node was possibly down.
    pub fn node_outages(&self, node: &str) -> &[Outage] {
        self.nodes.get(node).map_or(&[], Vec::as_slice)
    }

    /// The shortest that a frame which entered then may stay on this lane.
    pub fn shortest_transit_ns(&self, lane: Lane, ns: u64) -> u64 {
        self.possible(lane, ns)
            .map(shortest_transit_ns)
            .min()
            .unwrap_or(0)
    }

    /// The longest that a frame which entered then is held on this lane, by a machine that is never late.
    pub fn longest_hold_ns(&self, lane: Lane, ns: u64) -> u64 {
        self.possible(lane, ns)
            .map(longest_hold_ns)
            .max()
            .unwrap_or(0)
    }

    /// The most that possibly was asked for then.
    pub(super) fn shares(&self, lane: Lane, ns: u64) -> Shares {
        self.possible(lane, ns)
            .map(Shares::of)
            .fold(Shares::default(), Shares::most)
    }

    /// Then every frame of this lane stayed for the same time: no jitter, no queue, no reordering.
    pub fn keeps_delay(&self, lane: Lane, ns: u64) -> bool {
        let spreads = |impairment: &Impairment| {
            impairment.jitter.is_some() || impairment.rate.is_some() || impairment.reorder.is_some()
        };
        !self.possible(lane, ns).any(spreads)
    }

    /// The longest that a frame may stay on this lane, at any time of the run.
    pub fn longest_transit_ns(&self, lane: Lane) -> u64 {
        self.eras(lane)
            .iter()
            .map(|era| longest_transit_ns(&era.impairment))
            .max()
            .unwrap_or(SLACK_NS)
    }
}

impl Outage {
    /// Then it possibly held.
    pub fn holds(self, ns: u64) -> bool {
        (self.began_ns..=self.ended_ns).contains(&ns)
    }
}

fn shortest_transit_ns(impairment: &Impairment) -> u64 {
    let spread_ns = impairment
        .jitter
        .map_or(0, |jitter| TABLE_REACH * jitter.ns);
    let at_once = impairment.reorder.is_some();
    let delay = impairment.delay.filter(|_| !at_once);
    delay.map_or(0, |delay| delay.ns.saturating_sub(spread_ns))
}

/// The longest that netem may hold a frame, with slack for the machine.
pub fn longest_transit_ns(impairment: &Impairment) -> u64 {
    longest_hold_ns(impairment) + SLACK_NS
}

fn longest_hold_ns(impairment: &Impairment) -> u64 {
    let span = |span: Option<crate::scenario::Span>| span.map_or(0, |span| span.ns);
    let queue_ns = impairment
        .rate
        .map_or(0, |rate| match impairment.queue_packets {
            Some(packets) => {
                (u64::from(packets) * LARGEST_FRAME_BITS).saturating_mul(1_000_000_000)
                    / rate.0.max(1)
            }
            None => UNLIMITED_QUEUE_NS,
        });
    span(impairment.delay) + TABLE_REACH * span(impairment.jitter) + queue_ns
}

/// Long-run loss of the two-state chain.
fn stationary_loss(burst: GilbertElliott) -> f64 {
    let (p, r) = (burst.p.0, burst.r.0);
    let bad = if p + r > 0.0 { p / (p + r) } else { 0.0 };
    bad * burst.bad_loss.0 + (1.0 - bad) * burst.good_loss.0
}

fn possible(eras: &[Era], ns: u64) -> impl Iterator<Item = &Impairment> {
    eras.iter()
        .filter(move |era| (era.began_ns..=era.ended_ns).contains(&ns))
        .map(|era| &era.impairment)
}

fn begin(eras: &mut Vec<Era>, began_ns: u64, settled_ns: u64, impairment: Impairment) {
    if let Some(last) = eras.last_mut() {
        (last.ending_ns, last.ended_ns) = (began_ns, settled_ns);
    }
    eras.push(Era {
        began_ns,
        settled_ns,
        ending_ns: u64::MAX,
        ended_ns: u64::MAX,
        impairment,
    });
}

fn end(outages: &mut [Outage], ns: u64) {
    if let Some(last) = outages.last_mut() {
        last.ended_ns = last.ended_ns.min(ns);
    }
}

/// `PE1-P` and `P-PE1` are the same wire.
fn is_wire(wire: &str, link: &str) -> bool {
    let turned = |name: &str| name.split_once('-').map(|(a, b)| format!("{b}-{a}"));
    wire == link || turned(wire).as_deref() == Some(link)
}
