use vmscope_wire::RtpPacket;

const FIXED: [u8; 12] = [0x80, 96, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2];

fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
    [&[first], &FIXED[1..], rest].concat()
}

#[test]
fn sources_extension_and_padding_lie_around_the_payload() {
    // P, X and one contributing source; an extension of one word; a padding of two.
    let bytes = packet(
        0xb1,
        &[0, 0, 0, 9, 0xbe, 0xde, 0, 1, 1, 2, 3, 4, 0xaa, 0xbb, 0, 2],
    );
    let packet = RtpPacket::new_checked(&bytes).expect("RTP");
    assert!(packet.has_padding() && packet.has_extension() && !packet.marker());
    assert_eq!(packet.csrcs().collect::<Vec<_>>(), [9]);
    assert_eq!(packet.payload(), Ok(&[0xaa, 0xbb][..]));
    assert_eq!(
        (packet.sequence(), packet.timestamp(), packet.ssrc()),
        (7, 1, 2)
    );
}

#[test]
fn padding_and_extensions_that_are_not_there_are_refused() {
    for (bytes, field) in [
        (packet(0xa0, &[1, 1, 0]), "padding"),
        (packet(0xa0, &[1, 1, 4]), "padding"),
        (packet(0xa0, &[]), "padding"),
        (packet(0x90, &[0, 0, 0]), "extension"),
        (packet(0x90, &[0, 0, 0, 1]), "extension"),
    ] {
        let packet = RtpPacket::new_checked(&bytes).expect("a header");
        assert_eq!(
            packet.payload().expect_err("refused").field,
            field,
            "{bytes:?}"
        );
    }
}

#[test]
fn what_is_not_rtp_is_not_taken_for_it() {
    assert!(RtpPacket::new_checked(&FIXED).is_ok());
    assert!(
        RtpPacket::new_checked(&packet(0x40, &[])).is_err(),
        "version 1"
    );
    assert!(
        RtpPacket::new_checked(&packet(0x81, &[])).is_err(),
        "a missing source"
    );
    let mut sender_report = packet(0x80, &[0; 16]);
    sender_report[1] = 200;
    let error = RtpPacket::new_checked(&sender_report).expect_err("RTCP");
    assert_eq!(error.field, "payload type");
}
