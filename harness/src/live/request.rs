//! What a living lab may be asked, and what it answers.

use mvpnlab_emulator::scenario::{Action, Impairment};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One request; JSON, tagged by `do`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// Runs a command in a node, or in a VRF of it. Streams its output; replies [`Ended`].
    Exec {
        /// Node, or `PE1.red`.
        node: String,
        /// Program and arguments.
        command: Vec<String>,
        /// Input follows; else the command has none.
        input: bool,
        /// At a terminal of this kind, or at none.
        terminal: Option<Terminal>,
    },
    /// Changes what a link, or one direction of it, is impaired with: what is named, and nothing else.
    Impair {
        /// The link, as its `ends` say.
        link: String,
        /// Only towards this node.
        toward: Option<String>,
        /// What changes.
        change: Impairment,
    },
    /// Does what a scenario's timeline may do.
    Do {
        /// What.
        action: Action,
    },
    /// Replies rows of a table.
    Show {
        /// Which table.
        table: Table,
        /// Only of this node and its VRFs.
        node: Option<String>,
    },
    /// Gives the routers of a namespace a command of theirs; replies their answer.
    Vty {
        /// Node, or `PE1.red`.
        node: String,
        /// The command.
        command: String,
    },
    /// Streams a pcapng file of a link, until whoever asked hangs up.
    Capture {
        /// The link, as its `ends` say.
        link: String,
        /// What is kept, in tcpdump's language.
        filter: Option<String>,
    },
    /// Streams an archive of the recent past: everything that the truth is read from.
    Observe,
    /// Lets time pass; of a lab in virtual time.
    Advance {
        /// How much, nanoseconds of the lab's time.
        ns: u64,
    },
    /// Waits until the routers say what the plan says that they must.
    Converge,
    /// Replies the scenario's text, as it was when the lab came up. Answered by the keeper.
    Scenario,
    /// Replies a [`Status`]. Answered by the keeper.
    Status,
    /// Takes the lab down. Answered by the keeper.
    Down,
}

/// What `show` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Table {
    /// Unicast routes.
    Routes,
    /// Multicast forwarding entries.
    Mroutes,
    /// OSPF and PIM neighbours.
    Neighbors,
    /// IGMP memberships.
    Igmp,
    /// The routers' ends of the monitor's tunnels.
    Tunnels,
    /// Both directions of every link.
    Links,
    /// Data MDTs: which PE announces, sends or receives by them.
    Mdts,
}

/// A terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Its kind, as in TERM.
    pub kind: String,
    /// Its size.
    pub size: Size,
}

/// A terminal's size, characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// The last word on a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// What was asked for.
    Done(Value),
    /// Why there is nothing.
    Failed(String),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Its exit status; 128 and the signal's number when a signal ended it.
    pub status: u8,
}

/// A lab, as its keeper knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The lab's name.
    pub name: String,
    /// The scenario file it was made of.
    pub scenario: String,
    /// Where it runs: `native`, `sealed`, `sealed, virtual time`.
    pub place: String,
    /// The keeper's process.
    pub keeper: u32,
    /// Seconds since it was up.
    pub up_s: u64,
}

/// As JSON. Plain data of our own, whose maps have string keys: writing cannot fail.
pub fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
