//! What is expected of MVPNs, and the alarms that must come of it.

use super::Checker;
use crate::scenario::{Action, ExpectedAlarm, ExpectedMvpn, Role, Span};

impl Checker<'_> {
    /// What the monitor is told to expect.
    pub(super) fn expected_mvpn(&mut self, path: &str, expected: &ExpectedMvpn) {
        let at = |field: &str| format!("{path}.{field}");
        if !self.known_mvpn(&at("mvpn"), &expected.mvpn) {
            return;
        }
        self.is_watched(&at("mvpn"), &expected.mvpn);
        for pe in expected.pes.iter().flatten() {
            self.pe_of(&at("pes"), &expected.mvpn, pe);
        }
        for node in expected.sources.values().flatten() {
            self.customer_of(&at("sources"), &expected.mvpn, node);
        }
    }

    /// Alarms that can be told apart, and can be raised and cleared in the run.
    pub(super) fn expected_alarms(&mut self, path: &str, mvpn: &str, alarms: &[ExpectedAlarm]) {
        let scenario = self.scenario;
        let mut expected = scenario.monitor.expected.iter();
        if !expected.any(|expected| expected.mvpn == mvpn) {
            let remedy = "add a [[monitor.expect]] of it";
            let what = "nothing is expected of this MVPN, so nothing is amiss there";
            self.wrong(&format!("{path}.mvpn"), what, remedy);
        }
        if alarms.is_empty() {
            let remedy =
                "name at least one that must be raised: a monitor without alarms passes otherwise";
            self.wrong(&format!("{path}.alarms"), "no alarm is expected", remedy);
        }
        for (index, alarm) in alarms.iter().enumerate() {
            self.expected_alarm(&format!("{path}.alarms.{index}"), mvpn, alarm);
        }
    }

    fn expected_alarm(&mut self, path: &str, mvpn: &str, alarm: &ExpectedAlarm) {
        let kind = alarm.kind;
        for (field, has, wants) in [
            ("pe", alarm.pe.is_some(), kind.has_pe()),
            ("group", alarm.group.is_some(), kind.has_group()),
            ("source", alarm.source.is_some(), kind.has_source()),
        ] {
            let remedy = match wants {
                true => format!("add `{field}`"),
                false => format!("leave `{field}` out"),
            };
            if has != wants {
                let what = format!("`{kind}` with{} a {field}", if has { "" } else { "out" });
                self.wrong(path, what, remedy);
            }
        }
        if let Some(pe) = &alarm.pe {
            self.pe_of(&format!("{path}.pe"), mvpn, pe);
        }
        if let Some(source) = &alarm.source {
            self.customer_of(&format!("{path}.source"), mvpn, source);
        }
        let cleared = alarm.cleared.map(|window| ("cleared", window));
        for (field, [from, until]) in std::iter::once(("raised", alarm.raised)).chain(cleared) {
            self.window_of(&format!("{path}.{field}"), from, until);
        }
    }

    fn window_of(&mut self, path: &str, from: Span, until: Span) {
        if until > self.scenario.duration {
            let what = format!("the run lasts {}", self.scenario.duration);
            self.wrong(path, what, "a window within the run");
        } else if until <= from {
            self.wrong(path, "the window is empty", "write [\"FROM\", \"UNTIL\"]");
        }
    }

    /// A node behind a PE of the MVPN.
    fn customer_of(&mut self, path: &str, mvpn: &str, node: &str) {
        let scenario = self.scenario;
        let is_own = |node: &&str| {
            matches!(scenario.role(node), Some(Role::Ce | Role::Host))
                && scenario.mvpn_of(node) == Some(mvpn)
        };
        let nodes = scenario.nodes.keys().map(String::as_str);
        let own: Vec<&str> = nodes.filter(is_own).collect();
        self.known(path, "node of that MVPN's customer", node, &own);
    }

    /// The monitor's past can be asked for by time of day only if that never goes back, and one monitor knows it all.
    pub(super) fn has_one_past(&mut self, path: &str) {
        for event in &self.scenario.timeline {
            let what = match event.action {
                Action::ClockStep { .. } => "the clock is stepped: a moment may have two names",
                Action::MonitorKill {} => "the monitor is killed: what it knew then is not known",
                _ => continue,
            };
            let remedy = "judge the past in a scenario of its own";
            self.wrong(path, what, remedy);
        }
    }
}
