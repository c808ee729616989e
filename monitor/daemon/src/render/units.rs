//! Numbers with their units, at a length that can be compared at a glance.

use vmscope_core::control::{BudgetStatus, ProbeFilesStatus, ShardStatus};
use vmscope_core::report::{Distribution, TaskState};
use vmscope_core::time::Rate;

/// What stands for a metric without a sample.
pub const NOTHING: &str = "-";

/// Milliseconds with microseconds behind the point.
pub fn ms(ns: i64) -> String {
    let us = (ns + ns.signum() * 500) / 1_000;
    format!(
        "{}{}.{:03}",
        if us < 0 { "-" } else { "" },
        (us / 1_000).abs(),
        (us % 1_000).abs()
    )
}

/// Milliseconds, or nothing.
pub fn maybe_ms(ns: Option<i64>) -> String {
    ns.map_or_else(|| NOTHING.to_owned(), ms)
}

/// One figure of a distribution, in milliseconds, or nothing.
pub fn of(distribution: &Option<Distribution>, figure: fn(&Distribution) -> i64) -> String {
    maybe_ms(distribution.as_ref().map(figure))
}

/// A range of milliseconds, or nothing.
pub fn ms_range(low: Option<i64>, high: Option<i64>) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("{}..{}", ms(low), ms(high)),
        (None, _) | (_, None) => NOTHING.to_owned(),
    }
}

/// A monitor's part of what several share, in words.
pub fn shard(part: &ShardStatus) -> String {
    let (tunnels, all) = (part.tunnels, part.tunnels_of_all);
    let mut words = format!(
        "{}, one of {}; {tunnels} of {all} tunnels",
        part.monitor,
        part.monitors.len()
    );
    for unseen in &part.unseen {
        let (pairs, of, name) = (unseen.pairs, unseen.of, &unseen.name);
        words += &format!("; {pairs} of {of} pairs of {name} are measured by no monitor");
    }
    words
}

/// How the files of probes are, in words.
pub fn probe_files(files: &ProbeFilesStatus) -> String {
    let ProbeFilesStatus {
        directory,
        written,
        dropped,
        failing,
    } = files;
    let failing = failing
        .iter()
        .map(|why| format!("; cannot be written: {why}"));
    let failing: String = failing.collect();
    let place = directory.display();
    format!("{written} probes in closed files in {place}, {dropped} dropped{failing}")
}

/// A budget and its use, in words.
pub fn budget(used: &BudgetStatus) -> String {
    let planned = &used.planned;
    let of = |what: &str, planned: u64, most: Option<Rate>| {
        most.map(|most| format!("{} of {most} {what}", Rate::from_millipps(planned)))
    };
    let bounds = [
        of("probes", planned.probes_millipps, used.spec.probes),
        of(
            "into one PE",
            planned.probes_per_pe_millipps,
            used.spec.probes_per_pe,
        ),
        of("copies back", planned.copies_millipps, used.spec.copies),
    ];
    let bounds: Vec<String> = bounds.into_iter().flatten().collect();
    format!(
        "{} planned; {} probes sent and {} copies awaited in the last second; {} probes shed",
        bounds.join(", "),
        used.sent,
        used.copies,
        used.shed
    )
}

/// A ratio in percent, or nothing.
pub fn percent(ratio: Option<f64>) -> String {
    ratio.map_or_else(
        || NOTHING.to_owned(),
        |ratio| format!("{:.3}", ratio * 100.0),
    )
}

/// A range of ratios in percent, or nothing.
pub fn percent_range(low: Option<f64>, high: Option<f64>) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("{:.3}..{:.3}", low * 100.0, high * 100.0),
        (None, _) | (_, None) => NOTHING.to_owned(),
    }
}

/// A length of time, to the second above a minute.
pub fn duration(ns: u64) -> String {
    let s = ns / 1_000_000_000;
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, 0, s) => format!("{s}.{:03} s", ns / 1_000_000 % 1_000),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, s) => format!("{h} h {m} min {s} s"),
    }
}

/// A task's state in words.
pub fn task_state(state: TaskState) -> &'static str {
    match state {
        TaskState::WarmingUp => "warming up",
        TaskState::Running => "running",
        TaskState::Draining => "draining",
        TaskState::Finished => "finished",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_rounded_and_keep_their_sign() {
        assert_eq!(
            [0, 499, 500, 1_234_567, -1_234_567, -400_000].map(ms),
            ["0.000", "0.000", "0.001", "1.235", "-1.235", "-0.400"]
        );
    }

    #[test]
    fn durations_are_as_short_as_they_can_be() {
        assert_eq!(
            [1_500_000_000, 61_000_000_000, 3_700_000_000_000].map(duration),
            ["1.500 s", "1 min 1 s", "1 h 1 min 40 s"]
        );
    }
}
