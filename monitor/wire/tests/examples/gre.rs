use vmscope_wire::{EtherType, Expected, GrePacket, GreRepr, Protocol};

use crate::{unexpected, written};

/// RFC 2890 §2: checksum and reserved, key, sequence, in this order.
#[test]
fn optional_fields_in_their_order() {
    let bytes = [
        0xb0, 0, 0x08, 0, 0xaa, 0xbb, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9, 0x45,
    ];
    let packet = GrePacket::new_checked(&bytes).expect("GRE");
    assert_eq!(packet.checksum(), Some(0xaabb));
    assert_eq!(packet.key(), Some(7));
    assert_eq!(packet.sequence(), Some(9));
    assert_eq!(packet.payload(), [0x45]);
    assert!(packet.verify_checksum().is_err());
}

#[test]
fn a_field_that_is_not_there_is_none_rather_than_zero() {
    let packet = GrePacket::new_checked(&[0, 0, 0x08, 0]).expect("GRE");
    assert_eq!(
        (packet.checksum(), packet.key(), packet.sequence()),
        (None, None, None)
    );
    assert_eq!(packet.verify_checksum(), Ok(()));
}

#[test]
fn a_key_of_zero_is_a_key() {
    let repr = GreRepr::ipv4(Some(0), 0);
    let bytes = written(repr.buffer_len(), |b| repr.emit(b, |_| Ok(())));
    assert_eq!(bytes, [0x20, 0, 0x08, 0, 0, 0, 0, 0]);
    assert_eq!(GrePacket::new_checked(&bytes).expect("GRE").key(), Some(0));
}

/// RFC 2784 §2.3: who does not speak RFC 1701 discards a packet with any of its bits.
#[test]
fn rfc_1701_is_refused() {
    let expected = Expected::Words("no source routing (RFC 1701 is not supported)");
    for flags in [0x40u8, 0x08, 0x04] {
        let error = GrePacket::new_checked(&[flags, 0, 0x08, 0]).expect_err("refused");
        let found = u64::from(flags) << 8;
        assert_eq!(
            error,
            unexpected(Protocol::Gre, "flags", 0, expected, found)
        );
    }
}

/// RFC 2784 §2.3: bits 6 to 12 are ignored on receipt.
#[test]
fn reserved_bits_are_ignored() {
    let packet = GrePacket::new_checked(&[0x03, 0xf8, 0x08, 0]).expect("GRE");
    assert_eq!(packet.protocol(), EtherType::Ipv4);
}

/// Version 1 is PPTP's; the others are nobody's.
#[test]
fn other_versions_are_refused() {
    for version in 1..=7u8 {
        let error = GrePacket::new_checked(&[0, version, 0x88, 0x0b]).expect_err("refused");
        let expected = Expected::Exactly(0);
        assert_eq!(
            error,
            unexpected(Protocol::Gre, "version", 0, expected, version.into())
        );
    }
}
