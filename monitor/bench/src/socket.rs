//! Packet sockets: the few system calls that ring and sender share.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::net::if_::if_nametoindex;

use crate::place::Problem;

/// A structure of zeros; only for the kernel's plain structures, of which zeros are a value.
pub fn zeroed<T: Copy>() -> T {
    // SAFETY: called for C structures of integers and arrays of these only.
    unsafe { std::mem::zeroed() }
}

/// An error unless a system call returned something sensible.
pub fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        result if result < 0 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}

/// A packet socket that receives nothing yet.
pub fn packet() -> io::Result<OwnedFd> {
    // SAFETY: a plain system call, and the descriptor is ours alone.
    unsafe {
        let socket = check(libc::socket(
            libc::AF_PACKET,
            libc::SOCK_RAW | libc::SOCK_CLOEXEC,
            0,
        ))?;
        Ok(OwnedFd::from_raw_fd(socket))
    }
}

/// Keeps the kernel from answering GRE with "protocol unreachable" for as long as it is kept, as the monitor does too.
pub fn silence_gre() -> io::Result<OwnedFd> {
    let drop_all = [libc::sock_filter {
        code: libc::BPF_RET as u16,
        jt: 0,
        jf: 0,
        k: 0,
    }];
    let program = libc::sock_fprog {
        len: 1,
        filter: drop_all.as_ptr().cast_mut(),
    };
    // SAFETY: plain system calls; the kernel reads the program while it is there, and the descriptor is ours alone.
    unsafe {
        let flags = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        let socket = OwnedFd::from_raw_fd(check(libc::socket(
            libc::AF_INET,
            flags,
            libc::IPPROTO_GRE,
        ))?);
        check(libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            std::ptr::from_ref(&program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        ))?;
        Ok(socket)
    }
}

/// Sets an option of a packet socket.
pub fn set_option<T>(socket: &OwnedFd, option: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: the kernel reads as many bytes as the value has.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    check(result).map(|_| ())
}

/// The address of an interface, with an EtherType.
pub fn address(interface: &str, protocol: u16) -> io::Result<libc::sockaddr_ll> {
    let mut address: libc::sockaddr_ll = zeroed();
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = if_nametoindex(interface)?.cast_signed();
    address.sll_halen = 6;
    Ok(address)
}

/// Ties a packet socket to an interface, and lets it receive what has this EtherType.
pub fn bind(socket: &OwnedFd, interface: &str, protocol: u16) -> io::Result<()> {
    let address = address(interface, protocol)?;
    // SAFETY: the kernel reads a `sockaddr_ll` of the length said.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            std::ptr::from_ref(&address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    check(result).map(|_| ())
}

/// Asks the kernel to end this thread's sleeps on time, as the monitor does.
pub fn wake_precisely() {
    // SAFETY: only sets a number of the calling thread; if it fails, it sleeps longer.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong, 0, 0, 0) };
}

/// Keeps processors from sleeping deeply while the file is open, as the monitor does if it is told to.
pub fn keep_awake() -> Result<std::fs::File, Problem> {
    const LATENCY: &str = "/dev/cpu_dma_latency";
    let opened = std::fs::File::options().write(true).open(LATENCY);
    let held = opened.and_then(|mut held| {
        std::io::Write::write_all(&mut held, &0_i32.to_ne_bytes())?;
        Ok(held)
    });
    held.map_err(|error| {
        format!("cannot keep the processors awake: {LATENCY}: {error}; run this as root, on a kernel with PM QoS")
    })
}

/// Processor time of the calling thread.
pub fn thread_time() -> std::time::Duration {
    let mut time: libc::timespec = zeroed();
    // SAFETY: the kernel writes one timespec; this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    std::time::Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
