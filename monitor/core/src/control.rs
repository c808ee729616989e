//! The control interface: the public contract between the monitor and whoever drives it.
//!
//! One JSON object a line, over a stream. A client writes [`Request`]s; the monitor answers
//! each with one [`Reply`] of the same `id`, in order, and, once the client has subscribed,
//! writes [`Event`]s in between.
//!
//! ```text
//! -> {"id":1,"request":{"op":"tunnel-add","name":"t1","outer_local":"10.1.0.2","outer_remote":"10.254.1.1","inner_local":"10.77.1.2","inner_remote":"10.77.1.1"}}
//! <- {"id":1,"ok":{"kind":"tunnel","spec":{"name":"t1","id":1,…},…}}
//! -> {"id":2,"request":{"op":"group-join","tunnel":"t9","group":"239.1.1.1"}}
//! <- {"id":2,"error":{"code":"not-found","message":"cannot join 239.1.1.1: there is no tunnel t9","remedy":"add it with tunnel-add, or see tunnel-list"}}
//! ```
//!
//! Rules: unknown operations and fields are errors. A refused request has changed nothing.
//! Asking for what already is so (a group joined already) is an error only where it would
//! hide a mistake (a name used twice).

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::alarm;
pub use crate::budget::{BudgetSpec, BudgetStatus};
use crate::name::Name;
pub use crate::oneway::report::*;
pub use crate::oneway::spec::*;
pub use crate::probe_files::ProbeFilesStatus;
pub use crate::report::*;
pub use crate::shard::{ShardStatus, Unseen};
pub use crate::spec::*;
use crate::time::Instant;
use crate::view;

/// Version of this contract; raised when something in it changes its meaning.
pub const PROTOCOL: u32 = 1;

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Chosen by the client, returned in the reply.
    pub id: u64,
    /// What is asked.
    #[serde(rename = "request")]
    pub operation: Operation,
}

