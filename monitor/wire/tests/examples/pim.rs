use std::net::{IpAddr, Ipv4Addr};

use vmscope_wire::pim::*;
use vmscope_wire::{PimPacket, PimRepr, PimType, Result, checksum::Sum};

use crate::written;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);
const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const RP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);

/// A message with its checksum put in.
fn summed(kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut message = [&[0x20 | kind, flags, 0, 0], body].concat();
    let covered = if kind == 1 { 8 } else { message.len() };
    let checksum = Sum::of(&message[..covered]).checksum();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

fn read(message: &[u8]) -> Result<PimRepr<'_>> {
    PimPacket::new_checked(message).and_then(|packet| PimRepr::parse(&packet))
}

fn refused(message: &[u8]) -> String {
    read(message).expect_err("refused").to_string()
}

fn v4(address: Ipv4Addr) -> IpAddr {
    IpAddr::V4(address)
}

/// RFC 7761 §4.9.5 and §4.9.1: the bytes of a join, as any router reads them.
#[test]
fn a_join_byte_for_byte() {
    let joins = [Source::any(v4(RP)), Source::new(v4(SOURCE))];
    let prunes = [Source::on_rpt(v4(SOURCE))];
    let groups = [Group {
        group: GroupRange::one(v4(GROUP)),
        joins: joins[..].into(),
        prunes: prunes[..].into(),
    }];
    let message = PimRepr::JoinPrune(JoinPrune {
        upstream: v4(Ipv4Addr::new(10, 0, 0, 2)),
        holdtime_seconds: 210,
        groups: groups[..].into(),
    });
    let body = [
        &[1, 0, 10, 0, 0, 2, 0, 1, 0, 210][..],
        &[1, 0, 0, 32, 239, 1, 1, 1, 0, 2, 0, 1],
        &[1, 0, 7, 32, 10, 0, 0, 9],
        &[1, 0, 4, 32, 10, 0, 0, 1],
        &[1, 0, 5, 32, 10, 0, 0, 1],
    ]
    .concat();
    let bytes = written(message.buffer_len(), |b| message.emit(b));
    assert_eq!(bytes, summed(3, 0, &body));
    assert_eq!(message.destination(), Some(ALL_PIM_ROUTERS));
    let Ok(PimRepr::JoinPrune(found)) = read(&bytes) else {
        panic!("not a Join/Prune");
    };
    let entries: Vec<_> = found
        .entries()
        .map(|entry| (entry.action, entry.route))
        .collect();
    let expected = [
        (Action::Join, Some(Route::StarG)),
        (Action::Join, Some(Route::Sg)),
        (Action::Prune, Some(Route::SgRpt)),
    ];
    assert_eq!(entries, expected);
}

/// RFC 7761 §4.9.5.1, and RFC 4601 §4.9.5.1 for (*,*,RP).
#[test]
fn what_w_and_r_mean() {
    let one = GroupRange::one(v4(GROUP));
    let all = GroupRange::new(v4(Ipv4Addr::new(224, 0, 0, 0)), 4);
    let all_ipv6 = GroupRange::new("ff00::".parse().expect("an address"), 8);
    let wrong = Source {
        is_rpt: false,
        ..Source::any(v4(RP))
    };
    assert_eq!(Source::any(v4(RP)).route(&one), Some(Route::StarG));
    assert_eq!(Source::any(v4(RP)).route(&all), Some(Route::StarStarRp));
    assert_eq!(
        Source::any(v4(RP)).route(&all_ipv6),
        Some(Route::StarStarRp)
    );
    assert_eq!(Source::new(v4(SOURCE)).route(&one), Some(Route::Sg));
    assert_eq!(Source::on_rpt(v4(SOURCE)).route(&one), Some(Route::SgRpt));
    assert_eq!(wrong.route(&one), None);
}

