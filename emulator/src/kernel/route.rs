//! Unicast routes of a namespace.

use std::net::Ipv4Addr;

use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteNextHop, RouteProtocol, RouteType},
};
use rtnetlink::RouteMessageBuilder;

use super::{
    Batch, KernelError, Netns,
    netlink::{CHANGE, CREATE},
};
use crate::plan::Cidr;

/// Adds a static route.
pub fn add<'a>(batch: &mut Batch<'a>, namespace: &'a Netns, to: Cidr, via: Ipv4Addr) {
    let message = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(to.address, to.prefix)
        .gateway(via)
        .protocol(RouteProtocol::Static)
        .build();
    batch.add(
        namespace,
        RouteNetlinkMessage::NewRoute(message),
        CREATE,
        format!("route {}/{} via {via}", to.address, to.prefix),
    );
}

/// Prefixes that the kernel has a unicast route to.
pub async fn prefixes(namespace: &Netns) -> Result<Vec<Cidr>, KernelError> {
    Ok(unicast(namespace).await?.iter().map(destination).collect())
}

/// One way to a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The prefix.
    pub to: Cidr,
    /// Next hop; None: directly connected.
    pub via: Option<Ipv4Addr>,
    /// Index of the outgoing interface.
    pub index: u32,
    /// Who put it there: `kernel`, `static`, `ospf`, …
    pub protocol: String,
    /// Metric.
    pub metric: u32,
}

/// All ways, several to a prefix where the load is shared, in the kernel's order.
pub async fn hops(namespace: &Netns) -> Result<Vec<Hop>, KernelError> {
    Ok(unicast(namespace).await?.iter().flat_map(hops_of).collect())
}

fn hops_of(route: &RouteMessage) -> Vec<Hop> {
    let mut hop = Hop {
        to: destination(route),
        via: None,
        index: 0,
        protocol: format!("{:?}", route.header.protocol).to_lowercase(),
        metric: 0,
    };
    let mut shared = Vec::new();
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Gateway(RouteAddress::Inet(via)) => hop.via = Some(*via),
            RouteAttribute::Oif(index) => hop.index = *index,
            RouteAttribute::Priority(metric) => hop.metric = *metric,
            RouteAttribute::MultiPath(ways) => shared.clone_from(ways),
            _ => {}
        }
    }
    if shared.is_empty() {
        return vec![hop];
    }
    let gateway = |attribute: &RouteAttribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(via)) => Some(*via),
        _ => None,
    };
    let way = |way: &RouteNextHop| Hop {
        via: way.attributes.iter().find_map(gateway),
        index: way.interface_index,
        ..hop.clone()
    };
    shared.iter().map(way).collect()
}

/// Removes what routing daemons learned, as a crash of the router would. A route that has gone by itself since they were
/// listed, by the last act of a daemon that was just killed or with another route, is gone as well.
pub async fn flush_learned(namespace: &Netns) -> Result<usize, KernelError> {
    let mut flushed = 0;
    for route in unicast(namespace).await? {
        if matches!(
            route.header.protocol,
            RouteProtocol::Kernel | RouteProtocol::Boot | RouteProtocol::Static
        ) {
            continue;
        }
        let to = destination(&route);
        let message = RouteNetlinkMessage::DelRoute(by_destination(route));
        match namespace.netlink().act(message, CHANGE).await {
            Ok(()) => flushed += 1,
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            Err(error) => {
                let attempted = format!("flush the route to {}/{}", to.address, to.prefix);
                return Err(namespace.error(attempted, error));
            }
        }
    }
    Ok(flushed)
}

/// Only what tells a route from others: the kernel refuses a route that names both its nexthop object and what is
/// in it, although that is how it describes it.
fn by_destination(mut route: RouteMessage) -> RouteMessage {
    route.attributes.retain(|attribute| {
        matches!(
            attribute,
            RouteAttribute::Destination(_) | RouteAttribute::Priority(_)
        )
    });
    route
}

async fn unicast(namespace: &Netns) -> Result<Vec<RouteMessage>, KernelError> {
    let mut request = RouteMessage::default();
    request.header.address_family = AddressFamily::Inet;
    let found = namespace
        .netlink()
        .dump(RouteNetlinkMessage::GetRoute(request))
        .await;
    let found = found.map_err(|e| namespace.error("read the routes", e))?;
    Ok(found.into_iter().filter_map(unicast_route).collect())
}

fn unicast_route(message: RouteNetlinkMessage) -> Option<RouteMessage> {
    match message {
        // Table 254 is the main one: not local addresses, not broadcast.
        RouteNetlinkMessage::NewRoute(route)
            if route.header.kind == RouteType::Unicast && route.header.table == 254 =>
        {
            Some(route)
        }
        _ => None,
    }
}

fn destination(route: &RouteMessage) -> Cidr {
    let address = route
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(*address),
            _ => None,
        });
    Cidr {
        address: address.unwrap_or(Ipv4Addr::UNSPECIFIED),
        prefix: route.header.destination_prefix_length,
    }
}
