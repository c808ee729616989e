use std::net::Ipv4Addr;

use vmscope_wire::{
    Expected, Fault, IpProtocol, Ipv4Option, Ipv4Options, Ipv4Packet, Ipv4Repr, Protocol,
    checksum::Sum,
};

use crate::{unexpected, written};

const SRC: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const DST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn packet(repr: &Ipv4Repr) -> Vec<u8> {
    written(repr.buffer_len(), |b| {
        repr.emit(b, |payload| {
            payload.fill(0x11);
            Ok(())
        })
    })
}

/// RFC 1071 §3's example, in one piece and in odd ones.
#[test]
fn the_checksum_of_rfc_1071() {
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(Sum::of(&bytes).checksum(), !0xddf2);
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            let sum = Sum::of(&bytes[..first])
                .and(&bytes[first..second])
                .and(&bytes[second..]);
            assert_eq!(sum.checksum(), !0xddf2, "cut at {first} and {second}");
        }
    }
}

#[test]
fn the_checksum_of_nothing_and_of_all_ones() {
    assert_eq!(Sum::default().checksum(), 0xffff);
    assert_eq!(Sum::of(&[0xff; 64]).checksum(), 0);
    assert_eq!(Sum::of(&[0x12]).checksum(), !0x1200);
}

#[test]
fn link_padding_is_not_part_of_the_packet() {
    let bytes = packet(&Ipv4Repr::new(SRC, DST, IpProtocol::Udp, 6));
    let padded = [&bytes[..], &[0; 20]].concat();
    let view = Ipv4Packet::new_checked(&padded).expect("IPv4");
    assert_eq!(view.payload(), [0x11; 6]);
    assert!(!view.is_cut_short());
}

#[test]
fn a_packet_cut_short_is_refused_unless_one_says_so() {
    let bytes = packet(&Ipv4Repr::new(SRC, DST, IpProtocol::Udp, 6));
    let cut = &bytes[..22];
    let error = Ipv4Packet::new_checked(cut).expect_err("cut short");
    assert_eq!(
        error,
        unexpected(Protocol::Ipv4, "total length", 2, Expected::AtMost(22), 26)
    );
    let view = Ipv4Packet::new_cut_short(cut).expect("a whole header");
    assert!(view.is_cut_short());
    assert_eq!((view.total_len(), view.payload()), (26, &[0x11, 0x11][..]));
    assert_eq!(Ipv4Repr::parse(&view).expect("a header").payload_len, 6);
}

#[test]
fn router_alert_is_written_as_rfc_2113_has_it() {
    let repr = Ipv4Repr {
        options: Ipv4Options::ROUTER_ALERT,
        ..Ipv4Repr::new(SRC, DST, IpProtocol::Igmp, 0)
    };
    let bytes = packet(&repr);
    assert_eq!(bytes[0], 0x46);
    assert_eq!(bytes[20..24], [0x94, 0x04, 0, 0]);
    assert!(
        Ipv4Packet::new_checked(&bytes)
            .expect("IPv4")
            .has_router_alert()
    );
    let plain = packet(&Ipv4Repr::new(SRC, DST, IpProtocol::Igmp, 0));
    assert!(
        !Ipv4Packet::new_checked(&plain)
            .expect("IPv4")
            .has_router_alert()
    );
}

#[test]
fn options_end_at_the_end_of_list() {
    let options = Ipv4Options::parse(&[1, 7, 3, 4, 0, 0x94, 4, 0]).expect("options");
    let found: Vec<_> = options
        .iter()
        .map(|option| option.expect("an option"))
        .collect();
    let record_route = Ipv4Option::Unknown {
        kind: 7,
        data: &[4],
    };
    assert_eq!(found, [Ipv4Option::NoOperation, record_route]);
}

#[test]
fn options_that_lie_about_their_length_are_refused() {
    for (bytes, field) in [
        (&[7, 1, 0, 0][..], "option length"),
        (&[7, 5, 0, 0], "option"),
        (&[1, 1, 1, 7], "option"),
        (&[1, 1, 1], "options"),
        (&[1; 44], "options"),
    ] {
        let error = Ipv4Options::parse(bytes).expect_err("refused");
        assert_eq!(error.field, field, "{bytes:?}");
    }
}

#[test]
fn fragments_are_recognised() {
    let whole = Ipv4Repr::new(SRC, DST, IpProtocol::Udp, 0);
    let first = Ipv4Repr {
        more_fragments: true,
        ..whole
    };
    let last = Ipv4Repr {
        fragment_offset: 1480,
        ..whole
    };
    for (repr, is_fragment) in [(whole, false), (first, true), (last, true)] {
        let bytes = packet(&repr);
        assert_eq!(
            Ipv4Packet::new_checked(&bytes).expect("IPv4").is_fragment(),
            is_fragment
        );
    }
    let error = Ipv4Repr {
        fragment_offset: 4,
        ..whole
    }
    .emit(&mut [0; 20], |_| Ok(()));
    let expected = Expected::MultipleOf(8);
    assert_eq!(
        error,
        Err(unexpected(
            Protocol::Ipv4,
            "fragment offset",
            6,
            expected,
            4
        ))
    );
}

#[test]
fn a_packet_longer_than_its_length_field_is_not_written() {
    let repr = Ipv4Repr::new(SRC, DST, IpProtocol::Udp, 65_516);
    let error = repr
        .emit(&mut vec![0; 70_000], |_| Ok(()))
        .expect_err("too long");
    assert_eq!(
        error.to_string(),
        "IPv4: total length at byte 2 is 65536, expected at most 65535"
    );
    let error = repr
        .emit(&mut [0; 100], |_| Ok(()))
        .expect_err("too long for the buffer");
    assert_eq!(
        error.fault,
        Fault::NoRoom {
            needed: 65_536,
            room: 100
        }
    );
}
