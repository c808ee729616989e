//! Packets out, by a raw socket: whole IPv4 datagrams that we wrote ourselves.

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4};

use socket2::{Domain, Protocol, Socket, Type};

use crate::error::StartError;
use crate::interface::Interface;

/// Room for bursts in the socket, bytes.
const SEND_BUFFER_BYTES: usize = 4 << 20;

/// Sends datagrams on one interface.
pub struct Transmitter {
    raw: Socket,
    _gre_silencer: Socket,
}

impl Transmitter {
    /// Opens the raw socket.
    pub fn open(interface: &Interface) -> Result<Transmitter, StartError> {
        let raw = Socket::new(
            Domain::IPV4,
            Type::RAW,
            Some(Protocol::from(libc::IPPROTO_RAW)),
        )
        .map_err(StartError::socket("open a raw socket"))?;
        raw.set_nonblocking(true)
            .map_err(StartError::socket("use the raw socket"))?;
        raw.set_header_included_v4(true)
            .map_err(StartError::socket("write own IP headers"))?;
        // What we send must not come back to us as if it had been received.
        raw.set_multicast_loop_v4(false)
            .map_err(StartError::socket("use the raw socket"))?;
        raw.bind_device(Some(interface.name.as_bytes()))
            .map_err(StartError::socket("bind the raw socket to the interface"))?;
        raw.set_send_buffer_size(SEND_BUFFER_BYTES)
            .map_err(StartError::socket("size the raw socket's buffer"))?;
        Ok(Transmitter {
            raw,
            _gre_silencer: silence_gre()?,
        })
    }

    /// Hands a datagram to the kernel, which sends it to `destination`. Never waits: a full queue is an error.
    pub fn send(&self, datagram: &[u8], destination: Ipv4Addr) -> io::Result<()> {
        self.raw
            .send_to(datagram, &SocketAddrV4::new(destination, 0).into())
            .map(|_| ())
    }
}

/// Keeps the kernel from answering GRE with "protocol unreachable".
///
/// It does so unless somebody has a raw socket for GRE; this one drops what it gets.
fn silence_gre() -> Result<Socket, StartError> {
    let socket = Socket::new(
        Domain::IPV4,
        Type::RAW,
        Some(Protocol::from(libc::IPPROTO_GRE)),
    )
    .map_err(StartError::socket("open a raw socket"))?;
    let drop_all = [socket2::SockFilter::new(libc::BPF_RET as u16, 0, 0, 0)];
    socket
        .attach_filter(&drop_all)
        .map_err(StartError::socket("filter a raw socket"))?;
    socket
        .set_nonblocking(true)
        .map_err(StartError::socket("use the raw socket"))?;
    // What came before the filter was attached.
    while socket.recv(&mut [MaybeUninit::uninit(); 64]).is_ok() {}
    Ok(socket)
}