/// RFC 5384 §3.1 and §3.2: F and E before a type of six bits; a native source has none.
#[test]
fn join_attributes_are_kept_and_do_not_hide_what_follows() {
    let body = [
        &[1, 0, 10, 0, 0, 2, 0, 1, 0, 210][..],
        &[1, 0, 0, 32, 239, 1, 1, 1, 0, 2, 0, 0],
        &[
            1, 1, 4, 32, 10, 0, 0, 1, 0x80, 4, 10, 9, 9, 9, 0x7f, 1, 0xaa,
        ],
        &[1, 0, 4, 32, 10, 0, 0, 9],
    ]
    .concat();
    let bytes = summed(3, 0, &body);
    let Ok(PimRepr::JoinPrune(message)) = read(&bytes) else {
        panic!("not a Join/Prune");
    };
    let sources: Vec<_> = message.entries().map(|entry| entry.source).collect();
    let attributes: Vec<_> = sources[0].attributes.iter().collect();
    assert_eq!(sources[1], Source::new(v4(RP)));
    assert_eq!(attributes[0].kind, AttributeType::RpfVector);
    assert_eq!(
        (attributes[0].is_forwarded, attributes[0].value),
        (true, &[10, 9, 9, 9][..])
    );
    assert_eq!(attributes[1].kind, AttributeType::Unknown(63));
    assert_eq!(
        (attributes[1].is_forwarded, attributes[1].value),
        (false, &[0xaa][..])
    );
    let message = PimRepr::JoinPrune(message);
    assert_eq!(written(message.buffer_len(), |b| message.emit(b)), bytes);

    let endless = [&body[..22], &[1, 1, 4, 32, 10, 0, 0, 1, 0x00, 0]].concat();
    let error = "PIM: join attribute at byte 36 needs 1 bytes, 0 are left";
    assert_eq!(refused(&summed(3, 0, &endless)), error);
}

/// RFC 7761 §4.9.2; RFC 3973 §4.7.5; RFC 5015 §3.7.4; RFC 5384 §3.3.1.
#[test]
fn a_hello_byte_for_byte() {
    let addresses = [v4(SOURCE), "2001:db8::1".parse().expect("an address")];
    let delay = LanPruneDelay {
        can_track_joins: true,
        propagation_delay_ms: 500,
        override_interval_ms: 2500,
    };
    let options = [
        HelloOption::Holdtime { seconds: 105 },
        HelloOption::LanPruneDelay(delay),
        HelloOption::DrPriority(1),
        HelloOption::GenerationId(0xcafe_f00d),
        HelloOption::StateRefresh {
            version: 1,
            interval_seconds: 60,
        },
        HelloOption::Bidirectional,
        HelloOption::AddressList(addresses[..].into()),
        HelloOption::JoinAttribute,
        HelloOption::Other {
            kind: OptionType::from(65_001),
            value: b"own",
        },
    ];
    let hello = Hello {
        options: options[..].into(),
    };
    let body = [
        &[0, 1, 0, 2, 0, 105, 0, 2, 0, 4, 0x81, 0xf4, 0x09, 0xc4][..],
        &[0, 19, 0, 4, 0, 0, 0, 1, 0, 20, 0, 4, 0xca, 0xfe, 0xf0, 0x0d],
        &[0, 21, 0, 4, 1, 60, 0, 0, 0, 22, 0, 0],
        &[0, 24, 0, 24, 1, 0, 10, 0, 0, 1, 2, 0],
        &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0, 26, 0, 0, 0xfd, 0xe9, 0, 3, b'o', b'w', b'n'],
    ]
    .concat();
    let bytes = summed(0, 0, &body);
    let message = PimRepr::Hello(hello);
    assert_eq!(written(message.buffer_len(), |b| message.emit(b)), bytes);
    assert_eq!(read(&bytes), Ok(message));
    assert_eq!(hello.holdtime_seconds(), Some(105));
    assert_eq!(
        (hello.lan_prune_delay(), hello.dr_priority()),
        (Some(delay), Some(1))
    );
    assert_eq!(hello.generation_id(), Some(0xcafe_f00d));
    assert!(hello.addresses().iter().eq(addresses) && hello.is_bidirectional());
}

