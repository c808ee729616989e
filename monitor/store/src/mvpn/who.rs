//! Who takes part in an MVPN, who sends, who wants it, and from whom: answers made of its state at a moment.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use serde::Serialize;
use vmscope_core::name::Name;
use vmscope_core::view::record::{Key, Route, State};

use super::question::{Answer, Filter, Held, Kind, MvpnSummary, Size, Slice, Utc};
use crate::error::StoreError;
use crate::reader::Reader;

type Result<T> = std::result::Result<T, StoreError>;

/// A customer group that anybody wants or sends on a data MDT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActiveGroup {
    /// The customer's group.
    pub group: IpAddr,
    /// PEs that have asked for it on the MDT.
    pub wanted_by: u64,
    /// Its sources, as far as joins and mappings name them.
    pub sources: u64,
    /// Mappings of its streams to data MDTs.
    pub data_mdts: u64,
}

/// A PE that wants a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Wanter {
    /// The PE.
    pub pe: Ipv4Addr,
    /// What it asked for.
    pub route: Route,
    /// Whom it asked: an address on the MDT.
    pub upstream: IpAddr,
    /// The PE with that address; absent if no neighbour had it.
    pub upstream_pe: Option<Ipv4Addr>,
    /// Since when.
    #[serde(rename = "since_ns")]
    pub since: Utc,
}

/// A PE that sends a group, or is asked to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Sender {
    /// The PE; absent if no neighbour had the address that was asked.
    pub pe: Option<Ipv4Addr>,
    /// The customer's source; absent for the shared tree, which an RP behind the PE feeds.
    pub source: Option<IpAddr>,
    /// What its packets travel on.
    pub backbone: Backbone,
}

/// A group of the backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "mdt", content = "group", rename_all = "kebab-case")]
pub enum Backbone {
    /// The MVPN's default MDT.
    Default,
    /// A data MDT (RFC 6037 §7).
    Data(Ipv4Addr),
}

/// All about a customer group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Members {
    /// Who wants it.
    pub wanted_by: Vec<Wanter>,
    /// Who sends it, or is asked to, and on which group of the backbone.
    pub sent_by: Vec<Sender>,
}

/// A route between a PE and one neighbour on the MDT; of `(S,G,rpt)`, what is not wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Leg {
    /// The route.
    pub route: Route,
    /// The other PE: its address in the backbone; absent if no neighbour had the address that was asked.
    pub pe: Option<Ipv4Addr>,
    /// Since when.
    #[serde(rename = "since_ns")]
    pub since: Utc,
}

/// What a PE gets from others, and what others get from it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PeTrees {
    /// Routes that it has asked for, and whom.
    pub upstream: Vec<Leg>,
    /// Routes that it was asked for, and by whom.
    pub downstream: Vec<Leg>,
}

impl Reader {
    /// The MVPNs that are or were listened to, by name.
    pub fn mvpns(&self) -> Result<Vec<MvpnSummary>> {
        self.read("the MVPNs", |db| {
            db.rows(
                "SELECT mvpn, min(since_ns), max(seen_ns), count(*) - count(until_ns) FROM watch GROUP BY mvpn ORDER BY mvpn",
                &[],
                |row| {
                    let mvpn = Name::new(row.text(0)?);
                    Ok(MvpnSummary {
                        mvpn: mvpn.map_err(|e| crate::DatabaseError::Column(e.to_string()))?,
                        first: Utc::from_ns(row.int(1)?),
                        last: Utc::from_ns(row.int(2)?),
                        watched: row.int(3)? > 0,
                    })
                },
            )
        })
    }

    /// How much is kept; counting takes a moment.
    pub fn size(&self) -> Result<Size> {
        self.read("how much is kept", |db| {
            let mut count = |table: &str| -> crate::database::Result<u64> {
                let sql = format!("SELECT count(*) FROM {table}");
                Ok(db.first(&sql, &[], |row| row.count(0))?.unwrap_or(0))
            };
            Ok(Size {
                now: count("mvpn_now")?,
                past: count("mvpn_past")?,
                keys: count("mvpn_key")?,
                bytes: db.bytes_used()?,
            })
        })
    }

    /// The PEs that took part at a moment: those whose Hellos were believed.
    pub fn active_pes(&self, mvpn: &str, at: Utc) -> Result<Answer<Vec<Held>>> {
        let found = self.mvpn_state(mvpn, at, &Filter::kind(Kind::Neighbor), Slice::ALL)?;
        let mut pes = found.states;
        pes.sort_by_key(|held| held.key);
        Ok(Answer {
            listening: found.listening,
            answer: pes,
        })
    }

    /// The customer groups that anybody wanted, or sent on a data MDT, at a moment.
    pub fn active_groups(&self, mvpn: &str, at: Utc) -> Result<Answer<Vec<ActiveGroup>>> {
        let mut groups: BTreeMap<IpAddr, Group> = BTreeMap::new();
        let listening = self.each_mvpn_state(mvpn, at, &Filter::ALL, |held| match held.key {
            Key::Join { route, .. } => groups.entry(route.group()).or_default().add(&held.key),
            Key::Mapping { group, .. } => groups.entry(group).or_default().add(&held.key),
            Key::Neighbor { .. } | Key::Assert { .. } | Key::Rp { .. } | Key::Forwarder { .. } => {}
        })?;
        let answer = groups.into_iter().map(|(group, of)| ActiveGroup {
            group,
            wanted_by: of.wanted_by.len() as u64,
            sources: of.sources.len() as u64,
            data_mdts: of.data_mdts,
        });
        Ok(Answer {
            listening,
            answer: answer.collect(),
        })
    }

