//! A TAP device in a network namespace of the calling thread.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::sched::{CloneFlags, unshare};

use super::MONITOR;

pub const NAME: &str = "tap0";
const TUNSETIFF: libc::Ioctl = 0x4004_54ca;

/// Takes the calling thread, and all processes it starts, into a new network namespace with one
/// Ethernet link, whose other end is the file returned.
pub fn enter_new_network() -> File {
    unshare(CloneFlags::CLONE_NEWNET)
        .expect("these tests make a network namespace: run them as root, or under `unshare -Urn`");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .expect("these tests need /dev/net/tun");
    let mut request = request();
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as i16;
    ioctl(&file, TUNSETIFF, &mut request);
    bring_up();
    file
}

/// Brings the loopback up, for what is asked over TCP.
pub fn bring_up_loopback() {
    // SAFETY: a plain socket, owned from here on.
    let socket = unsafe { OwnedFd::from_raw_fd(libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0)) };
    let mut flags = request();
    flags.ifr_name.fill(0);
    for (to, from) in flags.ifr_name.iter_mut().zip(*b"lo") {
        *to = from.cast_signed();
    }
    flags.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    ioctl(&socket, libc::SIOCSIFFLAGS, &mut flags);
}

fn bring_up() {
    // SAFETY: a plain socket, owned from here on.
    let socket = unsafe { OwnedFd::from_raw_fd(libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0)) };
    let mut address = request();
    address.ifr_ifru.ifru_addr = sockaddr(MONITOR);
    ioctl(&socket, libc::SIOCSIFADDR, &mut address);
    // Everything is on the link; the stand-in answers every ARP request.
    let mut mask = request();
    mask.ifr_ifru.ifru_netmask = sockaddr([255, 0, 0, 0]);
    ioctl(&socket, libc::SIOCSIFNETMASK, &mut mask);
    let mut flags = request();
    flags.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    ioctl(&socket, libc::SIOCSIFFLAGS, &mut flags);
}

fn request() -> libc::ifreq {
    // SAFETY: zeros are a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(NAME.bytes()) {
        *to = from.cast_signed();
    }
    request
}

fn sockaddr(address: [u8; 4]) -> libc::sockaddr {
    let mut data = [0; 14];
    for (to, from) in data[2..6].iter_mut().zip(address) {
        *to = i8::from_ne_bytes([from]);
    }
    libc::sockaddr {
        sa_family: libc::AF_INET as u16,
        sa_data: data,
    }
}

fn ioctl(file: &impl AsRawFd, what: libc::Ioctl, request: &mut libc::ifreq) {
    // SAFETY: all requests here take an ifreq.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), what, request) };
    assert_eq!(result, 0, "ioctl {what:#x}: {}", io::Error::last_os_error());
}
