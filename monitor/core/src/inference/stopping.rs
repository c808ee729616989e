//! When to stop probing: the interval is narrow enough, or the budget is spent.
//!
//! Looking ruins an interval's promise if one looks often and stops at what one likes to see. Two things keep it
//! here. What stops is a width, never where the interval lies; widths hardly vary between runs of one length. And
//! looks are few: at the first number of probes, and each time twice as many as at the last look. So a run that looks
//! narrow by luck has one chance at one length, where its width is near what was asked for, and the runs that go on
//! are judged by twice the data. `tests/one_way` measures what is left of 95 %.

use super::estimate::Estimate;

/// Each look is at so many times the probes of the last one.
const GROWTH: u64 = 2;

/// How narrow an interval has to be: half its width is at most this.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Width {
    /// In the loss rate's own unit, a share of packets.
    Absolute(f64),
    /// As a share of the estimate; never reached without a loss.
    Relative(f64),
}

/// What to probe for, and at what cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoppingRule {
    /// What is narrow enough.
    pub width: Width,
    /// Probes before the first look.
    pub probes_first: u64,
    /// Probes that may be spent.
    pub probes_max: u64,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on, and look again when so many probes have been sent in all.
    Probe {
        /// Probes sent at the next look.
        until: u64,
    },
    /// The interval is narrow enough.
    Narrow,
    /// It is not, but there is nothing left to spend.
    Spent,
}

/// A run of probing under a rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stopping {
    rule: StoppingRule,
    look: u64,
}

impl Stopping {
    /// Before the first probe.
    pub fn new(rule: StoppingRule) -> Stopping {
        let look = rule.probes_first.clamp(1, rule.probes_max.max(1));
        Stopping { rule, look }
    }

    /// How many probes are to be sent before the next look.
    pub fn next_look(&self) -> u64 {
        self.look
    }

    /// What to do after `sent` probes, if they say `estimates` (of every path that is wanted; the widest counts).
    /// Before a look is due the answer is to go on, whatever the estimates are.
    pub fn handle_estimates(&mut self, sent: u64, estimates: &[&Estimate]) -> Verdict {
        if sent < self.look {
            return Verdict::Probe { until: self.look };
        }
        if !estimates.is_empty() && estimates.iter().all(|estimate| self.narrow(estimate)) {
            return Verdict::Narrow;
        }
        if sent >= self.rule.probes_max {
            return Verdict::Spent;
        }
        while self.look <= sent {
            self.look = self.look.saturating_mul(GROWTH);
        }
        self.look = self.look.min(self.rule.probes_max);
        Verdict::Probe { until: self.look }
    }

    fn narrow(&self, estimate: &Estimate) -> bool {
        match self.rule.width {
            Width::Absolute(width) => estimate.half_width() <= width,
            Width::Relative(share) => {
                estimate.loss > 0.0 && estimate.half_width() <= share * estimate.loss
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::estimate::Confidence;
    use super::*;

    fn estimate(loss: f64, half_width: f64) -> Estimate {
        Estimate {
            loss,
            variance: 0.0,
            low: loss - half_width,
            high: loss + half_width,
            confidence: Confidence::P95,
            doubts: Vec::new(),
        }
    }

    fn run(width: Width) -> Stopping {
        Stopping::new(StoppingRule {
            width,
            probes_first: 1000,
            probes_max: 5000,
        })
    }

    #[test]
    fn looks_double_up_to_the_budget() {
        let mut run = run(Width::Absolute(0.001));
        let wide = estimate(0.01, 0.002);
        assert_eq!(run.next_look(), 1000);
        assert_eq!(
            run.handle_estimates(1000, &[&wide]),
            Verdict::Probe { until: 2000 }
        );
        assert_eq!(
            run.handle_estimates(2000, &[&wide]),
            Verdict::Probe { until: 4000 }
        );
        assert_eq!(
            run.handle_estimates(4500, &[&wide]),
            Verdict::Probe { until: 5000 }
        );
        assert_eq!(run.handle_estimates(5000, &[&wide]), Verdict::Spent);
    }

    #[test]
    fn a_look_before_its_time_is_no_look() {
        let mut run = run(Width::Absolute(0.001));
        let narrow = estimate(0.01, 0.0005);
        assert_eq!(
            run.handle_estimates(999, &[&narrow]),
            Verdict::Probe { until: 1000 }
        );
        assert_eq!(run.handle_estimates(1000, &[&narrow]), Verdict::Narrow);
    }

    #[test]
    fn the_widest_path_counts_and_nothing_is_never_narrow() {
        let mut run = run(Width::Relative(0.1));
        let (narrow, wide, none) = (
            estimate(0.01, 0.0005),
            estimate(0.01, 0.002),
            estimate(0.0, 0.0),
        );
        assert_eq!(
            run.handle_estimates(1000, &[&narrow, &wide]),
            Verdict::Probe { until: 2000 }
        );
        assert_eq!(
            run.handle_estimates(2000, &[&none]),
            Verdict::Probe { until: 4000 }
        );
        assert_eq!(
            run.handle_estimates(4000, &[]),
            Verdict::Probe { until: 5000 }
        );
        assert_eq!(run.handle_estimates(5000, &[&narrow]), Verdict::Narrow);
    }
}
