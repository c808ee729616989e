//! Claim against truth: one finding for each expectation of the scenario.

mod alarms;
mod appearance;
mod control_plane;
mod customer;
pub mod delay;
pub mod facts;
mod fates;
mod history;
mod inferred;
mod intervals;
mod judge;
pub mod loss;
mod mdt;
mod oneway;
mod outage;
mod overhead;
pub mod path;
mod router_state;
mod segregation;
pub mod statistics;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::BTreeMap;

use mvpnlab_emulator::scenario::Expectation;
use serde::{Deserialize, Serialize};

use crate::verdict::Verdict;
use facts::Facts;

/// Judges every expectation of the scenario, in its order.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    facts
        .scenario
        .expectations
        .iter()
        .map(|expectation| judge_one(facts, expectation))
        .collect()
}

/// Probability that any finding fails although nothing is wrong, at most.
pub fn false_alarm_total(findings: &[Finding]) -> f64 {
    findings
        .iter()
        .filter_map(|finding| finding.false_alarm)
        .sum::<f64>()
        .min(1.0)
}

/// Pass, or the reasons of everything that failed. A scenario that expects nothing proves nothing.
pub fn verdict(findings: &[Finding]) -> Verdict {
    let reasons: Vec<String> = findings
        .iter()
        .filter_map(|finding| finding.outcome.reason())
        .map(str::to_owned)
        .collect();
    match (findings.is_empty(), reasons.is_empty()) {
        (true, _) => Verdict::Fail {
            reasons: vec!["the scenario expects nothing: add an [[expect]]".into()],
        },
        (false, true) => Verdict::Pass,
        (false, false) => Verdict::Fail { reasons },
    }
}

