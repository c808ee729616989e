//! The command line: what can be said to `vmscope`.

mod errand;
mod oneway;
mod probe_options;
mod serve;
mod verbs;

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use vmscope_core::config::LogLevel;
use vmscope_core::name::Name;
use vmscope_core::retention::{Keep, RetentionSpec, Size};

pub use errand::{AlarmQuery, DatabaseQuery, Errand, HistoryQuery, HistoryQuestion};
pub use serve::{CertificateArgs, ServeArgs, TokenVerb};
pub use verbs::Verb;

use crate::client::Place;
use crate::remote::Wire;

/// Where the control socket is unless told otherwise.
pub const SOCKET: &str = "/run/vmscope/vmscope.sock";

/// VMScope: an active and passive monitor for multicast VPNs.
///
/// `vmscope daemon` is the monitor; every other command speaks to it over its control socket.
#[derive(Debug, Parser)]
#[command(name = "vmscope", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Answer with the daemon's own JSON instead of tables
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// Where the daemon is.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// Control socket of the daemon
    #[arg(long, global = true, value_name = "PATH", default_value = SOCKET)]
    pub socket: PathBuf,
    /// A daemon elsewhere, instead: where its configuration's [remote] listens
    #[arg(long, global = true, value_name = "HOST:PORT", requires_all = ["certificate", "token_file"])]
    pub connect: Option<String>,
    /// With --connect: its certificate, PEM
    #[arg(long, global = true, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// With --connect: the file with a token it knows
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

impl From<PlaceArgs> for Place {
    fn from(arguments: PlaceArgs) -> Place {
        let proof = arguments.certificate.zip(arguments.token_file);
        match (arguments.connect, proof) {
            (Some(address), Some((certificate, token_file))) => Place::Afar(Wire {
                address,
                certificate,
                token_file,
            }),
            // Without a proof of who it is there is no connection: the grammar asks for both.
            (Some(_) | None, Some(_) | None) => Place::Here(arguments.socket),
        }
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused by the daemon: the message says why, and what to do
  2  usage: the command line or the configuration file makes no sense
  3  no daemon can be reached, or it cannot start: no privilege, no interface, no database;
     or a capture could not be read to its end";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Be the monitor: needs CAP_NET_RAW
    Daemon(DaemonArgs),
    /// Listen to a capture instead of the network: who was in which MVPN
    Read(ReadArgs),
    /// Say commands one after another, with help and completion
    Console,
    /// Serve the web page over a monitor's database, running or not
    Serve(ServeArgs),
    /// Make, list and revoke the tokens that the web page, and control from afar, ask for
    #[command(subcommand)]
    Token(TokenVerb),
    /// Make the certificate of control from afar, and its key
    Certificate(CertificateArgs),
    /// Ask the monitor.
    #[command(flatten)]
    Ask(Verb),
}

/// How to be the monitor.
#[derive(Debug, Args)]
pub struct DaemonArgs {
    /// Configuration file, TOML
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Which of the monitors that share the configuration ([shard]) this is; the host's name if absent
    #[arg(long, value_name = "NAME")]
    pub monitor: Option<String>,
    /// Only say whether the configuration makes sense
    #[arg(long)]
    pub check: bool,
    /// How much to say on stderr, whatever the configuration says
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub log: Option<Level>,
    #[command(flatten)]
    pub keep: KeepOptions,
}

/// How long to keep what, whatever the configuration says.
#[derive(Debug, Args)]
pub struct KeepOptions {
    /// Keep past states of MVPNs for so long, 90d or for-ever, whatever the configuration says
    #[arg(long, value_name = "TIME")]
    pub keep_history: Option<Keep>,
    /// Keep the log of single probes for so long
    #[arg(long, value_name = "TIME")]
    pub keep_probes: Option<Keep>,
    /// Keep interval results for so long
    #[arg(long, value_name = "TIME")]
    pub keep_intervals: Option<Keep>,
    /// Keep less of all three once an SQLite database has this size, such as 20GB
    #[arg(long, value_name = "SIZE")]
    pub keep_size: Option<Size>,
}

impl KeepOptions {
    /// What was said here counts, and the rest stays.
    pub fn amend(&self, spec: &mut RetentionSpec) {
        spec.history = self.keep_history.unwrap_or(spec.history);
        spec.probes = self.keep_probes.unwrap_or(spec.probes);
        spec.intervals = self.keep_intervals.unwrap_or(spec.intervals);
        spec.size = self.keep_size.or(spec.size);
    }
}

/// What to listen for in a capture.
///
/// The capture may be taken in the backbone, where MDTs are GRE to groups, or at a monitor, inside its tunnels. The time
/// is the capture's. With tunnels in the configuration only those are opened; without, all.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").args(["mvpns", "plain", "config"]).required(true).multiple(true))]
pub struct ReadArgs {
    /// The capture, pcapng or pcap; `-` is standard input
    pub file: PathBuf,
    /// An MVPN and its default MDT group; may be said several times
    #[arg(long = "mvpn", value_name = "NAME=GROUP", value_parser = name_and_group)]
    pub mvpns: Vec<(Name, Ipv4Addr)>,
    /// Under this name, the routers that speak PIM on the link itself, in no MVPN
    #[arg(long, value_name = "NAME")]
    pub plain: Option<Name>,
    /// MVPNs, tunnels and expectations of a daemon's configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print each change, with its time
    #[arg(long)]
    pub changes: bool,
    /// Write the history into this database, a file or postgres://…, for `mvpn show` and `mvpn diff`
    #[arg(long, value_name = "DATABASE")]
    pub database: Option<PathBuf>,
}

fn name_and_group(text: &str) -> Result<(Name, Ipv4Addr), String> {
    let (name, group) = text
        .split_once('=')
        .ok_or("write it as NAME=GROUP, as in red=239.1.1.1")?;
    let name = Name::new(name).map_err(|error| error.to_string())?;
    match group.parse() {
        Ok(group) => Ok((name, group)),
        Err(_) => Err(format!("{group:?} is no IPv4 address")),
    }
}

/// How much the daemon says on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Results are missing
    Error,
    /// Results may be affected
    Warn,
    /// Good to know
    Info,
    /// Every request, every change of the filter
    Debug,
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> LogLevel {
        match level {
            Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug => LogLevel::Debug,
        }
    }
}

/// A line of the console: the same verbs.
#[derive(Debug, Parser)]
#[command(
    name = "",
    no_binary_name = true,
    disable_version_flag = true,
    disable_help_flag = true
)]
pub struct ConsoleLine {
    /// What to do
    #[command(subcommand)]
    pub command: ConsoleCommand,
}

/// What can be said on the console.
#[derive(Debug, Subcommand)]
pub enum ConsoleCommand {
    /// Leave the console; the monitor goes on
    #[command(alias = "quit")]
    Exit,
    /// Ask the monitor.
    #[command(flatten)]
    Ask(Verb),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
        ConsoleLine::command().debug_assert();
    }

    /// The help of a command and of all below it.
    fn help_of(command: &mut clap::Command, path: &str, out: &mut String) {
        let path = format!("{path} {}", command.get_name()).trim().to_owned();
        out.push_str(&format!("===== {path}\n{}\n", command.render_help()));
        for below in command
            .get_subcommands_mut()
            .filter(|c| c.get_name() != "help")
        {
            help_of(below, &path, out);
        }
    }

    #[test]
    fn help() {
        let mut out = String::new();
        let mut command = Cli::command().term_width(100);
        command.build();
        help_of(&mut command, "", &mut out);
        insta::assert_snapshot!(out);
    }
}
