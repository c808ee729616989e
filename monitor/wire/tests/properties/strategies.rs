//! Random packets that make sense. What borrows in the crate is owned here.

use std::net::Ipv4Addr;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use vmscope_wire::{
    Addressing, EchoRepr, EtherType, FloatCode, GreRepr, GroupRecord, IcmpRepr, IgmpRepr, IgmpType,
    Inner, IpProtocol, Ipv4Options, Ipv4Repr, Outer, ProbeRepr, QueryV3, RecordType, RtpRepr,
    TimeExceededCode, UdpRepr, UnreachableCode, encapsulate,
    icmp::{IcmpType, Timestamps},
    ipv4, tunnel,
};

/// An address.
pub fn address() -> impl Strategy<Value = Ipv4Addr> {
    any::<u32>().prop_map(Ipv4Addr::from)
}

/// At most `max` bytes.
pub fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=max)
}

/// Options of every kind, padded to whole words.
fn options() -> impl Strategy<Value = Ipv4Options> {
    let alert = any::<u16>().prop_map(|v| vec![0x94, 4, (v >> 8) as u8, v as u8]);
    let other = (2u8..=0xff, bytes(6)).prop_map(|(kind, data)| {
        let mut option = vec![kind, data.len() as u8 + 2];
        option.extend(data);
        option
    });
    vec(prop_oneof![Just(vec![1]), alert, other], 0..=4).prop_map(|options| {
        let mut bytes = options.concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        Ipv4Options::parse(&bytes).expect("at most four options of eight bytes")
    })
}

/// An IPv4 header in front of `payload_len` bytes.
pub fn ipv4(payload_len: usize) -> impl Strategy<Value = Ipv4Repr> {
    let ends = (address(), address(), any::<u8>().prop_map(IpProtocol::from));
    let numbers = (any::<u8>(), any::<u8>(), any::<u16>());
    let fragment = (any::<bool>(), any::<bool>(), 0u16..0x2000);
    (ends, numbers, fragment, options()).prop_map(move |(ends, numbers, fragment, options)| {
        ipv4::Repr {
            ttl: numbers.0,
            tos: numbers.1,
            identification: numbers.2,
            dont_fragment: fragment.0,
            more_fragments: fragment.1,
            fragment_offset: fragment.2 * 8,
            options,
            ..Ipv4Repr::new(ends.0, ends.1, ends.2, payload_len)
        }
    })
}

/// A UDP header in front of `payload_len` bytes.
pub fn udp(payload_len: usize) -> impl Strategy<Value = UdpRepr> {
    any::<(u16, u16, bool)>().prop_map(move |(src_port, dst_port, has_checksum)| UdpRepr {
        src_port,
        dst_port,
        has_checksum,
        payload_len,
    })
}

/// A GRE header in front of `payload_len` bytes.
pub fn gre(payload_len: usize) -> impl Strategy<Value = GreRepr> {
    let optional = (
        any::<bool>(),
        option::of(any::<u32>()),
        option::of(any::<u32>()),
    );
    (any::<u16>(), optional).prop_map(move |(protocol, (has_checksum, key, sequence))| GreRepr {
        protocol: EtherType::from(protocol),
        has_checksum,
        key,
        sequence,
        payload_len,
    })
}

/// An ICMP message, which will borrow its bytes.
#[derive(Debug, Clone)]
pub struct Icmp {
    kind: IcmpType,
    code: u8,
    rest_of_header: [u8; 4],
    times: [u32; 3],
    data: Vec<u8>,
}

/// An ICMP message.
pub fn icmp() -> impl Strategy<Value = Icmp> {
    let known = prop_oneof![Just(0u8), Just(3), Just(8), Just(11), Just(13), Just(14)];
    let kind = prop_oneof![3 => known, 1 => any::<u8>()].prop_map(IcmpType::from);
    let rest = (any::<[u8; 4]>(), any::<[u32; 3]>());
    (kind, any::<u8>(), rest, bytes(80)).prop_map(|(kind, code, (rest_of_header, times), data)| {
        Icmp {
            kind,
            code,
            rest_of_header,
            times,
            data,
        }
    })
}

