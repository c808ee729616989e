//! Notices as syslog messages (RFC 5424), to a Unix datagram socket or over UDP (RFC 5426).
//!
//! Written here rather than taken from a crate: what there is fixes the socket's path.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use vmscope_core::alarm::{Facility, Severity};

use super::parcel::Parcel;
use super::{Failure, Sink};

/// What every receiver takes (RFC 5426 §3.2).
const MESSAGE_BYTES_MAX: usize = 2_048;
/// A receiver whose queue stays full for so long does not take it.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);

pub struct Syslog {
    place: Place,
    facility: Facility,
    host: String,
}

enum Place {
    Socket(PathBuf),
    /// `HOST:PORT`, resolved for every message: it may move.
    Udp(String),
}

impl Syslog {
    pub fn new(to: &str, facility: Facility, host: &str) -> Syslog {
        let place = match to.strip_prefix("udp://") {
            Some(place) => Place::Udp(place.to_owned()),
            None => Place::Socket(PathBuf::from(to)),
        };
        Syslog {
            place,
            facility,
            host: host.to_owned(),
        }
    }

    /// `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID - MSG` (§6).
    fn message(&self, parcel: &Parcel) -> Vec<u8> {
        let priority = u32::from(self.facility.number()) * 8 + u32::from(level(parcel));
        let (at, host, kind) = (&parcel.at, &self.host, parcel.kind());
        let process = std::process::id();
        let line = parcel.line();
        let text = format!("<{priority}>1 {at} {host} vmscope {process} {kind} - {line}");
        // All that a message is made of is ASCII, so that no byte order mark is needed (§6.4), and any byte is a place to cut.
        let clean = text.bytes().map(|byte| match byte {
            b' '..=b'~' => byte,
            _ => b'?',
        });
        clean.take(MESSAGE_BYTES_MAX).collect()
    }

    fn send(&self, message: &[u8]) -> io::Result<usize> {
        match &self.place {
            Place::Socket(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_write_timeout(Some(SEND_TIMEOUT))?;
                socket.send_to(message, path)
            }
            Place::Udp(place) => {
                let to = place.to_socket_addrs()?.next();
                let to = to.ok_or_else(|| io::Error::other("it has no address"))?;
                let any: SocketAddr = match to {
                    SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                UdpSocket::bind(any)?.send_to(message, to)
            }
        }
    }
}

/// Numerical severity (RFC 5424 table 2).
fn level(parcel: &Parcel) -> u8 {
    match parcel.severity() {
        _ if parcel.is_good_news() => 5,
        Severity::Warning => 5,
        Severity::Minor => 4,
        Severity::Major => 3,
        Severity::Critical => 2,
    }
}

impl Sink for Syslog {
    fn deliver(&mut self, parcel: &Parcel) -> Result<(), Failure> {
        let sent = self.send(&self.message(parcel));
        sent.map(|_| ()).map_err(|error| {
            Failure::passing(format!(
                "cannot send to it: {error}; start it, or correct `to`"
            ))
        })
    }
}
