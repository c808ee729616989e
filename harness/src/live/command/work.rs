//! What people do in a lab that is up.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::time::Duration;

use mvpnlab_emulator::scenario::{Action, Impairment};
use serde_json::Value;

use super::{VerbError, ask, connect, exit, print_rows};
use crate::cli::{
    CaptureArgs, Changes, Exec, LinkArgs, LinkState, NodeArgs, NodeDeed, PeArgs, PeDeed, Show,
    TunnelArgs, UntilWhat,
};
use crate::live::frame::Kind;
use crate::live::request::{Ended, Request, Table};
use crate::live::{screen, table};
use crate::run::output;
use crate::verdict::Exit;

/// What a shell is, unless another program is named.
const SHELL: &str = "sh";
const WATCH: Duration = Duration::from_secs(2);
const CLEAR_SCREEN: &str = "\x1b[H\x1b[2J";

/// What `exec` and `shell` end with when there was no command to end: as other programs that run programs do.
const NOT_RUN: u8 = 125;

/// Runs a command in a node; ends as it ends.
pub fn exec(args: &Exec) -> std::process::ExitCode {
    let streams = Streams {
        input: args.input || args.terminal,
        terminal: args.terminal,
    };
    run(args.lab.lab.as_deref(), &args.node, &args.command, streams)
}

/// A shell in a node.
pub fn shell(lab: Option<&str>, node: &str) -> std::process::ExitCode {
    let streams = Streams {
        input: true,
        terminal: io::stdin().is_terminal(),
    };
    run(lab, node, &[SHELL.to_owned()], streams)
}

/// What a command has of ours, besides our outputs.
#[derive(Clone, Copy)]
struct Streams {
    input: bool,
    terminal: bool,
}

fn run(
    lab: Option<&str>,
    node: &str,
    command: &[String],
    streams: Streams,
) -> std::process::ExitCode {
    match try_run(lab, node, command, streams) {
        Ok(ended) => ended.status.into(),
        Err(error) => {
            let _ = exit(Err(error));
            NOT_RUN.into()
        }
    }
}

fn try_run(
    lab: Option<&str>,
    node: &str,
    command: &[String],
    Streams { input, terminal }: Streams,
) -> Result<Ended, VerbError> {
    let mut client = connect(lab)?;
    let raw = match terminal {
        true => {
            screen::follow_size(client.sender());
            let raw = screen::Raw::enter();
            Some(raw.map_err(|source| VerbError::Io {
                what: "use the terminal; is standard input one?".to_owned(),
                source,
            })?)
        }
        false => None,
    };
    let request = Request::Exec {
        node: node.to_owned(),
        command: command.to_owned(),
        input,
        terminal: terminal.then(screen::terminal),
    };
    client.open(&request);
    if input {
        screen::pass_input(client.sender());
    }
    let answer = client.finish(&mut |kind, content| match kind {
        Kind::Output => put(io::stdout(), content),
        Kind::ErrorOutput => put(io::stderr(), content),
        _ => {}
    });
    drop(raw);
    let ended = serde_json::from_value(answer?);
    ended.map_err(|e| VerbError::Usage(format!("the lab says of the command: {e}")))
}

