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
            Action::TunnelAdd { tunnel } | Action::TunnelDrop { tunnel } => {
                self.known_tunnel(&at("tunnel"), tunnel);
            }
            Action::TaskStart { task } | Action::TaskStop { task } => {
                self.known_task(&at("task"), task);
            }
            Action::PeStart { task, tunnel } | Action::PeStop { task, tunnel } => {
                if self.known_tunnel(&at("tunnel"), tunnel) & self.known_task(&at("task"), task) {
                    self.in_task(&at("tunnel"), task, tunnel);
                }
            }
        }
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
        let mut on: BTreeMap<(&str, &str), bool> = BTreeMap::new();
        for (index, event) in events {
            let (subject, becomes, initially) = match &event.action {
                Action::LinkDown { link } => (("link", link.as_str()), false, true),
                Action::LinkUp { link } => (("link", link.as_str()), true, true),
                Action::NodeKill { node } => (("router", node.as_str()), false, true),
                Action::NodeRestart { node } => (("router", node.as_str()), true, true),
                Action::MonitorKill {} => (("monitor", "vmscope"), false, true),
                Action::MonitorRestart {} => (("monitor", "vmscope"), true, true),
                Action::TunnelAdd { tunnel } => {
                    (("tunnel", tunnel.as_str()), true, self.present(tunnel))
                }
                Action::TunnelDrop { tunnel } => {
                    (("tunnel", tunnel.as_str()), false, self.present(tunnel))
                }
                Action::TaskStart { task } => {
                    (("task", task.as_str()), true, self.starts_by_itself(task))
                }
                Action::TaskStop { task } => {
                    (("task", task.as_str()), false, self.starts_by_itself(task))
                }
                Action::ImpairLink { .. }
                | Action::ImpairTunnel { .. }
                | Action::ClockStep { .. }
                | Action::PeStart { .. }
                | Action::PeStop { .. } => continue,
            };
            let before = on.insert(subject, becomes).unwrap_or(initially);
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
