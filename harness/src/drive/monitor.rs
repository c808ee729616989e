//! The monitor under test: a process in its node's namespace, its control socket, and what it leaves behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use mvpnlab_emulator::lab::{Lab, Process};
use mvpnlab_emulator::place::Files;
use mvpnlab_emulator::plan::MonitorPlan;
use mvpnlab_emulator::scenario;
use mvpnlab_emulator::truth::file;
use serde::Serialize;
use vmscope_core::control::{
    Answer, MvpnQuestion, Named, OnewayState, Operation, Page, PairsQuestion,
};
use vmscope_core::name::Name;

use super::hearing::{self, Hearing};
use super::orders::{self, MonitorPaths};
use super::{DriveError, Orders, impossible, oneway};
use crate::monitor_client::{ClientError, MonitorClient, Transcript};

const FOLDER: &str = "/run/monitor";
/// Where it is controlled.
pub const SOCKET: &str = "/run/monitor/control.sock";
/// How long a monitor may take to answer after its start, in the lab's time.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to end after SIGTERM.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
pub struct MonitorUnderTest<'a> {
    orders: &'a Orders<'a>,
    namespace: String,
    paths: MonitorPaths,
    process: Option<Process>,
    client: Option<MonitorClient>,
    /// One for each run of the monitor, where it watches anything.
    hearings: Vec<Hearing>,
    transcript: Transcript,
    /// Tasks that this run of the monitor knows, and whether they were told to run.
    tasks: BTreeMap<String, bool>,
    /// Tunnels added or dropped since the configuration file was written.
    added: BTreeSet<String>,
    dropped: BTreeSet<String>,
}

impl<'a> MonitorUnderTest<'a> {
    /// Writes its configuration, starts it, and waits for its first answer.
    pub async fn start(
        lab: &mut Lab,
        orders: &'a Orders<'a>,
        plan: &MonitorPlan,
    ) -> Result<Self, DriveError> {
        let folder = PathBuf::from(FOLDER);
        fs::create_dir_all(&folder).map_err(|e| impossible("make the monitor's folder", e))?;
        let paths = MonitorPaths {
            config: folder.join("config.toml"),
            socket: SOCKET.into(),
            database: folder.join("vmscope.db"),
            log: folder.join("log.txt"),
        };
        let config = orders::configuration(orders.scenario, orders.plan, &plan.interface, &paths)?;
        let text = toml::to_string(&config)
            .map_err(|e| impossible("write the monitor's configuration", e))?;
        fs::write(&paths.config, text)
            .map_err(|e| impossible("write the monitor's configuration", e))?;
        for agent in &orders.scenario.agents {
            if let Some(snmp) = &agent.snmp {
                fs::write(oneway::community_file(&agent.name), &snmp.community)
                    .map_err(|e| impossible("write an agent's community", e))?;
            }
        }
        let mut monitor = Self {
            orders,
            namespace: plan.namespace.clone(),
            paths,
            process: None,
            client: None,
            hearings: Vec::new(),
            transcript: Transcript::default(),
            tasks: BTreeMap::new(),
            added: BTreeSet::new(),
            dropped: BTreeSet::new(),
        };
        monitor.launch(lab).await?;
        Ok(monitor)
    }

    async fn launch(&mut self, lab: &mut Lab) -> Result<(), DriveError> {
        let mut command =
            (self.orders.monitor)().map_err(|e| impossible("install the monitor", e))?;
        command
            .arg("daemon")
            .arg("--config")
            .arg(&self.paths.config);
        self.process = Some(lab.spawn(&self.namespace, command, &self.paths.log)?);
        let connected = MonitorClient::connect(&self.paths.socket, START_PATIENCE).await;
        self.client =
            Some(connected.map_err(|e| impossible("start the monitor", self.with_log(&e)))?);
        if !self.orders.scenario.monitor.watches.is_empty() {
            let client = MonitorClient::connect(&self.paths.socket, START_PATIENCE).await?;
            let hearing = Hearing::begin(client, &mut self.transcript).await?;
            self.hearings.push(hearing);
        }
        Ok(())
    }

    fn with_log(&self, error: &ClientError) -> String {
        let log = fs::read_to_string(&self.paths.log).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(5).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        format!(
            "{error}\nits last words: {}",
            if tail.is_empty() {
                "none".into()
            } else {
                tail.join("\n")
            }
        )
    }

    async fn ask(&mut self, operation: Operation) -> Result<Answer, DriveError> {
        let client = self
            .client
            .as_mut()
            .ok_or_else(|| impossible("speak to the monitor", "it was killed"))?;
        Ok(client.ask(operation, &mut self.transcript).await?)
    }

