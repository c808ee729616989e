//! What happens during the run, and whether it can.

use std::collections::BTreeMap;

use super::Checker;
use crate::scenario::Action;

impl Checker<'_> {
    pub(super) fn timeline(&mut self) {
        let scenario = self.scenario;
        for (index, event) in scenario.timeline.iter().enumerate() {
            let path = format!("at.{index}");
            if event.time >= scenario.duration {
                let what = format!("at {}, but the run lasts {}", event.time, scenario.duration);
                self.wrong(
                    &format!("{path}.time"),
                    what,
                    "make it earlier, or the run longer",
                );
            }
            self.action(&path, &event.action);
        }
        self.order();
    }

    fn action(&mut self, path: &str, action: &Action) {
        let at = |field: &str| format!("{path}.{field}");
        match action {
            Action::ImpairLink { link, to, impair } => {
                let known = self.known_link(&at("link"), link);
                let declared = self
                    .scenario
                    .links
                    .iter()
                    .find(|l| l.ends == *link)
                    .filter(|_| known);
                if let (Some(declared), Some(to)) = (declared, to) {
                    self.end_of_link(&at("to"), declared, to);
                }
                self.impairment(&at("impair"), impair);
            }
            Action::ImpairTunnel { tunnel, impair } => {
                self.known_tunnel(&at("tunnel"), tunnel);
                self.impairment(&at("impair"), impair);
            }
            Action::LinkDown { link } | Action::LinkUp { link } => {
                self.known_link(&at("link"), link);
            }
            Action::NodeKill { node } | Action::NodeRestart { node } => {
                self.known_router(&at("node"), node)
            }
            Action::MonitorKill {} | Action::MonitorRestart {} => {
                if self.scenario.monitor_node().is_none() {
                    self.wrong(
                        &at("do"),
                        "there is no monitor",
                        "add a node with the role \"monitor\"",
                    );
                }
            }
            Action::ClockStep { by, back: _ } => {
                if by.ns == 0 {
                    self.wrong(&at("by"), "a step of no time", "as in `by = \"1h\"`");
                }
            }
            Action::AgentKill { agent } | Action::AgentRestart { agent } => {
                let agents = self.scenario.agents.iter();
                let agents: Vec<&str> = agents.map(|agent| agent.name.as_str()).collect();
                self.known(&at("agent"), "agent", agent, &agents);
            }
            Action::PeerKill { host } | Action::PeerRestart { host } => {
                let peers: Vec<&str> = self.scenario.peers().collect();
                self.known(&at("host"), "peer", host, &peers);
            }
            Action::TunnelAdd { tunnel } | Action::TunnelDrop { tunnel } => {
                self.own_tunnel(&at("tunnel"), tunnel);
            }
            Action::TaskStart { task } | Action::TaskStop { task } => {
                self.known_task(&at("task"), task);
            }
            Action::PeStart { task, tunnel } | Action::PeStop { task, tunnel } => {
                if self.known_tunnel(&at("tunnel"), tunnel) & self.known_task(&at("task"), task) {
                    self.in_task(&at("tunnel"), task, tunnel);
                }
            }
            Action::RogueJoin { mvpn, pe } | Action::RogueLeave { mvpn, pe } => {
                if self.known_mvpn(&at("mvpn"), mvpn) {
                    self.rogue_of(&at("pe"), mvpn, pe);
                }
            }
            Action::Checkpoint {} => {}
            Action::PeSilent { mvpn, pe } | Action::PeSpeaks { mvpn, pe } => {
                if self.known_mvpn(&at("mvpn"), mvpn) {
                    self.pe_of(&at("pe"), mvpn, pe);
                }
            }
        }
    }

    fn rogue_of(&mut self, path: &str, name: &str, pe: &str) {
        let mvpn = self.scenario.mvpns.get(name);
        let is_rogue = mvpn.is_some_and(|mvpn| mvpn.rogues.iter().any(|rogue| rogue == pe));
        if !is_rogue {
            let remedy = format!("name it there, `rogues = [\"{pe}\"]` in [mvpn.{name}]");
            self.wrong(path, format!("`{pe}` is no rogue of `{name}`"), remedy);
        }
    }

    /// `pe` has a VRF of the MVPN, rightly or not.
    pub(super) fn pe_of(&mut self, path: &str, name: &str, pe: &str) {
        let scenario = self.scenario;
        let mvpn = scenario.mvpns.get(name);
        let pes: Vec<&str> = mvpn.into_iter().flat_map(|m| m.pes_and_rogues()).collect();
        self.known(path, "PE of that MVPN", pe, &pes);
    }

    /// `tunnel` is a sender or a receiver of `task`.
    fn in_task(&mut self, path: &str, task: &str, tunnel: &str) {
        let scenario = self.scenario;
        let Some(task) = scenario.task(task) else {
            return;
        };
        let mut members = scenario.task_senders(task);
        members.extend(scenario.task_receivers(task));
        if !members.iter().any(|name| name == tunnel) {
            let what = format!(
                "`{tunnel}` is neither sender nor receiver of `{}`",
                task.name
            );
            self.wrong(
                path,
                what,
                format!("its tunnels are: {}", members.join(", ")),
            );
        }
    }

    /// Things go down before they come up, and start before they stop.
    fn order(&mut self) {
        let scenario = self.scenario;
        let mut events: Vec<_> = scenario.timeline.iter().enumerate().collect();
        events.sort_by_key(|(_, event)| event.time);
        let mut on: BTreeMap<(&str, String), bool> = BTreeMap::new();
        for (index, event) in events {
            let (subject, becomes, initially) = match &event.action {
                Action::LinkDown { link } => (("link", link.clone()), false, true),
                Action::LinkUp { link } => (("link", link.clone()), true, true),
                Action::NodeKill { node } => (("router", node.clone()), false, true),
                Action::NodeRestart { node } => (("router", node.clone()), true, true),
                Action::MonitorKill {} => (("monitor", "vmscope".to_owned()), false, true),
                Action::MonitorRestart {} => (("monitor", "vmscope".to_owned()), true, true),
                Action::TunnelAdd { tunnel } => {
                    (("tunnel", tunnel.clone()), true, self.present(tunnel))
                }
                Action::TunnelDrop { tunnel } => {
                    (("tunnel", tunnel.clone()), false, self.present(tunnel))
                }
                Action::TaskStart { task } => {
                    (("task", task.clone()), true, self.starts_by_itself(task))
                }
                Action::TaskStop { task } => {
                    (("task", task.clone()), false, self.starts_by_itself(task))
                }
                Action::RogueJoin { mvpn, pe } => (("rogue", of(mvpn, pe)), true, false),
                Action::RogueLeave { mvpn, pe } => (("rogue", of(mvpn, pe)), false, false),
                Action::PeSilent { mvpn, pe } => (("voice", of(mvpn, pe)), false, true),
                Action::PeSpeaks { mvpn, pe } => (("voice", of(mvpn, pe)), true, true),
                Action::AgentKill { agent } => (("agent", agent.clone()), false, true),
                Action::AgentRestart { agent } => (("agent", agent.clone()), true, true),
                Action::PeerKill { host } => (("peer", host.clone()), false, true),
                Action::PeerRestart { host } => (("peer", host.clone()), true, true),
                Action::ImpairLink { .. }
                | Action::ImpairTunnel { .. }
                | Action::Checkpoint {}
                | Action::ClockStep { .. }
                | Action::PeStart { .. }
                | Action::PeStop { .. } => continue,
            };
            let before = on.insert(subject.clone(), becomes).unwrap_or(initially);
            if before == becomes {
                let state = if becomes {
                    "is up already"
                } else {
                    "is not up"
                };
                let what = format!(
                    "the {} `{}` {state} at {}",
                    subject.0, subject.1, event.time
                );
                let remedy =
                    "each event must change something: check the times, and what comes before";
                self.wrong(&format!("at.{index}.do"), what, remedy);
            }
        }
    }

    fn present(&self, tunnel: &str) -> bool {
        self.scenario
            .tunnel(tunnel)
            .is_none_or(|tunnel| tunnel.present)
    }

    fn starts_by_itself(&self, task: &str) -> bool {
        self.scenario
            .task(task)
            .is_none_or(|task| task.start.is_some())
    }
}

/// A PE in an MVPN: rogue or silent in one, it need not be so in another.
fn of(mvpn: &str, pe: &str) -> String {
    format!("{pe} in {mvpn}")
}
