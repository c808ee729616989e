//! Unicast routes of a namespace.

use std::net::Ipv4Addr;

use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteType},
};
use rtnetlink::RouteMessageBuilder;

use super::{
    KernelError, Netns,
    netlink::{CHANGE, CREATE},
};
use crate::plan::Cidr;

/// Adds a static route.
pub async fn add(namespace: &Netns, to: Cidr, via: Ipv4Addr) -> Result<(), KernelError> {
    let message = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(to.address, to.prefix)
        .gateway(via)
        .protocol(RouteProtocol::Static)
        .build();
    let done = namespace
        .netlink()
        .act(RouteNetlinkMessage::NewRoute(message), CREATE)
        .await;
    done.map_err(|e| namespace.error(format!("route {}/{} via {via}", to.address, to.prefix), e))
}

/// Prefixes that the kernel has a unicast route to.
pub async fn prefixes(namespace: &Netns) -> Result<Vec<Cidr>, KernelError> {
    Ok(unicast(namespace).await?.iter().map(destination).collect())
}

/// Removes what routing daemons learned, as a crash of the router would.
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
        let done = namespace.netlink().act(message, CHANGE).await;
        done.map_err(|e| {
            let attempted = format!("flush the route to {}/{}", to.address, to.prefix);
            namespace.error(attempted, e)
        })?;
        flushed += 1;
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
