//! One run inside a converged lab: impair, start the monitor, do what the agenda says, observe, and bring back
//! everything that a verdict needs. Nothing is judged here.

pub mod agenda;
pub mod checkpoint;
pub mod hearing;
mod monitor;
mod oneway;
pub mod orders;
mod peer;

use std::process::Command;
use std::time::Duration;

use mvpnlab_emulator::lab::{Lab, LabError, TEND_EVERY};
use mvpnlab_emulator::place::Files;
use mvpnlab_emulator::plan::Plan;
use mvpnlab_emulator::scenario::{Action, Scenario, Span};
use mvpnlab_emulator::traffic::{Traffic, TrafficError, TrafficLog, TrafficSpec};
use mvpnlab_emulator::truth::clock::monotonic_ns;
use mvpnlab_emulator::truth::{
    Capture, ClockLog, Counters, Done, TapError, Taps, Timeline, WHOLE_FRAME_BYTES, file,
    snap_bytes,
};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::time::{ClockId, clock_gettime, clock_settime};
use serde::Serialize;
use tokio::time::sleep;

use crate::monitor_client::ClientError;
use agenda::Step;
use checkpoint::Checkpoint;
use monitor::MonitorUnderTest;
pub use monitor::SOCKET;
use orders::OrderError;
use peer::Peer;

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

/// A step that cannot be done, and why.
pub fn impossible(what: impl Into<String>, found: impl std::fmt::Display) -> DriveError {
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
        run.wait_until(item.due_ns).await?;
        log(&format!(
            "{:>8.3} s  {}",
            item.due_ns as f64 / 1e9,
            describe(&item.step)
        ));
        run.step(item.due_ns, &item.step).await?;
    }
    run.wait_until(orders.scenario.duration.ns).await?;
    run.end().await
}

fn describe(step: &Step) -> String {
    match step {
        Step::Timeline(action) => serde_json::to_string(action).unwrap_or_default(),
        Step::StartPassive(_) => "passive observation starts".into(),
        Step::StartWatch(_) => "an MVPN is watched".into(),
        Step::StartTask(name) => format!("task {name} starts"),
        Step::StopTask(name) => format!("task {name} stops"),
        Step::StartOneway(name) => format!("one-way measurement {name} starts"),
        Step::StopOneway(name) => format!("one-way measurement {name} stops"),
    }
}

/// A run that is going on.
pub struct Run<'a> {
    /// The network.
    pub lab: &'a mut Lab,
    orders: &'a Orders<'a>,
    taps: Taps,
    traffic: Traffic,
    clock: ClockLog,
    counters: Counters,
    timeline: Timeline,
    monitor: Option<MonitorUnderTest<'a>>,
    peers: Vec<Peer<'a>>,
    end: End,
    checkpoints: Vec<Checkpoint>,
    /// When data MDTs are tended next.
    tend_ns: u64,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// A verdict: the kernel's counters are read around every action.
    Verdict,
    /// People: nobody counts, and every action is quick.
    People,
}

impl<'a> Run<'a> {
    /// Everything up to the run's zero: taps, impairments, the monitor.
    async fn begin(lab: &'a mut Lab, orders: &'a Orders<'a>) -> Result<Run<'a>, DriveError> {
        let taps = Taps::start(lab.wire_room()?, snap_bytes(orders.scenario))?;
        Self::begin_with(lab, orders, taps, End::Verdict, false).await
    }

    async fn begin_with(
        lab: &'a mut Lab,
        orders: &'a Orders<'a>,
        taps: Taps,
        end: End,
        is_bare: bool,
    ) -> Result<Run<'a>, DriveError> {
        let clock = ClockLog::start();
        impair(lab, orders.scenario).await?;
        lab.begin_data_mdts(orders.scenario).await?;
        let mut peers = Vec::new();
        for host in orders.plan.peers.iter().filter(|_| !is_bare) {
            peers.push(Peer::start(lab, orders, host).await?);
        }
        if !is_bare {
            lab.begin_agents(orders.scenario)?;
        }
        let monitor = match &orders.plan.monitor {
            Some(plan) if !is_bare => Some(MonitorUnderTest::start(lab, orders, plan).await?),
            Some(_) | None => None,
        };
        let counters = Counters {
            snapshots: match end {
                End::Verdict => vec![lab.counters("start").await?],
                End::People => Vec::new(),
            },
        };
        let start_ns = monotonic_ns();
        let spec = match is_bare {
            true => TrafficSpec::default(),
            false => TrafficSpec::of(orders.scenario, orders.plan)?,
        };
        let traffic = Traffic::start(spec, &|namespace| lab.open_namespace(namespace), start_ns)?;
        let timeline = Timeline {
            start_ns,
            end_ns: start_ns,
            done: Vec::new(),
        };
        Ok(Run {
            lab,
            orders,
            taps,
            traffic,
            clock,
            counters,
            timeline,
            monitor,
            peers,
            end,
            checkpoints: Vec::new(),
            tend_ns: start_ns,
        })
    }

