//! What an operator asks for: tunnels, probes, tasks, MVPNs, passive observation.
//!
//! The same structures are read from the TOML configuration file and from the control
//! socket. Unknown fields are errors; spans and rates carry their unit.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::time::{Rate, Span};

/// UDP port of probes, source and destination, unless configured otherwise.
pub const PROBE_PORT: u16 = 33900;
/// Smallest probe payload: the probe header itself.
pub const PAYLOAD_BYTES_MIN: u16 = 32;
/// Largest probe payload: what fits a jumbo frame with both IP headers and a keyed GRE header.
pub const PAYLOAD_BYTES_MAX: u16 = 8_900;

/// A tunnel of the monitor to one router, or the pseudo-tunnel onto the monitor's own link.
///
/// With `encapsulation = "gre"` (the default) packets travel in GRE between `outer_local` and
/// `outer_remote`, and the router sees them arrive from `inner_local` on its tunnel interface
/// `inner_remote`. With `"none"` the monitor is a plain host on its link: `inner_local` is its
/// own address, `inner_remote` the router's, and the outer addresses must be absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TunnelSpec {
    /// Name, unique among tunnels.
    pub name: Name,
    /// Number, unique among tunnels and carried in probes. Chosen by the monitor when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// GRE, or none for the monitor's own link.
    #[serde(default)]
    pub encapsulation: Encapsulation,
    /// Outer address of the monitor's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outer_local: Option<Ipv4Addr>,
    /// Outer address of the router's end. Packets are assigned to tunnels by it (and the key).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outer_remote: Option<Ipv4Addr>,
    /// The monitor's address inside the tunnel: the source of probes, reports and pings.
    pub inner_local: Ipv4Addr,
    /// The router's address inside the tunnel: where pings go.
    pub inner_remote: Ipv4Addr,
    /// GRE key (RFC 2890), both directions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<u32>,
    /// IGMP version spoken to the router: 2 or 3.
    #[serde(default)]
    pub igmp: IgmpVersion,
    /// Gap between two pings of the router through the tunnel; `0s` sends none.
    #[serde(default = "default_ping_interval")]
    pub ping_interval: Span,
    /// How far the router's wall clock may be from ours, if anybody knows: then it is asked for its time with every ping
    /// (ICMP timestamps, RFC 792), and the two ways' delays are told apart as far as that goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router_clock_error: Option<Span>,
}

fn default_ping_interval() -> Span {
    Span::from_s(1)
}

/// How a tunnel carries its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encapsulation {
    /// GRE over IPv4 (RFC 2784, RFC 2890).
    #[default]
    Gre,
    /// Not at all: the monitor's own interface, for plain multicast.
    None,
}

/// Version of IGMP spoken as a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum IgmpVersion {
    /// RFC 2236. Joins groups, never single sources.
    V2,
    /// RFC 3376.
    #[default]
    V3,
}

impl TryFrom<u8> for IgmpVersion {
    type Error = String;
    fn try_from(version: u8) -> Result<Self, String> {
        match version {
            2 => Ok(IgmpVersion::V2),
            3 => Ok(IgmpVersion::V3),
            other => Err(format!("IGMP version {other} is not spoken: use 2 or 3")),
        }
    }
}

impl From<IgmpVersion> for u8 {
    fn from(version: IgmpVersion) -> u8 {
        match version {
            IgmpVersion::V2 => 2,
            IgmpVersion::V3 => 3,
        }
    }
}

/// How the probes of a task are sent and judged. Every field has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeSpec {
    /// Probes per second from each sender.
    pub rate: Rate,
    /// UDP payload, 32 to 8900 bytes, the probe header included.
    pub payload_bytes: u16,
    /// Length of a results interval. A probe belongs to the interval of its send time.
    pub interval: Span,
    /// How long, at the start, probes are marked as warm-up: sent and logged, never counted.
    pub warmup: Span,
    /// Spacing of each sender's probes.
    pub schedule: Schedule,
    /// TTL of the inner packet.
    pub ttl: u8,
    /// How long after its sending a probe may arrive; a copy that comes later is lost.
    pub loss_timeout: Span,
    /// Stop after this many counted (not warm-up) probes from each sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Stop this long after the warm-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
}

