//! Two runs, one seed, identical bytes, whatever else the host does; another seed, other losses, the same verdict.

mod lab;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const SCENARIO: &str = "vmscope/table1.toml";

/// Runs the scenario and returns its report; it must pass.
fn report(seed: &str, folder: &Path) -> Vec<u8> {
    let scenario = lab::scenarios().join(SCENARIO).display().to_string();
    let out = folder.display().to_string();
    lab::run(&["run", &scenario, "--seed", seed, "--out", &out])
        .unwrap_or_else(|said| panic!("seed {seed}: {said}"));
    fs::read(folder.join("table1/report.json")).unwrap()
}

/// Keeps every core busy while `work` is done.
fn under_load<T>(work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 * thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        // The load must end even if the work fails.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Of every pair, how many probes the taps saw lost.
fn losses(report: &[u8]) -> Vec<u64> {
    let report: serde_json::Value = serde_json::from_slice(report).unwrap();
    let pairs = report["pairs"].as_array().unwrap();
    pairs
        .iter()
        .map(|pair| pair["truth"]["lost"].as_u64().unwrap())
        .collect()
}

#[test]
fn one_seed_gives_one_report_and_another_seed_other_losses() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (first, other) = thread::scope(|scope| {
        let first = scope.spawn(|| report("2", &at("first")));
        let other = scope.spawn(|| report("3", &at("other")));
        (first.join().unwrap(), other.join().unwrap())
    });
    let again = under_load(|| report("2", &at("again")));
    assert!(first == again, "the same seed gave two reports");
    assert!(!losses(&first).is_empty());
    assert_ne!(losses(&first), losses(&other), "two seeds, the same losses");
}
