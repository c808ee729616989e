//! Whether every link carries: an ICMP echo over each, asked at its first end, answered by the kernel at its second.

use std::{
    io::{self, Read},
    net::{Ipv4Addr, SocketAddrV4},
    time::{Duration, Instant},
};

use etherparse::{IcmpEchoHeader, Icmpv4Header, Icmpv4Slice, Icmpv4Type, Ipv4Slice};
use socket2::{Domain, Protocol, Socket, Type};

use super::{Lab, LabError};
use crate::plan::End;

/// Echoes of ours, among all others that a raw socket hears.
const IDENTIFIER: u16 = 0x6d76;
/// An older kernel notices a carrier some time after both ends are up, and drops what is sent till then: ask again.
const AGAIN: Duration = Duration::from_millis(2);

impl Lab {
    /// Asks over all wires and attachments at once; returns how many there are. An error names the first link whose
    /// answer did not come within `patience`.
    pub fn echo(&self, patience: Duration) -> Result<usize, LabError> {
        let wires = self.plan.wires.iter().map(|wire| (&wire.a, &wire.b));
        let attachments = self.plan.attachments.iter();
        let links: Vec<_> = wires
            .chain(attachments.map(|attachment| (&attachment.pe, &attachment.vrf)))
            .collect();
        let end = Instant::now() + patience;
        let asked: Vec<Socket> = links
            .iter()
            .map(|(from, to)| {
                let asked = self.enter(&from.namespace, || ask(to.address.address))?;
                asked.map_err(|e| silent(from, to, &e))
            })
            .collect::<Result<_, LabError>>()?;
        for (socket, (from, to)) in asked.iter().zip(&links) {
            answer(socket, end).map_err(|e| silent(from, to, &e))?;
        }
        Ok(links.len())
    }
}

fn silent(from: &End, to: &End, found: &io::Error) -> LabError {
    let (from, at) = (&from.namespace, &to.namespace);
    LabError::Refused {
        attempted: format!(
            "have an echo from {from} answered by {at} ({})",
            to.address.address
        ),
        found: found.to_string(),
    }
}

fn ask(address: Ipv4Addr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
    // Connected, it hears only the one that was asked.
    socket.connect(&SocketAddrV4::new(address, 0).into())?;
    socket.set_read_timeout(Some(AGAIN))?;
    send(&socket)?;
    Ok(socket)
}

fn send(socket: &Socket) -> io::Result<usize> {
    let echo = Icmpv4Type::EchoRequest(IcmpEchoHeader {
        id: IDENTIFIER,
        seq: 1,
    });
    socket.send(&Icmpv4Header::with_checksum(echo, &[]).to_bytes())
}

fn answer(socket: &Socket, end: Instant) -> io::Result<()> {
    let mut buffer = [0; 256];
    loop {
        match Read::read(&mut &*socket, &mut buffer) {
            Ok(length) if is_answer(&buffer[..length]) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                send(socket)?;
            }
            Err(error) => return Err(error),
        }
        if Instant::now() >= end {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer"));
        }
    }
}

fn is_answer(packet: &[u8]) -> bool {
    let answer = Ipv4Slice::from_slice(packet)
        .ok()
        .and_then(|ip| Icmpv4Slice::from_slice(ip.payload().payload).ok());
    matches!(
        answer.map(|icmp| icmp.icmp_type()),
        Some(Icmpv4Type::EchoReply(echo)) if echo.id == IDENTIFIER
    )
}
