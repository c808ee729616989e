//! The questions that people ask, as commands, with the time that each takes from start to exit.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::Problem;
use crate::daemon::vmscope;
use crate::network::{group, pe};

/// Each is asked so often; the middle one counts, and the worst stands beside it.
const TIMES: usize = 5;

/// Asks the running monitor, then its database: about moments since `began`.
pub fn ask_all(folder: &Path, began: Instant) -> Result<(), Problem> {
    let ago = |seconds: u64| {
        let before = SignedDuration::from_secs(seconds as i64);
        format!("{:.3}", Timestamp::now() - before)
    };
    let half = began.elapsed().as_secs() / 2;
    let (then, later) = (ago(half + half / 2), ago(half / 2));
    let dotted = |[a, b, c, d]: [u8; 4]| format!("{a}.{b}.{c}.{d}");
    let (of_pe, of_group) = (dotted(pe(17)), dotted(group(4_000)));
    let socket = folder.join("run/vmscope.sock").display().to_string();
    let database = folder.join("results.sqlite").display().to_string();
    let live = ["--socket", &socket, "mvpn", "show", "red"];
    let at = [
        "mvpn",
        "show",
        "red",
        "--database",
        &database,
        "--at",
        &then,
    ];
    let between = [
        "mvpn",
        "show",
        "red",
        "--database",
        &database,
        "--between",
        &then,
        &later,
    ];
    let diff = [
        "mvpn",
        "diff",
        "red",
        &then,
        &later,
        "--database",
        &database,
    ];
    for (what, question) in [
        ("show", &live[..]),
        ("show --at", &at),
        ("show --between", &between),
        ("diff", &diff),
    ] {
        for (part, only) in [
            ("", &[][..]),
            (" --pe", &["--pe", &of_pe]),
            (" --group", &["--group", &of_group]),
        ] {
            let (mut took, mut lines) = (Vec::new(), 0);
            for _ in 0..TIMES {
                let began = Instant::now();
                lines = ask(&[question, only].concat())?;
                took.push(began.elapsed());
            }
            took.sort();
            let ms = |time: Duration| time.as_secs_f64() * 1e3;
            println!(
                "mvpn {:<24} {:>8.1} ms median {:>8.1} ms worst {lines:>7} lines",
                format!("{what}{part}"),
                ms(took[TIMES / 2]),
                ms(took[TIMES - 1]),
            );
        }
    }
    Ok(())
}

/// How many lines a command answers.
fn ask(arguments: &[&str]) -> Result<usize, Problem> {
    let output = vmscope()?.args(arguments).output()?;
    match output.status.success() {
        true => Ok(output.stdout.iter().filter(|byte| **byte == b'\n').count()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}
