//! A developer's way into the sealed lab: `sealed shell SCRIPT [SEED] [cold]` runs a busybox script in it.
//!
//! `sealed image` builds the image, `sealed guest` is what runs inside.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use mvpnlab_emulator::place::{self, Execution, Files, Program, Sealed, Start, guest, shell};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["guest", ..] => guest::init(&program).map(|never| match never {}),
        ["image"] => Sealed::open(&mut say)
            .map(|sealed| println!("{}", sealed.image().folder().display()))
            .map_err(text),
        ["shell", script, options @ ..] => run_script(script, options),
        _ => Err("usage: sealed image | sealed shell SCRIPT [SEED] [cold] [build=SCRIPT]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(3)
        }
    }
}

fn program(name: &str) -> Option<Box<dyn Program>> {
    (name == shell::NAME).then(|| Box::new(shell::Shell) as Box<dyn Program>)
}

fn run_script(path: &str, options: &[&str]) -> Result<(), String> {
    let read = |path: &str| std::fs::read(path).map_err(|e| format!("could not read {path}: {e}"));
    let build = options
        .iter()
        .find_map(|option| option.strip_prefix("build="))
        .map(read)
        .transpose()?;
    let topology = shell::topology(
        build
            .as_ref()
            .map(|bytes| String::from_utf8_lossy(bytes))
            .as_deref(),
    );
    let job = Files::from([(shell::SCRIPT.to_owned(), read(path)?)]);
    let sealed = Sealed::open(&mut say).map_err(text)?;
    let execution = Execution {
        topology: &topology,
        job: &job,
        seed: options
            .iter()
            .find_map(|option| option.parse().ok())
            .unwrap_or(1),
        deadline: Duration::from_secs(600),
        start: if options.contains(&"cold") {
            Start::Cold
        } else {
            Start::Warm
        },
        memory_mib: place::DEFAULT_MEMORY_MIB,
    };
    let begin = Instant::now();
    let output = sealed
        .execute(&execution, &mut |line| println!("{line}"))
        .map_err(text)?;
    eprintln!(
        "exit status {}, {:.2?}",
        String::from_utf8_lossy(&output[shell::STATUS]),
        begin.elapsed()
    );
    Ok(())
}

fn say(line: &str) {
    eprintln!("{line}");
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
