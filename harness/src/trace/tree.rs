//! One packet's crossings as a tree: which copy made which.

use std::collections::BTreeSet;

use mvpnlab_emulator::truth::journey::{is_in_tunnel_down, is_in_tunnel_up};
use mvpnlab_emulator::truth::{Lane, Truth, crossing::Crossing, decode::Decoded};

/// How a packet is wrapped on a wire.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Form {
    /// The monitor's tunnel around all of it.
    pub tunnel: Option<Tunnel>,
    /// In a PIM Register.
    pub register: bool,
    /// On a default MDT.
    pub mdt: bool,
}

/// A tunnel between the monitor and a router, and which way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tunnel {
    /// Monitor to router; the tunnel's name.
    Up(String),
    /// Router to monitor.
    Down(String),
    /// Not one of the scenario's.
    Unknown,
}

impl Form {
    /// Of a frame.
    pub fn of(truth: &Truth, decoded: &Decoded) -> Self {
        let tunnel = decoded.tunnel.map(|_| {
            let up = |tunnel: &&_| is_in_tunnel_up(decoded, tunnel);
            let down = |tunnel: &&_| is_in_tunnel_down(decoded, tunnel);
            let tunnels = || truth.tunnels.iter();
            match (tunnels().find(up), tunnels().find(down)) {
                (Some(tunnel), _) => Tunnel::Up(tunnel.name.clone()),
                (None, Some(tunnel)) => Tunnel::Down(tunnel.name.clone()),
                (None, None) => Tunnel::Unknown,
            }
        });
        Self {
            tunnel,
            register: decoded.register.is_some(),
            mdt: decoded.mdt.is_some(),
        }
    }

    /// It can come out of this node when `before` went in: tunnels begin and end at their own routers only.
    fn can_follow(&self, before: &Self, truth: &Truth, node: &str) -> bool {
        let ends_here = |name: &str| {
            let mut tunnels = truth.tunnels.iter();
            tunnels.any(|tunnel| tunnel.name == name && tunnel.at == node)
        };
        match (&before.tunnel, &self.tunnel) {
            (before, after) if before == after => true,
            (_, Some(Tunnel::Up(_))) | (Some(Tunnel::Down(_)), _) => false,
            (Some(Tunnel::Up(name)), None) => ends_here(name),
            (Some(Tunnel::Up(from)), Some(Tunnel::Down(to))) => ends_here(from) && ends_here(to),
            (None, Some(Tunnel::Down(name))) => ends_here(name),
            (Some(Tunnel::Unknown), _) | (_, Some(Tunnel::Unknown)) => true,
            // The same twice; said above.
            (None, None) => true,
        }
    }
}

/// A crossing, and what came of each of its exits.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    /// The crossing.
    pub crossing: &'a Crossing,
    /// How it was wrapped.
    pub form: Form,
    /// The crossing whose exit it came from, and which exit; None: it began here.
    pub parent: Option<(usize, usize)>,
    /// By exit: the crossings that it led to, in order of entering.
    pub next: Vec<Vec<usize>>,
}

/// All copies of a packet; numbers of nodes are in order of entering.
#[derive(Debug, Clone, Default)]
pub struct Tree<'a> {
    /// All crossings.
    pub nodes: Vec<Node<'a>>,
}

impl<'a> Tree<'a> {
    /// Of the crossings of one packet, in order of entering.
    pub fn of(truth: &Truth, crossings: impl IntoIterator<Item = &'a Crossing>) -> Self {
        let mut tree = Self::default();
        let mut used = BTreeSet::new();
        for crossing in crossings {
            let form = Form::of(truth, &crossing.decoded);
            let onward = |from: (usize, usize)| (from, crossing.lane, form.clone());
            // One arrival makes one copy a link; where there are more copies, another arrival made them.
            let parent = tree
                .parent(truth, crossing, &form, |from| !used.contains(&onward(from)))
                .or_else(|| tree.parent(truth, crossing, &form, |_| true));
            let number = tree.nodes.len();
            if let Some((node, exit)) = parent {
                used.insert(onward((node, exit)));
                tree.nodes[node].next[exit].push(number);
            }
            tree.nodes.push(Node {
                crossing,
                form,
                parent,
                next: vec![Vec::new(); crossing.exits.len()],
            });
        }
        tree
    }

    /// The arrival at the node from which the crossing starts: over the link that came last of those that fit, and of
    /// the copies that this link made the first, as nodes keep order.
    fn parent(
        &self,
        truth: &Truth,
        crossing: &Crossing,
        form: &Form,
        wanted: impl Fn((usize, usize)) -> bool,
    ) -> Option<(usize, usize)> {
        let from = truth.lanes.from(crossing.lane);
        let leads_here = |(_, node): &(usize, &Node<'_>)| {
            truth.lanes.to(node.crossing.lane) == from && form.can_follow(&node.form, truth, from)
        };
        let fitting = |at: usize| {
            let exits = self.nodes[at].crossing.exits.iter().enumerate();
            exits.filter(|(_, left)| left.order < crossing.order)
        };
        let wanted = &wanted;
        let unused = |at: usize| fitting(at).filter(move |(exit, _)| wanted((at, *exit)));
        let arrivals = self.nodes.iter().enumerate().filter(leads_here);
        let latest = arrivals
            .filter_map(|(at, _)| Some((unused(at).map(|(_, left)| left.order).max()?, at)))
            .max();
        let (_, at) = latest?;
        let first = unused(at).next();
        first.map(|(exit, _)| (at, exit))
    }

    /// Where copies began.
    pub fn roots(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|at| self.nodes[*at].parent.is_none())
    }

    /// The hops from a root to this node.
    pub fn way(&self, to: usize) -> Vec<(Lane, Form)> {
        let mut way = Vec::new();
        let mut at = Some(to);
        while let Some(node) = at.map(|at| &self.nodes[at]) {
            way.push((node.crossing.lane, node.form.clone()));
            at = node.parent.map(|(parent, _)| parent);
        }
        way.reverse();
        way
    }
}
