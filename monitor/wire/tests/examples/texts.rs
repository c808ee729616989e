//! What people read.

use std::net::Ipv4Addr;

use vmscope_wire::{
    EchoRepr, FloatCode, GreRepr, GroupRecord, IcmpRepr, IgmpRepr, IpProtocol, Ipv4Options,
    Ipv4Repr, LinkType, ProbeRepr, QueryV3, RecordType, RtpRepr, TimeExceededCode, UdpRepr,
    UnreachableCode, decapsulate,
};

const SRC: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);
const GROUP: Ipv4Addr = Ipv4Addr::new(232, 1, 1, 1);
const SOURCES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 255, 0, 1), Ipv4Addr::new(10, 255, 0, 2)];

#[test]
fn packets() {
    let ipv4 = Ipv4Repr::new(SRC, GROUP, IpProtocol::Igmp, 16);
    let alert = Ipv4Repr {
        ttl: 1,
        tos: 0xc0,
        options: Ipv4Options::ROUTER_ALERT,
        ..ipv4
    };
    let part = Ipv4Repr {
        more_fragments: true,
        fragment_offset: 1480,
        ..ipv4
    };
    let unknown = Ipv4Repr {
        dont_fragment: true,
        protocol: IpProtocol::from(200),
        ..ipv4
    };
    let udp = UdpRepr {
        src_port: 33_900,
        dst_port: 5004,
        has_checksum: false,
        payload_len: 32,
    };
    let gre = GreRepr {
        sequence: Some(3),
        has_checksum: true,
        ..GreRepr::ipv4(Some(7), 60)
    };
    let probe = ProbeRepr {
        warm_up: true,
        session: 0xcafe,
        task: 3,
        tunnel: 5,
        sequence: 1000,
        sent_ns: 123_456_789,
    };
    let echo = EchoRepr {
        session: 0xcafe,
        tunnel: 5,
        sequence: 9,
    };
    let rtp = RtpRepr {
        marker: true,
        payload_type: 96,
        sequence: 7,
        timestamp: 90_000,
        ssrc: 1,
    };
    let lines = [
        ipv4.to_string(),
        alert.to_string(),
        part.to_string(),
        unknown.to_string(),
        udp.to_string(),
        gre.to_string(),
        GreRepr::ipv4(None, 60).to_string(),
        probe.to_string(),
        echo.to_string(),
        rtp.to_string(),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn igmp_messages() {
    let max_response_tenths = 100.try_into().expect("not zero");
    let query = QueryV3 {
        max_response_tenths: FloatCode::at_most(100),
        group: GROUP,
        suppress_router_side: true,
        robustness: 2,
        interval_seconds: FloatCode::at_most(125),
        sources: SOURCES[..].into(),
    };
    let records = [
        GroupRecord::new(RecordType::ToExclude, Ipv4Addr::new(239, 1, 1, 1), &[]),
        GroupRecord::new(RecordType::Allow, GROUP, &SOURCES),
        GroupRecord::new(RecordType::from(9), GROUP, &[]),
    ];
    let lines = [
        IgmpRepr::QueryV1,
        IgmpRepr::QueryV2 {
            max_response_tenths,
            group: Ipv4Addr::UNSPECIFIED,
        },
        IgmpRepr::QueryV3(query),
        IgmpRepr::ReportV1 { group: GROUP },
        IgmpRepr::ReportV2 { group: GROUP },
        IgmpRepr::LeaveV2 { group: GROUP },
        IgmpRepr::ReportV3 {
            records: records[..].into(),
        },
        IgmpRepr::Unknown {
            kind: 0x13,
            code: 5,
            body: &[0; 4],
        },
    ];
    insta::assert_snapshot!(lines.map(|line| line.to_string()).join("\n"));
}

#[test]
fn icmp_messages() {
    let quoted = &[0x45; 28][..];
    let lines = [
        IcmpRepr::EchoRequest {
            identifier: 5,
            sequence: 9,
            data: quoted,
        },
        IcmpRepr::EchoReply {
            identifier: 5,
            sequence: 9,
            data: &[],
        },
        IcmpRepr::DestinationUnreachable {
            code: UnreachableCode::Port,
            next_hop_mtu: 0,
            quoted,
        },
        IcmpRepr::DestinationUnreachable {
            code: UnreachableCode::FragmentationNeeded,
            next_hop_mtu: 1476,
            quoted,
        },
        IcmpRepr::TimeExceeded {
            code: TimeExceededCode::Transit,
            quoted,
        },
        IcmpRepr::Unknown {
            kind: 5,
            code: 1,
            rest_of_header: [10, 0, 0, 1],
            data: quoted,
        },
    ];
    insta::assert_snapshot!(lines.map(|line| line.to_string()).join("\n"));
}

#[test]
fn errors() {
    let text = |bytes: &[u8]| decapsulate(bytes).expect_err("refused").to_string();
    let mut header = [
        0x45, 0, 0, 24, 0, 0, 0, 0, 64, 47, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 8, 0,
    ];
    let mut lines = vec![text(&header[..12]), text(&header)];
    header[0] = 0x65;
    lines.push(text(&header));
    header[0] = 0x44;
    lines.push(text(&header));
    header[..4].copy_from_slice(&[0x45, 0, 1, 0]);
    lines.push(text(&header));
    lines.push(
        LinkType::LinuxSll2
            .open(&[0; 19])
            .expect_err("refused")
            .to_string(),
    );
    let full = UdpRepr {
        src_port: 1,
        dst_port: 2,
        has_checksum: true,
        payload_len: 10,
    };
    let full = full.emit(&mut [0; 12], SRC, GROUP, |_| Ok(()));
    lines.push(full.expect_err("refused").to_string());
    insta::assert_snapshot!(lines.join("\n"));
}
