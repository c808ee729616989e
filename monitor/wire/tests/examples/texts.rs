//! What people read.

use std::net::{IpAddr, Ipv4Addr};

use vmscope_wire::icmp::Timestamps;
use vmscope_wire::pim::{
    self, Assert, Attribute, AttributeType, Bootstrap, CandidateRp, DfElection, DfMetric, DfStep,
    Group, GroupRange, Hello, HelloOption, JoinPrune, LanPruneDelay, OptionType, PimType,
    RegisterStop, Rp, RpRange, Source, StateRefresh,
};
use vmscope_wire::{
    EchoRepr, FloatCode, GreRepr, GroupRecord, IcmpRepr, IgmpRepr, IpProtocol, Ipv4Options,
    Ipv4Repr, LinkType, MdtJoinTlv, PimRepr, ProbeRepr, QueryV3, RecordType, RtpRepr,
    TimeExceededCode, UdpRepr, UnreachableCode, decapsulate,
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
        reflected: false,
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
fn pim_messages() {
    let group = GroupRange::one(GROUP.into());
    let range = GroupRange {
        is_bidirectional: true,
        is_scope_zone: true,
        ..GroupRange::new(Ipv4Addr::new(239, 0, 0, 0).into(), 8)
    };
    let all = GroupRange::new(Ipv4Addr::new(224, 0, 0, 0).into(), 4);
    let [source, rp] = SOURCES.map(IpAddr::from);
    let attribute = [Attribute {
        is_forwarded: true,
        kind: AttributeType::RpfVector,
        value: &[10, 0, 0, 1],
    }];
    let meaningless = Source {
        is_rpt: false,
        attributes: attribute[..].into(),
        ..Source::any(rp)
    };
    let joins = [Source::any(rp), Source::new(source), meaningless];
    let prunes = [Source::on_rpt(source)];
    let groups = [
        Group {
            group,
            joins: joins[..].into(),
            prunes: prunes[..].into(),
        },
        Group {
            group: all,
            joins: joins[..1].into(),
            prunes: pim::List::NONE,
        },
    ];
    let join_prune = JoinPrune {
        upstream: rp,
        holdtime_seconds: 210,
        groups: groups[..].into(),
    };
    let delay = LanPruneDelay {
        can_track_joins: true,
        propagation_delay_ms: 500,
        override_interval_ms: 2500,
    };
    let addresses = [source, rp];
    let options = [
        HelloOption::Holdtime { seconds: 105 },
        HelloOption::LanPruneDelay(delay),
        HelloOption::DrPriority(1),
        HelloOption::GenerationId(0xcafe),
        HelloOption::StateRefresh {
            version: 1,
            interval_seconds: 60,
        },
        HelloOption::Bidirectional,
        HelloOption::AddressList(addresses[..].into()),
        HelloOption::InterfaceId {
            router: 0x0a00_0001,
            interface: 7,
        },
        HelloOption::Other {
            kind: OptionType::from(29),
            value: &[1],
        },
        HelloOption::Other {
            kind: OptionType::from(999),
            value: &[],
        },
    ];
    let rps = [Rp {
        address: rp,
        holdtime_seconds: 150,
        priority: 192,
    }];
    let ranges = [RpRange {
        group: range,
        rp_count: 2,
        rps: rps[..].into(),
    }];
    let ranges_of_groups = [range, group];
    let sender = DfMetric {
        preference: 110,
        metric: 20,
    };
    let offer = DfMetric {
        preference: 110,
        metric: 10,
    };
    let df = |step| PimRepr::DfElection(DfElection { rp, sender, step });
    let register = pim::Register {
        is_border: true,
        is_null: true,
        packet: &[0; 3],
    };
    let assert = Assert {
        group,
        source,
        is_rpt: false,
        preference: 110,
        metric: 20,
    };
    let any: IpAddr = Ipv4Addr::UNSPECIFIED.into();
    let lines = [
        PimRepr::Hello(Hello {
            options: options[..].into(),
        }),
        PimRepr::Register(register),
        PimRepr::RegisterStop(RegisterStop { group, source }),
        PimRepr::RegisterStop(RegisterStop { group, source: any }),
        PimRepr::JoinPrune(join_prune),
        PimRepr::Bootstrap(Bootstrap {
            no_forward: true,
            fragment_tag: 0x1234,
            hash_mask_len: 30,
            priority: 64,
            bsr: rp,
            ranges: ranges[..].into(),
        }),
        PimRepr::Assert(assert),
        PimRepr::Assert(Assert {
            source: any,
            is_rpt: true,
            ..assert
        }),
        PimRepr::Graft(JoinPrune {
            groups: groups[1..].into(),
            ..join_prune
        }),
        PimRepr::GraftAck(JoinPrune {
            groups: groups[1..].into(),
            ..join_prune
        }),
        PimRepr::CandidateRp(CandidateRp {
            priority: 192,
            holdtime_seconds: 150,
            rp,
            groups: ranges_of_groups[..].into(),
        }),
        PimRepr::CandidateRp(CandidateRp {
            priority: 0,
            holdtime_seconds: 0,
            rp,
            groups: pim::List::NONE,
        }),
        PimRepr::StateRefresh(StateRefresh {
            group,
            source,
            originator: rp,
            preference: 110,
            metric: 20,
            prefix_len: 24,
            ttl: 16,
            is_pruned: true,
            prune_now: true,
            assert_override: true,
            interval_seconds: 60,
        }),
        df(DfStep::Offer),
        df(DfStep::Winner),
        df(DfStep::Backoff {
            offering: source,
            offer,
            interval_ms: 1000,
        }),
        df(DfStep::Pass {
            winner: source,
            offer,
        }),
        PimRepr::Unknown {
            kind: PimType::from(12),
            flags: 0x80,
            body: &[0; 5],
        },
        PimRepr::Unknown {
            kind: PimType::from(14),
            flags: 0x10,
            body: &[],
        },
    ];
    insta::assert_snapshot!(lines.map(|line| line.to_string()).join("\n"));
}

#[test]
fn mdt_joins() {
    let mdt_group = Ipv4Addr::new(239, 2, 0, 1);
    let lines = [
        MdtJoinTlv::Ipv4 {
            source: SOURCES[0],
            group: GROUP,
            mdt_group,
        },
        MdtJoinTlv::Ipv6 {
            source: SOURCES[0].to_ipv6_mapped(),
            group: "ff3e::9".parse().expect("an address"),
            mdt_group,
        },
        MdtJoinTlv::Unknown {
            kind: 9,
            value: &[1, 2],
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
        IcmpRepr::TimestampReply {
            identifier: 5,
            sequence: 9,
            times: Timestamps {
                originate: 0x8000_0007,
                receive: 43_200_000,
                transmit: 43_200_001,
            },
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
