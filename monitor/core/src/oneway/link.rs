//! A leaf that a peer serves: asking it to begin, asking what it has, and knowing which probes that covers.
//!
//! Of a probe it is known whether it arrived there if it was sent after the peer had begun (and the time a join takes),
//! and the peer was asked, and answered, after the probe's time was over. What the answers say of drops, of a new run or
//! of an ended lease takes back what they cover.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use super::report::{Collected, CollectedRange, Reflecting};
use super::spec::{CollectSpec, ReflectSpec};
use super::why::Why;
use crate::control::{Answer, ErrorCode, Named, Operation};
use crate::fault::{Fault, Planted};
use crate::name::Name;
use crate::oneway::PeerFailure;
use crate::time::{Instant, Rate, Span};

/// The peer ends its part by itself when it is not asked for so long.
const LEASE: Span = Span::from_s(30);
/// It is asked at least this often, for the lease's sake,
const ASK_EVERY: Span = Span::from_s(5);
/// and no sooner than this after the last time.
const ASK_GAP: Span = Span::from_ms(500);
/// After a failure, the next request waits for so long.
const RETRY: Span = Span::from_s(2);
/// Drivers say what their captures dropped at least this often, and packets come out of captures as late as this.
pub(super) const SETTLING: Span = Span::from_ms(1_200);
/// A peer that says nothing for so long about probes whose time is over says nothing of them any more.
pub(super) const SILENCE_MAX: Span = Span::from_s(10);

/// What the peer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Collects,
    Reflects,
}

/// What all requests of a link share.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) session: u32,
    pub(super) probe_port: u16,
    pub(super) group: Ipv4Addr,
    /// Source of the probes.
    pub(super) sender: Ipv4Addr,
    /// The same, where joins are of single sources.
    pub(super) source: Option<Ipv4Addr>,
    /// Octets of a probe's IPv4 datagram.
    pub(super) datagram_bytes: u64,
    pub(super) loss_timeout: Span,
    pub(super) rate_max: Rate,
    /// Time from a join until its packets come.
    pub(super) warmup: Span,
    pub(super) fault: Planted,
}

/// What a link knows of a block of probes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Coverage {
    Covered,
    NotYet,
    Lost(Why),
}

/// Counts of a reflector: none may shrink, and of two growth is told.
#[derive(Debug, Clone, Copy, Default)]
struct Troubles {
    reflected: u64,
    not_reflected: u64,
    drops: u64,
}

/// Probes of which is not known what became of them, by the time of sending.
#[derive(Debug)]
struct Doubtful {
    from: Instant,
    to: Instant,
    why: Why,
}

/// A leaf at a peer.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: Name,
    pub(super) role: Role,
    tunnel: Name,
    /// What the collection or reflection is called at the peer.
    name: Name,
    terms: Terms,
    /// A request is out.
    asking: bool,
    next_ask: Instant,
    /// When it was asked last.
    asked: Instant,
    /// The peer's own run, once it has begun.
    begun: Option<u32>,
    /// The one before.
    begun_before: Option<u32>,
    cursor: u64,
    troubles: Troubles,
    /// Probes sent from here on are counted there.
    trusted_from: Option<Instant>,
    why_not: Why,
    /// When the last good answer was asked for.
    heard_to: Instant,
    doubtful: VecDeque<Doubtful>,
    /// Source of what is sent again.
    pub(super) source: Option<Ipv4Addr>,
    /// What went wrong last, until it goes right.
    pub(super) failure: Option<String>,
    /// It was refused for good.
    pub(super) refused: Option<String>,
    /// Least of arrival there by its wall clock less sending by our monotonic clock.
    pub(super) least_delay_ns: Option<i64>,
}

impl Link {
    /// Over a tunnel of the peer's; `name` is what it is called there.
    pub(super) fn new(
        (peer, tunnel, role): (&Name, &Name, Role),
        name: Name,
        terms: Terms,
        now: Instant,
    ) -> Link {
        Link {
            peer: peer.clone(),
            role,
            tunnel: tunnel.clone(),
            name,
            terms,
            asking: false,
            next_ask: now,
            asked: now,
            begun: None,
            begun_before: None,
            cursor: 0,
            troubles: Troubles::default(),
            trusted_from: None,
            why_not: Why::NotReady(peer.clone()),
            heard_to: now,
            doubtful: VecDeque::new(),
            source: None,
            failure: None,
            refused: None,
            least_delay_ns: None,
        }
    }

