//! The verbs on living labs, one function each.

mod up;
mod work;

use std::io;

use mvpnlab_emulator::place::{Files, archive};
use serde_json::Value;

use super::client::{Client, ClientError};
use super::frame::Kind;
use super::registry::{Registry, RegistryError};
use super::request::{Request, Table};
use super::table;
use crate::run::suite::Case;
use crate::run::{infrastructure, output};
use crate::verdict::Exit;

pub use up::{down, gc, ls, up};
pub use work::{capture, exec, link, node, pe, shell, show, step, tunnel, until, vty};

/// What a verb ends with.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum VerbError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{0}")]
    Usage(String),
    #[error("cannot {what}: {source}")]
    Io { what: String, source: io::Error },
    #[error(transparent)]
    Output(#[from] output::OutputError),
}

/// The lab was asked for what it does not have, or is not there: the user's. The rest went wrong.
pub fn exit(result: Result<Exit, VerbError>) -> Exit {
    match result {
        Ok(exit) => exit,
        Err(
            error @ (VerbError::Usage(_)
            | VerbError::Client(ClientError::Refused(_))
            | VerbError::Registry(
                RegistryError::Taken(_)
                | RegistryError::BadName(_)
                | RegistryError::NoneUp
                | RegistryError::SeveralUp(_)
                | RegistryError::Unknown { .. },
            )),
        ) => crate::run::usage(&error.to_string()),
        Err(error) => infrastructure(&error),
    }
}

fn connect(lab: Option<&str>) -> Result<Client, VerbError> {
    Ok(Client::connect(&Registry::of_user()?.choose(lab)?)?)
}

/// Asks a lab for something without streams; what it says meanwhile goes to standard error.
fn ask(lab: Option<&str>, request: &Request) -> Result<Value, VerbError> {
    Ok(connect(lab)?.ask(request, &mut |kind, content| {
        if kind == Kind::Progress {
            output::say(&String::from_utf8_lossy(content));
        }
    })?)
}

/// A running lab's scenario, as it was when the lab came up.
pub fn scenario(lab: Option<&str>) -> Result<Case, VerbError> {
    let place = Registry::of_user()?.choose(lab)?;
    let text = ask(Some(&place.name), &Request::Scenario)?;
    let text = text.as_str().unwrap_or_default().to_owned();
    let file = format!("{}.toml", place.name);
    Case::of(text, file.as_ref(), Default::default()).map_err(VerbError::Usage)
}

/// Rows of a running lab's table.
pub fn rows(lab: Option<&str>, table: Table) -> Result<Vec<Value>, VerbError> {
    let rows = ask(lab, &Request::Show { table, node: None })?;
    Ok(rows.as_array().cloned().unwrap_or_default())
}

/// What a running lab has observed of its recent past.
pub fn observe(lab: Option<&str>) -> Result<Files, VerbError> {
    let mut packed = Vec::new();
    connect(lab)?.ask(&Request::Observe, &mut |kind, content| {
        if kind == Kind::Output {
            packed.extend_from_slice(content);
        }
    })?;
    archive::unpack(&packed).map_err(VerbError::Usage)
}

fn print_rows(columns: table::Columns, rows: &Value, as_json: bool) -> Result<(), VerbError> {
    let text = match as_json {
        true => serde_json::to_string_pretty(rows).unwrap_or_default(),
        false => table::render(columns, rows.as_array().map_or(&[][..], Vec::as_slice)),
    };
    Ok(output::print(&text)?)
}
