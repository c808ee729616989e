//! Several monitors that share the work: one configuration on every host, of which each takes its part.
//!
//! ```toml
//! [shard]
//! monitors = ["east", "west"]   # vmscope daemon --monitor east; the host's name if that is absent
//! by = "pe"                     # the default; or "mvpn"
//! tunnels = { pe1 = "east" }    # what is not to be drawn by lot
//! ```
//!
//! A tunnel belongs to one monitor: the one named, or one drawn by lot from the tunnel's name (`by = "pe"`) or from that
//! of the first MVPN or task that names it (`by = "mvpn"`, so that an MVPN stays together where its tunnels are its own).
//! The lot is the same on every host, and another monitor more takes over only its share (rendezvous hashing).
//!
//! **What cannot be seen.** A pair is measured by the monitor that has both of its tunnels: clocks of two hosts are not
//! compared here. A pair whose PEs belong to different monitors is therefore measured by nobody; how many these are is
//! said in `status`, and in the log at the start.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::name::Name;

/// Monitors that share a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardSpec {
    /// All of them, in any order.
    pub monitors: Vec<Name>,
    /// What is drawn by lot.
    #[serde(default)]
    pub by: ShardBy,
    /// Tunnels whose monitor is not drawn by lot.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tunnels: BTreeMap<Name, Name>,
}

/// What is drawn by lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShardBy {
    /// Each tunnel by itself.
    #[default]
    Pe,
    /// All tunnels of an MVPN or task together; one that several name goes with the first.
    Mvpn,
}

/// A monitor's part, and what nobody sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardStatus {
    /// This monitor.
    pub monitor: Name,
    /// All that share the configuration.
    pub monitors: Vec<Name>,
    /// Tunnels of this one.
    pub tunnels: u64,
    /// Tunnels of all.
    pub tunnels_of_all: u64,
    /// MVPNs and tasks with pairs that no monitor measures, because their tunnels belong to different ones.
    pub unseen: Vec<Unseen>,
}

/// Pairs of an MVPN or task that no monitor measures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unseen {
    /// The MVPN or task.
    pub name: Name,
    /// Its ordered pairs that no monitor measures.
    pub pairs: u64,
    /// All its ordered pairs.
    pub of: u64,
}

/// A part that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// Not one of those that share it.
    #[error(
        "cannot take the part of monitor {monitor}: [shard] names {named}; name it there, or say which this is (--monitor NAME)"
    )]
    NotNamed {
        /// Who asks.
        monitor: String,
        /// Who is there.
        named: String,
    },
    /// A monitor twice, or none.
    #[error("[shard] monitors = {0}: name each monitor once, and at least one")]
    Monitors(String),
    /// A tunnel for which there is no monitor, or a monitor for no tunnel.
    #[error(
        "[shard] tunnels gives {tunnel} to {monitor}: {what}; correct the name, or remove the line"
    )]
    Assignment {
        /// The tunnel.
        tunnel: Name,
        /// The monitor.
        monitor: Name,
        /// What is wrong.
        what: &'static str,
    },
}

impl Config {
    /// The part of one monitor, if the configuration is shared at all; else all of it.
    pub fn part_of(&self, monitor: &str) -> Result<(Config, Option<ShardStatus>), ShardError> {
        let Some(shard) = &self.shard else {
            return Ok((self.clone(), None));
        };
        let monitor = shard.check(self, monitor)?;
        let owners = shard.owners(self);
        let is_ours = |tunnel: &Name| owners.get(tunnel).is_none_or(|owner| *owner == monitor);
        let status = ShardStatus {
            monitor: monitor.clone(),
            monitors: shard.monitors.clone(),
            tunnels: self.tunnels.iter().filter(|t| is_ours(&t.name)).count() as u64,
            tunnels_of_all: self.tunnels.len() as u64,
            unseen: self.unseen(&owners),
        };
        Ok((self.part(is_ours), Some(status)))
    }

