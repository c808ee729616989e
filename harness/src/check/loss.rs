//! Statistical: measured loss against what was injected; and true loss in a stretch of time.

use mvpnlab_emulator::scenario::{
    Action, GilbertElliott, Impairment, LossCause, Probability, Scenario, Span,
};

use super::Finding;
use super::facts::{Facts, Pair};
use super::judge::Judge;
use super::statistics::{Burst, binomial_acceptance, binomial_p_value, chain_p_value, with_rate};
use crate::report::format::{percent, probability};

/// Measured loss of each pair against the loss injected along its way: a two-sided exact test. Where the scenario
/// has bursty loss, losses come in the bursts of its Markov chain, and the test is of that chain.
pub fn loss_rate(
    facts: &Facts,
    task: &str,
    pair: (Option<&str>, Option<&str>),
    injected: Probability,
    alpha: f64,
) -> Finding {
    let expected = format!(
        "injected {}, at a false-alarm probability of {} a pair",
        percent(injected.0),
        probability(alpha)
    );
    let mut judge = Judge::new("loss-rate", about(task, pair), expected);
    let model = burstiest(facts.scenario).map(|model| with_rate(&model, injected.0));
    let (mut sent_all, mut lost_all) = (0, 0);
    for pair in facts.pairs(task, pair.0, pair.1) {
        let (sent, lost) = measured(facts, task, &pair);
        if sent == 0 {
            continue;
        }
        judge.judged(1);
        (sent_all, lost_all) = (sent_all + sent, lost_all + lost);
        let p_value = match &model {
            Some(model) => chain_p_value(lost, sent, model),
            None => binomial_p_value(lost, sent, injected.0),
        };
        judge.demand(p_value > alpha, || {
            let accepted = match &model {
                Some(_) => String::new(),
                None => {
                    let (low, high) = binomial_acceptance(sent, injected.0, alpha);
                    format!("; {low} to {high} would be believable")
                }
            };
            let share = percent(lost as f64 / sent as f64);
            format!("{pair}: {lost} of {sent} measured as lost ({share}), which has a probability of {}{accepted}", probability(p_value))
        });
    }
    if sent_all > 0 {
        judge.ratio("measured_share", lost_all as f64 / sent_all as f64);
    }
    if let Some(model) = &model {
        judge.ratio("variance_inflation", Burst::from(model).inflation);
    }
    let tests = judge.count() as f64;
    judge.false_alarm(alpha * tests);
    judge.finish()
}

/// The subject of a finding: a task, or some of its pairs.
pub fn about(task: &str, pair: (Option<&str>, Option<&str>)) -> String {
    match pair {
        (None, None) => task.into(),
        (from, to) => format!(
            "{task}, {} → {}",
            from.unwrap_or("any"),
            to.unwrap_or("any")
        ),
    }
}

/// Counted probes of the pair in the monitor's log, and those it calls lost.
fn measured(facts: &Facts, task: &str, pair: &Pair) -> (u64, u64) {
    let copies = facts.counted(task, pair);
    let claims = copies
        .iter()
        .filter_map(|both| both.claim)
        .filter(|claim| !claim.warmup);
    claims.fold((0, 0), |(sent, lost), claim| {
        (sent + 1, lost + u64::from(claim.lost))
    })
}

/// The bursty loss with the longest memory anywhere in the scenario.
fn burstiest(scenario: &Scenario) -> Option<GilbertElliott> {
    let of_links = scenario
        .links
        .iter()
        .flat_map(|link| link.impair.iter().chain(link.impair_to.values()));
    let of_tunnels = scenario
        .tunnel_impairments
        .iter()
        .map(|tunnel| &tunnel.impair);
    let of_events = scenario
        .timeline
        .iter()
        .filter_map(|event| impairment(&event.action));
    let models = of_links
        .chain(of_tunnels)
        .chain(of_events)
        .filter_map(|impairment| impairment.burst);
    models.max_by(|a, b| {
        Burst::from(a)
            .inflation
            .total_cmp(&Burst::from(b).inflation)
    })
}

