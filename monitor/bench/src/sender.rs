//! Frames out, many with one system call (`sendmmsg`), each from two pieces: nothing is copied to put a header before it.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::socket::{self, set_option};

/// Frames of one system call at most.
pub const FRAMES_AT_ONCE: usize = 64;
/// Room for frames on their way in the socket, bytes.
const BUFFER_BYTES: libc::c_int = 16 << 20;

/// Whether frames pass the interface's queueing discipline, and with it whether other sockets see them leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Straight to the driver (PACKET_QDISC_BYPASS): the fastest, and unseen.
    Bypass,
    /// As every other frame of the host.
    Queue,
}

/// What became of frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendCounts {
    /// Frames the kernel took.
    pub sent: u64,
    /// Frames it refused.
    pub refused: u64,
}

/// Sends frames on one interface.
pub struct Sender {
    socket: OwnedFd,
    messages: Box<[libc::mmsghdr]>,
    pieces: Box<[[libc::iovec; 2]]>,
    waiting: usize,
    counts: SendCounts,
}

// SAFETY: the pointers in `messages` and `pieces` are used between `put` and `flush` only, by one thread.
unsafe impl Send for Sender {}

impl Sender {
    /// Opens a sender on an interface of the calling thread's network namespace.
    pub fn open(interface: &str, way: Way) -> io::Result<Sender> {
        let socket = socket::packet()?;
        socket::bind(&socket, interface, 0)?;
        if way == Way::Bypass {
            set_option(&socket, libc::PACKET_QDISC_BYPASS, &1)?;
        }
        // SAFETY: the kernel reads an integer.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_SNDBUFFORCE,
                std::ptr::from_ref(&BUFFER_BYTES).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        socket::check(result)?;
        let mut pieces =
            vec![[socket::zeroed::<libc::iovec>(); 2]; FRAMES_AT_ONCE].into_boxed_slice();
        let messages = pieces.iter_mut().map(|pieces| {
            let mut message: libc::mmsghdr = socket::zeroed();
            message.msg_hdr.msg_iov = pieces.as_mut_ptr();
            message.msg_hdr.msg_iovlen = 2;
            message
        });
        let messages = messages.collect();
        Ok(Sender {
            socket,
            messages,
            pieces,
            waiting: 0,
            counts: SendCounts::default(),
        })
    }

    /// Puts a frame of two pieces behind those that wait; sends all when there is no room for another.
    ///
    /// # Safety
    /// Both pieces must stay where they are, unchanged, until [`Sender::flush`] has returned or this has sent them.
    pub unsafe fn put(&mut self, header: &[u8], body: &[u8]) {
        let piece = |bytes: &[u8]| libc::iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        };
        self.pieces[self.waiting] = [piece(header), piece(body)];
        self.waiting += 1;
        if self.waiting == FRAMES_AT_ONCE {
            self.flush();
        }
    }

    /// Sends what waits. A frame that the kernel refuses is counted and not tried again.
    pub fn flush(&mut self) {
        let mut from = 0;
        while from < self.waiting {
            let messages = &mut self.messages[from..self.waiting];
            // SAFETY: the messages point to pieces that `put`'s callers keep alive.
            let sent = unsafe {
                libc::sendmmsg(
                    self.socket.as_raw_fd(),
                    messages.as_mut_ptr(),
                    messages.len() as u32,
                    0,
                )
            };
            match usize::try_from(sent) {
                Ok(sent) => {
                    self.counts.sent += sent as u64;
                    from += sent;
                }
                Err(_) => {
                    self.counts.refused += 1;
                    from += 1;
                }
            }
        }
        self.waiting = 0;
    }

    /// What became of the frames so far.
    pub fn counts(&self) -> SendCounts {
        self.counts
    }
}
