//! The task manager: starting and stopping runs, and keeping their groups joined.

use std::collections::{BTreeSet, HashSet};
use std::net::Ipv4Addr;

use super::Session;
use super::budget::Load;
use super::ending::Ending;
use crate::control::{ErrorCode, Event, Refusal};
use crate::membership::Owner;
use crate::name::Name;
use crate::ping::CAPTURE_GRACE;
use crate::report::Record;
use crate::spec::{PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MIN, ProbeSpec, SendSpec, TaskSpec};
use crate::task::{Participant, Task};
use crate::time::{Instant, NS_PER_S, Rate, Span};
use crate::tunnel::check_sources;

/// Runs that are not finished, at most.
const RUNS_MAX: usize = 2_048;
/// Finished runs kept for their results, whatever their size; and small ones, as many as there may be others.
const FINISHED_KEPT: usize = 32;
const FINISHED_PAIRS_KEPT: usize = 100_000;
/// Pings are needed so much longer than an interval and its loss timeout: for closing it in parts, and for late drivers.
const PING_MARGIN: Span = Span::from_s(30);
/// Fastest sender.
const RATE_MAX: Rate = Rate::from_pps(1_000_000);
/// Shortest interval.
const INTERVAL_MIN: Span = Span::from_ms(100);
/// Longest wait for a probe.
const LOSS_TIMEOUT_MAX: Span = Span::from_s(60);
/// Ordered pairs of all tasks, those that are finished and kept included: bounds memory, at about 2 kB each.
const PAIRS_MAX: usize = 500_000;
/// Copies that may be awaited at a time, and those that intervals may hold, of all tasks together: bounds memory.
const COPIES_AWAITED_MAX: u128 = 4_000_000;
const COPIES_PER_INTERVAL_MAX: u128 = 16_000_000;

impl Session {
    /// Starts a task as asked for by an operator.
    pub(super) fn task_start(&mut self, now: Instant, spec: TaskSpec) -> Result<u32, Refusal> {
        self.check_name_free(&spec.name)?;
        if spec.receivers.is_empty() {
            let message = format!("cannot start task {}: it has no receivers", spec.name);
            return Err(Refusal::new(
                ErrorCode::Invalid,
                message,
                "name some, or use send-start to send only",
            ));
        }
        self.start_run(now, spec)
    }

    /// Starts sending without measuring.
    pub(super) fn send_start(&mut self, now: Instant, send: SendSpec) -> Result<u32, Refusal> {
        self.check_name_free(&send.name)?;
        let SendSpec {
            name,
            tunnel,
            group,
            probes,
        } = send;
        let probes = ProbeSpec {
            warmup: Span::ZERO,
            ..probes
        };
        let spec = TaskSpec {
            name,
            group,
            senders: vec![tunnel],
            receivers: Vec::new(),
            source_specific: false,
            probes,
        };
        self.start_run(now, spec)
    }

    fn check_name_free(&self, name: &Name) -> Result<(), Refusal> {
        let exists = |what: &str, remedy: &str| {
            Err(Refusal::new(
                ErrorCode::Exists,
                format!("cannot start task {name}: {what}"),
                remedy,
            ))
        };
        if self.mvpns.contains_key(name) {
            return exists(
                "an MVPN has that name",
                "use mvpn-start, or choose another name",
            );
        }
        match self.task_names.get(name).and_then(|id| self.tasks.get(*id)) {
            Some(run) if !run.is_finished() => exists(
                "it is not finished",
                "stop it first, or choose another name",
            ),
            Some(_) | None => Ok(()),
        }
    }

