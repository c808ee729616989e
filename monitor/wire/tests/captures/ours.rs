//! Packets that this crate writes, shown to tshark once: what goes out must be good to others too.

use std::net::Ipv4Addr;

use vmscope_wire::{
    Addressing, EchoRepr, FloatCode, GreRepr, GroupRecord, IcmpRepr, IgmpRepr, Inner, IpProtocol,
    Ipv4Repr, Outer, ProbeRepr, QueryV3, RecordType, RtpRepr, UdpRepr, encapsulate, tunnel,
};

const MONITOR: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);
const PE: Ipv4Addr = Ipv4Addr::new(10, 254, 1, 1);
const INNER_MONITOR: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);
const INNER_PE: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 1);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);
const CHANNEL: Ipv4Addr = Ipv4Addr::new(232, 1, 1, 1);
const SOURCES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 255, 0, 1), Ipv4Addr::new(10, 255, 0, 2)];

/// Names and bytes.
pub fn packets() -> Vec<(&'static str, Vec<u8>)> {
    let plain = Outer::new(MONITOR, PE, None);
    let keyed = Outer {
        key: Some(7),
        ..plain
    };
    let everything = Outer {
        sequence: Some(4711),
        has_checksum: true,
        ..keyed
    };
    vec![
        ("probe", in_tunnel(&plain, &probe())),
        ("probe-key", in_tunnel(&keyed, &probe())),
        (
            "probe-checksum-key-sequence",
            in_tunnel(&everything, &probe()),
        ),
        ("echo", in_tunnel(&keyed, &echo(&session().to_bytes()))),
        (
            "igmp-v2-report",
            in_tunnel(&keyed, &igmp(IgmpRepr::ReportV2 { group: GROUP })),
        ),
        (
            "igmp-v2-leave",
            in_tunnel(&keyed, &igmp(IgmpRepr::LeaveV2 { group: GROUP })),
        ),
        (
            "igmp-v3-report",
            in_tunnel(&keyed, &igmp(report(&records()))),
        ),
        ("igmp-v3-query", in_tunnel(&keyed, &igmp(query()))),
        ("customer-rtp-on-mdt", in_mdt(&everything)),
    ]
}

fn in_tunnel(outer: &Outer, inner: &Inner<'_>) -> Vec<u8> {
    let mut buffer = vec![0xee; tunnel::encapsulated_len(outer, inner)];
    let length = encapsulate(outer, inner, &mut buffer).expect("a packet");
    assert_eq!(length, buffer.len());
    buffer
}

fn probe() -> Inner<'static> {
    let probe = ProbeRepr {
        warm_up: false,
        reflected: false,
        session: 0xcafe_f00d,
        task: 3,
        tunnel: 5,
        sequence: 1000,
        sent_ns: 123_456_789_012,
    };
    let ip = Addressing {
        ttl: 32,
        tos: 0xb8,
        identification: 1000,
        ..Addressing::new(INNER_MONITOR, GROUP)
    };
    Inner::Probe {
        ip,
        src_port: 33_900,
        dst_port: 33_900,
        probe,
        payload_len: 101,
    }
}

fn session() -> EchoRepr {
    EchoRepr {
        session: 0xcafe_f00d,
        tunnel: 5,
        sequence: 9,
    }
}

fn echo(data: &[u8]) -> Inner<'_> {
    let message = IcmpRepr::EchoRequest {
        identifier: 5,
        sequence: 9,
        data,
    };
    Inner::Icmp {
        ip: Addressing::new(INNER_MONITOR, INNER_PE),
        message,
    }
}

fn igmp(message: IgmpRepr<'_>) -> Inner<'_> {
    Inner::Igmp {
        src: INNER_MONITOR,
        message,
    }
}

fn records() -> [GroupRecord<'static>; 4] {
    [
        GroupRecord::new(RecordType::ToExclude, GROUP, &[]),
        GroupRecord::new(RecordType::Allow, CHANNEL, &SOURCES),
        GroupRecord {
            aux_data: b"auxiliar",
            ..GroupRecord::new(RecordType::Block, CHANNEL, &SOURCES[..1])
        },
        GroupRecord::new(RecordType::IsInclude, CHANNEL, &SOURCES[1..]),
    ]
}

fn report<'a>(records: &'a [GroupRecord<'a>]) -> IgmpRepr<'a> {
    IgmpRepr::ReportV3 {
        records: records.into(),
    }
}

fn query() -> IgmpRepr<'static> {
    IgmpRepr::QueryV3(QueryV3 {
        max_response_tenths: FloatCode::at_most(250),
        group: CHANNEL,
        suppress_router_side: true,
        robustness: 2,
        interval_seconds: FloatCode::at_most(300),
        sources: SOURCES[..].into(),
    })
}

/// What a PE sends through the tunnel if the monitor has joined the default MDT: IPv4, GRE, the MDT's
/// IPv4 and GRE, and the customer's packet.
fn in_mdt(outer: &Outer) -> Vec<u8> {
    let rtp = RtpRepr {
        marker: true,
        payload_type: 96,
        sequence: 65_535,
        timestamp: 90_000,
        ssrc: 0x0badcafe,
    };
    let udp = UdpRepr {
        src_port: 5004,
        dst_port: 5004,
        has_checksum: true,
        payload_len: 20,
    };
    let (source, group) = (Ipv4Addr::new(192, 168, 1, 10), Ipv4Addr::new(239, 9, 9, 9));
    let customer = Ipv4Repr::new(source, group, IpProtocol::Udp, udp.buffer_len());
    let mdt_gre = GreRepr::ipv4(None, customer.buffer_len());
    let mdt = Ipv4Repr::new(SOURCES[0], GROUP, IpProtocol::Gre, mdt_gre.buffer_len());
    let gre = GreRepr {
        has_checksum: outer.has_checksum,
        sequence: outer.sequence,
        ..GreRepr::ipv4(outer.key, mdt.buffer_len())
    };
    let ipv4 = Ipv4Repr::new(PE, MONITOR, IpProtocol::Gre, gre.buffer_len());
    let mut buffer = vec![0; ipv4.buffer_len()];
    let nested = ipv4.emit(&mut buffer, |b| {
        gre.emit(b, |b| {
            mdt.emit(b, |b| {
                mdt_gre.emit(b, |b| {
                    customer.emit(b, |b| udp.emit(b, source, group, |b| rtp.emit(b)))
                })
            })
        })
    });
    nested.expect("a packet");
    buffer
}
