//! The desk: what serves requests inside a living lab.
//!
//! One thread serves them all. In real time it looks for news every few milliseconds: the line is memory, and nothing
//! wakes whoever waits at it. In virtual time it stands still, and time with it, whenever nothing is left to do; the
//! host speaks only then.

mod change;
mod exec;
mod observe;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::process::Command;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mvpnlab_emulator::lab::{Lab, TEND_EVERY};
use mvpnlab_emulator::place::{Line, Pace};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::time::sleep;

use super::frame::{CONTENT_MAX, Frame, Kind, Parser};
use super::request::{Reply, Request, Table, json};
use crate::drive::{DriveError, Orders, Run};

/// Between two looks at the line, in real time: after news, and at rest.
const LOOKS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(10));
/// How long virtual time runs at most before the host may speak: else nothing could be stopped.
const TURN: Duration = Duration::from_secs(1);
/// How long captures get to see what has just passed, before virtual time stands still.
const AFTERMATH: Duration = Duration::from_millis(1);
/// What waits to be sent before a stream is held back.
const OUTGOING_MAX: usize = 1 << 20;
/// How much of the past is kept.
const PAST_BYTES: usize = 48 << 20;

/// What a lab in the hand is made of, on top of its network.
pub struct Setup<'a> {
    /// Scenario, plan and monitor.
    pub orders: &'a Orders<'a>,
    /// Without monitor and customers' traffic.
    pub is_bare: bool,
    /// How people call the monitor: its executable with its socket.
    pub path: String,
}

type Work<'a> = Pin<Box<dyn Future<Output = Served> + 'a>>;

/// What is left to do when a request has been served.
struct Served {
    channel: u32,
    /// Virtual time passed because of it.
    was_foreground: bool,
}

/// Serves the line until the lab is ended from outside.
///
/// # Errors
/// The lab could not be made ready.
pub async fn serve(lab: &mut Lab, setup: &Setup<'_>, line: &Line<'_>) -> Result<(), DriveError> {
    let orders = setup.orders;
    let desk = Desk {
        plan: orders.plan,
        namespaces: exec::Namespaces::of(lab, orders.plan)?,
        path: setup.path.clone(),
        run: Mutex::new(Run::begin_living(lab, orders, setup.is_bare, PAST_BYTES).await?),
        pace: line.pace(),
        outgoing: RefCell::default(),
        news: Notify::new(),
        room: Notify::new(),
        channels: RefCell::default(),
    };
    line.log("ready");
    desk.serve(line).await
}

struct Desk<'a> {
    plan: &'a mvpnlab_emulator::plan::Plan,
    namespaces: exec::Namespaces,
    path: String,
    run: Mutex<Run<'a>>,
    pace: Pace,
    outgoing: RefCell<VecDeque<u8>>,
    /// Something is outgoing.
    news: Notify,
    /// There is room for outgoing things again.
    room: Notify,
    channels: RefCell<HashMap<u32, mpsc::UnboundedSender<Frame>>>,
}

/// A request being served: what comes for it, and the way back.
struct Channel<'d, 'a> {
    desk: &'d Desk<'a>,
    number: u32,
    incoming: mpsc::UnboundedReceiver<Frame>,
}

impl<'a> Desk<'a> {
    async fn serve(&self, line: &Line<'_>) -> Result<(), DriveError> {
        let mut parser = Parser::default();
        let mut work: FuturesUnordered<Work<'_>> = FuturesUnordered::new();
        let mut in_foreground = 0usize;
        let mut look = LOOKS.1;
        let mut tending = std::pin::pin!(self.tend(line));
        loop {
            self.flush(line);
            parser.handle(&line.receive());
            while let Some(frame) = parser
                .poll()
                .map_err(|e| crate::drive::impossible("serve", e))?
            {
                look = LOOKS.0;
                in_foreground += usize::from(is_foreground(&frame));
                work.extend(self.handle(frame));
            }
            let rest = match (self.pace, in_foreground) {
                (Pace::Real, _) => look,
                (Pace::Virtual, 0) if work.is_empty() => Duration::ZERO,
                (Pace::Virtual, 0) => AFTERMATH,
                (Pace::Virtual, _) => TURN,
            };
            let is_over = tokio::select! {
                biased;
                Some(served) = work.next(), if !work.is_empty() => {
                    self.channels.borrow_mut().remove(&served.channel);
                    in_foreground -= usize::from(served.was_foreground);
                    false
                }
                () = self.news.notified() => false,
                failed = &mut tending => return failed,
                () = sleep(rest) => true,
            };
            look = match is_over {
                true => (look * 2).min(LOOKS.1),
                false => LOOKS.0,
            };
            if is_over && self.pace == Pace::Virtual {
                self.flush(line);
                line.stand_still(in_foreground > 0);
            }
        }
    }

    /// Tends the data MDTs, as a run does between two steps, until that fails.
    async fn tend(&self, line: &Line<'_>) -> Result<(), DriveError> {
        if !self.run.lock().await.lab.has_data_mdts() {
            return std::future::pending().await;
        }
        loop {
            sleep(TEND_EVERY).await;
            if let Err(error) = self.run.lock().await.tend_now().await {
                line.log(&format!("data MDTs: {error}"));
                return Err(error);
            }
        }
    }

