//! One run: from its observation to its report.

use mvpnlab_emulator::place::Files;
use mvpnlab_emulator::truth::{Observation, Truth};

use super::place::Labs;
use super::suite::Case;
use crate::check::{self, facts::Facts};
use crate::claims::{Claims, history::History};
use crate::report::{Report, build};
use crate::verdict::Verdict;

/// A run that is over.
pub struct Ran {
    /// Its report.
    pub report: Report,
    /// What the lab handed back, if it came that far.
    pub observation: Option<Files>,
}

impl Ran {
    /// Judges what the lab observed. The truth must agree with itself before the monitor is looked at.
    pub fn judged(labs: &Labs, case: &Case, seed: u64, observation: Files) -> Self {
        let report = judge(labs, case, seed, &observation);
        Self {
            report,
            observation: Some(observation),
        }
    }

    /// A run that gave no observation.
    pub fn unjudged(labs: &Labs, case: &Case, seed: u64, verdict: Verdict) -> Self {
        Self {
            report: bare(labs, case, seed, verdict),
            observation: None,
        }
    }

    /// Frees what is no longer needed.
    pub fn forget(&mut self) {
        self.observation = None;
    }
}

fn bare(labs: &Labs, case: &Case, seed: u64, verdict: Verdict) -> Report {
    build::bare(case, seed, labs.fault(), labs.built(), verdict)
}

fn judge(labs: &Labs, case: &Case, seed: u64, files: &Files) -> Report {
    let unsound = |what: String| bare(labs, case, seed, Verdict::Infrastructure { what });
    let observation = match Observation::of(files) {
        Ok(observation) => observation,
        Err(error) => return unsound(error.to_string()),
    };
    // The two have nothing to do with each other.
    let (truth, claims) = std::thread::scope(|scope| {
        let claims = scope.spawn(|| Claims::of(files));
        let truth = Truth::of(&observation);
        let claims = claims.join();
        (
            truth,
            claims.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        )
    });
    let truth = match truth {
        Ok(truth) => truth,
        Err(error) => return unsound(error.to_string()),
    };
    let claims = match claims {
        Ok(claims) => claims,
        Err(error) => {
            return bare(
                labs,
                case,
                seed,
                Verdict::Fail {
                    reasons: vec![error.to_string()],
                },
            );
        }
    };
    if let Some(what) = wrong_fault(labs.fault(), &claims) {
        return unsound(what);
    }
    let (scenario, clock) = (&observation.scenario, &observation.clock);
    let history = History::ask(labs.monitor(), scenario, files, clock, &claims);
    let facts = Facts::of(&truth, &observation, files, &claims, history);
    let mut report = bare(labs, case, seed, Verdict::Pass);
    report.findings = check::judge(&facts);
    report.false_alarm_total = check::false_alarm_total(&report.findings);
    report.verdict = check::verdict(&report.findings);
    build::fill(&mut report, case, &truth, &facts);
    report
}

/// A fault that was asked for and is not there, or the other way round, would make a verdict about the wrong monitor.
fn wrong_fault(asked: Option<&str>, claims: &Claims) -> Option<String> {
    let found = claims.status.as_ref()?.planted_fault.as_deref();
    (asked != found).then(|| {
        let name = |fault: Option<&str>| fault.map_or("no planted fault".to_owned(), |name| format!("planted fault {name}"));
        format!(
            "the monitor was asked for {} and says that it has {}; faults need a monitor built with `--features planted-faults`",
            name(asked),
            name(found)
        )
    })
}
