//! Customers, segregation, overhead, routers.

use super::world::*;

#[test]
fn customers_get_what_was_sent() {
    let world = World::new();
    held(&customer::delivered(
        &world.facts(),
        "video",
        "viewer",
        Probability(0.9),
        Probability(1.0),
    ));
    failed(
        &customer::delivered(
            &world.facts(),
            "video",
            "viewer",
            Probability(0.96),
            Probability(1.0),
        ),
        "190 of 200",
    );
    failed(
        &customer::delivered(
            &world.facts(),
            "radio",
            "viewer",
            Probability(0.0),
            Probability(1.0),
        ),
        "nothing judged",
    );
}

#[test]
fn no_probe_may_be_seen_at_customers() {
    let mut world = World::new();
    held(&segregation::no_probe_at_customer(&world.facts(), 500));
    failed(
        &segregation::no_probe_at_customer(&world.facts(), 501),
        "only 500 frames",
    );
    world.side.probes = 3;
    failed(
        &segregation::no_probe_at_customer(&world.facts(), 1),
        "3 frames at customers carry a probe",
    );
}

fn arrival(sequence: u32) -> CustomerArrival {
    CustomerArrival {
        id: CustomerId { flow: 1, sequence },
        tunnel: 2,
        ns: START + u64::from(sequence) * MS,
    }
}

#[test]
fn customer_packets_reach_the_monitors_link_and_no_further() {
    let mut world = World::new();
    world.arrivals.insert(1, (0..50).map(arrival).collect());
    failed(
        &customer::customer_packets(&world.facts(), 50, 0),
        "did not report its overhead",
    );
    world.claims.overhead = Some(Overhead::default());
    held(&customer::customer_packets(&world.facts(), 50, 0));
    failed(
        &customer::customer_packets(&world.facts(), 51, 0),
        "only 50 customer packets",
    );
    world.claims.overhead = Some(Overhead {
        customer_discarded: Traffic {
            packets: 4,
            bytes: 400,
        },
        ..Overhead::default()
    });
    failed(
        &customer::customer_packets(&world.facts(), 50, 3),
        "processed 4",
    );
}

#[test]
fn passive_streams_are_counted_exactly() {
    let mut world = World::new();
    let source = world.plan.address_of("CE1").unwrap().to_string();
    world
        .arrivals
        .insert(1, (0..50).filter(|n| *n != 7).map(arrival).collect());
    failed(
        &customer::passive_stream(&world.facts(), "video", "t2", 40),
        "reports no stream",
    );
    world.claims.streams.push(StreamClaim {
        tunnel: 2,
        source,
        group: "239.200.1.1".into(),
        packets: 49,
        rtp_lost: Some(1),
    });
    held(&customer::passive_stream(&world.facts(), "video", "t2", 40));
    failed(
        &customer::passive_stream(&world.facts(), "video", "t2", 50),
        "only 49",
    );
    held(&customer::only_customer_streams(&world.facts(), "red"));
    world.claims.streams[0].packets = 48;
    failed(
        &customer::passive_stream(&world.facts(), "video", "t2", 40),
        "counted 48 packets, the taps 49",
    );
    world.claims.streams[0].group = "239.1.1.1".into();
    failed(
        &customer::only_customer_streams(&world.facts(), "red"),
        "by no source",
    );
}

fn frame(from_monitor: bool, what: What, at: u64) -> MonitorFrame {
    MonitorFrame {
        ns: at,
        from_monitor,
        bytes: 166,
        tunnel: Some(1),
        destination: Some(GROUP),
        what,
        whole: true,
    }
}

fn probe_frame(from_monitor: bool, at: u64) -> MonitorFrame {
    frame(
        from_monitor,
        What::Probe {
            id: ProbeId {
                task: 1,
                sender: 2,
                session: 7,
                sequence: 0,
            },
            warmup: false,
        },
        at,
    )
}

