//! What this monitor does for others' one-way measurements: collecting and reflecting, on lease.

use std::net::Ipv4Addr;

use super::ending::Ending;
use super::transmit::Transmit;
use super::{Purpose, Session};
use crate::control::{Answer, CollectSpec, ErrorCode, Named, Operation, ReflectSpec, Refusal};
use crate::membership::{Owner, Wanted};
use crate::name::Name;
use crate::oneway::{Host, REFLECTED_RATE_MAX};
use crate::packet::{ProbeHeader, ProbeShape, Seen, build_probe, destination};
use crate::time::{Instant, Span};

const LEASE_MIN: Span = Span::from_s(1);
const LEASE_MAX: Span = Span::from_s(3_600);
/// Packets to be sent again that may wait for the driver.
const REFLECTIONS_WAITING_MAX: usize = 4_096;

impl Session {
    /// Answers what a peer asks.
    pub(super) fn answer_peer(
        &mut self,
        now: Instant,
        operation: Operation,
    ) -> Result<Answer, Refusal> {
        match operation {
            Operation::CollectStart(spec) => self.collect_start(now, spec),
            Operation::CollectTake { name, after } => {
                let host = self.host();
                let collected = self.oneway.collector.take(now, &name, Some(after), host)?;
                Ok(Answer::Collected(collected))
            }
            Operation::CollectStop(Named { name }) => {
                let collection = self.oneway.collector.stop(&name)?;
                self.leave_for_peer(now, collection.tunnel, name, collection.spec.group);
                Ok(Answer::Done)
            }
            Operation::ReflectStart(spec) => self.reflect_start(now, spec),
            Operation::ReflectStop(Named { name }) => {
                let reflection = self.oneway.reflector.stop(&name)?;
                self.leave_for_peer(now, reflection.tunnel, name, reflection.spec.group);
                Ok(Answer::Done)
            }
            other => Err(Refusal::new(
                ErrorCode::Invalid,
                format!("this is not about one-way loss: {other:?}"),
                "ask for something else",
            )),
        }
    }

    fn host(&self) -> Host {
        Host {
            session: self.options.session,
            probe_port: self.options.probe_port,
            drops: self.drops.total,
            realtime_minus_monotonic_ns: self.oneway.realtime_minus_monotonic_ns,
        }
    }

    fn collect_start(&mut self, now: Instant, spec: CollectSpec) -> Result<Answer, Refusal> {
        let what = format!("collect for {}", spec.name);
        let tunnel = self.check_help(&what, &spec.tunnel, spec.group, spec.source, spec.lease)?;
        let name = spec.name.clone();
        if self.oneway.collector.is_new(&spec)? {
            self.join_for_peer(now, tunnel, &name, spec.group, spec.source);
            self.oneway
                .collector
                .start(now, spec, tunnel, self.drops.total);
        }
        let host = self.host();
        let collected = self.oneway.collector.take(now, &name, None, host)?;
        Ok(Answer::Collected(collected))
    }

    fn reflect_start(&mut self, now: Instant, spec: ReflectSpec) -> Result<Answer, Refusal> {
        let what = format!("reflect for {}", spec.name);
        if spec.rate_max.as_millipps() == 0 || spec.rate_max > REFLECTED_RATE_MAX {
            let message = format!("cannot {what}: rate_max {} is out of range", spec.rate_max);
            let remedy = format!("use more than 0pps, at most {REFLECTED_RATE_MAX}");
            return Err(Refusal::new(ErrorCode::Invalid, message, remedy));
        }
        let tunnel = self.check_help(&what, &spec.tunnel, spec.group, spec.source, spec.lease)?;
        let name = spec.name.clone();
        if self.oneway.reflector.is_new(&spec, tunnel)? {
            self.check_spare(&what, tunnel)?;
            self.join_for_peer(now, tunnel, &name, spec.group, spec.source);
            let of = self.tunnels.get(tunnel);
            let source = of.map_or(Ipv4Addr::UNSPECIFIED, |tunnel| tunnel.spec.inner_local);
            let drops = self.drops.total;
            self.oneway
                .reflector
                .start(now, spec, (tunnel, source), drops);
            self.spare.forget_own();
        }
        let host = self.host();
        let reflecting = self.oneway.reflector.renew(now, &name, host);
        reflecting.map(Answer::Reflecting).ok_or_else(|| {
            Refusal::new(
                ErrorCode::Failed,
                format!("cannot {what}: it is gone"),
                "try again",
            )
        })
    }