#[test]
fn a_hello_without_options_says_nothing_but_is_one() {
    let hello = Hello {
        options: List::NONE,
    };
    assert_eq!(read(&summed(0, 0, &[])), Ok(PimRepr::Hello(hello)));
    assert_eq!(
        (hello.holdtime_seconds(), hello.dr_priority()),
        (None, None)
    );
    assert_eq!(
        (hello.generation_id(), hello.lan_prune_delay()),
        (None, None)
    );
    assert!(hello.addresses().is_empty() && !hello.is_bidirectional());
}

/// RFC 7761 §4.9: a Register's checksum covers 8 bytes, and one over everything is accepted.
#[test]
fn both_checksums_of_a_register() {
    let body = [0x40, 0, 0, 0, 0x45, 0, 0, 20];
    let mut register = summed(1, 0, &body);
    let Ok(PimRepr::Register(found)) = read(&register) else {
        panic!("not a Register");
    };
    assert_eq!(
        (found.is_border, found.is_null, found.packet),
        (false, true, &body[4..])
    );
    let over_8 = register[2..4].to_vec();
    register[2..4].fill(0);
    let whole = Sum::of(&register).checksum().to_be_bytes();
    register[2..4].copy_from_slice(&whole);
    assert_ne!(over_8, whole);
    assert!(read(&register).is_ok());
    register[3] ^= 1;
    assert!(refused(&register).contains("checksum at byte 2"));
    let mut others = summed(2, 0, &[1, 0, 0, 32, 239, 1, 1, 1, 1, 0, 10, 0, 0, 1]);
    others[2..4].fill(0);
    let over_8 = Sum::of(&others[..8]).checksum().to_be_bytes();
    others[2..4].copy_from_slice(&over_8);
    assert!(refused(&others).contains("checksum at byte 2"));
}

/// RFC 5059 §4.1: N is the header's first flag.
#[test]
fn a_bootstrap_message_byte_for_byte() {
    let rps = [Rp {
        address: v4(RP),
        holdtime_seconds: 150,
        priority: 192,
    }];
    let ranges = [RpRange {
        group: GroupRange {
            is_bidirectional: true,
            is_scope_zone: true,
            ..GroupRange::new(v4(Ipv4Addr::new(239, 0, 0, 0)), 8)
        },
        rp_count: 2,
        rps: rps[..].into(),
    }];
    let message = PimRepr::Bootstrap(Bootstrap {
        no_forward: true,
        fragment_tag: 0x1234,
        hash_mask_len: 30,
        priority: 64,
        bsr: v4(SOURCE),
        ranges: ranges[..].into(),
    });
    let body = [
        &[0x12, 0x34, 30, 64, 1, 0, 10, 0, 0, 1][..],
        &[1, 0, 0x81, 8, 239, 0, 0, 0, 2, 1, 0, 0],
        &[1, 0, 10, 0, 0, 9, 0, 150, 192, 0],
    ]
    .concat();
    let bytes = summed(4, 0x80, &body);
    assert_eq!(written(message.buffer_len(), |b| message.emit(b)), bytes);
    assert_eq!(read(&bytes), Ok(message));
}

