//! Truth and claims side by side, indexed as the checks need them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use mvpnlab_emulator::mdt::MdtLog;
use mvpnlab_emulator::plan::Plan;
use mvpnlab_emulator::scenario::{Action, Expectation, Leaf, LossCause, Scenario, Span};
use mvpnlab_emulator::traffic::TrafficLog;
use mvpnlab_emulator::truth::{
    self, Branch, Counters, CustomerArrival, CustomerSide, Fate, Files, MdtArrival, MonitorFrame,
    Observation, ProbeTruth, Spread, Timeline, Truth, Utterance,
};

use crate::claims::history::History;
use crate::claims::{Claims, OnewayRun, ProbeClaim, ProbeKey, TaskRun};

/// How far a time may lie from where a clock reading puts it: captures, taps and timeline read their clocks apart.
pub const CLOCK_SLACK_NS: u64 = 1_000_000;
/// How long after a control request its effect may still be on its way.
const CONTROL_SLACK_NS: u64 = 500_000_000;

/// One copy of a probe, as the taps saw it: one probe, one receiver. Monotonic nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// It only builds trees up; counted nowhere.
    pub warmup: bool,
    /// The capture ended before its fate was decided; not to be judged.
    pub unfinished: bool,
    /// Entered the monitor's wire.
    pub sent_ns: u64,
    /// Left the monitor's wire towards it, for the first time and within the loss timeout.
    pub arrived_ns: Option<u64>,
    /// First arrival, however late.
    pub first_arrival_ns: Option<u64>,
    /// Further arrivals within the loss timeout.
    pub duplicates: u64,
    /// Arrived after a later one (RFC 4737 section 3.3).
    pub reordered: bool,
    /// From the sender's router to the receiver's.
    pub path: Path,
    /// Why it was lost, and where, if it was.
    pub cause: Option<(LossCause, String)>,
}

/// What became of a copy between the two routers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// It never reached the sender's router: the path was not tried.
    NotTried,
    /// It was lost between the routers.
    Lost,
    /// It reached the receiver's router after this long.
    Crossed {
        /// Nanoseconds.
        delay_ns: i64,
    },
}

impl Copy {
    /// Lost: no arrival in time.
    pub fn lost(&self) -> bool {
        self.arrived_ns.is_none()
    }

    /// One-way delay, tunnels included.
    pub fn delay_ns(&self) -> Option<i64> {
        self.arrived_ns
            .map(|at| at.cast_signed() - self.sent_ns.cast_signed())
    }
}

/// Truth, claims, and what was asked for.
pub struct Facts<'a> {
    /// What was asked for.
    pub scenario: &'a Scenario,
    /// What was built.
    pub plan: &'a Plan,
    /// What the monitor says.
    pub claims: &'a Claims,
    /// What was done when.
    pub timeline: &'a Timeline,
    /// Every expected copy of every probe.
    pub copies: BTreeMap<ProbeKey, Copy>,
    /// How far each counted probe of every run of one-way measurements came, by session and run.
    pub spreads: BTreeMap<(u32, u32), Vec<Spread>>,
    /// Every frame on the monitor's link.
    pub monitor_frames: Vec<MonitorFrame>,
    /// What was seen where customers are.
    pub customer_side: CustomerSide,
    /// Customers' packets that came to the monitor, by flow.
    pub customer_arrivals: BTreeMap<u32, Vec<CustomerArrival>>,
    /// Customers' packets in the backbone by MDTs, by flow; of flows that an expectation asks for.
    pub mdt_arrivals: BTreeMap<u32, Vec<MdtArrival>>,
    /// What the PEs did with their data MDTs.
    pub mdts: &'a MdtLog,
    /// What the PEs said on the default MDTs, as the taps saw it; where an expectation asks for it.
    pub utterances: Vec<Utterance>,
    /// What the monitor's database says of the past; where an expectation asks for it.
    pub history: Option<History>,
    /// What customers' sources and receivers counted.
    pub traffic: &'a TrafficLog,
    /// What the kernel counted.
    pub counters: &'a Counters,
    /// What the routers said of themselves at the end, by namespace.
    pub router_states: BTreeMap<String, String>,
}

/// A pair of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Sender tunnel's name and number.
    pub sender: (String, u32),
    /// Receiver tunnel's.
    pub receiver: (String, u32),
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} → {}", self.sender.0, self.receiver.0)
    }
}

/// A copy in truth and claim; at least one of the two is there.
#[derive(Debug, Clone, Copy)]
pub struct Both<'a> {
    /// Its name.
    pub key: ProbeKey,
    /// What the taps saw.
    pub truth: Option<&'a Copy>,
    /// What the monitor logged.
    pub claim: Option<&'a ProbeClaim>,
}

