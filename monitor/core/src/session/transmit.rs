//! What goes out: reports, pings, probes, in this order, each when it is due.

use std::net::Ipv4Addr;

use super::Session;
use crate::fault::Fault;
use crate::oneway::Due;
use crate::packet::{
    ProbeHeader, ProbeShape, build_clock_request, build_customer_probe, build_ping, build_probe,
    build_report, destination, report_destination,
};
use crate::spec::ProbeSpec;
use crate::task::Probe;
use crate::time::Instant;
use crate::tunnel::Tunnel;

/// A packet to be sent now: a whole IPv4 packet, header included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// The packet.
    pub bytes: Vec<u8>,
    /// Where the kernel must send it: the outer destination.
    pub destination: Ipv4Addr,
    /// What it is, for [`Session::handle_transmit_failed`].
    pub purpose: Purpose,
}

/// What a packet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A probe.
    Probe {
        /// The task's run.
        task: u32,
        /// The tunnel it goes into.
        sender: u32,
        /// Its number.
        seq: u32,
    },
    /// An echo request.
    Ping {
        /// The tunnel.
        tunnel: u32,
        /// Its number.
        seq: u32,
    },
    /// A question for the router's time.
    RouterClock {
        /// The tunnel.
        tunnel: u32,
        /// Its number.
        seq: u32,
    },
    /// A membership report or leave.
    Igmp {
        /// The tunnel.
        tunnel: u32,
    },
    /// Another monitor's probe, sent again.
    Reflection {
        /// The reflection.
        number: u32,
    },
    /// A planted fault's second copy of a probe.
    Disguised,
}

