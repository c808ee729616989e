//! States, changes, differences, and what a slider over the history needs.

use std::net::{IpAddr, Ipv4Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vmscope_store::mvpn::{Filter, Kind, PastChange};

use super::statement::Statement;
use super::{At, Heard, Watch, place, slice, window};
use crate::moment::Moment;
use crate::problem::Problem;
use crate::route::Ask;

/// Differences that are told at most.
const DIFFERENCES_MAX: usize = 5_000;
/// Parts of a density at most.
const BUCKETS_MAX: u32 = 1_000;

/// Kinds of statement.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KindWord {
    /// A PE takes part.
    Neighbor,
    /// A PE asked for a route.
    Join,
    /// A PE asserted itself as forwarder.
    Assert,
    /// A PE sends a stream on a data MDT.
    Mapping,
    /// A PE named an RP.
    Rp,
    /// A PE is the designated forwarder of an RP's tree.
    Forwarder,
}

impl From<KindWord> for Kind {
    fn from(word: KindWord) -> Kind {
        match word {
            KindWord::Neighbor => Kind::Neighbor,
            KindWord::Join => Kind::Join,
            KindWord::Assert => Kind::Assert,
            KindWord::Mapping => Kind::Mapping,
            KindWord::Rp => Kind::Rp,
            KindWord::Forwarder => Kind::Forwarder,
        }
    }
}

/// Which states.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatesQuery {
    /// The moment; the present if absent.
    pub at: Option<Moment>,
    /// Only of this kind.
    pub kind: Option<KindWord>,
    /// Only what this PE said.
    pub pe: Option<Ipv4Addr>,
    /// Only of this customer's group.
    pub group: Option<IpAddr>,
    /// Only of this customer's source.
    pub source: Option<IpAddr>,
    /// At most so many: 500 if absent, up to 5000.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// States that held at a moment.
#[derive(Debug, Serialize, JsonSchema)]
pub struct States {
    /// Whether anybody listened then.
    pub heard: Heard,
    /// What held.
    pub states: Vec<Statement>,
    /// Where the next page begins; absent if this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What held in an MVPN at a moment.
pub fn states(ask: &Ask<'_>, query: StatesQuery) -> Result<States, Problem> {
    let mvpn = ask.mvpn()?;
    let filter = Filter {
        kind: query.kind.map(Kind::from),
        pe: query.pe,
        group: query.group,
        source: query.source,
        upstream: None,
    };
    let slice = slice(query.limit, query.after.as_deref())?;
    let at = query.at.unwrap_or(Moment::NOW).0;
    let found = ask.reader.mvpn_state(mvpn.as_str(), at, &filter, slice)?;
    Ok(States {
        heard: (&found.listening).into(),
        states: found.states.iter().map(Statement::from).collect(),
        next: place(found.next),
    })
}

/// Which changes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangesQuery {
    /// From when.
    pub from: Moment,
    /// Until when, that moment not included; the present if absent.
    pub until: Option<Moment>,
    /// Only of this kind.
    pub kind: Option<KindWord>,
    /// Only what this PE said.
    pub pe: Option<Ipv4Addr>,
    /// Only of this customer's group.
    pub group: Option<IpAddr>,
    /// At most so many: 500 if absent, up to 5000.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// What changed in a stretch of time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Changes {
    /// When somebody listened. What changed in between is not known.
    pub watches: Vec<Watch>,
    /// In their order.
    pub changes: Vec<Change>,
    /// Where the next page begins; absent if this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A statement came, became another, or went.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Change {
    /// When.
    pub at: Moment,
    /// `said`, `taken-back`, `expired`, `restarted` or `unwatched`.
    pub cause: &'static str,
    /// What held until then; absent if it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Statement>,
    /// What held from then on; absent if it went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Statement>,
}

impl From<&PastChange> for Change {
    fn from(change: &PastChange) -> Change {
        Change {
            at: change.at.into(),
            cause: change.cause.as_str(),
            before: change.before.as_ref().map(Statement::from),
            after: change.after.as_ref().map(Statement::from),
        }
    }
}

