//! Independent losses: the estimates are unbiased, as good as they can be, and their intervals hold the truth as
//! often as they say.

use crate::simulate::{Configuration, Loss, Quality, Setting, quality};
use crate::{RATE, RATES, SEEDS, THREADS};

/// Variance of the per-packet estimator over the bound; what a sum of squares may be off by chance comes on top.
const OVER_BOUND: f64 = 0.05;

/// Every path's intervals hold the truth in 93 to 97 % of runs, and its errors cancel out.
fn assert_held(configuration: Configuration, setting: &Setting, quality: &[Quality; 3]) {
    for (path, quality) in quality.iter().enumerate() {
        let coverage = quality.coverage();
        assert!(
            (0.93..=0.97).contains(&coverage),
            "{configuration:?}, path {path} of {setting:?}: {coverage}"
        );
        let chance = 4.0 * (quality.variance() / quality.runs).sqrt();
        assert!(
            quality.bias().abs() < chance,
            "{configuration:?}, path {path} of {setting:?}: bias {} by chance {chance}",
            quality.bias()
        );
    }
}

/// Every path's variance is the bound's, but for the Monte Carlo error: four deviations of a sample variance, of
/// counts so small that they are Poisson's.
fn assert_at_the_bound(configuration: Configuration, setting: &Setting, quality: &[Quality; 3]) {
    for (path, quality) in quality.iter().enumerate() {
        let ratio = quality.variance() / configuration.bound(setting, path);
        let losses = setting.paths[path].rate * f64::from(setting.probes);
        let chance = 4.0 * ((2.0 + 1.0 / losses) / quality.runs).sqrt();
        assert!(
            (ratio - 1.0).abs() < OVER_BOUND + chance,
            "{configuration:?}, path {path} of {setting:?}: {ratio}"
        );
    }
}

#[test]
fn configuration_a_holds_at_every_rate_and_is_as_good_as_can_be() {
    for rate in RATES {
        let setting = Setting::minute(RATE, rate);
        let quality = quality(Configuration::A, &setting, SEEDS, THREADS);
        assert_held(Configuration::A, &setting, &quality);
        assert_at_the_bound(Configuration::A, &setting, &quality);
    }
}

#[test]
fn configuration_c_holds_at_every_rate_and_is_as_good_as_can_be() {
    for rate in RATES {
        let setting = Setting::minute(RATE, rate);
        let quality = quality(Configuration::C, &setting, SEEDS, THREADS);
        assert_held(Configuration::C, &setting, &quality);
        assert_at_the_bound(Configuration::C, &setting, &quality);
    }
}

/// Counters say less than single probes; what they say is in the claimed variance, which is the bound for counters.
#[test]
fn configuration_b_holds_at_every_rate_and_claims_the_variance_it_has() {
    for rate in RATES {
        let setting = Setting::minute(RATE, rate);
        let quality = quality(Configuration::B, &setting, SEEDS, THREADS);
        assert_held(Configuration::B, &setting, &quality);
        for quality in quality {
            let ratio = quality.variance() * quality.runs / quality.claimed;
            assert!((0.85..1.1).contains(&ratio), "{setting:?}: {ratio}");
        }
    }
}

/// Far from symmetric: nearly all of the loss is in one place, and the rest is to be found beside it.
#[test]
fn intervals_hold_where_paths_differ() {
    for rates in [
        [0.0002, 0.05, 0.05],
        [0.05, 0.0002, 0.001],
        [0.001, 0.02, 0.0002],
    ] {
        let setting = Setting {
            paths: rates.map(Loss::single),
            ..Setting::minute(RATE, 0.0)
        };
        for configuration in [Configuration::A, Configuration::B, Configuration::C] {
            for (path, quality) in quality(configuration, &setting, SEEDS, THREADS)
                .iter()
                .enumerate()
            {
                let coverage = quality.coverage();
                // An estimate that is mostly at the boundary has an interval that holds too often.
                let boundary = quality.variance().sqrt() > 0.7 * rates[path];
                let most = if boundary { 1.0 } else { 0.97 };
                assert!(
                    (0.93..=most).contains(&coverage),
                    "{configuration:?}, path {path} of {rates:?}: {coverage}"
                );
            }
        }
    }
}

/// A path without any loss has an interval from zero that is not nothing, and holds.
#[test]
fn no_loss_is_an_interval_from_zero() {
    for configuration in [Configuration::A, Configuration::B, Configuration::C] {
        let setting = Setting::minute(RATE, 0.0);
        for estimate in configuration.estimate(&setting, 1) {
            assert_eq!((estimate.loss, estimate.low), (0.0, 0.0));
            let rule_of_three = 3.0 / f64::from(setting.probes);
            assert!(
                (rule_of_three..2.0 * rule_of_three).contains(&estimate.high),
                "{configuration:?}: {estimate:?}"
            );
        }
    }
}

/// Loss that strikes both leaves at once is counted before the branching point: the bias is that loss, and nothing
/// can show it.
#[test]
fn spatially_correlated_loss_biases_by_itself() {
    let setting = Setting {
        common: Loss::single(0.001),
        ..Setting::minute(RATE, 0.01)
    };
    for configuration in [Configuration::A, Configuration::B] {
        let [shared, first, _] = quality(configuration, &setting, 200, THREADS);
        assert!(
            (shared.bias() / 0.001 - 1.0).abs() < 0.1,
            "{configuration:?}: {}",
            shared.bias()
        );
        assert!(
            first.bias().abs() < 0.0001,
            "{configuration:?}: {}",
            first.bias()
        );
    }
}
