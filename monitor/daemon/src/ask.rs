//! Runs one errand: asks the monitor (or a database) and shows what comes back.

use std::io::{self, Write};

use vmscope_core::control::{Operation, Outcome, Refusal, ServerLine};
use vmscope_core::name::Name;
use vmscope_core::report::IntervalRow;
use vmscope_store::mvpn::Slice;
use vmscope_store::{Page, Reader, StoreError};

use crate::cli::{AlarmQuery, DatabaseQuery, Errand, HistoryQuery, HistoryQuestion, Verb};
use crate::client::{Client, ClientError, Place};
use crate::exit::Exit;
use crate::render;

/// Says a verb to the daemon at a place, as `vmscope VERB` does.
pub fn run(verb: Verb, place: &Place, json: bool) -> Exit {
    match verb.errand() {
        Ok(errand) => carry_out(errand, place, json),
        Err(problem) => fail(&problem, Exit::Usage),
    }
}

/// Carries out an errand on a connection of its own, or in a database.
pub fn carry_out(errand: Errand, place: &Place, json: bool) -> Exit {
    let done = match errand {
        Errand::Ask(operation) => {
            Client::connect(place).and_then(|mut client| ask(&mut client, operation, json))
        }
        Errand::Watch(kinds) => Client::connect(place)
            .and_then(|client| watch(client, Operation::Subscribe { events: kinds }, json)),
        Errand::Read(query) => return read(&query, json),
        Errand::Recall(query) => return shown_of(history(&query, json)),
        Errand::Alarms(query) => return shown_of(alarms(&query, json)),
    };
    done.unwrap_or_else(|error| fail(&error.to_string(), Exit::Unable))
}

/// Asks on an open connection and shows the answer, all its pages one after the other.
pub fn ask(client: &mut Client, operation: Operation, json: bool) -> Result<Exit, ClientError> {
    let mut page = Some(operation);
    while let Some(operation) = page {
        let (line, reply) = client.ask(operation.clone())?;
        if json {
            show(&format!("{line}\n"));
        }
        let answer = match reply.outcome {
            Outcome::Ok(answer) => answer,
            Outcome::Error(refusal) => return Ok(refused(&refusal, json)),
        };
        if !json {
            show(&render::answer(&answer));
        }
        page = answer.next().and_then(|next| operation.page_from(next));
    }
    Ok(Exit::Done)
}

/// Shows events until the daemon closes the connection.
pub fn watch(mut client: Client, subscribe: Operation, json: bool) -> Result<Exit, ClientError> {
    let (_, reply) = client.ask(subscribe)?;
    if let Outcome::Error(refusal) = reply.outcome {
        return Ok(refused(&refusal, json));
    }
    while let Some(heard) = client.hear()? {
        match heard.line {
            ServerLine::Event(_) if json => show(&format!("{}\n", heard.json)),
            ServerLine::Event(event) => show(&render::event(&event)),
            ServerLine::Reply(reply) => {
                if let Outcome::Error(refusal) = reply.outcome {
                    return Ok(refused(&refusal, json));
                }
            }
        }
    }
    Ok(Exit::Done)
}

/// Shows what a database knows of the past.
fn shown_of(found: Result<String, StoreError>) -> Exit {
    match found {
        Ok(text) => {
            show(&text);
            Exit::Done
        }
        Err(error) => fail(&error.to_string(), Exit::Unable),
    }
}

fn history(query: &HistoryQuery, json: bool) -> Result<String, StoreError> {
    let reader = Reader::open(&query.database)?;
    let (mvpn, filter) = (query.mvpn.as_str(), &query.filter);
    Ok(match query.question {
        HistoryQuestion::At(at) => {
            let states = reader.mvpn_state(mvpn, at, filter, Slice::first(query.limit))?;
            shown(json, &states, render::mvpn::past_state)
        }
        HistoryQuestion::Between(from, until) => {
            let changes =
                reader.mvpn_changes(mvpn, from..until, filter, Slice::first(query.limit))?;
            shown(json, &changes, render::mvpn::past_changes)
        }
        HistoryQuestion::Diff(from, to) => {
            let found = reader.mvpn_diff(mvpn, from, to, filter)?;
            shown(json, &found, render::mvpn::past_differences)
        }
    })
}

fn alarms(query: &AlarmQuery, json: bool) -> Result<String, StoreError> {
    let reader = Reader::open(&query.database)?;
    let (mvpn, slice) = (
        query.mvpn.as_ref().map(Name::as_str),
        Slice::first(query.limit),
    );
    let found = match query.from == query.until {
        true => reader.alarms_at(mvpn, query.from, slice)?,
        false => reader.alarms_between(mvpn, query.from..query.until, slice)?,
    };
    Ok(shown(json, &found, render::alarms::kept))
}

fn shown<T: serde::Serialize>(json: bool, found: &T, render: impl Fn(&T) -> String) -> String {
    match json {
        true => json_lines(std::slice::from_ref(found)),
        false => render(found),
    }
}

fn read(query: &DatabaseQuery, json: bool) -> Exit {
    match read_database(query, json) {
        Ok(Some(text)) => {
            show(&text);
            Exit::Done
        }
        Ok(None) => fail(
            &format!(
                "there is no task {} in {}; its tasks are those of `SELECT DISTINCT name FROM task`",
                query.task,
                query.path.display()
            ),
            Exit::Refused,
        ),
        Err(error) => fail(&error.to_string(), Exit::Unable),
    }
}

/// What the database holds of the task; nothing if it does not know it.
fn read_database(query: &DatabaseQuery, json: bool) -> Result<Option<String>, StoreError> {
    let reader = Reader::open(&query.path)?;
    let Some((session, task)) = latest_run(&reader, query)? else {
        return Ok(None);
    };
    let page = Page {
        session,
        task,
        since: query.since,
        limit: query.limit,
    };
    Ok(Some(if query.probes {
        let probes = reader.probes(page)?;
        if json {
            json_lines(&probes)
        } else {
            render::probes(&probes)
        }
    } else {
        let rows: Vec<IntervalRow> = reader.intervals(page)?;
        if json {
            json_lines(&rows)
        } else {
            render::intervals(&rows)
        }
    }))
}

fn latest_run(reader: &Reader, query: &DatabaseQuery) -> Result<Option<(u32, u32)>, StoreError> {
    let wanted = |session: u32| query.session.is_none_or(|asked| asked == session);
    for session in reader
        .sessions()?
        .iter()
        .rev()
        .filter(|s| wanted(s.session))
    {
        let tasks = reader.tasks(session.session)?;
        if let Some(task) = tasks.iter().rev().find(|t| t.name == query.task.as_str()) {
            return Ok(Some((session.session, task.task)));
        }
    }
    Ok(None)
}

fn json_lines<T: serde::Serialize>(rows: &[T]) -> String {
    // Only a map with keys that are no text cannot be written, and no row has one.
    rows.iter()
        .filter_map(|row| serde_json::to_string(row).ok())
        .map(|line| line + "\n")
        .collect()
}

fn refused(refusal: &Refusal, json: bool) -> Exit {
    if !json {
        return fail(&render::refusal(refusal), Exit::Refused);
    }
    Exit::Refused
}

fn fail(problem: &str, exit: Exit) -> Exit {
    eprintln!("vmscope: {problem}");
    exit
}

/// Writes to stdout; whoever closed it early (`| head`) has seen enough.
fn show(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
