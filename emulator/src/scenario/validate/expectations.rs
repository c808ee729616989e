//! What must hold, and whether it could.

use super::Checker;
use crate::scenario::{Action, Expectation, Span};

impl Checker<'_> {
    pub(super) fn expectations(&mut self) {
        let scenario = self.scenario;
        if scenario.expectations.is_empty() {
            let remedy = "a run that expects nothing proves nothing: add an [[expect]]";
            self.wrong("title", "the scenario has no expectations", remedy);
        }
        for (index, expectation) in scenario.expectations.iter().enumerate() {
            let path = format!("expect.{index}");
            if let Some(task) = expectation.task()
                && self.known_task(&format!("{path}.task"), task)
            {
                self.pair(&path, task, expectation);
            }
            self.references(&path, expectation);
            self.expected_oneway(&path, expectation);
            self.ranges(&path, expectation);
        }
    }

    fn references(&mut self, path: &str, expectation: &Expectation) {
        let scenario = self.scenario;
        let at = |field: &str| format!("{path}.{field}");
        match expectation {
            Expectation::Delivered {
                source, receiver, ..
            } => {
                self.known_source(&at("source"), source);
                let names: Vec<&str> = scenario.receivers.iter().map(|r| r.name.as_str()).collect();
                self.known(&at("receiver"), "receiver", receiver, &names);
            }
            Expectation::Transferred { transfer, .. } => {
                let names: Vec<&str> = scenario.transfers.iter().map(|t| t.name.as_str()).collect();
                self.known(&at("transfer"), "transfer", transfer, &names);
            }
            Expectation::PathLossInferred { .. } => {
                if scenario.monitor.oneways.is_empty() {
                    let remedy = "add a [[monitor.oneway]] for each tunnel";
                    self.wrong(&at("check"), "there is nothing to infer it from", remedy);
                }
            }
            Expectation::PassiveStream { source, tunnel, .. } => {
                self.known_source(&at("source"), source);
                self.known_tunnel(&at("tunnel"), tunnel);
                self.listens(path);
            }
            Expectation::OnlyCustomerStreams { mvpn } => {
                self.known_mvpn(&at("mvpn"), mvpn);
                self.listens(path);
            }
            Expectation::ProbeCopies { tunnel, .. } => {
                self.known_tunnel(&at("tunnel"), tunnel);
            }
            Expectation::NothingSentTo { group } => self.group(&at("group"), *group),
            Expectation::Forwarded {
                node,
                group,
                yes: _,
                to: _,
            } => {
                self.known_router(&at("node"), node);
                self.group(&at("group"), *group);
            }
            Expectation::CustomerAdjacencies { mvpn } => {
                self.known_mvpn(&at("mvpn"), mvpn);
            }
            Expectation::ControlPlane { mvpn } => {
                if self.known_mvpn(&at("mvpn"), mvpn) && self.is_watched(&at("mvpn"), mvpn) {
                    self.has_checkpoints(&at("mvpn"));
                }
            }
            Expectation::History { mvpn } => {
                if self.known_mvpn(&at("mvpn"), mvpn) && self.is_watched(&at("mvpn"), mvpn) {
                    self.has_checkpoints(&at("mvpn"));
                    self.has_one_past(&at("mvpn"));
                }
            }
            Expectation::Appearance { mvpn, .. } => {
                if self.known_mvpn(&at("mvpn"), mvpn) {
                    self.is_watched(&at("mvpn"), mvpn);
                    self.has_one_past(&at("mvpn"));
                }
            }
            Expectation::Alarms { mvpn, alarms } => {
                if self.known_mvpn(&at("mvpn"), mvpn) {
                    self.expected_alarms(path, mvpn, alarms);
                }
            }
            Expectation::MdtNeighbor {
                mvpn,
                at: pe,
                neighbor,
                yes: _,
            } => {
                if self.known_mvpn(&at("mvpn"), mvpn) {
                    self.pe_of(&at("at"), mvpn, pe);
                    self.pe_of(&at("neighbor"), mvpn, neighbor);
                }
            }
            Expectation::MdtPackets { source, pe, .. } => {
                self.known_source(&at("source"), source);
                self.pe_of_source(&at("source"), &at("pe"), source, &[pe]);
            }
            Expectation::DataMdt { source, joined, .. } => {
                self.known_source(&at("source"), source);
                let joined: Vec<&String> = joined.iter().collect();
                self.pe_of_source(&at("source"), &at("joined"), source, &joined);
                self.has_data_mdts(&at("source"), source);
            }
            Expectation::LogLostBeforeKill { .. } => {
                if !scenario.kills_monitor() {
                    let remedy = "add an event with `do = \"monitor-kill\"`";
                    self.wrong(&at("check"), "the monitor is never killed", remedy);
                }
            }
            Expectation::NoProbeAtCustomer { .. } => {
                if scenario.mvpns.values().all(|mvpn| mvpn.sites.is_empty()) {
                    self.wrong(
                        &at("check"),
                        "there is no customer to look at",
                        "add an MVPN with a CE",
                    );
                }
            }
            Expectation::Fates { .. }
            | Expectation::Intervals { .. }
            | Expectation::DelayError { .. }
            | Expectation::PathDelay { .. }
            | Expectation::PathInterval { .. }
            | Expectation::PathBias { .. }
            | Expectation::LossRate { .. }
            | Expectation::PathLoss { .. }
            | Expectation::Oneway { .. }
            | Expectation::OnewayAbsent { .. }
            | Expectation::OnewayDoubt { .. }
            | Expectation::OnewayBias { .. }
            | Expectation::Delay { .. }
            | Expectation::LossBetween { .. }
            | Expectation::Outage { .. }
            | Expectation::Duplicates { .. }
            | Expectation::Reordered { .. }
            | Expectation::Cause { .. }
            | Expectation::CustomerPackets { .. }
            | Expectation::Overhead {} => {}
        }
    }

    fn known_source(&mut self, path: &str, source: &str) {
        let names: Vec<&str> = self
            .scenario
            .sources
            .iter()
            .map(|s| s.name.as_str())
            .collect();
        self.known(path, "source", source, &names);
    }

    /// The source is a customer's, and these PEs are of its MVPN.
    fn pe_of_source(&mut self, path: &str, pe_path: &str, source: &str, pes: &[&String]) {
        let scenario = self.scenario;
        let Some(source) = scenario.sources.iter().find(|s| s.name == source) else {
            return;
        };
        match scenario.mvpn_of(&source.at) {
            Some(mvpn) => pes.iter().for_each(|pe| self.pe_of(pe_path, mvpn, pe)),
            None => {
                let remedy = "name a source at a CE, or behind one";
                self.wrong(path, format!("`{}` is in no MVPN", source.name), remedy);
            }
        }
    }

    fn has_data_mdts(&mut self, path: &str, source: &str) {
        let scenario = self.scenario;
        let source = scenario.sources.iter().find(|s| s.name == source);
        let mvpn = source.and_then(|source| scenario.mvpn_of(&source.at));
        if let Some(mvpn) = mvpn
            && scenario
                .mvpns
                .get(mvpn)
                .is_none_or(|m| m.data_mdt.is_none())
        {
            let remedy = format!("add [mvpn.{mvpn}.data_mdt]");
            self.wrong(path, format!("`{mvpn}` has no data MDTs"), remedy);
        }
    }

    pub(super) fn is_watched(&mut self, path: &str, mvpn: &str) -> bool {
        let mut watches = self.scenario.monitor.watches.iter();
        let watched = watches.any(|watch| watch.mvpn == mvpn);
        if !watched {
            let remedy = "add a [[monitor.watch]] of it";
            self.wrong(path, "the monitor does not watch this MVPN", remedy);
        }
        watched
    }

    fn has_checkpoints(&mut self, path: &str) {
        let mut timeline = self.scenario.timeline.iter();
        if !timeline.any(|event| matches!(event.action, Action::Checkpoint {})) {
            let remedy = "add an [[at]] with do = \"checkpoint\"";
            self.wrong(path, "there is no checkpoint to judge it at", remedy);
        }
    }

    fn listens(&mut self, path: &str) {
        if self.scenario.monitor.passives.is_empty() {
            let remedy = "add a [[monitor.passive]] that listens";
            self.wrong(
                &format!("{path}.check"),
                "the monitor measures nothing passively",
                remedy,
            );
        }
    }

    /// Sender and receiver are a pair of the task.
    fn pair(&mut self, path: &str, task: &str, expectation: &Expectation) {
        let (sender, receiver) = match expectation {
            Expectation::PathBias {
                sender, receiver, ..
            }
            | Expectation::Outage {
                sender, receiver, ..
            } => (Some(sender), Some(receiver)),
            Expectation::LossRate {
                sender, receiver, ..
            }
            | Expectation::Delay {
                sender, receiver, ..
            }
            | Expectation::LossBetween {
                sender, receiver, ..
            } => (sender.as_ref(), receiver.as_ref()),
            _ => return,
        };
        let scenario = self.scenario;
        let Some(task) = scenario.task(task) else {
            return;
        };
        let (senders, receivers) = (scenario.task_senders(task), scenario.task_receivers(task));
        let words = |names: &'_ [String]| {
            names
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        };
        for (field, noun, name, members) in [
            ("sender", "sender", sender, &senders),
            ("receiver", "receiver", receiver, &receivers),
        ] {
            if let Some(name) = name.filter(|name| !members.contains(name)) {
                let what = format!("`{name}` is no {noun} of `{}`", task.name);
                self.wrong(
                    &format!("{path}.{field}"),
                    what,
                    format!("its {noun}s are: {}", words(members)),
                );
            }
        }
        if sender.is_some() && sender == receiver {
            let remedy = "a tunnel does not receive its own probes";
            self.wrong(
                &format!("{path}.receiver"),
                "sender and receiver are the same",
                remedy,
            );
        }
    }

    fn ranges(&mut self, path: &str, expectation: &Expectation) {
        let at = |field: &str| format!("{path}.{field}");
        let upside_down = match expectation {
            Expectation::Delay {
                at_least, at_most, ..
            }
            | Expectation::Outage {
                at_least, at_most, ..
            } => at_least > at_most,
            Expectation::LossBetween {
                at_least, at_most, ..
            }
            | Expectation::Delivered {
                at_least, at_most, ..
            } => at_least > at_most,
            Expectation::OnewayBias {
                at_least, at_most, ..
            } => at_least > at_most,
            Expectation::Transferred {
                at_least, at_most, ..
            } => at_least > at_most,
            Expectation::ProbeCopies {
                at_least, at_most, ..
            } => at_most.is_some_and(|at_most| *at_least > at_most),
            _ => false,
        };
        if upside_down {
            self.wrong(
                &at("at_most"),
                "`at_most` is less than `at_least`",
                "exchange them",
            );
        }
        match expectation {
            Expectation::LossBetween { from, until, .. } => self.window(path, *from, Some(*until)),
            Expectation::Fates { from, until, .. }
            | Expectation::ProbeCopies { from, until, .. } => {
                self.window(path, *from, *until);
            }
            Expectation::LossRate { alpha, .. } if !(*alpha > 0.0 && *alpha <= 0.01) => {
                let what = format!("a false-alarm probability of {alpha}");
                let remedy = "more than 0 and at most 0.01; 1e-6 is usual";
                self.wrong(&at("alpha"), what, remedy);
            }
            _ => {}
        }
    }

    fn window(&mut self, path: &str, from: Span, until: Option<Span>) {
        let end = self.scenario.duration;
        if from >= end || until.is_some_and(|until| until > end) {
            let field = if from >= end { "from" } else { "until" };
            self.wrong(
                &format!("{path}.{field}"),
                format!("the run lasts {end}"),
                "a window within the run",
            );
        } else if until.is_some_and(|until| until <= from) {
            self.wrong(
                &format!("{path}.until"),
                "the window is empty",
                "`until` after `from`",
            );
        }
    }
}
