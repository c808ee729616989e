//! Data MDTs, rogues and silent PEs.

use super::world::*;

const DATA: Ipv4Addr = Ipv4Addr::new(239, 2, 1, 1);

/// The stream "video" from CE1: PE1 announces and moves it, PE2 joins.
fn world() -> World {
    let mut world = World::new();
    let arrival = |sequence: u32, node: &str, p_group| MdtArrival {
        id: CustomerId { flow: 1, sequence },
        node: node.into(),
        p_group,
        ns: START + u64::from(sequence) * S,
    };
    let default = (0..5).flat_map(|n| ["P", "PE2"].map(|node| arrival(n, node, GROUP)));
    let data = (5..15).flat_map(|n| ["P", "PE2"].map(|node| arrival(n, node, DATA)));
    world.mdt_arrivals.insert(1, default.chain(data).collect());
    let stream = Stream {
        c_source: world.plan.address_of("CE1").unwrap(),
        c_group: Ipv4Addr::new(239, 200, 1, 1),
    };
    let p_group = DATA;
    let deeds = [
        ("PE1", Deed::Announced { stream, p_group }),
        ("PE2", Deed::Joined { p_group }),
        ("PE1", Deed::Moved { stream, p_group }),
        ("PE1", Deed::Returned { stream, p_group }),
    ];
    world.mdts.events = (0u64..)
        .zip(deeds)
        .map(|(second, (pe, did))| MdtEvent {
            at_ns: START + second * S,
            mvpn: "red".into(),
            pe: pe.into(),
            did,
        })
        .collect();
    world
}

fn packets(
    world: &World,
    pe: &str,
    mdt: MdtKind,
    (from, least, most): (u64, u64, Option<u64>),
) -> Finding {
    let wanted = mdt::Wanted {
        mdt,
        from: span(from),
        until: None,
        at_least: least,
        at_most: most,
    };
    mdt::mdt_packets(&world.facts(), "video", pe, &wanted)
}

#[test]
fn packets_are_counted_by_pe_tree_and_time() {
    let world = world();
    held(&packets(&world, "PE2", MdtKind::Default, (0, 5, Some(5))));
    held(&packets(&world, "PE2", MdtKind::Data, (0, 10, Some(10))));
    held(&packets(&world, "PE2", MdtKind::Data, (10_000, 5, Some(5))));
    held(&packets(
        &world,
        "PE2",
        MdtKind::Default,
        (5_000, 0, Some(0)),
    ));
    held(&packets(&world, "PE1", MdtKind::Data, (0, 0, Some(0))));
    failed(
        &packets(&world, "PE2", MdtKind::Data, (0, 11, None)),
        "10 came to PE2",
    );
    failed(
        &packets(&world, "PE2", MdtKind::Data, (0, 0, Some(0))),
        "10 came to PE2",
    );
    let nothing = World::new();
    failed(
        &packets(&nothing, "PE1", MdtKind::Data, (0, 0, Some(0))),
        "nothing judged",
    );
}

#[test]
fn a_streams_moves_and_joiners_are_the_logs() {
    let mut world = world();
    let check = |world: &World, moves, returns, joined: &[&str]| {
        let joined: Vec<String> = joined.iter().map(|pe| (*pe).to_owned()).collect();
        mdt::data_mdt(&world.facts(), "video", (moves, returns), &joined)
    };
    held(&check(&world, 1, 1, &["PE2"]));
    failed(&check(&world, 2, 1, &["PE2"]), "it moved 1 times");
    failed(&check(&world, 1, 0, &["PE2"]), "it came back 1 times");
    failed(&check(&world, 1, 1, &[]), "joined by PE2");
    failed(&check(&world, 1, 1, &["PE1", "PE2"]), "joined by PE2");
    // Another customer's, of the same addresses.
    world
        .mdts
        .events
        .iter_mut()
        .for_each(|e| e.mvpn = "blue".into());
    failed(&check(&world, 0, 0, &[]), "nothing judged");
}

#[test]
fn a_neighbour_over_the_mdt_is_there_or_is_not() {
    let mut world = World::new();
    let ask =
        |world: &World, yes| router_state::mdt_neighbor(&world.facts(), "red", ("PE1", "PE2"), yes);
    failed(&ask(&world, false), "nothing judged");
    world.states.insert("PE1.red".into(), String::new());
    held(&ask(&world, false));
    failed(&ask(&world, true), "PE1.red does not have PE2");
    let address = world.plan.mvpns["red"].sites[1].overlay;
    world
        .states
        .insert("PE1.red".into(), format!("mdt  {address}  00:00:12\n"));
    held(&ask(&world, true));
    failed(&ask(&world, false), "PE1.red has PE2");
}
