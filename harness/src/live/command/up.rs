//! Labs brought up, listed, taken down, swept.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mvpnlab_emulator::place::warm::Store;
use mvpnlab_emulator::place::{Cache, Native};
use serde_json::Value;

use super::{VerbError, ask, exit, print_rows};
use crate::cli::{LabPlace, Ls, Up};
use crate::live::client::{Client, ClientError};
use crate::live::keeper::{READY, default_name};
use crate::live::registry::Registry;
use crate::live::request::Request;
use crate::live::table;
use crate::run::suite;
use crate::run::{infrastructure, output, usage};
use crate::verdict::Exit;

/// How long a keeper may take to end a lab.
const DOWN_PATIENCE: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(5);
/// Routers, those of VRFs and CEs included, that one emulated processor has kept up with on ordinary machines.
const REAL_TIME_ROUTERS_MAX: usize = 20;

/// Builds a lab and leaves it to its keeper.
pub fn up(args: &Up) -> Exit {
    match suite::load(std::slice::from_ref(&args.file)) {
        Ok(cases) => {
            let routers = cases.iter().map(|case| case.plan.routers.len()).sum();
            exit(bring_up(args, routers))
        }
        Err(errors) => usage(&errors),
    }
}

/// A machine that cannot keep up lets the routers' timers run out: then it is no lab but a riddle.
fn warn_of_overload(place: LabPlace, routers: usize) {
    if place == LabPlace::Sealed && routers > REAL_TIME_ROUTERS_MAX {
        output::say(&format!(
            "{routers} routers are more than one emulated processor keeps up with in real time: timers may run out; \
             `up --virtual` has all the time that it needs"
        ));
    }
}

fn bring_up(args: &Up, routers: usize) -> Result<Exit, VerbError> {
    let name = args
        .name
        .clone()
        .unwrap_or_else(|| default_name(&args.file));
    // Only to say so at once: the keeper claims the name.
    drop(Registry::of_user()?.claim(&name)?);
    let failed = |what: &str| {
        let what = what.to_owned();
        move |source| VerbError::Io { what, source }
    };
    let own = std::env::current_exe().map_err(failed("find our own executable"))?;
    let file = args
        .file
        .canonicalize()
        .map_err(failed("find the scenario"))?;
    let monitor = args
        .monitor
        .clone()
        .unwrap_or_else(|| own.with_file_name("vmscope"));
    let place = args.place.chosen(|| Native::open().is_ok());
    warn_of_overload(place, routers);
    let began = Instant::now();
    let mut command = Command::new(&own);
    command
        .arg("keep")
        .args([
            "--name",
            &name,
            "--place",
            place.name(),
            "--seed",
            &args.seed.to_string(),
        ])
        .arg("--monitor")
        .arg(&monitor)
        .args(args.bare.then_some("--bare"))
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .current_dir("/");
    let mut keeper = command.spawn().map_err(failed("start the lab's keeper"))?;
    let said = keeper.stdout.take().map(BufReader::new);
    for line in said
        .into_iter()
        .flat_map(|lines| lines.lines())
        .map_while(Result::ok)
    {
        if line == READY {
            let seconds = began.elapsed().as_secs_f64();
            let text = format!("{name} is up ({}) after {seconds:.1} s", place.words());
            output::print(&text)?;
            return Ok(Exit::Pass);
        }
        output::say(&format!("[{name}] {line}"));
    }
    // Its last line said why.
    let _ = keeper.wait();
    Ok(infrastructure(&format!("the lab {name} did not come up")))
}

/// Lists the labs that are up.
pub fn ls(args: &Ls) -> Exit {
    exit(list(args))
}

fn list(args: &Ls) -> Result<Exit, VerbError> {
    let mut rows = Vec::new();
    for lab in Registry::of_user()?.up()? {
        let status = Client::connect(&lab)
            .and_then(|mut client| client.ask(&Request::Status, &mut |_, _| {}));
        rows.push(match status {
            Ok(status) => status,
            // It is on its way up, or down.
            Err(ClientError::Connect { .. } | ClientError::Gone { .. }) => {
                serde_json::json!({ "name": lab.name, "place": "coming or going" })
            }
            Err(error) => return Err(error.into()),
        });
    }
    print_rows(table::LABS, &Value::Array(rows), args.json)?;
    Ok(Exit::Pass)
}

/// Takes a lab down; returns when nothing of it is left.
pub fn down(lab: Option<&str>) -> Exit {
    exit(take_down(lab))
}

fn take_down(lab: Option<&str>) -> Result<Exit, VerbError> {
    let registry = Registry::of_user()?;
    let lab = registry.choose(lab)?;
    let keeper = lab.life()?;
    match ask(Some(&lab.name), &Request::Down) {
        // The keeper does not answer: it ends.
        Ok(_) | Err(VerbError::Client(ClientError::Gone { .. })) => {}
        Err(error) => return Err(error),
    }
    let began = Instant::now();
    while !keeper.is_over() {
        if began.elapsed() > DOWN_PATIENCE {
            let source = std::io::ErrorKind::TimedOut.into();
            let what = format!("take {} down: its keeper does not end", lab.name);
            return Err(VerbError::Io { what, source });
        }
        std::thread::sleep(GLANCE);
    }
    output::print(&format!("{} is down", lab.name))?;
    Ok(Exit::Pass)
}

/// Removes what processes that were killed left behind, and nothing else.
pub fn gc() -> Exit {
    exit(sweep())
}

fn sweep() -> Result<Exit, VerbError> {
    let labs = Registry::of_user()?.sweep()?;
    let unfinished = Store::new(&Cache::from_environment()).sweep();
    let names = match labs.is_empty() {
        true => String::new(),
        false => format!(" ({})", labs.join(", ")),
    };
    let text = format!(
        "removed the remains of {} labs{names} and of {unfinished} unfinished warm labs",
        labs.len()
    );
    output::print(&text)?;
    Ok(Exit::Pass)
}
