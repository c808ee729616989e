//! Requests of the control interface, one arm an operation.

use super::Session;
use super::reporting::REPORT_INTERVAL;
use super::tasks::check_group;
use super::transmit::transmit_report;
use crate::control::{
    Answer, ErrorCode, JoinSpec, Membership, Named, Operation, Outcome, PROTOCOL, Page,
    PairsQuestion, Refusal, Reply, Request, Status,
};
use crate::membership::{Owner, Wanted};
use crate::name::Name;
use crate::passive::Passive;
use crate::report::{GroupStatus, Overhead, Record, TunnelStatus};
use crate::spec::{PassiveSpec, TunnelSpec};
use crate::time::Instant;
use crate::tunnel::{GROUPS_MAX, check_sources};

/// Rows in one answer at most, whatever is asked.
const RESULTS_MAX: u32 = 10_000;
/// Entries of a list in one answer at most, whatever is asked.
const ENTRIES_MAX: u32 = 10_000;
/// Sources of one join at most: what fits in one report.
const SOURCES_MAX: usize = 256;
/// Observations at a time.
const PASSIVES_MAX: usize = 64;

type Answered = Result<Answer, Refusal>;

impl Session {
    /// Answers a request. `subscribe` is the driver's to carry out; here it is only agreed to.
    pub fn handle_request(&mut self, now: Instant, request: Request) -> Reply {
        let outcome = match self.answer(now, request.operation) {
            Ok(answer) => Outcome::Ok(answer),
            Err(refusal) => Outcome::Error(refusal),
        };
        self.follow_filter();
        Reply {
            id: request.id,
            outcome,
        }
    }

    fn answer(&mut self, now: Instant, operation: Operation) -> Answered {
        match operation {
            Operation::Hello => Ok(self.hello()),
            Operation::Status => Ok(Answer::Status(Box::new(self.status(now)))),
            Operation::TunnelAdd(spec) => self
                .tunnel_add(now, spec)
                .map(|status| Answer::Tunnel(Box::new(status))),
            Operation::TunnelDrop(Named { name }) => {
                self.tunnel_drop(now, &name).map(|()| Answer::Done)
            }
            Operation::TunnelList(page) => Ok(self.tunnel_list(now, page)),
            Operation::TunnelShow(Named { name }) => self.tunnel_show(now, &name),
            Operation::GroupJoin(join) => self.group_join(now, &join).map(|()| Answer::Done),
            Operation::GroupLeave(membership) => {
                self.group_leave(now, &membership).map(|()| Answer::Done)
            }
            Operation::GroupList => Ok(Answer::Groups {
                groups: self.groups(|_| true),
            }),
            Operation::GroupShow { group } => Ok(Answer::Groups {
                groups: self.groups(|g| g.group == group),
            }),
            Operation::SendStart(spec) => self
                .send_start(now, spec)
                .and_then(|id| self.task_answer(id)),
            Operation::TaskStart(spec) => self
                .task_start(now, spec)
                .and_then(|id| self.task_answer(id)),
            Operation::SendStop(Named { name }) | Operation::TaskStop(Named { name }) => self
                .task_stop(now, &name)
                .and_then(|id| self.task_answer(id)),
            Operation::TaskDrop(Named { name }) => self.task_drop(&name).map(|()| Answer::Done),
            Operation::TaskList => Ok(self.task_list()),
            Operation::TaskShow(Named { name }) => {
                self.find_task(&name).and_then(|id| self.task_answer(id))
            }
            Operation::TaskStats(PairsQuestion { name, since, limit }) => {
                self.task_stats(now, &name, Page { since, limit })
            }
            Operation::Results { name, since, limit } => self.results(&name, since, limit),
            Operation::MvpnAdd(spec) => self
                .mvpn_add(now, spec)
                .map(|status| Answer::Mvpn(Box::new(status))),
            Operation::MvpnDrop(Named { name }) => {
                self.mvpn_drop(now, &name).map(|()| Answer::Done)
            }
            Operation::MvpnStart(Named { name }) => self
                .mvpn_start(now, &name)
                .map(|s| Answer::Mvpn(Box::new(s))),
            Operation::MvpnStop(Named { name }) => self
                .mvpn_stop(now, &name)
                .map(|s| Answer::Mvpn(Box::new(s))),
            Operation::MvpnList => self.mvpn_list(),
            Operation::MvpnExpect(expected) => {
                self.mvpn_expect(now, expected).map(|()| Answer::Done)
            }
            Operation::AlarmList { mvpn } => Ok(self.alarm_list(mvpn.as_ref())),
            Operation::MvpnShow(asked) => self.mvpn_show(now, &asked),
            Operation::MvpnPeStart(pe) => self
                .mvpn_pe(now, &pe.mvpn, &pe.tunnel, true)
                .map(|s| Answer::Mvpn(Box::new(s))),
            Operation::MvpnPeStop(pe) => self
                .mvpn_pe(now, &pe.mvpn, &pe.tunnel, false)
                .map(|s| Answer::Mvpn(Box::new(s))),
            operation @ (Operation::OnewayStart(_)
            | Operation::OnewayStop(_)
            | Operation::OnewayDrop(_)
            | Operation::OnewayShow(_)
            | Operation::OnewayList
            | Operation::CollectStart(_)
            | Operation::CollectTake { .. }
            | Operation::CollectStop(_)
            | Operation::ReflectStart(_)
            | Operation::ReflectStop(_)
            | Operation::PeerList
            | Operation::AgentList) => self.answer_oneway(now, operation),
            Operation::PassiveStart(spec) => self.passive_start(now, spec).map(|()| Answer::Done),
            Operation::PassiveStop(Named { name }) => {
                self.passive(&name)?;
                self.stop_passive(now, &name);
                Ok(Answer::Done)
            }
            Operation::PassiveList => Ok(self.passive_list()),
            Operation::PassiveStats(Named { name }) => self.passive(&name).map(passive_stats),
            Operation::Overhead => Ok(Answer::Overhead(self.overhead_in_all())),
            Operation::Filter => Ok(Answer::Filter {
                filter: self.filter.clone(),
            }),
            Operation::ConfigLoad { toml } => self.load_text(now, &toml).map(|()| Answer::Done),
            Operation::Subscribe { .. } => Ok(Answer::Done),
            Operation::Shutdown => {
                self.shut_down(now);
                Ok(Answer::Done)
            }
        }
    }

