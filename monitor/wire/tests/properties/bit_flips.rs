//! One wrong bit anywhere under a checksum is caught: the ones' complement sum changes by a power of two,
//! which is never a multiple of 65535.

use proptest::prelude::*;
use vmscope_wire::{
    Content, GrePacket, GreRepr, IcmpPacket, IcmpRepr, IgmpPacket, IgmpRepr, Ipv4Packet, Ipv4Repr,
    PimPacket, PimRepr, UdpPacket, UdpRepr, WireError, decapsulate,
};

use crate::pim::pim;
use crate::strategies::*;

/// Calls `check` with every copy of `bytes` that differs in one bit, and the byte where it differs.
fn for_every_flip(
    bytes: &[u8],
    mut check: impl FnMut(usize, &[u8]) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let mut bytes = bytes.to_vec();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        check(bit / 8, &bytes)?;
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    Ok(())
}

fn content(bytes: &[u8]) -> Result<Content<'_>, WireError> {
    decapsulate(bytes)?.content()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// But for the header's own length: that says what is summed up, and options left out may make up for it.
    #[test]
    fn ipv4_header(repr in ipv4(0)) {
        let bytes = written(repr.buffer_len(), |b| repr.emit(b, |_| Ok(())));
        for_every_flip(&bytes, |at, bytes| {
            let read = Ipv4Packet::new_checked(bytes).and_then(|packet| Ipv4Repr::parse(&packet));
            prop_assert!(at == 0 || read.is_err(), "byte {at}: {read:?}");
            Ok(())
        })?;
    }

    #[test]
    fn icmp_message(message in icmp()) {
        let repr = message.repr();
        let bytes = written(repr.buffer_len(), |b| repr.emit(b));
        for_every_flip(&bytes, |at, bytes| {
            let read = IcmpPacket::new_checked(bytes).and_then(|packet| IcmpRepr::parse(&packet));
            prop_assert!(read.is_err(), "byte {at}: {read:?}");
            Ok(())
        })?;
    }

    #[test]
    fn igmp_message(message in igmp()) {
        let records = message.records();
        let repr = message.repr(&records);
        let bytes = written(repr.buffer_len(), |b| repr.emit(b));
        for_every_flip(&bytes, |at, bytes| {
            let read = IgmpPacket::new_checked(bytes).and_then(|packet| IgmpRepr::parse(&packet));
            prop_assert!(read.is_err(), "byte {at}: {read:?}");
            Ok(())
        })?;
    }

    #[test]
    fn pim_message(repr in pim()) {
        let bytes = written(repr.buffer_len(), |b| repr.emit(b));
        let is_register = |repr: &PimRepr| matches!(repr, PimRepr::Register(_));
        for_every_flip(&bytes, |at, bytes| {
            let read = PimPacket::new_checked(bytes).and_then(|packet| PimRepr::parse(&packet));
            // Of a Register only 8 bytes are covered, or all of it: what is right for one may by chance be so
            // for the other, and for what had been, or has become, a Register.
            let by_chance = is_register(&repr) || read.as_ref().is_ok_and(is_register);
            prop_assert!(read.is_err() || by_chance, "byte {at}: {read:?}");
            Ok(())
        })?;
    }

    #[test]
    fn register_header(is_border: bool, is_null: bool) {
        let repr = PimRepr::Register(vmscope_wire::pim::Register { is_border, is_null, packet: &[] });
        let bytes = written(repr.buffer_len(), |b| repr.emit(b));
        for_every_flip(&bytes, |at, bytes| {
            let read = PimPacket::new_checked(bytes).and_then(|packet| PimRepr::parse(&packet));
            prop_assert!(read.is_err(), "byte {at}: {read:?}");
            Ok(())
        })?;
    }

    #[test]
    fn udp_datagram(repr in udp(21), payload in prop::array::uniform21(any::<u8>())) {
        let (src, dst) = ([10, 0, 0, 1].into(), [239, 1, 1, 1].into());
        let repr = UdpRepr { has_checksum: true, ..repr };
        let bytes = written(repr.buffer_len(), |b| repr.emit(b, src, dst, copy_of(&payload)));
        for_every_flip(&bytes, |at, bytes| {
            let read = UdpPacket::new_checked(bytes).and_then(|p| UdpRepr::parse(&p, src, dst));
            // A length that shrinks takes bytes out of the sum (a probe must fill its packet, see below),
            // and a checksum that becomes zero reads as absent.
            let shrunk = (4..6).contains(&at);
            let absent = read.is_ok_and(|read| !read.has_checksum);
            prop_assert!(read.is_err() || shrunk || absent, "byte {at}: {read:?}");
            Ok(())
        })?;
    }

    #[test]
    fn gre_packet(repr in gre(13), payload in prop::array::uniform13(any::<u8>())) {
        let repr = GreRepr { has_checksum: true, ..repr };
        let bytes = written(repr.buffer_len(), |b| repr.emit(b, copy_of(&payload)));
        for_every_flip(&bytes, |at, bytes| {
            let read = GrePacket::new_checked(bytes).and_then(|packet| GreRepr::parse(&packet));
            // The bit that says that there is a checksum.
            let denied = read.is_ok_and(|read| !read.has_checksum);
            prop_assert!(read.is_err() || denied, "byte {at}: {read:?}");
            Ok(())
        })?;
    }

    #[test]
    fn a_damaged_probe_is_never_taken_for_another((outer, probe, bytes) in tunnelled_probe()) {
        let gre = 20..20 + decapsulate(&bytes)?.gre.header_len();
        for_every_flip(&bytes, |at, bytes| {
            // GRE's own header has no checksum unless configured: there, the probe must be the same.
            if let Ok(Content::Probe { probe: found, .. }) = content(bytes) {
                let uncovered = gre.contains(&at) && !outer.has_checksum;
                prop_assert!(uncovered && found == probe, "byte {at} of {outer:?}");
            }
            Ok(())
        })?;
    }
}
