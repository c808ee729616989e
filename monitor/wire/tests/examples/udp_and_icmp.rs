use std::net::Ipv4Addr;

use vmscope_wire::{
    Fault, IcmpPacket, IcmpRepr, IpProtocol, UdpPacket, UdpRepr, UnreachableCode, checksum::Sum,
    icmp::Timestamps,
};

use crate::written;

const SRC: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const DST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn datagram(has_checksum: bool, payload: &[u8]) -> Vec<u8> {
    let repr = UdpRepr {
        src_port: 1,
        dst_port: 2,
        has_checksum,
        payload_len: payload.len(),
    };
    written(repr.buffer_len(), |b| {
        repr.emit(b, SRC, DST, |buffer| {
            buffer.copy_from_slice(payload);
            Ok(())
        })
    })
}

/// RFC 768: a checksum of zero says that there is none.
#[test]
fn an_absent_checksum_is_not_verified() {
    let mut bytes = datagram(false, b"payload");
    assert_eq!(bytes[6..8], [0, 0]);
    bytes[9] ^= 0xff;
    let packet = UdpPacket::new_checked(&bytes).expect("UDP");
    assert_eq!(
        (packet.checksum(), packet.verify_checksum(SRC, DST)),
        (None, Ok(()))
    );
}

/// RFC 768: a computed zero is sent as all ones.
#[test]
fn a_computed_zero_is_sent_as_all_ones() {
    let sum = Sum::of_pseudo_header(SRC, DST, IpProtocol::Udp, 10).and(&[0, 1, 0, 2, 0, 10]);
    let payload = sum.checksum().to_be_bytes();
    let bytes = datagram(true, &payload);
    assert_eq!(bytes[6..8], [0xff, 0xff]);
    let packet = UdpPacket::new_checked(&bytes).expect("UDP");
    assert_eq!(packet.verify_checksum(SRC, DST), Ok(()));
}

#[test]
fn the_checksum_covers_the_addresses() {
    let bytes = datagram(true, b"payload");
    let packet = UdpPacket::new_checked(&bytes).expect("UDP");
    assert_eq!(packet.verify_checksum(SRC, DST), Ok(()));
    let error = packet
        .verify_checksum(SRC, Ipv4Addr::new(10, 0, 0, 3))
        .expect_err("another");
    assert!(matches!(error.fault, Fault::Checksum { .. }), "{error}");
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let mut bytes = datagram(true, b"payload");
    bytes[5] = 7;
    let error = UdpPacket::new_checked(&bytes).expect_err("shorter than a header");
    assert_eq!(
        error.to_string(),
        "UDP: length at byte 4 is 7, expected at least 8"
    );
    bytes[5] = 16;
    let error = UdpPacket::new_checked(&bytes).expect_err("longer than the bytes");
    assert_eq!(
        error.to_string(),
        "UDP: length at byte 4 is 16, expected at most 15"
    );
}

/// RFC 4884 §4: a length, if given, ends the quoted packet; extensions follow.
#[test]
fn extensions_are_not_quoted() {
    let mut message = vec![3, 1, 0, 0, 0, 2, 0, 0];
    message.extend(1..=12);
    let checksum = Sum::of(&message).checksum();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let packet = IcmpPacket::new_checked(&message).expect("ICMP");
    let repr = IcmpRepr::parse(&packet).expect("an error message");
    let code = UnreachableCode::Host;
    let quoted = &[1, 2, 3, 4, 5, 6, 7, 8][..];
    assert_eq!(
        repr,
        IcmpRepr::DestinationUnreachable {
            code,
            next_hop_mtu: 0,
            quoted
        }
    );
}

#[test]
fn only_errors_quote() {
    let echo = IcmpRepr::EchoReply {
        identifier: 1,
        sequence: 1,
        data: &[0x45; 28],
    };
    assert!(echo.quoted_packet().is_none());
    let error = IcmpRepr::DestinationUnreachable {
        code: UnreachableCode::Port,
        next_hop_mtu: 0,
        quoted: &[0x45; 19],
    };
    let error = error
        .quoted_packet()
        .expect("an error")
        .expect_err("19 bytes");
    assert_eq!(
        error.to_string(),
        "IPv4: header at byte 8 needs 20 bytes, 19 are left"
    );
}

/// RFC 792, page 16. Another length is no timestamp message, and is kept as it is.
#[test]
fn a_timestamp_message_has_three_times() {
    let repr = IcmpRepr::TimestampReply {
        identifier: 0x1234,
        sequence: 0x5678,
        times: Timestamps {
            originate: 0x8000_0003,
            receive: 86_399_999,
            transmit: 1,
        },
    };
    let bytes = written(repr.buffer_len(), |b| repr.emit(b));
    assert_eq!(bytes[..2], [14, 0]);
    let behind_checksum = [
        0x12, 0x34, 0x56, 0x78, 0x80, 0, 0, 3, 0x05, 0x26, 0x5b, 0xff, 0, 0, 0, 1,
    ];
    assert_eq!(bytes[4..], behind_checksum);
    let longer = IcmpRepr::Unknown {
        kind: 14,
        code: 0,
        rest_of_header: [0; 4],
        data: &[0; 13],
    };
    let bytes = written(longer.buffer_len(), |b| longer.emit(b));
    let packet = IcmpPacket::new_checked(&bytes).expect("ICMP");
    assert_eq!(IcmpRepr::parse(&packet), Ok(longer));
}
