//! `mvpnlab replay`: the scenario in a report again, with its seed; then the two reports byte by byte.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cli;
use crate::report::{Report, json, text};
use crate::run::place::{Labs, Setup};
use crate::run::progress::Progress;
use crate::run::suite::Case;
use crate::run::{infrastructure, output, usage};
use crate::verdict::{Exit, Verdict};

/// Differences shown.
const DIFFERENCES_MAX: usize = 20;

/// 0 when both reports are the same to the byte, 1 when not, 3 when the lab went wrong this time.
pub fn command(args: &cli::Replay) -> Exit {
    let (bytes, old, case) = match read(&args.report) {
        Ok(read) => read,
        Err(error) => return usage(&error),
    };
    let setup = match Setup::of(&args.labs, old.fault.as_deref()) {
        Ok(setup) => setup,
        Err(error) => return usage(&error),
    };
    let progress = Progress::new(args.labs.color);
    let ran = Labs::open(&setup, &progress).run(&case, old.seed, &progress);
    let compared = output::to_json(&ran.report).and_then(|new| {
        if let Some(out) = &args.out {
            output::write_report(out, &ran.report)?;
        }
        output::print(text::render(&ran.report, progress.stdout_paint()).trim_end())?;
        Ok(new)
    });
    match compared {
        Err(error) => infrastructure(&error),
        Ok(new) if new == bytes => say("identical: the report is the same to the byte", Exit::Pass),
        Ok(_) => {
            let exit = match ran.report.verdict {
                Verdict::Infrastructure { .. } => Exit::Infrastructure,
                Verdict::Pass | Verdict::Fail { .. } | Verdict::Skipped { .. } => Exit::Fail,
            };
            say(&differences(&old, &ran.report), exit)
        }
    }
}

fn read(file: &Path) -> Result<(Vec<u8>, Report, Case), String> {
    let shown = file.display();
    let bytes =
        fs::read(file).map_err(|error| format!("cannot read the report {shown}: {error}"))?;
    let report = json::parse(&bytes).map_err(|error| format!("cannot replay {shown}: {error}"))?;
    let name = format!("{}.toml", report.scenario);
    let case = Case::of(
        report.scenario_text.clone(),
        Path::new(&name),
        report.scenario.clone().into(),
    )
    .map_err(|error| format!("the scenario in {shown} cannot be read by this mvpnlab:\n{error}"))?;
    Ok((bytes, report, case))
}

fn say(text: &str, exit: Exit) -> Exit {
    match output::print(text) {
        Ok(()) => exit,
        Err(error) => infrastructure(&error),
    }
}

/// What differs: first what ran, which explains the rest, then the first places.
fn differences(old: &Report, new: &Report) -> String {
    let mut lines = vec!["the reports differ".to_owned()];
    let parts = [
        (
            "image",
            &old.built.image,
            &new.built.image,
            "an image of other packages",
        ),
        (
            "mvpnlab",
            &old.built.mvpnlab,
            &new.built.mvpnlab,
            "another build of mvpnlab, which is also the lab's init",
        ),
        (
            "monitor",
            &old.built.monitor,
            &new.built.monitor,
            "another build of the monitor",
        ),
    ];
    for (name, then, now, meaning) in parts {
        if then != now {
            lines.push(format!("  {name} was {then:.16}, is {now:.16}: {meaning}"));
        }
    }
    if old.built == new.built {
        lines.push("  although image and executables are the same: something not repeatable got into the lab; please report this".into());
    }
    let mut places = Vec::new();
    if let (Ok(then), Ok(now)) = (serde_json::to_value(old), serde_json::to_value(new)) {
        compare("", &then, &now, &mut places);
    }
    let more = places.len().saturating_sub(DIFFERENCES_MAX);
    lines.extend(
        places
            .into_iter()
            .take(DIFFERENCES_MAX)
            .map(|place| format!("  {place}")),
    );
    if more > 0 {
        lines.push(format!("  and {more} more places"));
    }
    lines.join("\n")
}

/// Every leaf that differs, as `path: then, now`.
fn compare(path: &str, then: &Value, now: &Value, places: &mut Vec<String>) {
    match (then, now) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let at = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                compare(
                    &at,
                    a.get(key).unwrap_or(&Value::Null),
                    b.get(key).unwrap_or(&Value::Null),
                    places,
                );
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (x, y)) in a.iter().zip(b).enumerate() {
                compare(&format!("{path}[{i}]"), x, y, places);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            places.push(format!("{path}: {} entries then, {} now", a.len(), b.len()))
        }
        (a, b) if a == b => {}
        (a, b) => places.push(format!("{path}: {a} then, {b} now")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn differences_name_what_ran_and_the_places() {
        let mut new = sample::failed();
        new.built.image = "ffff".repeat(16);
        new.pairs[0].truth.lost = 9;
        new.losses.pop();
        insta::assert_snapshot!(differences(&sample::passed(), &new));
    }

    #[test]
    fn a_report_that_differs_without_a_cause_is_called_a_defect() {
        let new = Report {
            false_alarm_total: 0.5,
            ..sample::passed()
        };
        assert!(differences(&sample::passed(), &new).contains("not repeatable"));
    }
}