    /// Who wanted a customer group at a moment, who sent it, and on which group of the backbone.
    pub fn members(&self, mvpn: &str, group: IpAddr, at: Utc) -> Result<Answer<Members>> {
        let neighbours = Neighbours::of(&self.active_pes(mvpn, at)?.answer);
        let filter = Filter {
            group: Some(group),
            ..Filter::ALL
        };
        let found = self.mvpn_state(mvpn, at, &filter, Slice::ALL)?;
        Ok(Answer {
            listening: found.listening,
            answer: members(&found.states, &neighbours),
        })
    }

    /// What a PE got from others at a moment, and what others got from it.
    pub fn pe_trees(&self, mvpn: &str, pe: Ipv4Addr, at: Utc) -> Result<Answer<PeTrees>> {
        let neighbours = Neighbours::of(&self.active_pes(mvpn, at)?.answer);
        let joins = Filter::kind(Kind::Join);
        let mut trees = PeTrees::default();
        let own = Filter {
            pe: Some(pe),
            ..joins
        };
        let listening = self.each_mvpn_state(mvpn, at, &own, |held| {
            if let (Key::Join { route, .. }, State::Join { upstream, .. }) = (held.key, held.state)
            {
                trees.upstream.push(Leg {
                    route,
                    pe: neighbours.pe(upstream),
                    since: held.since,
                });
            }
        })?;
        for address in neighbours.addresses(pe) {
            let asked = Filter {
                upstream: Some(address),
                ..joins
            };
            self.each_mvpn_state(mvpn, at, &asked, |held| {
                if let Key::Join { pe, route } = held.key {
                    trees.downstream.push(Leg {
                        route,
                        pe: Some(pe),
                        since: held.since,
                    });
                }
            })?;
        }
        trees.upstream.sort();
        trees.downstream.sort();
        Ok(Answer {
            listening,
            answer: trees,
        })
    }
}

#[derive(Default)]
struct Group {
    wanted_by: BTreeSet<Ipv4Addr>,
    sources: BTreeSet<IpAddr>,
    data_mdts: u64,
}

impl Group {
    fn add(&mut self, key: &Key) {
        self.sources.extend(key.source());
        match key {
            Key::Join {
                route: Route::Shared { .. } | Route::Source { .. },
                pe,
            } => {
                self.wanted_by.insert(*pe);
            }
            Key::Mapping { .. } => self.data_mdts += 1,
            // A source pruned from the shared tree is not wanted.
            Key::Join {
                route: Route::Rpt { .. },
                ..
            }
            | Key::Neighbor { .. }
            | Key::Assert { .. }
            | Key::Rp { .. }
            | Key::Forwarder { .. } => {}
        }
    }
}

/// Which PE an address on the MDT belongs to.
struct Neighbours(HashMap<IpAddr, Ipv4Addr>);

impl Neighbours {
    fn of(pes: &[Held]) -> Neighbours {
        let mut known = HashMap::new();
        for held in pes {
            if let State::Neighbor(neighbor) = &held.state {
                for address in neighbor.addresses.iter().chain([&neighbor.address]) {
                    known.insert(*address, held.key.pe());
                }
            }
        }
        Neighbours(known)
    }

    fn pe(&self, address: IpAddr) -> Option<Ipv4Addr> {
        self.0.get(&address).copied()
    }

    fn addresses(&self, pe: Ipv4Addr) -> Vec<IpAddr> {
        let mut own: Vec<IpAddr> = self
            .0
            .iter()
            .filter(|(_, of)| **of == pe)
            .map(|(address, _)| *address)
            .collect();
        own.sort();
        own
    }
}

fn members(states: &[Held], neighbours: &Neighbours) -> Members {
    let mut wanted_by = Vec::new();
    // By PE and source; a mapping says more than a join.
    let mut sent_by: BTreeMap<(Option<Ipv4Addr>, Option<IpAddr>), Backbone> = BTreeMap::new();
    for held in states {
        match (&held.key, &held.state) {
            (Key::Join { pe, route }, State::Join { upstream, .. }) => {
                let upstream_pe = neighbours.pe(*upstream);
                // A source pruned from the shared tree is not wanted.
                if !matches!(route, Route::Rpt { .. }) {
                    wanted_by.push(Wanter {
                        pe: *pe,
                        route: *route,
                        upstream: *upstream,
                        upstream_pe,
                        since: held.since,
                    });
                    sent_by
                        .entry((upstream_pe, route.source()))
                        .or_insert(Backbone::Default);
                }
            }
            (Key::Mapping { pe, source, .. }, State::Mapping { data_mdt }) => {
                sent_by.insert((Some(*pe), Some(*source)), Backbone::Data(*data_mdt));
            }
            (
                Key::Neighbor { .. }
                | Key::Join { .. }
                | Key::Assert { .. }
                | Key::Mapping { .. }
                | Key::Rp { .. }
                | Key::Forwarder { .. },
                _,
            ) => {}
        }
    }
    wanted_by.sort();
    Members {
        wanted_by,
        sent_by: sent_by
            .into_iter()
            .map(|((pe, source), backbone)| Sender {
                pe,
                source,
                backbone,
            })
            .collect(),
    }
}