/// Whoever reads our output may have had enough.
fn put(mut to: impl Write, content: &[u8]) {
    if to.write_all(content).and_then(|()| to.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Changes a link, or shows it.
pub fn link(args: &LinkArgs) -> Exit {
    exit(change_link(args))
}

fn change_link(args: &LinkArgs) -> Result<Exit, VerbError> {
    let lab = args.lab.lab.as_deref();
    let link = args.link.clone();
    if args.clear {
        let action = Action::ImpairLink {
            link: link.clone(),
            to: args.toward.clone(),
            impair: Impairment::default(),
        };
        ask(lab, &Request::Do { action })?;
    }
    if args.changes != Changes::default() {
        let request = Request::Impair {
            link: link.clone(),
            toward: args.toward.clone(),
            change: impairment(&args.changes).map_err(VerbError::Usage)?,
        };
        ask(lab, &request)?;
    }
    let action = match args.state {
        Some(LinkState::Down) => Some(Action::LinkDown { link: link.clone() }),
        Some(LinkState::Up) => Some(Action::LinkUp { link: link.clone() }),
        None => None,
    };
    if let Some(action) = action {
        ask(lab, &Request::Do { action })?;
    }
    let request = Request::Show {
        table: Table::Links,
        node: None,
    };
    let rows = ask(lab, &request)?;
    let is_it = |row: &&Value| names_link(row, &args.link);
    let rows: Vec<Value> = rows
        .as_array()
        .into_iter()
        .flatten()
        .filter(is_it)
        .cloned()
        .collect();
    print_rows(table::columns(Table::Links), &Value::Array(rows), false)?;
    Ok(Exit::Pass)
}

/// `A-B` or `B-A`.
fn names_link(row: &Value, asked: &str) -> bool {
    let name = row["link"].as_str().unwrap_or_default();
    let turned = asked.split_once('-').map(|(a, b)| format!("{b}-{a}"));
    name == asked || turned.is_some_and(|turned| name == turned)
}

fn impairment(changes: &Changes) -> Result<Impairment, String> {
    fn read<T: serde::de::DeserializeOwned>(
        name: &str,
        text: Option<&String>,
    ) -> Result<Option<T>, String> {
        let read = |text: &String| serde_json::from_value(Value::String(text.clone()));
        let value = text.map(read).transpose();
        value.map_err(|e| format!("--{name}: {e}"))
    }
    let Changes {
        delay,
        jitter,
        distribution,
        loss,
        duplicate,
        reorder,
        corrupt,
        rate,
        queue,
    } = changes;
    Ok(Impairment {
        delay: read("delay", delay.as_ref())?,
        jitter: read("jitter", jitter.as_ref())?,
        distribution: read("distribution", distribution.as_ref())?,
        loss: read("loss", loss.as_ref())?,
        burst: None,
        duplicate: read("duplicate", duplicate.as_ref())?,
        reorder: read("reorder", reorder.as_ref())?,
        corrupt: read("corrupt", corrupt.as_ref())?,
        rate: read("rate", rate.as_ref())?,
        queue_packets: *queue,
    })
}

/// Kills a router, or starts it again.
pub fn node(args: &NodeArgs) -> Exit {
    let node = args.node.clone();
    let action = match args.deed {
        NodeDeed::Kill => Action::NodeKill { node },
        NodeDeed::Restart => Action::NodeRestart { node },
    };
    exit(ask(args.lab.lab.as_deref(), &Request::Do { action }).map(|_| Exit::Pass))
}

/// Has a PE join, leave, fall silent or speak.
pub fn pe(args: &PeArgs) -> Exit {
    let (mvpn, pe) = (args.mvpn.clone(), args.pe.clone());
    let action = match args.deed {
        PeDeed::Join => Action::RogueJoin { mvpn, pe },
        PeDeed::Leave => Action::RogueLeave { mvpn, pe },
        PeDeed::Silent => Action::PeSilent { mvpn, pe },
        PeDeed::Speaks => Action::PeSpeaks { mvpn, pe },
    };
    exit(ask(args.lab.lab.as_deref(), &Request::Do { action }).map(|_| Exit::Pass))
}

/// Changes what a monitor tunnel is impaired with, towards the monitor.
pub fn tunnel(args: &TunnelArgs) -> Exit {
    let impair = impairment(&args.changes).map_err(VerbError::Usage);
    let done = impair.and_then(|impair| {
        let action = Action::ImpairTunnel {
            tunnel: args.tunnel.clone(),
            impair,
        };
        ask(args.lab.lab.as_deref(), &Request::Do { action })
    });
    exit(done.map(|_| Exit::Pass))
}

/// Prints a table, once or again and again.
pub fn show(args: &Show) -> Exit {
    exit(show_rows(args))
}

fn show_rows(args: &Show) -> Result<Exit, VerbError> {
    let request = Request::Show {
        table: args.table,
        node: args.node.clone(),
    };
    loop {
        let rows = ask(args.lab.lab.as_deref(), &request)?;
        if args.watch {
            output::print(CLEAR_SCREEN)?;
        }
        print_rows(table::columns(args.table), &rows, args.json)?;
        if !args.watch {
            return Ok(Exit::Pass);
        }
        std::thread::sleep(WATCH);
    }
}

/// Gives routers a command of theirs.
pub fn vty(lab: Option<&str>, node: &str, command: &[String]) -> Exit {
    let request = Request::Vty {
        node: node.to_owned(),
        command: command.join(" "),
    };
    let answered = ask(lab, &request).and_then(|answer| {
        output::print(answer.as_str().unwrap_or_default().trim_end())?;
        Ok(Exit::Pass)
    });
    exit(answered)
}

/// Writes a capture until it is interrupted, or whoever reads it has enough.
pub fn capture(args: &CaptureArgs) -> Exit {
    exit(write_capture(args))
}

fn write_capture(args: &CaptureArgs) -> Result<Exit, VerbError> {
    let mut to: Box<dyn Write> = match args.write.as_path() {
        path if path == Path::new("-") => Box::new(io::stdout()),
        path => Box::new(File::create(path).map_err(|source| VerbError::Io {
            what: format!("write {}", path.display()),
            source,
        })?),
    };
    let request = Request::Capture {
        link: args.link.clone(),
        filter: args.filter.clone(),
    };
    connect(args.lab.lab.as_deref())?.ask(&request, &mut |kind, content| {
        if kind == Kind::Output {
            put(&mut to, content);
        }
    })?;
    Ok(Exit::Pass)
}

/// Lets virtual time pass.
pub fn step(lab: Option<&str>, span: &str) -> Exit {
    let read: Result<mvpnlab_emulator::scenario::Span, _> =
        serde_json::from_value(Value::String(span.to_owned()));
    let done = read
        .map_err(|e| VerbError::Usage(e.to_string()))
        .and_then(|span| ask(lab, &Request::Advance { ns: span.ns }));
    exit(done.map(|_| Exit::Pass))
}

/// Waits for something in the lab.
pub fn until(lab: Option<&str>, what: UntilWhat) -> Exit {
    let UntilWhat::Converged = what;
    exit(ask(lab, &Request::Converge).map(|_| Exit::Pass))
}
