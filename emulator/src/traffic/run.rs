//! One thread that is all customers of the lab: it sends on absolute deadlines, joins, leaves and receives.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io::{self, ErrorKind},
    net::{SocketAddrV4, UdpSocket},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    thread::JoinHandle,
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        eventfd::{EfdFlags, EventFd},
        time::TimeSpec,
        timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
    },
};
use socket2::Socket;
use thiserror::Error;

use super::{
    ReceiverLog, SourceLog, TrafficLog,
    log::Tally,
    payload, socket,
    spec::{ReceiverSpec, SourceSpec, TrafficSpec},
    transfer::Transfers,
};
use crate::truth::clock::monotonic_ns;

/// Why customer traffic could not be made.
#[derive(Debug, Error)]
pub enum TrafficError {
    /// A source or receiver sits at a node without a link.
    #[error(
        "placing customer traffic at node {node}: no link of the plan ends there; give the node a link, or move the source or receiver"
    )]
    Unattached {
        /// The node.
        node: String,
    },
    /// A system call failed.
    #[error("{attempt} for {name}: {source}")]
    System {
        /// What was attempted.
        attempt: &'static str,
        /// For which source or receiver.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The thread is gone.
    #[error("stopping customer traffic: its thread panicked; this is a defect of mvpnlab")]
    Panicked,
}

/// Running customer traffic.
#[derive(Debug)]
pub struct Traffic {
    stop: Arc<EventFd>,
    thread: JoinHandle<Result<TrafficLog, TrafficError>>,
    transfers: Transfers,
}

impl Traffic {
    /// Makes all sockets and starts. `open` gives a namespace's file by name; `start_ns` is the run's zero, CLOCK_MONOTONIC.
    pub fn start(
        mut spec: TrafficSpec,
        open: &dyn Fn(&str) -> io::Result<OwnedFd>,
        start_ns: u64,
    ) -> Result<Self, TrafficError> {
        let transfers = Transfers::start(std::mem::take(&mut spec.transfers), open, start_ns)?;
        let customers = Customers::new(spec, open, start_ns)?;
        let stop = Arc::new(
            EventFd::from_flags(EfdFlags::EFD_CLOEXEC)
                .map_err(system("making an event", "traffic"))?,
        );
        let heard = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("traffic".into())
            .spawn(move || customers.run(&heard))
            .map_err(system("starting the thread", "traffic"))?;
        Ok(Self {
            stop,
            thread,
            transfers,
        })
    }

    /// Stops sources, leaves groups, and says what was sent and received.
    pub fn stop(self) -> Result<TrafficLog, TrafficError> {
        self.stop
            .write(1)
            .map_err(system("stopping the thread", "traffic"))?;
        let log = self.thread.join().map_err(|_| TrafficError::Panicked)??;
        Ok(TrafficLog {
            transfers: self.transfers.stop()?,
            ..log
        })
    }
}

pub(super) fn system<E: Into<io::Error>>(
    attempt: &'static str,
    name: &str,
) -> impl FnOnce(E) -> TrafficError {
    move |source| TrafficError::System {
        attempt,
        name: name.to_owned(),
        source: source.into(),
    }
}

/// What is due, for which source or receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Join(usize),
    Send(usize),
    Leave(usize),
}

struct Sending {
    spec: SourceSpec,
    socket: UdpSocket,
    to: SocketAddrV4,
    buffer: Vec<u8>,
    next: u32,
    refused: u64,
}

struct Receiving {
    spec: ReceiverSpec,
    socket: Socket,
    tally: Tally,
    foreign: u64,
    joined: bool,
}

struct Customers {
    sources: Vec<Sending>,
    receivers: Vec<Receiving>,
    due: BinaryHeap<Reverse<(u64, Due)>>,
    start_ns: u64,
}

impl Customers {
    fn new(
        spec: TrafficSpec,
        open: &dyn Fn(&str) -> io::Result<OwnedFd>,
        start_ns: u64,
    ) -> Result<Self, TrafficError> {
        let mut this = Self {
            sources: Vec::new(),
            receivers: Vec::new(),
            due: BinaryHeap::new(),
            start_ns,
        };
        for spec in spec.sources {
            let namespace =
                open(&spec.namespace).map_err(system("opening the namespace", &spec.name))?;
            let socket = socket::inside(namespace, || socket::source(&spec))
                .map_err(system("making the source's socket", &spec.name))?;
            let (to, buffer) = (
                socket::destination(&spec),
                vec![0; usize::from(spec.size_bytes).max(payload::HEADER_BYTES)],
            );
            this.push(spec.start_ns, Due::Send(this.sources.len()));
            this.sources.push(Sending {
                spec,
                socket,
                to,
                buffer,
                next: 0,
                refused: 0,
            });
        }
        for spec in spec.receivers {
            let namespace =
                open(&spec.namespace).map_err(system("opening the namespace", &spec.name))?;
            let socket = socket::inside(namespace, || socket::receiver(&spec))
                .map_err(system("making the receiver's socket", &spec.name))?;
            let at = this.receivers.len();
            this.push(spec.start_ns, Due::Join(at));
            if let Some(stop_ns) = spec.stop_ns {
                this.push(stop_ns, Due::Leave(at));
            }
            this.receivers.push(Receiving {
                spec,
                socket,
                tally: Tally::default(),
                foreign: 0,
                joined: false,
            });
        }
        Ok(this)
    }

    fn push(&mut self, after_start_ns: u64, due: Due) {
        self.due
            .push(Reverse((self.start_ns + after_start_ns, due)));
    }

