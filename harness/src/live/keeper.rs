//! The keeper: the process that a living lab belongs to. It makes the lab, passes frames between clients and the lab's
//! desk, and ends with it.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mvpnlab_emulator::place::{
    Execution, Files, LIVE_ENTRY, Living, Native, Pace, PlaceError, Sealed, Start, abandon,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::frame::{Frame, Kind, Parser};
use super::registry::{Held, Registry};
use super::request::{Reply, Request, Status, json};
use crate::cli::{Keep, LabPlace};
use crate::program::{self, BARE};
use crate::run::suite::Case;
use crate::verdict::Exit;

/// What the keeper says last to whoever brought the lab up.
pub const READY: &str = "mvpnlab: ready";
/// What the desk says first.
const DESK_READY: &str = "ready";
/// Making a warm lab of the largest topology takes minutes under emulation.
const BUILD_DEADLINE: Duration = Duration::from_secs(3600);
/// Between two looks at the lab: after news, and at rest.
const LOOKS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(10));
/// What a client may leave unread before it is hung up on.
const UNREAD_MAX: usize = 64 << 20;

/// From here on the lab is nobody's but the keeper's.
static IS_UP: AtomicBool = AtomicBool::new(false);

/// Keeps a lab until it is taken down. Its standard output is a pipe to whoever brings the lab up: lines of progress,
/// then [`READY`], or the reason why not.
pub fn command(keep: &Keep) -> Exit {
    // The terminal's Ctrl-C is not for the lab.
    let _ = nix::unistd::setsid();
    std::thread::spawn(end_with_caller);
    match run(keep) {
        Ok(()) => Exit::Pass,
        Err(error) => {
            say(&error);
            Exit::Infrastructure
        }
    }
}

fn say(line: &str) {
    // Nobody may be listening any more.
    let _ = writeln!(io::stdout(), "{line}");
}

/// Until the lab is up it is the caller's: when that one goes away, by Ctrl-C say, nothing may stay.
fn end_with_caller() {
    let stdout = io::stdout();
    let mut watched = [PollFd::new(
        std::os::fd::AsFd::as_fd(&stdout),
        PollFlags::empty(),
    )];
    loop {
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) => break,
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return,
        }
    }
    if !IS_UP.load(Ordering::SeqCst) {
        abandon();
        std::process::exit(Exit::Infrastructure as i32);
    }
}

fn run(keep: &Keep) -> Result<(), String> {
    let text = std::fs::read_to_string(&keep.file)
        .map_err(|e| format!("cannot read {}: {e}", keep.file.display()))?;
    let case = Case::of(text, &keep.file, PathBuf::new())?;
    let held = Registry::of_user()
        .and_then(|registry| registry.claim(&keep.name))
        .map_err(|e| e.to_string())?;
    let log = File::create(held.log()).map_err(|e| format!("cannot write the lab's log: {e}"))?;
    let living = make(keep, &case)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start an event loop: {e}"))?;
    let mut keeper = Keeper::new(keep, case.text, living, log);
    runtime.block_on(async {
        keeper.wait_for_desk().await?;
        let listener = UnixListener::bind(held.socket())
            .map_err(|e| format!("cannot listen at {}: {e}", held.socket().display()))?;
        IS_UP.store(true, Ordering::SeqCst);
        say(READY);
        let_go_of_caller()?;
        keeper.serve(&listener).await
    })?;
    end(keeper, held);
    Ok(())
}

/// The lab first: its folder is what it is known by.
fn end(keeper: Keeper, held: Held) {
    drop(keeper);
    held.leave();
}

fn make(keep: &Keep, case: &Case) -> Result<Living, String> {
    let topology = program::topology(&case.plan);
    let job = job(keep, case).map_err(|e| e.to_string())?;
    let execution = Execution {
        topology: &topology,
        job: &job,
        seed: keep.seed,
        deadline: BUILD_DEADLINE,
        start: Start::Warm,
        memory_mib: case.scenario.memory_mib,
    };
    let progress = &mut |line: &str| say(line);
    let living = match keep.place {
        LabPlace::Native => Native::open().and_then(|native| Living::native(&native, &execution)),
        LabPlace::Sealed | LabPlace::Virtual => Sealed::open(progress)
            .and_then(|sealed| Living::sealed(&sealed, &execution, pace(keep.place), progress)),
    };
    living.map_err(|e| e.to_string())
}

