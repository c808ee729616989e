//! Datagrams from one namespace to another: what arrives, and what does not.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    time::Duration,
};

use mvpnlab_emulator::lab::Lab;

const PORT: u16 = 7007;

/// Sends `count` datagrams from a namespace to an address in another; how many arrive within a second of the last.
pub async fn arrivals(
    lab: &Lab,
    from: &str,
    to: &str,
    address: Ipv4Addr,
    count: usize,
) -> Result<usize, String> {
    let socket = |namespace: &str, port| {
        let made = lab.enter(namespace, || -> io::Result<UdpSocket> {
            let socket = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        made.map_err(|e| e.to_string())?
            .map_err(|e| format!("no socket in {namespace}: {e}"))
    };
    let (sender, receiver) = (socket(from, 0)?, socket(to, PORT)?);
    for number in 0..count {
        // With the link down there is no route: that, too, is a datagram that does not arrive.
        let _ = sender.send_to(
            &(number as u64).to_be_bytes(),
            SocketAddrV4::new(address, PORT),
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut buffer = [0; 64];
    Ok(std::iter::from_fn(|| receiver.recv(&mut buffer).ok()).count())
}
