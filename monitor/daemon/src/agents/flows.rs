//! Hearing an exporter of flows.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use vmscope_agent::Exporter;
use vmscope_core::name::Name;
use vmscope_core::oneway::AgentFailure;

use super::AgentError;
use crate::mailbox::{FlowExport, Mailbox};

/// Largest datagram (RFC 768).
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// How often it is looked whether to end.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Datagrams that may wait for the driver. One that comes beyond is lost, as it may be on any other way: the next one's
/// number shows it.
const EXPORTS_WAITING_MAX: usize = 1_024;

/// While this is held, the exporter is heard.
#[derive(Debug)]
pub struct Listening(Arc<AtomicBool>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A place in the driver's queue, given back when what took it is done with.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(waiting: &Arc<AtomicUsize>) -> Option<Place> {
        // It is taken before it is looked at: a queue is never longer than it may be.
        let place = Place(Arc::clone(waiting));
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        (before < EXPORTS_WAITING_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What hears one exporter.
pub struct Hearer {
    name: Name,
    socket: UdpSocket,
    exporter: IpAddr,
    ended: Arc<AtomicBool>,
}

impl Hearer {
    /// What comes from now on is kept by the kernel until it is read.
    pub fn open(
        name: &Name,
        listen: SocketAddr,
        exporter: IpAddr,
    ) -> Result<(Hearer, Listening), AgentError> {
        let bind = || {
            let socket = UdpSocket::bind(listen)?;
            socket.set_read_timeout(Some(LOOK_EVERY))?;
            Ok(socket)
        };
        let socket = bind().map_err(|source: io::Error| AgentError::Listen {
            agent: name.clone(),
            listen,
            source,
        })?;
        let ended = Arc::new(AtomicBool::new(false));
        let listening = Listening(Arc::clone(&ended));
        let hearer = Hearer {
            name: name.clone(),
            socket,
            exporter,
            ended,
        };
        Ok((hearer, listening))
    }

    /// Hands on what the exporter sends, until the driver is gone.
    pub fn run(self, mailbox: &Mailbox) {
        let mut exporter = Exporter::default();
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let waiting = Arc::new(AtomicUsize::new(0));
        while !self.ended.load(Ordering::Relaxed) {
            let (length, from) = match self.socket.recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if is_passing(&error) => continue,
                Err(error) => {
                    let found = format!("agent {}: cannot hear flows: {error}", self.name);
                    self.say(mailbox, &waiting, Err(AgentFailure::NoAnswer(found)));
                    std::thread::sleep(LOOK_EVERY);
                    continue;
                }
            };
            if from.ip() != self.exporter {
                continue;
            }
            let exports = exporter.read(buffer.get(..length).unwrap_or_default());
            if exports.is_empty() {
                let found = format!(
                    "agent {}: {} sent {length} bytes that are neither NetFlow 5 or 9 nor IPFIX",
                    self.name, self.exporter
                );
                self.say(mailbox, &waiting, Err(AgentFailure::NoAnswer(found)));
            }
            for export in exports {
                self.say(mailbox, &waiting, Ok(export));
            }
        }
    }

    fn say(
        &self,
        mailbox: &Mailbox,
        waiting: &Arc<AtomicUsize>,
        export: Result<vmscope_core::counters::Export, AgentFailure>,
    ) {
        if let Some(place) = Place::take(waiting) {
            let agent = self.name.clone();
            mailbox.hear_export(FlowExport {
                agent,
                export,
                place,
            });
        }
    }
}

/// Nothing came, or somebody answered that nobody is there to what was never sent.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{Inbox, Message, mailbox};

    /// NetFlow 5: one flow of so many packets.
    fn netflow5(sequence: u32, packets: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend([0, 5, 0, 1]);
        for word in [60_000, 1_700_000_000, 0, sequence, 0] {
            bytes.extend(u32::to_be_bytes(word));
        }
        let mut record = [0_u8; 48];
        record[..4].copy_from_slice(&[10, 77, 1, 2]);
        record[4..8].copy_from_slice(&[239, 1, 1, 1]);
        record[16..20].copy_from_slice(&packets.to_be_bytes());
        record[32..34].copy_from_slice(&57_344_u16.to_be_bytes());
        record[38] = 17;
        bytes.extend(record);
        bytes
    }

    /// A hearer of 127.0.0.1, where it listens, and what it says.
    fn heard() -> (Listening, SocketAddr, Inbox) {
        let name = Name::new("pe2").unwrap();
        let here = "127.0.0.1:0".parse().unwrap();
        let (hearer, listening) = Hearer::open(&name, here, [127, 0, 0, 1].into()).unwrap();
        let at = hearer.socket.local_addr().unwrap();
        let (mailbox, inbox) = mailbox().unwrap();
        std::thread::spawn(move || hearer.run(&mailbox));
        (listening, at, inbox)
    }

    fn next(inbox: &mut Inbox) -> FlowExport {
        for _ in 0..500 {
            match inbox.poll_message() {
                Some(Message::Export(export)) => return *export,
                Some(_) => panic!("another message"),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        panic!("nothing was heard");
    }

    #[test]
    fn the_exporter_is_heard_and_nobody_else_and_nonsense_is_told() {
        let (_listening, at, mut inbox) = heard();
        let from = |address: &str| UdpSocket::bind((address, 0)).unwrap();
        let stranger = from("127.0.0.2");
        stranger.send_to(&netflow5(0, 99), at).unwrap();
        let exporter = from("127.0.0.1");
        exporter.send_to(&netflow5(7, 12), at).unwrap();
        let export = next(&mut inbox).export.unwrap();
        assert_eq!((export.sequence, export.next_sequence), (7, Some(8)));
        assert_eq!(export.records[0].packets, 12);
        for nonsense in [&b"nonsense"[..], &[], &[0; 1_000]] {
            exporter.send_to(nonsense, at).unwrap();
            let said = next(&mut inbox).export.unwrap_err().to_string();
            assert!(said.contains("neither NetFlow 5 or 9 nor IPFIX"), "{said}");
        }
        assert!(inbox.poll_message().is_none());
    }

    #[test]
    fn a_flood_waits_in_a_queue_that_has_an_end() {
        let waiting = Arc::new(AtomicUsize::new(0));
        let places: Vec<_> = (0..2 * EXPORTS_WAITING_MAX)
            .filter_map(|_| Place::take(&waiting))
            .collect();
        assert_eq!(places.len(), EXPORTS_WAITING_MAX);
        drop(places);
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_port_that_is_taken_is_told_with_its_address() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = taken.local_addr().unwrap();
        let name = Name::new("pe2").unwrap();
        let refused = Hearer::open(&name, at, [127, 0, 0, 1].into())
            .err()
            .unwrap();
        assert!(refused.to_string().contains(&at.to_string()), "{refused}");
    }
}
