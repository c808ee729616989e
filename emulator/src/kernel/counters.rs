//! Interface counters of a namespace.

use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkMessage},
};

use super::{KernelError, Netns};
use crate::truth::InterfaceCounters;

/// Devices that the GRE module adds to every namespace and nobody uses.
const FALLBACK: [&str; 3] = ["gre0", "gretap0", "erspan0"];

/// Of every device, by name, in the kernel's order.
pub async fn interfaces(
    namespace: &Netns,
) -> Result<Vec<(String, InterfaceCounters)>, KernelError> {
    let found = namespace
        .netlink()
        .dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))
        .await;
    let found = found.map_err(|e| namespace.error("read the interface counters", e))?;
    let interfaces = found.iter().filter_map(interface);
    Ok(interfaces
        .filter(|(name, _)| !FALLBACK.contains(&name.as_str()))
        .collect())
}

fn interface(message: &RouteNetlinkMessage) -> Option<(String, InterfaceCounters)> {
    let RouteNetlinkMessage::NewLink(message) = message else {
        return None;
    };
    let name = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.clone()),
            _ => None,
        })?;
    let counters = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::Stats64(s) => Some(InterfaceCounters {
                rx_packets: s.rx_packets,
                rx_bytes: s.rx_bytes,
                tx_packets: s.tx_packets,
                tx_bytes: s.tx_bytes,
                rx_dropped: s.rx_dropped,
                tx_dropped: s.tx_dropped,
                rx_errors: s.rx_errors,
                tx_errors: s.tx_errors,
            }),
            _ => None,
        })?;
    Some((name, counters))
}
