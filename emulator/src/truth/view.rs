//! Views: the monitor's link, the customers' side, and customers' packets at the monitor, for checks that count.

use std::net::Ipv4Addr;

use super::{
    Truth,
    crossing::Crossing,
    decode::{CustomerId, ProbeId, What},
    journey::{is_in_tunnel_down, is_in_tunnel_up},
    lane::Lane,
};
use crate::plan::{TunnelPlan, WireKind};

const PROBE_MAGIC: [u8; 4] = *b"VMSP";

/// A frame on the monitor's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonitorFrame {
    /// When it entered the wire (from the monitor) or left it (towards the monitor).
    pub ns: u64,
    /// From the monitor, not to it.
    pub from_monitor: bool,
    /// Length of the Ethernet frame without FCS.
    pub bytes: u16,
    /// Id of the tunnel that it is in; None: in none.
    pub tunnel: Option<u32>,
    /// Destination of the innermost datagram.
    pub destination: Option<Ipv4Addr>,
    /// What it carries.
    pub what: What,
    /// A receiver would take it.
    pub whole: bool,
}

/// A customer's packet leaving the monitor's wire towards the monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustomerArrival {
    /// Which.
    pub id: CustomerId,
    /// By this tunnel.
    pub tunnel: u32,
    /// When.
    pub ns: u64,
}

/// A customer's packet that came to a router of the backbone by an MDT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MdtArrival {
    /// Which.
    pub id: CustomerId,
    /// The router.
    pub node: String,
    /// The backbone group that it came by.
    pub p_group: Ipv4Addr,
    /// When.
    pub ns: u64,
}

/// What was seen where customers are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CustomerSide {
    /// Frames that were looked at.
    pub frames: u64,
    /// Those in which a probe was found, however wrapped.
    pub probes: u64,
}

impl Truth {
    /// Every frame on the monitor's link in the order of the capture: each one that the monitor sent, and each copy that
    /// reached it.
    pub fn monitor_frames(&self) -> Vec<MonitorFrame> {
        let Some((from_monitor, to_monitor)) = self.monitor_lanes else {
            return Vec::new();
        };
        let sent = self.on(from_monitor).map(|crossing| {
            let whole = crossing.decoded.damage.is_none();
            (
                crossing.order,
                self.monitor_frame(crossing, true, crossing.entered_ns, whole),
            )
        });
        let reached = self.on(to_monitor).flat_map(|crossing| {
            let whole = |order| crossing.whole_exits().any(|exit| exit.order == order);
            crossing.exits.iter().map(move |exit| {
                (
                    exit.order,
                    self.monitor_frame(crossing, false, exit.ns, whole(exit.order)),
                )
            })
        });
        let mut frames: Vec<_> = sent.chain(reached).collect();
        frames.sort_unstable_by_key(|(order, _)| *order);
        frames.into_iter().map(|(_, frame)| frame).collect()
    }

    fn monitor_frame(
        &self,
        crossing: &Crossing,
        from_monitor: bool,
        ns: u64,
        whole: bool,
    ) -> MonitorFrame {
        let decoded = &crossing.decoded;
        let in_tunnel = |tunnel: &&TunnelPlan| match from_monitor {
            true => is_in_tunnel_up(decoded, tunnel),
            false => is_in_tunnel_down(decoded, tunnel),
        };
        MonitorFrame {
            ns,
            from_monitor,
            bytes: crossing.bytes,
            tunnel: self.tunnels.iter().find(in_tunnel).map(|tunnel| tunnel.id),
            destination: decoded.ip.map(|head| head.destination),
            what: decoded.what,
            whole,
        }
    }

    /// Probes that the monitor put into a tunnel which is not their sender's.
    pub fn strays(&self) -> impl Iterator<Item = ProbeId> + '_ {
        let from_monitor = self.monitor_lanes.map(|(from, _)| from);
        let sent = from_monitor.into_iter().flat_map(|lane| self.on(lane));
        sent.filter_map(|crossing| match crossing.decoded.what {
            What::Probe { id, .. } => {
                let own = self
                    .tunnel(id.sender)
                    .is_some_and(|tunnel| is_in_tunnel_up(&crossing.decoded, tunnel));
                (!own).then_some(id)
            }
            _ => None,
        })
    }

    /// Whole copies of customers' packets that reached the monitor, in order of flow, sequence number and capture.
    pub fn customer_arrivals(&self, flow: u32) -> Vec<CustomerArrival> {
        let Some((_, to_monitor)) = self.monitor_lanes else {
            return Vec::new();
        };
        let there = self
            .journeys
            .flow(&self.crossings, flow)
            .filter(|(_, crossing)| crossing.lane == to_monitor);
        there
            .flat_map(|(id, crossing)| {
                let tunnel = self
                    .tunnels
                    .iter()
                    .find(|tunnel| is_in_tunnel_down(&crossing.decoded, tunnel));
                let exits = tunnel
                    .map(|tunnel| crossing.whole_exits().map(move |exit| (tunnel.id, exit.ns)));
                exits
                    .into_iter()
                    .flatten()
                    .map(move |(tunnel, ns)| CustomerArrival { id, tunnel, ns })
            })
            .collect()
    }

    /// Whole copies of a flow's packets that came over links of the backbone in GRE towards a group: at PEs, and at what
    /// lies between them. Registers are not counted: they are on their way to the tree.
    pub fn mdt_arrivals(&self, flow: u32) -> Vec<MdtArrival> {
        let in_backbone = |lane: Lane| *self.lanes.kind(lane) == WireKind::Backbone;
        let packets = self.journeys.flow(&self.crossings, flow);
        packets
            .filter(|(_, crossing)| in_backbone(crossing.lane))
            .filter(|(_, crossing)| crossing.decoded.register.is_none())
            .filter_map(|(id, crossing)| Some((id, crossing, crossing.decoded.mdt?)))
            .flat_map(|(id, crossing, gre)| {
                crossing.whole_exits().map(move |exit| MdtArrival {
                    id,
                    node: self.lanes.to(crossing.lane).to_owned(),
                    p_group: gre.head.destination,
                    ns: exit.ns,
                })
            })
            .collect()
    }

    /// Everything on links between a VRF and its CE, and behind them.
    pub fn customer_side(&self) -> CustomerSide {
        let is_customer = |lane: &Lane| matches!(self.lanes.kind(*lane), WireKind::Customer { .. });
        let mut side = CustomerSide::default();
        for crossing in self
            .lanes
            .iter()
            .filter(is_customer)
            .flat_map(|lane| self.on(lane))
        {
            side.frames += 1;
            side.probes += u64::from(crossing.mentions_probe);
        }
        side
    }
}

/// The probe's magic anywhere in a frame: found even inside a wrapping that the decoder does not know.
pub(super) fn mentions_probe(frame: &[u8]) -> bool {
    frame
        .windows(PROBE_MAGIC.len())
        .any(|window| window == PROBE_MAGIC)
}
