//! A packet socket with a mapped receive ring (TPACKET_V3). All unsafe code of the tap is here.
//!
//! The ring is what makes the tap cheap inside an emulated CPU: the kernel copies only the snap length, and wakes us
//! once per block instead of once per frame.

use std::{
    io,
    mem::size_of,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr::{self, NonNull},
    sync::atomic::{Ordering, fence},
};

use libc::{
    c_int, c_void, sock_filter, sock_fprog, sockaddr_ll, tpacket_block_desc, tpacket_req3,
    tpacket3_hdr,
};

const BLOCK_BYTES: usize = 1 << 20;
const BLOCKS: usize = 16;
const FRAME_BYTES: usize = 2048;
/// A block that is not full is handed over after this long.
const RETIRE_MS: u32 = 200;
const ETH_P_ALL_NETWORK_ORDER: u16 = (libc::ETH_P_ALL as u16).to_be();

/// One frame in the ring.
#[derive(Debug, Clone, Copy)]
pub struct RingFrame<'a> {
    /// Kernel's stamp, CLOCK_REALTIME.
    pub realtime_ns: u64,
    /// Device.
    pub ifindex: u32,
    /// Sent by this device, not received.
    pub outgoing: bool,
    /// Length on the wire.
    pub original_bytes: u32,
    /// What was captured.
    pub frame: &'a [u8],
}

/// What the kernel says of the socket.
#[derive(Debug, Clone, Copy, Default)]
pub struct RingStatistics {
    /// Frames that the filter let pass, dropped ones included.
    pub packets: u64,
    /// Frames for which the ring had no room.
    pub drops: u64,
}

/// The socket and its ring.
#[derive(Debug)]
pub struct Ring {
    socket: OwnedFd,
    map: NonNull<u8>,
    next: usize,
    statistics: RingStatistics,
}

// SAFETY: the mapping belongs to this value alone, and is only read through it.
unsafe impl Send for Ring {}

impl Ring {
    /// Captures every frame of every device in the calling thread's network namespace, from now on.
    pub fn open(snap_bytes: u16) -> io::Result<Self> {
        // Protocol 0: nothing is received before the ring and the filter are in place.
        // SAFETY: plain system call; the result is checked.
        let raw = check(unsafe {
            libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0)
        })?;
        // SAFETY: the descriptor is new and ours.
        let socket = unsafe { OwnedFd::from_raw_fd(raw) };
        set_option(
            &socket,
            libc::SOL_PACKET,
            libc::PACKET_VERSION,
            &(libc::tpacket_versions::TPACKET_V3 as c_int),
        )?;
        set_option(
            &socket,
            libc::SOL_PACKET,
            libc::PACKET_RX_RING,
            &ring_request(),
        )?;
        attach_return(&socket, u32::from(snap_bytes))?;
        let map = map_ring(&socket)?;
        let ring = Self {
            socket,
            map,
            next: 0,
            statistics: RingStatistics::default(),
        };
        ring.bind()?;
        Ok(ring)
    }

    fn bind(&self) -> io::Result<()> {
        // SAFETY: sockaddr_ll is plain data; all zeros is a valid value.
        let mut address: sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = ETH_P_ALL_NETWORK_ORDER;
        // SAFETY: the address lives through the call and its length is right.
        check(unsafe {
            libc::bind(
                self.socket.as_raw_fd(),
                ptr::from_ref(&address).cast(),
                size_of::<sockaddr_ll>() as u32,
            )
        })?;
        Ok(())
    }

    /// Lets nothing pass any more; what is in the ring can still be read.
    pub fn close_filter(&self) -> io::Result<()> {
        attach_return(&self.socket, 0)
    }

    /// Counts since the socket was opened.
    pub fn statistics(&mut self) -> io::Result<RingStatistics> {
        // SAFETY: plain data.
        let mut read: libc::tpacket_stats_v3 = unsafe { std::mem::zeroed() };
        let mut length = size_of::<libc::tpacket_stats_v3>() as u32;
        // SAFETY: the buffer and its length are right.
        check(unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                ptr::from_mut(&mut read).cast(),
                &raw mut length,
            )
        })?;
        // The kernel's counts start again with every reading.
        self.statistics.packets += u64::from(read.tp_packets);
        self.statistics.drops += u64::from(read.tp_drops);
        Ok(self.statistics)
    }

    /// Hands over every frame of every finished block.
    pub fn drain(&mut self, handle: &mut dyn FnMut(RingFrame<'_>)) {
        loop {
            // SAFETY: `next` is below BLOCKS, so the block lies in the mapping and is aligned to a page.
            let block = unsafe {
                self.map
                    .as_ptr()
                    .add(self.next * BLOCK_BYTES)
                    .cast::<tpacket_block_desc>()
            };
            // SAFETY: as above; version 1 is the only layout that the kernel writes.
            let header = unsafe { &raw mut (*block).hdr.bh1 };
            // SAFETY: as above; volatile, because the kernel writes it.
            let status = unsafe { ptr::read_volatile(&raw const (*header).block_status) };
            if status & libc::TP_STATUS_USER == 0 {
                return;
            }
            fence(Ordering::Acquire);
            // SAFETY: the block is ours until its status is given back.
            unsafe {
                walk(
                    block.cast(),
                    (*header).num_pkts,
                    (*header).offset_to_first_pkt,
                    handle,
                )
            };
            fence(Ordering::Release);
            // SAFETY: as above.
            unsafe { ptr::write_volatile(&raw mut (*header).block_status, libc::TP_STATUS_KERNEL) };
            self.next = (self.next + 1) % BLOCKS;
        }
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped by us with this length, and nothing refers to it any more.
        unsafe { libc::munmap(self.map.as_ptr().cast::<c_void>(), BLOCKS * BLOCK_BYTES) };
    }
}

