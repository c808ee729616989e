//! The command line of `mvpnlab`.

mod living;

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use living::{
    CaptureArgs, Changes, Exec, InLab, Keep, LabPlace, LinkArgs, LinkState, Ls, NodeArgs, NodeDeed,
    PeArgs, PeDeed, Show, TunnelArgs, UntilWhat, Up,
};

use crate::new::New;
use crate::trace::what::{self, What};

const EXIT_CODES: &str = "Exit codes: 0 every expectation held · 1 an expectation failed · 2 the command line or a scenario \
is wrong, nothing was run · 3 infrastructure: a lab went wrong, results could not be written, or nothing was judged. \
Infrastructure outranks failure.";

/// Puts a multicast VPN monitor under scripted scenarios, against a truth that knows every packet.
#[derive(Debug, Parser)]
#[command(name = "mvpnlab", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `mvpnlab` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs scenarios and judges the monitor.
    Run(Run),
    /// Runs a report's scenario again, with its seed, and compares the two reports byte by byte.
    Replay(Replay),
    /// Runs monitors with planted faults: each must fail the scenario that names it, and pass without the fault.
    Faults(Faults),
    /// Shows where a packet went, link by link, with times, and what ate it.
    #[command(after_help = what::HELP)]
    Trace(Trace),
    /// Reads and checks scenarios; runs nothing.
    Check {
        /// Scenario files and folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Describes what a scenario would build.
    Plan {
        /// The scenario file.
        file: PathBuf,
        /// As JSON, complete with router configurations.
        #[arg(long)]
        json: bool,
    },
    /// Writes a commented scenario to start from.
    New(New),
    /// Prints the JSON Schema of scenario files, with which editors complete and check them.
    Schema,
    /// Draws a scenario's topology (roles, addresses, impairments, tunnels), or a running lab as it stands.
    Graph(Graph),
    /// Builds a lab and leaves it up: to look into, change, and take down again.
    Up(Up),
    /// Lists the labs that are up.
    Ls(Ls),
    /// Runs a command in a node of a lab, and ends as it ends.
    Exec(Exec),
    /// Opens a shell in a node of a lab.
    Shell {
        /// The node, or a VRF of it as in PE1.red.
        node: String,
        /// Which lab.
        #[command(flatten)]
        lab: InLab,
    },
    /// Shows what the routers of a lab say, in one shape for FRR and pimd.
    Show(Show),
    /// Gives the routers of a node a command of FRR's, as in `vty PE1 show ip mroute`.
    Vty {
        /// Which lab.
        #[command(flatten)]
        lab: InLab,
        /// The node, or a VRF of it as in PE1.red.
        node: String,
        /// The command.
        #[arg(required = true, trailing_var_arg = true, value_name = "WORD")]
        command: Vec<String>,
    },
    /// Changes a link of a lab while it runs, and shows it. Only what is named changes.
    Link(LinkArgs),
    /// Replaces what a monitor tunnel of a lab is impaired with, towards the monitor.
    Tunnel(TunnelArgs),
    /// Kills a router of a lab, or starts it again.
    Node(NodeArgs),
    /// Has a PE of a lab misbehave in an MVPN: join it as a rogue, or fall silent in it.
    Pe(PeArgs),
    /// Captures what passes over a link of a lab, as pcapng, until interrupted.
    Capture(CaptureArgs),
    /// Lets time pass in a lab that is up in virtual time.
    Step {
        /// How much, as in 30s.
        #[arg(value_name = "TIME")]
        span: String,
        /// Which lab.
        #[command(flatten)]
        lab: InLab,
    },
    /// Waits until something is true in a lab; in virtual time, lets time pass until then.
    Until {
        /// What.
        #[arg(value_enum)]
        what: UntilWhat,
        /// Which lab.
        #[command(flatten)]
        lab: InLab,
    },
    /// Takes a lab down; nothing of it is left.
    Down {
        /// Which lab; the only one unless told.
        #[arg(value_name = "NAME", conflicts_with = "lab")]
        name: Option<String>,
        /// Which lab, as the other verbs have it.
        #[command(flatten)]
        lab: InLab,
    },
    /// Removes what labs left whose processes were killed, and nothing else.
    Gc,
    /// A living lab's keeper; not for people.
    #[command(hide = true)]
    Keep(Keep),
    /// Prints a script that completes this command line in a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Writes the manual pages, one a command, into a folder.
    Man {
        /// The folder; it is made if need be.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Says what this host can do, and what to do about what it cannot.
    Doctor {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Builds the sealed lab's image, or shows it.
    Image {
        /// Removes images and warm labs that are no longer current.
        #[arg(long)]
        gc: bool,
    },
    /// The sealed lab's init; not for people.
    #[command(hide = true)]
    Guest,
    /// Answers an SNMP agent's questions for multicast routes; not for people.
    #[command(hide = true, name = "route-mib")]
    RouteMib,
    /// A shell in a sealed lab, over QEMU's console.
    #[command(hide = true)]
    GuestShell {
        /// Commands instead of a prompt.
        #[arg(trailing_var_arg = true)]
        command: Vec<String>,
    },
}

/// Options of everything that runs labs.
#[derive(Debug, Clone, Args)]
pub struct Labs {
    /// Labs side by side; the number of cores unless told.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Boots and converges every lab anew instead of forking a warm one.
    #[arg(long)]
    pub cold: bool,
    /// Runs in this host's own kernel (needs root and its features) instead of the sealed lab.
    #[arg(long)]
    pub native: bool,
    /// The monitor's executable; `vmscope` beside mvpnlab unless told.
    #[arg(long, value_name = "PATH")]
    pub monitor: Option<PathBuf>,
    /// Colours on the terminal.
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

/// `mvpnlab run`.
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// Scenario files, and folders that are searched for them.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1, conflicts_with = "seeds")]
    pub seed: u64,
    /// Every scenario with every seed from A to B, both included.
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    pub seeds: Option<RangeInclusive<u64>>,
    /// The I-th of N parts of the suite, from 1.
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<Shard>,
    /// Where reports go, a folder for each run.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// One JUnit file for all runs.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Reports as a JSON array on standard output, instead of text.
    #[arg(long)]
    pub json: bool,
    /// Keeps captures per link, router configurations and logs under --out.
    #[arg(long, requires = "out")]
    pub keep: bool,
    /// Asks a monitor that was built with planted faults for this one.
    #[arg(long, value_name = "NAME")]
    pub fault: Option<String>,
    /// How labs are run.
    #[command(flatten)]
    pub labs: Labs,
}

/// `mvpnlab replay`.
#[derive(Debug, Clone, Args)]
pub struct Replay {
    /// A `report.json` of an earlier run.
    pub report: PathBuf,
    /// Where the new report goes.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How labs are run.
    #[command(flatten)]
    pub labs: Labs,
}

/// `mvpnlab trace`.
#[derive(Debug, Clone, Args)]
pub struct Trace {
    /// Which packets, in the notation below; everything unless told.
    pub what: Option<What>,
    /// A folder that `mvpnlab run --keep --out DIR` wrote; a running lab's recent past is looked at unless told.
    #[arg(long, short, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// Which lab.
    #[command(flatten)]
    pub lab: InLab,
    /// Lists packets that were lost.
    #[arg(long)]
    pub lost: bool,
    /// All that were lost, not only the first 20.
    #[arg(long, requires = "lost")]
    pub all: bool,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// `mvpnlab faults`.
#[derive(Debug, Clone, Args)]
pub struct Faults {
    /// The catalogue of faults.
    #[arg(default_value = "scenarios/faults.toml")]
    pub catalogue: PathBuf,
    /// Only these.
    #[arg(long = "only", value_name = "NAME")]
    pub only: Vec<String>,
    /// The monitor built with planted faults; `target/planted/release/vmscope` unless told.
    #[arg(long, value_name = "PATH")]
    pub planted: Option<PathBuf>,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where reports go.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How labs are run.
    #[command(flatten)]
    pub labs: Labs,
}

/// `mvpnlab graph`.
#[derive(Debug, Clone, Args)]
pub struct Graph {
    /// The scenario file; without it a running lab is drawn.
    pub file: Option<PathBuf>,
    /// Which lab.
    #[command(flatten)]
    pub lab: InLab,
    /// Draws the multicast tree of this group, as the routers of the lab forward it now.
    #[arg(long, value_name = "GROUP", conflicts_with = "file")]
    pub group: Option<std::net::Ipv4Addr>,
    /// Only what comes from this source: an address, or a monitor tunnel.
    #[arg(long, value_name = "SOURCE", requires = "group")]
    pub source: Option<String>,
    /// What to draw for.
    #[arg(long, value_enum, default_value_t = GraphFormat::Svg)]
    pub format: GraphFormat,
    /// Where the picture goes; standard output unless told.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Formats of `mvpnlab graph`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// A picture that stands alone.
    Svg,
    /// For Graphviz.
    Dot,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// One part of a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    pub index: usize,
    /// Of how many.
    pub of: usize,
}

/// Reads `A..B`.
fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let numbers = text
        .split_once("..")
        .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    match numbers {
        Some((a, b)) if a <= b => Ok(a..=b),
        Some((a, b)) => Err(format!("{a} is after {b}: write the smaller seed first")),
        None => Err("write two whole numbers, as in 1..20".into()),
    }
}

/// Reads `I/N`.
fn shard(text: &str) -> Result<Shard, String> {
    let numbers = text
        .split_once('/')
        .and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match numbers {
        Some((index, of)) if index >= 1 && index <= of => Ok(Shard { index, of }),
        Some((_, of)) => Err(format!("there are parts 1 to {of} of {of}")),
        None => Err("write a part and the number of parts, as in 1/4".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn ranges_and_shards_are_read_or_refused() {
        assert_eq!(seeds("3..7"), Ok(3..=7));
        assert_eq!(shard("2/4"), Ok(Shard { index: 2, of: 4 }));
        for bad in ["", "3", "7..3", "a..b", "1..", "-1..2"] {
            assert!(seeds(bad).is_err(), "{bad}");
        }
        for bad in ["", "0/4", "5/4", "1", "x/y", "1/0"] {
            assert!(shard(bad).is_err(), "{bad}");
        }
    }
}
