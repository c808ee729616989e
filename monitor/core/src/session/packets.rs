//! What comes out of the capture, both ways.

use std::net::Ipv4Addr;

use vmscope_wire::content::{Content, Customer};

use super::{Direction, Session};
use crate::fault::Fault;
use crate::packet::{Frame, Meaning, ProbeHeader, Seen, read, read_own};
use crate::router_clock::tunnel_of;
use crate::time::Instant;

impl Session {
    /// A captured packet: whole, from its outermost IPv4 header on. `stamp` is when the
    /// capture saw it, on the same clock as `now`. Packets must come in the order of their stamps.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        stamp: Instant,
        bytes: &[u8],
        direction: Direction,
    ) {
        match direction {
            Direction::Outgoing => self.handle_outgoing(stamp, bytes),
            Direction::Incoming => self.handle_captured(now, stamp, bytes),
        }
    }

    fn handle_captured(&mut self, now: Instant, stamp: Instant, bytes: &[u8]) {
        match read(bytes, self.options.fault) {
            Frame::Tunnelled {
                src,
                dst,
                key,
                inner,
            } => match self.tunnels.between(dst, src, key) {
                Some(tunnel) => self.handle_incoming(now, stamp, tunnel, &inner, bytes.len()),
                None => self.overhead.other_received.count(bytes.len()),
            },
            Frame::Plain(seen) => match self.tunnels.native() {
                Some(tunnel) => self.handle_incoming(now, stamp, tunnel, &seen, bytes.len()),
                None => self.overhead.other_received.count(bytes.len()),
            },
            Frame::Damaged(ends) => self.handle_damaged(ends, bytes.len()),
        }
    }

    fn handle_damaged(&mut self, ends: Option<(Ipv4Addr, Ipv4Addr)>, bytes: usize) {
        let tunnel = ends.and_then(|(src, dst)| self.tunnels.any_between(dst, src));
        match tunnel.and_then(|id| self.tunnels.get_mut(id)) {
            Some(tunnel) => {
                tunnel.damaged += 1;
                tunnel.overhead.other_received.count(bytes);
            }
            None => self.overhead.other_received.count(bytes),
        }
    }

    /// Our own packet left: its stamp is the send time.
    fn handle_outgoing(&mut self, stamp: Instant, bytes: &[u8]) {
        match read_own(bytes) {
            Some(Meaning::Probe(probe)) if probe.session == self.options.session => {
                if let Some(task) = self.tasks.get_mut(probe.task) {
                    if task.handle_sent(probe.tunnel, probe.seq, stamp) {
                        self.reschedule_task(probe.task);
                    }
                } else if let Some(run) = self.oneway.runs.get_mut(&probe.task) {
                    run.handle_sent(probe.tunnel, probe.seq, stamp);
                }
            }
            Some(Meaning::EchoRequest {
                session,
                tunnel,
                seq,
            }) if session == self.options.session => {
                if let Some(tunnel) = self.tunnels.get_mut(tunnel) {
                    tunnel.pinger.handle_sent(stamp, seq);
                }
            }
            Some(Meaning::ClockRequest {
                session,
                seq,
                times,
            }) if session == self.options.session as u16 => {
                let tunnel = tunnel_of(times).and_then(|id| self.tunnels.get_mut(id));
                if let Some(clock) = tunnel.and_then(|t| t.pinger.clock.as_mut()) {
                    clock.handle_sent(stamp, seq);
                }
            }
            // What is not one of ours says nothing.
            Some(
                Meaning::Probe(_)
                | Meaning::EchoRequest { .. }
                | Meaning::EchoReply { .. }
                | Meaning::ClockRequest { .. }
                | Meaning::ClockReply { .. }
                | Meaning::Query(_)
                | Meaning::Report
                | Meaning::Customer
                | Meaning::Foreign,
            )
            | None => {}
        }
    }

    /// A packet arrived over a tunnel.
    fn handle_incoming(
        &mut self,
        now: Instant,
        stamp: Instant,
        id: u32,
        seen: &Seen<'_>,
        bytes: usize,
    ) {
        let on_mdt = matches!(seen.content, Ok(Meaning::Customer));
        let session = self.options.session;
        let Some(tunnel) = self.tunnels.get_mut(id) else {
            return;
        };
        tunnel.count_received(seen.dst, bytes);
        match &seen.content {
            Err(_) => {
                tunnel.damaged += 1;
                tunnel.overhead.other_received.count(bytes);
            }
            Ok(Meaning::Probe(probe)) if probe.session == session => {
                tunnel.overhead.probes_received.count(bytes);
                self.handle_probe(stamp, id, *probe, seen.dst);
            }
            Ok(Meaning::Probe(probe)) => {
                let wanted = self.handle_foreign_probe((now, stamp), id, probe, seen);
                if let Some(tunnel) = self.tunnels.get_mut(id) {
                    match wanted {
                        true => tunnel.overhead.probes_received.count(bytes),
                        false => tunnel.overhead.other_received.count(bytes),
                    }
                }
            }
            Ok(Meaning::EchoReply {
                session: theirs,
                tunnel: to,
                seq,
            }) if *theirs == session => {
                tunnel.overhead.pings_received.count(bytes);
                if *to == id && seen.src == tunnel.spec.inner_remote {
                    tunnel.pinger.handle_reply(stamp, *seq);
                }
            }
            Ok(Meaning::ClockReply {
                session: theirs,
                seq,
                times,
            }) if *theirs == session as u16 && tunnel_of(*times) == Some(id) => {
                tunnel.overhead.pings_received.count(bytes);
                let wall = self.oneway.realtime_minus_monotonic_ns;
                if seen.src == tunnel.spec.inner_remote
                    && let Some((clock, wall)) = tunnel.pinger.clock.as_mut().zip(wall)
                {
                    clock.handle_reply(stamp, *seq, *times, wall);
                }
            }
            Ok(Meaning::Query(query)) => {
                tunnel.overhead.igmp_received.count(bytes);
                tunnel.membership.handle_query(now, query, &mut self.rng);
                self.reschedule_tunnel(id);
            }
            Ok(Meaning::Customer | Meaning::Foreign) if seen.dst.is_multicast() => {
                self.handle_customer(stamp, id, seen, on_mdt, bytes);
            }
            Ok(
                Meaning::EchoRequest { .. }
                | Meaning::EchoReply { .. }
                | Meaning::ClockRequest { .. }
                | Meaning::ClockReply { .. }
                | Meaning::Report
                | Meaning::Customer
                | Meaning::Foreign,
            ) => tunnel.overhead.other_received.count(bytes),
        }
    }

    /// A copy of a probe of ours.
    fn handle_probe(&mut self, stamp: Instant, receiver: u32, probe: ProbeHeader, group: Ipv4Addr) {
        if let Some(run) = self.oneway.runs.get_mut(&probe.task) {
            if run.spec.group == group {
                let ends = (probe.tunnel, receiver);
                run.handle_copy(ends, probe.seq, stamp, probe.reflected);
            }
            return;
        }
        let Some(task) = self
            .tasks
            .get_mut(probe.task)
            .filter(|task| task.is_in(group) && !probe.reflected)
        else {
            return;
        };
        task.handle_copy(probe.tunnel, receiver, probe.seq, stamp);
    }

    /// A customer's packet: discarded unread (VS-08), unless observation was asked for.
    fn handle_customer(
        &mut self,
        stamp: Instant,
        id: u32,
        seen: &Seen<'_>,
        on_mdt: bool,
        bytes: usize,
    ) {
        if self.handle_control(stamp, id, seen, on_mdt, bytes) {
            return;
        }
        let mut observed = false;
        for passive in self
            .passives
            .values_mut()
            .filter(|p| p.watches(id, seen.dst, on_mdt))
        {
            passive.handle_packet(id, &seen.packet, stamp);
            observed = true;
        }
        if let Some(tunnel) = self.tunnels.get_mut(id) {
            let overhead = &mut tunnel.overhead;
            let kind = if observed {
                &mut overhead.customer_observed
            } else {
                &mut overhead.customer_discarded
            };
            kind.count(bytes);
        }
        if self.options.fault.is(Fault::CustomerPacketsCounted) {
            for number in self.tasks.numbers().collect::<Vec<_>>() {
                let task = self.tasks.get_mut(number);
                if let Some(task) = task.filter(|t| t.spec.group == seen.dst) {
                    task.mistake_for_probe(id, stamp);
                }
            }
        }
        if self.options.fault.is(Fault::ProbeAsCustomer)
            && let Ok(Content::Mdt(Customer::Ipv4(customer))) = Content::of(&seen.packet)
            && customer.dst().is_multicast()
            && !customer.dst().octets().starts_with(&[224, 0, 0])
        {
            self.last_customer = Some((customer.src(), customer.dst()));
        }
    }
}
