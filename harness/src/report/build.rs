//! From scenario, truth and claims to the report's figures.

mod charts;
pub mod topology;

use std::collections::BTreeMap;

use mvpnlab_emulator::plan::TunnelPlan;
use mvpnlab_emulator::scenario::Action;
use mvpnlab_emulator::truth::crossing::Crossing;
use mvpnlab_emulator::truth::journey::{Phase, phase};
use mvpnlab_emulator::truth::{Lane, ProbeId, Truth};

use super::{
    Built, EventDone, FORMAT, Figures, Induced, LossAt, Pair, PathFigures, Report, Stream,
};
use crate::check::delay::{mean, quantile};
use crate::check::facts::{self, Both, Facts};
use crate::check::loss::cause_name;
use crate::check::path;
use crate::check::statistics::{Burst, compose};
use crate::run::suite::Case;
use crate::verdict::Verdict;

/// A report of a run without figures.
pub fn bare(
    case: &Case,
    seed: u64,
    fault: Option<&str>,
    built: &Built,
    verdict: Verdict,
) -> Report {
    Report {
        format: FORMAT,
        scenario: case.name.clone(),
        title: case.scenario.title.clone(),
        proves: case.scenario.proves.clone(),
        seed,
        fault: fault.map(str::to_owned),
        built: built.clone(),
        verdict,
        findings: Vec::new(),
        false_alarm_total: 0.0,
        pairs: Vec::new(),
        losses: Vec::new(),
        streams: Vec::new(),
        series: Vec::new(),
        delays: Vec::new(),
        events: events(case),
        topology: topology::of(case),
        scenario_text: case.text.clone(),
    }
}

/// Adds what the run showed.
pub fn fill(report: &mut Report, case: &Case, truth: &Truth, facts: &Facts) {
    for task in &case.scenario.monitor.tasks {
        let pairs = facts.pairs(&task.name, None, None);
        report.pairs.extend(
            pairs
                .iter()
                .map(|pair| figures(truth, facts, &task.name, pair)),
        );
        report.series.extend(charts::series(facts, &task.name));
        report.delays.extend(charts::delays(facts, &task.name));
    }
    report.losses = losses(facts);
    report.streams = streams(case, facts);
    topology::count(&mut report.topology, truth);
}

fn events(case: &Case) -> Vec<EventDone> {
    let mut events: Vec<EventDone> = case
        .scenario
        .timeline
        .iter()
        .map(|event| EventDone {
            at_ns: event.time.ns,
            what: action_words(&event.action),
        })
        .collect();
    events.sort_by_key(|event| event.at_ns);
    events
}

/// An action as it stands beside the chart.
fn action_words(action: &Action) -> String {
    match action {
        Action::ImpairLink {
            link,
            to: Some(to),
            impair,
        } => format!("link {link} towards {to}: {}", impair),
        Action::ImpairLink {
            link,
            to: None,
            impair,
        } => format!("link {link}: {}", impair),
        Action::ImpairTunnel { tunnel, impair } => {
            format!("tunnel {tunnel}: {}", impair)
        }
        Action::LinkDown { link } => format!("link {link} down"),
        Action::LinkUp { link } => format!("link {link} up"),
        Action::NodeKill { node } => format!("{node} killed"),
        Action::NodeRestart { node } => format!("{node} restarted"),
        Action::MonitorKill {} => "monitor killed".into(),
        Action::MonitorRestart {} => "monitor restarted".into(),
        Action::ClockStep { by, back: false } => format!("wall clock {by} forward"),
        Action::ClockStep { by, back: true } => format!("wall clock {by} back"),
        Action::Checkpoint {} => "checkpoint".to_owned(),
        Action::TunnelAdd { tunnel } => format!("tunnel {tunnel} added"),
        Action::TunnelDrop { tunnel } => format!("tunnel {tunnel} dropped"),
        Action::TaskStart { task } => format!("task {task} started"),
        Action::TaskStop { task } => format!("task {task} stopped"),
        Action::PeStart { task, tunnel } => format!("{tunnel} taken into {task}"),
        Action::PeStop { task, tunnel } => format!("{tunnel} taken out of {task}"),
        Action::RogueJoin { mvpn, pe } => format!("{pe} joins {mvpn}, a rogue"),
        Action::RogueLeave { mvpn, pe } => format!("the rogue {pe} leaves {mvpn}"),
        Action::PeSilent { mvpn, pe } => format!("{pe} falls silent in {mvpn}"),
        Action::PeSpeaks { mvpn, pe } => format!("{pe} speaks again in {mvpn}"),
        Action::AgentKill { agent } => format!("agent {agent} killed"),
        Action::AgentRestart { agent } => format!("agent {agent} restarted"),
        Action::PeerKill { host } => format!("the peer at {host} killed"),
        Action::PeerRestart { host } => format!("the peer at {host} restarted"),
    }
}

fn figures(truth: &Truth, facts: &Facts, task: &str, pair: &facts::Pair) -> Pair {
    let copies = facts.counted(task, pair);
    let rows = path::rows(facts, task, pair);
    let column = |value: fn(&crate::claims::IntervalClaim) -> Option<i64>| {
        path::weighted(
            &rows,
            |row| value(row).map(|ns| ns as f64),
            |row| row.received,
        )
        .map(|mean| mean.round() as i64)
    };
    let share = |value: fn(&crate::claims::IntervalClaim) -> Option<f64>| {
        path::weighted(&rows, value, |row| row.sent)
    };
    Pair {
        task: task.into(),
        sender: pair.sender.0.clone(),
        receiver: pair.receiver.0.clone(),
        induced: induced(truth, facts, task, pair),
        truth: of_truth(&copies),
        measured: of_claims(&copies),
        path: PathFigures {
            true_delay_ns: path::true_delay(&copies),
            true_loss: path::true_loss(&copies),
            point_delay_ns: path::point_delay(facts, task, pair),
            delay_interval_ns: column(|row| row.path_delay_low_ns)
                .zip(column(|row| row.path_delay_high_ns)),
            point_loss: path::point_loss(facts, task, pair),
            loss_interval: share(|row| row.path_loss_low).zip(share(|row| row.path_loss_high)),
        },
    }
}