    fn run(mut self, stop: &EventFd) -> Result<TrafficLog, TrafficError> {
        let timer = TimerFd::new(
            ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK,
        )
        .map_err(system("making a timer", "traffic"))?;
        loop {
            self.handle_due(monotonic_ns())?;
            self.arm(&timer)?;
            let ready = self.wait(stop, &timer)?;
            for (receiver, ready) in self.receivers.iter_mut().zip(&ready[2..]) {
                if *ready {
                    receiver.receive()?;
                }
            }
            if ready[0] {
                return self.finish();
            }
        }
    }

    /// Does everything whose time has come.
    fn handle_due(&mut self, now_ns: u64) -> Result<(), TrafficError> {
        while let Some(Reverse((at_ns, due))) = self.due.peek().copied() {
            if at_ns > now_ns {
                return Ok(());
            }
            self.due.pop();
            match due {
                Due::Join(at) => self.receivers[at].join()?,
                Due::Leave(at) => self.receivers[at].leave()?,
                Due::Send(at) => self.send(at, at_ns)?,
            }
        }
        Ok(())
    }

    /// The next packet is due one period after this one *was* due: delays do not add up.
    fn send(&mut self, at: usize, due_ns: u64) -> Result<(), TrafficError> {
        let after_start_ns = due_ns - self.start_ns;
        let source = &mut self.sources[at];
        if source
            .spec
            .stop_ns
            .is_some_and(|stop_ns| after_start_ns >= stop_ns)
        {
            return Ok(());
        }
        source.send(after_start_ns)?;
        let next_ns = source.spec.next_ns(after_start_ns);
        self.push(next_ns, Due::Send(at));
        Ok(())
    }

    fn arm(&self, timer: &TimerFd) -> Result<(), TrafficError> {
        let armed = match self.due.peek() {
            Some(Reverse((at_ns, _))) => {
                let (seconds, rest_ns) = (at_ns / 1_000_000_000, at_ns % 1_000_000_000);
                let at = TimeSpec::new(seconds as i64, rest_ns as i64);
                timer.set(
                    Expiration::OneShot(at),
                    TimerSetTimeFlags::TFD_TIMER_ABSTIME,
                )
            }
            None => timer.unset(),
        };
        armed.map_err(system("setting a timer", "traffic"))
    }

    /// Sleeps; tells who is ready: stop, timer, then the receivers.
    fn wait(&self, stop: &EventFd, timer: &TimerFd) -> Result<Vec<bool>, TrafficError> {
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let receivers = self
            .receivers
            .iter()
            .map(|receiver| receiver.socket.as_fd());
        let mut fds: Vec<_> = [stop.as_fd(), timer.as_fd()]
            .into_iter()
            .chain(receivers)
            .map(readable)
            .collect();
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(system("waiting", "traffic")(errno)),
        }
        Ok(fds.iter().map(|fd| fd.any().unwrap_or(false)).collect())
    }

    fn finish(mut self) -> Result<TrafficLog, TrafficError> {
        for receiver in &mut self.receivers {
            receiver.receive()?;
            receiver.leave()?;
        }
        Ok(TrafficLog {
            sources: self.sources.into_iter().map(Sending::log).collect(),
            receivers: self.receivers.into_iter().map(Receiving::log).collect(),
            transfers: Vec::new(),
        })
    }
}

impl Sending {
    fn send(&mut self, after_start_ns: u64) -> Result<(), TrafficError> {
        // 90 kHz, the usual RTP clock; it wraps.
        let rtp_time = (after_start_ns / 1_000 * 9 / 100) as u32;
        payload::emit(&mut self.buffer, self.spec.flow, self.next, rtp_time);
        match self.socket.send_to(&self.buffer, self.to) {
            Ok(_) => self.next += 1,
            // The customer's link is down, or its buffer full: an ordinary thing to happen to a customer.
            Err(error) if is_refusal(&error) => self.refused += 1,
            Err(error) => return Err(system("sending a packet", &self.spec.name)(error)),
        }
        Ok(())
    }

    fn log(self) -> SourceLog {
        SourceLog {
            name: self.spec.name,
            flow: self.spec.flow,
            at: self.spec.at,
            group: self.spec.group,
            sent: u64::from(self.next),
            refused: self.refused,
        }
    }
}

fn is_refusal(error: &io::Error) -> bool {
    let down = [
        libc::ENETUNREACH,
        libc::ENETDOWN,
        libc::EHOSTUNREACH,
        libc::ENOBUFS,
        libc::EPERM,
    ];
    error.kind() == ErrorKind::WouldBlock
        || error
            .raw_os_error()
            .is_some_and(|errno| down.contains(&errno))
}

impl Receiving {
    fn join(&mut self) -> Result<(), TrafficError> {
        socket::join(&self.socket, &self.spec)
            .map_err(system("joining the group", &self.spec.name))?;
        self.joined = true;
        Ok(())
    }

    fn leave(&mut self) -> Result<(), TrafficError> {
        if std::mem::take(&mut self.joined) {
            socket::leave(&self.socket, &self.spec)
                .map_err(system("leaving the group", &self.spec.name))?;
        }
        Ok(())
    }

    /// Everything that waits in the socket.
    fn receive(&mut self) -> Result<(), TrafficError> {
        let mut buffer = [0; 2048];
        loop {
            match io::Read::read(&mut &self.socket, &mut buffer) {
                Ok(length) => self.count(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(system("receiving", &self.spec.name)(error)),
            }
        }
    }

    fn count(&mut self, datagram: &[u8]) {
        let counted = payload::parse(datagram)
            .is_some_and(|(flow, sequence)| self.tally.handle(flow, sequence));
        if !counted {
            self.foreign += 1;
        }
    }

    fn log(self) -> ReceiverLog {
        ReceiverLog {
            name: self.spec.name,
            at: self.spec.at,
            received: self.tally.log(),
            foreign: self.foreign,
        }
    }
}
