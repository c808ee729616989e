//! What holds for whatever counts.

use proptest::prelude::*;
use vmscope_core::inference::*;

/// Counts of probes by fate: at both leaves, at the first only, at the second only, at none.
type Fates = (u64, u64, u64, u64);

fn fates() -> impl Strategy<Value = Fates> {
    let count = prop_oneof![0..20u64, 0..2_000u64, 0..2_000_000u64];
    (1..5_000_000u64, count.clone(), count.clone(), count)
}

fn packets((both, first, second, none): Fates) -> PacketCounts {
    PacketCounts::of_two(
        both + first + second + none,
        both + first,
        both + second,
        both,
    )
}

fn assert_in_range(estimate: &Estimate) {
    let Estimate {
        loss,
        low,
        high,
        variance,
        ..
    } = *estimate;
    assert!(
        0.0 <= low && low <= loss && loss <= high && high <= 1.0,
        "{estimate:?}"
    );
    assert!(
        low < high && variance >= 0.0 && variance.is_finite(),
        "{estimate:?}"
    );
}

fn assert_alike(one: &Estimate, other: &Estimate) {
    for (a, b) in [
        (one.loss, other.loss),
        (one.low, other.low),
        (one.high, other.high),
    ] {
        assert!(
            (a - b).abs() <= 1e-3 * (one.high - one.low),
            "{one:?} {other:?}"
        );
    }
}

