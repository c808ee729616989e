//! Packets out: whole IPv4 datagrams that we wrote ourselves, many with one system call.
//!
//! Probes go by a packet socket, as frames to a next hop that the kernel knows; everything else, and what has no known next
//! hop, by a raw socket, which leaves the rest to the kernel. Pings and reports always do, so that the kernel goes on
//! verifying its neighbours.
//!
//! The packet socket does not bypass the queueing discipline: frames that do are seen by no other packet socket, so our own
//! capture could not stamp them as they leave.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use vmscope_core::config::Sending;
use vmscope_core::session::{Purpose, Transmit};
use vmscope_wire::{EtherType, EthernetRepr, MacAddress, ethernet, ipv4};

use crate::error::StartError;
use crate::interface::Interface;
use crate::next_hop::{Hop, NextHops};

/// Room for bursts in a socket, bytes.
const SEND_BUFFER_BYTES: usize = 4 << 20;
/// Packets handed over with one system call at most.
pub const PACKETS_AT_ONCE: usize = 64;

/// Sends datagrams on one interface.
pub struct Transmitter {
    raw: Socket,
    frames: Result<Frames, WhyNot>,
    interface: String,
    _gre_silencer: Socket,
}

/// Why there is no packet socket.
enum WhyNot {
    Configured,
    Failed(io::Error),
}

/// The way around the kernel's IP layer.
struct Frames {
    socket: Socket,
    source: MacAddress,
    hops: NextHops,
    /// Of the latest datagram: the raw socket's are numbered by the kernel (RFC 6864 section 4.1).
    identification: u16,
}

impl Transmitter {
    /// Opens the sockets.
    pub fn open(interface: &Interface, sending: Sending) -> Result<Transmitter, StartError> {
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
            frames: match sending {
                Sending::Auto => Frames::open(interface).map_err(WhyNot::Failed),
                Sending::Raw => Err(WhyNot::Configured),
            },
            interface: interface.name.clone(),
            _gre_silencer: silence_gre()?,
        })
    }

    /// How packets are sent, in words.
    pub fn description(&self) -> String {
        let at_once = format!("up to {PACKETS_AT_ONCE} a system call");
        match &self.frames {
            Ok(frames) => format!(
                "packet socket on {}, {at_once}, next hops known: {}; raw socket for what has none, for pings and for IGMP",
                self.interface,
                frames.hops.known()
            ),
            Err(WhyNot::Configured) => {
                format!("raw socket on {}, {at_once}, as configured", self.interface)
            }
            Err(WhyNot::Failed(error)) => format!(
                "raw socket on {}, {at_once}; no packet socket: {error}",
                self.interface
            ),
        }
    }

    /// What becomes readable when the kernel's routes or neighbours have changed: then call [`Transmitter::follow`].
    pub fn changes(&self) -> Option<BorrowedFd<'_>> {
        self.frames.as_ref().ok().map(|frames| frames.hops.as_fd())
    }

    /// Takes note of changed routes and neighbours.
    pub fn follow(&mut self) {
        if let Ok(frames) = &mut self.frames {
            frames.hops.follow();
        }
    }

    /// Hands packets to the kernel, in their order; `failed` hears of each that it does not take. Never waits: a full
    /// queue is an error.
    pub fn send(&mut self, packets: &mut [Transmit], mut failed: impl FnMut(&Transmit, io::Error)) {
        for some in packets.chunks_mut(PACKETS_AT_ONCE) {
            self.send_some(some, &mut failed);
        }
    }

    fn send_some(
        &mut self,
        packets: &mut [Transmit],
        failed: &mut impl FnMut(&Transmit, io::Error),
    ) {
        let mut headers = [None; PACKETS_AT_ONCE];
        for (packet, header) in packets.iter_mut().zip(&mut headers) {
            *header = self.frames.as_mut().ok().and_then(|f| f.header(packet));
        }
        let mut from = 0;
        while from < packets.len() {
            let by_frame = headers[from].is_some();
            let rest = headers[from..packets.len()].iter();
            let count = rest.take_while(|h| h.is_some() == by_frame).count();
            let (some, headers) = (&packets[from..from + count], &headers[from..from + count]);
            let socket = match &self.frames {
                Ok(frames) if by_frame => &frames.socket,
                Ok(_) | Err(_) => &self.raw,
            };
            send_alike(socket, some, headers, failed);
            from += count;
        }
    }
}

