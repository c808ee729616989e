//! What is asked of the database, and answered in JSON.

pub mod alarms;
pub mod history;
pub mod measured;
pub mod mvpns;
pub mod oneway;
pub mod overview;
pub mod statement;
pub mod trees;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vmscope_store::mvpn::{Listening, Slice, Watched};

use crate::moment::Moment;
use crate::problem::Problem;

/// Rows of a page unless asked for otherwise, and at most.
pub const PAGE_ROWS: u32 = 500;
/// Rows of a page at most.
pub const PAGE_ROWS_MAX: u32 = 5_000;

/// A question without restrictions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// A question about a moment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct At {
    /// The moment; the present if absent.
    pub at: Option<Moment>,
}

impl At {
    /// The moment that is meant.
    pub fn moment(&self) -> Moment {
        self.at.unwrap_or(Moment::NOW)
    }
}

/// Whether anybody listened. What nobody listened to is not known, which is something else than that nothing was there.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "listening", rename_all = "kebab-case")]
pub enum Heard {
    /// Somebody did: what is not in the answer was not there.
    Yes(Watch),
    /// Nobody did: nothing is known.
    No {
        /// The end of the last time before that somebody did.
        last: Option<Moment>,
        /// The beginning of the next time that somebody did.
        next: Option<Moment>,
    },
}

/// A stretch of time in which somebody listened.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Watch {
    /// From when.
    pub since: Moment,
    /// Until when; absent if it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// Up to when it is known for certain.
    pub seen: Moment,
}

impl From<&Watched> for Watch {
    fn from(watched: &Watched) -> Watch {
        Watch {
            since: watched.since.into(),
            until: watched.until.map(Moment),
            seen: watched.seen.into(),
        }
    }
}

impl From<&Listening> for Heard {
    fn from(listening: &Listening) -> Heard {
        match listening {
            Listening::Yes(watched) => Heard::Yes(watched.into()),
            Listening::No { last, next } => Heard::No {
                last: last.map(Moment),
                next: next.map(Moment),
            },
        }
    }
}

/// The part of a long answer that is asked for.
fn slice<C: serde::de::DeserializeOwned>(
    limit: Option<u32>,
    after: Option<&str>,
) -> Result<Slice<C>, Problem> {
    let limit = limit.unwrap_or(PAGE_ROWS);
    if !(1..=PAGE_ROWS_MAX).contains(&limit) {
        return Err(Problem::bad(
            format!("a page of {limit} rows cannot be had"),
            format!("ask for 1 to {PAGE_ROWS_MAX}, and go on with `after`"),
        ));
    }
    let after = after.map(|text| {
        serde_json::from_str(text).map_err(|_| {
            Problem::bad(
                format!("{text:?} is no place in this answer"),
                "take `next` of the page before as it is",
            )
        })
    });
    Ok(Slice {
        after: after.transpose()?,
        limit,
    })
}

/// Where the next page begins, as the interface writes it.
fn place(cursor: Option<impl Serialize>) -> Option<String> {
    // Cursors are numbers and objects of numbers.
    cursor.and_then(|cursor| serde_json::to_string(&cursor).ok())
}

/// A stretch of time, which must be one.
fn window(
    from: Moment,
    until: Moment,
) -> Result<std::ops::Range<vmscope_store::mvpn::Utc>, Problem> {
    match from < until {
        true => Ok(from.0..until.0),
        false => Err(Problem::bad(
            format!("from {from} until {until} is no stretch of time"),
            "let `from` be before `until`",
        )),
    }
}
