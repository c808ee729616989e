//! The harness's own test: every planted fault of `scenarios/faults.toml` must be caught by the check that names it.
//! Needs the monitor built with planted faults: `make planted`.

mod lab;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(lab::SIDE_BY_SIDE);
    let catalogue = lab::scenarios().join("faults.toml");
    let text = std::fs::read_to_string(&catalogue)
        .unwrap_or_else(|error| panic!("{}: {error}", catalogue.display()));
    let faults: toml::Table = text
        .parse()
        .unwrap_or_else(|error| panic!("{}: {error}", catalogue.display()));
    let names: Vec<String> = faults["fault"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|fault| fault["name"].as_str().map(str::to_owned))
        .collect();
    assert!(names.len() >= 10, "only {} faults are planted", names.len());
    let trials = names
        .into_iter()
        .map(|name| {
            let catalogue = catalogue.clone();
            Trial::test(name.clone(), move || {
                caught(&name, &catalogue.display().to_string())
            })
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn caught(name: &str, catalogue: &str) -> Result<(), Failed> {
    let planted = lab::target().join("planted/release/vmscope");
    if !planted.is_file() {
        return Err(format!(
            "there is no monitor with planted faults at {}; run `make planted`",
            planted.display()
        )
        .into());
    }
    lab::run(&[
        "faults",
        catalogue,
        "--only",
        name,
        "--planted",
        &planted.display().to_string(),
    ])
    .map_err(Into::into)
}