    /// All that needs only tunnels of ours. A name that is no tunnel's stays, to be complained of.
    fn part(&self, is_ours: impl Fn(&Name) -> bool) -> Config {
        let ours = |names: &[Name]| -> Vec<Name> {
            names.iter().filter(|name| is_ours(name)).cloned().collect()
        };
        let mut part = self.clone();
        part.tunnels.retain(|tunnel| is_ours(&tunnel.name));
        part.joins.retain(|join| is_ours(&join.tunnel));
        part.sends.retain(|send| is_ours(&send.tunnel));
        for passive in &mut part.passive {
            passive.tunnels = ours(&passive.tunnels);
        }
        part.passive.retain(|passive| !passive.tunnels.is_empty());
        for task in &mut part.tasks {
            (task.senders, task.receivers) = (ours(&task.senders), ours(&task.receivers));
        }
        part.tasks
            .retain(|task| pairs(&task.senders, &task.receivers) > 0);
        for mvpn in &mut part.mvpns {
            let tunnels = ours(&mvpn.tunnels);
            let measures = tunnels.len() > 1;
            mvpn.start &= measures;
            mvpn.tunnels = if measures { tunnels } else { Vec::new() };
            let watch = mvpn.watch.take().map(|watch| crate::spec::WatchSpec {
                tunnels: ours(&watch.tunnels),
                ..watch
            });
            mvpn.watch = watch.filter(|watch| !watch.tunnels.is_empty());
        }
        part.mvpns
            .retain(|mvpn| !mvpn.tunnels.is_empty() || mvpn.watch.is_some());
        let watched: BTreeSet<&Name> = part
            .mvpns
            .iter()
            .filter(|mvpn| mvpn.watch.is_some())
            .map(|mvpn| &mvpn.name)
            .collect();
        part.expected
            .retain(|expected| watched.contains(&expected.mvpn));
        part
    }

    fn unseen(&self, owners: &HashMap<&Name, Name>) -> Vec<Unseen> {
        let mvpns = self.mvpns.iter().map(|m| (&m.name, &m.tunnels, &m.tunnels));
        let tasks = self
            .tasks
            .iter()
            .map(|t| (&t.name, &t.senders, &t.receivers));
        let all = mvpns.chain(tasks).map(|(name, senders, receivers)| {
            let of = pairs(senders, receivers);
            let mut seen = 0;
            for monitor in owners.values().collect::<BTreeSet<_>>() {
                let theirs = |names: &[Name]| -> Vec<Name> {
                    let is_theirs = |name: &&Name| owners.get(name) == Some(monitor);
                    names.iter().filter(is_theirs).cloned().collect()
                };
                seen += pairs(&theirs(senders), &theirs(receivers));
            }
            let name = name.clone();
            let pairs = of.saturating_sub(seen);
            Unseen { name, pairs, of }
        });
        all.filter(|unseen| unseen.pairs > 0).collect()
    }
}

impl ShardSpec {
    fn check(&self, config: &Config, monitor: &str) -> Result<Name, ShardError> {
        let named = || {
            let names: Vec<&str> = self.monitors.iter().map(Name::as_str).collect();
            names.join(", ")
        };
        let distinct: BTreeSet<&Name> = self.monitors.iter().collect();
        if distinct.is_empty() || distinct.len() != self.monitors.len() {
            return Err(ShardError::Monitors(named()));
        }
        let tunnels: BTreeSet<&Name> = config.tunnels.iter().map(|t| &t.name).collect();
        for (tunnel, monitor) in &self.tunnels {
            let what = match (tunnels.contains(tunnel), distinct.contains(monitor)) {
                (true, true) => continue,
                (false, _) => "there is no such tunnel",
                (true, false) => "there is no such monitor",
            };
            let (tunnel, monitor) = (tunnel.clone(), monitor.clone());
            return Err(ShardError::Assignment {
                tunnel,
                monitor,
                what,
            });
        }
        let this = self.monitors.iter().find(|name| name.as_str() == monitor);
        this.cloned().ok_or_else(|| ShardError::NotNamed {
            monitor: monitor.to_owned(),
            named: named(),
        })
    }

