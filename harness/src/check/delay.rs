//! Bounded: delays against the taps at the monitor's own link.

use mvpnlab_emulator::scenario::Span;

use super::Finding;
use super::facts::Facts;
use super::judge::Judge;
use super::loss::about;
use crate::report::format::duration;

/// The value below which a share of the sorted values lies (nearest rank).
pub fn quantile(sorted: &[i64], share: f64) -> Option<i64> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Arithmetic mean, rounded towards zero.
pub fn mean(values: &[i64]) -> Option<i64> {
    let sum: i128 = values.iter().map(|value| i128::from(*value)).sum();
    (!values.is_empty()).then(|| (sum / values.len() as i128) as i64)
}

/// The error of each probe's delay, at the 99th percentile over all pairs.
pub fn delay_error(facts: &Facts, task: &str, p99_at_most: Span) -> Finding {
    let limit = p99_at_most.ns.cast_signed();
    let mut judge = Judge::new(
        "delay-error",
        task,
        format!("at most {} at the 99th percentile", duration(limit)),
    );
    let mut errors = Vec::new();
    let mut signed = Vec::new();
    for both in facts
        .task(task)
        .into_iter()
        .filter(|both| !both.is_warmup())
    {
        let delays = (
            both.claim.and_then(|claim| claim.delay_ns()),
            both.truth.and_then(|copy| copy.delay_ns()),
        );
        if let (Some(claimed), Some(seen)) = delays {
            errors.push((claimed - seen).abs());
            signed.push(claimed - seen);
        }
    }
    errors.sort_unstable();
    judge.judged(errors.len() as u64);
    if let (Some(p50), Some(p99), Some(max)) = (
        quantile(&errors, 0.5),
        quantile(&errors, 0.99),
        errors.last(),
    ) {
        judge.demand(p99 <= limit, || {
            format!(
                "the 99th percentile of the error is {}, the largest {}",
                duration(p99),
                duration(*max)
            )
        });
        judge.figure("error_p50_ns", p50);
        judge.figure("error_p99_ns", p99);
        judge.figure("error_max_ns", *max);
        judge.figure("bias_ns", mean(&signed).unwrap_or(0));
    }
    judge.finish()
}

/// The measured mean delay of each pair lies in the range.
pub fn delay(
    facts: &Facts,
    task: &str,
    pair: (Option<&str>, Option<&str>),
    at_least: Span,
    at_most: Span,
) -> Finding {
    let range = at_least.ns.cast_signed()..=at_most.ns.cast_signed();
    let expected = format!(
        "mean delay from {} to {}",
        duration(*range.start()),
        duration(*range.end())
    );
    let mut judge = Judge::new("delay", about(task, pair), expected);
    for pair in facts.pairs(task, pair.0, pair.1) {
        let delays: Vec<i64> = facts
            .counted(task, &pair)
            .iter()
            .filter_map(|both| both.claim?.delay_ns())
            .collect();
        let Some(measured) = mean(&delays) else {
            continue;
        };
        judge.judged(1);
        judge.demand(range.contains(&measured), || {
            format!(
                "{pair}: {} over {} probes",
                duration(measured),
                delays.len()
            )
        });
        judge.figure(
            &format!("{}_{}_mean_ns", pair.sender.0, pair.receiver.0),
            measured,
        );
    }
    judge.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_nearest_rank() {
        let values: Vec<i64> = (1..=100).collect();
        assert_eq!(
            (
                quantile(&values, 0.5),
                quantile(&values, 0.99),
                quantile(&values, 1.0)
            ),
            (Some(50), Some(99), Some(100))
        );
        assert_eq!((quantile(&[], 0.5), quantile(&[7], 0.01)), (None, Some(7)));
        assert_eq!(
            (mean(&[]), mean(&[1, 2]), mean(&[-3, -4])),
            (None, Some(1), Some(-3))
        );
    }
}
