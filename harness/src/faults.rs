//! `mvpnlab faults`: the harness's own test. A monitor with a planted fault must fail the scenario that names it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cli;
use crate::report::Report;
use crate::run::one::Ran;
use crate::run::place::{Labs, Setup};
use crate::run::progress::Progress;
use crate::run::suite::{self, Case};
use crate::run::{infrastructure, output, usage, workers};
use crate::verdict::{Exit, Verdict};

/// The catalogue of planted faults.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The faults.
    #[serde(rename = "fault")]
    pub faults: Vec<Fault>,
}

/// A fault, and where it must show.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Its name: what `VMSCOPE_FAULT` is set to.
    pub name: String,
    /// What is wrong with that monitor.
    pub summary: String,
    /// The scenario that must fail, a path beside the catalogue.
    pub scenario: PathBuf,
    /// The check that must fail there.
    pub check: String,
}

/// What became of one fault.
struct Caught<'a> {
    planted: &'a Planted,
    /// Why it does not count as caught.
    objection: Option<String>,
    infrastructure: bool,
}

/// 0 when every fault was caught by its check and its scenario passes without it; 1 when not; 3 when a lab went wrong.
pub fn command(args: &cli::Faults) -> Exit {
    let planted = match read(args) {
        Ok(planted) => planted,
        Err(error) => return usage(&error),
    };
    let progress = Progress::new(args.labs.color);
    let results = workers::map(&planted, args.labs.jobs, |planted| {
        workers::Step::Next(judge(args, planted, &progress))
    });
    let mut lines = Vec::new();
    let mut exit = Exit::Pass;
    for result in results {
        match result {
            Err(error) => return usage(&error),
            Ok(caught) => {
                lines.push(line(&caught));
                exit = match (caught.infrastructure, &caught.objection, exit) {
                    (true, _, _) | (_, _, Exit::Infrastructure) => Exit::Infrastructure,
                    (false, Some(_), _) | (_, _, Exit::Fail) => Exit::Fail,
                    (false, None, other) => other,
                };
            }
        }
    }
    let caught = lines
        .iter()
        .filter(|line| line.starts_with("caught"))
        .count();
    match output::print(&format!(
        "{}\n{caught} of {} planted faults caught",
        lines.join("\n"),
        lines.len()
    )) {
        Ok(()) => exit,
        Err(error) => infrastructure(&error),
    }
}

fn line(caught: &Caught) -> String {
    let Fault {
        name,
        check,
        scenario,
        ..
    } = &caught.planted.fault;
    match &caught.objection {
        None => format!("caught  {name:<28} by {check} in {}", scenario.display()),
        Some(objection) => format!("MISSED  {name:<28} {objection}"),
    }
}

/// A fault with its scenario, read.
struct Planted {
    fault: Fault,
    case: Case,
}

fn read(args: &cli::Faults) -> Result<Vec<Planted>, String> {
    let shown = args.catalogue.display();
    let text = fs::read_to_string(&args.catalogue)
        .map_err(|error| format!("cannot read the faults {shown}: {error}"))?;
    let mut catalogue: Catalogue =
        toml::from_str(&text).map_err(|error| format!("{shown}: {error}"))?;
    if let Some(unknown) = args
        .only
        .iter()
        .find(|name| catalogue.faults.iter().all(|fault| fault.name != **name))
    {
        return Err(format!("{shown} has no fault {unknown}"));
    }
    catalogue
        .faults
        .retain(|fault| args.only.is_empty() || args.only.contains(&fault.name));
    let beside = args.catalogue.parent().unwrap_or(Path::new(""));
    let mut planted = Vec::new();
    for fault in catalogue.faults {
        let file = beside.join(&fault.scenario);
        let case = suite::load(&[file])?
            .pop()
            .ok_or_else(|| format!("fault {}: no scenario", fault.name))?;
        if !case
            .scenario
            .expectations
            .iter()
            .any(|expectation| expectation.name() == fault.check)
        {
            return Err(format!(
                "{shown}: fault {} should fail {}, which {} does not check",
                fault.name,
                fault.check,
                fault.scenario.display()
            ));
        }
        planted.push(Planted { fault, case });
    }
    Ok(planted)
}

