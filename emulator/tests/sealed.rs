//! The sealed place, for real: needs QEMU, and apt for an image that is not in the cache yet. Without them it fails, it
//! does not skip.
//!
//! The guest's init is this test's own executable, so it has a `main` of its own instead of libtest's.

mod sealed {
    pub mod failures;
    pub mod living;
    pub mod native;
    pub mod programs;
    pub mod repetition;
    pub mod support;
}

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use mvpnlab_emulator::place::guest;
use sealed::{failures, living, native, programs, repetition, support};

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    (
        "repetition::two_labs_made_apart_repeat_to_the_byte_and_differ_by_seed",
        repetition::labs_made_apart,
    ),
    (
        "repetition::a_cold_start_gives_the_same_bytes",
        repetition::cold_start,
    ),
    (
        "repetition::a_busy_host_changes_nothing",
        repetition::busy_host,
    ),
    (
        "repetition::files_go_in_and_come_out_unchanged",
        repetition::files_in_and_out,
    ),
    (
        "repetition::idle_virtual_time_is_exact_and_skipped",
        repetition::idle_time,
    ),
    (
        "failures::a_program_that_fails_says_why_and_when",
        failures::program_fails,
    ),
    (
        "failures::a_program_that_panics_is_an_error",
        failures::program_panics,
    ),
    (
        "failures::a_program_that_dies_is_reported",
        failures::program_dies,
    ),
    (
        "failures::an_unknown_program_is_reported",
        failures::unknown_program,
    ),
    ("failures::a_hang_ends_at_the_deadline", failures::hang),
    (
        "failures::a_kernel_panic_is_told_from_an_early_exit",
        failures::panic_and_early_exit,
    ),
    (
        "failures::a_killed_qemu_is_reported_and_reaped",
        failures::killed_qemu,
    ),
    (
        "failures::a_missing_qemu_says_what_to_install",
        failures::missing_qemu,
    ),
    (
        "failures::a_full_disk_is_an_error_and_leaves_nothing",
        failures::full_disk,
    ),
    (
        "native::a_program_runs_in_this_kernel_and_its_namespaces_go_with_it",
        native::runs,
    ),
    ("native::failures_and_hangs_are_errors", native::failures),
    (
        "native::what_is_missing_is_listed_with_remedies",
        native::missing,
    ),
    (
        "living::bytes_go_both_ways_in_virtual_time_which_passes_only_meanwhile",
        living::in_virtual_time,
    ),
    (
        "living::bytes_go_both_ways_in_real_time",
        living::in_real_time,
    ),
    (
        "living::bytes_go_both_ways_in_this_kernel",
        living::in_this_kernel,
    ),
    (
        "living::a_lab_that_dies_says_why_and_a_dropped_one_is_gone",
        living::ends,
    ),
    (
        "failures::the_guest_runs_only_as_process_one",
        failures::guest_outside,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("guest") => match guest::init(&programs::by_name) {
            Ok(never) => match never {},
            Err(message) => {
                eprintln!("{message}");
                ExitCode::FAILURE
            }
        },
        Some(support::FULL_DISK) => failures::full_disk_child(),
        _ => run(&arguments),
    }
}

/// What libtest does with `[FILTER...] [--list]`, one test at a time.
fn run(arguments: &[String]) -> ExitCode {
    let filters: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let exact = arguments.iter().any(|a| a == "--exact");
    let wanted = |name: &str| {
        filters.is_empty()
            || filters.iter().any(|f| {
                if exact {
                    name == *f
                } else {
                    name.contains(f.as_str())
                }
            })
    };
    let chosen: Vec<&Test> = TESTS.iter().filter(|(name, _)| wanted(name)).collect();
    if arguments.iter().any(|a| a == "--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let mut failed = 0;
    for (name, test) in &chosen {
        let begin = Instant::now();
        let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
        failed += usize::from(!passed);
        let verdict = if passed { "ok" } else { "FAILED" };
        println!(
            "test {name} ... {verdict} ({:.1} s)",
            begin.elapsed().as_secs_f64()
        );
    }
    println!(
        "\n{} passed; {failed} failed; {} filtered out",
        chosen.len() - failed,
        TESTS.len() - chosen.len()
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
