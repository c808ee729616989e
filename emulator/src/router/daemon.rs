//! A namespace's routing daemons: started in order from a plan's configurations, asked, killed, started again.

use std::{
    fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nix::{
    sys::{prctl, signal::Signal},
    unistd::{Group, User, chown},
};
use tokio::time::{Instant, sleep};

use super::{
    join::{self, Join},
    pimd,
    state::{self, Membership, Neighbor, RouterState},
    vty,
};
use crate::{
    kernel::{KernelError, Netns, Process, mroute, process::Mounts, route},
    plan::{Daemon, DaemonProgram, Router},
};

/// How long a daemon may take to open its socket, in the lab's time. Under emulation a start costs whole
/// seconds of processor time, and all of a lab's daemons start at once.
const START_PATIENCE: Duration = Duration::from_secs(90);
/// By how much the kernel may let a daemon oversleep. FRR's daemons round what they sleep down to whole milliseconds, and
/// then ask over and over until the rest has passed: three in four of all system calls in a minute of Table 1. None of
/// their timers is so fine that two milliseconds matter.
const SLACK_NS: u64 = 2_000_000;
/// Between two looks for something that a starting daemon makes.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The daemons of one namespace.
#[derive(Debug)]
pub struct Daemons {
    router: Router,
    folder: PathBuf,
    running: Vec<(DaemonProgram, Process)>,
}

impl Daemons {
    /// Writes the configurations below `folder`. Nothing is started.
    pub fn prepare(namespace: &Netns, router: &Router, folder: &Path) -> Result<Self, KernelError> {
        let folder = folder.join(namespace.name());
        let this = Self {
            router: router.clone(),
            folder,
            running: Vec::new(),
        };
        this.write()
            .map_err(|e| namespace.error("write the routers' configurations", e))?;
        Ok(this)
    }

    fn write(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        give_to_frr(&self.folder)?;
        for daemon in &self.router.daemons {
            let path = self.path(daemon.program, "conf");
            fs::write(&path, &daemon.config)?;
            give_to_frr(&path)?;
        }
        Ok(())
    }

    /// Starts zebra, the others' way to the kernel's routes.
    pub fn start_first(&mut self, namespace: &Netns) -> Result<(), KernelError> {
        self.start_where(namespace, |program| program == DaemonProgram::Zebra)
    }

    /// Starts the rest of FRR, once zebra listens.
    pub async fn start_rest(&mut self, namespace: &Netns) -> Result<(), KernelError> {
        if self.is_running(DaemonProgram::Zebra) {
            self.appears(namespace, &self.folder.join("zserv.api"))
                .await?;
        }
        self.start_where(namespace, |program| {
            !matches!(program, DaemonProgram::Zebra | DaemonProgram::Pimd)
        })
    }

    /// Starts troglobit's pimd. What it wants to join and finds no way for at that moment it tries again only with its
    /// next periodic Join, 60 s later: best when there are routes.
    pub fn start_last(&mut self, namespace: &Netns) -> Result<(), KernelError> {
        self.start_where(namespace, |program| program == DaemonProgram::Pimd)
    }

    /// Waits until all can be asked, and gives them what they cannot take from a file.
    pub async fn settle(&mut self, namespace: &Netns) -> Result<(), KernelError> {
        for (program, _) in &self.running {
            if *program != DaemonProgram::Pimd {
                self.appears(namespace, &self.path(*program, "vty")).await?;
            }
        }
        self.replay_joins(namespace).await
    }

    /// SIGKILL to all; the kernel drops the multicast state that they held.
    pub fn kill(&mut self) {
        self.running.clear();
        // A new zebra must not be taken for the old one.
        for name in ["zserv.api", "zebra.vty", "ospfd.vty", "pimd.vty"] {
            let _ = fs::remove_file(self.folder.join(name));
        }
    }

    /// The first daemon that has ended by itself, in words.
    pub fn casualty(&mut self) -> Option<String> {
        let log = |program| self.folder.join(format!("{}.log", file_name(program)));
        self.running.iter_mut().find_map(|(program, process)| {
            let status = process.ended()?;
            let last = fs::read_to_string(log(*program)).unwrap_or_default();
            let last = last
                .lines()
                .next_back()
                .unwrap_or("nothing in its log")
                .to_owned();
            Some(format!(
                "{} of {} ended ({status}): {last}",
                file_name(*program),
                self.router.namespace
            ))
        })
    }

    /// Lets troglobit's pimd, which reads the list of interfaces once, look at it again. FRR sees changes by itself.
    pub fn interfaces_changed(&self) -> io::Result<()> {
        let pimd = self
            .running
            .iter()
            .find(|(program, _)| *program == DaemonProgram::Pimd);
        pimd.map_or(Ok(()), |(_, process)| process.signal(Signal::SIGHUP))
    }

    /// Asks the daemons and the kernel. What cannot be asked yet is absent.
    pub async fn state(&self, namespace: &Netns) -> Result<RouterState, KernelError> {
        let mut found = RouterState {
            routes: route::prefixes(namespace).await?.into_iter().collect(),
            mroutes: mroute::read(namespace)?,
            ..RouterState::default()
        };
        for (program, process) in &self.running {
            match program {
                DaemonProgram::Zebra => {}
                DaemonProgram::Ospfd => {
                    found.ospf_full = state::frr_ospf_full(
                        &self.ask(*program, "show ip ospf neighbor json").await,
                    );
                }
                DaemonProgram::FrrPimd => {
                    found.pim_neighbors = state::frr_pim_neighbors(
                        &self.ask(*program, "show ip pim neighbor json").await,
                    );
                    found.rps =
                        state::frr_rps(&self.ask(*program, "show ip pim rp-info json").await);
                }
                DaemonProgram::Pimd => {
                    let dump = pimd_dump(process).await.unwrap_or_default();
                    found.pim_neighbors = pimd::neighbors(&dump, &mroute::vifs(namespace)?);
                    found.rps = pimd::reachable_rps(self.config(*program), &found.routes);
                }
            }
        }
        Ok(found)
    }

    /// What FRR's PIM says of one interface: its neighbours, the routes that they have asked for, and those that it asks
    /// of them. Nothing where no FRR runs.
    pub async fn on_interface(&self, interface: &str) -> Option<state::OnInterface> {
        let program = DaemonProgram::FrrPimd;
        if !self.is_running(program) {
            return None;
        }
        let neighbors =
            state::frr_pim_neighbors(&self.ask(program, "show ip pim neighbor json").await);
        let joins = self.ask(program, "show ip pim join json").await;
        let upstreams = self.ask(program, "show ip pim upstream json").await;
        Some(state::OnInterface {
            neighbors: neighbors
                .into_iter()
                .filter(|(on, _)| on == interface)
                .map(|(_, address)| address)
                .collect(),
            joins: state::frr_joins(&joins, interface),
            pruned: state::frr_pruned(&joins, interface),
            asks: state::frr_upstreams(&upstreams, interface),
        })
    }

    /// OSPF and PIM neighbours.
    pub async fn neighbors(&self, namespace: &Netns) -> Result<Vec<Neighbor>, KernelError> {
        let mut found = Vec::new();
        for (program, process) in &self.running {
            match program {
                DaemonProgram::Zebra => {}
                DaemonProgram::Ospfd => {
                    let answer = self.ask(*program, "show ip ospf neighbor json").await;
                    found.extend(state::frr_ospf_neighbors(&answer));
                }
                DaemonProgram::FrrPimd => {
                    let answer = self.ask(*program, "show ip pim neighbor json").await;
                    found.extend(state::frr_pim_ages(&answer));
                }
                DaemonProgram::Pimd => {
                    let dump = pimd_dump(process).await.unwrap_or_default();
                    let neighbors = pimd::neighbors(&dump, &mroute::vifs(namespace)?);
                    found.extend(neighbors.into_iter().map(|(interface, address)| Neighbor {
                        protocol: "PIM",
                        interface,
                        neighbor: address.to_string(),
                        state: "up".to_owned(),
                    }));
                }
            }
        }
        Ok(found)
    }

    /// IGMP memberships.
    pub async fn memberships(&self, namespace: &Netns) -> Result<Vec<Membership>, KernelError> {
        let mut found = Vec::new();
        for (program, process) in &self.running {
            match program {
                DaemonProgram::Zebra | DaemonProgram::Ospfd => {}
                DaemonProgram::FrrPimd => {
                    let sources = self.ask(*program, "show ip igmp sources json").await;
                    let groups = self.ask(*program, "show ip igmp groups json").await;
                    found.extend(state::frr_memberships(&sources, &groups));
                }
                DaemonProgram::Pimd => {
                    let dump = pimd_dump(process).await.unwrap_or_default();
                    found.extend(pimd::memberships(&dump, &mroute::vifs(namespace)?));
                }
            }
        }
        Ok(found)
    }

    /// The answer of every FRR daemon that knows the command; the refusals when none does.
    pub async fn tell(&self, command: &str) -> Result<String, String> {
        let (mut answers, mut refusals) = (Vec::new(), Vec::new());
        for (program, _) in &self.running {
            let name = file_name(*program);
            if *program == DaemonProgram::Pimd {
                refusals.push("pimd takes no commands; see `show` for its tables".to_owned());
                continue;
            }
            match vty::command(&self.path(*program, "vty"), command).await {
                Ok(answer) => answers.push(answer),
                Err(error) => refusals.push(format!("{name}: {error}")),
            }
        }
        match answers.is_empty() {
            true => Err(refusals.join("; ")),
            false => Ok(answers.concat()),
        }
    }

    /// Configurations, logs, and the state in the daemons' own words: file name and content.
    pub async fn papers(&self, namespace: &Netns) -> Result<Vec<(String, Vec<u8>)>, KernelError> {
        let mut papers = Vec::new();
        for Daemon { program, config } in &self.router.daemons {
            papers.push((
                format!("{}.conf", file_name(*program)),
                config.clone().into_bytes(),
            ));
            let log = fs::read(self.path(*program, "log")).unwrap_or_default();
            papers.push((format!("{}.log", file_name(*program)), log));
        }
        let mut text = String::new();
        for (program, process) in &self.running {
            for question in questions(*program) {
                text += &format!(
                    "# {}: {question}\n{}\n",
                    file_name(*program),
                    self.ask(*program, question).await
                );
            }
            if *program == DaemonProgram::Pimd {
                text += &format!("# pimd\n{}\n", pimd_dump(process).await.unwrap_or_default());
            }
        }
        text += "# kernel multicast forwarding\n";
        for entry in mroute::read(namespace)? {
            let incoming = entry.incoming.as_deref().unwrap_or("unresolved");
            text += &format!(
                "({}, {}) from {incoming} to {}\n",
                entry.source,
                entry.group,
                entry.outgoing.join(" ")
            );
        }
        papers.push(("state.txt".to_owned(), text.into_bytes()));
        Ok(papers)
    }

    /// An answer, or the reason why there is none: for people, and nothing that a parser would take for an answer.
    async fn ask(&self, program: DaemonProgram, question: &str) -> String {
        vty::command(&self.path(program, "vty"), question)
            .await
            .unwrap_or_else(|e| format!("% {e}"))
    }

    fn start_where(
        &mut self,
        namespace: &Netns,
        wanted: impl Fn(DaemonProgram) -> bool,
    ) -> Result<(), KernelError> {
        for Daemon { program, .. } in &self.router.daemons {
            if wanted(*program) {
                let (mut command, mounts) = self.command(*program);
                let_oversleep(&mut command);
                let process =
                    Process::spawn(namespace, command, mounts, &self.path(*program, "log"))?;
                self.running.push((*program, process));
            }
        }
        Ok(())
    }

    fn command(&self, program: DaemonProgram) -> (Command, Mounts) {
        let config = self.path(program, "conf");
        if program == DaemonProgram::Pimd {
            let mut command = Command::new("/usr/sbin/pimd");
            command.args(["-f", "-s", "info", "-c"]).arg(config);
            return (command, Mounts::PrivateRun);
        }
        let mut command = Command::new(Path::new("/usr/lib/frr").join(file_name(program)));
        command
            .arg("-f")
            .arg(config)
            .arg("-i")
            .arg(self.path(program, "pid"));
        // All sockets in the namespace's own folder: daemons of many routers share one file system.
        command
            .arg("-z")
            .arg(self.folder.join("zserv.api"))
            .arg("--vty_socket")
            .arg(&self.folder)
            .args(["-P", "0"]);
        (command, Mounts::Shared)
    }

    /// FRR reads its file before it knows the interfaces, and then cannot join a group on one: what the file says
    /// of `ip igmp join` is said again when it can be done.
    async fn replay_joins(&self, namespace: &Netns) -> Result<(), KernelError> {
        let Some(daemon) = self
            .router
            .daemons
            .iter()
            .find(|d| d.program == DaemonProgram::FrrPimd)
        else {
            return Ok(());
        };
        let socket = self.path(DaemonProgram::FrrPimd, "vty");
        for join in join::joins(&daemon.config) {
            let deadline = Instant::now() + START_PATIENCE;
            while let Err(error) = join::say(&socket, &join).await {
                if Instant::now() > deadline {
                    let Join {
                        interface,
                        group,
                        source,
                    } = join;
                    let source = source.map_or("*".to_owned(), |source| source.to_string());
                    let attempted = format!("join ({source}, {group}) on {interface}");
                    return Err(namespace.error(attempted, error));
                }
                sleep(LOOK_AGAIN).await;
            }
        }
        Ok(())
    }

    async fn appears(&self, namespace: &Netns, socket: &Path) -> Result<(), KernelError> {
        let deadline = Instant::now() + START_PATIENCE;
        while !socket.exists() {
            if Instant::now() > deadline {
                let log = fs::read_to_string(socket.with_extension("log")).unwrap_or_default();
                let last = log
                    .lines()
                    .next_back()
                    .unwrap_or("no line in its log")
                    .to_owned();
                return Err(
                    namespace.error(format!("wait for the socket {}", socket.display()), last)
                );
            }
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    fn config(&self, program: DaemonProgram) -> &str {
        let daemon = self.router.daemons.iter().find(|d| d.program == program);
        daemon.map_or("", |d| &d.config)
    }

    fn is_running(&self, program: DaemonProgram) -> bool {
        self.running.iter().any(|(p, _)| *p == program)
    }

    fn path(&self, program: DaemonProgram, extension: &str) -> PathBuf {
        self.folder
            .join(format!("{}.{extension}", file_name(program)))
    }
}

fn questions(program: DaemonProgram) -> &'static [&'static str] {
    match program {
        DaemonProgram::Zebra => &["show ip route"],
        DaemonProgram::Ospfd => &["show ip ospf neighbor", "show ip ospf database"],
        DaemonProgram::FrrPimd => &[
            "show ip pim neighbor",
            "show ip pim rp-info",
            "show ip igmp groups",
            "show ip pim upstream",
            "show ip mroute",
        ],
        DaemonProgram::Pimd => &[],
    }
}

fn file_name(program: DaemonProgram) -> &'static str {
    match program {
        DaemonProgram::Zebra => "zebra",
        DaemonProgram::Ospfd => "ospfd",
        DaemonProgram::FrrPimd | DaemonProgram::Pimd => "pimd",
    }
}

/// FRR's daemons drop to their own user and must be able to write where their sockets are.
fn give_to_frr(path: &Path) -> io::Result<()> {
    let user = User::from_name("frr")?.map(|u| u.uid);
    let group = Group::from_name("frr")?.map(|g| g.gid);
    Ok(chown(path, user, group)?)
}

/// pimd writes its tables to a file in its own /run when it gets SIGUSR1.
async fn pimd_dump(process: &Process) -> io::Result<String> {
    let folder = PathBuf::from(format!("/proc/{}/root/run/pimd", process.pid()));
    for old in fs::read_dir(&folder)?.flatten() {
        fs::remove_file(old.path())?;
    }
    process.signal(Signal::SIGUSR1)?;
    let deadline = Instant::now() + Duration::from_secs(2);
    while Instant::now() < deadline {
        sleep(LOOK_AGAIN).await;
        for file in fs::read_dir(&folder)?.flatten() {
            let text = fs::read_to_string(file.path())?;
            if text.contains("Number of Cache MIRRORs") {
                return Ok(text);
            }
        }
    }
    Err(io::Error::new(
        io::ErrorKind::TimedOut,
        "pimd wrote no tables",
    ))
}

/// See [`SLACK_NS`].
fn let_oversleep(command: &mut Command) {
    // SAFETY: between fork and exec only a system call is made.
    unsafe { command.pre_exec(|| Ok(prctl::set_timerslack(SLACK_NS)?)) };
}