#[test]
fn probe_copies_are_counted_by_tunnel_and_time() {
    let mut world = World::new();
    let copies = |at_least, at_most| segregation::Copies {
        task: Some("red"),
        from: span(1_000),
        until: Some(span(2_000)),
        at_least,
        at_most,
    };
    failed(
        &segregation::probe_copies(&world.facts(), "t1", &copies(0, Some(0))),
        "nothing judged",
    );
    world.frames = vec![
        probe_frame(true, START + S),
        probe_frame(false, START + S),
        probe_frame(false, START + 3 * S),
    ];
    held(&segregation::probe_copies(
        &world.facts(),
        "t1",
        &copies(1, Some(1)),
    ));
    held(&segregation::probe_copies(
        &world.facts(),
        "t2",
        &copies(0, Some(0)),
    ));
    failed(
        &segregation::probe_copies(&world.facts(), "t1", &copies(0, Some(0))),
        "1 came by t1",
    );
}

#[test]
fn nothing_is_sent_to_a_group_but_memberships() {
    let mut world = World::new();
    failed(
        &segregation::nothing_sent_to(&world.facts(), GROUP),
        "nothing judged",
    );
    world
        .frames
        .push(frame(true, What::Igmp { kind: 0x16 }, START));
    held(&segregation::nothing_sent_to(&world.facts(), GROUP));
    world.frames.push(probe_frame(true, START + S));
    failed(
        &segregation::nothing_sent_to(&world.facts(), GROUP),
        "Probe",
    );
}

#[test]
fn overhead_is_compared_up_to_the_moment_of_the_reply() {
    let mut world = World::new();
    failed(&overhead::overhead(&world.facts()), "did not report");
    world.frames = vec![
        probe_frame(true, START + S),
        probe_frame(false, START + 2 * S),
        probe_frame(true, START + 20 * S),
    ];
    let one = Traffic {
        packets: 1,
        bytes: 152,
    };
    world.claims.overhead = Some(Overhead {
        probes_sent: one,
        probes_received: one,
        ..Overhead::default()
    });
    world.claims.overhead_ns = Some(START + 10 * S);
    held(&overhead::overhead(&world.facts()));
    world.claims.overhead_ns = Some(START + 25 * S);
    failed(
        &overhead::overhead(&world.facts()),
        "probes sent: the monitor says 1 packets, 152 bytes; the taps 2 packets, 304 bytes",
    );
}

#[test]
fn what_routers_forward_is_read_from_their_kernel() {
    let mut world = World::new();
    failed(
        &router_state::forwarded(&world.facts(), "PE1", GROUP, None, true),
        "nothing judged",
    );
    let route: MrouteCounters = serde_json::from_value(serde_json::json!({
        "namespace": "PE1", "source": "10.2.0.2", "group": "239.1.1.1", "incoming": "vrf-red", "outgoing": ["to-P"], "packets": 5, "wrong_if": 0
    }))
    .unwrap();
    world.counters.snapshots.push(Snapshot {
        mroutes: vec![route],
        ..Snapshot::default()
    });
    held(&router_state::forwarded(
        &world.facts(),
        "PE1",
        GROUP,
        None,
        true,
    ));
    failed(
        &router_state::forwarded(&world.facts(), "PE1", GROUP, None, false),
        "forwards 239.1.1.1 to to-P",
    );
    held(&router_state::forwarded(
        &world.facts(),
        "PE2",
        GROUP,
        None,
        false,
    ));
    held(&router_state::forwarded(
        &world.facts(),
        "PE1",
        GROUP,
        Some("tun-b"),
        false,
    ));
    failed(
        &router_state::forwarded(&world.facts(), "PE1", GROUP, Some("tun-b"), true),
        "no entry for 239.1.1.1 that sends to tun-b",
    );
    failed(
        &router_state::forwarded(&world.facts(), "PE2", GROUP, None, true),
        "no entry",
    );
}

#[test]
fn adjacencies_are_asked_of_every_site() {
    let mut world = World::new();
    failed(
        &router_state::customer_adjacencies(&world.facts(), "red"),
        "2 of 2",
    );
    failed(
        &router_state::customer_adjacencies(&world.facts(), "blue"),
        "nothing judged",
    );
    let ends: Vec<_> = world
        .plan
        .gre
        .iter()
        .filter(|d| d.end.interface == "mdt")
        .map(|d| d.end.clone())
        .collect();
    for (own, other) in [(0, 1), (1, 0)] {
        world.states.insert(
            ends[own].namespace.clone(),
            format!("mdt  {}  00:00:10", ends[other].address.address),
        );
    }
    held(&router_state::customer_adjacencies(&world.facts(), "red"));
}
