//! Commands in a node's namespace, with their streams, at a terminal or at none.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};

use mvpnlab_emulator::lab::{Lab, Session};
use mvpnlab_emulator::plan::Plan;
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::process::{Child, ChildStdin};

use super::{Channel, Desk};
use crate::drive::DriveError;
use crate::live::frame::Kind;
use crate::live::request::{Ended, Size, Terminal};

const PIECE_BYTES: usize = 16 << 10;

/// Where commands can run. They need no lock on the lab: a command may take long.
pub struct Namespaces {
    known: BTreeMap<String, OwnedFd>,
}

impl Namespaces {
    /// All of a plan's.
    pub fn of(lab: &Lab, plan: &Plan) -> Result<Self, DriveError> {
        let open = |name: &String| {
            let open = lab.open_namespace(name);
            open.map(|fd| (name.clone(), fd))
                .map_err(|e| crate::drive::impossible(format!("open the namespace of {name}"), e))
        };
        let known = plan.namespaces.iter().map(|n| open(&n.name));
        Ok(Self {
            known: known.collect::<Result<_, _>>()?,
        })
    }

    fn get(&self, name: &str) -> Result<&OwnedFd, String> {
        self.known.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.known.keys().map(String::as_str).collect();
            format!(
                "there is no node {name:?} in this lab; there are: {}",
                known.join(", ")
            )
        })
    }
}

impl Desk<'_> {
    fn command(&self, node: &str, words: &[String], session: Session) -> Result<Command, String> {
        let namespace = self.namespaces.get(node)?;
        let (program, arguments) = words.split_first().ok_or("no command was given")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("PATH", &self.path)
            .env("MVPNLAB_NODE", node)
            .env("PS1", format!("{node}# "))
            .current_dir("/");
        let placed = mvpnlab_emulator::lab::place(namespace, &mut command, session);
        placed.map_err(|e| format!("cannot enter the namespace of {node}: {e}"))?;
        Ok(command)
    }
}

impl Channel<'_, '_> {
    /// Streams output and standard error apart.
    pub(super) async fn exec(
        &mut self,
        node: &str,
        words: &[String],
        input: bool,
    ) -> Result<Value, String> {
        let mut command = self.desk.command(node, words, Session::Group)?;
        let stdin = match input {
            true => Stdio::piped(),
            false => Stdio::null(),
        };
        command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = start(command, words)?;
        let mut stdin = child.stdin.take();
        let (mut out, mut err) = (
            Pieces::of(child.stdout.take()),
            Pieces::of(child.stderr.take()),
        );
        let status = loop {
            tokio::select! {
                piece = out.next() => self.stream(Kind::Output, &piece).await,
                piece = err.next() => self.stream(Kind::ErrorOutput, &piece).await,
                frame = self.incoming.recv() => match frame {
                    Some(frame) if frame.kind == Kind::Input => feed(&mut stdin, &frame.content).await,
                    Some(frame) if frame.kind == Kind::InputEnd => stdin = None,
                    Some(frame) if frame.kind != Kind::HangUp => {}
                    _ => {
                        end(&child);
                        break child.wait().await;
                    }
                },
                status = child.wait(), if out.is_over && err.is_over => break status,
            }
        };
        ended(status)
    }

    /// One stream each way, as terminals have it.
    pub(super) async fn exec_at_terminal(
        &mut self,
        node: &str,
        words: &[String],
        terminal: &Terminal,
    ) -> Result<Value, String> {
        let cannot = |e: io::Error| format!("cannot make a terminal: {e}");
        let pty = openpty(Some(&winsize(terminal.size)), None).map_err(|e| cannot(e.into()))?;
        let slave = || pty.slave.try_clone().map(Stdio::from);
        let mut command = self.desk.command(node, words, Session::Terminal)?;
        command
            .stdin(slave().map_err(cannot)?)
            .stdout(slave().map_err(cannot)?)
            .stderr(slave().map_err(cannot)?)
            .env("TERM", &terminal.kind);
        let mut child = start(command, words)?;
        drop(pty.slave);
        let master = Master::new(pty.master).map_err(cannot)?;
        let status = loop {
            tokio::select! {
                piece = master.read() => match piece {
                    Some(piece) => self.stream(Kind::Output, &piece).await,
                    None => break child.wait().await,
                },
                frame = self.incoming.recv() => match frame {
                    Some(frame) if frame.kind == Kind::Input => master.write(&frame.content).await,
                    Some(frame) if frame.kind == Kind::Resize => {
                        if let Ok(size) = serde_json::from_slice(&frame.content) {
                            master.resize(size);
                        }
                    }
                    Some(frame) if frame.kind != Kind::HangUp => {}
                    _ => {
                        end(&child);
                        break child.wait().await;
                    }
                },
            }
        };
        ended(status)
    }
}

