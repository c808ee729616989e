//! Bulk transfers by TCP, as fast as the network lets them: the kernel's own congestion control answers to loss.
//!
//! Two threads each, one an end; sockets time out often enough for both to notice that they are to stop.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, SocketAddrV4, TcpStream},
    os::fd::{AsRawFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};

use super::{TransferLog, run::TrafficError, run::system, socket, spec::TransferSpec};
use crate::truth::clock::monotonic_ns;

/// How long a thread may fail to notice that it is to stop.
const PATIENCE: Duration = Duration::from_millis(200);
/// Bytes handed to the kernel at a time.
const CHUNK: usize = 16 << 10;

/// Transfers that go on.
#[derive(Debug)]
pub(super) struct Transfers {
    stop: Arc<AtomicBool>,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    spec: TransferSpec,
    sender: JoinHandle<io::Result<u32>>,
    receiver: JoinHandle<io::Result<Arrived>>,
}

/// What came, and when: CLOCK_MONOTONIC.
#[derive(Debug, Clone, Copy, Default)]
struct Arrived {
    bytes: u64,
    first_ns: u64,
    last_ns: u64,
}

impl Transfers {
    /// All receivers listen when this returns; senders wait for their times.
    pub(super) fn start(
        specs: Vec<TransferSpec>,
        open: &dyn Fn(&str) -> io::Result<OwnedFd>,
        start_ns: u64,
    ) -> Result<Self, TrafficError> {
        let stop = Arc::new(AtomicBool::new(false));
        let run = |spec: TransferSpec| {
            let of = |attempt| system(attempt, &spec.name);
            let namespace = open(&spec.to_namespace).map_err(of("opening the namespace"))?;
            let listener = socket::inside(namespace, || listen(spec.to))
                .map_err(of("making the transfer's listening socket"))?;
            let namespace = open(&spec.from_namespace).map_err(of("opening the namespace"))?;
            let socket =
                socket::inside(namespace, stream).map_err(of("making the transfer's socket"))?;
            let (from, until) = (spec.start_ns, spec.stop_ns);
            let (to, heard) = (spec.to, Arc::clone(&stop));
            let sender = spawn("transfer-send", move || {
                let until_ns = until.map_or(u64::MAX, |until| start_ns + until);
                send(socket, to, (start_ns + from, until_ns), &heard)
            });
            let heard = Arc::clone(&stop);
            let receiver = spawn("transfer-recv", move || receive(&listener, &heard));
            Ok(Running {
                sender: sender.map_err(of("starting a thread"))?,
                receiver: receiver.map_err(of("starting a thread"))?,
                spec,
            })
        };
        let running = specs.into_iter().map(run).collect::<Result<_, _>>()?;
        Ok(Self { stop, running })
    }

    /// Ends all, and says what came.
    pub(super) fn stop(self) -> Result<Vec<TransferLog>, TrafficError> {
        self.stop.store(true, Ordering::Relaxed);
        self.running.into_iter().map(Running::finish).collect()
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.into()).spawn(run)
}

impl Running {
    fn finish(self) -> Result<TransferLog, TrafficError> {
        let name = self.spec.name;
        let sent = self.sender.join().map_err(|_| TrafficError::Panicked)?;
        let arrived = self.receiver.join().map_err(|_| TrafficError::Panicked)?;
        let retransmitted = sent.map_err(system("sending a transfer", &name))?;
        let arrived = arrived.map_err(system("receiving a transfer", &name))?;
        Ok(TransferLog {
            name,
            bytes: arrived.bytes,
            first_ns: arrived.first_ns,
            last_ns: arrived.last_ns,
            retransmitted,
        })
    }
}

fn stream() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn listen(at: SocketAddrV4) -> io::Result<Socket> {
    let socket = stream()?;
    socket.set_reuse_address(true)?;
    socket.bind(&at.into())?;
    socket.listen(1)?;
    Ok(socket)
}

