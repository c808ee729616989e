//! `make bench`: see [`vmscope_bench`].

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use vmscope_bench::bench::{Bench, Shape};
use vmscope_bench::machine::Machine;
use vmscope_bench::place::{self, Place, Problem};
use vmscope_bench::report::Report;
use vmscope_bench::{frames, iperf, many, matrix, overload, paced, rate};

/// What vmscope can take, beside a loop that accounts for nothing.
#[derive(Debug, Parser)]
#[command(name = "vmscope-bench")]
struct Arguments {
    /// The monitor's executable.
    #[arg(long, default_value = "target/release/vmscope")]
    vmscope: PathBuf,
    /// Measurements to make; all but the matrix unless told.
    #[arg(value_enum)]
    measurements: Vec<Measurement>,
    /// Tunnels.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=frames::TUNNELS_MAX as i64))]
    tunnels: u32,
    /// UDP payload of probes, bytes.
    #[arg(long, default_value_t = 100)]
    payload: u16,
    /// More for the monitor's configuration, say `sending = "raw"`.
    #[arg(long, default_value = "")]
    more: String,
    /// How long the overload lasts, seconds.
    #[arg(long, default_value_t = 10)]
    overload: u64,
    /// What fan-out takes, copies a second, if it is not measured before the overload.
    #[arg(long)]
    taken: Option<f64>,
    /// PEs of the matrix.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..=frames::TUNNELS_MAX as i64))]
    pes: u32,
    /// How long the matrix is measured, minutes.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    minutes: u64,
    /// Figures as JSON on standard output.
    #[arg(long)]
    json: bool,
    /// Nothing on standard error while it goes on.
    #[arg(long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Measurement {
    /// Each probe comes back once: groups of two tunnels.
    Direct,
    /// Each probe comes back over every other tunnel: one group.
    FanOut,
    /// iperf2's rate, to compare with.
    Iperf,
    /// 25,000 probes a second: how true, how punctual, at what cost.
    Paced,
    /// More than twice what the monitor can take.
    Overload,
    /// What a packet costs with 100, 1,000 and 10,000 tunnels; only if told.
    Many,
    /// Every pair of many PEs for many minutes; only when it is asked for.
    Matrix,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("vmscope-bench: {problem}");
            ExitCode::from(3)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Problem> {
    let bench = Bench {
        place: Place::new()?,
        executable: arguments.vmscope.clone(),
        payload_bytes: usize::from(arguments.payload),
        tells: !arguments.quiet,
        more: arguments.more.clone(),
        processors: place::processors()
            .map_err(|error| format!("cannot ask for processors: {error}"))?,
    };
    let report = measure(&bench, arguments)?;
    if arguments.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.table());
    }
    Ok(())
}

fn measure(bench: &Bench, arguments: &Arguments) -> Result<Report, Problem> {
    let wanted = |measurement| {
        arguments.measurements.is_empty() || arguments.measurements.contains(&measurement)
    };
    let direct = Shape {
        name: "direct",
        tunnels: arguments.tunnels & !1,
        per_group: 2,
    };
    let fan_out = Shape {
        name: "fan-out",
        tunnels: arguments.tunnels,
        per_group: arguments.tunnels,
    };
    let mut report = Report {
        machine: Machine::here(),
        rates: Vec::new(),
        iperf: None,
        paced: None,
        overload: None,
        many: Vec::new(),
        matrix: None,
    };
    bench.say(&report.machine.line());
    if wanted(Measurement::Direct) {
        report.rates.push(rate::measure(bench, direct)?);
    }
    let mut taken_per_s = arguments.taken;
    let is_unknown = wanted(Measurement::Overload) && taken_per_s.is_none();
    if wanted(Measurement::FanOut) || is_unknown {
        let outcome = rate::measure(bench, fan_out)?;
        taken_per_s = taken_per_s.or(outcome.best.map(|best| best.accounted_per_s));
        report.rates.push(outcome);
    }
    if wanted(Measurement::Paced) {
        report.paced = Some(paced::measure(bench, direct)?);
    }
    if let (true, Some(taken_per_s)) = (wanted(Measurement::Overload), taken_per_s) {
        let time = Duration::from_secs(arguments.overload);
        report.overload = Some(overload::measure(bench, fan_out, taken_per_s, time)?);
    }
    if arguments.measurements.contains(&Measurement::Many) {
        report.many = many::measure(bench)?;
    }
    if arguments.measurements.contains(&Measurement::Matrix) {
        let time = Duration::from_secs(60 * arguments.minutes);
        report.matrix = Some(matrix::measure(bench, arguments.pes, time)?);
    }
    // Last: it needs the reflector's end of the link to itself.
    if wanted(Measurement::Iperf) {
        let outcome = iperf::measure(bench);
        report.iperf = Some(
            outcome
                .and_then(|per_s| per_s.ok_or_else(|| "it lost packets at every rate".to_owned())),
        );
    }
    Ok(report)
}
