//! One-way loss: measurements of this monitor, and how they are driven.

mod agents;
mod checks;

use std::net::Ipv4Addr;

use super::budget::Load;
use super::{DropLog, Session};
use crate::control::{Answer, ErrorCode, Event, Named, OnewaySpec, Operation, Refusal};
use crate::inference::Confidence;
use crate::membership::{Owner, Wanted};
use crate::name::Name;
use crate::oneway::spec::PeerSpec;
use crate::oneway::{
    Asking, Heard, Output, PEER_TIMEOUT, PeerFailure, PeerOutcome, PeerRequest, Peers, Run,
    Setting, Sight,
};
use crate::report::Record;
use crate::time::{Instant, Span};
use crate::tunnel::Tunnels;

/// Pings of so much time are looked at for the least round trip.
const PINGS_OF: Span = Span::from_s(60);

/// What measurements see of the monitor.
struct Seen<'a> {
    tunnels: &'a Tunnels,
    drops: &'a DropLog,
    peers: &'a Peers,
    realtime_minus_monotonic_ns: Option<i64>,
    now: Instant,
}

impl Seen<'_> {
    fn least_ping_ns(&self, tunnel: u32) -> Option<i64> {
        let tunnel = self.tunnels.get(tunnel)?;
        let row = tunnel.ping_row(self.now - PINGS_OF, self.now, self.now);
        row.rtt.map(|rtt| rtt.min_ns)
    }

    /// What the router's clock says of the fastest ways up and down.
    fn least_by_clock_ns(&self, tunnel: u32) -> Option<(i64, i64)> {
        let clock = self.tunnels.get(tunnel)?.pinger.clock.as_ref()?;
        clock.least_ns(self.now - PINGS_OF, self.now)
    }
}

impl Sight for Seen<'_> {
    fn capture_drops(&self, start: Instant, end: Instant) -> u64 {
        self.drops.between(start, end)
    }

    fn least_up_ns(&self, tunnel: u32) -> Option<i64> {
        let clock = self.least_by_clock_ns(tunnel).map(|(up, _)| up);
        self.least_ping_ns(tunnel).into_iter().chain(clock).min()
    }

    fn least_down_ns(&self, tunnel: u32) -> Option<i64> {
        let clock = self.least_by_clock_ns(tunnel).map(|(_, down)| down);
        self.least_ping_ns(tunnel).into_iter().chain(clock).min()
    }

    fn clock_error(&self, peer: &Name) -> Option<Span> {
        self.peers.get(peer)?.clock_error
    }

    fn realtime_minus_monotonic_ns(&self) -> Option<i64> {
        self.realtime_minus_monotonic_ns
    }
}

impl Session {
    /// The next request to a peer.
    pub fn poll_peer(&mut self) -> Option<PeerRequest> {
        let asked = self.oneway.peers.poll()?;
        Some(PeerRequest {
            peer: asked.name,
            id: asked.id,
            operation: asked.question,
        })
    }

    /// What a peer answered, or why it did not.
    pub fn handle_peer_reply(&mut self, now: Instant, peer: &Name, id: u64, outcome: PeerOutcome) {
        if let Some(heard) = self.oneway.peers.handle_reply(now, peer, id, outcome) {
            self.handle_heard(now, heard);
        }
    }

    fn handle_heard(&mut self, now: Instant, heard: Heard<PeerOutcome>) {
        let Some((id, leaf)) = heard.asker else {
            return;
        };
        if let Some(run) = self.oneway.runs.get_mut(&id) {
            run.handle_reply(now, leaf, heard.asked, heard.outcome);
            self.join_for_oneway(now, id);
        }
    }

    /// What the wall clock shows less what the monotonic clock shows: only stamps of monitors whose wall clocks are
    /// known to agree are compared by it.
    pub fn handle_wall_clock(&mut self, realtime_minus_monotonic_ns: i64) {
        self.oneway.realtime_minus_monotonic_ns = Some(realtime_minus_monotonic_ns);
    }

    /// Another monitor that may be asked.
    pub(super) fn peer_add(&mut self, spec: PeerSpec) -> Result<(), Refusal> {
        let name = spec.name.clone();
        match self.oneway.peers.add(spec) {
            true => Ok(()),
            false => Err(Refusal::new(
                ErrorCode::Exists,
                format!("cannot add peer {name}: there is another of that name"),
                "choose another name, or start the monitor anew with this one",
            )),
        }
    }

