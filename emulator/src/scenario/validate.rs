//! What a scenario must not say: references to what is not there, and contradictions.
//!
//! Every rule names the culprit's place in the file and a remedy. All problems of a file are found in one go.

mod alarms;
mod data_mdts;
mod expectations;
mod impairments;
mod monitor;
mod mvpns;
mod oneway;
mod timeline;
mod topology;
mod traffic;

use std::net::Ipv4Addr;

use super::{Problem, Scenario, Span, parse::Places, parse::did_you_mean};

/// Everything that is wrong, in the order of the file's lines.
pub(super) fn problems(scenario: &Scenario, places: &Places<'_>) -> Vec<Problem> {
    let mut checker = Checker {
        scenario,
        places,
        problems: Vec::new(),
    };
    checker.header();
    checker.topology();
    checker.mvpns();
    checker.data_mdts();
    checker.impairments();
    checker.traffic();
    checker.transfers();
    checker.agents();
    checker.monitor();
    checker.oneways();
    checker.timeline();
    checker.expectations();
    checker
        .problems
        .sort_by_key(|problem| (problem.line, problem.column));
    checker.problems
}

struct Checker<'a> {
    scenario: &'a Scenario,
    places: &'a Places<'a>,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn wrong(&mut self, path: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems
            .push(self.places.problem(path, what.into(), remedy.into()));
    }

    /// `found` must be one of `known`; says which it might have meant.
    fn known(&mut self, path: &str, noun: &str, found: &str, known: &[&str]) -> bool {
        let is_known = known.contains(&found);
        if !is_known {
            let remedy = if known.is_empty() {
                format!("the scenario has no {noun}; add one")
            } else {
                did_you_mean(found, known)
            };
            self.wrong(path, format!("there is no {noun} `{found}`"), remedy);
        }
        is_known
    }

    fn known_node(&mut self, path: &str, node: &str) -> bool {
        let nodes: Vec<&str> = self.scenario.nodes.keys().map(String::as_str).collect();
        self.known(path, "node", node, &nodes)
    }

    fn known_router(&mut self, path: &str, node: &str) {
        if self.known_node(path, node) && !self.scenario.is_router(node) {
            self.wrong(
                path,
                format!("`{node}` is not a router"),
                "name a node whose role is \"p\" or \"pe\"",
            );
        }
    }

    fn known_mvpn(&mut self, path: &str, mvpn: &str) -> bool {
        let mvpns: Vec<&str> = self.scenario.mvpns.keys().map(String::as_str).collect();
        self.known(path, "MVPN", mvpn, &mvpns)
    }

    fn known_tunnel(&mut self, path: &str, tunnel: &str) -> bool {
        let names = self.scenario.tunnel_names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.known(path, "tunnel", tunnel, &names)
    }

    /// A tunnel of the monitor under test, not of a peer.
    fn own_tunnel(&mut self, path: &str, tunnel: &str) -> bool {
        if !self.known_tunnel(path, tunnel) {
            return false;
        }
        let own = self.scenario.own_tunnel_names();
        let is_own = own.iter().any(|name| name == tunnel);
        if !is_own {
            let remedy = format!("name one of the monitor under test: {}", own.join(", "));
            self.wrong(path, format!("`{tunnel}` is a peer's tunnel"), remedy);
        }
        is_own
    }

    fn known_link(&mut self, path: &str, ends: &str) -> bool {
        let links: Vec<&str> = self
            .scenario
            .links
            .iter()
            .map(|link| link.ends.as_str())
            .collect();
        if let Some(reversed) = ends.split_once('-').map(|(a, b)| format!("{b}-{a}"))
            && links.contains(&reversed.as_str())
            && !links.contains(&ends)
        {
            let remedy = format!("write it as its `ends` do: \"{reversed}\"");
            self.wrong(path, format!("the link is called `{reversed}`"), remedy);
            return false;
        }
        self.known(path, "link", ends, &links)
    }

    fn known_task(&mut self, path: &str, task: &str) -> bool {
        let tasks: Vec<&str> = self
            .scenario
            .monitor
            .tasks
            .iter()
            .map(|task| task.name.as_str())
            .collect();
        self.known(path, "task", task, &tasks)
    }

    /// A multicast group that routers forward: not link-local (RFC 5771 section 4).
    fn group(&mut self, path: &str, group: Ipv4Addr) {
        if !group.is_multicast() {
            self.wrong(
                path,
                format!("{group} is not a multicast group"),
                "use one of 224.1.0.0 to 239.255.255.255",
            );
        } else if group.octets()[..3] == [224, 0, 0] {
            self.wrong(
                path,
                format!("{group} is link-local and never forwarded"),
                "use one above 224.0.0.255",
            );
        }
    }

    /// A backbone group: with a tree that someone can root.
    fn backbone_group(&mut self, path: &str, group: Ipv4Addr) {
        self.group(path, group);
        if !group.is_multicast() || group.octets()[0] == 232 {
            return;
        }
        if self.scenario.backbone.rp.is_none() {
            let remedy = "name an RP under [backbone], `rp = \"P\"`, or use a group in 232.0.0.0/8";
            self.wrong(
                path,
                format!("{group} needs an RP, but the backbone has none"),
                remedy,
            );
        } else if group.octets()[0] != 239 && group.octets()[..2] != [224, 1] {
            let remedy = "use a group in 239.0.0.0/8, 224.1.0.0/16, or 232.0.0.0/8 for SSM";
            self.wrong(
                path,
                format!("{group} is outside of the RP's ranges"),
                remedy,
            );
        }
    }

    /// `start` before `stop`, both within the run.
    fn within_run(&mut self, path: &str, start: Span, stop: Option<Span>) {
        let end = self.scenario.duration;
        if start >= end {
            self.wrong(
                &format!("{path}.start"),
                format!("starts at {start}, but the run lasts {end}"),
                "start earlier",
            );
        }
        let Some(stop) = stop else { return };
        if stop > end {
            self.wrong(
                &format!("{path}.stop"),
                format!("stops at {stop}, but the run lasts {end}"),
                "stop earlier",
            );
        }
        if stop <= start {
            self.wrong(
                &format!("{path}.stop"),
                format!("stops at {stop}, but starts at {start}"),
                "stop later",
            );
        }
    }

    /// Each name once, and short enough to be part of a device's name.
    fn unique<'n>(&mut self, noun: &str, names: impl Iterator<Item = (String, &'n str)>) {
        let mut seen = std::collections::BTreeSet::new();
        for (path, name) in names {
            self.name(&path, noun, name, 24);
            if !seen.insert(name) {
                self.wrong(
                    &path,
                    format!("there are two {noun}s `{name}`"),
                    "give each its own name",
                );
            }
        }
    }

    /// Letters, digits, and for what becomes no device name `-`; a letter first.
    fn name(&mut self, path: &str, noun: &str, name: &str, longest: usize) {
        let inner_dash = longest > 11;
        let fits = name.len() <= longest
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || (inner_dash && c == '-'));
        if !fits {
            let dash = if inner_dash {
                ", digits and `-`"
            } else {
                " and digits"
            };
            let remedy = format!("use at most {longest} letters{dash}, a letter first");
            self.wrong(path, format!("`{name}` is no name for a {noun}"), remedy);
        }
    }

    fn header(&mut self) {
        let duration = self.scenario.duration;
        if duration < Span::seconds(1) || duration > Span::seconds(3600) {
            self.wrong(
                "duration",
                format!("a run of {duration}"),
                "between \"1s\" and \"1h\"",
            );
        }
        if !(256..=16_384).contains(&self.scenario.memory_mib) {
            self.wrong(
                "memory_mib",
                "this much memory is not possible",
                "between 256 and 16384 MiB; 1024 is usual",
            );
        }
        for (index, id) in self.scenario.proves.iter().enumerate() {
            let known = ["VS", "OL", "PC", "PM", "MB", "TB"];
            let fits = id.split_once('-').is_some_and(|(source, number)| {
                known.contains(&source)
                    && number.len() == 2
                    && number.bytes().all(|b| b.is_ascii_digit())
            });
            if !fits {
                let remedy = "as in \"VS-12\"; the ids are those of requirements.toml";
                self.wrong(
                    &format!("proves.{index}"),
                    format!("`{id}` is no requirement id"),
                    remedy,
                );
            }
        }
    }
}
