//! The verbs on living labs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::live::Table;

/// Which lab a verb works in.
#[derive(Debug, Clone, Args)]
pub struct InLab {
    /// Which lab; the only one unless told.
    #[arg(long = "lab", short = 'l', value_name = "NAME")]
    pub lab: Option<String>,
}

/// Where a lab lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LabPlace {
    /// In this host's own kernel.
    Native,
    /// In a QEMU guest, in real time.
    Sealed,
    /// In a QEMU guest, in virtual time.
    Virtual,
}

impl LabPlace {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Sealed => "sealed",
            Self::Virtual => "virtual",
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Sealed => "sealed",
            Self::Virtual => "sealed, virtual time",
        }
    }
}

/// Options of where a lab lives.
#[derive(Debug, Clone, Args)]
pub struct PlaceChoice {
    /// In this host's own kernel, or not at all.
    #[arg(long)]
    pub native: bool,
    /// In a QEMU guest, even where this host's own kernel would do.
    #[arg(long, conflicts_with = "native")]
    pub sealed: bool,
    /// In a QEMU guest whose clock only moves while the lab is asked something, or told to (`step`, `until`).
    #[arg(long = "virtual", conflicts_with = "native")]
    pub in_virtual_time: bool,
}

impl PlaceChoice {
    /// What was asked for, or what fits this host; that is looked at only if need be.
    pub fn chosen(&self, native_fits: impl FnOnce() -> bool) -> LabPlace {
        match self {
            Self {
                in_virtual_time: true,
                ..
            } => LabPlace::Virtual,
            Self { native: true, .. } => LabPlace::Native,
            Self { sealed: true, .. } => LabPlace::Sealed,
            _ if native_fits() => LabPlace::Native,
            _ => LabPlace::Sealed,
        }
    }
}

/// `mvpnlab up`.
#[derive(Debug, Clone, Args)]
pub struct Up {
    /// The scenario: its topology is built, its impairments are in force, its monitor probes, its customers send; its
    /// timeline is left to you.
    pub file: PathBuf,
    /// The lab's name; the scenario's unless told.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Where it lives: native where this host's kernel has the parts and we have the privilege, else sealed.
    #[command(flatten)]
    pub place: PlaceChoice,
    /// The network alone: no monitor, no customers' traffic.
    #[arg(long)]
    pub bare: bool,
    /// Seed of everything random, in a sealed lab.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The monitor's executable; `vmscope` beside mvpnlab unless told.
    #[arg(long, value_name = "PATH")]
    pub monitor: Option<PathBuf>,
}

/// `mvpnlab keep`.
#[derive(Debug, Clone, Args)]
pub struct Keep {
    /// The scenario.
    pub file: PathBuf,
    /// The lab's name.
    #[arg(long)]
    pub name: String,
    /// Where it lives.
    #[arg(long, value_enum)]
    pub place: LabPlace,
    /// Seed of everything random.
    #[arg(long)]
    pub seed: u64,
    /// The monitor's executable.
    #[arg(long)]
    pub monitor: PathBuf,
    /// The network alone.
    #[arg(long)]
    pub bare: bool,
}

/// `mvpnlab ls`.
#[derive(Debug, Clone, Args)]
pub struct Ls {
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// `mvpnlab exec`.
#[derive(Debug, Clone, Args)]
pub struct Exec {
    /// Which lab.
    #[command(flatten)]
    pub lab: InLab,
    /// Passes standard input on; else the command has none.
    #[arg(long, short)]
    pub input: bool,
    /// At a terminal, as an interactive program needs.
    #[arg(long, short)]
    pub terminal: bool,
    /// The node, or a VRF of it as in PE1.red.
    pub node: String,
    /// The command and its arguments.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CMD"
    )]
    pub command: Vec<String>,
}

/// `mvpnlab show`.
#[derive(Debug, Clone, Args)]
pub struct Show {
    /// What.
    #[arg(value_enum)]
    pub table: Table,
    /// Only of this node and its VRFs, or of one VRF as in PE1.red.
    pub node: Option<String>,
    /// Which lab.
    #[command(flatten)]
    pub lab: InLab,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
    /// Again every two seconds, until interrupted.
    #[arg(long, conflicts_with = "json")]
    pub watch: bool,
}