    fn hello(&self) -> Answer {
        Answer::Hello {
            protocol: PROTOCOL,
            version: self.options.version.clone(),
            session: self.options.session,
        }
    }

    /// The state of the monitor as a whole.
    pub fn status(&self, now: Instant) -> Status {
        Status {
            version: self.options.version.clone(),
            session: self.options.session,
            now_ns: now,
            uptime_ns: now.since(self.started).as_ns(),
            capture: self.capture.mode.clone(),
            capture_received: self.capture.received,
            capture_drops: self.capture.drops,
            transmit: String::new(),
            transmit_errors: self.transmit_errors,
            record_drops: self.record_drops,
            probe_files: None,
            event_drops: self.event_drops,
            filter: self.filter.clone(),
            probe_port: self.options.probe_port,
            tunnels: self.tunnels.len() as u32,
            tasks_running: self.tasks.iter().filter(|t| !t.is_finished()).count() as u32,
            budget: self.budget_status(now),
            shard: self.options.shard.clone(),
            planted_fault: self
                .options
                .fault
                .planted()
                .map(|fault| fault.name().to_owned()),
        }
    }

    pub(super) fn tunnel_add(
        &mut self,
        now: Instant,
        spec: TunnelSpec,
    ) -> Result<TunnelStatus, Refusal> {
        let id = self.tunnels.add(now, spec)?;
        self.reschedule_tunnel(id);
        let tunnel = self.tunnels.get(id).ok_or_else(|| gone("tunnel", id))?;
        let (status, spec) = (tunnel.status(now, REPORT_INTERVAL), tunnel.spec.clone());
        self.record(now, Record::TunnelAdded { spec, at_ns: now });
        self.update_filter();
        Ok(status)
    }

    fn tunnel_drop(&mut self, now: Instant, name: &Name) -> Result<(), Refusal> {
        let id = self.tunnels.find(name)?;
        if let Some(user) = self.user_of(id, name) {
            let message = format!("cannot drop tunnel {name}: {user} uses it");
            return Err(Refusal::new(
                ErrorCode::InUse,
                message,
                "stop and drop that first",
            ));
        }
        if let Some(mut tunnel) = self.tunnels.remove(id) {
            self.reschedule_tunnel(id);
            tunnel.leave_all(now);
            while let Some(leave) =
                transmit_report(&mut tunnel, now, &mut self.rng, &mut self.transmit_errors)
            {
                self.waiting.push_back(leave);
            }
            self.overhead += tunnel.overhead;
            self.oneway.known.forget_tunnel(id);
            self.record(
                now,
                Record::TunnelDropped {
                    tunnel: id,
                    at_ns: now,
                },
            );
            self.update_filter();
        }
        Ok(())
    }

