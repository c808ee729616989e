//! One run inside a converged lab: impair, start the monitor, do what the agenda says, observe, and bring back
//! everything that a verdict needs. Nothing is judged here.

pub mod agenda;
mod monitor;
pub mod orders;

use std::process::Command;
use std::time::Duration;

use mvpnlab_emulator::lab::{Lab, LabError};
use mvpnlab_emulator::place::Files;
use mvpnlab_emulator::plan::Plan;
use mvpnlab_emulator::scenario::{Action, Scenario};
use mvpnlab_emulator::traffic::{Traffic, TrafficError, TrafficSpec};
use mvpnlab_emulator::truth::clock::monotonic_ns;
use mvpnlab_emulator::truth::{
    ClockLog, Counters, Done, TapError, Taps, Timeline, file, snap_bytes,
};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::time::{ClockId, clock_gettime, clock_settime};
use serde::Serialize;
use tokio::time::sleep;

use crate::monitor_client::ClientError;
use agenda::Step;
use monitor::MonitorUnderTest;
use orders::OrderError;

/// What a run is made of.
pub struct Orders<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// What was built.
    pub plan: &'a Plan,
    /// Installs the monitor's executable and says how it is started.
    pub monitor: &'a dyn Fn() -> Result<Command, String>,
}

/// The lab itself went wrong.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// In the network.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// In the taps.
    #[error(transparent)]
    Taps(#[from] TapError),
    /// In the customers' traffic.
    #[error(transparent)]
    Traffic(#[from] TrafficError),
    /// Between harness and monitor.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// In what the scenario wants the monitor to do.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// A step that needs something which is not there.
    #[error("cannot {what}: {found}")]
    Impossible {
        /// Attempted.
        what: String,
        /// Found.
        found: String,
    },
}

fn impossible(what: impl Into<String>, found: impl std::fmt::Display) -> DriveError {
    DriveError::Impossible {
        what: what.into(),
        found: found.to_string(),
    }
}

/// Runs the scenario.
///
/// # Errors
/// What failed in the lab. A monitor that does badly, or dies, is an observation, not an error.
pub async fn run(
    lab: &mut Lab,
    orders: &Orders<'_>,
    log: &mut dyn FnMut(&str),
) -> Result<Files, DriveError> {
    let mut run = Run::begin(lab, orders).await?;
    for item in agenda::of(orders.scenario) {
        run.wait_until(item.due_ns).await;
        log(&format!(
            "{:>8.3} s  {}",
            item.due_ns as f64 / 1e9,
            describe(&item.step)
        ));
        run.step(item.due_ns, &item.step).await?;
    }
    run.wait_until(orders.scenario.duration.ns).await;
    run.end().await
}

fn describe(step: &Step) -> String {
    match step {
        Step::Timeline(action) => serde_json::to_string(action).unwrap_or_default(),
        Step::StartPassive(_) => "passive observation starts".into(),
        Step::StartTask(name) => format!("task {name} starts"),
        Step::StopTask(name) => format!("task {name} stops"),
    }
}

/// A run that is going on.
struct Run<'a> {
    lab: &'a mut Lab,
    taps: Taps,
    traffic: Traffic,
    clock: ClockLog,
    counters: Counters,
    timeline: Timeline,
    monitor: Option<MonitorUnderTest<'a>>,
}