    /// A run without an end, for people: what the scenario starts at any time starts now, its timeline is left to them.
    /// Of the taps' records so many bytes are kept. Bare: neither monitor nor traffic.
    pub async fn begin_living(
        lab: &'a mut Lab,
        orders: &'a Orders<'a>,
        is_bare: bool,
        kept_bytes: usize,
    ) -> Result<Run<'a>, DriveError> {
        // People may ask for corruption at any time, and then frames must be seen as a whole.
        let taps = Taps::keeping(lab.wire_room()?, WHOLE_FRAME_BYTES, kept_bytes)?;
        let mut run = Self::begin_with(lab, orders, taps, End::People, is_bare).await?;
        if run.monitor.is_some() {
            for item in agenda::of(orders.scenario) {
                match item.step {
                    Step::StartPassive(_)
                    | Step::StartWatch(_)
                    | Step::StartTask(_)
                    | Step::StartOneway(_) => run.step(0, &item.step).await?,
                    Step::Timeline(_) | Step::StopTask(_) | Step::StopOneway(_) => {}
                }
            }
        }
        Ok(run)
    }

    /// An action that nobody has planned.
    pub async fn act_now(&mut self, action: &Action) -> Result<(), DriveError> {
        let now_ns = monotonic_ns().saturating_sub(self.timeline.start_ns);
        self.act(now_ns, action).await
    }

    /// What has been observed of the recent past: all that the truth stands on.
    pub async fn observe_so_far(&mut self) -> Result<Files, DriveError> {
        self.timeline.end_ns = monotonic_ns();
        let capture = self.taps.so_far()?;
        self.clock.note();
        let mut files = observed(capture, &self.clock, &self.counters, &self.timeline);
        put(&mut files, file::TRAFFIC, &TrafficLog::default());
        put(&mut files, file::PLAN, self.orders.plan);
        put_mdts(&mut files, self.lab);
        // What goes on until the end goes on until now.
        let elapsed_ns = self.timeline.end_ns - self.timeline.start_ns;
        let scenario = Scenario {
            duration: Span { ns: elapsed_ns },
            ..self.orders.scenario.clone()
        };
        put(&mut files, file::SCENARIO, &scenario);
        Ok(files)
    }

    /// Sleeps until then; meanwhile the PEs' data MDTs are tended, on a grid that begins with the run.
    async fn wait_until(&mut self, due_ns: u64) -> Result<(), DriveError> {
        let due = self.timeline.start_ns + due_ns;
        while self.lab.has_data_mdts() && self.tend_ns < due {
            sleep_until(self.tend_ns).await;
            self.lab.tend_data_mdts(self.tend_ns).await?;
            // What an action delayed is left out.
            let every_ns = TEND_EVERY.as_nanos() as u64;
            let passed = monotonic_ns().saturating_sub(self.timeline.start_ns) / every_ns;
            self.tend_ns = self.timeline.start_ns + (passed + 1) * every_ns;
        }
        sleep_until(due).await;
        Ok(())
    }

    /// Where nobody waits for an agenda: the PEs look about them now.
    pub async fn tend_now(&mut self) -> Result<(), DriveError> {
        Ok(self.lab.tend_data_mdts(monotonic_ns()).await?)
    }

    async fn step(&mut self, planned_ns: u64, step: &Step) -> Result<(), DriveError> {
        match step {
            Step::Timeline(action) => self.act(planned_ns, action).await,
            Step::StartPassive(index) => self.monitor()?.start_passive(*index).await,
            Step::StartWatch(index) => self.monitor()?.start_watch(*index).await,
            Step::StartTask(name) => self.monitor()?.start_task(name).await,
            Step::StopTask(name) => self.monitor()?.stop_task_if_running(name).await,
            Step::StartOneway(name) => self.monitor()?.start_oneway(name).await,
            Step::StopOneway(name) => self.monitor()?.stop_oneway_if_alive(name).await,
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
        if self.end == End::Verdict {
            let snapshot = self.lab.counters(&label).await?;
            self.counters.snapshots.push(snapshot);
        }
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
            Action::Checkpoint {} => self.check_point().await?,
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
            Action::RogueJoin { mvpn, pe } => self.lab.rogue_join(mvpn, pe).await?,
            Action::RogueLeave { mvpn, pe } => self.lab.rogue_leave(mvpn, pe).await?,
            Action::AgentKill { agent } => self.lab.agent_kill(agent)?,
            Action::AgentRestart { agent } => self.lab.agent_restart(agent)?,
            Action::PeerKill { host } => peer(&mut self.peers, host)?.kill()?,
            Action::PeerRestart { host } => peer(&mut self.peers, host)?.launch(self.lab).await?,
            Action::PeSilent { mvpn, pe } => self.lab.pe_silent(mvpn, pe).await?,
            Action::PeSpeaks { mvpn, pe } => self.lab.pe_speaks(mvpn, pe).await?,
        }
        Ok(())
    }

    /// What the monitor says of every MVPN that it watches, and what the VRFs say themselves.
    async fn check_point(&mut self) -> Result<(), DriveError> {
        for watch in &self.orders.scenario.monitor.watches {
            let said = self.monitor()?.show_mvpn(&watch.mvpn).await?;
            let vrfs = self.lab.control_plane(&watch.mvpn).await?;
            self.checkpoints.push(Checkpoint {
                at_ns: monotonic_ns() - self.timeline.start_ns,
                mvpn: watch.mvpn.clone(),
                said,
                vrfs,
            });
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
        for peer in self.peers {
            files.extend(peer.finish().await);
        }
        let capture = self.taps.stop()?;
        self.clock.note();
        files.extend(self.lab.router_states().await?);
        files.extend(self.lab.agent_logs());
        files.insert("lab/cpu.txt".into(), processor_time().into_bytes());
        files.extend(observed(
            capture,
            &self.clock,
            &self.counters,
            &self.timeline,
        ));
        put(&mut files, file::TRAFFIC, &traffic);
        put_mdts(&mut files, self.lab);
        if !self.checkpoints.is_empty() {
            put(&mut files, checkpoint::FILE, &self.checkpoints);
        }
        Ok(files)
    }
}

