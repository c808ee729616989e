//! Agents at routers that count what passes: SNMP and flow export, by programs of Debian (OL-09).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// An agent at a router: `snmp` or `flow`, one of the two. It belongs to the run, not to the topology.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Name, by which measurements and events mean it.
    pub name: String,
    /// The router, P or PE.
    pub at: String,
    /// net-snmp's snmpd, at the router's own address.
    #[serde(default)]
    pub snmp: Option<Snmp>,
    /// pmacct's pmacctd, which watches one link and exports to the monitor under test.
    #[serde(default)]
    pub flow: Option<Flow>,
}

/// How an SNMP agent is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Snmp {
    /// The community of SNMPv2c.
    pub community: String,
    /// The community that may also write; left out: nobody may. With it a monitor can shorten the 3 s for which net-snmp
    /// answers from what it has read before.
    pub write_community: Option<String>,
}

impl Default for Snmp {
    fn default() -> Self {
        Self {
            community: "lab".into(),
            write_community: None,
        }
    }
}

/// What a flow exporter watches and says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// The router's link that is watched, in both directions, as its `ends` say.
    pub link: String,
    /// The form of the export.
    #[serde(default)]
    pub protocol: FlowProtocol,
    /// A flow that goes on is exported this often (active timeout).
    #[serde(default = "active")]
    pub active: Span,
    /// A flow that is silent for this long is exported, and over (inactive timeout).
    #[serde(default = "inactive")]
    pub inactive: Span,
}

fn active() -> Span {
    Span::seconds(1)
}

fn inactive() -> Span {
    Span::seconds(1)
}

/// The form of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FlowProtocol {
    /// NetFlow version 9 (RFC 3954).
    #[default]
    Netflow9,
    /// IPFIX (RFC 7011).
    Ipfix,
}