impl<'a> Facts<'a> {
    /// Asks the truth for everything that the checks may want to know.
    pub fn of(
        truth: &Truth,
        observation: &'a Observation<'_>,
        files: &Files,
        claims: &'a Claims,
        history: Option<History>,
    ) -> Self {
        Self {
            scenario: &observation.scenario,
            plan: &observation.plan,
            claims,
            timeline: &observation.timeline,
            copies: copies(truth, &observation.scenario, &observation.plan, claims),
            spreads: spreads(truth, &observation.scenario, &observation.plan, claims),
            monitor_frames: truth.monitor_frames(),
            customer_side: truth.customer_side(),
            customer_arrivals: observation
                .traffic
                .sources
                .iter()
                .map(|s| (s.flow, truth.customer_arrivals(s.flow)))
                .collect(),
            mdt_arrivals: mdt_arrivals(truth, observation),
            mdts: &observation.mdts,
            utterances: truth.utterances.clone(),
            history,
            traffic: &observation.traffic,
            counters: &observation.counters,
            router_states: router_states(files),
        }
    }

    /// The task's pairs, those of the named sender and receiver only, in the scenario's order.
    pub fn pairs(&self, task: &str, sender: Option<&str>, receiver: Option<&str>) -> Vec<Pair> {
        let Some(task) = self.scenario.task(task) else {
            return Vec::new();
        };
        let number = |name: String| self.tunnel(&name).map(|id| (name, id));
        let wanted = |name: &str, only: Option<&str>| only.is_none_or(|only| only == name);
        self.scenario
            .task_pairs(task)
            .into_iter()
            .filter(|(from, to)| wanted(from, sender) && wanted(to, receiver))
            .filter_map(|(from, to)| {
                Some(Pair {
                    sender: number(from)?,
                    receiver: number(to)?,
                })
            })
            .collect()
    }

    /// Number of a tunnel, by the plan (the monitor was told to use it).
    pub fn tunnel(&self, name: &str) -> Option<u32> {
        self.plan
            .tunnels
            .iter()
            .find(|tunnel| tunnel.name == name)
            .map(|tunnel| tunnel.id)
    }

    /// Name of a tunnel.
    pub fn tunnel_name(&self, id: u32) -> String {
        let known = self.plan.tunnels.iter().find(|tunnel| tunnel.id == id);
        known.map_or_else(|| format!("tunnel {id}"), |tunnel| tunnel.name.clone())
    }

