//! Running counters, read by SNMPv2c.
//!
//! All values of a reading are asked for in one request, so that they come out of one table. Nothing that arrives late can
//! be taken for an answer to a later question: after a failure the socket is another, with another port.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use snmp2::{Oid, SyncSession, Value};
use vmscope_core::counters::{Count, Question, Reading, Width};
use vmscope_core::time::Instant;

/// An agent is waited for so long.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
/// Interfaces whose octets make the pulse, at most: one request must fit into a datagram.
const PULSE_INTERFACES_MAX: usize = 16;
/// Interfaces looked through for a name at most.
const INTERFACES_MAX: usize = 4_096;

const SYS_UP_TIME: &[u64] = &[1, 3, 6, 1, 2, 1, 1, 3, 0];
/// IF-MIB (RFC 2863), ifXTable.
const IF_NAME: &[u64] = &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1];
const IF_HC_IN_OCTETS: &[u64] = &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 6];
/// Unicast, multicast and broadcast.
const IF_HC_IN_PACKETS: [&[u64]; 3] = [
    &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 7],
    &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 8],
    &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 9],
];
const IF_DISCONTINUITY: &[u64] = &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 19];
/// IPMROUTE-STD-MIB (RFC 2932): the row's index is group, source, mask.
const MROUTE_UP_TIME: &[u64] = &[1, 3, 6, 1, 2, 1, 83, 1, 1, 2, 1, 6];
const MROUTE_PACKETS: &[u64] = &[1, 3, 6, 1, 2, 1, 83, 1, 1, 2, 1, 8];
const MROUTE_OCTETS: &[u64] = &[1, 3, 6, 1, 2, 1, 83, 1, 1, 2, 1, 10];

/// Why there is no reading.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No socket.
    #[error("cannot ask the agent at {0}: {1}")]
    Socket(SocketAddr, std::io::Error),
    /// No answer, or none that can be understood.
    #[error(
        "the agent at {0} does not answer: {1}; see whether it runs, lets this host read, and has this community"
    )]
    NoAnswer(SocketAddr, snmp2::Error),
    /// It has no such thing.
    #[error("the agent at {0} has no {1}")]
    NoSuch(SocketAddr, String),
}

/// One agent.
pub struct Snmp {
    address: SocketAddr,
    community: Vec<u8>,
    session: Option<SyncSession>,
    /// Number of the interface asked for, and of all that make the pulse.
    known: Option<(String, u64, Vec<u64>)>,
}

impl Snmp {
    /// Nothing is sent yet.
    pub fn new(address: SocketAddr, community: &str) -> Snmp {
        Snmp {
            address,
            community: community.as_bytes().to_vec(),
            session: None,
            known: None,
        }
    }

    /// Asks, and waits for the answer, up to a second for each datagram: for a thread that has nothing else to do. `now`
    /// tells the time by the clock that probes are stamped with.
    pub fn read(
        &mut self,
        question: &Question,
        now: impl Fn() -> Instant,
    ) -> Result<Reading, AgentError> {
        let read = match question {
            Question::Interface(name) => self.read_interface(name, now),
            Question::Route(group, source) => self.read_route(*group, *source, now),
        };
        if read.is_err() {
            // Interfaces may have other numbers once the agent is back.
            (self.session, self.known) = (None, None);
        }
        read
    }

    fn read_interface(
        &mut self,
        name: &str,
        now: impl Fn() -> Instant,
    ) -> Result<Reading, AgentError> {
        let (index, all) = match &self.known {
            Some((known, index, all)) if known == name => (*index, all.clone()),
            _ => self.find(name)?,
        };
        let mut oids = vec![SYS_UP_TIME.to_vec(), row(IF_DISCONTINUITY, &[index])];
        oids.extend(IF_HC_IN_PACKETS.map(|column| row(column, &[index])));
        oids.push(row(IF_HC_IN_OCTETS, &[index]));
        oids.extend(all.iter().map(|index| row(IF_HC_IN_OCTETS, &[*index])));
        let asked = now();
        let values = self.get(&oids)?;
        let answered = now();
        let what = || format!("64-bit counters of interface {name}");
        let [
            uptime,
            discontinuity,
            unicast,
            multicast,
            broadcast,
            octets,
            pulse @ ..,
        ] = &values[..]
        else {
            return Err(AgentError::NoSuch(self.address, what()));
        };
        let wide = [unicast, multicast, broadcast, octets]
            .iter()
            .all(|count| count.width == Width::Bits64);
        if !wide {
            return Err(AgentError::NoSuch(self.address, what()));
        }
        let packets = [unicast, multicast, broadcast];
        let sum = packets
            .iter()
            .fold(0_u64, |sum, count| sum.wrapping_add(count.value));
        Ok(Reading {
            asked,
            answered,
            uptime_ticks: uptime.value as u32,
            discontinuity_ticks: discontinuity.value as u32,
            age_ticks: None,
            packets: Count {
                value: sum,
                width: Width::Bits64,
            },
            octets: Some(*octets),
            pulse: Some(
                pulse
                    .iter()
                    .fold(0, |sum, count| sum.wrapping_add(count.value)),
            ),
        })
    }

