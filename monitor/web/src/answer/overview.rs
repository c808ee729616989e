//! An MVPN at a moment, as a page shows it: who, what, on which trees, and what ought to be.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vmscope_core::view::Expected;
use vmscope_core::view::expected::{Prefix, Presence};
use vmscope_store::alarm::ExpectedThen;
use vmscope_store::mvpn::{ActiveGroup, Filter, Kind, Slice};

use super::alarms::{Alarm, listed};
use super::statement::Statement;
use super::{Heard, PAGE_ROWS, PAGE_ROWS_MAX};
use crate::moment::Moment;
use crate::problem::Problem;
use crate::route::Ask;

/// Which moment, and how much.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OverviewQuery {
    /// The moment; the present if absent.
    pub at: Option<Moment>,
    /// Groups, mappings and alarms at most, each: 500 if absent, up to 5000.
    pub limit: Option<u32>,
}

/// An MVPN at a moment.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Overview {
    /// Its name.
    pub mvpn: String,
    /// Whether anybody listened then; if not, all that was heard is empty.
    pub heard: Heard,
    /// PEs that took part, or should have.
    pub pes: Vec<PeThen>,
    /// The customer's groups that anybody wanted or sent on a data MDT: the first of them, by address.
    pub groups: Vec<GroupThen>,
    /// All of them, in number.
    pub groups_total: u64,
    /// Streams on data MDTs: the first of them.
    pub mappings: Vec<Statement>,
    /// Whether there are more mappings.
    pub mappings_cut: bool,
    /// Alarms that were active: the first of them.
    pub alarms: Vec<Alarm>,
    /// Whether there are more alarms.
    pub alarms_cut: bool,
    /// What the MVPN ought to have been; absent if nobody said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Ought>,
}

/// A PE that took part, or should have.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PeThen {
    /// Its address in the backbone.
    pub pe: String,
    /// Its name, as the expected configuration has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `required`, `optional`, or `unexpected`; absent if nobody said which PEs there ought to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<&'static str>,
    /// What its Hello said; absent if it took no part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neighbor: Option<Statement>,
}

/// A customer's group.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GroupThen {
    /// Its address.
    pub group: IpAddr,
    /// PEs that asked for it.
    pub wanted_by: u64,
    /// Sources that joins and mappings named.
    pub sources: u64,
    /// Streams of it on data MDTs.
    pub data_mdts: u64,
    /// Whether it is among those that ought to be; absent if nobody said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<bool>,
}

/// What an MVPN ought to be. What is absent is not checked.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Ought {
    /// Since when the monitor was told so.
    pub since: Moment,
    /// The customer's groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// Who may send to ranges of groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<BTreeMap<String, Vec<String>>>,
    /// What sites behind a PE may send and receive, by the PE's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sites: Option<BTreeMap<String, SitesOught>>,
    /// Groups of the backbone that may be data MDTs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_mdt_pool: Option<Vec<String>>,
    /// The customer's groups that may be on one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_mdt_groups: Option<Vec<String>>,
}

/// What sites may do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SitesOught {
    /// Groups to which they may send; any if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<Vec<String>>,
    /// Groups that they may receive; any if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive: Option<Vec<String>>,
}

/// An MVPN at a moment.
pub fn overview(ask: &Ask<'_>, query: OverviewQuery) -> Result<Overview, Problem> {
    let mvpn = ask.mvpn()?;
    let at = query.at.unwrap_or(Moment::NOW).0;
    let limit = query.limit.unwrap_or(PAGE_ROWS).clamp(1, PAGE_ROWS_MAX);
    let then = ask.reader.expected(mvpn.as_str(), at)?;
    let expected = then.as_ref().map(|then| &then.expected);
    let pes = ask.reader.active_pes(mvpn.as_str(), at)?;
    let groups = ask.reader.active_groups(mvpn.as_str(), at)?.answer;
    let mappings = ask.reader.mvpn_state(
        mvpn.as_str(),
        at,
        &Filter::kind(Kind::Mapping),
        Slice::first(limit),
    )?;
    let alarms = ask
        .reader
        .alarms_at(Some(mvpn.as_str()), at, Slice::first(limit))?;
    let heard: Vec<Statement> = pes.answer.iter().map(Statement::from).collect();
    Ok(Overview {
        mvpn: mvpn.to_string(),
        heard: (&pes.listening).into(),
        pes: pes_then(heard, expected),
        groups_total: groups.len() as u64,
        groups: groups
            .iter()
            .take(limit as usize)
            .map(|group| group_then(group, expected))
            .collect(),
        mappings_cut: mappings.next.is_some(),
        mappings: mappings.states.iter().map(Statement::from).collect(),
        alarms_cut: alarms.next.is_some(),
        alarms: listed(&alarms.alarms),
        expected: then.as_ref().map(ought),
    })
}

/// PEs by address: those that were heard, and those that ought to have been.
fn pes_then(heard: Vec<Statement>, expected: Option<&Expected>) -> Vec<PeThen> {
    let wanted = expected.and_then(|expected| expected.pes.as_ref());
    let mut pes: BTreeMap<Ipv4Addr, PeThen> = BTreeMap::new();
    for (name, pe) in wanted.into_iter().flatten() {
        let then = PeThen {
            pe: pe.address.to_string(),
            name: Some(name.to_string()),
            expected: Some(match pe.presence {
                Presence::Required => "required",
                Presence::Optional => "optional",
            }),
            neighbor: None,
        };
        pes.insert(pe.address, then);
    }
    for statement in heard {
        let Ok(address) = statement.pe.parse::<Ipv4Addr>() else {
            continue;
        };
        let then = pes.entry(address).or_insert_with(|| PeThen {
            pe: statement.pe.clone(),
            name: None,
            expected: wanted.map(|_| "unexpected"),
            neighbor: None,
        });
        then.neighbor = Some(statement);
    }
    pes.into_values().collect()
}

fn group_then(group: &ActiveGroup, expected: Option<&Expected>) -> GroupThen {
    let allowed = expected.and_then(|expected| expected.groups.as_ref());
    GroupThen {
        group: group.group,
        wanted_by: group.wanted_by,
        sources: group.sources,
        data_mdts: group.data_mdts,
        expected: allowed.map(|ranges| ranges.iter().any(|range| range.contains(group.group))),
    }
}

fn ought(then: &ExpectedThen) -> Ought {
    let expected = &then.expected;
    Ought {
        since: then.since.into(),
        groups: texts(expected.groups.as_ref()),
        sources: expected.sources.as_ref().map(|sources| {
            let pairs = sources.iter();
            pairs
                .map(|(range, sources)| (range.to_string(), all(sources)))
                .collect()
        }),
        sites: expected.sites.as_ref().map(|sites| {
            let named = sites.iter().map(|(name, sites)| {
                let may = SitesOught {
                    send: texts(sites.send.as_ref()),
                    receive: texts(sites.receive.as_ref()),
                };
                (name.to_string(), may)
            });
            named.collect()
        }),
        data_mdt_pool: texts(expected.data_mdt.as_ref().and_then(|mdt| mdt.pool.as_ref())),
        data_mdt_groups: texts(
            expected
                .data_mdt
                .as_ref()
                .and_then(|mdt| mdt.groups.as_ref()),
        ),
    }
}

fn texts(ranges: Option<&Vec<Prefix>>) -> Option<Vec<String>> {
    ranges.map(|ranges| all(ranges))
}

fn all(ranges: &[Prefix]) -> Vec<String> {
    ranges.iter().map(Prefix::to_string).collect()
}
