//! What is refused where a router counts: what no estimator takes, and what the counter would count beside the probes.
//!
//! A count that other packets are in is no count of the probes. What others send nobody here knows; what this monitor
//! itself sends is known, and is kept apart, whichever of the two comes first.

use std::net::Ipv4Addr;

use super::super::agents::has;
use super::{Invalid, Session};
use crate::control::{CounterSpec, ErrorCode, LeafSpec, OnewaySpec, Refusal, TaskSpec};
use crate::name::Name;

/// Probes in one aggregate: the larger, the less they say.
const AGGREGATE_MIN: u32 = 2;
const AGGREGATE_MAX: u32 = 1_000;
/// Longest name of an interface (ifName, RFC 2863).
const INTERFACE_NAME_MAX: usize = 255;

/// Packets that this monitor sends, or is to send.
#[derive(Debug)]
struct Stream<'a> {
    what: String,
    sources: Vec<Ipv4Addr>,
    group: Ipv4Addr,
    payload_bytes: u16,
    /// By which a router counts them.
    counter: Option<&'a CounterSpec>,
}

impl Stream<'_> {
    /// Whether a counter of this stream counts the other, too.
    fn is_mixed_up_with(&self, other: &Stream<'_>) -> bool {
        match self.counter {
            None => false,
            Some(CounterSpec::Route | CounterSpec::Flow) => {
                let shared = |source| other.sources.contains(source);
                self.group == other.group && self.sources.iter().any(shared)
            }
            // What passes an interface is told by its length only.
            Some(CounterSpec::Interface { .. }) => self.payload_bytes == other.payload_bytes,
        }
    }

    /// Refuses this one beside another that runs, if a counter cannot tell them apart.
    fn check_beside(&self, there: &Stream<'_>) -> Result<(), Refusal> {
        if !self.is_mixed_up_with(there) && !there.is_mixed_up_with(self) {
            return Ok(());
        }
        let message = format!(
            "cannot start {}: a router's counter cannot tell its probes from those of {}",
            self.what, there.what
        );
        let remedy = match self.counter.or(there.counter) {
            Some(CounterSpec::Interface { .. }) => "use another payload_bytes",
            Some(CounterSpec::Route | CounterSpec::Flow) | None => {
                "use another group, or stop that first"
            }
        };
        Err(Refusal::new(ErrorCode::InUse, message, remedy))
    }
}

impl Session {
    pub(super) fn check_counter(
        &self,
        spec: &OnewaySpec,
        (agent, counter, aggregate): (&Name, &CounterSpec, u32),
        invalid: &Invalid<'_>,
    ) -> Result<(), Refusal> {
        if spec.leaf.len() > 1 || spec.down.len() > 1 {
            let found = "with a router's counter there are one way down and no other leaf";
            return invalid(found, "leave the others out, or use collectors");
        }
        let Some(agent_spec) = self.oneway.agents.get(agent) else {
            let name = &spec.name;
            let message =
                format!("cannot start one-way measurement {name}: there is no agent {agent}");
            let remedy = "add an [[agent]] to the configuration, or see agent-list";
            return Err(Refusal::new(ErrorCode::NotFound, message, remedy));
        };
        if !has(agent_spec, counter) {
            let found = format!("agent {agent} has no such counter");
            let remedy =
                "an agent of kind snmp reads a route or an interface, one of kind flows a flow";
            return invalid(&found, remedy);
        }
        if !(AGGREGATE_MIN..=AGGREGATE_MAX).contains(&aggregate) {
            let found = format!("an aggregate of {aggregate} probes is out of range");
            return invalid(&found, &format!("use {AGGREGATE_MIN} to {AGGREGATE_MAX}"));
        }
        match counter {
            CounterSpec::Interface { interface }
                if !(1..=INTERFACE_NAME_MAX).contains(&interface.len()) =>
            {
                let found = "the interface has no name, or one that is too long";
                invalid(found, "name it as the router does (ifName)")
            }
            CounterSpec::Interface { .. } | CounterSpec::Route | CounterSpec::Flow => Ok(()),
        }
    }

    /// Refuses a measurement beside anything that would be counted with it.
    pub(super) fn check_oneway_apart(&self, spec: &OnewaySpec) -> Result<(), Refusal> {
        let new = self.stream_of_oneway(spec)?;
        for there in self.oneways_running() {
            new.check_beside(&self.stream_of_oneway(there)?)?;
        }
        if new.counter.is_some() {
            for task in self.tasks.iter().filter(|task| !task.is_finished()) {
                new.check_beside(&self.stream_of_task(&task.spec)?)?;
            }
        }
        Ok(())
    }

    /// Refuses a task that a measurement's counter would count.
    pub(in crate::session) fn check_task_apart(&self, spec: &TaskSpec) -> Result<(), Refusal> {
        for there in self.oneways_running() {
            let there = self.stream_of_oneway(there)?;
            if there.counter.is_some() {
                self.stream_of_task(spec)?.check_beside(&there)?;
            }
        }
        Ok(())
    }

    fn stream_of_task<'a>(&self, spec: &'a TaskSpec) -> Result<Stream<'a>, Refusal> {
        let sources = spec.senders.iter().map(|sender| self.source_of(sender));
        Ok(Stream {
            what: format!("task {}", spec.name),
            sources: sources.collect::<Result<_, _>>()?,
            group: spec.group,
            payload_bytes: spec.probes.payload_bytes,
            counter: None,
        })
    }

    fn stream_of_oneway<'a>(&self, spec: &'a OnewaySpec) -> Result<Stream<'a>, Refusal> {
        let counter = spec.leaf.iter().find_map(|leaf| match leaf {
            LeafSpec::Counters { counter, .. } => Some(counter),
            LeafSpec::Collector { .. } | LeafSpec::Reflector { .. } => None,
        });
        Ok(Stream {
            what: format!("one-way measurement {}", spec.name),
            sources: vec![self.source_of(&spec.up)?],
            group: spec.group,
            payload_bytes: spec.probes.payload_bytes,
            counter,
        })
    }

    fn source_of(&self, tunnel: &Name) -> Result<Ipv4Addr, Refusal> {
        let tunnel = self.tunnels.get(self.tunnels.find(tunnel)?);
        Ok(tunnel.map_or(Ipv4Addr::UNSPECIFIED, |tunnel| tunnel.spec.inner_local))
    }
}