impl Session {
    /// The next packet to send, if one is due. Also does everything else that time brings
    /// about, so it must be called whenever [`Session::next_deadline`] has come.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.advance(now);
        self.waiting
            .pop_front()
            .or_else(|| self.poll_report(now))
            .or_else(|| self.poll_ping(now))
            .or_else(|| self.poll_probe(now))
    }

    /// Takes the memory of a packet back that was sent: the next one is written there. Nobody needs to.
    pub fn take_back(&mut self, bytes: Vec<u8>) {
        self.templates.take_back(bytes);
    }

    fn poll_report(&mut self, now: Instant) -> Option<Transmit> {
        while let Some(id) = self.agenda.poll_report(now) {
            let (rng, errors) = (&mut self.rng, &mut self.transmit_errors);
            let tunnel = self.tunnels.get_mut(id);
            let report = tunnel.and_then(|t| transmit_report(t, now, rng, errors));
            self.reschedule_tunnel(id);
            if report.is_some() {
                self.agenda.handle_report_sent(now);
                return report;
            }
        }
        None
    }

    fn poll_oneway_probe(&mut self, now: Instant) -> Option<Transmit> {
        for id in self.oneway.runs.keys().copied().collect::<Vec<_>>() {
            while let Some(due) = self.next_oneway_due(id, now) {
                if let Some(transmit) = self.transmit_oneway_probe(id, due, now) {
                    return Some(transmit);
                }
                if let Some(run) = self.oneway.runs.get_mut(&id) {
                    run.handle_unsent(due.probe.seq);
                }
            }
        }
        None
    }

    fn next_oneway_due(&mut self, id: u32, now: Instant) -> Option<Due> {
        if !self.oneway_has_turn(now, id) {
            return None;
        }
        let run = self.oneway.runs.get_mut(&id)?;
        run.poll_probe(now, &mut self.rng)
    }

    fn transmit_oneway_probe(&mut self, id: u32, due: Due, now: Instant) -> Option<Transmit> {
        let spec = &self.oneway.runs.get(&id)?.spec;
        let (group, probes) = (spec.group, spec.probes.clone());
        self.probe_of(id, group, &probes, due, now)
    }

    fn poll_ping(&mut self, now: Instant) -> Option<Transmit> {
        while let Some(id) = self.agenda.pings.poll(now) {
            let ping = self.transmit_ping(id, now);
            self.reschedule_tunnel(id);
            if ping.is_some() {
                return ping;
            }
        }
        None
    }

    fn transmit_ping(&mut self, id: u32, now: Instant) -> Option<Transmit> {
        let tunnel = self.tunnels.get_mut(id)?;
        let seq = tunnel.pinger.poll(now)?;
        let Ok(bytes) = build_ping(&tunnel.spec, id, self.options.session, seq) else {
            self.transmit_errors += 1;
            tunnel.pinger.handle_unsent(seq);
            return None;
        };
        tunnel.overhead.pings_sent.count(bytes.len());
        let destination = destination(&tunnel.spec, tunnel.spec.inner_remote);
        let question = transmit_clock_request(tunnel, self.options.session, now);
        self.waiting.extend(question);
        Some(Transmit {
            bytes,
            destination,
            purpose: Purpose::Ping { tunnel: id, seq },
        })
    }

    fn poll_probe(&mut self, now: Instant) -> Option<Transmit> {
        while let Some(id) = self.agenda.probes.poll(now) {
            // Nobody who sends waits for the grid on which the others' probes are decided.
            self.bring_about(now, id);
            if !self.has_turn(now, id) {
                self.reschedule_task(id);
                continue;
            }
            let task = self.tasks.get_mut(id);
            let due = task.and_then(|t| t.poll_probe(now, &mut self.rng));
            self.reschedule_task(id);
            let Some(due) = due else {
                continue;
            };
            let transmit = self.transmit_probe(id, due, now);
            if transmit.is_some() {
                return transmit;
            }
            self.handle_transmit_failed(Purpose::Probe {
                task: id,
                sender: due.tunnel,
                seq: due.seq,
            });
        }
        self.poll_oneway_probe(now)
    }

    fn transmit_probe(&mut self, id: u32, due: Probe, now: Instant) -> Option<Transmit> {
        let spec = &self.tasks.get(id)?.spec;
        let (group, probes) = (spec.group, spec.probes.clone());
        let due = Due {
            probe: due,
            source_port: None,
        };
        self.probe_of(id, group, &probes, due, now)
    }

    /// A probe of a task's or a one-way measurement's run.
    fn probe_of(
        &mut self,
        id: u32,
        group: Ipv4Addr,
        probes: &ProbeSpec,
        Due {
            probe: due,
            source_port,
        }: Due,
        now: Instant,
    ) -> Option<Transmit> {
        let tunnel = self.tunnels.get_mut(due.tunnel)?;
        let shape = ProbeShape {
            group,
            ttl: probes.ttl,
            port: self.options.probe_port,
            source_port,
            payload_bytes: probes.payload_bytes,
        };
        let header = ProbeHeader {
            session: self.options.session,
            task: id,
            tunnel: due.tunnel,
            seq: due.seq,
            warmup: due.warmup,
            reflected: false,
            sent: now,
        };
        let bytes = match source_port {
            None => self.templates.write(&tunnel.spec, &shape, &header).ok()?,
            // The sender's others come from elsewhere.
            Some(_) => build_probe(&tunnel.spec, &shape, &header).ok()?,
        };
        let destination = destination(&tunnel.spec, group);
        tunnel.overhead.probes_sent.count(bytes.len());
        tunnel.count_sent(group, bytes.len());
        if self.options.fault.is(Fault::ProbeAsCustomer) {
            let customer = self
                .last_customer
                .unwrap_or((tunnel.spec.inner_local, group));
            let disguised = build_customer_probe(&tunnel.spec, &shape, &header, customer).ok()?;
            self.waiting.push_back(Transmit {
                bytes: disguised,
                destination,
                purpose: Purpose::Disguised,
            });
        }
        Some(Transmit {
            bytes,
            destination,
            purpose: Purpose::Probe {
                task: id,
                sender: due.tunnel,
                seq: due.seq,
            },
        })
    }
}

/// The next membership report of a tunnel, if one is due.
pub(super) fn transmit_report(
    tunnel: &mut Tunnel,
    now: Instant,
    rng: &mut impl rand::Rng,
    errors: &mut u64,
) -> Option<Transmit> {
    while let Some(report) = tunnel.membership.poll_report(now, rng) {
        let Ok(bytes) = build_report(&tunnel.spec, &report) else {
            *errors += 1;
            continue;
        };
        tunnel.overhead.igmp_sent.count(bytes.len());
        let destination = destination(&tunnel.spec, report_destination(&report));
        return Some(Transmit {
            bytes,
            destination,
            purpose: Purpose::Igmp { tunnel: tunnel.id },
        });
    }
    None
}

/// A question for the time of a tunnel's router, where it is asked.
fn transmit_clock_request(tunnel: &mut Tunnel, session: u32, now: Instant) -> Option<Transmit> {
    let clock = tunnel.pinger.clock.as_mut()?;
    let seq = clock.ask(now);
    let Ok(bytes) = build_clock_request(&tunnel.spec, tunnel.id, session, seq) else {
        clock.handle_unsent(seq);
        return None;
    };
    tunnel.overhead.pings_sent.count(bytes.len());
    Some(Transmit {
        bytes,
        destination: destination(&tunnel.spec, tunnel.spec.inner_remote),
        purpose: Purpose::RouterClock {
            tunnel: tunnel.id,
            seq,
        },
    })
}
