//! The tap: one capture of all wires, in the lab, on one clock.
//!
//! A frame is seen twice in the wire room: *incoming* on the sender's device (it entered the wire) and *outgoing* on
//! the receiver's device, after netem (it left). Nothing is decoded here; see [`super::record`] for what is kept.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, setns},
    sys::eventfd::{EfdFlags, EventFd},
};
use thiserror::Error;

use super::{
    clock::monotonic_ns,
    lane::Tap,
    observation::TapSummary,
    record::{Direction, Record, RecordWriter},
    ring::{Ring, RingFrame, RingStatistics},
};
use crate::scenario::{Action, Scenario};

/// Enough for every header and the whole of an ordinary probe in all its wrappings.
pub const SNAP_BYTES: u16 = 256;
/// Enough for a PE's Join/Prune of some twenty groups, in the monitor's tunnel.
pub const CONTROL_SNAP_BYTES: u16 = 512;
/// Any frame as a whole.
pub const WHOLE_FRAME_BYTES: u16 = 2048;
/// How often the end is waited for before the ring counts as stuck; each wait is longer than a block's retirement.
const LAST_WAITS: u32 = 50;
const LAST_WAIT_MS: u16 = 400;

/// The snap length that a scenario needs: where bits may be flipped, frames must be seen as a whole; where single control
/// messages are judged, those.
pub fn snap_bytes(scenario: &Scenario) -> u16 {
    let links = scenario
        .links
        .iter()
        .flat_map(|link| link.impair.iter().chain(link.impair_to.values()));
    let tunnels = scenario
        .tunnel_impairments
        .iter()
        .map(|tunnel| &tunnel.impair);
    let changes = scenario
        .timeline
        .iter()
        .filter_map(|event| match &event.action {
            Action::ImpairLink { impair, .. } | Action::ImpairTunnel { impair, .. } => Some(impair),
            _ => None,
        });
    let corrupts = links
        .chain(tunnels)
        .chain(changes)
        .any(|impair| impair.corrupt.is_some());
    match (corrupts, scenario.hears_control()) {
        (true, _) => WHOLE_FRAME_BYTES,
        (false, true) => CONTROL_SNAP_BYTES,
        (false, false) => SNAP_BYTES,
    }
}

/// Why the wires could not be tapped.
#[derive(Debug, Error)]
pub enum TapError {
    /// A system call failed.
    #[error(
        "tapping the wires: {attempt}: {source}; AF_PACKET needs CAP_NET_RAW, and CAP_SYS_ADMIN to enter the wire room"
    )]
    System {
        /// What was attempted.
        attempt: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The socket has counted frames that never came out.
    #[error(
        "ending the tap: the kernel counted {counted} frames, {read} were read and {drops} dropped, and nothing more came"
    )]
    Stuck {
        /// Frames that the kernel counted.
        counted: u64,
        /// Frames that were read.
        read: u64,
        /// Frames that it dropped.
        drops: u64,
    },
    /// The thread is gone.
    #[error("ending the tap: its thread panicked; this is a defect of mvpnlab")]
    Panicked,
}

/// A finished capture.
#[derive(Debug, Clone)]
pub struct Capture {
    /// `taps.bin`.
    pub records: Vec<u8>,
    /// `taps.json`.
    pub summary: TapSummary,
}

/// The running tap.
#[derive(Debug)]
pub struct Taps {
    wake: Arc<EventFd>,
    questions: mpsc::Sender<Question>,
    thread: JoinHandle<Result<Capture, TapError>>,
}

/// What the thread may be asked; the event wakes it to hear.
#[derive(Debug)]
enum Question {
    /// What has been captured so far.
    SoFar(mpsc::SyncSender<Result<Capture, TapError>>),
    /// To stop.
    Stop,
}

impl Taps {
    /// Taps all wires of the wire room; returns once frames are being captured.
    ///
    /// `snap_bytes`: as [`snap_bytes`] says.
    pub fn start(wire_room: OwnedFd, snap_bytes: u16) -> Result<Self, TapError> {
        Self::keeping(wire_room, snap_bytes, usize::MAX)
    }

    /// The same for a lab that lives on: of the frames only the newest are kept, so many bytes of records.
    pub fn keeping(
        wire_room: OwnedFd,
        snap_bytes: u16,
        limit_bytes: usize,
    ) -> Result<Self, TapError> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake = Arc::new(EventFd::from_flags(flags).map_err(system("making an event"))?);
        let heard = Arc::clone(&wake);
        let (tell, started) = mpsc::sync_channel(1);
        let (questions, asked) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("taps".into())
            .spawn(move || {
                let reader = Reader::open(&wire_room, snap_bytes, limit_bytes)?;
                // The starter may be gone; then nobody asks, and nobody waits.
                let _ = tell.send(());
                drop(tell);
                reader.run(&heard, &asked)
            })
            .map_err(system("starting the thread"))?;
        let this = Self {
            wake,
            questions,
            thread,
        };
        match started.recv() {
            Ok(()) => Ok(this),
            // The thread ended before it began: its result says why.
            Err(mpsc::RecvError) => this.join().and(Err(TapError::Panicked)),
        }
    }

    /// Stops capturing, reads what is left, and hands everything over.
    pub fn stop(self) -> Result<Capture, TapError> {
        self.ask(Question::Stop)?;
        self.join()
    }

    /// What has been captured and is kept; capturing goes on.
    pub fn so_far(&self) -> Result<Capture, TapError> {
        let (tell, answer) = mpsc::sync_channel(1);
        self.ask(Question::SoFar(tell))?;
        answer.recv().map_err(|_| TapError::Panicked)?
    }

    fn ask(&self, question: Question) -> Result<(), TapError> {
        // A thread that has ended hears nothing: what became of it is found when it is joined, or does not answer.
        let _ = self.questions.send(question);
        self.wake.write(1).map_err(system("waking the thread"))?;
        Ok(())
    }

    fn join(self) -> Result<Capture, TapError> {
        self.thread.join().map_err(|_| TapError::Panicked)?
    }
}