impl Icmp {
    /// The message.
    pub fn repr(&self) -> IcmpRepr<'_> {
        let [a, b, c, d] = self.rest_of_header;
        let (first, second) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let (code, data) = (self.code, &self.data[..]);
        let [originate, receive, transmit] = self.times;
        let times = Timestamps {
            originate,
            receive,
            transmit,
        };
        match self.kind {
            IcmpType::EchoRequest => IcmpRepr::EchoRequest {
                identifier: first,
                sequence: second,
                data,
            },
            IcmpType::EchoReply => IcmpRepr::EchoReply {
                identifier: first,
                sequence: second,
                data,
            },
            IcmpType::DestinationUnreachable => IcmpRepr::DestinationUnreachable {
                code: UnreachableCode::from(code),
                next_hop_mtu: second,
                quoted: data,
            },
            IcmpType::TimeExceeded => IcmpRepr::TimeExceeded {
                code: TimeExceededCode::from(code),
                quoted: data,
            },
            IcmpType::TimestampRequest => IcmpRepr::TimestampRequest {
                identifier: first,
                sequence: second,
                times,
            },
            IcmpType::TimestampReply => IcmpRepr::TimestampReply {
                identifier: first,
                sequence: second,
                times,
            },
            IcmpType::Unknown(kind) => IcmpRepr::Unknown {
                kind,
                code,
                rest_of_header: self.rest_of_header,
                data,
            },
        }
    }
}

type Record = (u8, Ipv4Addr, Vec<Ipv4Addr>, Vec<u8>);

/// An IGMP message, which will borrow its lists.
#[derive(Debug, Clone)]
pub struct Igmp {
    kind: IgmpType,
    code: u8,
    group: Ipv4Addr,
    /// S, QRV and QQIC of a version 3 query.
    querier: Option<(bool, u8, u8)>,
    sources: Vec<Ipv4Addr>,
    records: Vec<Record>,
    body: Vec<u8>,
}

/// An IGMP message.
pub fn igmp() -> impl Strategy<Value = Igmp> {
    let known = prop_oneof![3 => Just(0x11u8), 1 => Just(0x12), 1 => Just(0x16), 1 => Just(0x17), 3 => Just(0x22)];
    let kind = prop_oneof![6 => known, 1 => any::<u8>()].prop_map(IgmpType::from);
    let aux_data = vec(any::<[u8; 4]>(), 0..=2).prop_map(|words| words.concat());
    let record = (0u8..=8, address(), vec(address(), 0..=4), aux_data);
    let query = (
        option::of((any::<bool>(), 0u8..=7, any::<u8>())),
        vec(address(), 0..=8),
    );
    (
        kind,
        any::<u8>(),
        address(),
        query,
        vec(record, 0..=5),
        vec(any::<u8>(), 4..=40),
    )
        .prop_map(
            |(kind, code, group, (querier, sources), records, body)| Igmp {
                kind,
                code,
                group,
                querier,
                sources,
                records,
                body,
            },
        )
}

impl Igmp {
    /// The group records, which a report borrows.
    pub fn records(&self) -> Vec<GroupRecord<'_>> {
        self.records
            .iter()
            .map(|(kind, group, sources, aux_data)| GroupRecord {
                aux_data,
                ..GroupRecord::new(RecordType::from(*kind), *group, sources)
            })
            .collect()
    }

    /// The message with these records.
    pub fn repr<'a>(&'a self, records: &'a [GroupRecord<'a>]) -> IgmpRepr<'a> {
        let group = self.group;
        match self.kind {
            IgmpType::Query => self.query(),
            IgmpType::ReportV1 => IgmpRepr::ReportV1 { group },
            IgmpType::ReportV2 => IgmpRepr::ReportV2 { group },
            IgmpType::LeaveV2 => IgmpRepr::LeaveV2 { group },
            IgmpType::ReportV3 => IgmpRepr::ReportV3 {
                records: records.into(),
            },
            IgmpType::Unknown(kind) => IgmpRepr::Unknown {
                kind,
                code: self.code,
                body: &self.body,
            },
        }
    }

    fn query(&self) -> IgmpRepr<'_> {
        match (self.querier, self.code.try_into()) {
            (Some((suppress_router_side, robustness, interval)), _) => IgmpRepr::QueryV3(QueryV3 {
                max_response_tenths: FloatCode(self.code),
                group: self.group,
                suppress_router_side,
                robustness,
                interval_seconds: FloatCode(interval),
                sources: self.sources[..].into(),
            }),
            (None, Ok(max_response_tenths)) => IgmpRepr::QueryV2 {
                max_response_tenths,
                group: self.group,
            },
            (None, Err(_)) => IgmpRepr::QueryV1,
        }
    }
}

