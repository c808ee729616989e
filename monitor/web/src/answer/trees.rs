//! Trees: of a customer's group, and of a PE.

use std::net::{IpAddr, Ipv4Addr};

use schemars::JsonSchema;
use serde::Serialize;
use vmscope_store::mvpn::{Backbone, Leg};

use super::statement::word;
use super::{At, Heard, PAGE_ROWS_MAX};
use crate::moment::Moment;
use crate::problem::Problem;
use crate::route::Ask;

/// Who sent a customer's group at a moment, who wanted it, and from whom.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GroupTree {
    /// Whether anybody listened then.
    pub heard: Heard,
    /// PEs that sent it, or were asked to.
    pub senders: Vec<Sender>,
    /// PEs that wanted it: the first 5000.
    pub wanters: Vec<Wanter>,
    /// All of them, in number.
    pub wanters_total: u64,
}

/// A PE that sent a group, or was asked to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Sender {
    /// The PE; absent if no neighbour had the address that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pe: Option<Ipv4Addr>,
    /// The customer's source; absent for the shared tree, which an RP behind the PE feeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// The data MDT that it travelled on; absent for the default MDT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_mdt: Option<Ipv4Addr>,
}

/// A PE that wanted a group.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Wanter {
    /// The PE.
    pub pe: Ipv4Addr,
    /// `shared` for (*,G), `source` for (S,G).
    pub route: &'static str,
    /// The source, of (S,G).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// Whom it asked: an address on the MDT.
    pub upstream: IpAddr,
    /// The PE with that address; absent if no neighbour had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_pe: Option<Ipv4Addr>,
    /// Since when.
    pub since: Moment,
}

/// What a PE got from others at a moment, and what others got from it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PeTree {
    /// Whether anybody listened then.
    pub heard: Heard,
    /// Routes that it asked for, and whom: the first 5000.
    pub upstream: Vec<Branch>,
    /// All of them, in number.
    pub upstream_total: u64,
    /// Routes that it was asked for, and by whom: the first 5000.
    pub downstream: Vec<Branch>,
    /// All of them, in number.
    pub downstream_total: u64,
}

/// A route between a PE and another.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Branch {
    /// `shared` for (*,G), `source` for (S,G), `rpt` for a source that is not wanted on the shared tree.
    pub route: &'static str,
    /// The customer's group.
    pub group: IpAddr,
    /// The customer's source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// The other PE; absent if no neighbour had the address that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pe: Option<Ipv4Addr>,
    /// Since when.
    pub since: Moment,
}

/// The tree of a group.
pub fn group(ask: &Ask<'_>, query: At) -> Result<GroupTree, Problem> {
    let mvpn = ask.mvpn()?;
    let group: IpAddr = address(ask.part("group")?)?;
    let found = ask.reader.members(mvpn.as_str(), group, query.moment().0)?;
    let senders = found.answer.sent_by.iter().map(|sender| Sender {
        pe: sender.pe,
        source: sender.source,
        data_mdt: match sender.backbone {
            Backbone::Default => None,
            Backbone::Data(group) => Some(group),
        },
    });
    let wanters = found.answer.wanted_by.iter().map(|wanter| Wanter {
        pe: wanter.pe,
        route: word(&wanter.route),
        source: wanter.route.source(),
        upstream: wanter.upstream,
        upstream_pe: wanter.upstream_pe,
        since: wanter.since.into(),
    });
    Ok(GroupTree {
        heard: (&found.listening).into(),
        senders: senders.collect(),
        wanters_total: found.answer.wanted_by.len() as u64,
        wanters: wanters.take(PAGE_ROWS_MAX as usize).collect(),
    })
}

/// The trees of a PE.
pub fn pe(ask: &Ask<'_>, query: At) -> Result<PeTree, Problem> {
    let mvpn = ask.mvpn()?;
    let pe: Ipv4Addr = address(ask.part("pe")?)?;
    let found = ask.reader.pe_trees(mvpn.as_str(), pe, query.moment().0)?;
    Ok(PeTree {
        heard: (&found.listening).into(),
        upstream_total: found.answer.upstream.len() as u64,
        upstream: branches(&found.answer.upstream),
        downstream_total: found.answer.downstream.len() as u64,
        downstream: branches(&found.answer.downstream),
    })
}

fn branches(legs: &[Leg]) -> Vec<Branch> {
    let branches = legs.iter().map(|leg| Branch {
        route: word(&leg.route),
        group: leg.route.group(),
        source: leg.route.source(),
        pe: leg.pe,
        since: leg.since.into(),
    });
    branches.take(PAGE_ROWS_MAX as usize).collect()
}

fn address<T: std::str::FromStr>(text: &str) -> Result<T, Problem> {
    text.parse()
        .map_err(|_| Problem::bad(format!("{text:?} is no address"), "correct the path"))
}