/// RFC 5015 §3.7.1 to §3.7.3: the subtype is in the upper half of the flags, the lower half is ignored.
#[test]
fn df_elections_byte_for_byte() {
    let sender = [&[1, 0, 10, 0, 0, 9][..], &[0, 0, 0, 110, 0, 0, 0, 20]].concat();
    let other = [1, 0, 10, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 10];
    let offer = DfMetric {
        preference: u32::MAX,
        metric: 10,
    };
    let backoff = DfStep::Backoff {
        offering: v4(SOURCE),
        offer,
        interval_ms: 1000,
    };
    let pass = DfStep::Pass {
        winner: v4(SOURCE),
        offer,
    };
    for (subtype, body, step) in [
        (1, sender.clone(), DfStep::Offer),
        (2, sender.clone(), DfStep::Winner),
        (3, [&sender[..], &other, &[3, 0xe8]].concat(), backoff),
        (4, [&sender[..], &other].concat(), pass),
    ] {
        let message = PimRepr::DfElection(DfElection {
            rp: v4(RP),
            sender: DfMetric {
                preference: 110,
                metric: 20,
            },
            step,
        });
        let bytes = summed(10, subtype << 4, &body);
        assert_eq!(written(message.buffer_len(), |b| message.emit(b)), bytes);
        let reserved = summed(10, subtype << 4 | 0x0f, &body);
        assert_eq!((read(&bytes), read(&reserved)), (Ok(message), Ok(message)));
        assert!(read(&summed(10, subtype << 4, &body[..body.len() - 1])).is_err());
    }
}

/// RFC 3973 §4.7.10: R is ignored, the flags are P, N, O.
#[test]
fn a_state_refresh_byte_for_byte() {
    let body = [
        &[
            1, 0, 0, 32, 239, 1, 1, 1, 1, 0, 10, 0, 0, 1, 1, 0, 10, 0, 0, 9,
        ][..],
        &[0x80, 0, 0, 110, 0, 0, 0, 20, 24, 16, 0xbf, 60],
    ]
    .concat();
    let Ok(PimRepr::StateRefresh(found)) = read(&summed(9, 0, &body)) else {
        panic!("not a State Refresh");
    };
    let expected = StateRefresh {
        group: GroupRange::one(v4(GROUP)),
        source: v4(SOURCE),
        originator: v4(RP),
        preference: 110,
        metric: 20,
        prefix_len: 24,
        ttl: 16,
        is_pruned: true,
        prune_now: false,
        assert_override: true,
        interval_seconds: 60,
    };
    assert_eq!(found, expected);
}

/// RFC 9436 §5: three types have sixteen subtypes each. RFC 9466 §4.2: an Assert with P is another format.
#[test]
fn what_is_not_known_is_kept() {
    for (kind, flags, subtype) in [
        (11, 0x50, None),
        (13, 0x10, Some(1)),
        (15, 0xf3, Some(15)),
        (5, 1, None),
        (10, 0x50, Some(5)),
    ] {
        let bytes = summed(kind, flags, b"body");
        let packet = PimPacket::new_checked(&bytes).expect("PIM");
        assert_eq!((packet.flags(), packet.subtype()), (flags, subtype));
        let expected = PimRepr::Unknown {
            kind: PimType::from(kind),
            flags,
            body: b"body",
        };
        assert_eq!(PimRepr::parse(&packet), Ok(expected));
        assert_eq!(written(bytes.len(), |b| expected.emit(b)), bytes);
    }
}

#[test]
fn reserved_bits_and_what_follows_are_ignored() {
    let body = [
        &[1, 0, 0, 32, 239, 1, 1, 1, 1, 0, 10, 0, 0, 1][..],
        &[0x80, 0, 0, 1, 0, 0, 0, 2],
    ]
    .concat();
    let assert = read(&summed(5, 0, &body)).map(|message| message.to_string());
    assert_eq!(
        assert,
        Ok("PIM Assert (10.0.0.1,239.1.1.1) rpt preference 1 metric 2".into())
    );
    let mut strange = body.clone();
    strange[2] = 0x7e;
    strange.extend(b"more");
    assert_eq!(read(&summed(5, 0xfe, &strange)), read(&summed(5, 0, &body)));
}

