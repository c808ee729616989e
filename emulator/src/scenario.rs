//! The scenario file: topology, MVPNs, impairments, timeline, monitor sessions, expectations (TB-04).
//!
//! One TOML file is one scenario. Every table refuses unknown fields, every quantity carries its
//! unit in the text (`"30ms"`, `"2%"`, `"10/s"`), and every reference is checked by [`Scenario::parse`]
//! before anything is built. `scenarios/README.md` explains the vocabulary by example.
//!
//! The tables, by noun: [`topology`], [`impairment`], [`traffic`], [`monitor`], [`timeline`], [`expectation`].
//! What the file leaves implicit (wildcards, parallel tunnels, default times) is answered by the methods of `names`.

pub mod agent;
pub mod alarms;
pub mod error;
pub mod expectation;
pub mod groups;
pub mod impairment;
pub mod monitor;
mod names;
pub mod oneway;
mod parse;
mod schema;
pub mod timeline;
pub mod topology;
pub mod traffic;
pub mod units;
mod validate;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use agent::{Agent, Flow, FlowProtocol, Snmp};
pub use alarms::{AlarmKind, Alarms, ExpectedAlarm, ExpectedMvpn};
pub use error::{Problem, ScenarioError};
pub use expectation::{Expectation, LossCause, MdtKind};
pub use groups::Groups;
pub use impairment::{Distribution, GilbertElliott, Impairment, TunnelImpairment};
pub use monitor::{Monitor, Passive, Task, Watch};
pub use oneway::{Counter, Direction, Leaf, Oneway, Until};
pub use timeline::{Action, Event};
pub use topology::{Backbone, DataMdt, Join, Link, Mvpn, Node, Role, Suite, Tunnel};
pub use traffic::{Bursts, Receiver, Source, Transfer};
pub use units::{Bitrate, Probability, Rate, Span, UnitError};

/// One scenario, as written by its author.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One line for reports.
    pub title: String,
    /// Requirement ids of `scenarios/requirements.toml` that this scenario proves.
    #[serde(default)]
    pub proves: Vec<String>,
    /// How long the run lasts, from the start of the timeline (not counting convergence).
    pub duration: Span,
    /// Memory of the sealed lab, in MiB.
    #[serde(default = "default_memory_mib")]
    pub memory_mib: u32,
    /// The routers of the backbone and their timers.
    #[serde(default)]
    pub backbone: Backbone,
    /// Nodes by name.
    #[schemars(extend("propertyNames" = {"pattern": "^[A-Za-z][A-Za-z0-9]{0,9}$"}))]
    pub nodes: BTreeMap<String, Node>,
    /// Links between nodes.
    #[serde(default, rename = "link")]
    pub links: Vec<Link>,
    /// MVPNs by name.
    #[serde(default, rename = "mvpn")]
    pub mvpns: BTreeMap<String, Mvpn>,
    /// The monitor's tunnels, the routers' ends of which the lab builds.
    #[serde(default, rename = "tunnel")]
    pub tunnels: Vec<Tunnel>,
    /// Groups that routers join themselves, whoever listens.
    #[serde(default, rename = "join", skip_serializing_if = "Vec::is_empty")]
    pub joins: Vec<Join>,
    /// Agents at routers that count what passes.
    #[serde(default, rename = "agent", skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<Agent>,
    /// Bulk transfers by TCP between hosts.
    #[serde(default, rename = "transfer", skip_serializing_if = "Vec::is_empty")]
    pub transfers: Vec<Transfer>,
    /// Multicast sources at CEs and hosts.
    #[serde(default, rename = "source")]
    pub sources: Vec<Source>,
    /// Multicast receivers at CEs and hosts.
    #[serde(default, rename = "receiver")]
    pub receivers: Vec<Receiver>,
    /// Impairment of tunnels, router to monitor (links carry their own).
    #[serde(default, rename = "impair_tunnel")]
    pub tunnel_impairments: Vec<TunnelImpairment>,
    /// What the monitor is told to do.
    #[serde(default)]
    pub monitor: Monitor,
    /// What happens during the run.
    #[serde(default, rename = "at")]
    pub timeline: Vec<Event>,
    /// What must hold afterwards.
    #[serde(default, rename = "expect")]
    pub expectations: Vec<Expectation>,
}

fn default_memory_mib() -> u32 {
    1024
}
