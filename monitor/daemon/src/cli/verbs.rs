//! The verbs: the grammar shared by the command line and the console.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use vmscope_core::name::Name;
use vmscope_core::time::Span;

use super::oneway::OnewayVerb;
use super::probe_options::ProbeOptions;

/// What can be asked of the monitor.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// How the monitor is
    Status,
    /// Add, drop and look at tunnels
    #[command(subcommand)]
    Tunnel(TunnelVerb),
    /// Join a group over a tunnel
    Join(JoinArgs),
    /// Leave a group that was joined by `join`
    Leave {
        /// The tunnel
        tunnel: Name,
        /// The group
        group: Ipv4Addr,
    },
    /// Send packets to a group over one tunnel, unmeasured
    #[command(subcommand)]
    Send(SendVerb),
    /// Monitor MVPNs: every ordered pair of their PEs
    #[command(subcommand)]
    Mvpn(MvpnVerb),
    /// What is not as expected
    #[command(subcommand)]
    Alarm(AlarmVerb),
    /// Probe from N senders to M receivers
    #[command(subcommand)]
    Task(TaskVerb),
    /// Statistics of tunnels, groups, pairs, and of monitoring itself
    #[command(subcommand)]
    Stats(StatsVerb),
    /// Interval results of a task, from the monitor or from its database
    Results(ResultsArgs),
    /// One-way loss between this host and a router
    #[command(subcommand)]
    Oneway(OnewayVerb),
    /// Other monitors that this one may ask
    Peers,
    /// Readers of routers' counters
    Agents,
    /// Measure customer traffic, injecting nothing
    #[command(subcommand)]
    Passive(PassiveVerb),
    /// The capture filter in force
    Filter,
    /// Configuration
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Print events as they happen, until interrupted
    Watch {
        /// Kinds wanted; all if none is named
        #[arg(value_enum)]
        kinds: Vec<Kind>,
    },
    /// Stop all tasks, leave all groups and end the monitor
    Shutdown,
}

/// Verbs of tunnels.
#[derive(Debug, Subcommand)]
pub enum TunnelVerb {
    /// Add a tunnel; pings through it begin at once
    Add(TunnelAddArgs),
    /// Drop a tunnel that nothing uses
    Drop {
        /// The tunnel
        name: Name,
    },
    /// All tunnels
    List,
    /// One tunnel: counters, pings, groups
    Show {
        /// The tunnel
        name: Name,
    },
}

/// A tunnel to add.
#[derive(Debug, Args)]
pub struct TunnelAddArgs {
    /// Name of the tunnel
    pub name: Name,
    /// Our address outside the tunnel
    #[arg(long, value_name = "ADDRESS", required_unless_present = "plain")]
    pub outer_local: Option<Ipv4Addr>,
    /// The router's address outside the tunnel
    #[arg(long, value_name = "ADDRESS", required_unless_present = "plain")]
    pub outer_remote: Option<Ipv4Addr>,
    /// Our address inside the tunnel
    #[arg(long, value_name = "ADDRESS")]
    pub inner_local: Ipv4Addr,
    /// The router's address inside the tunnel
    #[arg(long, value_name = "ADDRESS")]
    pub inner_remote: Ipv4Addr,
    /// No encapsulation: the link itself, for plain multicast
    #[arg(long, conflicts_with_all = ["outer_local", "outer_remote", "key"])]
    pub plain: bool,
    /// Number carried in probes; chosen by the monitor if absent
    #[arg(long)]
    pub id: Option<u32>,
    /// GRE key, both directions
    #[arg(long)]
    pub key: Option<u32>,
    /// Version of IGMP spoken to the router
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u8).range(2..=3))]
    pub igmp: u8,
    /// Gap between two pings through the tunnel; 0s sends none
    #[arg(long, default_value = "1s", value_name = "TIME")]
    pub ping_interval: Span,
    /// How far the router's wall clock may be from ours: it is asked for its time (ICMP timestamps) with every ping
    #[arg(long, value_name = "TIME")]
    pub router_clock_error: Option<Span>,
}

/// A group to join.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// The tunnel
    pub tunnel: Name,
    /// The group
    pub group: Ipv4Addr,
    /// Join (S,G) for this source; may be said several times. Any source if absent
    #[arg(long = "source", value_name = "ADDRESS")]
    pub sources: Vec<Ipv4Addr>,
}

/// Verbs of sends.
#[derive(Debug, Subcommand)]
pub enum SendVerb {
    /// Start sending
    Start {
        /// Name of the send
        name: Name,
        /// The tunnel to send into
        #[arg(long)]
        tunnel: Name,
        /// The group to send to
        #[arg(long)]
        group: Ipv4Addr,
        #[command(flatten)]
        probes: ProbeOptions,
    },
    /// Stop sending
    Stop {
        /// The send
        name: Name,
    },
}

