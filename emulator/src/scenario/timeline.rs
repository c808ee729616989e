//! What happens during the run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Impairment, Span};

/// Something that happens during the run.
///
/// In the file: `[[at]]` with `time = …`, `do = "link-down"` and the action's own fields beside them.
/// In JSON the fields stand below the action's name: `{"time": "5s", "do": {"link-down": {"link": "A-B"}}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When, after the start of the run.
    pub time: Span,
    /// What.
    #[serde(rename = "do")]
    pub action: Action,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Replaces a link's impairment.
    ImpairLink {
        /// The link, as its `ends` say.
        link: String,
        /// Only towards this node; left out: both directions.
        #[serde(default)]
        to: Option<String>,
        /// What it becomes; `{}` clears it.
        impair: Impairment,
    },
    /// Replaces a tunnel's impairment (router -> monitor).
    ImpairTunnel {
        /// Expanded tunnel name.
        tunnel: String,
        /// What it becomes; `{}` clears it.
        impair: Impairment,
    },
    /// Carrier off at both ends.
    LinkDown {
        /// The link, as its `ends` say.
        link: String,
    },
    /// Carrier on again.
    LinkUp {
        /// The link, as its `ends` say.
        link: String,
    },
    /// All daemons of a router killed (SIGKILL) and its forwarding state gone, as in a crash.
    NodeKill {
        /// A P or PE router.
        node: String,
    },
    /// The same daemons with the same configuration again.
    NodeRestart {
        /// A router that was killed before.
        node: String,
    },
    /// `vmscope` killed with SIGKILL.
    MonitorKill {},
    /// `vmscope` started again with its configuration file.
    MonitorRestart {},
    /// CLOCK_REALTIME of the lab stepped.
    ClockStep {
        /// How far.
        by: Span,
        /// Backwards.
        #[serde(default)]
        back: bool,
    },
    /// What the monitor says of the MVPNs that it watches, and what their routers say themselves, written down at once.
    Checkpoint {},
    /// Router's end built, tunnel added to the monitor.
    TunnelAdd {
        /// Expanded tunnel name; declared with `present = false`, or dropped before.
        tunnel: String,
    },
    /// Tunnel dropped from the monitor, router's end removed.
    TunnelDrop {
        /// Expanded tunnel name.
        tunnel: String,
    },
    /// A monitor task started.
    TaskStart {
        /// Task name.
        task: String,
    },
    /// A monitor task stopped.
    TaskStop {
        /// Task name.
        task: String,
    },
    /// The monitor joins the task's group on one more tunnel, and probes from it if it is a sender.
    PeStart {
        /// Task name.
        task: String,
        /// Expanded tunnel name.
        tunnel: String,
    },
    /// The monitor leaves the task's group on one tunnel, and sends no more into it; the others go on.
    PeStop {
        /// Task name.
        task: String,
        /// Expanded tunnel name.
        tunnel: String,
    },
    /// A PE that does not belong to an MVPN joins its default MDT and speaks the customer's PIM there.
    RogueJoin {
        /// MVPN name.
        mvpn: String,
        /// One of its `rogues`.
        pe: String,
    },
    /// The rogue is gone, without a goodbye: its neighbours miss it when their hold times have passed.
    RogueLeave {
        /// MVPN name.
        mvpn: String,
        /// One of its `rogues`.
        pe: String,
    },
    /// A PE's VRF sends nothing into the MVPN's MDTs any more: no PIM, no announcement, no packet. It goes on
    /// receiving, and the backbone does not notice.
    PeSilent {
        /// MVPN name.
        mvpn: String,
        /// A PE of it.
        pe: String,
    },
    /// It sends again.
    PeSpeaks {
        /// MVPN name.
        mvpn: String,
        /// A PE of it.
        pe: String,
    },
    /// An agent killed with SIGKILL.
    AgentKill {
        /// Its name.
        agent: String,
    },
    /// An agent started again; what it counted itself begins at nothing.
    AgentRestart {
        /// Its name.
        agent: String,
    },
    /// The `vmscope` of a peer killed with SIGKILL.
    PeerKill {
        /// Its host.
        host: String,
    },
    /// The `vmscope` of a peer started again with its configuration file.
    PeerRestart {
        /// Its host.
        host: String,
    },
}

impl Action {
    /// The action's name in the file, `"link-down"`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ImpairLink { .. } => "impair-link",
            Self::ImpairTunnel { .. } => "impair-tunnel",
            Self::LinkDown { .. } => "link-down",
            Self::LinkUp { .. } => "link-up",
            Self::NodeKill { .. } => "node-kill",
            Self::NodeRestart { .. } => "node-restart",
            Self::MonitorKill {} => "monitor-kill",
            Self::MonitorRestart {} => "monitor-restart",
            Self::ClockStep { .. } => "clock-step",
            Self::Checkpoint {} => "checkpoint",
            Self::TunnelAdd { .. } => "tunnel-add",
            Self::TunnelDrop { .. } => "tunnel-drop",
            Self::TaskStart { .. } => "task-start",
            Self::TaskStop { .. } => "task-stop",
            Self::PeStart { .. } => "pe-start",
            Self::PeStop { .. } => "pe-stop",
            Self::RogueJoin { .. } => "rogue-join",
            Self::RogueLeave { .. } => "rogue-leave",
            Self::PeSilent { .. } => "pe-silent",
            Self::PeSpeaks { .. } => "pe-speaks",
            Self::AgentKill { .. } => "agent-kill",
            Self::AgentRestart { .. } => "agent-restart",
            Self::PeerKill { .. } => "peer-kill",
            Self::PeerRestart { .. } => "peer-restart",
        }
    }
}
