//! Who has which address. Small numbers in, addresses out; nothing here knows a scenario.
//!
//! | range | for |
//! |---|---|
//! | 10.255.0.0/16 | loopbacks: router ids |
//! | 10.254.0.0/16 | loopbacks: outer addresses of monitor tunnels, one a tunnel |
//! | 10.1.0.0/16 | wires between backbone nodes, /30 each |
//! | 10.2.0.0/16 | attachments of VRFs to their PEs, /30 each |
//! | 10.77.0.0/16 | inside of monitor tunnels, /30 each |
//! | 172.16.m.p/24 | MVPN m's MDT, as its VRFs see it |
//! | 172.31.m.1/32 | the RP of MVPN m's customer, on the loopback of its VRF |
//! | 192.168.s.0/24 | site s of every MVPN alike, on purpose: customers choose their own addresses |

use std::net::Ipv4Addr;

use super::Cidr;

/// Both ends of a /30.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    /// The first host address.
    pub a: Cidr,
    /// The second.
    pub b: Cidr,
}

/// Router id of the n-th router, from 1.
pub(super) fn loopback(n: usize) -> Cidr {
    sixteen(10, 255, n, 32)
}

/// Outer address of the tunnel with this id, from 1.
pub(super) fn tunnel_outer(id: usize) -> Cidr {
    sixteen(10, 254, id, 32)
}

/// The n-th wire of the backbone, from 0.
pub(super) fn wire(n: usize) -> Pair {
    pair(10, 1, n)
}

/// The n-th attachment, from 0: PE, VRF.
pub(super) fn attachment(n: usize) -> Pair {
    pair(10, 2, n)
}

/// Inside of the tunnel with this id, from 1: router, monitor.
pub(super) fn tunnel_inner(id: usize) -> Pair {
    pair(10, 77, id - 1)
}

/// The p-th VRF on the m-th MVPN's MDT, both from 1.
pub(super) fn overlay(m: usize, p: usize) -> Cidr {
    cidr([172, 16, low(m), low(p)], 24)
}

/// The RP of the m-th MVPN's customer, from 1. On a loopback: FRR registers its own sources with itself, and with the
/// RP on the MDT's interface these Registers would go out over the MDT, to everyone.
pub(super) fn customer_rp(m: usize) -> Cidr {
    cidr([172, 31, low(m), 1], 32)
}

/// The s-th site of a customer, from 1: everything behind its VRF.
pub(super) fn site(s: usize) -> Cidr {
    cidr([192, 168, low(s), 0], 24)
}

/// In the s-th site, the VRF's (`n` = 0) or the CE's n-th link: the inner end first.
pub(super) fn site_link(s: usize, n: usize) -> Pair {
    let base = low(4 * n);
    Pair {
        a: cidr([192, 168, low(s), base + 1], 30),
        b: cidr([192, 168, low(s), base + 2], 30),
    }
}

/// 0.0.0.0/0.
pub(super) const DEFAULT: Cidr = Cidr {
    address: Ipv4Addr::UNSPECIFIED,
    prefix: 0,
};

fn pair(first: u8, second: u8, n: usize) -> Pair {
    Pair {
        a: sixteen(first, second, 4 * n + 1, 30),
        b: sixteen(first, second, 4 * n + 2, 30),
    }
}

fn sixteen(first: u8, second: u8, n: usize, prefix: u8) -> Cidr {
    cidr([first, second, low(n >> 8), low(n & 0xff)], prefix)
}

fn cidr(octets: [u8; 4], prefix: u8) -> Cidr {
    Cidr {
        address: octets.into(),
        prefix,
    }
}

/// Validation bounds scenarios to what these ranges hold; beyond it addresses would repeat.
fn low(n: usize) -> u8 {
    (n & 0xff) as u8
}
