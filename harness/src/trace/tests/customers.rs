//! Customers' packets, over the MDT.

use mvpnlab_emulator::traffic::payload;

use super::lab::{GROUP, out};
use super::*;

/// A packet from CE1 over the MDT to CE2, as far as it comes; `reach` links.
fn video(lab: &mut Lab, sequence: u32, reach: usize) {
    let mut data = vec![0; 60];
    payload::emit(&mut data, 1, sequence, 0);
    let packet = |ttl| {
        frames::udp(
            [192, 168, 1, 2].into(),
            [239, 100, 1, 1].into(),
            payload::PORT,
            ttl,
            &data,
        )
    };
    let plain = |ttl| {
        frames::ethernet(
            frames::multicast_mac([239, 100, 1, 1].into()),
            0x0800,
            &packet(ttl),
        )
    };
    let mdt = |ttl| {
        let outer = frames::gre([10, 255, 0, 1].into(), GROUP, None, &packet(ttl));
        frames::ethernet(frames::multicast_mac(GROUP), 0x0800, &outer)
    };
    let way = [
        ("CE1-PE1/PE1", plain(32)),
        ("PE1-P/P", mdt(31)),
        ("P-PE2/PE2", mdt(31)),
        ("PE2-CE2/CE2", plain(30)),
    ];
    for (hop, (lane, frame)) in way.iter().enumerate().take(reach + 1) {
        let at = send(sequence).ns + hop as u64 * 100_000;
        let outs = if hop == reach {
            vec![]
        } else {
            vec![out(20_000)]
        };
        lab.cross(lane, at, frame, &outs);
    }
}

/// Packets 3 and 7 are lost on the link to PE2; 6 does not leave PE2, as its frame ends there.
fn flow() -> Files {
    let mut lab = two("P-PE2", "impair_to.PE2 = { loss = \"20%\" }");
    for sequence in 0..10 {
        video(
            &mut lab,
            sequence,
            if [3, 7].contains(&sequence) { 2 } else { 4 },
        );
    }
    lab.files(|_| {})
}

#[test]
fn a_customers_packet_is_followed_through_the_mdt() {
    let files = flow();
    insta::assert_snapshot!("customer_arrives", asked(&files, "video#2"));
    insta::assert_snapshot!("customer_lost", asked(&files, "video/viewer#7"));
    insta::assert_snapshot!("customer_losses", asked(&files, "--lost video"));
}

#[test]
fn customers_are_counted_at_receivers() {
    insta::assert_snapshot!(asked(&flow(), ""));
}
