//! The series behind the charts.

use crate::check::facts::{Both, Facts};
use crate::report::{Bucket, DelayHistogram, Series};

const BUCKETS: u64 = 60;
const BINS: usize = 60;
const NS_PER_S: u64 = 1_000_000_000;

/// Loss over time of a task, in whole seconds a bucket; nothing where no probe was counted.
pub(super) fn series(facts: &Facts, task: &str) -> Option<Series> {
    let copies = counted(facts, task);
    let length = facts
        .timeline
        .end_ns
        .saturating_sub(facts.timeline.start_ns)
        .max(1);
    let bucket_ns = length.div_ceil(BUCKETS).div_ceil(NS_PER_S) * NS_PER_S;
    let mut buckets = vec![Bucket::default(); length.div_ceil(bucket_ns) as usize];
    for both in &copies {
        let at = both.sent_ns().saturating_sub(facts.timeline.start_ns) / bucket_ns;
        let Some(bucket) = buckets.get_mut(at as usize) else {
            continue;
        };
        if let Some(copy) = both.truth {
            bucket.expected += 1;
            bucket.lost_true += u64::from(copy.lost());
        }
        if let Some(claim) = both.claim {
            bucket.logged += 1;
            bucket.lost_measured += u64::from(claim.lost);
        }
    }
    (!copies.is_empty()).then(|| Series {
        task: task.into(),
        bucket_ns,
        buckets,
    })
}

/// Delays of a task in equal bins from the least to the greatest; nothing where no probe arrived.
pub(super) fn delays(facts: &Facts, task: &str) -> Option<DelayHistogram> {
    let copies = counted(facts, task);
    let truth: Vec<i64> = copies
        .iter()
        .filter_map(|both| both.truth?.delay_ns())
        .collect();
    let measured: Vec<i64> = copies
        .iter()
        .filter_map(|both| both.claim?.delay_ns())
        .collect();
    let least = *truth.iter().chain(&measured).min()?;
    let greatest = *truth.iter().chain(&measured).max()?;
    // An empty bin at either end, so that nothing is drawn on the chart's edge.
    let bin_ns = (greatest - least) / (BINS as i64 - 2) + 1;
    let from_ns = least - bin_ns;
    let fill = |delays: &[i64]| {
        let mut bins = vec![0; BINS];
        for delay in delays {
            let bin = ((delay - from_ns) / bin_ns) as usize;
            bins[bin.min(BINS - 1)] += 1;
        }
        bins
    };
    Some(DelayHistogram {
        task: task.into(),
        from_ns,
        bin_ns,
        truth: fill(&truth),
        measured: fill(&measured),
    })
}

fn counted<'a>(facts: &'a Facts, task: &str) -> Vec<Both<'a>> {
    let mut copies = facts.task(task);
    copies.retain(|both| !both.is_warmup() && both.truth.is_none_or(|copy| !copy.unfinished));
    copies
}