/// Counts of three leaves, by which of them lost the probes.
fn three_leaves(fates: &[u64; 8]) -> PacketCounts {
    let mut counts = PacketCounts::new(3);
    for (pattern, &probes) in fates.iter().enumerate() {
        counts.add(
            &[pattern & 1 == 0, pattern & 2 == 0, pattern & 4 == 0],
            probes,
        );
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn estimates_are_within_their_intervals_and_those_within_0_and_1(fates in fates()) {
        let tree = per_packet(&[packets(fates)], Confidence::P95).unwrap();
        assert_in_range(&tree.shared);
        tree.leaves.iter().for_each(assert_in_range);
        let reflection = reflected(&[packets(fates)], Confidence::P95).unwrap();
        [&reflection.outward, &reflection.back, &reflection.reflection].into_iter().for_each(assert_in_range);
    }

    #[test]
    fn leaves_that_change_places_change_answers(fates in fates()) {
        let (both, first, second, none) = fates;
        let one = per_packet(&[packets(fates)], Confidence::P95).unwrap();
        let other = per_packet(&[packets((both, second, first, none))], Confidence::P95).unwrap();
        prop_assert!((one.shared.loss - other.shared.loss).abs() < 1e-12);
        assert_alike(&one.leaves[0], &other.leaves[1]);
        assert_alike(&one.leaves[1], &other.leaves[0]);
    }

    #[test]
    fn more_of_the_same_narrows((both, first, second, none) in fates()) {
        let counts = |times| packets((times * both, times * first, times * second, times * none));
        let of = |times| per_packet(&[counts(times)], Confidence::P95).unwrap();
        let (one, four) = (of(1), of(4));
        for (one, four) in std::iter::once((&one.shared, &four.shared)).chain(one.leaves.iter().zip(&four.leaves)) {
            prop_assert!(four.half_width() < one.half_width(), "{one:?} {four:?}");
        }
    }

    #[test]
    fn less_confidence_narrows(fates in fates()) {
        let half = per_packet(&[packets(fates)], Confidence::new(0.5).unwrap()).unwrap();
        let most = per_packet(&[packets(fates)], Confidence::new(0.999).unwrap()).unwrap();
        prop_assert!(half.shared.half_width() < most.shared.half_width());
    }

    #[test]
    fn three_leaves_are_in_range_too(fates in prop::array::uniform8(0..5_000u64), both in 1..1_000_000u64) {
        let mut fates = fates;
        fates[0] += both;
        let tree = per_packet(&[three_leaves(&fates)], Confidence::P95).unwrap();
        assert_in_range(&tree.shared);
        tree.leaves.iter().for_each(assert_in_range);
    }

    #[test]
    fn counters_are_in_range_whatever_they_say(
        aggregates in prop::collection::vec((1..200u64, 0.0..1.0f64, 0.0..1.0f64), 1..60),
        hostile in any::<bool>(),
    ) {
        let counts = |&(sent, first, second): &(u64, f64, f64)| {
            let many = |share: f64| (share * sent as f64) as u64;
            let part = |share: f64| if hostile { many(share) } else { sent - many(share.powi(6)) };
            AggregateCounts { sent, first: part(first), second: part(second) }
        };
        let block: Vec<AggregateCounts> = aggregates.iter().map(counts).collect();
        let swap = |a: &AggregateCounts| AggregateCounts { first: a.second, second: a.first, ..*a };
        let swapped: Vec<AggregateCounts> = block.iter().map(swap).collect();
        match (aggregate(&[block], Confidence::P95), aggregate(&[swapped], Confidence::P95)) {
            (Ok(one), Ok(other)) => {
                assert_in_range(&one.shared);
                one.leaves.iter().for_each(assert_in_range);
                prop_assert!((one.leaves[0].loss - other.leaves[1].loss).abs() < 1e-6);
            }
            (Err(_), Err(_)) => {}
            (one, other) => prop_assert!(false, "{one:?} {other:?}"),
        }
    }
}

/// Aggregates of one probe are single probes: both estimators must agree.
#[test]
fn aggregates_of_one_probe_are_single_probes() {
    let fates: Fates = (9_500, 120, 90, 290);
    let (both, first, second, none) = fates;
    let one = |arrived: [u64; 2]| AggregateCounts {
        sent: 1,
        first: arrived[0],
        second: arrived[1],
    };
    let block: Vec<AggregateCounts> = [
        ([1, 1], both),
        ([1, 0], first),
        ([0, 1], second),
        ([0, 0], none),
    ]
    .into_iter()
    .flat_map(|(arrived, times)| std::iter::repeat_n(one(arrived), times as usize))
    .collect();
    let counted = aggregate(&[block], Confidence::P95).unwrap();
    let seen = per_packet(&[packets(fates)], Confidence::P95).unwrap();
    for (counted, seen) in std::iter::once((&counted.shared, &seen.shared))
        .chain(counted.leaves.iter().zip(&seen.leaves))
    {
        assert_alike(counted, seen);
        assert!(
            (counted.variance / seen.variance - 1.0).abs() < 1e-6,
            "{counted:?} {seen:?}"
        );
    }
}

/// Cáceres et al. (1999): for two leaves α = γ₁γ₂/γ₁₂; variances as in the modules' documentation.
#[test]
fn two_leaves_agree_with_the_closed_form() {
    let tree = per_packet(
        &[PacketCounts::of_two(100_000, 93_000, 95_000, 91_000)],
        Confidence::P95,
    )
    .unwrap();
    let alpha = 0.93 * 0.95 / 0.91;
    let (beta1, beta2) = (0.91 / 0.95, 0.91 / 0.93);
    assert!((tree.shared.loss - (1.0 - alpha)).abs() < 1e-12, "{tree:?}");
    assert!(
        (tree.leaves[0].loss - (1.0 - beta1)).abs() < 1e-12,
        "{tree:?}"
    );
    let shared =
        (alpha * (1.0 - alpha) + alpha * (1.0 - beta1) * (1.0 - beta2) / (beta1 * beta2)) / 1e5;
    let leaf = beta1 * (1.0 - beta1) / (alpha * beta2) / 1e5;
    assert!(
        (tree.shared.variance / shared - 1.0).abs() < 1e-9,
        "{} {shared}",
        tree.shared.variance
    );
    assert!(
        (tree.leaves[0].variance / leaf - 1.0).abs() < 1e-9,
        "{} {leaf}",
        tree.leaves[0].variance
    );
}

/// However the equations are solved: where every probe that is known to have come by was received, no loss is claimed.
#[test]
fn rounding_is_no_loss() {
    for missing in 0..400 {
        let counts = packets((13_991 - missing, missing, 0, 3));
        let tree = per_packet(&[counts], Confidence::P95).expect("two leaves");
        let first = &tree.leaves[0];
        assert_eq!((first.loss, first.low), (0.0, 0.0), "{missing}: {first:?}");
    }
}
