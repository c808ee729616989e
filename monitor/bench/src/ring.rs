//! Frames in, by a mapped ring of an `AF_PACKET` socket (TPACKET_V3): the kernel fills blocks, nothing is copied again.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{Ordering, fence};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::socket::{self, set_option};

/// Bytes of a block.
const BLOCK_BYTES: usize = 256 << 10;
/// Blocks of a ring: 64 MiB.
const BLOCKS: usize = 256;
/// A block that is not full is handed over after so long, milliseconds.
const RETIRE_MS: u32 = 1;
/// Between a frame's header and its `sockaddr_ll`, bytes: the header, aligned to 16.
const ADDRESS_AT: usize = size_of::<libc::tpacket3_hdr>().next_multiple_of(16);

/// Which frames a ring sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees {
    /// What arrives.
    Incoming,
    /// What arrives, and what other sockets send.
    Both,
}

/// A frame in the ring.
pub struct Frame<'a> {
    /// The kernel's stamp, nanoseconds of CLOCK_REALTIME.
    pub stamp_ns: u64,
    /// Whether this host sent it.
    pub is_outgoing: bool,
    /// From the Ethernet header on. The ring is ours to write in.
    pub bytes: &'a mut [u8],
}

/// What the kernel counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RingCounts {
    /// Frames meant for the ring.
    pub seen: u64,
    /// Of those, frames for which there was no room.
    pub dropped: u64,
}

/// A mapped ring.
pub struct Ring {
    socket: OwnedFd,
    map: *mut u8,
    block: usize,
    counts: RingCounts,
}

// SAFETY: the mapping belongs to this value alone, and the kernel does not care which thread reads it.
unsafe impl Send for Ring {}

impl Ring {
    /// Opens a ring on an interface of the calling thread's network namespace.
    pub fn open(interface: &str, sees: Sees) -> io::Result<Ring> {
        // Protocol 0: nothing is received before the ring is there.
        let socket = socket::packet()?;
        set_option(
            &socket,
            libc::PACKET_VERSION,
            &libc::tpacket_versions::TPACKET_V3,
        )?;
        if sees == Sees::Incoming {
            set_option(&socket, libc::PACKET_IGNORE_OUTGOING, &1)?;
        }
        let request = libc::tpacket_req3 {
            tp_block_size: BLOCK_BYTES as u32,
            tp_block_nr: BLOCKS as u32,
            tp_frame_size: 2_048,
            tp_frame_nr: (BLOCK_BYTES / 2_048 * BLOCKS) as u32,
            tp_retire_blk_tov: RETIRE_MS,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set_option(&socket, libc::PACKET_RX_RING, &request)?;
        // SAFETY: a new mapping of the size of the ring that was just made.
        let map = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                BLOCK_BYTES * BLOCKS,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                socket.as_raw_fd(),
                0,
            )
        };
        if map == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        socket::bind(&socket, interface, libc::ETH_P_ALL as u16)?;
        Ok(Ring {
            socket,
            map: map.cast(),
            block: 0,
            counts: RingCounts::default(),
        })
    }

    /// Hands the frames of the next block that is ready to `take`, then the block back to the kernel once `done` has
    /// returned; how many frames there were.
    pub fn poll_block<S>(
        &mut self,
        state: &mut S,
        mut take: impl FnMut(&mut S, Frame<'_>),
        done: impl FnOnce(&mut S),
    ) -> usize {
        // SAFETY: a block begins with its descriptor; while its status says "user", the kernel leaves the block alone,
        // and what it wrote (offsets, lengths) lies inside it.
        unsafe {
            let block = self.map.add(self.block * BLOCK_BYTES);
            let header = &raw mut (*block.cast::<libc::tpacket_block_desc>()).hdr.bh1;
            let status = &raw mut (*header).block_status;
            if status.read_volatile() & libc::TP_STATUS_USER == 0 {
                return 0;
            }
            fence(Ordering::Acquire);
            let frames = (*header).num_pkts as usize;
            let mut at = block.add((*header).offset_to_first_pkt as usize);
            for _ in 0..frames {
                let frame = at.cast::<libc::tpacket3_hdr>().read();
                let address = at.add(ADDRESS_AT).cast::<libc::sockaddr_ll>();
                let bytes = std::slice::from_raw_parts_mut(
                    at.add(usize::from(frame.tp_mac)),
                    frame.tp_snaplen as usize,
                );
                take(
                    state,
                    Frame {
                        stamp_ns: u64::from(frame.tp_sec) * 1_000_000_000
                            + u64::from(frame.tp_nsec),
                        is_outgoing: (*address).sll_pkttype == libc::PACKET_OUTGOING,
                        bytes,
                    },
                );
                at = at.add(frame.tp_next_offset as usize);
            }
            done(state);
            fence(Ordering::Release);
            status.write_volatile(libc::TP_STATUS_KERNEL);
            self.block = (self.block + 1) % BLOCKS;
            frames
        }
    }

    /// Sleeps until a block is ready, or for so long.
    pub fn wait(&self, timeout_ms: u8) {
        let mut sources = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        // Whatever wakes us, the ring says what there is.
        let _ = poll(&mut sources, PollTimeout::from(timeout_ms));
    }

    /// The kernel's counters since the ring was opened.
    pub fn counts(&mut self) -> RingCounts {
        let mut now: libc::tpacket_stats_v3 = socket::zeroed();
        let mut length = size_of::<libc::tpacket_stats_v3>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes; reading resets its counters.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut now).cast(),
                &mut length,
            )
        };
        if result == 0 {
            self.counts.seen += u64::from(now.tp_packets);
            self.counts.dropped += u64::from(now.tp_drops);
        }
        self.counts
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped by `open`, of this size, and nobody has it but us.
        unsafe { libc::munmap(self.map.cast(), BLOCK_BYTES * BLOCKS) };
    }
}
