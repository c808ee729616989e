//! The daemon under load: its process, its control socket, and what they say of themselves.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Problem;
use crate::network::{Network, STREAMS, group};

/// No answer takes this long.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Daemon {
    child: Child,
    folder: PathBuf,
    questions: Client,
    /// From when on it is listened to: who lets too many events wait is cut off.
    events: Option<Client>,
}

/// What the daemon costs, as of some moment.
pub struct Figures {
    pub cpu_s: f64,
    pub resident_kb: u64,
    pub database_bytes: u64,
    /// States that are over, in the database.
    pub history: u64,
    pub messages: u64,
    pub states: u64,
    pub captured: u64,
    pub dropped: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} states from {} messages; {} kB resident, database {:.1} MB",
            self.states,
            self.messages,
            self.resident_kb,
            self.database_bytes as f64 / 1e6
        )
    }
}

/// The program that is built beside this one.
pub fn vmscope() -> Result<Command, Problem> {
    let here = std::env::current_exe()?;
    let beside = here.parent().and_then(Path::parent);
    let program = beside
        .ok_or("this program lies in no target directory")?
        .join("vmscope");
    match program.exists() {
        true => Ok(Command::new(program)),
        false => Err(format!(
            "there is no {}: build it first, cargo build --release -p vmscope",
            program.display()
        )
        .into()),
    }
}

impl Daemon {
    pub fn start(folder: &Path) -> Result<Daemon, Problem> {
        let place = folder.display();
        let config = format!(
            r#"
interface = "{}"
socket = "{place}/run/vmscope.sock"
database = "{place}/results.sqlite"
[[tunnels]]
name = "lan"
encapsulation = "none"
inner_local = "10.1.0.2"
inner_remote = "10.1.0.1"
ping_interval = "0s"
[[mvpns]]
name = "red"
group = "239.1.1.1"
watch = {{ tunnels = ["lan"] }}
"#,
            crate::tap::NAME
        );
        let path = folder.join("vmscope.toml");
        fs::write(&path, config)?;
        let mut child = vmscope()?
            .args(["daemon", "--config"])
            .arg(&path)
            .stderr(Stdio::piped())
            .spawn()?;
        let said = child.stderr.take().ok_or("it has no stderr")?;
        let mut said = BufReader::new(said);
        let mut line = String::new();
        while !line.contains("INFO session") {
            line.clear();
            if said.read_line(&mut line)? == 0 {
                return Err("the daemon ended before it served".into());
            }
        }
        // What it says later is for people to see.
        std::thread::spawn(move || {
            said.lines()
                .map_while(Result::ok)
                .for_each(|line| eprintln!("{line}"))
        });
        let socket = folder.join("run/vmscope.sock");
        Ok(Daemon {
            child,
            folder: folder.to_owned(),
            questions: Client::connect(&socket)?,
            events: None,
        })
    }

    pub fn figures(&mut self) -> Result<Figures, Problem> {
        let status = self.questions.ask(json!({"op": "status"}))?;
        // Only what is heard is wanted here, not all the states: nothing is of this PE.
        let question = json!({"op": "mvpn-list"});
        let heard = self.questions.ask(question)?["mvpns"][0]["heard"].clone();
        let pim = heard["pim"].as_object().ok_or("nothing is heard")?;
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let size = vmscope_store::Reader::open(&self.database())?.size()?;
        Ok(Figures {
            cpu_s: self.cpu_s()?,
            resident_kb: self.resident_kb()?,
            database_bytes: self.database_bytes()?,
            history: size.past,
            messages: pim.values().map(number).sum::<u64>() + number(&heard["mdt_joins"]),
            states: size.now,
            captured: number(&status["capture_received"]),
            dropped: number(&status["capture_drops"]),
        })
    }

    /// From the writing of a Prune until its event is here.
    pub fn time_a_prune(&mut self, network: &mut Network) -> Result<Duration, Problem> {
        network.mark(true)?;
        self.wait_for_mark("said")?;
        let began = Instant::now();
        network.mark(false)?;
        self.wait_for_mark("taken-back")?;
        Ok(began.elapsed())
    }

    /// Listens to changes from now on.
    pub fn listen(&mut self) -> Result<(), Problem> {
        let mut events = Client::connect(&self.folder.join("run/vmscope.sock"))?;
        events.ask(json!({"op": "subscribe", "events": ["change"]}))?;
        self.events = Some(events);
        Ok(())
    }

    fn wait_for_mark(&mut self, cause: &str) -> Result<(), Problem> {
        let [a, b, c, d] = group(STREAMS);
        let group = format!("{a}.{b}.{c}.{d}");
        let events = self.events.as_mut().ok_or("nobody listens")?;
        loop {
            let line = events.hear()?;
            if line.contains(&group) && line.contains(cause) {
                return Ok(());
            }
        }
    }

    pub fn end(mut self) -> Result<(), Problem> {
        self.questions.ask(json!({"op": "shutdown"}))?;
        self.child.wait()?;
        Ok(())
    }

    fn database(&self) -> PathBuf {
        self.folder.join("results.sqlite")
    }

    fn database_bytes(&self) -> Result<u64, Problem> {
        let mut bytes = 0;
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with("results.sqlite")
            {
                bytes += entry.metadata()?.len();
            }
        }
        Ok(bytes)
    }

    /// User and system time, in ticks of 10 ms.
    fn cpu_s(&self) -> Result<f64, Problem> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let behind_name = text.rsplit(") ").next().ok_or("an odd stat file")?;
        let fields: Vec<&str> = behind_name.split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|t| t.parse::<u64>().ok());
        let both = ticks(11).zip(ticks(12)).ok_or("an odd stat file")?;
        Ok((both.0 + both.1) as f64 / 100.0)
    }

    fn resident_kb(&self) -> Result<u64, Problem> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(number.ok_or("an odd status file")?.parse()?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Client {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Client {
    fn connect(socket: &Path) -> Result<Client, Problem> {
        let writer = UnixStream::connect(socket)?;
        writer.set_read_timeout(Some(PATIENCE))?;
        let reader = BufReader::new(writer.try_clone()?);
        Ok(Client { reader, writer })
    }

    fn ask(&mut self, request: Value) -> Result<Value, Problem> {
        let line = json!({"id": 1, "request": request}).to_string() + "\n";
        self.writer.write_all(line.as_bytes())?;
        let answer: Value = serde_json::from_str(&self.hear()?)?;
        match answer["ok"].is_object() {
            true => Ok(answer["ok"].clone()),
            false => Err(answer.to_string().into()),
        }
    }

    fn hear(&mut self) -> Result<String, Problem> {
        let mut line = String::new();
        match self.reader.read_line(&mut line)? {
            0 => Err("the daemon closed the connection".into()),
            _ => Ok(line),
        }
    }
}