impl Frames {
    fn open(interface: &Interface) -> io::Result<Frames> {
        // Protocol 0: it only sends.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        socket.bind(&link_address(interface)?)?;
        Ok(Frames {
            socket,
            source: MacAddress(interface.mac),
            hops: NextHops::open(interface)?,
            identification: 0,
        })
    }

    /// The header of the frame in which a packet goes, if it goes in one.
    fn header(&mut self, packet: &mut Transmit) -> Option<[u8; ethernet::HEADER_LEN]> {
        match packet.purpose {
            Purpose::Probe { .. } | Purpose::Reflection { .. } | Purpose::Disguised => {}
            Purpose::Ping { .. } | Purpose::RouterClock { .. } | Purpose::Igmp { .. } => {
                return None;
            }
        }
        let Hop::Frame(mac) = self.hops.find(packet.destination) else {
            return None;
        };
        let mut header = [0; ethernet::HEADER_LEN];
        let repr = EthernetRepr {
            dst: MacAddress(mac),
            src: self.source,
            ethertype: EtherType::Ipv4,
        };
        repr.emit(&mut header).ok()?;
        // Routers on the way may have to fragment it, and fragments of two packets must not be taken for one's.
        self.identification = self.identification.wrapping_add(1);
        ipv4::identify(&mut packet.bytes, self.identification).ok()?;
        Some(header)
    }
}

/// Sends packets by one socket: in frames if there are headers, else as datagrams.
fn send_alike(
    socket: &Socket,
    packets: &[Transmit],
    headers: &[Option<[u8; ethernet::HEADER_LEN]>],
    failed: &mut impl FnMut(&Transmit, io::Error),
) {
    // SAFETY: zeros are a message without address, pieces and control data, a piece of no bytes, and no address.
    let (mut messages, mut pieces, mut addresses) = unsafe {
        (
            [std::mem::zeroed::<libc::mmsghdr>(); PACKETS_AT_ONCE],
            [std::mem::zeroed::<[libc::iovec; 2]>(); PACKETS_AT_ONCE],
            [std::mem::zeroed::<libc::sockaddr_in>(); PACKETS_AT_ONCE],
        )
    };
    for (place, packet) in packets.iter().enumerate() {
        let message = &mut messages[place].msg_hdr;
        let pieces = &mut pieces[place];
        pieces[1] = piece(&packet.bytes);
        (message.msg_iov, message.msg_iovlen) = match &headers[place] {
            Some(header) => {
                pieces[0] = piece(header);
                (pieces.as_mut_ptr(), 2)
            }
            None => {
                let address = &mut addresses[place];
                address.sin_family = libc::AF_INET as libc::sa_family_t;
                address.sin_addr.s_addr = u32::from_ne_bytes(packet.destination.octets());
                message.msg_name = std::ptr::from_mut(address).cast();
                message.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
                (&raw mut pieces[1], 1)
            }
        };
    }
    let mut from = 0;
    while from < packets.len() {
        // SAFETY: addresses, pieces and what these point to live until the call is over; the kernel writes the lengths only.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                messages[from..].as_mut_ptr(),
                (packets.len() - from) as libc::c_uint,
                0,
            )
        };
        match usize::try_from(sent) {
            Ok(sent) => from += sent,
            // The first of them is the one that failed.
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    failed(&packets[from], error);
                    from += 1;
                }
            }
        }
    }
}

fn piece(bytes: &[u8]) -> libc::iovec {
    libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    }
}

/// The interface, as a packet socket is bound to it.
fn link_address(interface: &Interface) -> io::Result<SockAddr> {
    // SAFETY: the storage has room for a `sockaddr_ll`, is zero otherwise, and the length is that of the structure.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let link = storage.cast::<libc::sockaddr_ll>();
            (*link).sll_family = libc::AF_PACKET as u16;
            (*link).sll_ifindex = interface.index.cast_signed();
            *length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            Ok(())
        })?
    };
    Ok(address)
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
