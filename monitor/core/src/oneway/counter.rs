//! A leaf that a router's counter serves: when probes may go so that a count of them has a meaning, and what was counted.
//!
//! Warm-up probes go as they come, and are none of the counter's business: they make the route that counts, and let an exporter speak.
//! What counts begins after them, with a silence (running counters) or with a port of its own (flows).

use super::link::Terms;
use super::spec::{AgentSpec, CounterSpec};
use super::{AgentFailure, AgentOutcome};
use crate::counters::{
    Aggregate, Discards, Export, FlowSpec, Flows, Fresh, Question, Reading, TrainSpec, Trains,
};
use crate::fault::Fault;
use crate::name::Name;
use crate::time::{Instant, Span};

/// Time between two questions in a silence.
const ASK_EVERY: Span = Span::from_ms(200);
/// An agent, or an exporter, that says nothing for so long about probes whose time is over says nothing of them any more.
const PATIENCE: Span = Span::from_s(30);

/// How it counts.
#[derive(Debug)]
enum Source {
    /// It runs, and is read in the silence between trains.
    Running {
        question: Question,
        spec: TrainSpec,
        trains: Box<Trains>,
    },
    /// Flows are exported.
    Exported(Flows),
}

/// A leaf at a router that counts.
#[derive(Debug)]
pub(super) struct Counter {
    pub(super) agent: Name,
    source: Source,
    ready: bool,
    /// What went wrong last, until it goes right.
    pub(super) failure: Option<String>,
    /// Nothing is waited for from then on.
    ends: Option<Instant>,
    ended: bool,
    restarts_do_not_matter: bool,
}

impl Counter {
    /// `None` for a counter that such an agent does not have.
    pub(super) fn new(
        agent: &AgentSpec,
        counter: &CounterSpec,
        probes: u32,
        terms: &Terms,
        now: Instant,
    ) -> Option<Counter> {
        let source = match (agent, counter) {
            (AgentSpec::Snmp { cache, .. }, CounterSpec::Route) => {
                let question = Question::Route(terms.group, terms.sender);
                running(question, *cache, probes, terms, now)
            }
            (AgentSpec::Snmp { cache, .. }, CounterSpec::Interface { interface }) => {
                let question = Question::Interface(interface.clone());
                running(question, *cache, probes, terms, now)
            }
            (
                AgentSpec::Flows {
                    exported_within, ..
                },
                CounterSpec::Flow,
            ) => Source::Exported(Flows::new(FlowSpec {
                probes,
                source: terms.sender,
                group: terms.group,
                exported_within: *exported_within,
                patience: PATIENCE,
            })),
            (AgentSpec::Snmp { .. }, CounterSpec::Flow)
            | (AgentSpec::Flows { .. }, CounterSpec::Route | CounterSpec::Interface { .. }) => {
                return None;
            }
        };
        Some(Counter {
            agent: agent.name().clone(),
            // What nobody is asked for, nobody need have answered.
            ready: matches!(source, Source::Exported(_)),
            source,
            failure: None,
            ends: None,
            ended: false,
            restarts_do_not_matter: terms.fault.is(Fault::CounterRestartBelieved),
        })
    }

    /// Whether the agent has answered, be it that there is no such route before the first probe.
    pub(super) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Probes count from then on.
    pub(super) fn begin(&mut self, epoch: Instant) {
        match &mut self.source {
            Source::Running { spec, trains, .. } => **trains = Trains::new(epoch, *spec),
            // What the exporter says meanwhile is where its numbers begin.
            Source::Exported(_) => {}
        }
    }

    /// Whether a probe that counts may be sent.
    pub(super) fn may_send(&self) -> bool {
        match &self.source {
            Source::Running { trains, .. } => trains.may_send(),
            Source::Exported(flows) => flows.port().is_some(),
        }
    }

    /// The UDP port that such a probe must come from; none: it does not matter.
    pub(super) fn port(&self) -> Option<u16> {
        match &self.source {
            Source::Running { .. } => None,
            Source::Exported(flows) => flows.port(),
        }
    }