    /// Whose each tunnel is.
    fn owners<'a>(&self, config: &'a Config) -> HashMap<&'a Name, Name> {
        let mut lots: HashMap<&Name, &Name> = HashMap::new();
        if self.by == ShardBy::Mvpn {
            let mvpns = config.mvpns.iter().flat_map(|m| {
                let watched = m.watch.iter().flat_map(|watch| &watch.tunnels);
                m.tunnels.iter().chain(watched).map(|t| (&m.name, t))
            });
            let tasks = config.tasks.iter().flat_map(|task| {
                let both = task.senders.iter().chain(&task.receivers);
                both.map(|t| (&task.name, t))
            });
            for (name, tunnel) in mvpns.chain(tasks) {
                lots.entry(tunnel).or_insert(name);
            }
        }
        let owner = |tunnel: &'a Name| {
            let lot = lots.get(tunnel).copied().unwrap_or(tunnel);
            let drawn = self.monitors.iter().max_by_key(|m| (weight(m, lot), *m));
            self.tunnels.get(tunnel).or(drawn).cloned()
        };
        let tunnels = config.tunnels.iter().map(|t| &t.name);
        tunnels
            .filter_map(|tunnel| Some((tunnel, owner(tunnel)?)))
            .collect()
    }
}

/// Ordered pairs of different tunnels.
fn pairs(senders: &[Name], receivers: &[Name]) -> u64 {
    let receiving: BTreeSet<&Name> = receivers.iter().collect();
    let selves = senders.iter().filter(|s| receiving.contains(s)).count();
    (senders.len() * receivers.len() - selves) as u64
}