    fn user_of(&self, id: u32, name: &Name) -> Option<String> {
        let task = self
            .tasks
            .iter()
            .find(|t| t.uses(id))
            .map(|t| format!("task {}", t.spec.name));
        let mvpn = self
            .mvpns
            .values()
            .find(|m| m.uses(name))
            .map(|m| format!("MVPN {}", m.spec.name));
        let passive = self.passives.values().find(|p| p.tunnels.contains_key(&id));
        let oneway = self.oneway.runs.values().find(|run| run.uses(id));
        let oneway = oneway.map(|run| format!("one-way measurement {}", run.spec.name));
        task.or(mvpn)
            .or(oneway)
            .or_else(|| self.helps_over(id))
            .or_else(|| passive.map(|p| format!("observation {}", p.spec.name)))
    }

    fn tunnel_list(&self, now: Instant, page: Page) -> Answer {
        let most = page.most();
        let first = u32::try_from(page.since).unwrap_or(u32::MAX);
        let ids = self.tunnels.ids_from(first, most + 1);
        let tunnels = ids.iter().take(most).filter_map(|id| self.tunnels.get(*id));
        Answer::Tunnels {
            tunnels: tunnels.map(|t| t.status(now, REPORT_INTERVAL)).collect(),
            next: ids.get(most).map(|id| u64::from(*id)),
        }
    }

    fn tunnel_show(&self, now: Instant, name: &Name) -> Answered {
        let tunnel = self.tunnels.get(self.tunnels.find(name)?);
        let status = tunnel.map(|t| t.status(now, REPORT_INTERVAL));
        status
            .map(|s| Answer::Tunnel(Box::new(s)))
            .ok_or_else(|| not_found("tunnel", name))
    }

    pub(super) fn group_join(&mut self, now: Instant, join: &JoinSpec) -> Result<(), Refusal> {
        let id = self.tunnels.find(&join.tunnel)?;
        self.check_join(id, join.group, &join.sources)?;
        self.set_membership(
            now,
            id,
            Owner::Operator,
            join.group,
            Wanted::from_list(&join.sources),
        );
        Ok(())
    }

    pub(super) fn check_join(
        &self,
        tunnel: u32,
        group: std::net::Ipv4Addr,
        sources: &[std::net::Ipv4Addr],
    ) -> Result<(), Refusal> {
        check_group(group)?;
        if sources.len() > SOURCES_MAX {
            let message = format!(
                "cannot join {group}: {} sources are more than {SOURCES_MAX}",
                sources.len()
            );
            return Err(Refusal::new(
                ErrorCode::Limit,
                message,
                "name fewer, or join any source",
            ));
        }
        match self.tunnels.get(tunnel) {
            Some(tunnel)
                if tunnel.membership.len() >= GROUPS_MAX && !tunnel.membership.is_joined(group) =>
            {
                let message = format!(
                    "cannot join {group} over tunnel {}: {GROUPS_MAX} groups are joined there",
                    tunnel.name()
                );
                Err(Refusal::new(ErrorCode::Limit, message, "leave one first"))
            }
            Some(tunnel) if !sources.is_empty() => check_sources(tunnel),
            Some(_) | None => Ok(()),
        }
    }

    fn group_leave(&mut self, now: Instant, membership: &Membership) -> Result<(), Refusal> {
        let Membership { tunnel, group } = membership;
        let id = self.tunnels.find(tunnel)?;
        let joined = self
            .tunnels
            .get(id)
            .is_some_and(|t| t.membership.is_wanted_by(&Owner::Operator, *group));
        if !joined {
            let message = format!("the operator has not joined {group} over tunnel {tunnel}");
            return Err(Refusal::new(
                ErrorCode::NotFound,
                message,
                "see group-list; a task's join ends with the task",
            ));
        }
        self.set_membership(now, id, Owner::Operator, *group, Wanted::nothing());
        Ok(())
    }

    fn groups(&self, wanted: impl Fn(&GroupStatus) -> bool) -> Vec<GroupStatus> {
        self.tunnels
            .iter()
            .flat_map(|t| t.group_statuses())
            .filter(|group| wanted(group))
            .collect()
    }

    fn task_answer(&self, id: u32) -> Answered {
        let status = self
            .tasks
            .get(id)
            .map(|task| Answer::Task(Box::new(task.status())));
        status.ok_or_else(|| gone("task", id))
    }

    fn task_list(&self) -> Answer {
        let tasks = self
            .task_names
            .values()
            .filter_map(|id| self.tasks.get(*id));
        Answer::Tasks {
            tasks: tasks.map(|task| task.status()).collect(),
        }
    }