fn judge_one(facts: &Facts, expectation: &Expectation) -> Finding {
    use Expectation as E;
    match expectation {
        E::Fates {
            task,
            at_least,
            from,
            until,
        } => fates::fates(facts, task, *at_least, *from, *until),
        E::Intervals { task } => intervals::intervals(facts, task),
        E::DelayError { task, p99_at_most } => delay::delay_error(facts, task, *p99_at_most),
        E::PathDelay { task, within } => path::path_delay(facts, task, *within),
        E::PathInterval {
            task,
            tolerance,
            narrower_than,
        } => path::path_interval(facts, task, *tolerance, *narrower_than),
        E::PathBias {
            task,
            sender,
            receiver,
            at_least,
        } => path::path_bias(facts, task, sender, receiver, *at_least),
        E::LossRate {
            task,
            sender,
            receiver,
            injected,
            alpha,
        } => loss::loss_rate(
            facts,
            task,
            (sender.as_deref(), receiver.as_deref()),
            *injected,
            *alpha,
        ),
        E::PathLoss { task, within } => path::path_loss(facts, task, *within),
        E::Delay {
            task,
            sender,
            receiver,
            at_least,
            at_most,
        } => delay::delay(
            facts,
            task,
            (sender.as_deref(), receiver.as_deref()),
            *at_least,
            *at_most,
        ),
        E::LossBetween {
            task,
            sender,
            receiver,
            from,
            until,
            at_least,
            at_most,
        } => {
            let between = loss::Between {
                from: *from,
                until: *until,
                at_least: *at_least,
                at_most: *at_most,
            };
            loss::loss_between(
                facts,
                task,
                (sender.as_deref(), receiver.as_deref()),
                &between,
            )
        }
        E::Outage {
            task,
            sender,
            receiver,
            at_least,
            at_most,
        } => outage::outage(facts, task, sender, receiver, *at_least, *at_most),
        E::Duplicates { task, at_least } => fates::duplicates(facts, task, *at_least),
        E::Reordered { task, at_least } => fates::reordered(facts, task, *at_least),
        E::Cause { cause, at_least } => loss::cause(facts, *cause, *at_least),
        E::Delivered {
            source,
            receiver,
            at_least,
            at_most,
        } => customer::delivered(facts, source, receiver, *at_least, *at_most),
        E::NoProbeAtCustomer { frames } => segregation::no_probe_at_customer(facts, *frames),
        E::ProbeCopies {
            tunnel,
            task,
            from,
            until,
            at_least,
            at_most,
        } => {
            let copies = segregation::Copies {
                task: task.as_deref(),
                from: *from,
                until: *until,
                at_least: *at_least,
                at_most: *at_most,
            };
            segregation::probe_copies(facts, tunnel, &copies)
        }
        E::CustomerPackets {
            arrived_at_least,
            processed_at_most,
        } => customer::customer_packets(facts, *arrived_at_least, *processed_at_most),
        E::PassiveStream {
            source,
            tunnel,
            at_least,
        } => customer::passive_stream(facts, source, tunnel, *at_least),
        E::OnlyCustomerStreams { mvpn } => customer::only_customer_streams(facts, mvpn),
        E::NothingSentTo { group } => segregation::nothing_sent_to(facts, *group),
        E::Overhead {} => overhead::overhead(facts),
        E::LogLostBeforeKill { at_most } => fates::log_lost_before_kill(facts, *at_most),
        E::Forwarded {
            node,
            group,
            yes,
            to,
        } => router_state::forwarded(facts, node, *group, to.as_deref(), *yes),
        E::History { mvpn } => history::history(facts, mvpn),
        E::Appearance {
            mvpn,
            within,
            at_least,
        } => appearance::appearance(facts, mvpn, *within, *at_least),
        E::Alarms { mvpn, alarms } => alarms::alarms(facts, mvpn, alarms),
        E::ControlPlane { mvpn } => control_plane::control_plane(facts, mvpn),
        E::CustomerAdjacencies { mvpn } => router_state::customer_adjacencies(facts, mvpn),
        E::Oneway {
            oneway,
            at_least,
            ways,
            relative_error_at_most,
            injected,
        } => {
            let wanted = oneway::Wanted {
                at_least: *at_least,
                ways,
                relative_error_at_most: *relative_error_at_most,
                injected,
            };
            oneway::oneway(facts, oneway, &wanted)
        }
        E::OnewayAbsent { oneway, because } => oneway::absent(facts, oneway, because),
        E::OnewayDoubt { oneway, because } => oneway::doubt(facts, oneway, because),
        E::OnewayBias {
            oneway,
            way,
            at_least,
            at_most,
        } => oneway::bias(facts, oneway, way, (*at_least, *at_most)),
        E::PathLossInferred {
            task,
            within,
            half_off_at_least,
        } => inferred::path_loss_inferred(facts, task, *within, *half_off_at_least),
        E::Transferred {
            transfer,
            at_least,
            at_most,
        } => transfer::transferred(facts, transfer, (*at_least, *at_most)),
        E::MdtNeighbor {
            mvpn,
            at,
            neighbor,
            yes,
        } => router_state::mdt_neighbor(facts, mvpn, (at, neighbor), *yes),
        E::MdtPackets {
            source,
            pe,
            mdt,
            from,
            until,
            at_least,
            at_most,
        } => {
            let wanted = mdt::Wanted {
                mdt: *mdt,
                from: *from,
                until: *until,
                at_least: *at_least,
                at_most: *at_most,
            };
            mdt::mdt_packets(facts, source, pe, &wanted)
        }
        E::DataMdt {
            source,
            moves,
            returns,
            joined,
        } => mdt::data_mdt(facts, source, (*moves, *returns), joined),
    }
}

/// What became of one expectation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's name in the scenario: `fates`, `delay-error`, …
    pub check: String,
    /// What it was about: a task, a pair, a stream; empty when the whole lab.
    pub about: String,
    /// The expectation in words.
    pub expected: String,
    /// Whether it held.
    pub outcome: Outcome,
    /// How many things were compared; a check that compared nothing has failed.
    pub judged: u64,
    /// Figures measured on the way, units in their names.
    pub figures: BTreeMap<String, Figure>,
    /// Statistical checks: probability that this one fails although nothing is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_alarm: Option<f64>,
}

/// Held, or not and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Outcome {
    /// As expected.
    Held,
    /// Not as expected.
    Failed {
        /// In plain words, with the first few offenders.
        reason: String,
    },
}

impl Outcome {
    /// Why it failed.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Held => None,
            Self::Failed { reason } => Some(reason),
        }
    }
}

/// A figure: a count, a time in nanoseconds, or a ratio; the name says which.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Figure {
    /// An integer.
    Count(i64),
    /// Anything else.
    Ratio(f64),
}

impl Finding {
    /// Check and subject: `fates of table1`.
    pub fn title(&self) -> String {
        match self.about.as_str() {
            "" => self.check.clone(),
            about => format!("{} of {about}", self.check),
        }
    }

    /// Whether the expectation held.
    pub fn held(&self) -> bool {
        self.outcome == Outcome::Held
    }
}
