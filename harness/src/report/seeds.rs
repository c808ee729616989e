//! What many seeds of one scenario say together of one-way loss: error, bias, and how often intervals held the truth.
//!
//! The table is that of the paper on one-way loss: of each way the mean relative error and the bias of its estimate. It is
//! against the loss that was injected, as there, where the scenario tells it, and always against what the taps saw of exactly
//! the probes that counted: the first holds chance as well, the second the estimator's own error only.

use std::collections::BTreeMap;

use super::Report;
use super::format::{or_none, percent};
use super::text::ruled;
use crate::check::{Figure, Finding};

/// The check whose figures these are.
const CHECK: &str = "oneway";

/// One way in one run; shares.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Estimate {
    estimated: f64,
    low: f64,
    high: f64,
    seen: f64,
    injected: Option<f64>,
}

impl Estimate {
    fn of(finding: &Finding, way: &str) -> Option<Estimate> {
        let share = |what: &str| match finding.figures.get(&format!("{way}_{what}_share"))? {
            Figure::Ratio(share) => Some(*share),
            Figure::Count(_) => None,
        };
        Some(Estimate {
            estimated: share("estimated")?,
            low: share("low")?,
            high: share("high")?,
            seen: share("realised")?,
            injected: share("injected"),
        })
    }

    fn holds(&self, share: f64) -> bool {
        (self.low..=self.high).contains(&share)
    }
}

/// Scenario, measurement and way.
type Key<'a> = (&'a str, &'a str, &'a str);

/// The table, if any scenario that measures one-way loss ran with more than one seed.
pub fn render(reports: &[Report]) -> Option<String> {
    let mut ways: BTreeMap<Key<'_>, Vec<Estimate>> = BTreeMap::new();
    for report in reports {
        for finding in report.findings.iter().filter(|f| f.check == CHECK) {
            for (way, estimate) in estimates(finding) {
                let key = (report.scenario.as_str(), finding.about.as_str(), way);
                ways.entry(key).or_default().push(estimate);
            }
        }
    }
    ways.retain(|_, runs| runs.len() > 1);
    (!ways.is_empty()).then(|| table(&ways))
}

fn estimates(finding: &Finding) -> impl Iterator<Item = (&str, Estimate)> {
    let names = finding.figures.keys();
    let ways = names.filter_map(|name| name.strip_suffix("_estimated_share"));
    ways.filter_map(|way| Some((way, Estimate::of(finding, way)?)))
}

fn table(ways: &BTreeMap<Key<'_>, Vec<Estimate>>) -> String {
    let head = [
        "one-way loss",
        "way",
        "runs",
        "injected",
        "error\nof it",
        "bias\nof it",
        "in the\ninterval",
        "seen",
        "error\nof it",
        "bias\nof it",
        "in the\ninterval",
    ];
    let mut table = ruled(&head, 2);
    for ((scenario, measurement, way), runs) in ways {
        let mut row = vec![
            format!("{scenario}: {measurement}"),
            (*way).to_owned(),
            runs.len().to_string(),
        ];
        row.extend(against(runs, |run| run.injected));
        row.extend(against(runs, |run| Some(run.seen)));
        table.add_row(row);
    }
    table.to_string()
}

/// The mean of what is held to be true, the estimates' mean relative error, their bias as a share of it, and how many
/// intervals held it.
fn against(runs: &[Estimate], truth: impl Fn(&Estimate) -> Option<f64>) -> [String; 4] {
    let known: Vec<(&Estimate, f64)> = runs
        .iter()
        .filter_map(|run| Some((run, truth(run)?)))
        .collect();
    let mean = |values: &mut dyn Iterator<Item = f64>| {
        let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), x| (sum + x, count + 1));
        (count > 0).then(|| sum / f64::from(count))
    };
    let loss = mean(&mut known.iter().map(|(_, truth)| *truth));
    // Of nothing lost there is no relative error.
    let lossy = known.iter().filter(|(_, truth)| *truth > 0.0);
    let error = mean(&mut lossy.map(|(run, truth)| (run.estimated - truth).abs() / truth));
    let off = mean(&mut known.iter().map(|(run, truth)| run.estimated - truth));
    let bias = off.zip(loss.filter(|loss| *loss > 0.0));
    let held = known
        .iter()
        .filter(|(run, truth)| run.holds(*truth))
        .count();
    [
        or_none(loss, percent),
        or_none(error, percent),
        or_none(bias, |(off, loss)| format!("{:+.2} %", 100.0 * off / loss)),
        or_none(loss, |_| format!("{held} of {}", known.len())),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    /// Runs of one measurement, each with an estimate of way r and of way s.
    fn runs(estimates: &[(f64, f64)]) -> Vec<Report> {
        let run = |(r, s): &(f64, f64)| {
            let mut report = sample::passed();
            report.scenario = "collector".to_owned();
            report.findings.truncate(1);
            let finding = &mut report.findings[0];
            CHECK.clone_into(&mut finding.check);
            "alpha".clone_into(&mut finding.about);
            finding.figures = [
                ("r_estimated_share", *r),
                ("r_low_share", r - 0.002),
                ("r_high_share", r + 0.002),
                ("r_realised_share", 0.05),
                ("r_injected_share", 0.052),
                ("s_estimated_share", *s),
                ("s_low_share", 0.0),
                ("s_high_share", 0.001),
                ("s_realised_share", 0.0),
            ]
            .map(|(name, share)| (name.to_owned(), Figure::Ratio(share)))
            .into();
            report
        };
        estimates.iter().map(run).collect()
    }

    #[test]
    fn error_bias_and_coverage_of_each_way() {
        let reports = runs(&[(0.049, 0.0), (0.051, 0.0005), (0.054, 0.0)]);
        insta::assert_snapshot!(render(&reports).unwrap());
    }

    #[test]
    fn one_run_is_no_table() {
        assert_eq!(render(&runs(&[(0.05, 0.0)])), None);
        assert_eq!(render(&[sample::passed(), sample::passed()]), None);
    }
}