/// What changes of an impairment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Changes {
    /// One-way delay, as in 30ms.
    #[arg(long, value_name = "TIME")]
    pub delay: Option<String>,
    /// Spread of the delay.
    #[arg(long, value_name = "TIME")]
    pub jitter: Option<String>,
    /// Shape of the spread: uniform, normal or pareto.
    #[arg(long, value_name = "SHAPE")]
    pub distribution: Option<String>,
    /// Independent loss, as in 2%.
    #[arg(long, value_name = "SHARE")]
    pub loss: Option<String>,
    /// Packets sent twice.
    #[arg(long, value_name = "SHARE")]
    pub duplicate: Option<String>,
    /// Packets that overtake those that wait.
    #[arg(long, value_name = "SHARE")]
    pub reorder: Option<String>,
    /// Packets with a flipped bit.
    #[arg(long, value_name = "SHARE")]
    pub corrupt: Option<String>,
    /// Bit rate, as in 10Mbit/s.
    #[arg(long, value_name = "RATE")]
    pub rate: Option<String>,
    /// Packets that wait at most.
    #[arg(long, value_name = "PACKETS")]
    pub queue: Option<u32>,
}

/// `mvpnlab link`.
#[derive(Debug, Clone, Args)]
pub struct LinkArgs {
    /// The link, as in PE1-P.
    pub link: String,
    /// Takes the carrier away, or gives it back.
    #[arg(value_enum)]
    pub state: Option<LinkState>,
    /// Only towards this node; both directions unless told.
    #[arg(long, value_name = "NODE")]
    pub toward: Option<String>,
    /// What changes.
    #[command(flatten)]
    pub changes: Changes,
    /// Takes every impairment away first.
    #[arg(long)]
    pub clear: bool,
    /// Which lab.
    #[command(flatten)]
    pub lab: InLab,
}

/// A link's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LinkState {
    /// No carrier.
    Down,
    /// As it should be.
    Up,
}

/// `mvpnlab tunnel`.
#[derive(Debug, Clone, Args)]
pub struct TunnelArgs {
    /// The tunnel.
    pub tunnel: String,
    /// What it becomes; with nothing named it is no longer impaired.
    #[command(flatten)]
    pub changes: Changes,
    /// Which lab.
    #[command(flatten)]
    pub lab: InLab,
}

/// `mvpnlab node`.
#[derive(Debug, Clone, Args)]
pub struct NodeArgs {
    /// The router.
    pub node: String,
    /// What becomes of it.
    #[arg(value_enum)]
    pub deed: NodeDeed,
    /// Which lab.
    #[command(flatten)]
    pub lab: InLab,
}

/// What may become of a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NodeDeed {
    /// All its daemons are killed, and what they had learned is gone.
    Kill,
    /// The same daemons with the same configuration again.
    Restart,
}

/// `mvpnlab pe`.
#[derive(Debug, Clone, Args)]
pub struct PeArgs {
    /// The PE.
    pub pe: String,
    /// The MVPN.
    pub mvpn: String,
    /// What it does.
    #[arg(value_enum)]
    pub deed: PeDeed,
    /// Which lab.
    #[command(flatten)]
    pub lab: InLab,
}

/// What a PE may do in an MVPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PeDeed {
    /// One of the scenario's rogues joins the default MDT.
    Join,
    /// It is gone again, without a goodbye.
    Leave,
    /// Sends nothing into the MVPN's MDTs.
    Silent,
    /// Sends again.
    Speaks,
}

/// `mvpnlab capture`.
#[derive(Debug, Clone, Args)]
pub struct CaptureArgs {
    /// The link, as in PE1-P.
    pub link: String,
    /// What is kept, in tcpdump's language.
    #[arg(long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// Where the capture goes; `-` is standard output, for Wireshark or tshark at the end of a pipe.
    #[arg(long, short, value_name = "FILE")]
    pub write: PathBuf,
    /// Which lab.
    #[command(flatten)]
    pub lab: InLab,
}

/// What `mvpnlab until` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UntilWhat {
    /// The routers say what the plan says that they must.
    Converged,
}
