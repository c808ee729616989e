//! The table of one-way loss estimators, by Monte Carlo.
//!
//! ```text
//! cargo run --release -p vmscope-core --example one_way_table -- [SEEDS [PROBES_PER_SECOND [THREADS [TABLES]]]]
//! ```
//!
//! A minute of probing at the given rate, loss of all three paths from 0.02 % to 5 %; for each configuration and
//! path: mean relative error, bias, variance over the Cramér-Rao bound of single probes with independent losses,
//! variance over what the estimates claim (for B, the bound of counts in aggregates of 50), and how often the 95 %
//! interval held the truth. Below, the same with losses in bursts, and with loss that strikes both paths behind the
//! branching point at once. TABLES says how many of these four to make.

#[allow(dead_code)]
#[path = "../tests/one_way/simulate.rs"]
mod simulate;

use simulate::{Configuration, Loss, Quality, Setting, quality};

/// Loss rates, as shares.
const RATES: [f64; 6] = [0.0002, 0.001, 0.005, 0.01, 0.02, 0.05];
/// Bytes of a probe on the wire of a tunnel: a payload of 100 bytes, UDP, IP, GRE and the outer IP.
const PROBE_BYTES: f64 = 100.0 + 8.0 + 20.0 + 4.0 + 20.0;
/// Mean number of probes a burst loses.
const BURST: f64 = 5.0;
/// Share of a leaf's loss that strikes both leaves at once.
const COMMON_SHARE: f64 = 0.1;

struct Options {
    seeds: u64,
    rate: u32,
    threads: u64,
    tables: usize,
}

fn options() -> Result<Options, String> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |name: &str, default: u32| match arguments.next() {
        None => Ok(default),
        Some(text) => text
            .parse()
            .ok()
            .filter(|&n| n > 0)
            .ok_or_else(|| format!("{name} is {text:?}: it must be a whole number above 0")),
    };
    let options = Options {
        seeds: number("SEEDS", 2_000)?.into(),
        rate: number("PROBES_PER_SECOND", 2_000)?,
        threads: number("THREADS", 1)?.into(),
        tables: number("TABLES", 4)? as usize,
    };
    if !options.rate.is_multiple_of(2_000) {
        return Err(format!(
            "PROBES_PER_SECOND is {}: it must be a multiple of 2000, the probes dealt out over 40 aggregates of 50",
            options.rate
        ));
    }
    Ok(options)
}

fn main() -> Result<(), String> {
    let options = options()?;
    let megabits = f64::from(options.rate) * PROBE_BYTES * 8.0 / 1e6;
    println!(
        "one minute at {} probes/s ({megabits:.1} Mbit/s in a tunnel), {} seeds, from 0 on",
        options.rate, options.seeds
    );
    let minute = |loss: f64| Setting::minute(options.rate, loss);
    let bursty = |loss: f64| minute(loss).bursty(BURST);
    let dealt = |loss: f64| Setting {
        dealt: true,
        ..bursty(loss)
    };
    let common = |loss: f64| Setting {
        common: Loss::single(COMMON_SHARE * loss),
        ..minute(loss)
    };
    let tables: [(&str, &dyn Fn(f64) -> Setting); 4] = [
        ("losses independent", &minute),
        (
            "losses in bursts of 5 on average; aggregates of consecutive probes",
            &bursty,
        ),
        (
            "losses in bursts of 5 on average; probes dealt out over 40 aggregates",
            &dealt,
        ),
        (
            "a tenth of the leaves' loss strikes both at once (spatial correlation)",
            &common,
        ),
    ];
    for (title, setting) in tables.into_iter().take(options.tables) {
        table(&options, title, setting);
    }
    Ok(())
}

fn table(options: &Options, title: &str, setting: impl Fn(f64) -> Setting) {
    println!("\n{title}");
    println!(
        "  loss      path        mean rel. error (at the bound)      bias   variance/bound  /claimed  coverage  said dependent"
    );
    for configuration in [Configuration::A, Configuration::B, Configuration::C] {
        // What is reflected does not part at the branching point: loss common to both leaves is not simulated for it.
        if configuration == Configuration::C && setting(RATES[0]).common.rate > 0.0 {
            continue;
        }
        for rate in RATES {
            let setting = setting(rate);
            for (path, quality) in quality(configuration, &setting, options.seeds, options.threads)
                .iter()
                .enumerate()
            {
                line(configuration, path, &setting, quality);
            }
        }
    }
}

fn line(configuration: Configuration, path: usize, setting: &Setting, quality: &Quality) {
    let name = match (configuration, path) {
        (_, 0) => "shared",
        (Configuration::C, 1) => "back",
        (Configuration::C, _) => "reflection",
        (_, 1) => "leaf 1",
        (_, _) => "leaf 2",
    };
    let rate = setting.paths[path].rate;
    let bound = configuration.bound(setting, path);
    // The mean absolute error of a normal variable is its deviation times the root of 2/π.
    let error_at_bound = (bound * std::f64::consts::FRAC_2_PI).sqrt() / rate;
    println!(
        "  {:4.2} %  {configuration:?} {name:<10}  {:11.1} % ({:8.1} %)      {:+9.2} %  {:14.3}  {:8.3}  {:6.1} %  {:11.1} %",
        100.0 * rate,
        100.0 * quality.mean_absolute() / rate,
        100.0 * error_at_bound,
        100.0 * quality.bias() / rate,
        quality.variance() / bound,
        quality.variance() * quality.runs / quality.claimed,
        100.0 * quality.coverage(),
        100.0 * quality.dependent / quality.runs,
    );
}
