//! Keeping to the budget: tasks and one-way measurements that do not fit are refused, probes that do not fit wait or are shed,
//! others' are sent again as far as there is room.

use std::collections::BTreeMap;

use super::Session;
use crate::budget::{BudgetSpec, BudgetStatus, Own, Planned, Turn, WAIT_MAX};
use crate::control::{ErrorCode, Refusal};
use crate::name::Name;
use crate::oneway::copies_back;
use crate::oneway::spec::OnewaySpec;
use crate::spec::TaskSpec;
use crate::time::{Instant, Rate};

/// One packet a second, as rates are counted.
const MILLIPPS: u64 = 1_000;

impl Session {
    /// Another budget, if what runs fits into it.
    pub(super) fn set_budget(&mut self, spec: BudgetSpec) -> Result<(), Refusal> {
        let cannot = |what: String, remedy| {
            let message = format!("cannot set the budget: {what}");
            Err(Refusal::new(ErrorCode::Limit, message, remedy))
        };
        if let Some(problem) = spec.problem() {
            return cannot(problem, "use at least 1pps, and no fraction of one");
        }
        if let Some(problem) = excess(&spec, &Plans::of_session(self)) {
            return cannot(problem, "stop tasks first, or allow more");
        }
        self.budget.spec = spec;
        Ok(())
    }

    /// Refuses what would exceed the budget, with the arithmetic. `what` is what is to start.
    pub(super) fn check_budget(&self, what: &str, load: &Load<'_>) -> Result<(), Refusal> {
        let budget = &self.budget.spec;
        if !self.budget.is_set() {
            return Ok(());
        }
        let mut plans = Plans::of_session(self);
        plans.add(load);
        let at_once = load.at_once;
        let problem = match budget.copies {
            Some(most) if at_once * 1_000 > most.as_millipps() => Some(format!(
                "each probe alone brings {at_once} copies back, and the budget allows {most}"
            )),
            Some(_) | None => excess(budget, &plans),
        };
        let Some(problem) = problem else {
            return Ok(());
        };
        let (senders, rate) = (load.senders.len(), load.rate);
        let message =
            format!("cannot start {what}: with its {senders} senders of {rate} {problem}");
        let remedy =
            "lower its rate, name fewer tunnels, stop other tasks, or allow more under [budget]";
        Err(Refusal::new(ErrorCode::Limit, message, remedy))
    }

    /// The budget and its use; none if nothing is bounded.
    pub(super) fn budget_status(&self, now: Instant) -> Option<BudgetStatus> {
        let spec = self.budget.spec;
        if !self.budget.is_set() {
            return None;
        }
        let plans = Plans::of_session(self);
        let (sent, copies) = self.budget.in_use(now);
        Some(BudgetStatus {
            spec,
            planned: Planned {
                probes_millipps: plans.probes,
                probes_per_pe_millipps: plans.most().map_or(0, |(_, rate)| rate),
                copies_millipps: plans.copies,
            },
            sent,
            copies,
            shed: self.budget.shed,
        })
    }

    /// Whether the probe that a task has due may be sent now. One that may not is put off, or shed if that were too long.
    pub(super) fn has_turn(&mut self, now: Instant, id: u32) -> bool {
        let task = self.tasks.get(id).filter(|_| self.budget.is_set());
        let Some((tunnel, due, copies)) = task.and_then(|task| task.peek_probe(now)) else {
            return true;
        };
        let claim = self.claim(now, tunnel, due, copies);
        if let Some(task) = self.tasks.get_mut(id) {
            match claim {
                Claim::Granted => {}
                Claim::PutOff(at) => task.put_off_probe(at),
                Claim::Shed => task.shed_probe(now, &mut self.rng),
            }
        }
        claim == Claim::Granted
    }

    /// The same for a one-way measurement.
    pub(super) fn oneway_has_turn(&mut self, now: Instant, id: u32) -> bool {
        let run = self.oneway.runs.get(&id).filter(|_| self.budget.is_set());
        let Some((tunnel, due, copies)) = run.and_then(|run| run.peek_probe(now)) else {
            return true;
        };
        let claim = self.claim(now, tunnel, due, copies);
        if let Some(run) = self.oneway.runs.get_mut(&id) {
            match claim {
                Claim::Granted => {}
                Claim::PutOff(at) => run.put_off_probe(at),
                Claim::Shed => run.shed_probe(now, &mut self.rng),
            }
        }
        claim == Claim::Granted
    }

    /// Takes room in the budget for a probe that was due at `due`, if there is any soon enough; what is shed is counted.
    fn claim(&mut self, now: Instant, tunnel: u32, due: Instant, copies: usize) -> Claim {
        match self.budget.turn(now, tunnel, copies) {
            Turn::Now => {
                self.budget.handle_sent(now, tunnel, copies);
                Claim::Granted
            }
            Turn::At(at) if at.since(due) <= WAIT_MAX => Claim::PutOff(at),
            Turn::At(_) => {
                self.shed(tunnel);
                Claim::Shed
            }
        }
    }

    /// Counts a probe that is not sent into a tunnel.
    fn shed(&mut self, tunnel: u32) {
        self.budget.shed += 1;
        if let Some(tunnel) = self.tunnels.get_mut(tunnel) {
            tunnel.overhead.probes_shed += 1;
        }
    }