    /// Answers what is asked of one-way loss.
    pub(super) fn answer_oneway(
        &mut self,
        now: Instant,
        operation: Operation,
    ) -> Result<Answer, Refusal> {
        match operation {
            Operation::OnewayStart(spec) => {
                let id = self.oneway_start(now, *spec)?;
                self.oneway_answer(id)
            }
            Operation::OnewayStop(Named { name }) => {
                let id = self.find_oneway(&name)?;
                if let Some(run) = self.oneway.runs.get_mut(&id) {
                    run.stop(now);
                }
                self.advance_oneway(now);
                self.oneway_answer(id)
            }
            Operation::OnewayDrop(Named { name }) => self.oneway_drop(&name).map(|()| Answer::Done),
            Operation::OnewayShow(Named { name }) => {
                let id = self.find_oneway(&name)?;
                self.oneway_answer(id)
            }
            Operation::OnewayList => {
                let ids = self.oneway.names.values();
                let runs = ids.filter_map(|id| self.oneway.runs.get(id));
                let oneways = runs.map(Run::status).collect();
                Ok(Answer::Oneways { oneways })
            }
            Operation::PeerList => Ok(Answer::Peers {
                peers: self.oneway.peers.statuses(),
            }),
            Operation::AgentList => Ok(Answer::Agents {
                agents: self.oneway.agents.statuses(),
            }),
            other => self.answer_peer(now, other),
        }
    }

    fn oneway_answer(&self, id: u32) -> Result<Answer, Refusal> {
        let run = self.oneway.runs.get(&id);
        run.map(|run| Answer::Oneway(Box::new(run.status())))
            .ok_or_else(|| {
                let message = format!("run {id} is gone");
                Refusal::new(ErrorCode::NotFound, message, "see oneway-list")
            })
    }

    fn find_oneway(&self, name: &Name) -> Result<u32, Refusal> {
        self.oneway.names.get(name).copied().ok_or_else(|| {
            let message = format!("there is no one-way measurement {name}");
            Refusal::new(
                ErrorCode::NotFound,
                message,
                "see oneway-list for those there are",
            )
        })
    }

    /// Measurements that are not over, as they were asked for.
    pub(super) fn oneways_running(&self) -> impl Iterator<Item = &OnewaySpec> {
        let running = self.oneway.runs.values().filter(|run| !run.is_over());
        running.map(|run| &run.spec)
    }

    /// Starts a measurement; one of its name that is over is forgotten, but for what it found.
    pub(super) fn oneway_start(&mut self, now: Instant, spec: OnewaySpec) -> Result<u32, Refusal> {
        self.check_oneway(&spec)?;
        let what = format!("one-way measurement {}", spec.name);
        self.check_budget(&what, &Load::of_oneway(&spec))?;
        let confidence = Confidence::new(spec.confidence.share()).ok_or_else(|| {
            let (name, found) = (&spec.name, spec.confidence);
            let message = format!("cannot start one-way measurement {name}: confidence {found}");
            let remedy = "use at least 50%, below 100%, such as 95%";
            Refusal::new(ErrorCode::Invalid, message, remedy)
        })?;
        let up = self.tunnels.find(&spec.up)?;
        let downs: Result<Vec<u32>, _> = spec
            .down
            .iter()
            .map(|name| self.tunnels.find(name))
            .collect();
        let id = self.take_run_number();
        let source = self
            .tunnels
            .get(up)
            .map_or(Ipv4Addr::UNSPECIFIED, |tunnel| tunnel.spec.inner_local);
        let setting = Setting {
            id,
            up,
            downs: downs?,
            source,
            agent: self.agent_of(&spec).cloned(),
            session: self.options.session,
            probe_port: self.options.probe_port,
            first_seq: self.options.first_seq,
            confidence,
            fault: self.options.fault,
        };
        if let Some(before) = self.oneway.names.insert(spec.name.clone(), id) {
            self.oneway.runs.remove(&before);
        }
        let run = Run::start(spec, setting, now);
        self.record(now, Record::OnewayStarted(Box::new(run.status())));
        self.oneway.runs.insert(id, run);
        self.join_for_oneway(now, id);
        Ok(id)
    }

    fn oneway_drop(&mut self, name: &Name) -> Result<(), Refusal> {
        let id = self.find_oneway(name)?;
        if self.oneway.runs.get(&id).is_some_and(|run| !run.is_over()) {
            return Err(Refusal::new(
                ErrorCode::State,
                format!("cannot drop one-way measurement {name}: it is not over"),
                "stop it, and wait until it is over",
            ));
        }
        self.oneway.runs.remove(&id);
        self.oneway.names.remove(name);
        self.oneway.known.forget_measurement(name);
        Ok(())
    }