fn peer<'r, 'a>(peers: &'r mut [Peer<'a>], host: &str) -> Result<&'r mut Peer<'a>, DriveError> {
    let found = peers.iter_mut().find(|peer| peer.host() == host);
    found.ok_or_else(|| {
        impossible(
            format!("find the monitor's peer at {host}"),
            "there is none",
        )
    })
}

/// Nothing where there are no data MDTs: most labs.
fn put_mdts(files: &mut Files, lab: &Lab) {
    if lab.has_data_mdts() {
        put(files, file::MDTS, lab.data_mdt_log());
    }
}

async fn sleep_until(monotonic_at_ns: u64) {
    sleep(Duration::from_nanos(
        monotonic_at_ns.saturating_sub(monotonic_ns()),
    ))
    .await;
}

/// What the taps saw, and what is needed to read it.
fn observed(capture: Capture, clock: &ClockLog, counters: &Counters, timeline: &Timeline) -> Files {
    let mut files = Files::from([(file::TAPS.to_owned(), capture.records)]);
    put(&mut files, file::TAP_SUMMARY, &capture.summary);
    put(&mut files, file::CLOCK, clock);
    put(&mut files, file::COUNTERS, counters);
    put(&mut files, file::TIMELINE, timeline);
    files
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
    let mut wanted = Vec::new();
    for link in &scenario.links {
        if let Some(both) = &link.impair {
            wanted.extend(
                link.ends
                    .split('-')
                    .map(|node| (link.ends.as_str(), node, both)),
            );
        }
        let toward = |(node, impairment)| (link.ends.as_str(), String::as_str(node), impairment);
        wanted.extend(link.impair_to.iter().map(toward));
    }
    lab.impair_links(&wanted).await?;
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