fn job(keep: &Keep, case: &Case) -> Result<Files, PlaceError> {
    let monitor = (!keep.bare).then_some(keep.monitor.as_path());
    let mut job = program::job(&case.scenario, keep.seed, monitor, None)?;
    job.insert(LIVE_ENTRY.to_owned(), pace(keep.place).name().into());
    if keep.bare {
        job.insert(BARE.to_owned(), Vec::new());
    }
    Ok(job)
}

fn pace(place: LabPlace) -> Pace {
    match place {
        LabPlace::Native | LabPlace::Sealed => Pace::Real,
        LabPlace::Virtual => Pace::Virtual,
    }
}

/// Standard output leads nowhere from here on; the caller sees its end.
fn let_go_of_caller() -> Result<(), String> {
    let nowhere = File::options().read(true).write(true).open("/dev/null");
    let moved = nowhere.and_then(|nowhere| {
        nix::unistd::dup2_stdout(&nowhere)?;
        nix::unistd::dup2_stderr(&nowhere)?;
        Ok(())
    });
    moved.map_err(|e| format!("cannot let go of the terminal: {e}"))
}

/// What comes from a client.
enum News {
    Frame(Frame),
    Gone,
}

struct Keeper {
    status: Status,
    scenario: String,
    began: Instant,
    living: Living,
    log: File,
    from_lab: Parser,
    to_lab: VecDeque<u8>,
    clients: HashMap<u32, Client>,
    next_client: u32,
    look: Duration,
}

/// A client's way back.
struct Client {
    /// Its request has no reply yet.
    is_open: bool,
    frames: mpsc::UnboundedSender<Vec<u8>>,
    unread: Arc<AtomicUsize>,
}

impl Keeper {
    fn new(keep: &Keep, scenario: String, living: Living, log: File) -> Self {
        Self {
            status: Status {
                name: keep.name.clone(),
                scenario: keep.file.display().to_string(),
                place: keep.place.words().to_owned(),
                keeper: std::process::id(),
                up_s: 0,
            },
            scenario,
            began: Instant::now(),
            living,
            log,
            from_lab: Parser::default(),
            to_lab: VecDeque::new(),
            clients: HashMap::new(),
            next_client: 0,
            look: LOOKS.0,
        }
    }

    /// A native lab is still being built; a sealed one starts its monitor.
    async fn wait_for_desk(&mut self) -> Result<(), String> {
        loop {
            for line in self.exchange()? {
                if line == DESK_READY {
                    return Ok(());
                }
                say(&line);
            }
            sleep(LOOKS.0).await;
        }
    }