    /// Joins the group over each way down, or leaves it when the run is over.
    fn join_for_oneway(&mut self, now: Instant, id: u32) {
        let Some(run) = self.oneway.runs.get(&id) else {
            return;
        };
        let wanted = match (run.is_over(), run.spec.source_specific) {
            (true, _) => Wanted::nothing(),
            (false, false) => Wanted::Any,
            (false, true) => {
                let own = self
                    .tunnels
                    .get(run.up)
                    .map(|tunnel| tunnel.spec.inner_local);
                Wanted::Sources(own.into_iter().chain(run.reflected_sources()).collect())
            }
        };
        let (owner, group) = (Owner::Oneway(run.spec.name.clone(), id), run.spec.group);
        for down in run.downs.clone() {
            self.set_membership(now, down, owner.clone(), group, wanted.clone());
        }
    }

    /// When something is to be done for one-way loss.
    pub(super) fn oneway_due(&self) -> Option<Instant> {
        let runs = self.oneway.runs.values().filter_map(Run::next_deadline);
        let others = [
            self.oneway.peers.next_deadline(),
            self.oneway.agents.next_deadline(),
            self.oneway.collector.next_deadline(),
            self.oneway.reflector.next_deadline(),
        ];
        runs.chain(others.into_iter().flatten()).min()
    }

    /// Does everything of one-way loss that time alone brings about.
    pub(super) fn advance_oneway(&mut self, now: Instant) {
        if self.oneway_due().is_none_or(|at| at > now) {
            return;
        }
        while let Some((peer, id)) = self.oneway.peers.poll_overdue(now) {
            let silent = format!("asking peer {peer}: no answer within {PEER_TIMEOUT}");
            self.handle_peer_reply(now, &peer, id, Err(PeerFailure::Unreachable(silent)));
        }
        self.give_agents_up(now);
        self.end_leases(now);
        let due = |run: &Run| run.next_deadline().is_some_and(|at| at <= now);
        let due: Vec<u32> = self
            .oneway
            .runs
            .iter()
            .filter_map(|(id, run)| due(run).then_some(*id))
            .collect();
        for id in due {
            self.advance_run(now, id);
        }
    }

    fn advance_run(&mut self, now: Instant, id: u32) {
        let mut out = Vec::new();
        let Some(run) = self.oneway.runs.get_mut(&id) else {
            return;
        };
        let seen = Seen {
            tunnels: &self.tunnels,
            drops: &self.drops,
            peers: &self.oneway.peers,
            realtime_minus_monotonic_ns: self.oneway.realtime_minus_monotonic_ns,
            now,
        };
        run.advance(now, &seen, &mut self.rng, &mut out);
        for output in out {
            match output {
                Output::Ask { leaf, asking } => {
                    let asker = leaf.map(|leaf| (id, leaf));
                    match asking {
                        Asking::Peer(peer, operation) => {
                            self.oneway.peers.ask(now, &peer, asker, *operation);
                        }
                        Asking::Agent(agent, question) => {
                            self.oneway.agents.ask(now, &agent, asker, question);
                        }
                    }
                }
                Output::Row => self.handle_row(now, id),
                Output::Over => self.handle_over(now, id),
            }
        }
    }

    fn handle_row(&mut self, now: Instant, id: u32) {
        let Some(run) = self.oneway.runs.get(&id) else {
            return;
        };
        self.oneway.known.note(run);
        if let Some(row) = run.row().cloned() {
            self.event(Event::Oneway(Box::new(row.clone())));
            self.record(now, Record::Oneway(Box::new(row)));
        }
    }

    fn handle_over(&mut self, now: Instant, id: u32) {
        self.join_for_oneway(now, id);
        if let Some(status) = self.oneway.runs.get(&id).map(Run::status) {
            self.record(now, Record::OnewayFinished(Box::new(status)));
        }
    }

    /// Ends all measurements, for the end of the monitor.
    pub(super) fn end_oneway(&mut self, now: Instant) {
        for run in self.oneway.runs.values_mut() {
            run.hasten(now);
        }
    }

    /// Whether no measurement goes on.
    pub(super) fn oneway_is_over(&self) -> bool {
        self.oneway.runs.values().all(Run::is_over)
    }
}
