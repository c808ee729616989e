//! The command line from outside: what a user's mistake and a machine's trouble look like, and their exit codes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn mvpnlab(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mvpnlab"))
        .args(args)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Any executable will do as a monitor where no lab is reached.
fn with_monitor<'a>(args: &[&'a str]) -> Vec<&'a str> {
    args.iter()
        .copied()
        .chain(["--monitor", env!("CARGO_BIN_EXE_mvpnlab")])
        .collect()
}

const SOUND: &str = r#"
title = "two routers and a monitor"
duration = "10s"
nodes = { P = { role = "p" }, PE1 = { role = "pe" }, PE2 = { role = "pe" }, MON = { role = "monitor" } }
link = [{ ends = "PE1-P" }, { ends = "PE2-P" }, { ends = "P-MON" }]
tunnel = [{ name = "t1", at = "PE1" }, { name = "t2", at = "PE2" }]
backbone = { rp = "P" }
[[monitor.task]]
name = "plain"
group = "239.9.9.9"
rate = "10/s"
[[expect]]
check = "fates"
task = "plain"
at_least = 10
"#;

fn scenario(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("case.toml");
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn a_sound_scenario_is_checked_and_described() {
    let folder = tempfile::tempdir().unwrap();
    let file = scenario(folder.path(), SOUND);
    let checked = mvpnlab(&["check", file.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    assert!(String::from_utf8_lossy(&checked.stdout).contains("1 scenarios are sound"));
    let described = mvpnlab(&["plan", file.to_str().unwrap()]);
    assert_eq!(described.status.code(), Some(0), "{}", stderr(&described));
    assert!(String::from_utf8_lossy(&described.stdout).contains("PE1-P"));
}

#[test]
fn a_typo_in_a_field_is_named_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = scenario(folder.path(), &SOUND.replace("duration", "duraton"));
    for command in ["check", "run", "plan"] {
        let output = mvpnlab(&[command, file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{command}");
        assert!(
            stderr(&output).contains("case.toml:3"),
            "{command}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains("duraton"),
            "{command}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn every_error_of_every_file_is_listed_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.toml"), "titel = 1").unwrap();
    std::fs::write(folder.path().join("b.toml"), "not toml at all").unwrap();
    let output = mvpnlab(&["run", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("a.toml") && said.contains("b.toml"), "{said}");
}

/// As in `mvpnlab ... 2>&1 | head`.
#[test]
fn an_error_that_nobody_reads_is_an_error_all_the_same() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = Command::new(env!("CARGO_BIN_EXE_mvpnlab"))
        .args(["check", "no-such-file.toml"])
        .stderr(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn a_file_that_is_not_there_and_a_folder_without_scenarios() {
    let folder = tempfile::tempdir().unwrap();
    for path in ["no-such-file.toml", folder.path().to_str().unwrap()] {
        let output = mvpnlab(&["run", path]);
        assert_eq!(output.status.code(), Some(2), "{path}");
        assert!(stderr(&output).contains(path), "{}", stderr(&output));
    }
}

#[test]
fn ranges_that_make_no_sense_are_refused() {
    for args in [
        ["run", "x.toml", "--seeds", "5..1"],
        ["run", "x.toml", "--seeds", "x"],
        ["run", "x.toml", "--shard", "3/2"],
        ["run", "x.toml", "--jobs", "0"],
    ] {
        assert_eq!(mvpnlab(&args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_monitor_that_is_not_there_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = scenario(folder.path(), SOUND);
    let output = mvpnlab(&[
        "run",
        file.to_str().unwrap(),
        "--monitor",
        "/no/such/vmscope",
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("/no/such/vmscope") && stderr(&output).contains("--monitor"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn without_qemu_the_verdict_is_infrastructure_and_reports_are_still_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = scenario(folder.path(), SOUND);
    let out = folder.path().join("out");
    let args = with_monitor(&[
        "run",
        file.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ]);
    let output = Command::new(env!("CARGO_BIN_EXE_mvpnlab"))
        .args(args)
        .env("PATH", "")
        .env("MVPNLAB_QEMU", "/no/such/qemu")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let report = std::fs::read_to_string(out.join("case/report.json")).unwrap();
    assert!(
        report.contains("\"is\": \"infrastructure\"") && report.contains("qemu"),
        "{report}"
    );
    assert!(
        std::fs::read_to_string(out.join("case/junit.xml"))
            .unwrap()
            .contains("errors=\"1\"")
    );
    assert!(out.join("case/report.html").is_file());
}

#[test]
fn a_full_disk_under_out_is_said_and_is_infrastructure() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        panic!("this test needs /dev/full");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = scenario(folder.path(), SOUND);
    // Every write to this file fails as on a full disk.
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::os::unix::fs::symlink(full, out.join(".mvpnlab-probe")).unwrap();
    let args = with_monitor(&[
        "run",
        file.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ]);
    let output = mvpnlab(&args);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("no space left"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn what_is_no_report_cannot_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    std::fs::write(&file, "{}").unwrap();
    for path in [file.to_str().unwrap(), "no-such-report.json"] {
        let output = mvpnlab(&["replay", path]);
        assert_eq!(output.status.code(), Some(2), "{path}");
        assert!(stderr(&output).contains(path), "{}", stderr(&output));
    }
}

#[test]
fn what_was_not_kept_cannot_be_traced_and_bad_names_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().to_str().unwrap();
    for path in [run, "no-such-run"] {
        let output = mvpnlab(&["trace", "--run", path]);
        assert_eq!(output.status.code(), Some(2), "{path}");
        let said = stderr(&output);
        assert!(said.contains(path) && said.contains("--keep"), "{said}");
    }
    let output = mvpnlab(&["trace", "--run", run, "red#x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("sequence number"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn the_schema_that_is_printed_is_the_one_beside_the_scenarios() {
    let output = mvpnlab(&["schema"]);
    assert_eq!(output.status.code(), Some(0));
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/schema.json");
    assert_eq!(output.stdout, std::fs::read(committed).unwrap());
}

#[test]
fn guest_is_no_command_for_people() {
    let output = mvpnlab(&["guest"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("mvpnlab run"),
        "{}",
        stderr(&output)
    );
}