    /// A probe that counts is sent.
    pub(super) fn handle_sent(&mut self, now: Instant, number: u64) {
        match &mut self.source {
            Source::Running { trains, .. } => trains.handle_sent(now, number),
            Source::Exported(flows) => flows.handle_sent(now, number),
        }
    }

    /// It did not leave.
    pub(super) fn handle_unsent(&mut self, number: u64) {
        match &mut self.source {
            Source::Running { trains, .. } => trains.handle_unsent(number),
            Source::Exported(flows) => flows.handle_unsent(number),
        }
    }

    /// No more probes will be sent.
    pub(super) fn finish(&mut self, now: Instant) {
        match &mut self.source {
            Source::Running { trains, .. } => trains.finish(now),
            Source::Exported(flows) => flows.finish(now),
        }
    }

    /// Nothing is waited for from `ends` on.
    pub(super) fn hasten(&mut self, ends: Instant) {
        self.ends = Some(ends);
    }

    pub(super) fn is_settled(&self) -> bool {
        let settled = match &self.source {
            Source::Running { trains, .. } => trains.is_settled(),
            Source::Exported(flows) => flows.is_settled(),
        };
        settled || self.ended
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let own = match &self.source {
            Source::Running { trains, .. } => trains.next_deadline(),
            Source::Exported(flows) => flows.next_deadline(),
        };
        let ends = self.ends.filter(|_| !self.ended);
        own.into_iter().chain(ends).min()
    }

    /// What to ask now, if anything; does what time alone brings about.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Question> {
        self.ended |= self.ends.is_some_and(|ends| ends <= now);
        match &mut self.source {
            Source::Running {
                question, trains, ..
            } => trains.poll_ask(now).then(|| question.clone()),
            Source::Exported(flows) => {
                flows.handle_time(now);
                None
            }
        }
    }

    /// The agent answered, or did not.
    pub(super) fn handle_answer(&mut self, now: Instant, outcome: AgentOutcome) {
        let Source::Running {
            question, trains, ..
        } = &mut self.source
        else {
            return;
        };
        self.failure = outcome.as_ref().err().map(ToString::to_string);
        match outcome {
            Ok(reading) => {
                self.ready = true;
                let reading = match self.restarts_do_not_matter {
                    true => unaware_of_restarts(reading),
                    false => reading,
                };
                trains.handle_reading(now, reading);
            }
            Err(failure) => {
                let no_route_yet = matches!(
                    (&failure, question),
                    (AgentFailure::NoSuch(_), Question::Route(..))
                );
                self.ready |= no_route_yet;
                trains.handle_no_answer();
            }
        }
    }

    /// The exporter sent something, or what cannot be read.
    pub(super) fn handle_export(&mut self, now: Instant, export: Result<&Export, &AgentFailure>) {
        self.failure = export.err().map(ToString::to_string);
        if let (Source::Exported(flows), Ok(export)) = (&mut self.source, export) {
            flows.handle_export(now, export);
        }
    }

    /// What was counted so far, oldest first, and what does not count.
    pub(super) fn judge(&self) -> (Vec<Aggregate>, Discards) {
        match &self.source {
            Source::Running { trains, .. } => trains.judge(),
            Source::Exported(flows) => flows.judge(),
        }
    }
}

fn running(
    question: Question,
    cache: Option<Span>,
    probes: u32,
    terms: &Terms,
    now: Instant,
) -> Source {
    let spec = TrainSpec {
        probes,
        datagram_bytes: terms.datagram_bytes,
        settle: terms.loss_timeout,
        every: ASK_EVERY,
        patience: PATIENCE,
        fresh: cache.map_or(Fresh::ByPulse, Fresh::ByAge),
        exclusive: matches!(question, Question::Route(..)),
    };
    Source::Running {
        question,
        spec,
        trains: Box::new(Trains::new(now, spec)),
    }
}

/// The planted fault: an agent's time that agrees with ours whatever happened to it.
fn unaware_of_restarts(reading: Reading) -> Reading {
    const NS_PER_TICK: u64 = 10_000_000;
    Reading {
        uptime_ticks: (reading.asked.as_ns() / NS_PER_TICK) as u32,
        discontinuity_ticks: 0,
        age_ticks: None,
        ..reading
    }
}