/// Everything that can be asked, named by `op`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// Who is there. Answer: `hello`.
    Hello,
    /// How the monitor is. Answer: `status`.
    Status,

    /// Adds a tunnel. Pings begin at once. Answer: `tunnel`.
    TunnelAdd(TunnelSpec),
    /// Drops a tunnel and its operator's joins. Refused while a task, MVPN or observation uses it. Answer: `done`.
    TunnelDrop(Named),
    /// All tunnels, or a page of them. Answer: `tunnels`.
    TunnelList(Page),
    /// One tunnel: counters, pings, groups. Answer: `tunnel`.
    TunnelShow(Named),

    /// Joins a group over a tunnel for the operator; replaces their earlier sources. Answer: `done`.
    GroupJoin(JoinSpec),
    /// Ends the operator's join; a task's own join of the group stays. Answer: `done`.
    GroupLeave(Membership),
    /// All groups joined. Answer: `groups`.
    GroupList,
    /// Statistics of one group, over every tunnel. Answer: `groups`.
    GroupShow {
        /// The group.
        group: Ipv4Addr,
    },

    /// Sends packets to a group, unmeasured. Answer: `task`.
    SendStart(SendSpec),
    /// Ends it. Answer: `task`.
    SendStop(Named),

    /// Starts a task; a finished one of the same name is replaced. Answer: `task`.
    TaskStart(TaskSpec),
    /// Stops sending; results come out as the last probes are decided, then groups are left. Answer: `task`.
    TaskStop(Named),
    /// Forgets a finished task. Answer: `done`.
    TaskDrop(Named),
    /// All tasks, sends and MVPN tasks included. Answer: `tasks`.
    TaskList,
    /// One task. Answer: `task`.
    TaskShow(Named),
    /// A task's pair matrix, over all decided probes so far. Answer: `pairs`.
    TaskStats(PairsQuestion),
    /// A task's interval rows. Answer: `results`.
    Results {
        /// The task.
        name: Name,
        /// First row wanted; rows are numbered from 0.
        #[serde(default)]
        since: u64,
        /// Rows at most; 1000 unless told.
        #[serde(default = "default_results_limit")]
        limit: u32,
    },

    /// Adds an MVPN. Answer: `mvpn`.
    MvpnAdd(MvpnSpec),
    /// Drops an MVPN that is not running. Answer: `done`.
    MvpnDrop(Named),
    /// Starts monitoring every ordered pair of its PEs. Answer: `mvpn`.
    MvpnStart(Named),
    /// Stops it. Answer: `mvpn`.
    MvpnStop(Named),
    /// All MVPNs. Answer: `mvpns`.
    MvpnList,
    /// What a watched MVPN's control plane says now. Answer: `mvpn-state`.
    MvpnShow(MvpnQuestion),
    /// What an MVPN ought to be, from now on and in place of what was said before; what differs raises alarms.
    /// Answer: `done`.
    MvpnExpect(view::Expected),
    /// Active alarms. Answer: `alarms`.
    AlarmList {
        /// Only of this MVPN.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mvpn: Option<Name>,
    },
    /// Takes one PE of a running MVPN back in, disturbing no other pair. Answer: `mvpn`.
    MvpnPeStart(MvpnPe),
    /// Takes one PE of a running MVPN out: it neither sends nor receives. Answer: `mvpn`.
    MvpnPeStop(MvpnPe),

    /// Starts to measure one-way loss; a measurement of that name that is over is replaced. Answer: `oneway`.
    OnewayStart(Box<OnewaySpec>),
    /// Stops it: its last row comes out as its last probes are decided. Answer: `oneway`.
    OnewayStop(Named),
    /// Forgets one that is over. Answer: `done`.
    OnewayDrop(Named),
    /// One of them. Answer: `oneway`.
    OnewayShow(Named),
    /// All of them, by name. Answer: `oneways`.
    OnewayList,
    /// Begins to count what arrives of another monitor's probes, or goes on. Answer: `collected`.
    CollectStart(CollectSpec),
    /// What was counted; the lease begins anew. Answer: `collected`.
    CollectTake {
        /// The collection.
        name: Name,
        /// The cursor of the last answer that was got; 0 if none was.
        after: u64,
    },
    /// Ends a collection. Answer: `done`.
    CollectStop(Named),
    /// Begins to send another monitor's probes again, or goes on: the lease begins anew. Answer: `reflecting`.
    ReflectStart(ReflectSpec),
    /// Ends it. Answer: `done`.
    ReflectStop(Named),
    /// Other monitors that this one may ask. Answer: `peers`.
    PeerList,
    /// Readers of routers' counters. Answer: `agents`.
    AgentList,

    /// Begins observing customer traffic. Off unless asked for. Answer: `done`.
    PassiveStart(PassiveSpec),
    /// Ends it. Answer: `done`.
    PassiveStop(Named),
    /// All observations. Answer: `passives`.
    PassiveList,
    /// The streams of an observation. Answer: `streams`.
    PassiveStats(Named),

    /// What monitoring costs, in all. Answer: `overhead`.
    Overhead,
    /// The capture filter in force. Answer: `filter`.
    Filter,
    /// Applies a configuration, in TOML, on top of what is: all of it, or nothing. Answer: `done`.
    ConfigLoad {
        /// The text of the file.
        toml: String,
    },
    /// Events of these kinds are written to this connection from now on; none named means all. Answer: `done`.
    Subscribe {
        /// Kinds wanted.
        #[serde(default)]
        events: Vec<EventKind>,
    },
    /// Stops all tasks, leaves all groups and ends the monitor. Answer: `done`, at once.
    Shutdown,
}

fn default_results_limit() -> u32 {
    1000
}

/// Names one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The name.
    pub name: Name,
}

/// A part of a long list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Page {
    /// Where it begins: the `next` of the page before.
    #[serde(skip_serializing_if = "is_first")]
    pub since: u64,
    /// Entries at most. One answer never has more than 10,000, whatever is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The pairs of a task, or a page of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairsQuestion {
    /// The task.
    pub name: Name,
    /// Where the page begins: the `next` of the page before.
    #[serde(default, skip_serializing_if = "is_first")]
    pub since: u64,
    /// Pairs at most. One answer never has more than 10,000, whatever is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl PairsQuestion {
    /// All pairs of a task.
    pub fn all(name: Name) -> PairsQuestion {
        PairsQuestion {
            name,
            since: 0,
            limit: None,
        }
    }
}

impl Operation {
    /// The same question about what follows a page; nothing for what has no pages.
    pub fn page_from(self, since: u64) -> Option<Operation> {
        match self {
            Operation::TunnelList(page) => Some(Operation::TunnelList(Page { since, ..page })),
            Operation::TaskStats(asked) => {
                Some(Operation::TaskStats(PairsQuestion { since, ..asked }))
            }
            _ => None,
        }
    }
}

impl Answer {
    /// Where the next page begins, if there is one.
    pub fn next(&self) -> Option<u64> {
        match self {
            Answer::Tunnels { next, .. } | Answer::Pairs { next, .. } => *next,
            _ => None,
        }
    }
}

fn is_first(since: &u64) -> bool {
    *since == 0
}

/// A group over a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The tunnel.
    pub tunnel: Name,
    /// The group.
    pub group: Ipv4Addr,
}