/// What changed in a stretch of time.
pub fn changes(ask: &Ask<'_>, query: ChangesQuery) -> Result<Changes, Problem> {
    let mvpn = ask.mvpn()?;
    let window = window(query.from, query.until.unwrap_or(Moment::NOW))?;
    let filter = Filter {
        kind: query.kind.map(Kind::from),
        pe: query.pe,
        group: query.group,
        ..Filter::ALL
    };
    let slice = slice(query.limit, query.after.as_deref())?;
    let found = ask
        .reader
        .mvpn_changes(mvpn.as_str(), window, &filter, slice)?;
    Ok(Changes {
        watches: found.watches.iter().map(Watch::from).collect(),
        changes: found.changes.iter().map(Change::from).collect(),
        next: place(found.next),
    })
}

/// Which two moments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DifferenceQuery {
    /// The first moment.
    pub from: Moment,
    /// The second; the present if absent.
    pub to: Option<Moment>,
    /// Only what this PE said.
    pub pe: Option<Ipv4Addr>,
    /// Only of this customer's group.
    pub group: Option<IpAddr>,
}

/// What two moments differ in.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Differences {
    /// Whether anybody listened at the first.
    pub before: Heard,
    /// Whether anybody listened at the second.
    pub after: Heard,
    /// Nothing unless somebody listened at both; else the first 5000.
    pub differences: Vec<Difference>,
    /// All of them, in number.
    pub total: u64,
}

/// A statement that was not the same at both moments.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Difference {
    /// What held at the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Statement>,
    /// What held at the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Statement>,
}

/// What two moments differ in.
pub fn difference(ask: &Ask<'_>, query: DifferenceQuery) -> Result<Differences, Problem> {
    let mvpn = ask.mvpn()?;
    let filter = Filter {
        pe: query.pe,
        group: query.group,
        ..Filter::ALL
    };
    let to = query.to.unwrap_or(Moment::NOW);
    let found = ask
        .reader
        .mvpn_diff(mvpn.as_str(), query.from.0, to.0, &filter)?;
    let differences = found.differences.iter().map(|difference| Difference {
        before: difference.before.as_ref().map(Statement::from),
        after: difference.after.as_ref().map(Statement::from),
    });
    Ok(Differences {
        before: (&found.before).into(),
        after: (&found.after).into(),
        total: found.differences.len() as u64,
        differences: differences.take(DIFFERENCES_MAX).collect(),
    })
}

/// Which stretch of time, in how many parts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DensityQuery {
    /// From when.
    pub from: Moment,
    /// Until when.
    pub until: Moment,
    /// In how many equal parts: 200 if absent, up to 1000.
    pub buckets: Option<u32>,
}

/// How much changed when.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Density {
    /// When somebody listened; at all other times nothing is known.
    pub watches: Vec<Watch>,
    /// Where the first part begins.
    pub from: Moment,
    /// How long each part is, milliseconds.
    pub width_ms: f64,
    /// Statements that began and ended in each part; 1000 stands for as many or more.
    pub buckets: Vec<[u64; 2]>,
}

/// How much changed in each part of a stretch of time.
pub fn density(ask: &Ask<'_>, query: DensityQuery) -> Result<Density, Problem> {
    let mvpn = ask.mvpn()?;
    let window = window(query.from, query.until)?;
    let buckets = query.buckets.unwrap_or(200);
    if query.until.is_now() || !(1..=BUCKETS_MAX).contains(&buckets) {
        return Err(Problem::bad(
            format!(
                "{buckets} equal parts from {} until {}",
                query.from, query.until
            ),
            format!("name the end as a moment, and ask for 1 to {BUCKETS_MAX} parts"),
        ));
    }
    let found = ask.reader.mvpn_density(mvpn.as_str(), window, buckets)?;
    let numbers = found.buckets.iter();
    Ok(Density {
        watches: found.watches.iter().map(Watch::from).collect(),
        from: found.from.into(),
        width_ms: found.width_ns as f64 / 1e6,
        buckets: numbers.map(|b| [b.begun, b.ended]).collect(),
    })
}

/// The changes next to a moment.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Steps {
    /// The last moment before at which something changed, or listening began or ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Moment>,
    /// The first moment after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Moment>,
}

/// The changes next to a moment.
pub fn steps(ask: &Ask<'_>, query: At) -> Result<Steps, Problem> {
    let mvpn = ask.mvpn()?;
    let found = ask.reader.mvpn_steps(mvpn.as_str(), query.moment().0)?;
    Ok(Steps {
        previous: found.previous.map(Moment),
        next: found.next.map(Moment),
    })
}