    /// Starts a run; the name's earlier run is forgotten.
    pub(super) fn start_run(&mut self, now: Instant, spec: TaskSpec) -> Result<u32, Refusal> {
        let participants = self.check_task(&spec)?;
        // From the first ping of an interval until its last row is made.
        let probes = &spec.probes;
        let needed = PING_MARGIN
            + Span::from_ns(
                probes
                    .interval
                    .as_ns()
                    .saturating_add(probes.loss_timeout.as_ns()),
            );
        for participant in &participants {
            if let Some(tunnel) = self.tunnels.get_mut(participant.id) {
                tunnel.pinger.remember_for(needed);
            }
        }
        let id = self.take_run_number();
        let options = &self.options;
        let task = Task::start(
            id,
            spec,
            &participants,
            now,
            options.first_seq,
            options.fault,
            &mut self.rng,
        );
        let before = self.task_names.insert(task.spec.name.clone(), id);
        self.forget_if_finished(before);
        self.record(now, Record::TaskStarted(Box::new(task.status())));
        self.tasks.insert(id, task);
        self.reschedule_task(id);
        self.task_changed(now, id);
        Ok(id)
    }

    /// The number of the next run, of a task or of a one-way measurement: probes carry it.
    pub(super) fn take_run_number(&mut self) -> u32 {
        let id = self.next_task;
        self.next_task = self.next_task.wrapping_add(1).max(1);
        id
    }

    /// Refuses what cannot work, or would take unbounded memory.
    fn check_task(&self, spec: &TaskSpec) -> Result<Vec<Participant>, Refusal> {
        let invalid = |what: String, remedy: &str| {
            Refusal::new(
                ErrorCode::Invalid,
                format!("cannot start task {}: {what}", spec.name),
                remedy,
            )
        };
        if self.ending != Ending::No {
            return Err(Refusal::new(
                ErrorCode::State,
                "the monitor is shutting down",
                "start it again",
            ));
        }
        check_group(spec.group)?;
        check_probes(&format!("task {}", spec.name), &spec.probes)?;
        for names in [&spec.senders, &spec.receivers] {
            if names.iter().collect::<BTreeSet<_>>().len() != names.len() {
                return Err(invalid(
                    "a tunnel is named twice".to_owned(),
                    "name each sender and receiver once",
                ));
            }
        }
        let pairs = pairs(spec);
        if spec.senders.is_empty() || (pairs == 0 && !spec.receivers.is_empty()) {
            return Err(invalid(
                "no sender has a receiver but itself".to_owned(),
                "name at least two tunnels",
            ));
        }
        self.check_memory(spec, pairs)?;
        let what = format!("task {}", spec.name);
        self.check_budget(&what, &Load::of_task(spec))?;
        self.check_task_apart(spec)?;
        if self.tasks.iter().filter(|t| !t.is_finished()).count() >= RUNS_MAX {
            let message = format!("cannot start task {}: {RUNS_MAX} are running", spec.name);
            return Err(Refusal::new(ErrorCode::Limit, message, "stop one first"));
        }
        if spec.source_specific {
            for receiver in &spec.receivers {
                self.tunnels
                    .get(self.tunnels.find(receiver)?)
                    .map_or(Ok(()), check_sources)?;
            }
        }
        self.participants(spec)
    }

    fn check_memory(&self, spec: &TaskSpec, pairs: usize) -> Result<(), Refusal> {
        let limit = |what: String, remedy: &str| {
            let message = format!("cannot start task {}: {what}", spec.name);
            Err(Refusal::new(ErrorCode::Limit, message, remedy))
        };
        let (mut awaited, mut counted) = copies_held(&spec.probes, pairs);
        let mut kept = pairs;
        for task in self.tasks.iter() {
            kept += task.pair_count();
            if !task.is_finished() {
                let (theirs, of_interval) = copies_held(&task.spec.probes, task.pair_count());
                awaited += theirs;
                counted += of_interval;
            }
        }
        if kept > PAIRS_MAX {
            let what = format!("there would be {kept} pairs, more than {PAIRS_MAX}");
            return limit(what, "name fewer tunnels, or stop and drop other tasks");
        }
        if awaited > COPIES_AWAITED_MAX {
            let what = format!(
                "{awaited} copies would be awaited at a time, more than {COPIES_AWAITED_MAX}"
            );
            return limit(
                what,
                "lower the rate, the loss timeout or the number of tunnels",
            );
        }
        if counted > COPIES_PER_INTERVAL_MAX {
            let what = format!(
                "{counted} copies would be counted per interval, more than {COPIES_PER_INTERVAL_MAX}"
            );
            return limit(
                what,
                "shorten the interval, or lower the rate or the number of tunnels",
            );
        }
        Ok(())
    }

