//! `mvpnlab run`: a suite from the command line to verdicts.

pub mod interrupt;
pub mod one;
pub mod output;
pub mod place;
pub mod progress;
pub mod suite;
pub mod workers;

use std::path::Path;

use crate::cli;
use crate::report::{Report, seeds, text};
use crate::verdict::Exit;

use one::Ran;
use output::OutputError;
use place::{Labs, Setup};
use progress::Progress;
use suite::Job;

/// Runs what the command line asks for. Results on standard output, progress on standard error.
pub fn command(args: &cli::Run) -> Exit {
    let cases = match suite::load(&args.paths) {
        Ok(cases) => cases,
        Err(errors) => return usage(&errors),
    };
    let seeds: Vec<u64> = args
        .seeds
        .clone()
        .map_or_else(|| vec![args.seed], Iterator::collect);
    let jobs = suite::jobs(&cases, &seeds, args.shard);
    if jobs.is_empty() {
        return usage("this shard is empty: there are fewer runs than shards");
    }
    let setup = match Setup::of(&args.labs, args.fault.as_deref()) {
        Ok(setup) => setup,
        Err(error) => return usage(&error),
    };
    if let Some(error) = args.out.as_deref().and_then(|out| output::probe(out).err()) {
        return infrastructure(&error);
    }
    let progress = Progress::new(args.labs.color);
    let labs = Labs::open(&setup, &progress);
    let reports = match run_all(args, &jobs, &labs, &progress) {
        Ok(reports) => reports,
        Err(error) => return infrastructure(&error),
    };
    match print(args, &reports, &progress) {
        Ok(()) => Exit::of(reports.iter().map(|report| &report.verdict)),
        Err(error) => infrastructure(&error),
    }
}

/// Runs all jobs; each run's files are written as soon as it is over. The first that cannot be written ends the suite.
fn run_all(
    args: &cli::Run,
    jobs: &[Job],
    labs: &Labs,
    progress: &Progress,
) -> Result<Vec<Report>, OutputError> {
    let results = workers::map(jobs, args.labs.jobs, |job| {
        let mut ran = labs.run(job.case, job.seed, progress);
        let written = match &args.out {
            Some(out) => write(&out.join(&job.folder), &ran, args.keep),
            None => Ok(()),
        };
        progress.done(&ran.report);
        ran.forget();
        match written {
            Ok(()) => workers::Step::Next(Ok(ran.report)),
            Err(error) => workers::Step::Stop(Err(error)),
        }
    });
    results.into_iter().collect()
}

fn write(folder: &Path, ran: &Ran, keep: bool) -> Result<(), OutputError> {
    output::write_report(folder, &ran.report)?;
    match (keep, &ran.observation) {
        (true, Some(observation)) => output::write_kept(folder, observation),
        (true, None) | (false, _) => Ok(()),
    }
}

/// A single run in full; of many, those that did not pass in full and then a line for each.
fn print(args: &cli::Run, reports: &[Report], progress: &Progress) -> Result<(), OutputError> {
    if let Some(file) = &args.junit {
        output::write(file, output::to_junit(reports)?.as_bytes())?;
    }
    if args.json {
        return output::print(&serde_json::to_string_pretty(reports).map_err(|error| {
            OutputError::Render {
                what: "JSON",
                message: error.to_string(),
            }
        })?);
    }
    let paint = progress.stdout_paint();
    let mut out = String::new();
    for report in reports
        .iter()
        .filter(|report| reports.len() == 1 || report.verdict != crate::verdict::Verdict::Pass)
    {
        out.push_str(&text::render(report, paint));
        out.push('\n');
    }
    if reports.len() > 1 {
        for report in reports {
            out.push_str(&text::line(report, paint));
            out.push('\n');
        }
        if let Some(table) = seeds::render(reports) {
            out.push_str(&format!("\n{table}\n\n"));
        }
        out.push_str(&text::totals(reports));
        out.push('\n');
    }
    output::print(out.trim_end())
}

/// Says that the command line or a scenario is wrong.
pub fn usage(errors: &str) -> Exit {
    output::say(errors.trim_end());
    Exit::Usage
}

/// Says that something around the runs went wrong.
pub fn infrastructure(error: &dyn std::fmt::Display) -> Exit {
    output::say(&format!("mvpnlab: {error}"));
    Exit::Infrastructure
}