/// A question about a watched MVPN; what is absent does not restrict the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MvpnQuestion {
    /// The MVPN.
    pub name: Name,
    /// Only what this PE has said: its address in the backbone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pe: Option<Ipv4Addr>,
    /// Only what concerns this customer group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<IpAddr>,
}

/// One PE of an MVPN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MvpnPe {
    /// The MVPN.
    pub mvpn: Name,
    /// The PE's tunnel.
    pub tunnel: Name,
}

/// What comes back for a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The request's; 0 if it could not be read.
    pub id: u64,
    /// `ok` or `error`.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Success or refusal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was done.
    Ok(Answer),
    /// It was not, and nothing changed.
    Error(Refusal),
}

/// What a successful request answers, named by `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Answer {
    /// Nothing more to say.
    Done,
    /// Who is there.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// Version of the monitor.
        version: String,
        /// Number of this run of the monitor, carried in its probes.
        session: u32,
    },
    /// How the monitor is.
    Status(Box<Status>),
    /// A tunnel.
    Tunnel(Box<TunnelStatus>),
    /// Tunnels, by number.
    Tunnels {
        /// The tunnels.
        tunnels: Vec<TunnelStatus>,
        /// There are more: ask for those `since` here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<u64>,
    },
    /// Groups, by tunnel number and group.
    Groups {
        /// The groups.
        groups: Vec<GroupStatus>,
    },
    /// A task.
    Task(Box<TaskStatus>),
    /// Tasks, by name.
    Tasks {
        /// The tasks.
        tasks: Vec<TaskStatus>,
    },
    /// The pair matrix of a task.
    Pairs {
        /// Number of the task's run.
        task: u32,
        /// The pairs, by sender and receiver.
        pairs: Vec<PairResult>,
        /// There are more: ask for those `since` here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<u64>,
    },
    /// Interval rows.
    Results {
        /// The oldest row still kept.
        first_row: u64,
        /// What to ask `since` next time.
        next_row: u64,
        /// Whether the task is over and no further row will come.
        finished: bool,
        /// The rows.
        rows: Vec<IntervalRow>,
    },
    /// An MVPN.
    Mvpn(Box<MvpnStatus>),
    /// MVPNs, by name.
    Mvpns {
        /// The MVPNs.
        mvpns: Vec<MvpnStatus>,
    },
    /// What a watched MVPN's control plane says.
    MvpnState {
        /// The MVPN.
        mvpn: Name,
        /// When it was asked.
        at_ns: Instant,
        /// What is so now, in the order of keys.
        records: Vec<view::Record>,
        /// What was heard so far.
        heard: view::Heard,
    },
    /// Active alarms, those of an MVPN together.
    Alarms {
        /// The alarms.
        alarms: Vec<alarm::Alarm>,
        /// How alarms are, in numbers.
        counts: alarm::AlarmCounts,
    },
    /// A one-way measurement.
    Oneway(Box<OnewayStatus>),
    /// One-way measurements, by name.
    Oneways {
        /// The measurements.
        oneways: Vec<OnewayStatus>,
    },
    /// What a collection has counted.
    Collected(Collected),
    /// A reflection.
    Reflecting(Reflecting),
    /// Other monitors, by name.
    Peers {
        /// The monitors.
        peers: Vec<PeerStatus>,
    },
    /// Readers of counters, by name.
    Agents {
        /// The readers.
        agents: Vec<AgentStatus>,
    },
    /// Passive observations, by name.
    Passives {
        /// The observations.
        passives: Vec<PassiveSpec>,
    },
    /// Customer streams.
    Streams {
        /// The streams.
        streams: Vec<StreamRow>,
        /// Packets of streams beyond the number that is remembered.
        unlisted_packets: u64,
    },
    /// What monitoring costs.
    Overhead(Overhead),
    /// The capture filter.
    Filter {
        /// A pcap filter expression.
        filter: String,
    },
}

/// The state of the monitor as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the monitor.
    pub version: String,
    /// Number of this run, carried in its probes.
    pub session: u32,
    /// The monotonic clock now.
    pub now_ns: Instant,
    /// Nanoseconds since this run began.
    pub uptime_ns: u64,
    /// How packets are captured, in the driver's words; empty if it said nothing.
    pub capture: String,
    /// Packets the capture received.
    pub capture_received: u64,
    /// Packets the capture dropped for want of room: results of that time are doubtful.
    pub capture_drops: u64,
    /// How packets are sent, in the driver's words; absent if it said nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub transmit: String,
    /// Packets that could not be sent.
    pub transmit_errors: u64,
    /// Log records dropped because they were not taken in time.
    pub record_drops: u64,
    /// The Parquet files of probes, if there are any. What they lost is among `record_drops` too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_files: Option<ProbeFilesStatus>,
    /// Events dropped because they were not taken in time: subscribers have missed them.
    #[serde(default)]
    pub event_drops: u64,
    /// The capture filter in force.
    pub filter: String,
    /// UDP port of probes.
    pub probe_port: u16,
    /// Number of tunnels.
    pub tunnels: u32,
    /// Number of tasks that are not finished.
    pub tasks_running: u32,
    /// The budget and its use, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetStatus>,
    /// The monitor's part of a configuration that several share, and what none of them sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardStatus>,
    /// A deliberate defect is built in and on: its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planted_fault: Option<String>,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} ({remedy})")]