/// Every frame of a finished block.
///
/// # Safety
/// `block` points at a block that the kernel has handed over, with these fields in its header.
unsafe fn walk(block: *const u8, packets: u32, first: u32, handle: &mut dyn FnMut(RingFrame<'_>)) {
    let mut offset = first as usize;
    for _ in 0..packets {
        // SAFETY: the kernel keeps offsets within the block and headers aligned to 16 bytes.
        unsafe {
            let header = block.add(offset).cast::<tpacket3_hdr>();
            let link = header
                .byte_add(libc::TPACKET_ALIGN(size_of::<tpacket3_hdr>()))
                .cast::<sockaddr_ll>();
            let data = header.cast::<u8>().add(usize::from((*header).tp_mac));
            handle(RingFrame {
                realtime_ns: u64::from((*header).tp_sec) * 1_000_000_000
                    + u64::from((*header).tp_nsec),
                ifindex: (*link).sll_ifindex as u32,
                outgoing: (*link).sll_pkttype == libc::PACKET_OUTGOING,
                original_bytes: (*header).tp_len,
                frame: std::slice::from_raw_parts(data, (*header).tp_snaplen as usize),
            });
            offset += (*header).tp_next_offset as usize;
        }
    }
}

fn ring_request() -> tpacket_req3 {
    tpacket_req3 {
        tp_block_size: BLOCK_BYTES as u32,
        tp_block_nr: BLOCKS as u32,
        tp_frame_size: FRAME_BYTES as u32,
        tp_frame_nr: (BLOCKS * BLOCK_BYTES / FRAME_BYTES) as u32,
        tp_retire_blk_tov: RETIRE_MS,
        tp_sizeof_priv: 0,
        tp_feature_req_word: 0,
    }
}

fn map_ring(socket: &OwnedFd) -> io::Result<NonNull<u8>> {
    // SAFETY: a new shared mapping of the ring, chosen by the kernel.
    let map = unsafe {
        libc::mmap(
            ptr::null_mut(),
            BLOCKS * BLOCK_BYTES,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            socket.as_raw_fd(),
            0,
        )
    };
    if map == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(map.cast())
        .ok_or_else(|| io::Error::other("the kernel mapped the ring at address 0"))
}

/// A filter of one instruction: keep so many bytes of every frame (0: drop it).
fn attach_return(socket: &OwnedFd, bytes: u32) -> io::Result<()> {
    let mut program = [sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: bytes,
    }];
    let program = sock_fprog {
        len: 1,
        filter: program.as_mut_ptr(),
    };
    set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

fn set_option<T>(socket: &OwnedFd, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    // SAFETY: pointer and length describe `value`, which lives through the call.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            ptr::from_ref(value).cast(),
            size_of::<T>() as u32,
        )
    })?;
    Ok(())
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
