//! `parse(emit(x)) == x`, and not one byte is written behind the packet.

use proptest::prelude::*;
use vmscope_wire::{
    Addressing, Content, EchoPacket, EchoRepr, EtherType, EthernetPacket, EthernetRepr, GrePacket,
    GreRepr, IcmpPacket, IcmpRepr, IgmpPacket, IgmpRepr, Inner, Ipv4Packet, Ipv4Repr, MacAddress,
    MdtJoinPacket, Outer, PimPacket, PimRepr, ProbePacket, ProbeRepr, ProbeTemplate, RtpPacket,
    RtpRepr, UdpPacket, UdpRepr, decapsulate, mdt_join as join,
};

use crate::pim::{mdt_join, pim};
use crate::strategies::*;

fn with_payload<H: std::fmt::Debug, S: Strategy<Value = H>>(
    header: impl Fn(usize) -> S,
) -> impl Strategy<Value = (H, Vec<u8>)> {
    bytes(60).prop_flat_map(move |payload| (header(payload.len()), Just(payload)))
}

proptest! {
    /// RFC 1624 section 3: brought up to date, a checksum is as if it had been computed anew.
    #[test]
    fn a_probe_from_a_template_is_the_probe_itself((outer, probe, bytes) in tunnelled_probe()) {
        let outer = Outer { has_checksum: false, ..outer };
        let Content::Probe { udp, .. } = decapsulate(&bytes)?.content()? else {
            return Err(TestCaseError::fail("not a probe"));
        };
        let ipv4 = Ipv4Repr::parse(&decapsulate(&bytes)?.inner)?;
        let inner = |probe| {
            let ip = Addressing { ttl: ipv4.ttl, tos: ipv4.tos, identification: ipv4.identification, ..Addressing::new(ipv4.src, ipv4.dst) };
            Inner::Probe { ip, src_port: udp.src_port, dst_port: udp.dst_port, probe, payload_len: udp.payload_len }
        };
        // A template is of the monitor's own probes, which are nobody's reflection.
        let probe = ProbeRepr { reflected: false, ..probe };
        let blank = ProbeRepr { warm_up: false, sequence: 0, sent_ns: 0, ..probe };
        let mut packet = in_tunnel(&outer, &inner(blank));
        let template = ProbeTemplate::new(&packet, udp.payload_len)?;
        for (sequence, sent_ns) in [(1, u64::MAX), (u32::MAX, 0), (probe.sequence, probe.sent_ns)] {
            template.fill(&mut packet, probe.warm_up, sequence, sent_ns)?;
            let whole = ProbeRepr { sequence, sent_ns, ..probe };
            prop_assert_eq!(&packet, &in_tunnel(&outer, &inner(whole)));
        }
        prop_assert!(template.fill(&mut packet[1..], false, 0, 0).is_err());
        let used = in_tunnel(&outer, &inner(ProbeRepr { sequence: 7, ..blank }));
        prop_assert!(ProbeTemplate::new(&used, udp.payload_len).is_err());
    }

    #[test]
    fn another_identification_is_as_if_written_so((repr, payload) in with_payload(ipv4), identification: u16) {
        let mut bytes = written(repr.buffer_len(), |b| repr.emit(b, copy_of(&payload)));
        vmscope_wire::ipv4::identify(&mut bytes, identification)?;
        let again = Ipv4Repr { identification, ..repr };
        prop_assert_eq!(bytes, written(again.buffer_len(), |b| again.emit(b, copy_of(&payload))));
    }

    #[test]
    fn ipv4_header((repr, payload) in with_payload(ipv4)) {
        let bytes = written(repr.buffer_len(), |b| repr.emit(b, copy_of(&payload)));
        let packet = Ipv4Packet::new_checked(&bytes)?;
        prop_assert_eq!(Ipv4Repr::parse(&packet)?, repr);
        prop_assert_eq!(packet.payload(), payload);
    }

    #[test]
    fn udp_datagram((repr, payload) in with_payload(udp), src in address(), dst in address()) {
        let bytes = written(repr.buffer_len(), |b| repr.emit(b, src, dst, copy_of(&payload)));
        let packet = UdpPacket::new_checked(&bytes)?;
        prop_assert_eq!(UdpRepr::parse(&packet, src, dst)?, repr);
        prop_assert_eq!(packet.payload(), payload);
    }

    #[test]
    fn gre_packet((repr, payload) in with_payload(gre)) {
        let bytes = written(repr.buffer_len(), |b| repr.emit(b, copy_of(&payload)));
        let packet = GrePacket::new_checked(&bytes)?;
        prop_assert_eq!(GreRepr::parse(&packet)?, repr);
        prop_assert_eq!(packet.payload(), payload);
    }

    #[test]
    fn icmp_message(message in icmp()) {
        let repr = message.repr();
        let bytes = written(repr.buffer_len(), |b| repr.emit(b));
        prop_assert_eq!(IcmpRepr::parse(&IcmpPacket::new_checked(&bytes)?)?, repr);
    }

    #[test]
    fn igmp_message(message in igmp()) {
        let records = message.records();
        let repr = message.repr(&records);
        let bytes = written(repr.buffer_len(), |b| repr.emit(b));
        prop_assert_eq!(IgmpRepr::parse(&IgmpPacket::new_checked(&bytes)?)?, repr);
    }

    #[test]
    fn pim_message(repr in pim()) {
        let length = repr.buffer_len();
        let mut bytes = vec![0xa5; length + 40];
        repr.emit(&mut bytes)?;
        prop_assert!(bytes[length..].iter().all(|&byte| byte == 0xa5));
        prop_assert_eq!(PimRepr::parse(&PimPacket::new_checked(&bytes[..length])?)?, repr);
        for room in 0..length {
            prop_assert!(repr.emit(&mut bytes[..room]).is_err());
        }
    }

    #[test]
    fn mdt_join_message(tlvs in mdt_join()) {
        let length = join::buffer_len(tlvs.iter().copied());
        let mut bytes = vec![0xa5; length + 40];
        prop_assert_eq!(join::emit(tlvs.iter().copied(), &mut bytes)?, length);
        prop_assert!(bytes[length..].iter().all(|&byte| byte == 0xa5));
        let found: Vec<_> = MdtJoinPacket::new_checked(&bytes[..length])?.tlvs().collect();
        prop_assert_eq!(&found, &tlvs);
        for room in 0..length {
            prop_assert!(join::emit(tlvs.iter().copied(), &mut bytes[..room]).is_err());
        }
    }

    #[test]
    fn probe_header(repr in probe(), padding in 0usize..40) {
        let bytes = written(repr.buffer_len() + padding, |b| repr.emit(b));
        prop_assert_eq!(ProbeRepr::parse(&ProbePacket::new_checked(&bytes)?), repr);
        prop_assert!(bytes[repr.buffer_len()..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn echo_header(repr in echo()) {
        let bytes = written(repr.buffer_len(), |b| repr.emit(b));
        prop_assert_eq!(EchoRepr::parse(&EchoPacket::new_checked(&bytes)?), repr);
        prop_assert_eq!(&bytes, &repr.to_bytes());
    }

    #[test]
    fn rtp_header(repr in rtp()) {
        let bytes = written(repr.buffer_len(), |b| repr.emit(b));
        prop_assert_eq!(RtpRepr::parse(&RtpPacket::new_checked(&bytes)?), repr);
    }

    #[test]
    fn ethernet_header(dst: [u8; 6], src: [u8; 6], ethertype in 0x600u16..) {
        let ethertype = EtherType::from(ethertype);
        let tagged = matches!(ethertype, EtherType::Vlan | EtherType::ServiceVlan);
        prop_assume!(!tagged);
        let repr = EthernetRepr { dst: MacAddress(dst), src: MacAddress(src), ethertype };
        let bytes = written(repr.buffer_len(), |b| repr.emit(b));
        prop_assert_eq!(EthernetRepr::parse(&EthernetPacket::new_checked(&bytes)?), repr);
    }

    #[test]
    fn probe_through_a_tunnel((outer, probe, bytes) in tunnelled_probe()) {
        let packet = decapsulate(&bytes)?;
        prop_assert_eq!((packet.src(), packet.dst()), (outer.ip.src, outer.ip.dst));
        prop_assert_eq!((packet.key(), packet.gre.sequence()), (outer.key, outer.sequence));
        let Content::Probe { probe: found, .. } = packet.content()? else {
            return Err(TestCaseError::fail("not a probe"));
        };
        prop_assert_eq!(found, probe);
    }

    #[test]
    fn igmp_through_a_tunnel(outer in outer(), src in address(), message in igmp()) {
        let records = message.records();
        let message = message.repr(&records);
        let bytes = in_tunnel(&outer, &Inner::Igmp { src, message });
        let packet = decapsulate(&bytes)?;
        prop_assert_eq!(packet.content()?, Content::Igmp(message));
        prop_assert_eq!((packet.inner.src(), packet.inner.ttl()), (src, 1));
        prop_assert!(packet.inner.has_router_alert());
    }

    #[test]
    fn icmp_through_a_tunnel(outer in outer(), ip in addressing(), message in icmp()) {
        let message = message.repr();
        let bytes = in_tunnel(&outer, &Inner::Icmp { ip, message });
        prop_assert_eq!(decapsulate(&bytes)?.content()?, Content::Icmp(message));
    }

    #[test]
    fn a_buffer_that_is_too_small_is_an_error_and_a_larger_one_is_left_alone(
        (outer, _, bytes) in tunnelled_probe(), ip in addressing(), message in icmp(),
    ) {
        let inner = Inner::Icmp { ip, message: message.repr() };
        let mut buffer = vec![0xa5; bytes.len() + 400];
        let length = vmscope_wire::encapsulate(&outer, &inner, &mut buffer)?;
        prop_assert!(buffer[length..].iter().all(|&byte| byte == 0xa5));
        for room in 0..length {
            prop_assert!(vmscope_wire::encapsulate(&outer, &inner, &mut buffer[..room]).is_err());
        }
    }
}