    /// Refuses to send probes again into a tunnel where the tasks here leave no room for any.
    pub(super) fn check_spare(&self, what: &str, tunnel: u32) -> Result<(), Refusal> {
        let plans = Plans::of_session(self);
        let into = self.planned_into(&plans, tunnel);
        let full = |to: &str, planned: u64, most: Option<Rate>| {
            let most = most.filter(|most| planned + MILLIPPS > most.as_millipps())?;
            let planned = Rate::from_millipps(planned);
            Some(format!(
                "all tasks together send{to} {planned} already, and the budget allows {most}"
            ))
        };
        let budget = &self.budget.spec;
        let problem = full("", plans.probes, budget.probes)
            .or_else(|| full(" into that tunnel", into, budget.probes_per_pe));
        let Some(problem) = problem else {
            return Ok(());
        };
        let message = format!("cannot {what}: {problem}");
        let remedy = "stop tasks, use another tunnel, or allow more under [budget]";
        Err(Refusal::new(ErrorCode::Limit, message, remedy))
    }

    /// Whether another monitor's probe may be sent again now. It gets what the tasks here leave of the budget, so that nobody
    /// starves them from afar; it does not wait, as it might be too late where it is awaited. What is shed is counted.
    pub(super) fn reflection_has_turn(&mut self, now: Instant, tunnel: u32) -> bool {
        if !self.budget.is_set() {
            return true;
        }
        if self.spare.is_stale(now) {
            let own = self.own_plans(now);
            self.spare.handle_own(own);
        }
        let has_room = self.spare.has_room(now, &self.budget.spec, tunnel);
        if has_room && self.budget.turn(now, tunnel, 0) == Turn::Now {
            self.spare.handle_sent(now, tunnel);
            self.budget.handle_sent(now, tunnel, 0);
            return true;
        }
        self.shed(tunnel);
        false
    }

    fn own_plans(&self, now: Instant) -> Own {
        let plans = Plans::of_session(self);
        let tunnels = self.oneway.reflector.tunnels();
        Own {
            at: now,
            all: plans.probes,
            into: tunnels
                .map(|tunnel| (tunnel, self.planned_into(&plans, tunnel)))
                .collect(),
        }
    }

    fn planned_into(&self, plans: &Plans<'_>, tunnel: u32) -> u64 {
        let name = self.tunnels.get(tunnel).map(|tunnel| &tunnel.spec.name);
        name.and_then(|name| plans.by_tunnel.get(name).copied())
            .unwrap_or(0)
    }
}

/// What becomes of a probe that wants to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// It is sent.
    Granted,
    /// It is sent then.
    PutOff(Instant),
    /// It never is.
    Shed,
}

/// What a task or a one-way measurement puts on the network.
pub(super) struct Load<'a> {
    rate: Rate,
    senders: &'a [Name],
    /// Copies that come back when each sender has sent one probe.
    copies: u64,
    /// Copies that one probe brings back at most.
    at_once: u64,
}

impl<'a> Load<'a> {
    pub(super) fn of_task(spec: &'a TaskSpec) -> Load<'a> {
        Load {
            rate: spec.probes.rate,
            senders: &spec.senders,
            copies: super::tasks::pairs(spec) as u64,
            at_once: copies_at_once(spec),
        }
    }

    pub(super) fn of_oneway(spec: &'a OnewaySpec) -> Load<'a> {
        let copies = copies_back(spec) as u64;
        Load {
            rate: spec.probes.rate,
            senders: std::slice::from_ref(&spec.up),
            copies,
            at_once: copies,
        }
    }
}

/// Rates that are to be sent at, in thousandths of a packet a second.
#[derive(Debug, Default)]
struct Plans<'a> {
    probes: u64,
    copies: u64,
    by_tunnel: BTreeMap<&'a Name, u64>,
}

impl<'a> Plans<'a> {
    fn of_session(session: &'a Session) -> Plans<'a> {
        let mut plans = Plans::default();
        for task in session.tasks.iter().filter(|task| task.is_sending()) {
            plans.add(&Load::of_task(&task.spec));
        }
        for run in session.oneway.runs.values().filter(|run| run.is_sending()) {
            plans.add(&Load::of_oneway(&run.spec));
        }
        plans
    }

    fn add(&mut self, load: &Load<'a>) {
        let rate = load.rate.as_millipps();
        self.probes += rate * load.senders.len() as u64;
        self.copies += rate * load.copies;
        for sender in load.senders {
            *self.by_tunnel.entry(sender).or_default() += rate;
        }
    }

    /// The tunnel that most is sent into, the first of several.
    fn most(&self) -> Option<(&'a Name, u64)> {
        let in_order = self.by_tunnel.iter().rev();
        in_order
            .max_by_key(|(_, rate)| **rate)
            .map(|(name, rate)| (*name, *rate))
    }
}

/// Copies that one probe of a task brings back at most.
fn copies_at_once(spec: &TaskSpec) -> u64 {
    let to = |sender: &Name| spec.receivers.iter().filter(|r| *r != sender).count();
    spec.senders.first().map_or(0, to) as u64
}

/// What exceeds the budget, if anything does.
fn excess(budget: &BudgetSpec, plans: &Plans<'_>) -> Option<String> {
    let over = |what: String, rate: u64, most: Option<Rate>| {
        let most = most.filter(|most| rate > most.as_millipps())?;
        let rate = Rate::from_millipps(rate);
        Some(format!("{what} {rate}, and the budget allows {most}"))
    };
    let of_all = over(
        "all tasks together would send".to_owned(),
        plans.probes,
        budget.probes,
    );
    let of_one = plans.most().and_then(|(tunnel, rate)| {
        let what = format!("all tasks together would send into tunnel {tunnel}");
        over(what, rate, budget.probes_per_pe)
    });
    let what = "the copies expected back of all tasks would be".to_owned();
    of_all
        .or(of_one)
        .or_else(|| over(what, plans.copies, budget.copies))
}
