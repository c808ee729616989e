//! How a finding is put together: what was compared, what was off, and the first few offenders in plain words.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::{Figure, Finding, Outcome};

/// Offenders that are written out.
const OFFENDERS_SHOWN: usize = 5;

/// A finding in the making.
#[derive(Debug)]
pub struct Judge {
    finding: Finding,
    offenders: u64,
    shown: Vec<String>,
}

impl Judge {
    /// Nothing compared yet, nothing off.
    pub fn new(check: &str, about: impl Display, expected: impl Display) -> Self {
        let finding = Finding {
            check: check.into(),
            about: about.to_string(),
            expected: expected.to_string(),
            outcome: Outcome::Held,
            judged: 0,
            figures: BTreeMap::new(),
            false_alarm: None,
        };
        Self {
            finding,
            offenders: 0,
            shown: Vec::new(),
        }
    }

    /// So many more things were compared.
    pub fn judged(&mut self, n: u64) {
        self.finding.judged += n;
    }

    /// How many were compared so far.
    pub fn count(&self) -> u64 {
        self.finding.judged
    }

    /// Something was off; the words are only made for the first few.
    pub fn offence(&mut self, words: impl FnOnce() -> String) {
        self.offenders += 1;
        if self.shown.len() < OFFENDERS_SHOWN {
            self.shown.push(words());
        }
    }

    /// An offence unless it held.
    pub fn demand(&mut self, held: bool, words: impl FnOnce() -> String) {
        if !held {
            self.offence(words);
        }
    }

    /// A count or time worth keeping; times end in `_ns`.
    pub fn figure(&mut self, name: &str, value: impl TryInto<i64>) {
        let value = value.try_into().unwrap_or(i64::MAX);
        self.finding
            .figures
            .insert(name.into(), Figure::Count(value));
    }

    /// A ratio worth keeping; shares end in `_share`.
    pub fn ratio(&mut self, name: &str, value: f64) {
        self.finding
            .figures
            .insert(name.into(), Figure::Ratio(value));
    }

    /// Probability that this check fails although nothing is wrong.
    pub fn false_alarm(&mut self, p: f64) {
        self.finding.false_alarm = Some(p.min(1.0));
    }

    /// The finding. A check that compared nothing has failed, and so has one with an offender.
    pub fn finish(mut self) -> Finding {
        let (offenders, judged) = (self.offenders, self.finding.judged);
        let reason = if judged == 0 && offenders == 0 {
            Some(format!(
                "{}: nothing judged; a check that compared nothing proves nothing",
                self.finding.title()
            ))
        } else if offenders > 0 {
            let mut lines = vec![format!(
                "{}: {offenders} of {judged} not as expected ({})",
                self.finding.title(),
                self.finding.expected
            )];
            lines.extend(self.shown.iter().map(|line| format!("  {line}")));
            let more = offenders - self.shown.len() as u64;
            if more > 0 {
                lines.push(format!("  and {more} more"));
            }
            Some(lines.join("\n"))
        } else {
            None
        };
        if let Some(reason) = reason {
            self.finding.outcome = Outcome::Failed { reason };
        }
        self.finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_judged_is_a_failure() {
        let finding = Judge::new("fates", "t", "all").finish();
        assert!(finding.outcome.reason().unwrap().contains("nothing judged"));
    }

    #[test]
    fn the_first_offenders_are_written_out_and_the_rest_counted() {
        let mut judge = Judge::new("fates", "t", "all alike");
        judge.judged(10);
        for n in 0..8 {
            judge.offence(|| format!("probe {n}"));
        }
        insta::assert_snapshot!(judge.finish().outcome.reason().unwrap(), @r"
        fates of t: 8 of 10 not as expected (all alike)
          probe 0
          probe 1
          probe 2
          probe 3
          probe 4
          and 3 more
        ");
    }
}
