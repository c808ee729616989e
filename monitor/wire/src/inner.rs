//! What the monitor sends: one IPv4 packet, with or without a tunnel around it.

use core::net::Ipv4Addr;

use crate::error::Result;
use crate::ipv4::IpProtocol;
use crate::ipv4_options::Options;
use crate::{icmp, igmp, ipv4, probe, udp};

/// RFC 3376 §4: IGMPv3 goes with IP precedence "internetwork control".
const TOS_INTERNETWORK_CONTROL: u8 = 0xc0;

/// The addresses of a packet, and how routers are to treat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addressing {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Time to live, in hops.
    pub ttl: u8,
    /// Type of service: DSCP and ECN.
    pub tos: u8,
    /// Identification, in case routers fragment it.
    pub identification: u16,
}

impl Addressing {
    /// TTL 64, TOS and identification zero.
    #[must_use]
    pub fn new(src: Ipv4Addr, dst: Ipv4Addr) -> Self {
        Self {
            src,
            dst,
            ttl: 64,
            tos: 0,
            identification: 0,
        }
    }
}

/// A packet of the monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inner<'a> {
    /// A probe in UDP, with checksum.
    Probe {
        /// From the sending tunnel's inner address to the group.
        ip: Addressing,
        /// UDP source port.
        src_port: u16,
        /// UDP destination port.
        dst_port: u16,
        /// The header.
        probe: probe::Repr,
        /// Length of the UDP payload, in bytes: at least the header's, the rest is zeros.
        payload_len: usize,
    },
    /// An ICMP message: echo request or reply.
    Icmp {
        /// Between the tunnel's inner addresses.
        ip: Addressing,
        /// The message.
        message: icmp::Repr<'a>,
    },
    /// An IGMP message: TTL 1, Router Alert, to where such a message goes.
    Igmp {
        /// The tunnel's inner address.
        src: Ipv4Addr,
        /// The message.
        message: igmp::Repr<'a>,
    },
}

impl Inner<'_> {
    /// Length of the whole packet, in bytes.
    #[must_use]
    pub fn buffer_len(&self) -> usize {
        self.ipv4().buffer_len()
    }

    /// Writes the packet to the front of `buffer`.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<()> {
        let ipv4 = self.ipv4();
        match *self {
            Self::Probe {
                ip,
                src_port,
                dst_port,
                probe,
                payload_len,
            } => {
                let udp = udp::Repr {
                    src_port,
                    dst_port,
                    has_checksum: true,
                    payload_len,
                };
                ipv4.emit(buffer, |b| {
                    udp.emit(b, ip.src, ip.dst, |payload| probe.emit(payload))
                })
            }
            Self::Icmp { message, .. } => ipv4.emit(buffer, |b| message.emit(b)),
            Self::Igmp { message, .. } => ipv4.emit(buffer, |b| message.emit(b)),
        }
    }

    /// The packet's IPv4 header.
    #[must_use]
    pub fn ipv4(&self) -> ipv4::Repr {
        match *self {
            Self::Probe {
                ip, payload_len, ..
            } => header(ip, IpProtocol::Udp, udp::HEADER_LEN + payload_len),
            Self::Icmp { ip, message } => header(ip, IpProtocol::Icmp, message.buffer_len()),
            Self::Igmp { src, message } => ipv4::Repr {
                ttl: 1,
                tos: TOS_INTERNETWORK_CONTROL,
                options: Options::ROUTER_ALERT,
                ..ipv4::Repr::new(
                    src,
                    message.destination(),
                    IpProtocol::Igmp,
                    message.buffer_len(),
                )
            },
        }
    }
}

fn header(ip: Addressing, protocol: IpProtocol, payload_len: usize) -> ipv4::Repr {
    ipv4::Repr {
        ttl: ip.ttl,
        tos: ip.tos,
        identification: ip.identification,
        ..ipv4::Repr::new(ip.src, ip.dst, protocol, payload_len)
    }
}
