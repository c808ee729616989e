//! The control channel between monitors, which may be silent or lie.

use std::net::Ipv4Addr;

use vmscope_core::config::Config;
use vmscope_core::control::*;
use vmscope_core::name::Name;
use vmscope_core::oneway::{PeerFailure, PeerRequest};
use vmscope_core::time::Instant;

use super::{Happening, MS, S, World};

pub(super) const CONTROL_DELAY: u64 = 5 * MS;

/// How a monitor's control channel answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    Up,
    /// What is asked is lost.
    Deaf,
    /// It is heard and done, and the answer is lost.
    Mute,
    /// The answers are whatever hurts.
    Liar,
}

impl World {
    pub(super) fn know_peers(&mut self, host: usize, hosts: usize) {
        let peer = |n: usize| {
            format!(
                "[[peer]]\nname='m{}'\naddress='192.0.2.{}:8471'\ncertificate='m.pem'\ntoken_file='token'\nclock_error='1ms'\n",
                n + 1,
                n + 1
            )
        };
        let toml: String = (0..hosts).filter(|n| *n != host).map(peer).collect();
        let config = Config::from_toml(&toml).unwrap();
        let now = self.at(host);
        self.hosts[host].session.load(now, &config).unwrap();
        // All wall clocks agree.
        let realtime = 5 * S as i64 - self.hosts[host].offset as i64;
        self.hosts[host].session.handle_wall_clock(realtime);
    }

    pub(super) fn peer_asked(&mut self, from: usize, request: PeerRequest) {
        let PeerRequest {
            peer,
            id,
            operation,
        } = request;
        let to = usize::from(peer.as_str().as_bytes()[1] - b'1');
        let channel = self.hosts[to].channel;
        if channel == Channel::Deaf {
            return;
        }
        // As it travels.
        let line = serde_json::to_string(&Request { id, operation }).unwrap();
        let request = Request::read(&line).unwrap();
        if channel == Channel::Liar {
            let outcome = Ok(lie(&request.operation, self.order));
            let reply = Happening::Reply {
                to: from,
                peer,
                id,
                outcome,
            };
            return self.happen(CONTROL_DELAY, reply);
        }
        let now = self.at(to);
        let reply = self.hosts[to].session.handle_request(now, request);
        let outcome = match reply.outcome {
            Outcome::Ok(answer) => {
                let line = serde_json::to_string(&answer).unwrap();
                Ok(serde_json::from_str(&line).unwrap())
            }
            Outcome::Error(refusal) => Err(PeerFailure::Refused(refusal)),
        };
        if channel == Channel::Up {
            self.happen(
                CONTROL_DELAY,
                Happening::Reply {
                    to: from,
                    peer,
                    id,
                    outcome,
                },
            );
        }
    }

    pub(super) fn peer_replied(
        &mut self,
        to: usize,
        peer: &Name,
        id: u64,
        outcome: Result<Answer, PeerFailure>,
    ) {
        let now = self.at(to);
        let session = &mut self.hosts[to].session;
        session.handle_peer_reply(now, peer, id, outcome);
    }
}

/// An answer of the right kind, with figures that no honest peer has.
fn lie(operation: &Operation, turn: u64) -> Answer {
    let odd = [0, 1, 33, u64::MAX / 2, u64::MAX][(turn % 5) as usize];
    let name = Name::new("liar").unwrap();
    match operation {
        Operation::CollectStart(_) | Operation::CollectTake { .. } => {
            let range = |n: u32| CollectedRange {
                task: n % 3,
                tunnel: 1,
                first: n.wrapping_mul(0x9e37_79b9),
                last: odd as u32,
            };
            Answer::Collected(Collected {
                name,
                session: 72,
                probe_port: 33_900,
                at_ns: Instant::from_ns(odd),
                cursor: odd,
                ranges: (0..1_000).map(range).collect(),
                capture_drops: if turn.is_multiple_of(7) { odd } else { 0 },
                forgotten: if turn.is_multiple_of(11) { odd } else { 0 },
                late: odd,
                least_delay_ns: Some(odd as i64),
            })
        }
        Operation::ReflectStart(_) => Answer::Reflecting(Reflecting {
            name,
            session: 72,
            probe_port: 33_900,
            source: Ipv4Addr::BROADCAST,
            reflected: odd,
            limited: odd,
            unsent: odd,
            capture_drops: odd,
        }),
        _ => Answer::Done,
    }
}
