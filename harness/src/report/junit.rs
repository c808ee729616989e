//! JUnit XML for CI: one suite a scenario and seed, one case an expectation.
//!
//! No timestamps and no durations: the file is as repeatable as the run.

use quick_junit::{
    NonSuccessKind, Report as Document, SerializeError, TestCase, TestCaseStatus, TestSuite,
};

use super::Report;
use crate::check::{Finding, Outcome};
use crate::verdict::Verdict;

/// The document for these reports, in their order.
pub fn render(reports: &[Report]) -> Result<String, SerializeError> {
    let mut document = Document::new("mvpnlab");
    for report in reports {
        document.add_test_suite(suite(report));
    }
    document.to_string()
}

fn suite(report: &Report) -> TestSuite {
    let mut suite = TestSuite::new(report.label());
    suite.add_property(("title", report.title.as_str()));
    suite.add_property(("seed", report.seed.to_string().as_str()));
    suite.add_property(("image", report.built.image.as_str()));
    suite.add_property(("proves", report.proves.join(" ").as_str()));
    suite.add_property((
        "false-alarm-probability",
        super::format::probability(report.false_alarm_total).as_str(),
    ));
    suite.add_test_case(run_case(report));
    for finding in &report.findings {
        suite.add_test_case(finding_case(report, finding));
    }
    suite
}

/// The run as a whole: the one place where infrastructure and skips show.
fn run_case(report: &Report) -> TestCase {
    let status = match &report.verdict {
        Verdict::Pass | Verdict::Fail { .. } => TestCaseStatus::success(),
        Verdict::Infrastructure { what } => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status
                .set_type("infrastructure")
                .set_message(first_line(what))
                .set_description(what.as_str());
            status
        }
        Verdict::Skipped { reason } => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.as_str());
            status
        }
    };
    case("the lab ran and its truth is consistent", report, status)
}

fn finding_case(report: &Report, finding: &Finding) -> TestCase {
    let status = match &finding.outcome {
        Outcome::Held => TestCaseStatus::success(),
        Outcome::Failed { reason } => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status
                .set_type(finding.check.as_str())
                .set_message(first_line(reason))
                .set_description(reason.as_str());
            status
        }
    };
    case(&finding.title(), report, status)
}

fn case(name: &str, report: &Report, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(report.scenario.as_str());
    case
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
