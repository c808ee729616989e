//! One-way loss: measurements of this monitor, and what it does for those of others.

use super::Session;
use crate::control::{Answer, ErrorCode, Operation, Refusal};
use crate::name::Name;
use crate::oneway::spec::PeerSpec;
use crate::oneway::{PeerFailure, PeerRequest};
use crate::time::Instant;

impl Session {
    /// The next request to a peer.
    pub fn poll_peer(&mut self) -> Option<PeerRequest> {
        self.peers.poll()
    }

    /// What a peer answered, or why it did not.
    pub fn handle_peer_reply(
        &mut self,
        now: Instant,
        peer: &Name,
        id: u64,
        outcome: Result<Answer, PeerFailure>,
    ) {
        let _ = self.peers.handle_reply(now, peer, id, outcome);
    }

    /// Another monitor that may be asked.
    pub(super) fn peer_add(&mut self, spec: PeerSpec) -> Result<(), Refusal> {
        let name = spec.name.clone();
        match self.peers.add(spec) {
            true => Ok(()),
            false => Err(Refusal::new(
                ErrorCode::Exists,
                format!("cannot add peer {name}: there is another of that name"),
                "choose another name, or start the monitor anew with this one",
            )),
        }
    }

    /// Answers what is asked of one-way loss.
    pub(super) fn answer_oneway(
        &mut self,
        _now: Instant,
        operation: Operation,
    ) -> Result<Answer, Refusal> {
        match operation {
            Operation::PeerList => Ok(Answer::Peers {
                peers: self.peers.statuses(),
            }),
            _ => Err(Refusal::new(
                ErrorCode::State,
                "one-way loss is not measured yet",
                "wait for the next version",
            )),
        }
    }
}
