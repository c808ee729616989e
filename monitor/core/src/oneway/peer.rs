//! Other monitors: what they are to be asked, and what they answered.

use std::collections::{BTreeMap, VecDeque};

use super::report::PeerStatus;
use super::spec::PeerSpec;
use crate::control::{Answer, Operation, Refusal};
use crate::name::Name;
use crate::time::{Instant, Span};

/// An answer that takes longer is none. The driver should give up earlier.
pub const PEER_TIMEOUT: Span = Span::from_s(5);
/// Requests that may wait for the driver; beyond, the oldest is forgotten, which counts as no answer.
const WAITING_MAX: usize = 1_024;

/// A request to a peer, for the driver to carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRequest {
    /// Who is asked.
    pub peer: Name,
    /// Returned with the answer.
    pub id: u64,
    /// What is asked.
    pub operation: Operation,
}

/// Why a peer's answer is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerFailure {
    /// It refused.
    #[error("{0}")]
    Refused(Refusal),
    /// It could not be asked, or did not answer: what was attempted, and what was found.
    #[error("{0}")]
    Unreachable(String),
}

/// One peer.
#[derive(Debug)]
struct Peer {
    spec: PeerSpec,
    heard: Option<Instant>,
    failure: Option<String>,
}

/// Whom a request was made for: a run and its leaf; none when nobody waits for the answer.
type Asker = Option<(u32, usize)>;

/// All peers, and the requests that are out.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    peers: BTreeMap<Name, Peer>,
    next_id: u64,
    waiting: VecDeque<PeerRequest>,
    /// What is not answered: peer, asker, when it was asked.
    open: BTreeMap<u64, (Name, Asker, Instant)>,
}

/// What is handed to whoever asked.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) asker: Asker,
    pub(crate) asked: Instant,
    pub(crate) outcome: Result<Answer, PeerFailure>,
}

impl Peers {
    /// Adds a peer; the same once more changes nothing. `false` if another has its name.
    pub(crate) fn add(&mut self, spec: PeerSpec) -> bool {
        let there = self.peers.entry(spec.name.clone()).or_insert(Peer {
            spec: spec.clone(),
            heard: None,
            failure: None,
        });
        there.spec == spec
    }

    pub(crate) fn get(&self, name: &Name) -> Option<&PeerSpec> {
        self.peers.get(name).map(|peer| &peer.spec)
    }

    pub(crate) fn specs(&self) -> impl Iterator<Item = &PeerSpec> {
        self.peers.values().map(|peer| &peer.spec)
    }

    /// All of them, by name.
    pub(crate) fn statuses(&self) -> Vec<PeerStatus> {
        let status = |(name, peer): (&Name, &Peer)| PeerStatus {
            spec: peer.spec.clone(),
            heard_ns: peer.heard,
            failure: peer.failure.clone(),
            waiting: self.open.values().filter(|(peer, ..)| peer == name).count() as u32,
        };
        self.peers.iter().map(status).collect()
    }

    /// Asks.
    pub(crate) fn ask(&mut self, now: Instant, peer: &Name, asker: Asker, operation: Operation) {
        self.next_id += 1;
        let id = self.next_id;
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
        }
        self.open.insert(id, (peer.clone(), asker, now));
        self.waiting.push_back(PeerRequest {
            peer: peer.clone(),
            id,
            operation,
        });
    }

    /// The next request to carry.
    pub(crate) fn poll(&mut self) -> Option<PeerRequest> {
        self.waiting.pop_front()
    }

    /// An answer, or none; `None` if nobody waits for it (any longer).
    pub(crate) fn handle_reply(
        &mut self,
        now: Instant,
        peer: &Name,
        id: u64,
        outcome: Result<Answer, PeerFailure>,
    ) -> Option<Heard> {
        if self.open.get(&id).is_none_or(|(asked, ..)| asked != peer) {
            return None;
        }
        let (_, asker, asked) = self.open.remove(&id)?;
        if let Some(peer) = self.peers.get_mut(peer) {
            match &outcome {
                Ok(_) => (peer.heard, peer.failure) = (Some(now), None),
                Err(failure) => peer.failure = Some(failure.to_string()),
            }
        }
        Some(Heard {
            asker,
            asked,
            outcome,
        })
    }

    /// When the next request has waited too long.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        // Requests are numbered in the order of asking.
        self.open
            .values()
            .next()
            .map(|(.., asked)| *asked + PEER_TIMEOUT)
    }

    /// The next request that has waited too long, as an answer.
    pub(crate) fn poll_overdue(&mut self, now: Instant) -> Option<Heard> {
        let (&id, (peer, ..)) = self.open.first_key_value()?;
        if self.next_deadline().is_none_or(|at| at > now) {
            return None;
        }
        let peer = peer.clone();
        self.waiting.retain(|request| request.id != id);
        let silent = format!("asking peer {peer}: no answer within {PEER_TIMEOUT}");
        self.handle_reply(now, &peer, id, Err(PeerFailure::Unreachable(silent)))
    }
}