/// Verbs of MVPNs.
#[derive(Debug, Subcommand)]
pub enum MvpnVerb {
    /// Add an MVPN
    Add(Box<MvpnAdd>),
    /// Drop an MVPN that is not running
    Drop {
        /// The MVPN
        name: Name,
    },
    /// Start monitoring an MVPN, or take one PE back in
    Start(MvpnAndPe),
    /// Stop monitoring an MVPN, or take one PE out
    Stop(MvpnAndPe),
    /// All MVPNs
    List,
    /// Who is in an MVPN: PEs, routes, data MDTs, as its control plane says now or said once
    Show(MvpnShow),
    /// What an MVPN's state at two moments differs in
    Diff(MvpnDiff),
    /// Say what MVPNs ought to be: what differs raises alarms
    Expect {
        /// A file of `[[expected]]` tables, TOML
        file: PathBuf,
    },
}

/// An MVPN to add.
#[derive(Debug, Args)]
pub struct MvpnAdd {
    /// Name of the MVPN
    pub name: Name,
    /// Its default MDT group
    #[arg(long, alias = "default-mdt")]
    pub group: Ipv4Addr,
    /// One tunnel for each of its PEs, to probe every pair of them
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAMES",
        required_unless_present = "watch"
    )]
    pub tunnels: Vec<Name>,
    /// Listen to its control plane over these tunnels; one hears everything
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub watch: Vec<Name>,
    /// Listen to these PEs only: what a source-specific default MDT needs; may be said several times
    #[arg(long = "watch-source", value_name = "ADDRESS", requires = "watch")]
    pub watch_sources: Vec<Ipv4Addr>,
    /// The default MDT is source-specific: join (S,G)
    #[arg(long)]
    pub source_specific: bool,
    /// Start monitoring at once
    #[arg(long)]
    pub start: bool,
    #[command(flatten)]
    pub probes: ProbeOptions,
}

/// A look at who is in an MVPN.
#[derive(Debug, Args)]
pub struct MvpnShow {
    /// The MVPN
    pub name: Name,
    #[command(flatten)]
    pub only: Only,
    /// As it was at this moment, by the database: 2026-01-31T12:00:00Z
    #[arg(
        long,
        value_name = "TIME",
        requires = "database",
        conflicts_with = "between"
    )]
    pub at: Option<Timestamp>,
    /// What changed from one moment until another, by the database
    #[arg(long, num_args = 2, value_names = ["FROM", "UNTIL"], requires = "database")]
    pub between: Vec<Timestamp>,
    /// States or changes at most; the rest is said to be there
    #[arg(
        long,
        value_name = "N",
        requires = "database",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub limit: Option<u32>,
    /// The results database, a file or postgres://…; the running monitor is asked if absent
    #[arg(long, value_name = "DATABASE")]
    pub database: Option<PathBuf>,
}

/// Two looks at who is in an MVPN.
#[derive(Debug, Args)]
pub struct MvpnDiff {
    /// The MVPN
    pub name: Name,
    /// The first moment: 2026-01-31T12:00:00Z
    pub from: Timestamp,
    /// The second
    pub to: Timestamp,
    #[command(flatten)]
    pub only: Only,
    /// The results database, a file or postgres://…
    #[arg(long, value_name = "DATABASE")]
    pub database: PathBuf,
}

/// What an answer about an MVPN is restricted to.
#[derive(Debug, Args)]
pub struct Only {
    /// Only what this PE said: its address in the backbone
    #[arg(long, value_name = "ADDRESS")]
    pub pe: Option<Ipv4Addr>,
    /// Only what concerns this customer group
    #[arg(long, value_name = "ADDRESS")]
    pub group: Option<IpAddr>,
}

/// Verbs of alarms.
#[derive(Debug, Subcommand)]
pub enum AlarmVerb {
    /// Active alarms; by a database, those of a moment or a stretch of time, too
    List(AlarmListArgs),
}

/// Which alarms.
#[derive(Debug, Args)]
pub struct AlarmListArgs {
    /// Only of this MVPN
    pub mvpn: Option<Name>,
    /// Those that were active at this moment: 2026-01-31T12:00:00Z
    #[arg(
        long,
        value_name = "TIME",
        requires = "database",
        conflicts_with = "between"
    )]
    pub at: Option<Timestamp>,
    /// Those that were active at any time from one moment until another
    #[arg(long, num_args = 2, value_names = ["FROM", "UNTIL"], requires = "database")]
    pub between: Vec<Timestamp>,
    /// Alarms at most; the rest is said to be there
    #[arg(
        long,
        value_name = "N",
        default_value = "10000",
        requires = "database",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub limit: u32,
    /// The results database, a file or postgres://…; the running monitor is asked if absent
    #[arg(long, value_name = "DATABASE")]
    pub database: Option<PathBuf>,
}