    /// All copies of the task's runs, warm-up included, in truth or claim.
    pub fn task(&self, name: &str) -> Vec<Both<'_>> {
        self.claims
            .runs(name)
            .flat_map(|run| self.side_by_side(run, 0..=u32::MAX))
            .collect()
    }

    /// Counted copies of one pair over all runs of its task.
    pub fn counted(&self, task: &str, pair: &Pair) -> Vec<Both<'_>> {
        let sender = pair.sender.1;
        self.claims
            .runs(task)
            .flat_map(|run| self.side_by_side(run, sender..=sender))
            .filter(|both| both.is_of(pair) && !both.is_warmup())
            .collect()
    }

    /// Copies of a run of a task by these senders, in order of their keys: the two lists are walked together.
    fn side_by_side(
        &self,
        run: &TaskRun,
        senders: RangeInclusive<u32>,
    ) -> impl Iterator<Item = Both<'_>> {
        let (session, task) = (run.session, run.task);
        let edge = |sender: u32, end: u32| ProbeKey {
            session,
            task,
            sender,
            seq: end,
            receiver: end,
        };
        let range = edge(*senders.start(), 0)..=edge(*senders.end(), u32::MAX);
        let mut truths = self.copies.range(range.clone()).peekable();
        let mut claims = self.claims.probes.range(range).peekable();
        std::iter::from_fn(move || {
            let next = |key: Option<&ProbeKey>| key.copied();
            let truth_key = next(truths.peek().map(|(key, _)| *key));
            let claim_key = next(claims.peek().map(|(key, _)| *key));
            let key = match (truth_key, claim_key) {
                (Some(one), Some(other)) => one.min(other),
                (one, other) => one.or(other)?,
            };
            Some(Both {
                key,
                truth: truths.next_if(|(k, _)| **k == key).map(|(_, copy)| copy),
                claim: claims.next_if(|(k, _)| **k == key).map(|(_, claim)| claim),
            })
        })
    }

    /// The loss timeout of the task that a probe belongs to.
    pub fn loss_timeout_ns(&self, key: ProbeKey) -> u64 {
        let run = self
            .claims
            .tasks
            .iter()
            .find(|run| (run.session, run.task) == (key.session, key.task));
        run.and_then(|run| self.scenario.task(&run.name))
            .map_or(0, |task| task.loss_timeout.ns)
    }

    /// A time after the start of the run as the lab's monotonic clock has it.
    pub fn at(&self, span: Span) -> u64 {
        self.timeline.start_ns + span.ns
    }

    /// A monotonic time as seconds into the run, for people.
    pub fn clock(&self, ns: u64) -> String {
        format!(
            "{:.6} s",
            (ns.cast_signed() - self.timeline.start_ns.cast_signed()) as f64 / 1e9
        )
    }

    /// A copy that the monitor may, but need not, have logged: sent while it was being told to stop, start or end.
    pub fn is_optional(&self, both: &Both<'_>, task: &str) -> bool {
        let Some(copy) = both.truth else { return false };
        let timeout = self
            .scenario
            .task(task)
            .map_or(0, |task| task.loss_timeout.ns);
        let undecided_at_the_end = copy.sent_ns + timeout + CONTROL_SLACK_NS > self.timeline.end_ns;
        copy.unfinished
            || undecided_at_the_end
            || self.is_out(both.key, copy.sent_ns, timeout, task)
    }

    /// Whether one of the copy's tunnels was out of the task when it was sent, or while it was on its way.
    fn is_out(&self, key: ProbeKey, sent_ns: u64, timeout_ns: u64, task: &str) -> bool {
        let ends = [self.tunnel_name(key.sender), self.tunnel_name(key.receiver)];
        let mut out = false;
        for done in &self.timeline.done {
            let touches = match &done.action {
                Action::PeStop { task: of, tunnel } | Action::PeStart { task: of, tunnel } => {
                    of == task && ends.contains(tunnel)
                }
                Action::TunnelDrop { tunnel } | Action::TunnelAdd { tunnel } => {
                    ends.contains(tunnel)
                }
                Action::TaskStop { task: of } | Action::TaskStart { task: of } => of == task,
                Action::MonitorKill {} | Action::MonitorRestart {} => true,
                Action::ImpairLink { .. }
                | Action::ImpairTunnel { .. }
                | Action::LinkDown { .. }
                | Action::LinkUp { .. }
                | Action::NodeKill { .. }
                | Action::NodeRestart { .. }
                | Action::ClockStep { .. }
                | Action::RogueJoin { .. }
                | Action::RogueLeave { .. }
                | Action::PeSilent { .. }
                | Action::PeSpeaks { .. }
                | Action::AgentKill { .. }
                | Action::AgentRestart { .. }
                | Action::PeerKill { .. }
                | Action::PeerRestart { .. }
                | Action::Checkpoint {} => false,
            };
            if !touches {
                continue;
            }
            // A PE that is taken in again is warmed up before anything is expected of it.
            let warmup_ns = match &done.action {
                Action::PeStart { .. } => self.scenario.task(task).map_or(0, |task| task.warmup.ns),
                _ => 0,
            };
            let around = done.began_ns.saturating_sub(timeout_ns + CLOCK_SLACK_NS)
                ..done.monotonic_ns + warmup_ns + CONTROL_SLACK_NS;
            if around.contains(&sent_ns) {
                return true;
            }
            if done.monotonic_ns <= sent_ns {
                out = matches!(
                    &done.action,
                    Action::PeStop { .. } | Action::TunnelDrop { .. }
                );
            }
        }
        out
    }
}

/// There are as many as there are customers' packets and links: only what is asked for.
fn mdt_arrivals(truth: &Truth, observation: &Observation<'_>) -> BTreeMap<u32, Vec<MdtArrival>> {
    let is_asked_for = |name: &str| {
        let mut all = observation.scenario.expectations.iter();
        all.any(|e| matches!(e, Expectation::MdtPackets { source, .. } if source == name))
    };
    let sources = observation.traffic.sources.iter();
    sources
        .filter(|source| is_asked_for(&source.name))
        .map(|source| (source.flow, truth.mdt_arrivals(source.flow)))
        .collect()
}

/// The truth about every run of a one-way measurement: its ways in the scenario's order. Warm-up is left out.
fn spreads(
    truth: &Truth,
    scenario: &Scenario,
    plan: &Plan,
    claims: &Claims,
) -> BTreeMap<(u32, u32), Vec<Spread>> {
    let of_run = |run: &OnewayRun| {
        let oneway = scenario.oneway(&run.name)?;
        let downs = oneway
            .down
            .iter()
            .map(|name| plan.tunnel(name).map(Branch::Tunnel));
        let leaves = oneway
            .leaves
            .iter()
            .map(|leaf| branch(scenario, plan, leaf));
        let branches: Vec<Branch<'_>> = downs.chain(leaves).collect::<Option<_>>()?;
        let mut probes = truth.spread(run.run, plan.tunnel(&oneway.up)?, &branches);
        probes.retain(|probe| probe.id.session == run.session && !probe.warmup);
        Some(((run.session, run.run), probes))
    };
    claims.oneways.iter().filter_map(of_run).collect()
}

