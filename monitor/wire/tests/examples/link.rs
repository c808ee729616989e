use vmscope_wire::{Direction, EtherType, EthernetPacket, LinkType, MacAddress};

const PACKET: [u8; 20] = [
    0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
];

fn frame(header: &[u8]) -> Vec<u8> {
    [header, &PACKET].concat()
}

#[test]
fn ethernet_with_and_without_tags() {
    let addresses = [1, 0, 0x5e, 1, 1, 1, 2, 0, 0, 0, 0, 9];
    for tags in [
        &[][..],
        &[0x81, 0, 0, 5],
        &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6],
    ] {
        let bytes = frame(&[&addresses, tags, &[0x08, 0]].concat());
        let packet = EthernetPacket::new_checked(&bytes).expect("Ethernet");
        assert_eq!(packet.ethertype(), EtherType::Ipv4);
        assert_eq!(packet.payload(), PACKET);
        assert_eq!(packet.src(), MacAddress([2, 0, 0, 0, 0, 9]));
        assert_eq!(packet.dst().to_string(), "01:00:5e:01:01:01");
    }
    let cut = [&addresses[..], &[0x81, 0, 0, 5, 0x08]].concat();
    assert!(EthernetPacket::new_checked(&cut).is_err());
    let length = frame(&[&addresses[..], &[0, 46]].concat());
    let error = EthernetPacket::new_checked(&length).expect_err("IEEE 802.3");
    assert_eq!(
        error.to_string(),
        "Ethernet: type at byte 12 is 46, expected at least 1536"
    );
}

#[test]
fn cooked_captures_tell_the_direction() {
    let v1 = frame(&[0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0, 0x08, 0]);
    let captured = LinkType::LinuxSll.open(&v1).expect("a cooked frame");
    assert_eq!(captured.direction, Some(Direction::Outgoing));
    assert_eq!((captured.interface, captured.payload), (None, &PACKET[..]));

    let v2 = frame(&[
        0x08, 0, 0, 0, 0, 0, 0, 7, 0, 1, 2, 6, 2, 0, 0, 0, 0, 9, 0, 0,
    ]);
    let captured = LinkType::LinuxSll2.open(&v2).expect("a cooked frame");
    assert_eq!(captured.direction, Some(Direction::Multicast));
    assert_eq!(
        (captured.interface, captured.payload),
        (Some(7), &PACKET[..])
    );
}

#[test]
fn raw_frames_are_known_by_their_version() {
    let captured = LinkType::Raw.open(&PACKET).expect("a raw frame");
    assert!(captured.ipv4().expect("IPv4").is_some());
    let captured = LinkType::Raw.open(&[0x60, 0]).expect("a raw frame");
    assert_eq!(
        (captured.ethertype, captured.ipv4()),
        (EtherType::Ipv6, Ok(None))
    );
    assert!(LinkType::Raw.open(&[0x50]).is_err());
    assert!(LinkType::Raw.open(&[]).is_err());
}

#[test]
fn link_types_have_libpcaps_numbers() {
    assert_eq!(LinkType::from_dlt(1), Some(LinkType::Ethernet));
    assert_eq!(LinkType::from_dlt(113), Some(LinkType::LinuxSll));
    assert_eq!(LinkType::from_dlt(276), Some(LinkType::LinuxSll2));
    assert_eq!(LinkType::from_dlt(12), Some(LinkType::Raw));
    assert_eq!(LinkType::from_dlt(105), None);
}