    fn task(&self, name: &str) -> Result<&'a scenario::Task, DriveError> {
        self.orders
            .scenario
            .task(name)
            .ok_or_else(|| impossible(format!("find task {name}"), "no such task"))
    }

    /// Starts a task, for the first time or again.
    pub async fn start_task(&mut self, name: &str) -> Result<(), DriveError> {
        let task = self.task(name)?;
        let operations = match self.tasks.contains_key(name) {
            false => orders::start_task(self.orders.scenario, task)?,
            true => orders::resume_task(self.orders.scenario, task)?,
        };
        for operation in operations {
            self.ask(operation).await?;
        }
        self.tasks.insert(name.to_owned(), true);
        Ok(())
    }

    /// Stops a task.
    pub async fn stop_task(&mut self, name: &str) -> Result<(), DriveError> {
        let operation = orders::stop_task(self.orders.scenario, self.task(name)?)?;
        self.ask(operation).await?;
        self.tasks.insert(name.to_owned(), false);
        Ok(())
    }

    /// Stops a task if it was started, not stopped yet, and the monitor is alive.
    pub async fn stop_task_if_running(&mut self, name: &str) -> Result<(), DriveError> {
        match self.client.is_some() && self.tasks.get(name) == Some(&true) {
            true => self.stop_task(name).await,
            false => Ok(()),
        }
    }

    /// Takes a PE of an MVPN's task in.
    pub async fn start_pe(&mut self, task: &str, tunnel: &str) -> Result<(), DriveError> {
        self.ask(Operation::MvpnPeStart(orders::mvpn_pe(task, tunnel)?))
            .await
            .map(drop)
    }

    /// Takes it out.
    pub async fn stop_pe(&mut self, task: &str, tunnel: &str) -> Result<(), DriveError> {
        self.ask(Operation::MvpnPeStop(orders::mvpn_pe(task, tunnel)?))
            .await
            .map(drop)
    }

    /// Adds a tunnel while it runs.
    pub async fn add_tunnel(&mut self, name: &str) -> Result<(), DriveError> {
        let tunnel = self.orders.plan.tunnels.iter().find(|t| t.name == name);
        let tunnel = tunnel.ok_or_else(|| {
            impossible(
                format!("add tunnel {name}"),
                "the plan has none of that name",
            )
        })?;
        self.ask(Operation::TunnelAdd(orders::tunnel(
            self.orders.scenario,
            tunnel,
        )?))
        .await?;
        self.added.insert(name.to_owned());
        self.dropped.remove(name);
        Ok(())
    }

    /// Drops one.
    pub async fn drop_tunnel(&mut self, name: &str) -> Result<(), DriveError> {
        let named = Named {
            name: Name::new(name).map_err(|e| impossible("name a tunnel", e))?,
        };
        self.ask(Operation::TunnelDrop(named)).await?;
        self.dropped.insert(name.to_owned());
        self.added.remove(name);
        Ok(())
    }

    /// Begins a passive observation.
    pub async fn start_passive(&mut self, index: usize) -> Result<(), DriveError> {
        let passive = &self.orders.scenario.monitor.passives[index];
        let operation = orders::passive(self.orders.scenario, self.orders.plan, passive)?;
        self.ask(operation).await.map(drop)
    }

    /// Begins to watch an MVPN.
    pub async fn start_watch(&mut self, index: usize) -> Result<(), DriveError> {
        let watch = &self.orders.scenario.monitor.watches[index];
        let operation = orders::watch(self.orders.scenario, self.orders.plan, watch)?;
        self.ask(operation).await?;
        let expected = self.orders.scenario.monitor.expected.iter();
        for expected in expected.filter(|expected| expected.mvpn == watch.mvpn) {
            self.ask(orders::expect(self.orders.plan, expected)?)
                .await?;
        }
        Ok(())
    }

    /// Starts a one-way measurement.
    pub async fn start_oneway(&mut self, name: &str) -> Result<(), DriveError> {
        let (scenario, plan) = (self.orders.scenario, self.orders.plan);
        let operation = oneway::start(scenario, plan, self.oneway(name)?)?;
        self.ask(operation).await.map(drop)
    }

    /// Stops it, if it has not come to its end by itself, and the monitor is alive.
    pub async fn stop_oneway_if_alive(&mut self, name: &str) -> Result<(), DriveError> {
        if self.client.is_none() {
            return Ok(());
        }
        let named = oneway::by_name(self.oneway(name)?)?;
        match self.ask(Operation::OnewayShow(named.clone())).await? {
            Answer::Oneway(status) if status.state == OnewayState::Probing => {
                self.ask(Operation::OnewayStop(named)).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    fn oneway(&self, name: &str) -> Result<&'a scenario::Oneway, DriveError> {
        let found = self.orders.scenario.oneway(name);
        found.ok_or_else(|| impossible(format!("find measurement {name}"), "there is none"))
    }

    /// What it knows of a watched MVPN.
    pub async fn show_mvpn(&mut self, name: &str) -> Result<Answer, DriveError> {
        let question = MvpnQuestion {
            name: Name::new(name).map_err(|e| impossible("name an MVPN", e))?,
            pe: None,
            group: None,
        };
        self.ask(Operation::MvpnShow(question)).await
    }

    /// SIGKILL.
    pub async fn kill(&mut self) -> Result<(), DriveError> {
        self.client = None;
        match self.process.take() {
            Some(mut process) => process
                .kill()
                .map(drop)
                .map_err(|e| impossible("kill the monitor", e)),
            None => Err(impossible("kill the monitor", "it is not running")),
        }
    }

    /// Starts it again with its configuration file; what had been told to it since is told again.
    pub async fn restart(&mut self, lab: &mut Lab) -> Result<(), DriveError> {
        self.launch(lab).await?;
        for name in std::mem::take(&mut self.added) {
            self.add_tunnel(&name).await?;
        }
        for name in std::mem::take(&mut self.dropped) {
            self.drop_tunnel(&name).await?;
        }
        let running: Vec<String> = self
            .tasks
            .iter()
            .filter(|(_, on)| **on)
            .map(|(n, _)| n.clone())
            .collect();
        self.tasks.clear();
        for name in running {
            self.start_task(&name).await?;
        }
        Ok(())
    }

    /// Asks for its final figures, ends it, and packs what it leaves.
    pub async fn finish(mut self) -> Result<Files, DriveError> {
        let mut files = Files::new();
        if self.client.is_some() {
            self.final_figures(&mut files).await?;
        }
        self.client = None;
        if let Some(mut process) = self.process.take() {
            let ended = process.terminate(END_PATIENCE).await;
            files.insert(
                "monitor/exit.txt".into(),
                format!("{ended:?}\n").into_bytes(),
            );
        }
        if !self.hearings.is_empty() {
            let mut lines = Vec::new();
            for hearing in self.hearings {
                lines.extend(hearing.finish().await);
            }
            files.insert(hearing::FILE.into(), lines);
        }
        for (name, path) in [
            (file::MONITOR_CONFIG, self.paths.config.clone()),
            (file::MONITOR_DATABASE, self.paths.database.clone()),
            (
                "monitor/vmscope.db-wal",
                self.paths.database.with_extension("db-wal"),
            ),
            (file::MONITOR_LOG, self.paths.log.clone()),
        ] {
            // A monitor that was killed may have left less: that is for the checks to judge.
            if let Ok(bytes) = fs::read(path) {
                files.insert(name.into(), bytes);
            }
        }
        files.insert(file::MONITOR_REQUESTS.into(), self.transcript.into_bytes());
        Ok(files)
    }

    async fn final_figures(&mut self, files: &mut Files) -> Result<(), DriveError> {
        let named = |name: &str| {
            Name::new(name)
                .map(|name| Named { name })
                .map_err(|e| impossible("name a task", e))
        };
        for (what, operation) in [
            ("status", Operation::Status),
            ("overhead", Operation::Overhead),
            ("tunnels", Operation::TunnelList(Page::default())),
            ("tasks", Operation::TaskList),
            ("filter", Operation::Filter),
        ] {
            let answer = self.ask(operation).await?;
            put_answer(files, &format!("monitor/{what}.json"), &answer);
        }
        if !self.orders.scenario.monitor.watches.is_empty() {
            let answer = self.ask(Operation::AlarmList { mvpn: None }).await?;
            put_answer(files, "monitor/alarms.json", &answer);
        }
        for task in self.tasks.keys().cloned().collect::<Vec<_>>() {
            let answer = self
                .ask(Operation::TaskStats(PairsQuestion::all(named(&task)?.name)))
                .await?;
            put_answer(files, &format!("monitor/pairs-{task}.json"), &answer);
        }
        let scenario = self.orders.scenario;
        for oneway in &scenario.monitor.oneways {
            let named = oneway::by_name(oneway)?;
            let answer = self.ask(Operation::OnewayShow(named)).await?;
            put_answer(
                files,
                &format!("monitor/oneway-{}.json", oneway.name),
                &answer,
            );
        }
        for passive in &scenario.monitor.passives {
            let answer = self
                .ask(Operation::PassiveStats(named(&passive.mvpn)?))
                .await?;
            put_answer(
                files,
                &format!("monitor/passive-{}.json", passive.mvpn),
                &answer,
            );
        }
        Ok(())
    }
}

fn put_answer<T: Serialize>(files: &mut Files, name: &str, answer: &T) {
    // Came through serde a moment ago.
    files.insert(
        name.to_owned(),
        serde_json::to_vec_pretty(answer).unwrap_or_default(),
    );
}