    fn read_route(
        &mut self,
        group: Ipv4Addr,
        source: Ipv4Addr,
        now: impl Fn() -> Instant,
    ) -> Result<Reading, AgentError> {
        let index: Vec<u64> = [group.octets(), source.octets(), [255; 4]]
            .as_flattened()
            .iter()
            .map(|octet| u64::from(*octet))
            .collect();
        let columns = [MROUTE_UP_TIME, MROUTE_PACKETS, MROUTE_OCTETS];
        let mut oids = vec![SYS_UP_TIME.to_vec()];
        oids.extend(columns.map(|column| row(column, &index)));
        let asked = now();
        let values = self.get(&oids)?;
        let answered = now();
        let [uptime, age, packets, octets] = values[..] else {
            let what = format!("multicast route of {source} to {group}");
            return Err(AgentError::NoSuch(self.address, what));
        };
        Ok(Reading {
            asked,
            answered,
            uptime_ticks: uptime.value as u32,
            discontinuity_ticks: 0,
            age_ticks: Some(age.value as u32),
            packets,
            octets: Some(octets),
            // The age of the route, as it was when its counters were read.
            pulse: Some(age.value),
        })
    }

    /// The interface's number, and those of the interfaces that make the pulse.
    fn find(&mut self, name: &str) -> Result<(u64, Vec<u64>), AgentError> {
        let address = self.address;
        let mut at = IF_NAME.to_vec();
        let (mut found, mut all) = (None, Vec::new());
        for _ in 0..INTERFACES_MAX {
            let oid = Oid::from(&at).map_err(|_| no_answer(address, snmp2::Error::AsnParse))?;
            let session = session(&mut self.session, address, &self.community)?;
            let mut pdu = session
                .getnext(&oid)
                .map_err(|error| no_answer(address, error))?;
            let Some((next, Value::OctetString(text))) = pdu.varbinds.next() else {
                break;
            };
            let next: Vec<u64> = next.iter().map(Iterator::collect).unwrap_or_default();
            // An agent that goes backwards would be asked for ever.
            if !next.starts_with(IF_NAME) || next <= at {
                break;
            }
            let Some(index) = next.last().copied() else {
                break;
            };
            if text == name.as_bytes() {
                found = Some(index);
            }
            if all.len() < PULSE_INTERFACES_MAX {
                all.push(index);
            }
            at = next;
        }
        let index =
            found.ok_or_else(|| AgentError::NoSuch(address, format!("interface {name}")))?;
        self.known = Some((name.to_owned(), index, all.clone()));
        Ok((index, all))
    }

    /// One request, one answer: as many counts as there are names, or fewer if the agent has not all.
    fn get(&mut self, names: &[Vec<u64>]) -> Result<Vec<Count>, AgentError> {
        let address = self.address;
        let oids: Vec<Oid<'_>> = names
            .iter()
            .filter_map(|name| Oid::from(name).ok())
            .collect();
        let oids: Vec<&Oid<'_>> = oids.iter().collect();
        let session = session(&mut self.session, address, &self.community)?;
        let pdu = session
            .get_many(&oids)
            .map_err(|error| no_answer(address, error))?;
        if pdu.error_status != 0 {
            return Ok(Vec::new());
        }
        let answered = pdu.varbinds.zip(&oids);
        Ok(answered
            .map_while(|((name, value), asked)| (name == **asked).then(|| count(&value))?)
            .collect())
    }
}

fn no_answer(address: SocketAddr, error: snmp2::Error) -> AgentError {
    AgentError::NoAnswer(address, error)
}

fn session<'a>(
    session: &'a mut Option<SyncSession>,
    address: SocketAddr,
    community: &[u8],
) -> Result<&'a mut SyncSession, AgentError> {
    if session.is_none() {
        let id = rand::random::<u32>() >> 2;
        let new = SyncSession::new_v2c(address, community, Some(ANSWERED_WITHIN), id.cast_signed());
        *session = Some(new.map_err(|error| AgentError::Socket(address, error))?);
    }
    let missing = || AgentError::Socket(address, std::io::ErrorKind::NotConnected.into());
    session.as_mut().ok_or_else(missing)
}

fn row(column: &[u64], index: &[u64]) -> Vec<u64> {
    [column, index].concat()
}

fn count(value: &Value<'_>) -> Option<Count> {
    let (value, width) = match value {
        Value::Counter32(value) | Value::Unsigned32(value) | Value::Timeticks(value) => {
            (u64::from(*value), Width::Bits32)
        }
        Value::Counter64(value) => (*value, Width::Bits64),
        _ => return None,
    };
    Some(Count { value, width })
}
