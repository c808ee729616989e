//! Other monitors: what they are to be asked, and what they answered.

use super::contacts::{Contact, Contacts};
use super::report::PeerStatus;
use super::spec::PeerSpec;
use crate::control::{Answer, Operation, Refusal};
use crate::name::Name;
use crate::time::Span;

/// An answer that takes longer is none. The driver should give up earlier.
pub const PEER_TIMEOUT: Span = Span::from_s(5);

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

/// What a peer said to what it was asked.
pub(crate) type PeerOutcome = Result<Answer, PeerFailure>;

/// All peers, and the requests that are out.
pub(crate) type Peers = Contacts<PeerSpec, Operation>;

impl Contact for PeerSpec {
    const TIMEOUT: Span = PEER_TIMEOUT;

    fn name(&self) -> &Name {
        &self.name
    }
}

impl Peers {
    /// All of them, by name.
    pub(crate) fn statuses(&self) -> Vec<PeerStatus> {
        let status = |(peer, waiting): (&super::contacts::Known<PeerSpec>, u32)| PeerStatus {
            spec: peer.spec.clone(),
            heard_ns: peer.heard,
            failure: peer.failure.clone(),
            waiting,
        };
        self.known().map(status).collect()
    }
}
