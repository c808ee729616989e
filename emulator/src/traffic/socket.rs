//! Sockets of sources and receivers, made inside a namespace; a socket stays in the namespace it was made in.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    os::fd::AsFd,
};

use nix::sched::{CloneFlags, setns};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::{
    payload,
    spec::{ReceiverSpec, SourceSpec},
};

/// TTL of customer traffic.
const TTL: u32 = 32;
/// Room for bursts while the lab's one CPU is busy elsewhere.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// Runs `make` on a short-lived thread inside the namespace; the caller's own namespace never changes.
pub fn inside<T: Send>(
    namespace: impl AsFd + Send,
    make: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            make()
        });
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread inside the namespace panicked")))
    })
}

/// A source's socket, connected to its group. Call inside its namespace.
pub fn source(spec: &SourceSpec) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    socket.set_multicast_if_v4(&spec.interface)?;
    socket.set_multicast_ttl_v4(TTL)?;
    socket.set_multicast_loop_v4(false)?;
    socket.bind(&SocketAddrV4::new(spec.interface, 0).into())?;
    Ok(socket.into())
}

/// Where a source sends.
pub fn destination(spec: &SourceSpec) -> SocketAddrV4 {
    SocketAddrV4::new(spec.group, payload::PORT)
}

/// A receiver's socket, not yet a member. Call inside its namespace.
pub fn receiver(spec: &ReceiverSpec) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_multicast_all_v4(false)?;
    // SO_RCVBUFFORCE needs more rights than we may have: the ordinary one is limited but never fails.
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.bind(&SocketAddrV4::new(spec.group, payload::PORT).into())?;
    Ok(socket)
}

/// Joins: (*,G), or (S,G) if the receiver names a source.
pub fn join(socket: &Socket, spec: &ReceiverSpec) -> io::Result<()> {
    match spec.source {
        Some(source) => socket.join_ssm_v4(&source, &spec.group, &spec.interface),
        None => socket.join_multicast_v4_n(&spec.group, &address(spec.interface)),
    }
}

/// Leaves what was joined.
pub fn leave(socket: &Socket, spec: &ReceiverSpec) -> io::Result<()> {
    match spec.source {
        Some(source) => socket.leave_ssm_v4(&source, &spec.group, &spec.interface),
        None => socket.leave_multicast_v4_n(&spec.group, &address(spec.interface)),
    }
}

fn address(interface: Ipv4Addr) -> InterfaceIndexOrAddress {
    InterfaceIndexOrAddress::Address(interface)
}