/// A probe's header.
pub fn probe() -> impl Strategy<Value = ProbeRepr> {
    any::<(bool, bool, u32, u32, u32, u32, u64)>().prop_map(
        |(warm_up, reflected, session, task, tunnel, sequence, sent_ns)| ProbeRepr {
            warm_up,
            reflected,
            session,
            task,
            tunnel,
            sequence,
            sent_ns,
        },
    )
}

/// An echo's header.
pub fn echo() -> impl Strategy<Value = EchoRepr> {
    any::<(u32, u32, u32)>().prop_map(|(session, tunnel, sequence)| EchoRepr {
        session,
        tunnel,
        sequence,
    })
}

/// RTP's fixed header.
pub fn rtp() -> impl Strategy<Value = RtpRepr> {
    let payload_type = prop_oneof![0u8..64, 96u8..128];
    (payload_type, any::<(bool, u16, u32, u32)>()).prop_map(
        |(payload_type, (marker, sequence, timestamp, ssrc))| RtpRepr {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc,
        },
    )
}

/// Addresses and treatment of a packet.
pub fn addressing() -> impl Strategy<Value = Addressing> {
    (address(), address(), any::<(u8, u8, u16)>()).prop_map(
        |(src, dst, (ttl, tos, identification))| Addressing {
            src,
            dst,
            ttl,
            tos,
            identification,
        },
    )
}

/// A tunnel.
pub fn outer() -> impl Strategy<Value = Outer> {
    let optional = (
        option::of(any::<u32>()),
        option::of(any::<u32>()),
        any::<bool>(),
    );
    (addressing(), optional).prop_map(|(ip, (key, sequence, has_checksum))| Outer {
        ip,
        key,
        sequence,
        has_checksum,
    })
}

/// A tunnel with a probe in it, and its bytes.
pub fn tunnelled_probe() -> impl Strategy<Value = (Outer, ProbeRepr, Vec<u8>)> {
    (
        outer(),
        addressing(),
        probe(),
        any::<(u16, u16)>(),
        32usize..=80,
    )
        .prop_map(|(outer, ip, probe, (src_port, dst_port), payload_len)| {
            let inner = Inner::Probe {
                ip,
                src_port,
                dst_port,
                probe,
                payload_len,
            };
            (outer, probe, in_tunnel(&outer, &inner))
        })
}

/// The bytes of a packet in a tunnel.
pub fn in_tunnel(outer: &Outer, inner: &Inner<'_>) -> Vec<u8> {
    let mut buffer = vec![0xa5; tunnel::encapsulated_len(outer, inner)];
    encapsulate(outer, inner, &mut buffer).expect("a buffer of the right length");
    buffer
}

/// The bytes of a packet.
pub fn written(length: usize, emit: impl FnOnce(&mut [u8]) -> vmscope_wire::Result<()>) -> Vec<u8> {
    let mut buffer = vec![0xa5; length];
    emit(&mut buffer).expect("a buffer of the right length");
    buffer
}

/// Writes a payload that is already there.
pub fn copy_of(payload: &[u8]) -> impl FnOnce(&mut [u8]) -> vmscope_wire::Result<()> {
    move |buffer| {
        buffer.copy_from_slice(payload);
        Ok(())
    }
}
