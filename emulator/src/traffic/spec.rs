//! From scenario and plan to sockets: where each source and receiver sits, pure.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::{
    plan::{End, Plan},
    scenario::Scenario,
};

use super::TrafficError;

/// All sources and receivers of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrafficSpec {
    /// In the scenario's order.
    pub sources: Vec<SourceSpec>,
    /// In the scenario's order.
    pub receivers: Vec<ReceiverSpec>,
    /// In the scenario's order.
    pub transfers: Vec<TransferSpec>,
}

/// A bulk transfer.
#[derive(Debug, Clone, PartialEq)]
pub struct TransferSpec {
    /// Its name.
    pub name: String,
    /// Where its sender lives.
    pub from_namespace: String,
    /// Where its receiver lives.
    pub to_namespace: String,
    /// Where it listens.
    pub to: SocketAddrV4,
    /// From, after the run's start.
    pub start_ns: u64,
    /// Until, after the run's start; None: until the traffic is stopped.
    pub stop_ns: Option<u64>,
}

/// The first transfer's port; each has its own.
const TRANSFER_PORT: u16 = 5100;

/// A source's stream.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSpec {
    /// Its name.
    pub name: String,
    /// Flow id: index plus one.
    pub flow: u32,
    /// Node.
    pub at: String,
    /// Where its socket lives.
    pub namespace: String,
    /// Address of the interface that it sends from.
    pub interface: Ipv4Addr,
    /// Group sent to.
    pub group: Ipv4Addr,
    /// UDP payload.
    pub size_bytes: u16,
    /// Time between packets.
    pub period_ns: u64,
    /// First packet, after the run's start.
    pub start_ns: u64,
    /// No packet from here on, after the run's start; None: until the traffic is stopped.
    pub stop_ns: Option<u64>,
    /// Sends for so long, and is then silent for so long; None: always sends.
    pub bursts: Option<(u64, u64)>,
}

impl SourceSpec {
    /// When it sends next, after the run's start, having sent then: one period later, or when the next burst begins.
    pub fn next_ns(&self, sent_ns: u64) -> u64 {
        let next_ns = sent_ns + self.period_ns;
        let Some((on_ns, off_ns)) = self.bursts else {
            return next_ns;
        };
        let into = (next_ns - self.start_ns) % (on_ns + off_ns);
        match into < on_ns {
            true => next_ns,
            false => next_ns - into + on_ns + off_ns,
        }
    }
}

/// A receiver's membership.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceiverSpec {
    /// Its name.
    pub name: String,
    /// Node.
    pub at: String,
    /// Where its socket lives.
    pub namespace: String,
    /// Address of the interface that it joins on.
    pub interface: Ipv4Addr,
    /// Group joined.
    pub group: Ipv4Addr,
    /// Source joined; None: any.
    pub source: Option<Ipv4Addr>,
    /// Joins, after the run's start.
    pub start_ns: u64,
    /// Leaves, after the run's start; None: when the traffic is stopped.
    pub stop_ns: Option<u64>,
}

impl TrafficSpec {
    /// Looks every node up in the plan.
    pub fn of(scenario: &Scenario, plan: &Plan) -> Result<Self, TrafficError> {
        let sources = scenario.sources.iter().zip(1..).map(|(source, flow)| {
            let end = attachment(plan, &source.at)?;
            Ok(SourceSpec {
                name: source.name.clone(),
                flow,
                at: source.at.clone(),
                namespace: end.namespace.clone(),
                interface: end.address.address,
                group: source.group,
                size_bytes: source.size_bytes,
                period_ns: source.rate.period_ns().max(1),
                start_ns: source.start.ns,
                stop_ns: source.stop.map(|span| span.ns),
                bursts: source.bursts.map(|bursts| (bursts.on.ns, bursts.off.ns)),
            })
        });
        let receivers = scenario.receivers.iter().map(|receiver| {
            let end = attachment(plan, &receiver.at)?;
            let source_node = receiver
                .source
                .as_deref()
                .map(|name| source_node(scenario, name));
            let source = source_node.map(|node| attachment(plan, node)).transpose()?;
            Ok(ReceiverSpec {
                name: receiver.name.clone(),
                at: receiver.at.clone(),
                namespace: end.namespace.clone(),
                interface: end.address.address,
                group: receiver.group,
                source: source.map(|end| end.address.address),
                start_ns: receiver.start.ns,
                stop_ns: receiver.stop.map(|span| span.ns),
            })
        });
        let transfers = scenario.transfers.iter().zip(TRANSFER_PORT..);
        let transfers = transfers.map(|(transfer, port)| {
            let to = attachment(plan, &transfer.to)?;
            Ok(TransferSpec {
                name: transfer.name.clone(),
                from_namespace: attachment(plan, &transfer.from)?.namespace.clone(),
                to_namespace: to.namespace.clone(),
                to: SocketAddrV4::new(to.address.address, port),
                start_ns: transfer.start.ns,
                stop_ns: transfer.stop.map(|span| span.ns),
            })
        });
        Ok(Self {
            transfers: transfers.collect::<Result<_, _>>()?,
            sources: sources.collect::<Result<_, _>>()?,
            receivers: receivers.collect::<Result<_, _>>()?,
        })
    }
}

/// A receiver may name the source itself or the node that it is at.
fn source_node<'a>(scenario: &'a Scenario, name: &'a str) -> &'a str {
    scenario
        .sources
        .iter()
        .find(|source| source.name == name)
        .map_or(name, |source| &source.at)
}

/// The interface by which a CE or host reaches the network: a CE's towards its VRF, else the node's first.
fn attachment<'a>(plan: &'a Plan, node: &str) -> Result<&'a End, TrafficError> {
    let is_vrf = |name: &str| {
        plan.namespaces
            .iter()
            .any(|ns| ns.name == name && ns.vrf.is_some())
    };
    let ends = || {
        plan.wires
            .iter()
            .flat_map(|wire| [(&wire.a, &wire.b), (&wire.b, &wire.a)])
    };
    let mut own = ends().filter(|(end, _)| end.namespace == node);
    let to_vrf = ends().find(|(end, far)| end.namespace == node && is_vrf(&far.namespace));
    to_vrf
        .or_else(|| own.next())
        .map(|(end, _)| end)
        .ok_or_else(|| TrafficError::Unattached {
            node: node.to_owned(),
        })
}