    fn participants(&self, spec: &TaskSpec) -> Result<Vec<Participant>, Refusal> {
        let names: BTreeSet<&Name> = spec.senders.iter().chain(&spec.receivers).collect();
        let participant = |name: &Name| {
            let id = self.tunnels.find(name)?;
            let address = self
                .tunnels
                .get(id)
                .map_or(Ipv4Addr::UNSPECIFIED, |t| t.spec.inner_local);
            Ok(Participant {
                id,
                name: name.clone(),
                address,
            })
        };
        names.into_iter().map(participant).collect()
    }

    /// The latest run of that name.
    pub(super) fn find_task(&self, name: &Name) -> Result<u32, Refusal> {
        self.task_names.get(name).copied().ok_or_else(|| {
            let remedy = "see task-list for those there are";
            Refusal::new(
                ErrorCode::NotFound,
                format!("there is no task {name}"),
                remedy,
            )
        })
    }

    /// Stops a task that no MVPN owns.
    pub(super) fn task_stop(&mut self, now: Instant, name: &Name) -> Result<u32, Refusal> {
        let id = self.find_task(name)?;
        if self.mvpns.contains_key(name) {
            let message = format!("cannot stop task {name}: it is an MVPN's");
            return Err(Refusal::new(ErrorCode::InUse, message, "use mvpn-stop"));
        }
        self.stop_run(now, id);
        Ok(id)
    }

    /// Ends a run's sending; the rest follows by itself.
    pub(super) fn stop_run(&mut self, now: Instant, id: u32) {
        if let Some(task) = self.tasks.get_mut(id).filter(|t| t.is_sending()) {
            task.stop(now);
            self.reschedule_task(id);
            self.task_changed(now, id);
        }
    }

    /// Forgets a finished task.
    pub(super) fn task_drop(&mut self, name: &Name) -> Result<(), Refusal> {
        let id = self.find_task(name)?;
        if self.tasks.get(id).is_some_and(|task| !task.is_finished()) {
            let message = format!("cannot drop task {name}: it is not finished");
            return Err(Refusal::new(
                ErrorCode::State,
                message,
                "stop it, and wait until it is finished",
            ));
        }
        self.task_names.remove(name);
        self.forget(id);
        Ok(())
    }

    /// A run's state or members changed: joins follow, and subscribers are told.
    pub(super) fn task_changed(&mut self, now: Instant, id: u32) {
        let Some(task) = self.tasks.get(id) else {
            return;
        };
        let (name, group) = (task.spec.name.clone(), task.spec.group);
        let (wanted, status) = (task.wanted(), task.status());
        for (tunnel, wanted) in wanted {
            self.set_membership(now, tunnel, Owner::Task(name.clone(), id), group, wanted);
        }
        self.event(Event::Task(Box::new(status)));
    }

    pub(super) fn task_finished(&mut self, now: Instant, id: u32) {
        self.task_changed(now, id);
        let Some(task) = self.tasks.get(id) else {
            return;
        };
        let (name, status) = (task.spec.name.clone(), task.status());
        self.record(now, Record::TaskFinished(Box::new(status)));
        if let Some(mvpn) = self.mvpns.get_mut(&name).filter(|m| m.run == Some(id)) {
            mvpn.run = None;
        }
        if self.task_names.get(&name) != Some(&id) {
            self.forget(id);
        }
        self.forget_oldest_finished();
    }

