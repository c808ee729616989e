//! Keys and states as columns.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde_json::{Map, Value as Json};
use vmscope_core::view::record::{Cause, Key, Route, State};

use super::question::{Held, Kind, Utc};
use crate::database::{Result, Row, Value, values};
use crate::error::DatabaseError;

/// `kind, pe, route, source, group_address, rp, prefix` of a key.
pub(super) fn of_key(key: &Key) -> [Value; 7] {
    let text = |address: Option<IpAddr>| address.map_or_else(String::new, |a| a.to_string());
    let (route, rp, prefix) = match *key {
        Key::Neighbor { .. } | Key::Mapping { .. } => ("", None, 0),
        Key::Join { route, .. } | Key::Assert { route, .. } => (route_word(route), None, 0),
        Key::Rp { rp, prefix, .. } => ("", Some(rp), prefix),
        Key::Forwarder { rp, .. } => ("", Some(rp), 0),
    };
    let group = match *key {
        Key::Rp { group, .. } => Some(group),
        Key::Neighbor { .. }
        | Key::Join { .. }
        | Key::Assert { .. }
        | Key::Mapping { .. }
        | Key::Forwarder { .. } => key.group(),
    };
    values![
        key.kind(),
        key.pe().to_string(),
        route,
        text(key.source()),
        text(group),
        text(rp),
        u32::from(prefix),
    ]
}

fn route_word(route: Route) -> &'static str {
    match route {
        Route::Shared { .. } => "shared",
        Route::Source { .. } => "source",
        Route::Rpt { .. } => "rpt",
    }
}

/// `upstream, data_mdt, rest` of a state.
pub(super) fn of_state(state: &State) -> Result<[Value; 3]> {
    let json = serde_json::to_value(state).map_err(|e| DatabaseError::Unwritable(e.to_string()))?;
    let Json::Object(mut fields) = json else {
        return Err(DatabaseError::Unwritable(format!(
            "{state:?} has no fields"
        )));
    };
    // The kind of the key says it.
    fields.remove("state");
    let mut column = |name: &str| match fields.remove(name) {
        Some(Json::String(text)) => Value::Text(text),
        Some(_) | None => Value::Null,
    };
    let (upstream, data_mdt) = (column("upstream"), column("data_mdt"));
    let rest = match fields.is_empty() {
        true => Value::Null,
        false => Value::Text(Json::Object(fields).to_string()),
    };
    Ok([upstream, data_mdt, rest])
}

/// Columns of a state that is or was held, in the order in which [`held`] reads them. `k` is its key, `h` itself.
pub(super) const HELD: &str =
    "k.key, k.kind, k.pe, k.route, k.source, k.group_address, k.rp, k.prefix,
  h.since_ns, h.until_ns, h.refreshed_ns, h.refreshes, h.cause, h.upstream, h.data_mdt, h.rest";

/// Reads [`HELD`]; the number is the key's.
pub(super) fn held(row: &Row) -> Result<(i64, Held)> {
    let held = Held {
        key: key(row)?,
        state: state(row)?,
        since: Utc::from_ns(row.int(8)?),
        until: row.maybe_int(9)?.map(Utc::from_ns),
        refreshed: Utc::from_ns(row.int(10)?),
        refreshes: row.count(11)?,
        ended_by: row.maybe_text(12)?.map(cause).transpose()?,
    };
    Ok((row.int(0)?, held))
}

/// Reads the first eight columns of [`HELD`], but for the number.
pub(super) fn key(row: &Row) -> Result<Key> {
    let pe: Ipv4Addr = parsed(row.text(2)?)?;
    let source = || parsed::<IpAddr>(row.text(4)?);
    let group = || parsed::<IpAddr>(row.text(5)?);
    let rp = || parsed::<IpAddr>(row.text(6)?);
    let route = || {
        Ok(match row.text(3)? {
            "shared" => Route::Shared { group: group()? },
            "source" => Route::Source {
                source: source()?,
                group: group()?,
            },
            "rpt" => Route::Rpt {
                source: source()?,
                group: group()?,
            },
            other => return Err(odd("route", other)),
        })
    };
    Ok(match kind(row)? {
        Kind::Neighbor => Key::Neighbor { pe },
        Kind::Join => Key::Join {
            pe,
            route: route()?,
        },
        Kind::Assert => Key::Assert {
            pe,
            route: route()?,
        },
        Kind::Mapping => Key::Mapping {
            pe,
            source: source()?,
            group: group()?,
        },
        Kind::Rp => Key::Rp {
            pe,
            rp: rp()?,
            group: group()?,
            prefix: row.number(7)?,
        },
        Kind::Forwarder => Key::Forwarder { pe, rp: rp()? },
    })
}

fn kind(row: &Row) -> Result<Kind> {
    let word = row.text(1)?;
    word.parse().map_err(|_| odd("kind", word))
}

fn state(row: &Row) -> Result<State> {
    let (kind, upstream, data_mdt, rest) = (
        kind(row)?,
        row.maybe_text(13)?,
        row.maybe_text(14)?,
        row.maybe_text(15)?,
    );
    match (kind, upstream, data_mdt, rest) {
        // Nearly all there is, without a detour.
        (Kind::Join, Some(upstream), None, None) => Ok(State::Join {
            upstream: parsed(upstream)?,
            rp: None,
        }),
        (Kind::Mapping, None, Some(data_mdt), None) => Ok(State::Mapping {
            data_mdt: parsed(data_mdt)?,
        }),
        (kind, upstream, data_mdt, rest) => {
            let mut fields: Map<String, Json> = match rest {
                Some(rest) => serde_json::from_str(rest).map_err(|_| odd("state", rest))?,
                None => Map::new(),
            };
            fields.insert("state".to_owned(), kind.as_str().into());
            for (name, text) in [("upstream", upstream), ("data_mdt", data_mdt)] {
                if let Some(text) = text {
                    fields.insert(name.to_owned(), text.into());
                }
            }
            let json = Json::Object(fields);
            serde_json::from_value(json.clone()).map_err(|_| odd("state", &json.to_string()))
        }
    }
}

fn cause(word: &str) -> Result<Cause> {
    let all = [
        Cause::Said,
        Cause::TakenBack,
        Cause::Expired,
        Cause::Restarted,
        Cause::Unwatched,
    ];
    let found = all.into_iter().find(|cause| cause.as_str() == word);
    found.ok_or_else(|| odd("cause", word))
}

fn parsed<T: FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| odd("address", text))
}

fn odd(what: &str, found: &str) -> DatabaseError {
    DatabaseError::Column(format!("{found:?} is no {what}"))
}
