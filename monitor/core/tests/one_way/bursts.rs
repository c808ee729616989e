//! Losses that come together: intervals widen until they hold again, and it is said.
//!
//! A count of N losses in bursts of geometric length, L on average, varies like a count of N/(2L − 1): no estimator
//! can know better, since what it must know is how often bursts happen. So the least error is √(2L − 1) times that of
//! independent losses.

use crate::simulate::{Configuration, Setting, quality};
use crate::{RATE, THREADS};

const SEEDS: u64 = 1_000;

fn setting(rate: f64, burst: f64) -> Setting {
    Setting {
        dealt: true,
        ..Setting::minute(RATE, rate).bursty(burst)
    }
}

/// Mean error at most so many times that of independent losses, for each path.
fn assert_error(configuration: Configuration, rate: f64, burst: f64, times: f64) {
    let independent = quality(configuration, &setting(rate, 1.0), SEEDS, THREADS);
    let bursty = quality(configuration, &setting(rate, burst), SEEDS, THREADS);
    for (bursty, independent) in bursty.iter().zip(&independent) {
        let ratio = bursty.mean_absolute() / independent.mean_absolute();
        assert!(
            ratio < times,
            "{configuration:?} at {rate}, bursts of {burst}: {ratio}"
        );
    }
}

#[test]
fn short_bursts_cost_at_most_twice_the_error() {
    for configuration in [Configuration::A, Configuration::B, Configuration::C] {
        for rate in [0.001, 0.02] {
            assert_error(configuration, rate, 2.0, 2.0);
        }
    }
}

/// Bursts of five cannot cost less than three times the error; they cost no more than a tenth above that.
#[test]
fn long_bursts_cost_what_they_must() {
    for configuration in [Configuration::A, Configuration::B, Configuration::C] {
        for rate in [0.001, 0.01] {
            assert_error(configuration, rate, 5.0, 3.3);
        }
    }
}

#[test]
fn intervals_hold_in_bursts_and_bursts_are_said() {
    for configuration in [Configuration::A, Configuration::B, Configuration::C] {
        for (rate, burst) in [(0.001, 5.0), (0.01, 2.0), (0.01, 5.0), (0.05, 5.0)] {
            let setting = setting(rate, burst);
            for (path, quality) in quality(configuration, &setting, SEEDS, THREADS)
                .iter()
                .enumerate()
            {
                let coverage = quality.coverage();
                assert!(
                    (0.92..=0.98).contains(&coverage),
                    "{configuration:?}, path {path} at {rate}, bursts of {burst}: {coverage}"
                );
                // A burst on the way back loses direct copies and reflected ones alike, which leaves their quotient
                // alone.
                if (configuration, path) != (Configuration::C, 2) {
                    let said = quality.dependent / quality.runs;
                    assert!(
                        said > 0.8,
                        "{configuration:?}, path {path} at {rate}, bursts of {burst}: {said}"
                    );
                }
            }
        }
    }
}

/// A minute with some five bursts: a few intervals in a hundred too many miss, and nearly every run doubts its few
/// events.
#[test]
fn a_handful_of_bursts_is_doubted() {
    for (configuration, least) in [
        (Configuration::A, 0.91),
        (Configuration::B, 0.91),
        (Configuration::C, 0.87),
    ] {
        let setting = setting(0.0002, 5.0);
        for quality in quality(configuration, &setting, SEEDS, THREADS) {
            let few = quality.few / quality.runs;
            assert!(
                quality.coverage() > least,
                "{configuration:?}: {}",
                quality.coverage()
            );
            assert!(few > 0.97, "{configuration:?}: {few}");
        }
    }
}

/// One in a hundred takes chance for bursts, no more.
#[test]
fn independent_losses_are_not_called_bursts() {
    for configuration in [Configuration::A, Configuration::B, Configuration::C] {
        for quality in quality(configuration, &setting(0.01, 1.0), SEEDS, THREADS) {
            assert!(
                quality.dependent / quality.runs < 0.025,
                "{configuration:?}: {}",
                quality.dependent / quality.runs
            );
        }
    }
}