fn branch<'a>(scenario: &'a Scenario, plan: &'a Plan, leaf: &'a Leaf) -> Option<Branch<'a>> {
    if let Some(tunnel) = &leaf.collector {
        return plan.tunnel(tunnel).map(Branch::Tunnel);
    }
    if let Some(tunnel) = &leaf.reflector {
        return plan.tunnel(tunnel).map(Branch::Reflected);
    }
    let name = leaf.agent.as_ref()?;
    let agent = scenario.agents.iter().find(|agent| agent.name == *name)?;
    Some(Branch::Router(&agent.at))
}

/// The truth about every pair of every run of a task.
fn copies(
    truth: &Truth,
    scenario: &Scenario,
    plan: &Plan,
    claims: &Claims,
) -> BTreeMap<ProbeKey, Copy> {
    // A map made of all at once is sorted once.
    let mut copies = Vec::new();
    let mut runs: Vec<(&str, u32)> = claims
        .tasks
        .iter()
        .map(|run| (run.name.as_str(), run.task))
        .collect();
    runs.sort_unstable();
    runs.dedup();
    let id = |name: &str| plan.tunnel(name).map(|tunnel| tunnel.id);
    for (name, number) in runs {
        let Some(task) = scenario.task(name) else {
            continue;
        };
        let sessions: Vec<u32> = claims
            .runs(name)
            .filter(|run| run.task == number)
            .map(|run| run.session)
            .collect();
        for (sender, receiver) in scenario.task_pairs(task) {
            let (Some(sender), Some(receiver)) = (id(&sender), id(&receiver)) else {
                continue;
            };
            let pair = truth::Pair {
                task: number,
                sender,
                receiver,
                loss_timeout_ns: task.loss_timeout.ns,
            };
            for probe in truth
                .pair(pair)
                .into_iter()
                .filter(|probe| sessions.contains(&probe.id.session))
            {
                let key = ProbeKey {
                    session: probe.id.session,
                    task: number,
                    sender,
                    seq: probe.id.sequence,
                    receiver,
                };
                copies.push((key, Copy::of(truth, &probe)));
            }
        }
    }
    copies.into_iter().collect()
}

impl Copy {
    fn of(truth: &Truth, probe: &ProbeTruth) -> Self {
        let first_arrival_ns = probe.arrivals_ns.first().copied();
        let path = match (probe.parts.tunnel_up_ns, probe.parts.path_ns) {
            (None, _) => Path::NotTried,
            (Some(_), None) => Path::Lost,
            (Some(_), Some(ns)) => Path::Crossed {
                delay_ns: ns.cast_signed(),
            },
        };
        let cause = match probe.fate {
            Fate::Lost(loss) => loss
                .cause
                .map(|cause| (cause, truth.place_name(loss.place))),
            Fate::Received | Fate::Late | Fate::Unfinished => None,
        };
        Self {
            warmup: probe.warmup,
            unfinished: probe.fate == Fate::Unfinished,
            sent_ns: probe.sent_ns,
            arrived_ns: first_arrival_ns.filter(|_| probe.fate == Fate::Received),
            first_arrival_ns,
            duplicates: u64::from(probe.duplicates),
            reordered: probe.reordered,
            path,
            cause,
        }
    }
}

/// `routers/<namespace>/state.txt`, by namespace.
fn router_states(files: &Files) -> BTreeMap<String, String> {
    let state = |(name, bytes): (&String, &Vec<u8>)| {
        let namespace = name.strip_prefix("routers/")?.strip_suffix("/state.txt")?;
        Some((
            namespace.to_owned(),
            String::from_utf8_lossy(bytes).into_owned(),
        ))
    };
    files.iter().filter_map(state).collect()
}

impl Both<'_> {
    /// It belongs to this pair.
    pub fn is_of(&self, pair: &Pair) -> bool {
        self.key.sender == pair.sender.1 && self.key.receiver == pair.receiver.1
    }

    /// It warmed up, by the taps, or where they never saw it by the monitor.
    pub fn is_warmup(&self) -> bool {
        self.truth.map_or_else(
            || self.claim.is_some_and(|claim| claim.warmup),
            |copy| copy.warmup,
        )
    }

    /// When it was sent.
    pub fn sent_ns(&self) -> u64 {
        self.truth.map_or_else(
            || self.claim.map_or(0, |claim| claim.sent_ns),
            |copy| copy.sent_ns,
        )
    }
}