/// Sends between the two times; returns how many segments had to be sent again.
fn send(
    socket: Socket,
    to: SocketAddrV4,
    (from_ns, until_ns): (u64, u64),
    stop: &AtomicBool,
) -> io::Result<u32> {
    let over = || stop.load(Ordering::Relaxed) || monotonic_ns() >= until_ns;
    while monotonic_ns() < from_ns && !over() {
        let left = Duration::from_nanos(from_ns.saturating_sub(monotonic_ns()));
        thread::sleep(left.min(PATIENCE));
    }
    while !over() {
        match socket.connect(&SocketAddr::V4(to).into()) {
            Ok(()) => break,
            // The network is lossy: the kernel goes on trying, and says so.
            Err(error) if is_waiting(&error) || error.raw_os_error() == Some(libc::EALREADY) => {}
            Err(error) if error.raw_os_error() == Some(libc::EISCONN) => break,
            Err(error) => return Err(error),
        }
    }
    let mut stream = TcpStream::from(socket);
    let chunk = [0u8; CHUNK];
    while !over() {
        match stream.write(&chunk) {
            Ok(_) => {}
            Err(error) if is_waiting(&error) => {}
            // The receiver was told to stop a moment earlier.
            Err(_) if over() => break,
            Err(error) => return Err(error),
        }
    }
    retransmitted(&stream)
}

/// Takes the one connection that there is, and what comes over it.
fn receive(listener: &Socket, stop: &AtomicBool) -> io::Result<Arrived> {
    let mut arrived = Arrived::default();
    let over = || stop.load(Ordering::Relaxed);
    let connection = loop {
        match listener.accept() {
            Ok((connection, _)) => break connection,
            Err(error) if is_waiting(&error) && over() => return Ok(arrived),
            Err(error) if is_waiting(&error) => {}
            Err(error) => return Err(error),
        }
    };
    connection.set_read_timeout(Some(PATIENCE))?;
    let mut stream = TcpStream::from(connection);
    let mut buffer = vec![0; CHUNK];
    while !over() {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(bytes) => {
                arrived.last_ns = monotonic_ns();
                if arrived.bytes == 0 {
                    arrived.first_ns = arrived.last_ns;
                }
                arrived.bytes += bytes as u64;
            }
            Err(error) if is_waiting(&error) => {}
            // The sender is gone with bytes unread.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => return Err(error),
        }
    }
    Ok(arrived)
}

/// A timeout, or a signal.
fn is_waiting(error: &io::Error) -> bool {
    let waiting = [
        ErrorKind::WouldBlock,
        ErrorKind::TimedOut,
        ErrorKind::Interrupted,
    ];
    waiting.contains(&error.kind()) || error.raw_os_error() == Some(libc::EINPROGRESS)
}

/// tcp(7), TCP_INFO: segments of the connection that were sent more than once.
fn retransmitted(stream: &TcpStream) -> io::Result<u32> {
    // SAFETY: plain old data, for which all zeros is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the descriptor is open, and the kernel writes at most `length` bytes to `info`.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    match result {
        0 => Ok(info.tcpi_total_retrans),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    /// Over the loopback interface of the test's own namespace: bytes come, and both threads end when told.
    #[test]
    fn bytes_come_until_it_is_stopped() {
        let start_ns = monotonic_ns();
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        let listener = listen(to).unwrap();
        let at = listener.local_addr().unwrap().as_socket_ipv4().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&stop);
        let receiver = thread::spawn(move || receive(&listener, &heard));
        let socket = stream().unwrap();
        let until = start_ns + 100_000_000;
        assert_eq!(send(socket, at, (start_ns, until), &stop).unwrap(), 0);
        assert!(monotonic_ns() >= until);
        let arrived = receiver.join().unwrap().unwrap();
        assert!(
            arrived.bytes > 0 && arrived.last_ns > arrived.first_ns,
            "{arrived:?}"
        );
    }

    #[test]
    fn nothing_comes_of_what_never_starts() {
        let listener = listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        let at = listener.local_addr().unwrap().as_socket_ipv4().unwrap();
        let stop = AtomicBool::new(true);
        let never = (u64::MAX, u64::MAX);
        assert_eq!(send(stream().unwrap(), at, never, &stop).unwrap(), 0);
        assert_eq!(receive(&listener, &stop).unwrap().bytes, 0);
    }
}
