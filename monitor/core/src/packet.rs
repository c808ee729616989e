//! Between packets and meaning: the only file of the core that builds or reads bytes.

use std::net::Ipv4Addr;

use vmscope_wire::content::Content;
use vmscope_wire::igmp::{self, FloatCode, GroupRecord, QueryV3, Records};
use vmscope_wire::inner::{Addressing, Inner};
use vmscope_wire::ipv4::{IpProtocol, Packet};
use vmscope_wire::tunnel::{Outer, decapsulate, decapsulate_own, encapsulate, encapsulated_len};
use vmscope_wire::{WireError, echo, gre, icmp, probe, udp};

use crate::fault::{Fault, Planted};
use crate::membership::{Query, Record, Report};
use crate::router_clock;
use crate::spec::{Encapsulation, TunnelSpec};
use crate::time::{Instant, Span};

/// Octets of a probe's IPv4 datagram before its UDP payload.
pub(crate) const INNER_HEADERS_BYTES: u64 = 20 + 8;
/// Data of an echo request, in bytes: as much as the ping of most systems sends.
const ECHO_DATA_BYTES: usize = 56;

/// What a probe says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProbeHeader {
    pub(crate) session: u32,
    pub(crate) task: u32,
    pub(crate) tunnel: u32,
    pub(crate) seq: u32,
    pub(crate) warmup: bool,
    /// Sent again by another monitor.
    pub(crate) reflected: bool,
    pub(crate) sent: Instant,
}

/// Where a probe goes, and in which size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProbeShape {
    pub(crate) group: Ipv4Addr,
    pub(crate) ttl: u8,
    pub(crate) port: u16,
    /// Where it comes from; the same port unless told.
    pub(crate) source_port: Option<u16>,
    pub(crate) payload_bytes: u16,
}

/// A probe, ready for the wire.
pub(crate) fn build_probe(
    tunnel: &TunnelSpec,
    shape: &ProbeShape,
    header: &ProbeHeader,
) -> Result<Vec<u8>, WireError> {
    wrap(tunnel, &probe_packet(tunnel, shape, header))
}

fn probe_packet(tunnel: &TunnelSpec, shape: &ProbeShape, header: &ProbeHeader) -> Inner<'static> {
    Inner::Probe {
        ip: Addressing {
            ttl: shape.ttl,
            ..Addressing::new(tunnel.inner_local, shape.group)
        },
        src_port: shape.source_port.unwrap_or(shape.port),
        dst_port: shape.port,
        probe: probe::Repr {
            warm_up: header.warmup,
            reflected: header.reflected,
            session: header.session,
            task: header.task,
            tunnel: header.tunnel,
            sequence: header.seq,
            sent_ns: header.sent.as_ns(),
        },
        payload_len: usize::from(shape.payload_bytes),
    }
}

/// An echo request to the router at the other end, ready for the wire.
pub(crate) fn build_ping(
    tunnel: &TunnelSpec,
    id: u32,
    session: u32,
    seq: u32,
) -> Result<Vec<u8>, WireError> {
    let mut data = [0; ECHO_DATA_BYTES];
    echo::Repr {
        session,
        tunnel: id,
        sequence: seq,
    }
    .emit(&mut data)?;
    let message = icmp::Repr::EchoRequest {
        identifier: session as u16,
        sequence: seq as u16,
        data: &data,
    };
    wrap(
        tunnel,
        &Inner::Icmp {
            ip: Addressing::new(tunnel.inner_local, tunnel.inner_remote),
            message,
        },
    )
}

/// A request for the router's time (RFC 792), ready for the wire. Its data are too few for a header of ours: it is known
/// by the session's lower half, and the tunnel stands where the time would.
pub(crate) fn build_clock_request(
    tunnel: &TunnelSpec,
    id: u32,
    session: u32,
    seq: u32,
) -> Result<Vec<u8>, WireError> {
    let message = icmp::Repr::TimestampRequest {
        identifier: session as u16,
        sequence: seq as u16,
        times: router_clock::request(id),
    };
    wrap(
        tunnel,
        &Inner::Icmp {
            ip: Addressing::new(tunnel.inner_local, tunnel.inner_remote),
            message,
        },
    )
}

