//! A peer of the monitor under test: a `vmscope` of its own on another host, asked by nobody but that monitor.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use mvpnlab_emulator::lab::{Lab, Process};
use mvpnlab_emulator::place::Files;
use mvpnlab_emulator::plan::MonitorPlan;

use super::oneway::{self, PeerPaths};
use super::orders::MonitorPaths;
use super::{DriveError, Orders, impossible};
use crate::monitor_client::MonitorClient;

/// How long a peer may take to answer after its start, in the lab's time.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to end after SIGTERM.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
pub struct Peer<'a> {
    orders: &'a Orders<'a>,
    host: &'a MonitorPlan,
    paths: MonitorPaths,
    process: Option<Process>,
}

impl<'a> Peer<'a> {
    /// Makes its certificate and its token, writes its configuration, and starts it.
    pub async fn start(
        lab: &mut Lab,
        orders: &'a Orders<'a>,
        host: &'a MonitorPlan,
    ) -> Result<Self, DriveError> {
        let secrets = PeerPaths::of(&host.namespace);
        let folder = &secrets.folder;
        fs::create_dir_all(folder).map_err(|e| impossible("make a peer's folder", e))?;
        make_certificate(orders, &secrets, &host.namespace)?;
        make_token(orders, &secrets)?;
        let paths = MonitorPaths {
            config: folder.join("config.toml"),
            socket: folder.join("control.sock"),
            database: folder.join("vmscope.db"),
            log: folder.join("log.txt"),
        };
        let config = oneway::peer_configuration(orders.scenario, orders.plan, host, &paths)?;
        let write = |e: &dyn std::fmt::Display| impossible("write a peer's configuration", e);
        let text = toml::to_string(&config).map_err(|e| write(&e))?;
        fs::write(&paths.config, text).map_err(|e| write(&e))?;
        let mut peer = Self {
            orders,
            host,
            paths,
            process: None,
        };
        peer.launch(lab).await?;
        Ok(peer)
    }

    /// The host's name.
    pub fn host(&self) -> &str {
        &self.host.namespace
    }

    /// Starts it with its configuration file, for the first time or again.
    pub async fn launch(&mut self, lab: &mut Lab) -> Result<(), DriveError> {
        let mut command =
            (self.orders.monitor)().map_err(|e| impossible("install the monitor", e))?;
        command
            .arg("daemon")
            .arg("--config")
            .arg(&self.paths.config);
        self.process = Some(lab.spawn(self.host(), command, &self.paths.log)?);
        let what = format!("start the monitor's peer at {}", self.host());
        let answers = MonitorClient::connect(&self.paths.socket, START_PATIENCE).await;
        answers.map(drop).map_err(|error| {
            let log = fs::read_to_string(&self.paths.log).unwrap_or_default();
            let last = log.lines().next_back().unwrap_or("none").to_owned();
            impossible(what, format!("{error}\nits last words: {last}"))
        })
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<(), DriveError> {
        let what = format!("kill the monitor's peer at {}", self.host());
        match self.process.take() {
            Some(mut process) => process.kill().map(drop).map_err(|e| impossible(what, e)),
            None => Err(impossible(what, "it is not running")),
        }
    }

    /// Ends it, and packs what it leaves: `peers/<host>/…`.
    pub async fn finish(mut self) -> Files {
        let mut files = Files::new();
        let name = |what: &str| format!("peers/{}/{what}", self.host.namespace);
        if let Some(mut process) = self.process.take() {
            let ended = process.terminate(END_PATIENCE).await;
            files.insert(name("exit.txt"), format!("{ended:?}\n").into_bytes());
        }
        for (what, path) in [
            ("config.toml", &self.paths.config),
            ("log.txt", &self.paths.log),
        ] {
            // One that was killed may have left less: evidence, not a verdict.
            if let Ok(bytes) = fs::read(path) {
                files.insert(name(what), bytes);
            }
        }
        files
    }
}

/// `vmscope certificate`: whom the monitor under test trusts it is talking to.
fn make_certificate(
    orders: &Orders<'_>,
    secrets: &PeerPaths,
    host: &str,
) -> Result<(), DriveError> {
    let name = oneway::peer_name(host).to_string();
    let folder = secrets.folder.display().to_string();
    run(orders, &["certificate", "--name", &name, "--out", &folder]).map(drop)
}

/// `vmscope token`: by which the peer knows the monitor under test. It is said once, on standard output.
fn make_token(orders: &Orders<'_>, secrets: &PeerPaths) -> Result<(), DriveError> {
    let tokens = secrets.tokens.display().to_string();
    let token = run(
        orders,
        &[
            "token", "new", "--tokens", &tokens, "--label", "monitor", "--peer",
        ],
    )?;
    write_secret(&secrets.token, &token).map_err(|e| impossible("write a peer's token", e))
}

fn write_secret(path: &PathBuf, text: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// The monitor's own command line, to its end.
fn run(orders: &Orders<'_>, arguments: &[&str]) -> Result<Vec<u8>, DriveError> {
    let what = || format!("run vmscope {}", arguments[0]);
    let mut command: Command =
        (orders.monitor)().map_err(|e| impossible("install the monitor", e))?;
    let output = command
        .current_dir(Path::new("/"))
        .args(arguments)
        .output()
        .map_err(|e| impossible(what(), e))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(impossible(what(), format!("{}: {said}", output.status)))
        }
    }
}