    /// Sends what is outgoing; in virtual time all of it, since time may stand still until it has been taken.
    fn flush(&self, line: &Line<'_>) {
        let mut outgoing = self.outgoing.borrow_mut();
        loop {
            let sent = line.send(outgoing.make_contiguous());
            outgoing.drain(..sent);
            if outgoing.is_empty() || self.pace == Pace::Real {
                break;
            }
            line.stand_still(true);
        }
        if outgoing.len() < OUTGOING_MAX {
            self.room.notify_waiters();
        }
    }

    /// A frame from the host; what has to be done for it.
    fn handle<'d>(&'d self, frame: Frame) -> Option<Work<'d>>
    where
        'a: 'd,
    {
        if frame.kind != Kind::Request {
            // For a request that is done already there is nobody to tell.
            if let Some(channel) = self.channels.borrow().get(&frame.channel) {
                let _ = channel.send(frame);
            }
            return None;
        }
        let (sender, incoming) = mpsc::unbounded_channel();
        self.channels.borrow_mut().insert(frame.channel, sender);
        let was_foreground = is_foreground(&frame);
        let channel = Channel {
            desk: self,
            number: frame.channel,
            incoming,
        };
        Some(Box::pin(async move {
            let number = channel.number;
            channel.serve(&frame.content).await;
            Served {
                channel: number,
                was_foreground,
            }
        }))
    }

    fn put(&self, channel: u32, kind: Kind, content: Vec<u8>) {
        Frame::new(channel, kind, content).emit(&mut *self.outgoing.borrow_mut());
        self.news.notify_one();
    }
}

/// Whether virtual time must pass for it: a capture only watches.
fn is_foreground(frame: &Frame) -> bool {
    frame.kind == Kind::Request
        && !matches!(
            serde_json::from_slice(&frame.content),
            Ok(Request::Capture { .. })
        )
}

impl Channel<'_, '_> {
    async fn serve(mut self, content: &[u8]) {
        let answered = match serde_json::from_slice(content) {
            Ok(request) => self.answer(request).await,
            Err(error) => Err(format!(
                "this lab does not understand the request ({error}); is it of another version of mvpnlab?"
            )),
        };
        let reply = match answered {
            Ok(value) => Reply::Done(value),
            Err(error) => Reply::Failed(error),
        };
        self.desk.put(self.number, Kind::Reply, json(&reply));
    }

    async fn answer(&mut self, request: Request) -> Result<Value, String> {
        match request {
            Request::Exec {
                node,
                command,
                input,
                terminal,
            } => match terminal {
                Some(terminal) => self.exec_at_terminal(&node, &command, &terminal).await,
                None => self.exec(&node, &command, input).await,
            },
            Request::Impair {
                link,
                toward,
                change,
            } => self.impair(&link, toward.as_deref(), &change).await,
            Request::Do { action } => self.act(action).await,
            Request::Show { table, node } => self.show(table, node.as_deref()).await,
            Request::Vty { node, command } => {
                let run = self.desk.run.lock().await;
                rows(run.lab.tell(&node, &command).await)
            }
            Request::Capture { link, filter } => self.capture(&link, filter.as_deref()).await,
            Request::Observe => self.observe().await,
            Request::Advance { .. } if self.desk.pace == Pace::Real => {
                Err("time passes by itself in this lab; one whose time you drive comes up with `mvpnlab up --virtual`".to_owned())
            }
            Request::Advance { ns } => {
                sleep(Duration::from_nanos(ns)).await;
                Ok(Value::Null)
            }
            Request::Converge => self.converge().await,
            Request::Scenario | Request::Status | Request::Down => Err("the keeper answers that".to_owned()),
        }
    }

    async fn show(&self, table: Table, node: Option<&str>) -> Result<Value, String> {
        let run = self.desk.run.lock().await;
        let lab = &run.lab;
        match table {
            Table::Routes => rows(lab.routes(node).await),
            Table::Mroutes => rows(lab.mroutes(node)),
            Table::Neighbors => rows(lab.neighbors(node).await),
            Table::Igmp => rows(lab.memberships(node).await),
            Table::Tunnels => rows(lab.tunnels(node).await),
            Table::Links => rows(lab.links(node).await),
            Table::Mdts => rows(lab.data_mdts(node)),
        }
    }

    /// A piece of a stream to whoever asked; waits for room.
    async fn stream(&self, kind: Kind, bytes: &[u8]) {
        for piece in bytes.chunks(CONTENT_MAX) {
            while self.desk.outgoing.borrow().len() >= OUTGOING_MAX {
                self.desk.room.notified().await;
            }
            self.desk.put(self.number, kind, piece.to_vec());
        }
    }
}

fn rows<T: Serialize, E: std::fmt::Display>(found: Result<T, E>) -> Result<Value, String> {
    let found = found.map_err(|e| e.to_string())?;
    serde_json::to_value(found).map_err(|e| e.to_string())
}

/// The monitor's command line, by the name people know: the executable with its libraries and its socket.
pub fn install_client(command: &Command, socket: &str, folder: &str) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut script = "#!/bin/sh\n".to_owned();
    for (name, value) in command.get_envs() {
        let value = value
            .map(|v| v.to_string_lossy().into_owned())
            .unwrap_or_default();
        script += &format!("{}='{value}' ", name.to_string_lossy());
    }
    script += &format!(
        "exec '{}' --socket '{socket}' \"$@\"\n",
        command.get_program().to_string_lossy()
    );
    let path = format!("{folder}/vmscope");
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, script))
        .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)));
    written.map_err(|e| format!("could not write {path}: {e}"))
}