/// A membership report or leave, ready for the wire.
pub(crate) fn build_report(tunnel: &TunnelSpec, report: &Report) -> Result<Vec<u8>, WireError> {
    let records: Vec<GroupRecord<'_>>;
    let message = match report {
        Report::V1(group) => igmp::Repr::ReportV1 { group: *group },
        Report::V2(group) => igmp::Repr::ReportV2 { group: *group },
        Report::LeaveV2(group) => igmp::Repr::LeaveV2 { group: *group },
        Report::V3(list) => {
            records = list.iter().map(Record::to_wire).collect();
            igmp::Repr::ReportV3 {
                records: Records::from(&records[..]),
            }
        }
    };
    wrap(
        tunnel,
        &Inner::Igmp {
            src: tunnel.inner_local,
            message,
        },
    )
}

impl Record {
    fn to_wire(&self) -> GroupRecord<'_> {
        GroupRecord::new(self.kind, self.group, &self.sources)
    }
}

/// Where the kernel must send what [`wrap`] made of a packet to `inner_destination`.
pub(crate) fn destination(tunnel: &TunnelSpec, inner_destination: Ipv4Addr) -> Ipv4Addr {
    tunnel.outer_remote.unwrap_or(inner_destination)
}

/// Where a report goes, before encapsulation.
pub(crate) fn report_destination(report: &Report) -> Ipv4Addr {
    match report {
        Report::V1(group) | Report::V2(group) => *group,
        Report::LeaveV2(_) => igmp::ALL_ROUTERS,
        Report::V3(_) => igmp::ALL_V3_ROUTERS,
    }
}

/// Puts the tunnel around a packet.
fn wrap(tunnel: &TunnelSpec, inner: &Inner<'_>) -> Result<Vec<u8>, WireError> {
    match outer(tunnel) {
        Some(outer) => {
            let mut bytes = vec![0; encapsulated_len(&outer, inner)];
            encapsulate(&outer, inner, &mut bytes)?;
            Ok(bytes)
        }
        None => {
            let mut bytes = vec![0; inner.buffer_len()];
            inner.emit(&mut bytes)?;
            Ok(bytes)
        }
    }
}

fn outer(tunnel: &TunnelSpec) -> Option<Outer> {
    match tunnel.encapsulation {
        Encapsulation::Gre => Some(Outer::new(
            tunnel.outer_local?,
            tunnel.outer_remote?,
            tunnel.key,
        )),
        Encapsulation::None => None,
    }
}

/// The planted fault's probe: dressed as the customer packet that was seen last, on the MDT.
pub(crate) fn build_customer_probe(
    tunnel: &TunnelSpec,
    shape: &ProbeShape,
    header: &ProbeHeader,
    customer: (Ipv4Addr, Ipv4Addr),
) -> Result<Vec<u8>, WireError> {
    let disguised = ProbeShape {
        group: customer.1,
        ..*shape
    };
    let inside = probe_packet(
        &TunnelSpec {
            inner_local: customer.0,
            ..tunnel.clone()
        },
        &disguised,
        header,
    );
    let carried = gre::Repr::ipv4(None, inside.buffer_len());
    let on_mdt = vmscope_wire::ipv4::Repr::new(
        tunnel.inner_local,
        shape.group,
        IpProtocol::Gre,
        carried.buffer_len(),
    );
    let through = gre::Repr::ipv4(tunnel.key, on_mdt.buffer_len());
    let (local, remote) = (
        tunnel.outer_local.unwrap_or(tunnel.inner_local),
        destination(tunnel, shape.group),
    );
    let outermost =
        vmscope_wire::ipv4::Repr::new(local, remote, IpProtocol::Gre, through.buffer_len());
    let mut bytes = vec![0; outermost.buffer_len()];
    outermost.emit(&mut bytes, |b| {
        through.emit(b, |b| {
            on_mdt.emit(b, |b| carried.emit(b, |b| inside.emit(b)))
        })
    })?;
    Ok(bytes)
}

