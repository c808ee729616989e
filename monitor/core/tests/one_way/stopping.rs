//! Peeking: probing that stops when its interval is narrow leaves the interval's promise standing.

use crate::SEEDS;
use crate::simulate::{Loss, Setting};
use vmscope_core::inference::*;

/// Probes before the first look.
const FIRST: u64 = 4_000;

/// Probes until the rule is content, and whether the interval then holds the shared path's loss; or that the budget
/// is spent.
fn probe(loss: f64, width: Width, seed: u64) -> (Verdict, u64, bool) {
    let mut stopping = Stopping::new(StoppingRule {
        width,
        probes_first: FIRST,
        probes_max: 64 * FIRST,
    });
    let mut setting = Setting::minute(0, loss);
    setting.paths = [loss, 0.01, 0.01].map(Loss::single);
    let mut blocks = Vec::new();
    loop {
        let sent: u64 = blocks.iter().map(|block: &PacketCounts| block.sent).sum();
        setting.probes = (stopping.next_look() - sent) as u32;
        setting.blocks = (setting.probes / 200).max(1);
        blocks.extend(setting.tree(seed ^ (sent << 32)).packets());
        let estimate = per_packet(&blocks, Confidence::P95)
            .expect("probes arrive")
            .shared;
        let sent = blocks.iter().map(|block| block.sent).sum();
        match stopping.handle_estimates(sent, &[&estimate]) {
            Verdict::Probe { .. } => {}
            verdict => return (verdict, sent, estimate.low <= loss && loss <= estimate.high),
        }
    }
}

/// The widths are chosen so that about half of the runs stop at one look, and the others at the next: there luck
/// decides.
#[test]
fn intervals_hold_at_the_look_that_stops() {
    for (loss, width) in [
        (0.01, Width::Absolute(0.00156)),
        (0.002, Width::Absolute(0.0005)),
        (0.01, Width::Relative(0.11)),
        (0.05, Width::Relative(0.07)),
    ] {
        let runs: Vec<_> = (0..SEEDS).map(|seed| probe(loss, width, seed)).collect();
        let narrow = runs.iter().filter(|run| run.0 == Verdict::Narrow).count();
        assert_eq!(narrow, runs.len(), "{width:?}: the budget is enough");
        let at =
            |look: u64| runs.iter().filter(|run| run.1 == look).count() as f64 / runs.len() as f64;
        let commonest = runs.iter().map(|run| at(run.1)).fold(0.0, f64::max);
        let coverage = runs.iter().filter(|run| run.2).count() as f64 / runs.len() as f64;
        assert!(
            commonest < 0.95,
            "{width:?}: luck does not decide: {commonest} stop at one look"
        );
        assert!(
            (0.93..=0.97).contains(&coverage),
            "{width:?}: {coverage}, {commonest} stop at one look"
        );
    }
}

#[test]
fn a_budget_too_small_is_spent() {
    let (verdict, sent, _) = probe(0.05, Width::Absolute(1e-5), 1);
    assert_eq!((verdict, sent), (Verdict::Spent, 64 * FIRST));
}
