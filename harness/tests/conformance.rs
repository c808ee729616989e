//! Every scenario under `scenarios/`, each a test of its own, in the sealed lab. A new file there is a new test here.

mod lab;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(lab::SIDE_BY_SIDE);
    let root = lab::scenarios();
    let trials: Vec<Trial> = lab::discover(&root)
        .into_iter()
        .map(|file| {
            let name = file
                .strip_prefix(&root)
                .unwrap_or(&file)
                .with_extension("")
                .display()
                .to_string();
            Trial::test(name, move || {
                lab::run(&["run", &file.display().to_string()]).map_err(Into::into)
            })
        })
        .collect();
    assert!(
        !trials.is_empty(),
        "there is no scenario under {}",
        root.display()
    );
    libtest_mimic::run(&arguments, trials).exit_code()
}