    /// Refuses what cannot work. Returns the tunnel's number.
    fn check_help(
        &self,
        what: &str,
        tunnel: &Name,
        group: Ipv4Addr,
        source: Option<Ipv4Addr>,
        lease: Span,
    ) -> Result<u32, Refusal> {
        if self.ending != Ending::No {
            let message = format!("cannot {what}: the monitor is shutting down");
            return Err(Refusal::new(ErrorCode::State, message, "start it again"));
        }
        if !(LEASE_MIN..=LEASE_MAX).contains(&lease) {
            let message = format!("cannot {what}: lease {lease} is out of range");
            let remedy = format!("use {LEASE_MIN} to {LEASE_MAX}");
            return Err(Refusal::new(ErrorCode::Invalid, message, remedy));
        }
        let id = self.tunnels.find(tunnel)?;
        self.check_join(id, group, source.as_slice())?;
        Ok(id)
    }

    fn join_for_peer(
        &mut self,
        now: Instant,
        tunnel: u32,
        name: &Name,
        group: Ipv4Addr,
        source: Option<Ipv4Addr>,
    ) {
        let owner = Owner::Peer(name.clone());
        let wanted = Wanted::from_list(source.as_slice());
        self.set_membership(now, tunnel, owner, group, wanted);
    }

    fn leave_for_peer(&mut self, now: Instant, tunnel: u32, name: Name, group: Ipv4Addr) {
        self.set_membership(now, tunnel, Owner::Peer(name), group, Wanted::nothing());
    }

    /// Ends what nobody has asked about for too long.
    pub(super) fn end_leases(&mut self, now: Instant) {
        self.end_help(now, false);
    }

    /// Ends what is over; everything, if `all`.
    pub(super) fn end_help(&mut self, now: Instant, all: bool) {
        while let Some(over) = self.oneway.collector.poll_over(now, all) {
            self.leave_for_peer(now, over.tunnel, over.spec.name, over.spec.group);
        }
        while let Some(over) = self.oneway.reflector.poll_over(now, all) {
            self.leave_for_peer(now, over.tunnel, over.spec.name, over.spec.group);
        }
    }

    /// Whom of the peers this tunnel serves.
    pub(super) fn helps_over(&self, tunnel: u32) -> Option<String> {
        let collector = self.oneway.collector.uses(tunnel);
        let reflector = self.oneway.reflector.uses(tunnel);
        collector
            .map(|name| format!("collection {name}"))
            .or_else(|| reflector.map(|name| format!("reflection {name}")))
    }

    /// A copy of another monitor's probe. `false` if nobody wants to know.
    pub(super) fn handle_foreign_probe(
        &mut self,
        (now, stamp): (Instant, Instant),
        tunnel: u32,
        probe: &ProbeHeader,
        seen: &Seen<'_>,
    ) -> bool {
        let collected = self
            .oneway
            .collector
            .handle_copy(stamp, tunnel, seen.dst, probe);
        let (wanted, again) = self
            .oneway
            .reflector
            .handle_copy(stamp, tunnel, seen.dst, probe);
        if let Some(number) = again {
            self.reflect(now, tunnel, number, probe, seen);
        }
        collected || wanted
    }

    /// Sends a packet again, into the tunnel that it came by, if the budget has room.
    fn reflect(
        &mut self,
        now: Instant,
        id: u32,
        number: u32,
        probe: &ProbeHeader,
        seen: &Seen<'_>,
    ) {
        if self.waiting.len() >= REFLECTIONS_WAITING_MAX {
            return self.oneway.reflector.handle_unsent(number);
        }
        if !self.reflection_has_turn(now, id) {
            return self.oneway.reflector.handle_shed(number);
        }
        match self.reflection(id, number, probe, seen) {
            Some(transmit) => self.waiting.push_back(transmit),
            None => self.oneway.reflector.handle_unsent(number),
        }
    }

    fn reflection(
        &mut self,
        id: u32,
        number: u32,
        probe: &ProbeHeader,
        seen: &Seen<'_>,
    ) -> Option<Transmit> {
        const UDP_HEADER_BYTES: usize = 8;
        // It goes on where it was: were anything wrong with the flag, it would end all the same.
        let ttl = seen.packet.ttl().checked_sub(1).filter(|ttl| *ttl > 0)?;
        let payload = seen.packet.payload().len().checked_sub(UDP_HEADER_BYTES)?;
        let shape = ProbeShape {
            group: seen.dst,
            ttl,
            port: self.options.probe_port,
            source_port: None,
            payload_bytes: u16::try_from(payload).ok()?,
        };
        let header = ProbeHeader {
            reflected: true,
            ..*probe
        };
        let tunnel = self.tunnels.get_mut(id)?;
        let bytes = build_probe(&tunnel.spec, &shape, &header).ok()?;
        tunnel.overhead.probes_sent.count(bytes.len());
        tunnel.count_sent(seen.dst, bytes.len());
        Some(Transmit {
            destination: destination(&tunnel.spec, seen.dst),
            bytes,
            purpose: Purpose::Reflection { number },
        })
    }
}