fn impairment(action: &Action) -> Option<&Impairment> {
    match action {
        Action::ImpairLink { impair, .. } | Action::ImpairTunnel { impair, .. } => Some(impair),
        Action::LinkDown { .. }
        | Action::LinkUp { .. }
        | Action::NodeKill { .. }
        | Action::NodeRestart { .. }
        | Action::MonitorKill {}
        | Action::MonitorRestart {}
        | Action::ClockStep { .. }
        | Action::TunnelAdd { .. }
        | Action::TunnelDrop { .. }
        | Action::TaskStart { .. }
        | Action::TaskStop { .. }
        | Action::PeStart { .. }
        | Action::PeStop { .. }
        | Action::RogueJoin { .. }
        | Action::RogueLeave { .. }
        | Action::PeSilent { .. }
        | Action::PeSpeaks { .. }
        | Action::AgentKill { .. }
        | Action::AgentRestart { .. }
        | Action::PeerKill { .. }
        | Action::PeerRestart { .. }
        | Action::Checkpoint {} => None,
    }
}

/// A stretch of the run, and the loss that must lie in it.
pub struct Between {
    /// From, after the start of the run.
    pub from: Span,
    /// Until.
    pub until: Span,
    /// Least loss.
    pub at_least: Probability,
    /// Greatest loss.
    pub at_most: Probability,
}

/// True loss of each pair among the probes sent in the stretch.
pub fn loss_between(
    facts: &Facts,
    task: &str,
    pair: (Option<&str>, Option<&str>),
    between: &Between,
) -> Finding {
    let (low, high) = (between.at_least.0, between.at_most.0);
    let seconds = |span: Span| span.ns as f64 / 1e9;
    let expected = format!(
        "true loss from {} to {} between {} s and {} s",
        percent(low),
        percent(high),
        seconds(between.from),
        seconds(between.until)
    );
    let mut judge = Judge::new("loss-between", about(task, pair), expected);
    let window = facts.at(between.from)..facts.at(between.until);
    for pair in facts.pairs(task, pair.0, pair.1) {
        let copies = facts.counted(task, &pair);
        let seen: Vec<_> = copies
            .iter()
            .filter_map(|both| both.truth)
            .filter(|copy| window.contains(&copy.sent_ns))
            .collect();
        if seen.is_empty() {
            judge.offence(|| format!("{pair}: not one probe was sent in that time"));
            continue;
        }
        let lost = seen.iter().filter(|copy| copy.lost()).count();
        let share = lost as f64 / seen.len() as f64;
        judge.judged(1);
        judge.demand((low..=high).contains(&share), || {
            format!("{pair}: {lost} of {} lost ({})", seen.len(), percent(share))
        });
    }
    judge.finish()
}

/// Losses that the truth puts down to this cause.
pub fn cause(facts: &Facts, cause: LossCause, at_least: u64) -> Finding {
    let name = cause_name(cause);
    let mut judge = Judge::new(
        "cause",
        &name,
        format!("at least {at_least} losses put down to {name}"),
    );
    let lost: Vec<_> = facts.copies.values().filter(|copy| copy.lost()).collect();
    let found = lost
        .iter()
        .filter(|copy| {
            copy.cause
                .as_ref()
                .is_some_and(|(found, _)| *found == cause)
        })
        .count() as u64;
    judge.judged(facts.copies.len() as u64);
    judge.figure("found", found);
    judge.figure("lost_in_all", lost.len() as u64);
    judge.demand(found >= at_least, || {
        format!("{found} of {} lost probe copies", lost.len())
    });
    judge.finish()
}

/// The cause's name in scenario files.
pub fn cause_name(cause: LossCause) -> String {
    serde_json::to_value(cause)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
