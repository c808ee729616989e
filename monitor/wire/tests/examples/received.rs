//! What comes through a tunnel, and what does not.

use std::net::Ipv4Addr;

use vmscope_wire::{
    Addressing, Content, Customer, EtherType, GreRepr, IcmpRepr, Inner, IpProtocol, Ipv4Repr,
    Outer, ProbeRepr, UdpRepr, decapsulate, encapsulate, tunnel,
};

use crate::written;

const PE: Ipv4Addr = Ipv4Addr::new(10, 254, 1, 1);
const MONITOR: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);
const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);
const PROBE: ProbeRepr = ProbeRepr {
    warm_up: true,
    reflected: false,
    session: 1,
    task: 2,
    tunnel: 3,
    sequence: 4,
    sent_ns: 5,
};

/// A packet from a PE to the monitor, whose inner packet has this protocol and these bytes.
fn from_pe(gre_protocol: EtherType, inner: Ipv4Repr, payload: &[u8]) -> Vec<u8> {
    let gre = GreRepr {
        protocol: gre_protocol,
        ..GreRepr::ipv4(Some(7), inner.buffer_len())
    };
    let outer = Ipv4Repr::new(PE, MONITOR, IpProtocol::Gre, gre.buffer_len());
    written(outer.buffer_len(), |b| {
        outer.emit(b, |b| {
            gre.emit(b, |b| {
                inner.emit(b, |b| {
                    b.copy_from_slice(payload);
                    Ok(())
                })
            })
        })
    })
}

fn inner(protocol: IpProtocol, payload: &[u8]) -> Ipv4Repr {
    Ipv4Repr::new(SOURCE, GROUP, protocol, payload.len())
}

fn probe_datagram(has_checksum: bool, dst: Ipv4Addr) -> Vec<u8> {
    let udp = UdpRepr {
        src_port: 33_900,
        dst_port: 33_900,
        has_checksum,
        payload_len: 40,
    };
    written(udp.buffer_len(), |b| {
        udp.emit(b, SOURCE, dst, |b| PROBE.emit(b))
    })
}

/// GRE around a customer's packet, as it lies in a packet on an MDT.
fn mdt(protocol: EtherType, customer: &[u8]) -> Vec<u8> {
    let gre = GreRepr {
        protocol,
        ..GreRepr::ipv4(None, customer.len())
    };
    written(gre.buffer_len(), |b| {
        gre.emit(b, |b| {
            b.copy_from_slice(customer);
            Ok(())
        })
    })
}

fn customer() -> Vec<u8> {
    let (src, dst) = (Ipv4Addr::new(192, 168, 1, 10), Ipv4Addr::new(239, 9, 9, 9));
    let repr = Ipv4Repr::new(src, dst, IpProtocol::Udp, 100);
    written(repr.buffer_len(), |b| repr.emit(b, |_| Ok(())))
}

