//! Keeping to the budget: tasks that do not fit are refused, probes that do not fit wait or are shed.

use std::collections::BTreeMap;

use super::Session;
use crate::budget::{BudgetSpec, BudgetStatus, Planned, Turn, WAIT_MAX};
use crate::control::{ErrorCode, Refusal};
use crate::name::Name;
use crate::spec::TaskSpec;
use crate::time::{Instant, Rate};

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

    /// Refuses a task that would exceed the budget, with the arithmetic.
    pub(super) fn check_budget(&self, spec: &TaskSpec, pairs: usize) -> Result<(), Refusal> {
        let budget = &self.budget.spec;
        if !self.budget.is_set() {
            return Ok(());
        }
        let mut plans = Plans::of_session(self);
        plans.add(spec, pairs);
        let at_once = copies_at_once(spec);
        let problem = match budget.copies {
            Some(most) if at_once * 1_000 > most.as_millipps() => Some(format!(
                "each probe alone brings {at_once} copies back, and the budget allows {most}"
            )),
            Some(_) | None => excess(budget, &plans),
        };
        let Some(problem) = problem else {
            return Ok(());
        };
        let (senders, rate) = (spec.senders.len(), spec.probes.rate);
        let message = format!(
            "cannot start task {}: with its {senders} senders of {rate} {problem}",
            spec.name
        );
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

    /// Whether the probe that a run has due may be sent now. One that may not is put off, or shed if that were too long.
    pub(super) fn has_turn(&mut self, now: Instant, id: u32) -> bool {
        let Some(task) = self.tasks.get_mut(id).filter(|_| self.budget.is_set()) else {
            return true;
        };
        let Some((tunnel, due, copies)) = task.peek_probe(now) else {
            return true;
        };
        match self.budget.turn(now, tunnel, copies) {
            Turn::Now => {
                self.budget.handle_sent(now, tunnel, copies);
                return true;
            }
            Turn::At(at) if at.since(due) <= WAIT_MAX => task.put_off_probe(at),
            Turn::At(_) => {
                task.shed_probe(now, &mut self.rng);
                self.budget.shed += 1;
                if let Some(tunnel) = self.tunnels.get_mut(tunnel) {
                    tunnel.overhead.probes_shed += 1;
                }
            }
        }
        false
    }
}

/// Rates that tasks are to send at, in thousandths of a packet a second.
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
            plans.add(&task.spec, super::tasks::pairs(&task.spec));
        }
        plans
    }

    fn add(&mut self, spec: &'a TaskSpec, pairs: usize) {
        let rate = spec.probes.rate.as_millipps();
        self.probes += rate * spec.senders.len() as u64;
        self.copies += rate * pairs as u64;
        for sender in &spec.senders {
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
