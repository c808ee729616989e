//! The decoder: every wrapping, and every way to be damaged.

use std::net::Ipv4Addr;

use mvpnlab_emulator::{
    traffic::payload,
    truth::{
        CustomerId, ProbeId, What,
        decode::{Damage, decode},
    },
};
use proptest::prelude::*;

use crate::frames::{self, ethernet, gre, igmp, register, udp};

const A: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const B: Ipv4Addr = Ipv4Addr::new(10, 254, 0, 1);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn probe() -> Vec<u8> {
    udp(
        A,
        GROUP,
        33900,
        64,
        &frames::probe_payload(5, 1, 2, 3, true),
    )
}

fn framed(datagram: &[u8]) -> Vec<u8> {
    ethernet(MAC, 0x0800, datagram)
}

const PROBE: What = What::Probe {
    id: ProbeId {
        task: 1,
        sender: 2,
        session: 5,
        sequence: 3,
    },
    warmup: true,
};

#[test]
fn a_probe_is_known_in_every_wrapping() {
    let bare = decode(&framed(&probe()), true);
    assert_eq!(
        (bare.what, bare.damage, bare.tunnel, bare.register),
        (PROBE, None, None, None)
    );
    assert_eq!(
        bare.ip
            .map(|head| (head.source, head.destination, head.ttl)),
        Some((A, GROUP, 64))
    );

    let tunnelled = decode(&framed(&gre(A, B, Some(9), &probe())), true);
    assert_eq!((tunnelled.what, tunnelled.damage), (PROBE, None));
    let tunnel = tunnelled.tunnel.unwrap();
    assert_eq!(
        (tunnel.head.source, tunnel.head.destination, tunnel.key),
        (A, B, Some(9))
    );
    assert_eq!(tunnelled.ip.unwrap().destination, GROUP);

    let registered = decode(&framed(&register(A, B, &probe())), true);
    assert_eq!((registered.what, registered.damage), (PROBE, None));
    assert_eq!(registered.register.unwrap().destination, B);
}

#[test]
fn customers_are_known_inside_an_mdt_inside_a_tunnel() {
    let mut data = vec![0; 100];
    payload::emit(&mut data, 4, 70_000, 1);
    let customer = udp(
        Ipv4Addr::new(192, 168, 1, 2),
        Ipv4Addr::new(225, 1, 1, 1),
        payload::PORT,
        32,
        &data,
    );
    let mdt = gre(Ipv4Addr::new(10, 2, 0, 2), GROUP, None, &customer);
    let decoded = decode(&framed(&gre(B, A, None, &mdt)), true);
    assert_eq!(
        decoded.what,
        What::Customer(CustomerId {
            flow: 4,
            sequence: 70_000
        })
    );
    assert_eq!(decoded.mdt.unwrap().head.destination, GROUP);
    assert_eq!(decoded.tunnel.unwrap().head.source, B);
    assert_eq!(decoded.ip.unwrap().destination, Ipv4Addr::new(225, 1, 1, 1));
}

#[test]
fn the_monitors_other_messages() {
    let echo = |request| gre(A, B, None, &frames::icmp_echo(A, B, request, 6, 8));
    assert_eq!(
        decode(&framed(&echo(true)), true).what,
        What::Echo {
            request: true,
            tunnel: 6,
            sequence: 8
        }
    );
    assert_eq!(
        decode(&framed(&echo(false)), true).what,
        What::Echo {
            request: false,
            tunnel: 6,
            sequence: 8
        }
    );
    let report = gre(A, B, None, &igmp(A, GROUP, 0x16));
    assert_eq!(
        decode(&framed(&report), true).what,
        What::Igmp { kind: 0x16 }
    );
    assert_eq!(
        decode(&ethernet(MAC, 0x0806, &[0; 28]), true).what,
        What::Other { ethertype: 0x0806 }
    );
}

#[test]
fn other_udp_is_not_a_probe() {
    let mut wrong = frames::probe_payload(5, 1, 2, 3, false);
    wrong[4] = 2;
    for (port, data) in [
        (33900, wrong),
        (33901, frames::probe_payload(5, 1, 2, 3, false)),
        (33900, vec![0; 31]),
    ] {
        assert_eq!(
            decode(&framed(&udp(A, GROUP, port, 64, &data)), true).what,
            What::Udp { port }
        );
    }
}

#[test]
fn damage_is_named() {
    let cases = [
        (14 + 8, Damage::Ipv4),
        (14 + 20 + 1, Damage::Gre),
        (14 + 20 + 2, Damage::Gre),
        (14 + 24 + 9, Damage::Ipv4),
        (14 + 24 + 20 + 6, Damage::Udp),
        (14 + 24 + 28 + 50, Damage::Udp),
    ];
    let whole = framed(&gre(A, B, None, &probe()));
    assert_eq!(decode(&whole, true).damage, None);
    for (byte, damage) in cases {
        let mut frame = whole.clone();
        frame[byte] ^= 1;
        assert_eq!(decode(&frame, true).damage, Some(damage), "byte {byte}");
    }
}

#[test]
fn what_was_cut_off_is_not_damage() {
    let large = udp(
        A,
        GROUP,
        33900,
        64,
        &[&frames::probe_payload(5, 1, 2, 3, true)[..], &[0; 900]].concat(),
    );
    let frame = framed(&gre(A, B, None, &large));
    let cut = decode(&frame[..256], false);
    assert_eq!((cut.what, cut.damage), (PROBE, None));
    assert_eq!(
        decode(&frame[..256], true).damage,
        Some(Damage::Ipv4),
        "a frame of that length would be damaged"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// Every flipped bit is seen, except where no receiver looks: Ethernet addresses and GRE's reserved bits.
    #[test]
    fn one_flipped_bit_is_damage(bit in 0usize..8 * 134) {
        let whole = framed(&gre(A, B, None, &probe()));
        prop_assert_eq!(whole.len(), 126);
        let bit = bit % (8 * whole.len());
        let mut frame = whole.clone();
        frame[bit / 8] ^= 1 << (bit % 8);
        let (before, after) = (decode(&whole, true), decode(&frame, true));
        let seen = after.damage.is_some() || after.what != before.what || after.to_mac != before.to_mac
            || after.tunnel.map(|gre| gre.key) != before.tunnel.map(|gre| gre.key);
        let unseen = (6..12).contains(&(bit / 8)) || bit == 34 * 8 || bit == 34 * 8 + 1 || (35 * 8 + 3..36 * 8).contains(&bit);
        prop_assert!(seen || unseen, "bit {bit}: {after:?}");
    }

    #[test]
    fn no_bytes_make_it_panic(mut frame in proptest::collection::vec(any::<u8>(), 0..300), complete: bool, ip: bool, gre: bool) {
        if ip && frame.len() > 34 {
            frame[12..15].copy_from_slice(&[8, 0, 0x45]);
            frame[23] = if gre { 47 } else { frame[23] };
            frame[20] = 0;
            frame[21] = 0;
        }
        decode(&frame, complete);
    }
}
