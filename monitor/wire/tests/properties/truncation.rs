//! A packet that ends early is an error at every length, never a panic and never another packet.

use proptest::prelude::*;
use vmscope_wire::{
    Content, EchoPacket, Fault, GrePacket, IcmpPacket, IgmpPacket, IgmpRepr, Inner, Ipv4Packet,
    MdtJoinPacket, PimPacket, PimRepr, PimType, ProbePacket, Result, RtpPacket, UdpPacket,
    checksum::Sum, decapsulate, tunnel,
};

use crate::pim::{mdt_join, pim};
use crate::strategies::*;

/// Every proper prefix is refused.
fn refused_at_every_length<'a, T>(
    bytes: &'a [u8],
    open: impl Fn(&'a [u8]) -> Result<T>,
) -> std::result::Result<(), TestCaseError> {
    for length in 0..bytes.len() {
        prop_assert!(
            open(&bytes[..length]).is_err(),
            "{} of {} bytes",
            length,
            bytes.len()
        );
    }
    prop_assert!(open(bytes).is_ok());
    Ok(())
}

/// The message with the right checksum.
fn summed(packet: PimPacket<'_>) -> PimRepr<'static> {
    let flags = packet.flags();
    let mut bytes = [
        &[0x20 | u8::from(packet.kind()), flags, 0, 0],
        packet.body(),
    ]
    .concat();
    let covered = bytes.len().min(if packet.kind() == PimType::Register {
        8
    } else {
        usize::MAX
    });
    let checksum = Sum::of(&bytes[..covered]).checksum();
    bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
    let packet = PimPacket::new_checked(bytes.leak()).expect("the same message");
    PimRepr::parse(&packet).expect("a right checksum")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn ipv4_packet(repr in ipv4(30)) {
        let bytes = written(repr.buffer_len(), |b| repr.emit(b, |_| Ok(())));
        refused_at_every_length(&bytes, Ipv4Packet::new_checked)?;
        refused_at_every_length(&bytes[..repr.header_len()], Ipv4Packet::new_cut_short)?;
    }

    #[test]
    fn udp_datagram(repr in udp(30)) {
        let (src, dst) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let bytes = written(repr.buffer_len(), |b| repr.emit(b, src, dst, |_| Ok(())));
        refused_at_every_length(&bytes, UdpPacket::new_checked)?;
        refused_at_every_length(&bytes[..8], UdpPacket::new_cut_short)?;
    }

    #[test]
    fn headers_without_a_length_field(
        gre in gre(0), icmp in icmp(), probe in probe(), echo in echo(), rtp in rtp(),
    ) {
        let bytes = written(gre.buffer_len(), |b| gre.emit(b, |_| Ok(())));
        refused_at_every_length(&bytes, GrePacket::new_checked)?;
        let icmp = icmp.repr();
        let bytes = written(icmp.buffer_len(), |b| icmp.emit(b));
        refused_at_every_length(&bytes[..8], IcmpPacket::new_checked)?;
        let bytes = written(probe.buffer_len(), |b| probe.emit(b));
        refused_at_every_length(&bytes, ProbePacket::new_checked)?;
        refused_at_every_length(&echo.to_bytes(), EchoPacket::new_checked)?;
        let bytes = written(rtp.buffer_len(), |b| rtp.emit(b));
        refused_at_every_length(&bytes, RtpPacket::new_checked)?;
    }

    #[test]
    fn igmp_message(message in igmp()) {
        let records = message.records();
        let repr = message.repr(&records);
        let bytes = written(repr.buffer_len(), |b| repr.emit(b));
        for length in 0..bytes.len() {
            // The first 8 bytes of a version 3 query are a version 2 query, and an unknown message has
            // no length of its own: there the checksum and IPv4's total length must tell.
            let version_2 = matches!(repr, IgmpRepr::QueryV3(_)) && length == 8;
            let unknown = matches!(repr, IgmpRepr::Unknown { .. }) && length >= 8;
            if !version_2 && !unknown {
                prop_assert!(IgmpPacket::new_checked(&bytes[..length]).is_err(), "{length}");
            }
        }
    }

    #[test]
    fn pim_message(repr in pim()) {
        let bytes = written(repr.buffer_len(), |b| repr.emit(b));
        for length in 0..bytes.len() {
            let Ok(packet) = PimPacket::new_checked(&bytes[..length]) else { continue };
            // What has no length or count of its own may end between two of its parts: there the checksum and
            // IPv4's total length must tell. Its parts are then the first ones.
            let is_prefix = match (repr, summed(packet)) {
                (PimRepr::Hello(all), PimRepr::Hello(some)) => {
                    all.options.iter().take(some.options.len()).eq(some.options)
                }
                (PimRepr::Bootstrap(all), PimRepr::Bootstrap(some)) => {
                    all.ranges.iter().take(some.ranges.len()).eq(some.ranges)
                }
                (PimRepr::Register(all), PimRepr::Register(some)) => {
                    all.packet.starts_with(some.packet)
                }
                (PimRepr::Unknown { body: all, .. }, PimRepr::Unknown { body: some, .. }) => {
                    all.starts_with(some)
                }
                _ => false,
            };
            prop_assert!(is_prefix, "{length} of {} bytes of {repr}", bytes.len());
        }
    }

    #[test]
    fn mdt_join_message(tlvs in mdt_join()) {
        let length = vmscope_wire::mdt_join::buffer_len(tlvs.iter().copied());
        let bytes = written(length, |b| vmscope_wire::mdt_join::emit(tlvs.iter().copied(), b).map(|_| ()));
        for length in 0..bytes.len() {
            if let Ok(packet) = MdtJoinPacket::new_checked(&bytes[..length]) {
                let found: Vec<_> = packet.tlvs().collect();
                prop_assert!(!found.is_empty() && tlvs.starts_with(&found), "{length}");
            }
        }
    }

    #[test]
    fn everything_in_a_tunnel(
        (outer, _, probe) in tunnelled_probe(), src in address(), igmp in igmp(),
        ip in addressing(), icmp in icmp(),
    ) {
        refused_at_every_length(&probe, decapsulate)?;
        let records = igmp.records();
        let igmp = in_tunnel(&outer, &Inner::Igmp { src, message: igmp.repr(&records) });
        refused_at_every_length(&igmp, decapsulate)?;
        let icmp = in_tunnel(&outer, &Inner::Icmp { ip, message: icmp.repr() });
        refused_at_every_length(&icmp, decapsulate)?;
    }

    #[test]
    fn a_probe_that_a_capture_cut_short_is_not_taken_for_a_probe(
        (_, _, bytes) in tunnelled_probe(),
    ) {
        for length in 0..bytes.len() {
            let content = tunnel::decapsulate_cut_short(&bytes[..length]).and_then(|p| p.content());
            prop_assert!(!matches!(content, Ok(Content::Probe { .. })), "{length}: {content:?}");
        }
    }

    #[test]
    fn the_error_says_how_much_is_missing((_, _, bytes) in tunnelled_probe(), length in 0usize..20) {
        let error = decapsulate(&bytes[..length]).expect_err("a header that is not all there");
        prop_assert_eq!(error.fault, Fault::Truncated { needed: 20, left: length });
    }
}