pub struct Refusal {
    /// For programs.
    pub code: ErrorCode,
    /// What was attempted, on what, and what was found.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// Kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// Not JSON, an unknown operation, an unknown or missing field.
    Malformed,
    /// A value is out of range, or two contradict each other.
    Invalid,
    /// A name that nothing has.
    NotFound,
    /// A name or address that something has already.
    Exists,
    /// It is used by something else.
    InUse,
    /// Not in this state.
    State,
    /// A bound on memory or traffic would be passed.
    Limit,
    /// Who asks may not: over the network, no token, a wrong one, or one for less.
    Denied,
    /// The monitor itself failed at it.
    Failed,
}

/// Kinds of event, for `subscribe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// [`Event::Interval`].
    Interval,
    /// [`Event::Task`].
    Task,
    /// [`Event::Ping`].
    Ping,
    /// [`Event::Filter`].
    Filter,
    /// [`Event::Change`].
    Change,
    /// [`Event::Alarm`].
    Alarm,
    /// [`Event::Oneway`].
    Oneway,
    /// [`Event::Shutdown`].
    Shutdown,
}

/// What the monitor says unasked, named by `event`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Rows of an interval of a task are out: all of them, or, if they are many, the next thousand.
    Interval {
        /// Name of the task.
        task: Name,
        /// The interval.
        interval: u64,
        /// The rows, one a pair.
        rows: Vec<IntervalRow>,
    },
    /// A task changed its state.
    Task(Box<TaskStatus>),
    /// A tunnel's pings of the last ten seconds.
    Ping(PingRow),
    /// The capture filter changed.
    Filter {
        /// The new one.
        filter: String,
    },
    /// Something in the control plane of a watched MVPN has changed.
    Change(Box<view::Change>),
    /// What has become of an alarm.
    Alarm(Box<alarm::Transition>),
    /// One-way losses, at a look, and at the end.
    Oneway(Box<OnewayRow>),
    /// The monitor is about to end.
    Shutdown,
}

impl Event {
    /// The event's kind.
    pub fn kind(&self) -> EventKind {
        match self {
            Event::Interval { .. } => EventKind::Interval,
            Event::Task(_) => EventKind::Task,
            Event::Ping(_) => EventKind::Ping,
            Event::Filter { .. } => EventKind::Filter,
            Event::Change(_) => EventKind::Change,
            Event::Alarm(_) => EventKind::Alarm,
            Event::Oneway(_) => EventKind::Oneway,
            Event::Shutdown => EventKind::Shutdown,
        }
    }

    /// Rows of results in it: what its size depends on.
    pub fn rows(&self) -> usize {
        match self {
            Event::Interval { rows, .. } => rows.len(),
            Event::Oneway(_) => 1,
            Event::Task(_)
            | Event::Ping(_)
            | Event::Filter { .. }
            | Event::Change(_)
            | Event::Alarm(_)
            | Event::Shutdown => 0,
        }
    }
}

/// A line that the monitor writes: for clients that read both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ServerLine {
    /// An answer.
    Reply(Box<Reply>),
    /// Something unasked.
    Event(Box<Event>),
}

impl Request {
    /// Reads one line. The error is the reply to send.
    pub fn read(line: &str) -> Result<Request, Box<Reply>> {
        serde_json::from_str(line).map_err(|error| {
            let id = serde_json::from_str::<serde_json::Value>(line)
                .ok()
                .and_then(|v| v.get("id")?.as_u64())
                .unwrap_or(0);
            let message = format!("cannot read the request: {error}");
            let remedy =
                "one JSON object a line: {\"id\":1,\"request\":{\"op\":\"status\"}}; see the list of operations";
            Box::new(Reply {
                id,
                outcome: Outcome::Error(Refusal::new(ErrorCode::Malformed, message, remedy)),
            })
        })
    }
}

impl Refusal {
    /// A refusal in its three parts.
    pub fn new(code: ErrorCode, message: impl Into<String>, remedy: impl Into<String>) -> Refusal {
        Refusal {
            code,
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}