    /// Whether the peer has begun.
    pub(super) fn is_ready(&self) -> bool {
        self.begun.is_some()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        (!self.asking && self.refused.is_none()).then_some(self.next_ask)
    }

    /// What to ask now, if anything.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Operation> {
        self.next_deadline().filter(|at| *at <= now)?;
        self.asking = true;
        self.asked = now;
        self.next_ask = now + ASK_EVERY;
        Some(match (self.role, self.begun) {
            (Role::Collects, Some(_)) => Operation::CollectTake {
                name: self.name.clone(),
                after: self.cursor,
            },
            (Role::Collects, None) => Operation::CollectStart(CollectSpec {
                name: self.name.clone(),
                session: self.terms.session,
                tunnel: self.tunnel.clone(),
                group: self.terms.group,
                source: self.terms.source,
                loss_timeout: self.terms.loss_timeout,
                lease: LEASE,
            }),
            // Said again, it renews the lease.
            (Role::Reflects, _) => Operation::ReflectStart(ReflectSpec {
                name: self.name.clone(),
                session: self.terms.session,
                tunnel: self.tunnel.clone(),
                group: self.terms.group,
                source: self.terms.source,
                rate_max: self.terms.rate_max,
                lease: LEASE,
            }),
        })
    }

    /// Asks as soon as may be.
    pub(super) fn hurry(&mut self, now: Instant) {
        if self.failure.is_none() {
            self.next_ask = self.next_ask.min(now.max(self.asked + ASK_GAP));
        }
    }

    /// What to say at the end, if the peer may still do something.
    pub(super) fn farewell(&self) -> Operation {
        let named = Named {
            name: self.name.clone(),
        };
        match self.role {
            Role::Collects => Operation::CollectStop(named),
            Role::Reflects => Operation::ReflectStop(named),
        }
    }

    /// The peer answered what was asked at `asked`, or did not. Returns what arrived there.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        asked: Instant,
        outcome: Result<Answer, PeerFailure>,
    ) -> Vec<CollectedRange> {
        self.asking = false;
        match outcome {
            Ok(Answer::Collected(collected)) if self.role == Role::Collects => {
                self.handle_collected(now, asked, collected)
            }
            Ok(Answer::Reflecting(reflecting)) if self.role == Role::Reflects => {
                self.handle_reflecting(now, asked, &reflecting);
                Vec::new()
            }
            Ok(_) => {
                let odd = format!("peer {} answered something else than was asked", self.peer);
                self.fail(now, odd);
                Vec::new()
            }
            Err(failure) => {
                self.handle_failure(now, failure);
                Vec::new()
            }
        }
    }

    fn handle_collected(
        &mut self,
        now: Instant,
        asked: Instant,
        collected: Collected,
    ) -> Vec<CollectedRange> {
        if !self.is_same_run(now, asked, collected.session, collected.probe_port) {
            return Vec::new();
        }
        self.cursor = collected.cursor;
        self.least_delay_ns = collected.least_delay_ns;
        let drops_do_not_matter = self.terms.fault.is(Fault::CollectorDropsAsLoss);
        if collected.capture_drops > 0 && !drops_do_not_matter {
            self.doubt(now, Why::PeerDrops(self.peer.clone()));
        }
        if collected.forgotten > 0 {
            self.doubt(now, Why::Forgot(self.peer.clone()));
        }
        self.heard_to = asked;
        collected.ranges
    }

    fn handle_reflecting(&mut self, now: Instant, asked: Instant, reflecting: &Reflecting) {
        if !self.is_same_run(now, asked, reflecting.session, reflecting.probe_port) {
            return;
        }
        self.source = Some(reflecting.source);
        let found = Troubles {
            reflected: reflecting.reflected,
            not_reflected: reflecting.limited.saturating_add(reflecting.unsent),
            drops: reflecting.capture_drops,
        };
        let before = std::mem::replace(&mut self.troubles, found);
        // Fewer than before: the reflection ended and began anew between two requests.
        if found.reflected.saturating_add(found.not_reflected)
            < before.reflected.saturating_add(before.not_reflected)
            || found.drops < before.drops
        {
            self.why_not = Why::Lapsed(self.peer.clone());
            self.trusted_from = Some(now + self.terms.warmup);
        }
        if found.drops > before.drops && !self.terms.fault.is(Fault::CollectorDropsAsLoss) {
            self.doubt(now, Why::PeerDrops(self.peer.clone()));
        }
        if found.not_reflected > before.not_reflected {
            self.doubt(now, Why::NotReflected(self.peer.clone()));
        }
        self.heard_to = asked;
    }

    /// The peer's run, when it is the one that began; otherwise everything begins anew.
    fn is_same_run(&mut self, now: Instant, asked: Instant, session: u32, port: u16) -> bool {
        if port != self.terms.probe_port {
            let ours = self.terms.probe_port;
            self.refused = Some(format!(
                "peer {} looks for probes on UDP port {port}, and they go to {ours}: give both the same probe_port",
                self.peer
            ));
            return false;
        }
        self.failure = None;
        match self.begun {
            Some(begun) if begun == session => true,
            None => {
                if self.begun_before.is_some_and(|before| before != session) {
                    self.why_not = Why::Restarted(self.peer.clone());
                }
                self.begun = Some(session);
                self.trusted_from = Some(now + self.terms.warmup);
                self.heard_to = asked;
                self.troubles = Troubles::default();
                true
            }
            Some(_) => {
                self.lose(now, Why::Restarted(self.peer.clone()));
                false
            }
        }
    }

    fn handle_failure(&mut self, now: Instant, failure: PeerFailure) {
        match failure {
            PeerFailure::Unreachable(why) => self.fail(now, why),
            PeerFailure::Refused(refusal) if self.begun.is_some() => {
                // It does not know its part any more: its lease ended, or it is another run.
                let lapsed = Why::Lapsed(self.peer.clone());
                self.lose(now, lapsed);
                self.failure = Some(format!("peer {} refused: {refusal}", self.peer));
            }
            PeerFailure::Refused(refusal) => {
                let text = format!("peer {} refused: {refusal}", self.peer);
                match refusal.code {
                    // It was right once, so it may be right again: a peer that started anew may not have its tunnels yet.
                    _ if self.begun_before.is_some() => self.fail(now, text),
                    // These may pass by themselves.
                    ErrorCode::State | ErrorCode::InUse | ErrorCode::Limit | ErrorCode::Failed => {
                        self.fail(now, text);
                    }
                    ErrorCode::Malformed
                    | ErrorCode::Invalid
                    | ErrorCode::NotFound
                    | ErrorCode::Exists
                    | ErrorCode::Denied => self.refused = Some(text),
                }
            }
        }
    }

    fn fail(&mut self, now: Instant, why: String) {
        self.failure = Some(why);
        self.next_ask = now + RETRY;
    }

    /// What it had not said yet is gone; it is to begin anew.
    fn lose(&mut self, now: Instant, why: Why) {
        self.begun_before = self.begun.take();
        self.cursor = 0;
        self.trusted_from = None;
        self.why_not = why;
        self.next_ask = now;
    }

    /// Of what was sent since the last good answer (and what was out then) is not known what became of it.
    fn doubt(&mut self, now: Instant, why: Why) {
        let from = self.heard_to - (self.terms.loss_timeout + SETTLING);
        self.doubtful.push_back(Doubtful { from, to: now, why });
    }

    /// What is known of the probes sent from `start` until `end`, whose time is over at `settled`.
    pub(super) fn coverage(
        &mut self,
        (start, end): (Instant, Instant),
        settled: Instant,
        now: Instant,
        patience: Span,
    ) -> Coverage {
        while self
            .doubtful
            .front()
            .is_some_and(|doubtful| doubtful.to < start)
        {
            self.doubtful.pop_front();
        }
        let in_doubt = |d: &&Doubtful| d.from < end && start <= d.to;
        match self.trusted_from {
            Some(from) if from <= start => {}
            Some(_) | None => return Coverage::Lost(self.why_not.clone()),
        }
        if let Some(doubtful) = self.doubtful.iter().find(in_doubt) {
            return Coverage::Lost(doubtful.why.clone());
        }
        if self.heard_to >= settled {
            return Coverage::Covered;
        }
        match now >= settled + patience {
            true => Coverage::Lost(Why::Silent(self.peer.clone())),
            false => Coverage::NotYet,
        }
    }
}
