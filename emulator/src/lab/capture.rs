//! What passes over one link, live: its two ends in the wire room, as pcapng.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use libc::{sock_filter, sock_fprog};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg};
use nix::sys::time::TimeSpec;
use thiserror::Error;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::{Lab, LabError, wire_device};
use crate::truth::lane::{Lanes, Side, Tap};
use crate::truth::pcapng::{ExportError, WireFile};
use crate::truth::record::{Direction, Record};

/// Every protocol, in network order.
const ETH_P_ALL: u16 = (libc::ETH_P_ALL as u16).to_be();
/// linux/filter.h: where a filter finds the interface of a frame.
const INTERFACE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_IFINDEX) as u32;
/// No frame of ours is longer.
const FRAME_BYTES: usize = 4096;
/// Frames taken together.
const FRAMES_MAX: usize = 256;

/// Why a link could not be captured.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// No such link.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// The kernel refused.
    #[error("cannot capture on {link}: {attempt}: {source}")]
    System {
        /// Where.
        link: String,
        /// What was attempted.
        attempt: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] ExportError),
}

/// A capture that goes on until it is dropped.
pub struct LinkCapture {
    link: String,
    socket: AsyncFd<OwnedFd>,
    /// Index of the wire room's device at each end.
    ends: [(i32, Tap); 2],
    file: WireFile,
    buffer: Vec<u8>,
}

impl Lab {
    /// Captures what enters and leaves a link, as far as the filter keeps it. The filter is a classic BPF program on
    /// Ethernet frames, as `tcpdump -ddd` prints it; none keeps all.
    pub fn capture(&self, link: &str, filter: &[sock_filter]) -> Result<LinkCapture, CaptureError> {
        let (number, wire) = self.wire(link)?;
        let system = |attempt| {
            let link = wire.name.clone();
            move |source| CaptureError::System {
                link,
                attempt,
                source,
            }
        };
        let index = |side| {
            let index = self.wire_room.index(&wire_device(number, side));
            index.map(|index| index as i32).map_err(LabError::from)
        };
        let (a, b) = (index('a')?, index('b')?);
        let program = on_interfaces([a, b], filter);
        let socket = self
            .wire_room
            .inside(|| open(&program))
            .map_err(LabError::from)?
            .map_err(system("opening a packet socket"))?;
        // SAFETY: the descriptor is open, and the watch owns it until it is dropped.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }
            .map_err(|e| system("watching the packet socket")(e.into()))?;
        let number = number as u16;
        let tap = |side| Tap { wire: number, side };
        Ok(LinkCapture {
            link: wire.name.clone(),
            socket,
            ends: [(a, tap(Side::A)), (b, tap(Side::B))],
            file: WireFile::new(number, &Lanes::of(&self.plan))?,
            buffer: vec![0; FRAME_BYTES],
        })
    }
}

impl LinkCapture {
    /// The next piece of the file: first its head, then frames as they pass.
    pub async fn next(&mut self) -> Result<Vec<u8>, CaptureError> {
        let ready = self.file.take();
        if !ready.is_empty() {
            return Ok(ready);
        }
        loop {
            let mut guard =
                self.socket
                    .readable()
                    .await
                    .map_err(|source| CaptureError::System {
                        link: self.link.clone(),
                        attempt: "waiting for frames",
                        source,
                    })?;
            guard.clear_ready();
            drop(guard);
            for _ in 0..FRAMES_MAX {
                if !self.take_frame()? {
                    break;
                }
            }
            let ready = self.file.take();
            if !ready.is_empty() {
                return Ok(ready);
            }
        }
    }

    /// False when there is none.
    fn take_frame(&mut self) -> Result<bool, CaptureError> {
        let mut space = nix::cmsg_space!(TimeSpec);
        let mut buffer = [IoSliceMut::new(&mut self.buffer)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        let socket = self.socket.get_ref().as_raw_fd();
        let message = match recvmsg::<LinkAddr>(socket, &mut buffer, Some(&mut space), flags) {
            Ok(message) => message,
            Err(Errno::EAGAIN) => return Ok(false),
            Err(errno) => {
                return Err(CaptureError::System {
                    link: self.link.clone(),
                    attempt: "reading a frame",
                    source: errno.into(),
                });
            }
        };
        let stamp = message
            .cmsgs()
            .ok()
            .into_iter()
            .flatten()
            .find_map(|item| match item {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
                _ => None,
            });
        let (length, address) = (message.bytes, message.address);
        let (Some(stamp), Some(address)) = (stamp, address) else {
            return Ok(true);
        };
        let ends = self.ends.iter();
        let tap = ends
            .clone()
            .find(|(index, _)| *index == address.ifindex() as i32);
        if let Some((_, tap)) = tap {
            let record = Record {
                realtime_ns: stamp.as_nanos() as u64,
                tap: *tap,
                direction: match address.pkttype() {
                    libc::PACKET_OUTGOING => Direction::Left,
                    _ => Direction::Entered,
                },
                original_bytes: u16::try_from(length).unwrap_or(u16::MAX),
                frame: &self.buffer[..length.min(FRAME_BYTES)],
            };
            self.file.write(&record)?;
        }
        Ok(true)
    }
}

/// A filter that keeps frames of these two interfaces which the user's filter keeps. Jumps of classic BPF are relative, so
/// the user's program can follow ours as it is.
fn on_interfaces([a, b]: [i32; 2], filter: &[sock_filter]) -> Vec<sock_filter> {
    let step = |code: u32, jt, jf, k| sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let is = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let keep = libc::BPF_RET | libc::BPF_K;
    let mut program = vec![
        step(load, 0, 0, INTERFACE),
        step(is, 2, 0, a as u32),
        step(is, 1, 0, b as u32),
        step(keep, 0, 0, 0),
    ];
    match filter.is_empty() {
        true => program.push(step(keep, 0, 0, u32::MAX)),
        false => program.extend_from_slice(filter),
    }
    program
}

/// A packet socket for the whole namespace with its filter in place before the first frame.
fn open(program: &[sock_filter]) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: a plain system call; protocol 0 receives nothing until it is bound.
    let raw = check(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
    // SAFETY: the descriptor is new and ours.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    let mut program = program.to_vec();
    let filter = sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: program.as_mut_ptr(),
    };
    set(&socket, libc::SO_ATTACH_FILTER, &filter)?;
    set(&socket, libc::SO_TIMESTAMPNS, &1i32)?;
    set(&socket, libc::SO_RCVBUF, &(8i32 << 20))?;
    // SAFETY: an all-zero address is valid.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = ETH_P_ALL;
    let length = size_of::<libc::sockaddr_ll>() as u32;
    // SAFETY: address and length describe the value, which lives through the call.
    check(unsafe { libc::bind(raw, std::ptr::from_ref(&address).cast(), length) })?;
    Ok(socket)
}

fn set<T>(socket: &OwnedFd, option: i32, value: &T) -> io::Result<()> {
    let (at, length) = (std::ptr::from_ref(value).cast(), size_of::<T>() as u32);
    // SAFETY: pointer and length describe the value, which lives through the call.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, at, length) })?;
    Ok(())
}

fn check(result: i32) -> io::Result<i32> {
    match result {
        0.. => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}
