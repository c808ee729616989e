//! How a router sends a packet down a tunnel.

use std::net::Ipv4Addr;

use vmscope_wire::gre;
use vmscope_wire::ipv4::{IpProtocol, Repr as Ipv4};

/// A packet as it is, in a tunnel from the router's end to the monitor's.
pub fn tunnelled(router: Ipv4Addr, monitor: Ipv4Addr, inner: &[u8]) -> Vec<u8> {
    let carried = gre::Repr::ipv4(None, inner.len());
    let ip = Ipv4::new(router, monitor, IpProtocol::Gre, carried.buffer_len());
    let mut bytes = vec![0; ip.buffer_len()];
    ip.emit(&mut bytes, |b| {
        carried.emit(b, |b| {
            b.copy_from_slice(inner);
            Ok(())
        })
    })
    .unwrap();
    bytes
}
