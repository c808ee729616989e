//! What is seen on the monitor's link, and where customers are.

use std::net::Ipv4Addr;

use mvpnlab_emulator::{
    traffic::payload,
    truth::{CustomerSide, Fate, What},
};

use crate::{
    fates::{pair, send},
    frames,
    lab::{GROUP, Lab, Perfect, SECOND, START, TWO, out, two_with_customers},
};

const C_GROUP: Ipv4Addr = Ipv4Addr::new(225, 1, 1, 1);

fn with_customers() -> Lab {
    Lab::new(&two_with_customers())
}

fn customer(sequence: u32) -> Vec<u8> {
    let mut data = vec![0; 60];
    payload::emit(&mut data, 3, sequence, 0);
    frames::udp([192, 168, 1, 2].into(), C_GROUP, payload::PORT, 32, &data)
}

fn ethernet(datagram: &[u8]) -> Vec<u8> {
    frames::ethernet([2, 0, 0, 0, 0, 1], 0x0800, datagram)
}

#[test]
fn customers_packets_at_the_monitor_are_told_by_tunnel() {
    let mut lab = with_customers();
    let b = lab.tunnel("b");
    for sequence in 0..5 {
        let mdt = frames::gre([10, 2, 0, 2].into(), GROUP, None, &customer(sequence));
        let frame = ethernet(&frames::gre(b.router_outer, b.monitor_outer, b.key, &mdt));
        lab.cross(
            "MON-P/MON",
            START + SECOND + u64::from(sequence),
            &frame,
            &[out(20_000)],
        );
        // The same in nobody's tunnel: another key.
        let frame = ethernet(&frames::gre(
            b.router_outer,
            b.monitor_outer,
            Some(99),
            &mdt,
        ));
        lab.cross(
            "MON-P/MON",
            START + SECOND + u64::from(sequence),
            &frame,
            &[out(20_000)],
        );
    }
    let truth = lab.truth();
    let arrivals = truth.customer_arrivals(3);
    let told: Vec<_> = arrivals
        .iter()
        .map(|arrival| (arrival.id.sequence, arrival.tunnel))
        .collect();
    assert_eq!(
        told,
        (0..5).map(|sequence| (sequence, b.id)).collect::<Vec<_>>()
    );
    assert!(truth.customer_arrivals(4).is_empty());
    let frames = truth.monitor_frames();
    assert_eq!(frames.len(), 10);
    assert!(
        frames
            .iter()
            .all(|frame| !frame.from_monitor && frame.destination == Some(C_GROUP))
    );
    assert!(
        frames
            .iter()
            .all(|frame| matches!(frame.what, What::Customer(_)))
    );
    assert_eq!(
        frames.iter().filter(|frame| frame.tunnel.is_none()).count(),
        5
    );
}

#[test]
fn a_probe_at_a_customer_is_found_in_any_wrapping_and_none_is_found_where_none_is() {
    let mut lab = with_customers();
    lab.cross(
        "PE2-CE2/CE2",
        START + SECOND,
        &ethernet(&customer(0)),
        &[out(20_000)],
    );
    lab.probe(send(0), &mut Perfect);
    assert_eq!(
        lab.truth().customer_side(),
        CustomerSide {
            frames: 1,
            probes: 0
        }
    );
    // Inside a protocol that nobody decodes.
    let hidden = frames::ipv4(
        [10, 0, 0, 1].into(),
        [10, 0, 0, 2].into(),
        200,
        9,
        &frames::probe_payload(1, 1, 1, 1, false),
    );
    lab.cross(
        "PE2-CE2/CE2",
        START + 2 * SECOND,
        &ethernet(&hidden),
        &[out(20_000)],
    );
    assert_eq!(
        lab.truth().customer_side(),
        CustomerSide {
            frames: 2,
            probes: 1
        }
    );
}

/// PE1 registers to PE2, the RP: the probe's path ends where the Register comes in.
#[test]
fn a_register_is_a_way_like_any_other() {
    let mut lab = Lab::new(TWO);
    let (a, b) = (lab.tunnel("a"), lab.tunnel("b"));
    for sequence in 0..4u32 {
        let at = send(sequence).ns;
        let inner = frames::udp(
            a.monitor_inner,
            GROUP,
            33900,
            9,
            &frames::probe_payload(77, 1, a.id, sequence, false),
        );
        let up = ethernet(&frames::gre(a.monitor_outer, a.router_outer, a.key, &inner));
        let registered = ethernet(&frames::register(
            [10, 255, 0, 1].into(),
            [10, 255, 0, 2].into(),
            &inner,
        ));
        let down = ethernet(&frames::gre(b.router_outer, b.monitor_outer, b.key, &inner));
        let way = [
            ("MON-P/P", &up),
            ("PE1-P/PE1", &up),
            ("PE1-P/P", &registered),
            ("P-PE2/PE2", &registered),
            ("P-PE2/P", &down),
            ("MON-P/MON", &down),
        ];
        // Number 2 is not decapsulated by the RP.
        let reach = if sequence == 2 { 4 } else { 6 };
        for (hop, (lane, frame)) in (0u64..).zip(&way[..reach]) {
            lab.cross(lane, at + hop * 100_000, frame, &[out(20_000)]);
        }
    }
    let truth = lab.truth();
    let probes = truth.pair(pair(&lab, "a", "b"));
    assert_eq!(probes[0].fate, Fate::Received);
    assert_eq!(probes[0].parts.path_ns, Some(200_000));
    let Fate::Lost(loss) = probes[2].fate else {
        panic!("{:?}", probes[2].fate)
    };
    assert_eq!(
        (truth.place_name(loss.place).as_str(), loss.cause),
        ("PE2", Some(mvpnlab_emulator::scenario::LossCause::NoRoute))
    );
}

#[test]
fn customers_packets_in_the_backbone_are_told_by_their_tree() {
    let data_mdt = Ipv4Addr::new(239, 2, 1, 1);
    let mut lab = with_customers();
    let pe = Ipv4Addr::new(10, 2, 0, 2);
    for (sequence, group) in [(0, GROUP), (1, data_mdt)] {
        let mdt = frames::gre(pe, group, None, &customer(sequence));
        let at = START + SECOND + u64::from(sequence);
        lab.cross("P-PE2/PE2", at, &ethernet(&mdt), &[out(20_000)]);
        // On its way to the tree, in a Register: not on the tree.
        let register = frames::register(pe, [10, 255, 0, 1].into(), &mdt);
        lab.cross("P-PE2/PE2", at, &ethernet(&register), &[out(20_000)]);
        // Where there is no tree: at the customer's.
        lab.cross(
            "PE2-CE2/CE2",
            at,
            &ethernet(&customer(sequence)),
            &[out(20_000)],
        );
    }
    let arrivals = lab.truth().mdt_arrivals(3);
    let told: Vec<_> = arrivals
        .iter()
        .map(|arrival| (arrival.id.sequence, arrival.node.as_str(), arrival.p_group))
        .collect();
    assert_eq!(told, [(0, "PE2", GROUP), (1, "PE2", data_mdt)]);
}
