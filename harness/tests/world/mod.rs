//! A user of living labs with a registry of their own, and a small scenario.
#![allow(dead_code)] // each test binary uses its own part of it

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// In the environment of everything that this user starts: how their processes are known.
pub const MARK: &str = "MVPNLAB_TEST_WORLD";

/// See the module. What it holds on disk goes when it is dropped.
pub struct World {
    folder: tempfile::TempDir,
    variables: Vec<(&'static str, PathBuf)>,
}

impl World {
    /// A registry of their own; a scenario of two PEs and a P, with a monitor that probes.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("runtime")).unwrap();
        let variables = vec![
            ("XDG_RUNTIME_DIR", folder.path().join("runtime")),
            (MARK, folder.path().to_owned()),
        ];
        let world = Self { folder, variables };
        let scenario = world.scenario();
        let new = [
            "new",
            "--shape",
            "line",
            "--routers",
            "1",
            "--pes",
            "2",
            "-o",
        ];
        world.expect(&[&new[..], &[scenario.to_str().unwrap()]].concat());
        world
    }

    /// With one more thing in the environment.
    pub fn with(mut self, name: &'static str, value: PathBuf) -> Self {
        self.variables.push((name, value));
        self
    }

    /// A path of theirs.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The scenario's file.
    pub fn scenario(&self) -> PathBuf {
        self.path("small.toml")
    }

    /// `mvpnlab` with their environment, and no input.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mvpnlab"));
        command.args(arguments).stdin(Stdio::null());
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs it; it must succeed. Returns its output.
    pub fn expect(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs it; it must end with this status, and say this.
    pub fn expect_refusal(&self, arguments: &[&str], status: i32, words: &str) {
        let output = self.run(arguments);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?} says {said}");
    }

    /// Every process that they have started, and its children.
    pub fn processes(&self) -> Vec<i32> {
        let mark = format!("{MARK}={}", self.folder.path().display());
        let has_mark = |pid: &i32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let mut entries = environment.split(|byte| *byte == 0);
            entries.any(|entry| entry == mark.as_bytes())
        };
        let listing = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        listing
            .filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
            .filter(has_mark)
            .collect()
    }
}

/// A lab that a failed test has left goes too.
impl Drop for World {
    fn drop(&mut self) {
        for process in self.processes() {
            // It may have ended in this moment.
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(process),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}