impl Default for ProbeSpec {
    fn default() -> Self {
        ProbeSpec {
            rate: Rate::from_pps(10),
            payload_bytes: 100,
            interval: Span::from_s(10),
            warmup: Span::from_s(2),
            schedule: Schedule::Periodic,
            ttl: 64,
            loss_timeout: Span::from_s(2),
            count: None,
            duration: None,
        }
    }
}

/// Spacing of probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Equal gaps, senders spread evenly in phase on a grid of 200 µs (RFC 3432).
    #[default]
    Periodic,
    /// Exponential gaps (RFC 2330 §11.1.1).
    Poisson,
}

/// Probing from N senders to M receivers, as one action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSpec {
    /// Name, unique among tasks and MVPNs.
    pub name: Name,
    /// The multicast group probed.
    pub group: Ipv4Addr,
    /// Tunnels into which probes are sent.
    pub senders: Vec<Name>,
    /// Tunnels over which the group is joined. A tunnel in both lists is not paired with itself.
    pub receivers: Vec<Name>,
    /// Join each sender's (S,G) rather than (*,G); needs IGMPv3 on every receiver.
    #[serde(default)]
    pub source_specific: bool,
    /// The probes.
    #[serde(default)]
    pub probes: ProbeSpec,
}

/// Packets to a group over one tunnel, not measured: a task without receivers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendSpec {
    /// Name, unique among tasks and MVPNs; `send-stop` names it.
    pub name: Name,
    /// Tunnel into which the packets go.
    pub tunnel: Name,
    /// Where they are addressed to.
    pub group: Ipv4Addr,
    /// Rate, size, TTL, count and duration; the rest has no meaning here.
    #[serde(default)]
    pub probes: ProbeSpec,
}

/// A multicast VPN: the PEs' tunnels and the default MDT that joins them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MvpnSpec {
    /// Name, unique among tasks and MVPNs; its task bears the same name.
    pub name: Name,
    /// The default MDT group (RFC 6037). Or 224.0.0.13, if it is watched only: then it is no MVPN but the routers that
    /// speak PIM on the link itself.
    pub group: Ipv4Addr,
    /// The default MDT is source specific: (S,G) joins, one per sender.
    #[serde(default)]
    pub source_specific: bool,
    /// One tunnel per PE of the MVPN; none if it is watched only.
    #[serde(default)]
    pub tunnels: Vec<Name>,
    /// The probes of its task.
    #[serde(default)]
    pub probes: ProbeSpec,
    /// Start as soon as added; otherwise `mvpn-start` does.
    #[serde(default)]
    pub start: bool,
    /// Whether, and over which tunnels, its control plane is listened to from the moment it is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<WatchSpec>,
}

/// Listening to an MVPN's default MDT without sending anything into it (PC-01).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchSpec {
    /// Tunnels over which the default MDT is joined. One hears everything; with more, what is heard twice counts as
    /// repeated.
    pub tunnels: Vec<Name>,
    /// The PEs' addresses, where the default MDT is source specific; none means any source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Ipv4Addr>,
}

/// An operator's own group membership over a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinSpec {
    /// The tunnel to join over.
    pub tunnel: Name,
    /// The group.
    pub group: Ipv4Addr,
    /// Sources wanted, (S,G); none means any source, (*,G).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Ipv4Addr>,
}

/// Customer traffic to be measured without injecting anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassiveSpec {
    /// Name, unique among passive observations.
    pub name: Name,
    /// Tunnels over which the group is joined and watched.
    pub tunnels: Vec<Name>,
    /// The MDT group (`layer = "mdt"`) or the watched group itself (`"plain"`).
    pub group: Ipv4Addr,
    /// Sources to join; none means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Ipv4Addr>,
    /// Whether customer packets are inside another GRE header.
    #[serde(default)]
    pub layer: PassiveLayer,
    /// Whether UDP payloads are read as RTP for loss and jitter.
    #[serde(default)]
    pub rtp: RtpMode,
}

/// Where the watched packets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PassiveLayer {
    /// Customer packets in GRE, addressed to an MDT group (RFC 6037).
    #[default]
    Mdt,
    /// The group's own packets, as in plain multicast.
    Plain,
}

/// When a UDP payload is taken for RTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RtpMode {
    /// When it looks like RTP and two in a row are consecutive (RFC 3550 A.1).
    #[default]
    Auto,
    /// Never: rate and bytes only.
    Never,
}
