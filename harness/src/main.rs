//! `mvpnlab`: puts a multicast VPN monitor under scripted scenarios, against a truth that knows every packet.
//!
//! The data's way: scenarios are found and read ([`run::suite`]) and run in a place ([`run::place`]), where the
//! lab's [`program`] drives the monitor; the observation becomes truth and [`claims`], which [`check`] compares;
//! the [`verdict`] and everything around it is a [`report`].

mod check;
mod claims;
mod cli;
mod describe;
mod doctor;
mod drive;
mod faults;
mod graph;
mod image;
mod live;
mod manual;
mod monitor_client;
mod new;
mod program;
mod replay;
mod report;
mod run;
mod trace;
mod verdict;

use std::process::ExitCode;

use clap::Parser as _;
use mvpnlab_emulator::lab::agents::route_mib;
use mvpnlab_emulator::place::{DEFAULT_PROGRAM, Program, guest, shell};

use cli::{Cli, Command};
use verdict::Exit;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run::command(&args).into(),
        Command::Replay(args) => replay::command(&args).into(),
        Command::Trace(args) => trace::command(&args).into(),
        Command::Faults(args) => faults::command(&args).into(),
        Command::Check { paths } => describe::check(&paths).into(),
        Command::Plan { file, json } => describe::plan(&file, json).into(),
        Command::New(args) => new::command(&args).into(),
        Command::Graph(args) => graph::command(&args).into(),
        Command::Up(args) => live::command::up(&args).into(),
        Command::Ls(args) => live::command::ls(&args).into(),
        Command::Exec(args) => live::command::exec(&args),
        Command::Shell { node, lab } => live::command::shell(lab.lab.as_deref(), &node),
        Command::Show(args) => live::command::show(&args).into(),
        Command::Vty { lab, node, command } => {
            live::command::vty(lab.lab.as_deref(), &node, &command).into()
        }
        Command::Link(args) => live::command::link(&args).into(),
        Command::Tunnel(args) => live::command::tunnel(&args).into(),
        Command::Node(args) => live::command::node(&args).into(),
        Command::Pe(args) => live::command::pe(&args).into(),
        Command::Capture(args) => live::command::capture(&args).into(),
        Command::Step { span, lab } => live::command::step(lab.lab.as_deref(), &span).into(),
        Command::Until { what, lab } => live::command::until(lab.lab.as_deref(), what).into(),
        Command::Down { name, lab } => live::command::down(name.or(lab.lab).as_deref()).into(),
        Command::Gc => live::command::gc().into(),
        Command::Keep(args) => live::keep(&args).into(),
        Command::Schema => describe::schema().into(),
        Command::Completions { shell } => manual::completions(shell).into(),
        Command::Man { folder } => manual::pages(&folder).into(),
        Command::Doctor { json } => doctor::command(json).into(),
        Command::Image { gc } => image::command(gc).into(),
        Command::Guest => init().into(),
        Command::RouteMib => route_mib().into(),
        Command::GuestShell { command } => image::shell(&command).into(),
    }
}

/// Answers an SNMP agent until it is gone.
fn route_mib() -> Exit {
    match route_mib::serve(std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => Exit::Pass,
        Err(error) => run::infrastructure(&error),
    }
}

/// Becomes the sealed lab's init; comes back only where it is none.
fn init() -> Exit {
    let programs = |name: &str| -> Option<Box<dyn Program>> {
        match name {
            DEFAULT_PROGRAM => Some(Box::<program::LabProgram>::default()),
            shell::NAME => Some(Box::<shell::Shell>::default()),
            _ => None,
        }
    };
    match guest::init(&programs) {
        Ok(never) => match never {},
        Err(error) => run::usage(&error),
    }
}