/// An MVPN, or one PE of it.
#[derive(Debug, Args)]
pub struct MvpnAndPe {
    /// The MVPN
    pub name: Name,
    /// Only the PE with this tunnel; no other pair is disturbed
    #[arg(long, value_name = "TUNNEL")]
    pub pe: Option<Name>,
}

/// Verbs of tasks.
#[derive(Debug, Subcommand)]
pub enum TaskVerb {
    /// Start probing
    Start {
        /// Name of the task
        name: Name,
        /// The group probed
        #[arg(long)]
        group: Ipv4Addr,
        /// Tunnels to send into
        #[arg(long, required = true, value_delimiter = ',', value_name = "NAMES")]
        senders: Vec<Name>,
        /// Tunnels to receive over
        #[arg(long, required = true, value_delimiter = ',', value_name = "NAMES")]
        receivers: Vec<Name>,
        /// Join each sender's (S,G) rather than (*,G)
        #[arg(long)]
        source_specific: bool,
        #[command(flatten)]
        probes: ProbeOptions,
    },
    /// Stop probing; results follow as the last probes are decided
    Stop {
        /// The task
        name: Name,
    },
    /// Forget a finished task
    Drop {
        /// The task
        name: Name,
    },
    /// All tasks, sends and MVPNs' tasks included
    List,
    /// One task
    Show {
        /// The task
        name: Name,
    },
}

/// What there are statistics of.
#[derive(Debug, Subcommand)]
pub enum StatsVerb {
    /// Tunnels, or one of them
    Tunnel {
        /// The tunnel
        name: Option<Name>,
    },
    /// Groups, or one of them over every tunnel
    Group {
        /// The group
        group: Option<Ipv4Addr>,
    },
    /// All pairs of a task, over all decided probes so far
    Pairs {
        /// The task or MVPN
        task: Name,
    },
    /// What monitoring costs
    Overhead,
}

/// Which results.
#[derive(Debug, Args)]
pub struct ResultsArgs {
    /// The task or MVPN
    pub task: Name,
    /// First row wanted
    #[arg(long, value_name = "ROW", default_value = "0")]
    pub since: u64,
    /// Rows at most
    #[arg(long, value_name = "N", default_value = "1000")]
    pub limit: u32,
    /// Read this database instead of asking the monitor
    #[arg(long, value_name = "FILE")]
    pub database: Option<PathBuf>,
    /// Run of the monitor to read; the latest with such a task if absent
    #[arg(long, value_name = "NUMBER", requires = "database")]
    pub session: Option<u32>,
    /// The fate of every probe rather than interval results
    #[arg(long, requires = "database")]
    pub probes: bool,
}

/// Verbs of passive observation.
#[derive(Debug, Subcommand)]
pub enum PassiveVerb {
    /// Begin observing customer traffic
    Start {
        /// Name of the observation
        name: Name,
        /// Tunnels to join the group over
        #[arg(long, required = true, value_delimiter = ',', value_name = "NAMES")]
        tunnels: Vec<Name>,
        /// The MDT group, or with `--layer plain` the watched group itself
        #[arg(long)]
        group: Ipv4Addr,
        /// Join (S,G) for this source; may be said several times. Any source if absent
        #[arg(long = "source", value_name = "ADDRESS")]
        sources: Vec<Ipv4Addr>,
        /// Where customer packets are
        #[arg(long, value_enum, default_value = "mdt")]
        layer: Layer,
        /// Whether to read RTP headers for loss and jitter
        #[arg(long, value_enum, default_value = "auto")]
        rtp: Rtp,
    },
    /// End an observation
    Stop {
        /// The observation
        name: Name,
    },
    /// All observations
    List,
    /// The streams of an observation
    Stats {
        /// The observation
        name: Name,
    },
}

/// Where customer packets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Layer {
    /// In GRE, addressed to an MDT group
    Mdt,
    /// On the link as they are
    Plain,
}

/// When to take UDP for RTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rtp {
    /// When it looks like RTP twice in a row
    Auto,
    /// Never
    Never,
}

/// Verbs of configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Apply a configuration file on top of what is: all of it, or nothing
    Load {
        /// The file, TOML
        file: PathBuf,
    },
}

/// Kinds of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// An interval's results are out
    Interval,
    /// A task changed its state
    Task,
    /// A tunnel's pings of the last ten seconds
    Ping,
    /// The capture filter changed
    Filter,
    /// The control plane of a watched MVPN changed
    Change,
    /// An alarm was raised, changed or cleared
    Alarm,
    /// One-way losses at a look, and at the end
    Oneway,
    /// The monitor is about to end
    Shutdown,
}