/// Every error names field and byte.
#[test]
fn what_is_wrong_is_said() {
    let version_1 = [&[0x13, 0, 0, 0][..], &[0; 8]].concat();
    assert_eq!(
        refused(&version_1),
        "PIM: version at byte 0 is 1, expected 2"
    );
    let upstream = [3, 0, 10, 0, 0, 2, 0, 1, 0, 210];
    let error = "PIM: address family at byte 4 is 3, expected 1 (IPv4) or 2 (IPv6)";
    assert_eq!(refused(&summed(3, 0, &upstream)), error);
    let encoding = [1, 1, 10, 0, 0, 2, 0, 1, 0, 210];
    assert_eq!(
        refused(&summed(3, 0, &encoding)),
        "PIM: encoding type at byte 5 is 1, expected 0"
    );
    let group = [
        &[1, 0, 10, 0, 0, 2, 0, 1, 0, 210][..],
        &[1, 0, 0, 33, 239, 1, 1, 1, 0, 1, 0, 0],
    ]
    .concat();
    assert_eq!(
        refused(&summed(3, 0, &group)),
        "PIM: group mask length at byte 17 is 33, expected at most 32"
    );
    let mut missing = group.clone();
    missing[13] = 32;
    let error = "PIM: address family at byte 26 needs 1 bytes, 0 are left";
    assert_eq!(refused(&summed(3, 0, &missing)), error);
    // RFC 7761 §4.9.1: a source's mask is as long as its address.
    let masked = [&missing[..], &[1, 0, 4, 24, 10, 0, 0, 1]].concat();
    assert_eq!(
        refused(&summed(3, 0, &masked)),
        "PIM: source mask length at byte 29 is 24, expected 32"
    );
    let encoded = [&missing[..], &[1, 2, 4, 32, 10, 0, 0, 1]].concat();
    let error =
        "PIM: encoding type at byte 27 is 2, expected 0 (native) or 1 (with join attributes)";
    assert_eq!(refused(&summed(3, 0, &encoded)), error);
    let holdtime = [0, 1, 0, 4, 0, 0, 0, 105];
    assert_eq!(
        refused(&summed(0, 0, &holdtime)),
        "PIM: option length at byte 6 is 4, expected 2"
    );
    let long = [0xfd, 0xe9, 0, 4, 0];
    assert_eq!(
        refused(&summed(0, 0, &long)),
        "PIM: option value at byte 8 needs 4 bytes, 1 are left"
    );
    let half = [0, 24, 0, 7, 1, 0, 10, 0, 0, 1, 1];
    assert_eq!(
        refused(&summed(0, 0, &half)),
        "PIM: encoding type at byte 15 needs 1 bytes, 0 are left"
    );
}

#[test]
fn values_that_do_not_fit_are_not_written() {
    let refused = |message: PimRepr<'_>| {
        let mut buffer = vec![0; message.buffer_len()];
        message.emit(&mut buffer).expect_err("refused").to_string()
    };
    let group = GroupRange::new(v4(GROUP), 33);
    let stop = RegisterStop {
        group,
        source: v4(SOURCE),
    };
    let error = "PIM: group mask length at byte 7 is 33, expected at most 32";
    assert_eq!(refused(PimRepr::RegisterStop(stop)), error);
    let groups = [GroupRange::one(v4(GROUP)); 256];
    let candidate = CandidateRp {
        priority: 0,
        holdtime_seconds: 150,
        rp: v4(RP),
        groups: groups[..].into(),
    };
    let error = "PIM: prefix count at byte 4 is 256, expected at most 255";
    assert_eq!(refused(PimRepr::CandidateRp(candidate)), error);
    let delay = [HelloOption::LanPruneDelay(LanPruneDelay {
        can_track_joins: false,
        propagation_delay_ms: 0x8000,
        override_interval_ms: 0,
    })];
    let hello = Hello {
        options: delay[..].into(),
    };
    let error = "PIM: propagation delay at byte 8 is 32768, expected at most 32767";
    assert_eq!(refused(PimRepr::Hello(hello)), error);
    let unknown = PimRepr::Unknown {
        kind: PimType::from(16),
        flags: 0,
        body: &[],
    };
    assert_eq!(
        refused(unknown),
        "PIM: type at byte 0 is 16, expected at most 15"
    );
}
