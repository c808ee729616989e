//! What the monitor is told to do.

use super::Checker;
use crate::scenario::{Action, Span, Task, names};

impl Checker<'_> {
    pub(super) fn monitor(&mut self) {
        let scenario = self.scenario;
        let monitor = &scenario.monitor;
        let named = monitor.tasks.iter().enumerate();
        self.unique(
            "task",
            named
                .clone()
                .map(|(i, t)| (format!("monitor.task.{i}.name"), t.name.as_str())),
        );
        for (index, task) in named {
            let path = format!("monitor.task.{index}");
            self.task_group(&path, task);
            self.task_tunnels(&path, task);
            self.task_times(&path, task);
            self.size(&path, task.size_bytes);
            if task.ttl == 0 {
                self.wrong(
                    &format!("{path}.ttl"),
                    "a TTL of 0",
                    "1 to 255; 64 is usual",
                );
            }
        }
        for (index, passive) in monitor.passives.iter().enumerate() {
            let path = format!("monitor.passive.{index}");
            self.known_mvpn(&format!("{path}.mvpn"), &passive.mvpn);
            self.tunnel_patterns(&format!("{path}.tunnels"), &passive.tunnels);
        }
        for (index, watch) in monitor.watches.iter().enumerate() {
            let path = format!("monitor.watch.{index}");
            self.known_mvpn(&format!("{path}.mvpn"), &watch.mvpn);
            self.tunnel_patterns(&format!("{path}.tunnels"), &watch.tunnels);
        }
        for (index, expected) in monitor.expected.iter().enumerate() {
            self.expected_mvpn(&format!("monitor.expect.{index}"), expected);
        }
        if monitor.ping.is_some_and(|ping| ping < Span::millis(10)) {
            self.wrong(
                "monitor.ping",
                "the routers would answer pings all day",
                "at least \"10ms\"",
            );
        }
        for (index, tunnel) in scenario.tunnels.iter().enumerate() {
            if tunnel.router_clock_error.is_some() && monitor.ping.is_none() {
                self.wrong(
                    &format!("tunnel.{index}.router_clock_error"),
                    "a router's clock is asked with every ping, and there are none",
                    "give monitor.ping, or leave it out",
                );
            }
        }
        if scenario.monitor_node().is_none()
            && !(monitor.tasks.is_empty()
                && monitor.passives.is_empty()
                && monitor.watches.is_empty()
                && monitor.oneways.is_empty())
        {
            let remedy = "add a node with the role \"monitor\" and link it to a router";
            self.wrong(
                "monitor",
                "there is work for a monitor, but no monitor",
                remedy,
            );
        }
    }

    fn task_group(&mut self, path: &str, task: &Task) {
        match (&task.mvpn, task.group) {
            (Some(mvpn), None) => {
                self.known_mvpn(&format!("{path}.mvpn"), mvpn);
            }
            (None, Some(group)) => self.backbone_group(&format!("{path}.group"), group),
            (Some(_), Some(_)) => {
                self.wrong(
                    &format!("{path}.group"),
                    "`mvpn` and `group` both",
                    "a task probes one group: keep one",
                );
            }
            (None, None) => self.wrong(
                path,
                "neither `mvpn` nor `group`",
                "say what the task probes",
            ),
        }
    }

    fn task_tunnels(&mut self, path: &str, task: &Task) {
        let scenario = self.scenario;
        let senders = format!("{path}.senders");
        let receivers = format!("{path}.receivers");
        if !self.tunnel_patterns(&senders, &task.senders)
            | !self.tunnel_patterns(&receivers, &task.receivers)
        {
            return;
        }
        if scenario.task_pairs(task).is_empty() {
            let remedy = "a tunnel does not receive its own probes: name at least two tunnels";
            self.wrong(path, "the task has no pair of sender and receiver", remedy);
        }
        if scenario
            .task_group(task)
            .is_some_and(|group| group.octets()[0] == 232)
        {
            for name in scenario.task_receivers(task) {
                if scenario.tunnel(&name).is_some_and(|tunnel| tunnel.igmp < 3) {
                    let what = format!("an SSM group is joined through `{name}`, which has IGMPv2");
                    self.wrong(
                        &receivers,
                        what,
                        "RFC 4607 section 5: give the tunnel `igmp = 3`",
                    );
                }
            }
        }
    }

    /// Each pattern matches something.
    fn tunnel_patterns(&mut self, path: &str, patterns: &[String]) -> bool {
        let tunnels = self.scenario.own_tunnel_names();
        let mut fine = true;
        for (index, pattern) in patterns.iter().enumerate() {
            if tunnels.iter().any(|name| names::matches(pattern, name)) {
                continue;
            }
            fine = false;
            let at = format!("{path}.{index}");
            match pattern.strip_suffix('*') {
                Some(prefix) => {
                    let remedy = format!("the tunnels are: {}", tunnels.join(", "));
                    self.wrong(&at, format!("no tunnel begins with `{prefix}`"), remedy);
                }
                None => {
                    self.own_tunnel(&at, pattern);
                }
            }
        }
        if tunnels.is_empty() && patterns.is_empty() {
            self.wrong(path, "there are no tunnels", "add a [[tunnel]]");
            fine = false;
        }
        fine
    }

    fn task_times(&mut self, path: &str, task: &Task) {
        let scenario = self.scenario;
        let starts = |action: &Action| matches!(action, Action::TaskStart { task: name } if *name == task.name);
        if task.start.is_none() && !scenario.timeline.iter().any(|event| starts(&event.action)) {
            let remedy = "add an event with `do = \"task-start\"`, or give a time";
            self.wrong(
                &format!("{path}.start"),
                format!("`{}` is never started", task.name),
                remedy,
            );
        }
        let start = task.start.unwrap_or_default();
        self.within_run(path, start, task.stop);
        let stop = scenario.task_stop(task);
        if stop.saturating_add(task.loss_timeout) > scenario.duration {
            let what = format!(
                "the last probe, at {stop}, may be lost only {} later",
                task.loss_timeout
            );
            let remedy = format!("the run lasts {}: stop the task earlier", scenario.duration);
            self.wrong(&format!("{path}.stop"), what, remedy);
        }
        if start.saturating_add(task.warmup) >= stop {
            let what = format!(
                "nothing is left of the task after a warm-up of {}",
                task.warmup
            );
            self.wrong(
                &format!("{path}.warmup"),
                what,
                "make the run longer or the warm-up shorter",
            );
        }
        if task.interval < Span::millis(10) {
            self.wrong(
                &format!("{path}.interval"),
                format!("an interval of {}", task.interval),
                "at least \"10ms\"",
            );
        }
        if task.loss_timeout < Span::millis(1) {
            let what = format!("a loss timeout of {}", task.loss_timeout);
            self.wrong(&format!("{path}.loss_timeout"), what, "at least \"1ms\"");
        }
    }
}
