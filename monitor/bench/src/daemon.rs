//! The real monitor as a process, driven through its control socket as an operator would.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sched::CpuSet;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::frames::{self, MONITOR};
use crate::place::{self, MONITOR_LINK, Problem};
use crate::reference::group;

/// No answer takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the monitor is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The executable.
    pub executable: PathBuf,
    /// Tunnels, numbered from 1.
    pub tunnels: u32,
    /// Whether results go into a database, and every probe's fate with them.
    pub log: Log,
    /// Processors it may use.
    pub processors: CpuSet,
    /// More TOML for the top of its configuration.
    pub more: String,
}

/// What is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// Interval results, in an SQLite file.
    Intervals,
    /// Every probe's fate besides.
    Probes,
}

/// A monitor at work; killed when dropped.
pub struct Daemon {
    child: Child,
    directory: tempfile::TempDir,
    client: Client,
}

impl Daemon {
    /// Starts it on the monitor's end of the link of the calling thread's namespace, and waits until it answers.
    pub fn start(setup: &Setup) -> Result<Daemon, Problem> {
        let directory =
            tempfile::tempdir().map_err(|error| format!("cannot make a directory: {error}"))?;
        let socket = directory.path().join("vmscope.sock");
        let path = directory.path().join("vmscope.toml");
        std::fs::write(&path, configuration(setup, directory.path()))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        place::keep_to(&setup.processors);
        let mut child = Command::new(&setup.executable)
            .arg("daemon")
            .arg("--config")
            .arg(&path)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                format!(
                    "cannot run {}: {error}; `make build` makes it",
                    setup.executable.display()
                )
            })?;
        let mut said = BufReader::new(
            child
                .stderr
                .take()
                .ok_or("the monitor has no standard error")?,
        );
        let mut line = String::new();
        while !line.contains("INFO session") {
            line.clear();
            if said
                .read_line(&mut line)
                .map_err(|error| error.to_string())?
                == 0
            {
                return Err("the monitor ended before it served".to_owned());
            }
        }
        // What it says later is for people; it must not stand in its way.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let client = Client::connect(&socket)?;
        Ok(Daemon {
            child,
            directory,
            client,
        })
    }

    /// Asks, and returns what is under `ok`.
    pub fn ask(&mut self, request: &Value) -> Result<Value, Problem> {
        self.client.ask(request)
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Its database.
    pub fn database(&self) -> PathBuf {
        self.directory.path().join("results.sqlite")
    }

    /// Ends it in good order, so that its database is complete.
    pub fn stop(&mut self) -> Result<(), Problem> {
        self.ask(&json!({"op": "shutdown"}))?;
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the monitor ended with {status}"))
        }
    }

    /// Nanoseconds of processor time it has used, all threads.
    pub fn processor_ns(&self) -> u64 {
        self.threads().values().map(|(used, _)| used).sum()
    }

    /// Nanoseconds that its first thread, which sends and reads, could have run and had to wait: others had its processor.
    pub fn waited_ns(&self) -> u64 {
        let first = self.threads().remove(&self.child.id());
        first.map_or(0, |(_, waited)| waited)
    }

    /// Nanoseconds of processor time, used and waited for, by thread.
    fn threads(&self) -> std::collections::BTreeMap<u32, (u64, u64)> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let threads = std::fs::read_dir(tasks).into_iter().flatten().flatten();
        let times = threads.filter_map(|thread| {
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            let mut numbers = text.split(' ').map_while(|number| number.parse().ok());
            let number = thread.file_name().to_string_lossy().parse().ok()?;
            Some((number, (numbers.next()?, numbers.next()?)))
        });
        times.collect()
    }

    /// Bytes of memory it has resident.
    pub fn resident_bytes(&self) -> u64 {
        let text =
            std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap_or_default();
        let pages: u64 = text
            .split(' ')
            .nth(1)
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        pages * 4_096
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = kill(
            Pid::from_raw(self.child.id().cast_signed()),
            Signal::SIGKILL,
        );
        let _ = self.child.wait();
    }
}

fn configuration(setup: &Setup, directory: &Path) -> String {
    let mut text = format!(
        "interface = \"{MONITOR_LINK}\"\nsocket = \"{0}/vmscope.sock\"\ndatabase = \"{0}/results.sqlite\"\nlog_probes = {1}\n{2}\n",
        directory.display(),
        setup.log == Log::Probes,
        setup.more,
    );
    // A ping a second over each of a hundred tunnels; no more in all over more of them.
    let ping_s = setup.tunnels.div_ceil(100);
    for id in 1..=setup.tunnels {
        let (local, remote) = frames::inner_ends(id);
        let [monitor, pe, local, remote] =
            [MONITOR, frames::pe(id), local, remote].map(place::dotted);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "[[tunnels]]\nname = \"t{id}\"\nid = {id}\nouter_local = \"{monitor}\"\nouter_remote = \"{pe}\"\n\
             inner_local = \"{local}\"\ninner_remote = \"{remote}\"\nping_interval = \"{ping_s}s\"\n"
        );
    }
    text
}

/// Probing in groups of tunnels, every tunnel to every other of its group.
#[derive(Debug, Clone)]
pub struct Probing {
    /// In front of the tasks' names.
    pub name: String,
    /// Tunnels, numbered from 1.
    pub tunnels: u32,
    /// Tunnels of a group.
    pub per_group: u32,
    /// Probes a second, all senders together.
    pub probes_per_s: f64,
    /// UDP payload, bytes.
    pub payload_bytes: usize,
    /// Before counting begins.
    pub warmup: Duration,
    /// How long is counted.
    pub time: Duration,
    /// How long an interval is.
    pub interval: Duration,
}