#[test]
fn a_probe_with_a_checksum_is_a_probe_and_one_without_is_an_error() {
    let payload = probe_datagram(true, GROUP);
    let bytes = from_pe(EtherType::Ipv4, inner(IpProtocol::Udp, &payload), &payload);
    let content = decapsulate(&bytes).and_then(|packet| packet.content());
    assert!(
        matches!(content, Ok(Content::Probe { probe: PROBE, .. })),
        "{content:?}"
    );

    let payload = probe_datagram(false, GROUP);
    let bytes = from_pe(EtherType::Ipv4, inner(IpProtocol::Udp, &payload), &payload);
    let error = decapsulate(&bytes)
        .and_then(|packet| packet.content())
        .expect_err("no checksum");
    let text = "UDP: checksum at byte 54 is 0, expected a checksum: probes always carry one";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_probe_with_bytes_behind_its_length_is_an_error() {
    let payload = [&probe_datagram(true, GROUP)[..], &[0, 0]].concat();
    let bytes = from_pe(EtherType::Ipv4, inner(IpProtocol::Udp, &payload), &payload);
    let error = decapsulate(&bytes)
        .and_then(|packet| packet.content())
        .expect_err("two bytes");
    assert_eq!(
        error.to_string(),
        "UDP: length at byte 52 is 48, expected 50"
    );
}

#[test]
fn other_udp_is_left_unread() {
    let payload = UdpRepr {
        src_port: 1,
        dst_port: 2,
        has_checksum: true,
        payload_len: 4,
    };
    let mut payload = written(12, |b| payload.emit(b, SOURCE, GROUP, |_| Ok(())));
    payload[11] ^= 1; // its checksum is now wrong, which is none of the monitor's business
    let bytes = from_pe(EtherType::Ipv4, inner(IpProtocol::Udp, &payload), &payload);
    let content = decapsulate(&bytes).and_then(|packet| packet.content());
    assert!(matches!(content, Ok(Content::Udp(_))), "{content:?}");
}

#[test]
fn a_customers_packet_on_an_mdt_is_a_view_into_the_bytes() {
    let payload = mdt(EtherType::Ipv4, &customer());
    let bytes = from_pe(EtherType::Ipv4, inner(IpProtocol::Gre, &payload), &payload);
    let packet = decapsulate(&bytes).expect("a tunnel's packet");
    let Ok(Content::Mdt(Customer::Ipv4(found))) = packet.content() else {
        panic!("{:?}", packet.content());
    };
    assert_eq!(found.as_bytes(), customer());
    let found_at = found.as_bytes().as_ptr() as usize - bytes.as_ptr() as usize;
    assert_eq!(found_at, 20 + 8 + 20 + 4);
    assert_eq!(
        (packet.inner.src(), packet.inner.dst(), packet.key()),
        (SOURCE, GROUP, Some(7))
    );
}

#[test]
fn a_customers_packet_cut_short_by_the_capture_still_has_its_header() {
    let payload = mdt(EtherType::Ipv4, &customer());
    let bytes = from_pe(EtherType::Ipv4, inner(IpProtocol::Gre, &payload), &payload);
    let cut = &bytes[..20 + 8 + 20 + 4 + 28];
    assert!(decapsulate(cut).is_err());
    let packet = tunnel::decapsulate_cut_short(cut).expect("whole headers");
    let Ok(Content::Mdt(Customer::Ipv4(found))) = packet.content() else {
        panic!("{:?}", packet.content());
    };
    assert_eq!((found.total_len(), found.payload().len()), (120, 8));
    let headless = tunnel::decapsulate_cut_short(&bytes[..20 + 8 + 20 + 4 + 19]);
    assert!(headless.and_then(|packet| packet.content()).is_err());
}

#[test]
fn a_customers_ipv6_is_named_and_a_damaged_customer_header_is_an_error() {
    let payload = mdt(EtherType::Ipv6, &[0x60, 0, 0]);
    let bytes = from_pe(EtherType::Ipv4, inner(IpProtocol::Gre, &payload), &payload);
    let content = decapsulate(&bytes).and_then(|packet| packet.content());
    let expected = Customer::Other {
        protocol: EtherType::Ipv6,
        payload: &[0x60, 0, 0],
    };
    assert_eq!(content, Ok(Content::Mdt(expected)));

    let mut damaged = customer();
    damaged[8] ^= 1;
    let payload = mdt(EtherType::Ipv4, &damaged);
    let bytes = from_pe(EtherType::Ipv4, inner(IpProtocol::Gre, &payload), &payload);
    let error = decapsulate(&bytes)
        .and_then(|packet| packet.content())
        .expect_err("damaged");
    assert_eq!(
        (error.field, error.offset),
        ("header checksum", 20 + 8 + 20 + 4 + 10)
    );
}

#[test]
fn fragments_and_other_protocols_are_named() {
    let part = Ipv4Repr {
        more_fragments: true,
        ..inner(IpProtocol::Udp, &[0; 8])
    };
    let bytes = from_pe(EtherType::Ipv4, part, &[0; 8]);
    let content = decapsulate(&bytes).and_then(|packet| packet.content());
    assert_eq!(content, Ok(Content::Fragment));
    let bytes = from_pe(EtherType::Ipv4, inner(IpProtocol::Pim, &[0; 4]), &[0; 4]);
    let content = decapsulate(&bytes).and_then(|packet| packet.content());
    assert_eq!(content, Ok(Content::Other(IpProtocol::Pim)));
}

#[test]
fn what_is_not_a_tunnels_packet_is_refused() {
    let bytes = from_pe(EtherType::Ipv6, inner(IpProtocol::Udp, &[]), &[]);
    let error = decapsulate(&bytes).expect_err("IPv6 in GRE");
    assert_eq!(
        error.to_string(),
        "GRE: protocol type at byte 22 is 34525, expected 2048"
    );

    let ping = IcmpRepr::EchoRequest {
        identifier: 1,
        sequence: 1,
        data: &[],
    };
    let plain = Inner::Icmp {
        ip: Addressing::new(PE, MONITOR),
        message: ping,
    };
    let bytes = written(plain.buffer_len(), |b| plain.emit(b));
    let error = decapsulate(&bytes).expect_err("no tunnel");
    assert_eq!(
        error.to_string(),
        "IPv4: protocol at byte 9 is 1, expected 47"
    );

    let part = Ipv4Repr {
        fragment_offset: 8,
        ..Ipv4Repr::new(PE, MONITOR, IpProtocol::Gre, 4)
    };
    let bytes = written(24, |b| part.emit(b, |_| Ok(())));
    let error = decapsulate(&bytes).expect_err("a fragment");
    assert_eq!(error.field, "fragment offset");
}

/// VS-15: what is sent into plain multicast has no tunnel around it.
#[test]
fn without_a_tunnel_the_inner_packet_is_the_packet() {
    let ip = Addressing::new(SOURCE, GROUP);
    let probe = Inner::Probe {
        ip,
        src_port: 1,
        dst_port: 2,
        probe: PROBE,
        payload_len: 32,
    };
    let bytes = written(probe.buffer_len(), |b| probe.emit(b));
    let packet = vmscope_wire::Ipv4Packet::new_checked(&bytes).expect("IPv4");
    assert!(matches!(
        Content::of(&packet),
        Ok(Content::Probe { probe: PROBE, .. })
    ));
}

#[test]
fn a_probe_too_small_for_its_header_is_not_written() {
    let ip = Addressing::new(SOURCE, GROUP);
    let probe = Inner::Probe {
        ip,
        src_port: 1,
        dst_port: 2,
        probe: PROBE,
        payload_len: 31,
    };
    let error = encapsulate(&Outer::new(MONITOR, PE, None), &probe, &mut [0; 200]);
    let text = "probe: header at byte 52 needs 32 bytes, the buffer has 31";
    assert_eq!(error.expect_err("31 bytes").to_string(), text);
}