/// A captured packet, as far as the capture point shows it.
#[derive(Debug)]
pub(crate) enum Frame<'a> {
    /// GRE between two addresses, an IPv4 packet inside.
    Tunnelled {
        src: Ipv4Addr,
        dst: Ipv4Addr,
        key: Option<u32>,
        inner: Seen<'a>,
    },
    /// Anything else in IPv4.
    Plain(Seen<'a>),
    /// It could not be read; its addresses, if these could.
    Damaged(Option<(Ipv4Addr, Ipv4Addr)>),
}

/// An IPv4 packet and what is in it.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) packet: Packet<'a>,
    pub(crate) content: Result<Meaning, WireError>,
}

/// What a packet means to the monitor.
#[derive(Debug)]
pub(crate) enum Meaning {
    Probe(ProbeHeader),
    EchoRequest {
        session: u32,
        tunnel: u32,
        seq: u32,
    },
    EchoReply {
        session: u32,
        tunnel: u32,
        seq: u32,
    },
    ClockRequest {
        session: u16,
        seq: u16,
        times: icmp::Timestamps,
    },
    ClockReply {
        session: u16,
        seq: u16,
        times: icmp::Timestamps,
    },
    Query(Query),
    /// Reports and leaves, ours on their way out.
    Report,
    /// GRE once more: a customer's packet on an MDT. Not looked into here.
    Customer,
    /// Nothing of ours: it may be a customer's in plain multicast.
    Foreign,
}

/// Reads a captured IPv4 packet.
pub(crate) fn read(bytes: &[u8], fault: Planted) -> Frame<'_> {
    let Ok(outer) = Packet::new_checked(bytes) else {
        return Frame::Damaged(None);
    };
    if outer.protocol() != IpProtocol::Gre || outer.dst().is_multicast() {
        return match outer.verify_checksum() {
            Ok(()) => Frame::Plain(see(outer, fault)),
            Err(_) => Frame::Damaged(Some((outer.src(), outer.dst()))),
        };
    }
    match decapsulate(bytes) {
        Ok(d) => Frame::Tunnelled {
            src: d.src(),
            dst: d.dst(),
            key: d.key(),
            inner: see(d.inner, fault),
        },
        Err(_) => Frame::Damaged(Some((outer.src(), outer.dst()))),
    }
}

/// Reads a captured packet of our own, as it leaves. Of it only what it is and its number are wanted, so a probe, which
/// is most of them, is not verified.
pub(crate) fn read_own(bytes: &[u8]) -> Option<Meaning> {
    let outer = Packet::new_checked(bytes).ok()?;
    let inner = match outer.protocol() {
        IpProtocol::Gre if !outer.dst().is_multicast() => decapsulate_own(bytes).ok()?.inner,
        _ => outer,
    };
    match inner.protocol() {
        IpProtocol::Udp if !inner.is_fragment() => read_unverified(&inner).ok(),
        IpProtocol::Gre => None,
        _ => Content::of(&inner).ok().map(Meaning::of),
    }
}

fn see<'a>(packet: Packet<'a>, fault: Planted) -> Seen<'a> {
    let mut content = match packet.protocol() {
        // VS-08: of a customer's packet nothing is read, unless passive observation asks for it.
        IpProtocol::Gre => Ok(Meaning::Customer),
        _ => Content::of(&packet).map(Meaning::of),
    };
    if content.is_err() && fault.is(Fault::ChecksumIgnored) {
        content = read_unverified(&packet);
    }
    Seen {
        src: packet.src(),
        dst: packet.dst(),
        packet,
        content,
    }
}

/// Reads a probe without looking at its checksum: of our own, and as the planted fault does.
fn read_unverified(packet: &Packet<'_>) -> Result<Meaning, WireError> {
    let datagram = udp::Packet::new_checked(packet.payload())?;
    let probe = probe::Packet::new_checked(datagram.payload())?;
    Ok(Meaning::Probe(probe::Repr::parse(&probe).into()))
}

