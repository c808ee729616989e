//! Progress for whoever watches: on standard error, so that results stay clean.

use std::io::{IsTerminal as _, Write as _};

use crate::cli::Color;
use crate::report::{Report, text};

/// Writes progress lines; may be shared by threads.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    stdout: text::Paint,
    stderr: text::Paint,
}

impl Progress {
    /// Decides about colours.
    pub fn new(color: Color) -> Self {
        let paint = |terminal: bool| match color {
            Color::Always => text::Paint::Ansi,
            Color::Auto if terminal && std::env::var_os("NO_COLOR").is_none() => text::Paint::Ansi,
            Color::Auto | Color::Never => text::Paint::Plain,
        };
        Self {
            stdout: paint(std::io::stdout().is_terminal()),
            stderr: paint(std::io::stderr().is_terminal()),
        }
    }

    /// How standard output may be coloured.
    pub fn stdout_paint(&self) -> text::Paint {
        self.stdout
    }

    /// One line about one run.
    pub fn line(&self, label: &str, line: &str) {
        // Nobody may be listening; that is no reason to stop.
        let _ = writeln!(std::io::stderr().lock(), "[{label}] {line}");
    }

    /// A run is over.
    pub fn done(&self, report: &Report) {
        let _ = writeln!(
            std::io::stderr().lock(),
            "{}",
            text::line(report, self.stderr)
        );
    }
}