fn start(command: Command, words: &[String]) -> Result<Child, String> {
    let mut command = tokio::process::Command::from(command);
    let child = command.kill_on_drop(true).spawn();
    child.map_err(|e| format!("cannot start {:?}: {e}", words.join(" ")))
}

/// A program that reads no more has no need of more.
async fn feed(stdin: &mut Option<ChildStdin>, bytes: &[u8]) {
    if let Some(pipe) = stdin
        && pipe.write_all(bytes).await.is_err()
    {
        *stdin = None;
    }
}

/// The command and what it has started.
fn end(child: &Child) {
    if let Some(id) = child.id() {
        // It may have ended in this moment.
        let _ = killpg(Pid::from_raw(id as i32), Signal::SIGKILL);
    }
}

fn ended(status: io::Result<ExitStatus>) -> Result<Value, String> {
    let status = status.map_err(|e| format!("cannot wait for the command: {e}"))?;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    let status = code
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX);
    serde_json::to_value(Ended { status }).map_err(|e| e.to_string())
}

/// An output in pieces.
struct Pieces<R> {
    source: Option<R>,
    is_over: bool,
}

impl<R: AsyncRead + Unpin> Pieces<R> {
    fn of(source: Option<R>) -> Self {
        Self {
            is_over: source.is_none(),
            source,
        }
    }

    /// The next piece; empty at the end, and after that it does not return.
    async fn next(&mut self) -> Vec<u8> {
        let mut piece = vec![0; PIECE_BYTES];
        let read = match self.source.as_mut().filter(|_| !self.is_over) {
            Some(source) => source.read(&mut piece).await.unwrap_or(0),
            None => std::future::pending().await,
        };
        self.is_over = read == 0;
        piece.truncate(read);
        piece
    }
}

/// The desk's side of a terminal.
struct Master {
    fd: AsyncFd<OwnedFd>,
}

impl Master {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        // SAFETY: the descriptor is open, and the watch owns it until it is dropped.
        let fd =
            unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE | Interest::WRITABLE) };
        Ok(Self {
            fd: fd.map_err(io::Error::from)?,
        })
    }

    /// None when the last program at the terminal has ended: the kernel says EIO then.
    async fn read(&self) -> Option<Vec<u8>> {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let mut ready = self.fd.readable().await.ok()?;
            let read =
                ready.try_io(|fd| nix::unistd::read(fd, &mut piece).map_err(io::Error::from));
            match read {
                Ok(Ok(0) | Err(_)) => return None,
                Ok(Ok(count)) => {
                    piece.truncate(count);
                    return Some(piece);
                }
                Err(_would_block) => {}
            }
        }
    }

    async fn write(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Ok(mut ready) = self.fd.writable().await else {
                return;
            };
            let wrote = ready.try_io(|fd| nix::unistd::write(fd, bytes).map_err(io::Error::from));
            match wrote {
                Ok(Ok(count)) => bytes = &bytes[count..],
                Ok(Err(_)) => return,
                Err(_would_block) => {}
            }
        }
    }

    fn resize(&self, size: Size) {
        let size = winsize(size);
        // SAFETY: the request takes a winsize, which lives through the call. A failure leaves the old size.
        let _ = unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::TIOCSWINSZ, &size) };
    }
}

fn winsize(size: Size) -> Winsize {
    Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