/// Runs the scenario without and with the fault, on the same build of the monitor.
fn judge<'a>(
    args: &cli::Faults,
    planted: &'a Planted,
    progress: &Progress,
) -> Result<Caught<'a>, String> {
    let Planted { fault, case } = planted;
    let labs = cli::Labs {
        monitor: Some(monitor(args)?),
        ..args.labs.clone()
    };
    let run = |name: Option<&str>, folder: &str| -> Result<Report, String> {
        let setup = Setup::of(&labs, name)?;
        let ran: Ran = Labs::open(&setup, progress).run(case, args.seed, progress);
        progress.done(&ran.report);
        if let Some(out) = &args.out {
            output::write_report(&out.join(&fault.name).join(folder), &ran.report)
                .map_err(|error| error.to_string())?;
        }
        Ok(ran.report)
    };
    let without = run(None, "without")?;
    let with = run(Some(&fault.name), "with")?;
    let infrastructure = [&without, &with]
        .iter()
        .any(|r| matches!(r.verdict, Verdict::Infrastructure { .. }));
    Ok(Caught {
        planted,
        objection: objection(fault, &without, &with),
        infrastructure,
    })
}

/// What speaks against calling the fault caught.
fn objection(fault: &Fault, without: &Report, with: &Report) -> Option<String> {
    if without.verdict != Verdict::Pass {
        let why = without
            .verdict
            .reasons()
            .first()
            .map_or(String::new(), |reason| format!(": {reason}"));
        return Some(format!(
            "the scenario does not pass without it ({}{why})",
            without.verdict.word()
        ));
    }
    match &with.verdict {
        Verdict::Pass => Some(format!("the scenario passed although {}", fault.summary)),
        Verdict::Infrastructure { what } => Some(format!("the lab went wrong: {what}")),
        Verdict::Skipped { reason } => Some(format!("skipped: {reason}")),
        Verdict::Fail { .. } => {
            let failed: Vec<&str> = with
                .findings
                .iter()
                .filter(|f| !f.held())
                .map(|f| f.check.as_str())
                .collect();
            (!failed.contains(&fault.check.as_str())).then(|| {
                format!(
                    "{} held; failed instead: {}",
                    fault.check,
                    failed.join(", ")
                )
            })
        }
    }
}

fn monitor(args: &cli::Faults) -> Result<PathBuf, String> {
    let path = args
        .planted
        .clone()
        .unwrap_or_else(|| "target/planted/release/vmscope".into());
    if path.is_file() {
        return Ok(path);
    }
    Err(format!(
        "there is no monitor with planted faults at {}; build it with `make planted`, or name it with --planted",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn fault(check: &str) -> Fault {
        Fault {
            name: "x".into(),
            summary: "late copies count as lost".into(),
            scenario: "a.toml".into(),
            check: check.into(),
        }
    }

    #[test]
    fn a_fault_is_caught_only_by_its_own_check_and_a_scenario_that_else_passes() {
        let (pass, fail) = (sample::passed(), sample::failed());
        assert_eq!(objection(&fault("fates"), &pass, &fail), None);
        assert!(
            objection(&fault("delay-error"), &pass, &fail)
                .unwrap()
                .contains("delay-error held")
        );
        assert!(
            objection(&fault("fates"), &pass, &pass)
                .unwrap()
                .contains("passed although")
        );
        assert!(
            objection(&fault("fates"), &fail, &fail)
                .unwrap()
                .contains("does not pass without")
        );
    }

    #[test]
    fn the_catalogue_refuses_unknown_fields() {
        let good = "[[fault]]\nname='a'\nsummary='b'\nscenario='c.toml'\ncheck='fates'\n";
        assert!(toml::from_str::<Catalogue>(good).is_ok());
        assert!(toml::from_str::<Catalogue>(&format!("{good}chek='x'\n")).is_err());
    }
}
