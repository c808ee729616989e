//! VMScope: the monitor's daemon, and the command line that speaks to it.
//!
//! `daemon` opens the sockets and starts the [`driver`], which is the only place where
//! packets, time, requests and results meet the core's `Session`. [`read`] drives another one
//! over a capture. Everything else is a client of the control socket.

mod agents;
mod alarm;
mod ask;
mod capture;
mod cli;
mod client;
mod clock;
mod console;
mod control_socket;
mod daemon;
mod driver;
mod error;
mod exit;
mod interface;
mod journal;
mod mailbox;
mod next_hop;
mod read;
mod remote;
mod render;
mod rhythm;
mod serve;
mod transmit;
mod wakefulness;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = match cli.command {
        Command::Daemon(arguments) => daemon::run(&arguments, &cli.place.socket),
        Command::Read(arguments) => read::run(&arguments, cli.json),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Token(verb) => serve::token(verb),
        Command::Certificate(arguments) => serve::certificate(&arguments),
        Command::Console => console::run(&cli.place.into(), cli.json),
        Command::Ask(verb) => ask::run(verb, &cli.place.into(), cli.json),
    };
    exit.into()
}
