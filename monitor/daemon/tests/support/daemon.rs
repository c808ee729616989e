//! The real daemon as a process, and a client of its control socket that speaks plain JSON.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

/// No answer takes this long; if one does, the test fails rather than hangs.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Daemon {
    child: Child,
    socket: PathBuf,
    /// What it says after it has begun to serve.
    log: Option<JoinHandle<String>>,
}

impl Daemon {
    /// Starts a daemon with this configuration and waits until it answers.
    pub fn start(directory: &Path, config: &str) -> Daemon {
        Daemon::start_with(directory, config, &[])
    }

    /// The same with more on its command line.
    pub fn start_with(directory: &Path, config: &str, options: &[&str]) -> Daemon {
        let path = directory.join("vmscope.toml");
        std::fs::write(&path, config).unwrap();
        let mut child = vmscope()
            .args(["daemon", "--config"])
            .arg(&path)
            .args(options)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The daemon says so once it serves; nothing is slept for.
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("INFO session") {
            line.clear();
            let read = said.read_line(&mut line).unwrap();
            assert!(
                read > 0,
                "the daemon ended before it served: {:?}",
                child.wait()
            );
        }
        let log = std::thread::spawn(move || {
            let mut rest = String::new();
            let _ = said.read_to_string(&mut rest);
            print!("{rest}");
            rest
        });
        Daemon {
            child,
            socket: directory.join("run/vmscope.sock"),
            log: Some(log),
        }
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.socket)
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Runs the command line against this daemon.
    pub fn cli(&self, line: &str) -> Output {
        vmscope()
            .arg("--socket")
            .arg(&self.socket)
            .args(line.split(' '))
            .output()
            .unwrap()
    }

    /// The same, with something to read on its standard input.
    pub fn cli_with_input(&self, line: &str, input: &str) -> Output {
        let mut child = vmscope()
            .arg("--socket")
            .arg(&self.socket)
            .args(line.split(' '))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// All that it said, once it has ended.
    pub fn log(&mut self) -> String {
        self.log.take().unwrap().join().unwrap()
    }

    /// Waits for the end that was asked for; the exit code.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn vmscope() -> Command {
    Command::new(env!("CARGO_BIN_EXE_vmscope"))
}

pub struct Client {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    /// Events that came between replies.
    events: Vec<Value>,
}

impl Client {
    pub fn connect(socket: &Path) -> Client {
        let writer = UnixStream::connect(socket).unwrap();
        writer.set_read_timeout(Some(PATIENCE)).unwrap();
        let reader = BufReader::new(writer.try_clone().unwrap());
        Client {
            reader,
            writer,
            events: Vec::new(),
        }
    }

    /// Writes bytes as they are, and reads the next line.
    pub fn say(&mut self, bytes: &[u8]) -> Value {
        self.writer.write_all(bytes).unwrap();
        self.hear()
    }

    pub fn hear(&mut self) -> Value {
        let mut line = String::new();
        assert!(
            self.reader.read_line(&mut line).unwrap() > 0,
            "the daemon closed the connection"
        );
        serde_json::from_str(&line).unwrap()
    }

    /// Asks, and returns what is under `ok`.
    pub fn ask(&mut self, request: Value) -> Value {
        let reply = self.outcome(request);
        assert!(reply["error"].is_null(), "{reply}");
        reply["ok"].clone()
    }

    /// Asks, and returns the reply.
    pub fn outcome(&mut self, request: Value) -> Value {
        let line = json!({"id": 42, "request": request}).to_string() + "\n";
        let mut answer = self.say(line.as_bytes());
        while answer["event"].is_string() {
            self.events.push(answer);
            answer = self.hear();
        }
        assert_eq!(answer["id"], 42);
        answer
    }

    /// Events that came so far and nobody waited for.
    pub fn heard(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    /// The next event that fits.
    pub fn wait_for(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = if self.events.is_empty() {
                self.hear()
            } else {
                self.events.remove(0)
            };
            if fits(&event) {
                return event;
            }
        }
    }
}
