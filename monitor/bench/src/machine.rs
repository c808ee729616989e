//! The machine that figures are from.

use std::fs::read_to_string;

use serde_json::{Value, json};

/// What the figures depend on.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many of them this process may use.
    pub processors: usize,
    /// The kernel's release.
    pub kernel: String,
    /// Processes that wanted to run in the last minute, on average: what else went on.
    pub load: String,
}

impl Machine {
    /// This one.
    pub fn here() -> Machine {
        let word = |path: &str| read_to_string(path).unwrap_or_default().trim().to_owned();
        let cpuinfo = word("/proc/cpuinfo");
        let name = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Machine {
            processor: name.map_or("unknown", |(_, name)| name).to_owned(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: word("/proc/sys/kernel/osrelease"),
            load: word("/proc/loadavg")
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    /// In one line, for people.
    pub fn line(&self) -> String {
        let Machine {
            processor,
            processors,
            kernel,
            load,
        } = self;
        format!("{processors} × {processor}, Linux {kernel}, load {load} before")
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "processor": self.processor, "processors": self.processors, "kernel": self.kernel, "load_before": self.load,
        })
    }
}