/// What the monitor says of a probing, all pairs together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Probes times the receivers of each.
    pub expected: u64,
    /// Of those, copies that came.
    pub received: u64,
    /// Copies that did not.
    pub lost: u64,
    /// Copies that came twice.
    pub duplicates: u64,
}

impl Probing {
    /// Names of its tasks.
    fn names(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.tunnels / self.per_group).map(|n| format!("{}-{n}", self.name))
    }

    /// Starts all its tasks.
    pub fn start(&self, daemon: &mut Daemon) -> Result<(), Problem> {
        let millipps = (self.probes_per_s * 1_000.0 / f64::from(self.tunnels)).round();
        let ms = |time: Duration| format!("{}ms", time.as_millis());
        for (n, name) in self.names().enumerate() {
            let first = n as u32 * self.per_group + 1;
            let members: Vec<String> = (first..first + self.per_group)
                .map(|id| format!("t{id}"))
                .collect();
            daemon.ask(&json!({
                "op": "task-start", "name": name, "senders": members, "receivers": members,
                "group": place::dotted(group(first, self.per_group)),
                "probes": {
                    "rate": format!("{}pps", millipps / 1_000.0), "payload_bytes": self.payload_bytes,
                    "warmup": ms(self.warmup), "duration": ms(self.time), "interval": ms(self.interval),
                    "loss_timeout": "500ms",
                },
            }))?;
        }
        Ok(())
    }

    /// Waits until all its tasks are over.
    pub fn wait(&self, daemon: &mut Daemon) -> Result<(), Problem> {
        for name in self.names() {
            while daemon.ask(&json!({"op": "task-show", "name": name}))?["state"] != "finished" {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    /// What was counted, so far or in all.
    pub fn counted(&self, daemon: &mut Daemon) -> Result<Counted, Problem> {
        let mut sum = Counted::default();
        for name in self.names() {
            let answer = daemon.ask(&json!({"op": "task-stats", "name": name}))?;
            for pair in answer["pairs"].as_array().into_iter().flatten() {
                let number = |field: &str| pair["counts"][field].as_u64().unwrap_or(0);
                sum.expected += number("sent");
                sum.received += number("received");
                sum.lost += number("lost");
                sum.duplicates += number("duplicates");
            }
        }
        Ok(sum)
    }

    /// Rows of intervals in which something was lost, and of those the rows in which the monitor says that its own
    /// capture dropped packets.
    pub fn lossy_rows(&self, daemon: &mut Daemon) -> Result<(u64, u64), Problem> {
        let (mut lossy, mut owned) = (0, 0);
        self.look_at_rows(daemon, |lost, drops| {
            lossy += u64::from(lost > 0);
            owned += u64::from(lost > 0 && drops > 0);
        })?;
        Ok((lossy, owned))
    }

    /// Rows of intervals in which the monitor says that its capture dropped packets.
    pub fn rows_with_drops(&self, daemon: &mut Daemon) -> Result<u64, Problem> {
        let mut with_drops = 0;
        self.look_at_rows(daemon, |_, drops| with_drops += u64::from(drops > 0))?;
        Ok(with_drops)
    }

    /// Copies lost and packets dropped, row by row.
    fn look_at_rows(
        &self,
        daemon: &mut Daemon,
        mut look: impl FnMut(u64, u64),
    ) -> Result<(), Problem> {
        for name in self.names() {
            let mut since = 0;
            loop {
                let request =
                    json!({"op": "results", "name": name, "since": since, "limit": 10_000});
                let answer = daemon.ask(&request)?;
                let Some(rows) = answer["rows"].as_array().filter(|rows| !rows.is_empty()) else {
                    break;
                };
                for row in rows {
                    look(
                        row["counts"]["lost"].as_u64().unwrap_or(0),
                        row["capture_drops"].as_u64().unwrap_or(0),
                    );
                }
                since = rows
                    .last()
                    .and_then(|row| row["row"].as_u64())
                    .map_or(u64::MAX, |row| row + 1);
            }
        }
        Ok(())
    }

    /// Forgets its tasks.
    pub fn drop(&self, daemon: &mut Daemon) -> Result<(), Problem> {
        self.names().try_for_each(|name| {
            daemon
                .ask(&json!({"op": "task-drop", "name": name}))
                .map(|_| ())
        })
    }
}

struct Client {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Client {
    fn connect(socket: &Path) -> Result<Client, Problem> {
        let failed = |error: std::io::Error| {
            format!(
                "cannot speak to the monitor at {}: {error}",
                socket.display()
            )
        };
        let writer = UnixStream::connect(socket).map_err(failed)?;
        writer.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        Ok(Client {
            reader: BufReader::new(writer.try_clone().map_err(failed)?),
            writer,
        })
    }

    fn ask(&mut self, request: &Value) -> Result<Value, Problem> {
        let failed =
            |error: std::io::Error| format!("asked {request}, the monitor did not answer: {error}");
        let line = json!({"id": 1, "request": request}).to_string() + "\n";
        self.writer.write_all(line.as_bytes()).map_err(failed)?;
        let mut answer = String::new();
        if self.reader.read_line(&mut answer).map_err(failed)? == 0 {
            return Err(format!(
                "asked {request}, the monitor closed the connection"
            ));
        }
        let mut answer: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
        match answer["error"].take() {
            Value::Null => Ok(answer["ok"].take()),
            error => Err(format!("asked {request}, the monitor refused: {error}")),
        }
    }
}