    fn forget_if_finished(&mut self, id: Option<u32>) {
        if let Some(id) = id.filter(|id| self.tasks.get(*id).is_some_and(Task::is_finished)) {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: u32) {
        self.tasks.remove(id);
        self.reschedule_task(id);
    }

    fn forget_oldest_finished(&mut self) {
        let finished = self.tasks.iter().filter(|t| t.is_finished());
        let finished: Vec<(u32, usize)> = finished.map(|t| (t.id, t.pair_count())).collect();
        let mut pairs_kept = 0;
        for (newer, (id, pairs)) in finished.into_iter().rev().enumerate() {
            pairs_kept += pairs;
            let is_small = newer < RUNS_MAX && pairs_kept <= FINISHED_PAIRS_KEPT;
            if newer >= FINISHED_KEPT && !is_small {
                self.forget(id);
                self.task_names.retain(|_, latest| *latest != id);
            }
        }
    }
}

/// Refuses what is no multicast group that routers forward.
pub(super) fn check_group(group: Ipv4Addr) -> Result<(), Refusal> {
    let remedy = "use a group of 224.0.1.0 to 239.255.255.255";
    if !group.is_multicast() {
        return Err(Refusal::new(
            ErrorCode::Invalid,
            format!("{group} is no multicast group"),
            remedy,
        ));
    }
    // RFC 5771 §4: the local network control block is never forwarded.
    if group.octets().starts_with(&[224, 0, 0]) {
        return Err(Refusal::new(
            ErrorCode::Invalid,
            format!("{group} is never forwarded by a router"),
            remedy,
        ));
    }
    Ok(())
}

pub(super) fn pairs(spec: &TaskSpec) -> usize {
    let receivers: HashSet<&Name> = spec.receivers.iter().collect();
    let selves = spec
        .senders
        .iter()
        .filter(|sender| receivers.contains(sender))
        .count();
    spec.senders.len() * spec.receivers.len() - selves
}

pub(super) fn check_probes(of: &str, probes: &ProbeSpec) -> Result<(), Refusal> {
    let bytes = PAYLOAD_BYTES_MIN..=PAYLOAD_BYTES_MAX;
    let (what, remedy) = match probes {
        p if p.rate.as_millipps() == 0 || p.rate > RATE_MAX => (
            format!("rate {}", p.rate),
            format!("use more than 0pps, at most {RATE_MAX}"),
        ),
        p if !bytes.contains(&p.payload_bytes) => (
            format!("payload_bytes {}", p.payload_bytes),
            format!("use {} to {}", bytes.start(), bytes.end()),
        ),
        p if p.interval < INTERVAL_MIN => (
            format!("interval {}", p.interval),
            format!("use at least {INTERVAL_MIN}"),
        ),
        p if p.loss_timeout.is_zero() || p.loss_timeout > LOSS_TIMEOUT_MAX => (
            format!("loss_timeout {}", p.loss_timeout),
            format!("use more than 0s, at most {LOSS_TIMEOUT_MAX}"),
        ),
        p if p.ttl == 0 => ("ttl 0".to_owned(), "use 1 to 255".to_owned()),
        p if p.count == Some(0) => (
            "count 0".to_owned(),
            "use at least 1, or leave it out".to_owned(),
        ),
        p if p.duration.is_some_and(Span::is_zero) => (
            "duration 0s".to_owned(),
            "use more than 0s, or leave it out".to_owned(),
        ),
        _ => return Ok(()),
    };
    Err(Refusal::new(
        ErrorCode::Invalid,
        format!("cannot start {of}: {what} is out of range"),
        remedy,
    ))
}

/// Copies of a task's probes sent in so long.
fn copies(probes: &ProbeSpec, pairs: usize, time: Span) -> u128 {
    pairs as u128 * u128::from(probes.rate.as_millipps()) * u128::from(time.as_ns())
        / u128::from(1_000 * NS_PER_S)
}

/// Copies that are awaited at a time, and those that one interval holds.
fn copies_held(probes: &ProbeSpec, pairs: usize) -> (u128, u128) {
    (
        copies(probes, pairs, probes.loss_timeout + CAPTURE_GRACE),
        copies(probes, pairs, probes.interval),
    )
}
