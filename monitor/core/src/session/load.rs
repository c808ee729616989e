//! Applying a configuration: all of it, or nothing.

use super::Session;
use crate::alarm::AlarmSpec;
use crate::budget::BudgetSpec;
use crate::config::Config;
use crate::control::{ErrorCode, Refusal};
use crate::report::TaskState;
use crate::spec::{MvpnSpec, SendSpec};
use crate::time::Instant;

impl Session {
    /// Applies a configuration on top of what is. A refused one changes nothing: it is tried
    /// on a copy first. What only a driver can change (interface, socket, database, probe
    /// port) is not looked at.
    pub fn load(&mut self, now: Instant, config: &Config) -> Result<(), Refusal> {
        let mut trial = Session::new(now, self.options.clone());
        trial
            .apply(now, &self.configuration())
            .and_then(|()| trial.apply(now, config))?;
        let applied = self.apply(now, config);
        self.follow_filter();
        applied
    }

    pub(super) fn load_text(&mut self, now: Instant, toml: &str) -> Result<(), Refusal> {
        let config = Config::from_toml(toml).map_err(|error| {
            Refusal::new(
                ErrorCode::Malformed,
                error.to_string(),
                "correct the line named, and load it again",
            )
        })?;
        let mine = self
            .options
            .shard
            .as_ref()
            .map(|shard| shard.monitor.clone());
        let part = match mine {
            Some(monitor) => config.part_of(monitor.as_str()).map(|(part, _)| part),
            None if config.shard.is_some() => {
                let message = "cannot load a part of a shared configuration: the monitor was started with all of one";
                let remedy = "start it with a configuration that has [shard], or remove that here";
                return Err(Refusal::new(ErrorCode::State, message, remedy));
            }
            None => Ok(config),
        };
        let part = part.map_err(|error| {
            let remedy = "correct [shard], and load it again";
            Refusal::new(ErrorCode::Invalid, error.to_string(), remedy)
        })?;
        self.load(now, &part)
    }

    fn apply(&mut self, now: Instant, config: &Config) -> Result<(), Refusal> {
        if config.budget != BudgetSpec::default() {
            self.set_budget(config.budget)?;
        }
        for tunnel in &config.tunnels {
            self.tunnel_add(now, tunnel.clone())?;
        }
        for join in &config.joins {
            self.group_join(now, join)?;
        }
        for peer in &config.peer {
            self.peer_add(peer.clone())?;
        }
        for agent in &config.agent {
            self.agent_add(agent.clone())?;
        }
        for mvpn in &config.mvpns {
            self.mvpn_add(now, mvpn.clone())?;
        }
        for task in &config.tasks {
            self.task_start(now, task.clone())?;
        }
        for send in &config.sends {
            self.send_start(now, send.clone())?;
        }
        for passive in &config.passive {
            self.passive_start(now, passive.clone())?;
        }
        for oneway in &config.oneway {
            self.oneway_start(now, oneway.clone())?;
        }
        if config.alarms != AlarmSpec::default() {
            self.set_alarms(now, config.alarms.clone())?;
        }
        for expected in &config.expected {
            self.mvpn_expect(now, expected.clone())?;
        }
        Ok(())
    }

    /// What is, as a configuration: all but operators' joins, which cannot be refused twice.
    fn configuration(&self) -> Config {
        let mut config = Config {
            tunnels: self.tunnels.iter().map(|t| t.spec.clone()).collect(),
            peer: self.oneway.peers.specs().cloned().collect(),
            agent: self.oneway.agents.specs().cloned().collect(),
            ..Config::default()
        };
        for (name, mvpn) in &self.mvpns {
            let start =
                mvpn.run.is_some() && self.mvpn_status(name).is_ok_and(|status| status.running);
            config.mvpns.push(MvpnSpec {
                start,
                ..mvpn.spec.clone()
            });
        }
        for task in self
            .tasks
            .iter()
            .filter(|t| !self.mvpns.contains_key(&t.spec.name))
        {
            let spec = task.spec.clone();
            match (
                task.state,
                spec.receivers.is_empty(),
                self.task_names.get(&spec.name) == Some(&task.id),
            ) {
                (TaskState::Finished, _, _) | (_, _, false) => {}
                (_, false, true) => config.tasks.push(spec),
                (_, true, true) => {
                    config
                        .sends
                        .extend(spec.senders.first().cloned().map(|tunnel| SendSpec {
                            name: spec.name,
                            tunnel,
                            group: spec.group,
                            probes: spec.probes,
                        }))
                }
            }
        }
        config.budget = self.budget.spec;
        config.passive = self.passives.values().map(|p| p.spec.clone()).collect();
        config.oneway = self.oneways_running().cloned().collect();
        config.alarms = self.alarms.spec().clone();
        config.expected = self.alarms.all_expected().cloned().collect();
        config
    }
}
