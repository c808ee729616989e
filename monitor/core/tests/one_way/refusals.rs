//! Counts that cannot be, and counts that do not tell: refused or doubted, never an estimate like any other.

use crate::RATE;
use crate::simulate::Setting;
use vmscope_core::inference::*;

fn refused(blocks: &[PacketCounts]) -> String {
    match per_packet(blocks, Confidence::P95) {
        Err(error @ InferenceError::Inconsistent { .. }) => error.to_string(),
        other => panic!("{blocks:?}: {other:?}"),
    }
}

fn aggregates_refused(counts: AggregateCounts) -> String {
    match aggregate(&[vec![counts]], Confidence::P95) {
        Err(error @ InferenceError::Inconsistent { .. }) => error.to_string(),
        other => panic!("{counts:?}: {other:?}"),
    }
}

#[test]
fn impossible_counts_of_probes_are_refused() {
    assert!(
        refused(&[PacketCounts::of_two(100, 101, 90, 90)])
            .contains("101 probes received, 100 sent")
    );
    assert!(
        refused(&[PacketCounts::of_two(100, 80, 90, 85)])
            .contains("received 80 and 90, all together 85")
    );
    assert!(
        refused(&[PacketCounts::of_two(100, 60, 60, 10)]).contains("110 probes received, 100 sent")
    );
    assert!(
        refused(&[PacketCounts::of_two(100, 40, 40, 0)]).contains("none of them at two leaves")
    );
    refused(&[PacketCounts::of_two(100, u64::MAX, u64::MAX, u64::MAX)]);
    refused(&[PacketCounts::of_two(u64::MAX, u64::MAX, u64::MAX, 0)]);
    let mut odd = PacketCounts::new(3);
    odd.add(&[true, true, true], 10);
    assert!(
        refused(&[PacketCounts::of_two(10, 9, 9, 9), odd.clone()])
            .contains("3 leaves in one block, 2 in another")
    );
    odd.any = 9;
    refused(&[odd]);
}

#[test]
fn impossible_counters_are_refused() {
    let counts = |sent, first, second| AggregateCounts {
        sent,
        first,
        second,
    };
    assert!(aggregates_refused(counts(50, 51, 50)).contains("51 arrived at one leaf"));
    assert!(aggregates_refused(counts(50, 50, u64::from(u32::MAX))).contains("wrap"));
    assert!(aggregates_refused(counts(u64::MAX, 0, 0)).contains("no router counts so many"));
    let excluding = [counts(10, 10, 0), counts(10, 0, 10)].repeat(30);
    assert!(matches!(
        aggregate(&[excluding], Confidence::P95),
        Err(InferenceError::Inconsistent { .. })
    ));
}

#[test]
fn what_does_not_tell_the_paths_apart_is_not_estimated() {
    let silent = |result: Result<TreeEstimate, InferenceError>| {
        assert!(
            matches!(result, Err(InferenceError::NotIdentified(_))),
            "{result:?}"
        )
    };
    silent(per_packet(&[], Confidence::P95));
    silent(per_packet(&[PacketCounts::new(1)], Confidence::P95));
    silent(per_packet(
        &[PacketCounts::of_two(0, 0, 0, 0)],
        Confidence::P95,
    ));
    silent(per_packet(
        &[PacketCounts::of_two(100, 0, 0, 0)],
        Confidence::P95,
    ));
    silent(per_packet(
        &[PacketCounts::of_two(100, 90, 0, 0)],
        Confidence::P95,
    ));
    silent(aggregate(&[], Confidence::P95));
    silent(aggregate(
        &[vec![AggregateCounts {
            sent: 50,
            first: 40,
            second: 0,
        }]],
        Confidence::P95,
    ));
}

/// The router's counters are read one interval late: what was lost on the shared path is missing in one aggregate at
/// one leaf and in the next at the other. Nothing is impossible about any of them.
#[test]
fn aggregates_that_do_not_belong_together_show_no_shared_loss() {
    let setting = Setting::minute(RATE, 0.02);
    let mut all: Vec<AggregateCounts> = setting.tree(3).aggregates().concat();
    let late: Vec<u64> = all.iter().map(|a| a.second).collect();
    all.iter_mut()
        .skip(1)
        .zip(late)
        .for_each(|(a, second)| a.second = second);
    let blocks: Vec<Vec<AggregateCounts>> = all.chunks(40).map(<[_]>::to_vec).collect();
    let estimate = aggregate(&blocks, Confidence::P95).unwrap().shared;
    assert!(estimate.high < 0.005, "{estimate:?}");
}

/// Leaves that share less than chance: two counters that are not of the same probes.
#[test]
fn leaves_that_exclude_each_other_are_doubted() {
    let estimate = per_packet(
        &[PacketCounts::of_two(100_000, 90_000, 90_000, 80_000)],
        Confidence::P95,
    )
    .unwrap()
    .shared;
    assert_eq!((estimate.loss, estimate.low), (0.0, 0.0));
    assert!(estimate.high > 0.0, "{estimate:?}");
    assert!(
        estimate
            .doubts
            .iter()
            .any(|doubt| matches!(doubt, Doubt::Repelling { .. })),
        "{estimate:?}"
    );
}

#[test]
fn few_events_and_few_blocks_are_said() {
    let estimate = per_packet(
        &[PacketCounts::of_two(1_000, 996, 995, 994)],
        Confidence::P95,
    )
    .unwrap();
    let said = |of: fn(&Doubt) -> bool| estimate.shared.doubts.iter().any(of);
    assert!(
        said(|doubt| matches!(doubt, Doubt::FewEvents { .. })),
        "{estimate:?}"
    );
    assert!(
        said(|doubt| matches!(doubt, Doubt::FewBlocks { blocks: 1, .. })),
        "{estimate:?}"
    );
    let enough = per_packet(
        &Setting::minute(RATE, 0.02).tree(5).packets(),
        Confidence::P95,
    )
    .unwrap();
    assert_eq!(enough.shared.doubts, []);
}

/// Consecutive probes in one aggregate and losses in bursts: biased, and said. Dealt out: neither.
#[test]
fn bursts_within_aggregates_are_said() {
    let consecutive = Setting::minute(RATE, 0.02).bursty(5.0);
    let said = |setting: &Setting| {
        let estimate = aggregate(&setting.tree(7).aggregates(), Confidence::P95)
            .unwrap()
            .shared;
        (
            estimate
                .doubts
                .iter()
                .any(|doubt| matches!(doubt, Doubt::BurstsWithinAggregates { .. })),
            estimate.loss,
        )
    };
    let (bursts, loss) = said(&consecutive);
    assert!(bursts && (loss - 0.02).abs() > 0.003, "{loss}");
    let (bursts, loss) = said(&Setting {
        dealt: true,
        ..consecutive
    });
    assert!(!bursts && (loss - 0.02).abs() < 0.003, "{loss}");
    assert!(!said(&Setting::minute(RATE, 0.02)).0);
}
