use std::net::Ipv4Addr;

use vmscope_wire::{MdtJoinPacket, MdtJoinTlv, mdt_join};

const IPV4: MdtJoinTlv<'static> = MdtJoinTlv::Ipv4 {
    source: Ipv4Addr::new(192, 168, 1, 10),
    group: Ipv4Addr::new(239, 9, 9, 9),
    mdt_group: Ipv4Addr::new(239, 2, 0, 1),
};
const IPV4_BYTES: [u8; 16] = [1, 0, 16, 0, 192, 168, 1, 10, 239, 9, 9, 9, 239, 2, 0, 1];

fn written(tlvs: &[MdtJoinTlv<'_>]) -> Vec<u8> {
    let length = mdt_join::buffer_len(tlvs.iter().copied());
    crate::written(length, |b| {
        mdt_join::emit(tlvs.iter().copied(), b).map(|_| ())
    })
}

fn refused(bytes: &[u8]) -> String {
    MdtJoinPacket::new_checked(bytes)
        .expect_err("refused")
        .to_string()
}

/// RFC 6037 §7.2 and §7.3.
#[test]
fn tlvs_byte_for_byte() {
    assert_eq!(written(&[IPV4]), IPV4_BYTES);
    let ipv6 = MdtJoinTlv::Ipv6 {
        source: "2001:db8::1".parse().expect("an address"),
        group: "ff3e::9".parse().expect("an address"),
        mdt_group: Ipv4Addr::new(239, 2, 0, 2),
    };
    let bytes = [
        &[4, 0, 40, 0][..],
        &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0xff, 0x3e, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9],
        &[239, 2, 0, 2],
    ]
    .concat();
    assert_eq!(written(&[ipv6]), bytes);
    let both = [&IPV4_BYTES[..], &bytes].concat();
    let packet = MdtJoinPacket::new_checked(&both).expect("two TLVs");
    assert!(packet.tlvs().eq([IPV4, ipv6]));
}

#[test]
fn what_is_not_known_is_passed_over() {
    let bytes = [&[9, 0, 5, 1, 2][..], &IPV4_BYTES, &[8, 0, 3]].concat();
    let packet = MdtJoinPacket::new_checked(&bytes).expect("three TLVs");
    let unknown = |kind, value| MdtJoinTlv::Unknown { kind, value };
    let tlvs = [unknown(9, &[1, 2]), IPV4, unknown(8, &[])];
    assert!(packet.tlvs().eq(tlvs));
    assert_eq!(written(&tlvs), bytes);
}

/// The reserved byte is ignored.
#[test]
fn reserved_is_ignored() {
    let mut bytes = IPV4_BYTES;
    bytes[3] = 0xff;
    let packet = MdtJoinPacket::new_checked(&bytes).expect("a TLV");
    assert!(packet.tlvs().eq([IPV4]));
}

#[test]
fn tlvs_fill_the_datagram_or_it_is_refused() {
    assert_eq!(
        refused(&[]),
        "MDT Join: TLV at byte 0 needs 3 bytes, 0 are left"
    );
    let short = "MDT Join: TLV at byte 0 needs 16 bytes, 15 are left";
    assert_eq!(refused(&IPV4_BYTES[..15]), short);
    let behind = [&IPV4_BYTES[..], &[0]].concat();
    assert_eq!(
        refused(&behind),
        "MDT Join: TLV at byte 16 needs 3 bytes, 1 are left"
    );
    let mut wrong = IPV4_BYTES;
    wrong[2] = 12;
    assert_eq!(
        refused(&wrong),
        "MDT Join: TLV length at byte 1 is 12, expected 16"
    );
    assert_eq!(
        refused(&[9, 0, 2]),
        "MDT Join: TLV length at byte 1 is 2, expected at least 3"
    );
    assert_eq!(
        refused(&[4, 0, 16]),
        "MDT Join: TLV length at byte 1 is 16, expected 40"
    );
}

#[test]
fn a_buffer_that_is_too_small_is_said_so() {
    let error = mdt_join::emit([IPV4], &mut [0; 15]).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "MDT Join: TLV at byte 0 needs 16 bytes, the buffer has 15"
    );
}
