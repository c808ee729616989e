//! Readers of routers' counters: what they are to be asked, and what they answered.

use super::contacts::{Contact, Contacts, Known};
use super::report::AgentStatus;
use super::spec::AgentSpec;
use crate::counters::{Question, Reading};
use crate::name::Name;
use crate::time::Span;

/// An answer that takes longer is none.
pub const AGENT_TIMEOUT: Span = Span::from_s(10);

/// A question to an agent, for the driver to carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRequest {
    /// Who is asked.
    pub agent: Name,
    /// Returned with the answer.
    pub id: u64,
    /// What is to be read.
    pub question: Question,
}

/// Why there is no reading: what was attempted, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentFailure {
    /// It could not be asked, or did not answer, or nothing that can be understood.
    #[error("{0}")]
    NoAnswer(String),
    /// It answers, but has no such counter, or not yet.
    #[error("{0}")]
    NoSuch(String),
}

/// What an agent said to what it was asked.
pub(crate) type AgentOutcome = Result<Reading, AgentFailure>;

/// All agents, and the questions that are out.
pub(crate) type Agents = Contacts<AgentSpec, Question>;

impl Contact for AgentSpec {
    const TIMEOUT: Span = AGENT_TIMEOUT;

    fn name(&self) -> &Name {
        AgentSpec::name(self)
    }
}

impl Agents {
    /// All of them, by name.
    pub(crate) fn statuses(&self) -> Vec<AgentStatus> {
        let status = |(agent, _): (&Known<AgentSpec>, u32)| AgentStatus {
            spec: agent.spec.clone(),
            heard_ns: agent.heard,
            failure: agent.failure.clone(),
        };
        self.known().map(status).collect()
    }
}