    fn task_stats(&self, now: Instant, name: &Name, page: Page) -> Answered {
        let task = self.find_task(name)?;
        let run = self.tasks.get(task).ok_or_else(|| gone("task", task))?;
        let first = usize::try_from(page.since).unwrap_or(usize::MAX);
        let (pairs, next) = run.pairs(first, page.most(), now, &self.around(now));
        let next = next.map(|next| next as u64);
        Ok(Answer::Pairs { task, pairs, next })
    }

    fn results(&self, name: &Name, since: u64, limit: u32) -> Answered {
        let task = self
            .tasks
            .get(self.find_task(name)?)
            .ok_or_else(|| not_found("task", name))?;
        let rows = task.rows(since, limit.min(RESULTS_MAX) as usize);
        let status = task.status();
        let next_row = rows
            .last()
            .map_or(since.max(status.first_row), |row| row.row + 1);
        let finished = task.is_finished() && next_row >= status.next_row;
        Ok(Answer::Results {
            first_row: status.first_row,
            next_row,
            finished,
            rows,
        })
    }

    fn mvpn_list(&self) -> Answered {
        let mvpns: Result<Vec<_>, _> = self
            .mvpns
            .keys()
            .map(|name| self.mvpn_status(name))
            .collect();
        Ok(Answer::Mvpns { mvpns: mvpns? })
    }

    pub(super) fn passive_start(&mut self, now: Instant, spec: PassiveSpec) -> Result<(), Refusal> {
        let name = spec.name.clone();
        let cannot = |code, what: &str, remedy: &str| {
            Err(Refusal::new(
                code,
                format!("cannot start observation {name}: {what}"),
                remedy,
            ))
        };
        if self.passives.contains_key(&name) {
            return cannot(
                ErrorCode::Exists,
                "there is one of that name",
                "stop it first, or choose another name",
            );
        }
        if self.passives.len() >= PASSIVES_MAX {
            return cannot(ErrorCode::Limit, "there are too many", "stop one first");
        }
        if spec.tunnels.is_empty() {
            return cannot(
                ErrorCode::Invalid,
                "it names no tunnel",
                "name at least one",
            );
        }
        let ids: Result<Vec<u32>, _> = spec
            .tunnels
            .iter()
            .map(|tunnel| self.tunnels.find(tunnel))
            .collect();
        let ids = ids?;
        for id in &ids {
            self.check_join(*id, spec.group, &spec.sources)?;
        }
        for id in &ids {
            self.set_membership(
                now,
                *id,
                Owner::Passive(name.clone()),
                spec.group,
                Wanted::from_list(&spec.sources),
            );
        }
        let tunnels = ids.into_iter().zip(spec.tunnels.iter().cloned()).collect();
        self.record(now, Record::PassiveStarted(spec.clone()));
        self.passives.insert(name, Passive::new(spec, tunnels));
        self.update_filter();
        Ok(())
    }

    /// Ends an observation: its streams are recorded, its groups left.
    pub(super) fn stop_passive(&mut self, now: Instant, name: &Name) {
        let Some(passive) = self.passives.remove(name) else {
            return;
        };
        for stream in passive.rows() {
            self.record(now, Record::Stream { at_ns: now, stream });
        }
        for id in passive.tunnels.keys() {
            self.set_membership(
                now,
                *id,
                Owner::Passive(name.clone()),
                passive.spec.group,
                Wanted::nothing(),
            );
        }
        self.update_filter();
    }

    fn passive(&self, name: &Name) -> Result<&Passive, Refusal> {
        self.passives
            .get(name)
            .ok_or_else(|| not_found("observation", name))
    }

    fn passive_list(&self) -> Answer {
        Answer::Passives {
            passives: self.passives.values().map(|p| p.spec.clone()).collect(),
        }
    }

    fn overhead_in_all(&self) -> Overhead {
        let mut all = self.overhead;
        for tunnel in self.tunnels.iter() {
            all += tunnel.overhead;
        }
        all
    }
}

impl Page {
    /// Entries in the answer at most.
    fn most(self) -> usize {
        self.limit.unwrap_or(ENTRIES_MAX).clamp(1, ENTRIES_MAX) as usize
    }
}

fn passive_stats(passive: &Passive) -> Answer {
    Answer::Streams {
        streams: passive.rows(),
        unlisted_packets: passive.unlisted(),
    }
}

fn gone(what: &str, number: u32) -> Refusal {
    Refusal::new(
        ErrorCode::NotFound,
        format!("{what} number {number} is gone"),
        format!("see {what}-list"),
    )
}

fn not_found(what: &str, name: &Name) -> Refusal {
    Refusal::new(
        ErrorCode::NotFound,
        format!("there is no {what} {name}"),
        format!("see the list of each {what}"),
    )
}