impl From<probe::Repr> for ProbeHeader {
    fn from(probe: probe::Repr) -> ProbeHeader {
        ProbeHeader {
            session: probe.session,
            task: probe.task,
            tunnel: probe.tunnel,
            seq: probe.sequence,
            warmup: probe.warm_up,
            reflected: probe.reflected,
            sent: Instant::from_ns(probe.sent_ns),
        }
    }
}

impl Meaning {
    fn of(content: Content<'_>) -> Meaning {
        match content {
            Content::Probe { probe, .. } => Meaning::Probe(probe.into()),
            Content::Icmp(message) => Meaning::of_icmp(&message),
            Content::Igmp(message) => Meaning::of_igmp(&message),
            Content::Mdt(_) => Meaning::Customer,
            Content::Udp(_) | Content::Fragment | Content::Other(_) => Meaning::Foreign,
        }
    }

    fn of_icmp(message: &icmp::Repr<'_>) -> Meaning {
        let echo = |data| echo::Packet::new_checked(data).map(|packet| echo::Repr::parse(&packet));
        match message {
            icmp::Repr::EchoRequest { data, .. } => match echo(data) {
                Ok(e) => Meaning::EchoRequest {
                    session: e.session,
                    tunnel: e.tunnel,
                    seq: e.sequence,
                },
                Err(_) => Meaning::Foreign,
            },
            icmp::Repr::EchoReply { data, .. } => match echo(data) {
                Ok(e) => Meaning::EchoReply {
                    session: e.session,
                    tunnel: e.tunnel,
                    seq: e.sequence,
                },
                Err(_) => Meaning::Foreign,
            },
            icmp::Repr::TimestampRequest {
                identifier,
                sequence,
                times,
            } => Meaning::ClockRequest {
                session: *identifier,
                seq: *sequence,
                times: *times,
            },
            icmp::Repr::TimestampReply {
                identifier,
                sequence,
                times,
            } => Meaning::ClockReply {
                session: *identifier,
                seq: *sequence,
                times: *times,
            },
            icmp::Repr::DestinationUnreachable { .. }
            | icmp::Repr::TimeExceeded { .. }
            | icmp::Repr::Unknown { .. } => Meaning::Foreign,
        }
    }

    fn of_igmp(message: &igmp::Repr<'_>) -> Meaning {
        match message {
            // RFC 1112 queries leave no choice: 10 s (RFC 2236 §4).
            igmp::Repr::QueryV1 => {
                Meaning::Query(query(1, Ipv4Addr::UNSPECIFIED, Span::from_s(10)))
            }
            igmp::Repr::QueryV2 {
                max_response_tenths,
                group,
            } => Meaning::Query(query(
                2,
                *group,
                tenths(u32::from(max_response_tenths.get())),
            )),
            igmp::Repr::QueryV3(q) => Meaning::Query(query_v3(q)),
            igmp::Repr::ReportV1 { .. }
            | igmp::Repr::ReportV2 { .. }
            | igmp::Repr::LeaveV2 { .. }
            | igmp::Repr::ReportV3 { .. } => Meaning::Report,
            igmp::Repr::Unknown { .. } => Meaning::Foreign,
        }
    }
}

fn query(version: u8, group: Ipv4Addr, max_response: Span) -> Query {
    let group = (!group.is_unspecified()).then_some(group);
    Query {
        version,
        group,
        sources: Vec::new(),
        max_response,
        robustness: 0,
        interval: Span::ZERO,
    }
}

fn query_v3(q: &QueryV3<'_>) -> Query {
    Query {
        sources: q.sources.iter().collect(),
        robustness: q.robustness,
        interval: seconds(q.interval_seconds),
        ..query(3, q.group, tenths(q.max_response_tenths.value()))
    }
}

fn tenths(n: u32) -> Span {
    Span::from_ms(100 * u64::from(n))
}

fn seconds(code: FloatCode) -> Span {
    Span::from_s(u64::from(code.value()))
}
