//! One-way measurements, and the agents that some of them ask.

use super::Checker;
use crate::scenario::{Agent, Direction, Expectation, Leaf, Oneway, Probability};

impl Checker<'_> {
    pub(super) fn agents(&mut self) {
        let scenario = self.scenario;
        let named = scenario.agents.iter().enumerate();
        let names = named
            .clone()
            .map(|(i, agent)| (format!("agent.{i}.name"), agent.name.as_str()));
        self.unique("agent", names);
        for (index, agent) in named {
            let path = format!("agent.{index}");
            self.known_router(&format!("{path}.at"), &agent.at);
            self.kind_of_agent(&path, agent);
            let is_asked = |oneway: &Oneway| {
                let mut leaves = oneway.leaves.iter();
                leaves.any(|leaf| leaf.agent.as_ref() == Some(&agent.name))
            };
            if !scenario.monitor.oneways.iter().any(is_asked) {
                let remedy = "name it as `agent` of a leaf, or remove it";
                let what = format!("nobody asks the agent `{}`", agent.name);
                self.wrong(&format!("{path}.name"), what, remedy);
            }
        }
    }

    fn kind_of_agent(&mut self, path: &str, agent: &Agent) {
        match (&agent.snmp, &agent.flow) {
            (Some(_), Some(_)) => self.wrong(
                &format!("{path}.flow"),
                "`snmp` and `flow` both",
                "make it two agents",
            ),
            (None, None) => self.wrong(
                path,
                "neither `snmp` nor `flow`",
                "say what the agent is, as in `snmp = {}`",
            ),
            (Some(_), None) => {}
            (None, Some(flow)) => {
                let at = format!("{path}.flow.link");
                let link = self.scenario.links.iter().find(|l| l.ends == flow.link);
                if self.known_link(&at, &flow.link)
                    && link.is_some_and(|link| link.peer_of(&agent.at).is_none())
                {
                    let what = format!("`{}` is not a link of `{}`", flow.link, agent.at);
                    self.wrong(&at, what, "name a link of the agent's router");
                }
            }
        }
    }

    pub(super) fn oneways(&mut self) {
        let scenario = self.scenario;
        let named = scenario.monitor.oneways.iter().enumerate();
        let names = named
            .clone()
            .map(|(i, oneway)| (format!("monitor.oneway.{i}.name"), oneway.name.as_str()));
        self.unique("one-way measurement", names);
        for (index, oneway) in named {
            let path = format!("monitor.oneway.{index}");
            if scenario.task(&oneway.name).is_some() {
                let what = format!("a task is called `{}` too", oneway.name);
                self.wrong(&format!("{path}.name"), what, "give each its own name");
            }
            self.backbone_group(&format!("{path}.group"), oneway.group);
            self.size(&path, oneway.size_bytes);
            self.tunnels_of_oneway(&path, oneway);
            for (leaf_index, leaf) in oneway.leaves.iter().enumerate() {
                self.leaf(&format!("{path}.leaf.{leaf_index}"), leaf);
            }
            self.ways(&path, oneway);
            self.oneway_times(&path, oneway);
        }
    }

    /// Up and down end at one router, and copies come back to where they started.
    fn tunnels_of_oneway(&mut self, path: &str, oneway: &Oneway) {
        let scenario = self.scenario;
        let up = format!("{path}.up");
        if !self.own_tunnel(&up, &oneway.up) {
            return;
        }
        let router = scenario.tunnel(&oneway.up).map(|tunnel| &tunnel.at);
        if oneway.down.is_empty() {
            let what = "no tunnel brings copies back";
            self.wrong(&format!("{path}.down"), what, "name at least one");
        }
        for (index, down) in oneway.down.iter().enumerate() {
            let at = format!("{path}.down.{index}");
            if *down == oneway.up {
                let remedy = "a router never sends back where a packet came from: name another";
                self.wrong(&at, format!("`{down}` is the way up"), remedy);
            } else if self.own_tunnel(&at, down) {
                self.same_router(&at, down, router);
            }
        }
        if oneway.leaves.is_empty() && oneway.down.len() < 2 {
            let remedy = "add a [[monitor.oneway.leaf]], or a second tunnel to `down`";
            self.wrong(path, "copies go one way only", remedy);
        }
    }

    fn same_router(&mut self, path: &str, tunnel: &str, router: Option<&String>) {
        let at = self.scenario.tunnel(tunnel).map(|tunnel| &tunnel.at);
        if at != router {
            let where_up = router.map_or("", String::as_str);
            let what = format!("`{tunnel}` does not end at `{where_up}`, where the probes go");
            self.wrong(
                path,
                what,
                "all tunnels of one measurement end at one router",
            );
        }
    }

    fn leaf(&mut self, path: &str, leaf: &Leaf) {
        let kinds = [&leaf.collector, &leaf.reflector, &leaf.agent];
        if kinds.iter().filter(|kind| kind.is_some()).count() != 1 {
            let remedy = "exactly one of `collector`, `reflector` and `agent`";
            self.wrong(path, "it is not said what this leaf is", remedy);
            return;
        }
        for (field, tunnel) in [
            ("collector", &leaf.collector),
            ("reflector", &leaf.reflector),
        ] {
            let Some(tunnel) = tunnel else { continue };
            let at = format!("{path}.{field}");
            if self.known_tunnel(&at, tunnel) && self.scenario.peer_of_tunnel(tunnel).is_none() {
                let what = format!("`{tunnel}` is a tunnel of the monitor under test");
                self.wrong(&at, what, "name a peer's: a tunnel with `host`");
            }
        }
        match &leaf.agent {
            Some(agent) => self.counted_leaf(path, agent, leaf),
            None if leaf.counter.is_some() || leaf.aggregate.is_some() => {
                let remedy = "`counter` and `aggregate` are of a leaf with `agent`: remove them";
                self.wrong(path, "there is nobody who counts", remedy);
            }
            None => {}
        }
    }

    fn counted_leaf(&mut self, path: &str, name: &str, leaf: &Leaf) {
        let scenario = self.scenario;
        let names: Vec<&str> = scenario.agents.iter().map(|a| a.name.as_str()).collect();
        if !self.known(&format!("{path}.agent"), "agent", name, &names) {
            return;
        }
        if leaf.aggregate.is_none_or(|aggregate| aggregate < 2) {
            let remedy = "as in `aggregate = 20`: how many probes are counted at a time";
            self.wrong(path, "aggregates of fewer than two probes", remedy);
        }
        let agent = scenario.agents.iter().find(|agent| agent.name == name);
        let Some(agent) = agent else { return };
        match (&leaf.counter, &agent.snmp) {
            (Some(counter), Some(_)) => {
                let mut neighbors = scenario.neighbors(&agent.at);
                if !neighbors.any(|peer| peer == counter.toward) {
                    let what = format!("`{}` is no neighbour of `{}`", counter.toward, agent.at);
                    self.wrong(
                        &format!("{path}.counter.toward"),
                        what,
                        "name one of its links' other ends",
                    );
                }
                if counter.direction == Direction::Out {
                    self.wrong(
                        &format!("{path}.counter.direction"),
                        "the monitor reads what comes in by an interface",
                        "write `in`, with the interface that they come in by",
                    );
                }
            }
            (Some(_), None) => self.wrong(
                &format!("{path}.counter"),
                "a flow exporter counts flows",
                "remove `counter`",
            ),
            // Of the multicast route, or of the flow.
            (None, Some(_) | None) => {}
        }
    }

    /// Results are told apart by the names of their ways.
    fn ways(&mut self, path: &str, oneway: &Oneway) {
        let mut seen = std::collections::BTreeSet::new();
        for way in oneway.ways().filter(|way| !way.is_empty()) {
            if !seen.insert(way) {
                let remedy = "give each tunnel and agent its own name, and name it once";
                self.wrong(path, format!("there are two ways `{way}`"), remedy);
            }
        }
    }

    fn oneway_times(&mut self, path: &str, oneway: &Oneway) {
        let stop = self.scenario.oneway_stop(oneway);
        self.within_run(path, oneway.start, oneway.stop);
        if oneway.start.saturating_add(oneway.warmup) >= stop {
            let what = format!("nothing is left after a warm-up of {}", oneway.warmup);
            let remedy = "make the run longer or the warm-up shorter";
            self.wrong(&format!("{path}.warmup"), what, remedy);
        }
        if oneway
            .until
            .is_some_and(|until| until.absolute.is_some() == until.relative.is_some())
        {
            let remedy = "as in `until = { relative = \"10%\" }`: one of the two";
            self.wrong(
                &format!("{path}.until"),
                "`absolute` or `relative`?",
                remedy,
            );
        }
        let share = |value: Probability| value.0 > 0.0 && value.0 < 1.0;
        if oneway
            .confidence
            .is_some_and(|confidence| !share(confidence) || confidence.0 < 0.5)
        {
            let remedy = "at least \"50%\" and below \"100%\"; \"95%\" is usual";
            self.wrong(&format!("{path}.confidence"), "no such confidence", remedy);
        }
    }

    /// What expectations say of one-way measurements.
    pub(super) fn expected_oneway(&mut self, path: &str, expectation: &Expectation) {
        let scenario = self.scenario;
        let Some(name) = expectation.oneway() else {
            return;
        };
        let names: Vec<&str> = scenario
            .monitor
            .oneways
            .iter()
            .map(|oneway| oneway.name.as_str())
            .collect();
        let at = format!("{path}.oneway");
        if !self.known(&at, "one-way measurement", name, &names) {
            return;
        }
        let ways: Vec<&str> = scenario
            .oneway(name)
            .into_iter()
            .flat_map(Oneway::ways)
            .collect();
        let mut meant = |field: String, way: &str| self.known(&field, "way", way, &ways);
        match expectation {
            Expectation::Oneway { ways, injected, .. } => {
                for (index, way) in ways.iter().enumerate() {
                    meant(format!("{path}.ways.{index}"), way);
                }
                for way in injected.keys() {
                    meant(format!("{path}.injected.{way}:"), way);
                }
            }
            Expectation::OnewayBias { way, .. } => {
                meant(format!("{path}.way"), way);
            }
            _ => {}
        }
    }
}
