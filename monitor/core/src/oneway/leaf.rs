//! A leaf: where another copy of each probe goes, and who knows how many arrived.

use super::counter::Counter;
use super::link::{Coverage, Link, Role, Terms};
use super::spec::{AgentSpec, LeafSpec};
use crate::control::Operation;
use crate::counters::Question;
use crate::name::Name;
use crate::time::{Instant, Span};

/// One of the two kinds.
#[derive(Debug)]
pub(super) enum Leaf {
    /// A peer, which knows single probes (A, C).
    Peer(Box<Link>),
    /// A router's counter, which knows sums (B).
    Counter(Box<Counter>),
}

/// Who is asked what.
#[derive(Debug)]
pub(crate) enum Asking {
    Peer(Name, Box<Operation>),
    Agent(Name, Question),
}

impl Leaf {
    /// `name` is what its part is called at a peer; `agent` reads the counter.
    pub(super) fn new(
        leaf: &LeafSpec,
        name: Name,
        agent: Option<&AgentSpec>,
        terms: &Terms,
        now: Instant,
    ) -> Option<Leaf> {
        let peers = |ends| Leaf::Peer(Box::new(Link::new(ends, name, terms.clone(), now)));
        Some(match leaf {
            LeafSpec::Collector { peer, tunnel } => peers((peer, tunnel, Role::Collects)),
            LeafSpec::Reflector { peer, tunnel } => peers((peer, tunnel, Role::Reflects)),
            LeafSpec::Counters {
                counter, aggregate, ..
            } => {
                let counter = Counter::new(agent?, counter, *aggregate, terms, now)?;
                Leaf::Counter(Box::new(counter))
            }
        })
    }

    pub(super) fn peer(&self) -> Option<&Link> {
        match self {
            Leaf::Peer(link) => Some(link),
            Leaf::Counter(_) => None,
        }
    }

    pub(super) fn peer_mut(&mut self) -> Option<&mut Link> {
        match self {
            Leaf::Peer(link) => Some(link),
            Leaf::Counter(_) => None,
        }
    }

    pub(super) fn counter(&self) -> Option<&Counter> {
        match self {
            Leaf::Peer(_) => None,
            Leaf::Counter(counter) => Some(counter),
        }
    }

    pub(super) fn counter_mut(&mut self) -> Option<&mut Counter> {
        match self {
            Leaf::Peer(_) => None,
            Leaf::Counter(counter) => Some(counter),
        }
    }

    /// The peer, or the agent.
    pub(super) fn who(&self) -> &Name {
        match self {
            Leaf::Peer(link) => &link.peer,
            Leaf::Counter(counter) => &counter.agent,
        }
    }

    /// Whether probes may begin.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Leaf::Peer(link) => link.is_ready(),
            Leaf::Counter(counter) => counter.is_ready(),
        }
    }

    /// Whether it waits for nothing that only it knows of.
    pub(super) fn is_settled(&self) -> bool {
        match self {
            // What a peer has not said, blocks wait for.
            Leaf::Peer(_) => true,
            Leaf::Counter(counter) => counter.is_settled(),
        }
    }

    /// What went wrong last, until it goes right.
    pub(super) fn failure(&self) -> Option<&String> {
        match self {
            Leaf::Peer(link) => link.failure.as_ref(),
            Leaf::Counter(counter) => counter.failure.as_ref(),
        }
    }

    /// Why it was refused for good.
    pub(super) fn refused(&self) -> Option<&String> {
        self.peer().and_then(|link| link.refused.as_ref())
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self {
            Leaf::Peer(link) => link.next_deadline(),
            Leaf::Counter(counter) => counter.next_deadline(),
        }
    }

    /// What to ask now, if anything.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Asking> {
        match self {
            Leaf::Peer(link) => {
                let operation = link.poll(now)?;
                Some(Asking::Peer(link.peer.clone(), Box::new(operation)))
            }
            Leaf::Counter(counter) => {
                let question = counter.poll(now)?;
                Some(Asking::Agent(counter.agent.clone(), question))
            }
        }
    }

    /// What to say at the end, if whoever serves it may still do something.
    pub(super) fn farewell(&self) -> Option<Asking> {
        let link = self.peer()?;
        Some(Asking::Peer(link.peer.clone(), Box::new(link.farewell())))
    }

    /// What is known of the single probes sent from `start` until `end`, whose time is over at `settled`.
    pub(super) fn coverage(
        &mut self,
        block: (Instant, Instant),
        settled: Instant,
        now: Instant,
        patience: Span,
    ) -> Coverage {
        match self {
            Leaf::Peer(link) => link.coverage(block, settled, now, patience),
            // It knows of none, and needs none: its aggregates are waited for at the end.
            Leaf::Counter(_) => Coverage::Covered,
        }
    }

    /// Asks as soon as may be.
    pub(super) fn hurry(&mut self, now: Instant) {
        match self {
            Leaf::Peer(link) => link.hurry(now),
            Leaf::Counter(_) => {}
        }
    }
}