impl<'a> Run<'a> {
    /// Everything up to the run's zero: taps, impairments, the monitor.
    async fn begin(lab: &'a mut Lab, orders: &'a Orders<'a>) -> Result<Run<'a>, DriveError> {
        let clock = ClockLog::start();
        let taps = Taps::start(lab.wire_room()?, snap_bytes(orders.scenario))?;
        impair(lab, orders.scenario).await?;
        let monitor = match &orders.plan.monitor {
            Some(plan) => Some(MonitorUnderTest::start(lab, orders, plan).await?),
            None => None,
        };
        let counters = Counters {
            snapshots: vec![lab.counters("start").await?],
        };
        let start_ns = monotonic_ns();
        let traffic = Traffic::start(
            TrafficSpec::of(orders.scenario, orders.plan)?,
            &|namespace| lab.open_namespace(namespace),
            start_ns,
        )?;
        let timeline = Timeline {
            start_ns,
            end_ns: start_ns,
            done: Vec::new(),
        };
        Ok(Run {
            lab,
            taps,
            traffic,
            clock,
            counters,
            timeline,
            monitor,
        })
    }

    async fn wait_until(&self, due_ns: u64) {
        let due = self.timeline.start_ns + due_ns;
        sleep(Duration::from_nanos(due.saturating_sub(monotonic_ns()))).await;
    }

    async fn step(&mut self, planned_ns: u64, step: &Step) -> Result<(), DriveError> {
        match step {
            Step::Timeline(action) => self.act(planned_ns, action).await,
            Step::StartPassive(index) => self.monitor()?.start_passive(*index).await,
            Step::StartTask(name) => self.monitor()?.start_task(name).await,
            Step::StopTask(name) => self.monitor()?.stop_task_if_running(name).await,
        }
    }

    fn monitor(&mut self) -> Result<&mut MonitorUnderTest<'a>, DriveError> {
        self.monitor.as_mut().ok_or_else(|| {
            impossible(
                "speak to the monitor",
                "no node of the scenario has the role monitor",
            )
        })
    }

    /// One action of the timeline, between two readings of the kernel's counters.
    async fn act(&mut self, planned_ns: u64, action: &Action) -> Result<(), DriveError> {
        let label = action.name();
        self.count(format!("before {label}")).await?;
        let began_ns = monotonic_ns();
        self.apply(action).await?;
        let done = Done {
            planned_ns,
            began_ns,
            monotonic_ns: monotonic_ns(),
            action: action.clone(),
        };
        self.timeline.done.push(done);
        self.count(format!("after {label}")).await
    }

    async fn count(&mut self, label: String) -> Result<(), DriveError> {
        self.counters
            .snapshots
            .push(self.lab.counters(&label).await?);
        Ok(())
    }

    async fn apply(&mut self, action: &Action) -> Result<(), DriveError> {
        match action {
            Action::ImpairLink {
                link,
                to: Some(node),
                impair,
            } => self.lab.impair_link(link, node, impair).await?,
            Action::ImpairLink {
                link,
                to: None,
                impair,
            } => impair_both(self.lab, link, impair).await?,
            Action::ImpairTunnel { tunnel, impair } => {
                self.lab.impair_tunnel(tunnel, impair).await?
            }
            Action::LinkDown { link } => self.lab.link_down(link).await?,
            Action::LinkUp { link } => self.lab.link_up(link).await?,
            Action::NodeKill { node } => self.lab.node_kill(node).await?,
            Action::NodeRestart { node } => self.lab.node_restart(node).await?,
            Action::MonitorKill {} => self.monitor()?.kill().await?,
            Action::MonitorRestart {} => {
                let monitor = self
                    .monitor
                    .as_mut()
                    .ok_or_else(|| impossible("restart the monitor", "there is none"))?;
                monitor.restart(self.lab).await?;
            }
            Action::ClockStep { by, back } => {
                self.step_clock(if *back { -(by.ns as i64) } else { by.ns as i64 })?
            }
            Action::TunnelAdd { tunnel } => {
                self.lab.tunnel_add(tunnel).await?;
                self.monitor()?.add_tunnel(tunnel).await?;
            }
            Action::TunnelDrop { tunnel } => {
                self.monitor()?.drop_tunnel(tunnel).await?;
                self.lab.tunnel_drop(tunnel).await?;
            }
            Action::TaskStart { task } => self.monitor()?.start_task(task).await?,
            Action::TaskStop { task } => self.monitor()?.stop_task(task).await?,
            Action::PeStart { task, tunnel } => self.monitor()?.start_pe(task, tunnel).await?,
            Action::PeStop { task, tunnel } => self.monitor()?.stop_pe(task, tunnel).await?,
        }
        Ok(())
    }