/// What was configured along the way of the pair's first probe that arrived; unknown where that changed meanwhile.
fn induced(truth: &Truth, facts: &Facts, task: &str, pair: &facts::Pair) -> Induced {
    let copies = facts.counted(task, pair);
    let arrived = copies
        .iter()
        .find(|both| both.truth.is_some_and(|copy| !copy.lost()));
    let (Some(both), Some(sender), Some(receiver)) = (
        arrived,
        truth.tunnel(pair.sender.1),
        truth.tunnel(pair.receiver.1),
    ) else {
        return Induced::default();
    };
    let id = ProbeId {
        task: both.key.task,
        sender: both.key.sender,
        session: both.key.session,
        sequence: both.key.seq,
    };
    let way = way(truth, id, sender, receiver);
    let eras = way
        .iter()
        .map(|lane| truth.conditions.eras(*lane))
        .chain([truth.conditions.tunnel_eras(&receiver.name)]);
    let mut losses = Vec::new();
    let mut delay_ns = 0;
    for eras in eras {
        match eras {
            [] => {}
            [only] => {
                let impairment = &only.impairment;
                losses.extend(impairment.loss.map(|loss| loss.0));
                losses.extend(
                    impairment
                        .burst
                        .as_ref()
                        .map(|model| Burst::from(model).rate),
                );
                delay_ns += impairment.delay.map_or(0, |delay| delay.ns.cast_signed());
            }
            _ => return Induced::default(),
        }
    }
    Induced {
        loss: Some(compose(losses)),
        delay_ns: Some(delay_ns),
    }
}

/// The lanes from the monitor to the monitor that lie on the probe's way to this receiver: backwards from its arrival.
fn way(truth: &Truth, id: ProbeId, sender: &TunnelPlan, receiver: &TunnelPlan) -> Vec<Lane> {
    let crossings: Vec<_> = truth
        .journey(id)
        .iter()
        .filter(|crossing| {
            phase(&crossing.decoded, sender, receiver).is_some() && crossing.arrival().is_some()
        })
        .collect();
    let mut way = Vec::new();
    let mut at = crossings
        .iter()
        .rfind(|crossing| phase(&crossing.decoded, sender, receiver) == Some(Phase::Down))
        .copied();
    while let Some(crossing) = at {
        way.push(crossing.lane);
        let before = |earlier: &&&Crossing| {
            truth.lanes.to(earlier.lane) == truth.lanes.from(crossing.lane)
                && earlier
                    .arrival()
                    .is_some_and(|exit| exit.order < crossing.order)
        };
        at = crossings
            .iter()
            .filter(before)
            .max_by_key(|earlier| earlier.order)
            .copied();
    }
    way
}

fn of_truth(copies: &[Both]) -> Figures {
    let seen = copies
        .iter()
        .filter_map(|both| both.truth)
        .filter(|copy| !copy.unfinished);
    let mut figures = Figures::default();
    let mut delays = Vec::new();
    for copy in seen {
        figures.sent += 1;
        figures.lost += u64::from(copy.lost());
        figures.received += u64::from(!copy.lost());
        figures.duplicates += copy.duplicates;
        figures.reordered += u64::from(copy.reordered);
        delays.extend(copy.delay_ns());
    }
    with_delays(figures, delays)
}

fn of_claims(copies: &[Both]) -> Option<Figures> {
    let mut figures = Figures::default();
    let mut delays = Vec::new();
    for claim in copies.iter().filter_map(|both| both.claim) {
        figures.sent += 1;
        figures.lost += u64::from(claim.lost);
        figures.received += u64::from(!claim.lost);
        figures.duplicates += claim.duplicates;
        figures.reordered += u64::from(claim.reordered);
        delays.extend(claim.delay_ns());
    }
    (figures.sent > 0).then(|| with_delays(figures, delays))
}

fn with_delays(figures: Figures, mut delays: Vec<i64>) -> Figures {
    delays.sort_unstable();
    Figures {
        delay_mean_ns: mean(&delays),
        delay_p99_ns: quantile(&delays, 0.99),
        ..figures
    }
}

fn losses(facts: &Facts) -> Vec<LossAt> {
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (cause, place) in facts
        .copies
        .values()
        .filter(|copy| !copy.warmup)
        .filter_map(|copy| copy.cause.as_ref())
    {
        *counts
            .entry((cause_name(*cause), place.clone()))
            .or_default() += 1;
    }
    counts
        .into_iter()
        .map(|((cause, place), probes)| LossAt {
            cause,
            place,
            probes,
        })
        .collect()
}

/// Every receiver beside every source of its group.
fn streams(case: &Case, facts: &Facts) -> Vec<Stream> {
    let traffic = facts.traffic;
    let mut streams = Vec::new();
    for receiver in &traffic.receivers {
        let group = case
            .scenario
            .receivers
            .iter()
            .find(|r| r.name == receiver.name)
            .map(|r| r.group);
        for source in traffic
            .sources
            .iter()
            .filter(|source| Some(source.group) == group)
        {
            let received = receiver
                .received
                .iter()
                .filter(|flow| flow.flow == source.flow)
                .map(|flow| flow.packets)
                .sum();
            streams.push(Stream {
                source: source.name.clone(),
                receiver: receiver.name.clone(),
                sent: source.sent,
                received,
            });
        }
    }
    streams
}