    async fn serve(&mut self, listener: &UnixListener) -> Result<(), String> {
        let (tell, mut news) = mpsc::unbounded_channel();
        let mut end =
            signal(SignalKind::terminate()).map_err(|e| format!("cannot wait for SIGTERM: {e}"))?;
        loop {
            tokio::select! {
                _ = end.recv() => return Ok(()),
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        self.greet(stream, &tell);
                    }
                    self.look = LOOKS.0;
                }
                Some((client, news)) = news.recv() => {
                    if self.handle(client, news) {
                        return Ok(());
                    }
                    self.look = LOOKS.0;
                }
                () = sleep(self.look) => self.look = (self.look * 2).min(LOOKS.1),
            }
            self.exchange()?;
        }
    }

    fn greet(&mut self, stream: UnixStream, tell: &mpsc::UnboundedSender<(u32, News)>) {
        self.next_client += 1;
        let (from, to) = stream.into_split();
        let (frames, waiting) = mpsc::unbounded_channel();
        let unread = Arc::default();
        tokio::spawn(read(self.next_client, from, tell.clone()));
        tokio::spawn(write(to, waiting, Arc::clone(&unread)));
        let client = Client {
            is_open: false,
            frames,
            unread,
        };
        self.clients.insert(self.next_client, client);
    }

    /// True when the lab is to go down.
    fn handle(&mut self, client: u32, news: News) -> bool {
        match news {
            // Of a request that is done the lab hears nothing more: in virtual time it would hear it now or later, as the
            // host's scheduler likes, and two labs would differ.
            News::Gone => {
                let gone = self.clients.remove(&client);
                if gone.is_some_and(|gone| gone.is_open) {
                    Frame::new(client, Kind::HangUp, []).emit(&mut self.to_lab);
                }
            }
            News::Frame(frame) => match request_in(&frame) {
                Some(Request::Down) => return true,
                Some(Request::Status) => self.answer_status(client),
                Some(Request::Scenario) => self.answer(client, self.scenario.clone().into()),
                _ => self.forward(client, frame),
            },
        }
        false
    }

    fn forward(&mut self, client: u32, frame: Frame) {
        let Some(known) = self.clients.get_mut(&client) else {
            return;
        };
        known.is_open |= frame.kind == Kind::Request;
        if known.is_open {
            let frame = Frame {
                channel: client,
                ..frame
            };
            frame.emit(&mut self.to_lab);
        }
    }

    fn answer_status(&mut self, client: u32) {
        self.status.up_s = self.began.elapsed().as_secs();
        let value = serde_json::to_value(&self.status).unwrap_or_default();
        self.answer(client, value);
    }

    fn answer(&mut self, client: u32, value: serde_json::Value) {
        self.pass(Frame::new(client, Kind::Reply, json(&Reply::Done(value))));
    }

    /// Both ways; returns what the lab has put into its log.
    fn exchange(&mut self) -> Result<Vec<String>, String> {
        let received = match self.living.exchange(&mut self.to_lab) {
            Ok(received) => received,
            Err(error) => {
                self.tell_all(&error.to_string());
                return Err(error.to_string());
            }
        };
        for line in &received.log {
            // The log is for people; a full disk does not end the lab.
            let _ = writeln!(self.log, "{line}");
        }
        if !received.bytes.is_empty() {
            self.look = LOOKS.0;
        }
        self.from_lab.handle(&received.bytes);
        while let Some(frame) = self.from_lab.poll().map_err(|e| e.to_string())? {
            self.pass(frame);
        }
        Ok(received.log)
    }

    fn pass(&mut self, frame: Frame) {
        let Some(client) = self.clients.get_mut(&frame.channel) else {
            return;
        };
        client.is_open &= frame.kind != Kind::Reply;
        let bytes = frame.to_bytes();
        let unread = client.unread.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        // Its writer ends when it is gone, and then its reader says so too.
        let _ = client.frames.send(bytes);
        if unread > UNREAD_MAX {
            self.handle(frame.channel, News::Gone);
        }
    }

    fn tell_all(&mut self, error: &str) {
        let channels: Vec<u32> = self.clients.keys().copied().collect();
        for channel in channels {
            let reply = Reply::Failed(error.to_owned());
            self.pass(Frame::new(channel, Kind::Reply, json(&reply)));
        }
        let _ = writeln!(self.log, "{error}");
    }
}

fn request_in(frame: &Frame) -> Option<Request> {
    let request =
        (frame.kind == Kind::Request).then(|| serde_json::from_slice(&frame.content).ok());
    request.flatten()
}

async fn read(client: u32, mut from: OwnedReadHalf, tell: mpsc::UnboundedSender<(u32, News)>) {
    let mut parser = Parser::default();
    let mut piece = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        parser.handle(&piece[..count]);
        loop {
            match parser.poll() {
                Ok(Some(frame)) => {
                    let _ = tell.send((client, News::Frame(frame)));
                }
                Ok(None) => break,
                Err(_) => {
                    let _ = tell.send((client, News::Gone));
                    return;
                }
            }
        }
    }
    let _ = tell.send((client, News::Gone));
}

async fn write(
    mut to: OwnedWriteHalf,
    mut waiting: mpsc::UnboundedReceiver<Vec<u8>>,
    unread: Arc<AtomicUsize>,
) {
    while let Some(bytes) = waiting.recv().await {
        unread.fetch_sub(bytes.len(), Ordering::Relaxed);
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// The name a lab has unless told: its scenario's, made fit.
pub fn default_name(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let fit = |c: char| match c {
        c if c.is_ascii_alphanumeric() || c == '-' || c == '_' => c,
        _ => '-',
    };
    stem.chars().take(40).map(fit).collect()
}