    /// Steps the wall clock, noting both sides of the step for the taps' stamps.
    fn step_clock(&mut self, by_ns: i64) -> Result<(), DriveError> {
        self.clock.note();
        let stepped = clock_gettime(ClockId::CLOCK_REALTIME).and_then(|now| {
            clock_settime(ClockId::CLOCK_REALTIME, now + TimeSpec::nanoseconds(by_ns))
        });
        stepped.map_err(|e| impossible("step the wall clock", e))?;
        self.clock.note();
        Ok(())
    }

    /// Stops everything and packs what was observed.
    async fn end(mut self) -> Result<Files, DriveError> {
        self.timeline.end_ns = monotonic_ns();
        let traffic = self.traffic.stop()?;
        self.counters
            .snapshots
            .push(self.lab.counters("end").await?);
        let mut files = match self.monitor {
            Some(monitor) => monitor.finish().await?,
            None => Files::new(),
        };
        let capture = self.taps.stop()?;
        self.clock.note();
        files.extend(self.lab.router_states().await?);
        files.insert("lab/cpu.txt".into(), processor_time().into_bytes());
        files.insert(file::TAPS.into(), capture.records);
        put(&mut files, file::TAP_SUMMARY, &capture.summary);
        put(&mut files, file::CLOCK, &self.clock);
        put(&mut files, file::COUNTERS, &self.counters);
        put(&mut files, file::TIMELINE, &self.timeline);
        put(&mut files, file::TRAFFIC, &traffic);
        Ok(files)
    }
}

/// What each process of the lab has used of its processor so far, for whoever wonders where a slow run's time went.
fn processor_time() -> String {
    let stat = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let mut lines: Vec<(u64, String)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| stat(&entry.ok()?.file_name().to_string_lossy()))
        .filter_map(|stat| {
            // pid (comm) state ppid … utime and stime are fields 14 and 15, in ticks of 10 ms (proc(5)).
            let (head, tail) = stat.rsplit_once(')')?;
            let fields: Vec<&str> = tail.split_whitespace().collect();
            let (user, system): (u64, u64) =
                (fields.get(11)?.parse().ok()?, fields.get(12)?.parse().ok()?);
            let line = format!(
                "{:>8} ms user {:>8} ms system  {head})",
                user * 10,
                system * 10
            );
            Some((user + system, line))
        })
        .collect();
    lines.sort_by(|a, b| b.cmp(a));
    lines.into_iter().map(|(_, line)| line + "\n").collect()
}

fn put<T: Serialize>(files: &mut Files, name: &str, value: &T) {
    // Plain data of our own: maps have string keys, so writing cannot fail.
    files.insert(
        name.to_owned(),
        serde_json::to_vec(value).unwrap_or_default(),
    );
}

/// The scenario's impairments from the start, on top of the unimpaired lab that was converged.
async fn impair(lab: &mut Lab, scenario: &Scenario) -> Result<(), DriveError> {
    for link in &scenario.links {
        if let Some(both) = &link.impair {
            impair_both(lab, &link.ends, both).await?;
        }
        for (node, impairment) in &link.impair_to {
            lab.impair_link(&link.ends, node, impairment).await?;
        }
    }
    for tunnel in &scenario.tunnel_impairments {
        lab.impair_tunnel(&tunnel.tunnel, &tunnel.impair).await?;
    }
    Ok(())
}

async fn impair_both(
    lab: &mut Lab,
    link: &str,
    impairment: &mvpnlab_emulator::scenario::Impairment,
) -> Result<(), DriveError> {
    for node in link.split('-') {
        lab.impair_link(link, node, impairment).await?;
    }
    Ok(())
}
