//! Routers and their ends of the tunnels: they answer pings, note who has joined what, and hand copies on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use vmscope_wire::content::Content;
use vmscope_wire::icmp;
use vmscope_wire::igmp::{RecordType, Repr as Igmp};
use vmscope_wire::inner::{Addressing, Inner};
use vmscope_wire::ipv4::Packet;
use vmscope_wire::tunnel::{Outer, decapsulate, encapsulate, encapsulated_len};

use super::down::tunnelled;
use super::{GROUP, Happening, Path, World};

#[derive(Debug)]
pub struct Tunnel {
    pub host: usize,
    pub router: usize,
    pub up: Path,
    pub down: Path,
    /// Groups joined, and of which sources; none means any.
    joined: BTreeMap<Ipv4Addr, BTreeSet<Ipv4Addr>>,
}

impl World {
    /// Adds a tunnel of a host to a router, named and numbered by its place: t1 is number 1.
    pub fn add_tunnel(&mut self, host: usize, router: usize, up: Path, down: Path) -> usize {
        self.tunnels.push(Tunnel {
            host,
            router,
            up,
            down,
            joined: BTreeMap::new(),
        });
        let index = self.tunnels.len() - 1;
        self.tell_of_tunnel(index);
        index
    }

    pub fn tell_of_tunnel(&mut self, index: usize) {
        let host = self.tunnels[index].host;
        let n = index + 1;
        self.ok(
            host,
            &format!(
                r#""op":"tunnel-add","name":"t{n}","id":{n},"outer_local":"{}","outer_remote":"{}","inner_local":"{}","inner_remote":"{}","ping_interval":"100ms""#,
                host_address(host), outer(index), inner_host(index), inner_router(index)
            ),
        );
    }

    /// Whether a tunnel has joined the group.
    pub fn is_joined(&self, tunnel: usize) -> bool {
        self.tunnels[tunnel].joined.contains_key(&GROUP)
    }

    pub(super) fn at_router(&mut self, tunnel: usize, bytes: &[u8]) {
        let opened = decapsulate(bytes).expect("whole");
        match opened.content().expect("readable") {
            Content::Igmp(message) => self.report(tunnel, &message),
            Content::Icmp(icmp::Repr::EchoRequest {
                identifier,
                sequence,
                data,
            }) => {
                let message = icmp::Repr::EchoReply {
                    identifier,
                    sequence,
                    data,
                };
                let ip = Addressing::new(inner_router(tunnel), inner_host(tunnel));
                let inner = Inner::Icmp { ip, message };
                let outer =
                    Outer::new(outer(tunnel), host_address(self.tunnels[tunnel].host), None);
                let mut bytes = vec![0; encapsulated_len(&outer, &inner)];
                encapsulate(&outer, &inner, &mut bytes).unwrap();
                self.down(tunnel, 0, &bytes);
            }
            Content::Probe { .. } => {
                let inner = opened.inner.as_bytes().to_vec();
                self.hand_to_counters(&inner);
                let router = self.tunnels[tunnel].router;
                self.hand_down(router, Some(tunnel), 0, &inner);
                let others: BTreeSet<usize> = self.tunnels.iter().map(|t| t.router).collect();
                for other in others.into_iter().filter(|other| *other != router) {
                    for delay in self.core.passages(&mut self.rng) {
                        self.hand_down(other, None, delay, &inner);
                    }
                }
            }
            other => panic!("a monitor sent {other:?}"),
        }
    }

    fn hand_down(&mut self, router: usize, came_by: Option<usize>, before: u64, inner: &[u8]) {
        let packet = Packet::new_checked(inner).expect("whole");
        let (source, group) = (packet.src(), packet.dst());
        let mut forwarded = inner.to_vec();
        forwarded[8] -= 1;
        let ttl = forwarded[8];
        forwarded[10..12].fill(0);
        let sum = vmscope_wire::checksum::Sum::of(&forwarded[..20]).checksum();
        forwarded[10..12].copy_from_slice(&sum.to_be_bytes());
        for index in 0..self.tunnels.len() {
            let tunnel = &self.tunnels[index];
            let joined = tunnel.joined.get(&group);
            let wanted = joined.is_some_and(|from| from.is_empty() || from.contains(&source));
            if tunnel.router != router || came_by == Some(index) || !wanted || ttl == 0 {
                continue;
            }
            let bytes = tunnelled(outer(index), host_address(tunnel.host), &forwarded);
            self.down(index, before, &bytes);
        }
    }

    fn down(&mut self, tunnel: usize, before: u64, bytes: &[u8]) {
        let (path, host) = (self.tunnels[tunnel].down, self.tunnels[tunnel].host);
        for delay in path.passages(&mut self.rng) {
            let bytes = bytes.to_vec();
            self.happen(before + delay, Happening::AtHost { host, bytes });
        }
    }

    fn report(&mut self, tunnel: usize, message: &Igmp<'_>) {
        let Igmp::ReportV3 { records } = message else {
            panic!("a monitor said {message}");
        };
        let joined = &mut self.tunnels[tunnel].joined;
        for record in records.iter() {
            let sources: BTreeSet<Ipv4Addr> = record.sources.iter().collect();
            match record.kind {
                RecordType::IsExclude | RecordType::ToExclude => {
                    joined.insert(record.group, BTreeSet::new());
                }
                RecordType::IsInclude | RecordType::ToInclude if sources.is_empty() => {
                    joined.remove(&record.group);
                }
                RecordType::IsInclude | RecordType::ToInclude => {
                    joined.insert(record.group, sources);
                }
                RecordType::Allow => {
                    joined.entry(record.group).or_default().extend(sources);
                }
                RecordType::Block => {
                    let left = joined.entry(record.group).or_default();
                    left.retain(|source| !sources.contains(source));
                    if left.is_empty() {
                        joined.remove(&record.group);
                    }
                }
                other => panic!("a monitor said {other:?}"),
            }
        }
    }
}

fn host_address(host: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 1, host as u8, 2)
}

fn outer(tunnel: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 254, tunnel as u8 + 1, 1)
}

fn inner_host(tunnel: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, tunnel as u8 + 1, 2)
}

fn inner_router(tunnel: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, tunnel as u8 + 1, 1)
}