/// How much a monitor wants something: the same on every host and in every version (FNV-1a, then mixed).
fn weight(monitor: &Name, lot: &Name) -> u64 {
    let bytes = monitor
        .as_str()
        .bytes()
        .chain([0])
        .chain(lot.as_str().bytes());
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(shard: &str, tunnels: usize) -> Config {
        let mut toml = shard.to_owned();
        for n in 0..tunnels {
            toml += &format!(
                "[[tunnels]]\nname = \"t{n}\"\nouter_local = \"10.1.0.2\"\nouter_remote = \"10.2.{}.{}\"\ninner_local = \"10.3.0.1\"\ninner_remote = \"10.3.0.2\"\n",
                n / 256,
                n % 256,
            );
        }
        Config::from_toml(&toml).unwrap()
    }

    fn names(config: &Config) -> Vec<&str> {
        config.tunnels.iter().map(|t| t.name.as_str()).collect()
    }

    const EAST_AND_WEST: &str = "[shard]\nmonitors = [\"east\", \"west\"]\n";

    #[test]
    fn parts_are_disjoint_complete_and_about_equal() {
        let whole = config("[shard]\nmonitors = [\"a\", \"b\", \"c\"]\n", 900);
        let parts = ["a", "b", "c"].map(|m| whole.part_of(m).unwrap().0);
        let mut all: Vec<&str> = parts.iter().flat_map(names).collect();
        all.sort_unstable();
        let mut expected = names(&whole);
        expected.sort_unstable();
        assert_eq!(all, expected);
        for part in &parts {
            assert!(
                (240..=360).contains(&part.tunnels.len()),
                "{}",
                part.tunnels.len()
            );
        }
    }

    #[test]
    fn another_monitor_takes_only_its_share() {
        let before = config("[shard]\nmonitors = [\"a\", \"b\"]\n", 600);
        let after = config("[shard]\nmonitors = [\"b\", \"c\", \"a\"]\n", 600);
        for monitor in ["a", "b"] {
            let (before, after) = (
                before.part_of(monitor).unwrap().0,
                after.part_of(monitor).unwrap().0,
            );
            let had: BTreeSet<&str> = names(&before).into_iter().collect();
            assert!(
                names(&after).iter().all(|tunnel| had.contains(tunnel)),
                "nothing moves to {monitor}"
            );
        }
    }

    const MVPNS: &str = r#"
        [[mvpns]]
        name = "red"
        group = "239.1.1.1"
        tunnels = ["t0", "t1", "t2", "t3"]
        start = true
        [[mvpns]]
        name = "blue"
        group = "239.1.1.2"
        tunnels = ["t0", "t3"]
        watch = { tunnels = ["t2"] }
        [[joins]]
        tunnel = "t1"
        group = "239.5.5.5"
    "#;
    const NAMED: &str =
        "tunnels = { t0 = \"east\", t1 = \"east\", t2 = \"west\", t3 = \"west\" }\n";

    #[test]
    fn each_takes_what_it_can_measure_and_nobody_sees_the_rest() {
        let whole = config(&[EAST_AND_WEST, NAMED, MVPNS].concat(), 4);
        let (east, status) = whole.part_of("east").unwrap();
        assert_eq!(names(&east), ["t0", "t1"]);
        let mvpns: Vec<_> = east
            .mvpns
            .iter()
            .map(|m| (m.name.as_str(), m.tunnels.len(), m.start))
            .collect();
        assert_eq!(mvpns, [("red", 2, true)]);
        assert_eq!(east.joins.len(), 1);
        let status = status.unwrap();
        assert_eq!((status.tunnels, status.tunnels_of_all), (2, 4));
        let unseen: Vec<_> = status
            .unseen
            .iter()
            .map(|u| (u.name.as_str(), u.pairs, u.of))
            .collect();
        assert_eq!(unseen, [("red", 8, 12), ("blue", 2, 2)]);
        let (west, again) = whole.part_of("west").unwrap();
        assert_eq!(again.unwrap().unseen, status.unseen, "all say the same");
        let blue = west
            .mvpns
            .iter()
            .find(|m| m.name.as_str() == "blue")
            .unwrap();
        assert!(blue.tunnels.is_empty() && blue.watch.is_some() && west.joins.is_empty());
    }

    #[test]
    fn by_mvpn_those_that_share_no_tunnel_stay_together() {
        let shard = EAST_AND_WEST.to_owned() + "by = \"mvpn\"\n";
        let mut mvpns = String::new();
        for m in 0..20 {
            let (a, b) = (2 * m, 2 * m + 1);
            mvpns += &format!(
                "[[mvpns]]\nname = \"m{m}\"\ngroup = \"239.1.1.{m}\"\ntunnels = [\"t{a}\", \"t{b}\"]\n"
            );
        }
        let whole = config(&(shard + &mvpns), 40);
        let (east, status) = whole.part_of("east").unwrap();
        assert!(status.unwrap().unseen.is_empty());
        let west = whole.part_of("west").unwrap().0;
        assert!(!east.mvpns.is_empty() && !west.mvpns.is_empty());
        assert_eq!(east.mvpns.len() + west.mvpns.len(), 20);
    }

    #[test]
    fn mistakes_are_named_with_what_to_do() {
        let said =
            |shard: &str, monitor: &str| config(shard, 1).part_of(monitor).unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                said(EAST_AND_WEST, "north"),
                said("[shard]\nmonitors = []\n", "east"),
                said("[shard]\nmonitors = [\"east\", \"east\"]\n", "east"),
                said(
                    "[shard]\nmonitors = [\"east\"]\ntunnels = { t9 = \"east\" }\n",
                    "east"
                ),
                said(
                    "[shard]\nmonitors = [\"east\"]\ntunnels = { t0 = \"west\" }\n",
                    "east"
                ),
            ]
            .join("\n")
        );
        assert_eq!(config("", 1).part_of("whoever").unwrap().1, None);
    }
}