fn system<E: Into<io::Error>>(attempt: &'static str) -> impl FnOnce(E) -> TapError {
    move |source| TapError::System {
        attempt,
        source: source.into(),
    }
}

struct Reader {
    ring: Ring,
    kept: Keeper,
    snap_bytes: u16,
    started_ns: u64,
}

/// Turns ring frames into records.
struct Keeper {
    /// Taps by interface index.
    taps: Vec<Option<Tap>>,
    writer: RecordWriter,
    foreign: u64,
}

impl Reader {
    fn open(wire_room: &OwnedFd, snap_bytes: u16, limit_bytes: usize) -> Result<Self, TapError> {
        setns(wire_room, CloneFlags::CLONE_NEWNET).map_err(system("entering the wire room"))?;
        let taps = taps_by_ifindex().map_err(system("listing the wire room's devices"))?;
        let ring = Ring::open(snap_bytes).map_err(system("opening a packet socket with a ring"))?;
        let kept = Keeper {
            taps,
            writer: RecordWriter::newest(snap_bytes, limit_bytes),
            foreign: 0,
        };
        Ok(Self {
            ring,
            kept,
            snap_bytes,
            started_ns: monotonic_ns(),
        })
    }

    fn run(
        mut self,
        wake: &EventFd,
        questions: &mpsc::Receiver<Question>,
    ) -> Result<Capture, TapError> {
        loop {
            let mut fds = [
                PollFd::new(self.ring.as_fd(), PollFlags::POLLIN),
                PollFd::new(wake.as_fd(), PollFlags::POLLIN),
            ];
            wait(&mut fds, PollTimeout::NONE)?;
            // Reading only resets the event; the questions themselves are looked for below.
            let _ = wake.read();
            self.drain();
            while let Ok(question) = questions.try_recv() {
                match question {
                    Question::Stop => return self.finish(),
                    // Whoever asked may have gone.
                    Question::SoFar(tell) => drop(tell.send(self.so_far())),
                }
            }
        }
    }

    fn drain(&mut self) {
        let kept = &mut self.kept;
        self.ring.drain(&mut |frame| kept.keep(&frame));
    }

    /// The last block is handed over when its time is up: waits until all that the kernel has counted has come. Returns
    /// what it has counted.
    fn catch_up(&mut self) -> Result<RingStatistics, TapError> {
        let counted = self
            .ring
            .statistics()
            .map_err(system("reading the socket's statistics"))?;
        for _ in 0..LAST_WAITS {
            if self.read() + counted.drops >= counted.packets {
                return Ok(counted);
            }
            wait(
                &mut [PollFd::new(self.ring.as_fd(), PollFlags::POLLIN)],
                LAST_WAIT_MS.into(),
            )?;
            self.drain();
        }
        Err(TapError::Stuck {
            counted: counted.packets,
            read: self.read(),
            drops: counted.drops,
        })
    }

    fn so_far(&mut self) -> Result<Capture, TapError> {
        let stopped_ns = monotonic_ns();
        let counted = self.catch_up()?;
        Ok(Capture {
            summary: TapSummary {
                is_excerpt: true,
                ..self.summary(counted.drops, stopped_ns)
            },
            records: self.kept.writer.to_bytes(),
        })
    }

    /// Frames that came out of the ring.
    fn read(&self) -> u64 {
        self.kept.writer.records() + self.kept.foreign
    }

    fn summary(&self, kernel_drops: u64, stopped_ns: u64) -> TapSummary {
        TapSummary {
            kernel_drops,
            records: self.kept.writer.kept(),
            snap_bytes: self.snap_bytes,
            foreign: self.kept.foreign,
            started_ns: self.started_ns,
            stopped_ns,
            is_excerpt: false,
        }
    }

    fn finish(mut self) -> Result<Capture, TapError> {
        let stopped_ns = monotonic_ns();
        self.ring
            .close_filter()
            .map_err(system("closing the filter"))?;
        let counted = self.catch_up()?;
        Ok(Capture {
            summary: self.summary(counted.drops, stopped_ns),
            records: self.kept.writer.into_bytes(),
        })
    }
}

impl Keeper {
    fn keep(&mut self, frame: &RingFrame<'_>) {
        let Some(tap) = self.taps.get(frame.ifindex as usize).copied().flatten() else {
            self.foreign += 1;
            return;
        };
        self.writer.push(&Record {
            realtime_ns: frame.realtime_ns,
            tap,
            direction: if frame.outgoing {
                Direction::Left
            } else {
                Direction::Entered
            },
            original_bytes: u16::try_from(frame.original_bytes).unwrap_or(u16::MAX),
            frame: frame.frame,
        });
    }
}

fn wait(fds: &mut [PollFd<'_>], timeout: PollTimeout) -> Result<(), TapError> {
    match poll(fds, timeout) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(errno) => Err(system("waiting for frames")(errno)),
    }
}

fn taps_by_ifindex() -> io::Result<Vec<Option<Tap>>> {
    let mut taps = Vec::new();
    for device in &nix::net::if_::if_nameindex()? {
        let index = device.index() as usize;
        if taps.len() <= index {
            taps.resize(index + 1, None);
        }
        taps[index] = device.name().to_str().ok().and_then(Tap::from_device);
    }
    Ok(taps)
}
