//! Readers of routers' counters: those there are, what they are asked, and what they say.

use super::Session;
use crate::control::{AgentSpec, CounterSpec, ErrorCode, LeafSpec, OnewaySpec, Refusal};
use crate::counters::{Export, Reading};
use crate::name::Name;
use crate::oneway::{AGENT_TIMEOUT, AgentFailure, AgentRequest};
use crate::time::Instant;

impl Session {
    /// The next question to an agent.
    pub fn poll_agent(&mut self) -> Option<AgentRequest> {
        let asked = self.oneway.agents.poll()?;
        Some(AgentRequest {
            agent: asked.name,
            id: asked.id,
            question: asked.question,
        })
    }

    /// What an agent answered, or why it did not.
    pub fn handle_reading(
        &mut self,
        now: Instant,
        agent: &Name,
        id: u64,
        outcome: Result<Reading, AgentFailure>,
    ) {
        let heard = self.oneway.agents.handle_reply(now, agent, id, outcome);
        let Some((asker, heard)) = heard.and_then(|heard| Some((heard.asker?, heard))) else {
            return;
        };
        let (id, leaf) = asker;
        if let Some(run) = self.oneway.runs.get_mut(&id) {
            run.handle_reading(now, leaf, heard.outcome);
        }
    }

    /// A datagram of an exporter, or that it cannot be read.
    pub fn handle_export(
        &mut self,
        now: Instant,
        agent: &Name,
        export: Result<&Export, AgentFailure>,
    ) {
        self.oneway.agents.note(now, agent, &export);
        let export = export.as_ref().map(|export| *export);
        for run in self.oneway.runs.values_mut().filter(|run| run.reads(agent)) {
            run.handle_export(now, agent, export);
        }
    }

    /// Whom nobody has heard in time has not answered.
    pub(super) fn give_agents_up(&mut self, now: Instant) {
        while let Some((agent, id)) = self.oneway.agents.poll_overdue(now) {
            let silent = format!("asking agent {agent}: no answer within {AGENT_TIMEOUT}");
            self.handle_reading(now, &agent, id, Err(AgentFailure::NoAnswer(silent)));
        }
    }

    /// Another agent that may be asked.
    pub(in crate::session) fn agent_add(&mut self, spec: AgentSpec) -> Result<(), Refusal> {
        let name = spec.name().clone();
        let clash = self.oneway.agents.specs().find(|other| {
            let ports = [listens_at(&spec), listens_at(other)];
            *other.name() != name && ports[0].is_some() && ports[0] == ports[1]
        });
        if let Some(other) = clash {
            return Err(Refusal::new(
                ErrorCode::Exists,
                format!(
                    "cannot add agent {name}: agent {} listens there already",
                    other.name()
                ),
                "give each exporter a port of its own",
            ));
        }
        match self.oneway.agents.add(spec) {
            true => Ok(()),
            false => Err(Refusal::new(
                ErrorCode::Exists,
                format!("cannot add agent {name}: there is another of that name"),
                "choose another name, or start the monitor anew with this one",
            )),
        }
    }

    /// Who reads the counter of a measurement's leaf.
    pub(super) fn agent_of(&self, spec: &OnewaySpec) -> Option<&AgentSpec> {
        let named = spec.leaf.iter().find_map(|leaf| match leaf {
            LeafSpec::Counters { agent, .. } => Some(agent),
            LeafSpec::Collector { .. } | LeafSpec::Reflector { .. } => None,
        });
        self.oneway.agents.get(named?)
    }
}

fn listens_at(agent: &AgentSpec) -> Option<std::net::SocketAddr> {
    match agent {
        AgentSpec::Flows { listen, .. } => Some(*listen),
        AgentSpec::Snmp { .. } => None,
    }
}

/// Whether an agent has such a counter.
pub(super) fn has(agent: &AgentSpec, counter: &CounterSpec) -> bool {
    match agent {
        AgentSpec::Snmp { .. } => !matches!(counter, CounterSpec::Flow),
        AgentSpec::Flows { .. } => matches!(counter, CounterSpec::Flow),
    }
}
