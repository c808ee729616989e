//! What is sent again for another monitor stays within this one's budget, and takes nothing from its own tasks.

use vmscope_core::control::*;

use crate::budget::{allow_at, budget_at, most_in_a_second};
use crate::network::*;

const M2: usize = 1;

fn overhead(world: &mut World) -> Overhead {
    match world.ok(M2, r#""op":"overhead""#) {
        Answer::Overhead(overhead) => overhead,
        other => panic!("{other:?}"),
    }
}

/// Probes that m2 has sent by the end of each tenth of a second, its own and m1's.
fn sent_by_tenths(world: &mut World, tenths: usize) -> Vec<u64> {
    let mut sent = Vec::new();
    for _ in 0..tenths {
        world.run(S / 10);
        sent.push(overhead(world).probes_sent.packets);
    }
    sent
}

#[test]
fn what_fits_is_all_sent_again() {
    let mut world = tree(1, [0.0; 4]);
    allow_at(
        &mut world,
        M2,
        "probes = \"100pps\"\nprobes_per_pe = \"100pps\"\ncopies = \"1pps\"",
    );
    let probes = r#""rate":"100pps","duration":"10s""#;
    start(&mut world, "reflector", probes, "");
    let sent = sent_by_tenths(&mut world, 250);
    assert_eq!(most_in_a_second(&sent), 100);
    let row = world.status("x").row.expect("a row");
    assert_eq!((row.probes, row.discarded), (1_000, 0));
    assert_eq!(budget_at(&mut world, M2).shed, 0);
}

#[test]
fn what_does_not_fit_is_not_sent_again_and_both_monitors_say_so() {
    for bound in ["probes = \"60pps\"", "probes_per_pe = \"60pps\""] {
        let mut world = tree(1, [0.0; 4]);
        allow_at(&mut world, M2, bound);
        let probes = r#""rate":"100pps","duration":"10s""#;
        start(&mut world, "reflector", probes, "");
        let sent = sent_by_tenths(&mut world, 250);
        assert_eq!(most_in_a_second(&sent), 60, "{bound}");
        let budget = budget_at(&mut world, M2);
        let overhead = overhead(&mut world);
        assert_eq!(overhead.probes_shed, budget.shed);
        // Warm-up included, 11 s of 100 a second.
        let all = overhead.probes_sent.packets + budget.shed;
        assert!((1_095..=1_105).contains(&all), "{budget:?} {overhead:?}");
        // None of it counts, and m1 knows why.
        let status = world.status("x");
        assert_eq!((status.state, &status.row), (OnewayState::Failed, &None));
        let unsure = status.unsure.join("; ");
        assert!(
            unsure.contains("could not send everything again"),
            "{unsure}"
        );
    }
}

#[test]
fn own_tasks_come_first() {
    for bound in ["probes = \"60pps\"", "probes_per_pe = \"60pps\""] {
        let mut world = tree(2, [0.0; 4]);
        allow_at(&mut world, M2, bound);
        let wanted = wanted(&mut world, "1kpps");
        reflecting(&mut world, &wanted);
        world.run(S);
        // All of the budget is the other's when they begin.
        flood(&mut world);
        world.run(2 * S);
        world.ok(M2, r#""op":"send-start","name":"own","tunnel":"t3","group":"239.8.8.8","probes":{"rate":"50pps"}"#);
        world.run(3 * S);
        let (before, shed) = (overhead(&mut world), budget_at(&mut world, M2).shed);
        let again = reflecting(&mut world, &wanted);
        let sent = sent_by_tenths(&mut world, 100);
        assert!(most_in_a_second(&sent) <= 60, "{bound}");
        let now = reflecting(&mut world, &wanted);
        let sent_again = now.reflected - again.reflected;
        assert!((95..=105).contains(&sent_again), "{bound}: {now:?}");
        // All 500 of its own, and what is shed is the other's.
        let sent = overhead(&mut world).probes_sent.packets - before.probes_sent.packets;
        assert_eq!(sent - sent_again, 500, "{bound}");
        let shed = budget_at(&mut world, M2).shed - shed;
        assert_eq!(shed, now.limited - again.limited, "{bound}");
        assert!((3_890..=3_910).contains(&shed), "{bound}: {shed}");
        // When they are over, there is more room.
        world.ok(M2, r#""op":"send-stop","name":"own""#);
        world.run(2 * S);
        let alone = reflecting(&mut world, &wanted).reflected;
        world.run(10 * S);
        let alone = reflecting(&mut world, &wanted).reflected - alone;
        assert!((595..=605).contains(&alone), "{bound}: {alone}");
    }
}

#[test]
fn where_tasks_leave_nothing_it_does_not_begin() {
    let mut said = Vec::new();
    for bound in ["probes = \"50pps\"", "probes_per_pe = \"50pps\""] {
        let mut world = tree(3, [0.0; 4]);
        allow_at(&mut world, M2, bound);
        world.ok(M2, r#""op":"send-start","name":"own","tunnel":"t3","group":"239.8.8.8","probes":{"rate":"49.5pps"}"#);
        let wanted = wanted(&mut world, "1kpps");
        match world.request(M2, &wanted) {
            Outcome::Error(refusal) => {
                assert_eq!(refusal.code, ErrorCode::Limit);
                said.push(refusal.to_string());
            }
            Outcome::Ok(answer) => panic!("{bound}: not refused: {answer:?}"),
        }
        assert!(!world.is_joined(2));
        world.ok(M2, r#""op":"send-stop","name":"own""#);
        reflecting(&mut world, &wanted);
        world.run(S);
        assert!(world.is_joined(2));
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn without_a_budget_all_is_sent_again() {
    let mut world = tree(4, [0.0; 4]);
    let wanted = wanted(&mut world, "1kpps");
    reflecting(&mut world, &wanted);
    world.run(S);
    flood(&mut world);
    world.run(10 * S);
    let reflecting = reflecting(&mut world, &wanted);
    assert!(reflecting.reflected > 3_900, "{reflecting:?}");
    assert_eq!(
        (reflecting.limited, overhead(&mut world).probes_shed),
        (0, 0)
    );
}

#[test]
fn a_measurement_waits_until_its_reflector_has_room() {
    let mut world = tree(5, [0.0; 4]);
    allow_at(&mut world, M2, "probes = \"50pps\"");
    world.ok(M2, r#""op":"send-start","name":"own","tunnel":"t3","group":"239.8.8.8","probes":{"rate":"50pps"}"#);
    let probes = r#""rate":"50pps","duration":"10s""#;
    start(&mut world, "reflector", probes, "");
    world.run(20 * S);
    let status = world.status("x");
    assert_eq!(status.probes_sent, 0);
    let unsure = status.unsure.join("; ");
    assert!(unsure.contains("the budget allows 50pps"), "{unsure}");
    world.ok(M2, r#""op":"send-stop","name":"own""#);
    world.run(60 * S);
    let status = world.status("x");
    assert_eq!(status.state, OnewayState::Spent, "{status:?}");
    assert_eq!(status.row.expect("a row").probes, 500);
}
