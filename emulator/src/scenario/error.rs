//! A user's mistake in a scenario: file, line, the line itself, what is wrong, and the remedy.

use std::{fmt, ops::Range};

/// Everything that is wrong with one scenario file, in the order of its lines.
///
/// Display is meant for a terminal, one block a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError {
    /// The file's name, as the caller gave it.
    pub file: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One mistake, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Characters to underline, at least 1.
    pub width: usize,
    /// The line's text.
    pub text: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it; empty when `what` says it all.
    pub remedy: String,
}

impl Problem {
    /// Finds line and column of a span of bytes in the file's text; no span means the file as a whole, line 1.
    pub(super) fn at(
        source: &str,
        span: Option<Range<usize>>,
        what: String,
        remedy: String,
    ) -> Self {
        let span = span.unwrap_or(0..0);
        let start = floor_boundary(source, span.start);
        let line_start = source[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = source[start..]
            .find('\n')
            .map_or(source.len(), |newline| start + newline);
        let end = floor_boundary(source, span.end).clamp(start, line_end);
        Self {
            line: source[..line_start].matches('\n').count() + 1,
            column: source[line_start..start].chars().count() + 1,
            width: source[start..end].chars().count().max(1),
            text: source[line_start..line_end].trim_end().to_owned(),
            what,
            remedy,
        }
    }
}

fn floor_boundary(source: &str, mut at: usize) -> usize {
    at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl std::error::Error for ScenarioError {}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{problem}", self.file)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        // Tabs stay tabs, so that the mark stands below its word whatever a tab's width is.
        let indent: String = self
            .text
            .chars()
            .take(self.column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        writeln!(f, "{}:{}: {}", self.line, self.column, self.what)?;
        writeln!(f, "{number} | {}", self.text)?;
        writeln!(f, "{gutter} | {indent}{}", "^".repeat(self.width))?;
        if !self.remedy.is_empty() {
            writeln!(f, "{gutter} = {}", self.remedy)?;
        }
        Ok(())
    }
}
