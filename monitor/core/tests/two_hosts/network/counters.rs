//! Routers that count, and what monitors hear of it: answers to questions, and exports.

use rand::RngExt;
use vmscope_core::config::Config;
use vmscope_core::counters::Reading;
use vmscope_core::oneway::{AgentFailure, AgentRequest};
use vmscope_core::time::Instant;

use super::{Happening, MS, S, World};
use crate::agent::RouterAgent;

/// Between a monitor and a router's agent.
pub(super) const AGENT_DELAY: u64 = 2 * MS;
pub(super) const EXPORT_EVERY: u64 = S;

impl World {
    /// Adds a router that counts, and an agent of its.
    pub fn add_agent(&mut self, agent: RouterAgent) -> usize {
        let config = Config::from_toml(&agent.config()).unwrap();
        let now = self.at(0);
        self.hosts[0].session.load(now, &config).unwrap();
        self.agents.push(agent);
        self.agents.len() - 1
    }

    pub(super) fn hand_to_counters(&mut self, inner: &[u8]) {
        for agent in 0..self.agents.len() {
            let path = self.agents[agent].path;
            for delay in path.passages(&mut self.rng) {
                let inner = inner.to_vec();
                self.happen(delay, Happening::Counted { agent, inner });
            }
        }
    }

    pub(super) fn agent_asked(&mut self, to: usize, request: AgentRequest, asked: Instant) {
        let now = self.now;
        let agent = self.agents.iter_mut().find(|a| a.name == request.agent);
        let answer = agent.and_then(|agent| agent.answer(now, &request.question));
        let (delay, outcome) = match answer {
            Some(answer) => (AGENT_DELAY, answer),
            None => (S, Err(AgentFailure::NoAnswer("nobody answers".to_owned()))),
        };
        let answered = self.at(to).as_ns() + delay;
        let outcome = outcome.map(|reading| Reading {
            asked,
            answered: Instant::from_ns(answered),
            ..reading
        });
        self.happen(
            delay,
            Happening::Answered {
                to,
                request,
                outcome,
            },
        );
    }

    /// What exporters send reaches m1 at once, or not at all.
    pub(super) fn export(&mut self) {
        for agent in 0..self.agents.len() {
            let Some(export) = self.agents[agent].export(self.now) else {
                continue;
            };
            if self.rng.random_bool(self.agents[agent].exports_lost) {
                continue;
            }
            let now = self.at(0);
            let name = self.agents[agent].name.clone();
            self.hosts[0].session.handle_export(now, &name, Ok(&export));
            self.drain(0);
        }
        self.happen(EXPORT_EVERY, Happening::Export);
    }

    pub(super) fn counted(&mut self, agent: usize, inner: &[u8]) {
        let now = self.now;
        self.agents[agent].count(now, inner);
    }

    pub(super) fn agent_answered(
        &mut self,
        to: usize,
        request: &AgentRequest,
        outcome: Result<Reading, AgentFailure>,
    ) {
        let now = self.at(to);
        let session = &mut self.hosts[to].session;
        session.handle_reading(now, &request.agent, request.id, outcome);
    }
}
